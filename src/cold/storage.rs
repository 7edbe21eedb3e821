//! Where a table's objects lie: the file storage's object store and the prefix under it.

use std::fmt;
use std::sync::Arc;

use datafusion::object_store::{ObjectStore, path::Path};
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::gms::{FileStorage, Gms, Table};
use crate::store::{StorageSpec, Stores};

/// How cold tables are written.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rows after which a file is closed and the next begun.
    pub target_file_rows: u64,
    /// Bytes (encoded) after which a file is closed.
    pub target_file_bytes: u64,
    /// Staged rows of a transaction are kept in memory up to this many bytes, then written to files.
    pub staging_bytes: usize,
    /// OPTIMIZE TABLE merges files with fewer rows than this.
    pub small_file_rows: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { target_file_rows: 1_000_000, target_file_bytes: 256 << 20, staging_bytes: 32 << 20, small_file_rows: 500_000 }
    }
}

/// What every part of this room needs: metadata, stores, settings.
#[derive(Clone)]
pub struct Cold {
    /// Metadata.
    pub gms: Arc<Gms>,
    /// Object stores.
    pub stores: Arc<Stores>,
    /// How files are written.
    pub settings: Arc<Settings>,
}

impl fmt::Debug for Cold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cold").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// One file storage, opened.
#[derive(Clone)]
pub struct OpenedStorage {
    /// Engine name.
    pub engine: String,
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// Under which all its objects lie.
    pub prefix: Path,
}

impl fmt::Debug for OpenedStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.engine, self.prefix)
    }
}

impl OpenedStorage {
    /// The object path of a file name (relative to the storage's root).
    pub fn path(&self, name: &str) -> Path {
        self.prefix.parts().chain(Path::from(name).parts()).collect()
    }

    /// An error of the store about one object of it.
    pub fn error(&self, name: &str, cause: datafusion::object_store::Error) -> Error {
        crate::store::error(&self.engine, name, cause)
    }
}

impl Cold {
    /// Opens the file storage of `engine`; an unregistered one is an error that says how to register it.
    pub fn place(&self, engine: &str) -> Result<OpenedStorage> {
        let catalog = self.gms.catalog();
        let storage = catalog.storage(engine).ok_or_else(|| unknown_storage(engine))?;
        self.place_of(storage)
    }

    /// Opens a file storage.
    pub fn place_of(&self, storage: &FileStorage) -> Result<OpenedStorage> {
        let spec = StorageSpec { engine: storage.engine.clone(), uri: storage.uri.clone(), options: storage.options.clone() };
        let (store, prefix) = self.stores.store_for(&spec)?;
        Ok(OpenedStorage { engine: storage.engine.clone(), store, prefix })
    }

    /// A fresh object name for a file of `table`. Names are never parsed: the GMS says what a file is.
    pub fn new_file_name(&self, table: &Table) -> String {
        let clean = |name: &str| -> String { name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect() };
        format!("{}_{}_{}.orc", clean(&table.database), clean(&table.name), Uuid::new_v4())
    }
}

/// The error for an engine name that no file storage has.
pub fn unknown_storage(engine: &str) -> Error {
    Error::new(Kind::UnknownFileStorage, format!("Unknown file storage '{engine}'"))
        .with_hint("SHOW FILESTORAGE lists them; CREATE FILESTORAGE registers one")
}
