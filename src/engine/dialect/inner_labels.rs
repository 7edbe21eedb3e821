//! Names of the columns of derived tables and common table expressions in MySQL sessions: what stands without an alias
//! is called as MySQL would label it, so that the query around can name it and no internal name shows.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use super::build::take;
use super::labels::{for_selects, mysql_label};
use crate::error::{Error, Kind, Result};
use crate::sql::walk::walk_mut;
use crate::types::fold;

/// Names the columns of every inner select list. A name that stands twice is an error, unless the columns are listed
/// (`q (a, b)`).
pub(super) fn name_inner(query: &mut Query) -> Result<()> {
    match walk_mut(query, &mut Namer) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Namer;

impl VisitorMut for Namer {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            name(&mut cte.query, &cte.alias.columns)?;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::Derived { subquery, alias, .. } = factor {
            name(subquery, alias.as_ref().map_or(&[], |alias| &alias.columns))?;
        }
        ControlFlow::Continue(())
    }
}

fn name(query: &mut Query, listed: &[TableAliasColumnDef]) -> ControlFlow<Error> {
    let mut outcome = ControlFlow::Continue(());
    let mut first = true;
    for_selects(&mut query.body, false, &mut |select, _| {
        let named = if std::mem::take(&mut first) { name_first(select, listed) } else { name_further(select) };
        if let (Err(error), true) = (named, outcome.is_continue()) {
            outcome = ControlFlow::Break(error);
        }
    });
    outcome
}

fn label(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(mysql_label(expr, None)),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    }
}

/// The first label that stands twice.
fn repeated(select: &Select) -> Option<String> {
    let mut seen = HashSet::new();
    select.projection.iter().filter_map(label).find(|label| !seen.insert(fold(label)))
}

/// The select that names the columns.
fn name_first(select: &mut Select, listed: &[TableAliasColumnDef]) -> Result<()> {
    if let Some(label) = repeated(select) {
        if listed.len() != select.projection.len() {
            return Err(Error::new(Kind::Duplicate, format!("Duplicate column name '{label}'")));
        }
        for (item, column) in select.projection.iter_mut().zip(listed) {
            rename(item, Ident::with_quote('`', &column.name.value));
        }
        return Ok(());
    }
    for item in &mut select.projection {
        let Some(label) = label(item) else { continue };
        if matches!(item, SelectItem::UnnamedExpr(expr) if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))) {
            rename(item, Ident::with_quote('`', label));
        }
    }
    Ok(())
}

/// A further branch of a union: its names mean nothing, but DataFusion wants them distinct.
fn name_further(select: &mut Select) -> Result<()> {
    if repeated(select).is_some() {
        for (n, item) in select.projection.iter_mut().enumerate() {
            rename(item, Ident::with_quote('`', format!("fg:{n}")));
        }
    }
    Ok(())
}

fn rename(item: &mut SelectItem, name: Ident) {
    match item {
        SelectItem::UnnamedExpr(expr) => *item = SelectItem::ExprWithAlias { expr: take(expr), alias: name },
        SelectItem::ExprWithAlias { alias, .. } => *alias = name,
        _ => {}
    }
}
