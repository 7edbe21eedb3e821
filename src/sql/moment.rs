//! Moments as text: `2022-07-05 11:11:11.000001`, with or without time, fraction and zone.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Unit, Zoned, ZonedRound};

use crate::error::{Error, Kind, Result};
use crate::time::parse_zone;

/// Reads `YYYY-MM-DD[{ |T}HH:MM[:SS[.ffffff]]][zone]`; without a zone of its own it is read in `zone`.
///
/// A zone is `Z`, `+hh[[:]mm]`, or a name behind a space. A seventh digit of the second is an error.
pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Zoned> {
    let bad = || {
        Error::new(Kind::NotConstantTime, format!("'{}' is not a time", text.chars().take(60).collect::<String>()))
            .with_hint("write it like '2022-07-05 11:11:11' or '2022-07-05T11:11:11.000001+02:00'")
    };
    let trimmed = text.trim();
    if !trimmed.is_ascii() {
        return Err(bad());
    }
    let (date, rest) = read_date(trimmed).ok_or_else(bad)?;
    let rest = match rest.as_bytes().first() {
        None => return in_zone(date.at(0, 0, 0, 0), zone),
        Some(b'T' | b't' | b' ') => rest[1..].trim_start(),
        Some(_) => return Err(bad()),
    };
    let (time, rest) = read_time(rest).map_err(|digits| match digits {
        Some(digits) => Error::new(Kind::NotConstantTime, format!("'{trimmed}' has {digits} digits of the second; at most 6 are kept")),
        None => bad(),
    })?;
    let own = rest.trim();
    if own.is_empty() {
        return in_zone(date.to_datetime(time), zone);
    }
    let own = parse_zone(own).map_err(|_| bad())?;
    in_zone(date.to_datetime(time), &own)
}

/// The moment at which clocks in `zone` show `at`. In a gap: later by the gap. In a fold: the earlier one.
pub(super) fn in_zone(at: DateTime, zone: &TimeZone) -> Result<Zoned> {
    at.to_zoned(zone.clone()).map_err(|_| Error::new(Kind::NotConstantTime, format!("the time {at} is out of range")))
}

/// `YYYY-MM-DD`, month and day of one digit too.
fn read_date(text: &str) -> Option<(Date, &str)> {
    let (year, rest) = read_number(text, 4, 4)?;
    let (month, rest) = read_number(rest.strip_prefix('-')?, 1, 2)?;
    let (day, rest) = read_number(rest.strip_prefix('-')?, 1, 2)?;
    Some((Date::new(year as i16, month as i8, day as i8).ok()?, rest))
}

/// `HH:MM[:SS[.ffffff]]`. Err(Some(n)): n digits of fraction are too many.
fn read_time(text: &str) -> std::result::Result<(Time, &str), Option<usize>> {
    let (hour, rest) = read_number(text, 1, 2).ok_or(None)?;
    let (minute, rest) = read_number(rest.strip_prefix(':').ok_or(None)?, 2, 2).ok_or(None)?;
    let Some(rest) = rest.strip_prefix(':') else {
        return Ok((time(hour, minute, 0, 0)?, rest));
    };
    let (second, rest) = read_number(rest, 2, 2).ok_or(None)?;
    let Some(fraction) = rest.strip_prefix('.') else {
        return Ok((time(hour, minute, second, 0)?, rest));
    };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let significant = fraction[..digits].trim_end_matches('0').len();
    if digits == 0 {
        return Err(None);
    }
    if significant > 6 {
        return Err(Some(digits));
    }
    let micros: u32 = format!("{:0<6}", &fraction[..significant]).parse().map_err(|_| None)?;
    Ok((time(hour, minute, second, micros)?, &fraction[digits..]))
}

fn time(hour: u32, minute: u32, second: u32, micros: u32) -> std::result::Result<Time, Option<usize>> {
    Time::new(hour as i8, minute as i8, second as i8, micros as i32 * 1000).map_err(|_| None)
}

/// Reads `least` to `most` digits.
fn read_number(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// PostgreSQL's date_trunc for the units that a reader of the past uses.
pub(super) fn truncate(at: &Zoned, unit: &str) -> Result<Zoned> {
    let failed = |_| Error::new(Kind::NotConstantTime, "the truncated time is out of range");
    let round = |unit| at.round(ZonedRound::new().smallest(unit).mode(jiff::RoundMode::Floor)).map_err(failed);
    let day = at.start_of_day().map_err(failed)?;
    match unit.to_ascii_lowercase().as_str() {
        "microsecond" | "microseconds" => Ok(at.clone()),
        "millisecond" | "milliseconds" => round(Unit::Millisecond),
        "second" => round(Unit::Second),
        "minute" => round(Unit::Minute),
        "hour" => round(Unit::Hour),
        "day" => Ok(day),
        "week" => day.checked_sub(i64::from(at.weekday().to_monday_zero_offset()).days()).map_err(failed),
        "month" => day.first_of_month().map_err(failed),
        "year" => day.first_of_year().map_err(failed),
        _ => Err(Error::new(Kind::NotConstantTime, format!("date_trunc does not know the unit '{unit}'"))),
    }
}
