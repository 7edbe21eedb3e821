//! From the first byte to the command phase. The upstream asks who it is and decides; nothing of it is kept.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use mysql_common::constants::CapabilityFlags as Caps;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;
use tracing::{Instrument, Level};

use super::capabilities::{Greeting, adapt, adapt_response, sends_password};
use super::expected::status_of_ok;
use super::socket_login::PasswordCheck;
use crate::sql::Server;
use crate::telemetry::connection_span;
use crate::upstream::{Encryption, Stream, Upstream};
use crate::wire::Context;
use crate::wire::mysql::charset::Charset;
use crate::wire::mysql::connection::{Connection, Lost};
use crate::wire::mysql::handshake::{CACHING_SHA2, FirstPacket, HandshakeResponse};
use crate::wire::mysql::login::{Failed, LOGIN_PACKET};
use crate::wire::mysql::result::Refusal;
use crate::wire::transport::Transport;

/// Both ends of a connection whose login is over.
pub(super) struct LoggedIn<S> {
    pub client: Connection<S>,
    pub upstream: Connection<Stream>,
    pub response: HandshakeResponse,
    pub security: LinkSecurity,
    /// The status flags of the upstream's OK.
    pub status: u16,
    /// What the upstream is.
    pub server: Server,
    /// What of MariaDB's own capabilities was agreed on.
    pub mariadb: u32,
}

/// Which of the two connections can be read on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkSecurity {
    pub client_tls: bool,
    /// TLS, or a socket file.
    pub upstream_secure: bool,
    /// The upstream may have taken Flashgate's own user for the client's: see `socket_login`.
    pub peer_login: bool,
}

/// The upstream and its greeting, the client's connection still as it was when it connected.
pub(super) struct Greeted {
    pub upstream: Connection<Stream>,
    pub greeting: Greeting,
    /// The greeting as the client gets it.
    pub packet: Vec<u8>,
}

/// How a login ends without a session.
pub(super) enum LoginFailure {
    Failed(Failed),
    /// The upstream has refused; the client was told.
    ByUpstream,
}

impl LoginFailure {
    /// As it is told to a client that was not greeted yet.
    pub fn before_the_greeting(self) -> LoginFailure {
        match self {
            LoginFailure::Failed(Failed::Refused(refusal)) => refusal.bare().into(),
            LoginFailure::Failed(Failed::Lost(Lost::Frame(error))) => Refusal::from(error).bare().into(),
            other => other,
        }
    }
}

impl From<Failed> for LoginFailure {
    fn from(failed: Failed) -> LoginFailure {
        LoginFailure::Failed(failed)
    }
}

impl From<Refusal> for LoginFailure {
    fn from(refusal: Refusal) -> LoginFailure {
        LoginFailure::Failed(refusal.into())
    }
}

impl From<Lost> for LoginFailure {
    fn from(lost: Lost) -> LoginFailure {
        LoginFailure::Failed(lost.into())
    }
}

impl From<io::Error> for LoginFailure {
    fn from(error: io::Error) -> LoginFailure {
        LoginFailure::Failed(error.into())
    }
}

/// Connects to the upstream and reads its greeting. An error of the upstream's goes to the client as it is.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Connection<S>,
    (upstream, peer): (&Upstream, SocketAddr),
    tls: bool,
) -> Result<Greeted, LoginFailure> {
    let stream = upstream.connect_for(peer).await.map_err(|error| unreachable(upstream, &error))?;
    let mut connection = Connection::new(stream, LOGIN_PACKET);
    // Behind its greeting a server waits.
    connection.read_ahead();
    let packet = connection.command().await.map_err(|lost| match lost {
        Lost::Gone(error) => unreachable(upstream, &error),
        Lost::Frame(_) => unreachable(upstream, &io::Error::new(io::ErrorKind::InvalidData, "it is no MySQL server")),
    })?;
    if packet.first() == Some(&0xff) {
        // Too many connections, a host that is blocked.
        client.out.message(|out| out.extend_from_slice(&packet));
        client.flush().await?;
        return Err(LoginFailure::ByUpstream);
    }
    let mut packet = packet.to_vec();
    let greeting =
        adapt(&mut packet, tls).map_err(|malformed| unreachable(upstream, &io::Error::new(io::ErrorKind::InvalidData, malformed.0)))?;
    Ok(Greeted { upstream: connection, greeting, packet })
}

/// ER_SERVER_SHUTDOWN: of the server's own errors the one after which replicas and drivers try again. Codes from 2000 on are
/// the clients' own: MariaDB's take one that a server sends for a malformed packet.
fn unreachable(upstream: &Upstream, error: &io::Error) -> Refusal {
    connection_span::log(Level::WARN, || tracing::warn!(%upstream, %error, "the upstream cannot be reached"));
    Refusal::new(1053, "08S01", format!("Can't connect to MySQL server on '{upstream}' ({error})"))
}

/// The client's first packet in full; a request for TLS comes back as [`FirstPacket::Tls`].
pub(super) async fn first<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Connection<S>) -> Result<(Bytes, FirstPacket), Failed> {
    let packet = client.reply().await?;
    let first = FirstPacket::parse(&packet).map_err(|malformed| Refusal::new(1043, "08S01", format!("Bad handshake: {}", malformed.0)))?;
    Ok((packet, first))
}

/// TLS with the client, as it has asked for.
pub(super) async fn accept_tls<S: AsyncRead + AsyncWrite + Unpin>(
    client: Connection<Transport<S>>,
    config: &Arc<rustls::ServerConfig>,
    deadline: tokio::time::Instant,
) -> io::Result<Connection<Transport<S>>> {
    let (stream, sequence) = client.into_stream();
    let accepted = timeout_at(deadline, stream.accept_tls(Arc::clone(config)).instrument(connection_span::span())).await;
    let mut client = Connection::new(accepted.map_err(|_| io::ErrorKind::TimedOut)??, LOGIN_PACKET);
    client.out.sequence = sequence;
    Ok(client)
}

/// Brings the client's answer to the upstream and lets the two authenticate.
pub(super) async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: Connection<S>,
    greeted: Greeted,
    (packet, response): (Bytes, HandshakeResponse),
    client_tls: bool,
    (upstream, context): (&Upstream, &Context),
) -> Result<LoggedIn<S>, (Connection<S>, LoginFailure)> {
    let Greeting { server, mariadb, .. } = greeted.greeting;
    client.read_ahead();
    let attempt = async {
        if context.node.config().tls.required && !client_tls {
            // ER_SECURE_TRANSPORT_REQUIRED, as MySQL with require_secure_transport says it.
            return Err(Refusal::new(3159, "HY000", "Connections using insecure transport are prohibited: connect with TLS").into());
        }
        let mut packet = packet.to_vec();
        let mut connection = greeted.upstream;
        let tls = match (upstream.encryption_for(client_tls), greeted.greeting.tls) {
            (Encryption::Plain, _) | (Encryption::IfOffered, false) => false,
            (Encryption::IfOffered | Encryption::Required, true) => true,
            (Encryption::Required, false) => return Err(no_tls("TLS connection error: the upstream offers no TLS".into()).into()),
        };
        let security = LinkSecurity { client_tls, upstream_secure: tls || upstream.is_local(), peer_login: upstream.peer_login() };
        if response.plugin.as_deref().is_some_and(sends_password) && response.auth.len() > 1 {
            security.check_password()?;
        }
        adapt_response(&mut packet, tls);
        if tls {
            if !connection.take_inbox().is_empty() {
                // What somebody put before the handshake must not pass for the upstream's.
                return Err(no_tls("TLS connection error: the upstream local_answered before it was asked".into()).into());
            }
            connection.out.message(|out| out.extend_from_slice(&packet[..32]));
            connection.flush().await?;
            let (stream, sequence) = connection.into_stream();
            let secured = upstream.secure(stream).await.map_err(|error| {
                connection_span::log(Level::WARN, || tracing::warn!(%upstream, %error, "TLS with the upstream failed"));
                no_tls(format!("TLS connection error with the upstream: {error}"))
            })?;
            connection = Connection::new(secured, LOGIN_PACKET);
            connection.read_ahead();
            connection.out.sequence = sequence;
        }
        connection.out.message(|out| out.extend_from_slice(&packet));
        connection.flush().await?;
        let claim = LoginRequest { plugin: response.plugin.clone(), answer: &response.auth, capabilities: negotiated(&response) };
        let status = authenticate(&mut client, &mut connection, claim, security).await?;
        Ok((connection, security, status))
    };
    match attempt.await {
        Ok((upstream, security, status)) => {
            let mariadb = response.mariadb & mariadb;
            Ok(LoggedIn { client, upstream, response, security, status, server, mariadb })
        }
        Err(failure) => Err((client, failure)),
    }
}

/// ER_HANDSHAKE_ERROR
fn no_tls(message: String) -> Refusal {
    Refusal::new(1043, "08S01", message)
}

/// Who a client says it is: the plugin, its first answer, and what holds for the connection.
pub(super) struct LoginRequest<'a> {
    pub plugin: Option<String>,
    pub answer: &'a [u8],
    pub capabilities: Caps,
}

/// Passes the packets of an authentication to and fro until the upstream says yes or no. Its status flags come back.
/// The client is read only when it was asked: what it sends unasked are commands, for later.
pub(super) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Connection<S>,
    upstream: &mut Connection<Stream>,
    LoginRequest { mut plugin, answer, capabilities }: LoginRequest<'_>,
    security: LinkSecurity,
) -> Result<u16, LoginFailure> {
    let mut asked = false;
    let mut proof = PasswordCheck::new(answer);
    loop {
        tokio::select! {
            packet = upstream.reply() => {
                let packet = packet?;
                match packet.first() {
                    // A switch to another plugin, or the question for a further factor.
                    Some(0xfe | 0x02) => {
                        let name = packet[1..].split(|b| *b == 0).next().unwrap_or_default();
                        let name = String::from_utf8_lossy(name).into_owned();
                        if sends_password(&name) {
                            security.check_password()?;
                        }
                        plugin = Some(name);
                    }
                    // caching_sha2_password: the password itself is wanted, or its encryption with the server's key.
                    Some(1) if packet.get(1) == Some(&4) => {
                        security.check_password()?;
                        if plugin.as_deref().is_none_or(|name| name == CACHING_SHA2) {
                            security.check_same()?;
                        }
                    }
                    Some(0) if security.peer_login => proof.check(upstream, capabilities, &packet).await?,
                    _ => {}
                }
                client.out.message(|out| out.extend_from_slice(&packet));
                client.flush().await?;
                match packet.first() {
                    Some(0) => return Ok(status_of_ok(&packet).unwrap_or_default()),
                    Some(0xff) => return Err(LoginFailure::ByUpstream),
                    // Its password is right; the upstream goes on.
                    Some(1) if packet[1..] == [3] => {}
                    _ => asked = true,
                }
            }
            packet = reply_if(asked, client) => {
                let packet = packet?;
                asked = false;
                proof.saw(&packet);
                upstream.out.message(|out| out.extend_from_slice(&packet));
                upstream.flush().await?;
            }
        }
    }
}

/// The next packet, if one is expected; else waits for the end of the connection.
async fn reply_if<S: AsyncRead + AsyncWrite + Unpin>(asked: bool, client: &mut Connection<S>) -> Result<Bytes, Lost> {
    if asked { client.reply().await } else { Err(Lost::Gone(client.vanished().await)) }
}

impl LinkSecurity {
    /// A password that the client sends within TLS must not go on where it can be read.
    pub(super) fn check_password(self) -> Result<(), Refusal> {
        if !self.client_tls || self.upstream_secure {
            return Ok(());
        }
        let message = "Authentication refused: this plugin would send the password unencrypted from Flashgate to the upstream; \
                       set upstream.mysql.tls to required, or use a Unix socket";
        Err(Refusal::new(1251, "08004", message))
    }

    /// Client and server each go by: unlike connections make them misunderstand each other.
    fn check_same(self) -> Result<(), Refusal> {
        if self.client_tls || !self.upstream_secure {
            return Ok(());
        }
        let message =
            "Authentication refused: caching_sha2_password needs the password once over an encrypted connection; connect with TLS";
        Err(Refusal::new(1251, "08004", message))
    }
}

/// The end of a login that failed: tells the client what can be told.
pub(super) async fn end_failed<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Connection<S>, failure: LoginFailure) -> io::Result<()> {
    match failure {
        LoginFailure::ByUpstream => Ok(()),
        LoginFailure::Failed(Failed::Refused(refusal)) => client.refuse(&refusal, Charset::UTF8).await,
        LoginFailure::Failed(Failed::Lost(Lost::Frame(error))) => client.refuse(&error.into(), Charset::UTF8).await,
        LoginFailure::Failed(Failed::Lost(Lost::Gone(_))) => Ok(()),
    }
}

/// What holds for a connection: what the client has asked for and was offered.
pub(super) fn negotiated(response: &HandshakeResponse) -> Caps {
    response.capabilities - super::capabilities::withheld()
}
