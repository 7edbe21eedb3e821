//! Column statistics of a file: what a query prunes by before it opens the file.

use serde::{Deserialize, Serialize};

/// Longest text or byte string kept as a bound; longer ones are cut (a maximum is rounded up).
pub const MAX_BOUND_BYTES: usize = 64;

/// Statistics of one file, by column id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FileStats {
    /// One entry for each column that has statistics.
    pub columns: Vec<ColumnStats>,
}

/// Statistics of one column within one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnStats {
    /// The column's id within its table.
    pub id: u32,
    /// No value is smaller; None: unknown or all NULL.
    pub min: Option<Bound>,
    /// No value is larger; None: unknown or all NULL.
    pub max: Option<Bound>,
    /// Number of NULLs.
    pub nulls: u64,
}

/// A bound of a column's values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Bound {
    /// Signed integers; booleans (0, 1); dates, times and timestamps in the unit of their Arrow type.
    Int(i64),
    /// Unsigned integers.
    UInt(u64),
    /// Floats; never NaN.
    Float(f64),
    /// The unscaled value of a decimal.
    Decimal(i128),
    /// Text, cut to [`MAX_BOUND_BYTES`].
    Text(String),
    /// Bytes, cut to [`MAX_BOUND_BYTES`].
    Bytes(Vec<u8>),
}

impl FileStats {
    /// The statistics of the column with this id.
    pub fn column(&self, id: u32) -> Option<&ColumnStats> {
        self.columns.iter().find(|c| c.id == id)
    }
}
