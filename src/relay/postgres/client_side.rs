//! The client's direction: where messages begin and end, and which of them must be looked at. I/O-free.
//!
//! Only the texts of Query and Parse are read, and, on a connection that has local statements, the names in the
//! messages that use them. Everything else goes on as it comes.

use std::collections::HashSet;

use super::expected::Expected;

/// Statements and portals that are local, by name; the unnamed ones too.
#[derive(Debug, Default)]
pub struct Names {
    pub statements: HashSet<Vec<u8>>,
    pub portals: HashSet<Vec<u8>>,
    /// Portals that outlive their transaction: cursors WITH HOLD. They are among the others too.
    pub held: HashSet<Vec<u8>>,
}

impl Names {
    fn is_empty(&self) -> bool {
        self.statements.is_empty() && self.portals.is_empty()
    }

    /// Portals end with their transaction.
    pub fn end_transaction(&mut self) {
        self.portals.clone_from(&self.held);
    }

    /// Is there a portal that ends with its transaction?
    pub fn has_open_portals(&self) -> bool {
        self.portals.len() > self.held.len()
    }
}

/// How far the bytes at hand can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// So many go on; with the rest more are needed.
    Pass(usize),
    /// So many go on; then stands a whole message of `length` bytes that must be decided on.
    Decide { pass: usize, length: usize },
}

/// What is known of the client's side.
#[derive(Debug)]
pub struct ClientSide {
    pub names: Names,
    /// Sync, Query and FunctionCall are to be decided on: something local ends with them.
    pub stops_at_sync: bool,
    /// So is every Execute: what a pipeline has changed here cannot be part of the upstream's transaction.
    pub stops_at_execute: bool,
    /// Everything goes on unread.
    pub raw: bool,
    /// Only the data of a COPY goes on; anything else waits.
    pub only_copy: bool,
    /// Statements that went to the upstream: Query, Execute and FunctionCall.
    pub relayed: u64,
    /// Something has come since this was last set to false.
    pub heard: bool,
    /// Longest text that is read.
    max: usize,
    /// Bytes of a body that are still to go on.
    rest: usize,
}

impl ClientSide {
    /// At the start of a message. `max`: the longest message whose text is read, in bytes.
    pub fn new(max: usize) -> ClientSide {
        ClientSide {
            names: Names::default(),
            stops_at_sync: false,
            stops_at_execute: false,
            raw: false,
            only_copy: false,
            relayed: 0,
            heard: false,
            max,
            rest: 0,
        }
    }

    /// No message is half on its way.
    pub fn is_between(&self) -> bool {
        self.rest == 0
    }

    /// Reads bytes that have not gone on yet. `hit`: does a text hold a name or word of Flashgate?
    pub fn next(&mut self, bytes: &[u8], expected: &mut Expected, mut hit: impl FnMut(&[u8]) -> bool) -> Next {
        let mut at = 0;
        self.heard = true;
        loop {
            if self.raw {
                return Next::Pass(bytes.len());
            }
            let streamed = self.rest.min(bytes.len() - at);
            self.rest -= streamed;
            at += streamed;
            let left = &bytes[at..];
            let (Some(&kind), Some(length)) = (left.first(), left.get(1..5)) else { return Next::Pass(at) };
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
            if length < 4 {
                // Where it ends is unknown; the upstream will say so.
                self.raw = true;
                continue;
            }
            let total = length + 1;
            if self.only_copy && !expected.is_copying() {
                return Next::Pass(at);
            }
            match self.owner_of(kind, &left[..left.len().min(total)], total, expected, &mut hit) {
                MessageOwner::Upstream => {}
                MessageOwner::Incomplete => return Next::Pass(at),
                MessageOwner::Local => return Next::Decide { pass: at, length: total },
            }
            self.passed(kind, expected);
            self.rest = total;
        }
    }

    /// A message of this kind goes to the upstream.
    pub fn passed(&mut self, kind: u8, expected: &mut Expected) {
        self.relayed += u64::from(matches!(kind, b'Q' | b'E' | b'F'));
        expected.push(kind);
    }

    fn owner_of(&mut self, kind: u8, seen: &[u8], total: usize, expected: &Expected, hit: &mut impl FnMut(&[u8]) -> bool) -> MessageOwner {
        let whole = seen.len() == total;
        let found = |ours: bool| match (ours, whole) {
            (false, _) => MessageOwner::Upstream,
            (true, true) => MessageOwner::Local,
            (true, false) => MessageOwner::Incomplete,
        };
        if expected.is_copying() {
            return MessageOwner::Upstream;
        }
        match kind {
            b'S' | b'Q' | b'F' if self.stops_at_sync && total <= self.max => found(true),
            // The upstream will pass over it.
            _ if expected.is_skipping() => MessageOwner::Upstream,
            b'E' if self.stops_at_execute && total <= self.max => found(true),
            b'Q' | b'P' if total > self.max => MessageOwner::Upstream,
            b'Q' | b'P' if !whole => MessageOwner::Incomplete,
            b'Q' => found(self.names.holds_unnamed() || hit(seen[5..].strip_suffix(b"\0").unwrap_or(&seen[5..]))),
            b'P' => {
                let mut parts = Strings(&seen[5..]);
                let (Some(name), Some(text)) = (parts.next(), parts.next()) else { return MessageOwner::Upstream };
                found(self.names.statements.contains(name) || hit(text))
            }
            b'B' | b'D' | b'E' | b'C' if !self.names.is_empty() => match self.names.of_message(kind, &seen[5..]) {
                Some(ours) => found(ours && total <= self.max),
                None if whole || seen.len() > self.max => MessageOwner::Upstream,
                None => MessageOwner::Incomplete,
            },
            _ => MessageOwner::Upstream,
        }
    }
}

enum MessageOwner {
    Upstream,
    Incomplete,
    Local,
}

impl Names {
    /// The unnamed statement or portal, which any Query ends, is local.
    fn holds_unnamed(&self) -> bool {
        self.statements.contains(&b""[..]) || self.portals.contains(&b""[..])
    }

    /// A Query went by: the unnamed ones are gone.
    pub fn forget_unnamed(&mut self) {
        self.statements.remove(&b""[..]);
        self.portals.remove(&b""[..]);
    }

    /// Does a Bind, Describe, Execute or Close mean a local one? None: its names have not come yet. A portal that is
    /// bound to a statement of the upstream is the upstream's from then on.
    fn of_message(&mut self, kind: u8, body: &[u8]) -> Option<bool> {
        let mut parts = Strings(body);
        Some(match kind {
            b'B' => {
                let (portal, statement) = (parts.next()?, parts.next()?);
                let ours = self.statements.contains(statement);
                if !ours {
                    self.portals.remove(portal);
                }
                ours
            }
            b'E' => self.portals.contains(parts.next()?),
            _ => {
                let target = parts.next()?;
                match target.split_first() {
                    Some((b'S', name)) => self.statements.contains(name),
                    Some((b'P', name)) => self.portals.contains(name),
                    _ => false,
                }
            }
        })
    }
}

/// The strings at the front of a body, each ended by NUL; an end that has not come is none.
pub struct Strings<'a>(pub &'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    fn hit(text: &[u8]) -> bool {
        memchr::memmem::find(text, b"cold").is_some()
    }

    /// What goes on and what is decided, when the stream comes in pieces of a size.
    fn run(client_side: &mut ClientSide, stream: &[u8], size: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut expected = Expected::default();
        let (mut passed, mut decided, mut input) = (Vec::new(), Vec::new(), Vec::new());
        for piece in stream.chunks(size) {
            input.extend_from_slice(piece);
            loop {
                match client_side.next(&input, &mut expected, hit) {
                    Next::Pass(n) => {
                        passed.extend(input.drain(..n));
                        break;
                    }
                    Next::Decide { pass, length } => {
                        passed.extend(input.drain(..pass));
                        decided.push(input.drain(..length).collect());
                    }
                }
            }
        }
        (passed, decided)
    }

    #[test]
    fn only_texts_with_words_of_ours_are_held_however_the_stream_is_cut() {
        let ours = [message(b'Q', b"select cold\0"), message(b'P', b"\0select cold\0\0\0")];
        let theirs = [message(b'Q', b"select 1\0"), message(b'P', b"cold\0select 1\0\0\0"), message(b'B', &[7; 99]), message(b'S', b"")];
        let stream = [&ours[0], &theirs[0], &theirs[1], &ours[1], &theirs[2], &theirs[3]].map(Vec::as_slice).concat();
        for size in 1..stream.len() {
            let (passed, decided) = run(&mut ClientSide::new(1000), &stream, size);
            assert_eq!(passed, theirs.concat(), "{size}");
            assert_eq!(decided, ours, "{size}");
        }
    }

    #[test]
    fn a_name_of_ours_stops_the_messages_that_use_it() {
        let mut client_side = ClientSide::new(1000);
        client_side.names.statements.insert(b"s".to_vec());
        client_side.names.portals.insert(b"".to_vec());
        let ours = [message(b'B', b"\0s\0\0\0\0\0\0\0"), message(b'D', b"Ss\0"), message(b'E', b"\0\0\0\0\0"), message(b'C', b"P\0")];
        let theirs = [message(b'B', b"q\0t\0\0\0\0\0\0\0"), message(b'D', b"Pq\0"), message(b'E', b"q\0\0\0\0\0")];
        let stream = [ours.concat(), theirs.concat()].concat();
        let (passed, decided) = run(&mut client_side, &stream, 3);
        assert_eq!((passed, decided), (theirs.concat(), ours.to_vec()));
        // Bound to another's statement, the unnamed portal is another's.
        let rebound = message(b'B', b"\0t\0\0\0\0\0\0\0");
        assert_eq!(run(&mut client_side, &rebound, 100), (rebound.clone(), vec![]));
        let execute = message(b'E', b"\0\0\0\0\0");
        assert_eq!(run(&mut client_side, &execute, 100), (execute.clone(), vec![]));
    }

    #[test]
    fn a_text_beyond_the_limit_goes_on_unread() {
        let long = message(b'Q', &[b"select cold".as_slice(), &[b' '; 1000], b"\0"].concat());
        assert_eq!(run(&mut ClientSide::new(500), &long, 64), (long.clone(), vec![]));
    }

    #[test]
    fn a_length_that_cannot_be_goes_on_with_all_that_follows() {
        let stream = [&b"Q\0\0\0\x03"[..], &message(b'Q', b"select cold\0")].concat();
        assert_eq!(run(&mut ClientSide::new(500), &stream, 1000), (stream.clone(), vec![]));
    }

    proptest! {
        #[test]
        fn any_bytes_of_a_client_are_taken(stream: Vec<u8>, size in 1usize..20, names: bool) {
            let mut client_side = ClientSide::new(50);
            if names {
                client_side.names.statements.insert(vec![]);
                client_side.stops_at_sync = true;
            }
            run(&mut client_side, &stream, size);
        }

        #[test]
        fn nothing_is_lost_or_added(kinds in prop::collection::vec(prop::sample::select(b"QPBDECSHXdcfF".to_vec()), 0..20), size in 1usize..40) {
            let stream: Vec<u8> = kinds.iter().flat_map(|kind| message(*kind, b"a\0b\0\0\0")).collect();
            let (passed, decided) = run(&mut ClientSide::new(1000), &stream, size);
            prop_assert_eq!((passed, decided.len()), (stream, 0));
        }
    }
}
