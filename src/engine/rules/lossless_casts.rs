//! Casts that DataFusion adds to bring two sides together, where they lose something.
//!
//! - To nanoseconds, which end in 2262: microseconds do. ([`super::common_moments`] has settled most of them before.)
//! - From a decimal to a double by way of two roundings, one of its digits and one of a quotient: one must do.
//!
//! It runs right after the coercion.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF, Union, cast};
use datafusion::optimizer::AnalyzerRule;

/// The rule.
#[derive(Debug)]
pub(in crate::engine) struct LosslessCasts {
    /// `fg_double` and `fg_real`.
    pub(in crate::engine) double: Arc<ScalarUDF>,
    pub(in crate::engine) real: Arc<ScalarUDF>,
}

impl AnalyzerRule for LosslessCasts {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut stale = false;
        plan.transform_up_with_subqueries(|plan| {
            let plan = match plan {
                LogicalPlan::Union(union) if stale && !is_settled(&union) => LogicalPlan::Union(Union::try_new(union.inputs)?),
                plan if stale => plan.recompute_schema()?,
                plan => plan,
            };
            if !plan.expressions().iter().any(|e| e.exists(|e| Ok(matches!(e, Expr::Cast(_)))).unwrap_or(true)) {
                return Ok(Transformed::no(plan));
            }
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            let changed = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(|e| self.lossless(e, &schema))?.update_data(|e| name.restore(e)))
            })?;
            if changed.transformed {
                stale = true;
                return changed.map_data(LogicalPlan::recompute_schema);
            }
            Ok(changed)
        })
        .map(|done| done.data)
    }

    fn name(&self) -> &str {
        "lossless_casts"
    }
}

/// Do the columns of a union have the types of its inputs?
fn is_settled(union: &Union) -> bool {
    let types = |plan: &DFSchema| plan.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
    union.inputs.first().is_none_or(|first| types(first.schema()) == types(&union.schema))
}

impl LosslessCasts {
    fn lossless(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let Expr::Cast(outer) = expr else { return Ok(Transformed::no(expr)) };
        let (from, to) = (outer.expr.get_type(schema), outer.field.data_type().clone());
        Ok(match (from, to) {
            (_, DataType::Timestamp(TimeUnit::Nanosecond, zone)) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, zone);
                Transformed::yes(cast(*outer.expr, micros))
            }
            (Ok(DataType::Decimal128(..)), to @ (DataType::Float64 | DataType::Float32)) => {
                let function = if to == DataType::Float64 { &self.double } else { &self.real };
                Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), vec![*outer.expr])))
            }
            _ => Transformed::no(Expr::Cast(outer)),
        })
    }
}
