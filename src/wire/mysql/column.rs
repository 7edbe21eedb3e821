//! Column definitions: the true metadata of a result's columns.
//! Layout: MySQL internals, "Protocol::ColumnDefinition41"; lengths and flags as server 8.0 gives them (sql/field.cc).

use std::borrow::Cow;

use datafusion::arrow::datatypes::DataType;
use mysql_common::constants::{ColumnFlags as Flags, ColumnType};

use super::charset::{BINARY, Charset};
use super::codec::{put_lenenc, put_lenenc_bytes};
use crate::types::{ColumnInfo, SqlType};

/// `decimals` of a column whose number of digits after the point is not fixed.
const NOT_FIXED: u8 = 31;
/// Bytes of the longest text or blob that MySQL has.
const LONGEST: u32 = u32::MAX;

/// What a column definition says about a type.
struct Shape {
    column_type: ColumnType,
    /// Longest value: bytes, or characters when `text`.
    length: u32,
    text: bool,
    flags: Flags,
    decimals: u8,
}

/// The type that a column is shown as: bare NULLs of another Arrow type take that type, and what was computed is true or
/// false as a BIGINT(1). Only a column of a table is a TINYINT(1), of which drivers make booleans.
pub fn shown_type(info: &ColumnInfo) -> Cow<'_, SqlType> {
    if info.ty == SqlType::Bool && info.origin.is_none() {
        Cow::Owned(SqlType::Int64 { unsigned: false })
    } else if info.ty == SqlType::Null && info.arrow != DataType::Null {
        Cow::Owned(SqlType::of_arrow(&info.arrow))
    } else {
        Cow::Borrowed(&info.ty)
    }
}

/// How a client takes definitions.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The character set of names and texts.
    pub charset: Charset,
    /// MariaDB's extended metadata were agreed on.
    pub extended: bool,
}

/// What MariaDB's extended metadata say of a type: a name (0) or a format (1), and its text.
fn extended(ty: &SqlType, checked_json: bool) -> &'static [u8] {
    match ty {
        SqlType::Json => b"\x01\x04json",
        SqlType::Text if checked_json => b"\x01\x04json",
        SqlType::Uuid => b"\x00\x04uuid",
        _ => b"",
    }
}

/// Appends the definition of a result column. `defaults`: COM_FIELD_LIST wants a default value too; NULL is said.
pub fn put_column(out: &mut Vec<u8>, info: &ColumnInfo, form: Form, defaults: bool) {
    let charset = form.charset;
    let ty = shown_type(info);
    let mut shape = shape(&ty, info.origin.is_some());
    if info.ty == SqlType::Bool {
        shape.length = 1;
    }
    let (database, alias, table, column) = match &info.origin {
        Some(o) => (o.database.as_str(), o.alias.as_str(), o.table.as_str(), o.column.as_str()),
        None => ("", "", "", ""),
    };
    put_lenenc_bytes(out, b"def");
    for name in [database, alias, table, info.label.as_str(), column] {
        put_lenenc_bytes(out, &charset.encode(name));
    }
    if form.extended {
        put_lenenc_bytes(out, extended(&ty, info.checked_json));
    }
    put_lenenc(out, 0x0c);
    let collation = if shape.text { charset.collation } else { BINARY };
    out.extend_from_slice(&collation.to_le_bytes());
    let length = if shape.text { shape.length.saturating_mul(charset.width) } else { shape.length };
    out.extend_from_slice(&length.to_le_bytes());
    out.push(shape.column_type as u8);
    let flags = if info.nullable { shape.flags } else { shape.flags | Flags::NOT_NULL_FLAG };
    out.extend_from_slice(&flags.bits().to_le_bytes());
    out.push(shape.decimals);
    out.extend_from_slice(&[0, 0]);
    if defaults {
        out.push(0xfb);
    }
}

/// Appends the definition of a statement's parameter, as the server gives it: a name and next to nothing else.
pub fn put_param(out: &mut Vec<u8>, extended: bool) {
    put_column(out, &ColumnInfo::new("?", SqlType::VarBinary { length: 0 }), Form { charset: Charset::UTF8, extended }, false);
}

fn shape(ty: &SqlType, from_table: bool) -> Shape {
    use ColumnType::*;
    // The server marks what it computed as BINARY; a plain numeric column of a table is not marked.
    let computed = if from_table { Flags::empty() } else { Flags::BINARY_FLAG };
    let sign = |unsigned: bool| if unsigned { computed | Flags::UNSIGNED_FLAG } else { computed };
    let bytes = |column_type, length, flags, decimals| Shape { column_type, length, text: false, flags, decimals };
    let text = |column_type, length, flags| Shape { column_type, length, text: true, flags, decimals: 0 };
    let moment = |column_type, base: u32, fsp: u8| {
        bytes(column_type, if fsp == 0 { base } else { base + 1 + u32::from(fsp) }, Flags::BINARY_FLAG, fsp)
    };
    match ty {
        SqlType::Bool => bytes(MYSQL_TYPE_TINY, 1, computed, 0),
        SqlType::Int8 { unsigned } => bytes(MYSQL_TYPE_TINY, if *unsigned { 3 } else { 4 }, sign(*unsigned), 0),
        SqlType::Int16 { unsigned } => bytes(MYSQL_TYPE_SHORT, if *unsigned { 5 } else { 6 }, sign(*unsigned), 0),
        SqlType::Int24 { unsigned } => bytes(MYSQL_TYPE_INT24, if *unsigned { 8 } else { 9 }, sign(*unsigned), 0),
        SqlType::Oid => bytes(MYSQL_TYPE_LONG, 11, sign(false), 0),
        SqlType::Int32 { unsigned } => bytes(MYSQL_TYPE_LONG, if *unsigned { 10 } else { 11 }, sign(*unsigned), 0),
        SqlType::Int64 { unsigned } => bytes(MYSQL_TYPE_LONGLONG, 20, sign(*unsigned), 0),
        SqlType::Float32 => bytes(MYSQL_TYPE_FLOAT, 12, computed, NOT_FIXED),
        SqlType::Float64 => bytes(MYSQL_TYPE_DOUBLE, 22, computed, NOT_FIXED),
        SqlType::Decimal { precision, scale } => {
            let scale = scale.max(&0).unsigned_abs();
            // ParsePermit for the sign, and for the point when there is one.
            bytes(MYSQL_TYPE_NEWDECIMAL, u32::from(*precision) + 1 + u32::from(scale > 0), computed, scale)
        }
        SqlType::Char { length } => text(MYSQL_TYPE_STRING, *length, Flags::empty()),
        SqlType::VarChar { length } => text(MYSQL_TYPE_VAR_STRING, *length, Flags::empty()),
        SqlType::Text if from_table => text(MYSQL_TYPE_BLOB, LONGEST, Flags::BLOB_FLAG),
        SqlType::Text | SqlType::List(_) | SqlType::Interval => text(MYSQL_TYPE_VAR_STRING, 65_535, Flags::empty()),
        SqlType::Binary { length } => bytes(MYSQL_TYPE_STRING, *length, Flags::BINARY_FLAG, 0),
        SqlType::VarBinary { length } => bytes(MYSQL_TYPE_VAR_STRING, *length, Flags::BINARY_FLAG, 0),
        SqlType::Blob => bytes(MYSQL_TYPE_BLOB, LONGEST, Flags::BLOB_FLAG | Flags::BINARY_FLAG, 0),
        SqlType::Date => bytes(MYSQL_TYPE_DATE, 10, Flags::BINARY_FLAG, 0),
        SqlType::Time { fsp } => moment(MYSQL_TYPE_TIME, 10, *fsp),
        SqlType::DateTime { fsp } => moment(MYSQL_TYPE_DATETIME, 19, *fsp),
        SqlType::Timestamp { fsp } => moment(MYSQL_TYPE_TIMESTAMP, 19, *fsp),
        SqlType::Year => bytes(MYSQL_TYPE_YEAR, 4, Flags::UNSIGNED_FLAG | Flags::ZEROFILL_FLAG, 0),
        SqlType::Bit { length } => bytes(MYSQL_TYPE_BIT, (*length).into(), Flags::UNSIGNED_FLAG, 0),
        SqlType::Json => bytes(MYSQL_TYPE_JSON, LONGEST, Flags::BLOB_FLAG | Flags::BINARY_FLAG, 0),
        SqlType::Enum { labels } => {
            let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
            text(MYSQL_TYPE_STRING, longest as u32, Flags::ENUM_FLAG)
        }
        SqlType::Set { labels } => {
            let all: usize = labels.iter().map(|label| label.chars().count() + 1).sum();
            text(MYSQL_TYPE_STRING, all.saturating_sub(1) as u32, Flags::SET_FLAG)
        }
        SqlType::Uuid => text(MYSQL_TYPE_STRING, 36, Flags::empty()),
        SqlType::Null => bytes(MYSQL_TYPE_NULL, 0, Flags::BINARY_FLAG, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Origin;
    use mysql_common::io::ParseBuf;
    use mysql_common::packets::Column;
    use mysql_common::proto::MyDeserialize;

    fn read(info: &ColumnInfo, charset: Charset) -> Column {
        let mut out = vec![];
        put_column(&mut out, info, Form { charset, extended: false }, false);
        Column::deserialize((), &mut ParseBuf(&out)).unwrap()
    }

    #[test]
    fn types_without_a_number_of_their_own_are_named_where_that_was_agreed_on() {
        for (ty, named) in
            [(SqlType::Json, &b"\x06\x01\x04json\x0c"[..]), (SqlType::Uuid, b"\x06\x00\x04uuid\x0c"), (SqlType::Date, b"\0\x0c")]
        {
            let mut out = vec![];
            put_column(&mut out, &ColumnInfo::new("c", ty), Form { charset: Charset::UTF8, extended: true }, false);
            assert_eq!(&out[..10], b"\x03def\0\0\0\x01c\0");
            assert!(out[10..].starts_with(named), "{out:?}");
            assert_eq!(out.len(), 10 + named.len() + 12);
        }
    }

    #[test]
    fn a_table_column_says_where_it_comes_from() {
        let origin = Origin { database: "shop".into(), table: "orders".into(), alias: "o".into(), column: "userId".into(), id: 3 };
        let info = ColumnInfo { origin: Some(origin), nullable: false, ..ColumnInfo::new("u", SqlType::Int64 { unsigned: true }) };
        let column = read(&info, Charset::UTF8);
        assert_eq!((column.schema_str(), column.table_str(), column.org_table_str()), ("shop".into(), "o".into(), "orders".into()));
        assert_eq!((column.name_str(), column.org_name_str()), ("u".into(), "userId".into()));
        assert_eq!(column.flags(), Flags::NOT_NULL_FLAG | Flags::UNSIGNED_FLAG);
        assert_eq!((column.character_set(), column.column_length()), (63, 20));
    }

    #[test]
    fn lengths_count_in_the_clients_character_set() {
        let info = ColumnInfo::new("c", SqlType::VarChar { length: 10 });
        assert_eq!((read(&info, Charset::UTF8).column_length(), read(&info, Charset::UTF8).character_set()), (40, 255));
        let latin1 = Charset::of_collation(8);
        assert_eq!((read(&info, latin1).column_length(), read(&info, latin1).character_set()), (10, 8));
    }

    #[test]
    fn types_have_the_servers_codes_lengths_and_decimals() {
        use ColumnType::*;
        for (ty, code, length, decimals) in [
            (SqlType::Decimal { precision: 10, scale: 2 }, MYSQL_TYPE_NEWDECIMAL, 12, 2),
            (SqlType::Decimal { precision: 10, scale: 0 }, MYSQL_TYPE_NEWDECIMAL, 11, 0),
            (SqlType::DateTime { fsp: 0 }, MYSQL_TYPE_DATETIME, 19, 0),
            (SqlType::Timestamp { fsp: 6 }, MYSQL_TYPE_TIMESTAMP, 26, 6),
            (SqlType::Float64, MYSQL_TYPE_DOUBLE, 22, 31),
            (SqlType::Bit { length: 9 }, MYSQL_TYPE_BIT, 9, 0),
        ] {
            let column = read(&ColumnInfo::new("c", ty), Charset::UTF8);
            assert_eq!((column.column_type(), column.column_length(), column.decimals()), (code, length, decimals));
        }
        let labels = vec!["ab".to_owned(), "c".to_owned()];
        assert_eq!(read(&ColumnInfo::new("c", SqlType::Enum { labels: labels.clone() }), Charset::UTF8).column_length(), 8);
        assert_eq!(read(&ColumnInfo::new("c", SqlType::Set { labels }), Charset::UTF8).column_length(), 16);
    }
}
