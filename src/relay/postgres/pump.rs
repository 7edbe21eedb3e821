//! The two streams of a relayed connection, and the bytes between them.
//!
//! A read goes into a scratch buffer of the thread, is looked at and written on from there: a connection that waits
//! holds no buffer. What a slow reader does not take is kept, and nothing more is read for it until it is gone.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::client_side::{ClientSide, Next};
use super::upstream_side::UpstreamSide;
use crate::relay::outgoing::Outgoing;
use crate::route::{CurrentScanner, ScannerHandle, Verdict};
use crate::sql::Dialect;
use crate::wire::scratch::{self, From};

/// What is read ahead of a client whose message waits for an answer.
const READ_AHEAD: usize = 256 * 1024;

/// What the relay cannot go on from by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A message of so many bytes stands at the front of the client's input and is to be decided on.
    Decide(usize),
    /// The client has closed its side.
    ClientEnd,
    /// The client cannot be reached any more.
    ClientGone,
    /// The upstream has closed the connection, or cannot be reached any more.
    UpstreamEnd,
}

/// One stream.
pub struct BufferedStream<S> {
    pub stream: S,
    /// Bytes on their way to it.
    pub outgoing: Outgoing,
    /// Bytes from it that have not been taken.
    pub input: BytesMut,
    /// Bytes passed on to it that are not counted yet.
    pub sent: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> BufferedStream<S> {
    /// A stream of which `input` was read already.
    pub fn new(stream: S, input: BytesMut) -> BufferedStream<S> {
        BufferedStream { stream, outgoing: Outgoing::default(), input, sent: 0 }
    }

    /// Sends what waits.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.poll_send(&mut self.stream, cx)
    }

    /// Sends bytes, and keeps what the stream does not take now.
    fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<()> {
        self.sent += bytes.len();
        self.outgoing.send(&mut self.stream, cx, bytes)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Reads after what is there; 0: the end.
    fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        scratch::with(From::Client, |buffer| {
            let read = ready!(self.poll_read(cx, buffer))?;
            self.input.extend_from_slice(&buffer[..read]);
            Poll::Ready(Ok(read))
        })
    }

    /// Sends what waits, then the end of the stream, as far as the time allows.
    pub async fn close(&mut self, patience: std::time::Duration) {
        let end = async {
            poll_fn(|cx| self.poll_send(cx)).await?;
            poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await
        };
        // Nobody is left to be told of a failure here.
        let _ = tokio::time::timeout(patience, end).await;
    }
}

/// Both streams and what is known of each.
pub struct Pump<C, U> {
    pub client: BufferedStream<C>,
    pub upstream: BufferedStream<U>,
    pub client_side: ClientSide,
    pub upstream_side: UpstreamSide,
    scanner_handle: ScannerHandle,
    /// Beside the scanner's words: does a text concern state that is kept here?
    pub also: fn(&Dialect, &[u8]) -> bool,
    /// The client's input has been looked at, and more is needed to go on.
    looked: bool,
    client_ended: bool,
}

impl<C, U> Pump<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    /// A pump whose client has logged in.
    pub fn new(
        client: BufferedStream<C>,
        upstream: BufferedStream<U>,
        client_side: ClientSide,
        upstream_side: UpstreamSide,
        watch: Arc<CurrentScanner>,
    ) -> Pump<C, U> {
        Pump {
            client,
            upstream,
            client_side,
            upstream_side,
            scanner_handle: ScannerHandle::new(watch),
            also: |_, _| false,
            looked: false,
            client_ended: false,
        }
    }

    /// Moves bytes both ways until something is to be decided.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        scratch::turn(self);
        match self.poll_answers(cx) {
            Poll::Pending => self.poll_client(cx),
            event => event,
        }
    }

    /// Takes a message of the client that was decided on.
    pub fn take(&mut self, length: usize) -> BytesMut {
        self.looked = false;
        self.client.input.split_to(length)
    }

    /// The input has been changed by somebody else.
    pub fn look_again(&mut self) {
        self.looked = false;
    }

    /// Sends a message on to the upstream as it is.
    pub fn pass(&mut self, length: usize) {
        let message = self.take(length);
        self.client_side.passed(message[0], &mut self.upstream_side.expected);
        self.upstream.sent += message.len();
        self.upstream.outgoing.bytes.extend_from_slice(&message);
    }

    /// Looks at what the client has sent after a message that was decided on, without waiting for anything.
    pub fn next_decision(&mut self) -> Option<usize> {
        if self.client.input.is_empty() || self.looked {
            return None;
        }
        self.looked = true;
        let input = std::mem::take(&mut self.client.input);
        let next = self.next(&input);
        self.client.input = input;
        let (Next::Pass(pass) | Next::Decide { pass, .. }) = next;
        let going = self.client.input.split_to(pass);
        if self.client.input.is_empty() {
            self.client.input = BytesMut::new();
        }
        self.upstream.sent += going.len();
        self.upstream.outgoing.bytes.unsplit(going);
        if let Next::Decide { length, .. } = next { Some(length) } else { None }
    }

    /// The client's direction. Ready only with an event.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            match self.upstream.poll_send(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return self.poll_last_answers(cx),
                Poll::Pending => return Poll::Pending,
            }
            if !self.client.input.is_empty() && !self.looked {
                if let Some(length) = self.next_decision() {
                    return Poll::Ready(Event::Decide(length));
                }
                continue;
            }
            if self.client_ended {
                return Poll::Ready(Event::ClientEnd);
            }
            if self.client_side.only_copy && !self.upstream_side.expected.is_copying() {
                return self.poll_ahead(cx);
            }
            let read = match self.client.input.is_empty() {
                true => self.poll_through(cx),
                false => self.client.poll_read_more(cx).map(|read| {
                    self.looked = false;
                    read.map(|read| (read, None))
                }),
            };
            match ready!(read) {
                Ok((0, _)) => self.client_ended = true,
                Ok((_, Some(length))) => return Poll::Ready(Event::Decide(length)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return self.poll_last_answers(cx),
                Err(_) => return Poll::Ready(Event::ClientGone),
            }
        }
    }

    /// Reads from the client and writes on at once; gives how much was read, and a message to be decided on. BrokenPipe
    /// is the upstream's.
    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(usize, Option<usize>)>> {
        scratch::with(From::Client, |buffer| {
            let read = match ready!(self.client.poll_read(cx, buffer)) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Err(error) => return Poll::Ready(Err(error)),
            };
            let bytes = &buffer[..read];
            self.upstream_side.expected.now = Some(Instant::now());
            let next = self.next(bytes);
            let (Next::Pass(pass) | Next::Decide { pass, .. }) = next;
            self.client.input.extend_from_slice(&bytes[pass..]);
            self.looked = true;
            if self.upstream.send(cx, &bytes[..pass]).is_err() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let length = if let Next::Decide { length, .. } = next { Some(length) } else { None };
            Poll::Ready(Ok((read, length)))
        })
    }

    fn next(&mut self, bytes: &[u8]) -> Next {
        let (scanner_handle, also) = (&mut self.scanner_handle, self.also);
        let dialect = self.upstream_side.dialect();
        self.client_side.next(bytes, &mut self.upstream_side.expected, |text| {
            let mut hits =
                |dialect: &Dialect| scanner_handle.scanner().scan_any(dialect, text) == Verdict::MaybeLocal || also(dialect, text);
            // What is not answered yet may change how this is to be read.
            let other = || Dialect { no_backslash_escapes: !dialect.no_backslash_escapes, ..dialect };
            hits(&dialect) || (memmem::find(text, b"\\'").is_some() && hits(&other()))
        })
    }

    /// The upstream takes nothing any more: what it has said before that is still the client's.
    fn poll_last_answers(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        match ready!(self.poll_answers(cx)) {
            Event::ClientGone => Poll::Ready(Event::ClientGone),
            _ => Poll::Ready(Event::UpstreamEnd),
        }
    }

    /// The upstream's direction. Ready only with an event.
    pub fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            match self.client.poll_send(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Event::ClientGone),
                Poll::Pending => return Poll::Pending,
            }
            let input = std::mem::take(&mut self.upstream.input);
            if !input.is_empty() {
                if self.relay(cx, &input).is_err() {
                    return Poll::Ready(Event::ClientGone);
                }
                continue;
            }
            let outcome = scratch::with(From::Upstream, |buffer| match ready!(self.upstream.poll_read(cx, buffer)) {
                Ok(0) | Err(_) => Poll::Ready(Err(Event::UpstreamEnd)),
                Ok(read) => Poll::Ready(self.relay(cx, &buffer[..read]).map_err(|_| Event::ClientGone)),
            });
            if let Err(event) = ready!(outcome) {
                return Poll::Ready(event);
            }
        }
    }

    fn relay(&mut self, cx: &mut Context<'_>, mut bytes: &[u8]) -> io::Result<()> {
        let idles = self.upstream_side.idles_sent_to_client;
        while !bytes.is_empty() {
            let cut = self.upstream_side.take(bytes);
            self.client.send(cx, &bytes[..cut.pass])?;
            if !self.upstream_side.instead.is_empty() {
                let instead = std::mem::take(&mut self.upstream_side.instead);
                self.client.send(cx, &instead)?;
            }
            bytes = &bytes[cut.pass + cut.hide..];
        }
        if self.upstream_side.idles_sent_to_client != idles && !self.client_side.names.portals.is_empty() {
            // A Sync of the relay within a pipeline ends none.
            self.client_side.names.end_transaction();
        }
        Ok(())
    }

    /// Waits until the upstream has answered everything. While it takes the data of a COPY, the client's data goes on
    /// if `data` says so; else the wait ends there.
    pub fn poll_answered(&mut self, cx: &mut Context<'_>, data: bool) -> Poll<Result<(), Event>> {
        let answers = self.poll_answers(cx);
        let expected = &self.upstream_side.expected;
        if expected.is_empty() && self.upstream_side.is_between() || expected.is_copying() && !data {
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(event) = answers {
            return Poll::Ready(Err(event));
        }
        if data && self.upstream_side.expected.is_copying() {
            self.client_side.only_copy = true;
            let event = self.poll_client(cx);
            self.client_side.only_copy = false;
            return event.map(Err);
        }
        match self.upstream.poll_send(cx) {
            Poll::Ready(Err(_)) => return self.poll_last_answers(cx).map(Err),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        self.poll_ahead(cx).map(Err)
    }

    /// The next message with which the upstream answers the relay; None: it has answered all. The client's
    /// stream is lent meanwhile: what is the client's waits in `client.outgoing.bytes`.
    pub async fn next_own_answer(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some(heard) = self.upstream_side.own_answers.pop_front() {
                return Ok(Some(heard));
            }
            if self.upstream_side.expected.is_empty() && self.upstream_side.is_between() && self.upstream.outgoing.bytes.is_empty() {
                return Ok(None);
            }
            poll_fn(|cx| self.poll_own_answers(cx)).await?;
        }
    }

    fn poll_own_answers(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gone = || io::Error::from(io::ErrorKind::ConnectionAborted);
        let had = !self.upstream.outgoing.bytes.is_empty();
        let sent = self.upstream.poll_send(cx).map_err(|_| gone())?;
        let mut input = std::mem::take(&mut self.upstream.input);
        if input.is_empty() {
            let read = scratch::with(From::Upstream, |buffer| match ready!(self.upstream.poll_read(cx, buffer)) {
                Ok(0) | Err(_) => Poll::Ready(Err(gone())),
                Ok(read) => {
                    input.extend_from_slice(&buffer[..read]);
                    Poll::Ready(Ok(()))
                }
            });
            match read {
                // What was to be sent is: perhaps nothing more is awaited.
                Poll::Pending if had && sent.is_ready() => return Poll::Ready(Ok(())),
                read => ready!(read)?,
            }
        }
        while !input.is_empty() {
            let cut = self.upstream_side.take(&input);
            self.client.outgoing.bytes.extend_from_slice(&input[..cut.pass]);
            self.client.outgoing.bytes.extend_from_slice(&std::mem::take(&mut self.upstream_side.instead));
            input.advance(cut.pass + cut.hide);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads ahead of the message at hand, so that a client that goes away is noticed. Ready only with that.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        while self.client.input.len() < READ_AHEAD && !self.client_ended {
            match ready!(self.client.poll_read_more(cx)) {
                Ok(0) => self.client_ended = true,
                Ok(_) => self.looked = false,
                Err(_) => return Poll::Ready(Event::ClientGone),
            }
        }
        Poll::Pending
    }
}
