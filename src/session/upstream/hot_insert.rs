//! INSERT and CREATE TABLE .. AS into a hot table of rows that come from cold tables.
//!
//! The query runs here; its rows go to the upstream over the client's own connection, in the client's own transaction.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use futures::TryStreamExt;

use super::insert_text::insert_text;
use crate::engine::Running;
use crate::error::{Error, Kind, Result};
use crate::session::call::{Call, Described};
use crate::session::diagnostics::{NOTE, Notice, WARNING};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{CreateTable, Dialect, Insert, Query, printer};
use crate::types::{ColumnInfo, Family, SqlType, fold};
use crate::upstream::{Done, InsertText, MYSQL_COMMIT, UpstreamHandle};

/// Warnings of one statement that are kept.
const MOST_WARNINGS: usize = 64;

impl Session {
    /// INSERT into a hot table: the query's rows in batches, kept or undone as a whole.
    pub(in crate::session) async fn insert_hot(&mut self, insert: &Insert, call: &Call) -> Result<Reply> {
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
        let (done, rows) = self.all_or_nothing(&upstream, self.send(&upstream, &text, running, call)).await?;
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

    /// Does `work` at the upstream; after an error nothing of it stays.
    async fn all_or_nothing(&mut self, upstream: &UpstreamHandle, work: impl Future<Output = Result<Sent>>) -> Result<(Done, u64)> {
        upstream.begin().await?;
        let outcome = work.await;
        let ended = upstream.end(outcome.is_ok()).await;
        if let Ok(done) = &ended {
            self.upstream.set_in_transaction(done.in_transaction);
        }
        // The first error is the one to report.
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

    pub(in crate::session) async fn describe_insert_hot(
        &mut self,
        insert: &Insert,
        known: &[Option<SqlType>],
        call: &Call,
    ) -> Result<Described> {
        let Some(source) = &insert.insert.source else { return Ok((Vec::new(), None)) };
        let query = Query { query: source.clone(), as_of: insert.as_of.clone() };
        Box::pin(self.describe_query(&query, known, call)).await.map(|(types, _)| (types, None))
    }

    /// CREATE TABLE .. AS SELECT of a hot table: it is made with the query's columns, then filled.
    pub(in crate::session) async fn create_hot(&mut self, create: &CreateTable, call: &Call) -> Result<Reply> {
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
            let outcome = self.all_or_nothing(&upstream, self.send(&upstream, &text, running, call)).await;
            if outcome.is_err() {
                // The error of the rows is the one to report.
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
    let given = upstream.warnings().await?;
    let notice = |(code, note, message)| Notice { code, sqlstate: if note { NOTE } else { WARNING }, message };
    Ok(given.into_iter().map(notice).collect())
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
