//! One door to every decoder of this room, for fuzzing.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, binary, lit};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::file::OrcFile;
use super::scan::{ScanColumn, ScanRequest};
use crate::error::Result;

/// Rows that are read of a file at most: a few bytes can stand for billions of equal values.
const ROWS: usize = 4096;

/// Opens `bytes` as an ORC file and reads from it: all columns, and each alone under a filter, which reads its indexes.
/// None of it may panic or hang; what it says is thrown away.
pub fn fuzz_decode(bytes: &[u8]) {
    let _ = futures::executor::block_on(decode(Bytes::copy_from_slice(bytes)));
}

async fn decode(bytes: Bytes) -> Result<()> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from("fuzz.orc");
    let size = bytes.len() as u64;
    let Ok(_) = store.put(&path, bytes.into()).await else { return Ok(()) };
    // Another size than the metadata's is told before anything is read.
    let _ = OrcFile::open(store.clone(), &path, Some(size + 1)).await;
    let file = OrcFile::open_foreign(store, &path, "fuzz.orc").await?;
    let _ = file.foreign_columns();
    let schema = file.schema();
    let columns = schema.fields().iter().map(|f| ScanColumn { name: f.name().clone(), want: f.data_type().clone() });
    let columns: Vec<ScanColumn> = columns.collect();
    let named: Vec<_> = columns.iter().zip(0..).map(|(c, id)| (id, c.name.clone(), c.want.clone())).collect();
    let _ = file.stats(&named);
    for column in &columns {
        let filter = equals_default(column, &file);
        let _ = read(&file, vec![column.clone()], filter).await;
    }
    let bytes = |column: &ScanColumn| ScanColumn { want: DataType::Binary, ..column.clone() };
    let texts: Vec<_> = columns.iter().filter(|column| column.want == DataType::Utf8).map(bytes).collect();
    let _ = read(&file, texts, None).await;
    read(&file, columns, None).await?;
    file.check_unchanged().await
}

/// `column = 0` or the like; None for a type that has no such value.
fn equals_default(column: &ScanColumn, file: &OrcFile) -> Option<Arc<dyn PhysicalExpr>> {
    let value = ScalarValue::new_default(&column.want).ok()?;
    let schema = file.schema().project(&[file.schema().index_of(&column.name).ok()?]).ok()?;
    binary(Arc::new(Column::new(&column.name, 0)), Operator::Eq, lit(value), &schema).ok()
}

async fn read(file: &OrcFile, columns: Vec<ScanColumn>, filter: Option<Arc<dyn PhysicalExpr>>) -> Result<()> {
    let request = ScanRequest { columns, filter, stripes: None, batch_size: 512, limit: Some(ROWS) };
    file.scan(request).try_for_each(|_| async { Ok(()) }).await
}
