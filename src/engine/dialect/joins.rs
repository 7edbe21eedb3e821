//! `JOIN .. USING (c)` and NATURAL joins, as joins with a condition: what a bare `c` means after one, and in which order
//! `*` gives the columns.
//!
//! - The merged columns come first, once each. PostgreSQL gives them in the order of USING (for NATURAL: of the left side's
//!   columns), MySQL always in the order of the left side's columns; and to MySQL a RIGHT JOIN is a LEFT JOIN of the sides
//!   changed over, so the right side's columns come before the left side's.
//! - A merged column's value is the left side's, after RIGHT JOIN the right side's, after FULL JOIN whichever is there.
//!
//! The engine itself leaves merged columns where the left table has them, with its value, and finds their names ambiguous
//! in conditions. Which table has a column is known from the tables' columns and from the select lists of subqueries.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use super::build::{binary, call, joined, number, select_of, take};
use super::labels::{mysql_label, postgres_label};
use super::names::constraint;
use super::scope::{Columns, FromItem, Scope, hide, meanings, renamed};
use crate::error::{Error, Kind, Result};
use crate::sql::walk::{walk, walk_mut};
use crate::types::{Family, fold};

/// The (folded) columns of tables by the names that stand in the tree.
pub type TableColumns = HashMap<String, Vec<String>>;

/// Does a query hold a join that merges columns?
pub fn has_merged(query: &Query) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if select.from.iter().any(merges) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    walk(query, &mut Find).is_break()
}

/// Rewrites all joins of a query that merge columns, and what names those columns. Call it when names are resolved, and
/// before the rewrite.
pub fn merge_joins(query: &mut Query, tables: &TableColumns, family: Family) -> Result<()> {
    match walk_mut(query, &mut Merger { tables, family, ctes: Vec::new(), marks: Vec::new() }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn merges(table: &TableWithJoins) -> bool {
    let within = |factor: &TableFactor| matches!(factor, TableFactor::NestedJoin { table_with_joins, .. } if merges(table_with_joins));
    within(&table.relation) || table.joins.iter().any(|join| merging(&join.join_operator) || within(&join.relation))
}

fn merging(operator: &JoinOperator) -> bool {
    use JoinOperator::*;
    let (Join(c) | Inner(c) | Left(c) | LeftOuter(c) | Right(c) | RightOuter(c) | FullOuter(c) | CrossJoin(c) | StraightJoin(c)) = operator
    else {
        return false;
    };
    matches!(c, JoinConstraint::Using(_) | JoinConstraint::Natural)
}

#[derive(Clone)]
struct Merger<'a> {
    tables: &'a TableColumns,
    family: Family,
    /// Common table expressions that are known here.
    ctes: Vec<(String, Columns)>,
    /// How many of them each query around knows.
    marks: Vec<usize>,
}

impl Merger<'_> {
    fn define(&mut self, with: &With) {
        for cte in &with.cte_tables {
            let columns = renamed(self.of_query(&cte.query), &cte.alias.columns);
            self.ctes.push((fold(&cte.alias.name.value), columns));
        }
    }

    /// The columns of a query.
    fn of_query(&self, query: &Query) -> Columns {
        match &query.with {
            None => self.of_body(&query.body),
            Some(with) => {
                let mut inner = self.clone();
                inner.define(with);
                inner.of_body(&query.body)
            }
        }
    }

    fn of_body(&self, body: &SetExpr) -> Columns {
        match body {
            SetExpr::Select(select) => self.of_select(select),
            SetExpr::Query(query) => self.of_query(query),
            SetExpr::SetOperation { left, .. } => self.of_body(left),
            _ => Columns::default(),
        }
    }

    fn of_select(&self, select: &Select) -> Columns {
        let mut columns = Columns { names: Vec::new(), complete: true };
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(Expr::Identifier(name)) | SelectItem::ExprWithAlias { alias: name, .. } => {
                    columns.names.push(fold(&name.value));
                }
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                    columns.names.extend(names.last().map(|name| fold(&name.value)));
                }
                SelectItem::UnnamedExpr(expr) if self.family == Family::MySql => columns.names.push(fold(&mysql_label(expr, None))),
                SelectItem::UnnamedExpr(expr) => {
                    // The engine calls it otherwise.
                    columns.complete = false;
                    columns.names.extend(postgres_label(expr).map(|name| fold(&name)));
                }
                SelectItem::Wildcard(_) => {
                    let all = self.of_from(&select.from);
                    columns.names.extend(all.names);
                    columns.complete &= all.complete;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(of), _) => {
                    let of = of.0.last().and_then(|part| part.as_ident()).map(|name| fold(&name.value)).unwrap_or_default();
                    let scope = self.scope(&mut select.from.clone()).unwrap_or_default();
                    let named = |item: &&FromItem| matches!(item, FromItem::Table { qualifier, .. } if fold(&qualifier.value) == of);
                    match scope.iter().find(named) {
                        Some(FromItem::Table { columns: all, .. }) => {
                            columns.names.extend(all.names.iter().cloned());
                            columns.complete &= all.complete;
                        }
                        _ => columns.complete = false,
                    }
                }
                _ => columns.complete = false,
            }
        }
        columns
    }

    /// The columns of `*`.
    fn of_from(&self, from: &[TableWithJoins]) -> Columns {
        match self.scope(&mut from.to_vec()) {
            Ok(scope) => Columns {
                names: scope.iter().flat_map(FromItem::names).map(str::to_owned).collect(),
                complete: scope.iter().all(FromItem::is_complete),
            },
            Err(_) => Columns::default(),
        }
    }

    fn scope(&self, from: &mut [TableWithJoins]) -> Result<Scope> {
        let mut scope = Vec::new();
        for table in from {
            scope.extend(self.table(table)?);
        }
        Ok(scope)
    }

    /// What a table and those that are joined to it have; their joins get conditions.
    fn table(&self, table: &mut TableWithJoins) -> Result<Scope> {
        let mut left = self.factor(&mut table.relation)?;
        for join in &mut table.joins {
            let right = self.factor(&mut join.relation)?;
            left = self.join(left, right, &mut join.join_operator)?;
        }
        Ok(left)
    }

    fn factor(&self, factor: &mut TableFactor) -> Result<Scope> {
        // A join with a name is a subquery: its merged columns are columns like others.
        if let TableFactor::NestedJoin { table_with_joins, alias: alias @ Some(_) } = factor
            && merges(table_with_joins)
        {
            let alias = alias.take();
            let join = TableFactor::NestedJoin { table_with_joins: table_with_joins.clone(), alias: None };
            let mut all = select_of(number(1), join);
            if let SetExpr::Select(select) = all.body.as_mut() {
                select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
            }
            *factor = TableFactor::Derived { lateral: false, subquery: Box::new(all), alias, sample: None };
        }
        let (alias, columns) = match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.table(table_with_joins),
            TableFactor::Table { name, alias, args: None, .. } => {
                let last = name.0.last().and_then(|part| part.as_ident());
                let columns = last.map(|last| self.named(&last.value)).unwrap_or_default();
                let own = || last.map(|last| TableAlias { explicit: false, name: last.clone(), columns: Vec::new(), at: None });
                (alias.clone().or_else(own), columns)
            }
            TableFactor::Derived { subquery, alias, .. } => (alias.clone(), self.of_query(subquery)),
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => (alias.clone(), Columns::default()),
            _ => (None, Columns::default()),
        };
        let Some(alias) = alias else {
            return Err(Error::unsupported("USING or NATURAL beside a table without a name").with_hint("give it an alias"));
        };
        let mut columns = renamed(columns, &alias.columns);
        let mut sorted = columns.names.clone();
        sorted.sort_unstable();
        columns.complete &= sorted.windows(2).all(|pair| pair[0] != pair[1]);
        Ok(vec![FromItem::Table { qualifier: alias.name, columns, merged: Vec::new() }])
    }

    fn named(&self, name: &str) -> Columns {
        let folded = fold(name);
        let cte = self.ctes.iter().rev().find(|(cte, _)| *cte == folded).map(|(_, columns)| columns.clone());
        let table = || self.tables.get(name).map(|names| Columns { names: names.clone(), complete: true });
        cte.or_else(table).unwrap_or_default()
    }

    fn join(&self, mut left: Scope, mut right: Scope, operator: &mut JoinOperator) -> Result<Scope> {
        let (keeps_left, keeps_right) = match operator {
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (true, false),
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (false, true),
            JoinOperator::FullOuter(_) => (true, true),
            _ => (false, false),
        };
        // MySQL changes the sides over.
        let right_first = self.family == Family::MySql && keeps_right && !keeps_left;
        let first: Vec<String> = if right_first { &right } else { &left }.iter().flat_map(FromItem::names).map(str::to_owned).collect();
        let complete = left.iter().chain(&right).all(FromItem::is_complete);
        let mut names: Vec<String> = match constraint(operator) {
            Some(JoinConstraint::Using(columns)) => columns.iter().filter_map(|c| c.0.last()?.as_ident()).map(|c| fold(&c.value)).collect(),
            Some(JoinConstraint::Natural) if complete => {
                let second: Vec<&str> = if right_first { &left } else { &right }.iter().flat_map(FromItem::names).collect();
                let mut names: Vec<String> = first.iter().filter(|name| second.contains(&name.as_str())).cloned().collect();
                names.dedup();
                names
            }
            Some(JoinConstraint::Natural) => {
                return Err(Error::unsupported("NATURAL JOIN with a table that has unnamed columns")
                    .with_hint("name the columns: JOIN .. USING (..)"));
            }
            Some(JoinConstraint::On(condition)) => {
                let both: Scope = left.iter().chain(&right).cloned().collect();
                self.put(condition, &both, &[]);
                return Ok(both);
            }
            _ => {
                left.extend(right);
                return Ok(left);
            }
        };
        if self.family == Family::MySql {
            names.sort_by_key(|name| first.iter().position(|own| own == name));
        }
        let (mut conditions, mut merged) = (Vec::new(), Vec::new());
        for name in names {
            let (before, after) = (self.one(&left, &name, "left")?, self.one(&right, &name, "right")?);
            conditions.push(binary(before.clone(), BinaryOperator::Eq, after.clone()));
            hide(&mut left, &name);
            hide(&mut right, &name);
            let value = match (keeps_left, keeps_right) {
                (true, true) => call("coalesce", vec![before, after]),
                (false, true) => after,
                _ => before,
            };
            merged.push(FromItem::Merged(name, Box::new(value)));
        }
        let condition = joined(conditions, &BinaryOperator::And).unwrap_or_else(|| Expr::Value(Value::Boolean(true).into()));
        if let Some(place) = constraint(operator) {
            *place = JoinConstraint::On(condition);
        }
        if let JoinOperator::CrossJoin(on) = operator {
            *operator = JoinOperator::Inner(std::mem::replace(on, JoinConstraint::None));
        }
        let (second, third) = if right_first { (right, left) } else { (left, right) };
        Ok(merged.into_iter().chain(second).chain(third).collect())
    }

    /// The only column of that name on one side.
    fn one(&self, scope: &[FromItem], name: &str, side: &str) -> Result<Expr> {
        let mut found = meanings(scope, name);
        match (found.len(), found.pop()) {
            (1, Some(value)) => Ok(value),
            (0, _) if !scope.iter().all(FromItem::is_complete) => {
                Err(Error::unsupported(format!("USING ({name}) with a table that has unnamed columns"))
                    .with_hint("write the condition: JOIN .. ON .."))
            }
            // MySQL looks for the one column that the left side has.
            (n, _) if n == 0 || (self.family == Family::MySql && side == "left") => Err(Error::new(
                Kind::UnknownColumn,
                match self.family {
                    Family::MySql => format!("Unknown column '{name}' in 'from clause'"),
                    Family::Postgres => format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
                },
            )),
            _ => Err(Error::new(
                Kind::AmbiguousColumn,
                match self.family {
                    Family::MySql => format!("Column '{name}' in from clause is ambiguous"),
                    Family::Postgres => format!("common column name \"{name}\" appears more than once in {side} table"),
                },
            )),
        }
    }

    /// Replaces bare names of merged columns, those in `except` left out.
    fn put(&self, tree: &mut impl VisitMut, scope: &[FromItem], except: &[String]) {
        let _ = walk_mut(tree, &mut Put { merger: self, scope, except, inner: Vec::new() });
    }

    fn select(&self, select: &mut Select) -> Result<()> {
        if !select.from.iter().any(merges) {
            return Ok(());
        }
        let scope = self.scope(&mut select.from)?;
        let complete = scope.iter().all(FromItem::is_complete);
        let mut items = Vec::with_capacity(select.projection.len());
        for mut item in std::mem::take(&mut select.projection) {
            match &mut item {
                SelectItem::Wildcard(_) => {
                    items.extend(scope.iter().flat_map(|item| item.listed(complete)));
                    continue;
                }
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                    let (alias, mut expr) = (name.clone(), Expr::Identifier(name.clone()));
                    self.put(&mut expr, &scope, &[]);
                    item = match expr {
                        Expr::Identifier(_) => item,
                        _ => SelectItem::ExprWithAlias { expr, alias },
                    };
                }
                other => self.put(other, &scope, &[]),
            }
            items.push(item);
        }
        // To HAVING in MySQL an alias comes before a column.
        let aliases = if self.family == Family::MySql { aliases(&items) } else { Vec::new() };
        select.projection = items;
        for window in &mut select.named_window {
            self.put(window, &scope, &[]);
        }
        if let Some(condition) = &mut select.selection {
            self.put(condition, &scope, &[]);
        }
        if let Some(condition) = &mut select.having {
            self.put(condition, &scope, &aliases);
        }
        self.put(&mut select.group_by, &scope, &[]);
        if let Some(distinct) = &mut select.distinct {
            self.put(distinct, &scope, &[]);
        }
        Ok(())
    }

    /// The order of a query: what its select list has goes before what its tables have.
    fn order(&self, query: &mut Query) {
        let (SetExpr::Select(select), Some(order)) = (query.body.as_ref(), &mut query.order_by) else { return };
        if !select.from.iter().any(merges) {
            return;
        }
        let Ok(scope) = self.scope(&mut select.from.clone()) else { return };
        let listed = self.of_select(select).names;
        let OrderByKind::Expressions(items) = &mut order.kind else { return };
        for item in items {
            match &mut item.expr {
                Expr::Identifier(name) if listed.contains(&fold(&name.value)) => {}
                other => {
                    let mut whole = take(other);
                    self.put(&mut whole, &scope, &aliases(&select.projection));
                    *other = whole;
                }
            }
        }
    }
}

fn aliases(items: &[SelectItem]) -> Vec<String> {
    let alias = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(&alias.value)),
        _ => None,
    };
    items.iter().filter_map(alias).collect()
}

impl VisitorMut for Merger<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.marks.push(self.ctes.len());
        if let Some(with) = &query.with {
            self.define(with);
        }
        self.order(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        if let Some(known) = self.marks.pop() {
            self.ctes.truncate(known);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        match self.select(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// Replaces bare names; in subqueries those that no table there has.
struct Put<'a> {
    merger: &'a Merger<'a>,
    scope: &'a [FromItem],
    except: &'a [String],
    /// The names that each subquery around knows; None: that can't be told.
    inner: Vec<Option<Vec<String>>>,
}

impl VisitorMut for Put<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let known = match query.body.as_ref() {
            SetExpr::Select(select) if query.with.is_none() => {
                let (own, listed) = (self.merger.of_from(&select.from), self.merger.of_select(select));
                (own.complete || select.from.is_empty()).then(|| own.names.into_iter().chain(listed.names).collect())
            }
            _ => None,
        };
        self.inner.push(known);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.inner.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Identifier(name) = expr else { return ControlFlow::Continue(()) };
        let name = fold(&name.value);
        let hidden = self.inner.iter().any(|known| known.as_ref().is_none_or(|names| names.contains(&name)));
        let merged = self.scope.iter().any(|item| matches!(item, FromItem::Merged(own, _) if *own == name));
        if !merged || hidden || self.except.contains(&name) {
            return ControlFlow::Continue(());
        }
        // A name with several meanings stays: the engine finds it ambiguous, as the databases do.
        if let [value] = meanings(self.scope, &name).as_slice() {
            *expr = value.clone();
        }
        ControlFlow::Continue(())
    }
}
