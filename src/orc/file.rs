//! An opened ORC file: what its tail says.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use object_store::ObjectStore;
use object_store::path::Path;

use super::object::Object;
use super::prune::column_stats;
use super::schema::FileColumn;
use super::tail::{self, Tail};
use crate::error::{Error, Result};
use crate::types::{FileStats, SqlType};

/// An opened file: its tail is read and checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OrcFile {
    pub(super) object: Object,
    pub(super) tail: Arc<Tail>,
}

impl OrcFile {
    /// Opens a file of a cold table, whose `size` the metadata knows. Reads the tail: one request, or none when the file
    /// was open lately. A missing, cut off or foreign file, or one of another size, is an error of kind `Storage` that
    /// names it; a part of the format that is not read here one of kind `Unsupported`.
    pub async fn open(store: Arc<dyn ObjectStore>, path: &Path, size: Option<u64>) -> Result<OrcFile> {
        OrcFile::of(Object::own(store, path), size).await
    }

    /// Opens a file that others wrote and may replace: nothing of it is cached, and each read of it is an error when it is
    /// not the object any more that it was here. `uri` is what errors call it.
    pub async fn open_foreign(store: Arc<dyn ObjectStore>, path: &Path, uri: &str) -> Result<OrcFile> {
        OrcFile::of(Object::foreign(store, path, uri).await?, None).await
    }

    async fn of(object: Object, size: Option<u64>) -> Result<OrcFile> {
        let tail = tail::read(&object, size).await?;
        Ok(OrcFile { object, tail })
    }

    /// An error when a foreign file was replaced since it was opened. Belongs after the last batch of a scan.
    pub async fn check_unchanged(&self) -> Result<()> {
        self.object.check_unchanged().await
    }

    /// Where it lies in its store.
    pub fn path(&self) -> &Path {
        &self.object.path
    }

    /// The columns that are not nested, by their names in the file, with the types of their declaration (our files) or
    /// the nearest ones (others).
    pub fn schema(&self) -> SchemaRef {
        self.tail.schema.clone()
    }

    /// Names and SQL types of all columns; the error of one whose type cannot be read here (a nested one). What
    /// `ADD FILE` goes by.
    pub fn foreign_columns(&self) -> Vec<(String, Result<SqlType>)> {
        let refused = |column: &FileColumn| {
            Error::unsupported(format!("column '{}' of ORC file '{}': the type {}", column.name, self.object.name(), column.type_name()))
        };
        self.tail.columns.iter().map(|column| (column.name.clone(), column.sql_type().ok_or_else(|| refused(column)))).collect()
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.tail.rows
    }

    /// Number of stripes: what a scan can be split into.
    pub fn stripes(&self) -> usize {
        self.tail.stripes.len()
    }

    /// Rows of each stripe.
    pub fn stripe_rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.tail.stripes.iter().map(|s| s.rows)
    }

    /// Was it written by Flashgate?
    pub fn is_ours(&self) -> bool {
        self.tail.written_here
    }

    /// A value of the file's user metadata.
    pub fn metadata(&self, name: &str) -> Option<&[u8]> {
        self.tail.user.get(name).map(Vec::as_slice)
    }

    /// Statistics of the whole file, for a file that another writer made: for each (column id, name in the file, wanted
    /// type). Columns without statistics are left out.
    pub fn stats(&self, columns: &[(u32, String, DataType)]) -> FileStats {
        let find = |name: &str| self.tail.columns.iter().find(|c| c.name == name);
        let stats = columns.iter().filter_map(|(id, name, want)| column_stats(&self.tail, find(name)?, *id, want));
        FileStats { columns: stats.collect() }
    }
}
