//! Date and time functions as MySQL's manual (section 14.7) has them. A wrong date gives NULL.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::dates::{DAYS, MONTHS, iso_week, moments, part_of, shifted, unknown_unit, week};
use super::format_mysql::{date_format, format_kind, str_to_date};
use super::scalar::{At, CIVIL, Call, Spec, add as row, civil, date, int, text, time};
use crate::error::Result;
use crate::types::coerce::civil::{self, Civil, DAY, HOUR, MINUTE, SECOND, civil_to_utc, round_fsp, utc_to_civil};
use crate::types::coerce::format::{needed_fsp, time_text};

/// Days from year 0 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_528;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "now|current_timestamp|localtime|localtimestamp|sysdate", 0..=1, civil, |c| now(c, true));
    row(out, "utc_timestamp", 0..=1, civil, |c| now(c, false));
    row(out, "curdate|current_date", 0..=0, date, |c| {
        let today = utc_to_civil(c.facts.now_micros, &c.facts.zone).div_euclid(DAY);
        c.dates(|_| Some(today))
    });
    row(out, "utc_date", 0..=0, date, |c| c.dates(|_| Some(c.facts.now_micros.div_euclid(DAY))));
    row(out, "curtime|current_time", 0..=1, time, |c| {
        let now = utc_to_civil(c.facts.now_micros, &c.facts.zone);
        c.times(|_| Some(now.rem_euclid(DAY) / SECOND * SECOND))
    });
    row(out, "utc_time", 0..=1, time, |c| c.times(|_| Some(c.facts.now_micros.rem_euclid(DAY) / SECOND * SECOND)));
    row(out, "unix_timestamp", 0..=1, unix_type, unix_timestamp);
    // With the digits that its moment has.
    row(
        out,
        "fg_unix_timestamp",
        2..=2,
        |_, scalars| match scalars.get(1) {
            Some(Some(ScalarValue::Int64(Some(digits @ 1..=6)))) => Ok(DataType::Decimal128(12 + *digits as u8, *digits as i8)),
            _ => Ok(DataType::Int64),
        },
        unix_timestamp,
    );
    row(out, "from_unixtime", 1..=2, |types, _| Ok(if types.len() > 1 { DataType::Utf8 } else { CIVIL }), from_unixtime);
    row(out, "date_format", 2..=2, text, |c| {
        let (v, format) = (moments(c, 0)?, c.text(1)?);
        c.texts(|i| Some(date_format(v.at(i)?, format.at(i)?)))
    });
    row(out, "time_format", 2..=2, text, |c| {
        let (v, format) = (c.span(0)?, c.text(1)?);
        c.texts(|i| Some(date_format(v.at(i)?, format.at(i)?)))
    });
    row(out, "str_to_date", 2..=2, str_to_date_type, |c| {
        let (s, format) = (c.text(0)?, c.text(1)?);
        let cell = |i: usize| str_to_date(s.at(i)?, format.at(i)?);
        match c.returns {
            DataType::Date32 => c.dates(|i| cell(i).map(|v| v.div_euclid(DAY))),
            DataType::Time64(_) => c.times(|i| cell(i).map(|v| v.rem_euclid(DAY))),
            _ => c.civils(cell),
        }
    });
    row(out, "datediff", 2..=2, int, |c| {
        let (a, b) = (c.civil(0)?, c.civil(1)?);
        c.ints(|i| Some(a.at(i)?.div_euclid(DAY) - b.at(i)?.div_euclid(DAY)))
    });
    row(out, "timestampdiff", 3..=3, int, timestamp_difference);
    row(out, "timediff", 2..=2, text, |c| {
        let (a, b) = (moments(c, 0)?, moments(c, 1)?);
        let limit = 838 * HOUR + 59 * MINUTE + 59 * SECOND;
        let declared = c.digits(0).zip(c.digits(1)).map(|(a, b)| a.max(b));
        c.texts(|i| {
            let span = (a.at(i)? - b.at(i)?).clamp(-limit, limit);
            Some(time_text(span, declared.unwrap_or(needed_fsp(span))))
        })
    });
    row(out, "addtime", 2..=2, |types, _| Ok(time_sum_type(types)), |c| add_time(c, 1));
    row(out, "subtime", 2..=2, |types, _| Ok(time_sum_type(types)), |c| add_time(c, -1));
    row(out, "date|fg_date", 1..=1, date, |c| {
        let v = c.civil(0)?;
        c.dates(|i| v.at(i).map(|v| v.div_euclid(DAY)))
    });
    row(out, "time|fg_time", 1..=1, time, |c| {
        let v = c.span(0)?;
        c.times(|i| v.at(i).filter(|v| (0..DAY).contains(v)))
    });
    row(out, "timestamp", 1..=2, civil, |c| {
        let v = c.civil(0)?;
        if c.count() == 1 {
            return c.civils(|i| v.at(i));
        }
        let span = c.span(1)?;
        c.civils(|i| shifted(v.at(i)?, 0, span.at(i)?))
    });
    for (names, unit) in PARTS {
        let _ = unit;
        row(out, names, 1..=1, int, part);
    }
    row(out, "dayofweek", 1..=1, int, |c| days(c, |d| (d + 4).rem_euclid(7) + 1));
    row(out, "weekday", 1..=1, int, |c| days(c, |d| (d + 3).rem_euclid(7)));
    row(out, "dayofyear", 1..=1, int, |c| days(c, |d| d - civil::days_from_civil(civil::civil_from_days(d).0, 1, 1) + 1));
    row(out, "weekofyear", 1..=1, int, |c| days(c, |d| iso_week(d).1));
    row(out, "week", 1..=2, int, |c| {
        let v = c.civil(0)?;
        let mode = if c.count() > 1 { Some(c.int(1)?) } else { None };
        c.ints(|i| Some(week(v.at(i)?.div_euclid(DAY), mode.as_ref().map_or(Some(0), |m| m.at(i))?).1))
    });
    row(out, "yearweek", 1..=2, int, |c| {
        let v = c.civil(0)?;
        let mode = if c.count() > 1 { Some(c.int(1)?) } else { None };
        c.ints(|i| {
            // YEARWEEK never says week 0.
            let (y, w) = week(v.at(i)?.div_euclid(DAY), mode.as_ref().map_or(Some(0), |m| m.at(i))? | 2);
            Some(y * 100 + w)
        })
    });
    row(out, "last_day", 1..=1, date, |c| {
        let v = c.civil(0)?;
        c.dates(|i| {
            let p = Civil::from_micros(v.at(i)?);
            Some(civil::days_from_civil(p.year, p.month, civil::days_in_month(p.year, p.month)))
        })
    });
    row(out, "monthname", 1..=1, text, |c| {
        let v = c.civil(0)?;
        c.texts(|i| v.at(i).map(|v| MONTHS[Civil::from_micros(v).month as usize - 1]))
    });
    row(out, "dayname", 1..=1, text, |c| {
        let v = c.civil(0)?;
        c.texts(|i| v.at(i).map(|v| DAYS[(v.div_euclid(DAY) + 3).rem_euclid(7) as usize]))
    });
    row(out, "to_days", 1..=1, int, |c| days(c, |d| d + EPOCH_DAYS));
    row(out, "from_days", 1..=1, date, |c| {
        let n = c.int(0)?;
        c.dates(|i| n.at(i).map(|n| n - EPOCH_DAYS))
    });
    row(out, "to_seconds", 1..=1, int, |c| {
        let v = c.civil(0)?;
        c.ints(|i| v.at(i).map(|v| v.div_euclid(SECOND) + EPOCH_DAYS * 86_400))
    });
    row(out, "time_to_sec", 1..=1, int, |c| {
        let v = c.span(0)?;
        c.ints(|i| v.at(i).map(|v| v / SECOND))
    });
    row(out, "sec_to_time", 1..=1, text, |c| {
        let (v, digits) = (c.float(0)?, fraction_digits(c, 0));
        c.texts(|i| v.at(i).map(|s| (s * 1e6).round() as i64).map(|us| time_text(us, digits)))
    });
    row(out, "makedate", 2..=2, date, |c| {
        let (y, d) = (c.int(0)?, c.int(1)?);
        c.dates(|i| {
            let (y, d) = (y.at(i)?, d.at(i)?);
            (d > 0 && (0..=9999).contains(&y)).then(|| civil::days_from_civil(y, 1, 1) + d - 1)
        })
    });
    row(out, "maketime", 3..=3, text, |c| {
        let (h, m, s, digits) = (c.int(0)?, c.int(1)?, c.float(2)?, fraction_digits(c, 2));
        c.texts(|i| {
            let (h, m, s) = (h.at(i)?, m.at(i)?, s.at(i)?);
            let limit = 838 * HOUR + 59 * MINUTE + 59 * SECOND;
            let span = (h.saturating_abs().min(900) * HOUR + m.clamp(0, 60) * MINUTE + (s * 1e6).round() as i64).min(limit);
            ((0..60).contains(&m) && (0.0..60.0).contains(&s)).then(|| time_text(if h < 0 { -span } else { span }, digits))
        })
    });
    row(out, "period_add", 2..=2, int, |c| {
        let (p, n) = (c.int(0)?, c.int(1)?);
        c.ints(|i| {
            let (p, n) = (p.at(i)?, n.at(i)?);
            let months = p / 100 * 12 + p % 100 - 1 + n;
            Some(months.div_euclid(12) * 100 + months.rem_euclid(12) + 1)
        })
    });
    row(out, "period_diff", 2..=2, int, |c| {
        let (a, b) = (c.int(0)?, c.int(1)?);
        let months = |p: i64| p / 100 * 12 + p % 100;
        c.ints(|i| Some(months(a.at(i)?) - months(b.at(i)?)))
    });
    row(out, "convert_tz", 3..=3, civil, |c| {
        let (v, from, to) = (c.civil(0)?, c.text(1)?, c.text(2)?);
        c.civils(|i| {
            let (from, to) = (crate::time::parse_zone(from.at(i)?).ok()?, crate::time::parse_zone(to.at(i)?).ok()?);
            Some(utc_to_civil(civil_to_utc(v.at(i)?, &from)?, &to))
        })
    });
}

/// Functions that give one part of a moment, under the name of the part.
const PARTS: [(&str, &str); 8] = [
    ("year", "year"),
    ("month", "month"),
    ("day|dayofmonth", "day"),
    ("quarter", "quarter"),
    ("hour", "hour"),
    ("minute", "minute"),
    ("second", "second"),
    ("microsecond", "microsecond"),
];

fn part(c: &Call<'_>) -> Result<ArrayRef> {
    let unit = if c.name == "dayofmonth" { "day" } else { c.name };
    let part = part_of(unit).ok_or_else(|| unknown_unit(unit))?;
    let clock = matches!(unit, "hour" | "minute" | "second" | "microsecond");
    let v = if clock { clock_moments(c)? } else { c.civil(0)? };
    c.ints(|i| v.at(i).map(part))
}

/// For HOUR and its like: the time of day of a moment, a whole span of a TIME.
fn clock_moments(c: &Call<'_>) -> Result<datafusion::arrow::array::Int64Array> {
    c.span(0)
}

fn days(c: &Call<'_>, f: impl Fn(i64) -> i64) -> Result<ArrayRef> {
    let v = c.civil(0)?;
    c.ints(|i| v.at(i).map(|v| f(v.div_euclid(DAY))))
}

fn now(c: &Call<'_>, local: bool) -> Result<ArrayRef> {
    let now = if local { utc_to_civil(c.facts.now_micros, &c.facts.zone) } else { c.facts.now_micros };
    let fsp = if c.count() > 0 { c.int(0)?.at(0).unwrap_or(0).clamp(0, 6) as u32 } else { 0 };
    // NOW(n) cuts, it does not round.
    let unit = 10i64.pow(6 - fsp);
    c.civils(|_| Some(now.div_euclid(unit) * unit))
}

/// Whole seconds are an integer, what may have a fraction a decimal with as many digits as a column or a literal has.
fn unix_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    let digits = match (scalars.first(), types.first()) {
        (Some(Some(ScalarValue::Utf8(Some(text)))), _) => {
            text.rsplit_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count().min(6) as i8)
        }
        // A number, or the one that a declared moment stands for.
        (_, Some(DataType::Decimal128(_, scale))) => (*scale).clamp(0, 6),
        (_, Some(DataType::Utf8 | DataType::Timestamp(..) | DataType::Time64(_) | DataType::Float64)) => 6,
        _ => 0,
    };
    Ok(if digits == 0 { DataType::Int64 } else { DataType::Decimal128(12 + digits as u8, digits) })
}

fn unix_timestamp(c: &Call<'_>) -> Result<ArrayRef> {
    if c.count() == 0 {
        return c.ints(|_| Some(c.facts.now_micros.div_euclid(SECOND)));
    }
    let (v, zone) = (c.civil(0)?, &c.facts.zone);
    // What lies before 1970 has no unix time in MySQL.
    let cell = |i: usize| v.at(i).and_then(|v| civil_to_utc(v, zone)).map(|v| v.max(0));
    match c.returns {
        DataType::Int64 => c.ints(|i| cell(i).map(|v| v.div_euclid(SECOND))),
        DataType::Decimal128(_, scale) => c.decimals(|i| crate::types::coerce::rescale(i128::from(cell(i)?), 6, *scale)),
        other => Err(crate::error::Error::internal(format!("UNIX_TIMESTAMP of type {other}"))),
    }
}

fn from_unixtime(c: &Call<'_>) -> Result<ArrayRef> {
    let (v, zone) = (c.float(0)?, &c.facts.zone);
    let cell = |i: usize| {
        let v = v.at(i).filter(|v| (0.0..32_536_771_200.0).contains(v))?;
        Some(utc_to_civil((v * 1e6).round() as i64, zone))
    };
    if c.count() > 1 {
        let format = c.text(1)?;
        return c.texts(|i| Some(date_format(cell(i)?, format.at(i)?)));
    }
    c.civils(|i| cell(i).map(|v| round_fsp(v, 6)))
}

/// How many digits of the second a number of seconds gives: a decimal's own, six of a text or a double.
fn fraction_digits(c: &Call<'_>, i: usize) -> u8 {
    match c.args[i].data_type() {
        ty if ty.is_integer() => 0,
        DataType::Decimal128(_, scale) => u8::try_from(*scale).unwrap_or(0).min(6),
        _ => 6,
    }
}

fn str_to_date_type(_: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match scalars.get(1) {
        Some(Some(ScalarValue::Utf8(Some(format)))) => format_kind(format),
        _ => CIVIL,
    })
}

fn time_sum_type(types: &[DataType]) -> DataType {
    match types.first() {
        Some(DataType::Timestamp(..)) => CIVIL,
        _ => DataType::Utf8,
    }
}

fn add_time(c: &Call<'_>, sign: i64) -> Result<ArrayRef> {
    let (v, span) = (moments(c, 0)?, c.span(1)?);
    let sum = |i: usize| Some(v.at(i)? + sign * span.at(i)?);
    if c.returns == &CIVIL {
        return c.civils(sum);
    }
    let text = c.text(0)?;
    c.texts(|i| {
        let v = sum(i)?;
        let moment = text.at(i)?.len() > 9 && text.at(i)?.contains('-');
        // A text may have any fraction: all digits of it are shown.
        let digits = if needed_fsp(v) == 0 || c.args[0].data_type() != &DataType::Utf8 { needed_fsp(v) } else { 6 };
        Some(if moment { crate::types::coerce::format::civil_text(v, digits) } else { time_text(v, digits) })
    })
}

/// `TIMESTAMPDIFF(unit, a, b)`: whole units from a to b.
fn timestamp_difference(c: &Call<'_>) -> Result<ArrayRef> {
    let (unit, a, b) = (c.word(0)?, c.civil(1)?, c.civil(2)?);
    let unit = unit.trim_start_matches("sql_tsi_").trim_end_matches('s').to_owned();
    let size = match unit.as_str() {
        "microsecond" | "frac_second" => Ok(1),
        "second" => Ok(SECOND),
        "minute" => Ok(MINUTE),
        "hour" => Ok(HOUR),
        "day" => Ok(DAY),
        "week" => Ok(7 * DAY),
        "month" => Err(1),
        "quarter" => Err(3),
        "year" => Err(12),
        _ => return Err(unknown_unit(&unit)),
    };
    c.ints(|i| {
        let (a, b) = (a.at(i)?, b.at(i)?);
        Some(match size {
            Ok(size) => (b - a) / size,
            Err(months) => months_between(a, b) / months,
        })
    })
}

/// Whole months from a to b.
pub(super) fn months_between(a: i64, b: i64) -> i64 {
    if b < a {
        return -months_between(b, a);
    }
    let (x, y) = (Civil::from_micros(a), Civil::from_micros(b));
    let months = (y.year - x.year) * 12 + i64::from(y.month) - i64::from(x.month);
    let within = |v: i64, p: &Civil| (i64::from(p.day) - 1) * DAY + v.rem_euclid(DAY);
    months - i64::from(within(b, &y) < within(a, &x))
}
