//! One piece of a scan: a file (or some of its stripes), or rows that a transaction has staged in memory.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array, new_null_array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::storage::OpenedStorage;
use crate::error::{Error, Result};
use crate::gms::{FileVersion, Table};
use crate::orc::{OrcFile, ScanColumn, ScanRequest};
use crate::types::{Column, fold};

/// What one partition reads, piece by piece.
#[derive(Debug, Clone)]
pub enum Unit {
    /// A file, whole or by stripes.
    File { file: Arc<FileVersion>, stripes: Option<Range<usize>> },
    /// Rows staged in memory; the first row's position among all staged rows.
    Memory { batch: RecordBatch, first_row: u64 },
}

/// The pseudo file id of rows staged in memory.
pub const MEMORY_FILE: u64 = u64::MAX;

/// How to read units: shared by all partitions of a scan.
#[derive(Debug, Clone)]
pub struct ParseBudget {
    /// The table as of the snapshot.
    pub table: Arc<Table>,
    /// The table's columns that are wanted, in output order.
    pub columns: Vec<Column>,
    /// Positions of `columns` within a staged batch.
    pub staged_columns: Vec<usize>,
    /// The output: `columns`, then the file id and the row number when `positions`.
    pub schema: SchemaRef,
    /// Adds the two position columns; turns row group pruning off.
    pub positions: bool,
    /// Over `columns`, for pruning within files.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// Where the files lie.
    pub place: OpenedStorage,
    /// Rows a batch.
    pub batch_size: usize,
    /// Stop early after about this many rows.
    pub limit: Option<usize>,
}

impl ParseBudget {
    /// Opens a file of the snapshot (its tail is cached).
    pub async fn open(&self, file: &FileVersion) -> Result<OrcFile> {
        OrcFile::open(Arc::clone(&self.place.store), &self.place.path(&file.path), Some(file.bytes)).await
    }

    /// Streams one unit.
    pub async fn read(self: Arc<Self>, unit: Unit) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        match unit {
            Unit::Memory { batch, first_row } => {
                let rows = batch.num_rows();
                let columns = self.staged_columns.iter().map(|i| Arc::clone(batch.column(*i))).collect();
                let batch = self.finish(columns, rows, MEMORY_FILE, first_row)?;
                Ok(futures::stream::once(async { Ok(batch) }).boxed())
            }
            Unit::File { file, stripes } => self.read_file(file, stripes).await,
        }
    }

    async fn read_file(
        self: Arc<Self>,
        file: Arc<FileVersion>,
        stripes: Option<Range<usize>>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let orc = self.open(&file).await?;
        let sources = self.sources(&file, &orc);
        let columns: Vec<ScanColumn> = sources
            .iter()
            .zip(&self.columns)
            .filter_map(|(source, column)| source.as_ref().map(|name| ScanColumn { name: name.clone(), want: column.ty.arrow() }))
            .collect();
        // A predicate over a column that the file lacks cannot be judged by the file's own ranges.
        let whole = sources.iter().all(Option::is_some);
        let filter = if self.positions || !whole { None } else { self.filter.clone() };
        let request =
            ScanRequest { columns, filter, stripes, batch_size: self.batch_size, limit: if self.positions { None } else { self.limit } };
        let mut row = 0u64;
        let stream = orc.scan(request).and_then(move |batch| {
            let first = row;
            row += batch.num_rows() as u64;
            let outcome = self.arrange(&file, &sources, batch, first);
            async move { outcome }
        });
        Ok(stream.boxed())
    }

    /// For each wanted column, the name of the file's column that holds it; None when the column is younger than the file.
    fn sources(&self, file: &FileVersion, orc: &OrcFile) -> Vec<Option<String>> {
        let then = self.table.columns_at(file.schema_ts);
        let schema = orc.schema();
        self.columns
            .iter()
            .map(|column| {
                let stored = then.iter().find(|c| c.id == column.id)?;
                schema.fields().iter().map(|f| f.name()).find(|name| *name == &stored.name || fold(name) == fold(&stored.name)).cloned()
            })
            .collect()
    }

    /// Puts the file's columns in their places and fills those that the file lacks.
    fn arrange(&self, file: &FileVersion, sources: &[Option<String>], batch: RecordBatch, first_row: u64) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut from_file = batch.columns().iter();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len() + 2);
        for (source, column) in sources.iter().zip(&self.columns) {
            columns.push(match source {
                Some(_) => from_file.next().cloned().ok_or_else(|| Error::internal("a scan returned too few columns"))?,
                None => missing_column(column, rows)?,
            });
        }
        self.finish(columns, rows, file.id.0, first_row)
    }

    fn finish(&self, mut columns: Vec<ArrayRef>, rows: usize, file: u64, first_row: u64) -> Result<RecordBatch> {
        if self.positions {
            columns.push(Arc::new(UInt64Array::from_value(file, rows)));
            columns.push(Arc::new(UInt64Array::from_iter_values(first_row..first_row + rows as u64)));
        }
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &RecordBatchOptions::new().with_row_count(Some(rows)))
            .map_err(|e| Error::internal(format!("a scanned batch does not fit the table: {e}")))
    }
}

/// A column that was added after the file was written: its default, or NULL.
fn missing_column(column: &Column, rows: usize) -> Result<ArrayRef> {
    use crate::types::Default;
    match &column.default {
        Some(Default::Value(text)) => {
            let text: ArrayRef = Arc::new(datafusion::arrow::array::StringArray::from(vec![text.as_str()]));
            let one = crate::types::coerce::coerce(&text, column, crate::types::Family::MySql, &jiff::tz::TimeZone::UTC, 0)?;
            let indices = UInt64Array::from_value(0, rows);
            datafusion::arrow::compute::take(&one, &indices, None).map_err(|e| Error::internal(e.to_string()))
        }
        _ => Ok(new_null_array(&column.ty.arrow(), rows)),
    }
}
