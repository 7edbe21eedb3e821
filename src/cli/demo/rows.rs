//! The demo's tables: their declarations, and their rows as Arrow arrays.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::Schema;
use jiff::civil;

use super::data::{Customer, Order};
use crate::error::{Error, Result};
use crate::gms::Key;
use crate::types::{Column, SqlType};

/// A row of one of the demo's tables.
pub(super) trait Row: Clone + Send + Sync + 'static {
    /// The table's name.
    const TABLE: &'static str;
    /// Its comment.
    const COMMENT: &'static str;
    /// Its columns.
    fn columns() -> Vec<Column>;
    /// Its declared keys.
    fn keys() -> Vec<Key>;
    /// One array for each column.
    fn arrays(rows: &[Self]) -> Result<Vec<ArrayRef>>;
}

/// Rows as a batch of the table's own types.
pub(super) fn batch<R: Row>(rows: &[R]) -> Result<RecordBatch> {
    let fields: Vec<_> = R::columns().iter().map(|c| c.field("", R::TABLE)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), R::arrays(rows)?).map_err(|e| Error::internal(format!("the demo's rows: {e}")))
}

impl Row for Order {
    const TABLE: &'static str = "oss_orders";
    const COMMENT: &'static str = "Orders of a small shop, with a history from June 2022 on";

    fn columns() -> Vec<Column> {
        declare(
            2,
            [
                ("id", SqlType::Int64 { unsigned: false }),
                ("userId", SqlType::Int64 { unsigned: false }),
                ("item", SqlType::VarChar { length: 100 }),
                ("amount", SqlType::Decimal { precision: 10, scale: 2 }),
                ("status", SqlType::VarChar { length: 20 }),
                ("created", SqlType::DateTime { fsp: 0 }),
            ],
        )
    }

    fn keys() -> Vec<Key> {
        primary("id")
    }

    fn arrays(rows: &[Order]) -> Result<Vec<ArrayRef>> {
        let created = rows.iter().map(|o| micros(o.created)).collect::<Result<Vec<_>>>()?;
        let amount = Decimal128Array::from_iter_values(rows.iter().map(|o| i128::from(o.cents)))
            .with_precision_and_scale(10, 2)
            .map_err(|e| Error::internal(e.to_string()))?;
        Ok(vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|o| o.id))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|o| o.user))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|o| o.item))),
            Arc::new(amount),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|o| o.status))),
            Arc::new(TimestampMicrosecondArray::from(created)),
        ])
    }
}

impl Row for Customer {
    const TABLE: &'static str = "oss_customers";
    const COMMENT: &'static str = "Who ordered";

    fn columns() -> Vec<Column> {
        declare(
            1,
            [
                ("userId", SqlType::Int64 { unsigned: false }),
                ("name", SqlType::VarChar { length: 100 }),
                ("city", SqlType::VarChar { length: 50 }),
                ("since", SqlType::Date),
            ],
        )
    }

    fn keys() -> Vec<Key> {
        primary("userId")
    }

    fn arrays(rows: &[Customer]) -> Result<Vec<ArrayRef>> {
        let since = rows.iter().map(|c| days(c.since)).collect::<Result<Vec<_>>>()?;
        Ok(vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|c| c.user))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|c| c.name))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|c| c.city))),
            Arc::new(Date32Array::from(since)),
        ])
    }
}

/// Columns with ids from 1; the first `filled` may not be NULL.
fn declare<const N: usize>(filled: u32, columns: [(&str, SqlType); N]) -> Vec<Column> {
    (1..)
        .zip(columns)
        .map(|(id, (name, ty))| Column { id, name: name.to_owned(), ty, nullable: id > filled, default: None, comment: String::new() })
        .collect()
}

fn primary(column: &str) -> Vec<Key> {
    vec![Key { name: "PRIMARY".to_owned(), columns: vec![column.to_owned()], unique: true, primary: true }]
}

fn micros(text: &str) -> Result<i64> {
    let at: civil::DateTime = text.parse().map_err(|e| Error::internal(format!("the demo's time {text}: {e}")))?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).map_err(|e| Error::internal(e.to_string()))?;
    Ok(at.timestamp().as_microsecond())
}

fn days(text: &str) -> Result<i32> {
    let micros = micros(&format!("{text} 00:00:00"))?;
    i32::try_from(micros / 86_400_000_000).map_err(|e| Error::internal(e.to_string()))
}
