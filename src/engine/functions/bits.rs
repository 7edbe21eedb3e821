//! MySQL's bits: every operator works on 64 of them without a sign.
//!
//! A value becomes bits as MariaDB does it: a negative number keeps its two's complement, a fraction is rounded, what is
//! too large becomes the largest. An aggregate cuts the fraction of a text instead.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::scalar::ScalarValue;

use super::scalar::{At, Call, Spec, add as row, int};
use crate::error::Result;
use crate::types::coerce::{parse_decimal, parse_integer_prefix, rescale};

fn unsigned(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::UInt64)
}

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_bits", 1..=1, unsigned, |c| Ok(Arc::new(bits(c, 0)?)));
    // What BIT_AND and its like collect.
    row(out, "fg_bits_of_row", 1..=1, unsigned, |c| match c.args[0].data_type() {
        DataType::Utf8 => {
            let text = c.text(0)?;
            let cut = |s: &str| {
                parse_decimal(parse_integer_prefix(s)).and_then(|(v, scale)| Some(v / 10i128.checked_pow(u32::try_from(scale).ok()?)?))
            };
            Ok(Arc::new((0..c.rows).map(|i| text.at(i).map(|s| saturated(cut(s).unwrap_or(0)))).collect::<UInt64Array>()))
        }
        DataType::Float32 | DataType::Float64 => {
            let v = c.float(0)?;
            Ok(Arc::new((0..c.rows).map(|i| v.at(i).map(|v| saturated(v.round_ties_even() as i128))).collect::<UInt64Array>()))
        }
        _ => Ok(Arc::new(bits(c, 0)?)),
    });
    // Only a mark: the planner takes it off (`engine::dialect::planner_mysql`).
    row(out, "fg_among", 2..=2, super::scalar::same, |c| Ok(Arc::clone(&c.args[0])));
    row(out, "fg_bit_not", 1..=1, unsigned, |c| {
        let a = bits(c, 0)?;
        Ok(Arc::new((0..c.rows).map(|i| a.at(i).map(|v| !v)).collect::<UInt64Array>()))
    });
    row(out, "fg_bit_or", 2..=2, unsigned, |c| pairs(c, |a, b| a | b));
    row(out, "fg_bit_and", 2..=2, unsigned, |c| pairs(c, |a, b| a & b));
    row(out, "fg_bit_xor", 2..=2, unsigned, |c| pairs(c, |a, b| a ^ b));
    row(out, "fg_shift_left", 2..=2, unsigned, |c| pairs(c, |a, by| shift(by).map_or(0, |by| a << by)));
    row(out, "fg_shift_right", 2..=2, unsigned, |c| pairs(c, |a, by| shift(by).map_or(0, |by| a >> by)));
    row(out, "bit_count", 1..=1, int, |c| {
        let a = bits(c, 0)?;
        c.ints(|i| a.at(i).map(|v| i64::from(v.count_ones())))
    });
}

/// A shift by the whole width or more leaves nothing.
fn shift(by: u64) -> Option<u32> {
    u32::try_from(by).ok().filter(|by| *by < u64::BITS)
}

fn pairs(c: &Call<'_>, f: impl Fn(u64, u64) -> u64) -> Result<ArrayRef> {
    let (a, b) = (bits(c, 0)?, bits(c, 1)?);
    Ok(Arc::new((0..c.rows).map(|i| Some(f(a.at(i)?, b.at(i)?))).collect::<UInt64Array>()))
}

/// The 64 bits of a number of any size.
pub(super) fn saturated(v: i128) -> u64 {
    if v < 0 { v.max(i128::from(i64::MIN)) as i64 as u64 } else { u64::try_from(v).unwrap_or(u64::MAX) }
}

fn rounded_text(text: &str) -> u64 {
    let number = parse_integer_prefix(text);
    match parse_decimal(number).and_then(|(value, scale)| rescale(value, scale, 0)) {
        Some(value) => saturated(value),
        // More digits than a decimal has.
        None => saturated(number.parse::<f64>().map_or(0, |v| v as i128)),
    }
}

/// Argument `i` as bits.
pub(super) fn bits(c: &Call<'_>, i: usize) -> Result<UInt64Array> {
    let array = &c.args[i];
    Ok(match array.data_type() {
        DataType::Null => UInt64Array::new_null(c.rows),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().clone(),
        DataType::Decimal128(_, scale) => {
            array.as_primitive::<Decimal128Type>().iter().map(|v| v.map(|v| saturated(rescale(v, *scale, 0).unwrap_or(v)))).collect()
        }
        DataType::Float32 | DataType::Float64 => c.float(i)?.iter().map(|v| v.map(|v| saturated(v.round() as i128))).collect(),
        DataType::Utf8 | DataType::Binary => {
            let text = c.text(i)?;
            (0..c.rows).map(|r| text.at(r).map(rounded_text)).collect()
        }
        _ => c.int(i)?.iter().map(|v| v.map(|v| v as u64)).collect(),
    })
}
