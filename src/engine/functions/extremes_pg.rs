//! MIN and MAX of values whose order in PostgreSQL is not that of their Arrow form: doubles, among which NaN is the greatest
//! and infinities count, and intervals.
//!
//! `min(x)` becomes `fg_unordered(min(fg_ordered(x)))`: values of these types go as others that Arrow orders so, each double
//! as a span of time, each interval as bytes with itself at their end; anything else stays as it is.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::scalar::ScalarValue;

use super::dates::{interval_array, intervals};
use super::scalar::{Call, Spec, add as row};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::civil::DAY;

/// Doubles and singles as they go; nothing else in a PostgreSQL session has these types.
const DOUBLE: DataType = DataType::Duration(TimeUnit::Nanosecond);
const SINGLE: DataType = DataType::Duration(TimeUnit::Second);
/// An interval: 16 bytes of its length, then months, days and microseconds.
const WIDTH: i32 = 32;
const SPAN: DataType = DataType::FixedSizeBinary(WIDTH);

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_ordered", 1..=1, ordered_type, ordered);
    row(out, "fg_unordered", 1..=1, unordered_type, unordered);
    row(
        out,
        "fg_interval_key",
        1..=1,
        |_, _| Ok(DataType::Decimal128(38, 0)),
        |c| {
            let spans = intervals(c, 0)?;
            c.decimals(|i| spans[i].map(length))
        },
    );
}

/// How PostgreSQL compares intervals: a month counts 30 days, a day 24 hours (timestamp.c, interval_cmp_value).
pub fn length((months, days, micros): (i64, i64, i64)) -> i128 {
    (i128::from(months) * 30 + i128::from(days)) * i128::from(DAY) + i128::from(micros)
}

fn ordered_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.first() {
        Some(DataType::Float64) => DOUBLE,
        Some(DataType::Float32) => SINGLE,
        Some(DataType::Interval(_)) => SPAN,
        Some(other) => other.clone(),
        None => DataType::Null,
    })
}

fn unordered_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.first() {
        Some(&DOUBLE) => DataType::Float64,
        Some(&SINGLE) => DataType::Float32,
        Some(&SPAN) => DataType::Interval(IntervalUnit::MonthDayNano),
        Some(other) => other.clone(),
        None => DataType::Null,
    })
}

/// The bits of a double in an order that is the numbers', and back: below zero they run the other way.
fn turned(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn turned_short(bits: i32) -> i32 {
    bits ^ (((bits >> 31) as u32) >> 1) as i32
}

fn ordered(c: &Call<'_>) -> Result<ArrayRef> {
    let values = &c.args[0];
    Ok(match values.data_type() {
        // There is one NaN.
        DataType::Float64 => {
            let bits = |v: f64| if v.is_nan() { f64::NAN.abs().to_bits() as i64 } else { v.to_bits() as i64 };
            Arc::new(values.as_primitive::<Float64Type>().unary::<_, DurationNanosecondType>(|v| turned(bits(v))))
        }
        DataType::Float32 => {
            let bits = |v: f32| if v.is_nan() { f32::NAN.abs().to_bits() as i32 } else { v.to_bits() as i32 };
            Arc::new(values.as_primitive::<Float32Type>().unary::<_, DurationSecondType>(|v| i64::from(turned_short(bits(v)))))
        }
        DataType::Interval(_) => {
            let mut out = FixedSizeBinaryBuilder::with_capacity(c.rows, WIDTH);
            for span in intervals(c, 0)? {
                let Some((months, days, micros)) = span else {
                    out.append_null();
                    continue;
                };
                let mut bytes = Vec::with_capacity(WIDTH as usize);
                bytes.extend_from_slice(&((length((months, days, micros)) as u128) ^ (1 << 127)).to_be_bytes());
                bytes.extend_from_slice(&(months as i32).to_be_bytes());
                bytes.extend_from_slice(&(days as i32).to_be_bytes());
                bytes.extend_from_slice(&micros.to_be_bytes());
                out.append_value(&bytes).map_err(|e| Error::internal(e.to_string()))?;
            }
            Arc::new(out.finish())
        }
        _ => Arc::clone(values),
    })
}

fn unordered(c: &Call<'_>) -> Result<ArrayRef> {
    let values = &c.args[0];
    Ok(match (values.data_type(), c.returns) {
        (&DOUBLE, _) => {
            let bits = values.as_primitive::<DurationNanosecondType>();
            Arc::new(bits.unary::<_, Float64Type>(|v| f64::from_bits(turned(v) as u64)))
        }
        (&SINGLE, _) => {
            let bits = values.as_primitive::<DurationSecondType>();
            Arc::new(bits.unary::<_, Float32Type>(|v| f32::from_bits(turned_short(v as i32) as u32)))
        }
        (DataType::Binary, DataType::Interval(_)) => {
            let cells = values.as_binary::<i32>().iter().map(|cell| cell.map(span_of).transpose()).collect::<Result<Vec<_>>>()?;
            interval_array(cells.into_iter())?
        }
        _ => Arc::clone(values),
    })
}

fn span_of(bytes: &[u8]) -> Result<(i64, i64, i64)> {
    let part = |from: usize, to: usize| {
        let part = bytes.get(from..to).ok_or_else(|| Error::new(Kind::Internal, "an interval is too short"))?;
        // The first byte has the sign.
        let start = if part[0] & 0x80 == 0 { 0i64 } else { -1 };
        Ok::<_, Error>(part.iter().fold(start, |n, b| n << 8 | i64::from(*b)))
    };
    Ok((part(16, 20)?, part(20, 24)?, part(24, 32)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_keep_their_order_as_numbers() {
        let ascending = [f64::NEG_INFINITY, f64::MIN, -1.5, -f64::MIN_POSITIVE, 0.0, 1e-300, 2.0, f64::MAX, f64::INFINITY];
        for pair in ascending.windows(2) {
            assert!(turned(pair[0].to_bits() as i64) < turned(pair[1].to_bits() as i64));
            assert_eq!(f64::from_bits(turned(turned(pair[0].to_bits() as i64)) as u64), pair[0]);
        }
        assert!(turned(f64::INFINITY.to_bits() as i64) < turned(f64::NAN.abs().to_bits() as i64));
    }

    #[test]
    fn intervals_compare_by_their_length() {
        assert_eq!(length((0, 1, 0)), length((0, 0, DAY)));
        assert_eq!(length((1, 0, 0)), length((0, 30, 0)));
        assert!(length((-1, 0, 0)) < length((0, -29, 0)));
    }
}
