//! Constants of the format.

/// Seconds from 1970 to 2015-01-01 00:00:00 UTC, from which ORC counts timestamps.
pub(super) const ORC_EPOCH: i64 = 1_420_070_400;
/// Microseconds in a second.
pub(super) const MICROS: i64 = 1_000_000;

/// The first and the last bytes of a file.
pub(super) const MAGIC: &str = "ORC";
