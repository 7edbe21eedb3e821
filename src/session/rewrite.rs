//! UPDATE, DELETE, TRUNCATE: a query finds the rows by their positions, cold tables replace the files that lose them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{filter, or};
use datafusion::sql::sqlparser::ast::{self, Ident, SelectItem, TableFactor, TableWithJoins, VisitorMut};
use futures::TryStreamExt;

use super::call::Call;
use super::query::Described;
use super::state::Session;
use super::{Outcome, Reply};
use crate::cold::{Delta, FILE_COLUMN, FileSink, Hits, ROW_COLUMN, TableView};
use crate::engine::TARGET_MARK;
use crate::error::{Error, Kind, Result};
use crate::gms::{Table, TaskId};
use crate::sql::walk::walk_mut;
use crate::sql::{Name, Query, Statement};
use crate::types::coerce::coerce;
use crate::types::{Family, SqlType, same};

/// An UPDATE or DELETE as a query over positions.
struct ChangeQuery {
    query: Query,
    table: Arc<Table>,
    /// For UPDATE: which columns get a new value, in the order of the query's columns after the positions.
    assigned: Vec<usize>,
}

impl Session {
    pub(super) async fn update(&mut self, update: &ast::Update, call: &Call) -> Result<Reply> {
        if update.returning.is_some() {
            return Err(Error::unsupported("UPDATE .. RETURNING"));
        }
        let change = self.update_query(update)?;
        let (matched, changed) = self.change_rows(change, call).await?;
        let affected = if self.family() == Family::MySql { changed } else { matched };
        let info = format!("Rows matched: {matched}  Changed: {changed}  Warnings: 0");
        Ok(Reply::Done(Outcome { affected, matched: Some(matched), info, ..Outcome::tag(format!("UPDATE {matched}")) }))
    }

    pub(super) async fn delete(&mut self, delete: &ast::Delete, call: &Call) -> Result<Reply> {
        if delete.returning.is_some() {
            return Err(Error::unsupported("DELETE .. RETURNING"));
        }
        let change = self.delete_query(delete)?;
        let (matched, _) = self.change_rows(change, call).await?;
        Ok(Reply::Done(Outcome { affected: matched, ..Outcome::tag(format!("DELETE {matched}")) }))
    }

    /// TRUNCATE: all files go at one moment; the past keeps them.
    pub(super) async fn truncate(&mut self, names: &[Name]) -> Result<Reply> {
        self.end_before_ddl("TRUNCATE").await?;
        for name in names {
            let table = self.table(name)?;
            let own = self.begin_write().await?;
            let delta = self.truncate_delta(&table).await;
            self.end_write(own, delta.map(|d| vec![d])).await?;
        }
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("TRUNCATE TABLE")))
    }

    async fn truncate_delta(&mut self, table: &Arc<Table>) -> Result<Delta> {
        let read = self.read_time().await?;
        let snapshot = self.node.engine.snapshot(table, read).await?;
        let mut delta = Delta::new(Arc::clone(table));
        delta.removed = snapshot.files.iter().map(|f| f.id).collect();
        Ok(delta)
    }

    pub(super) async fn describe_update(&mut self, update: &ast::Update, known: &[Option<SqlType>], call: &Call) -> Result<Described> {
        let change = self.update_query(update)?;
        self.describe_change(change, known, call).await
    }

    pub(super) async fn describe_delete(&mut self, delete: &ast::Delete, known: &[Option<SqlType>], call: &Call) -> Result<Described> {
        let change = self.delete_query(delete)?;
        self.describe_change(change, known, call).await
    }

    async fn describe_change(&mut self, change: ChangeQuery, known: &[Option<SqlType>], call: &Call) -> Result<Described> {
        let read = self.read_time().await?;
        let mut query = change.query.clone();
        super::times::drop_open_times(&mut query);
        let query = self.substitute(&query)?;
        let tables = self.tables(&query, call).await?;
        let environment = self.environment(read, tables, &call.text, &[]);
        let engine = self.node.engine.clone();
        let (mut types, _) = call.guard.run(engine.describe(&environment, &query, known)).await?;
        // `SET c = $1` says nothing of its type by itself: it is the column's.
        if let ast::SetExpr::Select(select) = change.query.query.body.as_ref() {
            for (item, index) in select.projection.iter().skip(2).zip(&change.assigned) {
                if let SelectItem::UnnamedExpr(ast::Expr::Value(value)) = item
                    && let ast::Value::Placeholder(name) = &value.value
                    && let Ok(number) = name.trim_start_matches('$').parse::<usize>()
                    && let Some(slot) = types.get_mut(number.wrapping_sub(1))
                {
                    *slot = change.table.columns().get(*index).map(|c| c.ty.clone());
                }
            }
        }
        Ok((types, None))
    }

    fn update_query(&self, update: &ast::Update) -> Result<ChangeQuery> {
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
                    super::insert::default_expr(&table.columns()[index], self.family())?
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
        let stored = |value| if mysql { super::insert::with_all_digits(value) } else { value };
        projection.extend(values.into_iter().map(|value| SelectItem::UnnamedExpr(stored(value))));
        projection.extend(table.columns().iter().map(|c| SelectItem::UnnamedExpr(qualified(&alias, &c.name))));
        let query = finish(projection, from, update.selection.clone(), &update.order_by, update.limit.clone());
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
    pub(super) fn change_target(&self, statement: &Statement) -> Option<Arc<Table>> {
        let change = match statement {
            Statement::Update(update) => self.update_query(update),
            Statement::Delete(delete) => self.delete_query(delete),
            _ => return None,
        };
        change.ok().map(|change| change.table)
    }

    fn delete_query(&self, delete: &ast::Delete) -> Result<ChangeQuery> {
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
        let query = finish(position_items(&alias), from, delete.selection.clone(), &delete.order_by, delete.limit.clone());
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

    /// Runs the change; (rows matched, rows really different).
    async fn change_rows(&mut self, change: ChangeQuery, call: &Call) -> Result<(u64, u64)> {
        let own = self.begin_write().await?;
        let outcome = self.changed_delta(&change, call).await;
        let (delta, counts) = match outcome {
            Ok((delta, counts)) => (Ok(delta.into_iter().collect()), counts),
            Err(error) => (Err(error), (0, 0)),
        };
        self.end_write(own, delta).await?;
        Ok(counts)
    }

    async fn changed_delta(&mut self, change: &ChangeQuery, call: &Call) -> Result<(Option<Delta>, (u64, u64))> {
        let task = self.transactions.task().await?;
        let read = self.read_time().await?;
        let query = self.substitute(&change.query)?;
        let tables = self.tables(&query, call).await?;
        let environment = self.environment(read, tables, &call.text, &call.params);
        let engine = self.node.engine.clone();
        let work = async {
            let mut planned = engine.plan(&environment, &query).await?;
            let view = planned.target.take().ok_or_else(|| Error::internal("a change without its table"))?;
            let running = planned.run().await?;
            self.collect_change(change, &view, running, task).await
        };
        call.guard.run(work).await
    }

    async fn collect_change(
        &self,
        change: &ChangeQuery,
        view: &TableView,
        mut running: crate::engine::Running,
        task: TaskId,
    ) -> Result<(Option<Delta>, (u64, u64))> {
        let cold = self.node.engine.cold.clone();
        let mut hits = Hits::default();
        let mut delta = Delta::new(Arc::clone(&change.table));
        let mut sink = FileSink::new(cold.clone(), Arc::clone(&change.table), task)?;
        let mut changed = 0u64;
        while let Some(batch) = running.batches.try_next().await? {
            let fresh = hits.add(positions(&batch, 0)?, positions(&batch, 1)?);
            if change.assigned.is_empty() {
                continue;
            }
            let (rows, different) = self.new_rows(change, &batch, &fresh, sink.rows())?;
            changed += different;
            sink.write(&rows).await?;
        }
        if hits.is_empty() {
            return Ok((None, (0, 0)));
        }
        delta.files = sink.finish().await?;
        cold.remove_rows(view, &hits, task, &mut delta).await?;
        Ok((Some(delta), (hits.count(), changed)))
    }

    /// The new rows of an UPDATE, and how many of them differ from what they replace.
    fn new_rows(&self, change: &ChangeQuery, batch: &RecordBatch, fresh: &BooleanArray, first: u64) -> Result<(RecordBatch, u64)> {
        let columns = change.table.columns();
        let old_at = 2 + change.assigned.len();
        let mut row: Vec<ArrayRef> = (0..columns.len()).map(|i| Arc::clone(batch.column(old_at + i))).collect();
        let mut differs: Option<BooleanArray> = None;
        for (position, index) in change.assigned.iter().enumerate() {
            let value = coerce(batch.column(2 + position), &columns[*index], self.family(), &self.settings.zone, first)?;
            let this = distinct(&value, &row[*index]).map_err(|e| Error::internal(e.to_string()))?;
            differs = Some(match differs {
                Some(before) => or(&before, &this).map_err(|e| Error::internal(e.to_string()))?,
                None => this,
            });
            row[*index] = value;
        }
        let kept: Vec<ArrayRef> =
            row.iter().map(|c| filter(c, fresh)).collect::<Result<_, _>>().map_err(|e| Error::internal(e.to_string()))?;
        let different =
            differs.map_or(0, |d| d.iter().zip(fresh.iter()).filter(|(d, f)| *d == Some(true) && *f == Some(true)).count() as u64);
        Ok((super::insert::table_batch(&change.table, kept)?, different))
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

fn positions(batch: &RecordBatch, column: usize) -> Result<&UInt64Array> {
    batch.column(column).as_any().downcast_ref::<UInt64Array>().ok_or_else(|| Error::internal("a change lost its rows' positions"))
}

/// The index of a column by its name.
pub(super) fn column_index(table: &Table, name: &str, family: Family) -> Result<usize> {
    table.columns().iter().position(|c| same(&c.name, name)).ok_or_else(|| {
        Error::new(
            Kind::UnknownColumn,
            match family {
                Family::MySql => format!("Unknown column '{name}' in 'field list'"),
                Family::Postgres => format!("column \"{name}\" of relation \"{}\" does not exist", table.name),
            },
        )
    })
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

/// `SELECT projection FROM from`.
pub(super) fn select(projection: Vec<SelectItem>, from: Vec<TableWithJoins>) -> ast::Query {
    finish(projection, from, None, &[], None)
}

fn finish(
    projection: Vec<SelectItem>,
    from: Vec<TableWithJoins>,
    selection: Option<ast::Expr>,
    order: &[ast::OrderByExpr],
    limit: Option<ast::Expr>,
) -> ast::Query {
    let select = ast::Select {
        select_token: ast::helpers::attached_token::AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from,
        lateral_views: Vec::new(),
        prewhere: None,
        selection,
        connect_by: Vec::new(),
        group_by: ast::GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: ast::SelectFlavor::Standard,
    };
    let order_by = (!order.is_empty()).then(|| ast::OrderBy { kind: ast::OrderByKind::Expressions(order.to_vec()), interpolate: None });
    let limit_clause = limit.map(|limit| ast::LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by: Vec::new() });
    ast::Query {
        with: None,
        body: Box::new(ast::SetExpr::Select(Box::new(select))),
        order_by,
        limit_clause,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

impl Session {
    /// The table that a name means; a view or an unknown name is an error.
    pub(super) fn table(&self, name: &Name) -> Result<Arc<Table>> {
        let (database, table) = self.namespace().table(&name.parts)?;
        let catalog = self.node.gms.catalog();
        if let Some(found) = catalog.table(&database, &table) {
            return Ok(Arc::clone(found));
        }
        if catalog.view(&database, &table).is_some() {
            return Err(Error::new(Kind::Refused, format!("{database}.{table} is a view")).with_hint("change the tables that it reads"));
        }
        if catalog.database(&database).is_none() && self.family() == Family::MySql {
            return Err(Error::new(Kind::UnknownDatabase, format!("Unknown database '{database}'")));
        }
        Err(self.no_table(&database, &table))
    }
}
