//! What a variable is: its name, the values it takes, who may set it.

use super::Value;

/// Who may set a variable, and where it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Nobody; the same for all sessions.
    ReadOnly,
    /// Nobody; each session has its own.
    SessionFact,
    /// SET GLOBAL only.
    Global,
    /// Sessions only.
    Session,
    /// Sessions, and globally for those to come.
    Both,
}

/// The values that a variable takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Domain {
    /// ON, OFF, 1, 0, true, false (PostgreSQL also yes, no).
    Bool,
    /// A whole number within bounds; MySQL cuts to the bounds, PostgreSQL refuses.
    Int { min: i64, max: i64 },
    /// A whole number without sign, within bounds.
    UInt { min: u64, max: u64 },
    /// A number.
    Float { min: f64, max: f64 },
    /// Any text.
    Text,
    /// One of these words, compared without case; MySQL takes the index too.
    Enum(&'static [&'static str]),
    /// MySQL's sql_mode: a list of modes.
    SqlMode,
    /// A time zone.
    Zone,
    /// One of our character sets; NULL too when true.
    Charset { nullable: bool },
    /// One of our collations.
    Collation,
    /// PostgreSQL: a duration in milliseconds, written with or without a unit.
    Millis { max: i64 },
    /// PostgreSQL: a size in kilobytes, written with or without a unit.
    Kilobytes { min: i64, max: i64 },
    /// PostgreSQL's DateStyle.
    DateStyle,
    /// PostgreSQL's client_encoding: only UTF8.
    Encoding,
}

impl Domain {
    /// As pg_settings describes it: vartype, smallest and largest value, words.
    pub fn describe(&self) -> (&'static str, Option<String>, Option<String>, Option<Vec<String>>) {
        let bounds = |a: String, b: String| (Some(a), Some(b));
        match self {
            Domain::Bool => ("bool", None, None, None),
            Domain::Enum(words) => ("enum", None, None, Some(words.iter().map(|w| (*w).to_owned()).collect())),
            Domain::Int { .. } | Domain::UInt { .. } | Domain::Millis { .. } | Domain::Kilobytes { .. } => {
                let (min, max) = match self {
                    Domain::Int { min, max } | Domain::Kilobytes { min, max } => bounds(min.to_string(), max.to_string()),
                    Domain::UInt { min, max } => bounds(min.to_string(), max.to_string()),
                    Domain::Millis { max } => bounds("0".into(), max.to_string()),
                    _ => (None, None),
                };
                ("integer", min, max, None)
            }
            Domain::Float { min, max } => ("real", Some(min.to_string()), Some(max.to_string()), None),
            _ => ("string", None, None, None),
        }
    }
}

/// A variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its own name, case as MySQL or PostgreSQL lists it.
    pub name: &'static str,
    /// The values it takes.
    pub domain: Domain,
    /// Who may set it.
    pub reach: Reach,
    /// The built-in value, as text.
    pub default: &'static str,
    /// One sentence for SHOW ALL.
    pub description: &'static str,
}

impl Definition {
    /// A row of a table of definitions.
    pub const fn new(name: &'static str, domain: Domain, reach: Reach, default: &'static str, description: &'static str) -> Self {
        Definition { name, domain, reach, default, description }
    }

    /// The built-in value.
    pub fn initial(&self) -> Value {
        let text = || Value::Text(self.default.to_owned());
        match self.domain {
            Domain::Bool => Value::Bool(matches!(self.default, "1" | "ON" | "on")),
            Domain::Int { .. } => self.default.parse().map_or_else(|_| text(), Value::Int),
            Domain::UInt { .. } => self.default.parse().map_or_else(|_| text(), Value::UInt),
            Domain::Float { .. } => self.default.parse().map_or_else(|_| text(), Value::Float),
            _ => text(),
        }
    }
}
