//! The answers without rows: OK, ERR and EOF packets.
//! Layout: MySQL internals, "OK_Packet", "ERR_Packet", "EOF_Packet"; server: sql/protocol_classic.cc, net_send_ok.

use mysql_common::constants::CapabilityFlags as Caps;

use super::charset::Charset;
use super::codec::{Malformed, put_lenenc, put_lenenc_bytes};
pub use super::codes::AUTOCOMMIT;
use super::codes::{IN_READ_ONLY_TRANSACTION, IN_TRANSACTION, MORE_RESULTS, NO_BACKSLASH_ESCAPES, STATE_CHANGED};
use super::packet::FrameError;
use crate::error::Error;
use crate::session::{Change, Status};

/// What every answer says about the session at its end.
#[derive(Debug, Default)]
pub struct Tail {
    /// Status flags, without [`Tail::more`] and without the session tracking flag.
    pub status: u16,
    /// Warnings of the statement.
    pub warnings: u16,
    /// Another result of the same command follows.
    pub more: bool,
    /// What changed in the session, for a client that tracks it.
    pub changes: Vec<Change>,
}

/// The status flags of a session.
pub fn status_flags(status: Status) -> u16 {
    let mut flags = 0;
    let mut set = |on: bool, flag: u16| flags |= if on { flag } else { 0 };
    set(status.autocommit, AUTOCOMMIT);
    set(status.in_transaction, IN_TRANSACTION);
    set(status.in_transaction && status.read_only, IN_READ_ONLY_TRANSACTION);
    set(status.no_backslash_escapes, NO_BACKSLASH_ESCAPES);
    flags
}

/// The body of an OK packet.
#[derive(Debug, Default)]
pub struct Ok<'a> {
    /// Rows affected.
    pub affected: u64,
    /// The last id that AUTO_INCREMENT gave; 0: none.
    pub last_insert_id: u64,
    /// Text for people: `Records: 3  Duplicates: 0  Warnings: 0`.
    pub info: &'a str,
}

/// Appends an OK packet; its header byte is 0x00, or 0xfe at the end of rows.
pub fn put_ok(out: &mut Vec<u8>, header: u8, ok: &Ok<'_>, tail: &Tail, capabilities: Caps) {
    out.push(header);
    put_lenenc(out, ok.affected);
    put_lenenc(out, ok.last_insert_id);
    let tracked = if capabilities.contains(Caps::CLIENT_SESSION_TRACK) { session_track(&tail.changes) } else { vec![] };
    let changed = if tracked.is_empty() { 0 } else { STATE_CHANGED };
    let more = if tail.more { MORE_RESULTS } else { 0 };
    out.extend_from_slice(&(tail.status | more | changed).to_le_bytes());
    out.extend_from_slice(&tail.warnings.to_le_bytes());
    // The text has its length before it in either case, as the server sends it; the manual says otherwise.
    if !ok.info.is_empty() || !tracked.is_empty() {
        put_lenenc_bytes(out, ok.info.as_bytes());
    }
    if !tracked.is_empty() {
        put_lenenc_bytes(out, &tracked);
    }
}

/// Appends what ends column definitions and rows: an EOF packet, or an OK packet for a client that wants no EOF.
pub fn put_end(out: &mut Vec<u8>, tail: &Tail, capabilities: Caps) {
    if capabilities.contains(Caps::CLIENT_DEPRECATE_EOF) {
        put_ok(out, 0xfe, &Ok::default(), tail, capabilities);
    } else {
        put_eof(out, tail);
    }
}

/// Appends an EOF packet.
pub fn put_eof(out: &mut Vec<u8>, tail: &Tail) {
    out.push(0xfe);
    out.extend_from_slice(&tail.warnings.to_le_bytes());
    let more = if tail.more { MORE_RESULTS } else { 0 };
    out.extend_from_slice(&(tail.status | more).to_le_bytes());
}

const TRACK_VARIABLE: u8 = 0;
const TRACK_SCHEMA: u8 = 1;

fn session_track(changes: &[Change]) -> Vec<u8> {
    let mut out = vec![];
    for change in changes {
        let mut data = vec![];
        let kind = match change {
            Change::Variable { name, value } => {
                put_lenenc_bytes(&mut data, name.as_bytes());
                put_lenenc_bytes(&mut data, value.as_bytes());
                TRACK_VARIABLE
            }
            Change::Database(name) => {
                put_lenenc_bytes(&mut data, name.as_bytes());
                TRACK_SCHEMA
            }
        };
        out.push(kind);
        put_lenenc_bytes(&mut out, &data);
    }
    out
}

/// An error as the wire sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// MySQL's code.
    pub code: u16,
    /// SQLSTATE.
    pub state: &'static str,
    /// What happened and what to do.
    pub message: String,
    /// The payload of an ERR packet of the upstream's, which goes as it is.
    raw: Option<Vec<u8>>,
    /// It goes without its SQLSTATE.
    bare: bool,
}

impl Refusal {
    /// A refusal of the protocol's own.
    pub fn new(code: u16, state: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, state, message: message.into(), raw: None, bare: false }
    }

    /// The same for a client that was not greeted: to it the mark of an SQLSTATE would be part of the message.
    pub fn bare(self) -> Refusal {
        Refusal { bare: true, ..self }
    }

    /// Appends an ERR packet.
    pub fn put(&self, out: &mut Vec<u8>, charset: Charset) {
        if let Some(raw) = &self.raw {
            return out.extend_from_slice(raw);
        }
        out.push(0xff);
        out.extend_from_slice(&self.code.to_le_bytes());
        if !self.bare {
            out.push(b'#');
            out.extend_from_slice(self.state.as_bytes());
        }
        out.extend_from_slice(&charset.encode(&self.message));
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let raw = error.foreign().map(|foreign| foreign.bytes.clone());
        Refusal { raw, ..Refusal::new(error.mysql_code(), error.mysql_sqlstate(), error.to_string()) }
    }
}

/// ER_MALFORMED_PACKET
impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Refusal {
        Refusal::new(1835, "HY000", format!("Malformed communication packet: {}", malformed.0))
    }
}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Refusal {
        match error {
            // ER_NET_PACKET_TOO_LARGE
            FrameError::TooLarge { limit } => {
                Refusal::new(1153, "08S01", format!("Got a packet bigger than 'max_allowed_packet' bytes ({limit}); send less at once"))
            }
            // ER_NET_PACKETS_OUT_OF_ORDER
            FrameError::OutOfOrder { expected, got } => {
                Refusal::new(1156, "08S01", format!("Got packets out of order: expected number {expected}, got {got}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_ok_packet_has_the_servers_bytes() {
        let mut out = vec![];
        let tail = Tail { status: AUTOCOMMIT, warnings: 1, ..Tail::default() };
        put_ok(&mut out, 0, &Ok { affected: 300, last_insert_id: 0, info: "Rows" }, &tail, Caps::empty());
        assert_eq!(out, b"\x00\xfc\x2c\x01\x00\x02\x00\x01\x00\x04Rows");
    }

    #[test]
    fn changes_are_told_only_to_those_who_track() {
        let tail = Tail { changes: vec![Change::Database("d".into())], ..Tail::default() };
        let (mut told, mut untold) = (vec![], vec![]);
        put_ok(&mut told, 0, &Ok::default(), &tail, Caps::CLIENT_SESSION_TRACK);
        put_ok(&mut untold, 0, &Ok::default(), &tail, Caps::empty());
        assert_eq!(told, b"\x00\x00\x00\x00\x40\x00\x00\x00\x04\x01\x02\x01d");
        assert_eq!(untold, b"\x00\x00\x00\x00\x00\x00\x00");
    }

    #[test]
    fn the_end_of_rows_follows_what_was_negotiated() {
        let tail = Tail { status: AUTOCOMMIT, more: true, ..Tail::default() };
        let (mut old, mut new) = (vec![], vec![]);
        put_end(&mut old, &tail, Caps::empty());
        put_end(&mut new, &tail, Caps::CLIENT_DEPRECATE_EOF);
        assert_eq!(old, b"\xfe\x00\x00\x0a\x00");
        assert_eq!(new, b"\xfe\x00\x00\x0a\x00\x00\x00");
    }

    #[test]
    fn an_error_carries_code_state_sentence_and_hint() {
        let mut out = vec![];
        Refusal::from(Error::new(Kind::UnknownTable, "no t").with_hint("create it")).put(&mut out, Charset::UTF8);
        assert_eq!(out, b"\xff\x7a\x04#42S02no t (create it)");
    }
}
