//! The two protocols; nothing about flashback.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::session::Instance;

pub mod mysql;
pub mod postgres;
pub mod refuse;

/// What a wire needs to serve a connection.
#[derive(Clone)]
pub struct Context {
    /// What the sessions share.
    pub instance: Arc<Instance>,
    /// The server's certificate; None: TLS is refused.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Fires when the server stops: idle connections end, no new ones begin.
    pub drain: CancellationToken,
}
