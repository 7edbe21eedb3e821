//! BEGIN, COMMIT, ROLLBACK, savepoints, SET TRANSACTION.

use super::Open;
use crate::error::{Error, Kind, Result};
use crate::session::call::Call;
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{Begin, Scope, TransactionModes};
use crate::types::Family;

impl Session {
    pub(in crate::session) async fn begin(&mut self, begin: &Begin, call: &Call) -> Result<Reply> {
        if self.transactions.begun_by_client() {
            match self.family() {
                Family::MySql => drop(self.commit_open().await?),
                Family::Postgres => {
                    self.diagnostics.warn(0, "there is already a transaction in progress");
                    return Ok(Reply::Done(Outcome::tag("BEGIN")));
                }
            }
        }
        if self.transactions.is_dirty() {
            // An implicit transaction becomes the client's.
            if let Some(open) = self.transactions.open_mut() {
                open.implicit = false;
            }
            return Ok(Reply::Done(Outcome::tag("BEGIN")));
        }
        let default_read_only = self.settings.default_read_only();
        let asked = begin.modes.read_only.or(self.transactions.next_read_only.take());
        match &begin.as_of {
            Some(clause) => {
                if asked == Some(false) {
                    return Err(Error::new(Kind::Refused, "a transaction that reads the past cannot be READ WRITE"));
                }
                let now = self.node.gms.read_now().await?;
                let at = self.evaluate_time(clause, now, &call.params)?;
                self.node.gms.admit(at).await?;
                let open = Open { read_only: true, as_of: true, ..Open::new(self.node.engine.cold.clone(), at) };
                self.transactions.set_open(open);
            }
            None => {
                let at = self.node.gms.read_now().await?;
                let read_only = asked.unwrap_or(default_read_only);
                self.transactions.set_open(Open { read_only, ..Open::new(self.node.engine.cold.clone(), at) });
            }
        }
        Ok(Reply::Done(Outcome::tag(if begin.snapshot || begin.as_of.is_some() { "START TRANSACTION" } else { "BEGIN" })))
    }

    pub(in crate::session) async fn commit(&mut self, chain: bool) -> Result<Reply> {
        let failed = self.transactions.open().is_some_and(|open| open.failed);
        if !self.transactions.begun_by_client() && self.family() == Family::Postgres {
            self.diagnostics.warn(0, "there is no transaction in progress");
        }
        self.commit_open().await?;
        self.chain(chain).await?;
        Ok(Reply::Done(Outcome::tag(if failed { "ROLLBACK" } else { "COMMIT" })))
    }

    pub(in crate::session) async fn rollback(&mut self, chain: bool) -> Result<Reply> {
        if !self.transactions.begun_by_client() && self.family() == Family::Postgres {
            self.diagnostics.warn(0, "there is no transaction in progress");
        }
        self.roll_back_open().await;
        self.chain(chain).await?;
        Ok(Reply::Done(Outcome::tag("ROLLBACK")))
    }

    async fn chain(&mut self, chain: bool) -> Result<()> {
        if chain {
            let at = self.node.gms.read_now().await?;
            self.transactions.set_open(Open::new(self.node.engine.cold.clone(), at));
        }
        Ok(())
    }

    pub(in crate::session) async fn savepoint(&mut self, name: &str) -> Result<Reply> {
        if !self.transactions.is_open() {
            self.read_time().await?;
        }
        let name = crate::types::fold(name);
        let family = self.family();
        match self.transactions.open_mut() {
            Some(open) if !open.implicit => {
                open.transaction.savepoint(&name, family == Family::Postgres);
                if family == Family::Postgres {
                    self.settings.savepoint(&name);
                    self.cursors.savepoint(&name);
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

    /// PostgreSQL takes some statements only in a transaction that the client has begun.
    fn check_block(&self, what: &str) -> Result<()> {
        if self.family() == Family::Postgres && !self.transactions.begun_by_client() {
            return Err(Error::new(Kind::NoTransaction, format!("{what} can only be used in transaction blocks")).with_hint("BEGIN first"));
        }
        Ok(())
    }

    pub(in crate::session) fn rollback_to(&mut self, name: &str) -> Result<Reply> {
        self.check_block("ROLLBACK TO SAVEPOINT")?;
        let folded = crate::types::fold(name);
        let open = self.transactions.open_mut().ok_or_else(|| no_savepoint(name))?;
        if !open.transaction.rollback_to(&folded) {
            return Err(no_savepoint(name));
        }
        open.failed = false;
        self.settings.rollback_to(&folded);
        self.cursors.rollback_to(&folded);
        Ok(Reply::Done(Outcome::tag("ROLLBACK")))
    }

    pub(in crate::session) fn release(&mut self, name: &str) -> Result<Reply> {
        self.check_block("RELEASE SAVEPOINT")?;
        let folded = crate::types::fold(name);
        let released = self.transactions.open_mut().is_some_and(|open| open.transaction.release(&folded));
        if !released {
            return Err(no_savepoint(name));
        }
        self.settings.release(&folded);
        self.cursors.release(&folded);
        Ok(Reply::Done(Outcome::tag("RELEASE")))
    }

    pub(in crate::session) fn set_transaction(&mut self, scope: Option<Scope>, modes: &TransactionModes) -> Result<Reply> {
        use crate::sql::Isolation;
        use crate::variables::{Scope as VariableScope, Value};
        if matches!(modes.isolation, Some(Isolation::Serializable)) {
            self.diagnostics.warn(1105, "SERIALIZABLE is run as snapshot isolation: write conflicts on files are found, write skew is not");
        }
        match (scope, modes.read_only) {
            (None, Some(read_only)) => match (self.transactions.open_mut(), self.client.protocol.family()) {
                (Some(open), Family::Postgres) if !open.as_of => open.read_only = read_only,
                _ => self.transactions.next_read_only = Some(read_only),
            },
            (Some(_), Some(read_only)) => {
                let name = match self.family() {
                    Family::MySql => "transaction_read_only",
                    Family::Postgres => "default_transaction_read_only",
                };
                self.scope_setting(name, false);
                self.settings.set(name, Some(Value::Bool(read_only)), VariableScope::Session)?;
            }
            _ => {}
        }
        Ok(Reply::Done(Outcome::tag("SET")))
    }

    /// PostgreSQL: from now on statements are one transaction until [`Session::end_implicit`].
    pub async fn begin_implicit(&mut self) {
        self.transactions.implicit = true;
    }

    /// Ends the implicit transaction; one that the client has opened itself goes on.
    pub async fn end_implicit(&mut self, commit: bool) -> Result<()> {
        self.transactions.implicit = false;
        if self.transactions.open().is_some_and(|open| open.implicit) {
            if commit {
                self.commit_open().await?;
            } else {
                self.roll_back_open().await;
            }
        } else if !self.transactions.is_open() {
            self.end_scopes(!commit);
        }
        Ok(())
    }
}

fn no_savepoint(name: &str) -> Error {
    Error::new(Kind::UnknownSavepoint, format!("SAVEPOINT {name} does not exist"))
}
