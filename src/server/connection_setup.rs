//! From an accepted connection to its wire: who a load balancer speaks for, the configuration of now.

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
            // In boxes, so that a connection takes the memory of its own kind alone.
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

/// Why a connection from a trusted network is not let in.
enum Failed {
    /// It closed, or the server stops.
    Gone,
    Late,
    Malformed(Malformed),
}

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Failed {
        Failed::Gone
    }
}

impl From<Malformed> for Failed {
    fn from(malformed: Malformed) -> Failed {
        Failed::Malformed(malformed)
    }
}

/// The stream behind its PROXY header, if there is to be one, and the client's address. None: it was sent away.
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
            header = timeout(config.limits.login_timeout.0, announced(&mut stream)) => header.unwrap_or(Err(Failed::Late)),
            () = context.drain.cancelled() => Err(Failed::Gone),
        };
        match header {
            Ok(Announced::Client(address)) => client = SocketAddr::new(address.ip().to_canonical(), address.port()),
            Ok(Announced::Sender) => {}
            // A load balancer that looks whether somebody listens.
            Err(Failed::Gone) => return Ok(None),
            Err(failed) => {
                let why = match failed {
                    Failed::Malformed(malformed) => malformed.0,
                    _ => "no whole PROXY header came in time",
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

async fn announced(stream: &mut TcpStream) -> Result<Announced, Failed> {
    let mut bytes = Vec::new();
    loop {
        match proxy_protocol::read(&bytes)? {
            Step::Done(announced) => return Ok(announced),
            // Not one byte of what follows is taken.
            Step::More(n) => {
                let more = (&mut *stream).take(n as u64).read_buf(&mut bytes).await?;
                if more == 0 {
                    return Err(Failed::Gone);
                }
            }
        }
    }
}
