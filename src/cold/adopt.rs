//! `ALTER TABLE t ADD FILE 'uri'`: takes in an ORC file that someone else wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::object_store::ObjectStoreExt;
use futures::TryStreamExt;
use jiff::tz::TimeZone;

use super::place::Cold;
use super::sink::FileSink;
use super::transaction::Delta;
use crate::error::{Error, Kind, Result};
use crate::gms::{Table, TaskId};
use crate::orc::{OrcFile, ScanColumn, ScanRequest};
use crate::store::StorageSpec;
use crate::types::{Family, fold};

impl Cold {
    /// Reads the file at `uri` (with the options of the table's own storage) and writes its rows as files of `table`.
    ///
    /// The rows are copied rather than linked: a file that others may change or delete could not keep rule 1.
    /// Columns are found by name without case; a column that the file lacks gets NULL or its default, one that the table
    /// lacks is an error, since its data would be lost silently. Values and defaults become what an INSERT of a session of
    /// `family` in `zone` makes of them.
    pub async fn adopt(&self, table: Arc<Table>, uri: &str, task: TaskId, family: Family, zone: &TimeZone) -> Result<(Delta, u64)> {
        let file = self.open_foreign(&table, uri).await?;
        let columns = table.columns();
        let mut matched = Vec::new();
        for (name, ty) in file.foreign_schema()? {
            let index = columns.iter().position(|c| fold(&c.name) == fold(&name)).ok_or_else(|| {
                Error::new(Kind::UnknownColumn, format!("{uri} has a column '{name}' that table {} lacks", table.name))
                    .with_hint("add the column to the table first, or make a table with the file's columns")
            })?;
            if matched.iter().any(|(taken, _)| *taken == index) {
                return Err(Error::new(Kind::Duplicate, format!("{uri} has two columns '{name}'")));
            }
            // Read as what the file holds; what that becomes in the table is decided as for an INSERT.
            matched.push((index, ScanColumn { name, want: ty.arrow() }));
        }
        let request = ScanRequest {
            columns: matched.iter().map(|(_, c)| c.clone()).collect(),
            filter: None,
            stripes: None,
            batch_size: 8192,
            limit: None,
        };
        let mut rows = file.scan(request);
        let mut sink = FileSink::new(self.clone(), Arc::clone(&table), task)?;
        while let Some(batch) = rows.try_next().await? {
            let given: BTreeMap<usize, _> = matched.iter().map(|(index, _)| *index).zip(batch.columns().iter().cloned()).collect();
            let batch = crate::types::rows::whole_rows(columns, &given, batch.num_rows(), sink.rows(), family, zone)?;
            sink.write(&batch).await?;
        }
        let count = sink.rows();
        let mut delta = Delta::new(table);
        delta.files = sink.finish().await?;
        Ok((delta, count))
    }

    async fn open_foreign(&self, table: &Table, uri: &str) -> Result<OrcFile> {
        let catalog = self.gms.catalog();
        let storage = catalog.storage(&table.engine).ok_or_else(|| super::place::unknown_storage(&table.engine))?;
        let like = StorageSpec { engine: table.engine.clone(), uri: storage.uri.clone(), options: storage.options.clone() };
        let (store, path) = self.stores.open_object(&like, uri)?;
        let size = store.head(&path).await.map_err(|e| crate::store::error(&table.engine, uri, e))?.size;
        OrcFile::open(store, &path, Some(size)).await
    }
}
