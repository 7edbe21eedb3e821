//! From a start-up message to the command phase: the upstream is connected to, and who the client is is between the two.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tracing::Level;

use super::client_side::Strings;
use super::connect::connect;
use super::sasl::{Authentication, LinkSecurity};
use super::upstream_side::UpstreamSide;
use crate::telemetry::{self, connection_span};
use crate::types::Protocol;
use crate::upstream::{Stream, Upstream};
use crate::wire::postgres::fault::{Fault, Step, Stop};
use crate::wire::postgres::frame::{Frame, Link};
use crate::wire::transport::Transport;

/// Longest message of the upstream before a client is authenticated.
const LONGEST: usize = 1 << 20;
/// ParsePermit for what an upstream says when it lets a client in.
const START_BYTES: usize = 4 << 10;

/// What the relay uses of a start-up message. Everything else is the upstream's to judge.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    pub user: String,
    pub database: String,
    /// A replication connection: no local statements there.
    pub replication: bool,
}

impl Greeting {
    /// Reads the body of a start-up packet, as far as it can be read.
    pub fn of(packet: &[u8]) -> Greeting {
        let mut greeting = Greeting::default();
        let mut parts = Strings(packet.get(4..).unwrap_or_default());
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let value = String::from_utf8_lossy(value);
            match name {
                b"user" => greeting.user = value.into_owned(),
                b"database" => greeting.database = value.into_owned(),
                b"replication" => greeting.replication = !matches!(&*value, "false" | "off" | "no" | "0"),
                _ => {}
            }
        }
        if greeting.database.is_empty() {
            greeting.database.clone_from(&greeting.user);
        }
        greeting
    }
}

/// An upstream that is ready for the client's first command.
pub struct Started {
    pub stream: Stream,
    /// What came after its ReadyForQuery.
    pub input: BytesMut,
    pub upstream_side: UpstreamSide,
    /// The body of its BackendKeyData.
    pub key: Option<Bytes>,
}

/// Connects to the upstream and passes the authentication on. None: the upstream has sent the client away, and the
/// client knows.
pub async fn log_in<S>(link: &mut Link<Transport<S>>, packet: &Bytes, (upstream, peer): (&Upstream, SocketAddr)) -> Step<Option<Started>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let client_tls = link.stream().is_tls();
    let stream = link.watching(connect(upstream, peer, client_tls)).await?.map_err(|failed| {
        connection_span::log(Level::WARN, || tracing::warn!(%upstream, error = %failed.cause, "the upstream was not reached"));
        failed.fault()
    })?;
    let security = LinkSecurity { client_tls, upstream_tls: stream.is_tls(), near: upstream.is_near(), peer_login: upstream.peer_login() };
    let mut login = UpstreamLogin {
        stream,
        input: BytesMut::new(),
        authentication: Authentication::new(security),
        upstream_side: UpstreamSide::new(),
        key: None,
    };
    let mut first = BytesMut::with_capacity(packet.len() + 4);
    first.put_u32(packet.len() as u32 + 4);
    first.put_slice(packet);
    login.send(&first).await?;
    if packet.starts_with(&[0, 0]) || packet.starts_with(&[0, 1]) || packet.starts_with(&[0, 2]) {
        // Before protocol 3 messages had no length. Today's servers say in that form that they do not speak it.
        while login.input.len() < LONGEST && login.stream.read_buf(&mut login.input).await.is_ok_and(|read| read > 0) {}
        link.output.put_slice(&login.input);
        link.close().await;
        return Ok(None);
    }
    let ready = login.run(link).await;
    match (&ready, login.authentication.authenticated) {
        (_, true) => telemetry::login(Protocol::Postgres.label(), true),
        (Ok(false) | Err(Stop::Fault(_)), false) => telemetry::login(Protocol::Postgres.label(), false),
        // A client that went away, to ask for its password for instance, has not tried.
        (_, false) => {}
    }
    if !ready? {
        link.close().await;
        return Ok(None);
    }
    link.flush().await?;
    let input = BytesMut::from(&login.input[..]);
    Ok(Some(Started { stream: login.stream, input, upstream_side: login.upstream_side, key: login.key }))
}

/// The upstream's side of a login.
struct UpstreamLogin {
    stream: Stream,
    input: BytesMut,
    authentication: Authentication,
    upstream_side: UpstreamSide,
    key: Option<Bytes>,
}

impl UpstreamLogin {
    /// Passes messages until the upstream is ready (true) or has ended (false).
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, link: &mut Link<S>) -> Step<bool> {
        loop {
            if self.relay(&mut link.output)? {
                return Ok(true);
            }
            link.flush().await?;
            let awaiting = self.authentication.awaiting;
            tokio::select! {
                biased;
                read = fill(&mut self.stream, &mut self.input) => if !read? {
                    return Ok(false);
                },
                // Also while nothing is expected of it: a client that leaves takes its upstream with it.
                frame = next_of(link, awaiting) => {
                    let frame = frame?;
                    if frame.kind == b'p' {
                        self.authentication.answer(&frame.body)?;
                    }
                    let mut bytes = BytesMut::with_capacity(frame.body.len() + 5);
                    bytes.put_u8(frame.kind);
                    bytes.put_u32(frame.body.len() as u32 + 4);
                    bytes.put_slice(&frame.body);
                    self.send(&bytes).await?;
                }
            }
        }
    }

    /// Passes what has come whole on to the client; true: the upstream is ready.
    fn relay(&mut self, out: &mut BytesMut) -> Result<bool, Fault> {
        let UpstreamLogin { input, authentication, upstream_side, key, .. } = self;
        out.reserve(input.len());
        let (mut at, mut ready) = (0, false);
        while !ready && let Some(length) = message_length(&input[at..])? {
            let message = &input[at..at + length];
            match message[0] {
                b'R' => out.put_slice(&authentication.offer(Bytes::copy_from_slice(message))?),
                _ => out.put_slice(message),
            }
            match message[0] {
                b'K' => *key = Some(Bytes::copy_from_slice(&message[5..])),
                b'S' => upstream_side.follow(&message[5..]),
                b'Z' => ready = authentication.authenticated,
                _ => {}
            }
            at += length;
        }
        input.advance(at);
        Ok(ready)
    }

    async fn send(&mut self, bytes: &[u8]) -> Step<()> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|_: io::Error| lost().into())
    }
}

/// The client's next message, if one is awaited; else only its leaving. Cancel-safe.
async fn next_of<S: AsyncRead + AsyncWrite + Unpin>(link: &mut Link<S>, awaiting: bool) -> Step<Frame> {
    if !awaiting {
        return Err(Stop::Gone(link.vanished().await));
    }
    link.frame().await?.ok_or_else(|| Stop::Gone(io::ErrorKind::NotConnected.into()))
}

/// The length of the next message, head included, if it has come whole.
fn message_length(input: &[u8]) -> Result<Option<usize>, Fault> {
    let Some(&[a, b, c, d]) = input.get(1..5).and_then(|length| length.first_chunk::<4>()) else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !(4..=LONGEST).contains(&length) {
        return Err(Fault::fatal("08P01", "the database behind the proxy does not speak the PostgreSQL protocol"));
    }
    Ok((input.len() > length).then_some(length + 1))
}

/// Reads what has come; false: the upstream has closed the connection between two messages. Cancel-safe.
async fn fill(stream: &mut Stream, input: &mut BytesMut) -> Result<bool, Fault> {
    input.reserve(START_BYTES);
    match stream.read_buf(input).await {
        Ok(0) if input.is_empty() => Ok(false),
        Ok(0) | Err(_) => Err(lost()),
        Ok(_) => Ok(true),
    }
}

/// The upstream broke off.
pub fn lost() -> Fault {
    Fault::fatal("08006", "the database behind the proxy closed the connection")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_read_as_far_as_it_goes() {
        let of = |pairs: &[u8]| Greeting::of(&[b"\0\x03\0\0", pairs].concat());
        let plain = Greeting { user: "u".into(), database: "d".into(), replication: false };
        assert_eq!(of(b"user\0u\0database\0d\0client_encoding\0LATIN1\0\0"), plain);
        assert_eq!(of(b"user\0u\0\0"), Greeting { database: "u".into(), ..plain });
        assert!(of(b"user\0u\0replication\0database\0\0").replication);
        assert!(!of(b"user\0u\0replication\0off\0\0").replication);
        assert_eq!(of(b"user"), Greeting::default());
        assert_eq!(Greeting::of(b""), Greeting::default());
        assert_eq!(of(b"\xff\0\xff"), Greeting::default());
    }
}
