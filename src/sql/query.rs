//! A query with its time clause, and how a statement that could destroy something is to be run.

use super::ast;

/// A time clause: `AS OF TIMESTAMP e`, `AS OF TSO e` and their other spellings.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeClause {
    /// How the expression is to be read.
    pub kind: TimeKind,
    /// A constant expression, not yet evaluated (see [`super::time::evaluate`]).
    pub expr: ast::Expr,
}

/// What the expression of a time clause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeKind {
    /// A moment, in the session's zone unless it says its own.
    Timestamp,
    /// A TSO: a number.
    Tso,
}

/// A query with its statement-level time clause. Table-level clauses stand in the tree as
/// `TableFactor::Table { version }`; read them with [`super::table_clause`].
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The tree.
    pub query: Box<ast::Query>,
    /// For every cold table of the query that has no clause of its own.
    pub as_of: Option<TimeClause>,
}

/// Do it, say what it would do, or do it against the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    Do,
    Preview,
    Force,
}
