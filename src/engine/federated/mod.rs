//! Hot tables in a query: what the upstream can filter is asked of it, and the rows are here before the query begins.
//!
//! There is one connection, the client's own, and it answers one request after the other; so hot tables are fetched one after
//! the other, each whole.
//!
//! - `table`: the table provider, and the query that is sent for it
//! - `predicate`: filters as SQL text for the upstream
//! - `scan`: the physical node; `rows`: its rows in memory and in files
//! - `semi_join_pushdown`: a join whose other side turns out to have few keys asks for the rows of those keys only;
//!   `join_keys`: the values of a key; `buffered_input`: the input of which they were read

mod buffered_input;
mod join_keys;
mod predicate;
mod rows;
mod scan;
mod semi_join_pushdown;
mod table;

pub(super) use self::scan::{HotScan, scans};
pub(super) use self::semi_join_pushdown::fetch_hot_rows;
pub(super) use self::table::HotTable;
use crate::upstream::{HiddenNames, UpstreamHandle};

/// The way to the hot tables of a statement.
#[derive(Debug, Clone)]
pub struct HotAccess {
    /// The client's own connection.
    pub upstream: UpstreamHandle,
    /// Names without a qualifier that are the upstream's.
    pub hidden: HiddenNames,
}
