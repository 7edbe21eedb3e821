//! COLUMNS: the columns of tables, views and of the virtual tables themselves.

use super::super::layout::{Cell, RowSet};
use super::super::snapshot::CatalogSnapshot;
use super::keys::column_key;
use super::layouts::{DEF, virtual_layouts};
use crate::gms::Key;
use crate::types::{Column, Default, SqlType};

/// The bare type word: DATA_TYPE.
pub(super) fn data_type(ty: &SqlType) -> String {
    let name = ty.mysql_name();
    name.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// (characters, bytes) that a text or byte column holds.
fn lengths(ty: &SqlType) -> (Cell, Cell) {
    let text = |characters: i64| (Cell::Int(characters), Cell::Int(characters.saturating_mul(4)));
    match ty {
        SqlType::Char { length } | SqlType::VarChar { length } => text(i64::from(*length)),
        SqlType::Uuid => text(36),
        SqlType::Enum { labels } => text(labels.iter().map(|l| l.chars().count()).max().unwrap_or(0) as i64),
        SqlType::Set { labels } => text(labels.iter().map(|l| l.chars().count() + 1).sum::<usize>().saturating_sub(1) as i64),
        SqlType::Text => (Cell::Int(65_535), Cell::Int(65_535)),
        SqlType::Binary { length } | SqlType::VarBinary { length } => (Cell::Int(i64::from(*length)), Cell::Int(i64::from(*length))),
        SqlType::Blob => (Cell::Int(65_535), Cell::Int(65_535)),
        _ => (Cell::Null, Cell::Null),
    }
}

/// (precision, scale) of a number.
fn precision(ty: &SqlType) -> (Cell, Cell) {
    let whole = |digits: u64| (Cell::UInt(digits), Cell::UInt(0));
    match ty {
        SqlType::Bool | SqlType::Int8 { .. } => whole(3),
        SqlType::Int16 { .. } => whole(5),
        SqlType::Int24 { .. } => whole(7),
        SqlType::Int32 { .. } => whole(10),
        SqlType::Int64 { unsigned: false } => whole(19),
        SqlType::Int64 { unsigned: true } => whole(20),
        SqlType::Decimal { precision, scale } => (Cell::UInt(u64::from(*precision)), Cell::UInt(u64::try_from(*scale).unwrap_or(0))),
        SqlType::Float32 => (Cell::UInt(12), Cell::Null),
        SqlType::Float64 => (Cell::UInt(22), Cell::Null),
        SqlType::Bit { length } => (Cell::UInt(u64::from(*length)), Cell::Null),
        _ => (Cell::Null, Cell::Null),
    }
}

fn fraction(ty: &SqlType) -> Cell {
    match ty {
        SqlType::Time { fsp } | SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } => Cell::Int(i64::from(*fsp)),
        _ => Cell::Null,
    }
}

/// Has it a character set of its own? JSON and UUID do not (MySQL shows none for JSON).
pub fn has_charset(ty: &SqlType) -> bool {
    ty.is_text() && !matches!(ty, SqlType::Json)
}

/// COLUMN_DEFAULT and the word that EXTRA gets for a computed one.
pub fn default_text(column: &Column) -> (Option<String>, &'static str) {
    match &column.default {
        None => (None, ""),
        Some(Default::Value(text)) => (Some(shown_constant(&column.ty, text)), ""),
        Some(Default::Now) => match column.ty {
            SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } if fsp > 0 => {
                (Some(format!("CURRENT_TIMESTAMP({fsp})")), "DEFAULT_GENERATED")
            }
            _ => (Some("CURRENT_TIMESTAMP".into()), "DEFAULT_GENERATED"),
        },
        Some(Default::Today) => (Some("curdate()".into()), "DEFAULT_GENERATED"),
        Some(Default::Uuid) => (Some("uuid()".into()), "DEFAULT_GENERATED"),
    }
}

/// A constant default as MySQL prints it: bits as `b'101'`, truth (which a PostgreSQL session may have declared) as 1 or 0.
fn shown_constant(ty: &SqlType, text: &str) -> String {
    match (ty, text) {
        (SqlType::Bit { .. }, text) => text.parse::<u64>().map_or_else(|_| text.to_owned(), |number| format!("b'{number:b}'")),
        (SqlType::Bool, "true" | "t" | "yes" | "y" | "on") => "1".into(),
        (SqlType::Bool, "false" | "f" | "no" | "n" | "off") => "0".into(),
        (SqlType::Decimal { scale, .. }, text) => scaled(text, usize::try_from(*scale).unwrap_or(0)),
        _ => text.to_owned(),
    }
}

/// A plain decimal with as many digits as its column keeps; anything else as it is.
fn scaled(text: &str, scale: usize) -> String {
    let plain = text.trim_start_matches(['-', '+']).bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !plain || scale == 0 || fraction.len() > scale {
        return text.to_owned();
    }
    format!("{whole}.{fraction:0<scale$}")
}

fn push(rows: &mut RowSet<'_>, schema: &str, table: &str, position: usize, column: &Column, keys: &[Key]) {
    let (characters, octets) = lengths(&column.ty);
    let (digits, scale) = precision(&column.ty);
    let (default, extra) = default_text(column);
    let charset = has_charset(&column.ty);
    rows.push([
        ("table_catalog", DEF.into()),
        ("table_schema", schema.into()),
        ("table_name", table.into()),
        ("column_name", column.name.as_str().into()),
        ("ordinal_position", Cell::Int(position as i64 + 1)),
        ("column_default", default.into()),
        ("is_nullable", if column.nullable { "YES" } else { "NO" }.into()),
        ("data_type", data_type(&column.ty).into()),
        ("character_maximum_length", characters),
        ("character_octet_length", octets),
        ("numeric_precision", digits),
        ("numeric_scale", scale),
        ("datetime_precision", fraction(&column.ty)),
        ("character_set_name", charset.then_some("utf8mb4").into()),
        ("collation_name", charset.then_some("utf8mb4_0900_ai_ci").into()),
        ("column_type", column.ty.mysql_name().into()),
        ("column_key", column_key(keys, &column.name).into()),
        ("extra", extra.into()),
        ("privileges", "select,insert,update,references".into()),
        ("column_comment", column.comment.as_str().into()),
    ]);
}

pub(super) fn columns(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for (schema, layout) in virtual_layouts() {
        for (i, column) in layout.declared().iter().enumerate() {
            push(rows, schema, &layout.name, i, column, &[]);
        }
    }
    for table in &snapshot.metadata.tables {
        for (i, column) in table.columns().iter().enumerate() {
            push(rows, &table.database, &table.name, i, column, &table.keys);
        }
    }
    for view in &snapshot.metadata.views {
        for (i, column) in snapshot.columns_of_view(view).iter().enumerate() {
            push(rows, &view.database, &view.name, i, column, &[]);
        }
    }
}

pub(super) fn columns_extensions(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for table in &snapshot.metadata.tables {
        for column in table.columns() {
            rows.push([
                ("table_catalog", DEF.into()),
                ("table_schema", table.database.as_str().into()),
                ("table_name", table.name.as_str().into()),
                ("column_name", column.name.as_str().into()),
            ]);
        }
    }
}
