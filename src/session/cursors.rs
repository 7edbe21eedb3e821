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
use crate::types::ColumnInfo;

/// The open cursors of a session, by their exact names.
#[derive(Default)]
pub(super) struct Cursors {
    open: BTreeMap<String, Cursor>,
    /// How many have been declared.
    declared: u64,
}

struct Cursor {
    /// Behind a lock that is never contended: a stream may move between threads but not be shared.
    batches: parking_lot::Mutex<BoxStream<'static, Result<RecordBatch>>>,
    columns: Arc<[ColumnInfo]>,
    /// Rows that were read from the stream but not fetched yet.
    rest: Option<RecordBatch>,
    hold: bool,
    /// Its place in the order in which cursors were declared.
    number: u64,
    /// The transaction that declared it has been committed.
    committed: bool,
    /// A FETCH has failed.
    broken: bool,
}

impl Cursors {
    /// Is there one of this name?
    pub(super) fn has(&self, name: &str) -> bool {
        self.open.contains_key(name)
    }

    /// A savepoint is set: what [`Cursors::rollback_to`] takes.
    pub(super) fn mark(&self) -> u64 {
        self.declared
    }

    /// Those that were declared behind a savepoint end. What else has happened to cursors since is not undone.
    pub(super) fn rollback_to(&mut self, mark: u64) {
        self.open.retain(|_, cursor| cursor.number <= mark);
    }
}

impl Session {
    pub(super) async fn declare_cursor(&mut self, name: &str, hold: bool, query: &Query, call: &Call) -> Result<Reply> {
        // In front of an upstream the client's transaction is the upstream's. Several statements of one text are one too.
        let in_block = self.behind.is_some_and(|status| status.in_transaction)
            || self.implicit
            || self.transaction.as_ref().is_some_and(|t| !t.implicit);
        if !hold && !in_block {
            return Err(Error::new(Kind::NoTransaction, "DECLARE CURSOR can only be used in transaction blocks")
                .with_hint("BEGIN first, or declare it WITH HOLD"));
        }
        if self.cursors.has(name) {
            return Err(Error::new(Kind::DuplicateCursor, format!("cursor \"{name}\" already exists")));
        }
        let running = self.start_query(query, call).await?;
        let (batches, columns) = (parking_lot::Mutex::new(running.batches), running.columns);
        self.cursors.declared += 1;
        let number = self.cursors.declared;
        let cursor = Cursor { batches, columns, rest: None, hold, number, committed: !in_block, broken: false };
        self.cursors.open.insert(name.to_owned(), cursor);
        Ok(Reply::Done(Outcome::tag("DECLARE CURSOR")))
    }

    pub(super) async fn fetch(&mut self, name: &str, count: FetchCount, is_move: bool, call: &Call) -> Result<Reply> {
        let cursor = self.cursors.open.get_mut(name).ok_or_else(|| unknown(name))?;
        if cursor.broken {
            return Err(Error::new(Kind::Refused, format!("portal \"{name}\" cannot be run")));
        }
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
                None => {
                    // Set first: nobody may wait for the rows to the end.
                    cursor.broken = true;
                    let next = call.guard.run(cursor.batches.get_mut().try_next()).await?;
                    cursor.broken = false;
                    match next {
                        Some(batch) => batch,
                        None => break,
                    }
                }
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
            None => self.cursors.open.clear(),
            Some(name) => drop(self.cursors.open.remove(name).ok_or_else(|| unknown(name))?),
        }
        Ok(Reply::Done(Outcome::tag(if name.is_some() { "CLOSE CURSOR" } else { "CLOSE CURSOR ALL" })))
    }

    /// The columns of a cursor, for Describe.
    pub fn cursor_columns(&self, name: &str) -> Option<Vec<ColumnInfo>> {
        self.cursors.open.get(name).map(|c| c.columns.to_vec())
    }

    /// The names of the open cursors.
    pub fn cursor_names(&self) -> impl Iterator<Item = &str> {
        self.cursors.open.keys().map(String::as_str)
    }

    /// Those that do not end with their transaction.
    pub fn held_cursor_names(&self) -> impl Iterator<Item = &str> {
        self.cursors.open.iter().filter(|(_, cursor)| cursor.hold).map(|(name, _)| name.as_str())
    }

    /// Is there a cursor of this name?
    pub fn has_cursor(&self, name: &str) -> bool {
        self.cursors.has(name)
    }

    /// Forgets cursors that have ended at the upstream, where each has one of its name.
    pub fn keep_cursors(&mut self, keep: impl Fn(&str) -> bool) {
        self.cursors.open.retain(|name, _| keep(name));
    }

    /// Cursors end with their transaction, unless they are held; held ones that a transaction has declared end with its
    /// rollback. In front of an upstream that is the upstream's to say.
    pub(super) fn end_cursors(&mut self, rolled_back: bool) {
        let rolled_back = rolled_back && self.behind.is_none();
        self.cursors.open.retain(|_, cursor| cursor.hold && (cursor.committed || !rolled_back));
        self.cursors.open.values_mut().for_each(|cursor| cursor.committed = true);
    }
}

fn unknown(name: &str) -> Error {
    Error::new(Kind::UnknownPortal, format!("cursor \"{name}\" does not exist"))
}
