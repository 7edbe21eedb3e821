//! Whole rows of a table from the columns that someone gave: values read into their types, defaults for the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::scalar::ScalarValue;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::coerce::{coerce, default_value};
use super::{Column, Default, Family, SqlType};
use crate::error::{Error, Kind, Result};

/// Makes `rows` whole rows: `given` holds arrays by column index, of the column's type or anything that can be read
/// into it. `first` is the number of rows before these, for messages.
pub fn whole_rows(
    columns: &[Column],
    given: &BTreeMap<usize, ArrayRef>,
    rows: usize,
    first: u64,
    family: Family,
    zone: &TimeZone,
) -> Result<RecordBatch> {
    let mut arrays = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        arrays.push(match given.get(&index) {
            Some(values) => coerce(values, column, family, zone, first)?,
            None if matches!(column.default, Some(Default::Uuid)) => {
                one_array((0..rows).map(|_| default_or_error(column, family, zone)).collect::<Result<_>>()?)?
            }
            None => default_or_error(column, family, zone)?.to_array_of_size(rows).map_err(|e| Error::internal(e.to_string()))?,
        });
    }
    batch_of(columns, arrays, rows)
}

/// A batch of a table's columns.
pub fn batch_of(columns: &[Column], arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let fields: Vec<_> = columns.iter().map(|c| c.field("", "")).collect();
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &RecordBatchOptions::new().with_row_count(Some(rows)))
        .map_err(|e| Error::internal(format!("rows do not fit their table: {e}")))
}

/// A column's default; without one NULL, or the error when it may not be NULL.
pub fn default_or_error(column: &Column, family: Family, zone: &TimeZone) -> Result<ScalarValue> {
    if column.default.is_none() && !column.nullable {
        return Err(no_default(column, family));
    }
    default_value(column, now_for(column, family), zone)
}

/// MySQL's CURRENT_TIMESTAMP has the digits of its column, the rest cut off; PostgreSQL rounds.
fn now_for(column: &Column, family: Family) -> Timestamp {
    let now = Timestamp::now();
    match (family, &column.ty) {
        (Family::MySql, SqlType::DateTime { fsp } | SqlType::Timestamp { fsp }) => {
            let unit = 10i64.pow(6 - u32::from((*fsp).min(6)));
            Timestamp::from_microsecond(now.as_microsecond().div_euclid(unit) * unit).unwrap_or(now)
        }
        _ => now,
    }
}

/// The error for a row that leaves out a column without default.
pub fn no_default(column: &Column, family: Family) -> Error {
    match family {
        Family::MySql => Error::new(Kind::NoDefault, format!("Field '{}' doesn't have a default value", column.name)),
        Family::Postgres => Error::new(Kind::NotNull, format!("null value in column \"{}\" violates not-null constraint", column.name)),
    }
}

/// One array of scalars that may differ in type: then as text, or as bytes when one of them is.
pub fn one_array(values: Vec<ScalarValue>) -> Result<ArrayRef> {
    let types: Vec<DataType> = values.iter().filter(|v| !v.is_null()).map(ScalarValue::data_type).collect();
    let first = types.first().cloned().unwrap_or(DataType::Utf8);
    let ty = if types.iter().all(|t| *t == first) {
        first
    } else if types.iter().any(|t| matches!(t, DataType::Binary)) {
        DataType::Binary
    } else {
        DataType::Utf8
    };
    let values = values.into_iter().map(|v| {
        if v.is_null() {
            return ScalarValue::try_from(&ty);
        }
        match (v, &ty) {
            (ScalarValue::Utf8(Some(text)), DataType::Binary) => Ok(ScalarValue::Binary(Some(text.into_bytes()))),
            (v, ty) if v.data_type() == *ty => Ok(v),
            (v, ty) => v.cast_to(ty),
        }
    });
    let values: Vec<ScalarValue> = values.collect::<Result<_, _>>().map_err(|e| Error::new(Kind::InvalidValue, e.to_string()))?;
    ScalarValue::iter_to_array(values).map_err(|e| Error::internal(e.to_string()))
}
