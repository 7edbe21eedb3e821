//! PostgreSQL's SET in a transaction: SET LOCAL holds until it ends, any SET is undone with it.

use super::state::Session;
use super::variables::{Scope, Value};
use crate::sql::READ_TIME;
use crate::time::Tso;
use crate::types::{Family, same};

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

/// A savepoint of a PostgreSQL transaction: what was set since.
#[derive(Debug)]
pub(super) struct Savepoint {
    name: String,
    undo: Vec<Before>,
    /// What SET LOCAL had changed when it was set.
    local: Vec<Before>,
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
        self.savepoints.push(Savepoint { name: name.to_owned(), undo: Vec::new(), local: self.local.clone() });
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
