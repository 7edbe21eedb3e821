//! Stops a join that computes for long within one poll.
//!
//! A join that compares many rows and finds few partners does not return to its task: neither KILL nor the time limit is
//! polled meanwhile. But it evaluates its condition again and again. So each condition of a join is wrapped in a function
//! that returns its argument, or an error once the statement is to stop.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind};

/// What ends a statement.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Somebody has stopped it.
    pub cancel: CancellationToken,
    /// Its time limit.
    pub deadline: Option<Instant>,
}

impl Ends {
    /// Why the statement is to stop, if it is.
    fn due(&self) -> Option<Error> {
        if self.cancel.is_cancelled() {
            return Some(Error::new(Kind::Killed, "Query execution was interrupted"));
        }
        self.deadline.is_some_and(|deadline| deadline <= Instant::now()).then(too_late)
    }
}

/// The error of a statement that took longer than allowed.
pub fn too_late() -> Error {
    Error::new(Kind::StatementTimeout, "Query execution was interrupted, maximum statement execution time exceeded")
}

tokio::task_local! {
    /// What ends the statement that this task runs.
    pub static ENDS: Ends;
}

/// What ends the statement that a plan is run for. A plan may be made for a statement before that begins.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Stop(Arc<OnceLock<Ends>>);

impl Stop {
    /// The plan is run now, by the statement of this task.
    pub(in crate::engine) fn begin(&self) {
        if let Ok(ends) = ENDS.try_with(Ends::clone) {
            // It is run once.
            let _ = self.0.set(ends);
        }
    }

    /// Puts the conditions of joins into functions that look whether the statement is to stop.
    pub(in crate::engine) fn watch(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let mut any = false;
        plan.apply_with_subqueries(|node| {
            any |= matches!(node, LogicalPlan::Join(join) if join.filter.is_some());
            Ok(if any { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !any {
            return Ok(plan);
        }
        let udf = Arc::new(ScalarUDF::from(GoesOn { stop: self.clone(), signature: Signature::any(1, Volatility::Stable) }));
        let watched = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(mut join) if join.filter.is_some() => {
                join.filter = join.filter.map(|filter| udf.call(vec![filter]));
                Ok(Transformed::yes(LogicalPlan::Join(join)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(watched.data)
    }
}

/// Gives its argument back.
struct GoesOn {
    stop: Stop,
    signature: Signature,
}

impl fmt::Debug for GoesOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GoesOn")
    }
}

impl PartialEq for GoesOn {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stop.0, &other.stop.0)
    }
}

impl Eq for GoesOn {}

impl Hash for GoesOn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.stop.0).hash(state);
    }
}

impl ScalarUDFImpl for GoesOn {
    /// A plan shows the condition in parentheses.
    fn name(&self) -> &str {
        ""
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [one] => Ok(one.clone()),
            _ => plan_err!("a condition is one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(error) = self.stop.0.get().and_then(Ends::due) {
            return Err(DataFusionError::External(Box::new(error)));
        }
        match args.args.into_iter().next() {
            Some(condition) => Ok(condition),
            None => plan_err!("a condition is one value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use datafusion::physical_plan::collect;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// Both joins have one batch of rows to find partners for, so that no other node gives way meanwhile.
    #[tokio::test]
    async fn a_join_that_looks_for_partners_in_vain_can_be_stopped() {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        let series = |rows: usize| format!("(SELECT value AS id FROM generate_series(1, {rows}))");
        let (few, many) = (series(8000), series(4_000_000));
        for condition in ["a.id * b.id < 0", "a.id % 1 = b.id % 1 AND a.id * b.id < 0"] {
            for cancelled in [false, true] {
                let text = format!("SELECT count(*) FROM {few} a JOIN {many} b ON {condition}");
                let state = context.state();
                let plan = state.create_logical_plan(&text).await.unwrap();
                let stop = Stop::default();
                let plan = stop.watch(state.optimize(&plan).unwrap()).unwrap();
                let plan = state.query_planner().create_physical_plan(&plan, &state).await.unwrap();
                let cancel = CancellationToken::new();
                let deadline = (!cancelled).then(|| Instant::now() + Duration::from_millis(300));
                let ends = Ends { cancel: cancel.clone(), deadline };
                if cancelled {
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(300));
                        cancel.cancel();
                    });
                }
                let run = async {
                    stop.begin();
                    collect(plan, state.task_ctx()).await
                };
                let began = std::time::Instant::now();
                let error = ENDS.scope(ends, run).await.expect_err("takes minutes");
                assert!(began.elapsed() < Duration::from_secs(20), "{condition}: {:?}", began.elapsed());
                let kind = crate::engine::translate(error, crate::types::Family::MySql).kind();
                assert_eq!(kind, if cancelled { Kind::Killed } else { Kind::StatementTimeout });
            }
        }
    }
}
