//! Intervals as both languages write them, as calendar-aware spans.

use jiff::Span;

use crate::error::{Error, Kind, Result};

fn bad(text: &str) -> Error {
    Error::new(Kind::NotConstantTime, format!("'{}' is not an interval", text.chars().take(60).collect::<String>()))
        .with_hint("write it like INTERVAL 1 DAY (MySQL) or INTERVAL '1 day 2 hours' (PostgreSQL)")
}

/// `count` units: `INTERVAL 1 DAY`, `INTERVAL '1' DAY`. Only seconds take a fraction.
pub(super) fn of_unit(count: &str, unit: &str) -> Result<Span> {
    let count = count.trim();
    let mut span = Sum::default();
    span.add(count, unit).ok_or_else(|| bad(&format!("{count} {unit}")))?;
    span.finish(false).ok_or_else(|| bad(&format!("{count} {unit}")))
}

/// An interval's months, days and microseconds, which are not added up.
pub type Parts = (i32, i32, i64);

/// The parts of an interval in PostgreSQL's text form, which may differ in sign; None: it is no interval.
pub fn parts(text: &str) -> Option<Parts> {
    let text = text.trim();
    let sum = if text.starts_with(['P', 'p']) || text.starts_with("-P") {
        Sum::of(&text.parse::<Span>().ok()?)
    } else {
        let (sum, ago) = read(text).ok()?;
        if ago { Sum { months: -sum.months, days: -sum.days, micros: sum.micros.checked_neg()? } } else { sum }
    };
    Some((i32::try_from(sum.months).ok()?, i32::try_from(sum.days).ok()?, sum.micros))
}

/// Parts as a span; None when they differ in sign.
pub(super) fn of_parts((months, days, micros): Parts) -> Option<Span> {
    Sum { months: months.into(), days: days.into(), micros }.finish(false)
}

/// PostgreSQL's text: `1 day 2 hours`, `-1 month`, `1 year 2 mons ago`, `02:30:00`, `P1DT2H`.
pub(super) fn parse(text: &str) -> Result<Span> {
    let trimmed = text.trim();
    if trimmed.starts_with(['P', 'p']) || trimmed.starts_with("-P") {
        return trimmed.parse::<Span>().map_err(|_| bad(text));
    }
    let (sum, ago) = read(trimmed)?;
    sum.finish(ago).ok_or_else(|| bad(text))
}

/// Words and clocks; true: `ago` turns it round.
fn read(text: &str) -> Result<(Sum, bool)> {
    let mut sum = Sum::default();
    let mut words = split(text).into_iter().peekable();
    let mut ago = false;
    let mut any = false;
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("ago") && words.peek().is_none() && any {
            ago = true;
        } else if word.contains(':') {
            sum.clock(word).ok_or_else(|| bad(text))?;
        } else {
            // A bare number is seconds.
            let unit = words.next().unwrap_or("second");
            sum.add(word, unit).ok_or_else(|| bad(text))?;
        }
        any = true;
    }
    if !any {
        return Err(bad(text));
    }
    Ok((sum, ago))
}

/// Words, with `1day` taken apart.
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let digits = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
        if digits > 0 && digits < word.len() && !word.contains(':') {
            words.extend([&word[..digits], &word[digits..]]);
        } else {
            words.push(word);
        }
    }
    words
}

/// a + b, unit by unit.
pub(super) fn add(a: Span, b: Span) -> std::result::Result<Span, jiff::Error> {
    let (a, b) = (Sum::of(&a), Sum::of(&b));
    let sum = Sum { months: a.months + b.months, days: a.days + b.days, micros: a.micros + b.micros };
    sum.finish(false).ok_or_else(|| jiff::Error::from_args(format_args!("its parts have different signs or are too large")))
}

/// An interval as PostgreSQL keeps it: months, days and time apart.
#[derive(Default, Clone, Copy)]
struct Sum {
    months: i64,
    days: i64,
    micros: i64,
}

impl Sum {
    fn of(s: &Span) -> Sum {
        Sum {
            months: i64::from(s.get_months()) + i64::from(s.get_years()) * 12,
            days: i64::from(s.get_days()) + i64::from(s.get_weeks()) * 7,
            micros: s.get_microseconds()
                + s.get_milliseconds() * 1_000
                + s.get_seconds() * 1_000_000
                + s.get_minutes() * 60_000_000
                + i64::from(s.get_hours()) * 3_600_000_000,
        }
    }

    /// Adds `count` units; None when it cannot be read.
    fn add(&mut self, count: &str, unit: &str) -> Option<()> {
        let unit = unit.to_ascii_lowercase();
        let unit = unit.strip_suffix('s').filter(|u| u.len() > 1).unwrap_or(&unit);
        let whole = || count.parse::<i64>().ok();
        let add = |to: &mut i64, times: i64| -> Option<()> {
            *to = to.checked_add(whole()?.checked_mul(times)?)?;
            Some(())
        };
        match unit {
            "millennium" => add(&mut self.months, 12_000),
            "century" => add(&mut self.months, 1_200),
            "decade" => add(&mut self.months, 120),
            "year" | "yr" | "y" => add(&mut self.months, 12),
            "quarter" => add(&mut self.months, 3),
            "month" | "mon" => add(&mut self.months, 1),
            "week" | "w" => add(&mut self.days, 7),
            "day" | "d" => add(&mut self.days, 1),
            "hour" | "hr" | "h" => self.time(count, 3_600),
            "minute" | "min" | "m" => self.time(count, 60),
            "second" | "sec" | "" => self.time(count, 1),
            "millisecond" | "msec" | "ms" => add(&mut self.micros, 1_000),
            "microsecond" | "usec" | "u" => add(&mut self.micros, 1),
            _ => None,
        }
    }

    /// Hours, minutes and seconds take fractions.
    fn time(&mut self, count: &str, seconds: i64) -> Option<()> {
        self.micros = self.micros.checked_add(micros_of_seconds(count)?.checked_mul(seconds)?)?;
        Some(())
    }

    /// `[-]HH:MM[:SS[.f]]`.
    fn clock(&mut self, text: &str) -> Option<()> {
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let mut parts = text.split(':');
        let hours = micros_of_seconds(parts.next()?)?.checked_mul(3_600)?;
        let minutes = micros_of_seconds(parts.next()?)?.checked_mul(60)?;
        let seconds = micros_of_seconds(parts.next().unwrap_or("0"))?;
        if parts.next().is_some() {
            return None;
        }
        self.micros = self.micros.checked_add(sign * hours.checked_add(minutes)?.checked_add(seconds)?)?;
        Some(())
    }

    /// As a span. Its parts must agree in sign (a span has one); `ago` turns it round.
    fn finish(self, ago: bool) -> Option<Span> {
        let sign = if ago { -1 } else { 1 };
        let (months, days, micros) = (self.months * sign, self.days * sign, self.micros.checked_mul(sign)?);
        let negative = months < 0 || days < 0 || micros < 0;
        if negative && (months > 0 || days > 0 || micros > 0) {
            return None;
        }
        Span::new().try_months(months).ok()?.try_days(days).ok()?.try_microseconds(micros).ok()
    }
}

/// A decimal number of seconds as microseconds; None when it has a seventh digit or is no number.
pub(super) fn micros_of_seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || fraction.len() > 6 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let micros = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(format!("{fraction:0<6}").parse::<i64>().ok()?)?;
    Some(if negative { -micros } else { micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_interval_stay_apart_and_may_differ_in_sign() {
        assert_eq!(parts("1 year 2 mons 3 days 04:05:06.789"), Some((14, 3, 14_706_789_000)));
        assert_eq!(parts("1 mon -3 days"), Some((1, -3, 0)));
        assert_eq!(parts("1 day 02:00 ago"), Some((0, -1, -7_200_000_000)));
        assert_eq!(parts("P1DT2H"), Some((0, 1, 7_200_000_000)));
        assert_eq!(parts("soon"), None);
    }
}
