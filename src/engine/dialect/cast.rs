//! `CAST`, `CONVERT` and `::` as calls of the cast function.

use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, Expr, TimezoneInfo};

use super::array_literal;
use super::build::{as_string, bytes_as_number, call, string};
use crate::engine::functions::{cast_name, type_argument};
use crate::error::{Error, Kind, Result};
use crate::types::{Family, MAX_DECIMAL_PRECISION, SqlType};

/// What a type of the syntax tree asks for.
enum CastTarget {
    Type(SqlType),
    /// PostgreSQL's numeric without precision.
    Numeric,
    /// A function of the catalog turns names and oids into this (`regclass`, ..).
    Catalog(&'static str),
    /// PostgreSQL's jsonb, which keeps no text but a value.
    Jsonb,
    /// Left to DataFusion.
    Native,
}

/// `CAST(value AS ty)`.
pub(super) fn cast(value: Expr, ty: &DataType, family: Family) -> Result<Expr> {
    if let DataType::Interval { .. } = ty
        && let Some(text) = as_string(&value)
    {
        return interval(text);
    }
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(item, _)) = ty {
        return array(value, item, family);
    }
    Ok(match wanted(ty, family)? {
        CastTarget::Type(ty) => as_stored(value, &ty),
        CastTarget::Numeric => call("fg_numeric", vec![value]),
        CastTarget::Catalog(function) => call(function, vec![value]),
        CastTarget::Jsonb => call("fg_jsonb", vec![value]),
        CastTarget::Native => Expr::Cast {
            kind: datafusion::sql::sqlparser::ast::CastKind::Cast,
            expr: Box::new(value),
            data_type: ty.clone(),
            array: false,
            format: None,
        },
    })
}

/// A value as a column of type `ty` would hold it. NULL and computed truth stay as they are.
pub fn as_stored(mut value: Expr, ty: &SqlType) -> Expr {
    if ty.arrow().is_numeric() {
        bytes_as_number(&mut value);
    }
    call(cast_name(), vec![value, string(type_argument(ty))])
}

/// The number that a literal of bytes (0x1F, b'11') is in a column of numbers.
pub fn literal_bytes(value: &datafusion::sql::sqlparser::ast::Value) -> Option<u64> {
    super::build::number_of_bytes(value)
}

/// A value with all digits that MySQL computes with, where a client would see fewer (`engine::rules::quotient_digits`).
pub fn as_computed(value: Expr) -> Expr {
    call("fg_kept", vec![value])
}

/// The SQL type that a type of the syntax tree declares; None: one that has no form of its own as a parameter.
pub fn declared_type(ty: &DataType, family: Family) -> Option<SqlType> {
    match ty {
        DataType::Interval { .. } => Some(SqlType::Interval),
        DataType::Custom(name, _) if name.to_string().to_lowercase().trim_start_matches("pg_catalog.") == "oid" => Some(SqlType::Oid),
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, _)) => declared_type(item, family).map(|item| SqlType::List(Box::new(item))),
        _ => match wanted(ty, family).ok()? {
            CastTarget::Type(ty) => Some(ty),
            CastTarget::Numeric => Some(SqlType::Decimal { precision: MAX_DECIMAL_PRECISION, scale: 10 }),
            CastTarget::Jsonb => Some(SqlType::Json),
            CastTarget::Catalog(_) | CastTarget::Native => None,
        },
    }
}

/// `'1 day'::interval`.
pub(super) fn interval(text: &str) -> Result<Expr> {
    let parts = crate::sql::interval::parts(text)
        .ok_or_else(|| Error::new(Kind::InvalidDatetime, format!("invalid input syntax for type interval: \"{text}\"")))?;
    Ok(super::params::interval(parts))
}

/// `'{1,2}'::int[]` and `ARRAY[..]::int[]`: the elements are cast one by one.
fn array(value: Expr, item: &DataType, family: Family) -> Result<Expr> {
    use datafusion::sql::sqlparser::ast::Array;
    let element = |text: Option<String>| cast(text.map_or_else(super::build::hole, string), item, family);
    if let Some(text) = as_string(&value) {
        let items = array_literal::parse(text)?;
        // An array of nothing would have no type.
        if items.is_empty() {
            let one = Expr::Array(Array { elem: vec![element(None)?], named: true });
            return Ok(call("array_remove", vec![one, super::build::hole()]));
        }
        return array_literal::expression(items, &element);
    }
    match value {
        Expr::Array(array) if !array.elem.is_empty() => {
            let elem = array.elem.into_iter().map(|inner| match inner {
                Expr::Array(_) => self::array(inner, item, family),
                inner => cast(inner, item, family),
            });
            Ok(Expr::Array(Array { elem: elem.collect::<Result<_>>()?, named: true }))
        }
        Expr::Array(_) => self::array(string("{}"), item, family),
        value => match wanted(item, family)? {
            CastTarget::Type(ty) => Ok(call("fg_array_cast", vec![value, string(type_argument(&ty))])),
            _ => Ok(value),
        },
    }
}

fn length(length: Option<&CharacterLength>) -> Option<u32> {
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) => u32::try_from(*length).ok(),
        _ => None,
    }
}

fn small(n: Option<u64>) -> Option<u32> {
    n.and_then(|n| u32::try_from(n).ok())
}

/// Fractional digits of the second: MySQL's default is none, PostgreSQL's six.
fn fsp(n: Option<u64>, family: Family) -> u8 {
    match (n, family) {
        (Some(n), _) => n.min(6) as u8,
        (None, Family::MySql) => 0,
        (None, Family::Postgres) => 6,
    }
}

fn decimal(info: &ExactNumberInfo, family: Family) -> Result<CastTarget> {
    let (precision, scale) = match (info, family) {
        (ExactNumberInfo::None, Family::Postgres) => return Ok(CastTarget::Numeric),
        (ExactNumberInfo::None, Family::MySql) => (10, 0),
        (ExactNumberInfo::Precision(p), _) => (*p, 0),
        (ExactNumberInfo::PrecisionAndScale(p, s), _) => (*p, *s),
    };
    if precision == 0 || precision > u64::from(MAX_DECIMAL_PRECISION) || scale < 0 || scale as u64 > precision {
        return Err(Error::new(Kind::WrongValue, format!("a decimal of {precision} digits, {scale} of them fractional, is not supported"))
            .with_hint(format!("use at most {MAX_DECIMAL_PRECISION} digits")));
    }
    Ok(CastTarget::Type(SqlType::Decimal { precision: precision as u8, scale: scale as i8 }))
}

fn wanted(ty: &DataType, family: Family) -> Result<CastTarget> {
    let signed = |make: fn(bool) -> SqlType| Ok(CastTarget::Type(make(false)));
    let unsigned = |make: fn(bool) -> SqlType| Ok(CastTarget::Type(make(true)));
    let int64 = |unsigned| SqlType::Int64 { unsigned };
    let (int32, int16, int8) =
        (|unsigned| SqlType::Int32 { unsigned }, |unsigned| SqlType::Int16 { unsigned }, |unsigned| SqlType::Int8 { unsigned });
    let mysql = family == Family::MySql;
    Ok(CastTarget::Type(match ty {
        DataType::Signed | DataType::SignedInteger => return signed(int64),
        DataType::Unsigned | DataType::UnsignedInteger => return unsigned(int64),
        DataType::BigInt(_) | DataType::Int8(_) | DataType::Int64 => return signed(int64),
        DataType::BigIntUnsigned(_) | DataType::UBigInt | DataType::UInt64 | DataType::Int8Unsigned(_) => return unsigned(int64),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) | DataType::Int32 | DataType::MediumInt(_) => return signed(int32),
        DataType::IntUnsigned(_) | DataType::IntegerUnsigned(_) | DataType::UInt32 => return unsigned(int32),
        DataType::SmallInt(_) | DataType::Int2(_) | DataType::Int16 => return signed(int16),
        DataType::SmallIntUnsigned(_) => return unsigned(int16),
        DataType::TinyInt(_) => return signed(int8),
        DataType::TinyIntUnsigned(_) => return unsigned(int8),
        DataType::Bool | DataType::Boolean => SqlType::Bool,
        DataType::Float4 | DataType::Float32 => SqlType::Float32,
        DataType::Real if !mysql => SqlType::Float32,
        DataType::Float(ExactNumberInfo::Precision(p)) if *p <= 24 => SqlType::Float32,
        DataType::Float(ExactNumberInfo::None) if mysql => SqlType::Float32,
        DataType::Real | DataType::Float(_) | DataType::Float8 | DataType::Float64 | DataType::Double(_) | DataType::DoublePrecision => {
            SqlType::Float64
        }
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => return decimal(info, family),
        DataType::Char(n) | DataType::Character(n) => match (length(n.as_ref()), mysql) {
            (Some(length), _) => SqlType::VarChar { length },
            (None, true) => SqlType::Text,
            (None, false) => SqlType::VarChar { length: 1 },
        },
        DataType::Varchar(n) | DataType::CharacterVarying(n) | DataType::CharVarying(n) | DataType::Nvarchar(n) => match length(n.as_ref())
        {
            Some(length) => SqlType::VarChar { length },
            None => SqlType::Text,
        },
        DataType::Text | DataType::String(_) | DataType::TinyText | DataType::MediumText | DataType::LongText => SqlType::Text,
        DataType::Binary(n) => small(*n).map_or(SqlType::Blob, |length| SqlType::Binary { length }),
        DataType::Varbinary(_) | DataType::Blob(_) | DataType::Bytea | DataType::Bytes(_) => SqlType::Blob,
        DataType::Date => SqlType::Date,
        DataType::Time(n, _) => SqlType::Time { fsp: fsp(*n, family) },
        DataType::Datetime(n) => SqlType::DateTime { fsp: fsp(*n, family) },
        DataType::Timestamp(n, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => SqlType::Timestamp { fsp: fsp(*n, family) },
        // TIMESTAMP '..' of MySQL is a moment without zone too.
        DataType::Timestamp(n, _) | DataType::TimestampNtz(n) => {
            SqlType::DateTime { fsp: if mysql { n.map_or(6, |n| n.min(6) as u8) } else { fsp(*n, family) } }
        }
        DataType::JSONB if !mysql => return Ok(CastTarget::Jsonb),
        DataType::JSON | DataType::JSONB => SqlType::Json,
        DataType::Uuid => SqlType::Uuid,
        DataType::Regclass => return Ok(CastTarget::Catalog("fg_regclass")),
        DataType::Custom(name, _) => return custom(&name.to_string()),
        DataType::Interval { .. } | DataType::Array(_) => return Ok(CastTarget::Native),
        other => return Err(Error::unsupported(format!("CAST to {other}"))),
    }))
}

/// Names that the parser does not know as types.
fn custom(name: &str) -> Result<CastTarget> {
    let lower = name.to_lowercase();
    let plain = lower.trim_start_matches("pg_catalog.").trim_matches('"');
    Ok(CastTarget::Type(match plain {
        "name" | "bpchar" | "citext" | "xml" | "text" | "varchar" | "cstring" | "char" | "unknown" => SqlType::Text,
        "int2" | "smallint" => SqlType::Int16 { unsigned: false },
        "int4" | "int" | "integer" => SqlType::Int32 { unsigned: false },
        "int8" | "bigint" | "oid" | "xid" => SqlType::Int64 { unsigned: false },
        "bool" => SqlType::Bool,
        "float4" => SqlType::Float32,
        "float8" => SqlType::Float64,
        "numeric" => return Ok(CastTarget::Numeric),
        "date" => SqlType::Date,
        "timestamptz" => SqlType::Timestamp { fsp: 6 },
        "timestamp" => SqlType::DateTime { fsp: 6 },
        "year" => SqlType::Year,
        "jsonb" => return Ok(CastTarget::Jsonb),
        "json" => SqlType::Json,
        "uuid" => SqlType::Uuid,
        "bytea" => SqlType::Blob,
        "regclass" => return Ok(CastTarget::Catalog("fg_regclass")),
        "regtype" => return Ok(CastTarget::Catalog("fg_regtype")),
        "regproc" | "regprocedure" => return Ok(CastTarget::Catalog("fg_regproc")),
        "regnamespace" => return Ok(CastTarget::Catalog("fg_regnamespace")),
        "regrole" => return Ok(CastTarget::Catalog("fg_regrole")),
        _ => return Err(Error::new(Kind::UnknownType, format!("type \"{name}\" does not exist"))),
    }))
}
