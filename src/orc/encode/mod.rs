//! From Arrow arrays to ORC streams, a row group at a time.

mod byte;
mod column;
mod int;
mod strings;

pub(super) use column::ColumnEncoder;
#[cfg(test)]
pub(super) use int::encode as int_runs;
