//! Decoding of timestamps to microseconds (specification, "Timestamp Columns").

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

use super::super::damage::{Damage, damaged};
use super::super::{MICROS, ORC_EPOCH};

/// How the seconds of a column become microseconds since 1970.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// What the stored seconds count from, in seconds since 1970.
    base: i64,
    /// The writer's zone, whose wall clock the result shows.
    zone: Option<TimeZone>,
}

impl Clock {
    /// `zone`: the writer's, for timestamps without zone; None for UTC and for instants.
    pub(super) fn new(zone: Option<TimeZone>) -> Clock {
        let base = zone.as_ref().and_then(|zone| Some(zone.to_timestamp(date(2015, 1, 1).at(0, 0, 0, 0)).ok()?.as_second()));
        Clock { base: base.unwrap_or(ORC_EPOCH), zone }
    }

    /// Joins seconds and coded fractions, in place of the seconds. Digits below the microsecond are cut off.
    pub(super) fn join(&self, seconds: &mut [i64], fractions: &[i64]) -> Result<(), Damage> {
        for (value, &fraction) in seconds.iter_mut().zip(fractions) {
            let nanos = nanos(fraction)?;
            let mut second = value.wrapping_add(self.base);
            // Writers add a second to moments before 1970 with a fraction of a millisecond or more (ORC-763).
            if second < 0 && nanos > 999_999 {
                second -= 1;
            }
            let micros = second.checked_mul(MICROS).and_then(|us| us.checked_add(nanos.div_euclid(1000)));
            *value = micros.ok_or_else(|| damaged("a timestamp out of range"))?;
            if let Some(zone) = &self.zone {
                *value += wall_clock_offset(zone, second) * MICROS;
            }
        }
        Ok(())
    }
}

/// A fraction whose lowest three bits say how many zeros, less one, were taken off its end. Arrow's writer stores moments
/// before 1970 with a negative fraction.
fn nanos(coded: i64) -> Result<i64, Damage> {
    const POWERS: [i64; 8] = [1, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let nanos = (coded >> 3).checked_mul(POWERS[(coded & 7) as usize]);
    nanos.filter(|n| n.abs() < 2_000_000_000).ok_or_else(|| damaged("a fraction out of range"))
}

fn wall_clock_offset(zone: &TimeZone, second: i64) -> i64 {
    // Beyond jiff's range (years -9999 to 9999) the zone's last known offset says as much as any.
    let moment = Timestamp::from_second(second).unwrap_or(if second < 0 { Timestamp::MIN } else { Timestamp::MAX });
    i64::from(zone.to_offset(moment).seconds())
}
