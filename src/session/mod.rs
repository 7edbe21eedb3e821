//! One client: its state, and running one statement for either protocol.
//!
//! A wire opens a [`Session`] once the client is authenticated, hands it text and parameters, and encodes the
//! [`Reply`]. A session knows no packets; what differs between MySQL and PostgreSQL sessions hangs on its dialect.
//!
//! Its parts, each with its own state: `settings` (variables, zone, database, read time), `transactions`, `prepared` statements, `cursors`,
//! `diagnostics` (warnings, counts), `upstream` (what is known of the client's session at the upstream), `speculation` (plans made ahead).
//! `state` composes them.
//!
//! [`execute`](Session::execute) only dispatches; each family of statements has a file or folder of its own: `query`, `changes`, `ddl`,
//! `storage`, `show`, `rights`.

mod call;
mod changes;
mod client;
mod constants;
mod cursors;
mod ddl;
mod diagnostics;
mod execute;
mod explain;
mod last_parsed;
mod named_tables;
mod ownership;
mod prepared;
mod query;
mod reply;
mod result_set;
mod rights;
mod settings;
pub mod show;
mod show_flashgate;
mod show_statements;
mod speculation;
mod state;
mod statement_guard;
mod storage;
mod tables;
mod texts;
mod time_clauses;
mod transactions;
mod upstream;
mod virtual_tables;

pub use crate::upstream::HiddenNames;
pub use client::{Client, Description, Status};
pub use diagnostics::{NOTE, Notice};
pub use ownership::Owner;
pub use reply::{Chunk, CopyFormat, CopyIn, CopyLayout, CopyOut, CopySink, LoadData, Outcome, PostgresCopy, Reply, Rows};
pub use settings::Change;
pub use state::Session;
pub use texts::{Piece, may_own};
pub use upstream::{Answer, Principal, STAND_IN_COMMENT, UpstreamSession};

pub use crate::sql::Parsed;
