//! Types of outer columns within subqueries.
//!
//! DataFusion notes the type of an outer column when it plans the subquery, and settles common types only afterwards. Where
//! that changes the column (`CASE .. THEN n ELSE 11 END` of a derived table, a union), the subquery went on to compare with
//! the type that was, and its join failed. This rule runs right after the coercion: it notes the types again and repeats the coercion.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ExprSchema};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;

/// The rule.
#[derive(Debug)]
pub(in crate::engine) struct OuterTypes;

impl AnalyzerRule for OuterTypes {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let noted = plan.transform_down_with_subqueries(|node| {
            let outer = merge_schema(&node.inputs());
            node.map_subqueries(|subquery| subquery.transform_up(|inner| note(inner, &outer)))
        })?;
        if noted.transformed { TypeCoercion::new().analyze(noted.data, config) } else { Ok(noted.data) }
    }

    fn name(&self) -> &str {
        "outer_types"
    }
}

fn note(inner: LogicalPlan, outer: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    let renewed = |expr: Expr| {
        expr.transform_up(|e| match e {
            Expr::OuterReferenceColumn(noted, column) => match outer.field_from_column(&column) {
                Ok(field) if field.data_type() != noted.data_type() => {
                    let field = noted.as_ref().clone().with_data_type(field.data_type().clone());
                    Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::new(field), column)))
                }
                _ => Ok(Transformed::no(Expr::OuterReferenceColumn(noted, column))),
            },
            other => Ok(Transformed::no(other)),
        })
    };
    let changed = inner.map_expressions(renewed)?;
    if changed.transformed { changed.map_data(LogicalPlan::recompute_schema) } else { Ok(changed) }
}
