//! One client: its state, and running one statement for either protocol.
//!
//! A wire opens a [`Session`] once the client is authenticated, hands it text and parameters, and encodes the
//! [`Reply`]. A session knows no packets; what differs between MySQL and PostgreSQL sessions hangs on its dialect.
//!
//! [`execute`](Session::execute) only dispatches; each family of statements has a file of its own.

mod alter;
mod batch;
mod copy;
mod cursors;
mod ddl;
mod execute;
mod explain;
mod file_storage;
mod files;
mod flashgate;
mod guard;
mod hot;
mod insert;
mod local;
mod metadata;
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
mod set_config;
mod settings;
mod shadow;
pub mod show;
mod shown;
mod speculative_plan;
mod stand_ins;
mod state;
mod texts;
mod times;
mod transaction;
mod upstream_session;
mod views;

pub use crate::upstream::HiddenNames;
pub use ownership::Owner;
pub use reply::{Chunk, CopyFormat, CopyIn, CopyLayout, CopyOut, CopySink, LoadData, Outcome, PostgresCopy, Reply, Rows};
pub use rights::Principal;
pub use stand_ins::Answer;
pub use state::{Change, Client, Description, NOTE, Notice, Session, Status};
pub use texts::{Piece, may_own};
pub use upstream_session::UpstreamSession;

pub use crate::sql::Parsed;
