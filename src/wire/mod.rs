//! The two protocols; nothing about flashback.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigError};
use crate::node::Node;
use crate::route::CurrentScanner;
use crate::sockets;
use crate::upstream::Upstream;

mod client_stream;
mod local_runtime;
pub mod mysql;
mod poll_on_wake;
pub mod postgres;
pub mod refuse;
pub(crate) mod scratch;
pub mod transport;

pub use crate::sql::LONG_TEXT;
pub use client_stream::ClientStream;
pub use local_runtime::{LocalRuntime, off_relay_thread};
pub use poll_on_wake::PollOnWake;

/// What a wire needs to serve a connection.
#[derive(Clone)]
pub struct Context {
    /// What the sessions share.
    pub node: Arc<Node>,
    /// The server's certificate; None: TLS is refused.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Fires when the server stops: idle connections end, no new ones begin.
    pub drain: CancellationToken,
    /// The databases behind the proxy.
    pub upstreams: Upstreams,
    /// The scanner for the names and words of Flashgate.
    pub scanner: Arc<CurrentScanner>,
    /// Where local statements run that come to a relay.
    pub local_runtime: LocalRuntime,
}

/// The database behind each wire; None: Flashgate answers everything by itself.
#[derive(Clone, Default)]
pub struct Upstreams {
    pub mysql: Option<Arc<Upstream>>,
    pub postgres: Option<Arc<Upstream>>,
}

impl Upstreams {
    /// What the configuration names.
    pub fn open(config: &Config) -> Result<Upstreams, ConfigError> {
        let sockets = sockets::Settings::of(&config.limits);
        let allows_peer_logins = config.upstream.danger_socket_logins_without_password;
        Ok(Upstreams {
            mysql: Upstream::open(&config.upstream.mysql, "upstream.mysql", 3306, &[], sockets, allows_peer_logins)?,
            postgres: Upstream::open(&config.upstream.postgres, "upstream.postgres", 5432, &[b"postgresql"], sockets, allows_peer_logins)?,
        })
    }
}
