//! Framing: messages in and out of a byte stream, without looking into them.
//!
//! Owns the two buffers of a connection. A length is checked before anything is allocated for it; a message that a
//! cancelled read left half-read stays in the buffer. Never knows what a message means (a relay passes [`Frame`]s on).

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::fault::{Fault, PROTOCOL_VIOLATION, Stop};

/// Longest packet before the connection is authenticated (PostgreSQL's MAX_STARTUP_PACKET_LENGTH).
pub const MAX_STARTUP_BYTES: usize = 10_000;
/// Longest message of a kind that carries no user data (PostgreSQL's PQ_SMALL_MESSAGE_LIMIT).
pub const MAX_SMALL_BYTES: usize = 10_000;
/// Output beyond this is sent before more is made.
pub const FLUSH_BYTES: usize = 64 * 1024;
/// What is read ahead of a running statement, while its client is watched.
const READ_AHEAD_BYTES: usize = 256 * 1024;
/// How long a connection that is to end waits for a client that does not read.
const LINGER: Duration = Duration::from_secs(1);

/// One message of the protocol: its kind byte and its body, without the length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub body: Bytes,
}

/// Takes one frame off the front of `input`; None: more bytes are needed. `max` bounds the body of kinds that carry
/// user data. An error means that the end of the message is unknown: the connection cannot go on.
pub fn take_frame(input: &mut BytesMut, max: usize) -> Result<Option<Frame>, Fault> {
    let Some(body) = frame_length(input, max)? else { return Ok(None) };
    if input.len() < 5 + body {
        return Ok(None);
    }
    let kind = input[0];
    input.advance(5);
    Ok(Some(Frame { kind, body: input.split_to(body).freeze() }))
}

/// The body length of the frame at the front of `input`, once its head is there.
fn frame_length(input: &[u8], max: usize) -> Result<Option<usize>, Fault> {
    let Some(&kind) = input.first() else { return Ok(None) };
    let limit = match kind {
        b'Q' | b'P' | b'B' | b'd' | b'F' => max,
        b'p' => 65_535,
        b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' => MAX_SMALL_BYTES,
        _ => return Err(Fault::fatal(PROTOCOL_VIOLATION, format!("invalid frontend message type {kind}"))),
    };
    let Some(length) = length_at(input, 1) else { return Ok(None) };
    match length.checked_sub(4) {
        None => Err(Fault::fatal(PROTOCOL_VIOLATION, format!("invalid message length {length}"))),
        Some(body) if body > limit => {
            Err(Fault::fatal("54000", format!("a message of {body} bytes is larger than the limit of {limit} bytes"))
                .with_hint("send less at once, or raise the limit on the message size"))
        }
        Some(body) => Ok(Some(body)),
    }
}

/// Takes one untagged packet (before the start of a session) off the front of `input`: the body after the length.
pub fn take_packet(input: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
    let Some(length) = length_at(input, 0) else { return Ok(None) };
    if !(8..=MAX_STARTUP_BYTES).contains(&length) {
        return Err(Fault::fatal(PROTOCOL_VIOLATION, "invalid length of startup packet"));
    }
    if input.len() < length {
        return Ok(None);
    }
    input.advance(4);
    Ok(Some(input.split_to(length - 4).freeze()))
}

fn length_at(input: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 4] = input.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes) as usize)
}

/// A connection's transport with its buffers.
pub struct Link<S> {
    stream: S,
    input: BytesMut,
    /// Messages on their way out; [`Link::flush`] sends them.
    pub output: BytesMut,
    /// Largest body of a message with user data, in bytes.
    pub max: usize,
    /// When it fires, writes get [`LINGER`] to end.
    pub closing: CancellationToken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// A link that has read `input` already.
    pub fn new(stream: S, input: BytesMut) -> Link<S> {
        Link { stream, input, output: BytesMut::new(), max: MAX_STARTUP_BYTES, closing: CancellationToken::new() }
    }

    /// The transport and what was read of it but not taken.
    pub fn into_parts(self) -> (S, BytesMut) {
        (self.stream, self.input)
    }

    /// Takes another transport and what was read of it; gives back the ones until now.
    pub fn exchange(&mut self, stream: S, input: BytesMut) -> (S, BytesMut) {
        (std::mem::replace(&mut self.stream, stream), std::mem::replace(&mut self.input, input))
    }

    /// The transport.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The bytes that were read but not taken.
    pub fn buffered(&self) -> &[u8] {
        &self.input
    }

    /// The kind of the next message, if it has been read whole.
    pub fn next_kind(&self) -> Option<u8> {
        let body = frame_length(&self.input, self.max).ok()??;
        (self.input.len() >= 5 + body).then(|| self.input[0])
    }

    /// Like [`Link::next_kind`], after taking in what the client has sent already; never waits.
    pub async fn next_kind_now(&mut self) -> io::Result<Option<u8>> {
        if self.next_kind().is_none()
            && let Some(read) = self.fill().now_or_never()
        {
            read?;
        }
        Ok(self.next_kind())
    }

    /// The next message; None when the client closed the connection between two. Cancel-safe.
    pub async fn frame(&mut self) -> Result<Option<Frame>, Stop> {
        loop {
            if let Some(frame) = take_frame(&mut self.input, self.max)? {
                return Ok(Some(frame));
            }
            if self.fill().await? == 0 {
                return self.ended().map(|()| None);
            }
        }
    }

    /// The next packet before the start of a session; None when the client closed the connection. Cancel-safe.
    pub async fn packet(&mut self) -> Result<Option<Bytes>, Stop> {
        loop {
            if let Some(packet) = take_packet(&mut self.input)? {
                return Ok(Some(packet));
            }
            if self.fill().await? == 0 {
                return self.ended().map(|()| None);
            }
        }
    }

    /// Reads until at least one byte is buffered; false when the client closed the connection first. Cancel-safe.
    pub async fn first_byte(&mut self) -> io::Result<bool> {
        Ok(!self.input.is_empty() || self.fill().await? > 0)
    }

    fn ended(&self) -> Result<(), Stop> {
        if self.input.is_empty() { Ok(()) } else { Err(Stop::Gone(io::ErrorKind::UnexpectedEof.into())) }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        // The buffer grows with what arrives, never with what a length field promises.
        self.input.reserve(8 * 1024);
        self.stream.read_buf(&mut self.input).await
    }

    /// Sends what is in `output`. Cancel-safe: what was sent is taken out.
    pub async fn flush(&mut self) -> io::Result<()> {
        let Link { stream, output, closing, .. } = self;
        let write = async {
            stream.write_all_buf(output).await?;
            stream.flush().await
        };
        tokio::select! {
            biased;
            result = write => result,
            _ = async { closing.cancelled().await; tokio::time::sleep(LINGER).await } => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Sends what is in `output` once it is large.
    pub async fn flush_if_large(&mut self) -> io::Result<()> {
        if self.output.len() >= FLUSH_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Waits until the client has closed the connection, reading ahead what it sends meanwhile. With the read-ahead
    /// full it waits for ever: then the client is known to live.
    pub async fn vanished(&mut self) -> io::Error {
        while self.input.len() < READ_AHEAD_BYTES {
            match self.fill().await {
                Ok(0) => return io::ErrorKind::ConnectionReset.into(),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        std::future::pending().await
    }

    /// Runs `work` as long as the client is there; with the client gone, `work` is dropped.
    pub async fn watching<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            error = self.vanished() => Err(Stop::Gone(error)),
        }
    }

    /// Ends the connection in order: what is unsent, then the end of the stream.
    pub async fn close(&mut self) {
        let end = async {
            self.stream.write_all_buf(&mut self.output).await?;
            self.stream.shutdown().await
        };
        // A failure cannot be reported: the peer is gone.
        let _ = tokio::time::timeout(LINGER, end).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_that_comes_byte_by_byte_is_whole() {
        let (mut client, server) = tokio::io::duplex(1);
        let mut link = Link::new(server, BytesMut::new());
        let writer = tokio::spawn(async move {
            client.write_all(b"Q\0\0\0\x06a\0X\0\0\0\x04").await.unwrap();
        });
        assert_eq!(link.frame().await.unwrap(), Some(Frame { kind: b'Q', body: Bytes::from_static(b"a\0") }));
        assert_eq!(link.frame().await.unwrap(), Some(Frame { kind: b'X', body: Bytes::new() }));
        writer.await.unwrap();
        assert_eq!(link.frame().await.unwrap(), None);
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_from_the_head_alone() {
        let mut input = BytesMut::from(&b"Q\x7f\xff\xff\xff"[..]);
        assert_eq!(take_frame(&mut input, 1 << 20).unwrap_err().sqlstate, "54000");
        let mut small = BytesMut::from(&b"S\0\x10\0\0"[..]);
        assert_eq!(take_frame(&mut small, 1 << 20).unwrap_err().sqlstate, "54000");
        for bad in [&b"Q\0\0\0\x03"[..], b"Q\0\0\0\0", b"!\0\0\0\x04", b"\0"] {
            assert_eq!(take_frame(&mut BytesMut::from(bad), 1 << 20).unwrap_err().sqlstate, PROTOCOL_VIOLATION, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_client_that_vanishes_ends_the_work() {
        let (client, server) = tokio::io::duplex(64);
        let mut link = Link::new(server, BytesMut::new());
        drop(client);
        assert!(matches!(link.watching(std::future::pending::<()>()).await, Err(Stop::Gone(_))));
    }
}
