//! SELECT, and what else is answered by planning a query.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::scalar::ScalarValue;
use futures::{StreamExt, TryStreamExt};

use super::call::{Call, Described};
use super::changes::select_items;
use super::state::Session;
use super::virtual_tables::SessionTables;
use super::{Outcome, Reply, Rows};
use crate::engine::{Environment, HotAccess, ReadTime, Running};
use crate::error::{Error, Kind, Result};
use crate::sql::{Parsed, Query, Statement, ast};
use crate::types::SqlType;

impl Session {
    /// The environment of one statement that reads at `read`.
    pub(super) fn environment<'a>(
        &'a self,
        read: ReadTime,
        tables: Arc<SessionTables>,
        text: &Arc<str>,
        params: &'a [ScalarValue],
    ) -> Environment<'a> {
        let mode = self.settings.text("sql_mode").unwrap_or_default();
        Environment {
            dialect: self.dialect(),
            namespace: self.namespace(),
            zone: self.settings.zone.clone(),
            now: tables.now,
            read,
            transaction: self.transactions.open().map(|open| &open.transaction),
            params,
            tables,
            text: Arc::clone(text),
            pipes_as_concat: mode.to_ascii_uppercase().contains("PIPES_AS_CONCAT"),
            signed_subtraction: mode.to_ascii_uppercase().contains("NO_UNSIGNED_SUBTRACTION"),
            hot: self.upstream.handle.clone().map(|upstream| HotAccess { upstream, hidden: self.upstream.hidden_names.clone() }),
        }
    }

    /// Plans and starts a query.
    pub(super) async fn start_query(&mut self, query: &Query, call: &Call) -> Result<Running> {
        let read = self.read_time_of(query).await?;
        let (query, configured) = self.substitute_with(query, Some(&call.params))?;
        let tables = self.tables(&query, call).await?;
        let environment = self.environment(read, tables, &call.text, &call.params);
        let engine = self.node.engine.clone();
        let running = call.guard.run(async { engine.plan(&environment, &query).await?.run().await }).await?;
        self.configure(configured)?;
        Ok(running)
    }

    pub(super) async fn run_query(&mut self, query: &Query, call: &Call) -> Result<Reply> {
        let running = match self.take_planned_ahead(call) {
            Some(ready) => call.guard.run(ready.run()).await?,
            None => self.start_query(query, call).await?,
        };
        let found = self.diagnostics.count_found_rows();
        let counted = running.batches.inspect_ok(move |batch| {
            found.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        });
        let batches = call.guard.clone().stream(counted.boxed());
        Ok(Reply::Rows(Rows { columns: running.columns, batches, verb: "SELECT" }))
    }

    /// The values of a list of constant expressions, evaluated as a SELECT would.
    pub(super) async fn evaluate(&mut self, expressions: &[ast::Expr], call: &Call) -> Result<Vec<ScalarValue>> {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        let query = select_items(expressions.iter().map(|e| ast::SelectItem::UnnamedExpr(e.clone())).collect(), Vec::new());
        let running = self.start_query(&Query { query: Box::new(query), as_of: None }, call).await?;
        let batches: Vec<_> = call.guard.run(running.batches.try_collect()).await?;
        let batch = batches.iter().find(|b| b.num_rows() > 0).ok_or_else(|| Error::internal("an expression gave no row"))?;
        batch.columns().iter().map(|column| ScalarValue::try_from_array(column, 0).map_err(|e| Error::internal(e.to_string()))).collect()
    }

    /// `DO e`: evaluates, answers nothing.
    pub(super) async fn evaluate_all(&mut self, expressions: &[ast::Expr], call: &Call) -> Result<Reply> {
        self.evaluate(expressions, call).await?;
        Ok(Reply::Done(Outcome::tag("DO")))
    }

    pub(super) async fn kill(&mut self, query_only: bool, id: &ast::Expr, call: &Call) -> Result<Reply> {
        let values = self.evaluate(std::slice::from_ref(id), call).await?;
        let id = values
            .first()
            .and_then(|v| v.cast_to(&datafusion::arrow::datatypes::DataType::UInt32).ok())
            .and_then(|v| if let ScalarValue::UInt32(Some(id)) = v { Some(id) } else { None })
            .ok_or_else(|| Error::new(Kind::WrongValue, "KILL takes the id of a connection; SHOW PROCESSLIST lists them"))?;
        if self.has_upstream() {
            return Err(Error::unsupported("a prepared KILL of a statement over cold tables").with_hint("send the KILL as text"));
        }
        self.node.sessions.kill(&self.client.user, id, query_only)?;
        Ok(Reply::Done(Outcome::tag("KILL")))
    }

    /// What a statement takes and gives. Only queries are planned; of the rest the columns are known without.
    pub(super) async fn describe_statement(&mut self, parsed: &Parsed, call: &Call, known: &[Option<SqlType>]) -> Result<Described> {
        match &parsed.statement {
            Statement::Query(query) => self.describe_query(query, known, call).await,
            Statement::Insert(insert) => self.describe_insert(insert, known, call).await,
            Statement::Update(update) => self.describe_update(update, known, call).await,
            Statement::Delete(delete) => self.describe_delete(delete, known, call).await,
            Statement::Execute { name, .. } => match self.prepared_statement(name) {
                Some(inner) => Box::pin(self.describe_statement(&inner, call, &vec![None; inner.params]))
                    .await
                    .map(|(_, columns)| (Vec::new(), columns)),
                None => Ok((Vec::new(), None)),
            },
            Statement::ExecuteImmediate { .. } => Err(Error::unsupported("EXECUTE IMMEDIATE in a prepared statement")),
            other => Ok((Vec::new(), self.fixed_columns(other, call).await?)),
        }
    }

    pub(super) async fn describe_query(&mut self, query: &Query, known: &[Option<SqlType>], call: &Call) -> Result<Described> {
        let read = self.read_time().await?;
        let mut query = query.clone();
        // A time that is not known yet: the columns are those of now.
        super::time_clauses::drop_open_times(&mut query);
        let query = self.substitute(&query)?;
        let tables = self.tables(&query, call).await?;
        let environment = self.environment(read, tables, &call.text, &[]);
        let engine = self.node.engine.clone();
        let (types, columns) = call.guard.run(engine.describe(&environment, &query, known)).await?;
        Ok((types, Some(columns.to_vec())))
    }
}
