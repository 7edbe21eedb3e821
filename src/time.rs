//! Times: the [`Tso`] that orders every commit and read, and the zones in which users write them.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::error::{Error, Kind, Result};

/// Bits of a TSO below the millisecond.
pub const LOGICAL_BITS: u32 = 22;
const LOGICAL_MASK: u64 = (1 << LOGICAL_BITS) - 1;

/// A 64-bit time: `unix milliseconds << 22 | logical`.
///
/// The logical bits order what happens within one millisecond. Flashgate's own clock spreads the microsecond
/// over them ([`Tso::from_unix_micros`]), so that a read time written to the microsecond means what it says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tso(pub u64);

impl Tso {
    /// The smallest time.
    pub const MIN: Tso = Tso(0);
    /// The largest time that fits a signed 64-bit column.
    pub const MAX: Tso = Tso(i64::MAX as u64);

    /// The first TSO of a unix millisecond.
    pub const fn from_unix_millis(ms: u64) -> Tso {
        Tso(ms << LOGICAL_BITS)
    }

    /// The first TSO of a unix microsecond: a whole millisecond has logical 0, the rest is spread evenly.
    pub fn from_unix_micros(us: u64) -> Tso {
        let (ms, rest) = (us / 1000, us % 1000);
        Tso(ms << LOGICAL_BITS | (rest << LOGICAL_BITS).div_ceil(1000))
    }

    /// The first TSO of `ts`; a time before 1970 is an error.
    pub fn from_timestamp(ts: Timestamp) -> Result<Tso> {
        let us = u64::try_from(ts.as_microsecond())
            .map_err(|_| Error::new(Kind::NotConstantTime, format!("the time {ts} lies before 1970-01-01")))?;
        if us / 1000 > (i64::MAX as u64) >> LOGICAL_BITS {
            return Err(Error::new(Kind::FutureReadTime, format!("the read time {ts} lies in the future")));
        }
        Ok(Tso::from_unix_micros(us))
    }

    /// Unix milliseconds.
    pub const fn unix_millis(self) -> u64 {
        self.0 >> LOGICAL_BITS
    }

    /// Unix microseconds, rounded down.
    pub const fn unix_micros(self) -> u64 {
        self.unix_millis() * 1000 + (((self.0 & LOGICAL_MASK) * 1000) >> LOGICAL_BITS)
    }

    /// The logical part.
    pub const fn logical(self) -> u64 {
        self.0 & LOGICAL_MASK
    }

    /// The next TSO.
    pub const fn next(self) -> Tso {
        Tso(self.0 + 1)
    }

    /// The TSO before this one.
    pub const fn prev(self) -> Tso {
        Tso(self.0.saturating_sub(1))
    }

    /// The moment, to the microsecond.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.unix_micros() as i64).unwrap_or(Timestamp::MAX)
    }

    /// `2022-07-05 11:11:11.000000` in `zone`.
    pub fn display_in(self, zone: &TimeZone) -> String {
        let zoned: Zoned = self.timestamp().to_zoned(zone.clone());
        zoned.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
    }
}

impl fmt::Display for Tso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Tso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tso({} = {})", self.0, self.timestamp())
    }
}

/// Reads a zone as a session names it: `SYSTEM`, `UTC`, `+08:00`, `-3`, `Europe/Paris`. An unknown zone is an error.
pub fn parse_zone(name: &str) -> Result<TimeZone> {
    let name = name.trim().trim_matches('\'');
    if name.eq_ignore_ascii_case("system") || name.eq_ignore_ascii_case("default") || name.eq_ignore_ascii_case("local") {
        return Ok(TimeZone::system());
    }
    if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("z") || name.eq_ignore_ascii_case("gmt") {
        return Ok(TimeZone::UTC);
    }
    if let Some(offset) = parse_offset(name) {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| unknown_zone(name))
}

/// Reads a zone as PostgreSQL's `SET TIME ZONE` does: a name, a POSIX zone, or a lone number of hours east of UTC.
pub fn postgres_zone(name: &str) -> Result<TimeZone> {
    let text = name.trim();
    let plain = text.trim_start_matches(['+', '-']);
    if !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.len() - plain.len() < 2 {
        let east = text.parse::<f64>().ok().map(|hours| (hours * 3600.0).round() as i32);
        return east.and_then(fixed).ok_or_else(|| unknown_zone(name));
    }
    named_zone(text)
}

/// Reads a zone as PostgreSQL's `AT TIME ZONE` does: an abbreviation, or what [`postgres_zone`] takes but for a lone number.
pub fn postgres_place(name: &str) -> Result<TimeZone> {
    match abbreviation(name.trim()) {
        Some(seconds) => fixed(seconds).ok_or_else(|| unknown_zone(name)),
        None => named_zone(name.trim()),
    }
}

/// Seconds east of UTC of the zone abbreviations of PostgreSQL's default set that are in common use.
pub fn abbreviation(word: &str) -> Option<i32> {
    let hours = match word.to_ascii_uppercase().as_str() {
        "UTC" | "GMT" | "Z" | "ZULU" | "WET" | "UT" => 0,
        "CET" | "BST" | "WEST" | "MET" => 1,
        "CEST" | "EET" | "MEST" => 2,
        "EEST" | "MSK" => 3,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "JST" | "KST" => 9,
        _ => return None,
    };
    Some(hours * 3600)
}

/// How PostgreSQL names a zone that was set as a number of hours: `<+05:30>-05:30`.
pub fn posix_name(east: i32) -> String {
    let written = |seconds: i32| {
        let (sign, s) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
        match (s / 60 % 60, s % 60) {
            (0, 0) => format!("{sign}{:02}", s / 3600),
            (m, 0) => format!("{sign}{:02}:{m:02}", s / 3600),
            (m, rest) => format!("{sign}{:02}:{m:02}:{rest:02}", s / 3600),
        }
    };
    format!("<{}>{}", written(east), written(-east))
}

/// A name, or a POSIX zone, whose offsets count west of UTC: `+05:30` and `UTC+5:30` are what others call -05:30.
fn named_zone(text: &str) -> Result<TimeZone> {
    let name = text;
    if let Some(west) = posix_offset(text) {
        return fixed(-west).ok_or_else(|| unknown_zone(name));
    }
    match parse_zone(name) {
        Ok(zone) => Ok(zone),
        Err(error) => TimeZone::posix(text).map_err(|_| error),
    }
}

fn fixed(seconds: i32) -> Option<TimeZone> {
    match seconds {
        0 => Some(TimeZone::UTC),
        other => jiff::tz::Offset::from_seconds(other).ok().map(TimeZone::fixed),
    }
}

fn unknown_zone(name: &str) -> Error {
    Error::new(Kind::WrongValue, format!("unknown time zone '{name}'"))
        .with_hint("use a name like 'Europe/Paris' or an offset like '+08:00'")
}

/// Seconds of `+05:30`, `UTC-3`, `<+05>-05`: a name or none, a sign or none, hours, minutes and seconds. None: not such a
/// zone, or one with daylight saving.
fn posix_offset(text: &str) -> Option<i32> {
    let rest = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let (sign, digits) = match rest.as_bytes().first()? {
        b'-' => (-1, &rest[1..]),
        b'+' => (1, &rest[1..]),
        _ => (1, rest),
    };
    let mut seconds = 0;
    let mut parts = digits.split(':');
    for size in [3600, 60, 1] {
        let Some(part) = parts.next() else { break };
        let most = if size == 3600 { 167 } else { 59 };
        let value = part.parse::<i32>().ok().filter(|n| part.bytes().all(|b| b.is_ascii_digit()) && *n <= most)?;
        seconds += value * size;
    }
    parts.next().is_none().then_some(sign * seconds)
}

/// `+08:00`, `-0330`, `8`, `UTC+3` is not taken. Hours to 14 (PostgreSQL allows more, no zone uses them).
fn parse_offset(text: &str) -> Option<jiff::tz::Offset> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        b'0'..=b'9' => (1, text),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((h, m)) => (h.parse::<i32>().ok()?, m.parse::<i32>().ok()?),
        None if rest.len() == 4 => (rest[..2].parse().ok()?, rest[2..].parse().ok()?),
        None => (rest.parse().ok()?, 0),
    };
    if hours > 14 || minutes > 59 {
        return None;
    }
    jiff::tz::Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_of_postgres_count_west_unless_they_are_a_lone_number() {
        let seconds = |zone: Result<TimeZone>| zone.map(|z| z.to_offset(Timestamp::UNIX_EPOCH).seconds()).ok();
        // As `SET TIME ZONE` of a real server takes them.
        let settings = [
            ("+05:30", Some(-19_800)),
            ("+05", Some(18_000)),
            ("5", Some(18_000)),
            ("-3.5", Some(-12_600)),
            ("<+05:30>-05:30", Some(19_800)),
            ("UTC+3", Some(-10_800)),
            ("FOO-3:30", Some(12_600)),
            ("-08:00:00", Some(28_800)),
            ("0530", None),
            ("Asia/Kolkata", Some(19_800)),
            ("nowhere", None),
        ];
        for (name, want) in settings {
            assert_eq!(seconds(postgres_zone(name)), want, "{name}");
        }
        for (name, want) in [("+05:30", Some(-19_800)), ("+05", Some(-18_000)), ("5", Some(-18_000)), ("CEST", Some(7_200))] {
            assert_eq!(seconds(postgres_place(name)), want, "{name}");
        }
    }

    #[test]
    fn a_whole_millisecond_has_logical_zero() {
        assert_eq!(Tso::from_unix_micros(1_657_019_471_000_000), Tso::from_unix_millis(1_657_019_471_000));
    }

    #[test]
    fn every_microsecond_has_its_own_tso_and_comes_back() {
        for us in 0..3000 {
            let tso = Tso::from_unix_micros(us);
            assert_eq!(tso.unix_micros(), us);
            assert!(tso < Tso::from_unix_micros(us + 1));
            assert!(us == 0 || tso.prev().unix_micros() == us - 1);
        }
    }

    #[test]
    fn zones_are_read_as_both_dialects_write_them() {
        for (name, seconds) in [("+08:00", 28_800), ("-03:30", -12_600), ("utc", 0), ("+8", 28_800), ("Z", 0)] {
            let zone = parse_zone(name).unwrap();
            assert_eq!(zone.to_offset(Timestamp::UNIX_EPOCH).seconds(), seconds, "{name}");
        }
        assert_eq!(parse_zone("Mars/Olympus").unwrap_err().kind(), Kind::WrongValue);
    }
}
