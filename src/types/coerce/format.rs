//! Dates, times and numbers as text, in the form that both databases print them.

use std::fmt::Write;

use super::Family;
use super::civil::{Civil, HOUR, MINUTE, SECOND, civil_from_days};

/// `2022-07-05`, of days since 1970-01-01.
pub fn date_text(days: i64) -> String {
    let mut out = String::with_capacity(10);
    // Not by way of microseconds, in which not every day can be counted.
    let (year, month, day) = civil_from_days(days);
    push_date(&mut out, &Civil { year, month, day, ..Civil::from_micros(0) });
    out
}

fn push_date(out: &mut String, civil: &Civil) {
    let _ = write!(out, "{:04}-{:02}-{:02}", civil.year, civil.month, civil.day);
}

fn push_fraction(out: &mut String, micros: u32, fsp: u8) {
    if fsp > 0 {
        let fsp = fsp.min(6);
        let _ = write!(out, ".{:0width$}", micros / 10u32.pow(6 - u32::from(fsp)), width = usize::from(fsp));
    }
}

/// `2022-07-05 11:11:11.123`, of civil microseconds, with `fsp` fractional digits.
pub fn civil_text(civil: i64, fsp: u8) -> String {
    let parts = Civil::from_micros(civil);
    let mut out = String::with_capacity(26);
    push_date(&mut out, &parts);
    let _ = write!(out, " {:02}:{:02}:{:02}", parts.hour, parts.minute, parts.second);
    push_fraction(&mut out, parts.micros, fsp);
    out
}

/// `-11:11:11.5`: a time of day or a span, hours beyond 24 included.
pub fn time_text(micros: i64, fsp: u8) -> String {
    let mut out = String::with_capacity(16);
    if micros < 0 {
        out.push('-');
    }
    let t = micros.saturating_abs();
    let _ = write!(out, "{:02}:{:02}:{:02}", t / HOUR, t / MINUTE % 60, t / SECOND % 60);
    push_fraction(&mut out, (t % SECOND) as u32, fsp);
    out
}

/// As few fractional digits as the value needs: how PostgreSQL prints, and MySQL prints a computed value whose
/// precision is not declared.
pub fn needed_fsp(micros: i64) -> u8 {
    let mut rest = micros.rem_euclid(SECOND);
    if rest == 0 {
        return 0;
    }
    let mut digits = 6;
    while rest % 10 == 0 {
        rest /= 10;
        digits -= 1;
    }
    digits
}

/// `1 year 2 mons 3 days 04:05:06.5`: an interval as PostgreSQL writes it (IntervalStyle postgres).
pub fn write_interval(months: i32, days: i32, micros: i64, out: &mut impl Write) -> std::fmt::Result {
    let mut before: Option<bool> = None;
    for (n, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if n != 0 {
            let blank = if before.is_some() { " " } else { "" };
            let plus = if before == Some(true) && n > 0 { "+" } else { "" };
            write!(out, "{blank}{plus}{n} {unit}{}", if n == 1 { "" } else { "s" })?;
            before = Some(n < 0);
        }
    }
    if micros != 0 || before.is_none() {
        let blank = if before.is_some() { " " } else { "" };
        let sign = match (micros < 0, before) {
            (true, _) => "-",
            (false, Some(true)) => "+",
            _ => "",
        };
        let (seconds, rest) = (micros.unsigned_abs() / SECOND as u64, micros.unsigned_abs() % SECOND as u64);
        write!(out, "{blank}{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if rest > 0 {
            write!(out, ".{}", format!("{rest:06}").trim_end_matches('0'))?;
        }
    }
    Ok(())
}

/// `+00`, `+05:30`: PostgreSQL's zone suffix.
pub fn offset_text(seconds: i64) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let s = seconds.abs();
    match (s / 60 % 60, s % 60) {
        (0, 0) => format!("{sign}{:02}", s / 3600),
        (m, 0) => format!("{sign}{:02}:{m:02}", s / 3600),
        (m, rest) => format!("{sign}{:02}:{m:02}:{rest:02}", s / 3600),
    }
}

/// A double as the database prints it: the shortest text that reads back.
pub fn float_text(value: f64, family: Family) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    exponent_form(value.abs(), format!("{value}"), format!("{value:e}"), family)
}

/// A single as the database prints it.
pub fn float32_text(value: f32, family: Family) -> String {
    if !value.is_finite() {
        return float_text(f64::from(value), family);
    }
    exponent_form(f64::from(value.abs()), format!("{value}"), format!("{value:e}"), family)
}

fn exponent_form(magnitude: f64, fixed: String, exponent: String, family: Family) -> String {
    if magnitude == 0.0 || (1e-5..1e15).contains(&magnitude) {
        return if fixed == "-0" { "-0".into() } else { fixed };
    }
    match (family, exponent.split_once('e')) {
        (Family::Postgres, Some((mantissa, power))) => {
            let (sign, digits) = match power.strip_prefix('-') {
                Some(d) => ('-', d),
                None => ('+', power),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        _ => exponent,
    }
}

/// A decimal with exactly `scale` fractional digits.
pub fn decimal_text(unscaled: i128, scale: i8) -> String {
    if scale <= 0 {
        let zeros = if unscaled == 0 { 0 } else { usize::from(scale.unsigned_abs()) };
        return format!("{unscaled}{}", "0".repeat(zeros));
    }
    let scale = scale as usize;
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let at = digits.len() - scale;
    format!("{}{}.{}", if unscaled < 0 { "-" } else { "" }, &digits[..at], &digits[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_the_databases_do() {
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(12_345, 2), "123.45");
        assert_eq!(float_text(1e20, Family::MySql), "1e20");
        assert_eq!(float_text(1e20, Family::Postgres), "1e+20");
        assert_eq!(float_text(0.1, Family::Postgres), "0.1");
        assert_eq!(float_text(3.0, Family::MySql), "3");
        assert_eq!(time_text(-3_600_500_000, 1), "-01:00:00.5");
        assert_eq!(offset_text(19_800), "+05:30");
    }
}
