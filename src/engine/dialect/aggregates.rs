//! Which calls are aggregates, by their names.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use super::build::{binary, number, take};
use super::quantified::count_all;
use crate::sql::walk::expressions;

const NAMES: [&str; 47] = [
    "any_value",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "first_value",
    "group_concat",
    "grouping",
    "json_agg",
    "json_arrayagg",
    "json_object_agg",
    "json_objectagg",
    "jsonb_agg",
    "jsonb_object_agg",
    "last_value",
    "max",
    "median",
    "min",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

/// Does a part of a select call an aggregate? Window functions are none.
pub(super) fn has_aggregate(tree: &impl Visit) -> bool {
    expressions(tree, |e| match e {
        Expr::Function(f) if f.over.is_none() && NAMES.contains(&f.name.to_string().to_lowercase().as_str()) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// PostgreSQL: HAVING alone makes a query one over a single group, which the engine only knows by an aggregate.
pub(super) fn having(select: &mut Select) {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty());
    let Some(condition) = &mut select.having else { return };
    if grouped || has_aggregate(condition) || select.projection.iter().any(has_aggregate) {
        return;
    }
    let always = binary(count_all(), BinaryOperator::GtEq, number(0));
    *condition = binary(Expr::Nested(Box::new(take(condition))), BinaryOperator::And, always);
}
