//! PostgreSQL's forward-only cursors over running queries.

mod statements;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::statement_guard::StatementGuard;
use crate::engine::Running;
use crate::error::{Error, Kind, Result};
use crate::sql::FetchCount;
use crate::types::ColumnInfo;

/// The open cursors of a session, by their exact names.
#[derive(Default)]
pub(super) struct Cursors {
    open: BTreeMap<String, Cursor>,
    /// How many have been declared.
    declared: u64,
    /// The savepoints of the open transaction: `declared` at the time when each was set.
    savepoints: Vec<(String, u64)>,
}

struct Cursor {
    /// Inside a lock that is never contended: a stream may move between threads but not be shared.
    batches: parking_lot::Mutex<BoxStream<'static, Result<RecordBatch>>>,
    columns: Arc<[ColumnInfo]>,
    /// Rows that were read from the stream but not fetched yet.
    rest: Option<RecordBatch>,
    hold: bool,
    /// `Cursors::declared` after its declaration.
    number: u64,
    /// The transaction that declared it has been committed.
    committed: bool,
    /// A FETCH has failed.
    broken: bool,
}

impl Cursors {
    /// Is there one of this name?
    pub fn has(&self, name: &str) -> bool {
        self.open.contains_key(name)
    }

    pub fn columns(&self, name: &str) -> Option<Vec<ColumnInfo>> {
        self.open.get(name).map(|cursor| cursor.columns.to_vec())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.open.keys().map(String::as_str)
    }

    /// The names of those that are declared WITH HOLD: they do not end with their transaction.
    pub fn held_names(&self) -> impl Iterator<Item = &str> {
        self.open.iter().filter(|(_, cursor)| cursor.hold).map(|(name, _)| name.as_str())
    }

    /// Refuses a name that is taken.
    pub fn check_free(&self, name: &str) -> Result<()> {
        match self.has(name) {
            true => Err(Error::new(Kind::DuplicateCursor, format!("cursor \"{name}\" already exists"))),
            false => Ok(()),
        }
    }

    /// Adds a cursor over a running query.
    pub fn declare(&mut self, name: &str, hold: bool, in_transaction: bool, running: Running) {
        let Running { columns, batches } = running;
        self.declared += 1;
        let cursor = Cursor {
            batches: parking_lot::Mutex::new(batches),
            columns,
            rest: None,
            hold,
            number: self.declared,
            committed: !in_transaction,
            broken: false,
        };
        self.open.insert(name.to_owned(), cursor);
    }

    /// The next rows of a cursor.
    pub async fn fetch(&mut self, name: &str, count: FetchCount, guard: &StatementGuard) -> Result<(Arc<[ColumnInfo]>, Vec<RecordBatch>)> {
        let cursor = self.open.get_mut(name).ok_or_else(|| unknown(name))?;
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
        let mut fetched = Vec::new();
        while wanted > 0 {
            let batch = match cursor.rest.take() {
                Some(batch) => batch,
                None => {
                    // Set first: nobody may wait for the rows to the end.
                    cursor.broken = true;
                    let next = guard.run(cursor.batches.get_mut().try_next()).await?;
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
            fetched.push(batch.slice(0, take));
        }
        Ok((Arc::clone(&cursor.columns), fetched))
    }

    /// CLOSE; None: CLOSE ALL.
    pub fn close(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            None => self.open.clear(),
            Some(name) => drop(self.open.remove(name).ok_or_else(|| unknown(name))?),
        }
        Ok(())
    }

    /// Closes those that `keep` answers false for.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.open.retain(|name, _| keep(name));
    }

    /// Cursors end with their transaction, unless they are held; held ones that the transaction has declared end with its
    /// rollback.
    pub fn end_transaction(&mut self, rolled_back: bool) {
        self.savepoints.clear();
        self.open.retain(|_, cursor| cursor.hold && (cursor.committed || !rolled_back));
        self.open.values_mut().for_each(|cursor| cursor.committed = true);
    }

    /// SAVEPOINT.
    pub fn savepoint(&mut self, name: &str) {
        self.savepoints.push((name.to_owned(), self.declared));
    }

    /// ROLLBACK TO: cursors that were declared after the savepoint end. What else has happened to cursors since is not undone.
    pub fn rollback_to(&mut self, name: &str) {
        let Some(at) = self.savepoints.iter().rposition(|(savepoint, _)| savepoint == name) else { return };
        self.savepoints.truncate(at + 1);
        let declared = self.savepoints[at].1;
        self.open.retain(|_, cursor| cursor.number <= declared);
    }

    /// RELEASE.
    pub fn release(&mut self, name: &str) {
        if let Some(at) = self.savepoints.iter().rposition(|(savepoint, _)| savepoint == name) {
            self.savepoints.truncate(at);
        }
    }
}

fn unknown(name: &str) -> Error {
    Error::new(Kind::UnknownPortal, format!("cursor \"{name}\" does not exist"))
}
