//! Pruning leaves out what cannot match, and nothing that can.

use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::*;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::*;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{binary, col, is_null, lit};
use object_store::local::LocalFileSystem;
use proptest::prelude::*;

use super::roundtrip::{batch, plain};
use super::*;
use crate::types::Bound;

fn matching(batch: &RecordBatch, filter: &Arc<dyn PhysicalExpr>) -> RecordBatch {
    let keep = filter.evaluate(batch).unwrap().into_array(batch.num_rows()).unwrap();
    filter_record_batch(batch, keep.as_boolean()).unwrap()
}

fn with(filter: &Arc<dyn PhysicalExpr>, schema: &Schema) -> ScanRequest {
    ScanRequest { filter: Some(filter.clone()), ..request(schema) }
}

static SKIPPED: AtomicU64 = AtomicU64::new(0);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn no_matching_row_is_left_out(seed: u64, nulls in 0..9u64, distinct in prop_oneof![Just(0u64), Just(5), Just(300)], pick in 0..400usize, stride in 8..90usize) {
        let schema = every_type();
        let whole = batch(&schema, 400, seed, nulls, distinct);
        let options = WriteOptions {
            row_index_stride: stride, stripe_rows: 150,
            bloom_columns: schema.fields().iter().map(|f| f.name().clone()).collect(), ..Default::default()
        };
        let (bytes, _) = write(std::slice::from_ref(&whole), options);
        let whole = plain(&whole);
        let schema = whole.schema();
        run(async {
            let file = open(&bytes).await.unwrap();
            for (at, field) in schema.fields().iter().enumerate().filter(|(_, f)| f.data_type() != &DataType::Null) {
                let value = ScalarValue::try_from_array(whole.column(at), pick).unwrap();
                // Beside it a column with NULLs and one of text: whose rows must stay the filter column's.
                let whole = whole.project(&[at, (at + 5) % 21, 14]).unwrap();
                let schema = whole.schema();
                for operator in [Operator::Eq, Operator::NotEq, Operator::Lt, Operator::LtEq, Operator::Gt, Operator::GtEq] {
                    let column = col(field.name(), &schema).unwrap();
                    let filter = binary(column, operator, lit(value.clone()), &schema).unwrap();
                    let read = scan(&file, with(&filter, &schema)).await.unwrap();
                    SKIPPED.fetch_add((whole.num_rows() - read.num_rows()) as u64, Ordering::Relaxed);
                    prop_assert_eq!(matching(&read, &filter), matching(&whole, &filter), "{} {} {:?}", field, operator, value);
                }
            }
            Ok(())
        })?;
        prop_assert!(SKIPPED.load(Ordering::Relaxed) > 0);
    }
}

fn orders(rows: i64) -> RecordBatch {
    let at: TimestampMicrosecondArray = (0..rows).map(|i| Some(1_600_000_000_000_000 + i * 1_000_000)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("user", Arc::new(Int64Array::from_iter_values((0..rows).map(|i| i * 7919 % 100_003)))),
        ("note", Arc::new((0..rows).map(|i| (i % 3 > 0).then(|| format!("note {}", i * 31 % rows))).collect::<StringArray>())),
        ("paid", Arc::new((0..rows).map(|i| (i % 7 > 0).then_some(i > rows / 2)).collect::<BooleanArray>())),
        ("at", Arc::new(at)),
        ("late", Arc::new((0..rows).map(|i| (i > rows / 2).then_some(i)).collect::<Int64Array>())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn row_groups_are_skipped_by_bounds_nulls_and_bloom_filters() {
    let whole = orders(100_000);
    let options = WriteOptions { stripe_rows: 50_000, bloom_columns: vec!["user".into(), "note".into()], ..Default::default() };
    let (bytes, _) = write(std::slice::from_ref(&whole), options);
    let whole = plain(&whole);
    let schema = whole.schema();
    run(async {
        let file = open(&bytes).await.unwrap();
        let expr = |name: &str, operator, value: ScalarValue| binary(col(name, &schema).unwrap(), operator, lit(value), &schema).unwrap();
        let stamp = |i: i64| ScalarValue::TimestampMicrosecond(Some(1_600_000_000_000_000 + i * 1_000_000), None);
        let cases = [
            (expr("id", Operator::Eq, 42i64.into()), 10_000),
            (expr("id", Operator::GtEq, 99_999i64.into()), 10_000),
            (expr("id", Operator::Lt, 0i64.into()), 0),
            (expr("at", Operator::GtEq, stamp(75_000)), 30_000),
            (
                binary(expr("at", Operator::GtEq, stamp(15_000)), Operator::And, expr("at", Operator::Lt, stamp(20_000)), &schema).unwrap(),
                10_000,
            ),
            (expr("user", Operator::Eq, (7919i64 * 77_777 % 100_003).into()), 20_000),
            (expr("user", Operator::Eq, 100_004i64.into()), 0),
            (expr("note", Operator::Eq, "note 31".into()), 20_000),
            (expr("paid", Operator::Eq, true.into()), 50_000),
            (is_null(col("id", &schema).unwrap()).unwrap(), 0),
            (expr("late", Operator::Gt, 0i64.into()), 50_000),
        ];
        for (filter, at_most) in cases {
            let read = scan(&file, with(&filter, &schema)).await.unwrap();
            assert!(read.num_rows() <= at_most, "{filter}: {} rows read", read.num_rows());
            assert_eq!(matching(&read, &filter), matching(&whole, &filter), "{filter}");
        }
        // A filter on a column that is wanted twice, in another order and of another type.
        let columns = vec![
            ScanColumn { name: "at".into(), want: schema.field(4).data_type().clone() },
            ScanColumn { name: "id".into(), want: DataType::Int32 },
        ];
        let wanted =
            Schema::new(vec![Field::new("when", schema.field(4).data_type().clone(), true), Field::new("number", DataType::Int32, true)]);
        let filter = binary(col("number", &wanted).unwrap(), Operator::Eq, lit(42i32), &wanted).unwrap();
        let read = scan(&file, ScanRequest { columns, filter: Some(filter), ..request(&Schema::empty()) }).await.unwrap();
        assert_eq!(read.num_rows(), 10_000);
    });
}

/// Counts the bytes that a scan asks for.
#[derive(Debug)]
struct Counting(LocalFileSystem, AtomicU64, AtomicU64);

impl std::fmt::Display for Counting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Counting({})", self.0)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Counting {
    async fn put_opts(
        &self,
        p: &Path,
        b: object_store::PutPayload,
        o: object_store::PutOptions,
    ) -> object_store::Result<object_store::PutResult> {
        self.0.put_opts(p, b, o).await
    }
    async fn put_multipart_opts(
        &self,
        p: &Path,
        o: object_store::PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.0.put_multipart_opts(p, o).await
    }
    async fn get_opts(&self, p: &Path, o: object_store::GetOptions) -> object_store::Result<object_store::GetResult> {
        let got = self.0.get_opts(p, o).await?;
        self.1.fetch_add(got.range.end - got.range.start, Ordering::Relaxed);
        self.2.fetch_add(1, Ordering::Relaxed);
        Ok(got)
    }
    fn delete_stream(
        &self,
        p: futures::stream::BoxStream<'static, object_store::Result<Path>>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(p)
    }
    fn list(&self, p: Option<&Path>) -> futures::stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
        self.0.list(p)
    }
    async fn list_with_delimiter(&self, p: Option<&Path>) -> object_store::Result<object_store::ListResult> {
        self.0.list_with_delimiter(p).await
    }
    async fn copy_opts(&self, a: &Path, b: &Path, o: object_store::CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(a, b, o).await
    }
}

#[test]
fn a_point_query_asks_the_store_for_little_and_an_open_file_for_nothing_again() {
    // Hard to compress, so that ranges are worth skipping.
    let noise = |i: u64, k: u64| (i * 8 + k).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = |i: u64| Some([0, 1, 2, 3, 4].map(|k| noise(i, k).to_le_bytes()).concat());
    let text: ArrayRef = Arc::new((0..200_000u64).map(value).collect::<BinaryArray>());
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200_000));
    let whole = RecordBatch::try_from_iter([("id", ids), ("text", text)]).unwrap();
    let (bytes, _) = write(std::slice::from_ref(&whole), WriteOptions::default());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.orc"), &bytes).unwrap();
    run(async {
        let store = Arc::new(Counting(LocalFileSystem::new_with_prefix(directory.path()).unwrap(), AtomicU64::new(0), AtomicU64::new(0)));
        let size = Some(bytes.len() as u64);
        let file = OrcFile::open(store.clone(), &Path::from("a.orc"), size).await.unwrap();
        let schema = file.schema();
        store.1.store(0, Ordering::Relaxed);
        let filter = binary(col("id", &schema).unwrap(), Operator::Eq, lit(123_456i64), &schema).unwrap();
        let read = scan(&file, with(&filter, &schema)).await.unwrap();
        assert_eq!(read.num_rows(), 10_000);
        assert_eq!(plain(&whole).slice(120_000, 10_000), read);
        let asked = store.1.load(Ordering::Relaxed);
        assert!(asked < bytes.len() as u64 / 2, "{asked} of {} bytes", bytes.len());

        store.2.store(0, Ordering::Relaxed);
        OrcFile::open(store.clone(), &Path::from("a.orc"), size).await.unwrap();
        assert_eq!(store.2.load(Ordering::Relaxed), 0, "the tail is cached");
    });
}

#[test]
fn file_statistics_bound_every_value() {
    let schema = every_type();
    for seed in 1..20 {
        let whole = batch(&schema, 500, seed, seed % 4, if seed % 2 == 0 { 0 } else { 9 });
        let (_, stats) = write(std::slice::from_ref(&whole), WriteOptions { row_index_stride: 64, ..Default::default() });
        for (at, field) in schema.fields().iter().enumerate() {
            let column = whole.column(at);
            let stats = stats.column(at as u32 + 1).unwrap();
            assert_eq!(stats.nulls as usize, column.logical_null_count(), "{field}");
            for row in (0..500).filter(|&row| !column.is_null(row) && field.data_type() != &DataType::Null) {
                let value = ScalarValue::try_from_array(column, row).unwrap();
                let (min, max) = (stats.min.as_ref().unwrap(), stats.max.as_ref().unwrap());
                let inside = match (value, min, max) {
                    (ScalarValue::Boolean(Some(v)), Bound::Int(a), Bound::Int(b)) => (*a..=*b).contains(&i64::from(v)),
                    (ScalarValue::Float32(Some(v)), Bound::Float(a), Bound::Float(b)) => (*a..=*b).contains(&f64::from(v)),
                    (ScalarValue::Float64(Some(v)), Bound::Float(a), Bound::Float(b)) => (*a..=*b).contains(&v),
                    (ScalarValue::Decimal128(Some(v), ..), Bound::Decimal(a), Bound::Decimal(b)) => (*a..=*b).contains(&v),
                    (ScalarValue::Utf8(Some(v)), Bound::Text(a), Bound::Text(b)) => *a <= v && v <= *b && b.len() <= 64,
                    (ScalarValue::Binary(Some(v)), Bound::Bytes(a), Bound::Bytes(b)) => *a <= v && v <= *b,
                    (ScalarValue::UInt64(Some(v)), Bound::UInt(a), Bound::UInt(b)) => (*a..=*b).contains(&v),
                    (v, Bound::UInt(a), Bound::UInt(b)) => {
                        let ScalarValue::UInt64(Some(v)) = v.cast_to(&DataType::UInt64).unwrap() else { panic!("{v}") };
                        (*a..=*b).contains(&v)
                    }
                    (v, Bound::Int(a), Bound::Int(b)) => {
                        let ScalarValue::Int64(Some(v)) = v.cast_to(&DataType::Int64).unwrap() else { panic!("{v}") };
                        (*a..=*b).contains(&v)
                    }
                    (v, a, b) => panic!("{field}: {v} against {a:?} and {b:?}"),
                };
                assert!(inside, "{field}, row {row}: {:?} lies outside {min:?}..{max:?}", ScalarValue::try_from_array(column, row));
            }
        }
    }
}

#[test]
fn a_nan_takes_the_upper_bound_away() {
    let ids = [(meta::ID.to_owned(), "1".to_owned())];
    let schema = Arc::new(Schema::new(vec![Field::new("f", DataType::Float64, true).with_metadata(ids.into())]));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 3.0]));
    let whole = RecordBatch::try_new(schema.clone(), vec![values]).unwrap();
    let (bytes, stats) = write(&[whole], WriteOptions::default());
    assert_eq!((stats.columns[0].min.clone(), stats.columns[0].max.clone()), (Some(Bound::Float(1.0)), None));
    let filter = binary(col("f", &schema).unwrap(), Operator::Gt, lit(5.0), &schema).unwrap();
    let read = run(async { scan(&open(&bytes).await.unwrap(), with(&filter, &schema)).await.unwrap() });
    assert_eq!(read.num_rows(), 3, "the engine sorts NaN above every number");
}
