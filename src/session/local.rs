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

impl Session {
    /// To be called before a variable is set: remembers its value when this is SET LOCAL, and what a rollback brings
    /// back. False: SET LOCAL stands outside of a transaction and does nothing but warn.
    pub(super) fn remember_local(&mut self, name: &str, local: bool) -> bool {
        let inside = self.family() == Family::Postgres && self.transaction.as_ref().is_some_and(|t| !t.implicit);
        if local && !inside {
            self.warn(0, "SET LOCAL can only be used in transaction blocks");
            return false;
        }
        let known = |list: &[Before]| list.iter().any(|before| same(&before.name, name));
        if inside && !known(&self.undo) {
            self.undo.push(self.before(name));
        }
        if !local {
            // A plain SET outlives the transaction, when that is committed.
            self.local.retain(|before| !same(&before.name, name));
        } else if !known(&self.local) {
            self.local.push(self.before(name));
        }
        true
    }

    fn before(&self, name: &str) -> Before {
        let value = if same(name, READ_TIME) { Old::ReadTime(self.read_time) } else { Old::Value(self.variables.get(name)) };
        Before { name: name.to_owned(), value }
    }

    /// The transaction has ended: the values before SET LOCAL come back; after a rollback, those before any SET.
    pub(super) fn end_local(&mut self, rolled_back: bool) {
        let (local, undo) = (std::mem::take(&mut self.local), std::mem::take(&mut self.undo));
        for before in if rolled_back { undo } else { local } {
            let restored = match before.value {
                Old::ReadTime(at) => {
                    self.read_time = at;
                    Ok(())
                }
                Old::Value(value) => self.variables.set(&before.name, value, Scope::Session).and_then(|changed| self.follow(changed)),
            };
            if let Err(error) = restored {
                // Only a variable that SET LOCAL was refused for.
                tracing::debug!(name = before.name, %error, "a variable keeps its value");
            }
        }
    }
}
