//! The upstream's direction: where messages begin and end, and the few that say something about the session. I/O-free.

use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};

use super::expected::Expected;
use crate::sql::Dialect;

/// Longest body that is kept to be looked at: a setting, a local row.
const KEPT: usize = 64 * 1024;
/// Settings that are followed. PostgreSQL reports them by itself (section 55.2.7).
const FOLLOWED: [&str; 8] = [
    "client_encoding",
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "session_authorization",
    "is_superuser",
    "standard_conforming_strings",
    // From PostgreSQL 18 on.
    "search_path",
];

/// How bytes of the upstream are to be handled: so many go on to the client, then so many do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub pass: usize,
    pub hide: usize,
}

/// A ParameterStatus that the client has not been told of yet.
#[derive(Debug)]
struct Held {
    body: Vec<u8>,
    /// The value that it knows, as far as that is followed.
    before: Option<String>,
}

/// What is known of the upstream's side.
#[derive(Debug)]
pub struct UpstreamSide {
    pub expected: Expected,
    /// Everything goes on unread.
    pub raw: bool,
    /// The last ReadyForQuery's: I, T or E.
    pub status: u8,
    /// How many ReadyForQuery said that no transaction is open.
    pub idles: u64,
    /// How many of them the client has seen.
    pub idles_sent_to_client: u64,
    /// How many errors the upstream has reported, also those that the client does not see.
    pub errors: u64,
    /// One of them has kept the upstream from closing the relay's own prepared statement.
    pub left_open: bool,
    /// The body of the last of them that answers a message of the relay.
    pub hidden_error: Vec<u8>,
    /// Rows that came as answers to messages of the relay, as DataRow bodies.
    pub rows: Vec<Vec<u8>>,
    /// Answers to messages of the relay are kept in `own_answers`, whole.
    pub keeps_own_answers: bool,
    /// Kind and body of each.
    pub own_answers: VecDeque<(u8, Vec<u8>)>,
    /// How many notices the upstream has sent.
    pub notices: u64,
    /// A message for the client, to be sent in the place of the one that was hidden last.
    pub instead: Vec<u8>,
    /// Settings are told at the end of the client's text, not of each part of it.
    held: Option<Vec<Held>>,
    settings: Vec<(&'static str, String)>,
    /// standard_conforming_strings is on.
    conforming: bool,
    /// Of the message that is being read: its head, and how much of that is there.
    head: [u8; 5],
    have: usize,
    /// Bytes of its body that have not come yet.
    rest: usize,
    hidden: bool,
    /// Its position is to be moved by so many characters.
    moves: Option<usize>,
    kept: Option<Vec<u8>>,
}

impl UpstreamSide {
    /// At the start of a message, with nothing awaited.
    pub fn new() -> UpstreamSide {
        UpstreamSide {
            expected: Expected::default(),
            raw: false,
            status: b'I',
            idles: 0,
            idles_sent_to_client: 0,
            errors: 0,
            left_open: false,
            hidden_error: Vec::new(),
            rows: Vec::new(),
            keeps_own_answers: false,
            own_answers: VecDeque::new(),
            notices: 0,
            instead: Vec::new(),
            held: None,
            settings: Vec::with_capacity(FOLLOWED.len()),
            conforming: true,
            head: [0; 5],
            have: 0,
            rest: 0,
            hidden: false,
            moves: None,
            kept: None,
        }
    }

    /// Nothing of a message has come that is not whole.
    pub fn is_between(&self) -> bool {
        self.have == 0
    }

    /// A setting that the upstream has reported.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// How a text is read that comes when everything sent so far is answered.
    pub fn dialect(&self) -> Dialect {
        Dialect { no_backslash_escapes: self.conforming, ..Dialect::POSTGRES }
    }

    /// All that it has reported and that is followed.
    pub fn settings(&self) -> &[(&'static str, String)] {
        &self.settings
    }

    /// From now on settings that the upstream reports are kept back.
    pub fn hold_settings(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Tells of the settings that were kept back, each as it is now.
    pub fn tell_settings(&mut self, out: &mut BytesMut) {
        for Held { body, before } in self.held.take().unwrap_or_default() {
            let value = body.split(|byte| *byte == 0).nth(1);
            if before.as_deref().map(str::as_bytes) != value {
                put(b'S', &body, out);
            }
        }
    }

    fn hold(&mut self, body: &[u8]) {
        let name = |body: &[u8]| body.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        let before = std::str::from_utf8(&name(body)).ok().and_then(|name| self.setting(name)).map(str::to_owned);
        let Some(held) = &mut self.held else { return };
        match held.iter_mut().find(|known| name(&known.body) == name(body)) {
            Some(known) => known.body = body.to_vec(),
            None => held.push(Held { body: body.to_vec(), before }),
        }
    }

    /// Reads on. What the cut does not cover is to be given again; `instead` goes to the client after what passes.
    pub fn take(&mut self, bytes: &[u8]) -> Cut {
        if self.raw {
            return Cut { pass: bytes.len(), hide: 0 };
        }
        let mut at = 0;
        let mut pass = None;
        while at < bytes.len() {
            if self.have == 0 {
                self.hidden = self.expected.hides(bytes[at]) || bytes[at] == b'S' && self.held.is_some();
                self.moves = self.expected.moves(bytes[at]);
            }
            match pass {
                None if self.hidden => pass = Some(at),
                Some(pass) if !self.hidden => return Cut { pass, hide: at - pass },
                _ => {}
            }
            at += self.step(&bytes[at..]);
            if self.raw {
                at = bytes.len();
            }
            if !self.instead.is_empty() {
                break;
            }
        }
        let pass = pass.unwrap_or(at);
        Cut { pass, hide: at - pass }
    }

    /// Takes what is there of one message; gives how many bytes that is.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        if self.have < 5 {
            used = bytes.len().min(5 - self.have);
            self.head[self.have..self.have + used].copy_from_slice(&bytes[..used]);
            self.have += used;
            if self.have < 5 {
                return used;
            }
            let [kind, length @ ..] = self.head;
            let Some(rest) = (u32::from_be_bytes(length) as usize).checked_sub(4) else {
                // Where this message ends is unknown. The client will see what it is given.
                self.raw = true;
                return used;
            };
            self.rest = rest;
            let mine = self.hidden && self.expected.is_own();
            let wanted = matches!(kind, b'Z' | b'S') || matches!(kind, b'D' | b'E') && mine;
            let told = self.moves.is_some() || kind == b'S' && self.held.is_some();
            self.kept = (wanted && rest <= KEPT || told || mine && self.keeps_own_answers).then(Vec::new);
        }
        let body = &bytes[used..used + self.rest.min(bytes.len() - used)];
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(body);
        }
        self.rest -= body.len();
        if self.rest == 0 {
            self.have = 0;
            self.end(self.head[0]);
        }
        used + body.len()
    }

    fn end(&mut self, kind: u8) {
        let mut kept = self.kept.take();
        if self.keeps_own_answers && self.hidden && self.expected.is_own() {
            let body = if kind == b'Z' { kept.clone() } else { kept.take() };
            self.own_answers.extend(body.map(|body| (kind, body)));
        }
        if let (Some(before), Some(body)) = (self.moves, &kept) {
            let mut out = BytesMut::new();
            put(kind, &moved(body, before), &mut out);
            self.instead = out.to_vec();
        }
        self.notices += u64::from(kind == b'N');
        match (kind, kept) {
            (b'D', Some(row)) => self.rows.push(row),
            (b'D' | b'd', _) => {}
            (b'Z', kept) => {
                if let Some(status @ (b'I' | b'T' | b'E')) = kept.and_then(|body| body.first().copied()) {
                    self.status = status;
                }
                self.idles += u64::from(self.status == b'I');
                self.idles_sent_to_client += u64::from(self.status == b'I' && !self.hidden);
                self.expected.answered(kind);
            }
            (b'S', Some(body)) => {
                self.hold(&body);
                self.follow(&body);
            }
            (b'E', body) => {
                self.errors += 1;
                self.left_open |= self.expected.is_unasked();
                self.hidden_error = body.unwrap_or_default();
                self.expected.answered(kind);
            }
            _ => self.expected.answered(kind),
        }
    }

    /// Takes the body of a ParameterStatus.
    pub fn follow(&mut self, body: &[u8]) {
        let mut parts = body.split(|byte| *byte == 0);
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { return };
        let Some(name) = FOLLOWED.into_iter().find(|known| known.as_bytes() == name) else { return };
        let value = String::from_utf8_lossy(value).into_owned();
        if name == "standard_conforming_strings" {
            self.conforming = value != "off";
        }
        match self.settings.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.settings.push((name, value)),
        }
    }
}

fn put(kind: u8, body: &[u8], out: &mut BytesMut) {
    out.put_u8(kind);
    out.put_u32(body.len() as u32 + 4);
    out.put_slice(body);
}

/// The body of an error or notice whose position (P) counts so many characters more.
fn moved(body: &[u8], before: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 4);
    let field = |field: &[u8]| match std::str::from_utf8(field.strip_prefix(b"P")?).ok()?.parse::<usize>() {
        Ok(position) => Some(format!("P{}", position + before).into_bytes()),
        Err(_) => None,
    };
    let fields = body.strip_suffix(b"\0").unwrap_or(body);
    for one in fields.split_inclusive(|byte| *byte == 0) {
        let bare = one.strip_suffix(b"\0").unwrap_or(one);
        out.extend_from_slice(&field(bare).unwrap_or_else(|| bare.to_vec()));
        out.push(0);
    }
    out.push(0);
    out
}

/// The fields of a DataRow's body, as text, up to the first that cannot be read.
pub fn fields(row: &[u8]) -> Vec<Option<String>> {
    let mut rest = row.get(2..).unwrap_or_default();
    let mut all = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            all.push(None);
            rest = behind;
            continue;
        };
        let Some((value, behind)) = behind.split_at_checked(length) else { break };
        let Ok(value) = String::from_utf8(value.to_vec()) else { break };
        all.push(Some(value));
        rest = behind;
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::expected::Suppress;
    use super::*;

    pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    /// What the client would see.
    fn seen(upstream_side: &mut UpstreamSide, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let cut = upstream_side.take(&bytes[at..]);
            assert!(cut.pass + cut.hide > 0);
            out.extend_from_slice(&bytes[at..at + cut.pass]);
            out.append(&mut upstream_side.instead);
            at += cut.pass + cut.hide;
        }
        out
    }

    #[test]
    fn answers_to_our_own_messages_are_kept_and_the_rest_goes_on_however_it_is_cut() {
        let setting = message(b'S', b"TimeZone\0Asia/Tokyo\0");
        let hidden = [message(b'C', b"BEGIN\0"), message(b'D', b"\0\x01\0\0\0\x02hi")].concat();
        let theirs = [message(b'D', b"\0\0"), message(b'C', b"SELECT 1\0"), message(b'Z', b"T")].concat();
        let stream = [hidden, setting.clone(), message(b'Z', b"T"), theirs.clone()].concat();
        for size in 1..stream.len() {
            let mut upstream_side = UpstreamSide::new();
            upstream_side.expected.push_own(b'Q', Suppress::Everything);
            upstream_side.expected.push(b'Q');
            let out: Vec<u8> = stream.chunks(size).flat_map(|piece| seen(&mut upstream_side, piece)).collect();
            assert_eq!(out, [setting.clone(), theirs.clone()].concat(), "in pieces of {size}");
            assert_eq!((upstream_side.status, upstream_side.setting("TimeZone")), (b'T', Some("Asia/Tokyo")));
            assert_eq!(fields(&upstream_side.rows[0]), [Some("hi".to_owned())]);
            assert!(upstream_side.expected.is_empty() && upstream_side.is_between());
        }
    }

    #[test]
    fn the_answer_to_a_part_of_a_text_is_told_as_one_to_the_whole_however_it_is_cut() {
        let error = |position: &str| message(b'E', format!("SERROR\0C42703\0MPx\0P{position}\0p3\0\0").as_bytes());
        let notice = |position: &str| message(b'N', format!("SWARNING\0P{position}\0\0").as_bytes());
        let (row, setting) = (message(b'D', b"\0\0"), |zone: &str| message(b'S', format!("TimeZone\0{zone}\0").as_bytes()));
        let first = [setting("UTC"), message(b'C', b"SET\0"), message(b'Z', b"T")].concat();
        let second = [notice("2"), row.clone(), error("7"), setting("Asia/Tokyo"), message(b'Z', b"E")].concat();
        let stream = [first, second].concat();
        let told = [message(b'C', b"SET\0"), notice("12"), row, error("17")].concat();
        for size in 1..stream.len() {
            let mut upstream_side = UpstreamSide::new();
            upstream_side.follow(b"TimeZone\0Europe/Paris\0");
            upstream_side.hold_settings();
            upstream_side.expected.push_own(b'Q', Suppress::Part { before: 0 });
            upstream_side.expected.push_own(b'Q', Suppress::Part { before: 10 });
            let out: Vec<u8> = stream.chunks(size).flat_map(|piece| seen(&mut upstream_side, piece)).collect();
            assert_eq!(out, told, "in pieces of {size}");
            let mut end = BytesMut::new();
            upstream_side.tell_settings(&mut end);
            assert_eq!((&end[..], upstream_side.setting("TimeZone")), (&setting("Asia/Tokyo")[..], Some("Asia/Tokyo")));
        }
    }

    #[test]
    fn a_setting_that_is_as_it_was_at_the_end_of_a_text_is_not_told() {
        let mut upstream_side = UpstreamSide::new();
        upstream_side.follow(b"TimeZone\0UTC\0");
        upstream_side.hold_settings();
        seen(&mut upstream_side, &[message(b'S', b"TimeZone\0Asia/Tokyo\0"), message(b'S', b"TimeZone\0UTC\0")].concat());
        let mut end = BytesMut::new();
        upstream_side.tell_settings(&mut end);
        assert!(end.is_empty());
    }

    #[test]
    fn strings_are_read_as_the_upstream_says() {
        let mut upstream_side = UpstreamSide::new();
        assert_eq!(upstream_side.dialect(), Dialect::POSTGRES);
        seen(&mut upstream_side, &message(b'S', b"standard_conforming_strings\0off\0"));
        assert!(!upstream_side.dialect().no_backslash_escapes);
        seen(&mut upstream_side, &message(b'S', b"standard_conforming_strings\0on\0"));
        assert_eq!(upstream_side.dialect(), Dialect::POSTGRES);
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_reading_not_the_relay() {
        let mut upstream_side = UpstreamSide::new();
        assert_eq!(seen(&mut upstream_side, b"Z\0\0\0\x03xyz"), b"Z\0\0\0\x03xyz");
        assert_eq!(seen(&mut upstream_side, b"more"), b"more");
    }

    proptest! {
        #[test]
        fn any_bytes_of_an_upstream_are_taken(pieces: Vec<Vec<u8>>, sent: Vec<u8>) {
            let mut upstream_side = UpstreamSide::new();
            for (at, kind) in sent.iter().enumerate() {
                if at % 3 == 0 { upstream_side.expected.push_own(*kind, Suppress::Everything) } else { upstream_side.expected.push(*kind) }
            }
            for piece in pieces {
                seen(&mut upstream_side, &piece);
            }
        }
    }
}
