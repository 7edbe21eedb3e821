//! The type of a column, in both dialects' words and with its Arrow form.

use std::fmt;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

/// The largest precision of a decimal: what ORC and Arrow's Decimal128 hold.
pub const MAX_DECIMAL_PRECISION: u8 = 38;

/// The type of a column, as declared. Lengths are in characters (text) or bytes (binary); `fsp` is the number of
/// fractional digits of the second, 0 to 6.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SqlType {
    /// `BOOLEAN`; `tinyint(1)` to MySQL clients. Arrow Boolean.
    Bool,
    /// `TINYINT`. Arrow Int8 / UInt8.
    Int8 { unsigned: bool },
    /// `SMALLINT`. Arrow Int16 / UInt16.
    Int16 { unsigned: bool },
    /// `MEDIUMINT`. Arrow Int32 / UInt32, values limited to 24 bits.
    Int24 { unsigned: bool },
    /// `INT`. Arrow Int32 / UInt32.
    Int32 { unsigned: bool },
    /// `BIGINT`. Arrow Int64 / UInt64.
    Int64 { unsigned: bool },
    /// `FLOAT`, `REAL` (PostgreSQL). Arrow Float32.
    Float32,
    /// `DOUBLE [PRECISION]`. Arrow Float64.
    Float64,
    /// `DECIMAL(p, s)`, `NUMERIC(p, s)`, p to 38. Arrow Decimal128.
    Decimal { precision: u8, scale: i8 },
    /// `CHAR(n)`. Arrow Utf8.
    Char { length: u32 },
    /// `VARCHAR(n)`. Arrow Utf8.
    VarChar { length: u32 },
    /// `TEXT` and its sizes. Arrow Utf8.
    Text,
    /// `BINARY(n)`. Arrow Binary.
    Binary { length: u32 },
    /// `VARBINARY(n)`. Arrow Binary.
    VarBinary { length: u32 },
    /// `BLOB` and its sizes, `BYTEA`. Arrow Binary.
    Blob,
    /// `DATE`. Arrow Date32.
    Date,
    /// `TIME(fsp)`, a time of day. Arrow Time64(us).
    Time { fsp: u8 },
    /// A moment without zone: MySQL `DATETIME(fsp)`, PostgreSQL `TIMESTAMP`. Arrow Timestamp(us).
    DateTime { fsp: u8 },
    /// A moment with zone: MySQL `TIMESTAMP(fsp)`, PostgreSQL `TIMESTAMPTZ`. Arrow Timestamp(us, UTC).
    Timestamp { fsp: u8 },
    /// `YEAR`. Arrow Int16.
    Year,
    /// `BIT(n)`, n to 64. Arrow UInt64.
    Bit { length: u8 },
    /// `JSON`, `JSONB`: checked text. Arrow Utf8.
    Json,
    /// `ENUM('a', 'b')`. Arrow Utf8 holding the label.
    Enum { labels: Vec<String> },
    /// `SET('a', 'b')`. Arrow Utf8 holding the labels joined by commas.
    Set { labels: Vec<String> },
    /// `UUID`: text of 36 characters, lower case. Arrow Utf8.
    Uuid,
    /// The type of a bare NULL. Arrow Null.
    Null,
    /// An array of PostgreSQL's, in results only. Arrow List.
    List(Box<SqlType>),
    /// An object identifier of PostgreSQL's, in results only. Arrow Int32.
    Oid,
    /// An interval, in results only. Arrow Interval or Duration.
    Interval,
}

/// The zone name of a `Timestamp`'s Arrow type.
pub const UTC: &str = "UTC";

impl SqlType {
    /// The Arrow type that the engine and the scan use for it.
    pub fn arrow(&self) -> DataType {
        match self {
            SqlType::Bool => DataType::Boolean,
            SqlType::Int8 { unsigned: false } => DataType::Int8,
            SqlType::Int8 { unsigned: true } => DataType::UInt8,
            SqlType::Int16 { unsigned: false } | SqlType::Year => DataType::Int16,
            SqlType::Int16 { unsigned: true } => DataType::UInt16,
            SqlType::Int24 { unsigned: false } | SqlType::Int32 { unsigned: false } | SqlType::Oid => DataType::Int32,
            SqlType::Int24 { unsigned: true } | SqlType::Int32 { unsigned: true } => DataType::UInt32,
            SqlType::Int64 { unsigned: false } => DataType::Int64,
            SqlType::Int64 { unsigned: true } | SqlType::Bit { .. } => DataType::UInt64,
            SqlType::Float32 => DataType::Float32,
            SqlType::Float64 => DataType::Float64,
            SqlType::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text | SqlType::Json => DataType::Utf8,
            SqlType::Enum { .. } | SqlType::Set { .. } | SqlType::Uuid => DataType::Utf8,
            SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Blob => DataType::Binary,
            SqlType::Date => DataType::Date32,
            SqlType::Time { .. } => DataType::Time64(TimeUnit::Microsecond),
            SqlType::DateTime { .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            SqlType::Timestamp { .. } => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            SqlType::Null => DataType::Null,
            SqlType::List(item) => DataType::new_list(item.arrow(), true),
            SqlType::Interval => DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::MonthDayNano),
        }
    }

    /// The SQL type of a computed column.
    pub fn of_arrow(ty: &DataType) -> SqlType {
        match ty {
            DataType::Null => SqlType::Null,
            DataType::Boolean => SqlType::Bool,
            DataType::Int8 => SqlType::Int8 { unsigned: false },
            DataType::UInt8 => SqlType::Int8 { unsigned: true },
            DataType::Int16 => SqlType::Int16 { unsigned: false },
            DataType::UInt16 => SqlType::Int16 { unsigned: true },
            DataType::Int32 => SqlType::Int32 { unsigned: false },
            DataType::UInt32 => SqlType::Int32 { unsigned: true },
            DataType::Int64 => SqlType::Int64 { unsigned: false },
            DataType::UInt64 => SqlType::Int64 { unsigned: true },
            DataType::Float16 | DataType::Float32 => SqlType::Float32,
            DataType::Float64 => SqlType::Float64,
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
                SqlType::Decimal { precision: *p, scale: *s }
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => SqlType::Blob,
            DataType::Date32 | DataType::Date64 => SqlType::Date,
            DataType::Time32(_) | DataType::Time64(_) => SqlType::Time { fsp: 6 },
            DataType::Timestamp(_, None) => SqlType::DateTime { fsp: 6 },
            DataType::Timestamp(_, Some(_)) => SqlType::Timestamp { fsp: 6 },
            DataType::Interval(_) | DataType::Duration(_) => SqlType::Interval,
            DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::ListView(f) => {
                SqlType::List(Box::new(SqlType::of_arrow(f.data_type())))
            }
            DataType::Dictionary(_, value) => SqlType::of_arrow(value),
            _ => SqlType::Text,
        }
    }

    /// Is it text to a client (with a character set)?
    pub fn is_text(&self) -> bool {
        matches!(
            self,
            SqlType::Char { .. }
                | SqlType::VarChar { .. }
                | SqlType::Text
                | SqlType::Json
                | SqlType::Enum { .. }
                | SqlType::Set { .. }
                | SqlType::Uuid
        )
    }

    /// Is it a string of bytes?
    pub fn is_binary(&self) -> bool {
        matches!(self, SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Blob)
    }

    /// Is it an unsigned integer?
    pub fn is_unsigned(&self) -> bool {
        matches!(
            self,
            SqlType::Int8 { unsigned: true }
                | SqlType::Int16 { unsigned: true }
                | SqlType::Int24 { unsigned: true }
                | SqlType::Int32 { unsigned: true }
                | SqlType::Int64 { unsigned: true }
                | SqlType::Bit { .. }
                | SqlType::Year
        )
    }

    /// `COLUMN_TYPE` as MySQL's information_schema and SHOW CREATE TABLE print it.
    pub fn mysql_name(&self) -> String {
        let int = |name: &str, unsigned: bool| if unsigned { format!("{name} unsigned") } else { name.to_owned() };
        let with_fsp = |name: &str, fsp: u8| if fsp == 0 { name.to_owned() } else { format!("{name}({fsp})") };
        match self {
            SqlType::Bool => "tinyint(1)".into(),
            SqlType::Int8 { unsigned } => int("tinyint", *unsigned),
            SqlType::Int16 { unsigned } => int("smallint", *unsigned),
            SqlType::Int24 { unsigned } => int("mediumint", *unsigned),
            SqlType::Int32 { unsigned } => int("int", *unsigned),
            SqlType::Oid => "int".into(),
            SqlType::Int64 { unsigned } => int("bigint", *unsigned),
            SqlType::Float32 => "float".into(),
            SqlType::Float64 => "double".into(),
            SqlType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            SqlType::Char { length } => format!("char({length})"),
            SqlType::VarChar { length } => format!("varchar({length})"),
            SqlType::Text | SqlType::Null | SqlType::List(_) | SqlType::Interval => "text".into(),
            SqlType::Binary { length } => format!("binary({length})"),
            SqlType::VarBinary { length } => format!("varbinary({length})"),
            SqlType::Blob => "blob".into(),
            SqlType::Date => "date".into(),
            SqlType::Time { fsp } => with_fsp("time", *fsp),
            SqlType::DateTime { fsp } => with_fsp("datetime", *fsp),
            SqlType::Timestamp { fsp } => with_fsp("timestamp", *fsp),
            SqlType::Year => "year".into(),
            SqlType::Bit { length } => format!("bit({length})"),
            SqlType::Json => "json".into(),
            SqlType::Enum { labels } => format!("enum({})", quoted_list(labels)),
            SqlType::Set { labels } => format!("set({})", quoted_list(labels)),
            SqlType::Uuid => "char(36)".into(),
        }
    }

    /// `format_type` as psql's `\d` prints it.
    pub fn postgres_name(&self) -> String {
        let stamp = |fsp: u8, zone: &str| {
            if fsp == 6 { format!("timestamp {zone} time zone") } else { format!("timestamp({fsp}) {zone} time zone") }
        };
        match self {
            SqlType::Bool => "boolean".into(),
            SqlType::Int8 { .. } | SqlType::Int16 { unsigned: false } | SqlType::Year => "smallint".into(),
            SqlType::Int16 { unsigned: true } | SqlType::Int24 { .. } | SqlType::Int32 { unsigned: false } => "integer".into(),
            SqlType::Int32 { unsigned: true } | SqlType::Int64 { unsigned: false } => "bigint".into(),
            SqlType::Int64 { unsigned: true } | SqlType::Bit { .. } => "numeric(20,0)".into(),
            SqlType::Float32 => "real".into(),
            SqlType::Float64 => "double precision".into(),
            SqlType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
            SqlType::Char { length } => format!("character({length})"),
            SqlType::VarChar { length } => format!("character varying({length})"),
            SqlType::Text | SqlType::Null | SqlType::Enum { .. } | SqlType::Set { .. } => "text".into(),
            SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Blob => "bytea".into(),
            SqlType::Date => "date".into(),
            SqlType::Time { fsp: 6 } => "time without time zone".into(),
            SqlType::Time { fsp } => format!("time({fsp}) without time zone"),
            SqlType::DateTime { fsp } => stamp(*fsp, "without"),
            SqlType::Timestamp { fsp } => stamp(*fsp, "with"),
            SqlType::Json => "json".into(),
            SqlType::Uuid => "uuid".into(),
            SqlType::Oid => "oid".into(),
            SqlType::List(item) => format!("{}[]", item.postgres_name()),
            SqlType::Interval => "interval".into(),
        }
    }
}

fn quoted_list(labels: &[String]) -> String {
    labels.iter().map(|l| format!("'{}'", l.replace('\'', "''"))).collect::<Vec<_>>().join(",")
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mysql_name())
    }
}
