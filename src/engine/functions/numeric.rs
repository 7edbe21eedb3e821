//! Mathematics. Rounding is half away from zero on exact numbers, as both databases do it.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::scalar::ScalarValue;

use super::scalar::{At, Call, Spec, add as row, add_volatile, float, int, same};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::parse_decimal;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "round", 1..=2, rounded_type, |c| round(c, Mode::HalfAway));
    row(out, "truncate|trunc", 1..=2, rounded_type, |c| round(c, Mode::Zero));
    row(out, "ceil|ceiling", 1..=1, whole_type, |c| round(c, Mode::Up));
    row(out, "floor", 1..=1, whole_type, |c| round(c, Mode::Down));
    row(out, "abs", 1..=1, absolute_type, absolute);
    row(out, "sign|signum", 1..=1, int, |c| {
        let v = c.float(0)?;
        c.ints(|i| {
            v.at(i).map(|v| {
                if v > 0.0 {
                    1
                } else if v < 0.0 {
                    -1
                } else {
                    0
                }
            })
        })
    });
    row(out, "pow|power", 2..=2, float, |c| two(c, f64::powf));
    row(out, "exp", 1..=1, float, |c| one(c, f64::exp));
    row(out, "sqrt", 1..=1, float, |c| one(c, f64::sqrt));
    row(out, "cbrt", 1..=1, float, |c| one(c, f64::cbrt));
    row(out, "ln", 1..=1, float, |c| logarithm(c, |v| v.ln()));
    row(out, "log2", 1..=1, float, |c| logarithm(c, |v| v.log2()));
    row(out, "log10", 1..=1, float, |c| logarithm(c, |v| v.log10()));
    row(out, "log", 1..=2, float, |c| {
        if c.count() == 2 {
            let (base, v) = (c.float(0)?, c.float(1)?);
            return c.floats(|i| {
                let (base, v) = (base.at(i)?, v.at(i)?);
                (base > 0.0 && base != 1.0 && v > 0.0).then(|| v.ln() / base.ln())
            });
        }
        // One argument: MySQL's natural logarithm, PostgreSQL's to base 10.
        if c.is_mysql() { logarithm(c, |v| v.ln()) } else { logarithm(c, |v| v.log10()) }
    });
    row(out, "pi", 0..=0, float, |c| c.floats(|_| Some(std::f64::consts::PI)));
    row(out, "sin", 1..=1, float, |c| one(c, f64::sin));
    row(out, "cos", 1..=1, float, |c| one(c, f64::cos));
    row(out, "tan", 1..=1, float, |c| one(c, f64::tan));
    row(out, "cot", 1..=1, float, |c| one(c, |v| 1.0 / v.tan()));
    row(out, "asin", 1..=1, float, |c| one(c, f64::asin));
    row(out, "acos", 1..=1, float, |c| one(c, f64::acos));
    row(out, "atan", 1..=2, float, |c| if c.count() == 2 { two(c, f64::atan2) } else { one(c, f64::atan) });
    row(out, "atan2", 2..=2, float, |c| two(c, f64::atan2));
    row(out, "radians", 1..=1, float, |c| one(c, f64::to_radians));
    row(out, "degrees", 1..=1, float, |c| one(c, f64::to_degrees));
    row(
        out,
        "div",
        2..=2,
        |_, _| Ok(DataType::Decimal128(38, 0)),
        |c| {
            let (a, b) = (c.float(0)?, c.float(1)?);
            if (0..c.rows).any(|i| b.at(i) == Some(0.0)) {
                return Err(Error::new(Kind::DivisionByZero, "division by zero"));
            }
            c.decimals(|i| Some((a.at(i)? / b.at(i)?).trunc() as i128))
        },
    );
    row(out, "bit_count", 1..=1, int, |c| {
        let v = c.int(0)?;
        c.ints(|i| v.at(i).map(|v| i64::from(v.count_ones())))
    });
    add_volatile(out, "rand|random", 0..=1, float, |c| {
        if c.count() == 1 {
            // A seed makes the sequence repeat.
            use rand::{Rng, SeedableRng};
            let seed = c.int(0)?;
            let mut generator = rand::rngs::StdRng::seed_from_u64(seed.at(0).unwrap_or(0) as u64);
            return c.floats(|_| Some(generator.random::<f64>()));
        }
        c.floats(|_| Some(rand::random::<f64>()))
    });
}

/// A function of one double; what is no number gives NULL (MySQL) or an error (PostgreSQL).
fn one(c: &Call<'_>, f: fn(f64) -> f64) -> Result<ArrayRef> {
    let v = c.float(0)?;
    finish(c, |i| v.at(i).map(f))
}

fn two(c: &Call<'_>, f: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (a, b) = (c.float(0)?, c.float(1)?);
    finish(c, |i| Some(f(a.at(i)?, b.at(i)?)))
}

fn finish(c: &Call<'_>, f: impl Fn(usize) -> Option<f64>) -> Result<ArrayRef> {
    let cells: Vec<Option<f64>> = (0..c.rows).map(f).collect();
    if !c.is_mysql() && cells.iter().flatten().any(|v| v.is_nan()) {
        return Err(Error::new(Kind::OutOfRange, format!("input of {} is out of range", c.name)));
    }
    c.floats(|i| cells[i].filter(|v| v.is_finite() || !c.is_mysql()))
}

fn logarithm(c: &Call<'_>, f: fn(f64) -> f64) -> Result<ArrayRef> {
    let v = c.float(0)?;
    if !c.is_mysql() && v.iter().flatten().any(|v| v <= 0.0) {
        return Err(Error::new(Kind::OutOfRange, "cannot take logarithm of zero or a negative number"));
    }
    c.floats(|i| v.at(i).filter(|v| *v > 0.0).map(f))
}

/// Numbers stay what they are; text and truth become doubles.
fn number_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    match same(types, scalars)? {
        ty if ty.is_numeric() => Ok(ty),
        _ => Ok(DataType::Float64),
    }
}

/// ABS: of the smallest INT there is none among the INTs.
fn absolute_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    match number_type(types, scalars)? {
        ty if ty.is_signed_integer() => Ok(DataType::Int64),
        ty => Ok(ty),
    }
}

/// ROUND(x, d): a decimal gets d digits when d is a constant.
pub(super) fn rounded_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    let digits = match scalars.get(1) {
        None => Some(0),
        Some(Some(value)) => value.cast_to(&DataType::Int64).ok().and_then(|v| match v {
            ScalarValue::Int64(n) => n,
            _ => None,
        }),
        Some(None) => None,
    };
    match (number_type(types, scalars)?, digits) {
        (DataType::Decimal128(p, s), Some(d)) => {
            let scale = d.clamp(0, i64::from(s)) as i8;
            // One more whole digit: 9.9 rounds to 10.
            let precision = (i32::from(p) - i32::from(s) + i32::from(scale) + 1).clamp(1, 38) as u8;
            Ok(DataType::Decimal128(precision, scale))
        }
        (ty, _) => Ok(ty),
    }
}

/// MariaDB's ROUND: as many digits as it is asked for, zeros after the digits that there are.
pub(super) fn padded_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    let wanted = match scalars.get(1) {
        Some(Some(value)) => value.cast_to(&DataType::Int64).ok(),
        _ => None,
    };
    Ok(match (rounded_type(types, scalars)?, wanted) {
        (DataType::Decimal128(precision, scale), Some(ScalarValue::Int64(Some(wanted)))) => {
            let more = (wanted.clamp(0, 30) as i8).saturating_sub(scale).clamp(0, 38 - precision as i8);
            DataType::Decimal128(precision + more as u8, scale + more)
        }
        (other, _) => other,
    })
}

/// CEIL and FLOOR: a decimal loses its fraction.
pub(super) fn whole_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(match number_type(types, scalars)? {
        DataType::Decimal128(p, s) => DataType::Decimal128((i32::from(p) - i32::from(s) + 1).clamp(1, 38) as u8, 0),
        DataType::Float32 => DataType::Float64,
        other => other,
    })
}

/// Which way a number is rounded.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    HalfAway,
    Zero,
    Up,
    Down,
}

/// Rounds an unscaled decimal from one scale to another, coarser one.
fn round_decimal(value: i128, from: i8, to: i64, mode: Mode) -> Option<i128> {
    let drop = i64::from(from) - to;
    if drop <= 0 {
        return Some(value);
    }
    if drop > 38 {
        return Some(0);
    }
    let unit = 10i128.checked_pow(drop as u32)?;
    let (quotient, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
    Some(match mode {
        Mode::Down => quotient,
        Mode::Up => quotient + i128::from(rest != 0),
        Mode::Zero => value / unit,
        Mode::HalfAway => {
            let (q, r) = (value / unit, value % unit);
            if r.abs() >= unit - r.abs() { q + value.signum() } else { q }
        }
    })
}

pub(super) fn round(c: &Call<'_>, mode: Mode) -> Result<ArrayRef> {
    let digits = if c.count() > 1 { Some(c.int(1)?) } else { None };
    let digit = |i: usize| digits.as_ref().map_or(Some(0), |d| d.at(i));
    match (c.args[0].data_type(), c.returns) {
        (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) => {
            let (from, to) = (*from, *to);
            let v = c.args[0].as_primitive::<Decimal128Type>();
            c.decimals(|i| {
                let d = digit(i)?.min(i64::from(from));
                let coarse = round_decimal(v.at(i)?, from, d, mode)?;
                // Back to the scale of the type; d may be coarser than it (negative) or finer.
                if d >= i64::from(to) {
                    round_decimal(coarse, i8::try_from(d).ok()?, i64::from(to), Mode::Zero)
                } else {
                    coarse.checked_mul(10i128.checked_pow(u32::try_from(i64::from(to) - d).ok()?)?)
                }
            })
        }
        (ty, returns) if ty.is_integer() => {
            let v = c.int(0)?;
            if (0..c.rows).all(|i| digit(i).is_none_or(|d| d >= 0)) {
                return Ok(Arc::clone(&c.args[0]));
            }
            let cells = c.ints(|i| {
                let d = digit(i)?.min(0);
                let coarse = round_decimal(i128::from(v.at(i)?), 0, d, mode)?;
                i64::try_from(coarse.checked_mul(10i128.checked_pow(u32::try_from(-d).ok()?)?)?).ok()
            })?;
            datafusion::arrow::compute::cast(&cells, returns).map_err(|e| Error::internal(e.to_string()))
        }
        _ => {
            let v = c.float(0)?;
            c.floats(|i| {
                let (v, d) = (v.at(i)?, digit(i)?);
                if !v.is_finite() {
                    return Some(v);
                }
                match (mode, d) {
                    (Mode::Up, _) => Some(v.ceil()),
                    (Mode::Down, _) => Some(v.floor()),
                    (Mode::Zero, 0) => Some(v.trunc()),
                    // Both databases round a double as the C library's rint does: half to even.
                    (Mode::HalfAway, 0) => Some(v.round_ties_even()),
                    _ => round_float(v, d, mode),
                }
            })
        }
    }
}

/// Through the decimal that the double prints as: ROUND(1.005, 2) of a double is 1.00 or 1.01 as its digits say.
fn round_float(value: f64, digits: i64, mode: Mode) -> Option<f64> {
    if digits > 30 {
        return Some(value);
    }
    match parse_decimal(&value.to_string()) {
        Some((unscaled, scale)) => {
            let d = digits.min(i64::from(scale));
            let coarse = round_decimal(unscaled, scale, d, mode)?;
            format!("{coarse}e{}", -d).parse().ok()
        }
        None => Some(value),
    }
}

fn absolute(c: &Call<'_>) -> Result<ArrayRef> {
    match c.args[0].data_type() {
        DataType::Decimal128(..) => {
            let v = c.args[0].as_primitive::<Decimal128Type>();
            c.decimals(|i| v.at(i).map(i128::abs))
        }
        ty if ty.is_unsigned_integer() => Ok(Arc::clone(&c.args[0])),
        ty if ty.is_integer() => {
            let v = c.int(0)?;
            if v.iter().flatten().any(|v| v == i64::MIN) {
                return Err(Error::new(Kind::ValueRange, "BIGINT value is out of range in 'abs'"));
            }
            c.ints(|i| v.at(i).map(i64::abs))
        }
        _ => one(c, f64::abs),
    }
}
