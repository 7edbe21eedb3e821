//! The zone that a stripe says its timestamps without zone were written in, by any of the names that writers use.

use std::fmt;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// 1900-01-01 00:00:00 UTC, before which Java knows no changes of a zone's offset (`sun.util.calendar.ZoneInfo`).
const JAVA_BEGIN: i64 = -2_208_988_800;

/// Java's short names (`java.time.ZoneId.SHORT_IDS`, `sun.util.calendar.ZoneInfoFile`); EST, MST and HST are offsets there.
const SHORT: [(&str, &str); 25] = [
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];
const SHORT_OFFSETS: [(&str, i32); 3] = [("EST", -5), ("MST", -7), ("HST", -10)];

/// A writer's zone.
#[derive(Clone)]
pub(super) struct WriterZone {
    zone: TimeZone,
    /// Seconds east of UTC before 1900, when the writer is Java.
    before_1900: Option<i64>,
}

impl fmt::Debug for WriterZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriterZone").field(&self.zone).finish()
    }
}

impl WriterZone {
    /// The zone of this name. `Ok(None)` is UTC; the error is the name, when there is no such zone.
    pub(super) fn of(name: &str, java: bool) -> Result<Option<WriterZone>, String> {
        if matches!(name, "" | "UTC" | "GMT" | "Etc/UTC" | "Z") {
            return Ok(None);
        }
        let long = SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| *long);
        let offset = SHORT_OFFSETS.iter().find(|(short, _)| *short == name).map(|(_, hours)| hours * 3600);
        let zone = match offset.or_else(|| custom_offset(name)) {
            Some(seconds) => TimeZone::fixed(Offset::from_seconds(seconds).map_err(|_| name.to_owned())?),
            None => TimeZone::get(long).map_err(|_| name.to_owned())?,
        };
        let before_1900 = java.then(|| standard_offset(&zone));
        Ok(Some(WriterZone { zone, before_1900 }))
    }

    /// Seconds east of UTC at this second since 1970.
    pub(super) fn offset(&self, second: i64) -> i64 {
        match self.before_1900 {
            Some(offset) if second < JAVA_BEGIN => offset,
            _ => {
                // Beyond jiff's range (years -9999 to 9999) the zone's last known offset says as much as any.
                let edge = if second < 0 { Timestamp::MIN } else { Timestamp::MAX };
                i64::from(self.zone.to_offset(Timestamp::from_second(second).unwrap_or(edge)).seconds())
            }
        }
    }

    /// 2015-01-01 00:00:00 in this zone, in seconds since 1970; None when jiff has no such moment.
    pub(super) fn orc_epoch(&self) -> Option<i64> {
        Some(self.zone.to_timestamp(jiff::civil::date(2015, 1, 1).at(0, 0, 0, 0)).ok()?.as_second())
    }
}

/// `GMT+08:00` and its shorter forms (`java.util.TimeZone`), `+08:00` (Joda), in seconds.
fn custom_offset(name: &str) -> Option<i32> {
    let rest = ["GMT", "UTC", "UT"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let (sign, digits) = match rest.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let number = |text: &str| (text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<i32>().ok())?;
    let mut parts = digits.split(':');
    let (hours, minutes, seconds) = match (parts.next()?, parts.next(), parts.next(), parts.next()) {
        (hhmm, None, None, None) if matches!(hhmm.len(), 3 | 4) && hhmm.is_ascii() => {
            let (hours, minutes) = hhmm.split_at(hhmm.len() - 2);
            (number(hours)?, number(minutes)?, 0)
        }
        (hours, minutes, seconds, None) => (number(hours)?, minutes.map_or(Some(0), number)?, seconds.map_or(Some(0), number)?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59 && seconds <= 59).then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

/// The offset of the zone without summer time, as its rules are now: the smallest of a year. (Java calls it so too where
/// the zone database has a summer that is the standard and a winter that is not: Dublin, Casablanca.)
fn standard_offset(zone: &TimeZone) -> i64 {
    let now = Timestamp::now();
    let days = (0..37).map(|n| now.checked_sub(SignedDuration::from_hours(n * 240)).unwrap_or(now));
    days.map(|at| i64::from(zone.to_offset(at).seconds())).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(name: &str, second: i64) -> i64 {
        WriterZone::of(name, true).unwrap().map_or(0, |zone| zone.offset(second))
    }

    #[test]
    fn the_names_of_java_and_joda_are_known() {
        let summer_2022 = 1_656_990_671;
        for (name, hours) in [
            ("GMT+08:00", 8),
            ("GMT+8", 8),
            ("GMT-0330", -3),
            ("UTC+08:00", 8),
            ("+08:00", 8),
            ("-08:00", -8),
            ("PST", -7),
            ("CTT", 8),
            ("EST", -5),
            ("HST", -10),
            ("BST", 6),
            ("Etc/GMT+8", -8),
            ("Asia/Shanghai", 8),
            ("Zulu", 0),
            ("GMT", 0),
            ("", 0),
        ] {
            let half = if name == "GMT-0330" { -1800 } else { 0 };
            assert_eq!(offset(name, summer_2022), hours * 3600 + half, "{name}");
        }
        for name in ["Mars/Olympus", "GMT+", "GMT+24:00", "GMT+8:60", "+1:2:3:4", "GMT+12345", "+é", "XXX"] {
            assert_eq!(WriterZone::of(name, true).map(|_| ()), Err(name.to_owned()));
        }
    }

    /// Offsets as `java.util.TimeZone.getOffset` gives them (JDK 17).
    #[test]
    fn before_1900_java_has_the_standard_offset_of_today() {
        for (name, hours) in
            [("America/New_York", -5), ("Asia/Shanghai", 8), ("Europe/Dublin", 0), ("Africa/Casablanca", 0), ("Australia/Sydney", 10)]
        {
            assert_eq!(offset(name, JAVA_BEGIN - 1), hours * 3600, "{name}");
        }
        // Local mean time from 1900 on, and at any time for writers that are not Java.
        assert_eq!(offset("Asia/Shanghai", JAVA_BEGIN), 8 * 3600 + 343);
        assert_eq!(WriterZone::of("Asia/Shanghai", false).unwrap().map(|zone| zone.offset(JAVA_BEGIN - 1)), Some(8 * 3600 + 343));
    }
}
