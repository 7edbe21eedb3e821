//! Framing: three bytes of length, one of sequence, then the payload; a payload of 16 MiB - 1 goes on in the next packet.
//!
//! Bytes in, payloads out, and back: nothing here reads a socket. The size of a message is checked against the limit
//! before anything is kept of it, and memory grows only with bytes that really came.
//! Layout: MySQL internals, "MySQL Packets"; server: sql-common/net_serv.cc.

use bytes::{Buf, Bytes, BytesMut};

/// The payload at which a packet is not the message's last.
pub const MAX_PAYLOAD: usize = 0xff_ffff;
const HEADER: usize = 4;

/// Bytes that break the framing. The connection cannot go on: where the next packet begins is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The message would be larger than the limit (bytes).
    TooLarge { limit: usize },
    /// A packet came out of its turn.
    OutOfOrder { expected: u8, got: u8 },
}

/// Cuts a stream of bytes into messages.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    sequence: u8,
    /// The part of a message of several packets that has arrived.
    message: BytesMut,
    /// The packet being read: payload bytes still missing, and whether another packet follows it.
    packet: Option<(usize, bool)>,
}

impl Decoder {
    /// A decoder that refuses messages larger than `limit` bytes.
    pub fn new(limit: usize) -> Decoder {
        Decoder { limit, sequence: 0, message: BytesMut::new(), packet: None }
    }

    /// Changes the largest message taken, in bytes.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The sequence number that the next packet must carry.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// Sets the sequence number that the next packet must carry: 0 begins a command.
    pub fn expect(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// Is the decoder between two messages?
    pub fn is_idle(&self) -> bool {
        self.packet.is_none() && self.message.is_empty()
    }

    /// How many bytes are missing until the decoder can go on, when `held` bytes wait; never more than belong to the
    /// present message.
    pub fn missing(&self, held: usize) -> usize {
        match self.packet {
            None => HEADER.saturating_sub(held),
            Some((rest, _)) => rest.saturating_sub(held),
        }
    }

    /// Takes from `bytes` what it can. A message that is complete comes back; None asks for more bytes.
    pub fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        loop {
            let Some((rest, more)) = self.packet else {
                if bytes.len() < HEADER {
                    return Ok(None);
                }
                let length = usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16;
                let got = bytes[3];
                if got != self.sequence {
                    return Err(FrameError::OutOfOrder { expected: self.sequence, got });
                }
                if self.message.len() + length > self.limit {
                    return Err(FrameError::TooLarge { limit: self.limit });
                }
                bytes.advance(HEADER);
                self.sequence = self.sequence.wrapping_add(1);
                self.packet = Some((length, length == MAX_PAYLOAD));
                continue;
            };
            // The usual case: a message in one packet that is here whole is handed on without a copy.
            if !more && self.message.is_empty() && bytes.len() >= rest {
                self.packet = None;
                return Ok(Some(bytes.split_to(rest).freeze()));
            }
            let taken = rest.min(bytes.len());
            self.message.extend_from_slice(&bytes[..taken]);
            bytes.advance(taken);
            if taken < rest {
                self.packet = Some((rest - taken, more));
                return Ok(None);
            }
            self.packet = None;
            if !more {
                return Ok(Some(self.message.split().freeze()));
            }
        }
    }
}

/// Packs messages into packets, one after the other, in a buffer that is to be sent.
#[derive(Debug, Default)]
pub struct Encoder {
    /// Packets ready to be sent.
    pub bytes: Vec<u8>,
    /// The sequence number of the next packet.
    pub sequence: u8,
}

impl Encoder {
    /// Appends the message that `fill` writes. `fill` only appends.
    pub fn message(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.begin();
        fill(&mut self.bytes);
        self.end(start);
    }

    /// As [`Encoder::message`], but an error takes back what was written.
    pub fn try_message<E>(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let start = self.begin();
        match fill(&mut self.bytes) {
            Ok(()) => {
                self.end(start);
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(start);
                Err(error)
            }
        }
    }

    fn begin(&mut self) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEADER]);
        start
    }

    fn end(&mut self, start: usize) {
        let length = self.bytes.len() - start - HEADER;
        if length < MAX_PAYLOAD {
            let header = self.header(length);
            self.bytes[start..start + HEADER].copy_from_slice(&header);
            return;
        }
        let payload = self.bytes.split_off(start + HEADER);
        self.bytes.truncate(start);
        let mut chunks = payload.chunks_exact(MAX_PAYLOAD);
        for chunk in chunks.by_ref() {
            let header = self.header(MAX_PAYLOAD);
            self.bytes.extend_from_slice(&header);
            self.bytes.extend_from_slice(chunk);
        }
        // The last packet is shorter than the maximum, empty if it must be: that is how a reader knows it.
        let header = self.header(chunks.remainder().len());
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(chunks.remainder());
    }

    fn header(&mut self, length: usize) -> [u8; HEADER] {
        let header = [length as u8, (length >> 8) as u8, (length >> 16) as u8, self.sequence];
        self.sequence = self.sequence.wrapping_add(1);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(length: usize) -> Vec<u8> {
        let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let mut encoder = Encoder::default();
        encoder.message(|out| out.extend_from_slice(&payload));
        let mut decoder = Decoder::new(usize::MAX);
        let mut bytes = BytesMut::from(&encoder.bytes[..]);
        assert_eq!(decoder.decode(&mut bytes).unwrap().unwrap(), payload);
        assert!(bytes.is_empty());
        assert_eq!(decoder.sequence(), encoder.sequence);
        encoder.bytes
    }

    #[test]
    fn a_message_of_every_size_round_the_boundary_comes_back() {
        for (length, packets) in [(0, 1), (1, 1), (MAX_PAYLOAD - 1, 1), (MAX_PAYLOAD, 2), (MAX_PAYLOAD + 1, 2), (2 * MAX_PAYLOAD, 3)] {
            assert_eq!(round_trip(length).len(), length + HEADER * packets, "{length}");
        }
    }

    #[test]
    fn bytes_may_come_one_by_one_and_two_messages_at_once() {
        let mut decoder = Decoder::new(100);
        let mut bytes = BytesMut::new();
        let mut seen = vec![];
        for byte in [3, 0, 0, 0, b'a', b'b', b'c', 1, 0, 0, 1, b'd'] {
            bytes.extend_from_slice(&[byte]);
            seen.extend(decoder.decode(&mut bytes).unwrap());
        }
        assert_eq!(seen, [&b"abc"[..], b"d"]);
        let mut bytes = BytesMut::from(&[1, 0, 0, 2, b'x', 0, 0, 0, 3][..]);
        assert_eq!(decoder.decode(&mut bytes).unwrap().unwrap(), &b"x"[..]);
        assert_eq!(decoder.decode(&mut bytes).unwrap().unwrap(), &b""[..]);
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_it_is_kept() {
        let mut decoder = Decoder::new(10);
        let mut bytes = BytesMut::from(&[11, 0, 0, 0][..]);
        assert_eq!(decoder.decode(&mut bytes), Err(FrameError::TooLarge { limit: 10 }));
        // The limit counts the whole message, not one packet of it.
        let mut decoder = Decoder::new(MAX_PAYLOAD + 5);
        let mut bytes = BytesMut::from(&[0xff, 0xff, 0xff, 0][..]);
        bytes.extend_from_slice(&vec![0; MAX_PAYLOAD]);
        bytes.extend_from_slice(&[6, 0, 0, 1]);
        assert_eq!(decoder.decode(&mut bytes), Err(FrameError::TooLarge { limit: MAX_PAYLOAD + 5 }));
    }

    #[test]
    fn a_packet_out_of_its_turn_is_refused() {
        let mut bytes = BytesMut::from(&[0, 0, 0, 1][..]);
        assert_eq!(Decoder::new(10).decode(&mut bytes), Err(FrameError::OutOfOrder { expected: 0, got: 1 }));
    }

    #[test]
    fn a_failed_message_leaves_nothing_behind() {
        let mut encoder = Encoder::default();
        encoder.message(|out| out.push(1));
        let before = (encoder.bytes.clone(), encoder.sequence);
        let failed: Result<(), ()> = encoder.try_message(|out| {
            out.push(2);
            Err(())
        });
        assert!(failed.is_err());
        assert_eq!(before, (encoder.bytes, encoder.sequence));
    }
}
