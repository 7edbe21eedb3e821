//! The commands of the binary, one file each. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, ConfigError, Loaded, Overrides};
use crate::error::Error;
use crate::server::StartError;

mod config_command;
pub mod demo;
mod password;
mod serve;
mod user;

/// A SQL proxy that gives any MySQL or PostgreSQL client a way back in time.
// The last of a repeated flag counts, so that a script can append its own.
#[derive(Parser, Debug)]
#[command(name = "flashgate", version, arg_required_else_help = true, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve clients of both protocols
    Serve(serve::ServeArgs),
    /// Serve, with sample data whose history goes back to 2022
    Demo(demo::DemoArgs),
    /// Manage the users that may connect
    User(user::UserArgs),
    /// Print the configuration in effect, with what every key means
    Config(ConfigArgs),
}

/// Flags that every command shares. They win over FLASHGATE_* variables, which win over the file.
#[derive(Args, Debug, Clone, Default)]
pub struct ConfigArgs {
    /// Configuration file (TOML) [env: FLASHGATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for everything that Flashgate keeps on this machine [default: ./flashgate-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address of the MySQL protocol, or off [default: 127.0.0.1:3307]
    #[arg(long, value_name = "ADDR")]
    mysql_listen: Option<String>,
    /// Address of the PostgreSQL protocol, or off [default: 127.0.0.1:5433]
    #[arg(long, value_name = "ADDR")]
    postgres_listen: Option<String>,
    /// Address of /health, /ready and /metrics, or off [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http_listen: Option<String>,
}

impl ConfigArgs {
    /// The configuration from all sources.
    fn load(&self) -> Result<Loaded, ConfigError> {
        let values = [
            ("data_dir", &self.data_dir),
            ("listen.mysql", &self.mysql_listen),
            ("listen.postgres", &self.postgres_listen),
            ("listen.http", &self.http_listen),
        ];
        let values = values.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        config::load(&Overrides { file: self.config.clone(), values }, environment)
    }

    /// The configuration, with logs flowing and its warnings logged.
    fn load_and_log(&self) -> Result<Config, ConfigError> {
        let Loaded { config, warnings } = self.load()?;
        crate::server::logging::install(&config.log);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Ok(config)
    }
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::Usage(error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(error) => error.into(),
            StartError::Failed(text) => Failure::Failed(text),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Failed(error.to_string())
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version are no failure; clap's own code for the rest is 2.
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::User(args) => user::run(&args),
        Command::Config(args) => config_command::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("flashgate: {failure}");
            ExitCode::from(match failure {
                Failure::Usage(_) => 2,
                Failure::Failed(_) => 1,
            })
        }
    }
}

/// The threads on which everything runs. Queries nest deeply: their stack is larger than tokio's 2 MiB.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // A query that computes keeps a thread for each core: there are as many again for everyone else.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = 2 * cores.max(2);
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .thread_name("flashgate")
        .thread_stack_size(8 << 20)
        .build()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_reach_the_configuration() {
        let cli = Cli::try_parse_from(["flashgate", "serve", "--data-dir", "/d", "--mysql-listen", "127.0.0.1:0", "--http-listen", "off"])
            .unwrap();
        let Command::Serve(args) = cli.command else { panic!("not serve") };
        let config = args.config.load().unwrap().config;
        assert_eq!(config.data_dir, PathBuf::from("/d"));
        assert_eq!(config.listen.mysql.to_string(), "127.0.0.1:0");
        assert_eq!(config.listen.http.to_string(), "off");
    }

    #[test]
    fn a_password_is_no_argument() {
        assert!(Cli::try_parse_from(["flashgate", "user", "add", "ann", "secret"]).is_err());
        assert!(Cli::try_parse_from(["flashgate", "user", "add", "ann", "--password", "secret"]).is_err());
    }
}
