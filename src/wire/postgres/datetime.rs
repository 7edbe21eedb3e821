//! Dates and times as PostgreSQL writes them (DateStyle ISO, IntervalStyle postgres) and as parameters bring them.
//! Microseconds throughout; PostgreSQL's binary values count from 2000-01-01, Arrow's from 1970-01-01.

use std::fmt::{Result, Write};

pub use crate::types::coerce::format::write_interval;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Days from 1970-01-01 to 2000-01-01.
pub const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY;
/// Microseconds of a day.
pub const DAY: i64 = 86_400 * SECOND;
const SECOND: i64 = 1_000_000;

/// Year, month and day of a day number (days since 1970-01-01), in the proleptic Gregorian calendar. The calendar
/// repeats every 400 years of 146097 days; counting years from March puts the leap day last.
fn civil(days: i64) -> (i64, u32, u32) {
    let since = days + 719_468;
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let dom = in_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (era * 400 + year, month as u32, dom as u32)
}

/// The day number of a date; None: no such date.
fn day_number(year: i64, month: u32, day: u32) -> Option<i64> {
    let date = jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let (y, m) = if date.month() > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, yoe) = (y.div_euclid(400), y.rem_euclid(400));
    Some(era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + i64::from((153 * m + 2) / 5 + day - 1) - 719_468)
}

fn write_day(days: i64, out: &mut impl Write) -> std::result::Result<bool, std::fmt::Error> {
    let (year, month, day) = civil(days);
    let (shown, before_christ) = if year > 0 { (year, false) } else { (1 - year, true) };
    write!(out, "{shown:04}-{month:02}-{day:02}")?;
    Ok(before_christ)
}

/// `2022-07-05`; days since 1970-01-01.
pub fn write_date(days: i32, out: &mut impl Write) -> Result {
    if write_day(i64::from(days), out)? { out.write_str(" BC") } else { Ok(()) }
}

/// `11:11:11.5`; microseconds since midnight. Zeros at the end of the fraction are left out.
pub fn write_time(micros: i64, out: &mut impl Write) -> Result {
    let seconds = micros.div_euclid(SECOND);
    write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    write_fraction(micros.rem_euclid(SECOND), out)
}

fn write_fraction(micros: i64, out: &mut impl Write) -> Result {
    if micros == 0 {
        return Ok(());
    }
    let digits = format!("{micros:06}");
    write!(out, ".{}", digits.trim_end_matches('0'))
}

/// `2022-07-05 11:11:11.123456`; microseconds since 1970-01-01, without zone.
pub fn write_timestamp(micros: i64, out: &mut impl Write) -> Result {
    let before_christ = write_day(micros.div_euclid(DAY), out)?;
    out.write_char(' ')?;
    write_time(micros.rem_euclid(DAY), out)?;
    if before_christ { out.write_str(" BC") } else { Ok(()) }
}

/// `2022-07-05 11:11:11.123456+02`; microseconds since 1970-01-01 UTC, shown in `zone`.
pub fn write_timestamptz(micros: i64, zone: &TimeZone, out: &mut impl Write) -> Result {
    let offset = Timestamp::from_microsecond(micros).map_or(0, |at| i64::from(zone.to_offset(at).seconds()));
    let local = micros.saturating_add(offset * SECOND);
    let before_christ = write_day(local.div_euclid(DAY), out)?;
    out.write_char(' ')?;
    write_time(local.rem_euclid(DAY), out)?;
    let (sign, offset) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    write!(out, "{sign}{:02}", offset / 3600)?;
    if offset % 3600 != 0 {
        write!(out, ":{:02}", offset / 60 % 60)?;
    }
    if offset % 60 != 0 {
        write!(out, ":{:02}", offset % 60)?;
    }
    if before_christ { out.write_str(" BC") } else { Ok(()) }
}

/// Reads `2022-07-05`: days since 1970-01-01.
pub fn read_date(text: &str) -> Option<i32> {
    let mut parts = text.trim().splitn(3, '-');
    let mut number = |least: usize| parts.next().filter(|p| p.len() >= least && p.bytes().all(|b| b.is_ascii_digit()));
    let (year, month, day) = (number(4)?.parse().ok()?, number(1)?.parse().ok()?, number(1)?.parse().ok()?);
    i32::try_from(day_number(year, month, day)?).ok()
}

/// Reads `11:11:11.5`: microseconds since midnight.
pub fn read_time(text: &str) -> Option<i64> {
    let mut parts = text.trim().splitn(3, ':');
    let two = |p: Option<&str>, max: i64| -> Option<i64> {
        p.filter(|p| (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))?.parse().ok().filter(|n| *n <= max)
    };
    let (hours, minutes) = (two(parts.next(), 24)?, two(parts.next(), 59)?);
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(rest) => {
            let (seconds, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
            if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            // Digits beyond the microsecond are rounded.
            let nanos = format!("{fraction:0<9}").parse::<i64>().ok()?;
            (two(Some(seconds), 60)?, (nanos + 500) / 1000)
        }
    };
    let micros = (hours * 3600 + minutes * 60 + seconds) * SECOND + fraction;
    (micros <= DAY).then_some(micros)
}

/// Reads `2022-07-05 11:11:11.5` (or with `T`, or a date alone): microseconds since 1970-01-01, and the offset in
/// seconds if the text ends with a zone (`+02`, `-03:30`, `Z`).
pub fn read_timestamp(text: &str) -> Option<(i64, Option<i64>)> {
    let text = text.trim();
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim_start()),
        None => (text, ""),
    };
    let days = i64::from(read_date(date)?);
    if rest.is_empty() {
        return Some((days * DAY, None));
    }
    let (time, zone) = match rest.find(['+', '-', 'Z', 'z', ' ']) {
        Some(at) => (&rest[..at], Some(rest[at..].trim())),
        None => (rest, None),
    };
    let offset = match zone {
        None => None,
        Some(zone) => Some(read_offset(zone)?),
    };
    Some((days * DAY + read_time(time)?, offset))
}

fn read_offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ if text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("gmt") => return Some(0),
        _ => return None,
    };
    if !rest.is_ascii() {
        return None;
    }
    let mut parts = match rest.len() {
        4 if !rest.contains(':') => vec![&rest[..2], &rest[2..]],
        _ => rest.split(':').collect(),
    };
    parts.resize(3, "0");
    let number = |at: usize, max: i64| parts[at].parse::<u8>().ok().map(i64::from).filter(|n| *n <= max);
    Some(sign * (number(0, 15)? * 3600 + number(1, 59)? * 60 + number(2, 59)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(write: impl FnOnce(&mut String) -> Result) -> String {
        let mut out = String::new();
        write(&mut out).unwrap();
        out
    }

    #[test]
    fn moments_are_written_as_postgresql_writes_them() {
        assert_eq!(shown(|o| write_date(19_178, o)), "2022-07-05");
        assert_eq!(shown(|o| write_date(-719_528, o)), "0001-01-01 BC");
        assert_eq!(shown(|o| write_date(-719_162, o)), "0001-01-01");
        assert_eq!(shown(|o| write_date(2_932_897, o)), "10000-01-01");
        assert_eq!(shown(|o| write_timestamp(-1, o)), "1969-12-31 23:59:59.999999");
        assert_eq!(shown(|o| write_timestamp(1_657_019_471_120_000, o)), "2022-07-05 11:11:11.12");
        assert_eq!(shown(|o| write_time(DAY, o)), "24:00:00");
    }

    #[test]
    fn a_moment_with_zone_is_shown_in_the_zone_of_the_session() {
        let at = 1_657_012_271_123_456;
        for (zone, text) in [
            ("Europe/Paris", "2022-07-05 11:11:11.123456+02"),
            ("Asia/Kolkata", "2022-07-05 14:41:11.123456+05:30"),
            ("UTC", "2022-07-05 09:11:11.123456+00"),
            ("-03:30", "2022-07-05 05:41:11.123456-03:30"),
        ] {
            let zone = crate::time::parse_zone(zone).unwrap();
            assert_eq!(shown(|o| write_timestamptz(at, &zone, o)), text);
        }
        let amsterdam = crate::time::parse_zone("Europe/Amsterdam").unwrap();
        assert!(shown(|o| write_timestamptz(-2_000_000_000_000_000, &amsterdam, o)).starts_with("1906-08-16 20:"));
        // Beyond jiff's range of years the moment is shown in UTC.
        assert!(shown(|o| write_timestamptz(i64::MAX, &amsterdam, o)).ends_with("+00"));
    }

    #[test]
    fn intervals_are_written_as_postgresql_writes_them() {
        for (months, days, micros, text) in [
            (0, 0, 0, "00:00:00"),
            (14, 3, 14_706_500_000, "1 year 2 mons 3 days 04:05:06.5"),
            (0, -1, 7_380_000_000, "-1 days +02:03:00"),
            (-1, 1, -SECOND, "-1 mons +1 day -00:00:01"),
            (24, 0, 0, "2 years"),
        ] {
            assert_eq!(shown(|o| write_interval(months, days, micros, o)), text);
        }
    }

    #[test]
    fn texts_that_are_no_moment_are_refused() {
        for bad in ["", "2022", "2022-13-01", "2022-02-30", "22-1-1", "2022-01-01 25:00:00", "2022-01-01 10:00:00+", "2022-01-01x"] {
            assert_eq!(read_timestamp(bad), None, "{bad}");
        }
        for bad in ["", "10", "10:60", "10:00:00.", "24:00:01", "1:2:3:4"] {
            assert_eq!(read_time(bad), None, "{bad}");
        }
        assert_eq!(read_timestamp("1970-01-02T00:00:01.5Z"), Some((DAY + 1_500_000, Some(0))));
        assert_eq!(read_timestamp("1970-01-01 00:00:00 +0530"), Some((0, Some(19_800))));
    }

    proptest! {
        #[test]
        fn a_moment_survives_its_text(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000) {
            prop_assert_eq!(read_timestamp(&shown(|o| write_timestamp(micros, o))), Some((micros, None)));
        }

        #[test]
        fn random_texts_never_panic(text in "\\PC*", near in "[0-9:.TZ+ -]{0,40}", days: i32, micros: i64) {
            for text in [&text, &near] {
                let _ = (read_date(text), read_time(text), read_timestamp(text));
            }
            shown(|o| write_date(days, o));
            shown(|o| write_timestamp(micros, o));
        }
    }
}
