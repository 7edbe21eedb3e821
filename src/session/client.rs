//! Who connected, and what a wire reports about the session.

use crate::types::{ColumnInfo, Protocol, SqlType};

/// Who connected. Built by a wire after authentication.
#[derive(Debug, Clone)]
pub struct Client {
    /// Which wire.
    pub protocol: Protocol,
    /// Address.
    pub peer: String,
    /// User name.
    pub user: String,
    /// The database that the client asked for.
    pub database: Option<String>,
    /// PostgreSQL's start-up parameters; MySQL's connection attributes.
    pub settings: Vec<(String, String)>,
    /// Is the connection encrypted?
    pub tls: bool,
    /// The id that the wire has told the client already, from [`crate::node::Registry::next_id`].
    pub id: Option<u32>,
}

/// What a wire reports with each answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// A transaction is open (not an implicit one).
    pub in_transaction: bool,
    /// The transaction has failed (PostgreSQL).
    pub failed: bool,
    /// MySQL's autocommit.
    pub autocommit: bool,
    /// The open transaction is read only.
    pub read_only: bool,
    /// sql_mode has NO_BACKSLASH_ESCAPES.
    pub no_backslash_escapes: bool,
}

/// The parameters and columns of a statement.
#[derive(Debug, Clone)]
pub struct Description {
    /// Types of its parameters.
    pub params: Vec<SqlType>,
    /// Its columns; None: no result set.
    pub columns: Option<Vec<ColumnInfo>>,
}
