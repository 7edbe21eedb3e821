//! The client's connection that a task serves, as a span of the log.
//!
//! A relay is polled several times a statement; entering a span at every poll took 3 % of its processor time, and making a span
//! for a connection of which nothing is logged took a tenth of its login. So a task only knows which connection it serves, and
//! code that logs asks for the span.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, OnceLock};

use dashmap::DashMap;
use tokio::task::{Id, try_id};
use tracing::Span;
use tracing::level_filters::LevelFilter;

/// By the connection's task.
static CONNECTIONS: LazyLock<DashMap<Id, Arc<ConnectionSpan>>> = LazyLock::new(DashMap::new);

/// The protocol and the addresses of a connection.
#[derive(Debug)]
pub struct ConnectionSpan {
    protocol: &'static str,
    peer: SocketAddr,
    /// The client's address, when a load balancer has named it.
    client: OnceLock<SocketAddr>,
    /// Made when it is first asked for.
    span: OnceLock<Span>,
}

impl ConnectionSpan {
    /// `protocol`: mysql or postgres.
    pub fn new(protocol: &'static str, peer: SocketAddr) -> ConnectionSpan {
        ConnectionSpan { protocol, peer, client: OnceLock::new(), span: OnceLock::new() }
    }

    /// The span of the connection's log lines.
    pub fn span(&self) -> Span {
        // The target is the room that takes connections: a filter of the log by rooms names that one.
        let make = || tracing::info_span!(target: "flashgate::server::accept", "connection", protocol = self.protocol, peer = %self.peer, client = self.client.get().map(tracing::field::display));
        self.span.get_or_init(make).clone()
    }

    fn speaks_for(&self, client: SocketAddr) {
        let _ = self.client.set(client);
        if let Some(span) = self.span.get() {
            span.record("client", tracing::field::display(client));
        }
    }
}

/// The task's connection is known until this is dropped.
struct Carried(Option<Id>);

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            CONNECTIONS.remove(&id);
        }
    }
}

/// Runs the task of a connection in no span; [`span`] finds the connection by the task.
pub async fn carry<F: Future>(connection: ConnectionSpan, work: F) -> F::Output {
    let id = try_id();
    if let Some(id) = id {
        CONNECTIONS.insert(id, Arc::new(connection));
    }
    let _carried = Carried(id);
    work.await
}

fn carried() -> Option<Arc<ConnectionSpan>> {
    try_id().and_then(|id| CONNECTIONS.get(&id).map(|span| Arc::clone(&span)))
}

/// The span of the connection that the task serves; else the current span.
pub fn span() -> Span {
    carried().map_or_else(Span::current, |connection| connection.span())
}

/// Logs within the connection's span, if lines of this level are written at all.
pub fn log(level: tracing::Level, write: impl FnOnce()) {
    if level <= LevelFilter::current() {
        span().in_scope(write);
    }
}

/// A load balancer has named the client.
pub fn speaks_for(client: SocketAddr) {
    match carried() {
        Some(connection) => connection.speaks_for(client),
        None => {
            Span::current().record("client", tracing::field::display(client));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Instrument;

    #[tokio::test]
    async fn a_task_finds_its_span_carried_or_entered() {
        let _log = tracing::subscriber::set_default(tracing_subscriber::registry());
        let connection = || ConnectionSpan::new("mysql", SocketAddr::from(([127, 0, 0, 1], 1)));
        let entered = tracing::info_span!("entered");
        let seen = tokio::spawn(carry(connection(), async { [span(), Span::current(), span()].map(|span| span.id()) })).await.unwrap();
        assert!(seen[0].is_some() && seen[1].is_none(), "{seen:?}");
        assert_eq!(seen[0], seen[2], "it is made once");
        assert_eq!(async { span().id() }.instrument(entered.clone()).await, entered.id());
        let inside = tokio::spawn(carry(connection(), async { (tokio::task::id(), span()) }.instrument(entered))).await.unwrap();
        assert_eq!(inside.1.metadata().map(|metadata| metadata.name()), Some("connection"));
        assert!(!CONNECTIONS.contains_key(&inside.0), "it is forgotten with its task");
    }

    #[tokio::test]
    async fn for_whom_a_load_balancer_speaks_is_told_before_and_after_the_first_line() {
        let log = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || Lines(Arc::clone(&lines))).finish();
        let _log = tracing::subscriber::set_default(subscriber);
        let [peer, client] = [1, 2].map(|last| SocketAddr::from(([10, 0, 0, last], 7)));
        let told_first = async move {
            speaks_for(client);
            log_one("first");
        };
        tokio::spawn(carry(ConnectionSpan::new("mysql", peer), told_first)).await.unwrap();
        let told_then = async move {
            log_one("second");
            speaks_for(client);
            log_one("third");
        };
        tokio::spawn(carry(ConnectionSpan::new("postgres", peer), told_then)).await.unwrap();
        let log = String::from_utf8(log.lock().clone()).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        assert!(lines[0].contains("connection{protocol=\"mysql\" peer=10.0.0.1:7 client=10.0.0.2:7}"), "{log}");
        assert!(lines[1].contains("connection{protocol=\"postgres\" peer=10.0.0.1:7}"), "{log}");
        assert!(lines[2].contains("connection{protocol=\"postgres\" peer=10.0.0.1:7 client=10.0.0.2:7}"), "{log}");
    }

    fn log_one(what: &str) {
        log(tracing::Level::INFO, || tracing::info!(what));
    }

    struct Lines(Arc<parking_lot::Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
