//! What is wrong with a file's bytes, before it is known which file they are of.

use object_store::path::Path;

use crate::error::{Error, Kind};

/// A file that is damaged or not ours to read. Turned into an [`Error`] by whoever knows the file's name.
#[derive(Debug, Clone)]
pub(super) struct Damage(pub(super) String);

/// Damage, described.
pub(super) fn damaged(what: impl Into<String>) -> Damage {
    Damage(what.into())
}

impl Damage {
    /// The error a user sees.
    pub(super) fn of(self, path: &Path) -> Error {
        Error::new(Kind::Storage, format!("ORC file '{path}' cannot be read: {}", self.0))
            .with_hint("the file is damaged or not an ORC file; restore it from a backup or remove it from the table")
    }
}

impl From<datafusion::arrow::error::ArrowError> for Damage {
    fn from(error: datafusion::arrow::error::ArrowError) -> Damage {
        Damage(error.to_string())
    }
}

/// The error for a store that did not give the bytes asked for.
pub(super) fn store_error(error: object_store::Error, path: &Path) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::new(Kind::Storage, format!("ORC file '{path}' is missing"))
            .with_hint("the store has lost an object that the metadata still lists; restore it from a backup"),
        other => Error::new(Kind::Storage, format!("ORC file '{path}' cannot be read: {other}")),
    }
}
