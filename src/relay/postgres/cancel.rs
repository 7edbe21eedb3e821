//! CancelRequest: to the upstream, and to the local statement that runs on the connection it names.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use dashmap::DashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::Level;

use super::connect::connect;
use crate::node::Node;
use crate::telemetry::connection_span;
use crate::upstream::Upstream;

/// How long the upstream may take to end the connection of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take before a local statement is stopped all the same.
const UPSTREAM_FIRST: Duration = Duration::from_secs(1);
const CANCEL_CODE: u32 = 80_877_102;

/// Relayed connections by the key that the upstream has given to their clients: process id and secret, as in
/// BackendKeyData.
static RELAYED: LazyLock<DashMap<Bytes, Arc<Cancellable>>> = LazyLock::new(DashMap::new);

/// What a CancelRequest may stop here.
#[derive(Default)]
pub struct Cancellable {
    /// A local statement runs.
    running: AtomicBool,
    /// Id and secret of the session.
    session: OnceLock<(u32, u32)>,
    /// Where the connection goes to: another than that of new connections when the configuration has changed.
    upstream: Option<Arc<Upstream>>,
}

impl Cancellable {
    /// Of a connection to `upstream`.
    pub fn of(upstream: Arc<Upstream>) -> Cancellable {
        Cancellable { upstream: Some(upstream), ..Cancellable::default() }
    }

    /// From now on a local statement runs, in the session of this id and secret, until the guard is dropped.
    pub fn begin(self: &Arc<Self>, session: (u32, u32)) -> Running {
        self.session.get_or_init(|| session);
        self.running.store(true, Ordering::Relaxed);
        Running(Arc::clone(self))
    }
}

/// A local statement runs.
pub struct Running(Arc<Cancellable>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Relaxed);
    }
}

/// A relayed connection can be found by its key until this is dropped.
pub struct Registered(Bytes);

impl Registered {
    /// `key`: the body of BackendKeyData.
    pub fn new(key: Bytes, local: Arc<Cancellable>) -> Registered {
        RELAYED.insert(key.clone(), local);
        Registered(key)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        RELAYED.remove(&self.0);
    }
}

/// Does what a CancelRequest asks for. It has no answer but the end of the connection.
pub async fn cancel((id, secret): (u32, Bytes), peer: SocketAddr, client_tls: bool, upstream: &Upstream, node: &Node) {
    let mut key = BytesMut::new();
    key.put_u32(id);
    key.put_slice(&secret);
    let local = RELAYED.get(&key[..]).map(|local| Arc::clone(&local));
    let upstream = local.as_ref().and_then(|local| local.upstream.as_deref()).unwrap_or(upstream);
    if let Some(local) = local.as_ref().filter(|local| local.running.load(Ordering::Relaxed)) {
        // It may wait for the upstream. That is told first: told later, it might stop what takes the statement back.
        let done = tokio::time::timeout(UPSTREAM_FIRST, pass(&key, peer, client_tls, upstream)).await;
        if let Ok(Err(error)) = done {
            not_reached(upstream, &error);
        }
        if let Some((id, secret)) = local.session.get() {
            node.sessions.cancel(*id, *secret);
        }
        return;
    }
    let done = tokio::time::timeout(PATIENCE, pass(&key, peer, client_tls, upstream)).await;
    if let Ok(Err(error)) = done {
        not_reached(upstream, &error);
    }
}

fn not_reached(upstream: &Upstream, error: &io::Error) {
    connection_span::log(Level::WARN, || tracing::warn!(%upstream, %error, "a cancel request did not reach the upstream"));
}

async fn pass(key: &[u8], peer: SocketAddr, client_tls: bool, upstream: &Upstream) -> io::Result<()> {
    let mut stream = connect(upstream, peer, client_tls).await.map_err(|failed| failed.cause)?;
    let mut packet = BytesMut::new();
    packet.put_u32(key.len() as u32 + 8);
    packet.put_u32(CANCEL_CODE);
    packet.put_slice(key);
    stream.write_all(&packet).await?;
    stream.flush().await?;
    // The end says that the signal was sent; the client waits for it too.
    let _ = stream.read(&mut [0]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_found_as_long_as_it_lives() {
        let key = Bytes::from_static(b"\0\0\x12\x34secret of this test");
        let local = Arc::new(Cancellable::default());
        let registered = Registered::new(key.clone(), Arc::clone(&local));
        assert!(RELAYED.contains_key(&key));
        let running = local.begin((1, 2));
        assert!(local.running.load(Ordering::Relaxed));
        drop(running);
        assert!(!local.running.load(Ordering::Relaxed));
        drop(registered);
        assert!(!RELAYED.contains_key(&key));
    }
}
