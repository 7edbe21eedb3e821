//! What is written is read back.

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use proptest::prelude::*;

use super::*;

/// Values of one column, from seeds: one in four a boundary of the type, `nulls` in 16 NULL, repeats or not.
fn column(ty: &DataType, rows: usize, seed: u64, nulls: u64, distinct: u64) -> ArrayRef {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut draws: Vec<Option<u64>> = Vec::with_capacity(rows);
    for _ in 0..rows {
        let (null, value) = (next() % 16 < nulls, next());
        draws.push((!null).then_some(if distinct == 0 { value } else { value % distinct }));
    }
    let edge = |v: u64| v.is_multiple_of(4);
    let wide = |v: u64| (i128::from(v) << 64 | i128::from(v.rotate_left(17))) * if v & 1 == 0 { 1 } else { -1 };
    macro_rules! ints {
        ($t:ty, $n:ty) => {
            Arc::new(
                draws
                    .iter()
                    .map(|d| {
                        d.map(|v| match v % 8 {
                            0 => <$n>::MIN,
                            4 => <$n>::MAX,
                            _ => v as $n,
                        })
                    })
                    .collect::<PrimitiveArray<$t>>(),
            )
        };
    }
    // Year 1 to 9999, in microseconds; the seconds round 1970 more often than not.
    let stamp = |v: u64| match v % 8 {
        0 => -62_135_596_800_000_000,
        1 => 253_402_300_799_999_999,
        2 => -1 - (v >> 3) as i64 % 3_000_000,
        3 => (v >> 3) as i64 % 3_000_000,
        4 => -((v >> 3) as i64 % 10_000_000) * 1_000_000,
        _ => (v >> 3) as i64 % 315_000_000_000_000_000 - 62_000_000_000_000_000,
    };
    match ty {
        DataType::Boolean => Arc::new(draws.iter().map(|d| d.map(|v| v % 3 == 0)).collect::<BooleanArray>()),
        DataType::Int8 => ints!(Int8Type, i8),
        DataType::UInt8 => ints!(UInt8Type, u8),
        DataType::Int16 => ints!(Int16Type, i16),
        DataType::UInt16 => ints!(UInt16Type, u16),
        DataType::Int32 => ints!(Int32Type, i32),
        DataType::UInt32 => ints!(UInt32Type, u32),
        DataType::Int64 => ints!(Int64Type, i64),
        DataType::UInt64 => ints!(UInt64Type, u64),
        DataType::Date32 => ints!(Date32Type, i32),
        DataType::Float32 => Arc::new(
            draws
                .iter()
                .map(|d| {
                    d.map(|v| if edge(v) { [f32::MIN, f32::INFINITY, -0.0, f32::MIN_POSITIVE][v as usize / 4 % 4] } else { v as f32 / 7.0 })
                })
                .collect::<Float32Array>(),
        ),
        DataType::Float64 => Arc::new(
            draws
                .iter()
                .map(|d| {
                    d.map(|v| if edge(v) { [f64::MIN, f64::NEG_INFINITY, -0.0, f64::MAX][v as usize / 4 % 4] } else { v as f64 / 7.0 })
                })
                .collect::<Float64Array>(),
        ),
        DataType::Decimal128(p, s) => {
            let limit = 10i128.pow(u32::from(*p));
            let value = |v: u64| match v % 8 {
                0 => limit - 1,
                4 => 1 - limit,
                1 => 0,
                _ => wide(v) % limit,
            };
            Arc::new(draws.iter().map(|d| d.map(value)).collect::<Decimal128Array>().with_precision_and_scale(*p, *s).unwrap())
        }
        DataType::Utf8 => Arc::new(
            draws
                .iter()
                .map(|d| d.map(|v| if edge(v) { String::new() } else { format!("ä{}€{}", v % 1000, "x".repeat(v as usize % 30)) }))
                .collect::<StringArray>(),
        ),
        DataType::Binary => Arc::new(draws.iter().map(|d| d.map(|v| v.to_le_bytes()[..v as usize % 9].to_vec())).collect::<BinaryArray>()),
        DataType::Time64(_) => Arc::new(draws.iter().map(|d| d.map(|v| (v % 86_400_000_000) as i64)).collect::<Time64MicrosecondArray>()),
        DataType::Timestamp(_, zone) => {
            Arc::new(draws.iter().map(|d| d.map(stamp)).collect::<TimestampMicrosecondArray>().with_timezone_opt(zone.clone()))
        }
        _ => new_null_array(ty, rows),
    }
}

pub(super) fn batch(schema: &SchemaRef, rows: usize, seed: u64, nulls: u64, distinct: u64) -> RecordBatch {
    let columns = schema.fields().iter().enumerate();
    let columns = columns.map(|(i, f)| column(f.data_type(), rows, seed.wrapping_mul(31 + i as u64), nulls, distinct)).collect();
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

/// The fields without metadata, as a scan names them.
pub(super) fn plain(batch: &RecordBatch) -> RecordBatch {
    let fields: Vec<_> = batch.schema().fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).unwrap()
}

fn codecs() -> impl Strategy<Value = Compression> {
    prop_oneof![
        Just(Compression::Zstd { level: 1 }),
        Just(Compression::None),
        Just(Compression::Zlib),
        Just(Compression::Snappy),
        Just(Compression::Lz4)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_type_is_read_back_as_it_was_written(
        rows in prop::collection::vec(0..700usize, 1..6), seed: u64, nulls in 0..17u64, distinct in prop_oneof![Just(0u64), Just(5), Just(40)],
        compression in codecs(), stride in prop_oneof![Just(8usize), Just(64), Just(1000), Just(10_000)], stripe_rows in 100..2000usize,
        batch_size in 1..900usize,
    ) {
        let schema = every_type();
        let batches: Vec<_> = rows.iter().enumerate().map(|(i, &n)| batch(&schema, n, seed ^ i as u64, nulls, distinct)).collect();
        let options = WriteOptions { compression, row_index_stride: stride, stripe_rows, bloom_columns: vec!["c5".into(), "c14".into()], ..Default::default() };
        let (bytes, stats) = write(&batches, options);
        let all = plain(&concat_batches(&schema, &batches).unwrap());
        prop_assert_eq!(stats.columns.len(), schema.fields().len());
        let back = run(async {
            let file = open(&bytes).await.unwrap();
            prop_assert_eq!(file.rows(), all.num_rows() as u64);
            prop_assert_eq!(file.schema().as_ref().clone(), all.schema().as_ref().clone());
            Ok(scan(&file, ScanRequest { batch_size, ..request(&schema) }).await.unwrap())
        })?;
        prop_assert_eq!(back, all);
    }
}

/// orc-rust as an independent reader. It knows no unsigned types and no time of day, so only those it has are compared.
#[test]
fn another_reader_reads_the_same_values() {
    let schema = every_type();
    let batches: Vec<_> =
        (0..5).map(|i| batch(&schema, 5000, 7 + i, if i == 1 { 0 } else { 4 }, if i % 2 == 0 { 0 } else { 20 })).collect();
    let options = WriteOptions { row_index_stride: 1000, stripe_rows: 9000, ..Default::default() };
    let (bytes, _) = write(&batches, options);
    let all = plain(&concat_batches(&schema, &batches).unwrap());
    let reader =
        orc_rust::ArrowReaderBuilder::try_new(bytes).unwrap().with_timestamp_precision(orc_rust::TimestampPrecision::Microsecond).build();
    let other: Vec<_> = reader.map(|b| b.unwrap()).collect();
    let mut compared = 0;
    for (at, field) in all.schema().fields().iter().enumerate() {
        if other[0].schema().field(at).data_type() == field.data_type() {
            let arrays: Vec<&dyn Array> = other.iter().map(|b| b.column(at).as_ref()).collect();
            let theirs = datafusion::arrow::compute::concat(&arrays).unwrap();
            assert_eq!(&theirs, all.column(at), "{field}");
            compared += 1;
        }
    }
    assert!(compared >= 15, "only {compared} columns compared");
}

#[test]
fn a_file_without_rows_has_its_columns() {
    let schema = every_type();
    let (bytes, stats) = write(&[RecordBatch::new_empty(schema.clone())], WriteOptions::default());
    run(async {
        let file = open(&bytes).await.unwrap();
        assert_eq!((file.rows(), file.stripes()), (0, 0));
        assert_eq!(file.schema().fields().len(), schema.fields().len());
        assert_eq!(scan(&file, request(&schema)).await.unwrap().num_rows(), 0);
    });
    assert!(stats.columns.iter().all(|c| c.min.is_none() && c.max.is_none() && c.nulls == 0));
}

#[test]
fn a_text_longer_than_a_compression_block_survives() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, true), Field::new("b", DataType::Binary, true)]));
    let texts: Vec<Option<String>> = (0..30).map(|i| (i % 3 != 0).then(|| format!("{i}-").repeat(200_000 + i))).collect();
    let text: ArrayRef = Arc::new(texts.iter().collect::<StringArray>());
    let bytes: ArrayRef = Arc::new(texts.iter().map(|t| t.as_ref().map(|t| t.as_bytes())).collect::<BinaryArray>());
    let batch = RecordBatch::try_new(schema.clone(), vec![text, bytes]).unwrap();
    let (file, _) = write(std::slice::from_ref(&batch), WriteOptions { stripe_bytes: 8 << 20, ..Default::default() });
    run(async {
        let file = open(&file).await.unwrap();
        assert_eq!(scan(&file, request(&schema)).await.unwrap(), batch);
    });
}

#[test]
fn wide_rows_end_a_stripe_before_the_row_group_is_full() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, true)]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["y".repeat(100_000); 50]));
    let batch = RecordBatch::try_new(schema.clone(), vec![text]).unwrap();
    let mut writer = Writer::new(schema.clone(), WriteOptions { stripe_bytes: 4 << 20, ..Default::default() }).unwrap();
    let mut bytes = vec![];
    for _ in 0..5 {
        writer.write(&batch).unwrap();
        bytes.extend_from_slice(&writer.take_bytes());
        assert!(writer.buffered() < 12 << 20, "holds {}", writer.buffered());
    }
    bytes.extend_from_slice(&writer.finish().unwrap().0);
    run(async {
        let file = open(&bytes.into()).await.unwrap();
        assert_eq!((file.rows(), file.stripes()), (250, 5));
    });
}

#[test]
fn the_arrow_forms_that_the_engine_makes_are_stored_too() {
    let days = Int32DictionaryArray::from_iter([Some("mon"), None, Some("tue"), Some("mon")]);
    let columns: Vec<(&str, ArrayRef, ArrayRef)> = vec![
        ("dictionary", Arc::new(days), Arc::new(StringArray::from(vec![Some("mon"), None, Some("tue"), Some("mon")]))),
        (
            "view",
            Arc::new(StringViewArray::from(vec![Some("a"), None, Some(""), Some("long enough to be elsewhere")])),
            Arc::new(StringArray::from(vec![Some("a"), None, Some(""), Some("long enough to be elsewhere")])),
        ),
        ("large", Arc::new(LargeStringArray::from(vec!["a", "b", "c", "d"])), Arc::new(StringArray::from(vec!["a", "b", "c", "d"]))),
        (
            "millis",
            Arc::new(TimestampMillisecondArray::from(vec![-1, 0, 1, 1_000_000])),
            Arc::new(TimestampMicrosecondArray::from(vec![-1000, 0, 1000, 1_000_000_000])),
        ),
        (
            "seconds",
            Arc::new(Time32SecondArray::from(vec![0, 1, 2, 86_399])),
            Arc::new(Time64MicrosecondArray::from(vec![0, 1_000_000, 2_000_000, 86_399_000_000])),
        ),
    ];
    let fields: Vec<_> = columns.iter().map(|(n, a, _)| Field::new(*n, a.data_type().clone(), true)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.iter().map(|c| c.1.clone()).collect()).unwrap();
    let (bytes, _) = write(&[batch], WriteOptions::default());
    let wanted = columns.iter().map(|(n, _, a)| ScanColumn { name: (*n).into(), want: a.data_type().clone() }).collect();
    let back = run(async {
        let file = open(&bytes).await.unwrap();
        scan(&file, ScanRequest { columns: wanted, ..request(&Schema::empty()) }).await.unwrap()
    });
    for (at, (name, _, expected)) in columns.iter().enumerate() {
        assert_eq!(back.column(at), expected, "{name}");
    }
    let nested = Field::new("l", DataType::new_list(DataType::Int32, true), true);
    assert_eq!(Writer::new(Arc::new(Schema::new(vec![nested])), WriteOptions::default()).err().unwrap().kind(), crate::Kind::Unsupported);
}

#[test]
fn a_column_is_read_as_the_type_it_has_been_changed_to() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, true), Field::new("s", DataType::Utf8, true)]));
    let n: ArrayRef = Arc::new(Int32Array::from(vec![Some(-5), None, Some(300)]));
    let s: ArrayRef = Arc::new(StringArray::from(vec!["1", "2", "x"]));
    let (bytes, _) = write(&[RecordBatch::try_new(schema, vec![n, s]).unwrap()], WriteOptions::default());
    let read = |name: &str, want: DataType| {
        let columns = vec![ScanColumn { name: name.into(), want }];
        run(async { scan(&open(&bytes).await.unwrap(), ScanRequest { columns, ..request(&Schema::empty()) }).await })
    };
    let wide = read("n", DataType::Int64).unwrap();
    assert_eq!(wide.column(0).as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(-5), None, Some(300)]));
    let text = read("n", DataType::Utf8).unwrap();
    assert_eq!(text.column(0).as_string::<i32>(), &StringArray::from(vec![Some("-5"), None, Some("300")]));
    let decimal = read("n", DataType::Decimal128(10, 2)).unwrap();
    assert_eq!(decimal.column(0).as_primitive::<Decimal128Type>().value(0), -500);
    for (name, want) in [("n", DataType::UInt8), ("n", DataType::Int8), ("s", DataType::Int32), ("gone", DataType::Int32)] {
        let error = read(name, want.clone()).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Storage, "{name} as {want}");
        assert!(error.message().contains("cold/part-1.orc"), "{error}");
    }
}

#[test]
fn stripes_limits_and_bare_counts_give_their_part() {
    let schema = every_type();
    let whole = batch(&schema, 5000, 3, 2, 0);
    let (bytes, _) = write(std::slice::from_ref(&whole), WriteOptions { row_index_stride: 1000, stripe_rows: 2000, ..Default::default() });
    let whole = plain(&whole);
    run(async {
        let file = open(&bytes).await.unwrap();
        assert_eq!(file.stripe_rows().collect::<Vec<_>>(), [2000, 2000, 1000]);
        let part = scan(&file, ScanRequest { stripes: Some(1..2), ..request(&schema) }).await.unwrap();
        assert_eq!(part, whole.slice(2000, 2000));
        let part = scan(&file, ScanRequest { stripes: Some(1..9), limit: Some(2500), ..request(&schema) }).await.unwrap();
        assert_eq!(part, whole.slice(2000, 2500));
        let counted: Vec<_> = file.scan(request(&Schema::empty())).try_collect().await.unwrap();
        assert_eq!(counted.iter().map(RecordBatch::num_rows).sum::<usize>(), 5000);
        assert!(counted.iter().all(|b| b.num_rows() <= 1000));
    });
}
