//! The fetched rows of a hot table: in memory while there is plenty, then in files.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, SpillFile};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::future::ready;
use futures::{StreamExt, TryStreamExt, stream};

/// What goes to a file at once, by the engine's memory; and its bounds in bytes.
const SHARE_OF_FILE: usize = 64;
const FILE_BYTES: std::ops::RangeInclusive<usize> = 1 << 20..=64 << 20;

/// FetchedRows that are being fetched.
pub(super) struct RowBuffer {
    rows: FetchedRows,
    /// Bytes of memory of the whole engine.
    limit: usize,
    pool: Arc<dyn MemoryPool>,
    /// The rows of the next file.
    waiting: Vec<RecordBatch>,
    waiting_bytes: usize,
}

/// FetchedRows that are all there: those in memory came before those in the files.
pub(super) struct FetchedRows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    memory: MemoryReservation,
    spill: SpillManager,
    files: Vec<Arc<dyn SpillFile>>,
}

impl RowBuffer {
    pub fn new(schema: &SchemaRef, runtime: &Arc<RuntimeEnv>) -> RowBuffer {
        let pool = Arc::clone(&runtime.memory_pool);
        let memory = MemoryConsumer::new("hot rows").register(&pool);
        let spill = SpillManager::new(Arc::clone(runtime), SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0), Arc::clone(schema));
        let rows = FetchedRows { schema: Arc::clone(schema), batches: Vec::new(), memory, spill, files: Vec::new() };
        let limit = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => limit,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        RowBuffer { rows, limit, pool, waiting: Vec::new(), waiting_bytes: 0 }
    }

    /// Takes the next rows.
    pub fn push(&mut self, batch: RecordBatch) -> DfResult<()> {
        let size = batch.get_array_memory_size();
        // What the rows are wanted for needs memory, too.
        let room = self.rows.files.is_empty() && self.waiting.is_empty() && self.pool.reserved().saturating_add(size) <= self.limit / 2;
        if room && self.rows.memory.try_grow(size).is_ok() {
            self.rows.batches.push(batch);
            return Ok(());
        }
        self.waiting.push(batch);
        self.waiting_bytes += size;
        if self.waiting_bytes >= (self.limit / SHARE_OF_FILE).clamp(*FILE_BYTES.start(), *FILE_BYTES.end()) {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> DfResult<()> {
        let file = self.rows.spill.spill_record_batch_and_finish(&self.waiting, "rows of a hot table")?;
        self.rows.files.extend(file);
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    pub fn finish(mut self) -> DfResult<FetchedRows> {
        if !self.waiting.is_empty() {
            self.spill()?;
        }
        Ok(self.rows)
    }
}

impl FetchedRows {
    /// The rows, from the first.
    pub fn stream(self: &Arc<Self>) -> SendableRecordBatchStream {
        let (kept, spilled) = (Arc::clone(self), Arc::clone(self));
        let kept = stream::iter((0..self.batches.len()).map(move |index| Ok(kept.batches[index].clone())));
        let spilled = stream::iter((0..self.files.len()).map(Ok))
            .and_then(move |index| ready(spilled.spill.read_spill_as_stream(Arc::clone(&spilled.files[index]), None)))
            .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), kept.chain(spilled)))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray, Int64Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::execution::memory_pool::FairSpillPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;

    use super::*;

    #[tokio::test]
    async fn what_memory_does_not_hold_is_in_files_and_all_of_it_comes_back_in_order_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let pool = Arc::new(FairSpillPool::new(1 << 20));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).with_temp_file_path(directory.path()).build_arc().unwrap();
        let fields = vec![Field::new("id", DataType::Int64, true), Field::new("pad", DataType::Utf8, true)];
        let schema = Arc::new(Schema::new(fields));
        let batch = |at: i64| {
            let pads = StringArray::from_iter((0..1000).map(|n| (n % 3 > 0).then(|| "x".repeat(100))));
            let ids = Int64Array::from_iter_values(at * 1000..(at + 1) * 1000);
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids), Arc::new(pads)]).unwrap()
        };
        let mut fetching = RowBuffer::new(&schema, &runtime);
        for at in 0..40 {
            fetching.push(batch(at)).unwrap();
        }
        let rows = Arc::new(fetching.finish().unwrap());
        assert!(rows.files.len() > 1 && !rows.batches.is_empty());
        assert!(runtime.memory_pool.reserved() <= 1 << 19);
        for _ in 0..2 {
            let batches: Vec<RecordBatch> = rows.stream().try_collect().await.unwrap();
            let ids = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
            assert!(ids.eq(0..40_000));
            assert_eq!(batches.iter().map(|batch| batch.column(1).null_count()).sum::<usize>(), 40 * 334);
        }
        drop(rows);
        assert_eq!(runtime.memory_pool.reserved(), 0);
    }
}
