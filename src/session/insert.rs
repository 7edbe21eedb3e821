//! INSERT and REPLACE: rows of literals on a short path, everything else as the rows of a query.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::concat;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, Expr, SetExpr, UnaryOperator, Value};
use futures::TryStreamExt;

use super::call::Call;
use super::query::Described;
use super::rewrite::column_index;
use super::state::Session;
use super::{Outcome, Reply};
use crate::cold::{Delta, FileSink};
use crate::error::{Error, Kind, Result};
use crate::gms::Table;
use crate::sql::{Insert, Name, Query};
use crate::types::coerce::{coerce, default_value};
use crate::types::rows::{batch_of, default_or_error, no_default, one_array, whole_rows};
use crate::types::{Column, Default, Family, SqlType};

/// An INSERT with its names resolved.
struct Target {
    table: Arc<Table>,
    /// For each column that the rows bring, its index in the table.
    columns: Vec<usize>,
}

/// A cell of a row of literals.
enum Cell {
    Value(ScalarValue),
    Default,
}

impl Session {
    pub(super) async fn insert(&mut self, insert: &Insert, call: &Call) -> Result<Reply> {
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
    pub(super) fn named_columns(&self, table: &Table, names: &[String]) -> Result<Vec<usize>> {
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

    /// One column's cells, read into its type. Cells that are not literals are evaluated as a query would.
    async fn cells(&mut self, column: &Column, cells: &[&Expr], call: &Call) -> Result<ArrayRef> {
        // To these a number is not the same as its digits.
        let numbers = matches!(column.ty, SqlType::Bit { .. } | SqlType::Enum { .. });
        let mut values: Vec<Option<Cell>> = cells.iter().map(|e| literal(e, &call.params, numbers)).collect();
        if self.family() == Family::MySql && column.ty.arrow().is_numeric() {
            // Literal bytes are a number there, and not the text of one.
            for (value, cell) in values.iter_mut().zip(cells) {
                if let Expr::Value(literal) = cell
                    && let Some(n) = crate::engine::dialect::literal_bytes(&literal.value)
                {
                    *value = Some(Cell::Value(ScalarValue::UInt64(Some(n))));
                }
            }
        }
        if self.family() == Family::Postgres && column.ty.arrow().is_integer() {
            // A number with a fraction is rounded; a text with one is an error.
            values.iter_mut().zip(cells).filter(|(_, cell)| has_fraction(cell)).for_each(|(value, _)| *value = None);
        }
        let open: Vec<usize> = values.iter().enumerate().filter(|(_, v)| v.is_none()).map(|(i, _)| i).collect();
        // One query for all of them, in pieces that stay well below planning limits.
        for chunk in open.chunks(256) {
            let mysql = self.family() == Family::MySql;
            let cell = |i: &usize| if mysql { with_all_digits(cells[*i].clone()) } else { cells[*i].clone() };
            let expressions: Vec<Expr> = chunk.iter().map(cell).collect();
            for (index, value) in chunk.iter().zip(self.evaluate(&expressions, call).await?) {
                values[*index] = Some(Cell::Value(value));
            }
        }
        let default = if values.iter().any(|v| matches!(v, Some(Cell::Default))) {
            Some(default_or_error(column, self.family(), &self.settings.zone)?)
        } else {
            None
        };
        let scalars: Vec<ScalarValue> = values
            .into_iter()
            .map(|v| match v {
                Some(Cell::Value(value)) => value,
                _ => default.clone().unwrap_or(ScalarValue::Null),
            })
            .collect();
        let mut types = scalars.iter().filter(|v| !v.is_null()).map(ScalarValue::data_type);
        let first = types.next();
        if types.all(|ty| Some(&ty) == first.as_ref()) {
            return coerce(&one_array(scalars)?, column, self.family(), &self.settings.zone, 0);
        }
        // Cells of several types: each is read into the column as what it is.
        let mut read = Vec::with_capacity(scalars.len());
        for (row, value) in scalars.into_iter().enumerate() {
            read.push(coerce(&one_array(vec![value])?, column, self.family(), &self.settings.zone, row as u64)?);
        }
        concat(&read.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map_err(|e| Error::internal(e.to_string()))
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
    pub(super) async fn query_delta(&mut self, table: &Arc<Table>, leading: usize, query: &Query, call: &Call) -> Result<(Delta, u64)> {
        let target = Target { table: Arc::clone(table), columns: (leading..table.columns().len()).collect() };
        self.insert_query(&target, query, call).await
    }

    pub(super) async fn describe_insert(&mut self, insert: &Insert, known: &[Option<SqlType>], call: &Call) -> Result<Described> {
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

/// The number (from 0) of a placeholder.
pub(super) fn placeholder(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1),
            _ => None,
        },
        Expr::Nested(inner) => placeholder(inner),
        _ => None,
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

/// A value on its way into a column of a MySQL session.
pub(super) fn with_all_digits(expr: Expr) -> Expr {
    if crate::engine::dialect::has_quotient(&expr) { crate::engine::dialect::as_computed(expr) } else { expr }
}

fn has_fraction(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => has_fraction(inner),
        Expr::Value(value) => matches!(&value.value, Value::Number(number, _) if number.to_string().contains(['.', 'e', 'E'])),
        _ => false,
    }
}

/// The value of a literal cell, numbers as text so that no digit is lost (or, with `numbers`, whole ones as numbers);
/// None: it must be evaluated.
fn literal(expr: &Expr, params: &[ScalarValue], numbers: bool) -> Option<Cell> {
    let text = |text: String| Some(Cell::Value(ScalarValue::Utf8(Some(text))));
    match expr {
        Expr::Nested(inner) => literal(inner, params, numbers),
        Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") => Some(Cell::Default),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => text(format!("-{number}")),
                _ => None,
            },
            _ => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Null => Some(Cell::Value(ScalarValue::Null)),
            Value::Boolean(b) => Some(Cell::Value(ScalarValue::Boolean(Some(*b)))),
            Value::Number(number, _) => match number.to_string().parse::<u64>() {
                Ok(whole) if numbers => Some(Cell::Value(ScalarValue::UInt64(Some(whole)))),
                _ => text(number.to_string()),
            },
            Value::SingleQuotedString(s)
            | Value::DoubleQuotedString(s)
            | Value::EscapedStringLiteral(s)
            | Value::NationalStringLiteral(s)
            | Value::UnicodeStringLiteral(s) => text(s.clone()),
            Value::DollarQuotedString(s) => text(s.value.clone()),
            Value::HexStringLiteral(hex) => hex::decode(hex).ok().map(|bytes| Cell::Value(ScalarValue::Binary(Some(bytes)))),
            Value::Placeholder(_) => placeholder(expr).and_then(|n| params.get(n)).cloned().map(Cell::Value),
            _ => None,
        },
        _ => None,
    }
}

/// A column's default as an expression, for `SET c = DEFAULT`.
pub(super) fn default_expr(column: &Column, family: Family) -> Result<Expr> {
    if column.default.is_none() && !column.nullable {
        return Err(no_default(column, family));
    }
    let value = match &column.default {
        None => Value::Null,
        Some(Default::Value(text)) if column.ty == SqlType::Bool => {
            Value::Boolean(matches!(text.as_str(), "true" | "t" | "yes" | "y" | "on" | "1"))
        }
        Some(Default::Value(text)) if matches!(column.ty, SqlType::Bit { .. }) && text.parse::<u64>().is_ok() => {
            Value::Number(text.clone(), false)
        }
        Some(Default::Value(text)) => Value::SingleQuotedString(text.clone()),
        Some(_) => {
            let now = default_value(column, jiff::Timestamp::now(), &jiff::tz::TimeZone::system())?;
            Value::SingleQuotedString(now.to_string())
        }
    };
    Ok(Expr::Value(value.into()))
}

/// Whole rows of a table, each column of its Arrow type.
pub(super) fn table_batch(table: &Table, arrays: Vec<ArrayRef>) -> Result<RecordBatch> {
    let rows = arrays.first().map_or(0, |a| a.len());
    batch_of(table.columns(), arrays, rows)
}
