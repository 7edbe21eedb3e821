//! Conditions of a correlated subquery, arranged so that the engine can turn the subquery into a join: it takes
//! equalities between an inner and an outer column and conditions on inner columns, and nothing else.

use std::ops::ControlFlow;

use crate::sql::walk::walk_mut;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Select, TableFactor, VisitorMut};

/// Names by which the subquery's own tables are known, folded; None when one of them is not a plain table.
fn inner_names(select: &Select) -> Option<Vec<String>> {
    let factors = select.from.iter().flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
    factors
        .map(|factor| match factor {
            TableFactor::Table { name, alias, args: None, .. } => Some(match alias {
                Some(alias) => alias.name.value.to_lowercase(),
                None => super::last_part(name),
            }),
            _ => None,
        })
        .collect()
}

/// The table that a column's qualifier names.
fn qualifier(expr: &Expr) -> Option<String> {
    match expr {
        Expr::CompoundIdentifier(parts) if parts.len() >= 2 => Some(parts[parts.len() - 2].value.to_lowercase()),
        _ => None,
    }
}

#[derive(Default)]
struct Columns {
    inner: bool,
    outer: bool,
    subquery: bool,
}

struct Classify<'a> {
    names: &'a [String],
    found: Columns,
}

impl VisitorMut for Classify<'_> {
    type Break = ();
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            // A column without a qualifier is taken for an inner one: SQL looks there first.
            Expr::Identifier(_) => self.found.inner = true,
            Expr::CompoundIdentifier(_) => match qualifier(expr) {
                Some(q) if self.names.contains(&q) => self.found.inner = true,
                _ => self.found.outer = true,
            },
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => self.found.subquery = true,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn classify(expr: &Expr, names: &[String]) -> Columns {
    let mut visitor = Classify { names, found: Columns::default() };
    let _ = walk_mut(&mut expr.clone(), &mut visitor);
    visitor.found
}

fn conjuncts(expr: Expr, into: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(*left, into);
            conjuncts(*right, into);
        }
        Expr::Nested(inner) if matches!(*inner, Expr::BinaryOp { op: BinaryOperator::And, .. }) => conjuncts(*inner, into),
        other => into.push(other),
    }
}

fn all_of(conditions: Vec<Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(|a, b| Expr::BinaryOp { left: Box::new(a), op: BinaryOperator::And, right: Box::new(b) })
}

struct Replace<'a>(&'a [(String, Expr)]);

impl VisitorMut for Replace<'_> {
    type Break = ();
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::CompoundIdentifier(_)) {
            let text = expr.to_string();
            if let Some((_, inner)) = self.0.iter().find(|(outer, _)| *outer == text) {
                *expr = inner.clone();
            }
        }
        ControlFlow::Continue(())
    }
}

/// Arranges the conditions. Those on outer columns alone come back: the subquery has rows only where they hold.
pub(super) fn arrange(select: &mut Select) -> Option<Expr> {
    let names = inner_names(select)?;
    let mut conditions = Vec::new();
    conjuncts(select.selection.take()?, &mut conditions);
    // inner = outer: the outer column may be replaced by the inner one in the other conditions.
    let mut equal = Vec::new();
    for condition in &conditions {
        if let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition {
            for (a, b) in [(left, right), (right, left)] {
                let is_inner = qualifier(a).is_some_and(|q| names.contains(&q));
                if is_inner && qualifier(b).is_some_and(|q| !names.contains(&q)) {
                    equal.push((b.to_string(), (**a).clone(), condition.clone()));
                }
            }
        }
    }
    let replacements: Vec<(String, Expr)> = equal.iter().map(|(outer, inner, _)| (outer.clone(), inner.clone())).collect();
    let mut kept = Vec::new();
    let mut outer_only = Vec::new();
    for mut condition in conditions {
        let columns = classify(&condition, &names);
        match () {
            () if columns.outer && !columns.inner && !columns.subquery => outer_only.push(condition),
            () if columns.outer && !equal.iter().any(|(_, _, e)| *e == condition) => {
                let _ = walk_mut(&mut condition, &mut Replace(&replacements));
                kept.push(condition);
            }
            () => kept.push(condition),
        }
    }
    select.selection = all_of(kept);
    all_of(outer_only)
}
