//! How many digits of a quotient count inside an expression, in MySQL sessions.
//!
//! `1/3` is shown as 0.3333, yet `1/3*3` is 1.0000: MariaDB (and MySQL before 9) round what is shown, not what is computed
//! with. This pass over a new plan gives each `/` that is part of arithmetic, of a choice among values or of an aggregate its
//! hidden digits, and rounds to the type that was planned wherever a value leaves the expression: in the select list, in
//! comparisons (both databases compare what is shown), in groups, unions and sorts, and in functions of text.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, Subquery, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use std::ops::ControlFlow;

use crate::engine::functions::{FunctionFacts, mysql_functions};
use crate::sql::Server;
use crate::sql::walk::expressions;

/// The functions that the pass puts into a plan.
const FORMS: [&str; 5] = ["fg_long_div", "fg_long_mul", "fg_long_add", "fg_long_sub", "fg_shown"];

/// Functions whose decimal arguments count with all their digits.
const EXACT: [&str; 36] = [
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "ceil",
    "ceiling",
    "coalesce",
    "cos",
    "cot",
    "degrees",
    "exp",
    "fg_bits",
    "fg_cast",
    "fg_exact",
    "fg_finite",
    "fg_float",
    "fg_int",
    "fg_my_intdiv",
    "fg_my_mod",
    "fg_neg",
    "floor",
    "greatest",
    "least",
    "ln",
    "log",
    "log10",
    "log2",
    "pow",
    "power",
    "radians",
    "round",
    "sign",
    "sin",
    "sqrt",
    "truncate",
];

/// Aggregates that compute with all digits of what they get.
const EXACT_AGGREGATES: [&str; 8] = ["sum", "min", "max", "stddev_pop", "stddev", "var_pop", "var", "stddev_samp"];

/// Does this server keep hidden digits? MySQL 9 rounds each quotient.
pub(in crate::engine) fn are_kept(server: Server) -> bool {
    server.mariadb || server.version < 90_000
}

/// Is there a quotient in the tree (AVG has become one)?
pub(in crate::engine) fn are_in(tree: &ast::Query) -> bool {
    expressions(tree, |e| match e {
        ast::Expr::BinaryOp { op: ast::BinaryOperator::Divide, .. } => ControlFlow::Break(()),
        ast::Expr::Function(f) if f.name.to_string() == "fg_div" => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Gives the quotients of a plan their digits.
pub(in crate::engine) fn keep_digits(plan: LogicalPlan, facts: &FunctionFacts) -> Result<LogicalPlan> {
    let pass = Pass { functions: mysql_functions(&FORMS, facts).into_iter().map(|(name, f)| (name, Arc::new(f))).collect() };
    pass.plan(plan, true)
}

struct Pass {
    functions: HashMap<&'static str, Arc<ScalarUDF>>,
}

/// The columns of a node's inputs, as they were planned and as they are now.
struct NodeSchemas<'a> {
    old: &'a DFSchema,
    new: &'a DFSchema,
}

impl NodeSchemas<'_> {
    /// Of an expression and what became of it: both types, when they differ.
    fn difference(&self, old: &Expr, new: &Expr) -> Option<(DataType, DataType)> {
        let (old, new) = (old.get_type(self.old).ok()?, new.get_type(self.new).ok()?);
        (old != new).then_some((old, new))
    }
}

impl Pass {
    /// `shown`: the output columns have the types that were planned.
    fn plan(&self, plan: LogicalPlan, shown: bool) -> Result<LogicalPlan> {
        let old = merge_schema(&plan.inputs());
        let below = match &plan {
            // Above a sort there must be nothing to compute: the order would be lost.
            LogicalPlan::Projection(projection) => shown && matches!(projection.input.as_ref(), LogicalPlan::Sort(_)),
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => false,
            LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Join(_) => shown,
            // What the database would merge into the outer query keeps its digits; what it makes a table of does not.
            LogicalPlan::SubqueryAlias(alias) => shown || !merges(&alias.input),
            _ => true,
        };
        let plan = plan.map_children(|child| self.plan(child, below).map(Transformed::yes))?.data;
        let new = merge_schema(&plan.inputs());
        let scope = NodeSchemas { old: &old, new: &new };
        let roots_shown = match &plan {
            LogicalPlan::Projection(_) => shown,
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => shown,
            _ => true,
        };
        let groups = if let LogicalPlan::Aggregate(aggregate) = &plan { aggregate.group_expr.len() } else { 0 };
        let names = NamePreserver::new(&plan);
        let mut index = 0;
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let group = index < groups;
            index += 1;
            let new = if roots_shown || group { self.shown(&expr, &scope)? } else { self.expr(expr.clone(), &scope)? };
            if new == expr { Ok(Transformed::no(expr)) } else { Ok(Transformed::yes(name.restore(new))) }
        })?;
        plan.data.recompute_schema()
    }

    /// An expression that loses its hidden digits.
    fn shown(&self, expr: &Expr, scope: &NodeSchemas<'_>) -> Result<Expr> {
        if let Expr::Alias(alias) = expr {
            let mut alias = alias.clone();
            alias.expr = Box::new(self.shown(&alias.expr, scope)?);
            return Ok(Expr::Alias(alias));
        }
        // A sort key, or a value on its way into a column, which rounds for itself.
        if matches!(expr, Expr::ScalarFunction(f) if f.name() == "fg_kept") {
            return self.expr(expr.clone(), scope);
        }
        // Aggregates stand alone in their node: they are shown by what reads them, or not given more digits at all.
        if matches!(expr, Expr::AggregateFunction(_) | Expr::WindowFunction(_)) {
            return self.children_shown(expr.clone(), scope);
        }
        let new = self.expr(expr.clone(), scope)?;
        Ok(match scope.difference(expr, &new) {
            Some((DataType::Decimal128(precision, scale), DataType::Decimal128(..))) => {
                self.call("fg_shown", vec![new, lit(i64::from(precision)), lit(i64::from(scale))])
            }
            _ => new,
        })
    }

    fn children_shown(&self, expr: Expr, scope: &NodeSchemas<'_>) -> Result<Expr> {
        expr.map_children(|child| self.shown(&child, scope).map(Transformed::yes)).map(|done| done.data)
    }

    fn children_kept(&self, expr: Expr, scope: &NodeSchemas<'_>) -> Result<Expr> {
        expr.map_children(|child| self.expr(child, scope).map(Transformed::yes)).map(|done| done.data)
    }

    /// An expression with all its digits.
    fn expr(&self, expr: Expr, scope: &NodeSchemas<'_>) -> Result<Expr> {
        match expr {
            Expr::Column(_) | Expr::Literal(..) => Ok(expr),
            Expr::Alias(mut alias) => {
                alias.expr = Box::new(self.expr(*alias.expr, scope)?);
                Ok(Expr::Alias(alias))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus | Operator::Multiply), right }) => {
                let (old_left, old_right) = (left.as_ref().clone(), right.as_ref().clone());
                let (left, right) = (self.expr(*left, scope)?, self.expr(*right, scope)?);
                let longer = |old: &Expr, new: &Expr| matches!(scope.difference(old, new), Some((_, DataType::Decimal128(..))));
                let exact = |e: &Expr| e.get_type(scope.new).is_ok_and(|ty| ty.is_integer() || ty.is_decimal());
                if (longer(&old_left, &left) || longer(&old_right, &right)) && exact(&left) && exact(&right) {
                    let name = match op {
                        Operator::Plus => "fg_long_add",
                        Operator::Minus => "fg_long_sub",
                        _ => "fg_long_mul",
                    };
                    return Ok(self.call(name, vec![left, right]));
                }
                Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) }))
            }
            Expr::ScalarFunction(function) if function.name() == "fg_div" => {
                let exact = matches!(Expr::ScalarFunction(function.clone()).get_type(scope.old), Ok(DataType::Decimal128(..)));
                match self.children_kept(Expr::ScalarFunction(function), scope)? {
                    Expr::ScalarFunction(function) if exact => Ok(self.call("fg_long_div", function.args)),
                    other => Ok(other),
                }
            }
            // FORMAT shows as many digits as it is asked for.
            Expr::ScalarFunction(function) if function.name() == "format" => self.children_kept(Expr::ScalarFunction(function), scope),
            Expr::ScalarFunction(function) if function.name() == "fg_kept" || EXACT.contains(&function.name()) => {
                let expr = Expr::ScalarFunction(function);
                // A text of it shows what a client would see.
                if numeric(&expr, scope) { self.children_kept(expr, scope) } else { self.children_shown(expr, scope) }
            }
            Expr::AggregateFunction(AggregateFunction { func, mut params }) if EXACT_AGGREGATES.contains(&func.name()) => {
                params.args = params.args.into_iter().map(|e| self.expr(e, scope)).collect::<Result<_>>()?;
                Ok(Expr::AggregateFunction(AggregateFunction { func, params }))
            }
            Expr::WindowFunction(window) if EXACT_AGGREGATES.contains(&window.fun.name()) => {
                let WindowFunction { fun, mut params } = *window;
                params.args = params.args.into_iter().map(|e| self.expr(e, scope)).collect::<Result<_>>()?;
                params.partition_by = params.partition_by.iter().map(|e| self.shown(e, scope)).collect::<Result<_>>()?;
                for sort in &mut params.order_by {
                    sort.expr = self.shown(&sort.expr, scope)?;
                }
                Ok(Expr::WindowFunction(Box::new(WindowFunction { fun, params })))
            }
            // Among texts it is one of them.
            Expr::Case(case)
                if case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr).all(|e| numeric(e, scope) || is_null(e)) =>
            {
                let kept = |e: Box<Expr>| self.expr(*e, scope).map(Box::new);
                Ok(Expr::Case(Case {
                    expr: case.expr.map(|e| self.shown(&e, scope).map(Box::new)).transpose()?,
                    when_then_expr: case
                        .when_then_expr
                        .into_iter()
                        .map(|(when, then)| Ok((Box::new(self.shown(&when, scope)?), kept(then)?)))
                        .collect::<Result<_>>()?,
                    else_expr: case.else_expr.map(kept).transpose()?,
                }))
            }
            // What brings the values of a choice to one type leaves their digits.
            Expr::Cast(cast) if cast.field.data_type().is_decimal() => {
                let inner = self.expr(cast.expr.as_ref().clone(), scope)?;
                match scope.difference(&cast.expr, &inner) {
                    Some((_, DataType::Decimal128(..))) => Ok(inner),
                    _ => Ok(Expr::Cast(cast)),
                }
            }
            Expr::Cast(_) | Expr::TryCast(_) | Expr::Negative(_) => self.children_kept(expr, scope),
            Expr::ScalarSubquery(subquery) => {
                let whole = subquery.outer_ref_columns.is_empty() && merges_above(&subquery.subquery);
                Ok(Expr::ScalarSubquery(self.subquery(subquery, !whole)?))
            }
            Expr::Exists(mut exists) => {
                exists.subquery = self.subquery(exists.subquery, true)?;
                Ok(Expr::Exists(exists))
            }
            Expr::InSubquery(mut membership) => {
                membership.expr = Box::new(self.shown(&membership.expr, scope)?);
                membership.subquery = self.subquery(membership.subquery, true)?;
                Ok(Expr::InSubquery(membership))
            }
            Expr::SetComparison(mut comparison) => {
                comparison.expr = Box::new(self.shown(&comparison.expr, scope)?);
                comparison.subquery = self.subquery(comparison.subquery, true)?;
                Ok(Expr::SetComparison(comparison))
            }
            other => self.children_shown(other, scope),
        }
    }

    fn subquery(&self, subquery: Subquery, shown: bool) -> Result<Subquery> {
        let plan = self.plan(Arc::unwrap_or_clone(subquery.subquery), shown)?;
        Ok(Subquery { subquery: Arc::new(plan), ..subquery })
    }

    fn call(&self, name: &'static str, args: Vec<Expr>) -> Expr {
        match self.functions.get(name) {
            Some(function) => Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args)),
            None => lit(ScalarValue::Null),
        }
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

fn numeric(expr: &Expr, scope: &NodeSchemas<'_>) -> bool {
    expr.get_type(scope.old).is_ok_and(|ty| ty.is_numeric())
}

/// Is a derived table merged into the query around it: does it only choose rows and columns of tables?
fn merges(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Join(_) => {
            plan.inputs().into_iter().all(merges)
        }
        _ => false,
    }
}

/// Does a subquery in the place of a value give that value as it was computed, out of no table that was made for it?
fn merges_above(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_) => plan.inputs().into_iter().all(merges_above),
        _ => false,
    }
}
