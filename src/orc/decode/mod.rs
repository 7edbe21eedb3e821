//! From ORC streams to Arrow arrays.
//!
//! Our own decoders, not orc-rust's: those inflate through `unwrap`, so that damaged bytes panic; they pass over a row
//! group by decoding it; and they fail on timestamps with nanoseconds when asked for microseconds.

mod byte;
mod column;
mod int;
mod timestamp;

pub(super) use column::{ColumnReader, ColumnSource};
