//! Turning values into exactly what a column holds: its Arrow type, its range, its length, its rules.
//!
//! Used where rows come in (INSERT, UPDATE, COPY, LOAD DATA, defaults) and for the casts of both dialects. Works on
//! whole arrays. Reads no tables and knows no statement: an error names the column and the row, in the words of the
//! session's dialect.

mod binary;
mod check;
pub mod civil;
pub mod format;
pub mod moment;
mod moment_pg;
mod number;
mod plain;
mod target;
mod temporal;
mod text;

pub use binary::unescaped_bytes;
pub use check::check;
pub use number::{decimal_from_f64, doubles_of_decimals, parse_decimal, parse_integer_prefix, real_of_decimal, rescale};
pub use plain::plain;
pub use target::Family;
pub use text::{output_text, text_of};

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringArray, UInt64Array, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Column, Default, SqlType};
use crate::error::{Error, Kind, Result};
use target::Target;

/// Turns `values` into an array of exactly `column.ty.arrow()`, enforcing the column's rules.
///
/// `values` is text as the client wrote it, or any typed array from a query. `zone` is the session's: text and moments
/// without zone are read in it. Row numbers in errors are 1-based and begin after `row_offset`.
pub fn coerce(values: &ArrayRef, column: &Column, dialect: Family, zone: &TimeZone, row_offset: u64) -> Result<ArrayRef> {
    let target = Target { name: &column.name, ty: &column.ty, family: dialect, zone, row_offset };
    if !column.nullable && values.logical_null_count() > 0 {
        return Err(target.null());
    }
    convert(values, &target)
}

/// The cast of a value to a type: [`coerce`] without a column. NULLs stay NULL.
pub fn cast_to(values: &ArrayRef, ty: &SqlType, dialect: Family, zone: &TimeZone) -> Result<ArrayRef> {
    convert(values, &Target { name: "?column?", ty, family: dialect, zone, row_offset: 0 })
}

fn convert(values: &ArrayRef, target: &Target<'_>) -> Result<ArrayRef> {
    let arrow = target.ty.arrow();
    if values.data_type() == &DataType::Null || values.null_count() == values.len() {
        return Ok(new_null_array(&arrow, values.len()));
    }
    let values = &plain(values)?;
    match target.ty {
        SqlType::Bool => number::booleans(values, target),
        SqlType::Int8 { .. }
        | SqlType::Int16 { .. }
        | SqlType::Int24 { .. }
        | SqlType::Int32 { .. }
        | SqlType::Int64 { .. }
        | SqlType::Year
        | SqlType::Bit { .. } => number::integers(values, target),
        SqlType::Float32 | SqlType::Float64 => number::floats(values, target),
        SqlType::Decimal { precision, scale } => number::decimals(values, target, *precision, *scale),
        SqlType::Char { .. }
        | SqlType::VarChar { .. }
        | SqlType::Text
        | SqlType::Json
        | SqlType::Enum { .. }
        | SqlType::Set { .. }
        | SqlType::Uuid => text::texts(values, target),
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Blob => binary::binaries(values, target),
        SqlType::Date | SqlType::Time { .. } | SqlType::DateTime { .. } | SqlType::Timestamp { .. } => temporal::temporals(values, target),
        SqlType::Null | SqlType::List(_) | SqlType::Oid | SqlType::Interval if values.data_type() == &arrow => Ok(Arc::clone(values)),
        SqlType::Null | SqlType::List(_) | SqlType::Oid | SqlType::Interval => {
            cast(values, &arrow).map_err(|e| Error::new(Kind::InvalidValue, format!("cannot turn a value into {}: {e}", target.ty)))
        }
    }
}

/// The value that a row gets when its INSERT does not name the column; NULL without a default.
pub fn default_value(column: &Column, now: Timestamp, zone: &TimeZone) -> Result<ScalarValue> {
    let array: ArrayRef = match &column.default {
        None => return ScalarValue::try_from(&column.ty.arrow()).map_err(|e| Error::internal(e.to_string())),
        // Kept as a decimal number, whatever the definition wrote.
        Some(Default::Value(text)) if matches!(column.ty, SqlType::Bit { .. }) && text.parse::<u64>().is_ok() => {
            Arc::new(UInt64Array::from(vec![text.parse::<u64>().ok()]))
        }
        Some(Default::Value(text)) => Arc::new(StringArray::from(vec![text.as_str()])),
        Some(Default::Uuid) => Arc::new(StringArray::from(vec![uuid::Uuid::new_v4().to_string()])),
        Some(Default::Now) | Some(Default::Today) => {
            let utc = now.as_microsecond();
            let utc = if column.default == Some(Default::Today) {
                let day = civil::utc_to_civil(utc, zone).div_euclid(civil::DAY) * civil::DAY;
                civil::civil_to_utc(day, zone).unwrap_or(utc)
            } else {
                utc
            };
            temporal::stamp_array(utc)
        }
    };
    let family = if column.ty.is_binary() { Family::MySql } else { Family::Postgres };
    let value = coerce(&array, column, family, zone, 0).or_else(|_| coerce(&array, column, Family::MySql, zone, 0))?;
    ScalarValue::try_from_array(&value, 0).map_err(|e| Error::internal(e.to_string()))
}

#[cfg(test)]
mod tests;
