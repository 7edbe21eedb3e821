//! An opened ORC file: what its tail says.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use object_store::ObjectStore;
use object_store::path::Path;

use super::prune::column_stats;
use super::tail::{self, Tail};
use crate::error::{Error, Result};
use crate::types::{FileStats, SqlType};

/// An opened file: its tail is read and checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OrcFile {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) tail: Arc<Tail>,
}

impl OrcFile {
    /// Reads the tail: one request, or none when the file was open lately and its `size` is given. A missing, cut off,
    /// foreign or encrypted file, or one of another size, is an error of kind `Storage` that names it.
    pub async fn open(store: Arc<dyn ObjectStore>, path: &Path, size: Option<u64>) -> Result<OrcFile> {
        let tail = tail::read(store.as_ref(), path, size).await?;
        Ok(OrcFile { store, path: path.clone(), tail })
    }

    /// Where it lies in its store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The columns that are not nested, by their names in the file, with the types of their declaration (our files) or
    /// the nearest ones (others).
    pub fn schema(&self) -> SchemaRef {
        self.tail.schema.clone()
    }

    /// Names and SQL types of all columns; an error for a file with nested ones. What `ADD FILE` goes by.
    pub fn foreign_schema(&self) -> Result<Vec<(String, SqlType)>> {
        self.tail
            .columns
            .iter()
            .map(|column| match column.sql_type() {
                Some(ty) => Ok((column.name.clone(), ty)),
                None => Err(Error::unsupported(format!(
                    "column '{}' of ORC file '{}': the nested type {}",
                    column.name,
                    self.path,
                    column.kind_name()
                ))),
            })
            .collect()
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
        self.tail.ours
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
