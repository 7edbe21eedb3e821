//! Decoding of integer runs, versions 1 and 2 (specification, "Integer Run Length Encoding, version 1 / 2").

use super::super::codec::Input;
use super::super::damage::{Damage, damaged};

/// More bytes than any run takes: 4 header bytes, 512 values of 8 bytes, 31 patches of 8, two varints.
const MAX_RUN_BYTES: usize = 5120;

/// Reads integers from a stream of runs.
#[derive(Debug)]
pub(in crate::orc) struct IntRuns {
    input: Input,
    signed: bool,
    version2: bool,
    run: Vec<i64>,
    at: usize,
}

impl IntRuns {
    pub(in crate::orc) fn new(input: Input, signed: bool, version2: bool) -> IntRuns {
        IntRuns { input, signed, version2, run: Vec::with_capacity(512), at: 0 }
    }

    /// Appends `n` values to `out`.
    pub(in crate::orc) fn read(&mut self, mut n: usize, out: &mut Vec<i64>) -> Result<(), Damage> {
        while n > 0 {
            if self.at == self.run.len() {
                self.next_run()?;
            }
            let step = n.min(self.run.len() - self.at);
            out.extend_from_slice(&self.run[self.at..self.at + step]);
            self.at += step;
            n -= step;
        }
        Ok(())
    }

    pub(in crate::orc) fn skip(&mut self, mut n: usize) -> Result<(), Damage> {
        while n > 0 {
            if self.at == self.run.len() {
                self.next_run()?;
            }
            let step = n.min(self.run.len() - self.at);
            self.at += step;
            n -= step;
        }
        Ok(())
    }

    /// Decodes one run; a run has at least one value.
    fn next_run(&mut self) -> Result<(), Damage> {
        self.run.clear();
        self.at = 0;
        let mut bytes = Reader { bytes: self.input.fill(MAX_RUN_BYTES)?, at: 0 };
        if self.version2 {
            run_v2(&mut bytes, self.signed, &mut self.run)?
        } else {
            run_v1(&mut bytes, self.signed, &mut self.run)?
        };
        let used = bytes.at;
        self.input.consume(used);
        Ok(())
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Damage> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| damaged("an integer stream ends early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Damage> {
        let slice = self.bytes.get(self.at..self.at + n).ok_or_else(|| damaged("an integer stream ends early"))?;
        self.at += n;
        Ok(slice)
    }

    /// `n` bytes, big-endian, n <= 8.
    fn big_endian(&mut self, n: usize) -> Result<u64, Damage> {
        Ok(self.take(n)?.iter().fold(0, |all, &b| all << 8 | u64::from(b)))
    }

    fn varint(&mut self) -> Result<u64, Damage> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
            if shift > 63 {
                return Err(damaged("a number longer than 64 bits"));
            }
        }
    }

    fn signed_varint(&mut self) -> Result<i64, Damage> {
        Ok(unzigzag(self.varint()?))
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn run_v1(bytes: &mut Reader<'_>, signed: bool, run: &mut Vec<i64>) -> Result<(), Damage> {
    let control = bytes.byte()? as i8;
    let read = |bytes: &mut Reader<'_>| if signed { bytes.signed_varint() } else { bytes.varint().map(|v| v as i64) };
    if control >= 0 {
        let delta = i64::from(bytes.byte()? as i8);
        let mut value = read(bytes)?;
        for _ in 0..control as usize + 3 {
            run.push(value);
            value = value.wrapping_add(delta);
        }
    } else {
        for _ in 0..-i16::from(control) {
            run.push(read(bytes)?);
        }
    }
    Ok(())
}

fn run_v2(bytes: &mut Reader<'_>, signed: bool, run: &mut Vec<i64>) -> Result<(), Damage> {
    let first = bytes.byte()?;
    let decode = |value: u64| if signed { unzigzag(value) } else { value as i64 };
    if first >> 6 == 0 {
        let value = decode(bytes.big_endian((first >> 3 & 7) as usize + 1)?);
        run.resize((first & 7) as usize + 3, value);
        return Ok(());
    }
    let code = first >> 1 & 31;
    let length = ((first as usize & 1) << 8 | bytes.byte()? as usize) + 1;
    match first >> 6 {
        1 => {
            let width = width_of(code);
            let packed = bytes.take(packed_bytes(length, width))?;
            unpack(packed, width, length, |v| run.push(decode(v)));
        }
        2 => patched_base(bytes, width_of(code), length, run)?,
        _ => {
            let base = if signed { bytes.signed_varint()? } else { bytes.varint()? as i64 };
            let delta = bytes.signed_varint()?;
            if code == 0 {
                run.extend((0..length as i64).map(|i| base.wrapping_add(delta.wrapping_mul(i))));
                return Ok(());
            }
            run.push(base);
            if length < 2 {
                return Ok(());
            }
            let mut value = base.wrapping_add(delta);
            run.push(value);
            let width = width_of(code);
            let packed = bytes.take(packed_bytes(length - 2, width))?;
            unpack(packed, width, length - 2, |v| {
                value = if delta < 0 { value.wrapping_sub(v as i64) } else { value.wrapping_add(v as i64) };
                run.push(value);
            });
        }
    }
    Ok(())
}

fn patched_base(bytes: &mut Reader<'_>, width: u32, length: usize, run: &mut Vec<i64>) -> Result<(), Damage> {
    let (third, fourth) = (bytes.byte()?, bytes.byte()?);
    let base_bytes = (third >> 5) as usize + 1;
    let patch_width = width_of(third & 31);
    let gap_width = u32::from(fourth >> 5) + 1;
    let patches = (fourth & 31) as usize;
    // The base is a magnitude with the sign in its highest bit.
    let base = bytes.big_endian(base_bytes)?;
    let sign = 1u64 << (base_bytes * 8 - 1);
    let base = if base & sign != 0 { ((base & !sign) as i64).wrapping_neg() } else { base as i64 };
    let packed = bytes.take(packed_bytes(length, width))?;
    unpack(packed, width, length, |v| run.push(v as i64));
    let entry_width = closest_width(patch_width + gap_width);
    if entry_width > 64 {
        return Err(damaged("a patch wider than 64 bits"));
    }
    let packed = bytes.take(packed_bytes(patches, entry_width))?;
    let mut entries = [0u64; 31];
    let mut count = 0;
    unpack(packed, entry_width, patches, |v| {
        entries[count] = v;
        count += 1;
    });
    let mut at = 0usize;
    for &entry in &entries[..count] {
        let (gap, patch) = match patch_width {
            64 => (0, entry),
            w => (entry >> w, entry & ((1 << w) - 1)),
        };
        at = at.saturating_add(gap as usize);
        let value = run.get_mut(at).ok_or_else(|| damaged("a patch beyond its run"))?;
        *value |= (patch as i64).checked_shl(width).unwrap_or(0);
    }
    for value in run.iter_mut() {
        *value = value.wrapping_add(base);
    }
    Ok(())
}

/// The width that a 5-bit code stands for.
fn width_of(code: u8) -> u32 {
    match code {
        0..=23 => u32::from(code) + 1,
        24 => 26,
        25 => 28,
        26 => 30,
        27 => 32,
        28 => 40,
        29 => 48,
        30 => 56,
        _ => 64,
    }
}

/// The next width that has a code.
fn closest_width(bits: u32) -> u32 {
    (0..32).map(width_of).find(|&w| w >= bits).unwrap_or(65)
}

fn packed_bytes(length: usize, width: u32) -> usize {
    (length * width as usize).div_ceil(8)
}

/// Hands out `length` numbers of `width` bits, packed big-endian. `packed` holds them all.
fn unpack(packed: &[u8], width: u32, length: usize, mut emit: impl FnMut(u64)) {
    match width {
        1 | 2 | 4 => {
            let per_byte = (8 / width) as usize;
            let mask = (1u8 << width) - 1;
            for i in 0..length {
                let shift = 8 - width as usize * (i % per_byte + 1);
                emit(u64::from(packed[i / per_byte] >> shift & mask));
            }
        }
        8 => packed[..length].iter().for_each(|&b| emit(u64::from(b))),
        16 => packed.chunks_exact(2).take(length).for_each(|c| emit(u64::from(u16::from_be_bytes([c[0], c[1]])))),
        24 => packed.chunks_exact(3).take(length).for_each(|c| emit(u64::from(u32::from_be_bytes([0, c[0], c[1], c[2]])))),
        32 => packed.chunks_exact(4).take(length).for_each(|c| emit(u64::from(u32::from_be_bytes([c[0], c[1], c[2], c[3]])))),
        40 | 48 | 56 | 64 => {
            let bytes = width as usize / 8;
            for chunk in packed.chunks_exact(bytes).take(length) {
                let mut wide = [0u8; 8];
                wide[8 - bytes..].copy_from_slice(chunk);
                emit(u64::from_be_bytes(wide));
            }
        }
        _ => {
            // Up to 30 bits here: the accumulator never holds more than 37.
            let (mut held, mut bits, mut at) = (0u64, 0, 0);
            let mask = (1u64 << width) - 1;
            for _ in 0..length {
                while bits < width {
                    held = held << 8 | u64::from(packed[at]);
                    at += 1;
                    bits += 8;
                }
                bits -= width;
                emit(held >> bits & mask);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use orc_rust::proto::CompressionKind;
    use proptest::prelude::*;

    use super::super::super::codec::Codec;
    use super::super::super::encode;
    use super::*;

    const PLAIN: Codec = Codec { kind: CompressionKind::None, block: 0 };

    fn runs(bytes: &[u8], signed: bool, version2: bool) -> IntRuns {
        IntRuns::new(Input::new(PLAIN, Bytes::copy_from_slice(bytes)), signed, version2)
    }

    fn decode(bytes: &[u8], n: usize, signed: bool, version2: bool) -> Vec<i64> {
        let mut out = vec![];
        runs(bytes, signed, version2).read(n, &mut out).unwrap();
        out
    }

    #[test]
    fn the_examples_of_the_specification_decode() {
        assert_eq!(decode(&[0x0a, 0x27, 0x10], 5, false, true), [10000; 5]);
        assert_eq!(decode(&[0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef], 4, false, true), [23713, 43806, 57005, 48879]);
        let patched = [
            0x8e, 0x13, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50, 0x5a, 0x64, 0x6e, 0x78, 0x82, 0x8c,
            0x96, 0xa0, 0xaa, 0xb4, 0xbe, 0xfc, 0xe8,
        ];
        let expected =
            [2030, 2000, 2020, 1000000, 2040, 2050, 2060, 2070, 2080, 2090, 2100, 2110, 2120, 2130, 2140, 2150, 2160, 2170, 2180, 2190];
        assert_eq!(decode(&patched, 20, false, true), expected);
        assert_eq!(decode(&[0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46], 10, false, true), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert_eq!(decode(&[0x61, 0x00, 0x07], 100, false, false), [7; 100]);
        assert_eq!(decode(&[0x61, 0xff, 0x64], 100, false, false), (1..=100).rev().collect::<Vec<_>>());
        assert_eq!(decode(&[0xfb, 0x02, 0x03, 0x06, 0x07, 0x0b], 5, false, false), [2, 3, 6, 7, 11]);
    }

    #[test]
    fn a_stream_that_ends_within_a_run_is_damage() {
        for cut in 0..10 {
            let whole = [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef];
            assert!(runs(&whole[..cut], false, true).read(4, &mut vec![]).is_err());
        }
    }

    fn numbers() -> impl Strategy<Value = Vec<i64>> {
        let piece = prop_oneof![
            (any::<i64>(), 1..600usize).prop_map(|(v, n)| vec![v; n]),
            (any::<i32>(), -300..300i64, 1..600usize).prop_map(|(v, d, n)| (0..n as i64).map(|i| i64::from(v) + d * i).collect()),
            (0..64u32).prop_flat_map(|bits| prop::collection::vec(any::<i64>().prop_map(move |v| v >> bits), 1..600)),
            prop::collection::vec(any::<i64>(), 1..600).prop_map(|mut v| {
                v.sort_unstable();
                v
            }),
            prop::collection::vec(0..5i64, 1..600).prop_map(|v| v
                .into_iter()
                .scan(0, |s, d| {
                    *s -= d;
                    Some(*s)
                })
                .collect()),
            Just(vec![i64::MIN, i64::MAX, i64::MIN, 0, -1, i64::MAX, i64::MAX - 1]),
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn what_is_encoded_decodes_to_the_same(values in numbers(), signed: bool, skip in 0..700usize) {
            let mut bytes = vec![];
            encode::int_runs(&values, signed, &mut bytes);
            prop_assert_eq!(&decode(&bytes, values.len(), signed, true), &values);
            let skip = skip.min(values.len());
            let mut reader = runs(&bytes, signed, true);
            reader.skip(skip).unwrap();
            let mut rest = vec![];
            reader.read(values.len() - skip, &mut rest).unwrap();
            prop_assert_eq!(&rest, &values[skip..]);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), signed: bool, version2: bool) {
            let _ = runs(&bytes, signed, version2).read(1000, &mut vec![]);
        }
    }
}
