//! Bytes on their way to a stream that has not taken them yet. Both relays send through it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

/// What one stream is still to be sent. Between statements it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub bytes: BytesMut,
    /// Something was written since the last flush: TLS keeps it until then.
    unflushed: bool,
}

impl Outgoing {
    /// Everything was written; it may still have to be flushed.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Everything was written and flushed.
    pub fn is_done(&self) -> bool {
        self.bytes.is_empty() && !self.unflushed
    }

    /// Writes to `stream` what waits, and flushes.
    pub fn poll_send<W: AsyncWrite + Unpin>(&mut self, stream: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.bytes.is_empty() {
            while !self.bytes.is_empty() {
                let sent = ready!(Pin::new(&mut *stream).poll_write(cx, &self.bytes))?;
                if sent == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.bytes.advance(sent);
                self.unflushed = true;
            }
            self.bytes = BytesMut::new();
        }
        if self.unflushed {
            ready!(Pin::new(&mut *stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes `bytes` to `stream` after what waits already, and keeps what it does not take now.
    pub fn send<W: AsyncWrite + Unpin>(&mut self, stream: &mut W, cx: &mut Context<'_>, mut bytes: &[u8]) -> io::Result<()> {
        if self.bytes.is_empty() && !bytes.is_empty() {
            self.unflushed = true;
            if let Poll::Ready(sent) = Pin::new(&mut *stream).poll_write(cx, bytes) {
                bytes = &bytes[sent?..];
            }
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, duplex};

    #[tokio::test]
    async fn what_a_slow_reader_does_not_take_comes_later_and_in_order() {
        let (mut near, mut far) = duplex(4);
        let mut outgoing = Outgoing::default();
        std::future::poll_fn(|cx| {
            outgoing.send(&mut near, cx, b"abcdef").unwrap();
            outgoing.send(&mut near, cx, b"gh").unwrap();
            Poll::Ready(())
        })
        .await;
        assert_eq!(&outgoing.bytes[..], b"efgh");
        let mut got = [0; 8];
        let sending = std::future::poll_fn(|cx| outgoing.poll_send(&mut near, cx));
        let (sent, read) = tokio::join!(sending, far.read_exact(&mut got));
        sent.unwrap();
        read.unwrap();
        assert_eq!(&got, b"abcdefgh");
        assert!(outgoing.is_done());
    }
}
