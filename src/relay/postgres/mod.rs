//! In front of a PostgreSQL server: what is not Flashgate's passes as the same bytes, in both directions.
//!
//! The files that both relays have are described in [`super`]. Only here:
//!
//! - `connect`: a connection to the upstream, encrypted as configured. `sasl`: what may pass in an authentication.
//! - `pipeline`: held messages of the extended protocol. `cursors`: which local cursors are open.
//!
//! One connection to the upstream for each client, one task for both. A local statement waits until everything before it is
//! answered, and is run by the code that serves clients without an upstream.

mod cancel;
mod client_side;
mod connect;
mod cursors;
mod decide;
mod dispatch;
mod executor;
mod expected;
mod hot_rows;
mod literals;
mod local;
mod login;
mod own_queries;
mod pipeline;
mod pump;
mod sasl;
mod script;
mod stand_ins;
mod upstream_side;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tracing::Level;

use self::cancel::Registered;
use self::client_side::ClientSide;
use self::local::{LentStream, Local};
use self::login::Greeting;
use self::pump::{BufferedStream, Event, Pump};
use crate::config::Limits;
use crate::node::Listed;
use crate::telemetry::{Routed, connection_span};
use crate::types::Protocol;
use crate::upstream::{Stream, Upstream};
use crate::wire::postgres::connection::shutting_down;
use crate::wire::postgres::fault::{Fault, Step, Stop};
use crate::wire::postgres::frame::Link;
use crate::wire::postgres::startup::{self, Wanted};
use crate::wire::postgres::{end, in_login_time, negotiated};
use crate::wire::transport::Transport;
use crate::wire::{ClientStream, Context, PollOnWake};

/// Serves one client until it leaves or is told to. An error is the transport's and concerns no other connection.
pub async fn serve(stream: ClientStream, peer: SocketAddr, context: Arc<Context>, upstream: Arc<Upstream>) -> io::Result<()> {
    let opened = tokio::select! {
        biased;
        _ = context.drain.cancelled() => return Ok(()),
        // In a box: the memory of the login is given back.
        opened = in_login_time(&context, Box::pin(negotiate(stream, peer, &context, &upstream))) => opened,
    };
    match opened? {
        Some(relay) => relay.run().await,
        None => Ok(()),
    }
}

/// Everything up to the first command. None: the connection has ended in order.
async fn negotiate<S>(stream: S, peer: SocketAddr, context: &Arc<Context>, upstream: &Arc<Upstream>) -> io::Result<Option<Box<Relay<S>>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut link, wanted) = negotiated(startup::negotiate(stream, context.tls.clone(), true).await)?;
    match wanted {
        Ok(Wanted::Relay(packet)) => return open(link, packet, peer, upstream, context).await,
        Ok(Wanted::Cancel { id, secret }) => {
            cancel::cancel((id, secret), peer, link.stream().is_tls(), upstream, &context.node).await;
            link.close().await;
        }
        Ok(Wanted::Session(_) | Wanted::Nothing) => {}
        Err(fault) => end(&mut link, fault).await,
    }
    Ok(None)
}

/// How long a side that is to be closed may take to read what was meant for it.
const LINGER: Duration = Duration::from_secs(1);

/// A connection whose client has been let in by the upstream.
pub struct Relay<S> {
    pump: Pump<LentStream<Transport<S>>, Stream>,
    context: Arc<Context>,
    greeting: Greeting,
    peer: SocketAddr,
    client_tls: bool,
    /// Made when the first statement needs it.
    local: Option<Box<Local<S>>>,
    cancelled: Arc<cancel::Cancellable>,
    _registered: Option<Registered>,
    /// SHOW FLASHGATE SESSIONS has it, under the upstream's process id.
    listed: Option<Listed>,
    routed: Routed,
    /// How many relayed statements were counted.
    counted: u64,
}

/// Follows a client from its start-up packet to the first command. None: the connection has ended in order.
pub async fn open<S>(
    mut link: Link<Transport<S>>,
    packet: Bytes,
    peer: SocketAddr,
    upstream: &Arc<Upstream>,
    context: &Arc<Context>,
) -> io::Result<Option<Box<Relay<S>>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let started = if context.node.config().tls.required && !link.stream().is_tls() {
        Err(Fault::fatal("28000", "this server takes no unencrypted connections").with_hint("connect with sslmode=require").into())
    } else {
        login::log_in(&mut link, &packet, (upstream, peer)).await
    };
    let started = match started {
        Ok(Some(started)) => started,
        Ok(None) => return Ok(None),
        Err(Stop::Fault(fault)) => {
            end(&mut link, fault).await;
            return Ok(None);
        }
        Err(Stop::Gone(error)) if error.kind() == io::ErrorKind::NotConnected => return Ok(None),
        Err(Stop::Gone(error)) => return Err(error),
    };
    let greeting = Greeting::of(&packet);
    let mut client_side = ClientSide::new(context.node.config().limits.message_bytes.as_usize());
    let mut upstream_side = started.upstream_side;
    (client_side.raw, upstream_side.raw) = (greeting.replication, greeting.replication);
    let client_tls = link.stream().is_tls();
    let (stream, input) = link.into_parts();
    let cancelled = Arc::new(cancel::Cancellable::of(Arc::clone(upstream)));
    let client = BufferedStream::new(LentStream(Some(stream)), input);
    let pump =
        Pump::new(client, BufferedStream::new(started.stream, started.input), client_side, upstream_side, Arc::clone(&context.scanner));
    let id = started.key.as_deref().and_then(|key| key.first_chunk::<4>()).map(|id| u32::from_be_bytes(*id));
    let list = |id| context.node.sessions.list_relayed(Protocol::Postgres, id, &greeting.user, &peer.to_string());
    let listed = id.map(list);
    connection_span::log(Level::DEBUG, || tracing::debug!(id, %peer, tls = client_tls, "postgres client logged in to the upstream"));
    Ok(Some(Box::new(Relay {
        pump,
        context: Arc::clone(context),
        greeting,
        peer,
        client_tls,
        local: None,
        _registered: started.key.map(|key| Registered::new(key, Arc::clone(&cancelled))),
        listed,
        cancelled,
        routed: Routed::new(Protocol::Postgres.label()),
        counted: 0,
    })))
}

/// What the relay does next.
enum Turn {
    Event(Event),
    /// The connection is to end, for this reason.
    End(Fault),
}

/// What may end a connection from outside, while nothing else happens.
struct Outside {
    drain: PollOnWake<Pin<Box<WaitForCancellationFutureOwned>>>,
    draining: bool,
    idle: Option<(Duration, PollOnWake<Pin<Box<tokio::time::Sleep>>>)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    /// Relays until either side leaves.
    pub async fn run(mut self: Box<Self>) -> io::Result<()> {
        let limit = silence(&self.context.node.config().limits);
        let mut outside = Outside {
            drain: PollOnWake::new(Box::pin(self.context.drain.clone().cancelled_owned())),
            draining: false,
            idle: limit.map(|limit| (limit, PollOnWake::new(Box::pin(tokio::time::sleep(limit))))),
        };
        loop {
            let turn = self.next_turn(&mut outside).await;
            let stop = match turn {
                Turn::Event(Event::Decide(length)) => {
                    self.routed.begins();
                    let local_runtime = self.context.local_runtime.clone();
                    // In a box: while bytes pass, the connection has no room for it.
                    let decided = local_runtime.run(Box::pin(async move {
                        let decided = self.decide(length).await;
                        (self, decided)
                    }));
                    let outcome;
                    (self, outcome) = decided.await?;
                    self.routed.ends();
                    match outcome {
                        Ok(()) => continue,
                        Err(stop) => stop,
                    }
                }
                Turn::Event(Event::ClientEnd) => return self.client_left().await,
                Turn::Event(Event::ClientGone) => return Ok(()),
                Turn::Event(Event::UpstreamEnd) => return self.upstream_left().await,
                Turn::End(fault) => fault.into(),
            };
            self.count();
            return match stop {
                Stop::Fault(fault) => {
                    fault.into_fatal().encode(&mut self.pump.client.outgoing.bytes);
                    self.pump.client.close(LINGER).await;
                    self.pump.upstream.close(LINGER).await;
                    Ok(())
                }
                Stop::Gone(error) if error.kind() == io::ErrorKind::NotConnected => self.client_left().await,
                Stop::Gone(error) if error.kind() == io::ErrorKind::ConnectionAborted => self.upstream_left().await,
                Stop::Gone(error) => Err(error),
            };
        }
    }

    async fn next_turn(&mut self, outside: &mut Outside) -> Turn {
        let mut since = outside.idle.is_some().then(Instant::now);
        let mut closing = pin!(self.local.as_ref().map(|local| local.closing().cancelled_owned()));
        poll_fn(|cx| {
            let event = self.pump.poll_event(cx);
            self.count();
            self.drop_portals();
            if let Poll::Ready(event) = event {
                return Poll::Ready(Turn::Event(event));
            }
            outside.draining = outside.draining || Pin::new(&mut outside.drain).poll(cx).is_ready();
            if outside.draining && self.is_idle() {
                return Poll::Ready(Turn::End(shutting_down()));
            }
            if let Some(closing) = closing.as_mut().as_pin_mut()
                && closing.poll(cx).is_ready()
            {
                return Poll::Ready(Turn::End(shutting_down()));
            }
            if let (Some((limit, sleep)), Some(since)) = (&mut outside.idle, &mut since) {
                if std::mem::take(&mut self.pump.client_side.heard) || !self.pump.upstream_side.expected.is_empty() {
                    *since = Instant::now();
                }
                while Pin::new(&mut *sleep).poll(cx).is_ready() {
                    let next = *since + *limit;
                    if next <= Instant::now() {
                        return Poll::Ready(Turn::End(Fault::fatal("57P05", "terminating connection due to idle-session timeout")));
                    }
                    sleep.get_mut().as_mut().reset(next.into());
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Between two commands, outside a transaction, with nothing on its way.
    fn is_idle(&self) -> bool {
        let Pump { client, upstream, client_side, upstream_side, .. } = &self.pump;
        let still = client.outgoing.bytes.is_empty() && upstream.outgoing.bytes.is_empty() && client.input.is_empty();
        still
            && !client_side.raw
            && client_side.is_between()
            && upstream_side.is_between()
            && upstream_side.expected.is_idle()
            && upstream_side.status == b'I'
    }

    /// Portals end with their transaction, and with them what they run.
    fn drop_portals(&mut self) {
        if let Some(local) = &mut self.local
            && !self.pump.client_side.names.has_open_portals()
        {
            local.connection.portals.clear();
            local.connection.session.forget_planned_ahead();
        }
    }

    /// Counts what was relayed since the last time.
    fn count(&mut self) {
        let relayed = self.pump.client_side.relayed;
        if relayed != self.counted {
            (self.counted..relayed).for_each(|_| self.routed.relayed());
            self.counted = relayed;
        }
        let Pump { client, upstream, upstream_side, .. } = &mut self.pump;
        self.routed.to_upstream(std::mem::take(&mut upstream.sent));
        self.routed.to_client(std::mem::take(&mut client.sent));
        if !upstream_side.expected.finished.is_empty() {
            self.routed.answered(upstream_side.expected.finished.drain(..));
        }
    }

    /// The client has closed its side: the upstream gets what it sent and is then told so too. It ends what runs, as it
    /// would for a client of its own, and what it says goes to the client as long as that can be reached.
    async fn client_left(mut self: Box<Self>) -> io::Result<()> {
        self.pump.upstream.close(LINGER).await;
        let drain = self.context.drain.clone().cancelled_owned();
        let closing = self.local.as_ref().map(|local| local.closing());
        let ended = async {
            tokio::select! {
                () = drain => {}
                () = async { match &closing { Some(closing) => closing.cancelled().await, None => std::future::pending().await } } => {}
            }
            tokio::time::sleep(LINGER).await;
        };
        tokio::select! {
            _ = poll_fn(|cx| self.pump.poll_answers(cx)) => {}
            () = ended => {}
        }
        Ok(())
    }

    /// The upstream has closed its side: the client gets what it said last, as slowly as it reads. One that does not read
    /// is given up by its stream (limits.write_timeout), and a stopping server waits for nobody.
    async fn upstream_left(mut self: Box<Self>) -> io::Result<()> {
        let drain = self.context.drain.clone();
        let client = &mut self.pump.client;
        tokio::select! {
            biased;
            sent = poll_fn(|cx| client.poll_send(cx)) => sent?,
            () = drain.cancelled() => {}
        }
        // An end within TLS is told there; any other is told when the stream is dropped.
        if self.client_tls || !client.outgoing.bytes.is_empty() {
            client.close(LINGER).await;
        }
        Ok(())
    }
}

/// How long a client may be silent. An application that keeps its connections for long expects of the relay what the
/// database does: the limit is there only if the operator has set it.
fn silence(limits: &Limits) -> Option<Duration> {
    limits.idle_timeout.limit().filter(|_| limits.idle_timeout != Limits::default().idle_timeout)
}

/// The connection to the upstream has ended within a step.
fn upstream_ended() -> Stop {
    Stop::Gone(io::ErrorKind::ConnectionAborted.into())
}

/// The step cannot go on for what has happened to a stream.
fn stopped(event: Event) -> Stop {
    match event {
        Event::UpstreamEnd => upstream_ended(),
        Event::ClientEnd => Stop::Gone(io::ErrorKind::NotConnected.into()),
        Event::ClientGone | Event::Decide(_) => Stop::Gone(io::ErrorKind::ConnectionReset.into()),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Waits until the upstream has answered all that it was sent; gives false when it waits for the data of a COPY
    /// instead. `data`: the client's data goes on then.
    async fn await_answers(&mut self, data: bool) -> Step<bool> {
        if self.pump.upstream_side.expected.is_empty() && self.pump.upstream_side.is_between() {
            return Ok(true);
        }
        self.pump.ask_for_answers();
        poll_fn(|cx| self.pump.poll_answered(cx, data)).await.map_err(stopped)?;
        Ok(self.pump.upstream_side.expected.is_empty())
    }

    /// Bytes for the client, behind all that is on its way.
    fn send_to_client(&mut self, bytes: &BytesMut) {
        self.pump.client.outgoing.bytes.extend_from_slice(bytes);
    }
}
