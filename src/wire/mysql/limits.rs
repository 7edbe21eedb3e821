//! The limits of the configuration, as this wire needs them.

use std::future::Future;
use std::time::Duration;

use crate::node::Node;
use crate::session::Session;

/// Time from the first byte to a session.
pub fn login_timeout(node: &Node) -> Duration {
    node.config().limits.login_timeout.0
}

/// Resolves when the client has been silent for too long: for the session's wait_timeout (seconds), or the server's limit
/// where that is shorter.
pub fn idle(session: &Session) -> impl Future<Output = ()> + Send + use<> {
    let own = session.variable("wait_timeout").and_then(|value| value.parse().ok()).map(Duration::from_secs);
    let server = session.node().config().limits.idle_timeout.limit();
    let limit = [own, server].into_iter().flatten().min();
    // Holds no session: a session may not be shared between threads.
    async move {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    }
}
