//! Joins of a hot table with few rows: of the hot table only those rows are fetched that can have a partner.
//!
//! What is joined with it is read first, up to a limit, and its keys become a condition of the question to the upstream.
//! Nothing is read twice: what was read stands in the plan in front of what is left.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, NullEquality, Result as DfResult, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{ident, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column as PhysicalColumn, UnKnownColumn};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{ReplaceChildrenOptions, replace_children_if_necessary};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::scalar_subquery::{ScalarSubqueryExec, ScalarSubqueryLink};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;

use super::filter::{MOST_BYTES, MOST_VALUES};
use super::{HotScan, scans};
use crate::engine::yielding::Yielding;

/// Rows that are read of what a hot table is joined with before the hot table is fetched.
const MOST_ROWS: usize = 100_000;
/// The part of the engine's memory that they may take.
const SHARE_OF_MEMORY: usize = 8;

/// Nodes of one input that pass on all of its rows as they are.
const PASSING: [&str; 5] = [Yielding::NAME, "CooperativeExec", "CoalescePartitionsExec", "RepartitionExec", "CoalesceBatchesExec"];

type Plan = Arc<dyn ExecutionPlan>;

/// A plan that is about to run, with the rows of its hot tables.
pub(in super::super) fn with_rows(plan: Plan, context: &Arc<TaskContext>) -> BoxFuture<'_, DfResult<Plan>> {
    async move {
        if scans(&plan).is_empty() {
            return Ok(plan);
        }
        if let Some(scan) = plan.downcast_ref::<HotScan>() {
            scan.fetched(context).await?;
            return Ok(plan);
        }
        if plan.downcast_ref::<RecursiveQueryExec>().is_some() {
            // What is below it runs again and again.
            fetch_all(&plan, context).await?;
            return Ok(plan);
        }
        if let Some(node) = plan.downcast_ref::<ScalarSubqueryExec>()
            && narrows(node.input())
        {
            return Box::pin(with_subqueries(node, context)).await;
        }
        if plan.downcast_ref::<NestedLoopJoinExec>().is_some() {
            // It may run its left side once more, when that does not fit in memory.
            let children: Vec<Plan> = plan.children().into_iter().cloned().collect();
            let [left, right] = <[Plan; 2]>::try_from(children).map_err(|_| internal("a join has two sides"))?;
            fetch_all(&left, context).await?;
            let right = with_rows(right, context).await?;
            return replace_children_if_necessary(plan, vec![left, right]);
        }
        let children = match plan.downcast_ref::<HashJoinExec>().and_then(|join| Some((join, Narrowed::of(join)?))) {
            Some((join, narrowed)) => narrowed.children(join, context).await?,
            None => {
                let mut children = Vec::new();
                for child in plan.children() {
                    children.push(with_rows(Arc::clone(child), context).await?);
                }
                children
            }
        };
        replace_children_if_necessary(plan, children)
    }
    .boxed()
}

/// Fetches the rows of all hot tables of a plan, each as it is asked for.
async fn fetch_all(plan: &Plan, context: &Arc<TaskContext>) -> DfResult<()> {
    for scan in scans(plan) {
        if let Some(scan) = scan.downcast_ref::<HotScan>() {
            scan.fetched(context).await?;
        }
    }
    Ok(())
}

/// Is there a join in it of which a side is to be narrowed?
fn narrows(plan: &Plan) -> bool {
    plan.downcast_ref::<HashJoinExec>().is_some_and(|join| Narrowed::of(join).is_some()) || plan.children().into_iter().any(narrows)
}

/// The input of a node that runs subqueries for it, with its rows. What is begun in it may need their values, so they run first.
async fn with_subqueries(node: &ScalarSubqueryExec, context: &Arc<TaskContext>) -> DfResult<Plan> {
    let mut subqueries = Vec::with_capacity(node.subqueries().len());
    for subquery in node.subqueries() {
        let plan = with_rows(Arc::clone(&subquery.plan), context).await?;
        subqueries.push(ScalarSubqueryLink { plan, index: subquery.index });
    }
    let nothing: Plan = Arc::new(EmptyExec::new(node.input().schema()));
    let alone = ScalarSubqueryExec::new(nothing, subqueries, node.results().clone());
    let mut stream = alone.execute(0, Arc::clone(context))?;
    while stream.try_next().await?.is_some() {}
    with_rows(Arc::clone(node.input()), context).await
}

fn internal(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}

/// The side of a join that is to be narrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Narrowed {
    Left,
    Right,
}

impl Narrowed {
    /// The side that can be and is the better of the two.
    fn of(join: &HashJoinExec) -> Option<Narrowed> {
        let fit = |side: &Narrowed| {
            side.is_droppable(join)
                && side.keys(join).any(|(key, _)| exchanged(side.input(join), key, &|scan, _| Some(scan.with(None))).is_some())
        };
        let mut sides: Vec<Narrowed> = [Narrowed::Right, Narrowed::Left].into_iter().filter(fit).collect();
        // What is hot on the other side has to be fetched first, and should not be a whole table.
        sides.sort_by_key(|side| scans(side.other().input(join)).iter().filter(|scan| is_whole(scan)).count());
        sides.first().copied()
    }

    fn other(self) -> Narrowed {
        match self {
            Narrowed::Left => Narrowed::Right,
            Narrowed::Right => Narrowed::Left,
        }
    }

    fn input(self, join: &HashJoinExec) -> &Plan {
        match self {
            Narrowed::Left => join.left(),
            Narrowed::Right => join.right(),
        }
    }

    /// The keys of this side, each with the other side's.
    fn keys(self, join: &HashJoinExec) -> impl Iterator<Item = (&Arc<dyn PhysicalExpr>, &Arc<dyn PhysicalExpr>)> {
        join.on().iter().map(move |(left, right)| if self == Narrowed::Left { (left, right) } else { (right, left) })
    }

    /// Are rows without a partner of no use on this side?
    fn is_droppable(self, join: &HashJoinExec) -> bool {
        use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi};
        if join.null_aware || join.null_equality() != NullEquality::NullEqualsNothing {
            return false;
        }
        match self {
            Narrowed::Left => matches!(join.join_type(), Inner | Right | LeftSemi | RightSemi | RightAnti | RightMark),
            Narrowed::Right => matches!(join.join_type(), Inner | Left | LeftSemi | RightSemi | LeftAnti | LeftMark),
        }
    }

    /// Both inputs, with their rows.
    async fn children(self, join: &HashJoinExec, context: &Arc<TaskContext>) -> DfResult<Vec<Plan>> {
        let other = with_rows(Arc::clone(self.other().input(join)), context).await?;
        let keys: Vec<_> = self.keys(join).map(|(_, other)| Arc::clone(other)).collect();
        let (other, found) = begun(other, &keys, context, false).await?;
        let mut input = Arc::clone(self.input(join));
        for ((key, _), keys) in self.keys(join).zip(found.iter().flatten()) {
            let narrow = |scan: &HotScan, index| keys.narrow(scan, index, context);
            input = exchanged(&input, key, &narrow).unwrap_or(input);
        }
        let input = with_rows(input, context).await?;
        Ok(if self == Narrowed::Left { vec![input, other] } else { vec![other, input] })
    }
}

fn is_whole(scan: &Plan) -> bool {
    scan.downcast_ref::<HotScan>().is_some_and(|scan| scan.question.predicates.is_empty() && scan.question.limit.is_none())
}

/// `plan` with what `make` makes of the hot scan in it that brings the column of `key`.
fn exchanged(plan: &Plan, key: &Arc<dyn PhysicalExpr>, make: &dyn Fn(&HotScan, usize) -> Option<HotScan>) -> Option<Plan> {
    exchanged_at(plan, column(key, plan)?, make)
}

fn exchanged_at(plan: &Plan, index: usize, make: &dyn Fn(&HotScan, usize) -> Option<HotScan>) -> Option<Plan> {
    if plan.fetch().is_some() {
        // Other rows would be within the limit.
        return None;
    }
    if let Some(scan) = plan.downcast_ref::<HotScan>() {
        return if scan.question.limit.is_none() { Some(Arc::new(make(scan, index)?)) } else { None };
    }
    let children = plan.children();
    let [child] = children[..] else { return None };
    let index = if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        column(&projection.expr().get(index)?.expr, child)?
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        filter.projection().as_ref().map_or(Some(index), |kept| kept.get(index).copied())?
    } else if PASSING.contains(&plan.name()) {
        index
    } else {
        return None;
    };
    replace_children_if_necessary(Arc::clone(plan), vec![exchanged_at(child, index, make)?]).ok()
}

/// The column of `input` whose values are those of `expr`, perhaps in a wider type.
fn column(expr: &Arc<dyn PhysicalExpr>, input: &Plan) -> Option<usize> {
    if let Some(column) = expr.downcast_ref::<PhysicalColumn>() {
        return Some(column.index());
    }
    let cast = expr.downcast_ref::<CastExpr>()?;
    let column = cast.expr().downcast_ref::<PhysicalColumn>()?;
    let schema = input.schema();
    let same = match (schema.fields().get(column.index())?.data_type(), cast.cast_type()) {
        (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) => from <= to,
        (from, to) => from.is_integer() && to.is_integer() || from.is_string() && to.is_string(),
    };
    same.then(|| column.index())
}

/// What `plan` becomes when it is begun, and the values that `keys` have in it, unless they are too many to read. `dealt`:
/// how its rows are shared out is of no consequence.
fn begun<'a>(
    plan: Plan,
    keys: &'a [Arc<dyn PhysicalExpr>],
    context: &'a Arc<TaskContext>,
    dealt: bool,
) -> BoxFuture<'a, DfResult<(Plan, Option<Vec<Keys>>)>> {
    async move {
        let deals = plan.downcast_ref::<RepartitionExec>().is_some_and(|node| !node.preserve_order());
        let children = plan.children();
        if let [child] = children[..]
            && (deals || plan.name() == Yielding::NAME)
        {
            let (child, found) = begun(Arc::clone(child), keys, context, dealt || deals).await?;
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
        let (read, found) = Read::of(source, keys, context).await?;
        let read: Plan = Arc::new(read);
        Ok(match again {
            Some(shares) => (Arc::new(RepartitionExec::try_new(read, shares)?), found),
            None => (read, found),
        })
    }
    .boxed()
}

/// The values of a key.
#[derive(Debug, Default)]
struct Keys {
    /// Emptied when they are too many.
    values: HashSet<ScalarValue>,
    many: bool,
    /// Of texts among them.
    bytes: usize,
    least_and_most: Option<(ScalarValue, ScalarValue)>,
}

impl Keys {
    fn add(&mut self, array: &ArrayRef) -> DfResult<()> {
        for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
            let value = ScalarValue::try_from_array(array, row)?;
            match &mut self.least_and_most {
                Some((least, most)) => {
                    if value < *least {
                        least.clone_from(&value);
                    } else if value > *most {
                        most.clone_from(&value);
                    }
                }
                none => *none = Some((value.clone(), value.clone())),
            }
            if !self.many {
                let bytes = value.try_as_str().flatten().map_or(0, str::len);
                self.bytes += if self.values.insert(value) { bytes } else { 0 };
                if self.values.len() > MOST_VALUES || self.bytes > MOST_BYTES {
                    self.many = true;
                    self.values = HashSet::new();
                }
            }
        }
        Ok(())
    }

    /// The scan with these values of its column only; None: the upstream cannot be asked so.
    fn narrow(&self, scan: &HotScan, index: usize, context: &TaskContext) -> Option<HotScan> {
        let Some((least, most)) = &self.least_and_most else { return scan.without_rows(context).ok() };
        let source = &scan.question.source;
        let column = ident(source.schema.field(*scan.question.wanted.get(index)?).name());
        let condition = if self.many {
            column.between(lit(least.clone()), lit(most.clone()))
        } else {
            // A column's character set may not have the others, and that would be an error.
            if self.values.iter().any(|value| value.try_as_str().flatten().is_some_and(|text| !text.is_ascii())) {
                return None;
            }
            let mut values: Vec<&ScalarValue> = self.values.iter().collect();
            values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
            column.in_list(values.into_iter().cloned().map(lit).collect(), false)
        };
        let (text, _) = source.asked().predicate(&condition)?;
        let asked: usize = scan.question.predicates.iter().map(String::len).sum();
        (asked + text.len() <= MOST_BYTES).then(|| scan.with(Some(text)))
    }
}

/// What was read of a plan, and the plan that goes on behind it.
struct Read {
    source: Plan,
    rows: Vec<RecordBatch>,
    /// Taken when it runs: it can be run to its end once.
    rest: Option<Mutex<Option<SendableRecordBatchStream>>>,
    properties: Arc<PlanProperties>,
    memory: Arc<MemoryReservation>,
}

impl Read {
    async fn of(source: Plan, keys: &[Arc<dyn PhysicalExpr>], context: &Arc<TaskContext>) -> DfResult<(Read, Option<Vec<Keys>>)> {
        let pool = context.memory_pool();
        let memory = MemoryConsumer::new("partners of hot rows").register(pool);
        let limit = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => limit / SHARE_OF_MEMORY,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        let mut found: Vec<Keys> = keys.iter().map(|_| Keys::default()).collect();
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
        Ok((Read { source, rows, rest, properties, memory: Arc::new(memory) }, whole.then_some(found)))
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("batches", &self.rows.len()).field("whole", &self.rest.is_none()).finish_non_exhaustive()
    }
}

impl DisplayAs for Read {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.rows.iter().map(RecordBatch::num_rows).sum();
        write!(f, "Read: {count} rows before the hot table{}", if self.rest.is_some() { ", and the rest" } else { "" })
    }
}

impl ExecutionPlan for Read {
    fn name(&self) -> &str {
        "Read"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.source]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(self: Arc<Self>, _: Vec<Plan>, _: ReplaceChildrenOptions) -> DfResult<Plan> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Plan>) -> DfResult<Plan> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let again = || internal("what was begun for a hot table runs only once");
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
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, Int32Array, Int64Array};
    use datafusion::arrow::datatypes::{Field, Int64Type, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;

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
        let (plan, keys) = begun(plan, &[key("n", 0)], &context, false).await.unwrap();
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
            let (plan, keys) = begun(plan, &[key("n", 0)], &context, false).await.unwrap();
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
            let (_, keys) = begun(numbers(&[1], rows), &[key("n", 0)], &context, false).await.unwrap();
            let keys = &keys.unwrap()[0];
            assert_eq!((keys.many, keys.values.is_empty()), (many, many));
            assert_eq!(keys.least_and_most, Some((ScalarValue::Int64(Some(1)), ScalarValue::Int64(Some(rows - 1)))));
        }
    }

    #[test]
    fn a_cast_that_keeps_the_value_is_looked_through() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("i", DataType::Int32, true),
            Field::new("d", DataType::Decimal128(10, 2), true),
            Field::new("s", DataType::Utf8, true),
        ]));
        let none = RecordBatch::new_empty(Arc::clone(&schema));
        let plan: Plan = MemorySourceConfig::try_new_exec(&[vec![none]], schema, None).unwrap();
        let cast = |index: usize, to: DataType| -> Arc<dyn PhysicalExpr> { Arc::new(CastExpr::new(key("c", index), to, None)) };
        for (index, to, same) in [
            (0, DataType::Int64, true),
            (0, DataType::Float64, false),
            (0, DataType::Utf8, false),
            (1, DataType::Decimal128(20, 4), true),
            (1, DataType::Decimal128(20, 1), false),
            (1, DataType::Float64, false),
            (2, DataType::Utf8View, true),
            (2, DataType::Int64, false),
        ] {
            assert_eq!(column(&cast(index, to.clone()), &plan), same.then_some(index), "{index} {to}");
        }
        assert_eq!(column(&key("s", 2), &plan), Some(2));
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![None, None]));
        let mut keys = Keys::default();
        keys.add(&numbers).unwrap();
        assert!(keys.values.is_empty() && keys.least_and_most.is_none());
    }
}
