//! From the first byte to a start-up message: encryption requests, cancel requests, protocol versions.
//!
//! Layouts: PostgreSQL documentation, section 55.7 (StartupMessage, SSLRequest, GSSENCRequest, CancelRequest,
//! NegotiateProtocolVersion); direct TLS as PostgreSQL 17 takes it.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use pgwire::messages::startup::NegotiateProtocolVersion;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument;

use super::fault::{Fault, Step, Stop, put};
use super::frame::Link;
use super::message::not_utf8;
use crate::telemetry::connection_span;
use crate::wire::transport::{Rewound, Transport};

/// The newest minor version of protocol 3 that we speak.
pub const NEWEST_MINOR: u16 = 2;
const CANCEL_CODE: u32 = 80_877_102;
const SSL_CODE: u32 = 80_877_103;
const GSS_CODE: u32 = 80_877_104;
/// First byte of a TLS handshake record: a client that begins with TLS at once.
const TLS_HANDSHAKE: u8 = 0x16;

/// An untagged packet, as the client's first messages are.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    Ssl,
    Gss,
    Cancel { id: u32, secret: Bytes },
    Startup(Startup),
}

/// The client's start-up message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// Minor version that the client asked for.
    pub minor: u16,
    pub user: String,
    pub database: Option<String>,
    /// Everything else, with `options` (`-c name=value`) spelled out at its end.
    pub settings: Vec<(String, String)>,
    /// Protocol options that we do not know (`_pq_.*`).
    pub unknown: Vec<String>,
}

impl Opening {
    /// Is a packet's body something else than a start-up message?
    fn is_request(body: &[u8]) -> bool {
        let code = body.first_chunk::<4>().map(|code| u32::from_be_bytes(*code));
        matches!(code, Some(SSL_CODE | GSS_CODE | CANCEL_CODE) | None)
    }

    /// Decodes the packet's body (without its length).
    pub fn decode(mut body: Bytes) -> Result<Opening, Fault> {
        let invalid = || Fault::protocol("invalid startup packet layout").into_fatal();
        let code = body.try_get_u32().map_err(|_| invalid())?;
        match code {
            SSL_CODE => Ok(Opening::Ssl),
            GSS_CODE => Ok(Opening::Gss),
            CANCEL_CODE => {
                let id = body.try_get_u32().map_err(|_| invalid())?;
                if (4..=256).contains(&body.len()) { Ok(Opening::Cancel { id, secret: body }) } else { Err(invalid()) }
            }
            _ if code >> 16 == 3 => Startup::decode(&body, code as u16).map(Opening::Startup),
            _ => Err(Fault::fatal(
                "0A000",
                format!("unsupported frontend protocol {}.{}: server supports 3.0 to 3.{NEWEST_MINOR}", code >> 16, code & 0xffff),
            )),
        }
    }
}

impl Startup {
    fn decode(body: &[u8], minor: u16) -> Result<Startup, Fault> {
        let invalid = || Fault::protocol("invalid startup packet layout: expected terminator as last byte").into_fatal();
        // Pairs of strings, then an empty name.
        let body = body.strip_suffix(b"\0").ok_or_else(invalid)?;
        let mut startup = Startup { minor, user: String::new(), database: None, settings: vec![], unknown: vec![] };
        let pairs = if body.is_empty() { body } else { body.strip_suffix(b"\0").ok_or_else(invalid)? };
        let mut parts = pairs.split(|&b| b == 0);
        let mut options = None;
        while let Some(name) = parts.next() {
            if name.is_empty() {
                break;
            }
            let value = parts.next().ok_or_else(invalid)?;
            let text = |b: &[u8]| match std::str::from_utf8(b) {
                Ok(text) => Ok(text.to_owned()),
                Err(error) => Err(not_utf8(&b[error.valid_up_to()..]).into_fatal()),
            };
            let (name, value) = (text(name)?, text(value)?);
            match name.as_str() {
                "user" => startup.user = value,
                "database" => startup.database = Some(value).filter(|v| !v.is_empty()),
                "options" => options = Some(value),
                "replication" if !matches!(value.as_str(), "false" | "off" | "no" | "0") => {
                    return Err(Fault::fatal("0A000", "replication connections are not supported"));
                }
                _ if name.starts_with("_pq_.") => startup.unknown.push(name),
                _ => startup.settings.push((name, value)),
            }
        }
        if startup.user.is_empty() {
            return Err(Fault::fatal("28000", "no PostgreSQL user name specified in startup packet"));
        }
        startup.settings.extend(options.iter().flat_map(|options| settings_of(options)));
        check_encoding(&mut startup.settings)?;
        Ok(startup)
    }

    /// Tells the client what we speak, when it asked for more.
    pub fn negotiate(&self, out: &mut BytesMut) {
        if self.minor > NEWEST_MINOR || !self.unknown.is_empty() {
            let version = 3 << 16 | i32::from(self.minor.min(NEWEST_MINOR));
            put(&NegotiateProtocolVersion::new(version, self.unknown.clone()), out);
        }
    }
}

/// `-c name=value`, `-cname=value` and `--name=value`, with backslash-escaped blanks, as libpq's `options` carries them.
fn settings_of(options: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => words.last_mut().into_iter().for_each(|w| w.extend(chars.next())),
            c if c.is_ascii_whitespace() => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|w| w.push(c)),
        }
    }
    let mut settings = vec![];
    let mut words = words.into_iter().filter(|w| !w.is_empty());
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next(),
            Some(rest) => Some(rest.to_owned()),
            None => None,
        };
        if let Some((name, value)) = assignment.as_deref().and_then(|a| a.split_once('=')) {
            settings.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    settings
}

/// We speak UTF-8, and say so; a client that asks for SQL_ASCII takes the bytes as they are. Another encoding is refused.
fn check_encoding(settings: &mut Vec<(String, String)>) -> Result<(), Fault> {
    let mut refused = None;
    settings.retain(|(name, value)| {
        if !name.eq_ignore_ascii_case("client_encoding") {
            return true;
        }
        let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        if !matches!(plain.as_str(), "utf8" | "unicode" | "sqlascii" | "auto" | "") {
            refused = Some(value.clone());
        }
        false
    });
    match refused {
        Some(value) => Err(Fault::fatal("0A000", format!("client encoding \"{value}\" is not supported")).with_hint("use UTF8")),
        None => Ok(()),
    }
}

/// What a connection turned out to want.
pub enum Wanted {
    /// To cancel the running statement of another connection.
    Cancel { id: u32, secret: Bytes },
    /// A session.
    Session(Startup),
    /// The same with an upstream, which decides on this start-up packet: its body.
    Relay(Bytes),
    /// Nothing: the client went away.
    Nothing,
}

/// Follows the client up to its start-up message, through TLS if it asks for it and `tls` is there. `relay`: that
/// message is not for us.
pub async fn negotiate<S>(
    stream: S,
    tls: Option<Arc<rustls::ServerConfig>>,
    relay: bool,
) -> Step<(Link<Transport<S>>, Result<Wanted, Fault>)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut link = Link::new(Transport::Plain(stream), BytesMut::new());
    if !link.first_byte().await? {
        return Ok((link, Ok(Wanted::Nothing)));
    }
    if let (Some(&TLS_HANDSHAKE), Some(config)) = (link.buffered().first(), &tls) {
        link = encrypt(link, config.clone()).await?;
        // A client that begins with TLS must name the protocol, so that none meant for another server is taken.
        if link.stream().alpn() != Some(b"postgresql") {
            let fault = Fault::protocol("received direct SSL connection request without ALPN protocol negotiation extension");
            return Ok((link, Err(fault.into_fatal())));
        }
    }
    let (mut asked_ssl, mut asked_gss) = (false, false);
    loop {
        let mut cancels = false;
        let opening = match link.packet().await {
            Ok(Some(body)) if relay && !Opening::is_request(&body) => return Ok((link, Ok(Wanted::Relay(body)))),
            Ok(Some(body)) => {
                cancels = body.starts_with(&CANCEL_CODE.to_be_bytes());
                Opening::decode(body)
            }
            Ok(None) => return Ok((link, Ok(Wanted::Nothing))),
            Err(Stop::Fault(fault)) => Err(fault),
            Err(gone) => return Err(gone),
        };
        match opening {
            Ok(Opening::Ssl) if !asked_ssl && !link.stream().is_tls() => {
                asked_ssl = true;
                match &tls {
                    Some(config) => {
                        link.output.put_u8(b'S');
                        link.flush().await?;
                        if !link.buffered().is_empty() {
                            // What a man in the middle put before the handshake must not pass for the client's.
                            let fault = Fault::protocol("received unencrypted data after SSL request").into_fatal();
                            return Ok((link, Err(fault)));
                        }
                        link = encrypt(link, config.clone()).await?;
                    }
                    None => {
                        link.output.put_u8(b'N');
                        link.flush().await?;
                    }
                }
            }
            Ok(Opening::Gss) if !asked_gss => {
                asked_gss = true;
                link.output.put_u8(b'N');
                link.flush().await?;
            }
            Ok(Opening::Ssl | Opening::Gss) => {
                let fault = Fault::protocol("encryption was asked for twice").into_fatal();
                return Ok((link, Err(fault)));
            }
            Ok(Opening::Cancel { id, secret }) => return Ok((link, Ok(Wanted::Cancel { id, secret }))),
            Ok(Opening::Startup(startup)) => return Ok((link, Ok(Wanted::Session(startup)))),
            // A request to cancel has no answer, whatever it is like.
            Err(_) if cancels => return Ok((link, Ok(Wanted::Nothing))),
            Err(fault) => return Ok((link, Err(fault))),
        }
    }
}

async fn encrypt<S>(link: Link<Transport<S>>, config: Arc<rustls::ServerConfig>) -> Step<Link<Transport<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match link.into_parts() {
        (Transport::Plain(stream), input) => {
            let stream = TlsAcceptor::from(config).accept(Rewound::new(input, stream)).instrument(connection_span::span()).await?;
            Ok(Link::new(Transport::Tls(Box::new(stream)), BytesMut::new()))
        }
        (stream @ Transport::Tls(_), input) => Ok(Link::new(stream, input)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn startup(version: u32, pairs: &[(&str, &str)]) -> Bytes {
        let mut body = BytesMut::new();
        body.put_u32(version);
        for (name, value) in pairs {
            body.put_slice(format!("{name}\0{value}\0").as_bytes());
        }
        body.put_u8(0);
        body.freeze()
    }

    fn packet(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
    }

    #[test]
    fn a_startup_message_names_user_database_and_settings() {
        let body = startup(
            196_608,
            &[("user", "u"), ("database", "d"), ("application_name", "psql"), ("options", "-c TimeZone=Asia/Tokyo --work-mem=1\\ MB")],
        );
        let Ok(Opening::Startup(startup)) = Opening::decode(body) else { panic!("not a startup") };
        assert_eq!((startup.user.as_str(), startup.database.as_deref()), ("u", Some("d")));
        let settings: Vec<_> = startup.settings.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(settings, ["application_name=psql", "TimeZone=Asia/Tokyo", "work_mem=1 MB"]);
    }

    #[test]
    fn a_newer_minor_version_is_negotiated_down() {
        let Ok(Opening::Startup(newer)) = Opening::decode(startup(3 << 16 | 9999, &[("user", "u"), ("_pq_.x", "1")])) else {
            panic!("not a startup");
        };
        let mut out = BytesMut::new();
        newer.negotiate(&mut out);
        assert_eq!(&out[..], b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
        let Ok(Opening::Startup(plain)) = Opening::decode(startup(3 << 16 | 2, &[("user", "u")])) else { panic!("not a startup") };
        out.clear();
        plain.negotiate(&mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn bad_openings_are_fatal() {
        let corpus: Vec<(Bytes, &str)> = vec![
            (Bytes::new(), "08P01"),
            (Bytes::from_static(b"\0\0"), "08P01"),
            (startup(2 << 16, &[("user", "u")]), "0A000"),
            (startup(3 << 16, &[]), "28000"),
            (startup(3 << 16, &[("user", "")]), "28000"),
            (startup(3 << 16, &[("user", "u"), ("client_encoding", "LATIN1")]), "0A000"),
            (startup(3 << 16, &[("user", "u"), ("replication", "database")]), "0A000"),
            (Bytes::from_static(b"\0\x03\0\0user\0u"), "08P01"),
            (Bytes::from_static(b"\0\x03\0\0user\0"), "08P01"),
            (Bytes::from_static(b"\0\x03\0\0user\0\xff\0\0"), "22021"),
            (Bytes::from_static(b"\x04\xd2\x16\x2e\0\0\0\x01"), "08P01"),
        ];
        for (body, sqlstate) in corpus {
            let fault = Opening::decode(body.clone()).unwrap_err();
            assert_eq!((fault.sqlstate, fault.severity), (sqlstate, super::super::fault::Severity::Fatal), "{body:?}");
        }
    }

    #[tokio::test]
    async fn encryption_requests_are_refused_without_tls_and_a_startup_follows() {
        let (mut client, server) = tokio::io::duplex(1024);
        let task = tokio::spawn(negotiate(server, None, false));
        for code in [GSS_CODE, SSL_CODE] {
            client.write_all(&packet(&code.to_be_bytes())).await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'N');
        }
        client.write_all(&packet(&startup(196_608, &[("user", "u")]))).await.unwrap();
        let (_, wanted) = task.await.unwrap().unwrap();
        assert!(matches!(wanted, Ok(Wanted::Session(s)) if s.user == "u"));
    }

    #[tokio::test]
    async fn a_second_request_for_encryption_is_refused() {
        let (mut client, server) = tokio::io::duplex(1024);
        let task = tokio::spawn(negotiate(server, None, false));
        let ssl = packet(&SSL_CODE.to_be_bytes());
        client.write_all(&[ssl.clone(), ssl].concat()).await.unwrap();
        let (_, wanted) = task.await.unwrap().unwrap();
        assert!(matches!(wanted, Err(fault) if fault.sqlstate == "08P01"));
    }

    #[tokio::test]
    async fn plain_bytes_behind_an_ssl_request_end_the_connection() {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()))
            .unwrap();
        let (mut client, server) = tokio::io::duplex(1024);
        let injected = [packet(&SSL_CODE.to_be_bytes()), packet(&startup(196_608, &[("user", "mallory")]))].concat();
        client.write_all(&injected).await.unwrap();
        let (_, wanted) = negotiate(server, Some(Arc::new(config)), false).await.unwrap();
        assert!(matches!(wanted, Err(fault) if fault.message.contains("unencrypted data")));
    }
}
