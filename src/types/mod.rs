//! SQL types of cold columns: one set for both dialects, each with its Arrow form.
//!
//! A column's declaration travels through the engine as metadata of its Arrow field ([`meta`]), so that a result
//! column still knows its table, its declared name and its exact SQL type when a wire describes it.

pub mod coerce;
mod column;
mod name;
mod protocol;
pub mod rows;
mod sql_type;
mod stats;

pub use coerce::Family;
pub use column::{Column, ColumnInfo, Default, Origin, meta};
pub use name::{fold, like, same};
pub use protocol::Protocol;
pub use sql_type::{MAX_DECIMAL_PRECISION, SqlType, UTC};
pub use stats::{Bound, ColumnStats, FileStats, MAX_BOUND_BYTES};
