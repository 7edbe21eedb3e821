//! Every decoder of bytes from outside, behind one function for fuzzing: none of them may panic or hang.

use bytes::{Bytes, BytesMut};

use super::auth::{ExpectClientFirst, Verifier};
use super::copy::{Batches, Decoder};
use super::encode::Format;
use super::frame::{Frame, take_frame, take_packet};
use super::message::Frontend;
use super::params;
use super::startup::Opening;
use crate::session::{CopyLayout, PostgresCopy};
use crate::types::{ColumnInfo, SqlType};

/// Runs `bytes` through every decoder of this wire; what they say of them is thrown away.
pub fn fuzz_decode(bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    while let Ok(Some(frame)) = take_frame(&mut input, 1 << 20) {
        let _ = Frontend::decode(frame);
    }
    let mut input = BytesMut::from(bytes);
    while let Ok(Some(packet)) = take_packet(&mut input) {
        let _ = Opening::decode(packet);
    }
    let _ = Opening::decode(Bytes::copy_from_slice(bytes));
    for kind in 0..=255 {
        let _ = Frontend::decode(Frame { kind, body: Bytes::copy_from_slice(bytes) });
    }
    let first = || ExpectClientFirst::new("user", Verifier::mock("user"));
    let _ = first().take(bytes);
    if let Ok((next, _)) = first().take(b"SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc") {
        let _ = next.take(bytes);
    }
    let oids = [16, 17, 20, 21, 23, 25, 26, 114, 700, 701, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802, 1007, 1009, 1231, 0];
    for oid in oids {
        for format in [Format::Text, Format::Binary] {
            let _ = params::decode(oid, format, Some(bytes), &jiff::tz::TimeZone::UTC);
        }
    }
    let columns = [ColumnInfo::new("a", SqlType::Int64 { unsigned: false }), ColumnInfo::new("b", SqlType::Timestamp { fsp: 6 })];
    for (layout, delimiter) in [(CopyLayout::Text, b'\t'), (CopyLayout::Csv, b','), (CopyLayout::Binary, 0)] {
        let options =
            PostgresCopy { layout, delimiter, null: "\\N".into(), header: false, header_match: false, quote: b'"', escape: b'\\' };
        for signed in [false, true] {
            let (mut decoder, mut rows) = (Decoder::new(&options, &columns), Batches::new(&columns));
            if signed && decoder.feed(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", &mut rows).is_err() {
                continue;
            }
            if bytes.chunks(7).try_for_each(|piece| decoder.feed(piece, &mut rows)).is_ok() {
                let _ = decoder.finish(&mut rows);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_decoder_panics_on_random_bytes(bytes: Vec<u8>) {
            super::fuzz_decode(&bytes);
        }

        #[test]
        fn no_decoder_panics_on_a_frame_of_any_kind(kind in prop::sample::select(b"QPBDECSHXdcfFp".to_vec()), body: Vec<u8>) {
            let head = [&[kind][..], &(body.len() as u32 + 4).to_be_bytes()].concat();
            super::fuzz_decode(&[head, body].concat());
        }
    }
}
