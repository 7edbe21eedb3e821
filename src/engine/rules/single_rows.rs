//! Subqueries that give one row at most: an aggregate without groups, whatever stands around it.
//!
//! Such an aggregate gives a row even of no rows. DataFusion makes joins of EXISTS, IN and of values that look at the outer
//! query; a group then is what has rows, and the row of no rows is lost. So this rule says without a join
//!
//! - `EXISTS (SELECT COUNT(*) ..)`: true,
//! - `x IN (SELECT COUNT(*) ..)`: `x = (SELECT COUNT(*) ..)`,
//! - with HAVING (or a WHERE around): the condition, in which each aggregate is a value of its own.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, Spans};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{Filter, Limit, Subquery};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::{conjunction, merge_schema};
use datafusion::logical_expr::{Aggregate, BinaryExpr, Case, Distinct, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::scalar::ScalarValue;

use crate::engine::error::external;
use crate::error::Error;

/// The rule. To run before types are settled.
#[derive(Debug)]
pub(in crate::engine) struct SingleRows;

impl AnalyzerRule for SingleRows {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            let changed = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(|e| replaced(e, &schema))?.update_data(|e| name.restore(e)))
            })?;
            if changed.transformed { changed.map_data(|plan| above_join(plan)?.recompute_schema()) } else { Ok(changed) }
        })
        .map(|done| done.data)
    }

    fn name(&self) -> &str {
        "single_rows"
    }
}

/// The engine knows values of subqueries in the conditions of a filter, not of a join.
fn above_join(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Join(mut join) if join.join_type == JoinType::Inner => match join.filter.take() {
            Some(filter) if filter.exists(|e| Ok(matches!(e, Expr::ScalarSubquery(_))))? => {
                let join = LogicalPlan::Join(join);
                Ok(LogicalPlan::Filter(Filter::try_new(filter, Arc::new(join))?))
            }
            filter => {
                join.filter = filter;
                Ok(LogicalPlan::Join(join))
            }
        },
        other => Ok(other),
    }
}

/// One row at most.
struct Row {
    /// When it is there; None: always.
    when: Option<Expr>,
    /// Its columns.
    columns: Vec<Expr>,
    /// Does the engine make the same of it?
    plain: bool,
}

fn replaced(expr: Expr, outer: &DFSchema) -> Result<Transformed<Expr>> {
    let subquery = match &expr {
        Expr::Exists(exists) => &exists.subquery,
        Expr::InSubquery(membership) => &membership.subquery,
        Expr::SetComparison(comparison) => &comparison.subquery,
        Expr::ScalarSubquery(subquery) => subquery,
        _ => return Ok(Transformed::no(expr)),
    };
    let Some(Row { when, mut columns, plain }) = row_of(&subquery.subquery)? else { return Ok(Transformed::no(expr)) };
    let new = match expr {
        Expr::Exists(Exists { negated, .. }) => match when {
            None => lit(!negated),
            Some(when) if negated => when.is_not_true(),
            Some(when) => when.is_true(),
        },
        Expr::InSubquery(InSubquery { expr: value, negated, .. }) if columns.len() == 1 => {
            let equal = (*value).eq(columns.swap_remove(0));
            let found = match when {
                None => equal,
                Some(when) => chosen(when, equal, lit(false)),
            };
            if negated { !found } else { found }
        }
        Expr::SetComparison(SetComparison { expr: value, op, quantifier, .. }) if columns.len() == 1 => {
            let holds = Expr::BinaryExpr(BinaryExpr::new(value, op, Box::new(columns.swap_remove(0))));
            match when {
                None => holds,
                Some(when) => chosen(when, holds, lit(quantifier == SetQuantifier::All)),
            }
        }
        Expr::ScalarSubquery(_) if !plain && columns.len() == 1 => {
            let value = columns.swap_remove(0);
            match when {
                None => value,
                Some(when) => chosen(when, value, lit(ScalarValue::Null)),
            }
        }
        other => return Ok(Transformed::no(other)),
    };
    // What looked one query up from the subquery looks at this one now.
    let here = new.transform_up(|e| match e {
        Expr::OuterReferenceColumn(_, column) if outer.field_from_column(&column).is_ok() => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(Transformed::yes(here.data))
}

fn chosen(when: Expr, then: Expr, otherwise: Expr) -> Expr {
    Expr::Case(Case { expr: None, when_then_expr: vec![(Box::new(when), Box::new(then))], else_expr: Some(Box::new(otherwise)) })
}

/// The row of a plan that gives one at most; None: it may give more, or it is too involved.
fn row_of(plan: &LogicalPlan) -> Result<Option<Row>> {
    Ok(match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => row_of_aggregate(aggregate)?,
        LogicalPlan::SubqueryAlias(alias) => row_of(&alias.input)?,
        LogicalPlan::Sort(sort) => row_of(&sort.input)?.map(|row| Row { plain: false, ..row }),
        LogicalPlan::Distinct(Distinct::All(input)) => row_of(input)?.map(|row| Row { plain: false, ..row }),
        LogicalPlan::Projection(projection) => match row_of(&projection.input)? {
            Some(row) => {
                let schema = projection.input.schema();
                let columns: Option<Vec<Expr>> = projection
                    .expr
                    .iter()
                    .map(|e| within(e, schema, &row.columns).transpose())
                    .collect::<Option<Result<Vec<Expr>>>>()
                    .transpose()?;
                columns.map(|columns| Row { columns, ..row })
            }
            None => None,
        },
        LogicalPlan::Filter(filter) => match row_of(&filter.input)? {
            Some(row) => within(&filter.predicate, filter.input.schema(), &row.columns)?.map(|condition| {
                let when = Some(match row.when {
                    Some(when) => when.and(condition),
                    None => condition,
                });
                Row { when, columns: row.columns, plain: false }
            }),
            None => None,
        },
        LogicalPlan::Limit(limit) => match row_of(&limit.input)? {
            Some(row) => {
                let none =
                    number(limit.skip.as_deref(), limit)?.is_some_and(|n| n > 0) || number(limit.fetch.as_deref(), limit)? == Some(0);
                Some(Row { when: if none { Some(lit(false)) } else { row.when }, plain: false, columns: row.columns })
            }
            None => None,
        },
        _ => None,
    })
}

/// The number of a LIMIT or an OFFSET; None: there is none.
fn number(expr: Option<&Expr>, limit: &Limit) -> Result<Option<i64>> {
    let Some(expr) = expr else { return Ok(None) };
    let context = SimplifyContext::builder().with_schema(Arc::clone(limit.input.schema())).build();
    match ExprSimplifier::new(context).simplify(expr.clone())? {
        Expr::Literal(value, _) => match value.cast_to(&DataType::Int64)? {
            ScalarValue::Int64(number) => Ok(number),
            _ => Ok(None),
        },
        _ => Err(external(Error::unsupported("a computed LIMIT or OFFSET in a subquery that is an aggregate"))),
    }
}

fn row_of_aggregate(aggregate: &Aggregate) -> Result<Option<Row>> {
    // What is aggregated is one row at most itself.
    if let Some(row) = row_of(&aggregate.input)? {
        let mut columns = Vec::with_capacity(aggregate.aggr_expr.len());
        for expr in &aggregate.aggr_expr {
            columns.extend(of_one(expr, aggregate.input.schema(), &row)?);
        }
        if columns.len() == aggregate.aggr_expr.len() {
            return Ok(Some(Row { when: None, columns, plain: false }));
        }
    }
    let mut columns = Vec::with_capacity(aggregate.aggr_expr.len());
    for (n, expr) in aggregate.aggr_expr.iter().enumerate() {
        let group: Vec<Expr> = Vec::new();
        let alone = LogicalPlanBuilder::from(aggregate.input.as_ref().clone()).aggregate(group, vec![expr.clone()])?;
        // A name that the outer query's aggregates do not have.
        let value = Expr::Column(Column::from(alone.schema().qualified_field(0))).alias(format!("fg_single{n}"));
        let value = alone.project(vec![value])?.build()?;
        let outer_ref_columns = value.all_out_ref_exprs();
        columns.push(Expr::ScalarSubquery(Subquery { subquery: Arc::new(value), outer_ref_columns, spans: Spans::new() }));
    }
    Ok(Some(Row { when: None, columns, plain: true }))
}

/// An aggregate of one row at most; None: of another kind.
fn of_one(expr: &Expr, schema: &DFSchema, row: &Row) -> Result<Option<Expr>> {
    let Expr::AggregateFunction(f) = expr.clone().unalias() else { return Ok(None) };
    let ([arg], None) = (f.params.args.as_slice(), &f.params.filter) else { return Ok(None) };
    let Some(value) = within(arg, schema, &row.columns)? else { return Ok(None) };
    Ok(match f.func.name() {
        "count" => {
            let counted = match arg {
                Expr::Literal(value, _) if !value.is_null() => None,
                _ => Some(value.is_not_null()),
            };
            Some(match conjunction(row.when.clone().into_iter().chain(counted)) {
                Some(when) => chosen(when, lit(1i64), lit(0i64)),
                None => lit(1i64),
            })
        }
        "min" | "max" => Some(match &row.when {
            Some(when) => chosen(when.clone(), value, lit(ScalarValue::Null)),
            None => value,
        }),
        _ => None,
    })
}

/// An expression over the columns of a row; None: it holds a subquery, which may look at them.
fn within(expr: &Expr, schema: &DFSchema, columns: &[Expr]) -> Result<Option<Expr>> {
    if expr.exists(|e| Ok(matches!(e, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_))))?
        || expr.is_volatile()
    {
        return Ok(None);
    }
    let mut known = true;
    let replaced = expr.clone().unalias().transform_up(|e| {
        let Expr::Column(column) = &e else { return Ok(Transformed::no(e)) };
        match schema.maybe_index_of_column(column).and_then(|at| columns.get(at)) {
            Some(value) => Ok(Transformed::yes(value.clone())),
            None => {
                known = false;
                Ok(Transformed::no(e))
            }
        }
    })?;
    Ok(known.then_some(replaced.data))
}
