//! One client: its state, and running one statement for either protocol.
//!
//! A wire opens a [`Session`] once the client is authenticated, hands it text and parameters, and encodes the
//! [`Reply`]. A session knows no packets; what differs between MySQL and PostgreSQL sessions hangs on its dialect.
//!
//! [`execute`](Session::execute) only dispatches; each family of statements has a file of its own.

mod alter;
mod batch;
mod call;
mod client;
mod copy;
mod cursors;
mod ddl;
mod diagnostics;
mod execute;
mod explain;
mod file_storage;
mod files;
mod flashgate;
mod guard;
mod hot;
mod insert;
mod metadata;
mod named_tables;
mod ownership;
mod parsing;
mod prepared;
mod preview;
mod purge;
mod query;
mod recycle_bin;
mod reply;
mod rewrite;
mod rights;
mod rows;
mod settings;
mod shadow;
pub mod show;
mod shown;
mod speculation;
mod stand_ins;
mod state;
mod texts;
mod times;
mod transactions;
mod upstream_session;
mod views;

pub use crate::upstream::HiddenNames;
pub use client::{Client, Description, Status};
pub use diagnostics::{NOTE, Notice};
pub use ownership::Owner;
pub use reply::{Chunk, CopyFormat, CopyIn, CopyLayout, CopyOut, CopySink, LoadData, Outcome, PostgresCopy, Reply, Rows};
pub use settings::Change;
pub use state::Session;
pub use texts::{Piece, may_own};
pub use upstream_session::{Answer, Principal, UpstreamSession};

pub use crate::sql::Parsed;
