//! The client's TCP stream, which ends when nothing of what is sent is taken for too long.
//!
//! Lies below TLS and all that is written, relayed or not. A client that takes a little now and then is never cut.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::sockets::Tcp;
use crate::telemetry::connection_span;

/// A client's stream.
pub struct ClientStream {
    stream: Tcp,
    /// How long a write may wait.
    limit: Option<Duration>,
    /// Armed when a write first had to wait, and again as long as something moves: so a silence is noticed between the
    /// limit and twice the limit, and a busy connection costs one timer in that time.
    watch: Option<Pin<Box<Sleep>>>,
    /// Something was taken since the watch was armed.
    moved: bool,
}

impl ClientStream {
    /// `limit`: how long a write may wait; None: for ever.
    pub fn new(stream: TcpStream, limit: Option<Duration>) -> ClientStream {
        ClientStream { stream: Tcp::new(stream), limit, watch: None, moved: false }
    }

    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.moved = true;
            return outcome;
        }
        let Some(limit) = self.limit else { return Poll::Pending };
        if self.watch.is_none() {
            self.moved = false;
        }
        let watch = self.watch.get_or_insert_with(|| Box::pin(sleep(limit)));
        loop {
            ready!(watch.as_mut().poll(cx));
            if !std::mem::take(&mut self.moved) {
                let limit_ms = limit.as_millis() as u64;
                let _own = connection_span::span().entered();
                tracing::info!(limit_ms, "the client takes nothing of what is sent to it; its connection ends (limits.write_timeout)");
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")));
            }
            watch.as_mut().reset(Instant::now() + limit);
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair(limit: Duration) -> (ClientStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (ClientStream::new(server, Some(limit)), client)
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (mut client_stream, _client) = pair(Duration::from_millis(100)).await;
        let writing = tokio::time::timeout(Duration::from_secs(20), client_stream.write_all(&vec![7; 64 << 20])).await;
        assert_eq!(writing.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_gets_all_of_it() {
        let limit = Duration::from_millis(300);
        let (mut client_stream, mut client) = pair(limit).await;
        let reading = tokio::spawn(async move {
            let (mut got, mut buffer) = (0, vec![0; 2 << 20]);
            loop {
                match client.read(&mut buffer).await.unwrap() {
                    0 => return got,
                    n => got += n,
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        });
        let started = Instant::now();
        client_stream.write_all(&vec![7; 64 << 20]).await.unwrap();
        client_stream.shutdown().await.unwrap();
        assert_eq!(reading.await.unwrap(), 64 << 20);
        assert!(started.elapsed() > 2 * limit, "it was slow enough for the limit to matter");
    }
}
