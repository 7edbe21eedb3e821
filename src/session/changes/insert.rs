//! INSERT and REPLACE: rows of literals on a short path, everything else as the rows of a query.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::sql::sqlparser::ast::{self, Expr, SetExpr};
use futures::TryStreamExt;

use super::expressions::{column_index, placeholder, with_all_digits};
use crate::cold::{Delta, FileSink};
use crate::error::{Error, Kind, Result};
use crate::gms::Table;
use crate::session::call::{Call, Described};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{Insert, Name, Query};
use crate::types::rows::whole_rows;
use crate::types::{Family, SqlType};

/// An INSERT with its names resolved.
struct Target {
    table: Arc<Table>,
    /// For each column that the rows bring, its index in the table.
    columns: Vec<usize>,
}

impl Session {
    pub(in crate::session) async fn insert(&mut self, insert: &Insert, call: &Call) -> Result<Reply> {
        let tree = insert.insert.as_ref();
        if self.inserts_hot(insert) {
            return self.insert_hot(insert, call).await;
        }
        if tree.on.is_some() {
            return Err(Error::unsupported("ON DUPLICATE KEY UPDATE and ON CONFLICT")
                .with_hint("keys of cold tables are documentation: no row is ever a duplicate"));
        }
        if tree.returning.is_some() {
            return Err(Error::unsupported("INSERT .. RETURNING"));
        }
        if tree.replace_into {
            self.diagnostics.warn(1105, "keys of cold tables are documentation: REPLACE inserts like INSERT");
        }
        let target = self.insert_target(tree)?;
        let own = self.begin_write().await?;
        let outcome = self.insert_delta(insert, &target, call).await;
        let (delta, rows) = match outcome {
            Ok((delta, rows)) => (Ok(vec![delta]), rows),
            Err(error) if tree.ignore && error.hint().is_none() => {
                (Err(error.with_hint("INSERT IGNORE changes no value to make it fit: it is an error here, and no row was inserted")), 0)
            }
            Err(error) => (Err(error), 0),
        };
        self.end_write(own, delta).await?;
        let info = if rows == 1 { String::new() } else { format!("Records: {rows}  Duplicates: 0  Warnings: 0") };
        Ok(Reply::Done(Outcome { affected: rows, info, ..Outcome::tag(format!("INSERT 0 {rows}")) }))
    }

    fn insert_target(&self, tree: &ast::Insert) -> Result<Target> {
        let ast::TableObject::TableName(name) = &tree.table else {
            return Err(Error::unsupported("INSERT into anything but a table"));
        };
        let table = self.table(&Name::of(name))?;
        let names: Vec<String> = if tree.assignments.is_empty() {
            tree.columns.iter().chain(std::iter::empty()).map(|c| Name::of(c).name().to_owned()).collect()
        } else {
            let mut names = Vec::new();
            for assignment in &tree.assignments {
                match &assignment.target {
                    ast::AssignmentTarget::ColumnName(name) => names.push(Name::of(name).name().to_owned()),
                    ast::AssignmentTarget::Tuple(_) => return Err(Error::unsupported("assigning to a list of columns")),
                }
            }
            names
        };
        let columns = self.named_columns(&table, &names)?;
        Ok(Target { table, columns })
    }

    /// The indices of named columns; without names all columns.
    pub(in crate::session) fn named_columns(&self, table: &Table, names: &[String]) -> Result<Vec<usize>> {
        if names.is_empty() {
            return Ok((0..table.columns().len()).collect());
        }
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let index = column_index(table, name, self.family())?;
            if columns.contains(&index) {
                return Err(Error::new(Kind::SpecifiedTwice, format!("Column '{name}' specified twice")));
            }
            columns.push(index);
        }
        Ok(columns)
    }

    async fn insert_delta(&mut self, insert: &Insert, target: &Target, call: &Call) -> Result<(Delta, u64)> {
        let tree = insert.insert.as_ref();
        if !tree.assignments.is_empty() {
            let row: Vec<Expr> = tree.assignments.iter().map(|a| a.value.clone()).collect();
            return self.insert_rows(target, &[&row], insert, call).await;
        }
        let Some(source) = &tree.source else {
            // INSERT INTO t DEFAULT VALUES
            let none = Target { table: Arc::clone(&target.table), columns: Vec::new() };
            return self.insert_rows(&none, &[&[]], insert, call).await;
        };
        match source.body.as_ref() {
            SetExpr::Values(values) if source.with.is_none() && source.order_by.is_none() && source.limit_clause.is_none() => {
                let rows: Vec<&[Expr]> = values.rows.iter().map(|row| row.content.as_slice()).collect();
                self.insert_rows(target, &rows, insert, call).await
            }
            _ => self.insert_query(target, &Query { query: source.clone(), as_of: insert.as_of.clone() }, call).await,
        }
    }

    async fn insert_rows(&mut self, target: &Target, rows: &[&[Expr]], insert: &Insert, call: &Call) -> Result<(Delta, u64)> {
        for (number, row) in rows.iter().enumerate() {
            let empty = row.is_empty() && self.family() == Family::MySql;
            if row.len() != target.columns.len() && !empty {
                return Err(match self.family() {
                    Family::MySql => Error::new(Kind::ColumnCount, format!("Column count doesn't match value count at row {}", number + 1)),
                    Family::Postgres if row.len() > target.columns.len() => {
                        Error::new(Kind::ColumnCount, "INSERT has more expressions than target columns")
                    }
                    // As in PostgreSQL, columns at the end may be left out when none are named.
                    Family::Postgres if insert.insert.columns.is_empty() => continue,
                    Family::Postgres => Error::new(Kind::ColumnCount, "INSERT has more target columns than expressions"),
                });
            }
        }
        let width = rows.first().map_or(0, |row| row.len());
        if rows.iter().any(|row| row.len() != width) {
            return Err(Error::new(Kind::ColumnCount, "VALUES lists must all be the same length"));
        }
        let columns = &target.columns[..width.min(target.columns.len())];
        let mut given: BTreeMap<usize, ArrayRef> = BTreeMap::new();
        for (position, index) in columns.iter().enumerate() {
            let cells: Vec<&Expr> = rows.iter().map(|row| &row[position]).collect();
            let column = &target.table.columns()[*index];
            given.insert(*index, self.cells(column, &cells, call).await?);
        }
        let batch = self.fill(&target.table, &given, rows.len(), 0)?;
        let mut delta = Delta::new(Arc::clone(&target.table));
        delta.batches.push(batch);
        Ok((delta, rows.len() as u64))
    }

    /// The table's whole rows from the columns that were given: the others get their defaults.
    fn fill(&self, table: &Table, given: &BTreeMap<usize, ArrayRef>, rows: usize, first: u64) -> Result<RecordBatch> {
        whole_rows(table.columns(), given, rows, first, self.family(), &self.settings.zone)
    }

    async fn insert_query(&mut self, target: &Target, query: &Query, call: &Call) -> Result<(Delta, u64)> {
        let task = self.transactions.task().await?;
        let running = match self.family() {
            Family::MySql => {
                let mut query = query.clone();
                keep_digits(&mut query);
                self.start_query(&query, call).await?
            }
            Family::Postgres => self.start_query(query, call).await?,
        };
        if running.columns.len() != target.columns.len() {
            return Err(match self.family() {
                Family::MySql => Error::new(Kind::ColumnCount, "Column count doesn't match value count at row 1"),
                Family::Postgres => Error::new(Kind::ColumnCount, "INSERT has a different number of expressions than target columns"),
            });
        }
        let cold = self.node.engine.cold.clone();
        let mut sink = FileSink::new(cold, Arc::clone(&target.table), task)?;
        let mut batches = running.batches;
        let work = async {
            while let Some(batch) = batches.try_next().await? {
                let given = target.columns.iter().copied().zip(batch.columns().iter().cloned()).collect();
                let rows = self.fill(&target.table, &given, batch.num_rows(), sink.rows())?;
                sink.write(&rows).await?;
            }
            let rows = sink.rows();
            let mut delta = Delta::new(Arc::clone(&target.table));
            delta.files = sink.finish().await?;
            Ok((delta, rows))
        };
        call.guard.run(work).await
    }

    /// A query's rows as rows of the table's columns behind the `leading` ones, which get their defaults.
    pub(in crate::session) async fn query_delta(
        &mut self,
        table: &Arc<Table>,
        leading: usize,
        query: &Query,
        call: &Call,
    ) -> Result<(Delta, u64)> {
        let target = Target { table: Arc::clone(table), columns: (leading..table.columns().len()).collect() };
        self.insert_query(&target, query, call).await
    }

    pub(in crate::session) async fn describe_insert(
        &mut self,
        insert: &Insert,
        known: &[Option<SqlType>],
        call: &Call,
    ) -> Result<Described> {
        let tree = insert.insert.as_ref();
        if self.inserts_hot(insert) {
            return self.describe_insert_hot(insert, known, call).await;
        }
        let target = self.insert_target(tree)?;
        let mut types: Vec<Option<SqlType>> = vec![None; known.len()];
        let column = |position: usize| target.columns.get(position).map(|i| target.table.columns()[*i].ty.clone());
        let mut note = |expr: &Expr, position: usize| {
            if let Some(slot) = placeholder(expr).and_then(|n| types.get_mut(n)) {
                *slot = column(position);
            }
        };
        for (position, assignment) in tree.assignments.iter().enumerate() {
            note(&assignment.value, position);
        }
        match tree.source.as_deref() {
            Some(source) => match source.body.as_ref() {
                SetExpr::Values(values) => {
                    for row in &values.rows {
                        for (position, expr) in row.content.iter().enumerate() {
                            note(expr, position);
                        }
                    }
                    Ok((types, None))
                }
                _ => {
                    if let SetExpr::Select(select) = source.body.as_ref() {
                        for (position, item) in select.projection.iter().enumerate() {
                            if let ast::SelectItem::UnnamedExpr(expr) = item {
                                note(expr, position);
                            }
                        }
                    }
                    let known: Vec<_> = known.iter().zip(&types).map(|(known, column)| known.clone().or_else(|| column.clone())).collect();
                    let query = Query { query: Box::new(source.clone()), as_of: insert.as_of.clone() };
                    Box::pin(self.describe_query(&query, &known, call)).await.map(|(types, _)| (types, None))
                }
            },
            None => Ok((types, None)),
        }
    }
}

/// A quotient goes into a column as it was computed, not as it is shown.
fn keep_digits(query: &mut Query) {
    let SetExpr::Select(select) = query.query.body.as_mut() else { return };
    if select.distinct.is_some() {
        return;
    }
    for item in &mut select.projection {
        if let ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } = item {
            *expr = with_all_digits(expr.clone());
        }
    }
}
