//! Forms of standard SQL that DataFusion does not plan, as others that it does.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use super::aggregates::has_aggregate;
use super::build::{as_string, binary, not, number, select_of, string};
use super::quantified;
use crate::engine::functions::with_backslashes;
use crate::error::{Error, Kind, Result};
use crate::sql::walk::walk_mut;
use crate::types::Family;

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

/// `LIMIT 18446744073709551615`: all rows.
pub(super) fn endless(query: &mut Query) {
    if let Some(LimitClause::LimitOffset { limit, .. }) = &mut query.limit_clause
        && let Some(Expr::Value(v)) = limit
        && let Value::Number(digits, _) = &v.value
        && digits.parse::<u128>().is_ok_and(|n| n > i64::MAX as u128)
    {
        *limit = None;
    }
}

/// The character that follows ESCAPE. Ok(None): `''`, which escapes nothing.
pub(super) fn escape_mark(escape: &ValueWithSpan, family: Family) -> Result<Option<char>> {
    let text = escape.value.clone().into_string().unwrap_or_default();
    let mut marks = text.chars();
    match (marks.next(), marks.next()) {
        (mark, None) => Ok(mark),
        _ if family == Family::MySql => Err(Error::new(Kind::InvalidEscape, "Incorrect arguments to ESCAPE")),
        _ => Err(Error::new(Kind::InvalidEscape, "invalid escape string").with_hint("Escape string must be empty or one character.")),
    }
}

/// `LIKE p ESCAPE 'x'`: the pattern with the escape that the engine knows, a backslash.
pub(super) fn escape(expr: &mut Expr, family: Family) -> Result<()> {
    let (Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. }) = expr else { return Ok(()) };
    let Some(escape) = escape_char.take() else { return Ok(()) };
    if matches!(escape.value, Value::Null) && family == Family::Postgres {
        **pattern = super::build::hole();
        return Ok(());
    }
    let mark = escape_mark(&escape, family)?;
    if mark == Some('\\') {
        return Ok(());
    }
    **pattern = match as_string(pattern) {
        Some(text) => string(with_backslashes(text, mark)),
        None => {
            super::build::call("fg_like_pattern", vec![super::build::take(pattern), string(mark.map(String::from).unwrap_or_default())])
        }
    };
    Ok(())
}

/// EXISTS, IN and quantified comparisons in a select list: as conditions DataFusion knows them, as values not.
pub(super) fn values(select: &mut Select) {
    /// How many queries lie around: what stands in one of them is not in this list.
    struct Values(usize);
    impl VisitorMut for Values {
        type Break = ();
        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.0 > 0 {
                return ControlFlow::Continue(());
            }
            if let Expr::Exists { subquery, negated } = expr {
                let negated = *negated;
                let empty = Box::new(Query { body: Box::new(SetExpr::Values(nothing())), ..(**subquery).clone() });
                let counted = count(std::mem::replace(subquery, empty));
                *expr = if negated { not(counted) } else { counted };
            }
            quantified::value(expr);
            ControlFlow::Continue(())
        }
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let _ = walk_mut(expr, &mut Values(0));
        }
    }
}

/// No rows.
pub(super) fn nothing() -> Values {
    Values { explicit_row: false, value_keyword: true, rows: Vec::new() }
}

/// `(SELECT count(*) > 0 FROM ..)`.
fn count(mut query: Box<Query>) -> Expr {
    let found = binary(quantified::count_all(), BinaryOperator::Gt, number(0));
    query.order_by = None;
    let plain = query.limit_clause.is_none() && query.fetch.is_none();
    if let SetExpr::Select(select) = query.body.as_mut() {
        let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty()) || select.having.is_some();
        let aggregate = select.projection.iter().any(has_aggregate);
        if plain && !grouped && !aggregate {
            select.distinct = None;
            select.projection = vec![SelectItem::UnnamedExpr(found)];
            return Expr::Subquery(query);
        }
        // What is selected does not matter; a column named twice would.
        if !grouped && !aggregate {
            select.projection = vec![SelectItem::UnnamedExpr(number(1))];
        }
    }
    let alias = TableAlias { explicit: true, name: Ident::new("fg_exists"), columns: Vec::new(), at: None };
    let inner = TableFactor::Derived { lateral: false, subquery: query, alias: Some(alias), sample: None };
    Expr::Subquery(Box::new(select_of(found, inner)))
}
