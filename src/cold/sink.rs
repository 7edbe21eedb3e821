//! Writing rows into new files: bounded memory, well-sized files, durable before anyone hears of them.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::object_store::{ObjectStoreExt, PutPayload, WriteMultipart};

use super::storage::{Cold, OpenedStorage};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::gms::{FileId, FileVersion, NewFile, Table, TaskId};
use crate::orc::{WriteOptions, Writer};
use crate::types::FileStats;

/// Files up to this size are written with one PUT; larger ones as a multipart upload.
const SINGLE_PUT: usize = 8 << 20;

/// A file that is durable and registered, but not committed.
#[derive(Debug, Clone)]
pub struct Written {
    /// As it will be once committed; its commit time is that of no commit yet.
    pub version: Arc<FileVersion>,
}

impl Written {
    /// As a commit names it.
    pub fn as_new_file(&self) -> NewFile {
        let file = &self.version;
        NewFile {
            id: file.id,
            table: file.table,
            rows: file.rows,
            bytes: file.bytes,
            schema_ts: file.schema_ts,
            stats: FileStats::clone(&file.stats),
        }
    }
}

/// The schema that files of `table` are written with: declared names, declarations as metadata.
pub fn file_schema(table: &Table) -> SchemaRef {
    let fields: Vec<_> = table.columns().iter().map(|c| c.field(&table.database, &table.name).with_name(c.name.clone())).collect();
    Arc::new(Schema::new(fields))
}

/// Takes rows of one table and makes files of them.
pub struct FileSink {
    cold: Cold,
    place: OpenedStorage,
    table: Arc<Table>,
    schema: SchemaRef,
    task: TaskId,
    open: Option<OpenFile>,
    done: Vec<Written>,
    rows: u64,
}

struct OpenFile {
    id: FileId,
    name: String,
    writer: Writer,
    /// Encoded bytes that wait for a first part; or the running multipart upload.
    upload: Upload,
    bytes: u64,
}

enum Upload {
    Small(Vec<Bytes>, usize),
    Parts(WriteMultipart),
}

impl FileSink {
    /// A sink for `table` whose files belong to `task`.
    pub fn new(cold: Cold, table: Arc<Table>, task: TaskId) -> Result<FileSink> {
        let place = cold.place(&table.engine)?;
        let schema = file_schema(&table);
        Ok(FileSink { cold, place, table, schema, task, open: None, done: Vec::new(), rows: 0 })
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes rows: the table's columns, in order, each exactly of its Arrow type. Waits while the store is slower.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let settings = Arc::clone(&self.cold.settings);
        let mut offset = 0;
        while offset < batch.num_rows() {
            let mut file = match self.open.take() {
                Some(file) => file,
                None => self.begin_file().await?,
            };
            let room = settings.target_file_rows.saturating_sub(file.writer.rows()).max(1) as usize;
            let take = room.min(batch.num_rows() - offset);
            let slice = batch.slice(offset, take);
            let slice = RecordBatch::try_new(Arc::clone(&self.schema), slice.columns().to_vec())
                .map_err(|e| Error::internal(format!("rows do not fit table {}: {e}", self.table.name)))?;
            file.writer.write(&slice)?;
            offset += take;
            self.rows += take as u64;
            let ready = file.writer.take_bytes();
            append(&self.place, &mut file, ready).await?;
            let full = file.writer.rows() >= settings.target_file_rows || file.bytes >= settings.target_file_bytes;
            if full {
                self.end_file(file).await?;
            } else {
                self.open = Some(file);
            }
        }
        Ok(())
    }

    /// Closes the last file; all of them are durable when this returns.
    pub async fn finish(mut self) -> Result<Vec<Written>> {
        if let Some(file) = self.open.take() {
            self.end_file(file).await?;
        }
        Ok(self.done)
    }

    async fn begin_file(&mut self) -> Result<OpenFile> {
        let name = self.cold.new_file_name(&self.table);
        let id = self.cold.gms.register_file(self.task, self.table.id, &self.place.engine, &name).await?;
        fault::point("cold.write.registered");
        let writer = Writer::new(Arc::clone(&self.schema), WriteOptions::default())?;
        Ok(OpenFile { id, name, writer, upload: Upload::Small(Vec::new(), 0), bytes: 0 })
    }

    async fn end_file(&mut self, mut file: OpenFile) -> Result<()> {
        let rows = file.writer.rows();
        let writer = std::mem::replace(&mut file.writer, Writer::new(Arc::clone(&self.schema), WriteOptions::default())?);
        let (tail, stats) = writer.finish()?;
        append(&self.place, &mut file, tail).await?;
        let path = self.place.path(&file.name);
        fault::point("cold.write.before_put");
        match file.upload {
            Upload::Small(parts, _) => {
                let payload: PutPayload = parts.into_iter().collect();
                self.place.store.put(&path, payload).await.map_err(|e| self.place.error(&file.name, e))?;
            }
            Upload::Parts(upload) => {
                upload.finish().await.map_err(|e| self.place.error(&file.name, e))?;
            }
        }
        fault::point("cold.write.after_put");
        // What the store says it has is what later reads rely on.
        let stored = self.place.store.head(&path).await.map_err(|e| self.place.error(&file.name, e))?.size;
        if stored != file.bytes {
            return Err(Error::new(
                Kind::Storage,
                format!("file storage {} kept {stored} of {} bytes of {}", self.place.engine, file.bytes, file.name),
            )
            .with_hint("check the store for space and errors; nothing was committed"));
        }
        let version = FileVersion {
            id: file.id,
            table: self.table.id,
            engine: self.place.engine.clone(),
            path: file.name,
            rows,
            bytes: file.bytes,
            commit_ts: crate::time::Tso::MAX,
            remove_ts: None,
            schema_ts: self.table.schema_ts(),
            created: jiff::Timestamp::now(),
            stats: Arc::new(stats),
        };
        self.done.push(Written { version: Arc::new(version) });
        Ok(())
    }
}

/// Sends what is ready. Takes no sink: an upload in parts may not be shared between threads, so a sink may not either.
async fn append(place: &OpenedStorage, file: &mut OpenFile, ready: Bytes) -> Result<()> {
    if ready.is_empty() {
        return Ok(());
    }
    file.bytes += ready.len() as u64;
    match &mut file.upload {
        Upload::Small(parts, size) => {
            *size += ready.len();
            parts.push(ready);
            if *size > SINGLE_PUT {
                let path = place.path(&file.name);
                let upload = place.store.put_multipart(&path).await.map_err(|e| place.error(&file.name, e))?;
                let mut upload = WriteMultipart::new(upload);
                for part in parts.drain(..) {
                    upload.put(part);
                }
                file.upload = Upload::Parts(upload);
            }
        }
        Upload::Parts(upload) => {
            upload.wait_for_capacity(4).await.map_err(|e| place.error(&file.name, e))?;
            upload.put(ready);
        }
    }
    Ok(())
}
