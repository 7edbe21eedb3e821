//! Tests of [`super`]: both formats of every type.

use std::sync::Arc;

use datafusion::arrow::array::{Int32Builder, ListBuilder};

use super::*;

fn style() -> Style {
    Style { zone: crate::time::parse_zone("Europe/Paris").unwrap() }
}

fn field(ty: &SqlType, array: ArrayRef, format: Format) -> Vec<u8> {
    let style = style();
    let encoder = Encoder::new(ty, &array, &style).unwrap();
    let mut out = BytesMut::new();
    encoder.write_field(0, format, &mut out).unwrap();
    assert_eq!(i32::from_be_bytes(out[..4].try_into().unwrap()) as usize, out.len() - 4);
    out[4..].to_vec()
}

/// A column of one value, read by Arrow from text.
fn column(ty: &SqlType, text: &str) -> ArrayRef {
    cast(&(Arc::new(StringArray::from(vec![text])) as ArrayRef), &ty.arrow()).unwrap()
}

#[test]
fn every_type_has_its_text_and_its_binary_form() {
    let signed = false;
    let unsigned = true;
    // (type, Arrow's text, our text, our bytes in hex)
    let cases: Vec<(SqlType, &str, &str, &str)> = vec![
        (SqlType::Bool, "true", "t", "01"),
        (SqlType::Int8 { unsigned: signed }, "-128", "-128", "ff80"),
        (SqlType::Int8 { unsigned }, "255", "255", "00ff"),
        (SqlType::Int16 { unsigned: signed }, "-2", "-2", "fffe"),
        (SqlType::Int16 { unsigned }, "65535", "65535", "0000ffff"),
        (SqlType::Int24 { unsigned }, "16777215", "16777215", "00ffffff"),
        (SqlType::Int32 { unsigned: signed }, "-2", "-2", "fffffffe"),
        (SqlType::Int32 { unsigned }, "4294967295", "4294967295", "00000000ffffffff"),
        (SqlType::Int64 { unsigned: signed }, "-2", "-2", "fffffffffffffffe"),
        (SqlType::Int64 { unsigned }, "18446744073709551615", "18446744073709551615", "000500040000000007341a5802e103bb064f"),
        (SqlType::Float32, "1.5", "1.5", "3fc00000"),
        (SqlType::Float64, "-0.1", "-0.1", "bfb999999999999a"),
        (SqlType::Decimal { precision: 10, scale: 2 }, "-12.30", "-12.30", "0002000040000002000c0bb8"),
        (SqlType::VarChar { length: 9 }, "a\tb", "a\tb", "610962"),
        (SqlType::Enum { labels: vec!["x".into()] }, "x", "x", "78"),
        (SqlType::Json, "{\"a\":1}", "{\"a\":1}", "7b2261223a317d"),
        (SqlType::Blob, "\u{1}z", "\\x017a", "017a"),
        (SqlType::Date, "2022-07-05", "2022-07-05", "0000201d"),
        (SqlType::Time { fsp: 6 }, "11:11:11.5", "11:11:11.5", "00000009605e52e0"),
        (SqlType::DateTime { fsp: 6 }, "2000-01-01T00:00:01.120", "2000-01-01 00:00:01.12", "0000000000111700"),
        (SqlType::Timestamp { fsp: 6 }, "2000-01-01T00:00:01Z", "2000-01-01 01:00:01+01", "00000000000f4240"),
        (SqlType::Uuid, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b8109dad11d180b400c04fd430c8"),
        (SqlType::Year, "2022", "2022", "07e6"),
        (SqlType::Bit { length: 8 }, "5", "5", "00010000000000000005"),
    ];
    for (ty, arrow, text, binary) in cases {
        let array = column(&ty, arrow);
        assert_eq!(String::from_utf8(field(&ty, array.clone(), Format::Text)).unwrap(), text, "{ty:?}");
        assert_eq!(hex::encode(field(&ty, array, Format::Binary)), binary, "{ty:?}");
    }
}

#[test]
fn null_is_a_length_of_minus_one_in_both_formats() {
    let style = style();
    for ty in [SqlType::Null, SqlType::Text, SqlType::Int64 { unsigned: true }, SqlType::Timestamp { fsp: 0 }] {
        let array = datafusion::arrow::array::new_null_array(&ty.arrow(), 1);
        let encoder = Encoder::new(&ty, &array, &style).unwrap();
        for format in [Format::Text, Format::Binary] {
            let mut out = BytesMut::new();
            encoder.write_field(0, format, &mut out).unwrap();
            assert_eq!(&out[..], [0xff; 4]);
        }
    }
}

#[test]
fn arrays_are_quoted_in_text_and_dimensioned_in_binary() {
    let mut ints = ListBuilder::new(Int32Builder::new());
    ints.append_value([Some(1), None]);
    let ty = SqlType::List(Box::new(SqlType::Int32 { unsigned: false }));
    let array: ArrayRef = Arc::new(ints.finish());
    assert_eq!(field(&ty, array.clone(), Format::Text), b"{1,NULL}");
    assert_eq!(hex::encode(field(&ty, array, Format::Binary)), "00000001000000010000001700000002000000010000000400000001ffffffff");
    let mut texts = ListBuilder::new(datafusion::arrow::array::StringBuilder::new());
    texts.append_value([Some("a"), Some(""), Some("null"), Some("x\"y\\"), Some("a b")]);
    let ty = SqlType::List(Box::new(SqlType::Text));
    assert_eq!(field(&ty, Arc::new(texts.finish()), Format::Text), br#"{a,"","null","x\"y\\","a b"}"#);
}

#[test]
fn nested_arrays_have_dimensions_and_ragged_ones_no_binary_form() {
    let nested = |rows: Vec<Vec<Option<i32>>>| -> ArrayRef {
        let mut outer = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
        for row in rows {
            outer.values().append_value(row);
        }
        outer.append(true);
        Arc::new(outer.finish())
    };
    let ty = SqlType::List(Box::new(SqlType::List(Box::new(SqlType::Int32 { unsigned: false }))));
    let square = nested(vec![vec![Some(1), Some(2)], vec![Some(3), Some(4)]]);
    assert_eq!(field(&ty, square.clone(), Format::Text), b"{{1,2},{3,4}}");
    let binary = hex::encode(field(&ty, square, Format::Binary));
    assert!(binary.starts_with("00000002000000000000001700000002000000010000000200000001"), "{binary}");
    let style = style();
    let ragged = nested(vec![vec![Some(1)], vec![]]);
    let fault = Encoder::new(&ty, &ragged, &style).unwrap().write_field(0, Format::Binary, &mut BytesMut::new()).unwrap_err();
    assert_eq!(fault.sqlstate, "0A000");
}

#[test]
fn other_arrow_forms_of_a_type_read_the_same() {
    for arrow in [DataType::LargeUtf8, DataType::Utf8View, DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))] {
        let array = cast(&column(&SqlType::Text, "abc"), &arrow).unwrap();
        assert_eq!(field(&SqlType::Text, array.clone(), Format::Text), b"abc", "{arrow}");
        assert_eq!(field(&SqlType::Text, array, Format::Binary), b"abc", "{arrow}");
    }
    let nanos =
        cast(&column(&SqlType::DateTime { fsp: 6 }, "2022-07-05T11:11:11.5"), &DataType::Timestamp(TimeUnit::Nanosecond, None)).unwrap();
    assert_eq!(field(&SqlType::DateTime { fsp: 6 }, nanos, Format::Text), b"2022-07-05 11:11:11.5");
    let wide = cast(&column(&SqlType::Decimal { precision: 10, scale: 2 }, "1.25"), &DataType::Decimal256(40, 2)).unwrap();
    assert_eq!(field(&SqlType::of_arrow(wide.data_type()), wide, Format::Text), b"1.25");
}
