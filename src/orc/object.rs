//! The object that a file's bytes come from: one of a cold table, which never changes under its name, or one that others
//! wrote, which may change at any moment. Owns the reads of both and the sentences for what is wrong with them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt, coalesce_ranges};

use super::damage::{Damage, Sort, damaged};
use crate::error::{Error, Kind, Result};
use crate::store::scrub;

/// An object, and whether Flashgate or another program wrote it.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    /// None: a file of a cold table.
    foreign: Option<Arc<Foreign>>,
}

/// An object that others wrote.
#[derive(Debug)]
struct Foreign {
    /// What the user calls it, fit for messages.
    uri: String,
    /// As it was first seen. Every read has to find it so.
    seen: ObjectMeta,
}

impl Object {
    /// An object of a cold table.
    pub(super) fn own(store: Arc<dyn ObjectStore>, path: &Path) -> Object {
        Object { store, path: path.clone(), foreign: None }
    }

    /// An object that others wrote, as it is now.
    pub(super) async fn foreign(store: Arc<dyn ObjectStore>, path: &Path, uri: &str) -> Result<Object> {
        let uri = scrub(uri);
        let seen = store.head(path).await.map_err(|e| foreign_error(e, &uri))?;
        Ok(Object { store, path: path.clone(), foreign: Some(Arc::new(Foreign { uri, seen })) })
    }

    /// Its size, when it is known without asking the metadata: that of a foreign object.
    pub(super) fn foreign_size(&self) -> Option<u64> {
        self.foreign.as_ref().map(|foreign| foreign.seen.size)
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    /// What messages call it.
    pub(super) fn name(&self) -> &str {
        self.foreign.as_ref().map_or(self.path.as_ref(), |foreign| &foreign.uri)
    }

    /// Some of its bytes, and what the store says of it.
    pub(super) async fn get(&self, range: GetRange) -> Result<(ObjectMeta, Bytes)> {
        let mut options = GetOptions { range: Some(range), ..Default::default() };
        if let Some(foreign) = &self.foreign {
            match &foreign.seen.e_tag {
                Some(tag) => options.if_match = Some(tag.clone()),
                None => options.if_unmodified_since = Some(foreign.seen.last_modified),
            }
        }
        let got = self.store.get_opts(&self.path, options).await.map_err(|e| self.store_error(e))?;
        self.compare(&got.meta)?;
        let meta = got.meta.clone();
        Ok((meta, got.bytes().await.map_err(|e| self.store_error(e))?))
    }

    /// The bytes of each range, none of which is empty. Near ranges are one request.
    pub(super) async fn get_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if self.foreign.is_none() {
            return self.store.get_ranges(&self.path, ranges).await.map_err(|e| self.store_error(e));
        }
        let fetch = |range: Range<u64>| async move {
            let length = range.end - range.start;
            let (_, bytes) = self.get(GetRange::Bounded(range)).await?;
            if bytes.len() as u64 == length { Ok(bytes) } else { Err(self.short()) }
        };
        coalesce_ranges(ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    /// Is a foreign object still what it was at first? For the end of reading it: a store that is a directory hands out
    /// bytes that were written after the read began.
    pub(super) async fn check_unchanged(&self) -> Result<()> {
        if self.foreign.is_none() {
            return Ok(());
        }
        let now = self.store.head(&self.path).await.map_err(|e| self.store_error(e))?;
        self.compare(&now)
    }

    fn compare(&self, now: &ObjectMeta) -> Result<()> {
        let Some(foreign) = &self.foreign else { return Ok(()) };
        let seen = &foreign.seen;
        let same = (now.size, &now.e_tag, &now.version) == (seen.size, &seen.e_tag, &seen.version);
        // A tag says more than a time, whose fraction some answers of a store leave out.
        if same && (seen.e_tag.is_some() || now.last_modified == seen.last_modified) { Ok(()) } else { Err(self.replaced()) }
    }

    fn replaced(&self) -> Error {
        Error::new(Kind::Storage, format!("ORC file '{}' was replaced while it was read", self.name()))
            .with_hint("nothing was added; run the statement again when nobody writes the file")
    }

    /// The error for a store that did not give the bytes asked for.
    pub(super) fn store_error(&self, error: object_store::Error) -> Error {
        match (&self.foreign, error) {
            (Some(_), object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }) => self.replaced(),
            (Some(foreign), other) => foreign_error(other, &foreign.uri),
            (None, object_store::Error::NotFound { .. }) => Error::new(Kind::Storage, format!("ORC file '{}' is missing", self.path))
                .with_hint("the store has lost an object that the metadata still lists; restore it from a backup"),
            (None, other) => Error::new(Kind::Storage, format!("ORC file '{}' cannot be read: {other}", self.path)),
        }
    }

    /// The store gave another number of bytes than asked for.
    pub(super) fn short(&self) -> Error {
        self.error(damaged("the store gave fewer bytes than asked for"))
    }

    /// An object of a cold table that has another size than the metadata says.
    pub(super) fn other_size(&self, real: u64, known: u64) -> Error {
        Error::new(Kind::Storage, format!("ORC file '{}' has {real} bytes; the metadata says {known}", self.path))
            .with_hint("the object was cut off or replaced; restore it from a backup")
    }

    /// The error a user sees.
    pub(super) fn error(&self, damage: Damage) -> Error {
        let name = self.name();
        let place = match (&damage.column, damage.row) {
            (Some(column), Some(row)) => format!("column '{column}' in row {}: ", row.saturating_add(1)),
            (Some(column), None) => format!("column '{column}': "),
            _ => String::new(),
        };
        let text = format!("ORC file '{name}' cannot be read: {place}{}", damage.what);
        let (kind, hint) = match (damage.sort, self.is_foreign()) {
            // We write nothing that we do not read.
            (_, false) => (Kind::Storage, "the file is damaged or not an ORC file; restore it from a backup or remove it from the table"),
            (Sort::Unsupported(hint), true) => (Kind::Unsupported, hint),
            (Sort::Broken, true) => {
                (Kind::Storage, "the file is damaged or was not written to its end; write it again where it comes from")
            }
            (Sort::Empty, true) => {
                (Kind::Storage, "a file of 0 bytes holds no rows and no columns; leave it out, or write it again where it comes from")
            }
            (Sort::NotOrc, true) => {
                (Kind::Storage, "ADD FILE reads Apache ORC files only; convert the file, or load it with COPY or LOAD DATA")
            }
            (Sort::Value(Kind::InvalidCharacter), true) => {
                (Kind::InvalidCharacter, "a column of bytes (BLOB, bytea) takes any text; or convert the file to UTF-8")
            }
            (Sort::Value(kind), true) => (kind, "leave the row or the column out where the file is written"),
        };
        Error::new(kind, text).with_hint(hint)
    }
}

fn foreign_error(error: object_store::Error, uri: &str) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::new(Kind::Storage, format!("there is no file '{uri}'")).with_hint(
            "check the spelling, and that the table's file storage is where the file is; 'folder/' means all files of a folder, \
             'folder/*.orc' those that match",
        ),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            Error::new(Kind::Storage, format!("file '{uri}': access denied: {}", scrub(&error.to_string())))
                .with_hint("the file is opened with the credentials of the table's file storage")
        }
        other => Error::new(Kind::Storage, format!("file '{uri}' cannot be read: {}", scrub(&other.to_string()))),
    }
}
