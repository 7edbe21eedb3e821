//! A query at a read time.
//!
//! Every query gets a catalog of its own: each table reference is resolved to a snapshot at its read time and registered
//! under a private name, so that one query may hold the same table at several times. DataFusion plans and runs the rest.
//! What differs between the dialects lives in [`dialect`] and [`functions`]; what clients ask about the server itself in
//! [`catalog`]. The engine changes nothing: writes go through [`crate::cold`].

mod branch_order;
pub mod catalog;
mod coerced;
mod common_types;
mod context;
pub mod dialect;
mod error;
mod explain;
mod fraction;
pub mod functions;
mod hot;
mod labels;
mod membership;
mod mixed_types;
mod moments;
mod names;
mod outer_types;
pub mod parameters;
mod pushdown;
mod query;
mod quotients;
mod resolve;
mod single_rows;
mod sorting;
mod stopping;
mod value_keys;
mod yielding;

pub use context::{Engine, Environment, ReadTime, Resources, TimeOrigin, VirtualTables, called};
pub use error::translate;
pub use explain::{ExplainLine, explain_lines};
pub use hot::HotAccess;
pub use names::{Located, Namespace};
pub use query::{Planned, Ready, Running};
pub(crate) use resolve::unknown_table;
pub use resolve::{Reference, TABLE_PREFIX, TARGET_MARK};
pub use stopping::{ENDS, Ends, too_late};
