//! Moments and numbers in MySQL: a DATE is 20220705 as a number, a DATETIME 20220705111213.5, a TIME 111213.5; and a number
//! beside a moment is read as one.
//!
//! How many digits a fraction has is not in Arrow's type. A declared column says it in its field; the planner says it where
//! it knows more ([`number`]).

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::scalar::ScalarValue;

use super::Facts;
use super::scalar::{At, Call, Spec, add as row, civil, declared_digits};
use crate::error::{Error, Result};
use crate::types::coerce::civil::{Civil, DAY, SECOND, days_from_civil, utc_to_civil};
use crate::types::coerce::moment::{mysql_number, mysql_time};
use crate::types::coerce::rescale;

/// Digits of the second that Arrow's moments have.
const ALL: u8 = 6;
/// Digits of a whole DATETIME as a number.
const WHOLE: u8 = 14;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_number", 2..=2, number_type, |c| {
        // A choice among moments and other things is a text, which only its coercion tells.
        if let DataType::Utf8 = c.args[0].data_type() {
            return Ok(Arc::new(c.float(0)?));
        }
        let cells = c.moment_numbers(0)?;
        if let DataType::Decimal128(..) = c.returns {
            return c.decimals(|i| cells[i]);
        }
        c.ints(|i| cells[i].and_then(|v| i64::try_from(v).ok()))
    });
    // A number or a text beside a moment. What is no moment lies before all of them, as MariaDB's zero date does.
    row(out, "fg_moment", 1..=1, civil, |c| {
        if let DataType::Utf8 = c.args[0].data_type() {
            let read = c.civil(0)?;
            return c.civils(|i| c.args[0].is_valid(i).then(|| read.at(i).unwrap_or_else(lowest)));
        }
        let numbers = number_cells(c, 0)?;
        c.civils(|i| numbers[i].map(|(value, scale)| civil_of_number(value, scale).unwrap_or_else(lowest)))
    });
}

/// `fg_number(x, digits)`.
fn number_type(types: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    let digits = match scalars.get(1) {
        Some(Some(ScalarValue::Int64(Some(n)))) => u8::try_from(*n).unwrap_or(ALL).min(ALL),
        _ => ALL,
    };
    Ok(match types.first() {
        Some(DataType::Timestamp(..) | DataType::Time64(_)) if digits > 0 => DataType::Decimal128(WHOLE + digits, digits as i8),
        _ => DataType::Int64,
    })
}

/// What a moment is as a number, when its type says no more: with all digits.
pub(super) fn moment_number_type(ty: &DataType) -> Option<DataType> {
    match ty {
        DataType::Date32 => Some(DataType::Decimal128(8, 0)),
        DataType::Timestamp(..) | DataType::Time64(_) => Some(DataType::Decimal128(WHOLE + ALL, ALL as i8)),
        _ => None,
    }
}

/// The moment before all others.
pub fn lowest() -> i64 {
    days_from_civil(0, 1, 1) * DAY
}

/// An unscaled decimal read as a moment: civil microseconds.
pub fn civil_of_number(value: i128, scale: i8) -> Option<i64> {
    let whole = i64::try_from(truncated(value, scale)?).ok()?;
    let moment = mysql_number(whole).ok()?;
    let fraction = if moment.has_time { fraction_of(value, scale)? } else { 0 };
    Some(moment.civil + fraction)
}

/// An unscaled decimal read as a time: microseconds.
pub fn span_of_number(value: i128, scale: i8) -> Option<i64> {
    let whole = truncated(value, scale)?;
    let span = mysql_time(&whole.abs().to_string()).ok()? + fraction_of(value.abs(), scale)?;
    Some(if value < 0 { -span } else { span })
}

fn truncated(value: i128, scale: i8) -> Option<i128> {
    Some(value / 10i128.checked_pow(u32::try_from(scale).ok()?)?)
}

/// The microseconds after the point.
fn fraction_of(value: i128, scale: i8) -> Option<i64> {
    let unit = 10i128.checked_pow(u32::try_from(scale).ok()?)?;
    i64::try_from(rescale(value % unit, scale, ALL as i8)?).ok()
}

/// Numbers of argument `i` as the moments that the answer holds; what is none is NULL.
pub(super) fn moments_of_numbers(c: &Call<'_>, i: usize) -> Result<ArrayRef> {
    let numbers = number_cells(c, i)?;
    // What is no moment is never the greatest.
    let otherwise = || (c.name == "greatest").then(lowest);
    let civil = |r: usize| numbers[r].and_then(|(value, scale)| civil_of_number(value, scale).or_else(otherwise));
    match c.returns {
        DataType::Date32 => c.dates(|r| civil(r).map(|v| v.div_euclid(DAY))),
        DataType::Time64(_) => c.times(|r| numbers[r].and_then(|(value, scale)| span_of_number(value, scale))),
        DataType::Timestamp(_, Some(_)) => c.stamps(|r| crate::types::coerce::civil::civil_to_utc(civil(r)?, &c.facts.zone)),
        _ => c.civils(civil),
    }
}

/// Any number as (unscaled value, scale).
fn number_cells(c: &Call<'_>, i: usize) -> Result<Vec<Option<(i128, i8)>>> {
    let array = &c.args[i];
    Ok(match array.data_type() {
        DataType::Decimal128(_, s) => array.as_primitive::<Decimal128Type>().iter().map(|v| v.map(|v| (v, *s))).collect(),
        DataType::Float32 | DataType::Float64 => {
            let v = c.float(i)?;
            (0..c.rows).map(|r| v.at(r).map(|v| crate::types::coerce::parse_decimal(&v.to_string()).unwrap_or((-1, 0)))).collect()
        }
        DataType::UInt64 => array.as_primitive::<UInt64Type>().iter().map(|v| v.map(|v| (i128::from(v), 0))).collect(),
        _ => c.int(i)?.iter().map(|v| v.map(|v| (i128::from(v), 0))).collect(),
    })
}

/// 20220705 of civil microseconds.
fn date_number(civil: i64) -> i128 {
    let c = Civil::from_micros(civil);
    i128::from(c.year) * 10_000 + i128::from(c.month) * 100 + i128::from(c.day)
}

/// 131415 of microseconds of a day or a span, as microseconds of that number.
fn clock_number(micros: i64) -> i128 {
    let (seconds, rest) = (micros.abs() / SECOND, micros.abs() % SECOND);
    let clock = i128::from(seconds / 3600) * 10_000 + i128::from(seconds / 60 % 60) * 100 + i128::from(seconds % 60);
    let number = clock * i128::from(SECOND) + i128::from(rest);
    if micros < 0 { -number } else { number }
}

impl Call<'_> {
    /// Moments of argument `i` as numbers in the scale of the answer.
    pub(super) fn moment_numbers(&self, i: usize) -> Result<Vec<Option<i128>>> {
        let scale = if let DataType::Decimal128(_, scale) = self.returns { *scale } else { 0 };
        let cells = self.moments_in_micros(i)?;
        Ok(cells.into_iter().map(|cell| cell.and_then(|v| rescale(v, ALL as i8, scale))).collect())
    }

    /// Moments of argument `i` as millionths of their number.
    pub(super) fn moments_in_micros(&self, i: usize) -> Result<Vec<Option<i128>>> {
        coerce_moments(&self.args[i], self.facts)
    }
}

/// Moments as millionths of the number that each is.
fn coerce_moments(moments: &ArrayRef, facts: &Facts) -> Result<Vec<Option<i128>>> {
    let million = i128::from(SECOND);
    let of_civil = |v: i64| date_number(v) * 1_000_000 * million + clock_number(v.rem_euclid(DAY));
    Ok(match moments.data_type() {
        DataType::Null => vec![None; moments.len()],
        DataType::Time64(_) => moments.as_primitive::<Time64MicrosecondType>().iter().map(|v| v.map(clock_number)).collect(),
        DataType::Date32 => {
            moments.as_primitive::<Date32Type>().iter().map(|v| v.map(|v| date_number(i64::from(v) * DAY) * million)).collect()
        }
        DataType::Timestamp(_, None) => moments.as_primitive::<TimestampMicrosecondType>().iter().map(|v| v.map(of_civil)).collect(),
        DataType::Timestamp(_, Some(_)) => {
            moments.as_primitive::<TimestampMicrosecondType>().iter().map(|v| v.map(|v| of_civil(utc_to_civil(v, &facts.zone)))).collect()
        }
        other => return Err(Error::internal(format!("{other} is no moment"))),
    })
}

/// A literal number beside a moment of type `ty`: what it is to be compared as.
pub fn read_number(value: i128, scale: i8, ty: &DataType, zone: &jiff::tz::TimeZone) -> ScalarValue {
    let civil = civil_of_number(value, scale).unwrap_or_else(lowest);
    match ty {
        DataType::Timestamp(_, Some(_)) => {
            let utc = crate::types::coerce::civil::civil_to_utc(civil, zone).unwrap_or(civil);
            ScalarValue::TimestampMicrosecond(Some(utc), Some(crate::types::UTC.into()))
        }
        DataType::Date32 if civil.rem_euclid(DAY) == 0 => ScalarValue::Date32(i32::try_from(civil.div_euclid(DAY)).ok()),
        DataType::Time64(_) => ScalarValue::Time64Microsecond(Some(span_of_number(value, scale).unwrap_or(0))),
        _ => ScalarValue::TimestampMicrosecond(Some(civil), None),
    }
}

/// The type of the number that a field of moments stands for.
pub(super) fn number_of_field(field: &Field) -> Option<DataType> {
    let all = moment_number_type(field.data_type())?;
    Some(match declared_digits(field) {
        Some(digits) => DataType::Decimal128(WHOLE + digits, digits as i8),
        None => all,
    })
}

/// Moments as numbers of that type.
pub(super) fn as_numbers(moments: &ArrayRef, ty: &DataType, facts: &Facts) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = *ty else { return Err(Error::internal(format!("{ty} of moments"))) };
    coerce_moments(moments, facts)?
        .into_iter()
        .map(|cell| cell.and_then(|v| rescale(v, ALL as i8, scale)))
        .collect::<Decimal128Array>()
        .with_precision_and_scale(precision, scale)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|e| Error::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_moment_that_its_digits_say() {
        let civil = |value, scale| civil_of_number(value, scale).map(|v| crate::types::coerce::format::civil_text(v, 6));
        assert_eq!(civil(20_220_705, 0).as_deref(), Some("2022-07-05 00:00:00.000000"));
        assert_eq!(civil(202_207_051_112_135, 1).as_deref(), Some("2022-07-05 11:12:13.500000"));
        assert_eq!(civil(202_207_055, 1).as_deref(), Some("2022-07-05 00:00:00.000000"));
        assert_eq!((civil(20_221_399, 0), civil(5, 0), civil(-1, 0)), (None, None, None));
        assert_eq!(span_of_number(30_405_123, 3), Some((3 * 3600 + 4 * 60 + 5) * SECOND + 123_000));
    }
}
