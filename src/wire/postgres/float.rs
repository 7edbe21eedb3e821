//! Floats as PostgreSQL writes them since 12: the shortest digits that read back the same, as `%g` would lay them out
//! (float.c, float8out_internal; d2s.c: an exponent when it is below -4 or not below 15, for real not below 6).

use std::fmt::{Result, Write};

/// Writes a double precision.
pub fn write_f64(value: f64, out: &mut impl Write) -> Result {
    match special(value) {
        Some(text) => out.write_str(text),
        None => {
            let exact = |n| Some(format!("{value:.n$e}")).filter(|text| text.parse() == Ok(value));
            lay_out(&shortest(value, value.next_down(), value.next_up(), exact, format!("{value:e}")), 15, out)
        }
    }
}

/// Writes a real.
pub fn write_f32(value: f32, out: &mut impl Write) -> Result {
    match special(value.into()) {
        Some(text) => out.write_str(text),
        None => {
            let (down, up) = (value.next_down().into(), value.next_up().into());
            let exact = |n| Some(format!("{value:.n$e}")).filter(|text| text.parse() == Ok(value));
            lay_out(&shortest(value.into(), down, up, exact, format!("{value:e}")), 6, out)
        }
    }
}

/// The digits that PostgreSQL takes for the shortest: unlike Rust's (`candidate`) they never lie just between two
/// floats, where a reader would have to round to even (d2s.c, `acceptBounds = false`). `exact` gives so many digits
/// after the first, if they read back the same.
fn shortest(value: f64, down: f64, up: f64, exact: impl Fn(usize) -> Option<String>, candidate: String) -> String {
    if !lies_between(&candidate, value, down, up) {
        return candidate;
    }
    (1..17).filter_map(exact).find(|more| !lies_between(more, value, down, up)).unwrap_or(candidate)
}

/// Is the decimal `text` the middle between `value` and a neighbour? Only integers can be: the middle of two fractions
/// has more digits than the shortest form of either.
fn lies_between(text: &str, value: f64, down: f64, up: f64) -> bool {
    const EXACT: f64 = (1u128 << 125) as f64;
    let Some((mantissa, exponent)) = text.split_once('e') else { return false };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Ok(zeros) = exponent.parse::<usize>().map(|e| e.checked_sub(fraction.len())) else { return false };
    let (Some(zeros), true) = (zeros, value.abs() < EXACT && up.fract() == 0.0 && down.fract() == 0.0) else { return false };
    let decimal = format!("{whole}{fraction}{}", "0".repeat(zeros)).parse::<i128>();
    decimal.is_ok_and(|d| d * 2 == value as i128 + down as i128 || d * 2 == value as i128 + up as i128)
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        None
    }
}

/// `shortest` is Rust's `{:e}`: the shortest digits, `-1.25e-7`.
fn lay_out(shortest: &str, limit: i32, out: &mut impl Write) -> Result {
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    if !(-4..limit).contains(&exponent) {
        let (e, n) = if exponent < 0 { ('-', -exponent) } else { ('+', exponent) };
        return write!(out, "{sign}{mantissa}e{e}{n:02}");
    }
    let digits = mantissa.replace('.', "");
    if exponent < 0 {
        return write!(out, "{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        write!(out, "{sign}{digits}{}", "0".repeat(whole - digits.len()))
    } else {
        write!(out, "{sign}{}.{}", &digits[..whole], &digits[whole..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_postgresql_writes_them() {
        // As PostgreSQL 15 shows them.
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-12.5, "-12.5"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456789012345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1234567890123456.0, "1.234567890123456e+15"),
            (1e300, "1e+300"),
            (9007199254740994.0, "9.007199254740994e+15"),
            (1e23, "9.999999999999999e+22"),
            (5e22, "4.9999999999999996e+22"),
            (36028797018963968.0, "3.602879701896397e+16"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            let mut out = String::new();
            write_f64(value, &mut out).unwrap();
            assert_eq!(out, text);
        }
        for (value, text) in [
            (100000.0f32, "100000"),
            (1e6, "1e+06"),
            (0.1, "0.1"),
            (1.5e10, "1.5000001e+10"),
            (16777216.0, "1.6777216e+07"),
            (123456792.0, "1.2345679e+08"),
            (3.4028235e38, "3.4028235e+38"),
        ] {
            let mut out = String::new();
            write_f32(value, &mut out).unwrap();
            assert_eq!(out, text);
        }
    }
}
