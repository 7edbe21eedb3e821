//! What is wrong with a file's bytes, before it is known which file they are of.

use crate::error::Kind;

/// Why a file, or a value of it, cannot be read. Turned into an [`Error`](crate::error::Error) by the
/// [`Object`](super::object::Object) it was read from, which knows its name and its owner.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    pub(super) what: String,
    pub(super) sort: Sort,
    /// The column it is in, by its name in the file.
    pub(super) column: Option<String>,
    /// The row it is in: counted from 0, at first among the values of one read.
    pub(super) row: Option<u64>,
}

/// What can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// Bytes that are not what the format says.
    Broken,
    /// No byte at all.
    Empty,
    /// Another format.
    NotOrc,
    /// A part of the format that we do not read, and how to do without it.
    Unsupported(&'static str),
    /// A value that nothing here can hold, with the kind of the error that an INSERT of it gives.
    Value(Kind),
}

/// Bytes that are not what the format says, described.
pub(super) fn damaged(what: impl Into<String>) -> Damage {
    Damage::new(Sort::Broken, what)
}

impl Damage {
    pub(super) fn new(sort: Sort, what: impl Into<String>) -> Damage {
        Damage { what: what.into(), sort, column: None, row: None }
    }

    /// At the value with this number among those of one read, from 0.
    pub(super) fn at(self, row: usize) -> Damage {
        Damage { row: Some(row as u64), ..self }
    }

    /// In this column of the file; the rows of the read began at `first_row` of the file.
    pub(super) fn within(mut self, column: &str, first_row: u64) -> Damage {
        self.row = self.row.map(|row| first_row.saturating_add(row));
        self.column.get_or_insert_with(|| column.to_owned());
        self
    }
}

impl From<datafusion::arrow::error::ArrowError> for Damage {
    fn from(error: datafusion::arrow::error::ArrowError) -> Damage {
        damaged(error.to_string())
    }
}
