//! `+ - * / % DIV` as the dialects mean them: integers that refuse to wrap, division that stays exact.
//!
//! Called through the names that `engine::dialect` gives operators. MySQL: division by zero is NULL, `/` of exact
//! numbers is a decimal with four more digits. PostgreSQL: division by zero is an error, integers divide to integers.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::*;
use datafusion::arrow::error::ArrowError;
use datafusion::scalar::ScalarValue;

use super::scalar::{At, Call, Spec, add as row, float};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::{self, Family};
use crate::types::{MAX_DECIMAL_PRECISION, SqlType};

/// Digits that MySQL adds to a quotient (`div_precision_increment`).
const MYSQL_QUOTIENT_DIGITS: i8 = 4;
/// Fractional digits of a PostgreSQL quotient (`NUMERIC_MIN_SIG_DIGITS`).
const POSTGRES_QUOTIENT_DIGITS: i8 = 16;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_add", 2..=2, integer_type, |c| match quick(c, |a, b| numeric::add(a, b)) {
        Some(done) => Ok(done),
        None => integers(c, i128::checked_add, "+"),
    });
    row(out, "fg_sub", 2..=2, integer_type, |c| match quick(c, |a, b| numeric::sub(a, b)) {
        Some(done) => Ok(done),
        None => integers(c, i128::checked_sub, "-"),
    });
    row(out, "fg_mul", 2..=2, integer_type, |c| match quick(c, |a, b| numeric::mul(a, b)) {
        Some(done) => Ok(done),
        None => integers(c, i128::checked_mul, "*"),
    });
    row(out, "fg_neg", 1..=1, negative_type, |c| {
        if c.returns == &DataType::Float64 {
            let a = c.float(0)?;
            return c.floats(|i| a.at(i).map(|v| -v));
        }
        if !c.returns.is_integer() {
            return numeric::neg(&c.args[0]).map_err(|e| out_of_range(c, &e.to_string()));
        }
        let a = integer_cells(&c.args[0])?;
        collect(c, |i| a[i].map(|v| -v))
    });
    // A double that is none any more: MySQL has no infinity.
    row(out, "fg_finite", 1..=1, float, |c| {
        let a = c.float(0)?;
        if a.iter().flatten().any(|v| !v.is_finite()) {
            return Err(Error::new(Kind::ValueRange, "DOUBLE value is out of range"));
        }
        Ok(Arc::new(a))
    });
    // PostgreSQL keeps the type.
    row(out, "fg_pg_neg", 1..=1, same_type, |c| {
        if !c.returns.is_integer() {
            return numeric::neg(&c.args[0]).map_err(|e| out_of_range(c, &e.to_string()));
        }
        same_width(c, |v| -v)
    });
    row(out, "fg_pg_abs", 1..=1, same_type, |c| {
        if c.returns.is_integer() {
            return same_width(c, i128::abs);
        }
        let values = &c.args[0];
        match values.data_type() {
            DataType::Float32 => Ok(Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::abs))),
            DataType::Float64 => Ok(Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::abs))),
            DataType::Decimal128(..) => {
                let decimals = values.as_primitive::<Decimal128Type>();
                Ok(Arc::new(decimals.unary::<_, Decimal128Type>(i128::abs).with_data_type(decimals.data_type().clone())))
            }
            other => {
                Err(Error::new(Kind::UnknownFunction, format!("function abs({}) does not exist", SqlType::of_arrow(other).postgres_name())))
            }
        }
    });
    row(out, "fg_div", 2..=2, quotient_type, divide);
    row(out, "fg_intdiv", 2..=2, |_, _| Ok(DataType::Int64), integer_divide);
    row(out, "mod|fg_mod", 2..=2, remainder_type, remainder);
    row(out, "fg_float", 1..=1, float, |c| Ok(Arc::new(c.float(0)?)));
    row(out, "fg_exact", 1..=1, sum_type, exact);
}

/// MySQL's integers: 64 bits, without a sign when one of the two has none, and never below zero or beyond their end.
pub(super) fn add_mysql(out: &mut Vec<Spec>) {
    row(out, "fg_my_add", 2..=2, mysql_integer_type, |c| match quick(c, |a, b| numeric::add(a, b)) {
        Some(done) => Ok(done),
        None => integers(c, i128::checked_add, "+"),
    });
    row(out, "fg_my_sub", 2..=2, mysql_integer_type, |c| match quick(c, |a, b| numeric::sub(a, b)) {
        Some(done) => Ok(done),
        None => integers(c, i128::checked_sub, "-"),
    });
    // With sql_mode NO_UNSIGNED_SUBTRACTION.
    row(out, "fg_my_sub_signed", 2..=2, |_, _| Ok(DataType::Int64), |c| integers(c, i128::checked_sub, "-"));
    row(out, "fg_my_mul", 2..=2, mysql_integer_type, |c| match quick(c, |a, b| numeric::mul(a, b)) {
        Some(done) => Ok(done),
        None => integers(c, i128::checked_mul, "*"),
    });
    row(out, "fg_my_intdiv", 2..=2, mysql_integer_type, integer_divide);
    row(out, "fg_my_mod", 2..=2, mysql_remainder_type, remainder);
}

fn mysql_integer_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(if types.iter().any(DataType::is_unsigned_integer) { DataType::UInt64 } else { DataType::Int64 })
}

/// The dividend says whether there is a sign.
fn mysql_remainder_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match remainder_type(types, scalars)? {
        DataType::Int64 if types.first().is_some_and(DataType::is_unsigned_integer) => DataType::UInt64,
        other => other,
    })
}

/// Of integers whose result may not fit their type: the smallest has no opposite.
fn same_width(c: &Call<'_>, f: impl Fn(i128) -> i128) -> Result<ArrayRef> {
    let most = match c.returns {
        DataType::Int8 => i128::from(i8::MAX),
        DataType::Int16 => i128::from(i16::MAX),
        DataType::Int32 => i128::from(i32::MAX),
        _ => i128::from(u64::MAX),
    };
    let cells: Vec<Option<i128>> = integer_cells(&c.args[0])?.iter().map(|v| v.map(&f)).collect();
    if cells.iter().flatten().any(|v| *v > most) {
        return Err(Error::new(Kind::OutOfRange, format!("{} out of range", SqlType::of_arrow(c.returns).postgres_name())));
    }
    collect(c, |i| cells[i])
}

fn same_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.first() {
        Some(ty) if ty.is_null() => DataType::Int64,
        Some(ty) => ty.clone(),
        None => DataType::Null,
    })
}

/// MySQL computes in 64 bits, unsigned when one side is; PostgreSQL in the wider of the two types.
fn integer_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    use DataType::*;
    let wide = |t: &DataType| match t {
        Int8 | UInt8 | Int16 => 16,
        UInt16 | Int32 => 32,
        _ => 64,
    };
    let unsigned = |t: &DataType| matches!(t, UInt64);
    match types {
        [a, b] if unsigned(a) || unsigned(b) => Ok(UInt64),
        // The family is not known here: PostgreSQL's planner casts to the narrow type itself.
        [a, b] if wide(a) < 64 && wide(b) < 64 => Ok(Int64),
        _ => Ok(Int64),
    }
}

fn negative_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.first() {
        Some(t) if t.is_integer() || t == &DataType::Boolean => DataType::Int64,
        Some(t @ (DataType::Decimal128(..) | DataType::Interval(_))) => t.clone(),
        Some(_) | None => DataType::Float64,
    })
}

/// The cells of an integer (or boolean) array, wide.
fn integer_cells(array: &ArrayRef) -> Result<Vec<Option<i128>>> {
    if array.data_type() == &DataType::UInt64 {
        return Ok(array.as_primitive::<UInt64Type>().iter().map(|v| v.map(i128::from)).collect());
    }
    let wide = cast(array, &DataType::Int64).map_err(|e| Error::internal(e.to_string()))?;
    Ok(wide.as_primitive::<Int64Type>().iter().map(|v| v.map(i128::from)).collect())
}

fn out_of_range(c: &Call<'_>, what: &str) -> Error {
    let message = match (c.facts.family, c.returns) {
        (Family::MySql, DataType::UInt64) => format!("BIGINT UNSIGNED value is out of range in '{what}'"),
        (Family::MySql, _) => format!("BIGINT value is out of range in '{what}'"),
        (Family::Postgres, _) => "bigint out of range".to_owned(),
    };
    Error::new(Kind::ValueRange, message)
}

/// Collects integers into the declared type, refusing what does not fit.
fn collect(c: &Call<'_>, f: impl Fn(usize) -> Option<i128>) -> Result<ArrayRef> {
    if c.returns == &DataType::UInt64 {
        let mut out = UInt64Builder::with_capacity(c.rows);
        for i in 0..c.rows {
            out.append_option(f(i).map(|v| u64::try_from(v).map_err(|_| out_of_range(c, &v.to_string()))).transpose()?);
        }
        return Ok(Arc::new(out.finish()));
    }
    let mut out = Int64Builder::with_capacity(c.rows);
    for i in 0..c.rows {
        out.append_option(f(i).map(|v| i64::try_from(v).map_err(|_| out_of_range(c, &v.to_string()))).transpose()?);
    }
    Ok(Arc::new(out.finish()))
}

/// Signed numbers through Arrow's checked kernels; None: unsigned, or something overflowed (the slow way says what).
fn quick(c: &Call<'_>, op: fn(&Int64Array, &Int64Array) -> Result<ArrayRef, ArrowError>) -> Option<ArrayRef> {
    if c.returns != &DataType::Int64 {
        return None;
    }
    op(&c.int(0).ok()?, &c.int(1).ok()?).ok()
}

fn integers(c: &Call<'_>, op: fn(i128, i128) -> Option<i128>, sign: &str) -> Result<ArrayRef> {
    let (a, b) = (integer_cells(&c.args[0])?, integer_cells(&c.args[1])?);
    let fits = |v: i128| if c.returns == &DataType::UInt64 { u64::try_from(v).is_ok() } else { i64::try_from(v).is_ok() };
    if let Some((x, y)) = (0..c.rows).find_map(|i| Some((a[i]?, b[i]?)).filter(|(x, y)| op(*x, *y).is_none_or(|v| !fits(v)))) {
        return Err(out_of_range(c, &format!("{x} {sign} {y}")));
    }
    collect(c, |i| op(a[i]?, b[i]?))
}

/// (precision, scale) of an exact number; None: a double.
pub(super) fn exactness(ty: &DataType) -> Option<(u8, i8)> {
    Some(match ty {
        DataType::Decimal128(p, s) => (*p, *s),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal256(p, s) => (*p, *s),
        DataType::Null | DataType::Boolean => (1, 0),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        _ => return None,
    })
}

fn quotient_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    let _ = scalars;
    let (Some((p1, s1)), Some((_, s2))) = (types.first().and_then(exactness), types.get(1).and_then(exactness)) else {
        return Ok(DataType::Float64);
    };
    let scale = (s1 + MYSQL_QUOTIENT_DIGITS).min(30);
    let whole = i32::from(p1) - i32::from(s1) + i32::from(s2);
    let precision = (whole + i32::from(scale)).clamp(i32::from(scale) + 1, i32::from(MAX_DECIMAL_PRECISION));
    Ok(DataType::Decimal128(precision as u8, scale))
}

/// An exact number as (cells, scale).
pub(super) fn decimal_cells(array: &ArrayRef) -> Result<(Vec<Option<i128>>, i8)> {
    match array.data_type() {
        DataType::Decimal128(_, s) => Ok((array.as_primitive::<Decimal128Type>().iter().collect(), *s)),
        DataType::Null => Ok((vec![None; array.len()], 0)),
        _ => Ok((integer_cells(array)?, 0)),
    }
}

fn zero_divisor() -> Error {
    Error::new(Kind::DivisionByZero, "division by zero")
}

/// `/`. In a PostgreSQL session only decimals come here through `fg_div`; integers are divided by `fg_intdiv`.
fn divide(c: &Call<'_>) -> Result<ArrayRef> {
    let strict = !c.is_mysql();
    let DataType::Decimal128(precision, scale) = *c.returns else {
        let (a, b) = (c.float(0)?, c.float(1)?);
        if strict && (0..c.rows).any(|i| a.at(i).is_some() && b.at(i) == Some(0.0)) {
            return Err(zero_divisor());
        }
        return c.floats(|i| Some(a.at(i)? / b.at(i).filter(|v| *v != 0.0)?));
    };
    let ((a, s1), (b, s2)) = (decimal_cells(&c.args[0])?, decimal_cells(&c.args[1])?);
    if strict && (0..c.rows).any(|i| a[i].is_some() && b[i] == Some(0)) {
        return Err(zero_divisor());
    }
    let limit = 10i128.pow(u32::from(precision));
    let places = (i32::from(scale) + i32::from(s2) - i32::from(s1)).max(0) as u32;
    let (narrow, shift) = (10i128.checked_pow(places), i256::from_i128(10).wrapping_pow(places));
    let mut out = Vec::with_capacity(c.rows);
    for i in 0..c.rows {
        out.push(match (a[i], b[i]) {
            (Some(x), Some(y)) if y != 0 => {
                let value = quick_quotient(x, y, narrow).or_else(|| {
                    let wide = i256::from_i128(x).checked_mul(shift)?;
                    rounded(wide, i256::from_i128(y)).and_then(i256::to_i128)
                });
                match value {
                    Some(v) if v.abs() < limit => Some(v),
                    _ => return Err(Error::new(Kind::ValueRange, "a quotient is out of range")),
                }
            }
            _ => None,
        });
    }
    c.decimals(|i| out[i])
}

/// x * shift / y, half away from zero, where 128 bits hold it.
fn quick_quotient(x: i128, y: i128, shift: Option<i128>) -> Option<i128> {
    let n = x.checked_mul(shift?)?;
    let (quotient, rest) = (n / y, (n % y).unsigned_abs());
    let away = rest >= y.unsigned_abs() - rest;
    Some(if !away {
        quotient
    } else if (n < 0) == (y < 0) {
        quotient + 1
    } else {
        quotient - 1
    })
}

/// n / d, half away from zero.
fn rounded(n: i256, d: i256) -> Option<i256> {
    let (quotient, rest) = (n.checked_div(d)?, n.checked_rem(d)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    if twice < d.wrapping_abs() {
        return Some(quotient);
    }
    let away = if (n < i256::ZERO) == (d < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    quotient.checked_add(away)
}

/// MySQL's DIV and PostgreSQL's `/` of integers: towards zero.
fn integer_divide(c: &Call<'_>) -> Result<ArrayRef> {
    let strict = !c.is_mysql();
    let exact = c.args.iter().all(|a| exactness(a.data_type()).is_some());
    if !exact {
        let (a, b) = (c.float(0)?, c.float(1)?);
        if strict && (0..c.rows).any(|i| a.at(i).is_some() && b.at(i) == Some(0.0)) {
            return Err(zero_divisor());
        }
        return collect(c, |i| Some((a.at(i)? / b.at(i).filter(|v| *v != 0.0)?) as i128));
    }
    let ((a, s1), (b, s2)) = (decimal_cells(&c.args[0])?, decimal_cells(&c.args[1])?);
    if strict && (0..c.rows).any(|i| a[i].is_some() && b[i] == Some(0)) {
        return Err(zero_divisor());
    }
    let scale = s1.max(s2);
    collect(c, |i| coerce::rescale(a[i]?, s1, scale)?.checked_div(coerce::rescale(b[i]?, s2, scale)?))
}

fn remainder_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let (Some((p1, s1)), Some((p2, s2))) = (types.first().and_then(exactness), types.get(1).and_then(exactness)) else {
        return Ok(DataType::Float64);
    };
    if (s1, s2) == (0, 0) && !types.iter().any(|t| matches!(t, DataType::Decimal128(..))) {
        return Ok(if types.first() == Some(&DataType::UInt64) { DataType::UInt64 } else { DataType::Int64 });
    }
    let scale = s1.max(s2);
    let whole = (i32::from(p1) - i32::from(s1)).max(i32::from(p2) - i32::from(s2));
    Ok(DataType::Decimal128((whole + i32::from(scale)).clamp(1, i32::from(MAX_DECIMAL_PRECISION)) as u8, scale))
}

/// `%`: the sign of the dividend.
fn remainder(c: &Call<'_>) -> Result<ArrayRef> {
    let strict = !c.is_mysql();
    if c.returns == &DataType::Float64 {
        let (a, b) = (c.float(0)?, c.float(1)?);
        if strict && (0..c.rows).any(|i| a.at(i).is_some() && b.at(i) == Some(0.0)) {
            return Err(zero_divisor());
        }
        return c.floats(|i| Some(a.at(i)? % b.at(i).filter(|v| *v != 0.0)?));
    }
    let ((a, s1), (b, s2)) = (decimal_cells(&c.args[0])?, decimal_cells(&c.args[1])?);
    if strict && (0..c.rows).any(|i| a[i].is_some() && b[i] == Some(0)) {
        return Err(zero_divisor());
    }
    let scale = s1.max(s2);
    let cell = |i: usize| coerce::rescale(a[i]?, s1, scale)?.checked_rem(coerce::rescale(b[i]?, s2, scale)?);
    if matches!(c.returns, DataType::Decimal128(..)) { c.decimals(cell) } else { collect(c, cell) }
}

/// What SUM adds up: MySQL and PostgreSQL widen integers to decimals, so that a sum never wraps.
fn sum_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.first() {
        Some(DataType::Decimal128(p, s)) => DataType::Decimal128(*p, *s),
        Some(t) => match exactness(t) {
            Some(_) => DataType::Decimal128(20, 0),
            None if matches!(t, DataType::Duration(_) | DataType::Interval(_)) => t.clone(),
            None => DataType::Float64,
        },
        None => DataType::Float64,
    })
}

/// Numbers as decimals of the declared type.
fn exact_numbers(c: &Call<'_>) -> Result<ArrayRef> {
    let values = &c.args[0];
    match *c.returns {
        DataType::Decimal128(precision, scale) if !values.data_type().is_integer() => {
            coerce::cast_to(values, &SqlType::Decimal { precision, scale }, c.facts.family, &c.facts.zone)
        }
        _ => cast(values, c.returns).map_err(|e| Error::internal(e.to_string())),
    }
}

fn exact(c: &Call<'_>) -> Result<ArrayRef> {
    match *c.returns {
        DataType::Decimal128(..) => exact_numbers(c),
        DataType::Float64 => Ok(Arc::new(c.float(0)?)),
        _ => Ok(Arc::clone(&c.args[0])),
    }
}

/// How many fractional digits PostgreSQL's quotients and averages have.
pub(super) fn postgres_quotient_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    match (types.first().and_then(exactness), types.get(1).and_then(exactness)) {
        (Some((p1, s1)), Some((_, s2))) => {
            let scale = POSTGRES_QUOTIENT_DIGITS.max(s1).max(s2);
            let whole = i32::from(p1) - i32::from(s1) + i32::from(s2);
            let precision = (whole + i32::from(scale)).clamp(i32::from(scale) + 1, i32::from(MAX_DECIMAL_PRECISION)) as u8;
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => Ok(DataType::Float64),
    }
}

/// Rows of the PostgreSQL table only.
pub(super) fn add_postgres(out: &mut Vec<Spec>) {
    row(out, "fg_pg_div", 2..=2, postgres_quotient_type, divide);
    row(out, "fg_pg_sum", 1..=1, postgres_sum_type, exact_or_same);
    row(out, "fg_pg_avg", 1..=1, postgres_average_type, exact_or_same);
}

/// PostgreSQL: SUM of smallint and integer is bigint, of bigint numeric, of real real.
fn postgres_sum_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.first() {
        Some(DataType::Int64 | DataType::UInt64) => DataType::Decimal128(20, 0),
        Some(t) if t.is_integer() => DataType::Int64,
        Some(t) => t.clone(),
        None => DataType::Null,
    })
}

/// What an average adds up: numeric of whole numbers, double precision of real.
fn postgres_average_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match types.first() {
        Some(t) if t.is_integer() => DataType::Decimal128(20, 0),
        Some(DataType::Float32) => DataType::Float64,
        Some(t) => t.clone(),
        None => DataType::Null,
    })
}

fn exact_or_same(c: &Call<'_>) -> Result<ArrayRef> {
    match *c.returns {
        DataType::Decimal128(..) => exact_numbers(c),
        _ => cast(&c.args[0], c.returns).map_err(|e| Error::internal(e.to_string())),
    }
}
