//! Arithmetic above a quotient, with the digits that MariaDB keeps of it inside an expression (strings/decimal.c, `do_div_mod`):
//! whole words of nine digits, cut, where four more than the dividend's are shown.
//!
//! `engine::rules::quotient_digits` puts these where a quotient is part of something larger.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, i256};
use datafusion::scalar::ScalarValue;

use super::arithmetic::{decimal_cells, exactness};
use super::scalar::{Call, Spec, add as row};
use crate::error::{Error, Kind, Result};
use crate::types::MAX_DECIMAL_PRECISION;

/// Digits that MySQL shows of a quotient beyond the dividend's.
const SHOWN: i32 = 4;
/// Digits of a word.
const WORD: i32 = 9;
/// Most digits after the point that a quotient shows.
const MOST_SHOWN: i32 = 30;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_long_div", 2..=2, quotient_type, |c| {
        pairs(c, |(a, s1), (b, s2), scale| {
            if b == 0 {
                return Some(None);
            }
            let up = i256::from_i128(10).checked_pow(u32::try_from(i32::from(scale) + i32::from(s2) - i32::from(s1)).ok()?)?;
            i256::from_i128(a).checked_mul(up)?.checked_div(i256::from_i128(b))?.to_i128().map(Some)
        })
    });
    row(out, "fg_long_mul", 2..=2, product_type, |c| {
        pairs(c, |(a, s1), (b, s2), scale| {
            let product = i256::from_i128(a).checked_mul(i256::from_i128(b))?;
            at_scale(product, i32::from(s1) + i32::from(s2), scale).map(Some)
        })
    });
    row(out, "fg_long_add", 2..=2, sum_type, |c| sums(c, i256::checked_add));
    row(out, "fg_long_sub", 2..=2, sum_type, |c| sums(c, i256::checked_sub));
    // fg_shown(x, precision, scale): what a client sees of x.
    row(out, "fg_shown", 3..=3, shown_type, |c| {
        let DataType::Decimal128(_, scale) = *c.returns else { return Err(Error::internal("what is shown is no decimal")) };
        let (cells, from) = decimal_cells(&c.args[0])?;
        let mut out = Vec::with_capacity(c.rows);
        for cell in cells {
            out.push(match cell {
                Some(v) => Some(at_scale(i256::from_i128(v), i32::from(from), scale).ok_or_else(beyond)?),
                None => None,
            });
        }
        c.decimals(|i| out[i])
    });
    // Only a mark: what stands under it goes into a column, which rounds for itself.
    row(out, "fg_kept", 1..=1, super::scalar::same, |c| Ok(std::sync::Arc::clone(&c.args[0])));
}

fn beyond() -> Error {
    Error::new(Kind::ValueRange, format!("DECIMAL value is out of range: it needs more than {MAX_DECIMAL_PRECISION} digits"))
}

/// (whole digits, fractional digits) of both arguments; None: one of them is a double.
fn both(types: &[DataType]) -> Option<[(i32, i32); 2]> {
    let one = |i: usize| types.get(i).and_then(exactness).map(|(p, s)| (i32::from(p) - i32::from(s), i32::from(s)));
    Some([one(0)?, one(1)?])
}

/// A decimal of 38 digits with `wanted` of them after the point, fewer (but `least`) when the whole digits need the room.
fn room(whole: i32, wanted: i32, least: i32) -> DataType {
    let most = i32::from(MAX_DECIMAL_PRECISION);
    let scale = wanted.min(least.max(most - whole.clamp(8, 20))).clamp(0, most - 1);
    DataType::Decimal128((whole.max(1) + scale).clamp(scale + 1, most) as u8, scale as i8)
}

fn words(digits: i32) -> i32 {
    (digits + WORD - 1) / WORD * WORD
}

fn quotient_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let Some([(w1, s1), (_, s2)]) = both(types) else { return Ok(DataType::Float64) };
    let (f1, f2) = (words(s1), words(s2));
    let more = (SHOWN - (f1 - s1) - (f2 - s2)).max(0);
    Ok(room(w1 + s2, words(f1 + f2 + more), (s1 + SHOWN).min(MOST_SHOWN)))
}

fn product_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let Some([(w1, s1), (w2, s2)]) = both(types) else { return Ok(DataType::Float64) };
    Ok(room(w1 + w2, s1 + s2, s1.max(s2)))
}

fn sum_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let Some([(w1, s1), (w2, s2)]) = both(types) else { return Ok(DataType::Float64) };
    Ok(room(w1.max(w2) + 1, s1.max(s2), s1.max(s2)))
}

fn shown_type(_: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    let digits = |i: usize| match scalars.get(i) {
        Some(Some(ScalarValue::Int64(Some(n)))) => i8::try_from(*n).ok(),
        _ => None,
    };
    match (digits(1), digits(2)) {
        (Some(precision), Some(scale)) => Ok(DataType::Decimal128(precision.unsigned_abs(), scale)),
        _ => Err(Error::internal("what is shown has no constant type")),
    }
}

/// From one scale to another, half away from zero.
fn at_scale(value: i256, from: i32, to: i8) -> Option<i128> {
    let ten = i256::from_i128(10);
    let drop = from - i32::from(to);
    if drop <= 0 {
        return value.checked_mul(ten.checked_pow(drop.unsigned_abs())?)?.to_i128();
    }
    let unit = ten.checked_pow(drop.unsigned_abs())?;
    let (quotient, rest) = (value.checked_div(unit)?, value.checked_rem(unit)?);
    let up = rest.wrapping_abs().checked_mul(i256::from_i128(2))? >= unit;
    let step = if value < i256::ZERO { i256::MINUS_ONE } else { i256::ONE };
    if up { quotient.checked_add(step)?.to_i128() } else { quotient.to_i128() }
}

/// Calls `f` with both cells and the answer's scale; its None is an overflow, `Some(None)` is NULL.
fn pairs(c: &Call<'_>, f: impl Fn((i128, i8), (i128, i8), i8) -> Option<Option<i128>>) -> Result<ArrayRef> {
    let DataType::Decimal128(_, scale) = *c.returns else { return Err(Error::internal(format!("{} of a double", c.name))) };
    let ((a, s1), (b, s2)) = (decimal_cells(&c.args[0])?, decimal_cells(&c.args[1])?);
    let limit = 10i128.pow(u32::from(MAX_DECIMAL_PRECISION));
    let mut out = Vec::with_capacity(c.rows);
    for i in 0..c.rows {
        out.push(match (a[i], b[i]) {
            (Some(x), Some(y)) => f((x, s1), (y, s2), scale).filter(|v| v.is_none_or(|v| v.abs() < limit)).ok_or_else(beyond)?,
            _ => None,
        });
    }
    c.decimals(|i| out[i])
}

fn sums(c: &Call<'_>, op: fn(i256, i256) -> Option<i256>) -> Result<ArrayRef> {
    pairs(c, |(a, s1), (b, s2), scale| {
        let common = s1.max(s2);
        let wide = |v: i128, from: i8| i256::from_i128(v).checked_mul(i256::from_i128(10).checked_pow(u32::try_from(common - from).ok()?)?);
        at_scale(op(wide(a, s1)?, wide(b, s2)?)?, i32::from(common), scale).map(Some)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotient_has_words_of_nine_digits() {
        let of = |a, b| quotient_type(&[a, b], &[]).unwrap();
        assert_eq!(of(DataType::Int32, DataType::Int32), DataType::Decimal128(19, 9));
        assert_eq!(of(DataType::Decimal128(10, 2), DataType::Int32), DataType::Decimal128(17, 9));
        assert_eq!(of(DataType::Decimal128(5, 1), DataType::Decimal128(10, 1)), DataType::Decimal128(23, 18));
        assert_eq!(of(DataType::Decimal128(19, 9), DataType::Int32), DataType::Decimal128(28, 18));
    }
}
