//! The common type of what stands in one place: doubles win over decimals.
//!
//! A number with a point is a decimal to both dialects, and beside a double both compute with doubles. DataFusion would
//! turn the double into a decimal: that loses digits, or fails for what no decimal holds. So this rule runs before its
//! own coercion.

use datafusion::arrow::datatypes::{DataType, Decimal128Type, DecimalType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Case, Expr, ExprSchemable, LogicalPlan, cast, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

/// The rule.
#[derive(Debug)]
pub(in crate::engine) struct DoublesWin;

impl AnalyzerRule for DoublesWin {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            let changed = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(|e| settle(e, &schema))?.update_data(|e| name.restore(e)))
            })?;
            if changed.transformed { changed.map_data(LogicalPlan::recompute_schema) } else { Ok(changed) }
        })
        .map(|done| done.data)
    }

    fn name(&self) -> &str {
        "doubles_win"
    }
}

fn is_double(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Float32 | DataType::Float64))
}

fn is_decimal(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Decimal128(..) | DataType::Decimal256(..)))
}

/// A decimal as a double; a literal by its digits, which is exact.
pub(in crate::engine) fn double_of(expr: Expr) -> Expr {
    match &expr {
        Expr::Literal(value @ ScalarValue::Decimal128(Some(v), _, scale), _) => {
            let digits = Decimal128Type::format_decimal(*v, 38, *scale);
            digits.parse::<f64>().map_or_else(|_| cast(lit(value.clone()), DataType::Float64), lit)
        }
        _ => cast(expr, DataType::Float64),
    }
}

fn with_values(case: Case, f: impl Fn(Expr) -> Expr) -> Expr {
    Expr::Case(Case {
        expr: case.expr,
        when_then_expr: case.when_then_expr.into_iter().map(|(when, then)| (when, Box::new(f(*then)))).collect(),
        else_expr: case.else_expr.map(|e| Box::new(f(*e))),
    })
}

fn settle(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let settled = |e: Expr| if is_decimal(&e, schema) { double_of(e) } else { e };
    match expr {
        Expr::Case(case) => {
            let values = || case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref());
            if !values().any(|e| is_double(e, schema)) || !values().any(|e| is_decimal(e, schema)) {
                return Ok(Transformed::no(Expr::Case(case)));
            }
            Ok(Transformed::yes(with_values(case, settled)))
        }
        Expr::InList(InList { expr, list, negated }) if is_double(&expr, schema) && list.iter().any(|e| is_decimal(e, schema)) => {
            let list = list.into_iter().map(settled).collect();
            Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
        }
        other => Ok(Transformed::no(other)),
    }
}
