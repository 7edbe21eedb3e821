//! `flashgate demo --tour`: a server, the story told through both protocols, and the end.

use std::path::PathBuf;

use super::history::{DATABASE, build_history};
use super::story;
use super::wires::Wires;
use crate::cli::{ConfigArgs, Failure, runtime};
use crate::config::{Config, Log};
use crate::server::{self, Addresses};

/// Tells the story: exit code 0 when every answer was as promised.
pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let mut args = args.clone();
    let scratch = scratch_directory(&mut args)?;
    for listen in [&mut args.mysql_listen, &mut args.postgres_listen, &mut args.http_listen] {
        // A demo may be running at the usual ports.
        listen.get_or_insert_with(|| "127.0.0.1:0".to_owned());
    }
    let told = begin(&args);
    if let Some(directory) = scratch
        && let Err(error) = std::fs::remove_dir_all(&directory)
    {
        tracing::warn!(directory = %directory.display(), %error, "the tour's directory could not be removed");
    }
    told
}

fn begin(args: &ConfigArgs) -> Result<(), Failure> {
    let mut config = args.load()?.config;
    if config.log.level == Log::default().level {
        // The story is told on a terminal: only what is wrong may come between.
        config.log.level = "warn".to_owned();
    }
    server::logging::install(&config.log);
    runtime()?.block_on(tell(config))
}

/// A data directory for this tour alone, unless one was named.
fn scratch_directory(args: &mut ConfigArgs) -> Result<Option<PathBuf>, Failure> {
    let named = args.data_dir.is_some() || args.config.is_some();
    if named || ["FLASHGATE_DATA_DIR", "FLASHGATE_CONFIG"].iter().any(|name| std::env::var_os(name).is_some()) {
        return Ok(None);
    }
    let directory = std::env::temp_dir().join(format!("flashgate-tour-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&directory)?;
    args.data_dir = Some(directory.display().to_string());
    Ok(Some(directory))
}

async fn tell(config: Config) -> Result<(), Failure> {
    let node = server::open(config).await?;
    build_history(&node).await?;
    let server = server::start(node).await?;
    let told = visit(server.addresses()).await;
    server.stop().await?;
    told
}

async fn visit(addresses: Addresses) -> Result<(), Failure> {
    let (Some(mysql), Some(postgres)) = (addresses.mysql, addresses.postgres) else {
        return Err(Failure::Usage("the tour needs both protocols: leave listen.mysql and listen.postgres on".to_owned()));
    };
    let mut wires = Wires::connect(mysql, postgres, DATABASE).await?;
    let told = story::tell(&mut wires).await;
    let closed = wires.close().await;
    told.and(closed)
}
