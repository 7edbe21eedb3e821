//! Digests and encodings.

use datafusion::arrow::array::ArrayRef;
use sha1::Digest;

use super::scalar::{At, Call, Spec, add as row, bytes, int, text};
use crate::error::Result;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "sha1|sha", 1..=1, text, |c| {
        let b = c.bytes(0)?;
        c.texts(|i| b.at(i).map(|b| hex::encode(sha1::Sha1::digest(b))))
    });
    row(out, "sha2", 2..=2, text, |c| {
        let (b, bits) = (c.bytes(0)?, c.int(1)?);
        c.texts(|i| {
            let (b, bits) = (b.at(i)?, bits.at(i)?);
            Some(match bits {
                0 | 256 => hex::encode(sha2::Sha256::digest(b)),
                224 => hex::encode(sha2::Sha224::digest(b)),
                384 => hex::encode(sha2::Sha384::digest(b)),
                512 => hex::encode(sha2::Sha512::digest(b)),
                _ => return None,
            })
        })
    });
    row(out, "crc32", 1..=1, int, |c| {
        let b = c.bytes(0)?;
        c.ints(|i| b.at(i).map(|b| i64::from(crc32(b))))
    });
    row(out, "to_base64", 1..=1, text, to_base64);
    row(out, "from_base64", 1..=1, bytes, |c| {
        use base64::Engine;
        let s = c.text(0)?;
        c.binaries(|i| {
            let packed: String = s.at(i)?.chars().filter(|ch| !ch.is_ascii_whitespace()).collect();
            base64::engine::general_purpose::STANDARD.decode(packed).ok()
        })
    });
}

/// MySQL breaks the line after 76 characters.
fn to_base64(c: &Call<'_>) -> Result<ArrayRef> {
    use base64::Engine;
    let b = c.bytes(0)?;
    c.texts(|i| {
        let whole = base64::engine::general_purpose::STANDARD.encode(b.at(i)?);
        let lines: Vec<&str> = (0..whole.len()).step_by(76).map(|at| &whole[at..whole.len().min(at + 76)]).collect();
        Some(lines.join("\n"))
    })
}

/// CRC-32 of IEEE 802.3, bit by bit: what CRC32() is called on is short.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
