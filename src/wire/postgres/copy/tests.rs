//! Tests of [`super`]: what goes out comes back, cut anywhere; what is no data is an error with its line.

use datafusion::arrow::array::{Array, AsArray, Int64Array, StringArray};
use datafusion::arrow::util::display::array_value_to_string;
use proptest::prelude::*;

use super::*;
use crate::types::SqlType;
use crate::wire::postgres::encode::{Encoder, Style};
use crate::wire::postgres::types;

fn options(layout: CopyLayout) -> PostgresCopy {
    let csv = layout == CopyLayout::Csv;
    PostgresCopy {
        layout,
        delimiter: if csv { b',' } else { b'\t' },
        null: if csv { String::new() } else { "\\N".into() },
        header: false,
        header_match: false,
        quote: b'"',
        escape: b'"',
    }
}

fn columns() -> Vec<ColumnInfo> {
    vec![ColumnInfo::new("a", SqlType::Text), ColumnInfo::new("b", SqlType::Text)]
}

type Rows = Vec<Vec<Option<String>>>;

fn read(options: &PostgresCopy, columns: &[ColumnInfo], data: &[u8], piece: usize) -> Result<Rows, Fault> {
    let (mut decoder, mut batches) = (Decoder::new(options, columns), Batches::new(columns));
    for chunk in data.chunks(piece) {
        decoder.feed(chunk, &mut batches)?;
    }
    decoder.finish(&mut batches)?;
    let mut rows = vec![];
    while let Some(batch) = batches.take() {
        for row in 0..batch.num_rows() {
            let value = |c: &ArrayRef| (!c.is_null(row)).then(|| c.as_string::<i32>().value(row).to_owned());
            rows.push(batch.columns().iter().map(value).collect());
        }
    }
    Ok(rows)
}

fn row(a: Option<&str>, b: Option<&str>) -> Vec<Option<String>> {
    vec![a.map(str::to_owned), b.map(str::to_owned)]
}

#[test]
fn text_is_read_with_escapes_nulls_and_any_line_end() {
    let text = options(CopyLayout::Text);
    for (data, expected) in [
        (&b"1\t\\N\n\t\\\\N\n"[..], vec![row(Some("1"), None), row(Some(""), Some("\\N"))]),
        (b"a\\tb\\n\tc\\\nd\n", vec![row(Some("a\tb\n"), Some("c\nd"))]),
        (b"\\101\\x42\\q\\\t\t\\7\n", vec![row(Some("ABq\t"), Some("\u{7}"))]),
        (b"1\t2\r\n3\t4\r\n", vec![row(Some("1"), Some("2")), row(Some("3"), Some("4"))]),
        (b"1\t2\r3\t4", vec![row(Some("1"), Some("2")), row(Some("3"), Some("4"))]),
        (b"1\t2\n\\.\nignored", vec![row(Some("1"), Some("2"))]),
        (b"1\t2\r\n\\.\r\n", vec![row(Some("1"), Some("2"))]),
        (b"", vec![]),
        (b"1\tx\\", vec![row(Some("1"), Some("x\\"))]),
    ] {
        for piece in [1, 2, 3, 1000] {
            assert_eq!(read(&text, &columns(), data, piece).unwrap(), expected, "{data:?} by {piece}");
        }
    }
    let header = PostgresCopy { header: true, ..text };
    assert_eq!(read(&header, &columns(), b"a\tb\n1\t2\n", 1).unwrap(), vec![row(Some("1"), Some("2"))]);
}

#[test]
fn csv_tells_null_from_an_empty_text() {
    let csv = options(CopyLayout::Csv);
    for (data, expected) in [
        (&b"1,\n\"\",x\n"[..], vec![row(Some("1"), None), row(Some(""), Some("x"))]),
        (b"\"a\"\"b\",\"c\nd\"\r\n1,2\r\n", vec![row(Some("a\"b"), Some("c\nd")), row(Some("1"), Some("2"))]),
        (b"x\"y,z\"w,2", vec![row(Some("xy,zw"), Some("2"))]),
        (b"1,2\n\\.\n3,4\n", vec![row(Some("1"), Some("2"))]),
        (b"1,\"\\.\"\n", vec![row(Some("1"), Some("\\."))]),
    ] {
        for piece in [1, 2, 3, 1000] {
            assert_eq!(read(&csv, &columns(), data, piece).unwrap(), expected, "{data:?} by {piece}");
        }
    }
    let other = PostgresCopy { quote: b'\'', escape: b'\\', null: "NULL".into(), delimiter: b';', ..options(CopyLayout::Csv) };
    assert_eq!(read(&other, &columns(), b"'a\\'b\\\\c\\d';NULL\n", 1).unwrap(), vec![row(Some("a'b\\c\\d"), None)]);
}

#[test]
fn bad_data_is_an_error_with_its_line() {
    let binary = |tail: &[u8]| [&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..], tail].concat();
    let cases: Vec<(CopyLayout, Vec<u8>, &str, u64)> = vec![
        (CopyLayout::Text, b"1\t2\n3\n".to_vec(), "missing data for column \"b\"", 2),
        (CopyLayout::Text, b"1\t2\t3\n".to_vec(), "extra data after last expected column", 1),
        (CopyLayout::Text, b"1\t2\n1\r\t2\n".to_vec(), "literal carriage return", 2),
        (CopyLayout::Text, b"1\t2\r\n1\n\t2\r\n".to_vec(), "literal newline", 2),
        (CopyLayout::Csv, b"1,2\n3\n".to_vec(), "missing data for column \"b\"", 2),
        (CopyLayout::Csv, b"\"a\nb\",2\n3,4,5\n".to_vec(), "extra data after last expected column", 3),
        (CopyLayout::Csv, b"1,2\n3,\"4\n5".to_vec(), "unterminated CSV quoted field", 2),
        (CopyLayout::Binary, b"PGCOPX".to_vec(), "signature not recognized", 1),
        (CopyLayout::Binary, binary(b""), "unexpected EOF", 1),
        (CopyLayout::Binary, binary(b"\0\x03"), "row field count is 3, expected 2", 1),
        (CopyLayout::Binary, binary(b"\0\x02\0\0\0\x01x\x7f\xff\xff\xff"), "invalid field size", 1),
        (CopyLayout::Binary, binary(b"\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xffmore"), "after EOF marker", 2),
    ];
    for (layout, data, message, line) in cases {
        for piece in [1, 1000] {
            let fault = read(&options(layout), &columns(), &data, piece).unwrap_err();
            assert_eq!(fault.sqlstate, "22P04", "{data:?}");
            assert!(fault.message.contains(message), "{}", fault.message);
            assert!(fault.context.as_deref().unwrap().starts_with(&format!("COPY, line {line}")), "{fault:?}");
        }
    }
    for layout in [CopyLayout::Text, CopyLayout::Csv] {
        let delimiter = options(layout).delimiter;
        let fault = read(&options(layout), &columns(), &[b'a', delimiter, 0xff, b'\n'], 9).unwrap_err();
        assert_eq!(fault.sqlstate, "22021");
    }
}

#[test]
fn binary_rows_become_text_of_their_types() {
    let columns = vec![
        ColumnInfo::new("n", SqlType::Decimal { precision: 10, scale: 2 }),
        ColumnInfo::new("t", SqlType::Timestamp { fsp: 6 }),
        ColumnInfo::new("x", SqlType::Blob),
    ];
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x03".to_vec();
    for value in ["0002000040000002000c0bb8", "00000000000f4240", "0aff"] {
        let bytes = hex::decode(value).unwrap();
        data.extend((bytes.len() as u32).to_be_bytes());
        data.extend(bytes);
    }
    data.extend([0xff, 0xff]);
    let rows = read(&options(CopyLayout::Binary), &columns, &data, 5).unwrap();
    let expected = ["-12.30", "2000-01-01 00:00:01+00", "\\x0aff"].map(|s| Some(s.to_owned()));
    assert_eq!(rows, vec![expected.to_vec()]);
}

#[test]
fn batches_are_cut_at_their_size() {
    let data: Vec<u8> = (0..20_000).flat_map(|i| format!("{i}\tx\n").into_bytes()).collect();
    let (mut decoder, mut batches) = (Decoder::new(&options(CopyLayout::Text), &columns()), Batches::new(&columns()));
    decoder.feed(&data, &mut batches).unwrap();
    decoder.finish(&mut batches).unwrap();
    let sizes: Vec<usize> = std::iter::from_fn(|| batches.take()).map(|b| b.num_rows()).collect();
    assert_eq!(sizes, [8192, 8192, 20_000 - 2 * 8192]);
}

/// All CopyData messages of an export, joined.
fn export(options: &PostgresCopy, columns: &[ColumnInfo], arrays: &[ArrayRef]) -> Vec<u8> {
    let style = Style { zone: jiff::tz::TimeZone::UTC };
    let encoders: Vec<_> = columns.iter().zip(arrays).map(|(c, a)| Encoder::new(&c.ty, a, &style).unwrap()).collect();
    let (mut exporter, mut out) = (Exporter::new(options.clone()), bytes::BytesMut::new());
    exporter.begin(columns, &mut out).unwrap();
    for row in 0..arrays[0].len() {
        exporter.row(&encoders, row, &mut out).unwrap();
    }
    exporter.end(&mut out).unwrap();
    let (mut data, mut rest) = (vec![], &out[..]);
    while let Some((head, tail)) = rest.split_first_chunk::<5>() {
        assert_eq!(head[0], b'd');
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
        data.extend_from_slice(&tail[..length]);
        rest = &tail[length..];
    }
    data
}

#[test]
fn an_export_reads_as_postgresql_writes_it() {
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("a\tb\\"), None, Some("")])),
        Arc::new(StringArray::from(vec![Some("x,\"y\""), Some("l\nm"), Some("z")])),
    ];
    let text = PostgresCopy { header: true, ..options(CopyLayout::Text) };
    assert_eq!(String::from_utf8(export(&text, &columns(), &arrays)).unwrap(), "a\tb\na\\tb\\\\\tx,\"y\"\n\\N\tl\\nm\n\tz\n");
    let csv = PostgresCopy { header: true, ..options(CopyLayout::Csv) };
    assert_eq!(String::from_utf8(export(&csv, &columns(), &arrays)).unwrap(), "a,b\na\tb\\,\"x,\"\"y\"\"\"\n,\"l\nm\"\n\"\",z\n");
    let ints: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![7]))];
    let one = [ColumnInfo::new("n", SqlType::Int64 { unsigned: false })];
    let binary = export(&options(CopyLayout::Binary), &one, &ints);
    assert_eq!(binary[19..], *b"\0\x01\0\0\0\x08\0\0\0\0\0\0\0\x07\xff\xff");
    assert_eq!(array_value_to_string(&ints[0], 0).unwrap(), "7");
    assert_eq!(types::describe(&one[0].ty).oid, types::INT8);
}

proptest! {
    #[test]
    fn what_goes_out_comes_back(
        values in prop::collection::vec((prop::option::of("[^\0]{0,12}"), prop::option::of("[\\\\\"',\t\n\r.N]{0,6}")), 1..20),
        piece in 1usize..40,
        layout in 0usize..3,
    ) {
        let layout = [CopyLayout::Text, CopyLayout::Csv, CopyLayout::Binary][layout];
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(values.iter().map(|v| v.0.clone()).collect::<StringArray>()),
            Arc::new(values.iter().map(|v| v.1.clone()).collect::<StringArray>()),
        ];
        let options = options(layout);
        let data = export(&options, &columns(), &arrays);
        let expected: Rows = values.into_iter().map(|(a, b)| vec![a, b]).collect();
        prop_assert_eq!(read(&options, &columns(), &data, piece).unwrap(), expected);
    }

    #[test]
    fn random_bytes_never_panic(data: Vec<u8>, signed: bool, piece in 1usize..20) {
        let data = if signed { [&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..], &data].concat() } else { data };
        for layout in [CopyLayout::Text, CopyLayout::Csv, CopyLayout::Binary] {
            let _ = read(&options(layout), &columns(), &data, piece);
        }
    }
}

#[test]
fn a_header_that_must_match_names_the_columns() {
    for layout in [CopyLayout::Text, CopyLayout::Csv] {
        let options = PostgresCopy { header: true, header_match: true, delimiter: b',', ..options(layout) };
        assert_eq!(read(&options, &columns(), b"a,b\n1,2\n", 1).unwrap(), vec![row(Some("1"), Some("2"))]);
        for header in [&b"b,a\n1,2\n"[..], b"a\n1,2\n", b"A,b\n"] {
            assert_eq!(read(&options, &columns(), header, 64).unwrap_err().sqlstate, "22P04");
        }
    }
}
