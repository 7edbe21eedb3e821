//! Decoding of timestamps to microseconds (specification, "Timestamp Columns").

use super::super::calendar::proleptic_micros;
use super::super::damage::{Damage, Sort, damaged};
use super::super::zone::WriterZone;
use crate::error::Kind;
use crate::orc::units::{MICROS, ORC_EPOCH};

/// How the seconds of a column become microseconds since 1970.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// What the stored seconds count from, in seconds since 1970.
    base: i64,
    /// The writer's zone, whose wall clock the result shows.
    zone: Option<WriterZone>,
    /// The writer's days before 1582-10-15 are those of the Julian calendar.
    hybrid: bool,
}

impl Clock {
    /// `zone`: the writer's, for timestamps without zone; None for UTC and for instants.
    pub(super) fn new(zone: Option<WriterZone>, hybrid: bool) -> Clock {
        Clock { base: zone.as_ref().and_then(WriterZone::orc_epoch).unwrap_or(ORC_EPOCH), zone, hybrid }
    }

    /// Joins seconds and coded fractions, in place of the seconds. Digits below the microsecond are rounded, as those of an
    /// INSERT are.
    pub(super) fn join(&self, seconds: &mut [i64], fractions: &[i64]) -> Result<(), Damage> {
        for (at, (value, &fraction)) in seconds.iter_mut().zip(fractions).enumerate() {
            let nanos = nanos(fraction).ok_or_else(|| damaged("a fraction out of range").at(at))?;
            let micros = self.micros(*value, nanos);
            *value = micros.ok_or_else(|| Damage::new(Sort::Value(Kind::DatetimeField), "a timestamp out of range").at(at))?;
        }
        Ok(())
    }

    /// None: beyond 64 bits, or a day that only the Julian calendar has.
    fn micros(&self, stored: i64, nanos: i64) -> Option<i64> {
        let mut second = stored.checked_add(self.base)?;
        // Writers add a second to moments before 1970 with a fraction of a millisecond or more (ORC-763).
        if second < 0 && nanos > 999_999 {
            second = second.checked_sub(1)?;
        }
        let offset = self.zone.as_ref().map_or(0, |zone| zone.offset(second));
        let micros = second.checked_add(offset)?.checked_mul(MICROS)?.checked_add((nanos + 500).div_euclid(1000))?;
        if self.hybrid { proleptic_micros(micros) } else { Some(micros) }
    }
}

/// A fraction whose lowest three bits say how many zeros, less one, were taken off its end. Arrow's writer stores moments
/// before 1970 with a negative fraction.
fn nanos(coded: i64) -> Option<i64> {
    const POWERS: [i64; 8] = [1, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    (coded >> 3).checked_mul(POWERS[(coded & 7) as usize]).filter(|n| n.abs() < 2_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_beyond_64_bits_is_an_error_at_its_place() {
        for zone in [None, WriterZone::of("Asia/Shanghai", true).unwrap(), WriterZone::of("-18:00", false).unwrap()] {
            let clock = Clock::new(zone, true);
            for bad in [i64::MAX, i64::MIN, i64::MAX / MICROS, i64::MIN / MICROS - ORC_EPOCH, 9_223_372_036_854 - ORC_EPOCH] {
                let Err(damage) = clock.join(&mut [0, bad], &[0, (999_999_999 << 3)]) else { continue };
                assert_eq!((damage.row, damage.sort), (Some(1), Sort::Value(Kind::DatetimeField)));
            }
            assert!(clock.join(&mut [0, i64::MAX], &[0, 0]).is_err());
        }
    }

    #[test]
    fn digits_below_the_microsecond_are_rounded() {
        let clock = Clock::new(None, false);
        for (nanos, micros) in [(499, 0), (500, 1), (1_499, 1), (999_999_500, 1_000_000)] {
            let mut values = [-ORC_EPOCH];
            clock.join(&mut values, &[nanos << 3]).unwrap();
            assert_eq!(values, [micros]);
        }
    }
}
