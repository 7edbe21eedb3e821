//! Connections to the database behind the proxy: where it is, how the way there is encrypted, and what a local statement
//! may ask of a connection.
//!
//! It opens streams and knows no protocol: how TLS is asked for on a stream is the wires' affair.

mod handle;
mod hidden;
mod stream;
mod verify;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tracing::Instrument;

use crate::config::{self, ConfigError, UpstreamTls};
use crate::{proxy_protocol, sockets, telemetry};

pub use handle::{
    Done, HotColumn, InsertText, MYSQL_COMMIT, MYSQL_ROLLBACK, Request, Requests, UpstreamHandle, run_with_executor, upstream_handle,
};
pub use hidden::HiddenNames;
pub use stream::Stream;

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    /// `ip`: the host is written as an address.
    Tcp {
        host: String,
        ip: Option<IpAddr>,
        port: u16,
    },
    Unix(PathBuf),
}

/// A database behind the proxy.
pub struct Upstream {
    address: Address,
    tls: UpstreamTls,
    connector: TlsConnector,
    timeout: Option<Duration>,
    sockets: sockets::Settings,
    /// Connections begin with a PROXY header.
    announces: bool,
    /// Clients may be let in because the upstream sees Flashgate's own user at the other end of the socket.
    allows_peer_logins: bool,
    connects: telemetry::Connects,
    /// When somebody was last let through.
    reached: Mutex<Option<Instant>>,
}

impl Upstream {
    /// What the configuration names; None: no upstream. `key` is its section, `port` the one when none is named.
    /// `allows_peer_logins`: see [`Upstream::peer_login`].
    pub fn open(
        config: &config::Upstream,
        key: &str,
        port: u16,
        alpn: &[&[u8]],
        sockets: sockets::Settings,
        allows_peer_logins: bool,
    ) -> Result<Option<Arc<Upstream>>, ConfigError> {
        if !config.is_set() {
            return Ok(None);
        }
        let address = parse_address(&config.address, port)
            .ok_or_else(|| ConfigError(format!("{key}.address '{}' is neither host:port nor the path of a socket", config.address)))?;
        let connector = connector(config, key, alpn)?;
        let protocol = if key == "upstream.mysql" { "mysql" } else { "postgres" };
        Ok(Some(Arc::new(Upstream {
            address,
            tls: config.tls,
            connector,
            timeout: config.connect_timeout.limit(),
            sockets,
            announces: config.proxy_protocol,
            allows_peer_logins,
            connects: telemetry::Connects::new(protocol),
            reached: Mutex::new(None),
        })))
    }

    /// What comes over it cannot be read on the way.
    pub fn is_local(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    /// Must a login be looked at that the upstream may have granted to Flashgate's own user, whom it sees at the other end of
    /// a Unix socket, instead of to the client?
    pub fn peer_login(&self) -> bool {
        self.is_local() && !self.allows_peer_logins
    }

    /// It is on this machine: nobody stands between.
    pub fn is_near(&self) -> bool {
        match &self.address {
            Address::Unix(_) => true,
            Address::Tcp { host, ip, .. } => host == "localhost" || ip.is_some_and(|ip| ip.to_canonical().is_loopback()),
        }
    }

    /// Is the connection to the upstream to be encrypted, when the client's own connection is as said? A socket file never is.
    pub fn encryption_for(&self, client: bool) -> Encryption {
        match self.tls {
            _ if self.is_local() => Encryption::Plain,
            UpstreamTls::Disabled => Encryption::Plain,
            UpstreamTls::Preferred if client => Encryption::IfOffered,
            UpstreamTls::Preferred => Encryption::Plain,
            UpstreamTls::Required | UpstreamTls::VerifyCa | UpstreamTls::VerifyFull => Encryption::Required,
        }
    }

    /// Connects, unencrypted, on behalf of Flashgate itself.
    pub async fn connect(&self) -> io::Result<Stream> {
        self.reach(None).await
    }

    /// Connects, unencrypted, on behalf of a client.
    pub async fn connect_for(&self, client: SocketAddr) -> io::Result<Stream> {
        self.reach(Some(client)).await
    }

    async fn reach(&self, client: Option<SocketAddr>) -> io::Result<Stream> {
        let began = Instant::now();
        let connecting = async {
            let mut stream = match &self.address {
                Address::Tcp { host, ip, port } => {
                    let stream = match ip {
                        Some(ip) => TcpStream::connect(SocketAddr::new(*ip, *port)).await?,
                        None => TcpStream::connect((host.as_str(), *port)).await?,
                    };
                    self.sockets.apply(&stream)?;
                    Stream::Tcp(sockets::Tcp::new(stream))
                }
                Address::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
            };
            if self.announces {
                let far = if let Stream::Tcp(stream) = &stream { stream.socket().peer_addr().ok() } else { None };
                stream.write_all(&proxy_protocol::header(client, far)).await?;
            }
            Ok(stream)
        };
        let connected = match self.timeout {
            Some(limit) => {
                let late = |_| io::Error::new(io::ErrorKind::TimedOut, "connecting took too long");
                tokio::time::timeout(limit, connecting).await.map_err(late).flatten()
            }
            None => connecting.await,
        };
        self.connects.ended(connected.is_ok(), began.elapsed());
        if connected.is_ok() {
            *self.reached.lock() = Some(Instant::now());
        }
        connected
    }

    /// Somebody was let through not longer than this ago.
    pub fn reached_within(&self, time: Duration) -> bool {
        self.reached.lock().is_some_and(|at| at.elapsed() < time)
    }

    /// Encrypts a stream on which both sides have agreed to.
    pub async fn secure(&self, stream: Stream) -> io::Result<Stream> {
        let name = match &self.address {
            Address::Tcp { ip: Some(ip), .. } => ServerName::IpAddress((*ip).into()),
            Address::Tcp { host, .. } => ServerName::try_from(host.clone()).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?,
            Address::Unix(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket file has no TLS")),
        };
        Ok(Stream::Tls(Box::new(self.connector.connect(name, stream).instrument(telemetry::connection_span::span()).await?)))
    }
}

impl std::fmt::Display for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.address {
            Address::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// What is wished of the connection to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    Plain,
    /// TLS where the upstream offers it.
    IfOffered,
    /// TLS, or no connection.
    Required,
}

fn parse_address(address: &str, port: u16) -> Option<Address> {
    if address.starts_with('/') {
        return Some(Address::Unix(address.into()));
    }
    let (host, port) = match address.rsplit_once(':') {
        // An IPv6 address without brackets has colons of its own.
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => (address, port),
        Some((host, text)) => (host, text.parse().ok().filter(|port| *port != 0)?),
        None => (address, port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plausible = !host.is_empty() && !host.contains(['/', ' ']);
    plausible.then(|| Address::Tcp { host: host.to_owned(), ip: host.parse().ok(), port })
}

fn connector(config: &config::Upstream, key: &str, alpn: &[&[u8]]) -> Result<TlsConnector, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| ConfigError(format!("TLS: {e}")))?;
    let roots = || verify::authorities(&config.ca).map_err(|cause| ConfigError(format!("{key}.ca: {cause}")));
    let mut client = match config.tls {
        UpstreamTls::VerifyFull => builder.with_root_certificates(roots()?),
        UpstreamTls::VerifyCa => {
            let check = verify::Chain::new(roots()?, provider).map_err(|cause| ConfigError(format!("{key}.ca: {cause}")))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(check))
        }
        UpstreamTls::Disabled | UpstreamTls::Preferred | UpstreamTls::Required => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verify::Any::new(provider)))
        }
    }
    .with_no_client_auth();
    client.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(client)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_or_without_a_port_or_a_path() {
        let tcp = |host: &str, port| Some(Address::Tcp { host: host.into(), ip: host.parse().ok(), port });
        for (text, want) in [
            ("db", tcp("db", 3306)),
            ("db.example:3307", tcp("db.example", 3307)),
            ("10.0.0.1:1", tcp("10.0.0.1", 1)),
            ("::1", tcp("::1", 3306)),
            ("[::1]:5", tcp("::1", 5)),
            ("/run/my.sock", Some(Address::Unix("/run/my.sock".into()))),
            ("db:", None),
            ("db:0", None),
            ("db:x", None),
            (":3306", None),
            ("mysql://db", None),
        ] {
            assert_eq!(parse_address(text, 3306), want, "{text}");
        }
    }

    #[test]
    fn preferred_follows_the_client_and_a_socket_is_never_encrypted() {
        let open = |address: &str, tls| {
            let config = config::Upstream { address: address.into(), tls, ..config::Upstream::default() };
            Upstream::open(&config, "upstream.mysql", 3306, &[], sockets::Settings::default(), false).unwrap().unwrap()
        };
        assert_eq!(open("db", UpstreamTls::Preferred).encryption_for(true), Encryption::IfOffered);
        assert_eq!(open("db", UpstreamTls::Preferred).encryption_for(false), Encryption::Plain);
        assert_eq!(open("db", UpstreamTls::Required).encryption_for(false), Encryption::Required);
        assert_eq!(open("db", UpstreamTls::Disabled).encryption_for(true), Encryption::Plain);
        assert_eq!(open("/s", UpstreamTls::Required).encryption_for(true), Encryption::Plain);
    }
}
