//! Two rules for sorts that DataFusion plans wrongly.
//!
//! - For `ORDER BY .. LIMIT n` it keeps the best n rows in memory. With a large n (or OFFSET) that fails, where the same query
//!   without a limit spills and answers: [`SpillLargeLimits`].
//! - Above a union and below a window it relies on columns that are equal further down: [`ForgetEquals`].

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::yielding::forget_properties;

/// Hides from sorts what is equal or constant below a union or a window: a sort key that is left out because of that is
/// missed above it, and the plan is refused. To run before all other rules.
#[derive(Debug)]
pub(in crate::engine) struct ForgetEquals;

impl PhysicalOptimizerRule for ForgetEquals {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let sorted = plan.exists(|node| Ok(node.is::<SortExec>()))?;
        let is_window = |node: &Arc<dyn ExecutionPlan>| node.is::<WindowAggExec>() || node.is::<BoundedWindowAggExec>();
        let changed = plan.transform_up(|node| {
            if sorted && node.is::<UnionExec>() {
                return Ok(Transformed::yes(forget_properties(node)));
            }
            match node.children().as_slice() {
                [input] if is_window(&node) && !is_window(input) => {
                    let input = forget_properties(Arc::clone(input));
                    Ok(Transformed::yes(replace_children_if_necessary(node, vec![input])?))
                }
                _ => Ok(Transformed::no(node)),
            }
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "forget_equals"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// More rows than these are sorted whole, and then cut.
const MOST_KEPT: usize = 20_000;

/// Turns a sort that keeps very many best rows into a whole sort followed by a limit.
#[derive(Debug)]
pub(in crate::engine) struct SpillLargeLimits;

impl PhysicalOptimizerRule for SpillLargeLimits {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let large = |sort: &SortExec| sort.fetch().filter(|rows| *rows > MOST_KEPT);
            Ok(match node.downcast_ref::<SortExec>().and_then(|sort| Some((sort, large(sort)?))) {
                Some((sort, rows)) => Transformed::yes(Arc::new(LocalLimitExec::new(Arc::new(sort.with_fetch(None)), rows))),
                None => Transformed::no(node),
            })
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "spill_large_limits"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
