//! Dates, times and moments from anything: text in both dialects, numbers in MySQL, and each other.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::*;

use super::civil::{DAY, moment_of, round_fsp, utc_to_civil};
use super::moment::{Fault, Moment, mysql_number, mysql_time, parse_moment};
use super::moment_pg;
use super::target::Target;
use crate::error::{Error, Result};
use crate::types::{SqlType, UTC};

/// One moment as an array of `Timestamp(us, UTC)`.
pub(super) fn stamp_array(utc: i64) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(vec![utc]).with_timezone(UTC))
}

pub(super) fn temporals(values: &ArrayRef, t: &Target<'_>) -> Result<ArrayRef> {
    let fsp = match t.ty {
        SqlType::Time { fsp } | SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } => *fsp,
        _ => 6,
    };
    if values.data_type() == &t.ty.arrow() && fsp >= 6 {
        return Ok(Arc::clone(values));
    }
    match t.ty {
        SqlType::Date => {
            let days = cells(values, t, |moment| moment.civil_in(t.zone, t.family), Some)?;
            let days = days.into_iter().map(|c| c.map(|c| c.div_euclid(DAY) as i32)).collect::<PrimitiveArray<Date32Type>>();
            Ok(Arc::new(days))
        }
        SqlType::Time { .. } => times(values, t, fsp),
        SqlType::DateTime { .. } => {
            let cells = cells(values, t, |moment| moment.civil_in(t.zone, t.family), Some)?;
            Ok(Arc::new(cells.into_iter().map(|c| c.map(|c| round_fsp(c, fsp))).collect::<TimestampMicrosecondArray>()))
        }
        _ => {
            let cells = cells(values, t, |moment| moment.utc(t.zone, t.family), |civil| moment_of(civil, t.zone, t.family))?;
            let array = cells.into_iter().map(|c| c.map(|c| round_fsp(c, fsp))).collect::<TimestampMicrosecondArray>();
            Ok(Arc::new(array.with_timezone(UTC)))
        }
    }
}

/// Each row in the target's clock. `written` places what a text or number says, `civil` a value without zone; a value
/// with zone goes through the session's zone unless the target has a zone too.
fn cells(
    values: &ArrayRef,
    t: &Target<'_>,
    written: impl Fn(&Moment) -> Option<i64>,
    civil: impl Fn(i64) -> Option<i64>,
) -> Result<Vec<Option<i64>>> {
    let mut out = vec![None; values.len()];
    let place = |i: usize, text: &str, moment: Result<Moment, Fault>| match moment {
        Ok(moment) => written(&moment).ok_or_else(|| t.no_such_moment(i, text)),
        Err(Fault::Syntax) => Err(t.incorrect(i, text)),
        Err(Fault::Range) => Err(t.no_such_moment(i, text)),
    };
    match values.data_type() {
        DataType::Utf8 => {
            for (i, cell) in values.as_string::<i32>().iter().enumerate() {
                if let Some(text) = cell {
                    out[i] = Some(place(i, text, parse_moment(text, t.family, t.zone))?);
                }
            }
        }
        DataType::Date32 => {
            for (i, cell) in values.as_primitive::<Date32Type>().iter().enumerate() {
                if let Some(days) = cell {
                    out[i] = Some(civil(i64::from(days) * DAY).ok_or_else(|| t.no_such_moment(i, "date"))?);
                }
            }
        }
        DataType::Timestamp(_, None) => {
            for (i, cell) in values.as_primitive::<TimestampMicrosecondType>().iter().enumerate() {
                if let Some(v) = cell {
                    out[i] = Some(civil(v).ok_or_else(|| t.no_such_moment(i, "timestamp"))?);
                }
            }
        }
        DataType::Timestamp(_, Some(_)) => {
            let keeps_zone = matches!(t.ty, SqlType::Timestamp { .. });
            for (i, cell) in values.as_primitive::<TimestampMicrosecondType>().iter().enumerate() {
                out[i] = cell.map(|v| if keeps_zone { v } else { utc_to_civil(v, t.zone) });
            }
        }
        ty if t.is_mysql() && ty.is_integer() => {
            let numbers = datafusion::arrow::compute::cast(values, &DataType::Int64).map_err(|e| Error::internal(e.to_string()))?;
            for (i, cell) in numbers.as_primitive::<Int64Type>().iter().enumerate() {
                if let Some(n) = cell {
                    out[i] = Some(place(i, &n.to_string(), mysql_number(n))?);
                }
            }
        }
        DataType::Decimal128(..) | DataType::Float64 | DataType::Binary if t.is_mysql() => {
            let texts = super::text_of(values, t.family, t.zone)?;
            return cells(&texts, t, written, civil);
        }
        other => return Err(t.mismatch(other)),
    }
    Ok(out)
}

fn times(values: &ArrayRef, t: &Target<'_>, fsp: u8) -> Result<ArrayRef> {
    let mut out = vec![None; values.len()];
    match values.data_type() {
        DataType::Time64(_) => {
            for (i, cell) in values.as_primitive::<Time64MicrosecondType>().iter().enumerate() {
                out[i] = cell;
            }
        }
        DataType::Timestamp(..) => {
            let zoned = matches!(values.data_type(), DataType::Timestamp(_, Some(_)));
            for (i, cell) in values.as_primitive::<TimestampMicrosecondType>().iter().enumerate() {
                out[i] = cell.map(|v| if zoned { utc_to_civil(v, t.zone) } else { v }.rem_euclid(DAY));
            }
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            for (i, cell) in values.as_primitive::<DurationMicrosecondType>().iter().enumerate() {
                out[i] = cell;
            }
        }
        other if other == &DataType::Utf8 || (t.is_mysql() && other.is_numeric()) => {
            let texts = super::text_of(values, t.family, t.zone)?;
            for (i, cell) in texts.as_string::<i32>().iter().enumerate() {
                let Some(text) = cell else { continue };
                let parsed = if t.is_mysql() { mysql_time(text) } else { moment_pg::parse_time(text) };
                out[i] = Some(match parsed {
                    Ok(time) => time,
                    Err(Fault::Syntax) => return Err(t.incorrect(i, text)),
                    Err(Fault::Range) => return Err(t.no_such_moment(i, text)),
                });
            }
        }
        other => return Err(t.mismatch(other)),
    }
    for (i, cell) in out.iter_mut().enumerate() {
        if let Some(v) = cell {
            *v = round_fsp(*v, fsp);
            // TIME is a time of day here (docs/sql.md): a span beyond it has no place in the column.
            if !(0..DAY).contains(v) {
                return Err(t.out_of_range(i, super::format::time_text(*v, 0)));
            }
        }
    }
    Ok(Arc::new(out.into_iter().collect::<PrimitiveArray<Time64MicrosecondType>>()))
}
