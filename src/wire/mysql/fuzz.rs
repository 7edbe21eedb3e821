//! One door to every decoder, for fuzzing.

use bytes::{Bytes, BytesMut};
use mysql_common::constants::CapabilityFlags as Caps;

use super::binary_literal;
use super::charset::Charset;
use super::command::Command;
use super::handshake::FirstPacket;
use super::local_infile::LoadParser;
use super::packet::Decoder;
use super::params::read_params;
use crate::session::LoadData;
use crate::types::{ColumnInfo, SqlType};

/// Hands `bytes` to every decoder of this protocol. None may panic or keep more than it was given.
pub fn fuzz_decode(bytes: &[u8]) {
    let mut stream = BytesMut::from(bytes);
    let mut decoder = Decoder::new(1 << 20);
    while let Ok(Some(_)) = decoder.decode(&mut stream) {}

    let _ = FirstPacket::parse(bytes);
    let packet = Bytes::copy_from_slice(bytes);
    let _ = Command::parse(&packet, Caps::all());
    let _ = Command::parse(&packet, Caps::empty());
    for charset in [Charset::UTF8, Charset::of_collation(8)] {
        let mut types = vec![];
        for count in [1, 2, 9] {
            let _ = read_params(bytes, count, &mut types, &[Some(bytes.to_vec())], charset);
        }
        let _ = charset.decode(bytes);
        let _ = binary_literal::to_hex(bytes, charset, true);
    }

    // The first bytes choose the layout of the file that the rest is.
    let [enclosed, escaped, terminator, line, rest @ ..] = bytes else { return };
    let format = LoadData {
        field_terminator: vec![*terminator; usize::from(*terminator % 3) + 1],
        enclosed_by: enclosed.is_multiple_of(2).then_some(*enclosed),
        escaped_by: escaped.is_multiple_of(2).then_some(*escaped),
        line_prefix: if line.is_multiple_of(2) { vec![] } else { vec![*line] },
        line_terminator: vec![line.wrapping_add(1), *terminator],
        skip_lines: u64::from(*line % 4),
    };
    let columns = [ColumnInfo::new("a", SqlType::Text), ColumnInfo::new("b", SqlType::Blob)];
    if let Ok(mut parser) = LoadParser::new(format, &columns) {
        let (head, tail) = rest.split_at(rest.len() / 2);
        let _ = parser.push(head).and_then(|_| parser.push(tail)).and_then(|_| parser.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz_decode(&bytes);
        }

        /// Random tails after the beginning of a real packet reach further than random bytes.
        #[test]
        fn no_tail_of_a_command_makes_a_decoder_panic(code in 0u8..0x20, bytes in proptest::collection::vec(0u8..16, 0..64)) {
            fuzz_decode(&[&[code][..], &bytes].concat());
            fuzz_decode(&[&[0xff, 0xff, 0xff, 0x3f, 0, 0, 0, 1, 45][..], &[0; 23], b"u\0", &bytes].concat());
            fuzz_decode(&[&[0, 1, code, 0][..], &bytes].concat());
        }
    }
}
