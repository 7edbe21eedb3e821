//! Physical plans: rules and nodes that DataFusion lacks, and how a running plan is stopped.
//!
//! - `filter_pushdown`, `sorting`, `union_order`: where DataFusion's plan would lose rows, memory or order
//! - `yielding`, `cancellation`: a KILL or a time limit must reach a plan that computes
//! - `node`: what all nodes of these rules have in common

pub(super) mod cancellation;
mod filter_pushdown;
pub(super) mod node;
mod sorting;
mod union_order;
pub(super) mod yielding;

use std::sync::Arc;

use datafusion::physical_optimizer::PhysicalOptimizerRule;

/// The rules that make a physical plan what runs, in their order.
pub(super) fn optimizer_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = filter_pushdown::physical_rules();
    rules.push(Arc::new(sorting::SpillLargeLimits));
    rules.push(Arc::new(union_order::BranchesInOrder));
    rules.push(Arc::new(yielding::YieldInJoins));
    rules
}
