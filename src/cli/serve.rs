//! `flashgate serve`.

use std::future::Future;
use std::io::Write;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArgs, Failure, runtime};
use crate::config::Config;
use crate::node::Node;
use crate::server::{self, Addresses, Server};

#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}

pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let config = args.config.load_and_log()?;
    runtime()?.block_on(serve(&args.config, config, async |_| Ok(())))
}

/// Serves until a signal. `prepare` runs before anything is listened on; `args` say where `config` is read again.
pub(super) async fn serve<F>(args: &ConfigArgs, config: Config, prepare: F) -> Result<(), Failure>
where
    F: AsyncFnOnce(&Arc<Node>) -> Result<(), Failure>,
{
    // Signals are taken before the first client is: one that comes early must drain as well.
    let (mut term, mut int, mut hup) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    let node = server::open(config).await?;
    prepare(&node).await?;
    let server = server::start(node).await?;
    announce(server.addresses())?;
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => server.reload(args.load()),
        }
    }
    stop(server, async {
        // A second signal means: now.
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
    .await
}

async fn stop(server: Server, again: impl Future<Output = ()>) -> Result<(), Failure> {
    let impatience = server.impatience();
    let mut stopping = std::pin::pin!(server.stop());
    tokio::select! {
        stopped = &mut stopping => {
            stopped?;
            return Ok(());
        }
        () = again => impatience.cancel(),
    }
    stopping.await?;
    Ok(())
}

/// The ready line: scripts wait for it. A closed stdout is no reason not to serve.
fn announce(addresses: Addresses) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "flashgate ready {addresses}").and_then(|()| out.flush());
    if let Err(error) = written {
        tracing::warn!(%error, "the ready line could not be written");
    }
    Ok(())
}
