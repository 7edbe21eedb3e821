//! The MySQL protocol, server side. It knows packets and nothing about flashback.
//!
//! From the wire inwards, each file on those before it:
//!
//! - `packet`: framing, I/O-free; `connection`: messages over a stream; `codec`, `charset`, `value`: what packets are made of.
//! - `handshake`, `auth`: greeting and passwords, I/O-free; `login`: from the first byte to a session, TLS included.
//! - `command`: a packet becomes a command; `params`: the parameters of an execution; `binary_literal`: byte strings in text.
//! - `column`, `cells`, `text`, `binary`, `result`: what the client gets; `local_infile`: the file it sends.
//! - `dispatch`, `query`, `prepared`: one client's commands, within the `limits` of the configuration.
//! - `relay`: the same in front of an upstream, which answers what is not ours.
//!
//! mysql_common gives the constants; opensrv-mysql is not used (docs/decisions).

mod auth;
mod binary;
mod binary_literal;
mod cells;
mod charset;
mod codec;
mod column;
mod command;
mod connection;
mod dispatch;
mod fuzz;
mod handshake;
mod limits;
mod local_infile;
mod login;
mod packet;
mod params;
mod prepared;
mod query;
mod relay;
mod result;
mod statistics;
mod text;
mod value;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

pub use fuzz::fuzz_decode;
pub use login::serve_stream;

use super::{Context, Leg};

/// The version that the greeting names: clients choose what they may ask by it.
pub const SERVER_VERSION: &str = "8.0.40-flashgate";

/// Serves one client until it goes, is killed or the server drains.
pub async fn serve(stream: Leg, peer: SocketAddr, context: Arc<Context>) -> io::Result<()> {
    match context.upstreams.mysql.clone() {
        // In boxes, so that a connection takes the memory of its own kind alone.
        Some(upstream) => Box::pin(relay::serve(stream, peer, context, upstream)).await,
        None => Box::pin(serve_stream(stream, peer.ip().to_string(), context)).await,
    }
}
