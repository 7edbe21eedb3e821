//! What other writers do and this one does not (fixtures/orc, made by make_times.py there): their calendars, zones, encodings
//! and marks, and what they may do to a file while it is read.

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use jiff::civil::DateTime;
use object_store::local::LocalFileSystem;
use orc_rust::proto::{self, CalendarKind, CompressionKind};
use prost::Message;

use super::*;
use crate::error::Kind;
use crate::types::coerce::civil::{DAY, days_from_civil};

/// TIMES of make_times.py.
const TIMES: [&str; 16] = [
    "0001-01-01 00:00:00",
    "0200-03-01 01:02:03.5",
    "1100-06-15 12:00:00",
    "1500-02-28 23:59:59.999999",
    "1582-10-04 23:59:59",
    "1582-10-15 00:00:00",
    "1850-06-15 12:34:56.123456",
    "1899-12-31 15:59:59",
    "1899-12-31 23:59:59",
    "1901-01-01 00:00:00",
    "1910-07-01 12:00:00",
    "1965-07-05 11:11:11.123456",
    "1986-07-05 11:11:11",
    "2022-07-05 11:11:11.123456",
    "2022-12-05 11:11:11",
    "9999-12-31 12:00:00",
];

fn micros(text: &str) -> i64 {
    let at: DateTime = text.parse().unwrap();
    let days = days_from_civil(at.year().into(), at.month() as u32, at.day() as u32);
    days * DAY
        + (i64::from(at.hour()) * 3600 + i64::from(at.minute()) * 60 + i64::from(at.second())) * 1_000_000
        + i64::from(at.subsec_nanosecond() / 1000)
}

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/orc/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

const URI: &str = "s3://lake/day 1.orc";

async fn open_foreign(bytes: impl Into<Bytes>) -> Result<OrcFile> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from("day 1.orc");
    store.put(&path, bytes.into().into()).await.unwrap();
    OrcFile::open_foreign(store, &path, URI).await
}

async fn column(bytes: impl Into<Bytes>, name: &str, want: DataType) -> Result<ArrayRef> {
    let file = open_foreign(bytes).await?;
    let schema = Schema::new(vec![Field::new(name, want, true)]);
    Ok(scan(&file, ScanRequest { batch_size: 7, ..request(&schema) }).await?.column(0).clone())
}

fn civil() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

fn at_values(array: &ArrayRef) -> Vec<i64> {
    array.as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

/// A file of one stripe and no compression, taken apart.
struct Parts {
    data: Vec<u8>,
    stripe: proto::StripeFooter,
    metadata: Vec<u8>,
    footer: proto::Footer,
    postscript: proto::PostScript,
}

impl Parts {
    fn of(name: &str) -> Parts {
        let bytes = bytes_of(name);
        let end = bytes.len() - 1;
        let start = end - usize::from(bytes[end]);
        let postscript = proto::PostScript::decode(&bytes[start..end]).unwrap();
        assert_eq!(postscript.compression(), CompressionKind::None);
        let footer_at = start - postscript.footer_length() as usize;
        let footer = proto::Footer::decode(&bytes[footer_at..start]).unwrap();
        let metadata = bytes[footer_at - postscript.metadata_length() as usize..footer_at].to_vec();
        let stripe = &footer.stripes[0];
        let stripe_at = (stripe.offset() + stripe.index_length() + stripe.data_length()) as usize;
        let layout = proto::StripeFooter::decode(&bytes[stripe_at..stripe_at + stripe.footer_length() as usize]).unwrap();
        Parts { data: bytes[..stripe_at].to_vec(), stripe: layout, metadata, footer, postscript }
    }

    fn join(mut self) -> Bytes {
        let stripe = self.stripe.encode_to_vec();
        self.footer.stripes[0].footer_length = Some(stripe.len() as u64);
        let footer = self.footer.encode_to_vec();
        self.postscript.footer_length = Some(footer.len() as u64);
        self.postscript.metadata_length = Some(self.metadata.len() as u64);
        let postscript = self.postscript.encode_to_vec();
        [self.data, stripe, self.metadata, footer, postscript.clone(), vec![postscript.len() as u8]].concat().into()
    }
}

#[test]
fn old_moments_of_java_show_the_wall_clock_of_their_writer() {
    let wanted = TIMES.map(micros);
    for (name, zone) in [("spark-shanghai.orc", "Asia/Shanghai"), ("spark-pst.orc", "PST"), ("spark-gmt8.orc", "GMT+08:00")] {
        let parts = Parts::of(name);
        assert_eq!(parts.stripe.writer_timezone(), zone);
        assert_eq!(parts.footer.calendar(), CalendarKind::JulianGregorian);
        let at = run(column(bytes_of(name), "at", civil())).unwrap();
        assert_eq!(at_values(&at), wanted, "{name}");
        let days = run(column(bytes_of(name), "day", DataType::Date32)).unwrap();
        let days: Vec<i64> = days.as_primitive::<Date32Type>().values().iter().map(|&day| day.into()).collect();
        assert_eq!(days, wanted.map(|at| at.div_euclid(DAY)), "{name}");
    }
}

#[test]
fn only_java_counts_old_days_in_the_julian_calendar() {
    let days = run(column(bytes_of("pyarrow-days.orc"), "day", DataType::Date32)).unwrap();
    let wanted = TIMES.map(|at| micros(at).div_euclid(DAY) as i32);
    assert_eq!(days.as_primitive::<Date32Type>().values(), &wanted);
    let at = run(column(bytes_of("pyarrow-times.orc"), "at", civil())).unwrap();
    assert_eq!(at_values(&at), TIMES.map(micros)[6..15]);

    let day = |change: fn(&mut Parts)| {
        let mut parts = Parts::of("spark-shanghai.orc");
        change(&mut parts);
        let days = run(column(parts.join(), "day", DataType::Date32)).unwrap();
        i64::from(days.as_primitive::<Date32Type>().value(3))
    };
    let (named, stored) = (days_from_civil(1500, 2, 28), days_from_civil(1500, 2, 28) + 9);
    assert_eq!(day(|_| {}), named);
    assert_eq!(day(|parts| parts.footer.calendar = None), named, "files of old do not say it");
    assert_eq!(day(|parts| parts.footer.writer = None), named);
    assert_eq!(day(|parts| parts.footer.calendar = Some(CalendarKind::ProlepticGregorian as i32)), stored);
    assert_eq!(day(|parts| parts.footer.writer = Some(4)), stored, "Trino");
    assert_eq!(day(|parts| parts.postscript.magic = None), stored, "Presto of old");
}

#[test]
fn our_own_files_say_that_their_calendar_is_proleptic() {
    let batch = RecordBatch::try_from_iter([("day", Arc::new(Date32Array::from(vec![-800_000])) as ArrayRef)]).unwrap();
    let (bytes, _) = write(&[batch], WriteOptions { compression: Compression::None, ..Default::default() });
    let end = bytes.len() - 1;
    let start = end - usize::from(bytes[end]);
    let postscript = proto::PostScript::decode(&bytes[start..end]).unwrap();
    let footer = proto::Footer::decode(&bytes[start - postscript.footer_length() as usize..start]).unwrap();
    assert_eq!(footer.calendar(), CalendarKind::ProlepticGregorian);
    let read = run(column(bytes, "day", DataType::Date32)).unwrap();
    assert_eq!(read.as_primitive::<Date32Type>().values(), &[-800_000]);
}

#[test]
fn an_unknown_zone_matters_to_timestamps_only() {
    let bytes = || {
        let mut parts = Parts::of("spark-gmt8.orc");
        parts.stripe.writer_timezone = Some("Mars/Olympus".into());
        parts.join()
    };
    assert_eq!(run(column(bytes(), "id", DataType::Int32)).unwrap().len(), TIMES.len());
    let error = run(column(bytes(), "at", civil())).unwrap_err();
    assert!(error.message().contains("Mars/Olympus") && error.message().contains("'at'"), "{error}");
}

#[test]
fn decimals_that_are_stored_as_integers_are_read() {
    let name = "spark-decimal64.orc";
    assert_eq!(Parts::of(name).postscript.version, [1, 9999]);
    let wanted = [Some(0), Some(-150), Some(999_999_999_999_999_999), Some(-999_999_999_999_999_999), Some(1_234_567), None];
    for (column_name, precision) in [("price", 18), ("wide", 38)] {
        let read = run(column(bytes_of(name), column_name, DataType::Decimal128(precision, 2))).unwrap();
        let read: Vec<_> = read.as_primitive::<Decimal128Type>().iter().collect();
        assert_eq!(read, wanted, "{column_name}");
    }
}

#[test]
fn a_decimal_of_a_dictionary_is_refused_by_name() {
    let mut parts = Parts::of("spark-decimal64.orc");
    parts.stripe.columns[2].set_kind(proto::column_encoding::Kind::DictionaryV2);
    let bytes = parts.join();
    let error = run(column(bytes.clone(), "price", DataType::Decimal128(18, 2))).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("'price'") && error.message().contains("DICTIONARY"), "{error}");
    assert!(run(column(bytes, "wide", DataType::Decimal128(38, 2))).is_ok());
}

#[test]
fn text_that_is_not_utf8_is_named_by_column_and_row_and_read_as_bytes() {
    for (name, row) in [("direct", 3), ("dictionary", 91)] {
        let error = run(column(bytes_of("pyarrow-latin1.orc"), name, DataType::Utf8)).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidCharacter);
        assert!(error.message().contains(&format!("'{name}' in row {row}:")) && error.message().contains(URI), "{error}");
        let read = run(column(bytes_of("pyarrow-latin1.orc"), name, DataType::Binary)).unwrap();
        let read = read.as_binary::<i32>();
        let wanted: &[u8] = if name == "direct" { b"z\xfcrich" } else { b"caf\xe9" };
        assert_eq!((read.len(), read.value(row - 1)), (100, wanted));
        assert!(read.is_null(if name == "direct" { 1 } else { 3 }));
    }
}

#[test]
fn the_mark_at_the_beginning_is_enough() {
    let mut parts = Parts::of("spark-decimal64.orc");
    parts.postscript.magic = None;
    let bytes = parts.join();
    assert!(run(column(bytes.clone(), "id", DataType::Int32)).is_ok());
    let mut unmarked = bytes.to_vec();
    unmarked[0] = b'X';
    let error = run(open_foreign(unmarked)).unwrap_err();
    assert_eq!(error.kind(), Kind::Storage);
    assert!(error.hint().unwrap().contains("ORC files only"), "{error:?}");
}

#[test]
fn broken_stripe_statistics_stop_no_read() {
    let mut parts = Parts::of("spark-gmt8.orc");
    parts.metadata = vec![0xff; 40];
    assert_eq!(run(column(parts.join(), "id", DataType::Int32)).unwrap().len(), TIMES.len());
}

#[test]
fn each_kind_of_file_that_is_not_read_has_its_own_hint_and_only_ours_a_backup() {
    let changed = |change: fn(&mut Parts)| {
        let mut parts = Parts::of("spark-gmt8.orc");
        change(&mut parts);
        parts.join()
    };
    let whole = Bytes::from(bytes_of("spark-gmt8.orc"));
    let files: Vec<(Bytes, Kind, &str)> = vec![
        (changed(|p| p.postscript.set_compression(CompressionKind::Lzo)), Kind::Unsupported, "ZLIB"),
        (changed(|p| p.postscript.compression = Some(6)), Kind::Unsupported, "ZLIB"),
        (changed(|p| p.footer.encryption = Some(Default::default())), Kind::Unsupported, "encryption"),
        (changed(|p| p.postscript.version = vec![2, 0]), Kind::Unsupported, "0.12"),
        (Bytes::new(), Kind::Storage, "0 bytes"),
        ("id,name\n1,a\n".repeat(99).into(), Kind::Storage, "ORC files only"),
        (Bytes::from_static(b"PAR1 and so on PAR1"), Kind::Storage, "ORC files only"),
        (whole.slice(..whole.len() / 2), Kind::Storage, "ORC files only"),
        (changed(|p| p.footer.number_of_rows = Some(5)), Kind::Storage, "damaged"),
    ];
    for (at, (bytes, kind, hint)) in files.into_iter().enumerate() {
        let error = run(open_foreign(bytes.clone())).unwrap_err();
        assert_eq!(error.kind(), kind, "file {at}: {error:?}");
        assert!(error.hint().unwrap().contains(hint), "file {at}: {error:?}");
        assert!(error.message().contains(URI) && !error.hint().unwrap().contains("backup"), "file {at}: {error:?}");
        let ours = run(open(&bytes)).unwrap_err();
        assert!(ours.kind() == Kind::Storage && ours.hint().unwrap().contains("backup"), "file {at}: {ours:?}");
    }
    let error = run(OrcFile::open_foreign(Arc::new(InMemory::new()), &Path::from("x"), URI)).unwrap_err();
    assert!(error.message().contains(URI) && error.hint().unwrap().contains("spelling"), "{error:?}");
}

#[test]
fn columns_of_unknown_types_do_not_stop_the_others() {
    let mut parts = Parts::of("spark-gmt8.orc");
    parts.footer.types[2].kind = Some(20);
    let bytes = parts.join();
    let file = run(open_foreign(bytes.clone())).unwrap();
    let columns = file.foreign_columns();
    assert!(columns[0].1.is_ok() && columns[2].1.is_ok());
    let error = columns[1].1.as_ref().unwrap_err();
    assert!(error.kind() == Kind::Unsupported && error.message().contains("'day'") && error.message().contains("20"), "{error}");
    assert!(run(column(bytes, "at", civil())).is_ok());
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_an_error() {
    run(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = Path::from("x.orc");
        let bytes = Bytes::from(bytes_of("spark-gmt8.orc"));
        store.put(&path, bytes.clone().into()).await.unwrap();
        let file = OrcFile::open_foreign(store.clone(), &path, URI).await.unwrap();
        file.check_unchanged().await.unwrap();
        assert_eq!(scan(&file, request(&file.schema())).await.unwrap().num_rows(), TIMES.len());
        store.put(&path, bytes.into()).await.unwrap();
        for error in [scan(&file, request(&file.schema())).await.unwrap_err(), file.check_unchanged().await.unwrap_err()] {
            assert!(error.kind() == Kind::Storage && error.message().contains("replaced while it was read"), "{error}");
        }
        store.delete(&path).await.unwrap();
        let error = scan(&file, request(&file.schema())).await.unwrap_err();
        assert!(error.message().contains("replaced"), "{error}");
    });
}

#[test]
fn a_file_that_was_replaced_by_one_of_its_size_is_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    let file_of = |values: [i64; 3]| {
        let batch = RecordBatch::try_from_iter([("v", Arc::new(Int64Array::from(values.to_vec())) as ArrayRef)]).unwrap();
        write(&[batch], WriteOptions { compression: Compression::None, ..Default::default() }).0
    };
    let (old, new) = (file_of([1, 2, 3]), file_of([4, 6, 5]));
    assert_eq!(old.len(), new.len());
    for (bytes, wanted) in [(old, [1, 2, 3]), (new, [4, 6, 5])] {
        std::fs::write(directory.path().join("x.orc"), &bytes).unwrap();
        let store = Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap());
        let read = run(async {
            let file = OrcFile::open_foreign(store, &Path::from("x.orc"), URI).await.unwrap();
            scan(&file, request(&file.schema())).await.unwrap()
        });
        assert_eq!(read.column(0).as_primitive::<Int64Type>().values(), &wanted);
    }
}
