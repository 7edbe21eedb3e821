//! Forms of standard SQL that DataFusion does not plan, as others that it does.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use super::build::{binary, call, not, number};

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
pub(super) fn fetch(query: &mut Query) {
    let Some(fetch) = query.fetch.take_if(|f| !f.with_ties && !f.percent) else { return };
    let rows = Some(fetch.quantity.unwrap_or_else(|| number(1)));
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) if limit.is_none() => *limit = rows,
        None => query.limit_clause = Some(LimitClause::LimitOffset { limit: rows, offset: None, limit_by: Vec::new() }),
        _ => query.fetch = Some(Fetch { with_ties: false, percent: false, quantity: rows }),
    }
}

/// EXISTS in a select list is a count compared with 0: as a condition DataFusion knows it, as a value not.
pub(super) fn exists_as_value(select: &mut Select) {
    struct Exists;
    impl VisitorMut for Exists {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Exists { subquery, negated } = expr {
                let negated = *negated;
                let empty = Box::new(Query { body: Box::new(SetExpr::Values(nothing())), ..(**subquery).clone() });
                let counted = count(std::mem::replace(subquery, empty));
                *expr = if negated { not(counted) } else { counted };
            }
            ControlFlow::Continue(())
        }
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let _ = expr.visit(&mut Exists);
        }
    }
}

fn nothing() -> Values {
    Values { explicit_row: false, value_keyword: true, rows: Vec::new() }
}

/// `(SELECT count(*) > 0 FROM ..)`.
fn count(mut query: Box<Query>) -> Expr {
    let mut all = call("count", Vec::new());
    if let Expr::Function(function) = &mut all
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
    }
    let found = SelectItem::UnnamedExpr(binary(all, BinaryOperator::Gt, number(0)));
    query.order_by = None;
    let plain = query.limit_clause.is_none() && query.fetch.is_none();
    if let SetExpr::Select(select) = query.body.as_mut() {
        let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty()) || select.having.is_some();
        let aggregate = select.projection.iter().any(|item| matches!(item, SelectItem::UnnamedExpr(Expr::Function(_))));
        if plain && !grouped && !aggregate {
            select.distinct = None;
            select.projection = vec![found];
            return Expr::Subquery(query);
        }
        // What is selected does not matter; a column named twice would.
        if !grouped && !aggregate {
            select.projection = vec![SelectItem::UnnamedExpr(number(1))];
        }
        let mut outer = (**select).clone();
        outer.distinct = None;
        outer.selection = None;
        outer.having = None;
        outer.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
        outer.projection = vec![found];
        let alias = TableAlias { explicit: true, name: Ident::new("fg_exists"), columns: Vec::new(), at: None };
        let inner = TableFactor::Derived { lateral: false, subquery: query.clone(), alias: Some(alias), sample: None };
        outer.from = vec![TableWithJoins { relation: inner, joins: Vec::new() }];
        return Expr::Subquery(Box::new(Query {
            with: None,
            body: Box::new(SetExpr::Select(Box::new(outer))),
            order_by: None,
            limit_clause: None,
            fetch: None,
            locks: Vec::new(),
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators: Vec::new(),
        }));
    }
    Expr::Exists { subquery: query, negated: false }
}
