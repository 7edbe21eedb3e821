//! Subqueries that the engine does not plan as they are written: rows compared with IN, and values of a subquery that
//! looks at its outer query.

use datafusion::sql::sqlparser::ast::*;

use super::build::{binary, call, joined, number, select_of, take};
use super::quantified::VALUE;

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

/// `(a, b) IN (SELECT ..)` as EXISTS over the subquery with columns of names that nothing else has. NOT IN: no row that is
/// equal, or may be where one of the two has NULL.
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
    let names: Vec<Ident> = (0..row.len()).map(|n| Ident::new(format!("fg_row{n}"))).collect();
    // What is selected twice would be two columns of one name.
    if let SetExpr::Select(select) = subquery.body.as_mut()
        && subquery.order_by.is_none()
        && select.projection.len() == names.len()
    {
        for (item, name) in select.projection.iter_mut().zip(&names) {
            if let SelectItem::UnnamedExpr(e) = item {
                *item = SelectItem::ExprWithAlias { expr: take(e), alias: name.clone() };
            }
        }
    }
    let columns = names.iter().map(|name| TableAliasColumnDef { name: name.clone(), data_type: None }).collect();
    let alias = TableAlias { explicit: true, name: Ident::new("fg_rows"), columns, at: None };
    let rows = TableFactor::Derived { lateral: false, subquery: subquery.clone(), alias: Some(alias), sample: None };
    let equal = row.into_iter().zip(names).map(|(value, name)| binary(Expr::Identifier(name), BinaryOperator::Eq, value)).collect();
    let equal = joined(equal, &BinaryOperator::And);
    let mut exists = select_of(number(1), rows);
    if let SetExpr::Select(select) = exists.body.as_mut() {
        select.selection = if *negated { equal.map(|equal| Expr::IsNotFalse(Box::new(equal))) } else { equal };
    }
    *expr = Expr::Exists { subquery: Box::new(exists), negated: *negated };
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
    visit_expressions(expr, |e| match e {
        Expr::Function(_) => std::ops::ControlFlow::Break(()),
        _ => std::ops::ControlFlow::Continue(()),
    })
    .is_break()
}

/// Does its condition name a table that is none of its own?
fn is_correlated(select: &Select) -> bool {
    let mut own = Vec::new();
    for table in &select.from {
        for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
            match factor {
                TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                    own.push(alias.name.value.clone());
                }
                TableFactor::Table { name, .. } => own.extend(name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone())),
                _ => return false,
            }
        }
    }
    let Some(condition) = &select.selection else { return false };
    visit_expressions(condition, |e| match e {
        Expr::CompoundIdentifier(parts) if parts.len() > 1 && !own.contains(&parts[parts.len() - 2].value) => {
            std::ops::ControlFlow::Break(())
        }
        _ => std::ops::ControlFlow::Continue(()),
    })
    .is_break()
}
