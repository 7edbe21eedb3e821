//! Writes ORC files of every type with values whose expected form tests/orc_readers.py knows, for readers of other makes.
//!
//! `cargo run --example write_orc -- DIR` makes all.orc (25 rows in 2 stripes of row groups of 8), wide.orc (50,000 rows)
//! and empty.orc (no rows).

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use flashgate::orc::{Compression, WriteOptions, Writer};
use flashgate::types::{SqlType, meta};

/// Values for row `i`; every fifth row of a column is NULL.
fn some<T>(i: i64, value: T) -> Option<T> {
    (i % 5 != 4).then_some(value)
}

fn columns(rows: i64) -> Vec<(SqlType, ArrayRef)> {
    fn of<A: FromIterator<Option<T>> + Array + 'static, T>(rows: i64, value: impl Fn(i64) -> T) -> ArrayRef {
        Arc::new((0..rows).map(|i| some(i, value(i))).collect::<A>())
    }
    // 1969-12-31 23:59:58.750 and on, a quarter of a second a row: across 1970.
    let stamp = |i: i64| -1_250_000 + i * 250_000;
    let dec = |p: u8, s: i8, f: fn(i64) -> i128| -> ArrayRef {
        let array: Decimal128Array = (0..rows).map(|i| some(i, f(i))).collect();
        Arc::new(array.with_precision_and_scale(p, s).unwrap_or_else(|e| panic!("{e}")))
    };
    let utc: TimestampMicrosecondArray = (0..rows).map(|i| some(i, 1_656_990_671_123_456 + i)).collect();
    vec![
        (SqlType::Bool, of::<BooleanArray, _>(rows, |i| i % 2 == 0)),
        (SqlType::Int8 { unsigned: false }, of::<Int8Array, _>(rows, |i| (i % 256 - 128) as i8)),
        (SqlType::Int16 { unsigned: true }, of::<UInt16Array, _>(rows, |i| (65_535 - i % 65_536) as u16)),
        (SqlType::Int32 { unsigned: false }, of::<Int32Array, _>(rows, |i| i32::MIN + i as i32)),
        (SqlType::Int64 { unsigned: false }, of::<Int64Array, _>(rows, |i| i64::MAX - i * i)),
        (SqlType::Int64 { unsigned: true }, of::<UInt64Array, _>(rows, |i| u64::MAX - i as u64)),
        (SqlType::Float32, of::<Float32Array, _>(rows, |i| i as f32 / 4.0)),
        (SqlType::Float64, of::<Float64Array, _>(rows, |i| -(i as f64) / 8.0)),
        (SqlType::Decimal { precision: 10, scale: 2 }, dec(10, 2, |i| i128::from(i) * 25 - 100)),
        (SqlType::Decimal { precision: 38, scale: 0 }, dec(38, 0, |i| 10i128.pow(38) - 1 - i128::from(i))),
        (SqlType::VarChar { length: 20 }, of::<StringArray, _>(rows, |i| format!("k{}", i % 3))),
        (SqlType::Text, of::<StringArray, _>(rows, |i| if i % 7 == 0 { String::new() } else { format!("ü{i}") })),
        (SqlType::Blob, of::<BinaryArray, _>(rows, |i| vec![i as u8, 0, 255])),
        (SqlType::Date, of::<Date32Array, _>(rows, |i| (i * 1000 - 2000) as i32)),
        (SqlType::Time { fsp: 6 }, of::<Time64MicrosecondArray, _>(rows, |i| i)),
        (SqlType::DateTime { fsp: 6 }, of::<TimestampMicrosecondArray, _>(rows, stamp)),
        (SqlType::Timestamp { fsp: 6 }, Arc::new(utc.with_timezone("UTC"))),
        (SqlType::Int32 { unsigned: false }, Arc::new(Int32Array::new_null(rows as usize))),
    ]
}

fn write(path: &Path, rows: i64, options: WriteOptions) -> anyhow::Result<()> {
    let columns = columns(rows);
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, (ty, array))| {
            let id = (i + 1).to_string();
            let json = serde_json::to_string(ty).unwrap_or_default();
            Field::new(format!("c{i}"), array.data_type().clone(), true)
                .with_metadata([(meta::TYPE.to_owned(), json), (meta::ID.to_owned(), id)].into())
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|c| c.1).collect())?;
    debug_assert_eq!(batch.column(0).data_type(), &DataType::Boolean);
    let mut writer = Writer::new(schema, options)?;
    writer.write(&batch)?;
    std::fs::write(path, writer.finish()?.0)?;
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let directory = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: write_orc DIR"))?;
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory)?;
    let blooms = vec!["c3".to_owned(), "c10".to_owned(), "c11".to_owned(), "c13".to_owned()];
    let small = WriteOptions { row_index_stride: 8, stripe_rows: 16, bloom_columns: blooms.clone(), ..Default::default() };
    write(&directory.join("all.orc"), 25, small)?;
    write(&directory.join("wide.orc"), 50_000, WriteOptions { bloom_columns: blooms, ..Default::default() })?;
    for (name, compression) in
        [("none", Compression::None), ("zlib", Compression::Zlib), ("snappy", Compression::Snappy), ("lz4", Compression::Lz4)]
    {
        let options = WriteOptions { compression, row_index_stride: 1000, stripe_rows: 3000, ..Default::default() };
        write(&directory.join(format!("{name}.orc")), 7_001, options)?;
    }
    write(&directory.join("empty.orc"), 0, WriteOptions::default())
}
