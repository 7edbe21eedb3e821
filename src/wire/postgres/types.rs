//! SQL types as PostgreSQL numbers them: OIDs of pg_type, lengths and type modifiers.

use crate::types::SqlType;

pub const BOOL: u32 = 16;
pub const BYTEA: u32 = 17;
pub const CHAR: u32 = 18;
pub const NAME: u32 = 19;
pub const INT8: u32 = 20;
pub const INT2: u32 = 21;
pub const INT4: u32 = 23;
pub const REGPROC: u32 = 24;
pub const TEXT: u32 = 25;
pub const OID: u32 = 26;
pub const JSON: u32 = 114;
pub const FLOAT4: u32 = 700;
pub const FLOAT8: u32 = 701;
pub const UNKNOWN: u32 = 705;
pub const BPCHAR: u32 = 1042;
pub const VARCHAR: u32 = 1043;
pub const DATE: u32 = 1082;
pub const TIME: u32 = 1083;
pub const TIMESTAMP: u32 = 1114;
pub const TIMESTAMPTZ: u32 = 1184;
pub const INTERVAL: u32 = 1186;
pub const NUMERIC: u32 = 1700;
pub const REGCLASS: u32 = 2205;
pub const UUID: u32 = 2950;
pub const JSONB: u32 = 3802;

/// Element type and array type.
const ARRAYS: &[(u32, u32)] = &[
    (BOOL, 1000),
    (BYTEA, 1001),
    (CHAR, 1002),
    (NAME, 1003),
    (INT2, 1005),
    (INT4, 1007),
    (TEXT, 1009),
    (BPCHAR, 1014),
    (VARCHAR, 1015),
    (INT8, 1016),
    (FLOAT4, 1021),
    (FLOAT8, 1022),
    (OID, 1028),
    (TIMESTAMP, 1115),
    (DATE, 1182),
    (TIME, 1183),
    (TIMESTAMPTZ, 1185),
    (INTERVAL, 1187),
    (NUMERIC, 1231),
    (JSON, 199),
    (UUID, 2951),
    (JSONB, 3807),
];

/// A type as RowDescription tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgType {
    pub oid: u32,
    /// Bytes; -1: it varies.
    pub size: i16,
    /// Precision, length; -1: none.
    pub modifier: i32,
}

/// How a column of this type is described.
pub fn describe(ty: &SqlType) -> PgType {
    let fixed = |oid, size| PgType { oid, size, modifier: -1 };
    let varying = |oid, modifier| PgType { oid, size: -1, modifier };
    // Six digits is what the type has without a modifier.
    let stamp = |oid, fsp: u8| PgType { oid, size: 8, modifier: if fsp >= 6 { -1 } else { i32::from(fsp) } };
    match ty {
        SqlType::Bool => fixed(BOOL, 1),
        SqlType::Int8 { .. } | SqlType::Int16 { unsigned: false } | SqlType::Year => fixed(INT2, 2),
        SqlType::Int16 { unsigned: true } | SqlType::Int24 { .. } | SqlType::Int32 { unsigned: false } => fixed(INT4, 4),
        SqlType::Int32 { unsigned: true } | SqlType::Int64 { unsigned: false } => fixed(INT8, 8),
        SqlType::Int64 { unsigned: true } | SqlType::Bit { .. } => varying(NUMERIC, numeric_modifier(20, 0)),
        SqlType::Float32 => fixed(FLOAT4, 4),
        SqlType::Float64 => fixed(FLOAT8, 8),
        SqlType::Decimal { precision, scale } => varying(NUMERIC, numeric_modifier(*precision, *scale)),
        SqlType::Char { length } => varying(BPCHAR, length_modifier(*length)),
        SqlType::VarChar { length } => varying(VARCHAR, length_modifier(*length)),
        SqlType::Text | SqlType::Enum { .. } | SqlType::Set { .. } | SqlType::Null => varying(TEXT, -1),
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Blob => varying(BYTEA, -1),
        SqlType::Date => fixed(DATE, 4),
        SqlType::Time { fsp } => stamp(TIME, *fsp),
        SqlType::DateTime { fsp } => stamp(TIMESTAMP, *fsp),
        SqlType::Timestamp { fsp } => stamp(TIMESTAMPTZ, *fsp),
        SqlType::Json => varying(JSON, -1),
        SqlType::Uuid => fixed(UUID, 16),
        SqlType::Oid => fixed(OID, 4),
        SqlType::List(item) => varying(array_of(innermost(item)), -1),
        SqlType::Interval => fixed(INTERVAL, 16),
    }
}

/// The element type of an array of any depth.
fn innermost(ty: &SqlType) -> u32 {
    match ty {
        SqlType::List(item) => innermost(item),
        other => describe(other).oid,
    }
}

/// `((precision << 16) | scale) + 4`, the scale in 11 bits (numeric.c, make_numeric_typmod).
fn numeric_modifier(precision: u8, scale: i8) -> i32 {
    (i32::from(precision) << 16 | (i32::from(scale) & 0x7ff)) + 4
}

/// The length plus the four bytes of a varlena header that PostgreSQL counts with it.
fn length_modifier(length: u32) -> i32 {
    i32::try_from(length).ok().and_then(|n| n.checked_add(4)).unwrap_or(-1)
}

/// The array type with elements of this type.
pub fn array_of(element: u32) -> u32 {
    ARRAYS.iter().find(|(e, _)| *e == element).map_or(1009, |(_, array)| *array)
}

/// The element type of an array type.
pub fn element_of(array: u32) -> Option<u32> {
    ARRAYS.iter().find(|(_, a)| *a == array).map(|(element, _)| *element)
}

/// The SQL type that a client means by an OID; None: unknown or unspecified.
pub fn of_oid(oid: u32) -> Option<SqlType> {
    Some(match oid {
        BOOL => SqlType::Bool,
        BYTEA => SqlType::Blob,
        INT2 => SqlType::Int16 { unsigned: false },
        INT4 => SqlType::Int32 { unsigned: false },
        INT8 | OID | REGPROC | REGCLASS => SqlType::Int64 { unsigned: false },
        FLOAT4 => SqlType::Float32,
        FLOAT8 => SqlType::Float64,
        // A parameter's scale is its value's; ten digits serve until it is known.
        NUMERIC => SqlType::Decimal { precision: crate::types::MAX_DECIMAL_PRECISION, scale: 10 },
        CHAR | NAME | TEXT | BPCHAR | VARCHAR => SqlType::Text,
        DATE => SqlType::Date,
        TIME => SqlType::Time { fsp: 6 },
        TIMESTAMP => SqlType::DateTime { fsp: 6 },
        TIMESTAMPTZ => SqlType::Timestamp { fsp: 6 },
        INTERVAL => SqlType::Interval,
        JSON | JSONB => SqlType::Json,
        UUID => SqlType::Uuid,
        _ => SqlType::List(Box::new(of_oid(element_of(oid)?)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_those_of_pg_attribute() {
        // numeric(10,2), varchar(20), char(3), timestamp(3): atttypmod as PostgreSQL 15 shows them.
        assert_eq!(describe(&SqlType::Decimal { precision: 10, scale: 2 }).modifier, 655_366);
        assert_eq!(describe(&SqlType::VarChar { length: 20 }).modifier, 24);
        assert_eq!(describe(&SqlType::Char { length: 3 }).modifier, 7);
        assert_eq!(describe(&SqlType::DateTime { fsp: 3 }).modifier, 3);
        assert_eq!(describe(&SqlType::DateTime { fsp: 6 }).modifier, -1);
    }

    #[test]
    fn an_unsigned_type_gets_one_that_holds_all_its_values() {
        assert_eq!(describe(&SqlType::Int16 { unsigned: true }).oid, INT4);
        assert_eq!(describe(&SqlType::Int32 { unsigned: true }).oid, INT8);
        assert_eq!(describe(&SqlType::Int64 { unsigned: true }).oid, NUMERIC);
    }

    #[test]
    fn arrays_are_typed_by_their_innermost_element() {
        let nested = SqlType::List(Box::new(SqlType::List(Box::new(SqlType::Int32 { unsigned: false }))));
        assert_eq!(describe(&nested).oid, 1007);
        assert_eq!(of_oid(1007), Some(SqlType::List(Box::new(SqlType::Int32 { unsigned: false }))));
        assert_eq!(of_oid(0), None);
        assert_eq!(of_oid(UNKNOWN), None);
    }
}
