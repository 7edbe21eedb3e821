//! Bytes from one side to the other, as they come, until something has to be looked at.
//!
//! One task, both directions. What is read goes out of the same buffer; only what the other side does not take at once
//! is kept, and while it waits its source is not read. Between statements a connection holds no buffer.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::client_side::{ClientSide, Next, OwnerResolver, Undecided};
use super::expected::AnswerKind;
use super::upstream_side::UpstreamSide;
use crate::relay::outgoing::Outgoing;
use crate::telemetry::Routed;
use crate::wire::scratch::{self, From};

/// A buffer of held bytes that is larger than this is given back once it is empty.
const KEEP: usize = 4 << 10;

/// Why the pump stands still.
#[derive(Debug)]
pub(super) enum Event {
    /// A whole command is to be looked at; everything before it is answered.
    Decide(Undecided, Vec<u8>),
    /// A local command that is larger than any may be.
    TooLarge,
    /// The connection is over on both sides, or broken on one.
    Closed,
}

/// The two directions of one connection.
pub(super) struct Pump {
    pub routed: Routed,
    pub client_side: ClientSide,
    pub upstream_side: UpstreamSide,
    /// When the commands came whose answers are awaited.
    pub began: VecDeque<Instant>,
    /// From the client, not yet understood or not yet due.
    held: Vec<u8>,
    /// So many bytes must be held before they are looked at again.
    wanted: usize,
    to_upstream: Outgoing,
    to_client: Outgoing,
    event: Option<Event>,
    client_ended: ClientEnd,
    upstream_ended: bool,
    /// Commands that went upstream.
    pub relayed: u64,
    /// Grows with everything that the client sends.
    pub moved: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientEnd {
    Open,
    /// It sends nothing more; the upstream is still to be told.
    Ended,
    Forwarded,
}

/// What decides whether a text may hold a local statement.
pub(super) trait ScanTexts {
    fn may_be_local(&mut self, text: &[u8], status: u16) -> bool;
    fn has_local_state(&self) -> bool;
    /// A statement goes upstream.
    fn relayed(&mut self);
}

struct CommandResolver<'a, E> {
    text_scan: &'a mut E,
    upstream_side: &'a mut UpstreamSide,
    relayed: &'a mut u64,
    routed: &'a Routed,
    began: &'a mut VecDeque<Instant>,
    /// When these bytes came; asked for once.
    now: &'a mut Option<Instant>,
}

impl<E: ScanTexts> OwnerResolver for CommandResolver<'_, E> {
    fn may_be_local(&mut self, text: &[u8]) -> bool {
        self.text_scan.may_be_local(text, self.upstream_side.expected.status)
    }

    fn has_local_state(&self) -> bool {
        self.text_scan.has_local_state()
    }

    fn sent(&mut self, expected: AnswerKind) {
        *self.relayed += 1;
        self.routed.relayed();
        if matches!(expected, AnswerKind::Results | AnswerKind::Cursor) {
            self.text_scan.relayed();
        }
        self.began.push_back(*self.now.get_or_insert_with(Instant::now));
        self.upstream_side.expected.expect(expected);
    }
}

impl Pump {
    pub(super) fn new(client_side: ClientSide, upstream_side: UpstreamSide, routed: Routed) -> Pump {
        Pump {
            routed,
            client_side,
            upstream_side,
            began: VecDeque::new(),
            held: Vec::new(),
            wanted: 0,
            to_upstream: Outgoing::default(),
            to_client: Outgoing::default(),
            event: None,
            client_ended: ClientEnd::Open,
            upstream_ended: false,
            relayed: 0,
            moved: 0,
        }
    }

    /// Is nothing under way in either direction?
    pub(super) fn is_idle(&self) -> bool {
        self.client_side.is_idle()
            && self.upstream_side.is_idle()
            && self.held.is_empty()
            && self.event.is_none()
            && self.to_client.is_empty()
            && self.to_upstream.is_empty()
    }

    /// Takes back what a local statement has read of the client and not used.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.held.splice(..0, bytes.iter().copied());
        self.wanted = 0;
    }

    /// What was read of the client and not used, for a local statement that reads on.
    pub(super) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Sends a command upstream that was looked at.
    pub(super) fn forward(&mut self, bytes: &[u8], expected: AnswerKind) {
        self.to_upstream.bytes.extend_from_slice(bytes);
        self.relayed += 1;
        self.routed.relayed();
        self.routed.to_upstream(bytes.len());
        self.began.push_back(Instant::now());
        self.upstream_side.expected.expect(expected);
    }

    /// Bytes of the upstream that came unasked while the relay queried it.
    pub(super) fn pass_on(&mut self, bytes: &[u8]) {
        self.upstream_side.feed(bytes);
        self.to_client.bytes.extend_from_slice(bytes);
    }

    /// What was read of the client elsewhere comes after what is held.
    pub(super) fn read_on(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.wanted = 0;
    }

    /// Runs until something has to be looked at. Cancel-safe.
    pub(super) async fn run<C, U, E>(&mut self, client: &mut C, upstream: &mut U, text_scan: &mut E) -> io::Result<Event>
    where
        C: AsyncRead + AsyncWrite + Unpin,
        U: AsyncRead + AsyncWrite + Unpin,
        E: ScanTexts,
    {
        std::future::poll_fn(|cx| self.poll(cx, client, upstream, text_scan)).await
    }

    fn poll<C, U, E>(&mut self, cx: &mut Context<'_>, client: &mut C, upstream: &mut U, text_scan: &mut E) -> Poll<io::Result<Event>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
        U: AsyncRead + AsyncWrite + Unpin,
        E: ScanTexts,
    {
        scratch::turn(self);
        // A side that has nothing will wake this task: it is not asked again before, unless it waits for the other.
        let (mut from_upstream, mut from_client) = (true, true);
        // A busy connection lets others run from time to time.
        for _ in 0..64 {
            if from_upstream {
                from_client |= self.client_waits();
                from_upstream = self.poll_from_upstream(cx, client, upstream)?;
                from_client |= self.client_waits();
            }
            if self.upstream_ended && self.to_client.is_empty() {
                return Poll::Ready(Ok(Event::Closed));
            }
            let due = self.upstream_side.is_idle() && self.to_client.is_empty() && self.to_upstream.is_empty();
            if let Some(event) = self.event.take_if(|_| due) {
                return Poll::Ready(Ok(event));
            }
            if from_client {
                from_client = self.poll_from_client(cx, client, upstream, text_scan)?;
            }
            if !from_upstream && !from_client {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// May the client's direction go on when the upstream's has moved?
    fn client_waits(&self) -> bool {
        !self.held.is_empty() || self.event.is_some() || self.client_ended != ClientEnd::Open
    }

    /// The upstream's bytes to the client. True: something moved.
    fn poll_from_upstream<C, U>(&mut self, cx: &mut Context<'_>, client: &mut C, upstream: &mut U) -> io::Result<bool>
    where
        C: AsyncRead + AsyncWrite + Unpin,
        U: AsyncRead + AsyncWrite + Unpin,
    {
        if self.to_client.poll_send(client, cx)?.is_pending() {
            return Ok(false);
        }
        if self.upstream_ended {
            return Ok(false);
        }
        scratch::with(From::Upstream, |scratch| {
            let mut buffer = ReadBuf::new(scratch);
            if Pin::new(&mut *upstream).poll_read(cx, &mut buffer)?.is_pending() {
                return Ok(false);
            }
            let bytes = buffer.filled();
            if bytes.is_empty() {
                self.upstream_ended = true;
                return Ok(true);
            }
            let events = self.upstream_side.feed(bytes);
            self.routed.to_client(bytes.len());
            if events.answered > 0 {
                let answered = events.answered.min(self.began.len());
                self.routed.answered(self.began.drain(..answered));
            }
            if events.wants_file {
                self.client_side.file();
                if let Some(Event::Decide(_, bytes)) = self.event.take() {
                    // Sent too early: to the upstream it is a part of the file.
                    self.held.splice(..0, bytes);
                    self.wanted = 0;
                }
            }
            self.to_client.send(client, cx, bytes)?;
            Ok(true)
        })
    }

    /// The client's bytes to the upstream. True: something moved.
    fn poll_from_client<C, U, E>(&mut self, cx: &mut Context<'_>, client: &mut C, upstream: &mut U, text_scan: &mut E) -> io::Result<bool>
    where
        C: AsyncRead + AsyncWrite + Unpin,
        U: AsyncRead + AsyncWrite + Unpin,
        E: ScanTexts,
    {
        let wrote = !self.to_upstream.is_done();
        if self.to_upstream.poll_send(upstream, cx)?.is_pending() {
            return Ok(false);
        }
        if self.event.is_some() {
            // It may be due now.
            return Ok(wrote);
        }
        if !self.held.is_empty() && self.held.len() >= self.wanted {
            let held = std::mem::take(&mut self.held);
            let taken = self.take(cx, &held, upstream, text_scan)?;
            self.hold(held, taken);
            if taken > 0 {
                return Ok(true);
            }
        }
        match self.client_ended {
            ClientEnd::Open => {}
            ClientEnd::Ended => {
                if Pin::new(&mut *upstream).poll_shutdown(cx)?.is_ready() {
                    self.client_ended = ClientEnd::Forwarded;
                }
                return Ok(false);
            }
            ClientEnd::Forwarded => return Ok(false),
        }
        scratch::with(From::Client, |scratch| {
            let mut buffer = ReadBuf::new(scratch);
            if Pin::new(&mut *client).poll_read(cx, &mut buffer)?.is_pending() {
                return Ok(false);
            }
            let bytes = buffer.filled();
            self.moved += 1;
            if bytes.is_empty() {
                self.client_ended = ClientEnd::Ended;
                return Ok(true);
            }
            if self.held.is_empty() {
                let taken = self.take(cx, bytes, upstream, text_scan)?;
                self.held.extend_from_slice(&bytes[taken..]);
            } else {
                self.held.extend_from_slice(bytes);
            }
            Ok(true)
        })
    }

    /// Keeps what is left after the first `taken` bytes.
    fn hold(&mut self, mut held: Vec<u8>, taken: usize) {
        held.drain(..taken);
        if held.is_empty() && held.capacity() > KEEP {
            held = Vec::new();
        }
        self.held = held;
    }

    /// Takes bytes of the client and passes on what passes; so many were taken.
    fn take<U: AsyncWrite + Unpin, E: ScanTexts>(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        upstream: &mut U,
        text_scan: &mut E,
    ) -> io::Result<usize> {
        let mut at = 0;
        let mut due = at;
        let mut now = None;
        self.wanted = 0;
        while at < bytes.len() {
            let Pump { client_side, upstream_side, relayed, routed, began, .. } = &mut *self;
            let mut resolver = CommandResolver { text_scan, upstream_side, relayed, routed, began, now: &mut now };
            match client_side.step(&bytes[at..], &mut resolver) {
                Next::Pass(n) => {
                    at += n;
                    due = at;
                }
                Next::More(wanted) => {
                    self.wanted = wanted;
                    break;
                }
                Next::Decide(n, kind) => {
                    self.event = Some(Event::Decide(kind, bytes[at..at + n].to_vec()));
                    at += n;
                    break;
                }
                Next::TooLarge => {
                    self.event = Some(Event::TooLarge);
                    at = bytes.len();
                    break;
                }
            }
        }
        if due > 0 {
            self.routed.to_upstream(due);
            self.to_upstream.send(upstream, cx, &bytes[..due])?;
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use mysql_common::constants::CapabilityFlags as Caps;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::super::expected::Expected;
    use super::*;

    struct Ours;

    impl ScanTexts for Ours {
        fn may_be_local(&mut self, text: &[u8], _: u16) -> bool {
            text.starts_with(b"ours")
        }

        fn has_local_state(&self) -> bool {
            false
        }

        fn relayed(&mut self) {}
    }

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = (payload.len() as u32).to_le_bytes()[..3].to_vec();
        out.push(sequence);
        out.extend_from_slice(payload);
        out
    }

    const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

    struct Lines {
        client: DuplexStream,
        upstream: DuplexStream,
        pump: tokio::task::JoinHandle<(Event, bool)>,
    }

    fn lines(buffer: usize) -> Lines {
        lines_of(buffer, buffer)
    }

    fn lines_of(to_client: usize, to_upstream: usize) -> Lines {
        let (client, mut inner) = duplex(to_client);
        let (upstream, mut outer) = duplex(to_upstream);
        let pump = tokio::spawn(async move {
            let upstream_side = UpstreamSide::new(Expected::new(Caps::empty(), 0));
            let mut pump = Pump::new(ClientSide::new(1 << 20), upstream_side, Routed::new("mysql"));
            let event = pump.run(&mut inner, &mut outer, &mut Ours).await.unwrap();
            (event, pump.is_idle())
        });
        Lines { client, upstream, pump }
    }

    async fn read(stream: &mut (impl AsyncRead + Unpin), n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn a_command_of_ours_waits_until_those_before_it_are_answered() {
        for buffer in [1, 3, 1000] {
            let mut lines = lines(buffer);
            let theirs = packet(0, b"\x03theirs");
            let both = [theirs.clone(), packet(0, b"\x03ours"), packet(0, b"\x0e")].concat();
            let (mut from_pump, mut to_pump) = tokio::io::split(lines.client);
            // The ping after it may stay on the way: nothing reads it.
            let writer = tokio::spawn(async move { to_pump.write_all(&both).await });
            assert_eq!(read(&mut lines.upstream, theirs.len()).await, theirs);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            assert!(!lines.pump.is_finished());
            let answer = packet(1, OK);
            let expected = answer.clone();
            let reader = tokio::spawn(async move { read(&mut from_pump, expected.len()).await == expected });
            lines.upstream.write_all(&answer).await.unwrap();
            assert!(reader.await.unwrap());
            let (event, _) = lines.pump.await.unwrap();
            assert!(matches!(event, Event::Decide(Undecided::Query, bytes) if bytes == packet(0, b"\x03ours")));
            writer.abort();
        }
    }

    #[tokio::test]
    async fn a_command_of_ours_behind_one_without_an_answer_is_due_when_that_has_gone() {
        let mut lines = lines_of(1000, 16);
        let data = packet(0, &[&[0x18, 1, 0, 0, 0, 0, 0][..], &[7; 40]].concat());
        lines.client.write_all(&[data.clone(), packet(0, b"\x03ours")].concat()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(!lines.pump.is_finished());
        assert_eq!(read(&mut lines.upstream, data.len()).await, data);
        let looked = tokio::time::timeout(std::time::Duration::from_secs(20), lines.pump).await;
        assert!(matches!(looked.unwrap().unwrap().0, Event::Decide(Undecided::Query, _)));
    }

    #[tokio::test]
    async fn the_end_of_either_side_is_passed_on_behind_what_it_said_last() {
        let mut lines = lines(100);
        lines.client.write_all(&packet(0, b"\x01")).await.unwrap();
        lines.client.shutdown().await.unwrap();
        assert_eq!(read(&mut lines.upstream, 5).await, packet(0, b"\x01"));
        assert_eq!(lines.upstream.read(&mut [0]).await.unwrap(), 0);
        lines.upstream.write_all(&packet(0, b"\xffbye")).await.unwrap();
        drop(lines.upstream);
        assert_eq!(read(&mut lines.client, 8).await, packet(0, b"\xffbye"));
        assert!(matches!(lines.pump.await.unwrap().0, Event::Closed));
    }
}
