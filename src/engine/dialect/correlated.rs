//! Subqueries that the engine does not plan as they are written: rows compared with IN, and values of a subquery that
//! looks at its outer query.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use super::build::{binary, call, hole, joined, number, select_of, take};
use super::quantified::VALUE;
use crate::sql::walk::expressions;

/// `NOT (x IN ..)` as `x NOT IN ..`, before either is looked at.
pub(super) fn not_in(expr: &mut Expr) {
    let Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } = expr else { return };
    let mut inner = inner.as_mut();
    while let Expr::Nested(nested) = inner {
        inner = nested.as_mut();
    }
    if let Expr::InSubquery { negated, .. } = inner {
        *negated = !*negated;
        *expr = take(inner);
    }
}

/// `(a, b) IN (SELECT ..)` as EXISTS over the subquery with columns of names that nothing else has. NOT IN: none is equal,
/// and none may be where one of the two has NULL, or else it is NULL: what stands around may turn it round again.
pub(super) fn rows_in(expr: &mut Expr) {
    let Expr::InSubquery { expr: value, subquery, negated } = expr else { return };
    let row = match value.as_mut() {
        Expr::Tuple(row) => std::mem::take(row),
        Expr::Nested(inner) => match inner.as_mut() {
            Expr::Tuple(row) => std::mem::take(row),
            _ => return,
        },
        _ => return,
    };
    let query = subquery.clone();
    *expr = if *negated {
        let unequal = row_exists(query.clone(), row.clone(), false, true);
        let certain = binary(row_exists(query, row, true, true), BinaryOperator::Or, hole());
        Expr::Nested(Box::new(binary(unequal, BinaryOperator::And, Expr::Nested(Box::new(certain)))))
    } else {
        row_exists(query, row, false, false)
    };
}

/// EXISTS of an equal row, or (`perhaps`) of one that may be; or NOT EXISTS.
fn row_exists(mut query: Box<Query>, row: Vec<Expr>, perhaps: bool, negated: bool) -> Expr {
    if compare_within(&mut query, &row, perhaps) {
        return Expr::Exists { subquery: query, negated };
    }
    let names: Vec<Ident> = (0..row.len()).map(|n| Ident::new(format!("fg_row{n}"))).collect();
    let named = name_items(&mut query, &names);
    let columns = names.iter().filter(|_| !named).map(|name| TableAliasColumnDef { name: name.clone(), data_type: None }).collect();
    let alias = TableAlias { explicit: true, name: Ident::new("fg_rows"), columns, at: None };
    let rows = TableFactor::Derived { lateral: false, subquery: query, alias: Some(alias), sample: None };
    let mut exists = select_of(number(1), rows);
    if let SetExpr::Select(select) = exists.body.as_mut() {
        select.selection = equal_rows(names.into_iter().map(Expr::Identifier), row, perhaps);
    }
    Expr::Exists { subquery: Box::new(exists), negated }
}

/// Are both rows equal, or (`perhaps`) may they be where one of them has NULL?
fn equal_rows(found: impl IntoIterator<Item = Expr>, row: Vec<Expr>, perhaps: bool) -> Option<Expr> {
    let equal = found.into_iter().zip(row).map(|(found, value)| binary(found, BinaryOperator::Eq, value)).collect();
    let equal = joined(equal, &BinaryOperator::And)?;
    Some(if perhaps { Expr::IsNotFalse(Box::new(equal)) } else { equal })
}

/// Makes the comparison a condition of a plain subquery that looks at its outer query, which the engine could not look
/// through a table made of it. False: it is another, or a name of the row might be taken for one of the subquery's.
fn compare_within(query: &mut Query, row: &[Expr], perhaps: bool) -> bool {
    let whole = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    let SetExpr::Select(select) = query.body.as_mut() else { return false };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty());
    if !whole || grouped || select.having.is_some() || select.distinct.is_some() || !is_correlated(select) {
        return false;
    }
    let Some(own) = own_names(select) else { return false };
    let outer = |e: &Expr| match e {
        Expr::Identifier(_) => ControlFlow::Break(()),
        Expr::CompoundIdentifier(parts) if parts.len() < 2 || own.contains(&parts[parts.len() - 2].value) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    if row.iter().any(|value| expressions(value, outer).is_break()) || select.projection.len() != row.len() {
        return false;
    }
    let mut found = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } if !has_call(e) => found.push(e.clone()),
            _ => return false,
        }
    }
    let conditions = select.selection.take().into_iter().map(|e| Expr::Nested(Box::new(e)));
    select.selection = joined(conditions.chain(equal_rows(found, row.to_vec(), perhaps)).collect(), &BinaryOperator::And);
    select.projection = vec![SelectItem::UnnamedExpr(number(1))];
    query.order_by = None;
    true
}

/// Gives the items of a plain select list these names; false: they are not so many, or not plain.
fn name_items(query: &mut Query, names: &[Ident]) -> bool {
    let SetExpr::Select(select) = query.body.as_mut() else { return false };
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if query.order_by.is_some() || select.projection.len() != names.len() || !select.projection.iter().all(plain) {
        return false;
    }
    for (item, name) in select.projection.iter_mut().zip(names) {
        if let SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } = item {
            *item = SelectItem::ExprWithAlias { expr: take(e), alias: name.clone() };
        }
    }
    true
}

/// A value of a correlated subquery: the engine plans only aggregates. `(SELECT e ..)` becomes the only one of all values
/// of `e` (an error when they are several), `(SELECT e .. ORDER BY o LIMIT 1)` the first value of `e`.
pub(super) fn value(expr: &mut Expr) {
    let Expr::Subquery(query) = expr else { return };
    let one = is_limit_one(query);
    if query.with.is_some() || query.fetch.is_some() || !(one || query.limit_clause.is_none()) {
        return;
    }
    let order = match &query.order_by {
        None => Vec::new(),
        Some(OrderBy { kind: OrderByKind::Expressions(items), .. }) => items.clone(),
        Some(_) => return,
    };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty());
    if !ungrouped || select.having.is_some() || select.distinct.is_some() || !is_correlated(select) {
        return;
    }
    // The rows of a quantified comparison are no value.
    if matches!(select.projection.as_slice(), [SelectItem::ExprWithAlias { alias, .. }] if alias.value == VALUE) {
        return;
    }
    let [SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. }] = select.projection.as_mut_slice() else { return };
    if has_call(e) {
        return;
    }
    let mut aggregate = call(if one { "first_value" } else { "array_agg" }, vec![take(e)]);
    if one
        && !order.is_empty()
        && let Expr::Function(function) = &mut aggregate
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    select.projection = vec![SelectItem::UnnamedExpr(aggregate)];
    query.order_by = None;
    query.limit_clause = None;
    if !one {
        *expr = call("fg_only", vec![take(expr)]);
    }
}

fn is_limit_one(query: &Query) -> bool {
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(Expr::Value(v)), offset: None, limit_by }) if limit_by.is_empty() => {
            matches!(&v.value, Value::Number(digits, _) if digits == "1")
        }
        _ => false,
    }
}

/// A call may be an aggregate already.
fn has_call(expr: &Expr) -> bool {
    expressions(expr, |e| match e {
        Expr::Function(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Does its condition name a table that is none of its own?
fn is_correlated(select: &Select) -> bool {
    let (Some(own), Some(condition)) = (own_names(select), &select.selection) else { return false };
    expressions(condition, |e| match e {
        Expr::CompoundIdentifier(parts) if parts.len() > 1 && !own.contains(&parts[parts.len() - 2].value) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// What the tables of its FROM are called; None: something else stands there too.
fn own_names(select: &Select) -> Option<Vec<String>> {
    let mut own = Vec::new();
    for table in &select.from {
        for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
            match factor {
                TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                    own.push(alias.name.value.clone());
                }
                TableFactor::Table { name, .. } => own.extend(name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone())),
                _ => return None,
            }
        }
    }
    Some(own)
}
