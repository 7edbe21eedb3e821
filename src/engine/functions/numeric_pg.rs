//! Rounding as PostgreSQL types it: of an integer it is a double (`floor(3) / 2` is 1.5), and with a number of digits a
//! numeric.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::numeric::{Mode, round, rounded_type, whole_type};
use super::scalar::{At, Call, Spec, add as row};
use crate::error::Result;
use crate::types::SqlType;
use crate::types::coerce;

/// A bigint as a numeric.
const WHOLE: DataType = DataType::Decimal128(20, 0);
/// Most digits after the point that a bigint is given.
const MOST_DIGITS: i64 = 18;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "round", 1..=2, rounding_type, |c| rounded(c, Mode::HalfAway));
    row(out, "trunc", 1..=2, rounding_type, |c| rounded(c, Mode::Zero));
    row(out, "ceil|ceiling", 1..=1, |t, s| double_of_integer(t, whole_type(t, s)?), |c| rounded(c, Mode::Up));
    row(out, "floor", 1..=1, |t, s| double_of_integer(t, whole_type(t, s)?), |c| rounded(c, Mode::Down));
    row(out, "sign", 1..=1, sign_type, sign);
}

fn double_of_integer(types: &[DataType], otherwise: DataType) -> Result<DataType> {
    let whole = types.first().is_some_and(DataType::is_integer) || types.first() == Some(&DataType::Float32);
    Ok(if whole { DataType::Float64 } else { otherwise })
}

fn rounding_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    if types.len() < 2 {
        return double_of_integer(types, rounded_type(types, scalars)?);
    }
    if !types.first().is_some_and(DataType::is_integer) {
        return rounded_type(types, scalars);
    }
    let digits = match scalars.get(1).copied().flatten().and_then(|v| v.cast_to(&DataType::Int64).ok()) {
        Some(ScalarValue::Int64(Some(n))) => n,
        _ => 0,
    };
    let scale = digits.clamp(0, MOST_DIGITS) as u8;
    Ok(DataType::Decimal128(20 + scale, scale as i8))
}

fn rounded(c: &Call<'_>, mode: Mode) -> Result<ArrayRef> {
    if !c.args[0].data_type().is_integer() {
        return round(c, mode);
    }
    let as_type = |ty: &SqlType| coerce::cast_to(&c.args[0], ty, c.facts.family, &c.facts.zone);
    let DataType::Decimal128(_, scale) = *c.returns else { return as_type(&SqlType::Float64) };
    let mut args = c.args.clone();
    args[0] = as_type(&SqlType::Decimal { precision: 20, scale: 0 })?;
    let whole = round(&c.with(args, &WHOLE), mode)?;
    coerce::cast_to(&whole, &SqlType::Decimal { precision: 20 + scale as u8, scale }, c.facts.family, &c.facts.zone)
}

fn sign_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.first() {
        Some(DataType::Decimal128(..)) => DataType::Decimal128(1, 0),
        _ => DataType::Float64,
    })
}

fn sign(c: &Call<'_>) -> Result<ArrayRef> {
    let v = c.float(0)?;
    let of = |v: f64| if v > 0.0 { 1 } else { -i128::from(v < 0.0) };
    if let DataType::Decimal128(..) = c.returns {
        return c.decimals(|i| v.at(i).map(of));
    }
    c.floats(|i| v.at(i).map(|v| if v.is_nan() { v } else { of(v) as f64 }))
}
