//! Booleans, integers, floats and decimals from anything.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, PrimitiveBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::*;

use super::civil::{Civil, DAY};
use super::format;
use super::target::Target;
use crate::error::{Error, Result};
use crate::types::{MAX_DECIMAL_PRECISION, SqlType};

/// Calls `f` with each row's index and value of a primitive array.
macro_rules! each {
    ($values:expr, $ty:ty, $i:ident, $v:ident, $body:expr) => {{
        let array = $values.as_primitive::<$ty>();
        for $i in 0..array.len() {
            if array.is_valid($i) {
                let $v = array.value($i);
                $body
            }
        }
    }};
}

/// Fills `out` (one slot a row) with the integers that the values are to the target.
fn integer_values(values: &ArrayRef, t: &Target<'_>) -> Result<Vec<Option<i128>>> {
    let mut out = vec![None; values.len()];
    match values.data_type() {
        DataType::Int8 => each!(values, Int8Type, i, v, out[i] = Some(i128::from(v))),
        DataType::Int16 => each!(values, Int16Type, i, v, out[i] = Some(i128::from(v))),
        DataType::Int32 => each!(values, Int32Type, i, v, out[i] = Some(i128::from(v))),
        DataType::Int64 => each!(values, Int64Type, i, v, out[i] = Some(i128::from(v))),
        DataType::UInt8 => each!(values, UInt8Type, i, v, out[i] = Some(i128::from(v))),
        DataType::UInt16 => each!(values, UInt16Type, i, v, out[i] = Some(i128::from(v))),
        DataType::UInt32 => each!(values, UInt32Type, i, v, out[i] = Some(i128::from(v))),
        DataType::UInt64 => each!(values, UInt64Type, i, v, out[i] = Some(i128::from(v))),
        DataType::Float32 => each!(values, Float32Type, i, v, out[i] = Some(float_to_integer(f64::from(v), i, t)?)),
        DataType::Float64 => each!(values, Float64Type, i, v, out[i] = Some(float_to_integer(v, i, t)?)),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            each!(values, Decimal128Type, i, v, {
                out[i] = Some(rescale(v, scale, 0).ok_or_else(|| t.out_of_range(i, v))?);
            })
        }
        DataType::Boolean => {
            for (i, v) in values.as_boolean().iter().enumerate() {
                out[i] = v.map(i128::from);
            }
        }
        DataType::Utf8 => {
            for (i, v) in values.as_string::<i32>().iter().enumerate() {
                out[i] = v.map(|text| integer_of_text(text, i, t)).transpose()?;
            }
        }
        DataType::Binary => {
            for (i, v) in values.as_binary::<i32>().iter().enumerate() {
                out[i] = v.map(|bytes| integer_of_bytes(bytes, i, t)).transpose()?;
            }
        }
        DataType::Date32 if t.is_mysql() => each!(values, Date32Type, i, v, out[i] = Some(date_number(i64::from(v) * DAY))),
        DataType::Timestamp(_, zone) if t.is_mysql() => {
            let zoned = zone.is_some();
            each!(values, TimestampMicrosecondType, i, v, {
                let v = super::civil::round_fsp(if zoned { super::civil::utc_to_civil(v, t.zone) } else { v }, 0);
                out[i] = Some(date_number(v) * 1_000_000 + clock_number(v));
            })
        }
        DataType::Time64(TimeUnit::Microsecond) if t.is_mysql() => {
            each!(values, Time64MicrosecondType, i, v, {
                // 240000 is what 23:59:59.5 rounds to.
                let v = super::civil::round_fsp(v, 0);
                out[i] = Some(i128::from(v / DAY) * 240_000 + clock_number(v));
            })
        }
        other => return Err(t.mismatch(other)),
    }
    Ok(out)
}

/// 20220705 of civil microseconds.
fn date_number(civil: i64) -> i128 {
    let c = Civil::from_micros(civil);
    i128::from(c.year) * 10_000 + i128::from(c.month) * 100 + i128::from(c.day)
}

/// 131415 of civil microseconds.
fn clock_number(civil: i64) -> i128 {
    let c = Civil::from_micros(civil);
    i128::from(c.hour) * 10_000 + i128::from(c.minute) * 100 + i128::from(c.second)
}

fn float_to_integer(value: f64, index: usize, t: &Target<'_>) -> Result<i128> {
    // Both databases round a double half to even here.
    if value.is_finite() && value.abs() < 1e38 { Ok(value.round_ties_even() as i128) } else { Err(t.out_of_range(index, value)) }
}

fn integer_of_text(text: &str, index: usize, t: &Target<'_>) -> Result<i128> {
    if let SqlType::Bit { .. } = t.ty {
        if t.is_mysql() {
            return integer_of_bytes(text.as_bytes(), index, t);
        }
        return i128::from_str_radix(text, 2).map_err(|_| t.incorrect(index, text));
    }
    let bytes = text.as_bytes();
    // The plain form first: an optional sign and up to 18 digits.
    let (negative, digits) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        _ => (false, bytes),
    };
    if !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit) {
        let value = digits.iter().fold(0i64, |n, b| n * 10 + i64::from(b - b'0'));
        if matches!(t.ty, SqlType::Year) && t.is_mysql() && digits.len() <= 2 {
            return Ok(i128::from(super::moment::full_year(value as u64, digits.len())));
        }
        return Ok(i128::from(if negative { -value } else { value }));
    }
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let (value, scale) = parse_decimal(trimmed).ok_or_else(|| t.incorrect(index, text))?;
    if !t.is_mysql() && trimmed.contains(['.', 'e', 'E']) {
        return Err(t.incorrect(index, text));
    }
    rescale(value, scale, 0).ok_or_else(|| t.out_of_range(index, text))
}

/// MySQL's BIT and hexadecimal values: big-endian bytes. For other types the bytes are text.
fn integer_of_bytes(bytes: &[u8], index: usize, t: &Target<'_>) -> Result<i128> {
    if t.is_mysql()
        && (matches!(t.ty, SqlType::Bit { .. }) || std::str::from_utf8(bytes).map_or(true, |s| parse_decimal(s.trim()).is_none()))
    {
        let significant = bytes.iter().skip_while(|b| **b == 0).count();
        if significant > 8 {
            return Err(match t.ty {
                SqlType::Bit { .. } => t.too_long(index),
                _ => t.out_of_range(index, "bytes"),
            });
        }
        return Ok(bytes.iter().fold(0i128, |n, b| (n << 8 | i128::from(*b)) & i128::from(u64::MAX)));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| t.incorrect(index, &format!("\\x{}", hex::encode(bytes))))?;
    integer_of_text(text, index, t)
}

/// The smallest and largest value of an integer column.
fn range(ty: &SqlType) -> (i128, i128) {
    let bits = |bits: u32, unsigned: bool| {
        if unsigned { (0, (1i128 << bits) - 1) } else { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) }
    };
    match ty {
        SqlType::Int8 { unsigned } => bits(8, *unsigned),
        SqlType::Int16 { unsigned } => bits(16, *unsigned),
        SqlType::Int24 { unsigned } => bits(24, *unsigned),
        SqlType::Int32 { unsigned } => bits(32, *unsigned),
        SqlType::Year => (1901, 2155),
        SqlType::Bit { length } => (0, (1i128 << (*length).min(64)) - 1),
        SqlType::Int64 { unsigned } => bits(64, *unsigned),
        _ => bits(64, false),
    }
}

pub(super) fn integers(values: &ArrayRef, t: &Target<'_>) -> Result<ArrayRef> {
    let arrow = t.ty.arrow();
    let narrowed = matches!(t.ty, SqlType::Int24 { .. } | SqlType::Year | SqlType::Bit { .. });
    if values.data_type() == &arrow && !narrowed {
        return Ok(Arc::clone(values));
    }
    let cells = integer_values(values, t)?;
    match arrow {
        DataType::Int8 => build::<Int8Type>(cells, t),
        DataType::Int16 => build::<Int16Type>(cells, t),
        DataType::Int32 => build::<Int32Type>(cells, t),
        DataType::Int64 => build::<Int64Type>(cells, t),
        DataType::UInt8 => build::<UInt8Type>(cells, t),
        DataType::UInt16 => build::<UInt16Type>(cells, t),
        DataType::UInt32 => build::<UInt32Type>(cells, t),
        _ => build::<UInt64Type>(cells, t),
    }
}

fn build<T: ArrowPrimitiveType>(cells: Vec<Option<i128>>, t: &Target<'_>) -> Result<ArrayRef>
where
    T::Native: TryFrom<i128>,
{
    let (low, high) = range(t.ty);
    let year = matches!(t.ty, SqlType::Year);
    let mut builder = PrimitiveBuilder::<T>::with_capacity(cells.len());
    for (i, cell) in cells.into_iter().enumerate() {
        let Some(mut value) = cell else {
            builder.append_null();
            continue;
        };
        if year && (0..100).contains(&value) && value != 0 {
            value = i128::from(super::moment::full_year(value as u64, 2));
        }
        if value < low || value > high {
            // MySQL's zero year is the one value outside the range.
            if !(year && value == 0) {
                return Err(t.out_of_range(i, value));
            }
        }
        builder.append_value(T::Native::try_from(value).map_err(|_| t.out_of_range(i, value))?);
    }
    Ok(Arc::new(builder.finish()))
}

pub(super) fn booleans(values: &ArrayRef, t: &Target<'_>) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Boolean => Ok(Arc::clone(values)),
        DataType::Utf8 => {
            let array = values.as_string::<i32>();
            let mut out = Vec::with_capacity(array.len());
            for (i, cell) in array.iter().enumerate() {
                out.push(cell.map(|text| boolean_of_text(text, i, t)).transpose()?);
            }
            Ok(Arc::new(BooleanArray::from(out)))
        }
        _ => {
            let mut out = Vec::with_capacity(values.len());
            for (i, cell) in integer_values(values, t)?.into_iter().enumerate() {
                out.push(cell.map(|n| boolean_of_number(n, i, t)).transpose()?);
            }
            Ok(Arc::new(BooleanArray::from(out)))
        }
    }
}

/// BOOLEAN is TINYINT(1) to MySQL, which keeps any small number; here only 0 and 1 are kept, and anything else is said
/// to be lost rather than stored as 1.
fn boolean_of_number(number: i128, index: usize, t: &Target<'_>) -> Result<bool> {
    if t.is_mysql() && !matches!(number, 0 | 1) {
        return Err(t.out_of_range(index, number).with_hint("a TINYINT(1) or BOOLEAN column holds 0 and 1; TINYINT holds -128 to 127"));
    }
    Ok(number != 0)
}

fn boolean_of_text(text: &str, index: usize, t: &Target<'_>) -> Result<bool> {
    if t.is_mysql() {
        return integer_of_text(text, index, t).and_then(|n| boolean_of_number(n, index, t));
    }
    let word = text.trim().to_ascii_lowercase();
    if word.is_empty() {
        return Err(t.incorrect(index, text));
    }
    // PostgreSQL takes every unambiguous beginning of these words.
    for (full, value, least) in
        [("true", true, 1), ("false", false, 1), ("yes", true, 1), ("no", false, 1), ("on", true, 2), ("off", false, 2)]
    {
        if word.len() >= least && full.starts_with(&word) {
            return Ok(value);
        }
    }
    match word.as_str() {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(t.incorrect(index, text)),
    }
}

pub(super) fn floats(values: &ArrayRef, t: &Target<'_>) -> Result<ArrayRef> {
    let arrow = t.ty.arrow();
    if values.data_type() == &arrow {
        return Ok(Arc::clone(values));
    }
    let wide: ArrayRef = match values.data_type() {
        DataType::Utf8 => {
            let array = values.as_string::<i32>();
            let mut builder = PrimitiveBuilder::<Float64Type>::with_capacity(array.len());
            for (i, cell) in array.iter().enumerate() {
                match cell {
                    Some(text) => builder.append_value(float_of_text(text, i, t)?),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        DataType::Decimal128(_, scale) if arrow == DataType::Float32 => {
            let decimals = values.as_primitive::<Decimal128Type>();
            return Ok(Arc::new(decimals.unary::<_, Float32Type>(|v| real_of_decimal(v, *scale))));
        }
        DataType::Decimal128(..) => Arc::new(doubles_of_decimals(values)),
        ty if ty.is_numeric() || ty == &DataType::Boolean => {
            cast(values, &DataType::Float64).map_err(|e| Error::internal(e.to_string()))?
        }
        _ => {
            let cells = integer_values(values, t)?;
            Arc::new(cells.into_iter().map(|cell| cell.map(|n| n as f64)).collect::<PrimitiveArrayF64>())
        }
    };
    if arrow == DataType::Float64 {
        return Ok(wide);
    }
    each!(wide, Float64Type, i, v, {
        if v.is_finite() && !(v as f32).is_finite() {
            return Err(t.out_of_range(i, v));
        }
    });
    cast(&wide, &arrow).map_err(|e| Error::internal(e.to_string()))
}

type PrimitiveArrayF64 = datafusion::arrow::array::Float64Array;

fn float_of_text(text: &str, index: usize, t: &Target<'_>) -> Result<f64> {
    let word = text.trim();
    let special = word.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_alphabetic());
    let value: f64 = if special && t.is_mysql() { None } else { word.parse().ok() }.ok_or_else(|| t.incorrect(index, text))?;
    if value.is_infinite() && !special { Err(t.out_of_range(index, text)) } else { Ok(value) }
}

pub(super) fn decimals(values: &ArrayRef, t: &Target<'_>, precision: u8, scale: i8) -> Result<ArrayRef> {
    let limit = 10i128.checked_pow(u32::from(precision.min(MAX_DECIMAL_PRECISION))).unwrap_or(i128::MAX);
    let mut out: Vec<Option<i128>> = vec![None; values.len()];
    match values.data_type() {
        DataType::Decimal128(p, s) if (*p, *s) == (precision, scale) => return Ok(Arc::clone(values)),
        DataType::Decimal128(_, from) => {
            let from = *from;
            each!(values, Decimal128Type, i, v, out[i] = Some(rescale(v, from, scale).ok_or_else(|| t.out_of_range(i, v))?))
        }
        DataType::Float32 => each!(values, Float32Type, i, v, {
            out[i] = Some(parse_decimal(&v.to_string()).and_then(|(n, s)| rescale(n, s, scale)).ok_or_else(|| t.out_of_range(i, v))?);
        }),
        DataType::Float64 => each!(values, Float64Type, i, v, {
            out[i] = Some(decimal_from_f64(v, scale).ok_or_else(|| t.out_of_range(i, v))?);
        }),
        DataType::Utf8 => {
            for (i, cell) in values.as_string::<i32>().iter().enumerate() {
                if let Some(text) = cell {
                    let (n, s) = parse_decimal(text.trim()).ok_or_else(|| t.incorrect(i, text))?;
                    out[i] = Some(rescale(n, s, scale).ok_or_else(|| t.out_of_range(i, text))?);
                }
            }
        }
        _ => {
            for (i, cell) in integer_values(values, t)?.into_iter().enumerate() {
                if let Some(n) = cell {
                    out[i] = Some(rescale(n, 0, scale).ok_or_else(|| t.out_of_range(i, n))?);
                }
            }
        }
    }
    for (i, cell) in out.iter().enumerate() {
        if let Some(v) = cell
            && (*v >= limit || *v <= -limit)
        {
            return Err(t.out_of_range(i, format::decimal_text(*v, scale)));
        }
    }
    let array = Decimal128Array::from(out).with_precision_and_scale(precision, scale).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Arc::new(array))
}

/// Brings an unscaled decimal from one scale to another, rounding half away from zero. None on overflow.
pub fn rescale(value: i128, from: i8, to: i8) -> Option<i128> {
    if to >= from {
        return value.checked_mul(10i128.checked_pow(u32::from((to - from).unsigned_abs()))?);
    }
    let Some(unit) = 10i128.checked_pow((i32::from(from) - i32::from(to)) as u32) else { return Some(0) };
    let (quotient, rest) = (value / unit, value % unit);
    Some(if rest.abs() >= unit - rest.abs() { quotient + value.signum() } else { quotient })
}

/// The double nearest to a decimal. Arrow's cast rounds the digits and then a quotient, and may end beside it.
pub fn double_of_decimal(unscaled: i128, scale: i8) -> f64 {
    // Doubles hold both exactly, so that the quotient is rounded once.
    const EXACT: u128 = 1 << 53;
    if unscaled.unsigned_abs() <= EXACT && (0..=22).contains(&scale) {
        return unscaled as f64 / 10f64.powi(i32::from(scale));
    }
    format!("{unscaled}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

/// The single nearest to a decimal.
pub fn real_of_decimal(unscaled: i128, scale: i8) -> f32 {
    format!("{unscaled}e{}", -i32::from(scale)).parse().unwrap_or(f32::NAN)
}

/// [`double_of_decimal`] of an array of decimals.
pub fn doubles_of_decimals(values: &ArrayRef) -> datafusion::arrow::array::Float64Array {
    let decimals = values.as_primitive::<Decimal128Type>();
    let scale = decimals.scale();
    decimals.unary(|v| double_of_decimal(v, scale))
}

/// The decimal nearest to what the double prints as, at this scale.
pub fn decimal_from_f64(value: f64, scale: i8) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    let (n, s) = parse_decimal(&value.to_string())?;
    rescale(n, s, scale)
}

/// Reads `[+-]digits[.digits][e[+-]digits]`: (unscaled, scale). Digits beyond the 38th are rounded away when they are
/// fractional; None when it is not a number or too large.
pub fn parse_decimal(text: &str) -> Option<(i128, i8)> {
    let bytes = text.as_bytes();
    let (negative, mut at) = match bytes.first()? {
        b'-' => (true, 1),
        b'+' => (false, 1),
        _ => (false, 0),
    };
    const MOST: i128 = 10i128.pow(37);
    let (mut value, mut scale, mut digits, mut dot, mut round) = (0i128, 0i32, 0usize, false, None);
    while let Some(b) = bytes.get(at) {
        match b {
            b'0'..=b'9' => {
                digits += 1;
                let digit = i128::from(b - b'0');
                if value < MOST {
                    value = value * 10 + digit;
                    scale += i32::from(dot);
                } else if !dot {
                    return None;
                } else if round.is_none() {
                    round = Some(digit >= 5);
                }
            }
            b'.' if !dot => dot = true,
            _ => break,
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    value += i128::from(round == Some(true));
    if let Some(b'e' | b'E') = bytes.get(at) {
        let power: i32 = std::str::from_utf8(&bytes[at + 1..]).ok()?.parse().ok()?;
        scale = scale.checked_sub(power)?;
    } else if at != bytes.len() {
        return None;
    }
    let value = if negative { -value } else { value };
    match scale {
        0..=127 => Some((value, scale as i8)),
        128.. => Some((0, 0)),
        _ => Some((value.checked_mul(10i128.checked_pow(scale.unsigned_abs())?)?, 0)),
    }
}

/// The number at the beginning of a text, as MySQL takes it in an expression: `12abc` is 12, `abc` is 0.
pub fn parse_integer_prefix(text: &str) -> &str {
    let text = text.trim_start();
    let bytes = text.as_bytes();
    let mut end = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let (mut dot, mut digits) = (false, false);
    while let Some(b) = bytes.get(end) {
        match b {
            b'0'..=b'9' => digits = true,
            b'.' if !dot => dot = true,
            b'e' | b'E' if digits => {
                let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
                let power = bytes[end + 1 + sign..].iter().take_while(|b| b.is_ascii_digit()).count();
                return &text[..if power > 0 { end + 1 + sign + power } else { end }];
            }
            _ => break,
        }
        end += 1;
    }
    if digits { &text[..end] } else { "0" }
}
