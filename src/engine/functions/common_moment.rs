//! The type in which dates and moments meet.

use datafusion::arrow::datatypes::DataType;

use super::scalar::{CIVIL, zoned};
use crate::types::Family;

/// What becomes of the values: they are compared with each other, or one of them is the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Purpose {
    Comparison,
    Choice,
}

/// The type in which dates and moments meet. None: there are no two kinds of them here, or something else is among them.
pub(in crate::engine) fn common<'t>(types: impl Iterator<Item = &'t DataType>, family: Family, purpose: Purpose) -> Option<DataType> {
    let (mut date, mut civil, mut stamp, mut time, mut text) = (false, false, false, false, false);
    for ty in types {
        match ty {
            DataType::Date32 => date = true,
            DataType::Timestamp(_, None) => civil = true,
            DataType::Timestamp(_, Some(_)) => stamp = true,
            DataType::Time64(_) => time = true,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => text = true,
            DataType::Null => {}
            _ => return None,
        }
    }
    let mysql = family == Family::MySql;
    let kinds = [date, civil, stamp, time].into_iter().filter(|there| *there).count();
    match (kinds, text) {
        (0, _) | (1, false) => None,
        _ if mysql && text && purpose == Purpose::Choice => Some(DataType::Utf8),
        // A lone time of day beside a text stays DataFusion's.
        (1, true) if time => None,
        // PostgreSQL knows no type for a time of day and a date.
        _ if time && !mysql => None,
        _ if stamp && !(mysql && purpose == Purpose::Choice) => Some(zoned()),
        (1, true) if date && !mysql => Some(DataType::Date32),
        _ => Some(CIVIL),
    }
}
