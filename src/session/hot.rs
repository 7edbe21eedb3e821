//! Statements over cold and hot tables: which of them can be done, and INSERT and CREATE TABLE .. AS into a hot table.
//!
//! The query runs here; its rows go to the upstream over the client's own connection, in the client's own transaction.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, SetExpr, Table as TableCommand, TableObject, UnaryOperator, Value, ValueWithSpan, VisitorMut};
use futures::TryStreamExt;

use super::call::Call;
use super::diagnostics::{NOTE, Notice, WARNING};
use super::insert::placeholder;
use super::query::Described;
use super::state::Session;
use super::{Outcome, Reply};
use crate::engine::Running;
use crate::error::{Error, Kind, Result};
use crate::sql::walk::walk_mut;
use crate::sql::{CreateTable, Dialect, Insert, Parsed, PrepareSource, Query, Setting, Statement, printer};
use crate::types::coerce::format::{civil_text, date_text, decimal_text, float_text, time_text};
use crate::types::{ColumnInfo, Family, SqlType, fold};
use crate::upstream::{Done, InsertText, MYSQL_COMMIT, UpstreamHandle};

/// Stands for the rows in an INSERT that is printed, as `TABLE` of this name.
const ROWS: &str = "__fg_rows";
/// Warnings of one statement that are kept.
const MOST_WARNINGS: usize = 64;

/// What a client can do instead.
const INSTEAD: &str = "INSERT the rows of the cold table into a hot table first, then name that one";

impl Session {
    pub(super) fn upstream_handle(&self) -> Result<UpstreamHandle> {
        self.upstream.handle.clone().ok_or_else(|| {
            Error::unsupported("a hot table in a statement of this kind")
                .with_hint("send the statement by itself, not as a part of another")
        })
    }

    /// Can a statement that names tables of both sides be done here?
    pub fn check_federated(&self, parsed: &Parsed) -> Result<()> {
        self.federated(&parsed.statement)
    }

    fn federated(&self, statement: &Statement) -> Result<()> {
        let change = |verb: &str| {
            Err(Error::unsupported(format!("{verb} of a hot table with cold tables in it, or of a cold one with hot tables in it"))
                .with_hint(INSTEAD))
        };
        match statement {
            Statement::Insert(insert) if insert.insert.source.is_some() && insert.insert.assignments.is_empty() => Ok(()),
            Statement::Insert(_) => {
                Err(Error::unsupported("INSERT .. SET with tables of both sides").with_hint("INSERT INTO .. SELECT does the same"))
            }
            Statement::Update(_) => change("UPDATE"),
            Statement::Delete(_) => change("DELETE"),
            Statement::CreateTable(create) if create.as_query.is_some() && create.like.is_none() => Ok(()),
            Statement::Query(_) | Statement::DeclareCursor { .. } | Statement::SelectInto { .. } | Statement::Execute { .. } => Ok(()),
            Statement::Set(settings) if settings.iter().all(|setting| matches!(setting, Setting::User { .. })) => Ok(()),
            Statement::Copy(copy) if !copy.from => Ok(()),
            Statement::Explain(explain) => self.federated(&explain.inner),
            Statement::RenameTable { .. } | Statement::AlterTable(_) => {
                Err(Error::new(Kind::TableExists, "a table cannot be renamed to the name of a cold table")
                    .with_hint("the cold table would hide it; rename hot and cold tables in statements of their own"))
            }
            Statement::CreateView(_) => {
                Err(Error::unsupported("a view over cold and hot tables").with_hint("name both in the query itself"))
            }
            Statement::Prepare { source: PrepareSource::Statement { statement, .. }, .. } => self.federated(statement),
            Statement::Prepare { source: PrepareSource::Text(text), .. }
            | Statement::ExecuteImmediate { source: PrepareSource::Text(text), .. } => match self.parse(text)?.as_slice() {
                [inner] => self.federated(&inner.statement),
                _ => Ok(()),
            },
            _ => Err(Error::unsupported("a statement of this kind that names both cold and hot tables")
                .with_hint("name the tables of one side in a statement of its own")),
        }
    }

    /// INSERT into a hot table: the query's rows in batches, kept or undone as a whole.
    pub(super) async fn insert_hot(&mut self, insert: &Insert, call: &Call) -> Result<Reply> {
        let upstream = self.upstream_handle()?;
        let tree = insert.insert.as_ref();
        if tree.returning.is_some() {
            return Err(Error::unsupported("INSERT .. RETURNING into a hot table of rows that come from here")
                .with_hint("read the rows back with a SELECT"));
        }
        let Some(source) = &tree.source else { return Err(Error::internal("an INSERT without rows")) };
        let text = Arc::new(insert_text(&self.dialect(), insert, &call.params)?);
        let running = self.start_query(&Query { query: source.clone(), as_of: insert.as_of.clone() }, call).await?;
        if !tree.columns.is_empty() && running.columns.len() != tree.columns.len() {
            return Err(self.wrong_count());
        }
        let (done, rows) = self.kept_whole(&upstream, self.send(&upstream, &text, running, call)).await?;
        let (affected, duplicates, warnings) = (done.affected, done.duplicates, self.diagnostics.warnings().len());
        let outcome = match self.family() {
            Family::MySql => {
                let info = format!("Records: {rows}  Duplicates: {duplicates}  Warnings: {warnings}");
                Outcome { affected, last_insert_id: done.last_insert_id, info, ..Outcome::tag("INSERT") }
            }
            Family::Postgres => Outcome { affected, ..Outcome::tag(format!("INSERT 0 {affected}")) },
        };
        Ok(Reply::Done(outcome))
    }

    fn wrong_count(&self) -> Error {
        Error::new(
            Kind::ColumnCount,
            match self.family() {
                Family::MySql => "Column count doesn't match value count at row 1",
                Family::Postgres => "INSERT has a different number of expressions than target columns",
            },
        )
    }

    /// Does `work` at the upstream so that an error leaves nothing of it.
    async fn kept_whole(&mut self, upstream: &UpstreamHandle, work: impl Future<Output = Result<Sent>>) -> Result<(Done, u64)> {
        upstream.begin().await?;
        let outcome = work.await;
        let ended = upstream.end(outcome.is_ok()).await;
        if let Ok(done) = &ended {
            self.upstream.set_in_transaction(done.in_transaction);
        }
        // The first error is the one to tell.
        let sent = outcome?;
        ended?;
        self.diagnostics.add_upstream_warnings(sent.warnings);
        Ok((sent.done, sent.rows))
    }

    /// Sends the rows of a query.
    fn send(
        &self,
        upstream: &UpstreamHandle,
        text: &Arc<InsertText>,
        running: Running,
        call: &Call,
    ) -> impl Future<Output = Result<Sent>> + use<> {
        let (upstream, text, guard, mysql) = (upstream.clone(), Arc::clone(text), call.guard.clone(), self.family() == Family::MySql);
        let Running { columns, mut batches } = running;
        let work = async move {
            let mut sent = Sent::default();
            while let Some(batch) = batches.try_next().await? {
                if batch.num_rows() > 0 {
                    sent.add(&upstream, &text, &columns, batch, mysql).await?;
                }
            }
            Ok(sent)
        };
        async move { guard.run(work).await }
    }

    pub(super) async fn describe_insert_hot(&mut self, insert: &Insert, known: &[Option<SqlType>], call: &Call) -> Result<Described> {
        let Some(source) = &insert.insert.source else { return Ok((Vec::new(), None)) };
        let query = Query { query: source.clone(), as_of: insert.as_of.clone() };
        Box::pin(self.describe_query(&query, known, call)).await.map(|(types, _)| (types, None))
    }

    /// CREATE TABLE .. AS SELECT of a hot table: it is made with the query's columns, then filled.
    pub(super) async fn create_hot(&mut self, create: &CreateTable, call: &Call) -> Result<Reply> {
        let upstream = self.upstream_handle()?;
        let Some(query) = &create.as_query else { return Err(Error::internal("a hot table without its query")) };
        if !create.columns.is_empty() || !create.keys.is_empty() {
            return Err(Error::unsupported("columns of its own in CREATE TABLE .. AS SELECT of a hot table from cold ones")
                .with_hint("CREATE TABLE first, then INSERT INTO .. SELECT"));
        }
        let running = self.start_query(query, call).await?;
        let dialect = self.dialect();
        let columns: Vec<String> = running.columns.iter().map(|column| hot_column(&dialect, column)).collect();
        let made = create.written.with_columns(&columns.join(", "));
        let head = format!("INSERT INTO {} VALUES ", create.written.name);
        let text = Arc::new(InsertText { head, tail: String::new() });
        let mysql = self.family() == Family::MySql;
        if mysql {
            // It commits by itself, as CREATE TABLE does.
            let done = upstream.run(made).await?;
            if create.if_not_exists && done.warnings > 0 {
                self.take_warnings(&upstream).await?;
                return Ok(Reply::Done(Outcome::tag("CREATE TABLE")));
            }
            self.upstream.set_in_transaction(done.in_transaction);
            let outcome = self.kept_whole(&upstream, self.send(&upstream, &text, running, call)).await;
            if outcome.is_err() {
                // The error at hand is the one to tell.
                let temporary = if create.temporary { "TEMPORARY " } else { "" };
                let dropped = upstream.run(format!("DROP {temporary}TABLE {}", create.written.name)).await;
                if let Err(error) = dropped {
                    tracing::warn!(%error, "a table that could not be filled was not dropped");
                }
            }
            let (done, rows) = outcome?;
            if !create.temporary && self.upstream.status.is_some_and(|status| !status.autocommit) {
                // It is a transaction of its own whatever autocommit says.
                let committed = upstream.run(MYSQL_COMMIT.to_owned()).await?;
                self.upstream.set_in_transaction(committed.in_transaction);
            }
            let info = format!("Records: {rows}  Duplicates: {}  Warnings: {}", done.duplicates, self.diagnostics.warnings().len());
            return Ok(Reply::Done(Outcome { affected: done.affected, info, ..Outcome::tag("CREATE TABLE") }));
        }
        let rows = self.send(&upstream, &text, running, call);
        let filled = async {
            // IF NOT EXISTS says with a notice that there is one.
            if upstream.run(made).await?.warnings > 0 && create.if_not_exists {
                return Ok(Sent { skipped: true, ..Sent::default() });
            }
            rows.await
        };
        upstream.begin().await?;
        let outcome = filled.await;
        let ended = upstream.end(outcome.is_ok()).await;
        let sent = outcome?;
        ended?;
        let tag = if sent.skipped { "CREATE TABLE AS".to_owned() } else { format!("SELECT {}", sent.done.affected) };
        Ok(Reply::Done(Outcome { affected: sent.done.affected, ..Outcome::tag(tag) }))
    }

    async fn take_warnings(&mut self, upstream: &UpstreamHandle) -> Result<()> {
        self.diagnostics.add_upstream_warnings(warnings(upstream).await?);
        Ok(())
    }
}

/// What has gone to the upstream.
#[derive(Debug, Default)]
struct Sent {
    done: Done,
    rows: u64,
    warnings: Vec<Notice>,
    /// There was nothing to do.
    skipped: bool,
}

impl Sent {
    async fn add(
        &mut self,
        upstream: &UpstreamHandle,
        text: &Arc<InsertText>,
        columns: &Arc<[ColumnInfo]>,
        batch: RecordBatch,
        mysql: bool,
    ) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let one = upstream.insert(text, columns, batch).await?;
        self.done.affected += one.affected;
        self.done.duplicates += one.duplicates;
        self.done.last_insert_id = one.last_insert_id;
        if mysql && one.warnings > 0 && self.warnings.len() < MOST_WARNINGS {
            self.warnings.extend(warnings(upstream).await?);
            self.warnings.truncate(MOST_WARNINGS);
        }
        Ok(())
    }
}

async fn warnings(upstream: &UpstreamHandle) -> Result<Vec<Notice>> {
    let told = upstream.warnings().await?;
    let notice = |(code, note, message)| Notice { code, sqlstate: if note { NOTE } else { WARNING }, message };
    Ok(told.into_iter().map(notice).collect())
}

/// A column of a table that is made upstream.
fn hot_column(dialect: &Dialect, column: &ColumnInfo) -> String {
    /// Characters of a VARCHAR that fit in a row of MySQL's whatever the character set.
    const LONGEST: u32 = 16_000;
    let ty =
        match &column.ty {
            SqlType::VarChar { length } | SqlType::VarBinary { length } if dialect.is_mysql() && *length > LONGEST => {
                if column.ty.is_binary() { SqlType::Blob } else { SqlType::Text }
            }
            SqlType::Null => SqlType::Text,
            other => other.clone(),
        };
    let ty = if dialect.is_mysql() { long_name(&ty) } else { ty.postgres_name() };
    // A TIMESTAMP of an older server is NOT NULL unless it is said.
    let null = if dialect.is_mysql() { " NULL" } else { "" };
    // What PostgreSQL would have made of the name of a cold column, where case does not count.
    let cold = !dialect.is_mysql() && column.origin.as_ref().is_some_and(|origin| origin.column == column.label);
    let name = if cold { fold(&column.label) } else { column.label.clone() };
    format!("{} {ty}{null}", printer::quoted(dialect, &name))
}

/// The longest of its kind: how long the texts are is not known.
fn long_name(ty: &SqlType) -> String {
    match ty {
        SqlType::Text => "longtext".into(),
        SqlType::Blob => "longblob".into(),
        other => other.mysql_name(),
    }
}

/// An INSERT without its rows.
fn insert_text(dialect: &Dialect, insert: &Insert, params: &[ScalarValue]) -> Result<InsertText> {
    let mut tree = insert.insert.as_ref().clone();
    if let Some(source) = &mut tree.source {
        source.with = None;
        source.order_by = None;
        source.limit_clause = None;
        source.fetch = None;
        source.locks.clear();
        *source.body = SetExpr::Table(Box::new(TableCommand { table_name: Some(ROWS.to_owned()), schema_name: None }));
    }
    if let TableObject::TableName(_) = &tree.table {
        tree.into = true;
    }
    let family = if dialect.is_mysql() { Family::MySql } else { Family::Postgres };
    if let ControlFlow::Break(error) = walk_mut(&mut tree, &mut Bound { params, family }) {
        return Err(error);
    }
    let printed = printer::print(dialect, &Statement::Insert(Insert { insert: Box::new(tree), as_of: None }));
    let (head, tail) = printed.split_once(&format!("TABLE {ROWS}")).ok_or_else(|| Error::internal("an INSERT lost its rows"))?;
    Ok(InsertText { head: format!("{head}VALUES "), tail: tail.to_owned() })
}

/// Puts literals of the upstream's in the place of parameters.
struct Bound<'a> {
    params: &'a [ScalarValue],
    family: Family,
}

impl VisitorMut for Bound<'_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Nested(_) = expr {
            return ControlFlow::Continue(());
        }
        let Some(index) = placeholder(expr) else { return ControlFlow::Continue(()) };
        match self.params.get(index).map(|value| literal(value, self.family)) {
            Some(Ok(made)) => *expr = made,
            Some(Err(error)) => return ControlFlow::Break(error),
            // The statement is only described.
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Error> {
        // Where a backslash stands for itself is a setting of the upstream's; in this form it is always doubled.
        if self.family == Family::Postgres
            && let Value::SingleQuotedString(text) = &value.value
            && text.contains('\\')
        {
            value.value = Value::EscapedStringLiteral(text.clone());
        }
        ControlFlow::Continue(())
    }
}

/// A value as a literal of the upstream's language.
pub(super) fn literal(value: &ScalarValue, family: Family) -> Result<Expr> {
    let made = |value: Value| Expr::Value(value.into());
    let text = |text: String| match family {
        Family::Postgres if text.contains('\\') => made(Value::EscapedStringLiteral(text)),
        _ => made(Value::SingleQuotedString(text)),
    };
    let number = |text: String| match text.strip_prefix('-') {
        Some(rest) => {
            Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(made(Value::Number(rest.to_owned(), false))) }))
        }
        None => made(Value::Number(text, false)),
    };
    if value.is_null() {
        return Ok(made(Value::Null));
    }
    Ok(match value {
        ScalarValue::Utf8(Some(s)) | ScalarValue::LargeUtf8(Some(s)) | ScalarValue::Utf8View(Some(s)) => text(s.clone()),
        ScalarValue::Boolean(Some(b)) => made(Value::Boolean(*b)),
        ScalarValue::Int8(Some(n)) => number(n.to_string()),
        ScalarValue::Int16(Some(n)) => number(n.to_string()),
        ScalarValue::Int32(Some(n)) => number(n.to_string()),
        ScalarValue::Int64(Some(n)) => number(n.to_string()),
        ScalarValue::UInt8(Some(n)) => number(n.to_string()),
        ScalarValue::UInt16(Some(n)) => number(n.to_string()),
        ScalarValue::UInt32(Some(n)) => number(n.to_string()),
        ScalarValue::UInt64(Some(n)) => number(n.to_string()),
        ScalarValue::Float32(Some(v)) if v.is_finite() => number(format!("{:e}", f64::from(*v))),
        ScalarValue::Float64(Some(v)) if v.is_finite() => number(format!("{v:e}")),
        ScalarValue::Float32(Some(v)) => text(float_text(f64::from(*v), family)),
        ScalarValue::Float64(Some(v)) => text(float_text(*v, family)),
        ScalarValue::Decimal128(Some(v), _, scale) => number(decimal_text(*v, *scale)),
        ScalarValue::Binary(Some(b)) | ScalarValue::LargeBinary(Some(b)) | ScalarValue::BinaryView(Some(b)) => match family {
            Family::MySql => made(Value::HexStringLiteral(hex::encode(b))),
            Family::Postgres => text(format!("\\x{}", hex::encode(b))),
        },
        ScalarValue::Date32(Some(d)) => text(date_text(i64::from(*d))),
        ScalarValue::Time64Microsecond(Some(v)) => text(time_text(*v, 6)),
        ScalarValue::TimestampMicrosecond(Some(v), None) => text(civil_text(*v, 6)),
        ScalarValue::TimestampMicrosecond(Some(v), Some(_)) if family == Family::Postgres => text(format!("{}+00", civil_text(*v, 6))),
        other => {
            return Err(Error::unsupported(format!(
                "a value of type {} in what goes to the upstream",
                SqlType::of_arrow(&other.data_type())
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(dialect: Dialect, text: &str, params: &[ScalarValue]) -> (String, String) {
        let parsed = crate::sql::parse(&dialect, text).unwrap().remove(0);
        let Statement::Insert(insert) = parsed.statement else { panic!("{text}") };
        let made = insert_text(&dialect, &insert, params).unwrap();
        (made.head, made.tail)
    }

    #[test]
    fn an_insert_is_taken_apart_round_its_rows() {
        let my = |text: &str, params: &[ScalarValue]| split(Dialect::MYSQL, text, params);
        let pg = |text: &str, params: &[ScalarValue]| split(Dialect::POSTGRES, text, params);
        let string = |s: &str| ScalarValue::Utf8(Some(s.to_owned()));
        assert_eq!(
            my("INSERT IGNORE INTO `h x` (a, b) SELECT a, b FROM cold1 WHERE id > 3 ORDER BY 1 LIMIT 5", &[]),
            ("INSERT IGNORE INTO `h x` (a, b) VALUES ".into(), "".into())
        );
        assert_eq!(
            my("REPLACE INTO h SELECT * FROM cold1 AS OF TIMESTAMP '2022-01-01'", &[]),
            ("REPLACE INTO h VALUES ".into(), "".into())
        );
        let (head, tail) =
            my("INSERT INTO h SELECT ? FROM cold1 ON DUPLICATE KEY UPDATE a = ?, b = 'x\\'y\\\\'", &[string("in"), string("o'u\\t")]);
        assert_eq!((head.as_str(), tail.as_str()), ("INSERT INTO h VALUES ", " ON DUPLICATE KEY UPDATE a = 'o''u\\\\t', b = 'x''y\\\\'"));
        let (_, tail) =
            pg("INSERT INTO h SELECT $1 FROM cold1 ON CONFLICT (id) DO UPDATE SET a = $2, b = 'c\\d'", &[string("in"), string("o'u\\t")]);
        assert_eq!(tail, " ON CONFLICT(id) DO UPDATE SET a = E'o\\'u\\\\t', b = E'c\\\\d'");
        assert_eq!(pg("INSERT INTO s.h SELECT 1 FROM c ON CONFLICT DO NOTHING", &[]).1, " ON CONFLICT DO NOTHING");
    }
}
