//! PostgreSQL's numeric: decimal text and the binary form (numeric.c, numeric_send): digits of base 10000, the weight
//! of the first, a sign and the number of digits to show after the point.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

const NEGATIVE: u16 = 0x4000;

/// Writes `value * 10^-scale` as decimal text.
pub fn write_text(value: i128, scale: i8, out: &mut impl Write) -> std::fmt::Result {
    let scale = scale as isize;
    if scale <= 0 {
        let zeros = if value == 0 { 0 } else { scale.unsigned_abs() };
        return write!(out, "{value}{}", "0".repeat(zeros));
    }
    let scale = scale as usize;
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    write!(out, "{}{whole}.{fraction}", if value < 0 { "-" } else { "" })
}

/// Writes a decimal text (`-12.30`) in the binary form. The text is our own: sign, digits, at most one point.
pub fn write_binary(text: &str, out: &mut BytesMut) {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    // Both sides padded to whole groups of four, the point between two groups.
    let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let padded = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
    let group = |chunk: &[u8]| chunk.iter().fold(0u16, |n, b| n * 10 + u16::from(b - b'0'));
    let mut groups: Vec<u16> = whole.as_bytes().chunks(4).chain(padded.as_bytes().chunks(4)).map(group).collect();
    let mut weight = (whole.len() / 4) as i16 - 1;
    let leading = groups.iter().take_while(|g| **g == 0).count();
    groups.drain(..leading);
    weight -= leading as i16;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    out.put_u16(groups.len() as u16);
    out.put_i16(weight);
    out.put_u16(if negative && !groups.is_empty() { NEGATIVE } else { 0 });
    out.put_u16(fraction.len() as u16);
    groups.iter().for_each(|g| out.put_u16(*g));
}

/// Reads the binary form: decimal text, or `NaN`, `Infinity`, `-Infinity`. None: the bytes are not a numeric, or one
/// of more digits than anyone here can hold.
pub fn read_binary(bytes: &[u8]) -> Option<String> {
    let mut words = bytes.chunks(2).map(|pair| pair.try_into().ok().map(u16::from_be_bytes));
    let mut next = || words.next().flatten();
    let (count, weight, sign, dscale) = (next()?, next()? as i16, next()?, next()?);
    match sign {
        0xc000 => return Some("NaN".into()),
        0xd000 => return Some("Infinity".into()),
        0xf000 => return Some("-Infinity".into()),
        0 | NEGATIVE => {}
        _ => return None,
    }
    if bytes.len() != 8 + 2 * count as usize || dscale > 1000 || !(-250..=250).contains(&weight) {
        return None;
    }
    let groups: Vec<u16> = (0..count).map(|_| next().filter(|g| *g < 10_000)).collect::<Option<_>>()?;
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let mut text = String::new();
    for at in 0..=i32::from(weight).max(0) {
        let shift = i32::from(weight) - i32::from(weight).max(0);
        // Infallible: a String takes every write.
        let _ = write!(text, "{:04}", group(at + shift));
    }
    let whole = text.trim_start_matches('0');
    let mut result = String::from(if sign == NEGATIVE { "-" } else { "" });
    result.push_str(if whole.is_empty() { "0" } else { whole });
    if dscale > 0 {
        let mut fraction = String::new();
        let mut at = i32::from(weight) + 1;
        while fraction.len() < dscale as usize {
            let _ = write!(fraction, "{:04}", group(at));
            at += 1;
        }
        fraction.truncate(dscale as usize);
        result.push('.');
        result.push_str(&fraction);
    }
    Some(result)
}

/// Reads decimal text (`-1.5e3`, ` 12 `) into an unscaled value and a scale of 0 to 38. None: not a number that
/// Decimal128 holds.
pub fn read_text(text: &str) -> Option<(i128, u8)> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    for b in whole.bytes().chain(fraction.bytes()) {
        if !b.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(b - b'0'))?;
    }
    let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if scale < 0 {
        value = value.checked_mul(10i128.checked_pow(scale.unsigned_abs())?)?;
        scale = 0;
    }
    if scale > 38 || value.unsigned_abs() >= 10u128.pow(38) {
        return None;
    }
    Some((if negative { -value } else { value }, scale as u8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: i128, scale: i8) -> String {
        let mut out = String::new();
        write_text(value, scale, &mut out).unwrap();
        out
    }

    fn binary(text: &str) -> BytesMut {
        let mut out = BytesMut::new();
        write_binary(text, &mut out);
        out
    }

    #[test]
    fn text_has_all_digits_of_its_scale() {
        assert_eq!(text(-123_456, 4), "-12.3456");
        assert_eq!(text(-5, 2), "-0.05");
        assert_eq!(text(0, 2), "0.00");
        assert_eq!(text(12, -3), "12000");
        assert_eq!(text(0, -3), "0");
    }

    #[test]
    fn the_binary_form_is_that_of_postgresql() {
        // As `select numeric_send(..)` of PostgreSQL 15 shows them.
        for (value, hex) in [
            ("0", "0000000000000000"),
            ("0.00", "0000000000000002"),
            ("1", "00010000000000000001"),
            ("-1.5", "000200004000000100011388"),
            ("10000", "00010001000000000001"),
            ("12345678.0900", "0003000100000004" /* digits */),
            ("0.0001", "0001ffff000000040001"),
            ("0.00001", "0001fffe0000000503e8"),
        ] {
            let encoded = hex::encode(binary(value));
            assert!(encoded.starts_with(hex), "{value}: {encoded}");
            assert_eq!(read_binary(&binary(value)).as_deref(), Some(value));
        }
        assert_eq!(hex::encode(&binary("12345678.0900")[8..]), "04d2162e0384");
    }

    #[test]
    fn text_that_is_no_decimal_is_refused() {
        for bad in ["", "-", ".", "1.2.3", "abc", "1e", "1e99", "99999999999999999999999999999999999999999", "NaN", "1 2"] {
            assert_eq!(read_text(bad), None, "{bad}");
        }
        assert_eq!(read_text(" -1.50 "), Some((-150, 2)));
        assert_eq!(read_text("1.5e3"), Some((1500, 0)));
        assert_eq!(read_text("1.5e-3"), Some((15, 4)));
        assert_eq!(read_text(".5"), Some((5, 1)));
    }

    proptest! {
        #[test]
        fn a_decimal_survives_text_and_binary(value in -10i128.pow(37)..10i128.pow(37), scale in 0i8..=37) {
            let text = text(value, scale);
            prop_assert_eq!(read_text(&text), Some((value, scale as u8)));
            let there_and_back = read_binary(&binary(&text));
            prop_assert_eq!(there_and_back.as_deref(), Some(text.as_str()));
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>, text: String) {
            let _ = read_binary(&bytes);
            let _ = read_text(&text);
        }
    }
}
