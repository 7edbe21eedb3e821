//! Semi-join pushdown: of a hot table that is joined with few rows, only rows that can have a partner are fetched.
//!
//! The other side of the join is read first, up to a limit, and the values of its keys become a condition of the query to the
//! upstream. Nothing is read twice: the rows that were read stay in the plan ([`BufferedInput`]), before the rest of that side.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{JoinType, NullEquality, Result as DfResult};
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column as PhysicalColumn};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::scalar_subquery::{ScalarSubqueryExec, ScalarSubqueryLink};
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};

use super::buffered_input::read_ahead;
use super::scan::{HotScan, scans};
use crate::engine::execution::node::{Node, Plan};
use crate::engine::execution::yielding::Yielding;

/// Nodes of one input that pass on all of its rows as they are.
const PASSING: [&str; 5] = [Yielding::NAME, "CooperativeExec", "CoalescePartitionsExec", "RepartitionExec", "CoalesceBatchesExec"];

/// A plan that is about to run, with the rows of its hot tables.
pub(in crate::engine) fn fetch_hot_rows(plan: Plan, context: &Arc<TaskContext>) -> BoxFuture<'_, DfResult<Plan>> {
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
            && has_reducible_join(node.input())
        {
            return Box::pin(with_subqueries(node, context)).await;
        }
        if plan.downcast_ref::<NestedLoopJoinExec>().is_some() {
            // It may run its left side once more, when that does not fit in memory.
            let children: Vec<Plan> = plan.children().into_iter().cloned().collect();
            let [left, right] = <[Plan; 2]>::try_from(children).map_err(|_| internal("a join has two sides"))?;
            fetch_all(&left, context).await?;
            let right = fetch_hot_rows(right, context).await?;
            return replace_children_if_necessary(plan, vec![left, right]);
        }
        let children = match plan.downcast_ref::<HashJoinExec>().and_then(|join| Some((join, ReducedSide::of(join)?))) {
            Some((join, side)) => side.children(join, context).await?,
            None => {
                let mut children = Vec::new();
                for child in plan.children() {
                    children.push(fetch_hot_rows(Arc::clone(child), context).await?);
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

/// Does the plan hold a join with a side that can be reduced?
fn has_reducible_join(plan: &Plan) -> bool {
    plan.downcast_ref::<HashJoinExec>().is_some_and(|join| ReducedSide::of(join).is_some())
        || plan.children().into_iter().any(has_reducible_join)
}

/// The input of a node that runs subqueries for it, with its rows. What is read_ahead in it may need their values, so they run first.
async fn with_subqueries(node: &ScalarSubqueryExec, context: &Arc<TaskContext>) -> DfResult<Plan> {
    let mut subqueries = Vec::with_capacity(node.subqueries().len());
    for subquery in node.subqueries() {
        let plan = fetch_hot_rows(Arc::clone(&subquery.plan), context).await?;
        subqueries.push(ScalarSubqueryLink { plan, index: subquery.index });
    }
    let nothing: Plan = Arc::new(EmptyExec::new(node.input().schema()));
    let alone = ScalarSubqueryExec::new(nothing, subqueries, node.results().clone());
    let mut stream = alone.execute(0, Arc::clone(context))?;
    while stream.try_next().await?.is_some() {}
    fetch_hot_rows(Arc::clone(node.input()), context).await
}

fn internal(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}

/// The side of a join whose hot table is asked only for rows with a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReducedSide {
    Left,
    Right,
}

impl ReducedSide {
    /// The side that can be and is the better of the two.
    fn of(join: &HashJoinExec) -> Option<ReducedSide> {
        let fit = |side: &ReducedSide| {
            side.is_droppable(join)
                && side.keys(join).any(|(key, _)| replace_scan(side.input(join), key, &|scan, _| Some(scan.with(None))).is_some())
        };
        let mut sides: Vec<ReducedSide> = [ReducedSide::Right, ReducedSide::Left].into_iter().filter(fit).collect();
        // What is hot on the other side has to be fetched first, and should not be a whole table.
        sides.sort_by_key(|side| scans(side.other().input(join)).iter().filter(|scan| is_whole(scan)).count());
        sides.first().copied()
    }

    fn other(self) -> ReducedSide {
        match self {
            ReducedSide::Left => ReducedSide::Right,
            ReducedSide::Right => ReducedSide::Left,
        }
    }

    fn input(self, join: &HashJoinExec) -> &Plan {
        match self {
            ReducedSide::Left => join.left(),
            ReducedSide::Right => join.right(),
        }
    }

    /// The keys of this side, each with the other side's.
    fn keys(self, join: &HashJoinExec) -> impl Iterator<Item = (&Arc<dyn PhysicalExpr>, &Arc<dyn PhysicalExpr>)> {
        join.on().iter().map(move |(left, right)| if self == ReducedSide::Left { (left, right) } else { (right, left) })
    }

    /// Can rows of this side be left out when they have no partner?
    fn is_droppable(self, join: &HashJoinExec) -> bool {
        use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi};
        if join.null_aware || join.null_equality() != NullEquality::NullEqualsNothing {
            return false;
        }
        match self {
            ReducedSide::Left => matches!(join.join_type(), Inner | Right | LeftSemi | RightSemi | RightAnti | RightMark),
            ReducedSide::Right => matches!(join.join_type(), Inner | Left | LeftSemi | RightSemi | LeftAnti | LeftMark),
        }
    }

    /// Both inputs, with their rows.
    async fn children(self, join: &HashJoinExec, context: &Arc<TaskContext>) -> DfResult<Vec<Plan>> {
        let other = fetch_hot_rows(Arc::clone(self.other().input(join)), context).await?;
        let keys: Vec<_> = self.keys(join).map(|(_, other)| Arc::clone(other)).collect();
        let (other, found) = read_ahead(other, &keys, context, false).await?;
        let mut input = Arc::clone(self.input(join));
        for ((key, _), keys) in self.keys(join).zip(found.iter().flatten()) {
            let reduce = |scan: &HotScan, index| keys.reduce(scan, index, context);
            input = replace_scan(&input, key, &reduce).unwrap_or(input);
        }
        let input = fetch_hot_rows(input, context).await?;
        Ok(if self == ReducedSide::Left { vec![input, other] } else { vec![other, input] })
    }
}

fn is_whole(scan: &Plan) -> bool {
    scan.downcast_ref::<HotScan>().is_some_and(|scan| scan.query.predicates.is_empty() && scan.query.limit.is_none())
}

/// `plan` with what `make` makes of the hot scan in it that brings the column of `key`.
fn replace_scan(plan: &Plan, key: &Arc<dyn PhysicalExpr>, make: &dyn Fn(&HotScan, usize) -> Option<HotScan>) -> Option<Plan> {
    replace_scan_at(plan, column(key, plan)?, make)
}

fn replace_scan_at(plan: &Plan, index: usize, make: &dyn Fn(&HotScan, usize) -> Option<HotScan>) -> Option<Plan> {
    if plan.fetch().is_some() {
        // Other rows would be within the limit.
        return None;
    }
    if let Some(scan) = plan.downcast_ref::<HotScan>() {
        return if scan.query.limit.is_none() { Some(Arc::new(make(scan, index)?)) } else { None };
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
    replace_children_if_necessary(Arc::clone(plan), vec![replace_scan_at(child, index, make)?]).ok()
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

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::RecordBatch;
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;

    use super::*;

    fn key(name: &str, index: usize) -> Arc<dyn PhysicalExpr> {
        Arc::new(PhysicalColumn::new(name, index))
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
    }
}
