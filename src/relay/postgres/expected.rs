//! Which answers of the upstream are awaited, in order.
//!
//! One entry a message that went to the upstream and is answered; I/O-free. Rules: PostgreSQL documentation, sections
//! 55.2.2 to 55.2.6 (src/backend/tcop/postgres.c, PostgresMain): an error skips to the next Sync, Sync is ignored
//! while a COPY takes data. Where the count is wrong after all, the next ReadyForQuery puts it right.

use std::collections::VecDeque;
use std::time::Instant;

/// What of an answer the client does not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppress {
    /// It sees all.
    Nothing,
    /// It answers a part of the client's text: all of it but ReadyForQuery. Positions in it are to count from the start of the
    /// whole text, of which so many characters stand before.
    Part { before: usize },
    /// Nothing but an error.
    AllButErrors,
    /// Nothing.
    Everything,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: u8,
    suppress: Suppress,
    /// When the first message of what it ends came, of one that ReadyForQuery answers.
    began: Option<Instant>,
}

/// The answers that are awaited.
#[derive(Debug, Default)]
pub struct Expected {
    queue: VecDeque<Entry>,
    /// The upstream passes over everything up to the next Sync.
    skipping: bool,
    /// The upstream takes the data of a COPY.
    copying: bool,
    /// Messages of a pipeline went to the upstream since the last Sync.
    open: bool,
    /// One of them was Execute.
    executed: bool,
    /// When what is pushed now came.
    pub now: Option<Instant>,
    /// When the pipeline that is open began.
    began: Option<Instant>,
    /// When those commands came whose ReadyForQuery has come since somebody looked.
    pub finished: Vec<Instant>,
}

impl Expected {
    /// A message of this kind went to the upstream.
    pub fn push(&mut self, kind: u8) {
        match kind {
            b'S' if self.copying => return,
            b'S' => self.skipping = false,
            b'Q' | b'F' | b'P' | b'B' | b'D' | b'E' | b'C' => {}
            b'c' | b'f' if self.copying => {
                self.copying = false;
                return;
            }
            // A marker: what stands before it may yet turn out to be a COPY.
            b'c' | b'f' if !self.queue.is_empty() => {}
            _ => return,
        }
        if self.skipping {
            return;
        }
        let mut began = None;
        match kind {
            b'S' | b'Q' | b'F' => {
                (self.open, self.executed) = (false, false);
                began = self.began.take().or(self.now);
            }
            b'c' | b'f' => {}
            _ => {
                self.open = true;
                self.executed |= kind == b'E';
                self.began = self.began.or(self.now);
            }
        }
        self.queue.push_back(Entry { kind, suppress: Suppress::Nothing, began });
    }

    /// A message of the relay went to the upstream, as part of the client's pipeline.
    pub fn push_within(&mut self, kind: u8, suppress: Suppress) {
        let before = self.queue.len();
        self.push(kind);
        if let Some(entry) = self.queue.get_mut(before) {
            entry.suppress = suppress;
        }
    }

    /// A message of the relay went to the upstream, apart from what the client sends.
    pub fn push_own(&mut self, kind: u8, suppress: Suppress) {
        if kind == b'S' {
            self.skipping = false;
            (self.open, self.executed) = (false, false);
        }
        self.queue.push_back(Entry { kind, suppress, began: None });
    }

    /// Messages of our own are a part of the client's pipeline, which ends with its Sync.
    pub fn join_pipeline(&mut self) {
        (self.open, self.executed) = (true, true);
    }

    /// A message of the upstream has come.
    pub fn answered(&mut self, kind: u8) {
        let Some(front) = self.queue.front().map(|entry| entry.kind) else { return };
        match (kind, front) {
            (b'Z', _) => {
                self.copying = false;
                while let Some(entry) = self.queue.pop_front() {
                    if matches!(entry.kind, b'S' | b'Q' | b'F') {
                        self.finished.extend(entry.began);
                        break;
                    }
                }
            }
            (b'E', b'Q' | b'F' | b'S') => self.copying = false,
            (b'E', _) => {
                self.copying = false;
                while self.queue.front().is_some_and(|entry| entry.kind != b'S') {
                    self.queue.pop_front();
                }
                if self.queue.is_empty() {
                    self.skipping = true;
                }
            }
            (b'1', b'P') | (b'2', b'B') | (b'3', b'C') | (b'T' | b'n', b'D') | (b'C' | b'I' | b's', b'E') => {
                self.queue.pop_front();
            }
            (b'G', b'E' | b'Q') => self.take_data(),
            _ => return,
        }
        while self.queue.front().is_some_and(|entry| matches!(entry.kind, b'c' | b'f')) {
            self.queue.pop_front();
        }
    }

    /// The upstream takes data: what was sent after the COPY already is read by it as part of that.
    fn take_data(&mut self) {
        self.copying = true;
        while let Some(kind) = self.queue.get(1).map(|entry| entry.kind) {
            match kind {
                b'S' => drop(self.queue.remove(1)),
                b'c' | b'f' => {
                    self.queue.remove(1);
                    self.copying = false;
                    return;
                }
                _ => return,
            }
        }
    }

    /// Is a message of the upstream that begins now kept from the client?
    pub fn hides(&self, kind: u8) -> bool {
        match self.queue.front().map(|entry| entry.suppress) {
            None | Some(Suppress::Nothing) => false,
            Some(_) if self.moves(kind).is_some() => true,
            // What comes unasked is the client's.
            Some(_) if matches!(kind, b'A' | b'S' | b'N') => false,
            Some(Suppress::Part { .. }) => kind == b'Z',
            Some(Suppress::AllButErrors) => kind != b'E',
            Some(Suppress::Everything) => true,
        }
    }

    /// A message of the upstream that begins now is to be told to the client with its position moved by so much.
    pub fn moves(&self, kind: u8) -> Option<usize> {
        match self.queue.front().map(|entry| entry.suppress) {
            Some(Suppress::Part { before: before @ 1.. }) if matches!(kind, b'E' | b'N') => Some(before),
            _ => None,
        }
    }

    /// The answer at hand is to a message of the relay.
    pub fn is_own(&self) -> bool {
        self.queue.front().is_some_and(|entry| entry.suppress == Suppress::Everything)
    }

    /// The answer at hand is to a message that the client has not sent.
    pub fn is_unasked(&self) -> bool {
        self.queue.front().is_some_and(|entry| entry.suppress != Suppress::Nothing)
    }

    /// Nothing is awaited.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Nothing is awaited, and no pipeline is half sent.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.open && !self.skipping
    }

    /// An error has happened: everything up to the next Sync is passed over.
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// The upstream takes the data of a COPY.
    pub fn is_copying(&self) -> bool {
        self.copying
    }

    /// The upstream is within a pipeline: it holds answers back until it is asked for them.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The upstream's implicit transaction of a pipeline has begun.
    pub fn has_executed(&self) -> bool {
        self.executed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sent: &[u8], answers: &[u8]) -> Expected {
        let mut expected = Expected::default();
        sent.iter().for_each(|kind| expected.push(*kind));
        answers.iter().for_each(|kind| expected.answered(*kind));
        expected
    }

    #[test]
    fn a_pipeline_is_answered_message_by_message() {
        assert!(after(b"PBDES", b"12TDDCZ").is_empty());
        assert!(!after(b"PBDES", b"12TDDC").is_empty());
        assert!(after(b"QPBES", b"TDCZ12CZ").is_empty());
        assert!(after(b"DDH", b"tTnn").is_empty());
        assert!(after(b"EEC", b"Ds3s3").is_empty());
        assert!(after(b"F", b"VZ").is_empty());
        assert!(after(b"PBE", b"").is_open() && !after(b"PBES", b"").is_open());
    }

    #[test]
    fn an_error_skips_to_the_sync_whether_it_was_sent_or_not() {
        let sent = after(b"PBESPBES", b"1E");
        assert!(!sent.is_skipping() && !sent.is_empty());
        assert!(after(b"PBESPBES", b"1EZ12CZ").is_empty());
        let mut unsent = after(b"PBE", b"1E");
        assert!(unsent.is_skipping() && unsent.is_empty());
        b"BEQ".iter().for_each(|kind| unsent.push(*kind));
        assert!(unsent.is_empty());
        unsent.push(b'S');
        assert!(!unsent.is_empty() && !unsent.is_skipping());
        unsent.answered(b'Z');
        assert!(unsent.is_empty());
        // The error of a commit comes with Sync.
        assert!(after(b"S", b"EZ").is_empty());
        assert!(after(b"Q", b"EZ").is_empty());
    }

    #[test]
    fn sync_is_no_answer_while_a_copy_takes_data() {
        // libpq: Sync after Execute, data, CopyDone and Sync again.
        assert!(after(b"PBDES", b"12nG").is_copying());
        let mut late = after(b"PBDES", b"12nG");
        b"dScS".iter().for_each(|kind| late.push(*kind));
        assert!(!late.is_copying());
        b"CZ".iter().for_each(|kind| late.answered(*kind));
        assert!(late.is_empty());
        // All of it sent before the answer comes.
        assert!(after(b"PBDESdcS", b"12nGCZ").is_empty());
        assert!(after(b"Qdc", b"GCZ").is_empty());
        // The data is wrong.
        assert!(after(b"Qdc", b"GEZ").is_empty());
        assert!(after(b"PBEdcS", b"12GEZ").is_empty());
        // CopyDone without a COPY is passed over.
        assert!(after(b"Qc", b"CZ").is_empty() && after(b"c", b"").is_empty());
    }

    #[test]
    fn a_veil_covers_its_own_answers_only() {
        let mut expected = Expected::default();
        expected.push_own(b'Q', Suppress::Everything);
        expected.push_own(b'Q', Suppress::Part { before: 0 });
        assert!(expected.hides(b'C') && expected.hides(b'E') && !expected.hides(b'A') && !expected.hides(b'S'));
        expected.answered(b'Z');
        assert!(!expected.hides(b'C') && expected.hides(b'Z'));
        expected.answered(b'Z');
        expected.push(b'Q');
        assert!(!expected.hides(b'Z'));
        expected.answered(b'Z');
        expected.push_within(b'P', Suppress::AllButErrors);
        assert!(expected.hides(b'1') && !expected.hides(b'E') && expected.is_open());
    }
}
