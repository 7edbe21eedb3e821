//! The open transaction of a session over cold tables.
//!
//! Owns whether one is open, what began it and how it ends. Cursors and settings that end with a transaction are the
//! session's to end (see `end_scopes`).

mod read_time;
mod statements;
mod writes;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::cold::{Cold, Delta, Transaction};
use crate::error::{Error, Kind, Result};
use crate::gms::TaskId;
use crate::node::Tasks;
use crate::time::Tso;

/// Bulk loads that have ended within the open transaction.
pub(super) type Loaded = Arc<Mutex<Vec<Delta>>>;

/// The open transaction.
pub(super) struct Open {
    pub transaction: Transaction,
    /// Opened by the server around statements, not by the client.
    pub implicit: bool,
    pub read_only: bool,
    /// `AS OF`: it reads the past.
    pub as_of: bool,
    /// PostgreSQL: an error happened, only ROLLBACK and COMMIT are allowed.
    pub failed: bool,
}

impl Open {
    pub fn new(cold: Cold, at: Tso) -> Open {
        Open { transaction: Transaction::begin(cold, at), implicit: false, read_only: false, as_of: false, failed: false }
    }
}

/// The transactions of a session.
#[derive(Default)]
pub(super) struct Transactions {
    open: Option<Open>,
    /// PostgreSQL: statements until Sync (or of one simple query) are one transaction.
    pub implicit: bool,
    /// Modes that `SET TRANSACTION` asked of the next transaction.
    pub next_read_only: Option<bool>,
    loaded: Loaded,
}

impl Transactions {
    /// The open transaction, whoever began it.
    pub fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    pub fn open_mut(&mut self) -> Option<&mut Open> {
        self.open.as_mut()
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The open transaction, if the client has begun it.
    pub fn client_transaction(&self) -> Option<&Open> {
        self.open.as_ref().filter(|open| !open.implicit)
    }

    /// Is a transaction open that the client has begun?
    pub fn begun_by_client(&self) -> bool {
        self.client_transaction().is_some()
    }

    /// Do several statements belong to one transaction: the client's, or the implicit one of a script or pipeline?
    pub fn in_block(&self) -> bool {
        self.implicit || self.begun_by_client()
    }

    /// Is no transaction open or about to be opened around statements?
    pub fn is_idle(&self) -> bool {
        !self.is_open() && !self.implicit
    }

    /// Has the open transaction changed rows?
    pub fn is_dirty(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.transaction.is_dirty())
    }

    /// The same, with loads that it has not absorbed yet.
    pub fn has_changes(&self) -> bool {
        self.is_dirty() || !self.loaded.lock().is_empty()
    }

    /// Replaces the open transaction.
    pub fn set_open(&mut self, open: Open) {
        self.open = Some(open);
    }

    /// PostgreSQL: an error fails the open transaction.
    pub fn fail(&mut self) {
        if let Some(open) = &mut self.open {
            open.failed = true;
        }
    }

    /// A failed PostgreSQL transaction takes nothing but its end.
    pub fn check_not_failed(&self) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.failed) {
            return Err(Error::new(
                Kind::FailedTransaction,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// The id under which the open transaction writes files.
    pub async fn task(&mut self) -> Result<TaskId> {
        self.writing()?.transaction.task().await
    }

    fn writing(&mut self) -> Result<&mut Open> {
        self.open.as_mut().ok_or_else(|| Error::internal("a write without a transaction"))
    }

    /// Makes changes part of the open transaction.
    pub async fn apply(&mut self, deltas: Vec<Delta>) -> Result<()> {
        let open = self.writing()?;
        for delta in deltas {
            open.transaction.apply(delta).await?;
        }
        Ok(())
    }

    /// Where a load within the open transaction leaves its changes at its end.
    pub fn loaded(&self) -> Loaded {
        Arc::clone(&self.loaded)
    }

    /// Makes loads that have ended part of the open transaction.
    pub async fn absorb_loads(&mut self) -> Result<()> {
        let deltas = std::mem::take(&mut *self.loaded.lock());
        if deltas.is_empty() { Ok(()) } else { self.apply(deltas).await }
    }

    /// Takes the open transaction from the session: a load ends it.
    pub fn hand_over(&mut self) -> Option<Transaction> {
        self.open.take().map(|open| open.transaction)
    }

    /// Commits the open transaction, if any; a failed one is rolled back. True: it was rolled back. The commit runs to its end
    /// even when the client goes away.
    pub async fn commit(&mut self, tasks: &Tasks) -> (bool, Result<Option<Tso>>) {
        let Some(open) = self.open.take() else { return (false, Ok(None)) };
        if open.failed {
            open.transaction.rollback().await;
            return (true, Ok(None));
        }
        let outcome = tasks.spawn("commit", open.transaction.commit(None)).join().await.and_then(|outcome| outcome);
        (outcome.is_err(), outcome)
    }

    /// Rolls the open transaction back, if any.
    pub async fn rollback(&mut self) {
        self.loaded.lock().clear();
        if let Some(open) = self.open.take() {
            open.transaction.rollback().await;
        }
    }

    /// The session starts anew, after the open transaction was rolled back.
    pub fn reset(&mut self) {
        self.implicit = false;
        self.next_read_only = None;
    }
}
