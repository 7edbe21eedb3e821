//! A node of a physical plan that leaves nothing to DataFusion's optimiser: what all such nodes of the engine have in common.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

pub(in crate::engine) type Plan = Arc<dyn ExecutionPlan>;

/// What differs between the nodes.
pub(in crate::engine) trait Node: Send + Sync + Sized + 'static {
    /// The name in EXPLAIN, by which other rules know the node.
    const NAME: &'static str;

    fn properties(&self) -> &Arc<PlanProperties>;

    fn inputs(&self) -> Vec<&Plan>;

    /// The node over other inputs.
    fn with_inputs(node: Arc<NodeExec<Self>>, inputs: Vec<Plan>) -> Plan;

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream>;

    /// Does it give the rows of its inputs in their order?
    fn keeps_order(&self) -> bool {
        false
    }

    /// Its line of EXPLAIN.
    fn describe(&self) -> String {
        Self::NAME.to_owned()
    }
}

/// The plan of a node. It has no expressions of its own.
pub(in crate::engine) struct NodeExec<N>(pub(in crate::engine) N);

impl<N: Node> fmt::Debug for NodeExec<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(N::NAME).field("inputs", &self.0.inputs()).finish_non_exhaustive()
    }
}

impl<N: Node> DisplayAs for NodeExec<N> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.describe())
    }
}

impl<N: Node> ExecutionPlan for NodeExec<N> {
    fn name(&self) -> &str {
        N::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![self.0.keeps_order(); self.0.inputs().len()]
    }

    fn children(&self) -> Vec<&Plan> {
        self.0.inputs()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(self: Arc<Self>, children: Vec<Plan>, _: ReplaceChildrenOptions) -> Result<Plan> {
        Ok(N::with_inputs(self, children))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        Ok(N::with_inputs(self, children))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.0.execute(partition, context)
    }
}
