//! A statement of ours runs with the client's connection to the upstream lent to it.

use std::io;

use mysql_common::constants::CapabilityFlags as Caps;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::super::connection::Connection;
use super::super::dispatch::Served;
use super::desk::Clerk;
use crate::upstream::{Desk, Stream, lane};

/// Lends the upstream to the statement that `served` runs next: gives the desk where it asks, the one who answers there,
/// and what closes it. It is given back with `Session::end_lane`.
pub(super) fn lend<'a, S>(
    served: &mut Served<S>,
    (upstream, capabilities, status): (&'a mut Connection<Stream>, Caps, u16),
) -> io::Result<(Desk, Clerk<'a>, CancellationToken)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (lane, desk, over) = lane();
    let zone = served.zone().map_err(io::Error::other)?;
    let charsets = (served.charset, served.results);
    served.session.lend_lane(lane);
    Ok((desk, Clerk::new(upstream, capabilities, status, charsets, zone), over))
}
