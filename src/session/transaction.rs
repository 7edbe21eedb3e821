//! BEGIN, COMMIT, ROLLBACK, savepoints, and the transaction that a statement runs in.

use super::execute::Call;
use super::state::Session;
use super::{Outcome, Reply};
use crate::cold::{Delta, Transaction};
use crate::engine::{ReadTime, TimeOrigin};
use crate::error::{Error, Kind, Result};
use crate::sql::{Begin, Scope, TransactionModes};
use crate::time::Tso;
use crate::types::Family;

/// The open transaction of a session.
pub(super) struct Open {
    pub(super) transaction: Transaction,
    /// Opened by the server around statements, not by the client.
    pub(super) implicit: bool,
    pub(super) read_only: bool,
    /// `AS OF`: it reads the past.
    pub(super) as_of: bool,
    /// PostgreSQL: an error happened, only its end is taken.
    pub(super) failed: bool,
}

impl Session {
    /// Where a statement without clauses reads, by the order of precedence: transaction, session, now.
    pub(super) async fn read_time(&mut self) -> Result<ReadTime> {
        self.read_time_opening(true).await
    }

    /// The same for a query; one that reads no table opens no transaction, so that a session without autocommit is
    /// idle until it really reads.
    pub(super) async fn read_time_of(&mut self, query: &crate::sql::Query) -> Result<ReadTime> {
        let opens = !super::metadata::named_tables(query).is_empty();
        self.read_time_opening(opens).await
    }

    async fn read_time_opening(&mut self, opens: bool) -> Result<ReadTime> {
        if let Some(open) = self.transaction.as_ref().filter(|t| t.as_of) {
            return Ok(ReadTime { at: open.transaction.read_time, origin: TimeOrigin::Transaction });
        }
        if let Some(at) = self.read_time {
            return Ok(ReadTime { at, origin: TimeOrigin::Session });
        }
        if let Some(open) = &self.transaction {
            let origin = if open.implicit { TimeOrigin::Now } else { TimeOrigin::Snapshot };
            return Ok(ReadTime { at: open.transaction.read_time, origin });
        }
        let at = self.moment(opens).await?;
        if opens && (self.implicit || !self.autocommit()) {
            let implicit = self.implicit;
            let read_only = self.default_read_only();
            self.open_transaction(at, implicit, read_only, false);
            let origin = if implicit { TimeOrigin::Now } else { TimeOrigin::Snapshot };
            return Ok(ReadTime { at, origin });
        }
        let origin = if self.held_time == Some(at) { TimeOrigin::Snapshot } else { TimeOrigin::Now };
        Ok(ReadTime { at, origin })
    }

    /// Now; or, in a transaction of the upstream's that reads at one time, the moment of its first read of a cold table.
    async fn moment(&mut self, reads: bool) -> Result<Tso> {
        let holds = reads && self.behind.is_some_and(|status| status.in_transaction) && self.is_repeatable();
        if let Some(at) = self.held_time.filter(|_| holds) {
            return Ok(at);
        }
        let at = self.node.gms.read_now().await?;
        if holds {
            self.held_time = Some(at);
        }
        Ok(at)
    }

    /// Is the isolation such that all statements of a transaction read at one time?
    fn is_repeatable(&self) -> bool {
        let level = self.variables.text("transaction_isolation").unwrap_or_default();
        ["repeatable", "serializable"].iter().any(|word| level.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word)))
    }

    fn open_transaction(&mut self, at: Tso, implicit: bool, read_only: bool, as_of: bool) {
        let transaction = Transaction::begin(self.node.engine.cold.clone(), at);
        self.transaction = Some(Open { transaction, implicit, read_only, as_of, failed: false });
    }

    /// Transactions, also those of one statement, are read only unless they say otherwise.
    fn default_read_only(&self) -> bool {
        self.variables.flag("transaction_read_only") || self.variables.flag("default_transaction_read_only")
    }

    /// Refuses a write where only reading is allowed.
    pub(super) fn check_writable(&self) -> Result<()> {
        let read_only = match &self.transaction {
            Some(open) if !open.implicit => open.read_only,
            _ => self.default_read_only(),
        };
        if read_only {
            return Err(match self.family() {
                Family::MySql => Error::new(Kind::ReadOnlyTransaction, "Cannot execute statement in a READ ONLY transaction."),
                Family::Postgres => Error::new(Kind::ReadOnlyTransaction, "cannot execute this statement in a read-only transaction"),
            });
        }
        if self.read_time.is_some() {
            return Err(Error::new(
                Kind::ReadOnlyTransaction,
                "this session reads the past (flashback_read_time is set), so it cannot write",
            )
            .with_hint("SET flashback_read_time = DEFAULT first"));
        }
        Ok(())
    }

    /// The transaction that a write belongs to: the open one, or one of its own.
    pub(super) async fn begin_write(&mut self) -> Result<bool> {
        self.check_writable()?;
        if self.transaction.is_some() {
            return Ok(false);
        }
        let at = self.node.gms.read_now().await?;
        let own = self.autocommit() && !self.implicit;
        self.open_transaction(at, own || self.implicit, false, false);
        Ok(own)
    }

    /// Ends a write: its changes join the transaction, which is committed when it was the statement's own.
    pub(super) async fn end_write(&mut self, own: bool, outcome: Result<Vec<Delta>>) -> Result<()> {
        let applied = match outcome {
            Ok(deltas) => self.apply(deltas).await,
            Err(error) => Err(error),
        };
        match applied {
            Ok(()) if own => self.commit_open().await.map(drop),
            Ok(()) => Ok(()),
            Err(error) => {
                if own {
                    self.forget_transaction().await;
                }
                Err(error)
            }
        }
    }

    async fn apply(&mut self, deltas: Vec<Delta>) -> Result<()> {
        let open = self.transaction.as_mut().ok_or_else(|| Error::internal("a write without a transaction"))?;
        for delta in deltas {
            open.transaction.apply(delta).await?;
        }
        Ok(())
    }

    /// Commits the open transaction, if any. The commit runs to its end even when the client goes away.
    pub(super) async fn commit_open(&mut self) -> Result<Option<Tso>> {
        self.absorb_loads().await?;
        let Some(open) = self.transaction.take() else {
            self.end_cursors(false);
            self.end_local(false);
            return Ok(None);
        };
        if open.failed {
            open.transaction.rollback().await;
            self.end_cursors(true);
            self.end_local(true);
            return Ok(None);
        }
        let ended = tokio::spawn(open.transaction.commit(None)).await;
        let outcome = ended.unwrap_or_else(|e| Err(Error::internal(format!("the commit did not end: {e}"))));
        self.end_cursors(outcome.is_err());
        self.end_local(outcome.is_err());
        outcome
    }

    /// Makes loads that have ended part of the open transaction.
    pub(super) async fn absorb_loads(&mut self) -> Result<()> {
        let deltas = std::mem::take(&mut *self.loaded.lock());
        if deltas.is_empty() { Ok(()) } else { self.apply(deltas).await }
    }

    /// Rolls the open transaction back, if any.
    pub(super) async fn forget_transaction(&mut self) {
        self.loaded.lock().clear();
        self.end_cursors(true);
        if let Some(open) = self.transaction.take() {
            open.transaction.rollback().await;
        }
        self.end_local(true);
    }

    /// Statements that cannot be part of a transaction end it first, as in MySQL; in PostgreSQL they are refused.
    pub(super) async fn end_before_ddl(&mut self, what: &str) -> Result<()> {
        self.check_writable()?;
        match (&self.transaction, self.family()) {
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

    /// After DDL inside an open PostgreSQL transaction: later statements see it.
    pub(super) async fn renew_snapshot(&mut self) -> Result<()> {
        if let Some(open) = &self.transaction
            && !open.transaction.is_dirty()
            && !open.as_of
        {
            let (implicit, read_only) = (open.implicit, open.read_only);
            let at = self.node.gms.read_now().await?;
            self.open_transaction(at, implicit, read_only, false);
        }
        Ok(())
    }

    pub(super) async fn begin(&mut self, begin: &Begin, call: &Call) -> Result<Reply> {
        if self.transaction.as_ref().is_some_and(|t| !t.implicit) {
            match self.family() {
                Family::MySql => drop(self.commit_open().await?),
                Family::Postgres => {
                    self.warn(0, "there is already a transaction in progress");
                    return Ok(Reply::Done(Outcome::tag("BEGIN")));
                }
            }
        }
        if self.transaction.as_ref().is_some_and(|t| t.transaction.is_dirty()) {
            // An implicit transaction becomes the client's.
            if let Some(open) = &mut self.transaction {
                open.implicit = false;
            }
            return Ok(Reply::Done(Outcome::tag("BEGIN")));
        }
        let default_read_only = self.default_read_only();
        let asked = begin.modes.read_only.or(self.next_read_only.take());
        match &begin.as_of {
            Some(clause) => {
                if asked == Some(false) {
                    return Err(Error::new(Kind::Refused, "a transaction that reads the past cannot be READ WRITE"));
                }
                let now = self.node.gms.read_now().await?;
                let at = self.evaluate_time(clause, now, &call.params)?;
                self.node.gms.admit(at).await?;
                self.open_transaction(at, false, true, true);
            }
            None => {
                let at = self.node.gms.read_now().await?;
                self.open_transaction(at, false, asked.unwrap_or(default_read_only), false);
            }
        }
        Ok(Reply::Done(Outcome::tag(if begin.snapshot || begin.as_of.is_some() { "START TRANSACTION" } else { "BEGIN" })))
    }

    pub(super) async fn commit(&mut self, chain: bool) -> Result<Reply> {
        let failed = self.transaction.as_ref().is_some_and(|t| t.failed);
        if self.transaction.as_ref().is_none_or(|t| t.implicit) && self.family() == Family::Postgres {
            self.warn(0, "there is no transaction in progress");
        }
        self.commit_open().await?;
        self.chain(chain).await?;
        Ok(Reply::Done(Outcome::tag(if failed { "ROLLBACK" } else { "COMMIT" })))
    }

    pub(super) async fn rollback(&mut self, chain: bool) -> Result<Reply> {
        if self.transaction.as_ref().is_none_or(|t| t.implicit) && self.family() == Family::Postgres {
            self.warn(0, "there is no transaction in progress");
        }
        self.forget_transaction().await;
        self.chain(chain).await?;
        Ok(Reply::Done(Outcome::tag("ROLLBACK")))
    }

    async fn chain(&mut self, chain: bool) -> Result<()> {
        if chain {
            let at = self.node.gms.read_now().await?;
            self.open_transaction(at, false, false, false);
        }
        Ok(())
    }

    pub(super) async fn savepoint(&mut self, name: &str) -> Result<Reply> {
        if self.transaction.is_none() {
            self.read_time().await?;
        }
        let name = crate::types::fold(name);
        let family = self.family();
        match &mut self.transaction {
            Some(open) if !open.implicit => {
                open.transaction.savepoint(&name, family == Family::Postgres);
                if family == Family::Postgres {
                    self.settings_savepoint(&name);
                }
            }
            _ if family == Family::Postgres => {
                return Err(Error::new(Kind::NoTransaction, "SAVEPOINT can only be used in transaction blocks").with_hint("BEGIN first"));
            }
            // MySQL takes one in autocommit mode, where it ends with its statement.
            _ => {}
        }
        Ok(Reply::Done(Outcome::tag("SAVEPOINT")))
    }

    /// In PostgreSQL some statements only stand in a transaction that the client has begun.
    fn check_block(&self, what: &str) -> Result<()> {
        if self.family() == Family::Postgres && self.transaction.as_ref().is_none_or(|t| t.implicit) {
            return Err(Error::new(Kind::NoTransaction, format!("{what} can only be used in transaction blocks")).with_hint("BEGIN first"));
        }
        Ok(())
    }

    pub(super) fn rollback_to(&mut self, name: &str) -> Result<Reply> {
        self.check_block("ROLLBACK TO SAVEPOINT")?;
        let folded = crate::types::fold(name);
        let open = self.transaction.as_mut().ok_or_else(|| no_savepoint(name))?;
        if !open.transaction.rollback_to(&folded) {
            return Err(no_savepoint(name));
        }
        open.failed = false;
        self.settings_rollback_to(&folded);
        Ok(Reply::Done(Outcome::tag("ROLLBACK")))
    }

    pub(super) fn release(&mut self, name: &str) -> Result<Reply> {
        self.check_block("RELEASE SAVEPOINT")?;
        let folded = crate::types::fold(name);
        let released = self.transaction.as_mut().is_some_and(|open| open.transaction.release(&folded));
        if !released {
            return Err(no_savepoint(name));
        }
        self.settings_release(&folded);
        Ok(Reply::Done(Outcome::tag("RELEASE")))
    }

    pub(super) fn set_transaction(&mut self, scope: Option<Scope>, modes: &TransactionModes) -> Result<Reply> {
        use crate::sql::Isolation;
        use crate::variables::{Scope as VariableScope, Value};
        if matches!(modes.isolation, Some(Isolation::Serializable)) {
            self.warn(1105, "SERIALIZABLE is run as snapshot isolation: write conflicts on files are found, write skew is not");
        }
        match (scope, modes.read_only) {
            (None, Some(read_only)) => match (&mut self.transaction, self.client.protocol.family()) {
                (Some(open), Family::Postgres) if !open.as_of => open.read_only = read_only,
                _ => self.next_read_only = Some(read_only),
            },
            (Some(_), Some(read_only)) => {
                let name = match self.family() {
                    Family::MySql => "transaction_read_only",
                    Family::Postgres => "default_transaction_read_only",
                };
                self.remember_local(name, false);
                let changed = self.variables.set(name, Some(Value::Bool(read_only)), VariableScope::Session)?;
                self.follow(changed)?;
            }
            _ => {}
        }
        Ok(Reply::Done(Outcome::tag("SET")))
    }

    /// PostgreSQL: from now on statements are one transaction until [`Session::end_implicit`].
    pub async fn begin_implicit(&mut self) {
        self.implicit = true;
    }

    /// Ends the implicit transaction; one that the client has opened itself goes on.
    pub async fn end_implicit(&mut self, commit: bool) -> Result<()> {
        self.implicit = false;
        if self.transaction.as_ref().is_some_and(|t| t.implicit) {
            if commit {
                self.commit_open().await?;
            } else {
                self.forget_transaction().await;
            }
        } else if self.transaction.is_none() {
            self.end_cursors(!commit);
            self.end_local(!commit);
        }
        Ok(())
    }
}

fn no_savepoint(name: &str) -> Error {
    Error::new(Kind::UnknownSavepoint, format!("SAVEPOINT {name} does not exist"))
}
