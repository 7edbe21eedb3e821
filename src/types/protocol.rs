//! The two protocols that clients speak.

use super::Family;

/// Which wire a client came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    MySql,
    Postgres,
}

impl Protocol {
    /// The language that goes with it.
    pub fn family(self) -> Family {
        match self {
            Protocol::MySql => Family::MySql,
            Protocol::Postgres => Family::Postgres,
        }
    }

    /// For metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Protocol::MySql => "mysql",
            Protocol::Postgres => "postgres",
        }
    }
}
