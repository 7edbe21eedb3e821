//! A small result set in the making: labelled, typed columns and rows of cells.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;

use super::context::Shown;
use crate::engine::catalog::{Cell, Layout};
use crate::error::Result;
use crate::types::{ColumnInfo, fold, like};

pub(super) struct Grid {
    labels: Vec<String>,
    layout: Layout,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// From `label:type` pairs, comma separated; the types are those of [`Layout`]. Every column may be NULL.
    pub(super) fn new(columns: &str) -> Grid {
        let pairs: Vec<(&str, &str)> = columns.split(',').map(|c| c.rsplit_once(':').unwrap_or((c, "text"))).collect();
        Grid { labels: pairs.iter().map(|(l, _)| (*l).to_owned()).collect(), layout: Layout::nullable(&pairs), rows: Vec::new() }
    }

    /// Labels that depend on the statement: `Tables_in_shop (o%)`.
    pub(super) fn relabel(mut self, column: usize, label: String) -> Grid {
        self.labels[column] = label;
        self
    }

    pub(super) fn push<const N: usize>(&mut self, row: [Cell; N]) {
        self.rows.push(row.into());
    }

    pub(super) fn row<const N: usize>(mut self, row: [Cell; N]) -> Grid {
        self.push(row);
        self
    }

    /// Sorts by the first column, without case.
    pub(super) fn sorted(mut self) -> Grid {
        self.rows.sort_by_cached_key(|r| if let Some(Cell::Text(t)) = r.first() { fold(t) } else { String::new() });
        self
    }

    /// Keeps the rows whose first column matches.
    pub(super) fn like(&mut self, pattern: &str) {
        self.rows.retain(|r| matches!(r.first(), Some(Cell::Text(text)) if like(text, pattern)));
    }

    /// The result set.
    pub(super) fn finish(self) -> Result<Shown> {
        let mut rows = self.layout.rows();
        for row in self.rows {
            rows.push_all(row);
        }
        let batch = rows.finish()?;
        let columns: Vec<ColumnInfo> =
            self.labels.iter().zip(&self.layout.columns).map(|(label, (_, ty))| ColumnInfo::new(label.as_str(), ty.clone())).collect();
        // The columns' own labels: those of the layout are folded.
        let schema = Arc::new(Schema::new(columns.iter().map(ColumnInfo::field).collect::<Vec<_>>()));
        let options = datafusion::arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)
            .map_err(|e| crate::error::Error::internal(e.to_string()))?;
        Ok(Shown { columns, batch })
    }
}
