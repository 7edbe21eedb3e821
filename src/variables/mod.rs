//! System variables: MySQL's variables and PostgreSQL's settings, typed, with their scopes and checks.
//!
//! Owns what a name means, which values it takes and what it is now; never acts on a change. A session learns what
//! changed from the return value of [`Variables::set`] and does what follows (a new time zone, a new SQL mode).

mod check;
mod definition;
mod mysql;
mod postgres;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use parking_lot::RwLock;

pub use check::expand_sql_mode;
pub use definition::{Definition, Domain, Reach};

use crate::engine::catalog::SettingRow;
use crate::engine::catalog::charsets::COLLATIONS;
pub use crate::engine::catalog::{MYSQL_VERSION, POSTGRES_VERSION};
use crate::error::{Error, Kind, Result};
pub use crate::types::Family;

/// Where an assignment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This session only.
    Session,
    /// Sessions that open from now on.
    Global,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    /// `1`/`0` in `SELECT @@x`, `ON`/`OFF` in SHOW VARIABLES, `on`/`off` in PostgreSQL.
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(String),
}

impl Value {
    /// As a literal of a query (`SELECT @@x`).
    pub fn scalar(&self) -> ScalarValue {
        match self {
            Value::Null => ScalarValue::Null,
            Value::Bool(b) => ScalarValue::Int64(Some(i64::from(*b))),
            Value::Int(i) => ScalarValue::Int64(Some(*i)),
            Value::UInt(u) => ScalarValue::UInt64(Some(*u)),
            Value::Float(f) => ScalarValue::Float64(Some(*f)),
            Value::Text(t) => ScalarValue::Utf8(Some(t.clone())),
        }
    }

    /// From a constant that a SET statement computed.
    pub fn of_scalar(scalar: &ScalarValue) -> Value {
        if scalar.is_null() {
            return Value::Null;
        }
        match scalar {
            ScalarValue::Boolean(Some(b)) => Value::Bool(*b),
            ScalarValue::UInt64(Some(u)) => Value::UInt(*u),
            ScalarValue::Utf8(Some(t)) | ScalarValue::LargeUtf8(Some(t)) | ScalarValue::Utf8View(Some(t)) => Value::Text(t.clone()),
            ScalarValue::Float64(Some(f)) => Value::Float(*f),
            ScalarValue::Float32(Some(f)) => Value::Float(f64::from(*f)),
            other => match other.to_string() {
                text if text.parse::<i64>().is_ok() => Value::Int(text.parse().unwrap_or_default()),
                text => Value::Text(text),
            },
        }
    }

    /// As text: a boolean in the family's own words.
    pub fn text(&self, family: Family) -> String {
        match self {
            Value::Null => String::new(),
            Value::Bool(b) => match (family, b) {
                (Family::MySql, true) => "ON".into(),
                (Family::MySql, false) => "OFF".into(),
                (Family::Postgres, true) => "on".into(),
                (Family::Postgres, false) => "off".into(),
            },
            Value::Int(i) => i.to_string(),
            Value::UInt(u) => u.to_string(),
            Value::Float(f) => f.to_string(),
            Value::Text(t) => t.clone(),
        }
    }
}

/// What an assignment changed: the variable under its own name, and its new value.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// As the definition spells it.
    pub name: String,
    /// The value now.
    pub value: Value,
    /// Where.
    pub scope: Scope,
}

/// One row of SHOW VARIABLES or SHOW ALL.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// As the definition spells it.
    pub name: String,
    /// As text.
    pub value: String,
    /// One sentence.
    pub description: &'static str,
    /// How it may be set.
    pub reach: Reach,
    /// Which values it takes.
    pub domain: Option<&'static Domain>,
    /// The value that is built in.
    pub built_in: String,
    /// The value that RESET goes back to.
    pub initial: String,
}

/// Global values that differ from the built-in defaults: facts of this process, and what SET GLOBAL changed. They
/// live as long as the process.
#[derive(Debug, Default)]
pub struct Globals {
    mysql: RwLock<HashMap<&'static str, Value>>,
    postgres: RwLock<HashMap<&'static str, Value>>,
}

impl Globals {
    /// Sets a fact of the process (`hostname`, `port`, `max_connections`), read-only ones too. A name that is not
    /// defined is ignored: facts are the server's own.
    pub fn fact(&self, family: Family, name: &str, value: Value) {
        if let Some(definition) = definition(family, name) {
            self.of(family).write().insert(definition.name, value);
        }
    }

    fn of(&self, family: Family) -> &RwLock<HashMap<&'static str, Value>> {
        match family {
            Family::MySql => &self.mysql,
            Family::Postgres => &self.postgres,
        }
    }

    fn value(&self, family: Family, definition: &Definition) -> Value {
        self.of(family).read().get(definition.name).cloned().unwrap_or_else(|| definition.initial())
    }
}

/// The variables of one session.
#[derive(Debug, Clone)]
pub struct Variables {
    family: Family,
    globals: Arc<Globals>,
    /// What a fresh session had: RESET and DEFAULT go back to it.
    initial: HashMap<&'static str, Value>,
    values: HashMap<&'static str, Value>,
    /// PostgreSQL's `prefix.name` settings, which anyone may invent.
    custom: BTreeMap<String, String>,
    initial_custom: BTreeMap<String, String>,
}

fn definitions(family: Family) -> &'static [Definition] {
    match family {
        Family::MySql => mysql::VARIABLES,
        Family::Postgres => postgres::SETTINGS,
    }
}

/// The definition of a variable, found without case and by its other names.
pub fn definition(family: Family, name: &str) -> Option<&'static Definition> {
    let name = match family {
        Family::MySql => mysql::canonical(name),
        Family::Postgres => postgres::canonical(name),
    };
    definitions(family).iter().find(|d| d.name.eq_ignore_ascii_case(name))
}

impl Variables {
    /// A fresh session's, with the global values of this moment.
    pub fn new(family: Family, globals: Arc<Globals>) -> Variables {
        let values: HashMap<_, _> = definitions(family)
            .iter()
            .filter(|d| d.reach == Reach::Session || d.reach == Reach::Both)
            .map(|d| (d.name, globals.value(family, d)))
            .collect();
        Variables { family, globals, initial: values.clone(), values, custom: BTreeMap::new(), initial_custom: BTreeMap::new() }
    }

    /// Whose variables these are.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The session's value (the global one where there is no other); None: no such variable.
    pub fn get(&self, name: &str) -> Option<Value> {
        match definition(self.family, name) {
            Some(d) => Some(self.values.get(d.name).cloned().unwrap_or_else(|| self.globals.value(self.family, d))),
            None => self.custom.get(&name.to_lowercase()).cloned().map(Value::Text),
        }
    }

    /// The global value; an error for a variable that only sessions have.
    pub fn global(&self, name: &str) -> Result<Value> {
        let d = definition(self.family, name).ok_or_else(|| self.unknown(name))?;
        if d.reach == Reach::Session || d.reach == Reach::SessionFact {
            return Err(Error::new(Kind::WrongScope, format!("Variable '{}' is a SESSION variable", d.name)));
        }
        Ok(self.globals.value(self.family, d))
    }

    /// The session's value as text; None: no such variable.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|v| v.text(self.family))
    }

    /// The session's value as a boolean; false when there is no such variable.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Bool(true)))
    }

    /// A duration setting (`statement_timeout`, `max_execution_time`); None: not set, or 0, which means no limit.
    pub fn duration(&self, name: &str) -> Option<std::time::Duration> {
        check::millis(&self.text(name)?).filter(|ms| *ms > 0).map(std::time::Duration::from_millis)
    }

    /// Assigns; `value` None is DEFAULT. What changed comes back, mirrors within the family included (a connection's
    /// character set and its collation).
    pub fn set(&mut self, name: &str, value: Option<Value>, scope: Scope) -> Result<Vec<Changed>> {
        let Some(d) = definition(self.family, name) else { return self.set_custom(name, value) };
        if d.reach == Reach::ReadOnly || d.reach == Reach::SessionFact {
            return Err(self.read_only(d));
        }
        match (self.family, scope, d.reach) {
            (Family::MySql, Scope::Session, Reach::Global) => {
                let message = format!("Variable '{}' is a GLOBAL variable and should be set with SET GLOBAL", d.name);
                return Err(Error::new(Kind::WrongScope, message));
            }
            (Family::MySql, Scope::Global, Reach::Session) => {
                let message = format!("Variable '{}' is a SESSION variable and can't be used with SET GLOBAL", d.name);
                return Err(Error::new(Kind::WrongScope, message));
            }
            _ => {}
        }
        let value = match value {
            Some(value) => check::check(self.family, d, value)?,
            None if scope == Scope::Session => self.initial.get(d.name).cloned().unwrap_or_else(|| self.globals.value(self.family, d)),
            None => d.initial(),
        };
        let mut changed = vec![self.assign(d.name, value.clone(), scope)];
        if self.family == Family::MySql {
            for (other, value) in mysql::mirrors(d.name, &value) {
                changed.push(self.assign(other, value, scope));
            }
        }
        Ok(changed)
    }

    /// `SET NAMES c [COLLATE x]`; None: DEFAULT.
    pub fn set_names(&mut self, charset: Option<&str>, collation: Option<&str>) -> Result<Vec<Changed>> {
        if self.family == Family::Postgres {
            return self.set("client_encoding", charset.map(|c| Value::Text(c.to_owned())), Scope::Session);
        }
        let text = |c: &str| Some(Value::Text(c.to_owned()));
        let mut changed = Vec::new();
        for name in ["character_set_client", "character_set_results", "character_set_connection"] {
            changed.extend(self.set(name, charset.and_then(text), Scope::Session)?);
        }
        if let Some(collation) = collation {
            let of = COLLATIONS.iter().find(|c| c.name.eq_ignore_ascii_case(collation)).map(|c| c.charset);
            let now = self.text("character_set_connection");
            if of.is_some() && of != now.as_deref() {
                let message = format!("COLLATION '{collation}' is not valid for CHARACTER SET '{}'", now.unwrap_or_default());
                return Err(Error::new(Kind::WrongValue, message));
            }
            changed.extend(self.set("collation_connection", text(collation), Scope::Session)?);
        }
        Ok(changed)
    }

    /// Changes a fact of the session that no SET may (`warning_count`, `last_insert_id`, `pseudo_thread_id`,
    /// `is_superuser`). A name that is not defined is ignored.
    pub fn fact(&mut self, name: &str, value: Value) {
        if let Some(d) = definition(self.family, name) {
            self.initial.insert(d.name, value.clone());
            self.values.insert(d.name, value);
        }
    }

    /// What is set now is what the session began with: RESET and DEFAULT go back to it.
    pub fn settle(&mut self) {
        self.initial = self.values.clone();
        self.initial_custom = self.custom.clone();
    }

    /// Back to what a fresh session had.
    pub fn reset(&mut self, name: &str) -> Result<Vec<Changed>> {
        self.set(name, None, Scope::Session)
    }

    /// RESET ALL and RESET CONNECTION: everything back; what changed comes back.
    pub fn reset_all(&mut self) -> Vec<Changed> {
        self.custom = self.initial_custom.clone();
        let mut changed = Vec::new();
        for (name, value) in &self.initial {
            if self.values.get(name) != Some(value) {
                changed.push(Changed { name: (*name).to_owned(), value: value.clone(), scope: Scope::Session });
            }
        }
        self.values = self.initial.clone();
        changed
    }

    /// The variables that differ from what the session began with.
    pub fn changed(&self) -> Vec<String> {
        let own = self.values.iter().filter(|(name, value)| self.initial.get(*name) != Some(value)).map(|(name, _)| (*name).to_owned());
        let names = self.custom.keys().chain(self.initial_custom.keys());
        own.chain(names.filter(|name| self.custom.get(*name) != self.initial_custom.get(*name)).cloned()).collect()
    }

    /// All variables, by name; `scope` Global leaves out those that only sessions have.
    pub fn all(&self, scope: Scope) -> Vec<Listed> {
        let mut all: Vec<Listed> = definitions(self.family)
            .iter()
            .filter(|d| scope == Scope::Session || !matches!(d.reach, Reach::Session | Reach::SessionFact))
            .map(|d| {
                let global = self.globals.value(self.family, d);
                let value = if scope == Scope::Session { self.values.get(d.name).unwrap_or(&global) } else { &global };
                Listed {
                    name: d.name.to_owned(),
                    value: value.text(self.family),
                    description: d.description,
                    reach: d.reach,
                    domain: Some(&d.domain),
                    built_in: d.initial().text(self.family),
                    initial: self.initial.get(d.name).unwrap_or(&global).text(self.family),
                }
            })
            .collect();
        all.extend(self.custom.iter().map(|(name, value)| Listed {
            name: name.clone(),
            value: value.clone(),
            description: "",
            reach: Reach::Both,
            domain: None,
            built_in: String::new(),
            initial: self.initial_custom.get(name).cloned().unwrap_or_default(),
        }));
        all.sort_by_cached_key(|v| v.name.to_lowercase());
        all
    }

    /// All variables as the virtual catalogs show them.
    pub fn rows(&self) -> Vec<SettingRow> {
        let all = self.all(Scope::Session).into_iter();
        all.map(|listed| {
            let (vartype, min, max, words) = listed.domain.map_or(("string", None, None, None), Domain::describe);
            let context = match listed.reach {
                Reach::ReadOnly | Reach::SessionFact => "internal",
                Reach::Global => "sighup",
                Reach::Session | Reach::Both => "user",
            };
            SettingRow {
                global: self.global(&listed.name).ok().map(|v| v.text(self.family)),
                name: listed.name,
                value: listed.value,
                built_in: listed.built_in,
                initial: listed.initial,
                description: listed.description.to_owned(),
                context: context.to_owned(),
                vartype: vartype.to_owned(),
                min,
                max,
                words,
            }
        })
        .collect()
    }

    /// The settings that PostgreSQL reports to the client by itself (ParameterStatus), with their values.
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        postgres::REPORTED.iter().filter_map(|name| Some((*name, self.text(name)?))).collect()
    }

    /// The error for a name that is not a variable.
    pub fn unknown(&self, name: &str) -> Error {
        match self.family {
            Family::MySql => Error::new(Kind::UnknownVariable, format!("Unknown system variable '{name}'")),
            Family::Postgres => Error::new(Kind::UnknownVariable, format!("unrecognized configuration parameter \"{name}\"")),
        }
    }

    fn read_only(&self, d: &Definition) -> Error {
        match self.family {
            Family::MySql => Error::new(Kind::ReadOnlyVariable, format!("Variable '{}' is a read only variable", d.name)),
            Family::Postgres => Error::new(Kind::ReadOnlyVariable, format!("parameter \"{}\" cannot be changed", d.name)),
        }
    }

    fn assign(&mut self, name: &'static str, value: Value, scope: Scope) -> Changed {
        match scope {
            Scope::Session => self.values.insert(name, value.clone()),
            Scope::Global => self.globals.of(self.family).write().insert(name, value.clone()),
        };
        Changed { name: name.to_owned(), value, scope }
    }

    fn set_custom(&mut self, name: &str, value: Option<Value>) -> Result<Vec<Changed>> {
        let well_formed = name.split('.').count() >= 2
            && name.split('.').all(|part| {
                part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                    && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
            });
        if self.family == Family::MySql || !well_formed {
            return Err(self.unknown(name));
        }
        let key = name.to_lowercase();
        let text = value.map(|v| v.text(self.family)).or_else(|| self.initial_custom.get(&key).cloned());
        match &text {
            Some(text) => self.custom.insert(key, text.clone()),
            None => self.custom.remove(&key),
        };
        Ok(vec![Changed { name: name.to_owned(), value: Value::Text(text.unwrap_or_default()), scope: Scope::Session }])
    }
}

#[cfg(test)]
mod tests;
