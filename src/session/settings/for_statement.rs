//! MariaDB's SET STATEMENT .. FOR: settings that hold for one statement.

use std::sync::Arc;

use super::scoped::Previous;
use crate::error::{Error, Result};
use crate::session::call::Call;
use crate::session::ownership::Owner;
use crate::session::state::Session;
use crate::session::statement_guard::StatementGuard;
use crate::sql::{Parsed, READ_TIME, Setting};
use crate::types::same;

/// Variables that are about more than one statement, and sql_mode, by which the statement was parsed already.
const NEVER_FOR_ONE: [&str; 7] =
    ["autocommit", "transaction_isolation", "tx_isolation", "transaction_read_only", "tx_read_only", "max_allowed_packet", "sql_mode"];

/// Is it one of `character_set_..` and `collation_..`, in which the wire reads and writes?
fn is_charset(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("character_set_") || name.starts_with("collation_")
}

impl Session {
    /// Sets what holds for one statement only, and returns the values before. An error leaves everything as it was.
    pub(in crate::session) async fn set_for_statement(&mut self, settings: &[Setting], parsed: &Parsed) -> Result<Vec<Previous>> {
        let names = settings.iter().map(|setting| self.statement_variable(setting, parsed)).collect::<Result<Vec<&str>>>()?;
        let previous: Vec<Previous> = names.into_iter().map(|name| self.settings.previous(name)).collect();
        let guard = StatementGuard::new(&self.handle, "SET", self.limit_of(parsed));
        let call = Call { text: Arc::clone(&parsed.text), params: Arc::from([]), guard };
        let reported = self.settings.changes.len();
        let outcome = self.set(settings, &call).await;
        // Only what lasts is reported to the client.
        self.settings.changes.truncate(reported);
        match outcome {
            Ok(_) => Ok(previous),
            Err(error) => {
                self.end_for_statement(previous);
                Err(error)
            }
        }
    }

    /// The statement has ended: brings the values before it back.
    pub(in crate::session) fn end_for_statement(&mut self, previous: Vec<Previous>) {
        // The first assignment of a name saw the value before all of them.
        self.settings.restore_unreported(previous.into_iter().rev().collect());
    }

    /// The variable that SET STATEMENT sets. An unknown variable, or one whose effect would outlive the statement, is refused.
    fn statement_variable<'s>(&self, setting: &'s Setting, parsed: &Parsed) -> Result<&'s str> {
        let name = match setting {
            Setting::ReadTime { .. } => return Ok(READ_TIME),
            Setting::System { name, .. } => name.as_str(),
            _ => return Err(Error::unsupported("SET STATEMENT of anything but variables")),
        };
        let hint = "SET it for the session, or leave it out";
        if self.settings.variables.get(name).is_none() {
            return match self.has_upstream() {
                true => Err(Error::unsupported(format!("SET STATEMENT {name} of a statement over cold tables")).with_hint(hint)),
                false => Err(self.settings.variables.unknown(name)),
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
}
