//! DELETE and UPDATE: files are never changed, so a file that loses rows is replaced by one without them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch, UInt64Array};
use datafusion::arrow::compute::filter_record_batch;
use futures::TryStreamExt;

use super::scan::TableView;
use super::sink::{FileSink, file_schema};
use super::storage::Cold;
use super::transaction::Delta;
use super::unit::{MEMORY_FILE, ParseBudget, Unit};
use crate::error::{Error, Result};
use crate::gms::{FileId, TaskId};

/// Which rows a statement hit: per file, a bit for each row.
#[derive(Debug, Default)]
pub struct Hits {
    files: BTreeMap<u64, Bits>,
    count: u64,
}

#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Sets a bit; was it clear before?
    fn set(&mut self, row: u64) -> bool {
        let (word, bit) = ((row / 64) as usize, row % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let fresh = self.0[word] & (1 << bit) == 0;
        self.0[word] |= 1 << bit;
        fresh
    }

    fn get(&self, row: u64) -> bool {
        self.0.get((row / 64) as usize).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }
}

impl Hits {
    /// Adds the rows at these positions and says which of them are new (a join may hit a row twice).
    pub fn add(&mut self, files: &UInt64Array, rows: &UInt64Array) -> BooleanArray {
        let fresh: BooleanArray =
            files.values().iter().zip(rows.values()).map(|(file, row)| Some(self.files.entry(*file).or_default().set(*row))).collect();
        self.count += fresh.true_count() as u64;
        fresh
    }

    /// Rows hit.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Is nothing hit?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Cold {
    /// Takes the hit rows out of `view`: each file that loses rows is replaced by one with the rest.
    pub async fn remove_rows(&self, view: &TableView, hits: &Hits, task: TaskId, delta: &mut Delta) -> Result<()> {
        let table = Arc::clone(&view.snapshot.table);
        let columns = table.columns().to_vec();
        let reading = Arc::new(ParseBudget {
            staged_columns: (0..columns.len()).collect(),
            columns,
            schema: file_schema(&table),
            table: Arc::clone(&table),
            positions: false,
            filter: None,
            place: view.place.clone(),
            batch_size: 8192,
            limit: None,
        });
        let files = view.files();
        let mut sink = FileSink::new(self.clone(), Arc::clone(&table), task)?;
        for (file, bits) in &hits.files {
            if *file == MEMORY_FILE {
                continue;
            }
            let version = files
                .iter()
                .find(|f| f.id == FileId(*file))
                .ok_or_else(|| Error::internal(format!("file version {file} vanished from the snapshot of {}", table.name)))?;
            delta.removed.push(version.id);
            let mut rows = Arc::clone(&reading).read(Unit::File { file: Arc::clone(version), stripes: None }).await?;
            let mut first = 0;
            while let Some(batch) = rows.try_next().await? {
                let next = first + batch.num_rows() as u64;
                let kept = without(&batch, bits, first)?;
                first = next;
                if kept.num_rows() > 0 {
                    sink.write(&kept).await?;
                }
            }
        }
        delta.files.extend(sink.finish().await?);
        if let (Some(bits), Some(staged)) = (hits.files.get(&MEMORY_FILE), &view.staged) {
            delta.replaces_memory = true;
            let mut first = 0;
            let mut kept = Vec::with_capacity(staged.batches.len());
            for batch in &staged.batches {
                kept.push(without(batch, bits, first)?);
                first += batch.num_rows() as u64;
            }
            kept.append(&mut delta.batches);
            delta.batches = kept;
        }
        Ok(())
    }
}

/// The rows of `batch`, whose first row has number `first`, that are not set in `bits`.
fn without(batch: &RecordBatch, bits: &Bits, first: u64) -> Result<RecordBatch> {
    let mut keep = BooleanBufferBuilder::new(batch.num_rows());
    for row in 0..batch.num_rows() as u64 {
        keep.append(!bits.get(first + row));
    }
    filter_record_batch(batch, &BooleanArray::new(keep.finish(), None)).map_err(|e| Error::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_hit_twice_counts_once() {
        let mut hits = Hits::default();
        let fresh = hits.add(&vec![1, 1, 2, 1].into(), &vec![70, 3, 70, 70].into());
        assert_eq!(fresh, BooleanArray::from(vec![true, true, true, false]));
        assert_eq!(hits.count(), 3);
        assert!(hits.files[&1].get(70) && !hits.files[&1].get(69) && !hits.files[&2].get(100_000));
    }
}
