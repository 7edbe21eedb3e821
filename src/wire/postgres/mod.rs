//! The PostgreSQL protocol, server side (version 3.0 and 3.2).
//!
//! From the bytes up: [`transport`] (plain or TLS), [`frame`] (messages as bytes), [`startup`] (what the client wants),
//! [`auth`] and [`login`] (who it is), [`connection`] (the loop) with [`simple`], [`extended`] and [`bulk`] (what a
//! client may ask), [`rows`] and [`copy`] (result sets and bulk data), [`types`], [`encode`] and [`params`] (values). [`relay`] is the way
//! of a client in front of an upstream.
//! Control messages are pgwire's; framing, decoding of client messages and the loop are ours.

mod auth;
mod bulk;
mod connection;
mod copy;
mod datetime;
mod encode;
mod extended;
mod fault;
mod float;
mod frame;
mod fuzz;
mod login;
mod message;
mod numeric;
mod params;
mod portals;
mod relay;
mod rows;
mod simple;
mod startup;
mod transport;
mod types;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

pub use fuzz::fuzz_decode;

use connection::Connection;
use fault::{Fault, Stop};
use frame::Link;
use startup::Wanted;
use transport::Transport;

use super::{Context, Leg};

/// Serves one client until it leaves or is told to. An error is the transport's and concerns no other connection.
pub async fn serve(stream: Leg, peer: SocketAddr, context: Arc<Context>) -> io::Result<()> {
    serve_stream(stream, peer, context).await
}

/// The same over any stream.
pub async fn serve_stream<S>(stream: S, peer: SocketAddr, context: Arc<Context>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let opened = tokio::select! {
        biased;
        _ = context.drain.cancelled() => return Ok(()),
        // In a box: what the login took is given back.
        opened = in_login_time(&context, Box::pin(open(stream, peer, &context))) => opened,
    };
    match opened? {
        // Each apart: what one needs the other does not hold.
        Opened::Session(connection, user) => Box::pin(connection.run(&user)).await,
        Opened::Relay(relay) => relay.run().await,
        Opened::Ended => Ok(()),
    }
}

/// What a connection has become.
enum Opened<S> {
    /// A client of ours, and who it is.
    Session(Box<Connection<Transport<S>>>, String),
    /// A client of the upstream.
    Relay(Box<relay::Relay<S>>),
    /// It has ended in order.
    Ended,
}

/// Ends `work` when it takes longer than a client may from connecting to being authenticated.
async fn in_login_time<T>(context: &Context, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match context.instance.config().limits.login_timeout.limit() {
        Some(limit) => tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not log in in time"))),
        None => work.await,
    }
}

/// Everything up to the session.
async fn open<S>(stream: S, peer: SocketAddr, context: &Arc<Context>) -> io::Result<Opened<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let upstream = context.upstreams.postgres.as_ref();
    let (mut link, wanted) = match startup::negotiate(stream, context.tls.clone(), upstream.is_some()).await {
        Ok(negotiated) => negotiated,
        Err(Stop::Gone(error)) => return Err(error),
        Err(Stop::Fault(fault)) => return Err(io::Error::new(io::ErrorKind::InvalidData, fault.message)),
    };
    let startup = match wanted {
        Ok(Wanted::Session(startup)) => startup,
        Ok(Wanted::Cancel { id, secret }) => {
            if let Some(upstream) = upstream {
                relay::cancel((id, secret), peer, link.stream().is_tls(), upstream, &context.instance).await;
            } else if let Some(secret) = login::secret_of(&secret) {
                context.instance.sessions.cancel(id, secret);
            }
            link.close().await;
            return Ok(Opened::Ended);
        }
        Ok(Wanted::Relay(packet)) => {
            let Some(upstream) = upstream else { return Ok(Opened::Ended) };
            let relay = relay::open(link, packet, peer, upstream, context).await?;
            return Ok(relay.map_or(Opened::Ended, Opened::Relay));
        }
        Ok(Wanted::Nothing) => return Ok(Opened::Ended),
        Err(fault) => {
            end(&mut link, fault).await;
            return Ok(Opened::Ended);
        }
    };
    let user = startup.user.clone();
    match login::login(&mut link, startup, peer, context).await {
        Ok(session) => {
            let config = context.instance.config();
            let limits = &config.limits;
            link.max = limits.message_bytes.as_usize();
            let connection = Connection::new(link, session, context.drain.clone(), limits.idle_timeout.limit());
            Ok(Opened::Session(Box::new(connection), user))
        }
        Err(Stop::Fault(fault)) => {
            end(&mut link, fault).await;
            Ok(Opened::Ended)
        }
        Err(Stop::Gone(error)) => Err(error),
    }
}

/// Tells the client why the connection ends, and ends it.
async fn end<S: AsyncRead + AsyncWrite + Unpin>(link: &mut Link<S>, fault: Fault) {
    fault.into_fatal().encode(&mut link.output);
    link.close().await;
}
