//! Subqueries as values: the engine wants an aggregate where PostgreSQL takes the only row.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, FunctionArguments, GroupByExpr, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, VisitorMut,
};

use super::super::postgres::is_always_empty;
use super::build::{call, last_part, null};
use super::correlated;
use crate::sql::walk::walk_mut;

const AGGREGATES: [&str; 17] = [
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "array_agg",
    "string_agg",
    "first_value",
    "last_value",
    "bool_and",
    "bool_or",
    "every",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "bit_or",
    "bit_and",
];

/// There is nothing to lock in a catalog.
pub(super) fn drop_locks(query: &mut Query) {
    if reads_catalog(query) {
        query.locks.clear();
    }
}

fn select_of(query: &Query) -> Option<&Select> {
    match query.body.as_ref() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// Does its FROM name a catalog?
fn of_catalog(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { name, .. } => {
            let first = name.0.first().and_then(|p| p.as_ident()).map(|i| i.value.to_ascii_lowercase()).unwrap_or_default();
            matches!(first.as_str(), "pg_catalog" | "information_schema") || first.starts_with("pg_")
        }
        _ => false,
    }
}

fn reads_catalog(query: &Query) -> bool {
    select_of(query).is_some_and(|s| s.from.iter().any(|t| of_catalog(&t.relation) || t.joins.iter().any(|j| of_catalog(&j.relation))))
}

struct FindAggregate(bool);

impl VisitorMut for FindAggregate {
    type Break = ();
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> std::ops::ControlFlow<()> {
        if let Expr::Function(f) = expr {
            self.0 |= AGGREGATES.contains(&last_part(&f.name).as_str()) && f.over.is_none();
        }
        std::ops::ControlFlow::Continue(())
    }
}

fn has_aggregate(expr: &Expr) -> bool {
    let mut find = FindAggregate(false);
    let _ = walk_mut(&mut expr.clone(), &mut find);
    find.0
}

fn item_expr(item: &mut SelectItem) -> Option<&mut Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// Words of client queries whose subqueries the engine cannot plan and need not: columns of publications (psql `\\d`,
/// through a table function of an outer column) and roles of policies, of which there are none; asyncpg's walk from a
/// domain to its base type, and there are no domains.
const OF_NOTHING: [&str; 3] = ["prattrs", "polroles", "typebases"];

fn is_about_nothing(query: &Query) -> bool {
    let walks_catalog = query.with.as_ref().is_some_and(|with| with.cte_tables.iter().any(|cte| reads_first(&cte.query)));
    if !walks_catalog && !reads_catalog(query) {
        return false;
    }
    let text = query.to_string();
    OF_NOTHING.iter().any(|word| text.contains(word))
}

/// Does it, or the first part of it when it is a union, read the catalog?
fn reads_first(query: &Query) -> bool {
    match query.body.as_ref() {
        SetExpr::SetOperation { left, .. } => match left.as_ref() {
            SetExpr::Select(select) => select.from.iter().any(|t| of_catalog(&t.relation)),
            _ => false,
        },
        _ => reads_catalog(query),
    }
}

/// Does an inner join of its FROM name a catalog that is always empty? Then it has no rows.
fn is_empty(select: &Select) -> bool {
    let empty = |factor: &TableFactor| match factor {
        TableFactor::Table { name, args: None, .. } => is_always_empty(&last_part(name)),
        _ => false,
    };
    select.from.iter().any(|t| {
        let inner = |o: &JoinOperator| matches!(o, JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_));
        empty(&t.relation) && t.joins.iter().all(|j| inner(&j.join_operator))
            || t.joins.iter().any(|j| inner(&j.join_operator) && empty(&j.relation))
    })
}

/// A value subquery over a catalog: `(SELECT x ..)` becomes `(SELECT first_value(x) ..)`. The other cases stay.
pub(super) fn scalar(query: &mut Query) -> Option<Expr> {
    if is_about_nothing(query) {
        return Some(null());
    }
    if !reads_catalog(query) {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(e, _) if e.is_empty());
    if grouped || select.projection.len() != 1 {
        return None;
    }
    let expr = item_expr(select.projection.first_mut()?)?;
    if !has_aggregate(expr) {
        let inner = std::mem::replace(expr, null());
        *expr = call("first_value", vec![inner]);
        if is_empty(select) {
            return Some(null());
        }
        select.distinct = None;
        query.order_by = None;
        query.limit_clause = None;
        query.fetch = None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let condition = correlated::arrange(select)?;
    // An aggregate over no rows is NULL too (but a count, which no client writes here).
    Some(only_when(condition, Expr::Subquery(Box::new(query.clone()))))
}

fn only_when(condition: Expr, result: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: None,
    }
}

/// `ARRAY(SELECT x ..)`: the aggregate of its rows, an empty array when there are none.
pub(super) fn array(query: &mut Query) -> Expr {
    let mut query = query.clone();
    let order = query.order_by.take();
    if is_about_nothing(&query) || matches!(query.body.as_ref(), SetExpr::Select(s) if is_empty(s)) {
        return call("fg_no_texts", vec![]);
    }
    if let SetExpr::Select(select) = query.body.as_mut() {
        // ARRAY(SELECT .. FROM unnest(list)): the list itself. Catalogs hold no lists whose items psql would change
        // (reloptions, evttags are NULL here).
        if let [table] = select.from.as_slice()
            && let Some(list) = unnested(&table.relation)
        {
            return call("fg_array_or_empty", vec![list]);
        }
        if let Some(expr) = select.projection.first_mut().and_then(item_expr) {
            let inner = std::mem::replace(expr, null());
            let mut aggregate = call("array_agg", vec![inner.clone()]);
            if let (Expr::Function(f), Some(order)) = (&mut aggregate, order)
                && let (FunctionArguments::List(list), OrderByKind::Expressions(mut by)) = (&mut f.args, order.kind)
            {
                // ORDER BY 1 names the only column.
                for key in &mut by {
                    if key.expr.to_string() == "1" {
                        key.expr = inner.clone();
                    }
                }
                list.clauses.push(datafusion::sql::sqlparser::ast::FunctionArgumentClause::OrderBy(by));
            }
            *expr = aggregate;
        }
    }
    let condition = match query.body.as_mut() {
        SetExpr::Select(select) => correlated::arrange(select),
        _ => None,
    };
    let rows = Expr::Subquery(Box::new(query));
    let rows = match condition {
        Some(condition) => only_when(condition, rows),
        None => rows,
    };
    call("fg_array_or_empty", vec![rows])
}

/// The list of `unnest(list)` in FROM.
fn unnested(factor: &TableFactor) -> Option<Expr> {
    match factor {
        TableFactor::Table { name, args: Some(args), .. } if last_part(name) == "unnest" => match args.args.first()? {
            datafusion::sql::sqlparser::ast::FunctionArg::Unnamed(datafusion::sql::sqlparser::ast::FunctionArgExpr::Expr(e)) => {
                Some(e.clone())
            }
            _ => None,
        },
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.first().cloned(),
        _ => None,
    }
}
