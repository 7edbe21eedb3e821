//! Calendar arithmetic on microseconds, and the way between civil time and UTC.
//!
//! A *civil* value counts microseconds from 1970-01-01 00:00:00 as a clock on the wall shows them (what an Arrow
//! `Timestamp(us)` without zone holds); a *UTC* value is a moment.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Family;

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds of a day.
pub const DAY: i64 = 24 * HOUR;

/// Days from 1970-01-01 to this day of the proleptic Gregorian calendar. The month and day must be valid.
pub const fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 } as i64;
    let doy = (153 * shifted + 2) / 5 + day as i64 - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// (year, month, day) of a day counted from 1970-01-01.
pub const fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (yoe + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

/// Is it a leap year?
pub const fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// Days of a month (1 to 12).
pub const fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01, or None when there is no such day.
pub fn checked_days(year: i64, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    Some(days_from_civil(year, month, day))
}

/// A civil moment taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
    /// 0 to 999,999.
    pub micros: u32,
}

impl Civil {
    /// Takes civil microseconds apart.
    pub const fn from_micros(micros: i64) -> Civil {
        let (year, month, day) = civil_from_days(micros.div_euclid(DAY));
        let rest = micros.rem_euclid(DAY);
        Civil {
            year,
            month,
            day,
            hour: (rest / HOUR) as u32,
            minute: (rest / MINUTE % 60) as u32,
            second: (rest / SECOND % 60) as u32,
            micros: (rest % SECOND) as u32,
        }
    }

    /// Civil microseconds; the parts must be valid.
    pub const fn micros(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day) * DAY
            + self.hour as i64 * HOUR
            + self.minute as i64 * MINUTE
            + self.second as i64 * SECOND
            + self.micros as i64
    }
}

/// Adds months, staying on the last day of a shorter month. None when the year leaves 0 to 9999.
pub fn add_months(micros: i64, months: i64) -> Option<i64> {
    let mut civil = Civil::from_micros(micros);
    let total = civil.year.checked_mul(12)?.checked_add(i64::from(civil.month) - 1)?.checked_add(months)?;
    civil.year = total.div_euclid(12);
    civil.month = (total.rem_euclid(12) + 1) as u32;
    if !(0..=9999).contains(&civil.year) {
        return None;
    }
    civil.day = civil.day.min(days_in_month(civil.year, civil.month));
    Some(civil.micros())
}

/// Rounds microseconds to `fsp` fractional digits of the second, half up.
pub const fn round_fsp(micros: i64, fsp: u8) -> i64 {
    if fsp >= 6 {
        return micros;
    }
    let unit = 10i64.pow(6 - fsp as u32);
    (micros + unit / 2).div_euclid(unit) * unit
}

/// The moment that a clock in `zone` shows as `civil`. A time that DST skips is taken an hour later, a repeated one
/// the first time in MySQL and the second time in PostgreSQL. None outside the years -9999 to 9999.
pub fn moment_of(civil: i64, zone: &TimeZone, family: Family) -> Option<i64> {
    let earlier = civil_to_utc(civil, zone)?;
    if family == Family::MySql || *zone == TimeZone::UTC {
        return Some(earlier);
    }
    // Only what clocks show twice is shown again when the offset of some hours later is taken.
    let later = civil.checked_sub(offset_at(earlier.checked_add(6 * HOUR)?, zone) * SECOND)?;
    Some(if later > earlier && utc_to_civil(later, zone) == civil { later } else { earlier })
}

/// [`moment_of`], and a repeated time the first time.
pub fn civil_to_utc(civil: i64, zone: &TimeZone) -> Option<i64> {
    if *zone == TimeZone::UTC {
        return Some(civil);
    }
    let whole = civil.div_euclid(SECOND);
    let parts = Civil::from_micros(whole * SECOND);
    let datetime = DateTime::new(
        i16::try_from(parts.year).ok()?,
        parts.month as i8,
        parts.day as i8,
        parts.hour as i8,
        parts.minute as i8,
        parts.second as i8,
        0,
    )
    .ok()?;
    // The last hours of 9999 and the first of -9999 are no moments to jiff.
    let Ok(moment) = zone.to_timestamp(datetime) else { return civil.checked_sub(offset_at(civil, zone) * SECOND) };
    moment.as_second().checked_mul(SECOND)?.checked_add(civil.rem_euclid(SECOND))
}

/// What a clock in `zone` shows at the moment `utc`.
pub fn utc_to_civil(utc: i64, zone: &TimeZone) -> i64 {
    utc.saturating_add(offset_at(utc, zone) * SECOND)
}

/// Seconds east of UTC at this moment; outside of jiff's range as at its ends.
pub fn offset_at(utc: i64, zone: &TimeZone) -> i64 {
    let utc = utc.clamp(Timestamp::MIN.as_microsecond(), Timestamp::MAX.as_microsecond());
    match Timestamp::from_duration(SignedDuration::from_micros(utc)) {
        Ok(moment) => i64::from(zone.to_offset(moment).seconds()),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_to_the_calendar_and_back() {
        for days in (-800_000..2_900_000).step_by(37) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(checked_days(y, m, d), Some(days));
        }
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(civil_from_days(19_178), (2022, 7, 5));
        assert_eq!(checked_days(2022, 2, 29), None);
    }

    #[test]
    fn a_zone_with_dst_is_honoured_in_both_directions() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let summer = Civil { year: 2022, month: 7, day: 5, hour: 11, minute: 11, second: 11, micros: 5 }.micros();
        let winter = Civil { year: 2022, month: 1, day: 5, hour: 11, minute: 11, second: 11, micros: 5 }.micros();
        assert_eq!(civil_to_utc(summer, &paris), Some(summer - 2 * HOUR));
        assert_eq!(civil_to_utc(winter, &paris), Some(winter - HOUR));
        assert_eq!(utc_to_civil(summer - 2 * HOUR, &paris), summer);
    }

    #[test]
    fn an_hour_that_comes_twice_is_the_second_to_postgres() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let at = |month, day, hour| Civil { year: 2021, month, day, hour, minute: 30, second: 0, micros: 0 }.micros();
        let autumn = at(10, 31, 2);
        assert_eq!(moment_of(autumn, &paris, Family::Postgres), Some(autumn - HOUR));
        assert_eq!(moment_of(autumn, &paris, Family::MySql), Some(autumn - 2 * HOUR));
        // One that clocks skip goes on by the offset from before.
        assert_eq!(moment_of(at(3, 28, 2), &paris, Family::Postgres), Some(at(3, 28, 2) - HOUR));
        assert_eq!(moment_of(at(10, 31, 3), &paris, Family::Postgres), Some(at(10, 31, 3) - HOUR));
        let last = Civil { year: 9999, month: 12, day: 31, hour: 23, minute: 59, second: 59, micros: 999_999 }.micros();
        assert_eq!(moment_of(last, &paris, Family::Postgres), Some(last - HOUR));
        assert_eq!(utc_to_civil(last - HOUR, &paris), last);
        assert_eq!(moment_of(at(10, 31, 1), &paris, Family::Postgres), Some(at(10, 31, 1) - 2 * HOUR));
    }

    #[test]
    fn months_are_added_within_the_month() {
        let end = days_from_civil(2024, 1, 31) * DAY;
        assert_eq!(add_months(end, 1), Some(days_from_civil(2024, 2, 29) * DAY));
        assert_eq!(add_months(end, -11), Some(days_from_civil(2023, 2, 28) * DAY));
        assert_eq!(add_months(end, 120_000), None);
    }

    #[test]
    fn fractions_are_rounded_half_up() {
        assert_eq!(round_fsp(1_499_999, 0), SECOND);
        assert_eq!(round_fsp(1_500_000, 0), 2 * SECOND);
        assert_eq!(round_fsp(1_234_567, 3), 1_235_000);
    }
}
