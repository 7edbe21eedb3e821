//! In front of a MySQL or MariaDB server: what is not Flashgate's passes as the same bytes, in both directions.
//!
//! The files that both relays have are described in [`super`]. Only here:
//!
//! - `capabilities`: what the relay takes out of the packets that open a connection.
//! - `text_scan`: may a text hold a local statement? Asked for every text.
//! - `change_user`: COM_CHANGE_USER. `user_variables`: `@variables`, which live at the upstream.
//!
//! One connection to the upstream for each client, one task for both. A local statement waits until everything before it is
//! answered, and is run by the code that serves clients without an upstream.

mod cancel;
mod capabilities;
mod change_user;
mod client_side;
mod decide;
mod dispatch;
mod executor;
mod expected;
mod hot_rows;
mod literals;
mod local;
mod login;
mod own_queries;
mod pump;
mod script;
mod socket_login;
mod stand_ins;
mod text_scan;
mod upstream_side;
mod user_variables;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_common::constants::CapabilityFlags as Caps;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Level;

use crate::sql::Server;
use crate::telemetry::{self, Routed, connection_span};
use crate::types::Protocol;
use crate::upstream::{Stream, Upstream};
use crate::wire::mysql::charset::Charset;
use crate::wire::mysql::codes::IN_TRANSACTION;
use crate::wire::mysql::connection::{Connection, Lost};
use crate::wire::mysql::dispatch::Served;
use crate::wire::mysql::handshake::{FirstPacket, HandshakeResponse};
use crate::wire::mysql::limits;
use crate::wire::mysql::login::{Door, Failed, LOGIN_PACKET};
use crate::wire::mysql::result::Refusal;
use crate::wire::transport::Transport;
use crate::wire::{Context, PollOnWake};
use capabilities::MARIADB_EXTENDED_METADATA;
use client_side::ClientSide;
use expected::Expected;
use login::{Greeted, LinkSecurity, LoggedIn, LoginFailure};
use pump::{Event, Pump};
use text_scan::TextScan;
use upstream_side::UpstreamSide;

/// How long a side that is to be closed may take to hear of it.
const LINGER: Duration = Duration::from_secs(1);

/// The client's end: with a local session once a local statement came.
enum Client<S> {
    Bare(Connection<S>),
    Served(Box<Served<S>>),
    /// Only for the moment of a change.
    Moved,
}

/// One client in front of its upstream.
struct Relay<S> {
    client: Client<S>,
    upstream: Connection<Stream>,
    pump: Pump,
    text_scan: TextScan,
    context: Arc<Context>,
    capabilities: Caps,
    charset: Charset,
    user: String,
    door: Door,
    security: LinkSecurity,
    /// What the upstream is: its comments are code.
    server: Server,
    attributes: Vec<(String, String)>,
    /// MariaDB's extended metadata were agreed on.
    extended: bool,
    /// `Pump::relayed` when the upstream was asked last.
    asked_at: Option<u64>,
    /// So often a transaction had ended by then, or may have ended.
    turns: u64,
    doubts: u64,
    /// The local statement that was prepared last; 0: that failed.
    last_prepared: u32,
}

/// Serves a client of `upstream` until one of the two goes.
pub async fn serve<S>(stream: S, peer: SocketAddr, context: Arc<Context>, upstream: Arc<Upstream>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // In boxes: the memory of the login is given back.
    match Box::pin(open(stream, peer, context, upstream)).await? {
        Some(relay) => Box::pin(relay.run()).await,
        None => Ok(()),
    }
}

/// Everything up to the first command. None: the login has failed, and the client was told so.
async fn open<S>(
    stream: S,
    peer: SocketAddr,
    context: Arc<Context>,
    upstream: Arc<Upstream>,
) -> io::Result<Option<Box<Relay<Transport<S>>>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let deadline = Instant::now() + limits::login_timeout(&context.node);
    let mut client = Connection::new(Transport::Plain(stream), LOGIN_PACKET);
    let greeting_sent = AtomicBool::new(false);
    let opened = {
        // In place: a future that is handed on is copied.
        let opening = pin!(async {
            let greeted = login::greet(&mut client, (&upstream, peer), context.tls.is_some()).await?;
            client.out.message(|out| out.extend_from_slice(&greeted.packet));
            greeting_sent.store(true, Ordering::Relaxed);
            client.flush().await?;
            if context.tls.is_none() {
                client.read_ahead();
            }
            let first = login::first(&mut client).await?;
            Ok::<_, LoginFailure>((greeted, first))
        });
        tokio::select! {
            opened = timeout_at(deadline, opening) => opened.unwrap_or_else(|_| Err(late())),
            () = context.drain.cancelled() => Err(stopping().into()),
        }
    };
    let peer = peer.ip().to_string();
    let (greeted, (packet, first)) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            let failure = if greeting_sent.load(Ordering::Relaxed) { failure } else { failure.before_the_greeting() };
            login::end_failed(&mut client, failure).await?;
            return Ok(None);
        }
    };
    match (first, &context.tls) {
        (FirstPacket::Response(response), _) => {
            return log_in(client, greeted, (packet, response), false, (peer, context, upstream, deadline)).await;
        }
        (FirstPacket::Tls, Some(config)) => {
            let config = Arc::clone(config);
            return Box::pin(open_tls(client, greeted, &config, (peer, context, upstream, deadline))).await;
        }
        (FirstPacket::Tls, None) => login::end_failed(&mut client, bad_handshake("this server has no TLS").into()).await?,
    }
    Ok(None)
}

/// The same after a request for TLS.
async fn open_tls<S>(
    client: Connection<Transport<S>>,
    greeted: Greeted,
    config: &Arc<rustls::ServerConfig>,
    (peer, context, upstream, deadline): Opening,
) -> io::Result<Option<Box<Relay<Transport<S>>>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut client = login::accept_tls(client, config, deadline).await?;
    let first = timeout_at(deadline, login::first(&mut client)).await;
    match first.unwrap_or_else(|_| Err(Failed::Lost(Lost::Gone(io::ErrorKind::TimedOut.into())))) {
        Ok((packet, FirstPacket::Response(response))) => {
            return log_in(client, greeted, (packet, response), true, (peer, context, upstream, deadline)).await;
        }
        Ok((_, FirstPacket::Tls)) => login::end_failed(&mut client, bad_handshake("TLS asked for twice").into()).await?,
        Err(failed) => login::end_failed(&mut client, failed.into()).await?,
    }
    Ok(None)
}

/// Who connects, by which configuration, where to, and by when it has to be done.
type Opening = (String, Arc<Context>, Arc<Upstream>, Instant);

/// The time in which a client must send something.
async fn silence_of(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

fn late() -> LoginFailure {
    Lost::Gone(io::ErrorKind::TimedOut.into()).into()
}

fn stopping() -> Refusal {
    Refusal::new(1053, "08S01", "Server shutdown in progress")
}

fn bad_handshake(why: &str) -> Refusal {
    Refusal::new(1043, "08S01", format!("Bad handshake: {why}"))
}

async fn log_in<S>(
    client: Connection<S>,
    greeted: Greeted,
    first: (bytes::Bytes, HandshakeResponse),
    tls: bool,
    (peer, context, upstream, deadline): Opening,
) -> io::Result<Option<Box<Relay<S>>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let id = greeted.greeting.id;
    // A client that is late or a server that stops ends the connection without a word: the login is between client and upstream.
    let logged_in = {
        let entering = pin!(login::log_in(client, greeted, first, tls, (&upstream, &context)));
        tokio::select! {
            logged_in = timeout_at(deadline, entering) => logged_in.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?,
            () = context.drain.cancelled() => return Ok(None),
        }
    };
    telemetry::login(Protocol::MySql.label(), logged_in.is_ok());
    let logged_in = match logged_in {
        Ok(logged_in) => logged_in,
        Err((mut client, failure)) => {
            login::end_failed(&mut client, failure).await?;
            return Ok(None);
        }
    };
    let upstream_secure = logged_in.security.upstream_secure;
    connection_span::log(Level::DEBUG, || tracing::debug!(id, %peer, tls, upstream_secure, "mysql client logged in to the upstream"));
    Ok(Some(Box::new(Relay::new(logged_in, id, peer, context))))
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    fn new(logged_in: LoggedIn<S>, id: u32, peer: String, context: Arc<Context>) -> Relay<S> {
        let LoggedIn { mut client, mut upstream, response, security, status, server, mariadb } = logged_in;
        let capabilities = login::negotiated(&response);
        let charset = Charset::of_collation(response.collation.into());
        let limit = context.node.config().limits.message_bytes.as_usize();
        client.open_up(limit);
        upstream.open_up(usize::MAX);
        let user = charset.decode(&response.user).map(|name| name.into_owned()).unwrap_or_default();
        let door = Door { id, salt: [0; 20], peer, tls: security.client_tls, drain: context.drain.clone() };
        Relay {
            client: Client::Bare(client),
            upstream,
            pump: Pump::new(
                ClientSide::new(limit),
                UpstreamSide::new(Expected::new(capabilities, status)),
                Routed::new(Protocol::MySql.label()),
            ),
            text_scan: TextScan::new(Arc::clone(&context.scanner), server),
            context,
            capabilities,
            charset,
            user,
            door,
            security,
            server,
            attributes: response.attributes,
            extended: mariadb & MARIADB_EXTENDED_METADATA != 0,
            asked_at: None,
            turns: 0,
            doubts: 0,
            last_prepared: 0,
        }
    }

    /// Serves commands until either side goes, or the connection is to end.
    async fn run(mut self: Box<Self>) -> io::Result<()> {
        let held = self.client()?.take_inbox();
        self.pump.unread(&held);
        let unasked = self.upstream.take_inbox();
        self.pump.pass_on(&unasked);
        let _listed = self.context.node.sessions.list_relayed(Protocol::MySql, self.door.id, &self.user, &self.door.peer);
        let idle_limit = self.context.node.config().limits.idle_timeout.limit();
        let mut drained = PollOnWake::new(Box::pin(self.context.drain.clone().cancelled_owned()));
        let (mut draining, mut resolver) = (false, self.pump.moved);
        let mut silence = PollOnWake::new(Box::pin(silence_of(idle_limit)));
        loop {
            let event = {
                let client = match &mut self.client {
                    Client::Bare(connection) => connection,
                    Client::Served(served) => &mut served.connection,
                    Client::Moved => return Err(io::ErrorKind::NotConnected.into()),
                };
                let pumped = self.pump.run(client.stream_mut(), self.upstream.stream_mut(), &mut self.text_scan);
                tokio::select! {
                    biased;
                    event = pumped => Some(event?),
                    () = &mut drained, if !draining => { draining = true; None }
                    () = tokio::time::sleep(Duration::from_millis(20)), if draining => None,
                    () = &mut silence, if !draining => {
                        silence.get_mut().set(silence_of(idle_limit));
                        if self.pump.moved == resolver && self.pump.is_idle() {
                            // ER_CLIENT_INTERACTION_TIMEOUT, as server 8.0.24 and later say it.
                            let message = "The client was disconnected by the server because of inactivity";
                            return self.end(&Refusal::new(4031, "HY000", message)).await;
                        }
                        resolver = self.pump.moved;
                        None
                    }
                }
            };
            match event {
                Some(Event::Closed) => return self.close().await,
                Some(Event::TooLarge) => {
                    return self.end(&Refusal::new(1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes")).await;
                }
                Some(Event::Decide(kind, bytes)) => {
                    self.pump.routed.begins();
                    let local_runtime = self.context.local_runtime.clone();
                    // In a box: while bytes pass, the connection has no room for it.
                    let decided = local_runtime.run(Box::pin(async move {
                        let goes_on = self.decide(kind, bytes).await;
                        (self, goes_on)
                    }));
                    let goes_on;
                    (self, goes_on) = decided.await?;
                    self.pump.routed.ends();
                    // Its silence begins with the answer.
                    self.pump.moved += 1;
                    if !goes_on? {
                        return self.close().await;
                    }
                    let read = self.client()?.take_inbox();
                    self.pump.read_on(&read);
                }
                // An open transaction may still end, up to the server's deadline.
                None if draining && self.pump.is_idle() && self.pump.upstream_side.expected.status & IN_TRANSACTION == 0 => {
                    return self.end(&stopping()).await;
                }
                None => {}
            }
        }
    }

    /// Does work at the upstream for as long as the client is there. What the client sends meanwhile is in its inbox then.
    async fn while_connected<T>(client: &mut Client<S>, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let client = match client {
            Client::Bare(connection) => connection,
            Client::Served(served) => &mut served.connection,
            Client::Moved => return Err(io::ErrorKind::NotConnected.into()),
        };
        tokio::select! {
            biased;
            done = work => done,
            error = client.vanished() => Err(error),
        }
    }

    fn client(&mut self) -> io::Result<&mut Connection<S>> {
        match &mut self.client {
            Client::Bare(connection) => Ok(connection),
            Client::Served(served) => Ok(&mut served.connection),
            Client::Moved => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Sends the client an error that it has not asked for, then ends both sides.
    async fn end(mut self: Box<Self>, refusal: &Refusal) -> io::Result<()> {
        let charset = self.charset;
        let client = self.client()?;
        client.out.sequence = 0;
        client.refuse(refusal, charset).await
    }

    /// Both sides have sent all that they had to send.
    async fn close(mut self: Box<Self>) -> io::Result<()> {
        use tokio::io::AsyncWriteExt;
        // An end within TLS is told there; any other is told when the stream is dropped. Nobody is left to be told of a
        // failure here, and a side whose machine has gone does not hold the connection.
        if self.upstream.stream_mut().is_tls() {
            let _ = timeout(LINGER, self.upstream.stream_mut().shutdown()).await;
        }
        if self.security.client_tls {
            let _ = timeout(LINGER, self.client()?.stream_mut().shutdown()).await;
        }
        Ok(())
    }
}
