//! Calendar functions that both dialects share: parts of a moment, adding a quantity of a unit.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::*;
use datafusion::scalar::ScalarValue;

use super::scalar::{At, CIVIL, Call, Spec, add as row, int};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::civil::{self, Civil, DAY, HOUR, MINUTE, SECOND, add_months, civil_to_utc};
use crate::types::coerce::format::{civil_text, date_text, needed_fsp, time_text};
use crate::types::coerce::{parse_decimal, parse_integer_prefix, rescale};

pub(super) const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

pub(super) const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub(super) const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_extract", 2..=2, int, |c| {
        let unit = c.word(0)?;
        let values = moments(c, 1)?;
        let part = part_of(&unit).ok_or_else(|| unknown_unit(&unit))?;
        c.ints(|i| values.at(i).map(part))
    });
    row(out, "fg_date_add", 3..=3, sum_type, add_quantity);
}

pub(super) fn unknown_unit(unit: &str) -> Error {
    Error::new(Kind::WrongValue, format!("unit \"{unit}\" not recognized"))
}

/// Argument `i` as civil microseconds; a time of day stays one (its date is 1970-01-01), so does a text that is only
/// a time.
pub(super) fn moments(c: &Call<'_>, i: usize) -> Result<Int64Array> {
    match c.args[i].data_type() {
        DataType::Time64(_) | DataType::Duration(_) => c.span(i),
        DataType::Utf8 if c.is_mysql() => {
            let (civil, span) = (c.civil(i)?, c.span(i)?);
            Ok((0..c.rows).map(|r| civil.at(r).or_else(|| span.at(r))).collect())
        }
        _ => c.civil(i),
    }
}

/// A part of a civil moment.
pub(super) type Part = fn(i64) -> i64;

/// The part that a unit names; the compound units of MySQL too.
pub(super) fn part_of(unit: &str) -> Option<Part> {
    Some(match unit.trim_end_matches('s') {
        "year" => |v| Civil::from_micros(v).year,
        "quarter" => |v| i64::from((Civil::from_micros(v).month - 1) / 3 + 1),
        "month" => |v| i64::from(Civil::from_micros(v).month),
        "week" => |v| week(v.div_euclid(DAY), 0).1,
        "day" => |v| i64::from(Civil::from_micros(v).day),
        "hour" => |v| if v < 0 { (v / HOUR).abs() } else { v.rem_euclid(DAY.max(v + 1)) / HOUR % span_hours(v) },
        "minute" => |v| v.abs() / MINUTE % 60,
        "second" => |v| v.abs() / SECOND % 60,
        "microsecond" => |v| v.rem_euclid(SECOND),
        "year_month" => |v| {
            let c = Civil::from_micros(v);
            c.year * 100 + i64::from(c.month)
        },
        "day_hour" => |v| {
            let c = Civil::from_micros(v);
            i64::from(c.day * 100 + c.hour)
        },
        "day_minute" => |v| {
            let c = Civil::from_micros(v);
            i64::from(c.day * 10_000 + c.hour * 100 + c.minute)
        },
        "day_second" => |v| {
            let c = Civil::from_micros(v);
            i64::from(c.day * 1_000_000 + c.hour * 10_000 + c.minute * 100 + c.second)
        },
        "hour_minute" => |v| {
            let c = Civil::from_micros(v);
            i64::from(c.hour * 100 + c.minute)
        },
        "hour_second" => |v| {
            let c = Civil::from_micros(v);
            i64::from(c.hour * 10_000 + c.minute * 100 + c.second)
        },
        "day_microsecond" => |v| {
            let c = Civil::from_micros(v);
            i64::from(c.day * 1_000_000 + c.hour * 10_000 + c.minute * 100 + c.second) * SECOND + v.rem_euclid(SECOND)
        },
        "hour_microsecond" => |v| {
            let c = Civil::from_micros(v);
            i64::from(c.hour * 10_000 + c.minute * 100 + c.second) * SECOND + v.rem_euclid(SECOND)
        },
        "minute_microsecond" => |v| {
            let c = Civil::from_micros(v);
            i64::from(c.minute * 100 + c.second) * SECOND + v.rem_euclid(SECOND)
        },
        "second_microsecond" => |v| i64::from(Civil::from_micros(v).second) * SECOND + v.rem_euclid(SECOND),
        "minute_second" => |v| {
            let c = Civil::from_micros(v);
            i64::from(c.minute * 100 + c.second)
        },
        _ => return None,
    })
}

/// Hours wrap at a day, but for a span of time that is longer than one and begins at the epoch.
fn span_hours(v: i64) -> i64 {
    if v < 839 * HOUR { 839 } else { 24 }
}

/// (year, week) of a day by MySQL's mode 0 to 7 (manual, function WEEK).
pub(super) fn week(days: i64, mode: i64) -> (i64, i64) {
    let (year, ..) = civil::civil_from_days(days);
    let (monday, zero, iso) = (mode & 1 == 1, mode & 2 == 0, (mode & 4 == 4) != (mode & 1 == 1));
    // Mode's bit 4 swaps the rule for the first week: four days or more, or with the first weekday of the year.
    let start_of = |y: i64| {
        let first = civil::days_from_civil(y, 1, 1);
        let weekday = (first + 3).rem_euclid(7);
        let since = if monday { weekday } else { (weekday + 1) % 7 };
        if iso {
            if since <= 3 { first - since } else { first + 7 - since }
        } else if since == 0 {
            first
        } else {
            first + 7 - since
        }
    };
    let start = start_of(year);
    if days < start {
        if zero {
            return (year, 0);
        }
        return (year - 1, (days - start_of(year - 1)) / 7 + 1);
    }
    if !zero && days >= start_of(year + 1) {
        return (year + 1, 1);
    }
    (year, (days - start) / 7 + 1)
}

/// (ISO year, ISO week).
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    week(days, 3)
}

/// What `x + n unit` is: dates stay dates for units of days and more, texts stay texts, times times.
fn sum_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    let unit = match scalars.get(2) {
        Some(Some(ScalarValue::Utf8(Some(unit)))) => unit.to_lowercase(),
        _ => String::new(),
    };
    Ok(match types.first() {
        Some(DataType::Date32) if whole_days(&unit) => DataType::Date32,
        Some(DataType::Date32) => CIVIL,
        Some(ty @ (DataType::Timestamp(..) | DataType::Time64(_))) => match ty {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            _ => DataType::Time64(TimeUnit::Microsecond),
        },
        _ => DataType::Utf8,
    })
}

fn whole_days(unit: &str) -> bool {
    matches!(unit.trim_end_matches('s'), "day" | "week" | "month" | "quarter" | "year" | "year_month")
}

/// A quantity of a unit as (months, microseconds). A compound unit takes its numbers in order: `'1:30' MINUTE_SECOND`.
/// `cut`: a fraction of a whole unit is cut, as of a text, and not rounded, as of a number.
fn quantity(text: &str, unit: &str, cut: bool) -> Option<(i64, i64)> {
    let number = || {
        let (value, scale) = parse_decimal(parse_integer_prefix(text))?;
        let whole = if cut { value / 10i128.checked_pow(u32::try_from(scale).ok()?)? } else { rescale(value, scale, 0)? };
        i64::try_from(whole).ok()
    };
    let micros = |size: i64| Some((0, number()?.checked_mul(size)?));
    let months = |size: i64| Some((number()?.checked_mul(size)?, 0));
    match unit.trim_end_matches('s') {
        "year" => months(12),
        "quarter" => months(3),
        "month" => months(1),
        "week" => micros(7 * DAY),
        "day" => micros(DAY),
        "hour" => micros(HOUR),
        "minute" => micros(MINUTE),
        "second" => {
            let (value, scale) = parse_decimal(parse_integer_prefix(text))?;
            Some((0, i64::try_from(rescale(value, scale, 6)?).ok()?))
        }
        "millisecond" => micros(1000),
        "microsecond" => micros(1),
        compound => {
            let sizes: &[i64] = match compound {
                "year_month" => &[12, 1],
                "day_hour" => &[DAY, HOUR],
                "day_minute" => &[DAY, HOUR, MINUTE],
                "day_second" => &[DAY, HOUR, MINUTE, SECOND],
                "day_microsecond" => &[DAY, HOUR, MINUTE, SECOND, 1],
                "hour_minute" => &[HOUR, MINUTE],
                "hour_second" => &[HOUR, MINUTE, SECOND],
                "hour_microsecond" => &[HOUR, MINUTE, SECOND, 1],
                "minute_second" => &[MINUTE, SECOND],
                "minute_microsecond" => &[MINUTE, SECOND, 1],
                "second_microsecond" => &[SECOND, 1],
                _ => return None,
            };
            let sign = if text.trim_start().starts_with('-') { -1 } else { 1 };
            let mut parts: Vec<String> = text.split(|ch: char| !ch.is_ascii_digit()).filter(|p| !p.is_empty()).map(str::to_owned).collect();
            // The last number of such a unit is a fraction: 1.5 is a second and a half.
            if compound.ends_with("microsecond")
                && parts.len() > 1
                && let Some(last) = parts.last_mut()
            {
                last.truncate(6);
                *last = format!("{last:0<6}");
            }
            let numbers: Vec<i64> = parts.iter().map_while(|p| p.parse().ok()).collect();
            if numbers.len() > sizes.len() {
                return None;
            }
            let total =
                numbers.iter().rev().zip(sizes.iter().rev()).try_fold(0i64, |sum, (n, size)| sum.checked_add(n.checked_mul(*size)?))?
                    * sign;
            Some(if compound == "year_month" { (total, 0) } else { (0, total) })
        }
    }
}

/// Civil microseconds plus a quantity; None outside the years 0 to 9999.
pub(super) fn shifted(civil: i64, months: i64, micros: i64) -> Option<i64> {
    let moved = if months == 0 { civil } else { add_months(civil, months)? }.checked_add(micros)?;
    (civil::days_from_civil(0, 1, 1)..civil::days_from_civil(10_000, 1, 1)).contains(&moved.div_euclid(DAY)).then_some(moved)
}

fn add_quantity(c: &Call<'_>) -> Result<ArrayRef> {
    let (amounts, unit) = (c.text(1)?, c.word(2)?);
    let cut = c.args[1].data_type() == &DataType::Utf8;
    let moments = moments(c, 0)?;
    let sum = |i: usize| {
        let (months, micros) = quantity(amounts.at(i)?, &unit, cut)?;
        shifted(moments.at(i)?, months, micros)
    };
    match c.returns {
        DataType::Date32 => c.dates(|i| sum(i).map(|v| v.div_euclid(DAY))),
        DataType::Time64(_) => c.times(|i| sum(i).filter(|v| (0..DAY).contains(v))),
        DataType::Timestamp(_, None) => c.civils(sum),
        DataType::Timestamp(_, Some(_)) => {
            // Days and months are added to the clock on the wall, the rest to the moment: DST counts.
            let zone = &c.facts.zone;
            let at = c.args[0].as_primitive::<TimestampMicrosecondType>();
            c.stamps(|i| {
                let (months, micros) = quantity(amounts.at(i)?, &unit, cut)?;
                if whole_days(&unit) { civil_to_utc(shifted(moments.at(i)?, months, micros)?, zone) } else { at.at(i)?.checked_add(micros) }
            })
        }
        _ => {
            // A text stays a text: a date when it was one and the unit is a day or more.
            let text = c.text(0)?;
            c.texts(|i| {
                let v = sum(i)?;
                let written = text.at(i)?.trim();
                if written.contains(':') && !written.contains('-') && written.len() < 10 {
                    return Some(time_text(v, needed_fsp(v)));
                }
                let long_number = written.len() > 8 && !written.contains('-');
                let date_only = !written.contains([':', ' ', 'T']) && !long_number;
                Some(if date_only && whole_days(&unit) { date_text(v.div_euclid(DAY)) } else { civil_text(v, needed_fsp(v)) })
            })
        }
    }
}

/// An interval as (months, days, microseconds).
pub(super) fn intervals(c: &Call<'_>, i: usize) -> Result<Vec<Option<(i64, i64, i64)>>> {
    if let DataType::Time64(_) = c.args[i].data_type() {
        return Ok(c.span(i)?.iter().map(|v| v.map(|v| (0, 0, v))).collect());
    }
    let wide =
        cast(&c.args[i], &DataType::Interval(IntervalUnit::MonthDayNano)).map_err(|e| Error::new(Kind::WrongArguments, e.to_string()))?;
    let array = wide.as_primitive::<IntervalMonthDayNanoType>();
    Ok(array.iter().map(|v| v.map(|v| (i64::from(v.months), i64::from(v.days), v.nanoseconds / 1000))).collect())
}

/// An array of intervals. One whose time is beyond what the engine's nanoseconds hold (292 years) is refused.
pub(super) fn interval_array(cells: impl Iterator<Item = Option<(i64, i64, i64)>>) -> Result<ArrayRef> {
    let range = || Error::new(Kind::DatetimeField, "interval out of range");
    let mut out = IntervalMonthDayNanoBuilder::new();
    for cell in cells {
        let Some((months, days, micros)) = cell else {
            out.append_null();
            continue;
        };
        let (Ok(months), Ok(days), Some(nanos)) = (i32::try_from(months), i32::try_from(days), micros.checked_mul(1000)) else {
            return Err(range());
        };
        out.append_value(IntervalMonthDayNano::new(months, days, nanos));
    }
    Ok(Arc::new(out.finish()))
}

/// Microseconds of a moment: UTC when it has a zone.
pub(super) fn utc_or_civil(c: &Call<'_>, i: usize) -> Result<Int64Array> {
    match c.args[i].data_type() {
        DataType::Timestamp(_, Some(_)) => Ok(c.args[i].as_primitive::<TimestampMicrosecondType>().iter().collect()),
        _ => c.civil(i),
    }
}
