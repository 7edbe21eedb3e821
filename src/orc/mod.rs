//! The file format of cold tables: Apache ORC, version 1.
//!
//! [`Writer`] turns record batches into the bytes of a standard ORC file; [`OrcFile`] opens a file of any writer and
//! streams its columns, leaving out stripes and row groups that a filter rules out. The layout is that of the ORC
//! specification (<https://orc.apache.org/specification/ORCv1/>); its messages come from `orc_rust::proto`.
//!
//! Owns bytes only: it knows no tables, no SQL and no versions. What comes from a file is never trusted: every length
//! is checked against the file and every block against the block size, and damage is an error that names the file.

mod bloom;
mod calendar;
mod codec;
mod damage;
mod decode;
mod encode;
mod file;
mod fuzz;
mod object;
mod prune;
mod scan;
mod schema;
mod stats;
mod stripe;
mod tail;
#[cfg(test)]
mod tests;
mod units;
mod writer;
mod zone;

pub use file::OrcFile;
pub use fuzz::fuzz_decode;
pub use scan::{ScanColumn, ScanRequest};
pub use writer::{Compression, WriteOptions, Writer};
