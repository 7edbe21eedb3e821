//! Files of other writers (fixtures/orc, made by the script beside them) read to the values that went in.

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{binary, col, lit};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use object_store::local::LocalFileSystem;

use super::*;

async fn fixture(name: &str) -> OrcFile {
    let store = LocalFileSystem::new_with_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/orc")).unwrap();
    OrcFile::open(Arc::new(store), &Path::from(name), None).await.unwrap()
}

fn days(day: Date) -> i32 {
    day.since(date(1970, 1, 1)).unwrap().get_days()
}

fn micros(at: jiff::civil::DateTime) -> i64 {
    at.to_zoned(TimeZone::UTC).unwrap().timestamp().as_microsecond()
}

/// What fixtures/orc/make.py calls rows().
fn rows(n: i64) -> RecordBatch {
    fn of<A: FromIterator<Option<T>> + Array + 'static, T>(n: i64, value: impl Fn(i64) -> T) -> ArrayRef {
        Arc::new((0..n).map(|i| (i % 10 != 7).then(|| value(i))).collect::<A>())
    }
    fn decimal(n: i64, precision: u8, scale: i8, value: impl Fn(i64) -> i128) -> ArrayRef {
        let array: Decimal128Array = (0..n).map(|i| (i % 10 != 7).then(|| value(i))).collect();
        Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
    }
    let (first_day, first_moment) = (days(date(1960, 1, 1)), micros(date(1964, 5, 6).at(7, 8, 9, 123_456_000)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from_iter_values(0..n as i32))),
        ("flag", of::<BooleanArray, _>(n, |i| i % 3 == 0)),
        ("tiny", of::<Int8Array, _>(n, |i| (i % 256 - 128) as i8)),
        ("small", of::<Int16Array, _>(n, |i| (i * 7 % 65_536 - 32_768) as i16)),
        ("big", of::<Int64Array, _>(n, |i| i * i * 1_000_003 - 5)),
        ("real", of::<Float32Array, _>(n, |i| i as f32 / 2.0)),
        ("dbl", of::<Float64Array, _>(n, |i| -i as f64 / 8.0)),
        ("price", decimal(n, 12, 2, |i| i128::from(i * 125 - 1000))),
        ("huge", decimal(n, 38, 0, |i| (10i128.pow(37) + i128::from(i)) * if i % 2 == 0 { 1 } else { -1 })),
        ("name", of::<StringArray, _>(n, |i| if i % 5 == 0 { String::new() } else { format!("näme-{i}") })),
        ("tag", of::<StringArray, _>(n, |i| ["red", "green", "blue"][i as usize % 3])),
        ("raw", of::<BinaryArray, _>(n, |i| vec![i as u8; i as usize % 4])),
        ("day", of::<Date32Array, _>(n, |i| first_day + i as i32 * 5)),
        ("at", of::<TimestampMicrosecondArray, _>(n, |i| first_moment + i * 31 * 3_600_000_000 + i)),
    ];
    let fields: Vec<_> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|c| c.1).collect()).unwrap()
}

const FILES: [(&str, i64); 9] = [
    ("pyarrow-uncompressed.orc", 600),
    ("pyarrow-zlib.orc", 600),
    ("pyarrow-snappy.orc", 600),
    ("pyarrow-lz4.orc", 600),
    ("pyarrow-zstd.orc", 600),
    ("spark-zlib.orc", 1100),
    ("spark-snappy.orc", 1100),
    ("spark-lz4.orc", 1100),
    ("spark-zstd.orc", 1100),
];

#[test]
fn every_value_of_other_writers_is_read() {
    for (name, n) in FILES {
        let expected = rows(n);
        run(async {
            let file = fixture(name).await;
            assert_eq!(file.rows() as i64, n);
            // Spark keeps a moment without zone as an instant of UTC.
            let schema = expected.schema();
            for field in schema.fields().iter().filter(|f| f.name() != "at") {
                assert_eq!(file.schema().field_with_name(field.name()).unwrap(), field.as_ref(), "{name}");
            }
            let read = scan(&file, ScanRequest { batch_size: 77, ..request(&schema) }).await.unwrap();
            for (at, field) in schema.fields().iter().enumerate() {
                assert_eq!(read.column(at), expected.column(at), "{name}: {}", field.name());
            }
        });
    }
}

/// Their row indexes lead into the middle of runs and bytes: rows that a filter keeps must be the right ones.
#[test]
fn a_row_group_of_another_writer_is_read_alone() {
    for (name, n) in FILES {
        let expected = rows(n);
        run(async {
            let file = fixture(name).await;
            let schema = expected.schema();
            for low in [0, 150, 350, 450, 599, 1050] {
                let filter = binary(col("id", &schema).unwrap(), Operator::GtEq, lit(low), &schema).unwrap();
                let low = low.min(n as i32) as usize;
                let read = scan(&file, ScanRequest { filter: Some(filter), ..request(&schema) }).await.unwrap();
                assert!(read.num_rows() >= n as usize - low, "{name}: rows of id >= {low} are missing");
                let skipped = n as usize - read.num_rows();
                assert_eq!(read, expected.slice(skipped, read.num_rows()), "{name}: id >= {low}");
                if low >= 1000 || name.starts_with("pyarrow") && low >= 150 {
                    assert!(skipped > 0, "{name}: nothing skipped for id >= {low}");
                }
            }
            for tag in ["red", "violet"] {
                let filter = binary(col("tag", &schema).unwrap(), Operator::Eq, lit(tag), &schema).unwrap();
                let read = scan(&file, ScanRequest { filter: Some(filter), ..request(&schema) }).await.unwrap();
                assert!(if tag == "red" { read == expected } else { read.num_rows() < n as usize }, "{name}: {tag}");
            }
        });
    }
}

#[test]
fn bloom_filters_of_the_java_writer_answer() {
    run(async {
        let file = fixture("spark-zstd.orc").await;
        let schema = file.schema();
        let n = file.rows() as usize;
        let rows_for = async |value: ScalarValue| {
            let filter = binary(col("name", &schema).unwrap(), Operator::Eq, lit(value), &schema).unwrap();
            scan(&file, ScanRequest { filter: Some(filter), ..request(&schema) }).await.unwrap().num_rows()
        };
        assert_eq!(rows_for("näme-1001".into()).await, 100, "only the second row group has it");
        assert_eq!(rows_for("näme-999x".into()).await, 0, "within the bounds, but not there");
        assert_eq!(rows_for("".into()).await, n);
    });
}

#[test]
fn integers_in_the_first_run_length_encoding_are_read() {
    run(async {
        let file = fixture("pyarrow-v011.orc").await;
        let schema = file.schema();
        let read = scan(&file, request(&schema)).await.unwrap();
        let expected = rows(500);
        for (at, field) in schema.fields().iter().enumerate() {
            assert_eq!(read.column(at), expected.column_by_name(field.name()).unwrap(), "{}", field.name());
        }
    });
}

#[test]
fn a_timestamp_shows_the_wall_clock_of_its_writer() {
    run(async {
        let file = fixture("spark-newyork.orc").await;
        let read = scan(&file, request(&file.schema())).await.unwrap();
        let expected = [
            date(2022, 7, 4).at(23, 11, 11, 123_456_000),
            date(2022, 10, 2).at(23, 11, 11, 123_456_000),
            date(2022, 12, 31).at(22, 11, 11, 123_456_000),
            date(2023, 3, 31).at(23, 11, 11, 123_456_000),
        ];
        let expected: TimestampMicrosecondArray = expected.into_iter().map(|at| Some(micros(at))).collect();
        assert_eq!(read.column(1).as_primitive::<TimestampMicrosecondType>(), &expected);
    });
}

#[test]
fn instants_keep_their_zone_and_round_their_nanoseconds() {
    run(async {
        let file = fixture("pyarrow-instants.orc").await;
        let types: Vec<_> = file.foreign_columns().into_iter().map(|(name, ty)| (name, ty.unwrap())).collect();
        assert_eq!(types, [("at".into(), SqlType::Timestamp { fsp: 6 }), ("plain".into(), SqlType::DateTime { fsp: 6 })]);
        let read = scan(&file, request(&file.schema())).await.unwrap();
        let expected = TimestampMicrosecondArray::from(vec![Some(0), Some(1_656_990_671_123_457), Some(-1_500_000), None]);
        assert_eq!(read.column(1).as_primitive::<TimestampMicrosecondType>(), &expected);
        assert_eq!(read.column(0).as_primitive::<TimestampMicrosecondType>(), &expected.with_timezone("UTC"));
    });
}

#[test]
fn a_nested_column_is_refused_by_name_and_the_others_read() {
    run(async {
        let file = fixture("pyarrow-nested.orc").await;
        let error = file.foreign_columns().remove(1).1.unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Unsupported);
        assert!(error.message().contains("'tags'") && error.message().contains("list"), "{error}");
        let read = scan(&file, request(&file.schema())).await.unwrap();
        assert_eq!(read.num_columns(), 1);
        assert_eq!(read.column(0).as_primitive::<Int32Type>(), &Int32Array::from(vec![1, 2]));
    });
}

#[test]
fn statistics_of_another_writer_bound_its_values() {
    use crate::types::Bound;
    run(async {
        let file = fixture("spark-zlib.orc").await;
        let columns: Vec<_> = (1..).zip(file.schema().fields()).map(|(id, f)| (id, f.name().clone(), f.data_type().clone())).collect();
        let stats = file.stats(&columns);
        let of = |name: &str| stats.column(columns.iter().find(|c| c.1 == name).unwrap().0).unwrap();
        assert_eq!((of("id").min.clone(), of("id").max.clone(), of("id").nulls), (Some(Bound::Int(0)), Some(Bound::Int(1099)), 0));
        assert_eq!(of("price").min, Some(Bound::Decimal(-1000)));
        assert_eq!(of("price").nulls, 110);
        assert_eq!(of("tag").max, Some(Bound::Text("red".into())));
        let Some(Bound::Int(first)) = of("at").min else { panic!("no bound of a timestamp") };
        let real = micros(date(1964, 5, 6).at(7, 8, 9, 123_456_000));
        assert!(first <= real && real - first < 1000);
    });
}
