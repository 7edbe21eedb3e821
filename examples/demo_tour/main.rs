//! The demo's story, told through both protocols: a server with sample data, two ordinary clients, and the answers they must get.
//!
//! `make demo-tour` runs it; exit code 0 means that every answer was as promised. It is an example and not a command of the
//! binary, so that no client driver is built into what is served and shipped.
//!
//! - `story`: the story
//! - `wires`: its two clients
//! - `answer`: the answers they got, printed and checked

mod answer;
mod story;
mod wires;

use anyhow::Context;
use flashgate::cli::demo::{DATABASE, build_history};
use flashgate::config::Config;
use flashgate::server::{self, Addresses};

use self::wires::Wires;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
    for address in [&mut config.listen.mysql, &mut config.listen.postgres, &mut config.listen.http] {
        // A demo may be running at the usual ports.
        *address = "127.0.0.1:0".parse().map_err(anyhow::Error::msg)?;
    }
    // The story is told on a terminal: only what is wrong may come between.
    config.log.level = "warn".to_owned();
    server::logging::install(&config.log);

    let node = server::open(config).await?;
    build_history(&node).await?;
    let server = server::start(node).await?;
    let told = visit(server.addresses()).await;
    server.stop().await?;
    told
}

async fn visit(addresses: Addresses) -> anyhow::Result<()> {
    let mysql = addresses.mysql.context("the server has no MySQL listener")?;
    let postgres = addresses.postgres.context("the server has no PostgreSQL listener")?;
    let mut wires = Wires::connect(mysql, postgres, DATABASE).await?;
    let told = story::tell(&mut wires).await;
    let closed = wires.close().await;
    told.and(closed)
}
