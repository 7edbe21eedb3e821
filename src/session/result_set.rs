//! Result sets that are made here rather than by the engine.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt64Array};
use datafusion::arrow::datatypes::Schema;
use futures::StreamExt;

use super::{Reply, Rows};
use crate::error::{Error, Result};
use crate::types::{ColumnInfo, SqlType};

/// One column with its values.
pub(super) struct Made {
    info: ColumnInfo,
    values: ArrayRef,
}

/// A column of text.
pub(super) fn text<S: Into<String>>(label: &str, values: impl IntoIterator<Item = Option<S>>) -> Made {
    let values: StringArray = values.into_iter().map(|v| v.map(Into::into)).collect();
    Made { info: ColumnInfo::new(label, SqlType::VarChar { length: 1024 }), values: Arc::new(values) }
}

/// A column of one JSON document.
pub(super) fn json(info: ColumnInfo, document: String) -> Made {
    Made { info, values: Arc::new(StringArray::from(vec![document])) }
}

/// A column of unsigned numbers.
pub(super) fn number(label: &str, values: impl IntoIterator<Item = Option<u64>>) -> Made {
    let values: UInt64Array = values.into_iter().collect();
    Made { info: ColumnInfo::new(label, SqlType::Int64 { unsigned: true }), values: Arc::new(values) }
}

/// A column of signed numbers.
pub(super) fn signed(label: &str, values: impl IntoIterator<Item = Option<i64>>) -> Made {
    let values: Int64Array = values.into_iter().collect();
    Made { info: ColumnInfo::new(label, SqlType::Int64 { unsigned: false }), values: Arc::new(values) }
}

/// A result set of these columns.
pub(super) fn reply(verb: &'static str, columns: Vec<Made>) -> Result<Reply> {
    let infos: Vec<ColumnInfo> = columns.iter().map(|c| c.info.clone()).collect();
    let rows = columns.first().map_or(0, |c| c.values.len());
    let schema = Arc::new(Schema::new(infos.iter().map(ColumnInfo::field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|c| c.values).collect();
    let batch = RecordBatch::try_new_with_options(schema, arrays, &RecordBatchOptions::new().with_row_count(Some(rows)))
        .map_err(|e| Error::internal(format!("a made result does not fit: {e}")))?;
    Ok(batch_reply(verb, infos, batch))
}

/// A result set of one batch.
pub(super) fn batch_reply(verb: &'static str, columns: Vec<ColumnInfo>, batch: RecordBatch) -> Reply {
    let batches = futures::stream::once(async { Ok(batch) }).boxed();
    Reply::Rows(Rows { columns: columns.into(), batches, verb })
}
