//! Statements that a client prepared by text (in PostgreSQL also by the protocol, which shares their names).

mod statements;

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::sql::{Parsed, Setting, Statement};
use crate::types::{Family, fold};

/// The prepared statements of a session.
pub(super) struct PreparedStatements {
    family: Family,
    statements: BTreeMap<String, Parsed>,
}

impl PreparedStatements {
    pub fn new(family: Family) -> PreparedStatements {
        PreparedStatements { family, statements: BTreeMap::new() }
    }

    /// Names are exact in PostgreSQL; MySQL ignores their case.
    fn key(&self, name: &str) -> String {
        if self.family == Family::MySql { fold(name) } else { name.to_owned() }
    }

    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.statements.contains_key(&self.key(name))
    }

    pub fn get(&self, name: &str) -> Option<&Parsed> {
        self.statements.get(&self.key(name))
    }

    /// The statement of this name, or the error of EXECUTE and DEALLOCATE.
    pub fn require(&self, name: &str) -> Result<&Parsed> {
        self.get(name).ok_or_else(|| self.unknown(name))
    }

    pub fn insert(&mut self, name: &str, parsed: Parsed) {
        self.statements.insert(self.key(name), parsed);
    }

    /// Forgets a statement, if there is one of this name.
    pub fn remove(&mut self, name: &str) {
        self.statements.remove(&self.key(name));
    }

    /// DEALLOCATE of one statement.
    pub fn deallocate(&mut self, name: &str) -> Result<()> {
        self.statements.remove(&self.key(name)).map(drop).ok_or_else(|| self.unknown(name))
    }

    pub fn clear(&mut self) {
        self.statements.clear();
    }

    /// The statement that EXECUTE runs; any other runs itself.
    pub fn executed<'p>(&'p self, parsed: &'p Parsed) -> &'p Parsed {
        match &parsed.statement {
            Statement::Execute { name, .. } => self.get(name).unwrap_or(parsed),
            _ => parsed,
        }
    }

    /// The settings of SET STATEMENT, written before a statement or before the one that EXECUTE runs.
    pub fn settings_of(&self, parsed: &Parsed) -> Vec<Setting> {
        let mut settings = parsed.settings.clone();
        if matches!(parsed.statement, Statement::Execute { .. }) {
            settings.extend(self.executed(parsed).settings.iter().cloned());
        }
        settings
    }

    fn unknown(&self, name: &str) -> Error {
        Error::new(
            Kind::UnknownStatement,
            match self.family {
                Family::MySql => format!("Unknown prepared statement handler ({name}) given to EXECUTE"),
                Family::Postgres => format!("prepared statement \"{name}\" does not exist"),
            },
        )
    }
}
