//! Reads moments as PostgreSQL's datetime input does (DateStyle ISO, MDY): numeric and month-name dates, a time of
//! day with AM/PM, a zone by offset, abbreviation or name, and the special words.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::civil::{self, DAY, HOUR, SECOND};
use super::moment::{Fault, Moment, Scan, WrittenZone, clock, full_year, join};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// 1 to 12 of an English month name of three letters or whole.
pub(super) fn month_of(word: &str) -> Option<u64> {
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    if word.len() < 3 || !word.is_ascii() {
        return None;
    }
    const FULL: [&str; 12] =
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
    let at = MONTHS.iter().position(|m| word.starts_with(m))?;
    (FULL[at].starts_with(&word) || word == "sept").then_some(at as u64 + 1)
}

/// Reads a PostgreSQL moment; `zone` is the session's, for `now`, `today` and named zones.
pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Moment, Fault> {
    if let Some(moment) = special(text, zone)? {
        return Ok(moment);
    }
    let mut date: Option<(i64, u64, u64)> = None;
    let mut time: Option<i64> = None;
    let mut written_zone = WrittenZone::Session;
    let mut named: Option<TimeZone> = None;
    let mut pending: Vec<(u64, usize)> = Vec::new();
    let mut month: Option<u64> = None;
    for word in text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|w| !w.is_empty()) {
        let (head, tail) = split_t(word);
        for word in [Some(head), tail].into_iter().flatten() {
            let first = word.as_bytes()[0];
            if first.is_ascii_digit() && word.contains(':') {
                let (t, p) = time_of_day(word)?;
                time = Some(t);
                written_zone = p.unwrap_or(written_zone);
            } else if first.is_ascii_digit() && word.bytes().all(|b| b.is_ascii_digit()) {
                let value = word.parse().map_err(|_| Fault::Syntax)?;
                match (word.len(), date) {
                    (8, None) if month.is_none() => date = Some(((value / 10_000) as i64, value / 100 % 100, value % 100)),
                    (6, Some(_)) => time = Some(clock(value / 10_000, value / 100 % 100, value % 100, 0)?),
                    _ => pending.push((value, word.len())),
                }
            } else if first.is_ascii_digit() && date.is_none() {
                date = Some(numeric_date(word)?);
            } else if first == b'+' || first == b'-' {
                let mut scan = Scan::new(word);
                written_zone = WrittenZone::Offset(scan.offset()?.ok_or(Fault::Syntax)?);
                if !scan.done() {
                    return Err(Fault::Syntax);
                }
            } else if let Some(m) = month_of(word).filter(|_| month.is_none() && date.is_none()) {
                month = Some(m);
            } else if word.eq_ignore_ascii_case("am") || word.eq_ignore_ascii_case("pm") {
                time = Some(half_day(time.ok_or(Fault::Syntax)?, word)?);
            } else if let Some((y, m, d)) = name_date(word) {
                date = Some((y, m, d));
            } else if is_weekday(word) {
                continue;
            } else if let Some(seconds) = crate::time::abbreviation(word) {
                written_zone = WrittenZone::Offset(seconds);
            } else {
                named = Some(crate::time::postgres_place(word).map_err(|_| Fault::Syntax)?);
            }
        }
    }
    let (y, m, d) = match (date, month, pending.as_slice()) {
        (Some(date), None, []) => date,
        // `January 8 1999`, `8 January 1999`
        (None, Some(m), [(d, 1 | 2), (y, n)]) => (full_year(*y, *n), m, *d),
        (None, Some(m), [(y, 4), (d, _)]) => (*y as i64, m, *d),
        _ => return Err(Fault::Syntax),
    };
    let civil = join(y, m, d, 0)? + time.unwrap_or(0);
    if let Some(zone) = named {
        let utc = civil::moment_of(civil, &zone, super::Family::Postgres).ok_or(Fault::Range)?;
        written_zone = WrittenZone::Offset(civil::offset_at(utc, &zone) as i32);
    }
    Ok(Moment { civil, written_zone, has_time: time.is_some() })
}

/// `2022-07-05T11:11:11Z` is two words.
fn split_t(word: &str) -> (&str, Option<&str>) {
    match word.find(['T', 't']) {
        Some(at) if word.as_bytes()[0].is_ascii_digit() && word[at + 1..].starts_with(|c: char| c.is_ascii_digit()) => {
            (&word[..at], Some(&word[at + 1..]))
        }
        _ => (word, None),
    }
}

fn special(text: &str, zone: &TimeZone) -> Result<Option<Moment>, Fault> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-') {
        return Ok(None);
    }
    let now = civil::utc_to_civil(Timestamp::now().as_microsecond(), zone);
    let midnight = now.div_euclid(DAY) * DAY;
    let (civil, written_zone, has_time) = match text.to_ascii_lowercase().as_str() {
        "epoch" => (0, WrittenZone::Offset(0), true),
        "now" => (now, WrittenZone::Session, true),
        "today" => (midnight, WrittenZone::Session, false),
        "tomorrow" => (midnight + DAY, WrittenZone::Session, false),
        "yesterday" => (midnight - DAY, WrittenZone::Session, false),
        "infinity" | "-infinity" => return Err(Fault::Range),
        _ => return Ok(None),
    };
    Ok(Some(Moment { civil, written_zone, has_time }))
}

/// `2022-7-5`, `7/5/2022`, `2022/07/05`, `5-Jul-2022`.
fn numeric_date(word: &str) -> Result<(i64, u64, u64), Fault> {
    if let Some(date) = name_date(word) {
        return Ok(date);
    }
    let mut scan = Scan::new(word);
    let (a, n) = scan.digits(6).ok_or(Fault::Syntax)?;
    let separator = scan.peek().filter(|b| matches!(b, b'-' | b'/' | b'.')).ok_or(Fault::Syntax)?;
    scan.at += 1;
    let (b, _) = scan.digits(2).ok_or(Fault::Syntax)?;
    if !scan.eat(separator) {
        return Err(Fault::Syntax);
    }
    let (c, count) = scan.digits(6).ok_or(Fault::Syntax)?;
    if !scan.done() {
        return Err(Fault::Syntax);
    }
    Ok(if n > 2 { (a as i64, b, c) } else { (full_year(c, count), a, b) })
}

/// `8-Jan-1999`, `Jan-08-1999`, `1999-Jan-08`.
fn name_date(word: &str) -> Option<(i64, u64, u64)> {
    let parts: Vec<&str> = word.split('-').collect();
    let [a, b, c] = parts.as_slice() else { return None };
    if let Some(month) = month_of(b) {
        let (x, z) = (a.parse().ok()?, c.parse().ok()?);
        return Some(if a.len() > 2 { (x as i64, month, z) } else { (full_year(z, c.len()), month, x) });
    }
    let month = month_of(a)?;
    Some((full_year(c.parse().ok()?, c.len()), month, b.parse().ok()?))
}

/// `11:11[:11[.f]][am][zone]`; `24:00` is midnight at the day's end.
fn time_of_day(word: &str) -> Result<(i64, Option<WrittenZone>), Fault> {
    let mut scan = Scan::new(word);
    let (h, _) = scan.digits(2).ok_or(Fault::Syntax)?;
    if !scan.eat(b':') {
        return Err(Fault::Syntax);
    }
    let (m, _) = scan.digits(2).ok_or(Fault::Syntax)?;
    let s = if scan.eat(b':') { scan.digits(2).ok_or(Fault::Syntax)?.0 } else { 0 };
    let fraction = if scan.eat(b'.') { scan.fraction() } else { 0 };
    let mut time = if (h, m, s, fraction) == (24, 0, 0, 0) {
        DAY
    } else if s == 60 && h < 24 && m < 60 {
        clock(h, m, 59, fraction)? + SECOND
    } else {
        clock(h, m, s, fraction)?
    };
    let rest = &word[scan.at..];
    if rest.is_empty() {
        return Ok((time, None));
    }
    if rest.eq_ignore_ascii_case("am") || rest.eq_ignore_ascii_case("pm") {
        time = half_day(time, rest)?;
        return Ok((time, None));
    }
    if let Some(seconds) = crate::time::abbreviation(rest) {
        return Ok((time, Some(WrittenZone::Offset(seconds))));
    }
    let offset = scan.offset()?.ok_or(Fault::Syntax)?;
    if scan.done() { Ok((time, Some(WrittenZone::Offset(offset)))) } else { Err(Fault::Syntax) }
}

fn half_day(time: i64, word: &str) -> Result<i64, Fault> {
    let hour = time / HOUR;
    if hour == 0 || hour > 12 {
        return Err(Fault::Range);
    }
    let within = time % (12 * HOUR);
    Ok(if word.eq_ignore_ascii_case("pm") { within + 12 * HOUR } else { within })
}

fn is_weekday(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word.len() >= 3
        && ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"].iter().any(|day| day.starts_with(&word))
}

/// Reads a time of day: `11:11[:11[.f]] [AM|PM]`, `111111`; a zone is read and ignored, as PostgreSQL does.
pub(super) fn parse_time(text: &str) -> Result<i64, Fault> {
    let text = text.trim();
    if text.len() > 10 && text.as_bytes()[4] == b'-' {
        return parse(text, &TimeZone::UTC).map(|m| m.civil.rem_euclid(DAY));
    }
    let (head, tail) = text.split_once(' ').map_or((text, None), |(h, t)| (h, Some(t.trim())));
    let time = if head.contains(':') {
        time_of_day(head)?.0
    } else {
        let mut scan = Scan::new(head);
        match scan.digits(6).ok_or(Fault::Syntax)? {
            (v, 6) if scan.done() => clock(v / 10_000, v / 100 % 100, v % 100, 0)?,
            (v, 4) if scan.done() => clock(v / 100, v % 100, 0, 0)?,
            _ => return Err(Fault::Syntax),
        }
    };
    match tail {
        Some(word) if word.eq_ignore_ascii_case("am") || word.eq_ignore_ascii_case("pm") => half_day(time, word),
        Some(word) if crate::time::abbreviation(word).is_none() && !word.starts_with(['+', '-']) => Err(Fault::Syntax),
        _ => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::civil_text;
    use super::*;

    #[test]
    fn postgres_reads_the_forms_of_its_manual() {
        let cases = [
            ("1999-01-08", "1999-01-08 00:00:00"),
            ("January 8, 1999", "1999-01-08 00:00:00"),
            ("1/8/1999", "1999-01-08 00:00:00"),
            ("1999-Jan-08", "1999-01-08 00:00:00"),
            ("Jan-08-1999", "1999-01-08 00:00:00"),
            ("08-Jan-1999", "1999-01-08 00:00:00"),
            ("19990108", "1999-01-08 00:00:00"),
            ("2022-07-05T11:11:11Z", "2022-07-05 11:11:11"),
            ("2022-07-05 04:05 PM", "2022-07-05 16:05:00"),
            ("Wed Dec 17 07:37:16 1997 PST", "1997-12-17 15:37:16"),
            ("1997-12-17 07:37:16-08", "1997-12-17 15:37:16"),
            ("2022-07-05 11:11:11 Europe/Paris", "2022-07-05 09:11:11"),
            ("epoch", "1970-01-01 00:00:00"),
            ("2022-07-05 24:00:00", "2022-07-06 00:00:00"),
        ];
        for (text, want) in cases {
            let moment = parse(text, &TimeZone::UTC).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert_eq!(civil_text(moment.utc(&TimeZone::UTC, crate::types::Family::Postgres).unwrap(), 0), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "abc", "2022-07", "12", "2022-07-05 11:11:11 Mars/Olympus"] {
            assert_eq!(parse(text, &TimeZone::UTC), Err(Fault::Syntax), "{text}");
        }
        for text in ["2022-02-30", "infinity", "2022-13-01", "2022-07-05 25:00"] {
            assert_eq!(parse(text, &TimeZone::UTC), Err(Fault::Range), "{text}");
        }
    }

    #[test]
    fn times_of_day_are_read() {
        for (text, seconds) in [("04:05:06", 14_706), ("04:05", 14_700), ("040506", 14_706), ("04:05 PM", 57_900), ("04:05:06+02", 14_706)]
        {
            assert_eq!(parse_time(text), Ok(seconds * SECOND), "{text}");
        }
    }
}
