//! The language: our statements, parser, printer, AS OF clauses, time expressions.
//!
//! Owns the step from text to [`Statement`] and back, for both dialects. Ordinary queries are sqlparser's work; this
//! room takes time clauses out of the token stream before sqlparser sees it, and reads the statements that are ours.
//! It never looks at a catalog, a session or a clock.
//!
//! [`outline`] tells which tables a text names, without parsing it. Else a text goes through [`parse`]: `lexer` (tokens, quotes, comments, hints, parameters), `parse` (which statement?),
//! then `as_of` for queries and changes or the file of the statement's family; [`time::evaluate`] makes a clause a time.

pub use datafusion::sql::sqlparser::ast;

mod admin;
mod as_of;
mod build;
pub mod bulk;
mod characters;
mod column;
mod copy;
mod create_table;
mod cursor;
mod cursors;
mod data_type;
pub mod ddl;
mod dialect;
mod errors;
mod file_storage;
mod fuzz;
pub mod grant;
mod grants;
pub mod interval;
pub mod language;
mod lexer;
mod moment;
mod outline;
mod parse;
mod prepare;
mod print_ddl;
mod print_flashgate;
pub mod printer;
mod queries;
pub mod query;
mod rebalance;
mod recycle;
pub mod scan;
mod server;
mod set;
mod show;
mod stand_in;
pub mod statement;
mod table;
pub mod time;
mod tokens;
mod transaction;
mod view;
pub mod walk;

pub use as_of::{TSO_MARK, table_clause};
pub use characters::Characters;
pub use ddl::*;
pub use fuzz::fuzz_decode;
pub use outline::{Outline, outline};
pub use parse::{behind, parse, parse_leading, user_variables};
pub use statement::*;

/// Longer texts are heavy to read, in bytes.
pub const LONG_TEXT: usize = 16 << 10;

#[cfg(test)]
mod clause_tests;
#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod scan_tests;
#[cfg(test)]
mod time_tests;
