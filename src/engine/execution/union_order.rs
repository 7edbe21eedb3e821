//! UNION ALL gives its branches in the order in which they are written.
//!
//! DataFusion runs all branches at once and gives rows as they come. Where the order of a union's rows can be seen (at the
//! end, below a LIMIT, below a window without an order, below an aggregate that keeps the order of its values) this rule
//! puts a node in its place that gives one branch after the other. Elsewhere the union stays as it is.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, replace_children_if_necessary};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::{ExecutionPlanProperties, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

use super::node::{Node, NodeExec, Plan};
use super::yielding::Yielding;

/// The rule. To run after those that deal with partitions.
#[derive(Debug)]
pub(in crate::engine) struct BranchesInOrder;

impl PhysicalOptimizerRule for BranchesInOrder {
    fn optimize(&self, plan: Plan, _: &ConfigOptions) -> Result<Plan> {
        if has_union(&plan) { in_order(plan, true) } else { Ok(plan) }
    }

    fn name(&self) -> &str {
        "branches_in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn has_union(plan: &Plan) -> bool {
    is_union(plan) || plan.children().into_iter().any(has_union)
}

fn is_union(plan: &Plan) -> bool {
    plan.is::<UnionExec>() || plan.is::<InterleaveExec>()
}

/// The plan with its unions in order where that can be seen. `seen`: the order of this node's rows can.
fn in_order(plan: Plan, seen: bool) -> Result<Plan> {
    let union = seen && is_union(&plan);
    // The rows were dealt out to work on them in parallel, one way or another: they stay together.
    if seen
        && let Some(dealt) = plan.downcast_ref::<RepartitionExec>()
        && matches!(dealt.partitioning(), Partitioning::RoundRobinBatch(_))
        && leads_to_union(dealt.input())
    {
        return in_order(Arc::clone(dealt.input()), true);
    }
    let mut children = Vec::new();
    for (n, child) in plan.children().into_iter().enumerate() {
        let seen = union || shows(&plan) || (n == 0 && seen && passes(&plan));
        children.push(in_order(Arc::clone(child), seen)?);
    }
    if union {
        return Ok(Arc::new(NodeExec(Branches::new(children.into_iter().map(whole).collect(), plan.schema()))));
    }
    if children.is_empty() { Ok(plan) } else { replace_children_if_necessary(plan, children) }
}

/// Does a node give the rows of its (first) input in their order?
fn passes(plan: &Plan) -> bool {
    const NAMES: [&str; 11] = [
        "ProjectionExec",
        "FilterExec",
        "CoalesceBatchesExec",
        "CoalescePartitionsExec",
        "GlobalLimitExec",
        "LocalLimitExec",
        "CooperativeExec",
        "OutputRequirementExec",
        "ScalarSubqueryExec",
        "BufferExec",
        <Yielding as Node>::NAME,
    ];
    NAMES.contains(&plan.name())
}

/// Can the order of a node's input be seen in what it gives?
fn shows(plan: &Plan) -> bool {
    const IN_ORDER: [&str; 5] = ["array_agg", "string_agg", "first_value", "last_value", "nth_value"];
    match plan.downcast_ref::<AggregateExec>() {
        // What takes its rows as they are dealt out by their keys has to get them so.
        Some(aggregate) => {
            matches!(aggregate.mode(), AggregateMode::Partial | AggregateMode::Single)
                && aggregate.aggr_expr().iter().any(|f| f.order_bys().is_empty() && IN_ORDER.contains(&f.fun().name()))
        }
        None => ["WindowAggExec", "BoundedWindowAggExec"].contains(&plan.name()) || (passes(plan) && plan.fetch().is_some()),
    }
}

fn leads_to_union(plan: &Plan) -> bool {
    let round_robin = |dealt: &RepartitionExec| matches!(dealt.partitioning(), Partitioning::RoundRobinBatch(_));
    let on = passes(plan) || plan.downcast_ref::<RepartitionExec>().is_some_and(round_robin);
    is_union(plan) || (on && plan.children().first().is_some_and(|child| leads_to_union(child)))
}

/// All rows of a plan in one partition.
fn whole(plan: Plan) -> Plan {
    if plan.output_partitioning().partition_count() > 1 { Arc::new(CoalescePartitionsExec::new(plan)) } else { plan }
}

/// Gives the rows of one branch after those of the other.
struct Branches {
    inputs: Vec<Plan>,
    properties: Arc<PlanProperties>,
}

impl Branches {
    fn new(inputs: Vec<Plan>, schema: SchemaRef) -> Branches {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Branches { inputs, properties: Arc::new(properties) }
    }
}

impl Node for Branches {
    const NAME: &'static str = "Branches";

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn inputs(&self) -> Vec<&Plan> {
        self.inputs.iter().collect()
    }

    fn with_inputs(node: Arc<NodeExec<Branches>>, inputs: Vec<Plan>) -> Plan {
        let properties = Arc::clone(&node.0.properties);
        Arc::new(NodeExec(Branches { inputs: inputs.into_iter().map(whole).collect(), properties }))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        // A branch begins when the one before it has ended.
        let rows = stream::iter(self.inputs.clone()).map(move |input| input.execute(0, Arc::clone(&context))).try_flatten();
        let schema = Arc::clone(self.properties.eq_properties.schema());
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
