//! The hybrid calendar of Java's writers: Julian before 1582-10-15, Gregorian from then on. Dates here are those of the
//! proleptic Gregorian calendar, as in SQL, so a day that a file counts in the hybrid calendar keeps its name (year, month,
//! day) and gets another number (specification, "Footer", `calendar`; Java's `DateUtils`).

use crate::types::coerce::civil::{DAY, checked_days};

/// 1582-10-15, the first day of the Gregorian calendar, in days from 1970-01-01.
pub(super) const GREGORIAN: i64 = -141_427;

/// (year, month, day) in the Julian calendar of a day counted from 1970-01-01.
fn julian_from_days(days: i64) -> (i64, u32, u32) {
    // Years from March on, so that the leap day is the last one; the Julian 0000-03-01 is day -719,470.
    let z = days + 719_470;
    let (era, day_of_era) = (z.div_euclid(1461), z.rem_euclid(1461));
    let year_of_era = (day_of_era - day_of_era / 1460) / 365;
    let day_of_year = day_of_era - 365 * year_of_era;
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    (era * 4 + year_of_era + i64::from(month <= 2), month, day)
}

/// The day of the same name in the proleptic Gregorian calendar; None for the leap days that only the Julian one has.
pub(super) fn proleptic_day(hybrid: i64) -> Option<i64> {
    if hybrid >= GREGORIAN {
        return Some(hybrid);
    }
    let (year, month, day) = julian_from_days(hybrid);
    checked_days(year, month, day)
}

/// The same for a moment without zone, in microseconds.
pub(super) fn proleptic_micros(hybrid: i64) -> Option<i64> {
    let days = hybrid.div_euclid(DAY);
    let moved = proleptic_day(days)?.checked_sub(days)?;
    hybrid.checked_add(moved.checked_mul(DAY)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::coerce::civil::{civil_from_days, days_from_civil};

    /// Pairs from Spark's table of differences (RebaseDateTime), which has one a century.
    #[test]
    fn a_day_of_the_hybrid_calendar_keeps_its_name() {
        for (day, moved) in [
            ((1582, 10, 4), -10),
            ((1500, 3, 1), -10),
            ((1500, 2, 28), -9),
            ((1100, 2, 28), -6),
            ((1100, 3, 1), -7),
            ((200, 3, 1), 0),
            ((100, 3, 1), 1),
            ((1, 1, 1), 2),
        ] {
            let wanted = days_from_civil(day.0, day.1, day.2);
            let hybrid = wanted - moved;
            assert_eq!(julian_from_days(hybrid), day);
            assert_eq!(proleptic_day(hybrid), Some(wanted), "{day:?}");
            assert_eq!(proleptic_micros(hybrid * DAY + 5), Some(wanted * DAY + 5), "{day:?}");
        }
        assert_eq!(civil_from_days(GREGORIAN), (1582, 10, 15));
        assert_eq!(julian_from_days(GREGORIAN - 1), (1582, 10, 4));
        assert_eq!(proleptic_day(GREGORIAN), Some(GREGORIAN));
        assert_eq!(proleptic_micros(i64::MAX), Some(i64::MAX));
    }

    #[test]
    fn a_leap_day_of_the_julian_calendar_only_has_no_name_here() {
        let julian_leap_day = days_from_civil(1500, 3, 1) + 9;
        assert_eq!(julian_from_days(julian_leap_day), (1500, 2, 29));
        assert_eq!(proleptic_day(julian_leap_day), None);
    }

    #[test]
    fn the_order_of_days_is_kept() {
        let days: Vec<i64> = (-800_000..GREGORIAN + 400).filter_map(proleptic_day).collect();
        assert!(days.is_sorted());
    }
}
