//! Values that are compared by a key of theirs in PostgreSQL sessions: intervals (`1 day` is `24:00`) and jsonb (whose text
//! says the same in many ways).
//!
//! A comparison, a sort, a join and a partition take the key in the value's place. GROUP BY and DISTINCT group by the key and
//! show one of the values.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, InList, InSubquery, Sort as SortKey, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{DistinctOn, Subquery};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Aggregate, BinaryExpr, Case, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Projection, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use super::common_moments::compares;
use crate::engine::error::external;
use crate::engine::functions::{Facts, call};
use crate::error::{Error, Kind};
use crate::types::{ColumnInfo, SqlType};

/// The rule, for one session.
#[derive(Debug)]
pub(in crate::engine) struct ValueKeys {
    /// Of the session.
    pub(in crate::engine) facts: Arc<Facts>,
}

/// What has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyed {
    Interval,
    Jsonb,
}

/// Is this type compared by a key?
fn keyed_field(field: &FieldRef) -> Option<Keyed> {
    match field.data_type() {
        DataType::Interval(_) => Some(Keyed::Interval),
        DataType::Utf8 if ColumnInfo::of_field(field, "").ty == SqlType::Json => Some(Keyed::Jsonb),
        _ => None,
    }
}

fn keyed(expr: &Expr, schema: &DFSchema) -> Option<Keyed> {
    if let Expr::Alias(alias) = expr {
        return keyed(&alias.expr, schema);
    }
    expr.to_field(schema).ok().and_then(|(_, field)| keyed_field(&field))
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text),
        _ => None,
    }
}

/// Does this expression not say whether its text is JSON?
fn is_silent(expr: &Expr) -> bool {
    match expr {
        Expr::Case(_) | Expr::ScalarSubquery(_) => true,
        Expr::ScalarFunction(function) => ["coalesce", "nullif"].contains(&function.name()),
        _ => false,
    }
}

fn noted<T>(data: T, changed: bool) -> Transformed<T> {
    if changed { Transformed::yes(data) } else { Transformed::no(data) }
}

impl AnalyzerRule for ValueKeys {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| self.node(plan)).map(|done| done.data)
    }

    fn name(&self) -> &str {
        "value_keys"
    }
}

impl ValueKeys {
    fn node(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|e| self.expression(e, &schema))?.update_data(|e| name.restore(e)))
        })?;
        let changed = plan.transformed;
        let plan = match plan.data {
            LogicalPlan::Sort(mut sort) => {
                let changed = self.sort_keys(&mut sort.expr, &schema)?;
                noted(LogicalPlan::Sort(sort), changed)
            }
            LogicalPlan::Join(join) => self.join(join)?,
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, &schema)?,
            LogicalPlan::Distinct(Distinct::All(input)) if input.schema().fields().iter().any(|f| keyed_field(f).is_some()) => {
                let columns = input.schema().iter().map(|(qualifier, field)| Expr::Column(Column::from((qualifier, field)))).collect();
                let schema = merge_schema(&[input.as_ref()]);
                self.aggregate(Aggregate::try_new(input, columns, Vec::new())?, &schema)?
            }
            LogicalPlan::Distinct(Distinct::On(DistinctOn { on_expr, select_expr, sort_expr, input, .. }))
                if on_expr.iter().any(|e| keyed(e, &schema).is_some()) =>
            {
                let on_expr = on_expr.into_iter().map(|e| self.key_if(e, &schema)).collect::<Result<_>>()?;
                let mut sort_expr = sort_expr;
                if let Some(keys) = &mut sort_expr {
                    self.sort_keys(keys, &schema)?;
                }
                let distinct = DistinctOn::try_new(on_expr, select_expr, sort_expr, input)?;
                Transformed::yes(LogicalPlan::Distinct(Distinct::On(distinct)))
            }
            other => Transformed::no(other),
        };
        if changed || plan.transformed { plan.data.recompute_schema().map(Transformed::yes) } else { Ok(plan) }
    }

    /// The key of a value.
    fn key(&self, expr: Expr, kind: Keyed) -> Result<Expr> {
        match kind {
            Keyed::Interval => call("fg_interval_key", vec![expr], &self.facts),
            Keyed::Jsonb => call("fg_jsonb_key", vec![expr], &self.facts),
        }
    }

    fn key_if(&self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        match keyed(&expr, schema) {
            Some(kind) => self.key(expr, kind),
            None => Ok(expr),
        }
    }

    /// What stands beside a value of this kind: one too, or a literal that is read as one.
    fn beside(&self, expr: Expr, kind: Keyed, schema: &DFSchema) -> Result<Expr> {
        if keyed(&expr, schema) == Some(kind) {
            return self.key(expr, kind);
        }
        if let (Some(text), Keyed::Interval) = (text_of(&expr), kind) {
            let wrong = || external(Error::new(Kind::InvalidDatetime, format!("invalid input syntax for type interval: \"{text}\"")));
            let (months, days, micros) = crate::sql::interval::parts(text).ok_or_else(wrong)?;
            let length = crate::engine::functions::interval_length((months.into(), days.into(), micros));
            return Ok(lit(ScalarValue::Decimal128(Some(length), 38, 0)));
        }
        match expr.get_type(schema) {
            Ok(DataType::Null) => Ok(expr),
            Ok(DataType::Utf8) if kind == Keyed::Jsonb && (text_of(&expr).is_some() || is_silent(&expr)) => self.key(expr, kind),
            Ok(DataType::Interval(_)) => self.key(expr, kind),
            Ok(other) => {
                let name = if kind == Keyed::Jsonb { "jsonb" } else { "interval" };
                let message = format!("operator does not exist: {name} and {}", SqlType::of_arrow(&other).postgres_name());
                let error = Error::new(Kind::UnknownFunction, message).with_hint("you might need to add explicit type casts");
                Err(external(error))
            }
            Err(error) => Err(error),
        }
    }

    fn expression(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
                let Some(kind) = keyed(&left, schema).or_else(|| keyed(&right, schema)) else {
                    return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
                };
                let (left, right) = (self.beside(*left, kind, schema)?, self.beside(*right, kind, schema)?);
                Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })))
            }
            Expr::InList(InList { expr, list, negated }) => {
                let Some(kind) = keyed(&expr, schema) else { return Ok(Transformed::no(Expr::InList(InList { expr, list, negated }))) };
                let list = list.into_iter().map(|e| self.beside(e, kind, schema)).collect::<Result<_>>()?;
                Ok(Transformed::yes(Expr::InList(InList { expr: Box::new(self.key(*expr, kind)?), list, negated })))
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let of_rows = subquery.subquery.schema().fields().first().and_then(keyed_field);
                let Some(kind) = keyed(&expr, schema).filter(|kind| of_rows == Some(*kind)) else {
                    return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated })));
                };
                let column = Expr::Column(Column::from(subquery.subquery.schema().qualified_field(0)));
                let (qualifier, field) = subquery.subquery.schema().qualified_field(0);
                let value = self.key(column, kind)?.alias_qualified(qualifier.cloned(), field.name());
                let rows = Projection::try_new(vec![value], Arc::clone(&subquery.subquery))?;
                let subquery = Subquery { subquery: Arc::new(LogicalPlan::Projection(rows)), ..subquery };
                Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr: Box::new(self.key(*expr, kind)?), subquery, negated })))
            }
            Expr::Case(Case { expr: Some(value), when_then_expr, else_expr }) => {
                let Some(kind) = keyed(&value, schema) else {
                    return Ok(Transformed::no(Expr::Case(Case { expr: Some(value), when_then_expr, else_expr })));
                };
                let branch = |(when, then): (Box<Expr>, Box<Expr>)| Ok((Box::new(self.beside(*when, kind, schema)?), then));
                let when_then_expr = when_then_expr.into_iter().map(branch).collect::<Result<_>>()?;
                let value = Some(Box::new(self.key(*value, kind)?));
                Ok(Transformed::yes(Expr::Case(Case { expr: value, when_then_expr, else_expr })))
            }
            Expr::ScalarFunction(function) if function.name() == "nullif" && function.args.len() == 2 => {
                let Some(kind) = keyed(&function.args[0], schema) else { return Ok(Transformed::no(Expr::ScalarFunction(function))) };
                let mut args = function.args.into_iter();
                let (first, second) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
                let equal = self.key(first.clone(), kind)?.eq(self.beside(second, kind, schema)?);
                Ok(Transformed::yes(datafusion::logical_expr::when(equal, lit(ScalarValue::Null)).otherwise(first)?))
            }
            Expr::AggregateFunction(mut function) => {
                let mut changed = self.sort_keys(&mut function.params.order_by, schema)?;
                if function.params.distinct && function.params.args.iter().any(|e| keyed(e, schema).is_some()) {
                    changed = true;
                    self.distinct_arguments(&mut function, schema)?;
                }
                Ok(noted(Expr::AggregateFunction(function), changed))
            }
            Expr::WindowFunction(mut window) => {
                let changed = self.window(&mut window, schema)?;
                Ok(noted(Expr::WindowFunction(window), changed))
            }
            other => Ok(Transformed::no(other)),
        }
    }

    /// `count(DISTINCT x)` counts keys; what shows the values would show one for each text.
    fn distinct_arguments(&self, function: &mut AggregateFunction, schema: &DFSchema) -> Result<()> {
        if function.func.name() != "count" {
            let what = format!("{}(DISTINCT ..) of intervals or jsonb", function.func.name());
            return Err(external(Error::unsupported(what)));
        }
        let args = std::mem::take(&mut function.params.args);
        function.params.args = args.into_iter().map(|e| self.key_if(e, schema)).collect::<Result<_>>()?;
        Ok(())
    }

    fn window(&self, window: &mut WindowFunction, schema: &DFSchema) -> Result<bool> {
        let mut changed = self.sort_keys(&mut window.params.order_by, schema)?;
        for part in &mut window.params.partition_by {
            if let Some(kind) = keyed(part, schema) {
                *part = self.key(std::mem::take(part), kind)?;
                changed = true;
            }
        }
        Ok(changed)
    }

    fn sort_keys(&self, keys: &mut [SortKey], schema: &DFSchema) -> Result<bool> {
        let mut changed = false;
        for key in keys {
            if let Some(kind) = keyed(&key.expr, schema) {
                key.expr = self.key(std::mem::take(&mut key.expr), kind)?;
                changed = true;
            }
        }
        Ok(changed)
    }

    fn join(&self, mut join: Join) -> Result<Transformed<LogicalPlan>> {
        let mut changed = false;
        for (left, right) in &mut join.on {
            let (of_left, of_right) = (keyed(left, join.left.schema()), keyed(right, join.right.schema()));
            if let (Some(kind), true) = (of_left, of_left == of_right) {
                *left = self.key(std::mem::take(left), kind)?;
                *right = self.key(std::mem::take(right), kind)?;
                changed = true;
            }
        }
        Ok(noted(LogicalPlan::Join(join), changed))
    }

    fn aggregate(&self, aggregate: Aggregate, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
        let kinds: Vec<_> = aggregate.group_expr.iter().map(|e| keyed(e, schema)).collect();
        let in_sets = aggregate.group_expr.iter().any(|e| match e {
            Expr::GroupingSet(sets) => sets.distinct_expr().iter().any(|e| keyed(e, schema).is_some()),
            _ => false,
        });
        if in_sets {
            return Err(external(Error::unsupported("GROUPING SETS, ROLLUP or CUBE of intervals or jsonb")));
        }
        if kinds.iter().all(Option::is_none) {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        }
        let Aggregate { input, group_expr, aggr_expr, schema: shown, .. } = aggregate;
        let (groups, aggregates) = (group_expr.len(), aggr_expr.len());
        let mut values = aggr_expr;
        let mut keys = Vec::with_capacity(groups);
        for (place, (expr, kind)) in group_expr.into_iter().zip(&kinds).enumerate() {
            let Some(kind) = kind else {
                keys.push(expr);
                continue;
            };
            let one = AggregateFunction::new_udf(first_value_udaf(), vec![expr.clone().unalias()], false, None, Vec::new(), None);
            values.push(Expr::AggregateFunction(one).alias(format!("fg_one_of_{place}")));
            keys.push(self.key(expr.unalias(), *kind)?.alias(format!("fg_key_{place}")));
        }
        let inner = Arc::new(LogicalPlan::Aggregate(Aggregate::try_new(input, keys, values)?));
        let mut one = groups + aggregates;
        let mut columns = Vec::with_capacity(groups + aggregates);
        for place in 0..groups + aggregates {
            let (qualifier, field) = shown.qualified_field(place);
            let at = if kinds.get(place).is_some_and(Option::is_some) {
                one += 1;
                one - 1
            } else {
                place
            };
            let column = Expr::Column(Column::from(inner.schema().qualified_field(at)));
            let metadata = datafusion::common::metadata::FieldMetadata::from(field.as_ref());
            columns.push(column.alias_qualified_with_metadata(qualifier.cloned(), field.name(), Some(metadata)));
        }
        Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, inner)?)))
    }
}
