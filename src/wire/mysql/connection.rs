//! A connection: messages over a byte stream, one reader and one writer.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::charset::Charset;
use super::packet::{Decoder, Encoder, FrameError};
use super::result::Refusal;

/// Bytes that may wait to be sent before they are.
pub const FLUSH_AT: usize = 64 << 10;
/// What is read at once.
const ROOM: usize = 16 << 10;
/// The same until the login is over.
const LOGIN_ROOM: usize = 1 << 10;
/// Bytes of later commands that are taken in while a statement runs.
const READ_AHEAD: usize = 64 << 10;
/// How long a refused client may go on sending before the connection is cut.
const LINGER: Duration = Duration::from_secs(1);

/// Why no message came or went.
#[derive(Debug)]
pub enum Lost {
    /// The client closed the connection, or it broke: nobody is there to answer.
    Gone(io::Error),
    /// What came breaks the framing: say so, then close.
    Frame(FrameError),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Lost {
        Lost::Gone(error)
    }
}

/// Messages in and out of a stream.
pub struct Connection<S> {
    stream: S,
    decoder: Decoder,
    inbox: BytesMut,
    /// So much room is read into; 0: no byte past the present message, since what follows may be TLS.
    ahead: usize,
    /// What is to be sent.
    pub out: Encoder,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection that takes messages up to `limit` bytes and reads none ahead.
    pub fn new(stream: S, limit: usize) -> Connection<S> {
        Connection { stream, decoder: Decoder::new(limit), inbox: BytesMut::new(), ahead: 0, out: Encoder::default() }
    }

    /// No TLS begins after this message, so reads may go past its end.
    pub fn read_ahead(&mut self) {
        self.ahead = LOGIN_ROOM;
    }

    /// Login is over: larger messages are taken, and read ahead.
    pub fn open_up(&mut self, limit: usize) {
        self.ahead = ROOM;
        self.decoder.set_limit(limit);
        self.out.bytes = Vec::new();
    }

    /// The stream itself, for TLS to begin on, and the number of the next packet.
    pub fn into_stream(self) -> (S, u8) {
        (self.stream, self.out.sequence)
    }

    /// The stream itself, for bytes that are passed on as they are.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// What was read and is not part of a message yet, nor of one that is being read.
    pub fn take_inbox(&mut self) -> BytesMut {
        std::mem::take(&mut self.inbox)
    }

    /// Puts back what was read elsewhere, and before what is here.
    pub fn put_inbox(&mut self, bytes: &[u8]) {
        let later = std::mem::replace(&mut self.inbox, bytes.into());
        self.inbox.extend_from_slice(&later);
    }

    /// The first message of a command. Cancel-safe.
    pub async fn command(&mut self) -> Result<Bytes, Lost> {
        if self.decoder.is_idle() {
            self.decoder.expect(0);
        }
        self.message().await
    }

    /// The next message of an exchange, after what was sent. Cancel-safe.
    pub async fn reply(&mut self) -> Result<Bytes, Lost> {
        if self.decoder.is_idle() {
            self.decoder.expect(self.out.sequence);
        }
        self.message().await
    }

    async fn message(&mut self) -> Result<Bytes, Lost> {
        loop {
            match self.decoder.decode(&mut self.inbox) {
                Ok(Some(message)) => {
                    self.out.sequence = self.decoder.sequence();
                    return Ok(message);
                }
                Ok(None) => {}
                Err(error) => {
                    self.out.sequence = match error {
                        FrameError::OutOfOrder { got, .. } => got.wrapping_add(1),
                        FrameError::TooLarge { .. } => self.decoder.sequence().wrapping_add(1),
                    };
                    return Err(Lost::Frame(error));
                }
            }
            if self.fill().await? == 0 {
                return Err(Lost::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        if self.ahead == 0 {
            let missing = self.decoder.missing(self.inbox.len());
            self.inbox.reserve(missing.min(4 << 10));
            return self.stream.read_buf(&mut (&mut self.inbox).limit(missing)).await;
        }
        self.inbox.reserve(self.ahead);
        self.stream.read_buf(&mut self.inbox).await
    }

    /// Resolves when the client has gone; until then takes in a little of what it sends meanwhile. Cancel-safe.
    pub async fn vanished(&mut self) -> io::Error {
        loop {
            if self.ahead == 0 || self.inbox.len() >= READ_AHEAD {
                std::future::pending::<()>().await;
            }
            match self.fill().await {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    /// Sends what waits to be sent.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out.bytes).await?;
        self.out.bytes.clear();
        self.out.bytes.shrink_to(4 * FLUSH_AT);
        self.stream.flush().await
    }

    /// The last word: an error, then the end. Reads on for a while, so that a client in the middle of sending gets to read it.
    pub async fn refuse(&mut self, refusal: &Refusal, charset: Charset) -> io::Result<()> {
        self.out.message(|out| refusal.put(out, charset));
        let farewell = async {
            self.flush().await?;
            self.stream.shutdown().await?;
            let mut sink = BytesMut::with_capacity(16 << 10);
            while self.stream.read_buf(&mut sink).await? > 0 {
                sink.clear();
            }
            io::Result::Ok(())
        };
        tokio::time::timeout(LINGER, farewell).await.unwrap_or(Ok(()))
    }
}
