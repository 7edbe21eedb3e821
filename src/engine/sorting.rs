//! Sorts of which very many rows are wanted: they must be able to spill.
//!
//! For `ORDER BY .. LIMIT n` the engine keeps the best n rows in memory. That is right for a page of a list, and fails for
//! a large n (or OFFSET) where the same query without a limit would spill and answer.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;

/// More rows than these are sorted whole, and then cut.
const MOST_KEPT: usize = 20_000;

/// Turns a sort that keeps very many best rows into a whole sort with a limit behind it.
#[derive(Debug)]
pub(super) struct SpillLargeLimits;

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
