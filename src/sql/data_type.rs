//! Column types as both languages write them, as [`SqlType`]s.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::{Error, Kind, Result};
use crate::types::{MAX_DECIMAL_PRECISION, SqlType};

/// The scale of PostgreSQL's NUMERIC without precision, whose precision is then the largest we have.
const BARE_NUMERIC_SCALE: i8 = 10;

/// Reads a type with its length, fraction and sign; not what belongs to the column (NOT NULL, COLLATE ..).
pub(super) fn parse(cursor: &mut Cursor) -> Result<SqlType> {
    if cursor.accept("PG_CATALOG") {
        cursor.expect_token(&Token::Period)?;
    }
    let place = cursor.mark();
    let name = cursor.ident()?.to_ascii_uppercase();
    let ty = match integer(cursor, &name)?.map_or_else(|| number(cursor, &name), |ty| Ok(Some(ty)))? {
        Some(ty) => ty,
        None => match text(cursor, &name)?.map_or_else(|| time(cursor, &name), |ty| Ok(Some(ty)))? {
            Some(ty) => ty,
            None => other(cursor, &name, place)?,
        },
    };
    if cursor.peek() == Some(&Token::LBracket) || cursor.is("ARRAY") {
        return Err(Error::unsupported("an array column").with_hint("store it as JSON"));
    }
    Ok(ty)
}

fn integer(cursor: &mut Cursor, name: &str) -> Result<Option<SqlType>> {
    let ty: fn(bool) -> SqlType = match name {
        "TINYINT" | "INT1" => |unsigned| SqlType::Int8 { unsigned },
        "SMALLINT" | "INT2" => |unsigned| SqlType::Int16 { unsigned },
        "MEDIUMINT" | "INT3" | "MIDDLEINT" => |unsigned| SqlType::Int24 { unsigned },
        "INT" | "INTEGER" | "INT4" => |unsigned| SqlType::Int32 { unsigned },
        "BIGINT" | "INT8" => |unsigned| SqlType::Int64 { unsigned },
        "SERIAL" | "BIGSERIAL" | "SMALLSERIAL" | "SERIAL2" | "SERIAL4" | "SERIAL8" => return Err(no_sequences(name)),
        _ => return Ok(None),
    };
    let width = length(cursor)?;
    let (mut unsigned, mut signed) = (false, false);
    while let Some(word) = cursor.accept_one(&["UNSIGNED", "SIGNED", "ZEROFILL"]) {
        signed |= word == "SIGNED";
        unsigned |= word != "SIGNED";
    }
    if name == "TINYINT" && width == Some(1) && !unsigned && !signed {
        return Ok(Some(SqlType::Bool));
    }
    Ok(Some(ty(unsigned)))
}

/// The answer to serial types and AUTO_INCREMENT.
pub(super) fn no_sequences(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{what} is not supported: cold tables do not number their rows"))
        .with_hint("declare the column BIGINT and bring the numbers, or use a UUID with its default")
}

fn number(cursor: &mut Cursor, name: &str) -> Result<Option<SqlType>> {
    let mysql = cursor.dialect.is_mysql();
    let ty = match name {
        "FLOAT" => match sizes(cursor)? {
            None if mysql => SqlType::Float32,
            None => SqlType::Float64,
            Some((precision, None)) if precision > 24 => SqlType::Float64,
            Some(_) => SqlType::Float32,
        },
        "FLOAT4" => SqlType::Float32,
        "FLOAT8" => SqlType::Float64,
        "REAL" | "DOUBLE" => {
            cursor.accept("PRECISION");
            sizes(cursor)?;
            if name == "REAL" && !mysql { SqlType::Float32 } else { SqlType::Float64 }
        }
        "DECIMAL" | "DEC" | "NUMERIC" | "FIXED" => decimal(cursor, mysql)?,
        _ => return Ok(None),
    };
    if cursor.accept_one(&["UNSIGNED", "ZEROFILL"]).is_some() {
        return Err(Error::unsupported(format!("{name} UNSIGNED")).with_hint("leave UNSIGNED out; MySQL itself deprecates it here"));
    }
    cursor.accept("SIGNED");
    Ok(Some(ty))
}

fn decimal(cursor: &mut Cursor, mysql: bool) -> Result<SqlType> {
    let (precision, scale) = match sizes(cursor)? {
        None if mysql => (10, 0),
        None => return Ok(SqlType::Decimal { precision: MAX_DECIMAL_PRECISION, scale: BARE_NUMERIC_SCALE }),
        Some((precision, scale)) => (precision, scale.unwrap_or(0)),
    };
    if precision == 0 || precision > u64::from(MAX_DECIMAL_PRECISION) {
        return Err(Error::new(Kind::WrongValue, format!("DECIMAL precision {precision} is not between 1 and {MAX_DECIMAL_PRECISION}"))
            .with_hint("ORC holds at most 38 digits"));
    }
    if scale > precision {
        return Err(Error::new(Kind::WrongValue, format!("DECIMAL scale {scale} is larger than its precision {precision}")));
    }
    Ok(SqlType::Decimal { precision: precision as u8, scale: scale as i8 })
}

fn text(cursor: &mut Cursor, name: &str) -> Result<Option<SqlType>> {
    let mysql = cursor.dialect.is_mysql();
    Ok(Some(match name {
        "NATIONAL" => {
            let name = cursor.ident()?.to_ascii_uppercase();
            return text(cursor, &name);
        }
        "CHAR" | "CHARACTER" | "NCHAR" if cursor.accept("VARYING") => varchar(cursor, mysql)?,
        "CHAR" | "CHARACTER" | "NCHAR" | "BPCHAR" => SqlType::Char { length: narrow(length(cursor)?.unwrap_or(1))? },
        "VARCHAR" | "NVARCHAR" | "VARCHARACTER" => varchar(cursor, mysql)?,
        "TEXT" | "TINYTEXT" | "MEDIUMTEXT" | "LONGTEXT" | "CITEXT" | "NAME" => {
            length(cursor)?;
            SqlType::Text
        }
        "BINARY" => SqlType::Binary { length: narrow(length(cursor)?.unwrap_or(1))? },
        "VARBINARY" => match length(cursor)? {
            Some(length) => SqlType::VarBinary { length: narrow(length)? },
            None => return Err(cursor.wanted("(length)")),
        },
        "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" | "BYTEA" => {
            length(cursor)?;
            SqlType::Blob
        }
        _ => return Ok(None),
    }))
}

/// MySQL wants a length, PostgreSQL reads none as TEXT.
fn varchar(cursor: &mut Cursor, mysql: bool) -> Result<SqlType> {
    match length(cursor)? {
        Some(length) => Ok(SqlType::VarChar { length: narrow(length)? }),
        None if mysql => Err(cursor.wanted("(length)")),
        None => Ok(SqlType::Text),
    }
}

fn time(cursor: &mut Cursor, name: &str) -> Result<Option<SqlType>> {
    let mysql = cursor.dialect.is_mysql();
    Ok(Some(match name {
        "DATE" => SqlType::Date,
        "TIME" => {
            let fsp = fraction(cursor, mysql)?;
            if zoned(cursor)? {
                return Err(Error::unsupported("TIME WITH TIME ZONE").with_hint("use TIMESTAMP WITH TIME ZONE"));
            }
            SqlType::Time { fsp }
        }
        "TIMETZ" => return Err(Error::unsupported("TIME WITH TIME ZONE").with_hint("use TIMESTAMP WITH TIME ZONE")),
        "DATETIME" => SqlType::DateTime { fsp: fraction(cursor, mysql)? },
        "TIMESTAMP" => {
            let fsp = fraction(cursor, mysql)?;
            if zoned(cursor)? || mysql { SqlType::Timestamp { fsp } } else { SqlType::DateTime { fsp } }
        }
        "TIMESTAMPTZ" => SqlType::Timestamp { fsp: fraction(cursor, mysql)? },
        "YEAR" => {
            length(cursor)?;
            SqlType::Year
        }
        _ => return Ok(None),
    }))
}

/// `WITH TIME ZONE` (true), `WITHOUT TIME ZONE` or nothing (false).
fn zoned(cursor: &mut Cursor) -> Result<bool> {
    Ok(matches!(cursor.accept_one(&["WITHOUT TIME ZONE", "WITH TIME ZONE"]), Some("WITH TIME ZONE")))
}

fn other(cursor: &mut Cursor, name: &str, place: usize) -> Result<SqlType> {
    Ok(match name {
        "BOOL" | "BOOLEAN" => SqlType::Bool,
        "BIT" if cursor.dialect.is_mysql() => match length(cursor)?.unwrap_or(1) {
            length @ 1..=64 => SqlType::Bit { length: length as u8 },
            length => return Err(Error::new(Kind::WrongValue, format!("BIT length {length} is not between 1 and 64"))),
        },
        "JSON" | "JSONB" => SqlType::Json,
        "UUID" => SqlType::Uuid,
        "ENUM" => SqlType::Enum { labels: labels(cursor)? },
        "SET" => SqlType::Set { labels: labels(cursor)? },
        "BIT" | "VARBIT" | "INTERVAL" | "MONEY" | "XML" | "INET" | "CIDR" | "MACADDR" | "POINT" | "LINE" | "LSEG" | "BOX" | "PATH"
        | "POLYGON" | "CIRCLE" | "GEOMETRY" | "GEOMETRYCOLLECTION" | "LINESTRING" | "MULTIPOINT" | "MULTIPOLYGON" | "TSVECTOR"
        | "TSQUERY" | "HSTORE" | "OID" | "VECTOR" | "INT4RANGE" | "INT8RANGE" | "NUMRANGE" | "TSRANGE" | "TSTZRANGE" | "DATERANGE" => {
            return Err(Error::unsupported(format!("a column of type {name}")).with_hint("store it as text, JSON or bytes"));
        }
        _ => {
            cursor.back_to(place);
            if !cursor.dialect.is_mysql() {
                let at = super::errors::position(cursor.text, cursor.offset());
                return Err(Error::new(Kind::UnknownType, format!("type \"{}\" does not exist", name.to_lowercase())).at(at));
            }
            return Err(cursor.wanted("a type"));
        }
    })
}

/// `('a', 'b')`; a label twice is an error.
fn labels(cursor: &mut Cursor) -> Result<Vec<String>> {
    let labels = cursor.parenthesised(Cursor::string)?;
    for (i, label) in labels.iter().enumerate() {
        if labels[..i].contains(label) {
            return Err(Error::new(Kind::Duplicate, format!("the label '{label}' is given twice")));
        }
    }
    Ok(labels)
}

/// `(n)`.
fn length(cursor: &mut Cursor) -> Result<Option<u64>> {
    Ok(sizes(cursor)?.map(|(length, _)| length))
}

/// `(n)` or `(n, m)`.
fn sizes(cursor: &mut Cursor) -> Result<Option<(u64, Option<u64>)>> {
    if !cursor.accept_token(&Token::LParen) {
        return Ok(None);
    }
    let first = cursor.number()?;
    let second = if cursor.accept_token(&Token::Comma) { Some(cursor.number()?) } else { None };
    cursor.expect_token(&Token::RParen)?;
    Ok(Some((first, second)))
}

fn narrow(length: u64) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::new(Kind::WrongValue, format!("the length {length} is too large")))
}

/// Fractional digits of the second: MySQL's default is 0, PostgreSQL's 6.
fn fraction(cursor: &mut Cursor, mysql: bool) -> Result<u8> {
    match length(cursor)? {
        None => Ok(if mysql { 0 } else { 6 }),
        Some(digits @ 0..=6) => Ok(digits as u8),
        Some(digits) => {
            Err(Error::new(Kind::WrongValue, format!("{digits} fractional digits of the second are asked for; at most 6 are kept")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Statement, parse as parse_text};
    use super::*;

    fn ty(dialect: &Dialect, text: &str) -> Result<SqlType> {
        let mut parsed = parse_text(dialect, &format!("CREATE TABLE t (c {text})"))?;
        match parsed.remove(0).statement {
            Statement::CreateTable(mut create) => Ok(create.columns.remove(0).ty),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn mysql_types_mean_what_mysql_means() {
        for (text, want) in [
            ("tinyint(1)", SqlType::Bool),
            ("TINYINT(4) UNSIGNED", SqlType::Int8 { unsigned: true }),
            ("int(11)", SqlType::Int32 { unsigned: false }),
            ("bigint unsigned zerofill", SqlType::Int64 { unsigned: true }),
            ("real", SqlType::Float64),
            ("float(7,4)", SqlType::Float32),
            ("float(53)", SqlType::Float64),
            ("decimal", SqlType::Decimal { precision: 10, scale: 0 }),
            ("timestamp(3)", SqlType::Timestamp { fsp: 3 }),
            ("datetime", SqlType::DateTime { fsp: 0 }),
            ("enum('a','b''c')", SqlType::Enum { labels: vec!["a".into(), "b'c".into()] }),
            ("bit(8)", SqlType::Bit { length: 8 }),
            ("longtext", SqlType::Text),
            ("national varchar(5)", SqlType::VarChar { length: 5 }),
        ] {
            assert_eq!(ty(&Dialect::MYSQL, text).unwrap(), want, "{text}");
        }
        assert!(ty(&Dialect::MYSQL, "varchar").is_err());
        assert_eq!(ty(&Dialect::MYSQL, "decimal(39,2)").unwrap_err().kind(), Kind::WrongValue);
        assert_eq!(ty(&Dialect::MYSQL, "bigint auto_increment").unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn postgres_types_mean_what_postgres_means() {
        for (text, want) in [
            ("real", SqlType::Float32),
            ("float", SqlType::Float64),
            ("double precision", SqlType::Float64),
            ("character varying(20)", SqlType::VarChar { length: 20 }),
            ("varchar", SqlType::Text),
            ("numeric", SqlType::Decimal { precision: 38, scale: 10 }),
            ("numeric(12, 2)", SqlType::Decimal { precision: 12, scale: 2 }),
            ("timestamp", SqlType::DateTime { fsp: 6 }),
            ("timestamp(3) with time zone", SqlType::Timestamp { fsp: 3 }),
            ("timestamptz", SqlType::Timestamp { fsp: 6 }),
            ("bytea", SqlType::Blob),
            ("uuid", SqlType::Uuid),
            ("jsonb", SqlType::Json),
            ("time without time zone", SqlType::Time { fsp: 6 }),
            ("pg_catalog.int4", SqlType::Int32 { unsigned: false }),
        ] {
            assert_eq!(ty(&Dialect::POSTGRES, text).unwrap(), want, "{text}");
        }
        for text in ["serial", "int[]", "interval", "timetz", "bit(3)"] {
            assert_eq!(ty(&Dialect::POSTGRES, text).unwrap_err().kind(), Kind::Unsupported, "{text}");
        }
        assert_eq!(ty(&Dialect::POSTGRES, "nonsense").unwrap_err().kind(), Kind::UnknownType);
        assert_eq!(ty(&Dialect::POSTGRES, "'x'").unwrap_err().kind(), Kind::Syntax);
    }
}
