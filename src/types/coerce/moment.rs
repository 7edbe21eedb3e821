//! Reads dates, times and moments from text, as MySQL and PostgreSQL write them. I/O-free and total: any text gives a
//! value or a [`Fault`]; what the sentence of the error is, the caller knows.

use jiff::tz::TimeZone;

use super::Family;
use super::civil::{self, DAY, HOUR, MINUTE, SECOND};

/// Why a text is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not written as one.
    Syntax,
    /// Written as one, but there is no such day or hour.
    Range,
}

/// What the text said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Civil microseconds; more digits were rounded half up.
    pub civil: i64,
    /// The zone that the text names, if any.
    pub written_zone: WrittenZone,
    /// Was there a time of day?
    pub has_time: bool,
}

/// The zone of a written moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenZone {
    /// None written: the session's zone.
    Session,
    /// Seconds east of UTC.
    Offset(i32),
}

impl Moment {
    /// The moment in UTC; a text without zone is read in `zone`.
    pub fn utc(&self, zone: &TimeZone, family: Family) -> Option<i64> {
        match self.written_zone {
            WrittenZone::Session => civil::moment_of(self.civil, zone, family),
            WrittenZone::Offset(seconds) => Some(self.civil - i64::from(seconds) * SECOND),
        }
    }

    /// What a clock in `zone` shows then. PostgreSQL ignores a zone written in a moment without zone, MySQL converts.
    pub fn civil_in(&self, zone: &TimeZone, family: Family) -> Option<i64> {
        match (self.written_zone, family) {
            (WrittenZone::Session, _) | (_, Family::Postgres) => Some(self.civil),
            (WrittenZone::Offset(_), Family::MySql) => Some(civil::utc_to_civil(self.utc(zone, family)?, zone)),
        }
    }
}

/// Reads a date with or without time.
pub fn parse_moment(text: &str, family: Family, zone: &TimeZone) -> Result<Moment, Fault> {
    if let Some(civil) = canonical(text.as_bytes()) {
        return Ok(Moment { civil, written_zone: WrittenZone::Session, has_time: text.len() > 10 });
    }
    match family {
        Family::MySql => mysql_moment(text.trim()),
        Family::Postgres => super::moment_pg::parse(text.trim(), zone),
    }
}

/// The commonest form, read without any branching on syntax: `YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS[.ffffff]`.
fn canonical(b: &[u8]) -> Option<i64> {
    let two = |i: usize| -> Option<u32> {
        let (h, l) = (b[i].wrapping_sub(b'0'), b[i + 1].wrapping_sub(b'0'));
        (h < 10 && l < 10).then(|| u32::from(h) * 10 + u32::from(l))
    };
    if b.len() < 10 || b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    let year = i64::from(two(0)? * 100 + two(2)?);
    if year == 0 {
        return None;
    }
    let days = civil::checked_days(year, two(5)?, two(8)?)?;
    if b.len() == 10 {
        return Some(days * DAY);
    }
    if b.len() < 19 || (b[10] != b' ' && b[10] != b'T') || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let (h, m, s) = (two(11)?, two(14)?, two(17)?);
    if h > 23 || m > 59 || s > 59 {
        return None;
    }
    let mut micros = 0i64;
    if b.len() > 19 {
        if b[19] != b'.' || b.len() > 26 || b.len() == 20 {
            return None;
        }
        for i in 20..26 {
            let digit = match b.get(i) {
                Some(c) if c.is_ascii_digit() => i64::from(c - b'0'),
                Some(_) => return None,
                None => 0,
            };
            micros = micros * 10 + digit;
        }
    }
    Some(days * DAY + i64::from(h) * HOUR + i64::from(m) * MINUTE + i64::from(s) * SECOND + micros)
}

/// A reader over ASCII text.
pub(super) struct Scan<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Scan<'a> {
        Scan { bytes: text.as_bytes(), at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    pub(super) fn done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Digits, at most `most`: (value, how many).
    pub(super) fn digits(&mut self, most: usize) -> Option<(u64, usize)> {
        let start = self.at;
        let mut value = 0u64;
        while let Some(b @ b'0'..=b'9') = self.peek() {
            if self.at - start == most {
                break;
            }
            value = value.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
            self.at += 1;
        }
        (self.at > start).then_some((value, self.at - start))
    }

    /// A fraction after its dot, in microseconds, rounded half up; all digits are eaten. `.` alone is zero.
    pub(super) fn fraction(&mut self) -> i64 {
        let mut micros = 0i64;
        let mut seen = 0;
        while let Some(b @ b'0'..=b'9') = self.peek() {
            if seen < 6 {
                micros = micros * 10 + i64::from(b - b'0');
            } else if seen == 6 && b >= b'5' {
                micros += 1;
            }
            seen += 1;
            self.at += 1;
        }
        while seen < 6 {
            micros *= 10;
            seen += 1;
        }
        micros
    }

    /// `+hh:mm`, `-hhmm`, `+hh`, `Z`: seconds east of UTC. Eats nothing when there is none.
    pub(super) fn offset(&mut self) -> Result<Option<i32>, Fault> {
        let sign = match self.peek() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(b'Z' | b'z') => {
                self.at += 1;
                return Ok(Some(0));
            }
            _ => return Ok(None),
        };
        self.at += 1;
        let (value, count) = self.digits(6).ok_or(Fault::Syntax)?;
        let value = value as i32;
        let (h, m, s) = match count {
            1 | 2 => {
                let m = if self.eat(b':') { self.digits(2).ok_or(Fault::Syntax)?.0 as i32 } else { 0 };
                let s = if self.eat(b':') { self.digits(2).ok_or(Fault::Syntax)?.0 as i32 } else { 0 };
                (value, m, s)
            }
            3 | 4 => (value / 100, value % 100, 0),
            6 => (value / 10_000, value / 100 % 100, value % 100),
            _ => return Err(Fault::Syntax),
        };
        if h > 15 || m > 59 || s > 59 {
            return Err(Fault::Range);
        }
        Ok(Some(sign * (h * 3600 + m * 60 + s)))
    }
}

/// A year of two digits, as both databases read it.
pub(super) fn full_year(value: u64, digits: usize) -> i64 {
    match (digits, value) {
        (..=2, 0..=69) => value as i64 + 2000,
        (..=2, _) => value as i64 + 1900,
        _ => value as i64,
    }
}

/// Civil microseconds of checked parts; MySQL's zero dates are out of range.
pub(super) fn join(year: i64, month: u64, day: u64, time: i64) -> Result<i64, Fault> {
    if !(1..=9999).contains(&year) {
        return Err(Fault::Range);
    }
    let (month, day) = (u32::try_from(month).map_err(|_| Fault::Range)?, u32::try_from(day).map_err(|_| Fault::Range)?);
    let days = civil::checked_days(year, month, day).ok_or(Fault::Range)?;
    Ok(days * DAY + time)
}

fn mysql_moment(text: &str) -> Result<Moment, Fault> {
    let mut scan = Scan::new(text);
    let (first, count) = scan.digits(14).ok_or(Fault::Syntax)?;
    if count > 4 || scan.done() {
        return mysql_digits(first, count, scan);
    }
    let year = full_year(first, count);
    let separator = |scan: &mut Scan<'_>| match scan.peek() {
        Some(b) if b.is_ascii_punctuation() => {
            scan.at += 1;
            Ok(())
        }
        _ => Err(Fault::Syntax),
    };
    separator(&mut scan)?;
    let (month, _) = scan.digits(2).ok_or(Fault::Syntax)?;
    separator(&mut scan)?;
    let (day, _) = scan.digits(2).ok_or(Fault::Syntax)?;
    let mut time = 0;
    let mut has_time = false;
    let mut written_zone = WrittenZone::Session;
    if !scan.done() {
        let before = scan.at;
        while matches!(scan.peek(), Some(b' ' | b'T' | b't')) {
            scan.at += 1;
        }
        if scan.at == before {
            return Err(Fault::Syntax);
        }
        let (h, _) = scan.digits(2).ok_or(Fault::Syntax)?;
        let (mut m, mut s, mut fraction) = (0, 0, 0);
        if scan.peek().is_some_and(|b| b.is_ascii_punctuation() && b != b'+' && b != b'-' || b == b':') {
            scan.at += 1;
            m = scan.digits(2).ok_or(Fault::Syntax)?.0;
            if scan.peek().is_some_and(|b| b.is_ascii_punctuation() && b != b'.' && b != b'+' && b != b'-') {
                scan.at += 1;
                s = scan.digits(2).ok_or(Fault::Syntax)?.0;
                if scan.eat(b'.') {
                    fraction = scan.fraction();
                }
            }
        }
        time = clock(h, m, s, fraction)?;
        has_time = true;
        if let Some(offset) = scan.offset()? {
            written_zone = WrittenZone::Offset(offset);
        }
    }
    if !scan.done() {
        return Err(Fault::Syntax);
    }
    Ok(Moment { civil: join(year, month, day, time)?, written_zone, has_time })
}

/// `YYYYMMDDhhmmss` and its shorter forms.
fn mysql_digits(value: u64, count: usize, mut scan: Scan<'_>) -> Result<Moment, Fault> {
    let (date, time, year_digits) = match count {
        14 => (value / 1_000_000, Some(value % 1_000_000), 4),
        12 => (value / 1_000_000, Some(value % 1_000_000), 2),
        8 => (value, None, 4),
        5 | 6 => (value, None, 2),
        _ => return Err(Fault::Syntax),
    };
    // `20220705T111111`
    let time = match time {
        None if scan.eat(b'T') || scan.eat(b' ') => match scan.digits(6).ok_or(Fault::Syntax)? {
            (t, 6) => Some(t),
            (t, 4) => Some(t * 100),
            (t, 2) => Some(t * 10_000),
            _ => return Err(Fault::Syntax),
        },
        time => time,
    };
    let fraction = if time.is_some() && scan.eat(b'.') { scan.fraction() } else { 0 };
    let written_zone = match time {
        Some(_) => scan.offset()?.map_or(WrittenZone::Session, WrittenZone::Offset),
        None => WrittenZone::Session,
    };
    if !scan.done() {
        return Err(Fault::Syntax);
    }
    let t = time.unwrap_or(0);
    let micros = clock(t / 10_000, t / 100 % 100, t % 100, fraction)?;
    let year = full_year(date / 10_000, year_digits);
    Ok(Moment { civil: join(year, date / 100 % 100, date % 100, micros)?, written_zone, has_time: time.is_some() })
}

/// A moment that MySQL reads from a number: 20220705, 220705, 20220705111111.
pub fn mysql_number(value: i64) -> Result<Moment, Fault> {
    let value = u64::try_from(value).map_err(|_| Fault::Range)?;
    let count = value.checked_ilog10().map_or(1, |n| n as usize + 1);
    let count = match count {
        3..=6 => 6,
        7 => return Err(Fault::Syntax),
        9..=12 => 12,
        n => n,
    };
    mysql_digits(value, count, Scan::new(""))
}

/// A time of day in microseconds.
pub(super) fn clock(h: u64, m: u64, s: u64, fraction: i64) -> Result<i64, Fault> {
    if h > 23 || m > 59 || s > 59 {
        return Err(Fault::Range);
    }
    Ok(h as i64 * HOUR + m as i64 * MINUTE + s as i64 * SECOND + fraction)
}

/// Reads a span of time as MySQL's TIME does: `[-][D ]hh:mm[:ss[.f]]`, `hhmmss`, `ss`; microseconds, to 838:59:59.
pub fn mysql_time(text: &str) -> Result<i64, Fault> {
    let text = text.trim();
    if text.len() > 10 && text.as_bytes()[4] == b'-' {
        // A whole datetime: its time of day.
        return mysql_moment(text).map(|m| m.civil.rem_euclid(DAY));
    }
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut scan = Scan::new(body);
    let (first, _) = scan.digits(10).ok_or(Fault::Syntax)?;
    let mut days = 0;
    let mut hours = first;
    if scan.eat(b' ') {
        days = first;
        hours = scan.digits(2).ok_or(Fault::Syntax)?.0;
        if scan.done() {
            return finish_time(negative, (days * 24 + hours, 0, 0), 0);
        }
    }
    if scan.eat(b':') {
        let (m, _) = scan.digits(2).ok_or(Fault::Syntax)?;
        let s = if scan.eat(b':') { scan.digits(2).ok_or(Fault::Syntax)?.0 } else { 0 };
        let fraction = if scan.eat(b'.') { scan.fraction() } else { 0 };
        if !scan.done() {
            return Err(Fault::Syntax);
        }
        return finish_time(negative, (days * 24 + hours, m, s), fraction);
    }
    let fraction = if scan.eat(b'.') { scan.fraction() } else { 0 };
    if !scan.done() {
        return Err(Fault::Syntax);
    }
    finish_time(negative, (first / 10_000, first / 100 % 100, first % 100), fraction)
}

fn finish_time(negative: bool, (h, m, s): (u64, u64, u64), fraction: i64) -> Result<i64, Fault> {
    if h > 838 || m > 59 || s > 59 {
        return Err(Fault::Range);
    }
    let micros = h as i64 * HOUR + m as i64 * MINUTE + s as i64 * SECOND + fraction;
    Ok(if negative { -micros } else { micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(civil: i64) -> String {
        super::super::format::civil_text(civil, 6)
    }

    #[test]
    fn mysql_reads_the_forms_of_its_manual() {
        let cases = [
            ("2022-7-5 1:2:3", "2022-07-05 01:02:03.000000"),
            ("20220705", "2022-07-05 00:00:00.000000"),
            ("220705", "2022-07-05 00:00:00.000000"),
            ("20220705111213.5", "2022-07-05 11:12:13.500000"),
            ("2022-07-05T11:12:13.1234567", "2022-07-05 11:12:13.123457"),
            ("98/2/3 4", "1998-02-03 04:00:00.000000"),
            ("2022-07-05 11:11", "2022-07-05 11:11:00.000000"),
            ("2022.07.05 11+11+11", ""),
        ];
        for (text, want) in cases {
            match parse_moment(text, Family::MySql, &TimeZone::UTC) {
                Ok(moment) => assert_eq!(show(moment.civil), want, "{text}"),
                Err(_) => assert_eq!(want, "", "{text}"),
            }
        }
    }

    #[test]
    fn an_offset_is_kept() {
        let moment = parse_moment("2022-07-05 11:11:11+08:00", Family::MySql, &TimeZone::UTC).unwrap();
        assert_eq!(moment.written_zone, WrittenZone::Offset(28_800));
        assert_eq!(show(moment.utc(&TimeZone::UTC, Family::MySql).unwrap()), "2022-07-05 03:11:11.000000");
    }

    #[test]
    fn no_such_day_and_zero_dates_are_out_of_range() {
        for text in ["2022-02-30", "0000-00-00", "2022-00-10", "2022-13-01", "2022-07-05 25:00:00", "0000-00-00 00:00:00"] {
            assert_eq!(parse_moment(text, Family::MySql, &TimeZone::UTC), Err(Fault::Range), "{text}");
        }
        for text in ["", "abc", "2022", "2022-07", "2022-07-05x", "2022-07-05 11:11:11 rubbish"] {
            assert_eq!(parse_moment(text, Family::MySql, &TimeZone::UTC), Err(Fault::Syntax), "{text}");
        }
    }

    #[test]
    fn numbers_are_moments_to_mysql() {
        assert_eq!(show(mysql_number(20_220_705).unwrap().civil), "2022-07-05 00:00:00.000000");
        assert_eq!(show(mysql_number(20_220_705_111_213).unwrap().civil), "2022-07-05 11:12:13.000000");
        assert_eq!(show(mysql_number(705).unwrap().civil), "2000-07-05 00:00:00.000000");
    }

    #[test]
    fn mysql_times_are_spans() {
        let cases = [("10:11:12", 36_672), ("10:11", 36_660), ("101112", 36_672), ("12", 12), ("1 10:00", 122_400), ("-01:00:00", -3600)];
        for (text, seconds) in cases {
            assert_eq!(mysql_time(text), Ok(seconds * SECOND), "{text}");
        }
        assert_eq!(mysql_time("10:61"), Err(Fault::Range));
        assert_eq!(mysql_time("ten"), Err(Fault::Syntax));
    }
}
