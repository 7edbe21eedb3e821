//! Fields of dates, moments and intervals in PostgreSQL: `extract`, `date_part` and `date_trunc` (manual, section 9.9).

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::scalar::ScalarValue;
use jiff::tz::TimeZone;

use super::dates::{INTERVAL, interval_array, intervals, iso_week, unknown_unit, utc_or_civil};
use super::scalar::{At, CIVIL, Call, zoned};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::Family;
use crate::types::coerce::civil::{self, Civil, DAY, HOUR, MINUTE, SECOND, offset_at, utc_to_civil};

/// The part that `extract` and `date_part` ask for, in millionths.
pub(super) fn parts(c: &Call<'_>) -> Result<Vec<Option<i128>>> {
    let unit = c.word(0)?;
    if matches!(c.args[1].data_type(), DataType::Interval(_) | DataType::Duration(_)) {
        return intervals(c, 1)?.into_iter().map(|v| v.map(|v| interval_part(&unit, v)).transpose()).collect();
    }
    let zone = &c.facts.zone;
    if matches!(c.args[1].data_type(), DataType::Timestamp(_, Some(_))) {
        // From the moment itself: two of them may show the same on the wall.
        let part = |utc| moment_part(&unit, utc_to_civil(utc, zone), utc, offset_at(utc, zone));
        return utc_or_civil(c, 1)?.iter().map(|utc| utc.map(part).transpose()).collect();
    }
    super::dates::moments(c, 1)?.iter().map(|v| v.map(|v| moment_part(&unit, v, v, offset_at(v, zone))).transpose()).collect()
}

fn moment_part(unit: &str, v: i64, utc: i64, offset: i64) -> Result<i128> {
    let p = Civil::from_micros(v);
    let days = v.div_euclid(DAY);
    let million = 1_000_000i128;
    let seconds = i128::from(p.second) * million + i128::from(p.micros);
    let whole = |n: i64| Ok(i128::from(n) * million);
    match unit {
        "epoch" => Ok(i128::from(utc)),
        "second" | "seconds" => Ok(seconds),
        "millisecond" | "milliseconds" => Ok(seconds * 1000),
        "microsecond" | "microseconds" => Ok(seconds * million),
        "minute" | "minutes" => whole(i64::from(p.minute)),
        "hour" | "hours" => whole(i64::from(p.hour)),
        "day" | "days" => whole(i64::from(p.day)),
        "dow" => whole((days + 4).rem_euclid(7)),
        "isodow" => whole((days + 3).rem_euclid(7) + 1),
        "doy" => whole(days - civil::days_from_civil(p.year, 1, 1) + 1),
        "week" => whole(iso_week(days).1),
        "isoyear" => whole(iso_week(days).0),
        "month" | "months" => whole(i64::from(p.month)),
        "quarter" => whole(i64::from((p.month - 1) / 3 + 1)),
        "year" | "years" => whole(p.year),
        "decade" => whole(p.year.div_euclid(10)),
        "century" => whole((p.year + 99).div_euclid(100)),
        "millennium" => whole((p.year + 999).div_euclid(1000)),
        "julian" => whole(days + 2_440_588),
        "timezone" => whole(offset),
        "timezone_hour" => whole(offset / 3600),
        "timezone_minute" => whole(offset / 60 % 60),
        _ => Err(unknown_unit(unit)),
    }
}

fn interval_part(unit: &str, (months, days, micros): (i64, i64, i64)) -> Result<i128> {
    let million = 1_000_000i128;
    let seconds = i128::from(micros % MINUTE);
    Ok(match unit {
        // A year counts 365.25 days, a month of the rest 30.
        "epoch" => {
            i128::from(months / 12) * 31_557_600 * million + i128::from(months % 12 * 30 + days) * i128::from(DAY) + i128::from(micros)
        }
        "second" | "seconds" => seconds,
        "millisecond" | "milliseconds" => seconds * 1000,
        "microsecond" | "microseconds" => seconds * million,
        "minute" | "minutes" => i128::from(micros / MINUTE % 60) * million,
        "hour" | "hours" => i128::from(micros / HOUR) * million,
        "day" | "days" => i128::from(days) * million,
        "month" | "months" => i128::from(months % 12) * million,
        "quarter" => i128::from(months % 12 / 3 + 1) * million,
        "year" | "years" => i128::from(months / 12) * million,
        "decade" => i128::from(months / 120) * million,
        "century" => i128::from(months / 1200) * million,
        _ => return Err(unknown_unit(unit)),
    })
}

/// Seconds and the epoch have a fraction, the other parts none.
pub(super) fn extract_type(_: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    let unit = match scalars.first() {
        Some(Some(ScalarValue::Utf8(Some(unit)))) => unit.to_lowercase(),
        _ => String::new(),
    };
    Ok(match unit.as_str() {
        "epoch" | "second" | "seconds" => DataType::Decimal128(20, 6),
        "millisecond" | "milliseconds" => DataType::Decimal128(20, 3),
        _ => DataType::Decimal128(20, 0),
    })
}

pub(super) fn truncated_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.get(1) {
        Some(DataType::Timestamp(_, None)) => CIVIL,
        Some(DataType::Interval(_) | DataType::Duration(_)) => INTERVAL,
        // A date is cast to a moment with zone, as PostgreSQL does.
        _ => zoned(),
    })
}

pub(super) fn truncate(c: &Call<'_>) -> Result<ArrayRef> {
    let unit = c.word(0)?;
    if c.returns == &INTERVAL {
        let cells = intervals(c, 1)?;
        let unit_micros = unit_size(&unit);
        return interval_array(cells.into_iter().map(|v| {
            v.map(|(months, days, micros)| match unit.as_str() {
                "year" => (months / 12 * 12, 0, 0),
                "month" => (months, 0, 0),
                "day" => (months, days, 0),
                _ => (months, days, unit_micros.map_or(micros, |size| micros / size * size)),
            })
        }));
    }
    let zone = match c.count() {
        3 => crate::time::postgres_zone(c.text(2)?.at(0).unwrap_or("UTC"))?,
        _ => c.facts.zone.clone(),
    };
    if let DataType::Timestamp(_, Some(_)) = c.args[1].data_type() {
        let cells = utc_or_civil(c, 1)?.iter().map(|v| v.map(|v| zoned_floor(&unit, v, &zone)).transpose()).collect::<Result<Vec<_>>>()?;
        return c.stamps(|i| cells[i]);
    }
    let values = c.civil(1)?;
    let cells = values.iter().map(|v| v.map(|v| floor_to(&unit, v)).transpose()).collect::<Result<Vec<_>>>()?;
    if c.returns == &CIVIL { c.civils(|i| cells[i]) } else { c.stamps(|i| civil::moment_of(cells[i]?, &zone, Family::Postgres)) }
}

/// The beginning of the unit that a moment lies in. Within a day the clock is not asked again, so that an hour that comes
/// twice stays the one it was.
fn zoned_floor(unit: &str, utc: i64, zone: &TimeZone) -> Result<i64> {
    let offset = offset_at(utc, zone) * SECOND;
    let floor = floor_to(unit, utc + offset)?;
    if unit_size(unit).is_some_and(|size| size < DAY) {
        return Ok(floor - offset);
    }
    civil::moment_of(floor, zone, Family::Postgres).ok_or_else(|| Error::new(Kind::DatetimeField, "timestamp out of range"))
}

fn unit_size(unit: &str) -> Option<i64> {
    Some(match unit.trim_end_matches('s') {
        "microsecond" => 1,
        "millisecond" => 1000,
        "second" => SECOND,
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" => DAY,
        _ => return None,
    })
}

/// The beginning of the unit that a civil moment lies in.
fn floor_to(unit: &str, v: i64) -> Result<i64> {
    if let Some(size) = unit_size(unit) {
        return Ok(v.div_euclid(size) * size);
    }
    let (y, m, _) = civil::civil_from_days(v.div_euclid(DAY));
    let days = match unit.trim_end_matches('s') {
        "week" => v.div_euclid(DAY) - (v.div_euclid(DAY) + 3).rem_euclid(7),
        "month" => civil::days_from_civil(y, m, 1),
        "quarter" => civil::days_from_civil(y, (m - 1) / 3 * 3 + 1, 1),
        "year" => civil::days_from_civil(y, 1, 1),
        "decade" => civil::days_from_civil(y.div_euclid(10) * 10, 1, 1),
        "century" | "centurie" => civil::days_from_civil((y - 1).div_euclid(100) * 100 + 1, 1, 1),
        "millennium" => civil::days_from_civil((y - 1).div_euclid(1000) * 1000 + 1, 1, 1),
        _ => return Err(unknown_unit(unit)),
    };
    Ok(days * DAY)
}
