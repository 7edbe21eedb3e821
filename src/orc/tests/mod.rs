//! The room's promises, through its public face: what is written is read back, by us and by another reader; pruning
//! loses nothing; damage is an error.

mod damage;
mod fixtures;
mod foreign;
mod pruning;
mod roundtrip;

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::*;
use crate::error::Result;
use crate::types::{FileStats, SqlType, meta};

pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(super) fn write(batches: &[RecordBatch], options: WriteOptions) -> (Bytes, FileStats) {
    let mut writer = Writer::new(batches[0].schema(), options).unwrap();
    let mut file = Vec::new();
    for batch in batches {
        writer.write(batch).unwrap();
        file.extend_from_slice(&writer.take_bytes());
    }
    let (rest, stats) = writer.finish().unwrap();
    file.extend_from_slice(&rest);
    (file.into(), stats)
}

pub(super) async fn open(bytes: &Bytes) -> Result<OrcFile> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from("cold/part-1.orc");
    store.put(&path, bytes.clone().into()).await.unwrap();
    OrcFile::open(store, &path, Some(bytes.len() as u64)).await
}

/// A request for all columns of a schema.
pub(super) fn request(schema: &Schema) -> ScanRequest {
    let columns = schema.fields().iter().map(|f| ScanColumn { name: f.name().clone(), want: f.data_type().clone() }).collect();
    ScanRequest { columns, filter: None, stripes: None, batch_size: 1000, limit: None }
}

pub(super) async fn scan(file: &OrcFile, request: ScanRequest) -> Result<RecordBatch> {
    let fields: Vec<_> = request.columns.iter().map(|c| Field::new(&c.name, c.want.clone(), true)).collect();
    let batches: Vec<_> = file.scan(request).try_collect().await?;
    Ok(concat_batches(&Arc::new(Schema::new(fields)), &batches).unwrap())
}

/// A field as a cold table declares it.
pub(super) fn field(id: u32, name: &str, ty: &SqlType) -> Field {
    Field::new(name, ty.arrow(), true)
        .with_metadata([(meta::TYPE.to_owned(), serde_json::to_string(ty).unwrap()), (meta::ID.to_owned(), id.to_string())].into())
}

/// One column of every type that a cold table has.
pub(super) fn every_type() -> SchemaRef {
    let types = [
        SqlType::Bool,
        SqlType::Int8 { unsigned: false },
        SqlType::Int8 { unsigned: true },
        SqlType::Int16 { unsigned: false },
        SqlType::Int16 { unsigned: true },
        SqlType::Int32 { unsigned: false },
        SqlType::Int32 { unsigned: true },
        SqlType::Int64 { unsigned: false },
        SqlType::Int64 { unsigned: true },
        SqlType::Float32,
        SqlType::Float64,
        SqlType::Decimal { precision: 9, scale: 2 },
        SqlType::Decimal { precision: 38, scale: 10 },
        SqlType::Char { length: 10 },
        SqlType::VarChar { length: 100 },
        SqlType::Text,
        SqlType::Blob,
        SqlType::Date,
        SqlType::Time { fsp: 6 },
        SqlType::DateTime { fsp: 6 },
        SqlType::Timestamp { fsp: 6 },
        SqlType::Null,
    ];
    let fields = types.iter().enumerate().map(|(i, ty)| field(i as u32 + 1, &format!("c{i}"), ty));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
