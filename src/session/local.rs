//! PostgreSQL's SET LOCAL: a value until the transaction ends, then the one before.

use super::state::Session;
use super::variables::{Scope, Value};
use crate::sql::READ_TIME;
use crate::time::Tso;
use crate::types::same;

/// What a variable was before SET LOCAL.
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
    /// To be called before a variable is set: remembers its value when this is SET LOCAL. False: SET LOCAL stands outside
    /// of a transaction and does nothing but warn.
    pub(super) fn remember_local(&mut self, name: &str, local: bool) -> bool {
        if !local {
            // A plain SET outlives the transaction.
            self.local.retain(|before| !same(&before.name, name));
            return true;
        }
        if self.transaction.as_ref().is_none_or(|t| t.implicit) {
            self.warn(0, "SET LOCAL can only be used in transaction blocks");
            return false;
        }
        if !self.local.iter().any(|before| same(&before.name, name)) {
            let value = if same(name, READ_TIME) { Old::ReadTime(self.read_time) } else { Old::Value(self.variables.get(name)) };
            self.local.push(Before { name: name.to_owned(), value });
        }
        true
    }

    /// The transaction has ended: the values before it come back.
    pub(super) fn end_local(&mut self) {
        for before in std::mem::take(&mut self.local) {
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
