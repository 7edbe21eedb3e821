//! Promises of coercion, in tables: what each column takes and refuses.

use super::*;
use datafusion::arrow::array::{Float64Array, Int64Array, TimestampMicrosecondArray};
use datafusion::arrow::util::display::array_value_to_string;

fn column(ty: SqlType) -> Column {
    Column { id: 1, name: "x".into(), ty, nullable: true, default: None, comment: String::new() }
}

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn one(family: Family, ty: SqlType, value: &str) -> Result<String> {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let array = coerce(&text(&[value]), &column(ty.clone()), family, &zone, 0)?;
    assert_eq!(array.data_type(), &ty.arrow());
    Ok(array_value_to_string(&array, 0).unwrap())
}

const INT: SqlType = SqlType::Int32 { unsigned: false };
const TINY: SqlType = SqlType::Int8 { unsigned: false };
const DEC: SqlType = SqlType::Decimal { precision: 5, scale: 2 };

#[test]
fn mysql_text_becomes_what_the_column_holds() {
    let labels = vec!["Red".to_string(), "green".to_string()];
    let cases: Vec<(SqlType, &str, &str)> = vec![
        (INT, "12", "12"),
        (INT, " -12 ", "-12"),
        (INT, "12.5", "13"),
        (INT, "-1e2", "-100"),
        (SqlType::Int64 { unsigned: true }, "18446744073709551615", "18446744073709551615"),
        (SqlType::Year, "99", "1999"),
        (SqlType::Year, "2022", "2022"),
        (SqlType::Bool, "1", "true"),
        (SqlType::Bool, " 0 ", "false"),
        (DEC, "1.005", "1.01"),
        (DEC, "-1.005", "-1.01"),
        (DEC, "1e2", "100.00"),
        (SqlType::Float64, "1.5e3", "1500.0"),
        (SqlType::Char { length: 3 }, "ab ", "ab"),
        (SqlType::VarChar { length: 3 }, "äöü  ", "äöü"),
        (SqlType::Date, "2022-7-5", "2022-07-05"),
        (SqlType::DateTime { fsp: 0 }, "2022-07-05 11:11:11.5", "2022-07-05T11:11:12"),
        (SqlType::DateTime { fsp: 3 }, "20220705111111", "2022-07-05T11:11:11"),
        (SqlType::Timestamp { fsp: 0 }, "2022-07-05 11:11:11", "2022-07-05T03:11:11Z"),
        (SqlType::Timestamp { fsp: 0 }, "2022-07-05 11:11:11+00:00", "2022-07-05T11:11:11Z"),
        (SqlType::DateTime { fsp: 0 }, "2022-07-05 11:11:11+00:00", "2022-07-05T19:11:11"),
        (SqlType::Time { fsp: 0 }, "101112", "10:11:12"),
        (SqlType::Enum { labels: labels.clone() }, "RED", "Red"),
        (SqlType::Enum { labels: labels.clone() }, "2", "green"),
        (SqlType::Set { labels: labels.clone() }, "GREEN,red,red", "Red,green"),
        (SqlType::Set { labels }, "2", "green"),
        (SqlType::Json, "{\"a\": [1]}", "{\"a\": [1]}"),
        (SqlType::Binary { length: 3 }, "a", "610000"),
        (SqlType::Bit { length: 8 }, "A", "65"),
    ];
    for (ty, value, want) in cases {
        assert_eq!(one(Family::MySql, ty.clone(), value).unwrap_or_else(|e| panic!("{ty} {value}: {e}")), want, "{ty} {value}");
    }
}

#[test]
fn postgres_text_becomes_what_the_column_holds() {
    let cases = vec![
        (INT, "12", "12"),
        (SqlType::Bool, "t", "true"),
        (SqlType::Bool, "off", "false"),
        (SqlType::Bool, " YES ", "true"),
        (SqlType::Blob, "\\x00ff", "00ff"),
        (SqlType::Blob, "a\\\\b\\001", "615c6201"),
        (SqlType::Uuid, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        (SqlType::Timestamp { fsp: 6 }, "2022-07-05 11:11:11.123456", "2022-07-05T03:11:11.123456Z"),
        (SqlType::Timestamp { fsp: 6 }, "2022-07-05 11:11:11+02", "2022-07-05T09:11:11Z"),
        (SqlType::DateTime { fsp: 6 }, "2022-07-05 11:11:11+02", "2022-07-05T11:11:11"),
        (SqlType::VarChar { length: 2 }, "ab  ", "ab"),
        (SqlType::Float64, "Infinity", "inf"),
    ];
    for (ty, value, want) in cases {
        assert_eq!(one(Family::Postgres, ty.clone(), value).unwrap_or_else(|e| panic!("{ty} {value}: {e}")), want, "{ty} {value}");
    }
}

#[test]
fn what_does_not_fit_is_refused_in_the_words_of_the_dialect() {
    use Family::{MySql, Postgres};
    let cases = vec![
        (MySql, SqlType::Bool, "5", Kind::OutOfRange, "Out of range value for column 'x' at row 1"),
        (MySql, SqlType::Bool, "true", Kind::IncorrectValue, "Incorrect integer value: 'true' for column 'x' at row 1"),
        (MySql, TINY, "128", Kind::OutOfRange, "Out of range value for column 'x' at row 1"),
        (MySql, SqlType::Int24 { unsigned: true }, "16777216", Kind::OutOfRange, "Out of range value for column 'x' at row 1"),
        (MySql, SqlType::Int64 { unsigned: true }, "-1", Kind::OutOfRange, "Out of range value for column 'x' at row 1"),
        (MySql, INT, "abc", Kind::IncorrectValue, "Incorrect integer value: 'abc' for column 'x' at row 1"),
        (MySql, INT, "", Kind::IncorrectValue, "Incorrect integer value: '' for column 'x' at row 1"),
        (MySql, DEC, "1000", Kind::OutOfRange, "Out of range value for column 'x' at row 1"),
        (MySql, SqlType::VarChar { length: 2 }, "abc", Kind::TooLong, "Data too long for column 'x' at row 1"),
        (MySql, SqlType::Date, "2022-02-30", Kind::InvalidDatetime, "Incorrect date value: '2022-02-30' for column 'x' at row 1"),
        (
            MySql,
            SqlType::DateTime { fsp: 0 },
            "0000-00-00",
            Kind::InvalidDatetime,
            "Incorrect datetime value: '0000-00-00' for column 'x' at row 1",
        ),
        (MySql, SqlType::Enum { labels: vec!["a".into()] }, "b", Kind::Truncated, "Data truncated for column 'x' at row 1"),
        (MySql, SqlType::Year, "1900", Kind::OutOfRange, "Out of range value for column 'x' at row 1"),
        (Postgres, INT, "abc", Kind::InvalidValue, "invalid input syntax for type integer: \"abc\""),
        (Postgres, INT, "1.5", Kind::InvalidValue, "invalid input syntax for type integer: \"1.5\""),
        (Postgres, INT, "99999999999", Kind::OutOfRange, "value \"99999999999\" is out of range for type integer"),
        (Postgres, DEC, "1000", Kind::OutOfRange, "numeric field overflow"),
        (Postgres, SqlType::VarChar { length: 5 }, "abcdef", Kind::TooLong, "value too long for type character varying(5)"),
        (Postgres, SqlType::Bool, "o", Kind::InvalidValue, "invalid input syntax for type boolean: \"o\""),
        (Postgres, SqlType::Date, "2022-02-30", Kind::DatetimeField, "date/time field value out of range: \"2022-02-30\""),
        (Postgres, SqlType::Json, "{", Kind::InvalidJson, "invalid input syntax for type json: \"{\""),
        (Postgres, SqlType::Uuid, "x", Kind::InvalidValue, "invalid input syntax for type uuid: \"x\""),
    ];
    for (family, ty, value, kind, message) in cases {
        let error = one(family, ty.clone(), value).expect_err(value);
        assert_eq!((error.kind(), error.message()), (kind, message), "{ty} {value}");
    }
}

#[test]
fn a_null_is_refused_only_where_none_may_be() {
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), None]));
    let mut strict = column(INT);
    assert_eq!(coerce(&values, &strict, Family::MySql, &TimeZone::UTC, 0).unwrap().null_count(), 1);
    strict.nullable = false;
    let error = coerce(&values, &strict, Family::MySql, &TimeZone::UTC, 0).unwrap_err();
    assert_eq!((error.mysql_code(), error.message()), (1048, "Column 'x' cannot be null"));
    let error = coerce(&new_null_array(&DataType::Null, 1), &strict, Family::Postgres, &TimeZone::UTC, 0).unwrap_err();
    assert_eq!(error.sqlstate(), "23502");
}

#[test]
fn row_numbers_count_from_the_offset() {
    let error = coerce(&text(&["1", "2", "x"]), &column(INT), Family::MySql, &TimeZone::UTC, 100).unwrap_err();
    assert!(error.message().ends_with("at row 103"), "{error}");
}

#[test]
fn typed_values_are_checked_and_converted() {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let big: ArrayRef = Arc::new(Int64Array::from(vec![300]));
    assert_eq!(coerce(&big, &column(TINY), Family::MySql, &zone, 0).unwrap_err().kind(), Kind::OutOfRange);
    let float: ArrayRef = Arc::new(Float64Array::from(vec![1.005]));
    assert_eq!(array_value_to_string(&coerce(&float, &column(DEC), Family::MySql, &zone, 0).unwrap(), 0).unwrap(), "1.01");
    let utc: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC"));
    let local = coerce(&utc, &column(SqlType::DateTime { fsp: 6 }), Family::MySql, &zone, 0).unwrap();
    assert_eq!(array_value_to_string(&local, 0).unwrap(), "1970-01-01T08:00:00");
    let back = coerce(&local, &column(SqlType::Timestamp { fsp: 6 }), Family::Postgres, &zone, 0).unwrap();
    assert_eq!(&back, &utc);
    let text = coerce(&utc, &column(SqlType::Text), Family::Postgres, &zone, 0).unwrap();
    assert_eq!(array_value_to_string(&text, 0).unwrap(), "1970-01-01 08:00:00+08");
}

#[test]
fn defaults_have_the_type_of_their_column() {
    let mut with = column(SqlType::Timestamp { fsp: 0 });
    with.default = Some(Default::Now);
    let now = Timestamp::from_microsecond(1_657_019_471_600_000).unwrap();
    let value = default_value(&with, now, &TimeZone::UTC).unwrap();
    assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(1_657_019_472_000_000), Some("UTC".into())));
    with.ty = INT;
    with.default = Some(Default::Value("7".into()));
    assert_eq!(default_value(&with, now, &TimeZone::UTC).unwrap(), ScalarValue::Int32(Some(7)));
    with.default = None;
    assert_eq!(default_value(&with, now, &TimeZone::UTC).unwrap(), ScalarValue::Int32(None));
}
