//! Filters go down a plan only where names say which column is meant.
//!
//! DataFusion's physical filter pushdown finds a column of the node below by its name alone. Where two columns of one
//! node have the same name (both sides of a join have an `id`), a filter on the second is put on the first, and rows are
//! lost or stay that should not: seen with filters above an outer join and with those that hold a value subquery. The
//! logical plan, where names are qualified, has brought down all other filters before.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;

use super::sorting::ForgetEquals;

/// DataFusion's rules, with filters pushed down only in plans without such names, and [`ForgetEquals`] before them.
pub(in crate::engine) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let guarded = |rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>| match rule.name().starts_with("FilterPushdown") {
        true => Arc::new(WhereNamesAreOne(rule)) as _,
        false => rule,
    };
    let first: Arc<dyn PhysicalOptimizerRule + Send + Sync> = Arc::new(ForgetEquals);
    std::iter::once(first).chain(PhysicalOptimizer::new().rules.into_iter().map(guarded)).collect()
}

/// A rule that leaves plans alone in which two columns of one node have the same name.
#[derive(Debug)]
struct WhereNamesAreOne(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for WhereNamesAreOne {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let mut twice = false;
        plan.apply(|node| {
            let (schema, mut names) = (node.schema(), HashSet::new());
            twice = schema.fields().iter().any(|field| !names.insert(field.name()));
            Ok(if twice { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if twice { Ok(plan) } else { self.0.optimize(plan, config) }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}
