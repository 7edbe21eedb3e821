//! `CAST(x AS t)`, `CONVERT(x, t)`, `x::t`: the type travels as the second argument, a constant made by
//! [`type_argument`].

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::scalar::ScalarValue;

use super::scalar::{At, Call, Spec, add as row};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::civil::{DAY, round_fsp};
use crate::types::coerce::moment::parse_moment;
use crate::types::coerce::{self, Family, parse_decimal, parse_integer_prefix};
use crate::types::{MAX_DECIMAL_PRECISION, SqlType};

/// The name of the cast function.
pub fn cast_name() -> &'static str {
    "fg_cast"
}

/// How a type is written as the cast's second argument.
pub fn type_argument(ty: &SqlType) -> String {
    serde_json::to_string(ty).unwrap_or_default()
}

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_cast", 2..=2, returns, |c| cast_values(c, &declared(c)?));
    row(out, "fg_numeric", 1..=1, numeric_type, |c| {
        let DataType::Decimal128(precision, scale) = *c.returns else { return Err(Error::internal("numeric is no decimal")) };
        cast_values(c, &SqlType::Decimal { precision, scale })
    });
    row(out, "fg_double", 1..=1, super::scalar::float, |c| Ok(Arc::new(c.float(0)?)));
    row(
        out,
        "fg_real",
        1..=1,
        |_, _| Ok(DataType::Float32),
        |c| coerce::cast_to(&c.args[0], &SqlType::Float32, c.facts.family, &c.facts.zone),
    );
    row(out, "fg_text", 1..=1, super::scalar::text, |c| Ok(Arc::new(c.text(0)?)));
    row(out, "fg_stamp", 1..=1, super::scalar::stamp, |c| {
        coerce::cast_to(&c.args[0], &SqlType::Timestamp { fsp: 6 }, c.facts.family, &c.facts.zone)
    });
    row(out, "fg_civil", 1..=1, super::scalar::civil, |c| {
        let civil = c.civil(0)?;
        c.civils(|i| civil.at(i))
    });
}

fn parsed(text: Option<&str>) -> Result<SqlType> {
    text.and_then(|json| serde_json::from_str(json).ok()).ok_or_else(|| Error::internal("a cast without a type"))
}

fn declared(c: &Call<'_>) -> Result<SqlType> {
    parsed(c.text(1)?.at(0))
}

fn returns(_: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    match scalars.get(1) {
        Some(Some(ScalarValue::Utf8(Some(json)))) => Ok(parsed(Some(json))?.arrow()),
        _ => Err(Error::internal("a cast without a constant type")),
    }
}

/// `numeric` without precision: as many digits as the value needs, as far as its type or literal tells.
fn numeric_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    if let Some(Some(ScalarValue::Utf8(Some(text)))) = scalars.first()
        && let Some((_, scale)) = parse_decimal(text.trim())
    {
        return Ok(DataType::Decimal128(MAX_DECIMAL_PRECISION, scale.min(30)));
    }
    Ok(match types.first() {
        Some(DataType::Decimal128(p, s)) => DataType::Decimal128(*p, *s),
        Some(t) if t.is_integer() => DataType::Decimal128(20, 0),
        _ => DataType::Decimal128(MAX_DECIMAL_PRECISION, 10),
    })
}

fn cast_values(c: &Call<'_>, ty: &SqlType) -> Result<ArrayRef> {
    let (values, zone) = (&c.args[0], &c.facts.zone);
    if c.facts.family == Family::Postgres {
        return match ty {
            SqlType::Text | SqlType::VarChar { .. } | SqlType::Char { .. } if values.data_type() == &DataType::Binary => {
                let bytes = c.bytes(0)?;
                let text: Vec<Option<String>> = bytes.iter().map(|b| b.map(|b| format!("\\x{}", hex::encode(b)))).collect();
                c.texts(|i| text[i].as_deref())
            }
            // An explicit cast cuts what is too long.
            SqlType::VarChar { length } | SqlType::Char { length } => cut(c, *length),
            _ => coerce::cast_to(values, ty, Family::Postgres, zone),
        };
    }
    match ty {
        SqlType::Int64 { unsigned } => mysql_integer(c, *unsigned),
        SqlType::VarChar { length } | SqlType::Char { length } => cut(c, *length),
        SqlType::Decimal { precision, scale } => mysql_decimal(c, *precision, *scale),
        SqlType::Float32 | SqlType::Float64 => Ok(Arc::new(c.float(0)?)),
        SqlType::Date => {
            let civil = c.civil(0)?;
            c.dates(|i| civil.at(i).map(|v| v.div_euclid(DAY)))
        }
        SqlType::DateTime { fsp } => {
            let civil = c.civil(0)?;
            c.civils(|i| civil.at(i).map(|v| round_fsp(v, *fsp)))
        }
        SqlType::Time { fsp } => {
            let span = c.span(0)?;
            // A time of day that would round to the next day is cut.
            let unit = 10i64.pow(6 - u32::from((*fsp).min(6)));
            let rounded = |v: i64| if v < DAY && round_fsp(v, *fsp) >= DAY { v - v % unit } else { round_fsp(v, *fsp) };
            c.times(|i| span.at(i).map(rounded).filter(|v| (0..DAY).contains(v)))
        }
        SqlType::Binary { length } | SqlType::VarBinary { length } => {
            let bytes = c.bytes(0)?;
            c.binaries(|i| bytes.at(i).map(|b| &b[..b.len().min(*length as usize)]))
        }
        SqlType::Blob => Ok(Arc::new(c.bytes(0)?)),
        _ => coerce::cast_to(values, ty, Family::MySql, zone),
    }
}

fn cut(c: &Call<'_>, length: u32) -> Result<ArrayRef> {
    let text = c.text(0)?;
    c.texts(|i| {
        text.at(i).map(|s| match s.char_indices().nth(length as usize) {
            Some((end, _)) => &s[..end],
            None => s,
        })
    })
}

/// SIGNED and UNSIGNED: the leading digits of a text, anything else rounded; out of range wraps as MySQL's does.
fn mysql_integer(c: &Call<'_>, unsigned: bool) -> Result<ArrayRef> {
    let values = &c.args[0];
    let wide: Vec<Option<i128>> = match values.data_type() {
        DataType::Utf8 | DataType::Binary => {
            let text = c.text(0)?;
            (0..c.rows).map(|i| text.at(i).map(leading_integer)).collect()
        }
        DataType::Float32 | DataType::Float64 => c.float(0)?.iter().map(|v| v.map(|v| v.round_ties_even() as i128)).collect(),
        DataType::UInt64 => values.as_primitive::<UInt64Type>().iter().map(|v| v.map(i128::from)).collect(),
        _ => c.int(0)?.iter().map(|v| v.map(i128::from)).collect(),
    };
    if unsigned {
        // A negative number keeps its bits.
        let cell = |v: i128| if v < 0 { v.max(i128::from(i64::MIN)) as i64 as u64 } else { u64::try_from(v).unwrap_or(u64::MAX) };
        return Ok(Arc::new(wide.into_iter().map(|v| v.map(cell)).collect::<UInt64Array>()));
    }
    let cell = |v: i128| i64::try_from(v).unwrap_or(if v < 0 { i64::MIN } else { u64::try_from(v).map_or(i64::MAX, |u| u as i64) });
    Ok(Arc::new(wide.into_iter().map(|v| v.map(cell)).collect::<Int64Array>()))
}

/// The sign and the digits that a text begins with: `3.7` is 3, `1e2` is 1, `x` is 0. More digits than fit stop at the limit.
fn leading_integer(text: &str) -> i128 {
    let text = text.trim_start();
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = digits.bytes().take_while(u8::is_ascii_digit);
    let value = digits.fold(0i128, |n, b| n.saturating_mul(10).saturating_add(i128::from(b - b'0')));
    if negative { -value } else { value }
}

/// A text gives its leading number; what is too large becomes the largest.
fn mysql_decimal(c: &Call<'_>, precision: u8, scale: i8) -> Result<ArrayRef> {
    let limit = 10i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX) - 1;
    let cells: Vec<Option<(i128, i8)>> = match c.args[0].data_type() {
        DataType::Decimal128(_, s) => c.args[0].as_primitive::<Decimal128Type>().iter().map(|v| v.map(|v| (v, *s))).collect(),
        DataType::Utf8 | DataType::Binary | DataType::Float32 | DataType::Float64 => {
            let text = c.text(0)?;
            (0..c.rows).map(|i| text.at(i).map(|s| parse_decimal(parse_integer_prefix(s)).unwrap_or((0, 0)))).collect()
        }
        DataType::UInt64 => c.args[0].as_primitive::<UInt64Type>().iter().map(|v| v.map(|v| (i128::from(v), 0))).collect(),
        DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_) => {
            c.moments_in_micros(0)?.into_iter().map(|cell| cell.map(|v| (v, 6))).collect()
        }
        _ => c.int(0)?.iter().map(|v| v.map(|v| (i128::from(v), 0))).collect(),
    };
    c.decimals(|i| {
        let (value, from) = cells[i]?;
        let value = coerce::rescale(value, from, scale).unwrap_or(if value < 0 { -limit } else { limit });
        Some(value.clamp(-limit, limit))
    })
}

/// A literal compared with (or cast to) a date or time, read in the session's zone.
pub fn read_moment(text: &str, ty: &DataType, family: Family, zone: &jiff::tz::TimeZone) -> Result<ScalarValue> {
    let wrong = || {
        Error::new(
            Kind::InvalidDatetime,
            match family {
                Family::MySql => format!("Incorrect DATETIME value: '{text}'"),
                Family::Postgres => format!("invalid input syntax for type timestamp: \"{text}\""),
            },
        )
    };
    let moment = parse_moment(text, family, zone).map_err(|_| wrong())?;
    match ty {
        DataType::Timestamp(_, Some(_)) => Ok(ScalarValue::TimestampMicrosecond(moment.utc(zone, family), Some(crate::types::UTC.into()))),
        DataType::Timestamp(_, None) => Ok(ScalarValue::TimestampMicrosecond(moment.civil_in(zone, family), None)),
        DataType::Date32 => {
            let civil = moment.civil_in(zone, family).ok_or_else(wrong)?;
            // MySQL compares a date with a moment by the moment: the time of day counts.
            if family == Family::MySql && civil.rem_euclid(DAY) != 0 {
                return Ok(ScalarValue::TimestampMicrosecond(Some(civil), None));
            }
            Ok(ScalarValue::Date32(Some(civil.div_euclid(DAY) as i32)))
        }
        _ => Err(wrong()),
    }
}
