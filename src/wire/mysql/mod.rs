//! The MySQL protocol, server side. It knows packets and nothing about flashback.
//!
//! From the wire inwards, each file on those before it:
//!
//! - `packet`: framing, I/O-free; `connection`: messages over a stream; `codec`, `charset`, `value`: what packets are made of.
//! - `handshake`, `auth`: greeting and passwords, I/O-free; `login`: from the first byte to a session, TLS included.
//! - `command`: a packet becomes a command; `params`: the parameters of an execution; `binary_literal`: byte strings in text.
//! - `column`, `cells`, `text`, `binary`, `result`: what the client gets; `local_infile`: the file it sends.
//! - `dispatch`, `query`, `prepared`: one client's commands, within the `limits` of the configuration.
//!
//! mysql_common gives the constants; opensrv-mysql is not used (docs/decisions).

pub(crate) mod auth;
pub(crate) mod binary;
pub(crate) mod binary_literal;
pub(crate) mod cells;
pub(crate) mod charset;
pub(crate) mod codec;
pub(crate) mod codes;
pub(crate) mod column;
pub(crate) mod command;
pub(crate) mod connection;
pub(crate) mod dispatch;
pub(crate) mod fuzz;
pub(crate) mod handshake;
pub(crate) mod limits;
pub(crate) mod local_infile;
pub(crate) mod login;
pub(crate) mod packet;
pub(crate) mod params;
pub(crate) mod prepared;
pub(crate) mod query;
pub(crate) mod result;
pub(crate) mod statistics;
pub(crate) mod text;
pub(crate) mod value;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

pub use fuzz::fuzz_decode;
pub use login::serve_stream;

use super::{ClientStream, Context};

/// The version that the greeting names: clients choose what they may ask by it.
pub const SERVER_VERSION: &str = "8.0.40-flashgate";

/// Serves one client until it goes, is killed or the server drains.
pub async fn serve(stream: ClientStream, peer: SocketAddr, context: Arc<Context>) -> io::Result<()> {
    Box::pin(serve_stream(stream, peer.ip().to_string(), context)).await
}
