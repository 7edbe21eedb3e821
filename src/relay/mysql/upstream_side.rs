//! The upstream's direction: when is a command answered, and what does the answer leave behind?
//!
//! I/O-free. [`Expected`] judges packets by their length and first bytes; [`UpstreamSide`] finds the packets in a stream of
//! bytes that is passed on as it comes. Layout: MySQL internals, "Command Phase"; server: sql/protocol_classic.cc.

use std::collections::VecDeque;

use mysql_common::constants::CapabilityFlags as Caps;

use super::IN_TRANSACTION;
use crate::wire::mysql::codec::Reader;
use crate::wire::mysql::codes::{CURSOR_EXISTS, MORE_RESULTS};
use crate::wire::mysql::packet::MAX_PAYLOAD;

/// As much of a packet as is looked at: the longest OK packet up to its status flags.
pub const HEAD: usize = 24;

/// ER_LOCK_DEADLOCK, ER_XA_RBDEADLOCK, and ER_CHECKREAD of MariaDB's innodb_snapshot_isolation.
const ROLLED_BACK: [u16; 3] = [1213, 1614, 1020];
/// MariaDB tells in the form of an error of this code how far a statement is (sql/protocol.cc, net_send_progress_packet).
const PROGRESS: &[u8] = &[0xff, 0xff, 0xff];

/// What a command is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// One packet, whatever it is.
    One,
    /// OK, an error, the request for a file, or result sets.
    Results,
    /// The same, or a cursor that was asked for, whose rows come when they are fetched.
    Cursor,
    /// Rows without definitions: COM_STMT_FETCH.
    Rows,
    /// Column definitions: COM_FIELD_LIST.
    Columns,
    /// COM_STMT_PREPARE.
    Prepared,
    /// A stream without an end that can be told: replication, clone.
    Endless,
}

/// What a packet means for the command that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerProgress {
    /// More is to come.
    Continues,
    /// The client is to send a file.
    FileRequested,
    /// The answer is complete; the packet was its last. `failed`: by an error.
    Done { failed: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is expected.
    Idle,
    /// The first packet of an answer, or of a further result.
    First(AnswerKind),
    /// Column definitions of a result set.
    Definitions {
        left: u64,
    },
    /// The EOF behind them.
    DefinitionsEnd,
    /// Rows until the packet that ends them.
    Rows,
    /// Definitions behind the answer to COM_STMT_PREPARE: of its parameters, then of its columns.
    Parameters {
        left: u16,
        columns: u16,
    },
    ParametersEnd {
        columns: u16,
    },
    Columns {
        left: u16,
    },
    ColumnsEnd,
}

/// Follows the answers of one connection, packet by packet.
#[derive(Debug)]
pub struct Expected {
    deprecate_eof: bool,
    phase: Phase,
    queue: VecDeque<AnswerKind>,
    /// The command that is being answered asked for a cursor.
    cursor: bool,
    /// The status flags of the last packet that carried any.
    pub status: u16,
    /// Expected behind which no transaction was open.
    pub outside: u64,
}

impl Expected {
    /// For a connection with these capabilities, whose login ended with `status`.
    pub fn new(capabilities: Caps, status: u16) -> Expected {
        Expected {
            deprecate_eof: capabilities.contains(Caps::CLIENT_DEPRECATE_EOF),
            phase: Phase::Idle,
            queue: VecDeque::new(),
            cursor: false,
            status,
            outside: 0,
        }
    }

    /// A command was sent that will be answered so.
    pub fn expect(&mut self, expected: AnswerKind) {
        if self.phase == Phase::Idle {
            self.phase = Phase::First(expected);
        } else {
            self.queue.push_back(expected);
        }
    }

    /// Is every command answered?
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Takes over the status that an answer to us has left.
    pub fn stand(&mut self, status: u16) {
        self.status = status;
        self.count();
    }

    /// Are definitions of a result set's columns coming?
    pub fn in_definitions(&self) -> bool {
        matches!(self.phase, Phase::Definitions { .. })
    }

    /// Are rows coming, of which nothing but the end matters?
    pub fn in_rows(&self) -> bool {
        self.phase == Phase::Rows
    }

    /// Takes a packet of `length` bytes that begins with `head` (up to [`HEAD`] bytes, fewer only where it is shorter).
    pub fn packet(&mut self, head: &[u8], length: usize) -> AnswerProgress {
        let first = head.first().copied();
        match self.phase {
            Phase::Idle => AnswerProgress::Continues,
            _ if head.starts_with(PROGRESS) => AnswerProgress::Continues,
            Phase::First(AnswerKind::Endless) => AnswerProgress::Continues,
            Phase::First(expected) => self.first(expected, head, length),
            Phase::Definitions { .. } if first == Some(0xff) => self.failed(head),
            Phase::Definitions { left: 1 } if self.deprecate_eof => self.go(Phase::Rows),
            Phase::Definitions { left: 1 } => self.go(Phase::DefinitionsEnd),
            Phase::Definitions { left } => self.go(Phase::Definitions { left: left - 1 }),
            Phase::DefinitionsEnd => {
                if first == Some(0xff) {
                    return self.failed(head);
                }
                self.take_eof(head);
                // MariaDB sets the flag as well for a cursor that a procedure has opened for itself, whose results others follow.
                let cursor = self.cursor && self.status & (CURSOR_EXISTS | MORE_RESULTS) == CURSOR_EXISTS;
                if cursor { self.done(false) } else { self.go(Phase::Rows) }
            }
            Phase::Rows => self.row(head, length),
            Phase::Parameters { left: 1, columns } if self.deprecate_eof => self.prepared_columns(columns),
            Phase::Parameters { left: 1, columns } => self.go(Phase::ParametersEnd { columns }),
            Phase::Parameters { left, columns } => self.go(Phase::Parameters { left: left - 1, columns }),
            Phase::ParametersEnd { columns } => self.prepared_columns(columns),
            Phase::Columns { left: 1 } if self.deprecate_eof => self.done(false),
            Phase::Columns { left: 1 } => self.go(Phase::ColumnsEnd),
            Phase::Columns { left } => self.go(Phase::Columns { left: left - 1 }),
            Phase::ColumnsEnd => self.done(false),
        }
    }

    fn first(&mut self, expected: AnswerKind, head: &[u8], length: usize) -> AnswerProgress {
        self.cursor = expected == AnswerKind::Cursor;
        match (expected, head.first()) {
            (_, Some(0xff)) => self.failed(head),
            (AnswerKind::Rows, _) => {
                self.phase = Phase::Rows;
                self.row(head, length)
            }
            (AnswerKind::Columns, Some(0xfe)) => {
                self.take_end(head);
                self.done(false)
            }
            (AnswerKind::Columns, _) => AnswerProgress::Continues,
            (AnswerKind::Prepared, Some(0)) => {
                let number = |at: usize| head.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
                let (columns, parameters) = (number(5), number(7));
                if parameters > 0 { self.go(Phase::Parameters { left: parameters, columns }) } else { self.prepared_columns(columns) }
            }
            (AnswerKind::Results | AnswerKind::Cursor, Some(0)) => {
                self.take_ok(head);
                self.result_ends()
            }
            (AnswerKind::Results | AnswerKind::Cursor, Some(0xfb)) => AnswerProgress::FileRequested,
            (AnswerKind::Results | AnswerKind::Cursor, Some(0xfe)) if length < 9 => {
                self.take_end(head);
                self.result_ends()
            }
            (AnswerKind::Results | AnswerKind::Cursor, Some(_)) => match Reader::new(head).lenenc("number of columns") {
                Ok(left @ 1..) => self.go(Phase::Definitions { left }),
                _ => self.done(false),
            },
            (_, first) => {
                match first {
                    Some(0) => self.take_ok(head),
                    Some(0xfe) => self.take_end(head),
                    _ => {}
                }
                self.done(false)
            }
        }
    }

    fn row(&mut self, head: &[u8], length: usize) -> AnswerProgress {
        match head.first() {
            Some(0xff) => self.failed(head),
            // A row that begins so holds a text of 16 MiB or more, and does not fit in one packet.
            Some(0xfe) if length < if self.deprecate_eof { MAX_PAYLOAD } else { 9 } => {
                self.take_end(head);
                self.result_ends()
            }
            _ => AnswerProgress::Continues,
        }
    }

    fn prepared_columns(&mut self, columns: u16) -> AnswerProgress {
        if columns > 0 { self.go(Phase::Columns { left: columns }) } else { self.done(false) }
    }

    fn result_ends(&mut self) -> AnswerProgress {
        if self.status & MORE_RESULTS == 0 {
            return self.done(false);
        }
        self.count();
        self.go(Phase::First(if self.cursor { AnswerKind::Cursor } else { AnswerKind::Results }))
    }

    fn go(&mut self, phase: Phase) -> AnswerProgress {
        self.phase = phase;
        AnswerProgress::Continues
    }

    fn count(&mut self) {
        self.outside += u64::from(self.status & IN_TRANSACTION == 0);
    }

    /// An error, which has no status: some roll the transaction back.
    fn failed(&mut self, head: &[u8]) -> AnswerProgress {
        let code = head.get(1..3).map_or(0, |code| u16::from_le_bytes([code[0], code[1]]));
        self.outside += u64::from(ROLLED_BACK.contains(&code));
        self.done(true)
    }

    fn done(&mut self, failed: bool) -> AnswerProgress {
        self.count();
        self.phase = self.queue.pop_front().map_or(Phase::Idle, Phase::First);
        AnswerProgress::Done { failed }
    }

    fn take_end(&mut self, head: &[u8]) {
        if self.deprecate_eof && head.len() > 5 { self.take_ok(head) } else { self.take_eof(head) }
    }

    fn take_ok(&mut self, head: &[u8]) {
        if let Some(status) = status_of_ok(head) {
            self.status = status;
        }
    }

    fn take_eof(&mut self, head: &[u8]) {
        if let Some(flags) = head.get(3..5) {
            self.status = u16::from_le_bytes([flags[0], flags[1]]);
        }
    }
}

/// The status flags of an OK packet (also of one that stands for an EOF packet).
pub fn status_of_ok(head: &[u8]) -> Option<u16> {
    let mut reader = Reader::new(head.get(1..)?);
    reader.lenenc("affected rows").ok()?;
    reader.lenenc("last insert id").ok()?;
    reader.u16("status").ok()
}

/// What a piece of the stream events.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct StreamEvents {
    /// The upstream asks for a file.
    pub wants_file: bool,
    /// ClientSide that it has answered.
    pub answered: usize,
}

/// Follows the answers in a stream of bytes.
#[derive(Debug)]
pub struct UpstreamSide {
    pub expected: Expected,
    header: [u8; 4],
    header_length: usize,
    /// Of the packet whose header is complete.
    length: usize,
    left: usize,
    in_packet: bool,
    /// The packet goes on with the one before it.
    continued: bool,
    head: [u8; HEAD],
    head_length: usize,
}

impl UpstreamSide {
    /// For a connection at the beginning of its command phase.
    pub fn new(expected: Expected) -> UpstreamSide {
        UpstreamSide {
            expected,
            header: [0; 4],
            header_length: 0,
            length: 0,
            left: 0,
            in_packet: false,
            continued: false,
            head: [0; HEAD],
            head_length: 0,
        }
    }

    /// Is every command answered, and the stream between two packets?
    pub fn is_idle(&self) -> bool {
        self.expected.is_idle() && !self.in_packet && self.header_length == 0
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) -> StreamEvents {
        let mut events = StreamEvents::default();
        while !bytes.is_empty() {
            if !self.in_packet {
                if self.header_length == 0 && self.expected.in_rows() {
                    bytes = self.skip_rows(bytes);
                }
                let missing = (4 - self.header_length).min(bytes.len());
                self.header[self.header_length..][..missing].copy_from_slice(&bytes[..missing]);
                self.header_length += missing;
                bytes = &bytes[missing..];
                if self.header_length < 4 {
                    break;
                }
                let [a, b, c, _] = self.header;
                self.length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
                (self.left, self.in_packet, self.head_length) = (self.length, true, 0);
            }
            let taken = self.left.min(bytes.len());
            if !self.continued && self.head_length < HEAD {
                let more = taken.min(HEAD - self.head_length);
                self.head[self.head_length..][..more].copy_from_slice(&bytes[..more]);
                self.head_length += more;
            }
            self.left -= taken;
            bytes = &bytes[taken..];
            if self.left == 0 {
                (self.in_packet, self.header_length) = (false, 0);
                let said = if self.continued {
                    AnswerProgress::Continues
                } else {
                    self.expected.packet(&self.head[..self.head_length], self.length)
                };
                self.continued = self.length == MAX_PAYLOAD;
                match said {
                    AnswerProgress::Continues => {}
                    AnswerProgress::FileRequested => events.wants_file = true,
                    AnswerProgress::Done { .. } => events.answered += 1,
                }
            }
        }
        events
    }

    /// Passes over rows that are here whole: most of what a server sends.
    fn skip_rows<'a>(&self, mut bytes: &'a [u8]) -> &'a [u8] {
        if self.continued {
            return bytes;
        }
        while let [a, b, c, _, first, ..] = bytes {
            let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
            if *first >= 0xfe || length == 0 || length == MAX_PAYLOAD || bytes.len() < 4 + length {
                break;
            }
            bytes = &bytes[4 + length..];
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = (payload.len() as u32).to_le_bytes()[..3].to_vec();
        out.push(sequence);
        out.extend_from_slice(payload);
        out
    }

    fn stream(payloads: &[&[u8]]) -> Vec<u8> {
        payloads.iter().enumerate().flat_map(|(i, payload)| packet(i as u8 + 1, payload)).collect()
    }

    const OK: &[u8] = &[0, 1, 0, 2, 0, 0, 0];
    const OK_MORE: &[u8] = &[0, 1, 0, 10, 0, 0, 0];
    const EOF: &[u8] = &[0xfe, 0, 0, 2, 0];
    const EOF_CURSOR: &[u8] = &[0xfe, 0, 0, 0x42, 0];
    const ENDING_OK: &[u8] = &[0xfe, 0, 0, 3, 0, 0, 0];
    const ERR: &[u8] = &[0xff, 1, 4];
    const DEFINITION: &[u8] = b"\x03def";
    const PREPARED: &[u8] = &[0, 1, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0];

    /// However the bytes are cut, `answered` comes with the last of them.
    fn check(caps: Caps, expected: AnswerKind, payloads: &[&[u8]], status: u16) {
        let bytes = stream(payloads);
        for size in [1, 2, 3, 5, 7, bytes.len()] {
            let mut upstream_side = UpstreamSide::new(Expected::new(caps, 2));
            upstream_side.expected.expect(expected);
            let mut answered = 0;
            for piece in bytes.chunks(size) {
                assert_eq!(answered, 0, "{payloads:?} by {size}");
                answered += upstream_side.feed(piece).answered;
            }
            assert_eq!((answered, upstream_side.is_idle(), upstream_side.expected.status), (1, true, status), "{payloads:?} by {size}");
        }
    }

    #[test]
    fn every_kind_of_answer_ends_with_its_last_packet() {
        let (old, new) = (Caps::empty(), Caps::CLIENT_DEPRECATE_EOF);
        for caps in [old, new] {
            check(caps, AnswerKind::One, &[OK], 2);
            check(caps, AnswerKind::One, &[b"Uptime: 1"], 2);
            check(caps, AnswerKind::Results, &[ERR], 2);
            check(caps, AnswerKind::Results, &[OK_MORE, OK], 2);
            check(caps, AnswerKind::Prepared, &[ERR], 2);
            check(caps, AnswerKind::Prepared, &[&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], 2);
            check(caps, AnswerKind::Columns, &[DEFINITION, DEFINITION, EOF], 2);
            check(caps, AnswerKind::Rows, &[b"\0row", EOF], 2);
        }
        check(old, AnswerKind::Results, &[&[1], DEFINITION, EOF, b"\x01a", b"", b"\xfb", EOF], 2);
        check(old, AnswerKind::Results, &[&[1], DEFINITION, EOF, ERR], 2);
        check(old, AnswerKind::Cursor, &[&[1], DEFINITION, EOF_CURSOR], 0x42);
        check(old, AnswerKind::Cursor, &[&[1], DEFINITION, EOF, b"\0row", EOF], 2);
        check(new, AnswerKind::Cursor, &[&[1], DEFINITION, &[0xfe, 0, 0, 0x42, 0, 0, 0]], 0x42);
        check(old, AnswerKind::Prepared, &[PREPARED, DEFINITION, EOF, DEFINITION, DEFINITION, EOF], 2);
        check(new, AnswerKind::Results, &[&[1], DEFINITION, b"\x01a", ENDING_OK], 3);
        check(new, AnswerKind::Results, &[&[2], DEFINITION, DEFINITION, &[0xfe, 0, 0, 10, 0, 0, 0], OK], 2);
        check(new, AnswerKind::Prepared, &[PREPARED, DEFINITION, DEFINITION, DEFINITION], 2);
    }

    #[test]
    fn rows_follow_the_flag_of_a_cursor_that_nobody_has_asked_for() {
        let ours: &[u8] = &[0xfe, 0, 0, 0x6a, 0];
        for expected in [AnswerKind::Results, AnswerKind::Cursor] {
            check(Caps::empty(), expected, &[&[1], DEFINITION, ours, b"\x012", ours, OK], 2);
        }
        check(Caps::empty(), AnswerKind::Results, &[&[1], DEFINITION, EOF_CURSOR, b"\x012", EOF_CURSOR], 0x42);
    }

    #[test]
    fn reports_of_progress_are_part_of_an_answer_wherever_they_come() {
        let progress: &[u8] = b"\xff\xff\xff\x01\x01\x02\x10\x27\0\x0ecopy to tmp table";
        for caps in [Caps::empty(), Caps::CLIENT_DEPRECATE_EOF] {
            check(caps, AnswerKind::Results, &[progress, progress, OK], 2);
            check(caps, AnswerKind::Results, &[progress, ERR], 2);
            check(caps, AnswerKind::One, &[progress, OK], 2);
        }
        check(
            Caps::empty(),
            AnswerKind::Results,
            &[progress, &[1], progress, DEFINITION, progress, EOF, b"\x01a", progress, b"\x01b", progress, EOF],
            2,
        );
    }

    #[test]
    fn a_row_of_several_packets_is_passed_over_whole() {
        let mut row = vec![0xfe; MAX_PAYLOAD];
        row[0] = 0xfe;
        let mut bytes = stream(&[&[1], DEFINITION]);
        bytes.extend(packet(3, &row));
        // What follows looks like an end, but goes on with the row.
        bytes.extend(packet(4, ENDING_OK));
        let mut upstream_side = UpstreamSide::new(Expected::new(Caps::CLIENT_DEPRECATE_EOF, 0));
        upstream_side.expected.expect(AnswerKind::Results);
        assert_eq!(upstream_side.feed(&bytes).answered, 0);
        assert_eq!(upstream_side.feed(&packet(5, ENDING_OK)).answered, 1);
    }

    #[test]
    fn commands_that_were_sent_at_once_are_answered_in_order() {
        let mut upstream_side = UpstreamSide::new(Expected::new(Caps::empty(), 0));
        for expected in [AnswerKind::One, AnswerKind::Prepared, AnswerKind::Results] {
            upstream_side.expected.expect(expected);
        }
        let mut bytes = stream(&[OK]);
        bytes.extend(stream(&[ERR]));
        assert_eq!(upstream_side.feed(&bytes), StreamEvents { wants_file: false, answered: 2 });
        assert_eq!(upstream_side.feed(&stream(&[b"\xfbfile"])), StreamEvents { wants_file: true, answered: 0 });
        assert_eq!(upstream_side.feed(&stream(&[OK])).answered, 1);
        assert!(upstream_side.is_idle());
        // What comes unasked is passed on.
        assert_eq!(upstream_side.feed(&stream(&[ERR])).answered, 0);
    }

    #[test]
    fn any_bytes_are_followed_without_a_panic() {
        let mut seed = 1u64;
        for _ in 0..2000 {
            let mut upstream_side =
                UpstreamSide::new(Expected::new(if seed & 1 == 0 { Caps::empty() } else { Caps::CLIENT_DEPRECATE_EOF }, 0));
            for expected in [AnswerKind::Results, AnswerKind::Prepared, AnswerKind::Columns, AnswerKind::Rows, AnswerKind::One] {
                upstream_side.expected.expect(expected);
            }
            for _ in 0..40 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let length = (seed >> 60) as usize;
                let payload: Vec<u8> = (0..length).map(|i| (seed >> (i % 8 * 7)) as u8).collect();
                upstream_side.feed(&packet(0, &payload));
            }
        }
    }
}
