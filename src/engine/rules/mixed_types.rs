//! Moments and numbers, texts and numbers in one list (IN), as MySQL sessions take them.
//!
//! DataFusion would make days since 1970 of a date, and texts of the numbers beside a text. This pass over a new plan comes
//! before its coercion: numbers in a list are read as moments beside a moment, a text in front of numbers becomes one.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{InList, InSubquery, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Projection, ScalarUDF, Subquery, cast, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use jiff::tz::TimeZone;

use crate::engine::dialect::number_of;
use crate::engine::functions::{FunctionFacts, mysql_functions, read_number, scalar::CIVIL};
use crate::sql::walk::expressions;
use crate::types::coerce::format::decimal_text;

/// Is there anything in a tree that this pass may concern?
pub(in crate::engine) fn may_be_in(tree: &ast::Query) -> bool {
    expressions(tree, |e| match e {
        ast::Expr::InList { .. } | ast::Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Settles a plan of a MySQL session.
pub(in crate::engine) fn settle(plan: LogicalPlan, facts: &FunctionFacts) -> Result<LogicalPlan> {
    let mut functions = mysql_functions(&["fg_float", "fg_moment"], facts).into_iter().map(|(_, function)| Arc::new(function));
    let (Some(float), Some(moment)) = (functions.next(), functions.next()) else { return Ok(plan) };
    let pass = Pass { float, moment, zone: facts.zone.clone() };
    let done = plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let changed = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr
                .transform_up(|e| match e {
                    Expr::InSubquery(membership) => pass.subquery(membership, &schema),
                    other => pass.list(other, &schema),
                })?
                .update_data(|e| name.restore(e)))
        })?;
        if changed.transformed { changed.map_data(LogicalPlan::recompute_schema) } else { Ok(changed) }
    })?;
    Ok(done.data)
}

struct Pass {
    float: Arc<ScalarUDF>,
    moment: Arc<ScalarUDF>,
    zone: TimeZone,
}

fn is_moment(ty: &DataType) -> bool {
    matches!(ty, DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_))
}

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn call(function: &Arc<ScalarUDF>, arg: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), vec![arg]))
}

impl Pass {
    fn list(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let Expr::InList(InList { expr, list, negated }) = expr else { return Ok(Transformed::no(expr)) };
        let unchanged = |expr, list| Ok(Transformed::no(Expr::InList(InList { expr, list, negated })));
        let Ok(ty) = expr.get_type(schema) else { return unchanged(expr, list) };
        let is_null = |e: &Expr| matches!(e, Expr::Literal(value, _) if value.is_null());
        let numbers = list.iter().all(|item| is_null(item) || number_of(item).is_some());
        if !numbers || !(is_moment(&ty) || is_text(&ty)) {
            return unchanged(expr, list);
        }
        let (expr, list) = if is_text(&ty) {
            let double = |(value, scale)| lit(decimal_text(value, scale).parse::<f64>().unwrap_or(0.0));
            let list = list.into_iter().map(|item| number_of(&item).map_or(item, double)).collect();
            (call(&self.float, *expr), list)
        } else {
            let list: Vec<Expr> = list
                .into_iter()
                .map(|item| number_of(&item).map_or(item, |(value, scale)| lit(read_number(value, scale, &ty, &self.zone))))
                .collect();
            let civil = |e: &Expr| matches!(e, Expr::Literal(ScalarValue::TimestampMicrosecond(_, None), _));
            // A date beside a number that has a time of day.
            if ty == DataType::Date32 && list.iter().any(civil) {
                (cast(*expr, CIVIL), list.into_iter().map(|item| if civil(&item) { item } else { cast(item, CIVIL) }).collect())
            } else {
                (*expr, list)
            }
        };
        Ok(Transformed::yes(Expr::InList(InList { expr: Box::new(expr), list, negated })))
    }

    /// `date IN (SELECT number ..)` and `text IN (SELECT number ..)`, either way round.
    fn subquery(&self, membership: InSubquery, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let InSubquery { expr, subquery, negated } = membership;
        let (relation, field) = subquery.subquery.schema().qualified_field(0);
        let (relation, inner) = (relation.cloned(), field.data_type().clone());
        let column = Expr::Column(Column::new(relation.clone(), field.name()));
        let name = field.name().clone();
        let outer = expr.get_type(schema)?;
        let civil = |e: Expr, ty: &DataType| if ty == &DataType::Date32 { cast(e, CIVIL) } else { e };
        let day_or_moment = |ty: &DataType| ty == &DataType::Date32 || ty == &CIVIL;
        let (expr, column) = match (&outer, &inner) {
            (o, i) if day_or_moment(o) && i.is_numeric() => (civil(*expr, o), call(&self.moment, column)),
            (o, i) if o.is_numeric() && day_or_moment(i) => (call(&self.moment, *expr), civil(column, i)),
            (o, i) if is_text(o) && i.is_numeric() => (call(&self.float, *expr), cast(column, DataType::Float64)),
            (o, i) if o.is_numeric() && is_text(i) => (cast(*expr, DataType::Float64), call(&self.float, column)),
            _ => return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated }))),
        };
        let plan = Projection::try_new(vec![column.alias_qualified(relation, name)], Arc::clone(&subquery.subquery))?;
        let subquery = Subquery { subquery: Arc::new(LogicalPlan::Projection(plan)), ..subquery };
        Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr: Box::new(expr), subquery, negated })))
    }
}
