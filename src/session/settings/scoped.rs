//! PostgreSQL's scopes of a setting: SET LOCAL holds until the end of a transaction, and a rollback (also one to a savepoint)
//! undoes every SET that came after the point to which it goes back.

use super::Settings;
use crate::sql::READ_TIME;
use crate::time::Tso;
use crate::types::same;
use crate::variables::{Scope, Value};

/// The value of a variable before it was set.
#[derive(Debug, Clone)]
pub(in crate::session) struct Previous {
    name: String,
    value: Old,
}

#[derive(Debug, Clone)]
enum Old {
    ReadTime(Option<Tso>),
    Value(Option<Value>),
}

/// Values to bring back when the open transaction ends.
#[derive(Debug, Default)]
pub(super) struct Scoped {
    /// At the end of the transaction: what SET LOCAL has replaced.
    local: Vec<Previous>,
    /// At a rollback of the transaction: what any SET has replaced.
    undo: Vec<Previous>,
    savepoints: Vec<Savepoint>,
}

/// A savepoint of the open transaction.
#[derive(Debug)]
struct Savepoint {
    name: String,
    /// At a rollback to it: what any SET has replaced since.
    undo: Vec<Previous>,
    /// `Scoped::local` at the time when the savepoint was set.
    local: Vec<Previous>,
}

fn contains(list: &[Previous], name: &str) -> bool {
    list.iter().any(|previous| same(&previous.name, name))
}

impl Settings {
    /// To be called before a variable is set: keeps its value for the end of the transaction. `local`: by SET LOCAL.
    pub fn keep_previous(&mut self, name: &str, local: bool, in_transaction: bool) {
        let previous = self.previous(name);
        let scoped = &mut self.scoped;
        if in_transaction && !contains(&scoped.undo, name) {
            scoped.undo.push(previous.clone());
        }
        if let Some(savepoint) = scoped.savepoints.last_mut()
            && !contains(&savepoint.undo, name)
        {
            savepoint.undo.push(previous.clone());
        }
        if !local {
            // A plain SET outlives the transaction, when that is committed.
            scoped.local.retain(|previous| !same(&previous.name, name));
        } else if !contains(&scoped.local, name) {
            scoped.local.push(previous);
        }
    }

    /// The value of a variable, to be brought back by [`Settings::restore`].
    pub fn previous(&self, name: &str) -> Previous {
        let value = if same(name, READ_TIME) { Old::ReadTime(self.read_time) } else { Old::Value(self.variables.get(name)) };
        Previous { name: name.to_owned(), value }
    }

    /// The transaction has ended: the values before SET LOCAL come back; after a rollback, those before any SET.
    pub fn end_transaction(&mut self, rolled_back: bool) {
        let Scoped { local, undo, .. } = std::mem::take(&mut self.scoped);
        self.restore(if rolled_back { undo } else { local });
    }

    /// SAVEPOINT.
    pub fn savepoint(&mut self, name: &str) {
        let local = self.scoped.local.clone();
        self.scoped.savepoints.push(Savepoint { name: name.to_owned(), undo: Vec::new(), local });
    }

    /// ROLLBACK TO a savepoint, which stays.
    pub fn rollback_to(&mut self, name: &str) {
        let Some(at) = self.scoped.savepoints.iter().rposition(|savepoint| savepoint.name == name) else { return };
        // The latest first: an older value overwrites a younger one.
        for savepoint in self.scoped.savepoints.split_off(at + 1).into_iter().rev() {
            self.restore(savepoint.undo);
        }
        if let Some(savepoint) = self.scoped.savepoints.last_mut() {
            let undo = std::mem::take(&mut savepoint.undo);
            self.scoped.local = savepoint.local.clone();
            self.restore(undo);
        }
    }

    /// RELEASE: what was set since belongs to the savepoint before.
    pub fn release(&mut self, name: &str) {
        let savepoints = &mut self.scoped.savepoints;
        let Some(at) = savepoints.iter().rposition(|savepoint| savepoint.name == name) else { return };
        let released = savepoints.split_off(at);
        if let Some(outer) = savepoints.last_mut() {
            for previous in released.into_iter().flat_map(|savepoint| savepoint.undo) {
                if !contains(&outer.undo, &previous.name) {
                    outer.undo.push(previous);
                }
            }
        }
    }

    /// Brings values back, in the order of the list.
    pub fn restore(&mut self, list: Vec<Previous>) {
        for previous in list {
            let restored = match previous.value {
                Old::ReadTime(at) => {
                    self.read_time = at;
                    Ok(())
                }
                Old::Value(value) => self.set(&previous.name, value, Scope::Session),
            };
            if let Err(error) = restored {
                // Only a variable that SET LOCAL was refused for.
                tracing::debug!(name = previous.name, kind = ?error.kind(), "a variable keeps its value");
            }
        }
    }

    /// The same, without a report to the client: what held for one statement is not reported.
    pub fn restore_unreported(&mut self, list: Vec<Previous>) {
        let reported = self.changes.len();
        self.restore(list);
        self.changes.truncate(reported);
    }
}
