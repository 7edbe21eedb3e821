//! The PostgreSQL protocol, server side (version 3.0 and 3.2).
//!
//! From the bytes up: [`transport`](crate::wire::transport) (plain or TLS), [`frame`] (messages as bytes), [`startup`] (what the client wants),
//! [`auth`] and [`login`] (authentication), [`connection`] (the loop) with [`simple`], [`extended`] and [`bulk`] (what a
//! client may ask), [`rows`] and [`copy`] (result sets and bulk data), [`types`], [`encode`] and [`params`] (values).
//! Control messages are pgwire's; framing, decoding of client messages and the loop are ours.

pub(crate) mod auth;
pub(crate) mod bulk;
pub(crate) mod connection;
pub(crate) mod copy;
pub(crate) mod datetime;
pub(crate) mod encode;
pub(crate) mod extended;
pub(crate) mod fault;
pub(crate) mod float;
pub(crate) mod frame;
pub(crate) mod fuzz;
pub(crate) mod login;
pub(crate) mod message;
pub(crate) mod numeric;
pub(crate) mod params;
pub(crate) mod portals;
pub(crate) mod rows;
pub(crate) mod simple;
pub(crate) mod startup;
pub(crate) mod types;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

pub use fuzz::fuzz_decode;

use crate::wire::transport::Transport;
use connection::Connection;
use fault::{Fault, Stop};
use frame::Link;
use startup::Wanted;

use super::{ClientStream, Context};

/// Serves one client until it disconnects or the server ends the connection. An error is the transport's and concerns no other
/// connection.
pub async fn serve(stream: ClientStream, peer: SocketAddr, context: Arc<Context>) -> io::Result<()> {
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
        // In a box of its own: it does not hold what the login needed.
        Some((connection, user)) => Box::pin(connection.run(&user)).await,
        None => Ok(()),
    }
}

/// Ends `work` when it takes longer than a client may from connecting to being authenticated.
pub async fn in_login_time<T>(context: &Context, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match context.node.config().limits.login_timeout.limit() {
        Some(limit) => tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not log in in time"))),
        None => work.await,
    }
}

/// A connection over the client's stream, and the user's name.
type Opened<S> = (Box<Connection<Transport<S>>>, String);

/// Everything up to the session. None: the connection has ended in order.
async fn open<S>(stream: S, peer: SocketAddr, context: &Arc<Context>) -> io::Result<Option<Opened<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut link, wanted) = negotiated(startup::negotiate(stream, context.tls.clone(), false).await)?;
    let startup = match wanted {
        Ok(Wanted::Session(startup)) => startup,
        Ok(Wanted::Cancel { id, secret }) => {
            if let Some(secret) = login::secret_of(&secret) {
                context.node.sessions.cancel(id, secret);
            }
            link.close().await;
            return Ok(None);
        }
        Ok(Wanted::Relay(_) | Wanted::Nothing) => return Ok(None),
        Err(fault) => {
            end(&mut link, fault).await;
            return Ok(None);
        }
    };
    let user = startup.user.clone();
    match login::login(&mut link, startup, peer, context).await {
        Ok(session) => {
            let config = context.node.config();
            let limits = &config.limits;
            link.max = limits.message_bytes.as_usize();
            let connection = Connection::new(link, session, context.drain.clone(), limits.idle_timeout.limit());
            Ok(Some((Box::new(connection), user)))
        }
        Err(Stop::Fault(fault)) => {
            end(&mut link, fault).await;
            Ok(None)
        }
        Err(Stop::Gone(error)) => Err(error),
    }
}

/// What a negotiation has come to; its errors are the transport's.
pub fn negotiated<T>(outcome: Result<T, Stop>) -> io::Result<T> {
    outcome.map_err(|stop| match stop {
        Stop::Gone(error) => error,
        Stop::Fault(fault) => io::Error::new(io::ErrorKind::InvalidData, fault.message),
    })
}

/// Tells the client why the connection ends, and ends it.
pub async fn end<S: AsyncRead + AsyncWrite + Unpin>(link: &mut Link<S>, fault: Fault) {
    fault.into_fatal().encode(&mut link.output);
    link.close().await;
}
