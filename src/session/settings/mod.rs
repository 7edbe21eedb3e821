//! The settings of a session: system variables, user variables, the current database, the time zone and the read time.
//!
//! A change of a setting goes through [`Settings`], so that what follows from it (the zone, the report to the client)
//! always follows.

mod for_statement;
mod scoped;
mod set_config;
mod statements;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use jiff::tz::TimeZone;

use crate::engine::Namespace;
use crate::error::{Error, Result};
use crate::sql::{Dialect, Server};
use crate::time::{Tso, parse_zone, postgres_zone};
use crate::types::{Family, SqlType, fold};
use crate::variables::{Changed, Globals, Scope, Value, Variables};

/// A change of a setting that the client is to receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A variable, by its canonical name.
    Variable { name: String, value: String },
    /// The current database.
    Database(String),
}

/// The settings of a session.
pub(super) struct Settings {
    /// The current database.
    pub database: Option<String>,
    /// The session's time zone.
    pub zone: TimeZone,
    /// `SET flashback_read_time`.
    pub read_time: Option<Tso>,
    variables: Variables,
    user_variables: BTreeMap<String, ScalarValue>,
    /// Changes that the client has not received yet.
    changes: Vec<Change>,
    /// Values to bring back when the transaction ends.
    scoped: scoped::Scoped,
}

impl Settings {
    pub fn new(family: Family, globals: Arc<Globals>) -> Settings {
        Settings {
            database: None,
            zone: TimeZone::system(),
            read_time: None,
            variables: Variables::new(family, globals),
            user_variables: BTreeMap::new(),
            changes: Vec::new(),
            scoped: scoped::Scoped::default(),
        }
    }

    fn family(&self) -> Family {
        self.variables.family()
    }

    /// The system variables. They are changed by [`Settings::set`].
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// A variable's value as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.variables.text(name)
    }

    /// Is a boolean variable on?
    pub fn flag(&self, name: &str) -> bool {
        self.variables.flag(name)
    }

    /// A setting that is a time span; None: not set, or no limit.
    pub fn duration(&self, name: &str) -> Option<std::time::Duration> {
        self.variables.duration(name)
    }

    /// Sets a variable (None: to its default), with what follows from it.
    pub fn set(&mut self, name: &str, value: Option<Value>, scope: Scope) -> Result<()> {
        let changed = self.assign(name, value, scope)?;
        self.follow(changed)
    }

    /// Sets a variable; [`Settings::follow`] has to be called with the result.
    pub fn assign(&mut self, name: &str, value: Option<Value>, scope: Scope) -> Result<Vec<Changed>> {
        self.variables.set(name, value, scope)
    }

    /// MySQL's SET NAMES and SET CHARACTER SET.
    pub fn set_names(&mut self, charset: Option<&str>, collation: Option<&str>) -> Result<()> {
        let changed = self.variables.set_names(charset, collation)?;
        self.follow(changed)
    }

    /// Sets a variable that clients cannot set.
    pub fn set_fact(&mut self, name: &str, value: Value) {
        self.variables.fact(name, value);
    }

    /// RESET of one variable.
    pub fn reset(&mut self, name: &str) -> Result<()> {
        let changed = self.variables.reset(name)?;
        self.follow(changed)
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) -> Result<()> {
        self.read_time = None;
        let changed = self.variables.reset_all();
        self.follow(changed)
    }

    /// The values of now are those that RESET brings back.
    pub fn settle(&mut self) {
        self.variables.settle();
    }

    /// Does what follows from changed variables: the session's zone, and the report to the client.
    pub fn follow(&mut self, changed: Vec<Changed>) -> Result<()> {
        for change in changed {
            let text = change.value.text(self.family());
            if change.scope == Scope::Global {
                // It is for sessions to come.
                continue;
            }
            if change.name.eq_ignore_ascii_case("time_zone") | change.name.eq_ignore_ascii_case("TimeZone") {
                self.zone = match self.family() {
                    Family::MySql => parse_zone(&text)?,
                    Family::Postgres => postgres_zone(&text)?,
                };
            }
            self.changes.push(Change::Variable { name: change.name, value: text });
        }
        Ok(())
    }

    /// Makes a database the current one, and reports it to the client.
    pub fn use_database(&mut self, name: String) {
        self.changes.push(Change::Database(name.clone()));
        self.database = Some(name);
    }

    /// How names without a database are read.
    pub fn namespace(&self) -> Namespace {
        Namespace { family: self.family(), database: self.database.clone() }
    }

    /// How the session's text is read.
    pub fn dialect(&self, server: Server) -> Dialect {
        match self.family() {
            Family::Postgres => Dialect { no_backslash_escapes: self.flag("standard_conforming_strings"), ..Dialect::POSTGRES },
            Family::MySql => {
                let mode = self.text("sql_mode").unwrap_or_default();
                let has = |word: &str| mode.split(',').any(|m| m.eq_ignore_ascii_case(word));
                Dialect {
                    ansi_quotes: has("ANSI_QUOTES"),
                    no_backslash_escapes: has("NO_BACKSLASH_ESCAPES"),
                    pipes_as_concat: has("PIPES_AS_CONCAT"),
                    server,
                    ..Dialect::MYSQL
                }
            }
        }
    }

    /// MySQL's autocommit; always on in PostgreSQL.
    pub fn autocommit(&self) -> bool {
        self.family() == Family::Postgres || self.flag("autocommit")
    }

    /// Transactions, also those of one statement, are read only unless they say otherwise.
    pub fn default_read_only(&self) -> bool {
        self.flag("transaction_read_only") || self.flag("default_transaction_read_only")
    }

    /// Do all statements of a transaction read at one time, by the isolation level?
    pub fn reads_repeatably(&self) -> bool {
        let level = self.text("transaction_isolation").unwrap_or_default();
        ["repeatable", "serializable"].iter().any(|word| level.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word)))
    }

    /// A user variable; None: it was never set.
    pub fn user_variable(&self, name: &str) -> Option<&ScalarValue> {
        self.user_variables.get(&fold(name))
    }

    /// Sets a user variable. These hold numbers, texts and bytes: a moment becomes its text, as in MySQL.
    pub fn set_user_variable(&mut self, name: &str, value: ScalarValue) -> Result<()> {
        use DataType::{Date32, Date64, Time32, Time64, Timestamp};
        let value = if matches!(value.data_type(), Timestamp(..) | Date32 | Date64 | Time32(_) | Time64(_)) {
            let array = value.to_array().map_err(|e| Error::internal(e.to_string()))?;
            let text = crate::types::coerce::cast_to(&array, &SqlType::Text, self.family(), &self.zone)?;
            ScalarValue::try_from_array(&text, 0).map_err(|e| Error::internal(e.to_string()))?
        } else {
            value
        };
        self.user_variables.insert(fold(name), value);
        Ok(())
    }

    /// Takes over user variables of the upstream's session.
    pub fn take_over_user_variables(&mut self, values: Vec<(String, ScalarValue)>) {
        self.user_variables.extend(values.into_iter().map(|(name, value)| (fold(&name), value)));
    }

    /// Changes that the client has not received yet.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// What was set until now is not reported to the client.
    pub fn discard_changes(&mut self) {
        self.changes.clear();
    }
}
