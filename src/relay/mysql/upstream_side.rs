//! The upstream's direction: finds the packets in a stream of bytes that is passed on as it comes. I/O-free.

use super::expected::{AnswerProgress, Expected, HEAD};
use crate::wire::mysql::packet::MAX_PAYLOAD;

/// What a piece of the stream has completed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct StreamEvents {
    /// The upstream asks for a file.
    pub wants_file: bool,
    /// How many commands it has answered.
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
    use mysql_common::constants::CapabilityFlags as Caps;

    use super::super::expected::AnswerKind;
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
