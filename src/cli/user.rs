//! `flashgate user add | list | remove | passwd`. Works on the metadata database: a running server knows at once.

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::password::new_password;
use super::{ConfigArgs, Failure, runtime};
use crate::config::Config;
use crate::gms::Gms;
use crate::node::users::{Users, check_name};

#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Add a user
    Add(Named),
    /// Set a user's password
    Passwd(Named),
    /// Remove a user; open connections stay
    Remove {
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print all names
    List {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Args, Debug)]
struct Named {
    name: String,
    /// Read the password from the first line of stdin (else FLASHGATE_PASSWORD, else a prompt)
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &UserArgs) -> Result<(), Failure> {
    match &args.action {
        Action::Add(named) => {
            check_name(&named.name).map_err(|error| Failure::Usage(error.to_string()))?;
            with_password(named, async |users, password| users.add(&named.name, password).await)
        }
        Action::Passwd(named) => with_password(named, async |users, password| users.set_password(&named.name, password).await),
        Action::Remove { name, config } => with_users(config, async |users| Ok(users.remove(name).await?)),
        Action::List { config } => with_users(config, async |users| {
            users.names().iter().for_each(|name| println!("{name}"));
            Ok(())
        }),
    }
}

fn with_password(named: &Named, work: impl AsyncFnOnce(&Users, &str) -> crate::Result<()>) -> Result<(), Failure> {
    let password = new_password(&named.name, named.password_stdin)?;
    with_users(&named.config, async |users| Ok(work(users, &password).await?))
}

fn with_users(args: &ConfigArgs, work: impl AsyncFnOnce(&Users) -> Result<(), Failure>) -> Result<(), Failure> {
    let config: Config = args.load_and_log()?;
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|e| Failure::Usage(format!("cannot use the data directory {}: {e}", config.data_dir.display())))?;
    runtime()?.block_on(async {
        let gms: Arc<Gms> = Gms::open(&config.gms_url()).await?;
        let users = Users::open(gms.clone(), &config).await?;
        let done = work(&users).await;
        gms.close().await?;
        done
    })
}
