//! COPY and LOAD DATA: the wire decodes the client's bytes into rows, a sink writes them, all of it one commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use jiff::tz::TimeZone;

use crate::cold::{Cold, Delta, FileSink, Transaction};
use crate::error::{Error, Kind, Result};
use crate::gms::Table;
use crate::node::Node;
use crate::session::call::Call;
use crate::session::reply::{CopyFormat, CopyIn, CopyLayout, CopyOut, CopySink, LoadData, PostgresCopy};
use crate::session::state::Session;
use crate::session::statement_guard::StatementGuard;
use crate::session::transactions::Loaded;
use crate::session::{Outcome, Reply, Rows};
use crate::sql;
use crate::types::{ColumnInfo, Family};

impl Session {
    pub(in crate::session) async fn copy(&mut self, copy: &sql::Copy, call: &Call) -> Result<Reply> {
        if copy.target != sql::CopyTarget::Client {
            return Err(Error::new(Kind::Denied, "COPY reads and writes no files of the server")
                .with_hint("use COPY .. FROM STDIN / TO STDOUT, or psql's \\copy"));
        }
        let options = &copy.options;
        let format = CopyFormat::Postgres(PostgresCopy {
            layout: match options.layout {
                sql::CopyLayout::Text => CopyLayout::Text,
                sql::CopyLayout::Csv => CopyLayout::Csv,
                sql::CopyLayout::Binary => CopyLayout::Binary,
            },
            delimiter: options.delimiter,
            null: options.null.clone(),
            header: options.header,
            header_match: options.header_match,
            quote: options.quote,
            escape: options.escape,
        });
        match (&copy.source, copy.from) {
            (sql::CopySource::Table { name, columns }, true) => {
                let table = self.table(name)?;
                self.copy_in(&table, columns, format, None, call, "COPY").await
            }
            (sql::CopySource::Query(_), true) => Err(Error::new(Kind::Syntax, "COPY .. FROM takes a table")),
            (sql::CopySource::Query(query), false) => self.copy_out(query, format, call).await,
            (sql::CopySource::Table { name, columns }, false) => {
                let query = table_query(name, columns, &self.dialect())?;
                self.copy_out(&query, format, call).await
            }
        }
    }

    async fn copy_out(&mut self, query: &sql::Query, format: CopyFormat, call: &Call) -> Result<Reply> {
        let running = self.start_query(query, call).await?;
        let batches = call.guard.clone().stream(running.batches);
        Ok(Reply::CopyOut(CopyOut { format, rows: Rows { columns: running.columns, batches, verb: "COPY" } }))
    }

    pub(in crate::session) async fn load_data(&mut self, load: &sql::Load, call: &Call) -> Result<Reply> {
        if !load.local {
            return Err(Error::new(Kind::Denied, "LOAD DATA reads no files of the server").with_hint("use LOAD DATA LOCAL INFILE"));
        }
        if load.duplicates == Some(sql::Duplicates::Replace) {
            self.diagnostics.warn(1105, "keys of cold tables are documentation: REPLACE loads like a plain LOAD DATA");
        }
        let table = self.table(&load.table)?;
        let options = &load.options;
        let format = CopyFormat::MySql(LoadData {
            field_terminator: options.field_terminator.clone(),
            enclosed_by: options.enclosed_by,
            escaped_by: options.escaped_by,
            line_prefix: options.line_prefix.clone(),
            line_terminator: options.line_terminator.clone(),
            skip_lines: options.skip_lines,
        });
        self.copy_in(&table, &load.columns, format, Some(load.file.clone()), call, "LOAD").await
    }

    async fn copy_in(
        &mut self,
        table: &Arc<Table>,
        names: &[String],
        format: CopyFormat,
        local_file: Option<String>,
        call: &Call,
        verb: &'static str,
    ) -> Result<Reply> {
        let columns = self.named_columns(table, names)?;
        let infos: Vec<ColumnInfo> = columns
            .iter()
            .map(|i| {
                let column = &table.columns()[*i];
                ColumnInfo { nullable: column.nullable, ..ColumnInfo::new(&column.name, column.ty.clone()) }
            })
            .collect();
        let own = self.begin_write().await?;
        let task = self.transactions.task().await?;
        // The load ends when the client's data ends, after this call: one of its own takes its transaction along, one
        // within a longer transaction leaves its files where the session's next step finds them.
        let target = match own.then(|| self.transactions.hand_over()).flatten() {
            Some(transaction) => Target::Own(transaction),
            None => Target::Open(self.transactions.loaded()),
        };
        let cold = self.node.engine.cold.clone();
        let sink = FileSink::new(cold.clone(), Arc::clone(table), task)?;
        let load = Load {
            node: Arc::clone(&self.node),
            cold,
            table: Arc::clone(table),
            columns,
            family: self.family(),
            zone: self.settings.zone.clone(),
            sink: Some(sink),
            target: Some(target),
            guard: call.guard.clone(),
            verb,
        };
        Ok(Reply::CopyIn(CopyIn { columns: infos.into(), format, local_file, sink: Box::new(load) }))
    }
}

/// Where a finished load goes.
enum Target {
    /// A transaction of its own, committed at its end.
    Own(Transaction),
    /// The session's open transaction, which takes it up before its next step.
    Open(Loaded),
}

/// A bulk load that runs.
struct Load {
    node: Arc<Node>,
    cold: Cold,
    table: Arc<Table>,
    columns: Vec<usize>,
    family: Family,
    zone: TimeZone,
    sink: Option<FileSink>,
    target: Option<Target>,
    guard: StatementGuard,
    verb: &'static str,
}

impl Load {
    async fn take_rows(&mut self, rows: RecordBatch) -> Result<()> {
        let sink = self.sink.as_mut().ok_or_else(|| Error::internal("rows after the end of a load"))?;
        let given: BTreeMap<_, _> = self.columns.iter().copied().zip(rows.columns().iter().cloned()).collect();
        let batch = crate::types::rows::whole_rows(self.table.columns(), &given, rows.num_rows(), sink.rows(), self.family, &self.zone)?;
        sink.write(&batch).await
    }

    async fn end(&mut self) -> Result<u64> {
        let sink = self.sink.take().ok_or_else(|| Error::internal("a load ended twice"))?;
        let rows = sink.rows();
        let mut delta = Delta::new(Arc::clone(&self.table));
        delta.files = sink.finish().await?;
        let mut transaction = match self.target.take() {
            Some(Target::Own(transaction)) => transaction,
            Some(Target::Open(loaded)) => {
                loaded.lock().push(delta);
                return Ok(rows);
            }
            None => return Err(Error::internal("a load ended twice")),
        };
        if rows > 0 {
            transaction.apply(delta).await?;
        }
        self.node.tasks.spawn("commit", transaction.commit(None)).join().await??;
        Ok(rows)
    }
}

#[async_trait]
impl CopySink for Load {
    async fn write(&mut self, rows: RecordBatch) -> Result<()> {
        let guard = self.guard.clone();
        guard.run(self.take_rows(rows)).await
    }

    async fn finish(mut self: Box<Self>) -> Result<Outcome> {
        let rows = self.end().await?;
        tracing::debug!(table = %self.table.name, rows, engine = %self.cold.place(&self.table.engine)?.engine, "a bulk load was committed");
        Ok(Outcome {
            affected: rows,
            info: format!("Records: {rows}  Deleted: 0  Skipped: 0  Warnings: 0"),
            ..Outcome::tag(if self.verb == "COPY" { format!("COPY {rows}") } else { format!("LOAD DATA {rows}") })
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(Target::Own(transaction)) = self.target.take() {
            self.node.tasks.spawn("rollback", transaction.rollback());
        }
    }
}

/// `SELECT columns FROM name`, for COPY of a table.
fn table_query(name: &sql::Name, columns: &[String], dialect: &sql::Dialect) -> Result<sql::Query> {
    let quote = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
    let list = if columns.is_empty() { "*".to_owned() } else { columns.iter().map(|c| quote(c)).collect::<Vec<_>>().join(", ") };
    let from: Vec<String> = name.parts.iter().map(|p| quote(p)).collect();
    let text = format!("SELECT {list} FROM {}", from.join("."));
    match sql::parse(dialect, &text)?.into_iter().next().map(|p| p.statement) {
        Some(sql::Statement::Query(query)) => Ok(query),
        _ => Err(Error::internal("the query of a COPY did not parse")),
    }
}
