//! PostgreSQL's DECLARE, FETCH, MOVE and CLOSE.

use datafusion::arrow::array::RecordBatch;
use futures::StreamExt;

use crate::error::{Error, Kind, Result};
use crate::session::call::Call;
use crate::session::state::Session;
use crate::session::{Outcome, Reply, Rows};
use crate::sql::{FetchCount, Query};
use crate::types::ColumnInfo;

impl Session {
    pub(in crate::session) async fn declare_cursor(&mut self, name: &str, hold: bool, query: &Query, call: &Call) -> Result<Reply> {
        // In front of an upstream the client's transaction is the upstream's.
        let in_transaction = self.upstream.in_transaction() || self.transactions.in_block();
        if !hold && !in_transaction {
            return Err(Error::new(Kind::NoTransaction, "DECLARE CURSOR can only be used in transaction blocks")
                .with_hint("BEGIN first, or declare it WITH HOLD"));
        }
        self.cursors.check_free(name)?;
        let running = self.start_query(query, call).await?;
        self.cursors.declare(name, hold, in_transaction, running);
        Ok(Reply::Done(Outcome::tag("DECLARE CURSOR")))
    }

    pub(in crate::session) async fn fetch(&mut self, name: &str, count: FetchCount, is_move: bool, call: &Call) -> Result<Reply> {
        let (columns, fetched) = self.cursors.fetch(name, count, &call.guard).await?;
        if is_move {
            let moved: usize = fetched.iter().map(RecordBatch::num_rows).sum();
            return Ok(Reply::Done(Outcome::tag(format!("MOVE {moved}"))));
        }
        let batches = futures::stream::iter(fetched.into_iter().map(Ok)).boxed();
        Ok(Reply::Rows(Rows { columns, batches, verb: "FETCH" }))
    }

    pub(in crate::session) fn close_cursor(&mut self, name: Option<&str>) -> Result<Reply> {
        self.cursors.close(name)?;
        Ok(Reply::Done(Outcome::tag(if name.is_some() { "CLOSE CURSOR" } else { "CLOSE CURSOR ALL" })))
    }

    /// The columns of a cursor, for Describe.
    pub fn cursor_columns(&self, name: &str) -> Option<Vec<ColumnInfo>> {
        self.cursors.columns(name)
    }

    /// The names of the open cursors.
    pub fn cursor_names(&self) -> impl Iterator<Item = &str> {
        self.cursors.names()
    }

    /// The names of the open cursors that do not end with their transaction.
    pub fn held_cursor_names(&self) -> impl Iterator<Item = &str> {
        self.cursors.held_names()
    }

    /// Is there a cursor of this name?
    pub fn has_cursor(&self, name: &str) -> bool {
        self.cursors.has(name)
    }

    /// Forgets cursors that have ended at the upstream, where each has one of its name.
    pub fn keep_cursors(&mut self, keep: impl Fn(&str) -> bool) {
        self.cursors.retain(keep);
    }
}
