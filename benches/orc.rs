//! Speed of the ORC room on a million orders of ten columns: writing, scanning all, scanning three columns, one id.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::arrow::array::*;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{binary, col, lit};
use flashgate::orc::{OrcFile, ScanColumn, ScanRequest, WriteOptions, Writer};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

const ROWS: u64 = 1_000_000;
const BATCH: usize = 8192;

/// Orders as an online shop has them: keys, a few states, amounts, dates, free text.
fn orders() -> Vec<RecordBatch> {
    let mix = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
    let states = ["new", "paid", "shipped", "returned", "cancelled"];
    let batch = |from: u64, to: u64| {
        let ids = || from..to;
        let amounts = Decimal128Array::from_iter_values(ids().map(|i| i128::from(mix(i) % 1_000_000)));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from_iter_values(ids().map(|i| i as i64)))),
            ("user_id", Arc::new(Int32Array::from_iter_values(ids().map(|i| (mix(i) % 50_000) as i32)))),
            ("status", Arc::new(StringArray::from_iter_values(ids().map(|i| states[mix(i) as usize % 5])))),
            ("amount", Arc::new(amounts.with_precision_and_scale(12, 2).unwrap_or_else(|e| panic!("{e}")))),
            ("quantity", Arc::new(Int16Array::from_iter_values(ids().map(|i| (mix(i) % 20) as i16)))),
            (
                "created",
                Arc::new(TimestampMicrosecondArray::from_iter_values(ids().map(|i| 1_600_000_000_000_000 + i as i64 * 31_536_000))),
            ),
            ("day", Arc::new(Date32Array::from_iter_values(ids().map(|i| 18_500 + (i / 2740) as i32)))),
            ("price", Arc::new(Float64Array::from_iter_values(ids().map(|i| (mix(i) % 10_000) as f64 / 100.0)))),
            ("gift", Arc::new(ids().map(|i| (mix(i) % 10 > 0).then_some(mix(i) % 3 == 0)).collect::<BooleanArray>())),
            ("note", Arc::new(StringArray::from_iter_values(ids().map(|i| format!("order {i} of {:x}", mix(i)))))),
        ];
        RecordBatch::try_from_iter(columns).unwrap_or_else(|e| panic!("{e}"))
    };
    (0..ROWS).step_by(BATCH).map(|at| batch(at, (at + BATCH as u64).min(ROWS))).collect()
}

fn write(batches: &[RecordBatch], mut sink: impl FnMut(&[u8])) {
    let mut writer = Writer::new(batches[0].schema(), WriteOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    for batch in batches {
        writer.write(batch).unwrap_or_else(|e| panic!("{e}"));
        sink(&writer.take_bytes());
    }
    sink(&writer.finish().unwrap_or_else(|e| panic!("{e}")).0);
}

fn bench(c: &mut Criterion) {
    let batches = orders();
    let directory = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let mut bytes = vec![];
    write(&batches, |piece| bytes.extend_from_slice(piece));
    println!("{} rows in {} bytes", ROWS, bytes.len());
    std::fs::write(directory.path().join("orders.orc"), &bytes).unwrap_or_else(|e| panic!("{e}"));

    let mut group = c.benchmark_group("orc");
    group.sample_size(10).throughput(Throughput::Elements(ROWS));
    group.bench_function("write", |b| {
        b.iter(|| {
            write(&batches, |piece| {
                black_box(piece.len());
            })
        })
    });

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap_or_else(|e| panic!("{e}"));
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap_or_else(|e| panic!("{e}")));
    let path = Path::from("orders.orc");
    let open = || OrcFile::open(store.clone(), &path, Some(bytes.len() as u64));
    let file = runtime.block_on(open()).unwrap_or_else(|e| panic!("{e}"));
    let schema = file.schema();
    let all: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let scan = |names: &[&str], filtered: bool| {
        let columns: Vec<_> = names
            .iter()
            .map(|n| ScanColumn {
                name: (*n).into(),
                want: schema.field_with_name(n).unwrap_or_else(|e| panic!("{e}")).data_type().clone(),
            })
            .collect();
        let filter = filtered.then(|| {
            let id = col("id", &schema).unwrap_or_else(|e| panic!("{e}"));
            binary(id, Operator::Eq, lit(777_777i64), &schema).unwrap_or_else(|e| panic!("{e}"))
        });
        let request = ScanRequest { columns, filter, stripes: None, batch_size: BATCH, limit: None };
        runtime.block_on(async {
            let file = open().await.unwrap_or_else(|e| panic!("{e}"));
            let batches: Vec<_> = file.scan(request).try_collect().await.unwrap_or_else(|e| panic!("{e}"));
            batches.iter().map(RecordBatch::num_rows).sum::<usize>()
        })
    };
    for name in &all {
        group.bench_function(format!("scan {name}"), |b| b.iter(|| scan(&[name], false)));
    }
    group.bench_function("scan all", |b| b.iter(|| scan(&all, false)));
    group.bench_function("scan three", |b| b.iter(|| scan(&["status", "amount", "day"], false)));
    group.bench_function("one id", |b| b.iter(|| scan(&all, true)));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
