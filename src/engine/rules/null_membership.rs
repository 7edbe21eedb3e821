//! `x IN (SELECT v ..)` where it may be NULL: when nothing matches, and `x` or one of the values is NULL.
//!
//! DataFusion knows that for NOT IN as a condition of its own, over a subquery that does not look at its outer query, with
//! a column in `x`. Elsewhere (below OR, NOT or CASE) it makes a mark join of it, whose mark is false where NULL is due:
//! under NOT that lets rows through that must stay out. So this rule spells those out, with
//!
//! - `nulls`: EXISTS (SELECT v .. WHERE v IS NULL)
//! - `unknown`: `nulls` OR `x` IS NULL AND EXISTS (SELECT v ..)
//!
//! Where only TRUE counts, NOT IN becomes `(x IN ..) IS NOT TRUE AND NOT unknown`; elsewhere IN becomes
//! `(x IN ..) IS TRUE OR unknown AND NULL`. What can't be NULL by its type is left out.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::utils::{conjunction, disjunction, merge_schema};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

/// The rule. To run after types are settled.
#[derive(Debug)]
pub(in crate::engine) struct MembershipOfNulls;

impl AnalyzerRule for MembershipOfNulls {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match &plan {
            LogicalPlan::Filter(_) | LogicalPlan::Join(_) => {
                let schema = merge_schema(&plan.inputs());
                plan.map_expressions(|expr| {
                    if has_membership(&expr) {
                        settle(expr, ConditionPosition::Top, &schema).map(Transformed::yes)
                    } else {
                        Ok(Transformed::no(expr))
                    }
                })
            }
            _ => Ok(Transformed::no(plan)),
        })
        .map(|done| done.data)
    }

    fn name(&self) -> &str {
        "membership_of_nulls"
    }
}

/// Where a part of a condition stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConditionPosition {
    /// It must be true for a row to stay.
    Top,
    /// One of several of which one must be true.
    Either,
    /// NULL and false may differ.
    Value,
}

fn has_membership(expr: &Expr) -> bool {
    expr.exists(|e| Ok(matches!(e, Expr::InSubquery(_)))).unwrap_or(true)
}

fn settle(expr: Expr, place: ConditionPosition, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::InSubquery(membership) => spell_out(membership, place, schema),
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(membership) => spell_out(InSubquery { negated: !membership.negated, ..membership }, place, schema),
            other => Ok(!settle(other, ConditionPosition::Value, schema)?),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let place = if op == Operator::Or && place == ConditionPosition::Top { ConditionPosition::Either } else { place };
            let (left, right) = (settle(*left, place, schema)?, settle(*right, place, schema)?);
            Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        other => other.map_children(|e| settle(e, ConditionPosition::Value, schema).map(Transformed::yes)).map(|done| done.data),
    }
}

fn spell_out(membership: InSubquery, place: ConditionPosition, schema: &DFSchema) -> Result<Expr> {
    let InSubquery { expr, subquery, negated } = membership;
    let value = settle(*expr, ConditionPosition::Value, schema)?;
    let correlated = !subquery.outer_ref_columns.is_empty();
    let known = match place {
        ConditionPosition::Top => !negated || (!correlated && !value.column_refs().is_empty()),
        ConditionPosition::Either => !negated,
        ConditionPosition::Value => false,
    };
    let may_be_null = value.nullable(schema).unwrap_or(true);
    let unknown = if known { None } else { unknown(&value, may_be_null, &subquery)? };
    let found = |negated| Expr::InSubquery(InSubquery { expr: Box::new(value.clone()), subquery: subquery.clone(), negated });
    let constant = value.column_refs().is_empty();
    Ok(match unknown {
        // DataFusion plans no anti join with several keys that is aware of NULL, and needs none of a constant.
        None if negated && !known && (correlated || constant) => found(false).is_not_true(),
        None => found(negated),
        Some(unknown) if place == ConditionPosition::Value => {
            let found = found(false).is_true().or(unknown.and(lit(ScalarValue::Boolean(None))));
            if negated { !found } else { found }
        }
        Some(unknown) => found(false).is_not_true().and(!unknown),
    })
}

/// What is true when a value that was not found may be one of those that are NULL; None: that can't be.
fn unknown(value: &Expr, may_be_null: bool, subquery: &Subquery) -> Result<Option<Expr>> {
    let of = |plan: LogicalPlan| {
        // One row is enough; of one that looks at its outer query a limit would be one for all of that query's rows.
        let plan = if subquery.outer_ref_columns.is_empty() { LogicalPlanBuilder::from(plan).limit(0, Some(1))?.build()? } else { plan };
        let subquery = Subquery { subquery: Arc::new(plan), ..subquery.clone() };
        Ok::<_, datafusion::error::DataFusionError>(Expr::Exists(Exists { subquery, negated: false }))
    };
    let rows = subquery.subquery.as_ref();
    let (qualifier, field) = rows.schema().qualified_field(0);
    let mut reasons = Vec::new();
    if field.is_nullable() {
        let is_null = Expr::Column(Column::from((qualifier, field))).is_null();
        reasons.push(of(LogicalPlan::Filter(Filter::try_new(is_null, Arc::new(rows.clone()))?))?);
    }
    if may_be_null {
        reasons.extend(conjunction([value.clone().is_null(), of(rows.clone())?]));
    }
    Ok(disjunction(reasons))
}
