//! Joins that yield to their thread, so that a kill, a cancel request or a time limit reaches a query that computes.
//!
//! A join may work for minutes on a few batches without producing a row, and nothing that waits on the same task is
//! polled meanwhile. This rule puts a [`Yielding`] node around the inputs and the output of every join; it yields when
//! the task has had its thread for long enough. It changes no rows.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::PlanProperties;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use futures::{Stream, StreamExt};

use super::node::{Node, NodeExec, Plan};

/// How long a stream may keep its thread.
const TURN: Duration = Duration::from_millis(5);

/// Puts [`Yielding`] nodes around joins. To run after all other rules.
#[derive(Debug)]
pub(in crate::engine) struct YieldInJoins;

impl PhysicalOptimizerRule for YieldInJoins {
    fn optimize(&self, plan: Plan, _: &ConfigOptions) -> Result<Plan> {
        let wrapped = plan.transform_up(|node| {
            if !node.name().contains("Join") {
                return Ok(Transformed::no(node));
            }
            let inputs = node.children().into_iter().map(|child| wrap(Arc::clone(child))).collect();
            let join = replace_children_if_necessary(node, inputs)?;
            Ok(Transformed::yes(wrap(join)))
        })?;
        Ok(wrapped.data)
    }

    fn name(&self) -> &str {
        "yield_in_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn wrap(input: Plan) -> Plan {
    if input.name() == Yielding::NAME {
        return input;
    }
    Arc::new(NodeExec(Yielding { properties: Arc::clone(input.properties()), input, ordered: true }))
}

/// A node around `input` of which only the columns are known: neither an order nor what is equal or constant in it.
pub(in crate::engine) fn forget_properties(input: Plan) -> Plan {
    let known = input.properties();
    let nothing = EquivalenceProperties::new(input.schema());
    let properties = PlanProperties::new(nothing, known.partitioning.clone(), known.emission_type, known.boundedness);
    Arc::new(NodeExec(Yielding { properties: Arc::new(properties), input, ordered: false }))
}

/// Passes its input on, and yields after [`TURN`].
pub(in crate::engine) struct Yielding {
    input: Plan,
    properties: Arc<PlanProperties>,
    /// What is known of the input's order is known of this one's too.
    ordered: bool,
}

impl Node for Yielding {
    const NAME: &'static str = "Yielding";

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn inputs(&self) -> Vec<&Plan> {
        vec![&self.input]
    }

    fn with_inputs(node: Arc<NodeExec<Yielding>>, inputs: Vec<Plan>) -> Plan {
        match inputs.into_iter().next() {
            Some(input) if node.0.ordered => wrap(input),
            Some(input) => forget_properties(input),
            None => node,
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(YieldingStream { input: self.input.execute(partition, context)?, since: None }))
    }

    fn keeps_order(&self) -> bool {
        self.ordered
    }
}

struct YieldingStream {
    input: SendableRecordBatchStream,
    /// Since when this stream has its thread, as far as it knows; None: it yielded or waited.
    since: Option<Instant>,
}

impl Stream for YieldingStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.since.get_or_insert_with(Instant::now).elapsed() > TURN {
            self.since = None;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.input.poll_next_unpin(cx);
        if polled.is_pending() {
            self.since = None;
        }
        polled
    }
}

impl RecordBatchStream for YieldingStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    #[tokio::test]
    async fn a_join_that_never_produces_a_row_can_be_stopped() {
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(1))
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(YieldInJoins))
            .build();
        let context = SessionContext::new_with_state(state);
        let series = "(SELECT value AS id FROM generate_series(1, 3000))";
        let text = format!("SELECT count(*) FROM {series} a, {series} b, {series} c, {series} d WHERE a.id + b.id + c.id + d.id < 0");
        let query = context.sql(&text).await.unwrap();
        let began = Instant::now();
        tokio::time::timeout(Duration::from_millis(100), query.collect()).await.expect_err("takes for ever");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
