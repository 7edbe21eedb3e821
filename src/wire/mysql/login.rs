//! From the first byte to a session: greeting, TLS, authentication, the session's opening.
//!
//! Everything before the session exists happens within one deadline, in little memory, and ends at a drain.

use std::future::Future;
use std::io;
use std::sync::Arc;

use mysql_common::constants::CapabilityFlags as Caps;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::auth::{Authenticator, Next, Secrets};
use super::charset::Charset;
use super::connection::{Connection, Lost};
use super::dispatch::Served;
use super::handshake::{FirstPacket, HandshakeResponse, Salt, fresh_salt, put_greeting, server_capabilities};
use super::limits;
use super::result::{Ok as OkBody, Refusal, Tail, put_ok, status_flags};
use tokio_util::sync::CancellationToken;

use crate::node::users::User;
use crate::node::{Node, Users};
use crate::session::{Client, Session};
use crate::telemetry;
use crate::types::Protocol;
use crate::wire::Context;
use crate::wire::transport::Transport;

/// The largest packet before a session exists: a name, a token and 64 KiB of connection attributes.
pub const LOGIN_PACKET: usize = 128 << 10;

/// What holds for a connection from its greeting on.
#[derive(Debug, Clone)]
pub struct Door {
    /// What KILL takes.
    pub id: u32,
    /// The challenge that the client answers; changes when a plugin is switched to.
    pub salt: Salt,
    /// Where the client comes from, without its port.
    pub peer: String,
    /// Is the connection encrypted?
    pub tls: bool,
    /// Fires when the server stops.
    pub drain: CancellationToken,
}

/// The user that logs in, not yet authenticated.
pub struct Claim<'a> {
    /// The name, as bytes of the client's character set.
    pub user: &'a [u8],
    /// The plugin of `answer`.
    pub plugin: Option<&'a str>,
    /// The plugin's answer to the door's challenge.
    pub answer: &'a [u8],
    /// How to read `user`.
    pub charset: Charset,
}

/// Greets the client on `stream` and serves it until one of the two goes.
pub async fn serve_stream<S>(stream: S, peer: String, context: Arc<Context>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let deadline = Instant::now() + limits::login_timeout(&context.node);
    let mut door = Door { id: context.node.sessions.next_id(), salt: fresh_salt(), peer, tls: false, drain: context.drain.clone() };
    // One kind of stream, encrypted or not: what serves it is compiled once.
    let mut connection = Connection::new(Transport::Plain(stream), LOGIN_PACKET);
    let capabilities = server_capabilities(context.tls.is_some());
    connection.out.message(|out| put_greeting(out, door.id, &door.salt, capabilities));
    connection.flush().await?;
    let first = match within(deadline, &context, first_packet(&mut connection)).await {
        Ok(first) => first,
        Err(failed) => return part(&mut connection, failed).await,
    };
    match (first, &context.tls) {
        (FirstPacket::Response(response), _) => enter(connection, door, response, context, deadline).await,
        (FirstPacket::Tls, Some(config)) => {
            let (stream, sequence) = connection.into_stream();
            let Ok(accepted) = timeout_at(deadline, stream.accept_tls(Arc::clone(config))).await else { return Ok(()) };
            let mut connection = Connection::new(accepted?, LOGIN_PACKET);
            connection.out.sequence = sequence;
            door.tls = true;
            match within(deadline, &context, first_packet(&mut connection)).await {
                Ok(FirstPacket::Response(response)) => enter(connection, door, response, context, deadline).await,
                Ok(FirstPacket::Tls) => part(&mut connection, bad_handshake("TLS asked for twice")).await,
                Err(failed) => part(&mut connection, failed).await,
            }
        }
        (FirstPacket::Tls, None) => part(&mut connection, bad_handshake("this server has no TLS")).await,
    }
}

fn bad_handshake(why: &str) -> Failed {
    Failed::Refused(Refusal::new(1043, "08S01", format!("Bad handshake: {why}")))
}

/// A step of the login, up to the deadline or the drain.
async fn within<T>(deadline: Instant, context: &Context, step: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::select! {
        outcome = timeout_at(deadline, step) => outcome.unwrap_or_else(|_| Err(Failed::Lost(Lost::Gone(io::ErrorKind::TimedOut.into())))),
        () = context.drain.cancelled() => Err(Refusal::new(1053, "08S01", "Server shutdown in progress").into()),
    }
}

/// The end of a login that failed: tells the client what can be told.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(connection: &mut Connection<S>, failed: Failed) -> io::Result<()> {
    match failed {
        Failed::Refused(refusal) => connection.refuse(&refusal, Charset::UTF8).await,
        Failed::Lost(Lost::Frame(error)) => connection.refuse(&error.into(), Charset::UTF8).await,
        // A client that went is not worth an error: port scanners and health checks do so all day.
        Failed::Lost(Lost::Gone(_)) => Ok(()),
    }
}

/// Why a login ends.
pub enum Failed {
    /// The connection.
    Lost(Lost),
    /// We.
    Refused(Refusal),
}

impl From<Lost> for Failed {
    fn from(lost: Lost) -> Failed {
        Failed::Lost(lost)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Lost(Lost::Gone(error))
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Failed {
        Failed::Refused(refusal)
    }
}

async fn first_packet<S: AsyncRead + AsyncWrite + Unpin>(connection: &mut Connection<S>) -> Result<FirstPacket, Failed> {
    let packet = connection.reply().await?;
    FirstPacket::parse(&packet).map_err(|malformed| bad_handshake(malformed.0))
}

/// Authenticates, opens the session, says OK and serves commands.
async fn enter<S>(
    mut connection: Connection<S>,
    mut door: Door,
    response: HandshakeResponse,
    context: Arc<Context>,
    deadline: Instant,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let capabilities = response.capabilities & server_capabilities(context.tls.is_some());
    let charset = Charset::of_collation(response.collation.into());
    let node = Arc::clone(&context.node);
    let opening = open(&mut connection, &mut door, &response, charset, node);
    let (user, session) = match within(deadline, &context, opening).await {
        Ok(opened) => opened,
        Err(failed) => return part(&mut connection, failed).await,
    };
    connection.out.message(|out| put_ok(out, 0, &OkBody::default(), &greeting_tail(&session), capabilities));
    connection.flush().await?;
    tracing::debug!(id = door.id, peer = %door.peer, tls = door.tls, "mysql client logged in");
    Served::new(connection, session, user, capabilities, charset, door).run().await
}

fn greeting_tail(session: &Session) -> Tail {
    Tail { status: status_flags(session.status()), ..Tail::default() }
}

async fn open<S>(
    connection: &mut Connection<S>,
    door: &mut Door,
    response: &HandshakeResponse,
    charset: Charset,
    node: Arc<Node>,
) -> Result<(String, Session), Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if node.config().tls.required && !door.tls {
        // ER_SECURE_TRANSPORT_REQUIRED, as MySQL with require_secure_transport says it.
        return Err(Refusal::new(3159, "HY000", "Connections using insecure transport are prohibited: connect with TLS").into());
    }
    let claim = Claim { user: &response.user, plugin: response.plugin.as_deref(), answer: &response.auth, charset };
    let user = authenticate(connection, door, &node.users, claim).await;
    telemetry::login(Protocol::MySql.label(), user.is_ok());
    let user = user?;
    let client = client_of(door, user.clone(), response.database.as_deref(), &response.attributes, charset)?;
    let session = Session::open(node, client).await.map_err(Refusal::from)?;
    Ok((user, session))
}

/// The client as the session sees it.
pub fn client_of(
    door: &Door,
    user: String,
    database: Option<&[u8]>,
    attributes: &[(String, String)],
    charset: Charset,
) -> Result<Client, Refusal> {
    let database = database.map(|name| charset.decode(name).map(|name| name.into_owned())).transpose()?;
    Ok(Client {
        protocol: Protocol::MySql,
        peer: door.peer.clone(),
        user,
        database,
        settings: attributes.to_vec(),
        tls: door.tls,
        id: Some(door.id),
    })
}

/// Proves the claim, with as many packets as the plugin needs; the user's name comes back.
pub async fn authenticate<S>(
    connection: &mut Connection<S>,
    door: &mut Door,
    users: &Arc<Users>,
    claim: Claim<'_>,
) -> Result<String, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let name = claim.charset.decode(claim.user).map_err(Refusal::from)?.into_owned();
    let user = users.find(&name).await;
    let secrets = Secrets {
        passwordless: name == "root" && users.passwordless_root(),
        native: user.as_ref().map(|user| user.verifier.native),
        fast: user.as_ref().and_then(|_| users.cached_fast(&name)),
    };
    let mut login = Authenticator::new(door.salt, door.tls);
    let mut next = login.start(claim.plugin, claim.answer, &secrets);
    loop {
        match next {
            Next::Ask(packet) => {
                connection.out.message(|out| out.extend_from_slice(&packet));
                connection.flush().await?;
                let answer = connection.reply().await?;
                next = login.next(&answer, &secrets);
            }
            Next::Check(password) => next = Next::verdict(check(users, user.clone(), password).await),
            Next::Accept { packet } => {
                if let Some(packet) = packet {
                    connection.out.message(|out| out.extend_from_slice(&packet));
                }
                door.salt = login.salt;
                return Ok(name);
            }
            Next::Deny => {
                let used = if login.used_password { "YES" } else { "NO" };
                let message = format!("Access denied for user '{name}'@'{}' (using password: {used})", door.peer);
                return Err(Refusal::new(1045, "28000", message).into());
            }
        }
    }
}

/// Full authentication, off the threads that serve others: it costs milliseconds by design.
async fn check(users: &Arc<Users>, user: Option<Arc<User>>, password: Vec<u8>) -> bool {
    let Some(user) = user else { return false };
    let users = Arc::clone(users);
    tokio::task::spawn_blocking(move || users.verify_password(&user, &password)).await.unwrap_or(false)
}

/// Does the client take more than one statement at once?
pub fn wants_multi_statements(capabilities: Caps) -> bool {
    capabilities.contains(Caps::CLIENT_MULTI_STATEMENTS)
}
