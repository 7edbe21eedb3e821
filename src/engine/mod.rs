//! A query at a read time.
//!
//! Every query gets a catalog of its own: each table reference is resolved to a snapshot at its read time and registered
//! under a private name, so that one query may hold the same table at several times. DataFusion plans and runs the rest.
//! What differs between the dialects lives in [`dialect`] and [`functions`]; what clients ask about the server itself in
//! [`catalog`]. The engine changes nothing: writes go through [`crate::cold`].
//!
//! - `environment`: what a statement sees of its session; `context`: the engine of the process
//! - `resolve`: each name of a query to a table and a time; `query`: from the syntax tree to rows; `explain`
//! - `rules`: rules over logical plans; `execution`: rules and nodes of physical plans
//! - `federated`: hot tables, whose rows come from the upstream

pub mod catalog;
mod context;
pub mod dialect;
mod environment;
mod error;
mod execution;
mod explain;
mod federated;
pub mod functions;
mod labels;
mod names;
pub mod parameters;
mod query;
mod resolve;
mod rules;

pub use context::{Engine, Resources};
pub use dialect::called;
pub use environment::{Environment, ReadTime, TimeOrigin, VirtualTables};
pub use error::translate;
pub use execution::cancellation::{ENDS, Ends, too_late};
pub use explain::{ExplainLine, explain_lines};
pub use federated::HotAccess;
pub use names::{Located, Namespace};
pub use query::{Planned, Ready, Running};
pub(crate) use resolve::unknown_table;
pub use resolve::{Reference, TABLE_PREFIX, TARGET_MARK};
