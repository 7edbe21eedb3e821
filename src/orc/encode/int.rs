//! Run length encoding of integers, version 2 (specification, "Integer Run Length Encoding, version 2"): short repeat,
//! direct and delta runs. Patched base is left out: the block compression after it takes what it would save.

/// Longest run.
const MAX_RUN: usize = 512;
/// Equal values that end a literal run.
const REPEAT_BREAK: usize = 8;
/// Values with one same difference that end a literal run.
const DELTA_BREAK: usize = 32;
/// Equal or evenly spaced values that make a run of their own at the start of a block.
const MIN_FIXED: usize = 6;
/// Differences wider than this are written as literals, so that no reader's arithmetic overflows.
const MAX_DELTA_BITS: u32 = 62;

/// (-1)^s x as an unsigned number: small magnitudes become small numbers.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Base-128 varint, least significant group first.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Base-128 varint of a zigzag-coded 128-bit number.
pub(super) fn varint128(value: i128, out: &mut Vec<u8>) {
    let mut value = ((value << 1) ^ (value >> 127)) as u128;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Encodes `values`. Runs end with the slice, so that a row group starts at a run's start.
pub(in crate::orc) fn encode(values: &[i64], signed: bool, out: &mut Vec<u8>) {
    let mut rest = values;
    while !rest.is_empty() {
        let length = match fixed_run(rest) {
            Some((length, delta)) => {
                write_fixed(&rest[..length], delta, signed, out);
                length
            }
            None => {
                let length = literal_run(rest);
                write_varied(&rest[..length], signed, out);
                length
            }
        };
        rest = &rest[length..];
    }
}

/// The run of evenly spaced values at the start, when it is long enough to be worth one.
fn fixed_run(values: &[i64]) -> Option<(usize, i64)> {
    let delta = values.get(1)?.checked_sub(values[0])?;
    let limit = values.len().min(MAX_RUN);
    let mut length = 2;
    while length < limit && values[length].checked_sub(values[length - 1]) == Some(delta) {
        length += 1;
    }
    let least = if delta == 0 { 3 } else { MIN_FIXED };
    let fits = delta.unsigned_abs() >> MAX_DELTA_BITS == 0;
    (length >= least && fits).then_some((length, delta))
}

/// How many values to write as one run of varied values: until the block is full or a long even run begins.
fn literal_run(values: &[i64]) -> usize {
    let limit = values.len().min(MAX_RUN);
    // `even` counts the values that end at `i` and are evenly spaced.
    let (mut even, mut last) = (1, 0i64);
    for i in 1..limit {
        let delta = values[i].wrapping_sub(values[i - 1]);
        even = if even >= 2 && delta == last { even + 1 } else { 2 };
        last = delta;
        if even >= DELTA_BREAK || (delta == 0 && even >= REPEAT_BREAK) {
            let start = i + 1 - even;
            if start > 0 {
                return start;
            }
        }
    }
    limit
}

fn write_fixed(values: &[i64], delta: i64, signed: bool, out: &mut Vec<u8>) {
    let first = values[0];
    let code = if signed { zigzag(first) } else { first as u64 };
    if delta == 0 && values.len() <= 10 {
        let width = (64 - code.leading_zeros()).div_ceil(8).max(1) as usize;
        out.push(((width - 1) << 3 | (values.len() - 3)) as u8);
        out.extend_from_slice(&code.to_be_bytes()[8 - width..]);
        return;
    }
    header(0b11, 0, values.len(), out);
    varint(code, out);
    varint(zigzag(delta), out);
}

/// A literal block: as growing or shrinking differences when those are narrower, else directly.
fn write_varied(values: &[i64], signed: bool, out: &mut Vec<u8>) {
    let direct_bits = values.iter().fold(0, |all, &v| all | if signed { zigzag(v) } else { v as u64 });
    let direct_width = aligned_width(64 - direct_bits.leading_zeros());
    if values.len() >= 4
        && let Some(first_delta) = monotonic(values)
    {
        let bits = values.windows(2).skip(1).fold(0, |all, w| all | w[1].wrapping_sub(w[0]).unsigned_abs());
        // Width code 0 means "all differences are the first one", so one bit takes two.
        let width = aligned_width(64 - bits.leading_zeros()).max(2);
        if width < direct_width {
            header(0b11, width_code(width), values.len(), out);
            varint(if signed { zigzag(values[0]) } else { values[0] as u64 }, out);
            varint(zigzag(first_delta), out);
            pack(values.windows(2).skip(1).map(|w| w[1].wrapping_sub(w[0]).unsigned_abs()), width, out);
            return;
        }
    }
    header(0b01, width_code(direct_width), values.len(), out);
    if signed {
        pack(values.iter().map(|&v| zigzag(v)), direct_width, out);
    } else {
        pack(values.iter().map(|&v| v as u64), direct_width, out);
    }
}

/// The first difference, when all have its sign and fit. A first difference of 0 counts as growing.
fn monotonic(values: &[i64]) -> Option<i64> {
    let first = values[1].checked_sub(values[0])?;
    let growing = first >= 0;
    for pair in values.windows(2) {
        let delta = pair[1].checked_sub(pair[0])?;
        if (delta >= 0) != growing && delta != 0 || delta.unsigned_abs() >> MAX_DELTA_BITS != 0 {
            return None;
        }
    }
    Some(first)
}

fn header(encoding: u8, width_code: u8, length: usize, out: &mut Vec<u8>) {
    let length = length - 1;
    out.push(encoding << 6 | width_code << 1 | (length >> 8) as u8);
    out.push(length as u8);
}

/// Widths that pack without crossing bytes oddly: fast to write and read, and kind to the compression after them.
fn aligned_width(bits: u32) -> u32 {
    match bits {
        0..=1 => 1,
        2 => 2,
        3..=4 => 4,
        n => n.div_ceil(8) * 8,
    }
}

/// The 5-bit code of an aligned width (specification, table "Width Encoding").
fn width_code(width: u32) -> u8 {
    match width {
        0..=24 => width.max(1) as u8 - 1,
        32 => 27,
        40 => 28,
        48 => 29,
        56 => 30,
        _ => 31,
    }
}

/// Packs values big-endian in `width` bits each (1, 2, 4 or whole bytes); the last byte is filled with zeros.
fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width >= 8 {
        let bytes = (width / 8) as usize;
        for value in values {
            out.extend_from_slice(&value.to_be_bytes()[8 - bytes..]);
        }
        return;
    }
    let (mut byte, mut used) = (0u8, 0);
    for value in values {
        byte |= (value as u8) << (8 - used - width);
        used += width;
        if used == 8 {
            out.push(byte);
            (byte, used) = (0, 0);
        }
    }
    if used > 0 {
        out.push(byte);
    }
}
