//! Accepting clients: one task a connection, counted, limited, isolated from each other's faults.

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
use super::cores::Cores;
use crate::error::{Error, Kind};
use crate::sockets;
use crate::telemetry;
use crate::telemetry::connection_span::{self, ConnectionSpan};
use crate::types::Protocol;
use crate::wire::{PollOnWake, refuse};

/// How many clients may be told at a time that there are too many; the rest just see the connection end.
const REFUSALS: usize = 64;
/// After a failed accept (out of file descriptors, mostly): do not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// What all listeners share: the limit, and the story of the end.
///
/// Stopping has three steps. `shut` ends the accept loops, so that a client that is told to go and comes back at once
/// is refused; then `drain` asks connections to finish what they do; when the deadline passes `kill` drops those that
/// have not. `tasks` tells when all are gone.
#[derive(Clone)]
pub(super) struct Gate {
    pub connection_limit: Arc<ConnectionLimit>,
    pub refusals: Arc<Semaphore>,
    pub shut: CancellationToken,
    pub drain: CancellationToken,
    pub kill: CancellationToken,
    pub tasks: TaskTracker,
}

impl Gate {
    pub(super) fn new(limit: usize) -> Gate {
        Gate {
            connection_limit: ConnectionLimit::new(limit),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            shut: CancellationToken::new(),
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }
}

/// On which threads connections live.
pub(super) enum Home {
    /// Those of this runtime.
    Runtime(Handle),
    /// One thread each.
    Cores(Arc<Cores>),
}

/// How a client is served by the configuration of now.
pub(super) struct Reception<H> {
    pub settings: sockets::Settings,
    pub home: Home,
    pub serve: H,
}

/// A client's stream on its way to the runtime that it will live on.
enum Arrival {
    Here(TcpStream),
    Elsewhere(std::net::TcpStream),
}

impl Arrival {
    fn new(stream: TcpStream, stays: bool) -> io::Result<Arrival> {
        Ok(if stays { Arrival::Here(stream) } else { Arrival::Elsewhere(stream.into_std()?) })
    }

    fn land(self) -> io::Result<TcpStream> {
        match self {
            Arrival::Here(stream) => Ok(stream),
            Arrival::Elsewhere(stream) => TcpStream::from_std(stream),
        }
    }
}

/// Accepts until `shut`; every client is handed to `serve` in a task of its own. Several may accept from one socket, each
/// with a handle of its own to it.
pub(super) async fn accept<H, F>(listener: std::net::TcpListener, (protocol, gate): (Protocol, Gate), reception: impl Fn() -> Reception<H>)
where
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
            () = gate.shut.cancelled() => return,
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
        let Reception { settings: wanted, home, serve } = reception();
        if inherited != Some(wanted) {
            // They may change while this runs. A client without them is served all the same.
            if let Err(error) = wanted.renew(&listener).and_then(|()| wanted.renew(&stream)) {
                tracing::warn!(protocol = protocol.label(), %error, "the sockets of clients cannot be prepared as limits.* say");
            }
            inherited = Some(wanted).filter(|_| sockets::ACCEPTED_INHERIT);
        }
        let Some(seat) = gate.connection_limit.take() else {
            send_away(stream, peer, protocol, &gate);
            continue;
        };
        let whose = ConnectionSpan::new(protocol.label(), peer);
        let kill = gate.kill.clone();
        match home {
            Home::Runtime(handle) => {
                let Ok(arrival) = Arrival::new(stream, sockets::driver().is_none()) else { continue };
                let task = async move {
                    isolate(Box::pin(async move { serve(arrival.land()?, peer).await }), kill, protocol).await;
                    drop(seat);
                };
                gate.tasks.spawn_on(task.instrument(whose.span()), &handle);
            }
            Home::Cores(cores) => {
                let Some(place) = cores.place() else { continue };
                let Ok(arrival) = Arrival::new(stream, place.is_here) else { continue };
                let handle = place.handle.clone();
                let task = async move {
                    isolate(Box::pin(async move { serve(arrival.land()?, peer).await }), kill, protocol).await;
                    drop((seat, place));
                };
                gate.tasks.spawn_on(connection_span::carry(whose, task), &handle);
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
        Ok(Err(error)) => connection_span::log(Level::DEBUG, || tracing::debug!(%error, "the connection broke")),
        Err(panic) => {
            let panic = telemetry::panicked("connection", panic.as_ref());
            connection_span::log(Level::ERROR, || tracing::error!(panic, "the connection ended by a fault of Flashgate; please report it"));
        }
    }
}

fn send_away(stream: TcpStream, peer: SocketAddr, protocol: Protocol, gate: &Gate) {
    telemetry::refused(protocol.label());
    tracing::warn!(protocol = protocol.label(), %peer, limit = gate.connection_limit.limit(), "a client was sent away: limits.connections is reached");
    let Ok(permit) = gate.refusals.clone().try_acquire_owned() else { return };
    let error = Error::new(Kind::TooManyConnections, "Too many connections").with_hint("try again later, or raise limits.connections");
    let kill = gate.kill.clone();
    gate.tasks.spawn(async move {
        let answer = async {
            match protocol {
                Protocol::MySql => refuse::mysql(stream, &error).await,
                Protocol::Postgres => refuse::postgres(stream, &error).await,
            }
        };
        tokio::select! {
            answered = answer => tracing::debug!(?answered, "sent away"),
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

    async fn start(limit: usize) -> (SocketAddr, Gate, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Gate::new(limit);
        let drain = gate.drain.clone();
        let loop_gate = gate.clone();
        let task = tokio::spawn(async move {
            let reception = move || {
                let drain = drain.clone();
                let serve = move |stream, _| echo(stream, drain);
                Reception { settings: Settings::default(), home: Home::Runtime(Handle::current()), serve }
            };
            accept(listener.into_std().unwrap(), (Protocol::MySql, loop_gate), reception).await;
        });
        (address, gate, task)
    }

    async fn answers(stream: &mut TcpStream) -> bool {
        stream.write_all(b"x").await.unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.is_ok() && byte == *b"x"
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_connection_only_and_gives_the_place_back() {
        let (address, _gate, _task) = start(2).await;
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
        let (address, _gate, _task) = start(1).await;
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
        let (address, gate, task) = start(8).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut idle).await);
        let mut stuck = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut stuck).await);
        stuck.write_all(b"z").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.shut.cancel();
        task.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
        assert!(answers(&mut idle).await);
        gate.drain.cancel();
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        gate.tasks.close();
        assert!(tokio::time::timeout(Duration::from_millis(100), gate.tasks.wait()).await.is_err());
        gate.kill.cancel();
        tokio::time::timeout(Duration::from_secs(5), gate.tasks.wait()).await.unwrap();
    }
}
