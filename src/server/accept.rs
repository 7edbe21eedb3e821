//! Accepts clients. Each connection is a task of its own; the tasks are counted and limited, and a panic in one ends only that one.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Level};

use super::connection_limit::ConnectionLimit;
use super::relay_threads::RelayThreads;
use crate::error::{Error, Kind};
use crate::sockets;
use crate::telemetry;
use crate::telemetry::connection_span::{self, ConnectionSpan};
use crate::types::Protocol;
use crate::wire::{PollOnWake, refuse};

/// How many clients are told at a time that there are too many connections; for others the connection just ends.
const REFUSALS: usize = 64;
/// The pause after a failed accept, so that the loop does not spin (most often the process is out of file descriptors).
const PAUSE: Duration = Duration::from_millis(100);

/// What all listeners share: the connection limit, and the tokens that stop them.
///
/// Stopping has three steps. `stop_accepting` ends the accept loops, so that a client that is disconnected and reconnects at
/// once is refused. Then `drain` asks connections to finish their statements. When the deadline passes, `kill` drops the
/// connections that are left. `tasks` tells when no connection is left.
#[derive(Clone)]
pub(super) struct Admission {
    pub connection_limit: Arc<ConnectionLimit>,
    pub refusals: Arc<Semaphore>,
    pub stop_accepting: CancellationToken,
    pub drain: CancellationToken,
    pub kill: CancellationToken,
    pub tasks: TaskTracker,
}

impl Admission {
    pub(super) fn new(limit: usize) -> Admission {
        Admission {
            connection_limit: ConnectionLimit::new(limit),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            stop_accepting: CancellationToken::new(),
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }
}

/// The runtime on which a connection runs.
pub(super) enum ConnectionRuntime {
    /// The runtime of local statements, with many threads.
    Shared(Handle),
    /// One of the relay threads; the connection stays on it.
    RelayThread(Arc<RelayThreads>),
}

/// How the configuration in force serves a new client.
pub(super) struct ConnectionOptions<H> {
    pub settings: sockets::Settings,
    pub runtime: ConnectionRuntime,
    pub serve: H,
}

/// A client's stream. It is registered with the reactor of one runtime; to move to another, it is detached and registered there.
enum AcceptedStream {
    Registered(TcpStream),
    Detached(std::net::TcpStream),
}

impl AcceptedStream {
    fn new(stream: TcpStream, stays: bool) -> io::Result<AcceptedStream> {
        Ok(if stays { AcceptedStream::Registered(stream) } else { AcceptedStream::Detached(stream.into_std()?) })
    }

    fn register(self) -> io::Result<TcpStream> {
        match self {
            AcceptedStream::Registered(stream) => Ok(stream),
            AcceptedStream::Detached(stream) => TcpStream::from_std(stream),
        }
    }
}

/// Accepts until `stop_accepting`, and starts a task with `serve` for every client. Several loops may accept from one socket,
/// each with its own handle to it.
pub(super) async fn accept<H, F>(
    listener: std::net::TcpListener,
    (protocol, admission): (Protocol, Admission),
    options: impl Fn() -> ConnectionOptions<H>,
) where
    H: FnOnce(TcpStream, SocketAddr) -> F + Send + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(protocol = protocol.label(), %error, "no clients can be accepted"),
    };
    let mut inherited = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = admission.stop_accepting.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(protocol = protocol.label(), %error, "a client could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let ConnectionOptions { settings: wanted, runtime, serve } = options();
        if inherited != Some(wanted) {
            // A reload may change the socket options. A client whose socket does not take them is served all the same.
            if let Err(error) = wanted.renew(&listener).and_then(|()| wanted.renew(&stream)) {
                tracing::warn!(protocol = protocol.label(), %error, "the socket options of limits.* could not be set");
            }
            inherited = Some(wanted).filter(|_| sockets::ACCEPTED_INHERIT);
        }
        let Some(permit) = admission.connection_limit.take() else {
            refuse_client(stream, peer, protocol, &admission);
            continue;
        };
        let connection = ConnectionSpan::new(protocol.label(), peer);
        let kill = admission.kill.clone();
        match runtime {
            ConnectionRuntime::Shared(handle) => {
                let Ok(accepted) = AcceptedStream::new(stream, sockets::driver().is_none()) else { continue };
                let task = async move {
                    isolate(Box::pin(async move { serve(accepted.register()?, peer).await }), kill, protocol).await;
                    drop(permit);
                };
                admission.tasks.spawn_on(task.instrument(connection.span()), &handle);
            }
            ConnectionRuntime::RelayThread(relay_threads) => {
                let Some(assignment) = relay_threads.assign() else { continue };
                let Ok(accepted) = AcceptedStream::new(stream, assignment.is_current_thread) else { continue };
                let handle = assignment.handle.clone();
                let task = async move {
                    isolate(Box::pin(async move { serve(accepted.register()?, peer).await }), kill, protocol).await;
                    drop((permit, assignment));
                };
                admission.tasks.spawn_on(connection_span::carry(connection, task), &handle);
            }
        }
    }
}

/// Runs one connection; a panic in it is logged and ends only it.
async fn isolate(connection: impl Future<Output = io::Result<()>> + Unpin + Send, kill: CancellationToken, protocol: Protocol) {
    let _connected = telemetry::Connected::new(protocol.label());
    let killed = PollOnWake::new(Box::pin(kill.cancelled_owned()));
    let ended = tokio::select! {
        biased;
        ended = AssertUnwindSafe(connection).catch_unwind() => ended,
        () = killed => {
            connection_span::log(Level::WARN, || tracing::warn!("the connection did not end before the drain deadline and was cut"));
            return;
        }
    };
    match ended {
        Ok(Ok(())) => connection_span::log(Level::DEBUG, || tracing::debug!("the connection ended")),
        Ok(Err(error)) => connection_span::log(Level::DEBUG, || tracing::debug!(%error, "the connection failed")),
        Err(panic) => {
            let panic = telemetry::panicked("connection", panic.as_ref());
            connection_span::log(Level::ERROR, || tracing::error!(panic, "the connection ended by a fault of Flashgate; please report it"));
        }
    }
}

fn refuse_client(stream: TcpStream, peer: SocketAddr, protocol: Protocol, admission: &Admission) {
    telemetry::refused(protocol.label());
    tracing::warn!(protocol = protocol.label(), %peer, limit = admission.connection_limit.limit(), "a client was refused: limits.connections is reached");
    let Ok(permit) = admission.refusals.clone().try_acquire_owned() else { return };
    let error = Error::new(Kind::TooManyConnections, "Too many connections").with_hint("try again later, or raise limits.connections");
    let kill = admission.kill.clone();
    admission.tasks.spawn(async move {
        let answer = async {
            match protocol {
                Protocol::MySql => refuse::mysql(stream, &error).await,
                Protocol::Postgres => refuse::postgres(stream, &error).await,
            }
        };
        tokio::select! {
            answered = answer => tracing::debug!(?answered, "refused"),
            () = kill.cancelled() => {}
        }
        drop(permit);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::Settings;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn echo(mut stream: TcpStream, drain: CancellationToken) -> io::Result<()> {
        let mut byte = [0];
        loop {
            let read = tokio::select! {
                read = stream.read(&mut byte) => read?,
                () = drain.cancelled() => return Ok(()),
            };
            match (read, byte[0]) {
                (0, _) => return Ok(()),
                (_, b'!') => panic!("on purpose"),
                (_, b'z') => std::future::pending().await,
                _ => stream.write_all(&byte).await?,
            }
        }
    }

    async fn start(limit: usize) -> (SocketAddr, Admission, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let admission = Admission::new(limit);
        let drain = admission.drain.clone();
        let loop_admission = admission.clone();
        let task = tokio::spawn(async move {
            let options = move || {
                let drain = drain.clone();
                let serve = move |stream, _| echo(stream, drain);
                ConnectionOptions { settings: Settings::default(), runtime: ConnectionRuntime::Shared(Handle::current()), serve }
            };
            accept(listener.into_std().unwrap(), (Protocol::MySql, loop_admission), options).await;
        });
        (address, admission, task)
    }

    async fn answers(stream: &mut TcpStream) -> bool {
        stream.write_all(b"x").await.unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.is_ok() && byte == *b"x"
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_connection_only_and_gives_its_permit_back() {
        let (address, _admission, _task) = start(2).await;
        let mut good = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut good).await);
        let mut bad = TcpStream::connect(address).await.unwrap();
        bad.write_all(b"!").await.unwrap();
        assert_eq!(bad.read(&mut [0]).await.unwrap_or(0), 0);
        assert!(answers(&mut good).await);
        let mut next = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut next).await);
    }

    #[tokio::test]
    async fn one_client_too_many_reads_error_1040_and_the_others_go_on() {
        let (address, _admission, _task) = start(1).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut first).await);
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut packet = Vec::new();
        second.read_to_end(&mut packet).await.unwrap();
        assert_eq!(u16::from_le_bytes([packet[5], packet[6]]), 1040);
        assert!(answers(&mut first).await);
    }

    #[tokio::test]
    async fn draining_ends_idle_connections_and_killing_ends_the_rest() {
        let (address, admission, task) = start(8).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut idle).await);
        let mut stuck = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut stuck).await);
        stuck.write_all(b"z").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        admission.stop_accepting.cancel();
        task.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
        assert!(answers(&mut idle).await);
        admission.drain.cancel();
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        admission.tasks.close();
        assert!(tokio::time::timeout(Duration::from_millis(100), admission.tasks.wait()).await.is_err());
        admission.kill.cancel();
        tokio::time::timeout(Duration::from_secs(5), admission.tasks.wait()).await.unwrap();
    }
}
