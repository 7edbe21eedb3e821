//! The server: listeners, TLS, limits, drain, reload.
//!
//! It owns the tasks of listeners and connections, and joins them before it closes the node, which joins all other tasks. It
//! knows nothing of statements: it hands a connection to its protocol.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

mod accept;
mod connection_limit;
mod connection_setup;
pub mod logging;
mod relay_threads;
mod reload;
#[cfg(test)]
mod tests;
pub mod tls;

use crate::config::{Address, Config, ConfigError};
use crate::error::Error;
use crate::http;
use crate::node::Node;
use crate::route::CurrentScanner;
use crate::sockets;
use crate::telemetry;
use crate::types::Protocol;
use crate::wire::{self, Context, LocalRuntime};
use accept::{Admission, ConnectionOptions, ConnectionRuntime, accept};
use relay_threads::RelayThreads;

/// How many clients may wait to be accepted; the kernel's limit may be lower.
const BACKLOG: u32 = 1024;
/// After `kill`, how long dropped connections may take to be gone.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        StartError::Failed(error.to_string())
    }
}

/// Where a running server listens; None: off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    pub mysql: Option<SocketAddr>,
    pub postgres: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
}

impl std::fmt::Display for Addresses {
    /// As in the ready line of the outside contract.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [mysql, postgres, http] = [self.mysql, self.postgres, self.http].map(Address);
        write!(f, "mysql={mysql} postgres={postgres} http={http}")
    }
}

/// A running server.
pub struct Server {
    addresses: Addresses,
    node: Arc<Node>,
    /// The context of new connections.
    contexts: Arc<ArcSwap<Context>>,
    admission: Admission,
    /// Kept until the last relayed connection has ended.
    _relay_threads: Arc<RelayThreads>,
    loops: JoinSet<()>,
    http: Option<JoinHandle<()>>,
    /// Ends HTTP, after the last client has gone.
    stop: CancellationToken,
}

/// Opens the data directory: metadata, stores, users. Nothing is listened on yet.
pub async fn open(config: Config) -> Result<Arc<Node>, StartError> {
    let dir = &config.data_dir;
    std::fs::create_dir_all(dir).map_err(|e| ConfigError(format!("cannot use the data directory {}: {e}", dir.display())))?;
    let node = Node::open(config).await?;
    node.config().check_exposure(node.users.count())?;
    Ok(node)
}

/// Binds the listeners and serves clients from now on.
pub async fn start(node: Arc<Node>) -> Result<Server, StartError> {
    telemetry::install();
    let config = node.config();
    config.check_exposure(node.users.count())?;
    let own = (config.listen.mysql.0.is_some() && !config.upstream.mysql.is_set())
        || (config.listen.postgres.0.is_some() && !config.upstream.postgres.is_set());
    if own && node.users.passwordless_root() {
        tracing::warn!(
            "no users are configured: root may connect from this machine with an empty password; `flashgate user add` ends that"
        );
    }
    let tls = tls::Tls::open(&config)?;
    let wire_tls = tls.as_ref().map(|tls| tls.server_config()).transpose()?;

    let upstreams = wire::Upstreams::open(&config)?;

    let settings = sockets::Settings::of(&config.limits);
    let mysql = bind("mysql", config.listen.mysql, settings)?;
    let postgres = bind("postgres", config.listen.postgres, settings)?;
    let http = bind("http", config.listen.http, settings)?;
    let local = |bound: &Option<TcpListener>| bound.as_ref().and_then(|listener| listener.local_addr().ok());
    let addresses = Addresses { mysql: local(&mysql), postgres: local(&postgres), http: local(&http) };
    node.listening(addresses.mysql.map(|a| a.port()), addresses.postgres.map(|a| a.port()));

    let admission = Admission::new(config.limits.connections);
    let scanner = Arc::new(CurrentScanner::new(Arc::clone(&node.gms)));
    let context = Context {
        node: node.clone(),
        tls: wire_tls,
        drain: admission.drain.clone(),
        upstreams,
        scanner,
        local_runtime: LocalRuntime::here(),
    };
    let contexts = Arc::new(ArcSwap::from_pointee(context));
    let relay_threads = Arc::new(RelayThreads::start().map_err(|error| StartError::Failed(format!("no threads for the relays: {error}")))?);
    let mut loops = JoinSet::new();
    if let Some(listener) = mysql {
        let live = (contexts.clone(), Arc::clone(&relay_threads));
        listen(&mut loops, listener, Protocol::MySql, &admission, live, |upstreams| upstreams.mysql.is_some(), connection_setup::mysql)?;
    }
    if let Some(listener) = postgres {
        let live = (contexts.clone(), Arc::clone(&relay_threads));
        listen(
            &mut loops,
            listener,
            Protocol::Postgres,
            &admission,
            live,
            |upstreams| upstreams.postgres.is_some(),
            connection_setup::postgres,
        )?;
    }
    let stop = CancellationToken::new();
    let http = http.map(|listener| tokio::spawn(http::serve(listener, contexts.clone(), admission.drain.clone(), stop.clone())));
    node.start_periodic_tasks();
    tracing::info!(%addresses, data_dir = %config.data_dir.display(), tls = tls.is_some(), users = node.users.count(), "listening");
    Ok(Server { addresses, node, contexts, admission, _relay_threads: relay_threads, loops, http, stop })
}

fn bind(name: &str, address: Address, settings: sockets::Settings) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address.0 else { return Ok(None) };
    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Sockets that an earlier process left in TIME_WAIT must not block the address.
        socket.set_reuseaddr(true)?;
        settings.apply(&socket)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let listener = listening()
        .map_err(|e| StartError::Failed(format!("cannot listen on {address} for {name}: {e}; choose another with listen.{name}")))?;
    Ok(Some(listener))
}

/// Starts to accept the clients of one listener. `relayed`: is there an upstream for its protocol?
fn listen<F: Future<Output = io::Result<()>> + Send + 'static>(
    loops: &mut JoinSet<()>,
    listener: TcpListener,
    protocol: Protocol,
    admission: &Admission,
    (contexts, relay_threads): (Arc<ArcSwap<Context>>, Arc<RelayThreads>),
    relayed: fn(&wire::Upstreams) -> bool,
    serve: fn(TcpStream, SocketAddr, Arc<Context>) -> F,
) -> Result<(), StartError> {
    let failed = |error| StartError::Failed(format!("cannot listen for {}: {error}", protocol.label()));
    let listener = listener.into_std().map_err(failed)?;
    // A reload may add or remove the upstream; the threads that accept stay the same.
    let runtimes = if relayed(&contexts.load().upstreams) { relay_threads.acceptors() } else { vec![Handle::current()] };
    for acceptor in runtimes {
        let (main, relay_threads, live) = (Handle::current(), Arc::clone(&relay_threads), Arc::clone(&contexts));
        let options = move || {
            let context = live.load_full();
            ConnectionOptions {
                settings: sockets::Settings::of(&context.node.config().limits),
                runtime: if relayed(&context.upstreams) {
                    ConnectionRuntime::RelayThread(Arc::clone(&relay_threads))
                } else {
                    ConnectionRuntime::Shared(main.clone())
                },
                serve: move |stream, peer| serve(stream, peer, context),
            }
        };
        let accepting = accept(listener.try_clone().map_err(failed)?, (protocol, admission.clone()), options);
        loops.spawn_on(accepting, &acceptor);
    }
    Ok(())
}

impl Server {
    /// The addresses on which it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The node that it serves.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Cancel it to cut short a [`Server::stop`] that waits for clients.
    pub fn impatience(&self) -> CancellationToken {
        self.admission.kill.clone()
    }

    /// Stops: accepts no new clients, lets running statements finish until the drain deadline, then closes everything in order.
    /// False: connections had to be cut.
    pub async fn stop(mut self) -> Result<bool, Error> {
        let deadline = self.node.config().limits.drain_deadline.0;
        tracing::info!(connections = self.admission.tasks.len(), deadline_ms = deadline.as_millis() as u64, "draining");
        self.admission.stop_accepting.cancel();
        while self.loops.join_next().await.is_some() {}
        self.admission.drain.cancel();
        self.admission.tasks.close();
        let drained = tokio::select! {
            () = self.admission.tasks.wait() => !self.admission.kill.is_cancelled(),
            () = tokio::time::sleep(deadline) => false,
            () = self.admission.kill.cancelled() => false,
        };
        if !drained {
            tracing::warn!(connections = self.admission.tasks.len(), "cutting the connections that are left");
            self.admission.kill.cancel();
            let _ = tokio::time::timeout(LAST_WAIT, self.admission.tasks.wait()).await;
        }
        self.stop.cancel();
        if let Some(mut http) = self.http.take()
            && tokio::time::timeout(Duration::from_secs(1), &mut http).await.is_err()
        {
            // A scraper that keeps its connection open must not keep the server running.
            http.abort();
        }
        self.node.close().await?;
        tracing::info!(drained, "stopped");
        Ok(drained)
    }
}
