//! OPTIMIZE TABLE: merges small files into well-sized ones. The past keeps reading the old ones until a purge.

use std::sync::Arc;

use futures::TryStreamExt;

use super::scan::TableView;
use super::sink::{FileSink, file_schema};
use super::storage::Cold;
use super::transaction::{Delta, Transaction};
use super::unit::{ParseBudget, Unit};
use crate::error::Result;
use crate::gms::TableId;

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Files merged.
    pub files_before: usize,
    /// Files made of them.
    pub files_after: usize,
    /// Rows in them.
    pub rows: u64,
}

impl Cold {
    /// Merges the small files of a table that are visible now. A write conflict with a running statement is an error of
    /// this statement; nothing is lost, it can be repeated.
    pub async fn compact(&self, table: TableId) -> Result<CompactReport> {
        let now = self.gms.read_now().await?;
        let snapshot = Arc::new(self.gms.snapshot(table, now).await?);
        let place = self.place(&snapshot.table.engine)?;
        let small: Vec<_> = snapshot.files.iter().filter(|f| f.rows < self.settings.small_file_rows).cloned().collect();
        if small.len() < 2 {
            return Ok(CompactReport::default());
        }
        let table = Arc::clone(&snapshot.table);
        let view = TableView { snapshot, staged: None, place };
        let reading = Arc::new(ParseBudget {
            staged_columns: Vec::new(),
            columns: table.columns().to_vec(),
            schema: file_schema(&table),
            table: Arc::clone(&table),
            positions: false,
            filter: None,
            place: view.place.clone(),
            batch_size: 8192,
            limit: None,
        });
        let mut transaction = Transaction::begin(self.clone(), now);
        let task = transaction.task().await?;
        let merged = async {
            let mut delta = Delta::new(Arc::clone(&table));
            let mut sink = FileSink::new(self.clone(), Arc::clone(&table), task)?;
            for file in &small {
                let mut rows = Arc::clone(&reading).read(Unit::File { file: Arc::clone(file), stripes: None }).await?;
                while let Some(batch) = rows.try_next().await? {
                    sink.write(&batch).await?;
                }
                delta.removed.push(file.id);
            }
            let rows = sink.rows();
            delta.files = sink.finish().await?;
            Ok((delta, rows))
        };
        let (delta, rows) = match merged.await {
            Ok(merged) => merged,
            Err(error) => {
                transaction.rollback().await;
                return Err(error);
            }
        };
        let report = CompactReport { files_before: small.len(), files_after: delta.files.len(), rows };
        transaction.apply(delta).await?;
        transaction.commit(None).await?;
        Ok(report)
    }
}
