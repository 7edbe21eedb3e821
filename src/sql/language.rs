//! The language of a session's text, and what of the session decides how it is read.

pub use super::server::Server;
pub use crate::types::Family;

/// The variable that holds the session's read time.
pub const READ_TIME: &str = "flashback_read_time";

/// How a session's text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// The language.
    pub family: Family,
    /// MySQL's ANSI_QUOTES: "double quotes" are names, not strings.
    pub ansi_quotes: bool,
    /// MySQL's NO_BACKSLASH_ESCAPES, PostgreSQL's standard_conforming_strings: a backslash in a string is a backslash.
    pub no_backslash_escapes: bool,
    /// MySQL's PIPES_AS_CONCAT: `||` joins texts, and binds as tight.
    pub pipes_as_concat: bool,
    /// MySQL: the server whose `/*! .. */` comments are code.
    pub server: Server,
}

impl Dialect {
    /// MySQL with its default sql_mode.
    pub const MYSQL: Dialect =
        Dialect { family: Family::MySql, ansi_quotes: false, no_backslash_escapes: false, pipes_as_concat: false, server: Server::OWN };
    /// PostgreSQL.
    pub const POSTGRES: Dialect =
        Dialect { family: Family::Postgres, ansi_quotes: true, no_backslash_escapes: true, pipes_as_concat: true, server: Server::OWN };

    /// Is it MySQL's language?
    pub fn is_mysql(&self) -> bool {
        self.family == Family::MySql
    }
}
