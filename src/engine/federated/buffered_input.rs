//! An input whose first rows are read before the plan runs, so that the values of its join keys are known.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::UnKnownColumn;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlanProperties, Partitioning, PlanProperties};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;

use super::join_keys::KeyValues;
use crate::engine::execution::node::{Node, NodeExec, Plan};
use crate::engine::execution::yielding::Yielding;

/// Rows that are read ahead before a hot table is fetched.
const MOST_ROWS: usize = 100_000;
/// The part of the engine's memory that they may take.
const SHARE_OF_MEMORY: usize = 8;

/// `plan` with its first rows read, and the values that `keys` have in it, unless there are too many rows to read.
/// `dealt`: how its rows are partitioned is of no consequence.
pub(super) fn read_ahead<'a>(
    plan: Plan,
    keys: &'a [Arc<dyn PhysicalExpr>],
    context: &'a Arc<TaskContext>,
    dealt: bool,
) -> BoxFuture<'a, DfResult<(Plan, Option<Vec<KeyValues>>)>> {
    async move {
        let deals = plan.downcast_ref::<RepartitionExec>().is_some_and(|node| !node.preserve_order());
        let children = plan.children();
        if let [child] = children[..]
            && (deals || plan.name() == Yielding::NAME)
        {
            let (child, found) = read_ahead(Arc::clone(child), keys, context, dealt || deals).await?;
            return Ok((replace_children_if_necessary(plan, vec![child])?, found));
        }
        let shares = plan.output_partitioning().clone();
        let dealt = dealt || shares.partition_count() == 1;
        let again = match &shares {
            _ if dealt => None,
            _ if plan.output_ordering().is_some() => return Ok((plan, None)),
            Partitioning::Range(_) => return Ok((plan, None)),
            // By a column that a projection has dropped nothing is dealt out again: then it is of no consequence either.
            Partitioning::Hash(by, _) if by.iter().all(|by| by.downcast_ref::<UnKnownColumn>().is_none()) => Some(shares),
            _ => Some(Partitioning::RoundRobinBatch(shares.partition_count())),
        };
        let source: Plan =
            if plan.output_partitioning().partition_count() > 1 { Arc::new(CoalescePartitionsExec::new(plan)) } else { plan };
        let (read, found) = BufferedInput::of(source, keys, context).await?;
        let read: Plan = Arc::new(NodeExec(read));
        Ok(match again {
            Some(shares) => (Arc::new(RepartitionExec::try_new(read, shares)?), found),
            None => (read, found),
        })
    }
    .boxed()
}

/// An input of which the first rows, or all, were read before the plan runs.
struct BufferedInput {
    source: Plan,
    rows: Vec<RecordBatch>,
    /// Taken when it runs: it can be run to its end once.
    rest: Option<Mutex<Option<SendableRecordBatchStream>>>,
    properties: Arc<PlanProperties>,
    memory: Arc<MemoryReservation>,
}

impl BufferedInput {
    async fn of(
        source: Plan,
        keys: &[Arc<dyn PhysicalExpr>],
        context: &Arc<TaskContext>,
    ) -> DfResult<(BufferedInput, Option<Vec<KeyValues>>)> {
        let pool = context.memory_pool();
        let memory = MemoryConsumer::new("partners of hot rows").register(pool);
        let limit = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => limit / SHARE_OF_MEMORY,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        let mut found: Vec<KeyValues> = keys.iter().map(|_| KeyValues::default()).collect();
        let (mut rows, mut count) = (Vec::new(), 0);
        let mut stream = source.execute(0, Arc::clone(context))?;
        let mut whole = true;
        while let Some(batch) = stream.try_next().await? {
            for (key, found) in keys.iter().zip(&mut found) {
                found.add(&key.evaluate(&batch)?.into_array(batch.num_rows())?)?;
            }
            count += batch.num_rows();
            whole = count <= MOST_ROWS && memory.size() < limit && memory.try_grow(batch.get_array_memory_size()).is_ok();
            rows.push(batch);
            if !whole {
                break;
            }
        }
        let rest = (!whole).then(|| Mutex::new(Some(stream)));
        let properties = Arc::clone(source.properties());
        Ok((BufferedInput { source, rows, rest, properties, memory: Arc::new(memory) }, whole.then_some(found)))
    }
}

impl Node for BufferedInput {
    const NAME: &'static str = "Read";

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn inputs(&self) -> Vec<&Plan> {
        vec![&self.source]
    }

    fn with_inputs(node: Arc<NodeExec<BufferedInput>>, _: Vec<Plan>) -> Plan {
        node
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let again = || DataFusionError::Internal("an input that was read ahead for a hot table runs only once".to_owned());
        // The rows outlive the node.
        let memory = Arc::clone(&self.memory);
        let rows = stream::iter(self.rows.clone()).map(move |batch| {
            let _counted = &memory;
            Ok(batch)
        });
        let schema = Arc::clone(self.properties.eq_properties.schema());
        Ok(match &self.rest {
            Some(rest) => Box::pin(RecordBatchStreamAdapter::new(schema, rows.chain(rest.lock().take().ok_or_else(again)?))),
            None => Box::pin(RecordBatchStreamAdapter::new(schema, rows)),
        })
    }

    fn describe(&self) -> String {
        let count: usize = self.rows.iter().map(RecordBatch::num_rows).sum();
        format!("Read: {count} rows before the hot table{}", if self.rest.is_some() { ", and the rest" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, Int64Array};
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::common::ScalarValue;
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_expr::expressions::Column as PhysicalColumn;

    use super::*;

    fn context(memory: usize) -> Arc<TaskContext> {
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(memory))).build_arc().unwrap();
        Arc::new(TaskContext::default().with_runtime(runtime))
    }

    /// Numbers from 0 on, in partitions of batches of so many rows.
    fn numbers(partitions: &[usize], rows: i64) -> Plan {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let mut next = 0;
        let mut batch = || {
            next += rows;
            let numbers = Int64Array::from_iter((next - rows..next).map(|n| (n % 10 > 0).then_some(n)));
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(numbers)]).unwrap()
        };
        let data: Vec<Vec<RecordBatch>> = partitions.iter().map(|batches| (0..*batches).map(|_| batch()).collect()).collect();
        MemorySourceConfig::try_new_exec(&data, schema, None).unwrap()
    }

    fn key(name: &str, index: usize) -> Arc<dyn PhysicalExpr> {
        Arc::new(PhysicalColumn::new(name, index))
    }

    async fn rows(plan: &Plan, context: &Arc<TaskContext>) -> DfResult<Vec<Option<i64>>> {
        let mut found = Vec::new();
        for share in 0..plan.output_partitioning().partition_count() {
            let batches: Vec<RecordBatch> = plan.execute(share, Arc::clone(context))?.try_collect().await?;
            found.extend(batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>()));
        }
        found.sort_unstable();
        Ok(found)
    }

    #[tokio::test]
    async fn what_is_small_gives_its_keys_and_can_be_run_again() {
        let context = context(1 << 20);
        let plan = numbers(&[1, 2], 20);
        let wanted = rows(&plan, &context).await.unwrap();
        let (plan, keys) = read_ahead(plan, &[key("n", 0)], &context, false).await.unwrap();
        let [keys] = &keys.unwrap()[..] else { panic!("one key") };
        let long = |n: i64| ScalarValue::Int64(Some(n));
        assert!(!keys.many && keys.values.len() == 54 && keys.values.contains(&long(59)) && !keys.values.contains(&long(10)));
        assert_eq!(keys.least_and_most, Some((long(1), long(59))));
        assert_eq!(plan.output_partitioning().partition_count(), 2);
        for _ in 0..2 {
            let again = Arc::clone(&plan).reset_state().unwrap();
            assert_eq!(rows(&again, &context).await.unwrap(), wanted);
        }
    }

    #[tokio::test]
    async fn what_is_large_goes_on_behind_what_was_read() {
        // Too many rows; and too many for the memory.
        for (partitions, rows_of_batch, memory) in [(vec![7], 20_000, 1 << 30), (vec![5], 1000, 40_000), (vec![3, 4], 20_000, 1 << 30)] {
            let context = context(memory);
            let plan = numbers(&partitions, rows_of_batch);
            let wanted = rows(&plan, &context).await.unwrap();
            let (plan, keys) = read_ahead(plan, &[key("n", 0)], &context, false).await.unwrap();
            assert!(keys.is_none());
            assert_eq!(rows(&plan, &context).await.unwrap(), wanted);
            let again = plan.reset_state().unwrap();
            assert!(rows(&again, &context).await.is_err(), "a second run would lack rows");
        }
    }

    #[tokio::test]
    async fn a_thousand_keys_are_listed_and_more_are_a_range() {
        let context = context(1 << 20);
        for (rows, many) in [(1110, false), (1120, true)] {
            let (_, keys) = read_ahead(numbers(&[1], rows), &[key("n", 0)], &context, false).await.unwrap();
            let keys = &keys.unwrap()[0];
            assert_eq!((keys.many, keys.values.is_empty()), (many, many));
            assert_eq!(keys.least_and_most, Some((ScalarValue::Int64(Some(1)), ScalarValue::Int64(Some(rows - 1)))));
        }
    }
}
