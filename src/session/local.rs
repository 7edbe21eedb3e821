//! Settings that end: PostgreSQL's SET LOCAL holds until the end of a transaction, any SET of its is undone with it; MariaDB's
//! SET STATEMENT holds for one statement.

use std::sync::Arc;

use super::execute::Call;
use super::guard::Guard;
use super::ownership::Owner;
use super::state::Session;
use crate::error::{Error, Result};
use crate::sql::{Parsed, READ_TIME, Setting};
use crate::time::Tso;
use crate::types::{Family, same};
use crate::variables::{Scope, Value};

/// What a variable was before it was set.
#[derive(Debug, Clone)]
pub(super) struct Before {
    name: String,
    value: Old,
}

#[derive(Debug, Clone)]
enum Old {
    ReadTime(Option<Tso>),
    Value(Option<Value>),
}

/// A savepoint of a PostgreSQL transaction: what was set since, and which cursors it keeps.
#[derive(Debug)]
pub(super) struct Savepoint {
    name: String,
    undo: Vec<Before>,
    /// What SET LOCAL had changed when it was set.
    local: Vec<Before>,
    cursors: u64,
}

/// Variables that are about more than one statement, and sql_mode, by which a statement was read already.
const NEVER_FOR_ONE: [&str; 7] =
    ["autocommit", "transaction_isolation", "tx_isolation", "transaction_read_only", "tx_read_only", "max_allowed_packet", "sql_mode"];

/// Is it one of `character_set_..` and `collation_..`, in which the wire reads and writes?
fn is_charset(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("character_set_") || name.starts_with("collation_")
}

fn known(list: &[Before], name: &str) -> bool {
    list.iter().any(|before| same(&before.name, name))
}

impl Session {
    /// To be called before a variable is set: remembers its value when this is SET LOCAL, and what a rollback brings
    /// back. False: SET LOCAL stands outside of a transaction and does nothing but warn.
    pub(super) fn remember_local(&mut self, name: &str, local: bool) -> bool {
        // A script or pipeline is a transaction as well.
        let block = self.implicit || self.transaction.as_ref().is_some_and(|t| !t.implicit);
        let inside = self.family() == Family::Postgres && block;
        if local && !inside {
            self.warn(0, "SET LOCAL can only be used in transaction blocks");
            return false;
        }
        if inside && !known(&self.undo, name) {
            self.undo.push(self.before(name));
        }
        let before = self.before(name);
        if let Some(savepoint) = self.savepoints.last_mut()
            && !known(&savepoint.undo, name)
        {
            savepoint.undo.push(before);
        }
        if !local {
            // A plain SET outlives the transaction, when that is committed.
            self.local.retain(|before| !same(&before.name, name));
        } else if !known(&self.local, name) {
            self.local.push(self.before(name));
        }
        true
    }

    /// Before RESET ALL.
    pub(super) fn remember_all(&mut self) {
        for name in self.variables.changed() {
            self.remember_local(&name, false);
        }
        self.remember_local(READ_TIME, false);
    }

    /// Sets what holds for one statement only, and gives what was before. An error leaves everything as it was.
    pub(super) async fn set_for_statement(&mut self, settings: &[Setting], parsed: &Parsed) -> Result<Vec<Before>> {
        let names = settings.iter().map(|setting| self.statement_variable(setting, parsed)).collect::<Result<Vec<&str>>>()?;
        let before: Vec<Before> = names.into_iter().map(|name| self.before(name)).collect();
        let guard = Guard::new(&self.handle, "SET", self.limit_of(parsed));
        let call = Call { text: Arc::clone(&parsed.text), params: Arc::from([]), guard };
        let told = self.changes.len();
        let outcome = self.set(settings, &call).await;
        // The client is told of what lasts.
        self.changes.truncate(told);
        match outcome {
            Ok(_) => Ok(before),
            Err(error) => {
                self.end_for_statement(before);
                Err(error)
            }
        }
    }

    /// Ends what held for one statement.
    pub(super) fn end_for_statement(&mut self, before: Vec<Before>) {
        let told = self.changes.len();
        // The first assignment of a name saw what was before all of them.
        self.restore(before.into_iter().rev().collect());
        self.changes.truncate(told);
    }

    /// The variable that SET STATEMENT sets. What is not known here, or would outlive the statement, is refused.
    fn statement_variable<'s>(&self, setting: &'s Setting, parsed: &Parsed) -> Result<&'s str> {
        let name = match setting {
            Setting::ReadTime { .. } => return Ok(READ_TIME),
            Setting::System { name, .. } => name.as_str(),
            _ => return Err(Error::unsupported("SET STATEMENT of anything but variables")),
        };
        let hint = "SET it for the session, or leave it out";
        if self.variables.get(name).is_none() {
            return match self.has_upstream() {
                true => Err(Error::unsupported(format!("SET STATEMENT {name} of a statement over cold tables")).with_hint(hint)),
                false => Err(self.variables.unknown(name)),
            };
        }
        let is = |one: &&str| same(name, one);
        let never = NEVER_FOR_ONE.iter().any(is) || is_charset(name);
        let limit = ["max_statement_time", "max_execution_time"].iter().any(is);
        if never || (!limit && self.has_upstream() && self.owner(parsed) == Owner::Both) {
            return Err(Error::unsupported(format!("SET STATEMENT {name} of this statement")).with_hint(hint));
        }
        Ok(name)
    }

    fn before(&self, name: &str) -> Before {
        let value = if same(name, READ_TIME) { Old::ReadTime(self.read_time) } else { Old::Value(self.variables.get(name)) };
        Before { name: name.to_owned(), value }
    }

    /// The transaction has ended: the values before SET LOCAL come back; after a rollback, those before any SET.
    pub(super) fn end_local(&mut self, rolled_back: bool) {
        let (local, undo) = (std::mem::take(&mut self.local), std::mem::take(&mut self.undo));
        self.savepoints.clear();
        self.restore(if rolled_back { undo } else { local });
    }

    /// A savepoint was set: what is SET from here on can be undone by itself.
    pub(super) fn settings_savepoint(&mut self, name: &str) {
        let cursors = self.cursors.mark();
        self.savepoints.push(Savepoint { name: name.to_owned(), undo: Vec::new(), local: self.local.clone(), cursors });
    }

    /// ROLLBACK TO a savepoint, which stays.
    pub(super) fn settings_rollback_to(&mut self, name: &str) {
        let Some(at) = self.savepoints.iter().rposition(|savepoint| savepoint.name == name) else { return };
        // The latest first: an older value overwrites a younger one.
        for savepoint in self.savepoints.split_off(at + 1).into_iter().rev() {
            self.restore(savepoint.undo);
        }
        if let Some(savepoint) = self.savepoints.last_mut() {
            let undo = std::mem::take(&mut savepoint.undo);
            self.cursors.rollback_to(savepoint.cursors);
            self.local = savepoint.local.clone();
            self.restore(undo);
        }
    }

    /// RELEASE: what was set since belongs to the savepoint before.
    pub(super) fn settings_release(&mut self, name: &str) {
        let Some(at) = self.savepoints.iter().rposition(|savepoint| savepoint.name == name) else { return };
        let released = self.savepoints.split_off(at);
        if let Some(outer) = self.savepoints.last_mut() {
            for before in released.into_iter().flat_map(|savepoint| savepoint.undo) {
                if !known(&outer.undo, &before.name) {
                    outer.undo.push(before);
                }
            }
        }
    }

    fn restore(&mut self, list: Vec<Before>) {
        for before in list {
            let restored = match before.value {
                Old::ReadTime(at) => {
                    self.read_time = at;
                    Ok(())
                }
                Old::Value(value) => self.variables.set(&before.name, value, Scope::Session).and_then(|changed| self.follow(changed)),
            };
            if let Err(error) = restored {
                // Only a variable that SET LOCAL was refused for.
                tracing::debug!(name = before.name, kind = ?error.kind(), "a variable keeps its value");
            }
        }
    }
}
