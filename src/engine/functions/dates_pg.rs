//! Date and time functions as PostgreSQL's manual (section 9.9) has them.

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::scalar::ScalarValue;
use jiff::tz::TimeZone;

use super::date_fields_pg::{extract_type, parts, truncate, truncated_type};
use super::dates::{INTERVAL, interval_array, intervals, shifted, utc_or_civil};
use super::format_pg::{from_text, number_text, stamp_text};
use super::scalar::{At, CIVIL, Call, Spec, add as row, add_volatile, civil, date, float, stamp, text, time, zoned};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::Family;
use crate::types::coerce::civil::{self, Civil, DAY, HOUR, MINUTE, SECOND, offset_at, utc_to_civil};

/// The moment that a clock in `zone` shows as `civil`.
fn civil_to_utc(civil: i64, zone: &TimeZone) -> Option<i64> {
    civil::moment_of(civil, zone, Family::Postgres)
}

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "now|current_timestamp|transaction_timestamp|statement_timestamp", 0..=1, stamp, |c| c.stamps(|_| Some(c.facts.now_micros)));
    add_volatile(out, "clock_timestamp", 0..=0, stamp, |c| {
        let now = jiff::Timestamp::now().as_microsecond();
        c.stamps(|_| Some(now))
    });
    row(out, "localtimestamp", 0..=1, civil, |c| c.civils(|_| Some(utc_to_civil(c.facts.now_micros, &c.facts.zone))));
    row(out, "current_date", 0..=0, date, |c| c.dates(|_| Some(utc_to_civil(c.facts.now_micros, &c.facts.zone).div_euclid(DAY))));
    row(out, "current_time|localtime", 0..=1, time, |c| c.times(|_| Some(utc_to_civil(c.facts.now_micros, &c.facts.zone).rem_euclid(DAY))));
    row(out, "date_part", 2..=2, float, |c| {
        let parts = parts(c)?;
        c.floats(|i| parts[i].map(|v| v as f64 / 1e6))
    });
    row(out, "fg_pg_extract", 2..=2, extract_type, |c| {
        let parts = parts(c)?;
        let DataType::Decimal128(_, scale) = *c.returns else { return Err(Error::internal("extract is no decimal")) };
        c.decimals(|i| parts[i].and_then(|v| crate::types::coerce::rescale(v, 6, scale)))
    });
    row(out, "date_trunc", 2..=3, truncated_type, truncate);
    row(out, "age", 1..=2, |_, _| Ok(INTERVAL), age);
    row(out, "fg_pg_plus", 2..=2, plus_type, |c| plus(c, 1));
    row(out, "fg_pg_minus", 2..=2, plus_type, |c| plus(c, -1));
    row(
        out,
        "fg_pg_between",
        2..=2,
        |_, _| Ok(INTERVAL),
        |c| {
            let (a, b) = (utc_or_civil(c, 0)?, utc_or_civil(c, 1)?);
            let cells = (0..c.rows).map(|i| {
                let span = a.at(i)? - b.at(i)?;
                Some((0, span / DAY, span % DAY))
            });
            interval_array(cells)
        },
    );
    row(out, "fg_interval_times", 2..=2, |_, _| Ok(INTERVAL), |c| scaled(c, |part, by| part * by));
    row(
        out,
        "fg_interval_over",
        2..=2,
        |_, _| Ok(INTERVAL),
        |c| {
            let by = c.float(1)?;
            if (0..c.rows).any(|i| by.at(i) == Some(0.0)) {
                return Err(Error::new(Kind::DivisionByZero, "division by zero"));
            }
            scaled(c, |part, by| part / by)
        },
    );
    row(out, "fg_date_plus", 2..=2, date, |c| {
        let (d, n) = (c.civil(0)?, c.int(1)?);
        c.dates(|i| Some(d.at(i)?.div_euclid(DAY) + n.at(i)?))
    });
    row(
        out,
        "fg_date_minus",
        2..=2,
        |_, _| Ok(DataType::Int32),
        |c| {
            let (a, b) = (c.civil(0)?, c.civil(1)?);
            c.ints(|i| Some(a.at(i)?.div_euclid(DAY) - b.at(i)?.div_euclid(DAY)))
        },
    );
    row(out, "make_date", 3..=3, date, |c| {
        let (y, m, d) = (c.int(0)?, c.int(1)?, c.int(2)?);
        let days = (0..c.rows).map(|i| checked(y.at(i), m.at(i), d.at(i))).collect::<Result<Vec<_>>>()?;
        c.dates(|i| days[i])
    });
    row(out, "make_time", 3..=3, time, |c| {
        let (h, m, s) = (c.int(0)?, c.int(1)?, c.float(2)?);
        c.times(|i| Some(h.at(i)? * HOUR + m.at(i)? * MINUTE + (s.at(i)? * 1e6).round() as i64))
    });
    row(out, "make_timestamp", 6..=6, civil, |c| {
        let cells = made(c)?;
        c.civils(|i| cells[i])
    });
    row(out, "make_timestamptz", 6..=7, stamp, |c| {
        let cells = made(c)?;
        let zone = if c.count() > 6 { Some(c.text(6)?) } else { None };
        c.stamps(|i| match &zone {
            Some(names) => civil_to_utc(cells[i]?, &crate::time::parse_zone(names.at(i)?).ok()?),
            None => civil_to_utc(cells[i]?, &c.facts.zone),
        })
    });
    row(
        out,
        "make_interval",
        0..=7,
        |_, _| Ok(INTERVAL),
        |c| {
            let ints = (0..c.count().min(6)).map(|i| c.int(i)).collect::<Result<Vec<_>>>()?;
            let seconds = if c.count() > 6 { Some(c.float(6)?) } else { None };
            let get = |n: usize, i: usize| ints.get(n).map_or(0, |a| a.at(i).unwrap_or(0));
            interval_array((0..c.rows).map(|i| {
                let micros =
                    get(4, i) * HOUR + get(5, i) * MINUTE + seconds.as_ref().and_then(|s| s.at(i)).map_or(0, |s| (s * 1e6).round() as i64);
                Some((get(0, i) * 12 + get(1, i), get(2, i) * 7 + get(3, i), micros))
            }))
        },
    );
    row(out, "timezone", 2..=2, at_zone_type, at_zone);
    row(out, "to_char", 2..=2, text, to_char);
    row(out, "to_date", 2..=2, date, |c| {
        let (s, format) = (c.text(0)?, c.text(1)?);
        let cells = (0..c.rows).map(|i| read(s.at(i), format.at(i))).collect::<Result<Vec<_>>>()?;
        c.dates(|i| cells[i].map(|v| v.div_euclid(DAY)))
    });
    row(out, "to_timestamp", 1..=2, stamp, |c| {
        if c.count() == 1 {
            let v = c.float(0)?;
            return c.stamps(|i| v.at(i).map(|v| (v * 1e6).round() as i64));
        }
        let (s, format) = (c.text(0)?, c.text(1)?);
        let cells = (0..c.rows).map(|i| read(s.at(i), format.at(i))).collect::<Result<Vec<_>>>()?;
        c.stamps(|i| civil_to_utc(cells[i]?, &c.facts.zone))
    });
    row(out, "isfinite", 1..=1, super::scalar::truth, |c| c.truths(|i| c.args[0].is_valid(i).then_some(true)));
}

fn read(text: Option<&str>, format: Option<&str>) -> Result<Option<i64>> {
    let (Some(text), Some(format)) = (text, format) else { return Ok(None) };
    from_text(text, format)
        .map(Some)
        .ok_or_else(|| Error::new(Kind::InvalidDatetime, format!("invalid value \"{text}\" for format \"{format}\"")))
}

fn checked(y: Option<i64>, m: Option<i64>, d: Option<i64>) -> Result<Option<i64>> {
    let (Some(y), Some(m), Some(d)) = (y, m, d) else { return Ok(None) };
    u32::try_from(m)
        .ok()
        .zip(u32::try_from(d).ok())
        .and_then(|(m, d)| civil::checked_days(y, m, d))
        .map(Some)
        .ok_or_else(|| Error::new(Kind::DatetimeField, format!("date field value out of range: {y}-{m:02}-{d:02}")))
}

fn made(c: &Call<'_>) -> Result<Vec<Option<i64>>> {
    let (y, m, d, h, mi, s) = (c.int(0)?, c.int(1)?, c.int(2)?, c.int(3)?, c.int(4)?, c.float(5)?);
    (0..c.rows)
        .map(|i| {
            let days = checked(y.at(i), m.at(i), d.at(i))?;
            Ok(days.and_then(|days| Some(days * DAY + h.at(i)? * HOUR + mi.at(i)? * MINUTE + (s.at(i)? * 1e6).round() as i64)))
        })
        .collect()
}

/// `age(a, b)`: years, months, days and a rest; `age(a)` counts to today's midnight.
fn age(c: &Call<'_>) -> Result<ArrayRef> {
    let (a, b) = if c.count() == 1 {
        let midnight = utc_to_civil(c.facts.now_micros, &c.facts.zone).div_euclid(DAY) * DAY;
        (Int64Array::from(vec![midnight; c.rows]), c.civil(0)?)
    } else {
        (c.civil(0)?, c.civil(1)?)
    };
    interval_array((0..c.rows).map(|i| {
        let (a, b) = (a.at(i)?, b.at(i)?);
        let (late, early, sign) = if a >= b { (a, b, 1) } else { (b, a, -1) };
        let (x, y) = (Civil::from_micros(early), Civil::from_micros(late));
        let mut months = (y.year - x.year) * 12 + i64::from(y.month) - i64::from(x.month);
        let mut days = i64::from(y.day) - i64::from(x.day);
        let mut micros = late.rem_euclid(DAY) - early.rem_euclid(DAY);
        if micros < 0 {
            micros += DAY;
            days -= 1;
        }
        if days < 0 {
            months -= 1;
            // The days of the earlier moment's month are what is borrowed.
            days += i64::from(civil::days_in_month(x.year, x.month));
        }
        Some((sign * months, sign * days, sign * micros))
    }))
}

fn plus_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.first() {
        Some(DataType::Timestamp(_, Some(_))) => zoned(),
        Some(DataType::Time64(_)) => DataType::Time64(TimeUnit::Microsecond),
        Some(DataType::Interval(_) | DataType::Duration(_)) => INTERVAL,
        _ => CIVIL,
    })
}

/// A moment (or interval) and an interval. Months and days move the clock on the wall, the rest the moment.
fn plus(c: &Call<'_>, sign: i64) -> Result<ArrayRef> {
    let spans = intervals(c, 1)?;
    if c.returns == &INTERVAL {
        let first = intervals(c, 0)?;
        return interval_array((0..c.rows).map(|i| {
            let ((m, d, us), (m2, d2, us2)) = (first[i]?, spans[i]?);
            Some((m + sign * m2, d + sign * d2, us + sign * us2))
        }));
    }
    if let DataType::Time64(_) = c.returns {
        let v = c.span(0)?;
        return c.times(|i| Some((v.at(i)? + sign * spans[i]?.2).rem_euclid(DAY)));
    }
    let stamped = c.returns != &CIVIL;
    let zone = stamped.then_some(&c.facts.zone);
    let from = utc_or_civil(c, 0)?;
    let cells = (0..c.rows)
        .map(|i| match (from.at(i), spans[i]) {
            (Some(v), Some((months, days, micros))) => moved(v, (sign * months, sign * days, sign * micros), zone).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<Vec<_>>>()?;
    if stamped { c.stamps(|i| cells[i]) } else { c.civils(|i| cells[i]) }
}

/// A moment and an interval. With a zone it is one in UTC: months and days move the clock on the wall there, what only counts
/// time goes on from the moment.
pub(super) fn moved(v: i64, (months, days, micros): (i64, i64, i64), zone: Option<&TimeZone>) -> Result<i64> {
    let wall = |v: i64, months: i64, days: i64| {
        if months == 0 && days == 0 {
            return Some(v);
        }
        let civil = zone.map_or(v, |zone| utc_to_civil(v, zone));
        let there = shifted(civil, months, days.checked_mul(DAY)?)?;
        zone.map_or(Some(there), |zone| civil_to_utc(there, zone))
    };
    let there = wall(v, months, 0).and_then(|v| wall(v, 0, days)).and_then(|v| v.checked_add(micros));
    there.ok_or_else(|| Error::new(Kind::DatetimeField, "timestamp out of range"))
}

/// `x AT TIME ZONE z` turns a moment with zone into one without, and the other way round.
fn at_zone_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.get(1) {
        Some(DataType::Timestamp(_, Some(_)) | DataType::Date32) => CIVIL,
        _ => zoned(),
    })
}

fn at_zone(c: &Call<'_>) -> Result<ArrayRef> {
    if matches!(c.args[0].data_type(), DataType::Interval(_) | DataType::Duration(_)) {
        let zones = intervals(c, 0)?.into_iter().map(|v| v.map(zone_of_interval).transpose()).collect::<Result<Vec<_>>>()?;
        return shown_in(c, &zones);
    }
    let names = c.text(0)?;
    let zone = |i: usize| -> Result<Option<TimeZone>> { names.at(i).map(crate::time::postgres_place).transpose() };
    let fixed = if names.iter().all(|n| n == names.iter().next().flatten()) && c.rows > 0 { zone(0)? } else { None };
    let zones = match fixed {
        Some(zone) => vec![Some(zone); c.rows],
        None => (0..c.rows).map(zone).collect::<Result<Vec<_>>>()?,
    };
    shown_in(c, &zones)
}

/// An interval as a zone: so much time east of UTC.
fn zone_of_interval((months, days, micros): (i64, i64, i64)) -> Result<TimeZone> {
    if months != 0 || days != 0 {
        return Err(Error::new(Kind::WrongValue, "interval time zone must not include months or days"));
    }
    let offset = i32::try_from(micros / SECOND).ok().and_then(|s| jiff::tz::Offset::from_seconds(s).ok());
    offset.map(TimeZone::fixed).ok_or_else(|| Error::new(Kind::DatetimeField, "time zone displacement out of range"))
}

/// The moments of argument 1 in zones, row by row.
fn shown_in(c: &Call<'_>, zones: &[Option<TimeZone>]) -> Result<ArrayRef> {
    match c.args[1].data_type() {
        DataType::Timestamp(_, Some(_)) => {
            let v = c.args[1].as_primitive::<TimestampMicrosecondType>();
            c.civils(|i| Some(utc_to_civil(v.at(i)?, zones[i].as_ref()?)))
        }
        DataType::Date32 => {
            let v = c.civil(1)?;
            c.civils(|i| Some(utc_to_civil(civil_to_utc(v.at(i)?, &c.facts.zone)?, zones[i].as_ref()?)))
        }
        _ => {
            let v = c.civil(1)?;
            c.stamps(|i| civil_to_utc(v.at(i)?, zones[i].as_ref()?))
        }
    }
}

fn to_char(c: &Call<'_>) -> Result<ArrayRef> {
    let format = c.text(1)?;
    match c.args[0].data_type() {
        ty if ty.is_numeric() => {
            let v = c.text(0)?;
            c.texts(|i| Some(number_text(v.at(i)?, format.at(i)?)))
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            let v = intervals(c, 0)?;
            c.texts(|i| {
                let (months, days, micros) = v[i]?;
                Some(stamp_text(super::dates::shifted(0, months, days * DAY + micros)?, 0, "", format.at(i)?))
            })
        }
        ty => {
            let stamped = matches!(ty, DataType::Timestamp(_, Some(_)));
            let v = if stamped { utc_or_civil(c, 0)? } else { super::dates::moments(c, 0)? };
            let zone = &c.facts.zone;
            c.texts(|i| {
                let utc = v.at(i)?;
                if !stamped {
                    return Some(stamp_text(utc, 0, "", format.at(i)?));
                }
                let moment = jiff::Timestamp::from_microsecond(utc).ok()?;
                let name = zone.to_offset_info(moment).abbreviation().to_owned();
                Some(stamp_text(utc_to_civil(utc, zone), offset_at(utc, zone), &name, format.at(i)?))
            })
        }
    }
}

/// An interval times or over a number: what is left of a month goes on as days (30 of them), what is left of a day as
/// time, as in PostgreSQL's `interval_mul`.
fn scaled(c: &Call<'_>, apply: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (spans, numbers) = (intervals(c, 0)?, c.float(1)?);
    // To the microsecond of what is counted: the noise of binary fractions must not become time.
    let tidy = |value: f64| (value * 1e6).round() / 1e6;
    let second = 1e6;
    let one = |(months, days, micros): (i64, i64, i64), by: f64| {
        let (all_months, all_days) = (apply(months as f64, by), apply(days as f64, by));
        let of_month = tidy((all_months - all_months.trunc()) * 30.0);
        let seconds = tidy((all_days - all_days.trunc() + of_month - of_month.trunc()) * 86_400.0);
        let carried = (seconds / 86_400.0).trunc();
        let whole_days = all_days.trunc() + of_month.trunc() + carried;
        let time = (apply(micros as f64, by) + (seconds - carried * 86_400.0) * second).round();
        let fits = |value: f64, limit: f64| value.is_finite() && value.abs() <= limit;
        if fits(all_months, f64::from(i32::MAX)) && fits(whole_days, f64::from(i32::MAX)) && fits(time, 9.0e15) {
            Ok((all_months.trunc() as i64, whole_days as i64, time as i64))
        } else {
            Err(Error::new(Kind::DatetimeField, "interval out of range"))
        }
    };
    let cells = (0..c.rows).map(|i| match (spans[i], numbers.at(i)) {
        (Some(span), Some(number)) => one(span, number).map(Some),
        _ => Ok(None),
    });
    interval_array(cells.collect::<Result<Vec<_>>>()?.into_iter())
}
