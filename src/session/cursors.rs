//! PostgreSQL's DECLARE, FETCH, MOVE and CLOSE: forward-only cursors over running queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::execute::Call;
use super::state::Session;
use super::{Outcome, Reply, Rows};
use crate::error::{Error, Kind, Result};
use crate::sql::{FetchCount, Query};
use crate::types::{ColumnInfo, fold};

/// The open cursors of a session.
#[derive(Default)]
pub(super) struct Cursors(BTreeMap<String, Cursor>);

struct Cursor {
    /// Behind a lock that is never contended: a stream may move between threads but not be shared.
    batches: parking_lot::Mutex<BoxStream<'static, Result<RecordBatch>>>,
    columns: Arc<[ColumnInfo]>,
    /// Rows that were read from the stream but not fetched yet.
    rest: Option<RecordBatch>,
    hold: bool,
}

impl Cursors {
    /// Is there one of this name?
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(&fold(name))
    }
}

impl Session {
    pub(super) async fn declare_cursor(&mut self, name: &str, hold: bool, query: &Query, call: &Call) -> Result<Reply> {
        // In front of an upstream the client's transaction is the upstream's.
        let in_block = self.behind.is_some_and(|status| status.in_transaction) || self.transaction.as_ref().is_some_and(|t| !t.implicit);
        if !hold && !in_block {
            return Err(Error::new(Kind::NoTransaction, "DECLARE CURSOR can only be used in transaction blocks")
                .with_hint("BEGIN first, or declare it WITH HOLD"));
        }
        let key = fold(name);
        if self.cursors.0.contains_key(&key) {
            return Err(Error::new(Kind::DuplicateStatement, format!("cursor \"{name}\" already exists")));
        }
        let running = self.start_query(query, call).await?;
        let (batches, columns) = (parking_lot::Mutex::new(running.batches), running.columns);
        self.cursors.0.insert(key, Cursor { batches, columns, rest: None, hold });
        Ok(Reply::Done(Outcome::tag("DECLARE CURSOR")))
    }

    pub(super) async fn fetch(&mut self, name: &str, count: FetchCount, is_move: bool, call: &Call) -> Result<Reply> {
        let cursor = self.cursors.0.get_mut(&fold(name)).ok_or_else(|| unknown(name))?;
        let mut wanted = match count {
            FetchCount::Forward(n) => usize::try_from(n).unwrap_or(usize::MAX),
            FetchCount::All => usize::MAX,
            FetchCount::Other => {
                return Err(Error::new(Kind::Refused, "cursor can only scan forward").with_hint("FETCH FORWARD n, FETCH NEXT, FETCH ALL"));
            }
        };
        let mut taken = Vec::new();
        while wanted > 0 {
            let batch = match cursor.rest.take() {
                Some(batch) => batch,
                None => match call.guard.run(cursor.batches.get_mut().try_next()).await? {
                    Some(batch) => batch,
                    None => break,
                },
            };
            let take = batch.num_rows().min(wanted);
            wanted -= take;
            if take < batch.num_rows() {
                cursor.rest = Some(batch.slice(take, batch.num_rows() - take));
            }
            taken.push(batch.slice(0, take));
        }
        if is_move {
            let moved: usize = taken.iter().map(RecordBatch::num_rows).sum();
            return Ok(Reply::Done(Outcome::tag(format!("MOVE {moved}"))));
        }
        let columns = Arc::clone(&cursor.columns);
        let batches = futures::stream::iter(taken.into_iter().map(Ok)).boxed();
        Ok(Reply::Rows(Rows { columns, batches, verb: "FETCH" }))
    }

    pub(super) fn close_cursor(&mut self, name: Option<&str>) -> Result<Reply> {
        match name {
            None => self.cursors.0.clear(),
            Some(name) => drop(self.cursors.0.remove(&fold(name)).ok_or_else(|| unknown(name))?),
        }
        Ok(Reply::Done(Outcome::tag("CLOSE CURSOR")))
    }

    /// The columns of a cursor, for Describe.
    pub fn cursor_columns(&self, name: &str) -> Option<Vec<ColumnInfo>> {
        self.cursors.0.get(&fold(name)).map(|c| c.columns.to_vec())
    }

    /// The names of the open cursors.
    pub fn cursor_names(&self) -> impl Iterator<Item = &str> {
        self.cursors.0.keys().map(String::as_str)
    }

    /// Those that do not end with their transaction.
    pub fn held_cursor_names(&self) -> impl Iterator<Item = &str> {
        self.cursors.0.iter().filter(|(_, cursor)| cursor.hold).map(|(name, _)| name.as_str())
    }

    /// Cursors end with their transaction, unless they are held.
    pub(super) fn end_cursors(&mut self) {
        self.cursors.0.retain(|_, c| c.hold);
    }
}

fn unknown(name: &str) -> Error {
    Error::new(Kind::UnknownPortal, format!("cursor \"{name}\" does not exist"))
}
