//! The server: listeners, TLS, limits, drain, HTTP, work in the background.
//!
//! Owns every task of a running Flashgate and joins them all before it ends. Knows nothing of statements: a connection
//! is handed to its wire.

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
mod cores;
pub mod logging;
mod reload;
mod tasks;
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
use accept::{Gate, Home, Reception, accept};
use cores::Cores;

/// Clients that may wait to be accepted; the kernel's own limit may be lower.
const BACKLOG: u32 = 1024;
/// After `kill`, how long dropped connections and background turns may take to be gone.
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
    /// What new connections are served with.
    contexts: Arc<ArcSwap<Context>>,
    gate: Gate,
    /// Relays live on them until the last has gone.
    _cores: Arc<Cores>,
    loops: JoinSet<()>,
    background: JoinSet<()>,
    http: Option<JoinHandle<()>>,
    /// Ends background tasks and HTTP, after the last client has gone.
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

/// Listens, and answers clients from now on.
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

    let gate = Gate::new(config.limits.connections);
    let scanner = Arc::new(CurrentScanner::new(Arc::clone(&node.gms)));
    let context =
        Context { node: node.clone(), tls: wire_tls, drain: gate.drain.clone(), upstreams, scanner, local_runtime: LocalRuntime::here() };
    let contexts = Arc::new(ArcSwap::from_pointee(context));
    let cores = Arc::new(Cores::start().map_err(|error| StartError::Failed(format!("no threads for the relays: {error}")))?);
    let mut loops = JoinSet::new();
    if let Some(listener) = mysql {
        let live = (contexts.clone(), Arc::clone(&cores));
        listen(&mut loops, listener, Protocol::MySql, &gate, live, |upstreams| upstreams.mysql.is_some(), connection_setup::mysql)?;
    }
    if let Some(listener) = postgres {
        let live = (contexts.clone(), Arc::clone(&cores));
        listen(
            &mut loops,
            listener,
            Protocol::Postgres,
            &gate,
            live,
            |upstreams| upstreams.postgres.is_some(),
            connection_setup::postgres,
        )?;
    }
    let stop = CancellationToken::new();
    let http = http.map(|listener| tokio::spawn(http::serve(listener, contexts.clone(), gate.drain.clone(), stop.clone())));
    let background = tasks::start(&node, &stop);
    tracing::info!(%addresses, data_dir = %config.data_dir.display(), tls = tls.is_some(), users = node.users.count(), "listening");
    Ok(Server { addresses, node, contexts, gate, _cores: cores, loops, background, http, stop })
}

fn bind(name: &str, address: Address, settings: sockets::Settings) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address.0 else { return Ok(None) };
    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // What a process before this one has left behind does not keep the place.
        socket.set_reuseaddr(true)?;
        settings.apply(&socket)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let listener = listening()
        .map_err(|e| StartError::Failed(format!("cannot listen on {address} for {name}: {e}; choose another with listen.{name}")))?;
    Ok(Some(listener))
}

/// Starts to accept the clients of one listener. `relayed`: do they have an upstream?
fn listen<F: Future<Output = io::Result<()>> + Send + 'static>(
    loops: &mut JoinSet<()>,
    listener: TcpListener,
    protocol: Protocol,
    gate: &Gate,
    (contexts, cores): (Arc<ArcSwap<Context>>, Arc<Cores>),
    relayed: fn(&wire::Upstreams) -> bool,
    serve: fn(TcpStream, SocketAddr, Arc<Context>) -> F,
) -> Result<(), StartError> {
    let failed = |error| StartError::Failed(format!("cannot listen for {}: {error}", protocol.label()));
    let listener = listener.into_std().map_err(failed)?;
    // Whether there is an upstream may change with the configuration; where clients are accepted does not.
    let places = if relayed(&contexts.load().upstreams) { cores.acceptors() } else { vec![Handle::current()] };
    for place in places {
        let (main, cores, live) = (Handle::current(), Arc::clone(&cores), Arc::clone(&contexts));
        let reception = move || {
            let context = live.load_full();
            Reception {
                settings: sockets::Settings::of(&context.node.config().limits),
                home: if relayed(&context.upstreams) { Home::Cores(Arc::clone(&cores)) } else { Home::Runtime(main.clone()) },
                serve: move |stream, peer| serve(stream, peer, context),
            }
        };
        let accepting = accept(listener.try_clone().map_err(failed)?, (protocol, gate.clone()), reception);
        loops.spawn_on(accepting, &place);
    }
    Ok(())
}

impl Server {
    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What it serves.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Cancel it to cut short a [`Server::stop`] that waits for clients.
    pub fn impatience(&self) -> CancellationToken {
        self.gate.kill.clone()
    }

    /// Stops: no new clients; running statements get until the drain deadline; then everything is closed in order.
    /// False: connections had to be cut.
    pub async fn stop(mut self) -> Result<bool, Error> {
        let deadline = self.node.config().limits.drain_deadline.0;
        tracing::info!(connections = self.gate.tasks.len(), deadline_ms = deadline.as_millis() as u64, "draining");
        self.gate.shut.cancel();
        while self.loops.join_next().await.is_some() {}
        self.gate.drain.cancel();
        self.gate.tasks.close();
        let drained = tokio::select! {
            () = self.gate.tasks.wait() => !self.gate.kill.is_cancelled(),
            () = tokio::time::sleep(deadline) => false,
            () = self.gate.kill.cancelled() => false,
        };
        if !drained {
            tracing::warn!(connections = self.gate.tasks.len(), "cutting the connections that are left");
            self.gate.kill.cancel();
            let _ = tokio::time::timeout(LAST_WAIT, self.gate.tasks.wait()).await;
        }
        self.stop.cancel();
        let background = async { while self.background.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WAIT, background).await.is_err() {
            self.background.shutdown().await;
        }
        if let Some(mut http) = self.http.take()
            && tokio::time::timeout(Duration::from_secs(1), &mut http).await.is_err()
        {
            // A kept-alive connection of a scraper is no reason to stay.
            http.abort();
        }
        self.node.close().await?;
        tracing::info!(drained, "stopped");
        Ok(drained)
    }
}
