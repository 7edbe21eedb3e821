//! The transaction that a write belongs to, and how it ends.

use super::Open;
use crate::cold::Delta;
use crate::error::{Error, Kind, Result};
use crate::session::state::Session;
use crate::time::Tso;
use crate::types::Family;

impl Session {
    /// Refuses a write where only reading is allowed.
    pub(in crate::session) fn check_writable(&self) -> Result<()> {
        let read_only = match self.transactions.client_transaction() {
            Some(open) => open.read_only,
            None => self.settings.default_read_only(),
        };
        if read_only {
            return Err(match self.family() {
                Family::MySql => Error::new(Kind::ReadOnlyTransaction, "Cannot execute statement in a READ ONLY transaction."),
                Family::Postgres => Error::new(Kind::ReadOnlyTransaction, "cannot execute this statement in a read-only transaction"),
            });
        }
        if self.settings.read_time.is_some() {
            return Err(Error::new(
                Kind::ReadOnlyTransaction,
                "this session reads the past (flashback_read_time is set), so it cannot write",
            )
            .with_hint("SET flashback_read_time = DEFAULT first"));
        }
        Ok(())
    }

    /// Makes sure that a transaction is open for a write. True: it is the statement's own, and ends with it.
    pub(in crate::session) async fn begin_write(&mut self) -> Result<bool> {
        self.check_writable()?;
        if self.transactions.is_open() {
            return Ok(false);
        }
        let at = self.node.gms.read_now().await?;
        let implicit = self.transactions.implicit;
        let own = self.settings.autocommit() && !implicit;
        self.transactions.set_open(Open { implicit: own || implicit, ..Open::new(self.node.engine.cold.clone(), at) });
        Ok(own)
    }

    /// Ends a write: its changes join the transaction, which is committed when it was the statement's own.
    pub(in crate::session) async fn end_write(&mut self, own: bool, outcome: Result<Vec<Delta>>) -> Result<()> {
        let applied = match outcome {
            Ok(deltas) => self.transactions.apply(deltas).await,
            Err(error) => Err(error),
        };
        match applied {
            Ok(()) if own => self.commit_open().await.map(drop),
            Ok(()) => Ok(()),
            Err(error) => {
                if own {
                    self.roll_back_open().await;
                }
                Err(error)
            }
        }
    }

    /// Commits the open transaction, if any, and ends what ends with it.
    pub(in crate::session) async fn commit_open(&mut self) -> Result<Option<Tso>> {
        self.transactions.absorb_loads().await?;
        let (rolled_back, outcome) = self.transactions.commit(&self.node.tasks).await;
        self.end_scopes(rolled_back);
        outcome
    }

    /// Rolls the open transaction back, if any, and ends what ends with it.
    pub(in crate::session) async fn roll_back_open(&mut self) {
        self.end_cursors(true);
        self.transactions.rollback().await;
        self.settings.end_transaction(true);
    }

    /// A transaction has ended: its cursors and SET LOCAL end with it.
    pub(in crate::session) fn end_scopes(&mut self, rolled_back: bool) {
        self.end_cursors(rolled_back);
        self.settings.end_transaction(rolled_back);
    }

    /// Cursors that a transaction has declared end with its rollback; in front of an upstream the upstream decides that.
    pub(in crate::session) fn end_cursors(&mut self, rolled_back: bool) {
        self.cursors.end_transaction(rolled_back && !self.has_upstream());
    }

    /// Statements that cannot be part of a transaction end it first, as in MySQL; in PostgreSQL they are refused.
    pub(in crate::session) async fn end_before_ddl(&mut self, what: &str) -> Result<()> {
        self.check_writable()?;
        match (self.transactions.open(), self.family()) {
            (Some(open), Family::Postgres) if !open.implicit && open.transaction.is_dirty() => Err(Error::new(
                Kind::Refused,
                format!("{what} takes effect at once and cannot be part of a transaction that has changed rows"),
            )
            .with_hint("COMMIT or ROLLBACK first")),
            // Nothing was written: the transaction goes on, at a new snapshot that sees the change.
            (Some(open), Family::Postgres) => {
                if open.transaction.is_dirty() {
                    self.commit_open().await?;
                }
                Ok(())
            }
            _ => self.commit_open().await.map(drop),
        }
    }
}
