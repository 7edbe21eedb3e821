//! From an accepted connection to its protocol: reads the PROXY header, if one is due, and takes the configuration in force.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::Level;

use crate::error::{Error, Kind};
use crate::proxy_protocol::{self, Announced, Malformed, Step};
use crate::relay;
use crate::telemetry::connection_span;
use crate::types::Protocol;
use crate::wire::{self, ClientStream, Context, refuse};

/// Serves a client of the MySQL protocol.
pub(super) async fn mysql(stream: TcpStream, peer: SocketAddr, context: Arc<Context>) -> io::Result<()> {
    match open(stream, peer, Protocol::MySql, &context).await? {
        Some((stream, client)) => match context.upstreams.mysql.clone() {
            // Boxed, so that a connection takes only the memory that its own kind needs.
            Some(upstream) => Box::pin(relay::mysql::serve(stream, client, context, upstream)).await,
            None => Box::pin(wire::mysql::serve(stream, client, context)).await,
        },
        None => Ok(()),
    }
}

/// Serves a client of the PostgreSQL protocol.
pub(super) async fn postgres(stream: TcpStream, peer: SocketAddr, context: Arc<Context>) -> io::Result<()> {
    match open(stream, peer, Protocol::Postgres, &context).await? {
        Some((stream, client)) => match context.upstreams.postgres.clone() {
            Some(upstream) => Box::pin(relay::postgres::serve(stream, client, context, upstream)).await,
            None => Box::pin(wire::postgres::serve(stream, client, context)).await,
        },
        None => Ok(()),
    }
}

/// Why no PROXY header was read.
enum Failed {
    /// The peer closed, or the server stops.
    Closed,
    /// `limits.login_timeout` passed.
    TimedOut,
    Malformed(Malformed),
}

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Failed {
        Failed::Closed
    }
}

impl From<Malformed> for Failed {
    fn from(malformed: Malformed) -> Failed {
        Failed::Malformed(malformed)
    }
}

/// The stream after its PROXY header, if one is due, and the client's address. None: the connection is closed or refused.
async fn open(
    mut stream: TcpStream,
    peer: SocketAddr,
    protocol: Protocol,
    context: &Context,
) -> io::Result<Option<(ClientStream, SocketAddr)>> {
    let config = context.node.config();
    let mut client = peer;
    if config.listen.proxy_protocol.contain(peer.ip()) {
        let header = tokio::select! {
            header = timeout(config.limits.login_timeout.0, read_proxy_header(&mut stream)) => header.unwrap_or(Err(Failed::TimedOut)),
            () = context.drain.cancelled() => Err(Failed::Closed),
        };
        match header {
            Ok(Announced::Client(address)) => client = SocketAddr::new(address.ip().to_canonical(), address.port()),
            Ok(Announced::Sender) => {}
            // The health check of a load balancer connects and closes.
            Err(Failed::Closed) => return Ok(None),
            Err(failed) => {
                let why = match failed {
                    Failed::Malformed(malformed) => malformed.0,
                    _ => "no complete PROXY header arrived in time (limits.login_timeout)",
                };
                connection_span::log(Level::WARN, || {
                    tracing::warn!(why, "a connection from a network of listen.proxy_protocol was refused")
                });
                let error = Error::new(Kind::Protocol, format!("Bad handshake: {why}"));
                match protocol {
                    Protocol::MySql => refuse::mysql(stream, &error).await?,
                    Protocol::Postgres => refuse::postgres_at_once(stream, &error).await?,
                }
                return Ok(None);
            }
        }
        if client != peer {
            connection_span::speaks_for(client);
        }
    }
    Ok(Some((ClientStream::new(stream, config.limits.write_timeout.limit()), client)))
}

async fn read_proxy_header(stream: &mut TcpStream) -> Result<Announced, Failed> {
    let mut bytes = Vec::new();
    loop {
        match proxy_protocol::read(&bytes)? {
            Step::Done(announced) => return Ok(announced),
            // Never reads past the header: the next byte belongs to the protocol.
            Step::More(n) => {
                let more = (&mut *stream).take(n as u64).read_buf(&mut bytes).await?;
                if more == 0 {
                    return Err(Failed::Closed);
                }
            }
        }
    }
}
