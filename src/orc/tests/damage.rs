//! Damaged and foreign bytes are errors that name the file: no panic, no endless loop, no memory bomb.

use orc_rust::proto;
use prost::Message;

use super::roundtrip::batch;
use super::*;
use crate::error::Kind;

async fn read_all(bytes: &Bytes) -> Result<RecordBatch> {
    let file = open(bytes).await?;
    let schema = file.schema();
    scan(&file, request(&schema)).await
}

fn sample(compression: Compression) -> Bytes {
    let schema = every_type();
    let batches = [batch(&schema, 300, 5, 3, 0), batch(&schema, 300, 6, 0, 10)];
    write(
        &batches,
        WriteOptions { compression, row_index_stride: 100, stripe_rows: 300, bloom_columns: vec!["c5".into()], ..Default::default() },
    )
    .0
}

fn assert_storage(error: &crate::Error, what: &str) {
    assert_eq!(error.kind(), Kind::Storage, "{what}: {error}");
    assert!(error.message().contains("cold/part-1.orc"), "{what}: {error}");
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let whole = sample(Compression::Zstd { level: 1 });
    run(async {
        for length in (0..whole.len()).step_by(131).chain(whole.len() - 300..whole.len()) {
            let error = read_all(&whole.slice(..length)).await.expect_err(&format!("cut to {length} of {}", whole.len()));
            assert_storage(&error, &format!("cut to {length}"));
        }
    });
}

/// ORC has no checksums, so a flipped bit may pass as another value; but it must not panic, hang or blow up.
#[test]
fn a_flipped_byte_anywhere_is_an_error_or_other_values() {
    for compression in [Compression::Zstd { level: 1 }, Compression::None, Compression::Zlib, Compression::Snappy, Compression::Lz4] {
        let whole = sample(compression);
        let mut noticed = 0;
        run(async {
            for at in (0..whole.len()).step_by(whole.len() / 300) {
                for flip in [0x01, 0xff] {
                    let mut bytes = whole.to_vec();
                    bytes[at] ^= flip;
                    if let Err(error) = read_all(&bytes.into()).await {
                        assert_storage(&error, &format!("{compression:?}: byte {at} ^ {flip}"));
                        noticed += 1;
                    }
                }
            }
        });
        assert!(noticed > 50, "{compression:?}: {noticed} noticed");
    }
}

#[test]
fn foreign_bytes_are_not_an_orc_file() {
    let parquet = [b"PAR1".as_slice(), &[0; 100], b"PAR1"].concat();
    let text = b"id,name\n1,a\n".repeat(1000);
    for bytes in [vec![], vec![0], vec![255; 10], vec![0; 100_000], parquet, text, b"ORC".to_vec(), b"ORC\x03ORC\x03".to_vec()] {
        let error = run(open(&bytes.clone().into())).unwrap_err();
        assert_storage(&error, &format!("{} bytes", bytes.len()));
    }
}

/// A file that is nothing but a tail.
fn with_tail(footer: &[u8], postscript: proto::PostScript) -> Bytes {
    let postscript = proto::PostScript { magic: Some("ORC".into()), ..postscript }.encode_to_vec();
    [b"ORC", footer, &postscript, &[postscript.len() as u8]].concat().into()
}

fn root() -> proto::Type {
    let mut root = proto::Type { subtypes: vec![1], field_names: vec!["a".into()], ..Default::default() };
    root.set_kind(proto::r#type::Kind::Struct);
    root
}

#[test]
fn lengths_that_lie_are_found_out() {
    let plain = |footer: &proto::Footer| {
        let footer = footer.encode_to_vec();
        with_tail(&footer, proto::PostScript { footer_length: Some(footer.len() as u64), compression: Some(0), ..Default::default() })
    };
    let mut int = proto::Type::default();
    int.set_kind(proto::r#type::Kind::Int);
    let footer = |types: Vec<proto::Type>, stripes: Vec<proto::StripeInformation>| {
        let rows = stripes.iter().map(|s| s.number_of_rows()).fold(0, u64::wrapping_add);
        plain(&proto::Footer { types, stripes, number_of_rows: Some(rows), ..Default::default() })
    };
    let stripe = |offset, index, data, rows| proto::StripeInformation {
        offset: Some(offset),
        index_length: Some(index),
        data_length: Some(data),
        footer_length: Some(3),
        number_of_rows: Some(rows),
        ..Default::default()
    };
    let looped = proto::Type { subtypes: vec![0], ..root() };
    let postscript = proto::PostScript::default();
    let files = [
        with_tail(b"", proto::PostScript { footer_length: Some(u64::MAX), metadata_length: Some(2), ..postscript.clone() }),
        with_tail(b"", proto::PostScript { footer_length: Some(1 << 40), ..postscript.clone() }),
        with_tail(b"", proto::PostScript { compression: Some(77), ..postscript.clone() }),
        with_tail(b"", proto::PostScript { compression: Some(1), compression_block_size: Some(1 << 50), ..postscript }),
        footer(vec![], vec![]),
        footer(vec![int.clone()], vec![]),
        footer(vec![root()], vec![]),
        footer(vec![looped, int.clone()], vec![]),
        footer(vec![root(), int.clone()], vec![stripe(u64::MAX, 1, 1, 1)]),
        footer(vec![root(), int.clone()], vec![stripe(3, u64::MAX - 1, 1, 1)]),
        footer(vec![root(), int.clone()], vec![stripe(3, 0, 1 << 40, 1)]),
        footer(vec![root(), int], vec![stripe(3, 0, 0, u64::MAX)]),
    ];
    for (at, bytes) in files.iter().enumerate() {
        let error = run(open(bytes)).expect_err(&format!("file {at}"));
        assert_storage(&error, &format!("file {at}"));
    }
}

#[test]
fn a_missing_file_and_one_of_another_size_are_named() {
    let bytes = sample(Compression::None);
    run(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = Path::from("cold/part-1.orc");
        let error = OrcFile::open(store.clone(), &path, None).await.unwrap_err();
        assert_storage(&error, "missing");
        assert!(error.message().contains("missing"), "{error}");
        store.put(&path, bytes.clone().into()).await.unwrap();
        for wrong in [0, 1, bytes.len() as u64 - 1, bytes.len() as u64 + 1, 1 << 50] {
            assert_storage(&OrcFile::open(store.clone(), &path, Some(wrong)).await.unwrap_err(), &format!("{wrong} bytes"));
        }
        // Gone between opening and reading.
        let file = OrcFile::open(store.clone(), &path, None).await.unwrap();
        store.delete(&path).await.unwrap();
        assert_storage(&scan(&file, request(&file.schema())).await.unwrap_err(), "deleted");
    });
}
