//! Columns that `JOIN .. USING (c)` merges: what a bare `c` means afterwards. The engine takes the left side's, which is
//! NULL where an outer join found no partner there, and in conditions finds the name ambiguous.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use super::build::{call, take};
use crate::error::{Error, Result};
use crate::sql::walk::walk_mut;

/// A merged column and what stands for it.
type Merged = (String, Expr);

/// Puts the merged columns' values where a select names them bare.
pub(super) fn merge(select: &mut Select) -> Result<()> {
    let [table] = select.from.as_slice() else { return Ok(()) };
    let merged = merged_columns(table)?;
    if merged.is_empty() {
        return Ok(());
    }
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                let alias = name.clone();
                let mut expr = Expr::Identifier(name.clone());
                put(&mut expr, &merged);
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => put(expr, &merged),
            SelectItem::Wildcard(options) => {
                // The left side's value is right for all but RIGHT and FULL.
                let items = merged.iter().filter(|(_, value)| !is_left(value, table)).map(|(column, value)| {
                    let column_name = Ident::new(column.clone());
                    Box::new(ReplaceSelectElement { expr: value.clone(), column_name, as_keyword: true })
                });
                let items: Vec<_> = items.collect();
                if !items.is_empty() {
                    options.opt_replace = Some(ReplaceSelectItem { items });
                }
            }
            _ => {}
        }
    }
    for condition in [&mut select.selection, &mut select.having].into_iter().flatten() {
        put(condition, &merged);
    }
    if let GroupByExpr::Expressions(items, _) = &mut select.group_by {
        items.iter_mut().for_each(|item| put(item, &merged));
    }
    Ok(())
}

/// The name that a factor's columns are qualified with.
fn qualifier(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, alias: None, .. } => name.0.last().and_then(|part| part.as_ident()).cloned(),
        _ => None,
    }
}

fn qualified(qualifier: &Ident, column: &str) -> Expr {
    Expr::CompoundIdentifier(vec![qualifier.clone(), Ident::with_quote('"', column)])
}

fn is_left(value: &Expr, table: &TableWithJoins) -> bool {
    matches!((value, qualifier(&table.relation)), (Expr::CompoundIdentifier(parts), Some(left)) if parts.first() == Some(&left))
}

fn merged_columns(table: &TableWithJoins) -> Result<Vec<Merged>> {
    let mut merged: Vec<Merged> = Vec::new();
    let mut left = vec![qualifier(&table.relation)];
    for join in &table.joins {
        let right = qualifier(&join.relation);
        let (constraint, keeps_left, keeps_right) = match &join.join_operator {
            JoinOperator::Join(c) | JoinOperator::Inner(c) => (c, false, false),
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (c, true, false),
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (c, false, true),
            JoinOperator::FullOuter(c) => (c, true, true),
            _ => {
                left.push(right);
                continue;
            }
        };
        match constraint {
            JoinConstraint::Using(columns) => {
                for column in columns.iter().filter_map(|c| c.0.last()?.as_ident()) {
                    let known = merged.iter().position(|(name, _)| *name == column.value);
                    // Which of several tables has the column is not known here; merged before, it is.
                    let before = match (known, left.as_slice()) {
                        (Some(at), _) => Some(merged.swap_remove(at).1),
                        (None, [Some(only)]) => Some(qualified(only, &column.value)),
                        _ => None,
                    };
                    let (Some(before), Some(right)) = (before, &right) else { continue };
                    let after = qualified(right, &column.value);
                    let value = match (keeps_left, keeps_right) {
                        (true, true) => call("coalesce", vec![before, after]),
                        (false, true) => after,
                        _ => before,
                    };
                    merged.push((column.value.clone(), value));
                }
            }
            JoinConstraint::Natural if keeps_right => {
                return Err(
                    Error::unsupported("NATURAL RIGHT JOIN and NATURAL FULL JOIN").with_hint("name the columns: JOIN .. USING (..)")
                );
            }
            _ => {}
        }
        left.push(right);
    }
    Ok(merged)
}

/// Replaces bare names, not within subqueries.
fn put(expr: &mut Expr, merged: &[Merged]) {
    struct Put<'a> {
        merged: &'a [Merged],
        depth: usize,
    }
    impl VisitorMut for Put<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.depth == 0
                && let Expr::Identifier(name) = expr
                && let Some((_, value)) = self.merged.iter().find(|(column, _)| *column == crate::types::fold(&name.value))
            {
                *expr = value.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let mut whole = take(expr);
    let _ = walk_mut(&mut whole, &mut Put { merged, depth: 0 });
    *expr = whole;
}
