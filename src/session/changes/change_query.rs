//! An UPDATE or DELETE as a query: it selects the positions of the rows to be changed, and for UPDATE their new values.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, Ident, SelectItem, TableFactor, TableWithJoins, VisitorMut};

use super::expressions::{column_index, default_expr, with_all_digits};
use super::select_query::select_query;
use crate::cold::{FILE_COLUMN, ROW_COLUMN};
use crate::engine::TARGET_MARK;
use crate::error::{Error, Kind, Result};
use crate::gms::Table;
use crate::session::state::Session;
use crate::sql::walk::walk_mut;
use crate::sql::{Name, Query, Statement};
use crate::types::{Family, same};

/// An UPDATE or DELETE as a query over positions.
pub(super) struct ChangeQuery {
    pub query: Query,
    pub table: Arc<Table>,
    /// For UPDATE: which columns get a new value, in the order of the query's columns after the positions.
    pub assigned: Vec<usize>,
}

impl Session {
    pub(super) fn update_query(&self, update: &ast::Update) -> Result<ChangeQuery> {
        let mut from = vec![update.table.clone()];
        match &update.from {
            Some(ast::UpdateTableFromKind::AfterSet(more) | ast::UpdateTableFromKind::BeforeSet(more)) => from.extend(more.iter().cloned()),
            None => {}
        }
        let alone = matches!(from.as_slice(), [one] if one.joins.is_empty());
        let wanted = self.assigned_table(update, &from)?;
        let (table, alias) = self.mark_target(&mut from, wanted.as_deref())?;
        let mut assigned = Vec::new();
        let mut values: Vec<ast::Expr> = Vec::new();
        for (name, value) in assignments(update)? {
            let name = Name::of(name);
            let index = column_index(&table, name.name(), self.family())?;
            if assigned.contains(&index) {
                return Err(Error::new(Kind::Duplicate, format!("column '{}' is assigned twice", name.name())));
            }
            let mut value = match value {
                ast::Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") => {
                    default_expr(&table.columns()[index], self.family())?
                }
                value => value.clone(),
            };
            // MySQL assigns from left to right: a column that was assigned has its new value.
            if self.family() == Family::MySql && !assigned.is_empty() {
                let new = assigned.iter().zip(&values).map(|(i, value)| (&table.columns()[*i], value)).collect();
                let _ = walk_mut(&mut value, &mut NewValues { new, alias: &alias, alone, depth: 0 });
            }
            assigned.push(index);
            values.push(value);
        }
        // The whole new row: assigned columns first (so that parameters are found), then the row as it was.
        let mut projection = position_items(&alias);
        let mysql = self.family() == Family::MySql;
        let stored = |value| if mysql { with_all_digits(value) } else { value };
        projection.extend(values.into_iter().map(|value| SelectItem::UnnamedExpr(stored(value))));
        projection.extend(table.columns().iter().map(|c| SelectItem::UnnamedExpr(qualified(&alias, &c.name))));
        let query = select_query(projection, from, update.selection.clone(), &update.order_by, update.limit.clone());
        Ok(ChangeQuery { query: Query { query: Box::new(query), as_of: None }, table, assigned })
    }

    /// The table whose columns are assigned, by the name it has in the statement; None: the first.
    fn assigned_table(&self, update: &ast::Update, from: &[TableWithJoins]) -> Result<Option<String>> {
        let names = assignments(update)?.into_iter().map(|(name, _)| Name::of(name));
        let mut wanted: Option<String> = None;
        let mut bare = None;
        for name in names {
            match (name.qualifier().last(), &wanted) {
                (Some(table), Some(before)) if !same(table, before) => {
                    return Err(
                        Error::unsupported("UPDATE of several tables at once").with_hint("one statement for each table, in a transaction")
                    );
                }
                (Some(table), _) => wanted = Some(table.clone()),
                (None, _) => bare = Some(name.name().to_owned()),
            }
        }
        if let (None, Some(column)) = (&wanted, bare)
            && self.family() == Family::MySql
        {
            // Without a qualifier it is the table that has the column.
            let factors = from.iter().flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
            let has = |factor: &TableFactor| match factor {
                TableFactor::Table { name, .. } => {
                    self.table(&Name::of(name)).is_ok_and(|t| t.columns().iter().any(|c| same(&c.name, &column)))
                }
                _ => false,
            };
            let mut owners = factors.filter(|f| has(f)).filter_map(shown_name);
            wanted = owners.next();
            if wanted.is_some() && owners.next().is_some() {
                return Err(Error::new(Kind::AmbiguousColumn, format!("Column '{column}' in field list is ambiguous")));
            }
        }
        Ok(wanted)
    }

    /// The table that an UPDATE or DELETE changes; None: the statement will fail.
    pub(in crate::session) fn change_target(&self, statement: &Statement) -> Option<Arc<Table>> {
        let change = match statement {
            Statement::Update(update) => self.update_query(update),
            Statement::Delete(delete) => self.delete_query(delete),
            _ => return None,
        };
        change.ok().map(|change| change.table)
    }

    pub(super) fn delete_query(&self, delete: &ast::Delete) -> Result<ChangeQuery> {
        let mut from = match &delete.from {
            ast::FromTable::WithFromKeyword(from) | ast::FromTable::WithoutKeyword(from) => from.clone(),
        };
        if let Some(using) = &delete.using {
            // MySQL: DELETE FROM t USING t JOIN u; PostgreSQL: DELETE FROM t USING u.
            let named: Vec<String> = from.iter().filter_map(|f| shown_name(&f.relation)).collect();
            let repeats = using.iter().any(|u| shown_name(&u.relation).is_some_and(|n| named.contains(&n)));
            if repeats { from = using.clone() } else { from.extend(using.iter().cloned()) }
        }
        let target = match delete.tables.as_slice() {
            [] => None,
            [one] => Some(Name::of(one).name().to_owned()),
            _ => {
                return Err(
                    Error::unsupported("DELETE from several tables at once").with_hint("one statement for each table, in a transaction")
                );
            }
        };
        let (table, alias) = self.mark_target(&mut from, target.as_deref())?;
        let query = select_query(position_items(&alias), from, delete.selection.clone(), &delete.order_by, delete.limit.clone());
        Ok(ChangeQuery { query: Query { query: Box::new(query), as_of: None }, table, assigned: Vec::new() })
    }

    /// Marks the table whose rows are to be changed: the one that `wanted` names, else the first. Gives it an alias.
    fn mark_target(&self, from: &mut [TableWithJoins], wanted: Option<&str>) -> Result<(Arc<Table>, String)> {
        let mut factors = from.iter_mut().flat_map(|t| std::iter::once(&mut t.relation).chain(t.joins.iter_mut().map(|j| &mut j.relation)));
        let factor = factors
            .find(|f| wanted.is_none_or(|w| shown_name(f).is_some_and(|n| same(&n, w))))
            .ok_or_else(|| self.no_table(self.settings.database.as_deref().unwrap_or_default(), wanted.unwrap_or_default()))?;
        let shown = shown_name(factor);
        let TableFactor::Table { name, alias, version, with_hints, .. } = factor else {
            return Err(Error::new(Kind::Refused, "only a table can be changed"));
        };
        if version.is_some() {
            return Err(Error::new(Kind::Refused, "the past cannot be changed: a table that is changed takes no AS OF"));
        }
        let table = self.table(&Name::of(name))?;
        let shown = crate::types::fold(&shown.unwrap_or_default());
        if alias.is_none() {
            *alias = Some(ast::TableAlias { explicit: true, name: Ident::with_quote(self.quote(), &shown), columns: Vec::new(), at: None });
        }
        with_hints.push(ast::Expr::Identifier(Ident::new(TARGET_MARK)));
        Ok((table, shown))
    }

    fn quote(&self) -> char {
        if self.family() == Family::MySql { '`' } else { '"' }
    }
}

/// Puts the new values of assigned columns in the place of their names.
struct NewValues<'a> {
    new: Vec<(&'a crate::types::Column, &'a ast::Expr)>,
    alias: &'a str,
    /// There is no other table: a bare name is a column of this one.
    alone: bool,
    /// Depth of subqueries, whose names may be those of their own tables.
    depth: usize,
}

impl VisitorMut for NewValues<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut ast::Query) -> std::ops::ControlFlow<()> {
        self.depth += 1;
        std::ops::ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut ast::Query) -> std::ops::ControlFlow<()> {
        self.depth -= 1;
        std::ops::ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> std::ops::ControlFlow<()> {
        let name = match expr {
            ast::Expr::Identifier(name) if self.alone && self.depth == 0 => name,
            ast::Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, name] if same(&table.value, self.alias) => name,
                _ => return std::ops::ControlFlow::Continue(()),
            },
            _ => return std::ops::ControlFlow::Continue(()),
        };
        if let Some((column, value)) = self.new.iter().find(|(column, _)| same(&column.name, &name.value)) {
            *expr = crate::engine::dialect::as_stored((*value).clone(), &column.ty);
        }
        std::ops::ControlFlow::Continue(())
    }
}

/// What is assigned to which column; `(a, b) = (1, 2)` is two assignments.
fn assignments(update: &ast::Update) -> Result<Vec<(&ast::ObjectName, &ast::Expr)>> {
    let mut all = Vec::new();
    for assignment in &update.assignments {
        match (&assignment.target, &assignment.value) {
            (ast::AssignmentTarget::ColumnName(name), value) => all.push((name, value)),
            (ast::AssignmentTarget::Tuple(names), value) if row_of(value).is_some_and(|values| values.len() == names.len()) => {
                all.extend(names.iter().zip(row_of(value).unwrap_or_default()));
            }
            (ast::AssignmentTarget::Tuple(_), ast::Expr::Subquery(_)) => {
                return Err(Error::unsupported("assigning a subquery to a list of columns"));
            }
            (ast::AssignmentTarget::Tuple(_), value) => {
                let message = match row_of(value) {
                    Some(_) => "number of columns does not match number of values",
                    None => "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
                };
                return Err(Error::new(Kind::Syntax, message));
            }
        }
    }
    Ok(all)
}

/// The values of `(1, 2)` or `ROW(1, 2)`.
fn row_of(value: &ast::Expr) -> Option<Vec<&ast::Expr>> {
    match value {
        ast::Expr::Tuple(values) => Some(values.iter().collect()),
        ast::Expr::Function(call) if Name::of(&call.name).name().eq_ignore_ascii_case("row") => match &call.args {
            ast::FunctionArguments::List(list) => list
                .args
                .iter()
                .map(|arg| match arg {
                    ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(value)) => Some(value),
                    _ => None,
                })
                .collect(),
            _ => None,
        },
        _ => None,
    }
}

fn position_items(alias: &str) -> Vec<SelectItem> {
    vec![SelectItem::UnnamedExpr(qualified(alias, FILE_COLUMN)), SelectItem::UnnamedExpr(qualified(alias, ROW_COLUMN))]
}

fn qualified(alias: &str, column: &str) -> ast::Expr {
    ast::Expr::CompoundIdentifier(vec![Ident::with_quote('"', alias), Ident::with_quote('"', column)])
}

fn shown_name(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => Some(alias.name.value.clone()),
        TableFactor::Table { name, .. } => Some(Name::of(name).name().to_owned()),
        _ => None,
    }
}
