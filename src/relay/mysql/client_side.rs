//! The client's direction: where a command begins and ends, and which of them may be local.
//!
//! I/O-free. Most bytes pass as they are; only the text of COM_QUERY and COM_STMT_PREPARE is waited for.

use super::expected::AnswerKind;
use crate::wire::mysql::codes::{
    COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID, COM_CHANGE_USER, COM_CLONE, COM_FIELD_LIST, COM_PROCESS_INFO, COM_PROCESS_KILL, COM_QUERY,
    COM_QUIT, COM_RESET_CONNECTION, COM_SET_OPTION, COM_STMT_BULK_EXECUTE, COM_STMT_CLOSE, COM_STMT_EXECUTE, COM_STMT_FETCH,
    COM_STMT_PREPARE, COM_STMT_RESET, COM_STMT_SEND_LONG_DATA, COM_TABLE_DUMP,
};
use crate::wire::mysql::packet::MAX_PAYLOAD;

/// The first id of prepared statements that live here; the upstream counts its own from 1.
pub const FIRST_LOCAL_STATEMENT: u32 = 0x8000_0000;
/// MariaDB: the statement that was prepared last.
const LAST_PREPARED: u32 = u32::MAX;

/// What the next bytes of the client are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// So many bytes go upstream.
    Pass(usize),
    /// So many bytes are needed to tell.
    More(usize),
    /// A whole command of so many bytes that has to be looked at, when everything before it is answered.
    Decide(usize, Undecided),
    /// A local command that is larger than any may be: the connection cannot go on.
    TooLarge,
}

/// Why a command is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecided {
    /// The text of COM_QUERY may hold a local statement.
    Query,
    /// The text of COM_STMT_PREPARE may be.
    Prepare,
    /// COM_FIELD_LIST of a table that may be cold.
    FieldList,
    /// It names a prepared local statement.
    Statement,
    /// COM_CHANGE_USER: an exchange of its own.
    ChangeUser,
    /// COM_RESET_CONNECTION: the local session is reset, too.
    Reset,
    /// COM_PROCESS_KILL.
    Kill,
}

/// What the framing asks about a command.
pub trait OwnerResolver {
    /// May the text hold a local statement?
    fn may_be_local(&mut self, text: &[u8]) -> bool;
    /// Does this connection have local state that a reset has to reach?
    fn has_local_state(&self) -> bool;
    /// The command goes upstream and will be answered so.
    fn sent(&mut self, expected: AnswerKind);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A header comes next.
    Command,
    /// So many bytes of a packet are left; does another belong to the message?
    Body { left: usize, more: bool },
    /// The header of a packet that goes on with a message.
    Continuation,
    /// The packets of a file that the upstream asked for, up to an empty one.
    File { left: usize, more: bool },
    /// Everything passes: replication.
    Raw,
}

/// Cuts the client's bytes into commands.
#[derive(Debug)]
pub struct ClientSide {
    state: State,
    /// Larger texts go upstream unread.
    limit: usize,
    /// The statement prepared last lives here.
    pub last_prepared_is_local: bool,
    /// What COM_SET_OPTION has said last.
    pub multi_statements: Option<bool>,
}

impl ClientSide {
    /// At the beginning of the command phase.
    pub fn new(limit: usize) -> ClientSide {
        ClientSide { state: State::Command, limit, last_prepared_is_local: false, multi_statements: None }
    }

    /// Is the client between two commands?
    pub fn is_idle(&self) -> bool {
        self.state == State::Command
    }

    /// The upstream has asked for a file: packets of it follow.
    pub fn file(&mut self) {
        self.state = State::File { left: 0, more: false };
    }

    /// What are the first of these bytes? Never asked without any.
    pub fn step(&mut self, bytes: &[u8], resolver: &mut impl OwnerResolver) -> Next {
        match self.state {
            State::Raw => Next::Pass(bytes.len()),
            State::Body { left, more } => {
                let taken = left.min(bytes.len());
                self.state = match (left - taken, more) {
                    (0, false) => State::Command,
                    (0, true) => State::Continuation,
                    (left, more) => State::Body { left, more },
                };
                Next::Pass(taken)
            }
            State::File { left: 0, more } => match length_of(bytes) {
                None => Next::More(4),
                // After a packet of the largest size an empty one ends only the message.
                Some(0) if !more => {
                    self.state = State::Command;
                    Next::Pass(4)
                }
                Some(length) => {
                    self.state = State::File { left: length, more: length == MAX_PAYLOAD };
                    Next::Pass(4)
                }
            },
            State::File { left, more } => {
                let taken = left.min(bytes.len());
                self.state = State::File { left: left - taken, more };
                Next::Pass(taken)
            }
            State::Continuation => match length_of(bytes) {
                None => Next::More(4),
                Some(length) => self.pass(4, length),
            },
            State::Command => self.command(bytes, resolver),
        }
    }

    fn command(&mut self, bytes: &[u8], resolver: &mut impl OwnerResolver) -> Next {
        let Some(length) = length_of(bytes) else { return Next::More(5) };
        if length == 0 {
            // The upstream says what it thinks of a command without a code.
            resolver.sent(AnswerKind::One);
            return Next::Pass(4);
        }
        let Some(&code) = bytes.get(4) else { return Next::More(5) };
        match code {
            COM_QUERY | COM_STMT_PREPARE => {
                let expected = if code == COM_QUERY { AnswerKind::Results } else { AnswerKind::Prepared };
                match whole(bytes, self.limit) {
                    Whole::Missing(wanted) => return Next::More(wanted),
                    Whole::TooLong => {}
                    Whole::Bytes(n) => {
                        let one = n == 4 + length;
                        let ours =
                            if one { resolver.may_be_local(&bytes[5..n]) } else { resolver.may_be_local(&payload(&bytes[..n])[1..]) };
                        if ours {
                            return Next::Decide(n, if code == COM_QUERY { Undecided::Query } else { Undecided::Prepare });
                        }
                        self.last_prepared_is_local &= code != COM_STMT_PREPARE;
                        resolver.sent(expected);
                        return Next::Pass(n);
                    }
                }
                self.last_prepared_is_local &= code != COM_STMT_PREPARE;
                resolver.sent(expected);
            }
            COM_STMT_EXECUTE | COM_STMT_SEND_LONG_DATA | COM_STMT_CLOSE | COM_STMT_RESET | COM_STMT_FETCH | COM_STMT_BULK_EXECUTE
                if length >= 5 =>
            {
                let Some(id) = bytes.get(5..9) else { return Next::More(9) };
                let id = u32::from_le_bytes([id[0], id[1], id[2], id[3]]);
                let local = if id == LAST_PREPARED { self.last_prepared_is_local } else { id >= FIRST_LOCAL_STATEMENT };
                if local {
                    return self.undecided(bytes, Undecided::Statement);
                }
                match code {
                    COM_STMT_SEND_LONG_DATA | COM_STMT_CLOSE => {}
                    COM_STMT_RESET => resolver.sent(AnswerKind::One),
                    COM_STMT_FETCH => resolver.sent(AnswerKind::Rows),
                    COM_STMT_EXECUTE if length > 5 => {
                        let Some(cursor) = bytes.get(9) else { return Next::More(10) };
                        resolver.sent(if *cursor == 0 { AnswerKind::Results } else { AnswerKind::Cursor });
                    }
                    _ => resolver.sent(AnswerKind::Results),
                }
            }
            COM_CHANGE_USER => return self.undecided(bytes, Undecided::ChangeUser),
            COM_RESET_CONNECTION if resolver.has_local_state() => return self.undecided(bytes, Undecided::Reset),
            COM_PROCESS_KILL => return self.undecided(bytes, Undecided::Kill),
            COM_SET_OPTION if length >= 3 => {
                let Some(option) = bytes.get(5..7) else { return Next::More(7) };
                self.multi_statements = Some(option == [0, 0]);
                resolver.sent(AnswerKind::One);
            }
            COM_QUIT | COM_STMT_SEND_LONG_DATA | COM_STMT_CLOSE => {}
            COM_FIELD_LIST => match whole(bytes, self.limit) {
                Whole::Missing(wanted) => return Next::More(wanted),
                Whole::Bytes(n) if resolver.may_be_local(&payload(&bytes[..n])[1..]) => return Next::Decide(n, Undecided::FieldList),
                _ => resolver.sent(AnswerKind::Columns),
            },
            COM_PROCESS_INFO => resolver.sent(AnswerKind::Results),
            COM_BINLOG_DUMP | COM_BINLOG_DUMP_GTID | COM_TABLE_DUMP | COM_CLONE => {
                resolver.sent(AnswerKind::Endless);
                self.state = State::Raw;
                return Next::Pass(bytes.len());
            }
            _ => resolver.sent(AnswerKind::One),
        }
        self.pass(4, length)
    }

    fn undecided(&self, bytes: &[u8], kind: Undecided) -> Next {
        match whole(bytes, self.limit) {
            Whole::Bytes(n) => Next::Decide(n, kind),
            Whole::Missing(wanted) => Next::More(wanted),
            Whole::TooLong => Next::TooLarge,
        }
    }

    fn pass(&mut self, header: usize, length: usize) -> Next {
        let more = length == MAX_PAYLOAD;
        self.state = match (length, more) {
            (0, _) => State::Command,
            _ => State::Body { left: length, more },
        };
        Next::Pass(header)
    }
}

fn length_of(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, _, ..] = bytes else { return None };
    Some(usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16)
}

enum Whole {
    /// At least so many bytes are needed.
    Missing(usize),
    TooLong,
    Bytes(usize),
}

/// The bytes of the message that begins here, with its headers.
fn whole(bytes: &[u8], limit: usize) -> Whole {
    let mut at = 0;
    loop {
        let Some(length) = length_of(&bytes[at..]) else { return Whole::Missing(at + 4) };
        at += 4 + length;
        if at > limit {
            return Whole::TooLong;
        }
        if at > bytes.len() {
            return Whole::Missing(at);
        }
        if length < MAX_PAYLOAD {
            return Whole::Bytes(at);
        }
    }
}

/// The payload of a whole message.
pub fn payload(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(length) = length_of(rest) {
        out.extend_from_slice(&rest[4..4 + length]);
        rest = &rest[4 + length..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Probe {
        sent: Vec<AnswerKind>,
        local: bool,
    }

    impl OwnerResolver for Probe {
        fn may_be_local(&mut self, text: &[u8]) -> bool {
            text.windows(4).any(|w| w == b"ours")
        }

        fn has_local_state(&self) -> bool {
            self.local
        }

        fn sent(&mut self, expected: AnswerKind) {
            self.sent.push(expected);
        }
    }

    fn packet(payload: &[u8]) -> Vec<u8> {
        let mut out = (payload.len() as u32).to_le_bytes()[..3].to_vec();
        out.push(0);
        out.extend_from_slice(payload);
        out
    }

    /// Feeds bytes as a connection would; what passes, and what is looked at.
    fn run(commands: &mut ClientSide, probe: &mut Probe, bytes: &[u8], size: usize) -> (Vec<u8>, Vec<Undecided>) {
        let (mut passed, mut kinds, mut held) = (vec![], vec![], vec![]);
        for piece in bytes.chunks(size) {
            held.extend_from_slice(piece);
            while !held.is_empty() {
                match commands.step(&held, probe) {
                    Next::Pass(n) => passed.extend(held.drain(..n)),
                    Next::More(wanted) => {
                        assert!(wanted > held.len());
                        break;
                    }
                    Next::TooLarge => break,
                    Next::Decide(n, kind) => {
                        held.drain(..n);
                        kinds.push(kind);
                    }
                }
            }
        }
        (passed, kinds)
    }

    #[test]
    fn what_is_not_ours_passes_as_it_came_however_it_is_cut() {
        let mut bytes = packet(b"\x03SELECT 1");
        bytes.extend(packet(b"\x16SELECT ?"));
        bytes.extend(packet(b"\x17\x01\0\0\0\0\x01\0\0\0"));
        bytes.extend(packet(b"\x17\x01\0\0\0\x01\x01\0\0\0"));
        bytes.extend(packet(b"\x18\x01\0\0\0\0\0data"));
        bytes.extend(packet(b"\x19\x01\0\0\0"));
        bytes.extend(packet(b"\x04t\0"));
        bytes.extend(packet(b""));
        bytes.extend(packet(b"\x1f"));
        bytes.extend(packet(b"\x01"));
        for size in [1, 2, 3, 7, bytes.len()] {
            let (mut commands, mut probe) = (ClientSide::new(1 << 20), Probe::default());
            let (passed, looks) = run(&mut commands, &mut probe, &bytes, size);
            assert_eq!((&passed, looks), (&bytes, vec![]), "{size}");
            use AnswerKind::{Columns, Cursor, One, Prepared, Results};
            assert_eq!(probe.sent, [Results, Prepared, Results, Cursor, Columns, One, One], "{size}");
            assert!(commands.is_idle());
        }
    }

    #[test]
    fn what_may_be_ours_is_held_back_whole() {
        let mut bytes = packet(b"\x03SELECT 1 FROM ours");
        bytes.extend(packet(b"\x16SELECT ours"));
        bytes.extend(packet(b"\x17\0\0\0\x80\0\x01\0\0\0"));
        bytes.extend(packet(b"\x19\0\0\0\x80"));
        bytes.extend(packet(b"\x11ann\0"));
        bytes.extend(packet(b"\x1f"));
        for size in [1, 4, bytes.len()] {
            let (mut commands, mut probe) = (ClientSide::new(1 << 20), Probe { local: true, ..Probe::default() });
            let (passed, looks) = run(&mut commands, &mut probe, &bytes, size);
            assert!(passed.is_empty() && probe.sent.is_empty());
            use Undecided::{ChangeUser, Prepare, Query, Reset, Statement};
            assert_eq!(looks, [Query, Prepare, Statement, Statement, ChangeUser, Reset], "{size}");
        }
    }

    #[test]
    fn a_text_beyond_the_limit_passes_unread_and_one_of_several_packets_is_read() {
        let mut text = b"\x03SELECT ours ".to_vec();
        text.resize(200, b' ');
        let (mut commands, mut probe) = (ClientSide::new(100), Probe::default());
        assert_eq!(run(&mut commands, &mut probe, &packet(&text), 50).1, []);
        assert_eq!(probe.sent, [AnswerKind::Results]);
        let mut long = vec![b' '; MAX_PAYLOAD];
        long[0] = 3;
        let mut bytes = vec![0xff, 0xff, 0xff, 0];
        bytes.extend_from_slice(&long);
        bytes.extend_from_slice(&[4, 0, 0, 1]);
        bytes.extend_from_slice(b"ours");
        let mut commands = ClientSide::new(1 << 25);
        assert_eq!(run(&mut commands, &mut probe, &bytes, 1 << 20).1, [Undecided::Query]);
        let mut commands = ClientSide::new(1 << 20);
        assert_eq!(run(&mut commands, &mut probe, &bytes, 1 << 20), (bytes, vec![]));
        assert!(commands.is_idle());
    }

    #[test]
    fn a_file_passes_up_to_its_empty_packet_and_replication_for_ever() {
        let (mut commands, mut probe) = (ClientSide::new(100), Probe::default());
        commands.file();
        let mut bytes = packet(b"\x03ours");
        bytes.extend(packet(b""));
        bytes.extend(packet(b"\x0e"));
        assert_eq!(run(&mut commands, &mut probe, &bytes, 3), (bytes, vec![]));
        assert_eq!(probe.sent, [AnswerKind::One]);
        let bytes = [packet(b"\x12abc"), packet(b"\x03ours")].concat();
        assert_eq!(run(&mut commands, &mut probe, &bytes, bytes.len()), (bytes, vec![]));
    }

    #[test]
    fn a_pipelined_execution_follows_the_statement_prepared_last() {
        let execute = packet(b"\x17\xff\xff\xff\xff\0\x01\0\0\0");
        let (mut commands, mut probe) = (ClientSide::new(100), Probe::default());
        assert_eq!(run(&mut commands, &mut probe, &execute, 9).1, []);
        commands.last_prepared_is_local = true;
        assert_eq!(run(&mut commands, &mut probe, &execute, 9).1, [Undecided::Statement]);
        run(&mut commands, &mut probe, &packet(b"\x16SELECT 1"), 100);
        assert!(!commands.last_prepared_is_local);
    }

    #[test]
    fn any_bytes_are_cut_without_a_panic() {
        let mut seed = 7u64;
        for _ in 0..300 {
            let bytes: Vec<u8> = (0..200)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if seed >> 63 == 0 { 0 } else { (seed >> 56) as u8 & 0x1f }
                })
                .collect();
            run(&mut ClientSide::new(1000), &mut Probe::default(), &bytes, 13);
        }
    }
}
