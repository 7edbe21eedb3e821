//! A statement of ours runs with the client's connection to the upstream lent to it.

use std::io;

use mysql_common::constants::CapabilityFlags as Caps;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::executor::Executor;
use crate::upstream::{Requests, Stream, upstream_handle};
use crate::wire::mysql::connection::Connection;
use crate::wire::mysql::dispatch::Served;

/// Lends the upstream to the statement that `served` runs next: gives the requests that it makes, the executor that answers
/// them, and what ends that. It is given back with `Session::end_upstream_loan`.
pub(super) fn lend<'a, S>(
    served: &mut Served<S>,
    (connection, capabilities, status): (&'a mut Connection<Stream>, Caps, u16),
) -> io::Result<(Requests, Executor<'a>, CancellationToken)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (upstream, requests, over) = upstream_handle();
    let zone = served.zone().map_err(io::Error::other)?;
    let charsets = (served.charset, served.results);
    served.session.lend_upstream(upstream);
    Ok((requests, Executor::new(connection, capabilities, status, charsets, zone), over))
}
