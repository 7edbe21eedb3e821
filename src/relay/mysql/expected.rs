//! Which answers of the upstream are awaited, and which packet is the last of each.
//!
//! I/O-free: a packet is judged by its length and first bytes. Layout: MySQL internals, "Command Phase"; server:
//! sql/protocol_classic.cc.

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
    /// Definitions after the answer to COM_STMT_PREPARE: of its parameters, then of its columns.
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
    /// Answers after which no transaction was open.
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

    /// Takes over the status after a query of the relay.
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
