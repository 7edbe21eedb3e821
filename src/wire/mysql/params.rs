//! The parameters of COM_STMT_EXECUTE: bytes to values of the engine.
//!
//! Types come with the first execution and hold for those that bring none. A string is text where its bytes are text
//! in the client's character set, else it is binary: drivers send either under either type.
//! Layout: MySQL internals, "COM_STMT_EXECUTE" and "Binary Protocol Value"; server: sql/sql_prepare.cc.

use datafusion::scalar::ScalarValue;
use mysql_common::constants::ColumnType;

use super::charset::Charset;
use super::codec::{Malformed, Reader};
use super::value::{Clock, Date, MICROS_PER_DAY, days_of_date, put_clock, put_date};
use crate::error::{Error, Kind, Result};
use crate::types::MAX_DECIMAL_PRECISION;
use crate::types::coerce::parse_decimal;

/// The type of one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamType {
    ty: ColumnType,
    unsigned: bool,
}

/// Reads the values of `count` parameters. `types` is what an earlier execution brought, and takes what this one
/// brings; `long` holds the values that came by COM_STMT_SEND_LONG_DATA.
pub fn read_params(
    bytes: &[u8],
    count: usize,
    types: &mut Vec<ParamType>,
    long: &[Option<Vec<u8>>],
    charset: Charset,
) -> Result<Vec<ScalarValue>> {
    if count == 0 {
        return Ok(vec![]);
    }
    let mut reader = Reader::new(bytes);
    let nulls = reader.bytes(count.div_ceil(8), "bitmap of NULL parameters")?;
    if reader.u8("new-params-bound flag")? == 1 {
        *types = read_types(&mut reader, count)?;
    }
    if types.len() != count {
        return Err(Malformed("an execution without parameter types").into());
    }
    let mut values = Vec::with_capacity(count);
    for (index, param) in types.iter().enumerate() {
        values.push(if let Some(Some(data)) = long.get(index) {
            text_or_bytes(data, param.ty, charset)
        } else if nulls[index / 8] & (1 << (index % 8)) != 0 {
            ScalarValue::Null
        } else {
            read_value(&mut reader, *param, charset)?
        });
    }
    Ok(values)
}

/// Reads the sets of a bulk execution, which go on to the end of its packet. Each value has an indicator in front.
/// Layout: MariaDB, "COM_STMT_BULK_EXECUTE"; server: sql/sql_prepare.cc.
pub fn read_sets(
    bytes: &[u8],
    count: usize,
    brings_types: bool,
    types: &mut Vec<ParamType>,
    charset: Charset,
) -> Result<Vec<Vec<ScalarValue>>> {
    let mut reader = Reader::new(bytes);
    if brings_types {
        *types = read_types(&mut reader, count)?;
    }
    if types.len() != count || count == 0 {
        return Err(Malformed("an execution without parameter types").into());
    }
    let mut sets = Vec::new();
    while !reader.is_empty() {
        let mut values = Vec::with_capacity(count);
        for param in types.iter() {
            values.push(match reader.u8("indicator of a parameter")? {
                0 => read_value(&mut reader, *param, charset)?,
                1 => ScalarValue::Null,
                2 | 3 => return Err(Error::unsupported("DEFAULT or IGNORE as a parameter of a bulk execution")),
                _ => return Err(Malformed("indicator of a parameter").into()),
            });
        }
        sets.push(values);
    }
    Ok(sets)
}

fn read_types(reader: &mut Reader<'_>, count: usize) -> Result<Vec<ParamType>> {
    let mut types = Vec::with_capacity(count);
    for _ in 0..count {
        let ty = ColumnType::try_from(reader.u8("type of a parameter")?).map_err(|_| Malformed("type of a parameter"))?;
        types.push(ParamType { ty, unsigned: reader.u8("type of a parameter")? & 0x80 != 0 });
    }
    Ok(types)
}

fn read_value(reader: &mut Reader<'_>, param: ParamType, charset: Charset) -> Result<ScalarValue> {
    use ColumnType::*;
    const WHAT: &str = "value of a parameter";
    Ok(match (param.ty, param.unsigned) {
        (MYSQL_TYPE_NULL, _) => ScalarValue::Null,
        (MYSQL_TYPE_TINY, false) => ScalarValue::Int8(Some(reader.u8(WHAT)? as i8)),
        (MYSQL_TYPE_TINY, true) => ScalarValue::UInt8(Some(reader.u8(WHAT)?)),
        (MYSQL_TYPE_SHORT | MYSQL_TYPE_YEAR, false) => ScalarValue::Int16(Some(reader.u16(WHAT)? as i16)),
        (MYSQL_TYPE_SHORT | MYSQL_TYPE_YEAR, true) => ScalarValue::UInt16(Some(reader.u16(WHAT)?)),
        (MYSQL_TYPE_LONG | MYSQL_TYPE_INT24, false) => ScalarValue::Int32(Some(reader.u32(WHAT)? as i32)),
        (MYSQL_TYPE_LONG | MYSQL_TYPE_INT24, true) => ScalarValue::UInt32(Some(reader.u32(WHAT)?)),
        (MYSQL_TYPE_LONGLONG, false) => ScalarValue::Int64(Some(reader.u64(WHAT)? as i64)),
        (MYSQL_TYPE_LONGLONG, true) => ScalarValue::UInt64(Some(reader.u64(WHAT)?)),
        (MYSQL_TYPE_FLOAT, _) => ScalarValue::Float32(Some(f32::from_bits(reader.u32(WHAT)?))),
        (MYSQL_TYPE_DOUBLE, _) => ScalarValue::Float64(Some(f64::from_bits(reader.u64(WHAT)?))),
        (MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL, _) => decimal(reader.lenenc_bytes(WHAT)?)?,
        (MYSQL_TYPE_DATE | MYSQL_TYPE_DATETIME | MYSQL_TYPE_TIMESTAMP, _) => moment(reader, param.ty == MYSQL_TYPE_DATE)?,
        (MYSQL_TYPE_TIME, _) => time(reader)?,
        (MYSQL_TYPE_BIT, _) => bit(reader.lenenc_bytes(WHAT)?)?,
        (
            MYSQL_TYPE_VARCHAR
            | MYSQL_TYPE_VAR_STRING
            | MYSQL_TYPE_STRING
            | MYSQL_TYPE_ENUM
            | MYSQL_TYPE_SET
            | MYSQL_TYPE_JSON
            | MYSQL_TYPE_TINY_BLOB
            | MYSQL_TYPE_BLOB
            | MYSQL_TYPE_MEDIUM_BLOB
            | MYSQL_TYPE_LONG_BLOB
            | MYSQL_TYPE_GEOMETRY,
            _,
        ) => text_or_bytes(reader.lenenc_bytes(WHAT)?, param.ty, charset),
        (other, _) => return Err(Error::unsupported(format!("a parameter of type {other:?}"))),
    })
}

/// Blobs are not converted: in a latin1 connection they are text only when they are UTF-8.
fn text_or_bytes(bytes: &[u8], ty: ColumnType, charset: Charset) -> ScalarValue {
    use ColumnType::*;
    let blob = matches!(ty, MYSQL_TYPE_TINY_BLOB | MYSQL_TYPE_BLOB | MYSQL_TYPE_MEDIUM_BLOB | MYSQL_TYPE_LONG_BLOB | MYSQL_TYPE_GEOMETRY);
    match if blob { Charset::UTF8 } else { charset }.decode(bytes) {
        Ok(text) => ScalarValue::Utf8(Some(text.into_owned())),
        Err(_) => ScalarValue::Binary(Some(bytes.to_vec())),
    }
}

fn decimal(bytes: &[u8]) -> Result<ScalarValue> {
    let text = String::from_utf8_lossy(bytes);
    let bad = || Error::new(Kind::InvalidValue, format!("Incorrect DECIMAL value: '{text}' for a parameter"));
    let (unscaled, scale) = parse_decimal(text.trim()).ok_or_else(bad)?;
    let digits = unscaled.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
    let precision = digits.max(scale.max(0) as usize);
    if precision > usize::from(MAX_DECIMAL_PRECISION) {
        return Err(Error::new(Kind::OutOfRange, format!("the decimal parameter has {precision} digits; at most 38 are kept")));
    }
    Ok(ScalarValue::Decimal128(Some(unscaled), precision as u8, scale))
}

fn bit(bytes: &[u8]) -> Result<ScalarValue> {
    if bytes.len() > 8 {
        return Err(Malformed("value of a BIT parameter").into());
    }
    Ok(ScalarValue::UInt64(Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))))
}

fn moment(reader: &mut Reader<'_>, date_only: bool) -> Result<ScalarValue> {
    const WHAT: &str = "a date parameter";
    let length = reader.u8(WHAT)?;
    if !matches!(length, 0 | 4 | 7 | 11) {
        return Err(Malformed(WHAT).into());
    }
    let mut fields = Reader::new(reader.bytes(length.into(), WHAT)?);
    let date = match length {
        0 => Date { year: 0, month: 0, day: 0 },
        _ => Date { year: fields.u16(WHAT)?.into(), month: fields.u8(WHAT)?, day: fields.u8(WHAT)? },
    };
    let clock = clock(&mut fields, WHAT)?;
    let bad = || {
        let mut text = vec![];
        put_date(&mut text, date);
        text.push(b' ');
        put_clock(&mut text, clock, 6);
        Error::new(Kind::InvalidValue, format!("Incorrect datetime value: '{}' for a parameter", String::from_utf8_lossy(&text)))
    };
    let days = days_of_date(date.year, date.month, date.day).ok_or_else(bad)?;
    let micros = micros_of_clock(clock).filter(|_| clock.hour < 24).ok_or_else(bad)?;
    if date_only {
        return Ok(ScalarValue::Date32(Some(i32::try_from(days).map_err(|_| bad())?)));
    }
    Ok(ScalarValue::TimestampMicrosecond(Some(days * MICROS_PER_DAY + micros), None))
}

fn time(reader: &mut Reader<'_>) -> Result<ScalarValue> {
    const WHAT: &str = "a time parameter";
    let length = reader.u8(WHAT)?;
    if !matches!(length, 0 | 8 | 12) {
        return Err(Malformed(WHAT).into());
    }
    let mut fields = Reader::new(reader.bytes(length.into(), WHAT)?);
    if length == 0 {
        return Ok(ScalarValue::Time64Microsecond(Some(0)));
    }
    let negative = fields.u8(WHAT)? != 0;
    let days = fields.u32(WHAT)?;
    let mut clock = clock(&mut fields, WHAT)?;
    if clock.hour > 23 || days > 34 {
        // MySQL's TIME ends at 838:59:59.
        return Err(Error::new(Kind::InvalidValue, format!("Incorrect time value: {days} days {} hours for a parameter", clock.hour)));
    }
    let bad = || Error::new(Kind::InvalidValue, "Incorrect time value for a parameter");
    let micros = micros_of_clock(clock).ok_or_else(bad)?;
    if !negative && days == 0 {
        return Ok(ScalarValue::Time64Microsecond(Some(micros)));
    }
    // A duration, not a time of day: goes on as text, for the statement to take or refuse.
    clock.hour += days * 24;
    let mut text = if negative { b"-".to_vec() } else { vec![] };
    put_clock(&mut text, clock, 6);
    Ok(ScalarValue::Utf8(Some(String::from_utf8_lossy(&text).into_owned())))
}

fn clock(fields: &mut Reader<'_>, what: &'static str) -> Result<Clock, Malformed> {
    let mut clock = Clock { hour: 0, minute: 0, second: 0, micros: 0 };
    if !fields.is_empty() {
        (clock.hour, clock.minute, clock.second) = (fields.u8(what)?.into(), fields.u8(what)?, fields.u8(what)?);
    }
    if !fields.is_empty() {
        clock.micros = fields.u32(what)?;
    }
    Ok(clock)
}

fn micros_of_clock(clock: Clock) -> Option<i64> {
    let inside = clock.minute < 60 && clock.second < 60 && clock.micros < 1_000_000;
    let seconds = (i64::from(clock.hour) * 60 + i64::from(clock.minute)) * 60 + i64::from(clock.second);
    inside.then(|| seconds * 1_000_000 + i64::from(clock.micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One parameter of a type byte and a flag byte.
    fn one(ty: u8, flag: u8, value: &[u8]) -> Result<ScalarValue> {
        let bytes = [&[0, 1, ty, flag][..], value].concat();
        read_params(&bytes, 1, &mut vec![], &[], Charset::UTF8).map(|mut values| values.remove(0))
    }

    #[test]
    fn sets_of_a_bulk_execution_are_read_to_the_end_of_the_packet() {
        let mut types = vec![];
        let read = |bytes: &[u8], brings, types: &mut Vec<ParamType>| read_sets(bytes, 2, brings, types, Charset::UTF8);
        let text = |s: &str| ScalarValue::Utf8(Some(s.into()));
        let first = [&[1, 0, 253, 0][..], &[0, 7, 0, 2, b'a', b'b'], &[1, 1], &[0, 8, 0, 0]].concat();
        let sets = read(&first, true, &mut types).unwrap();
        let small = |n| ScalarValue::Int8(Some(n));
        assert_eq!(sets, [vec![small(7), text("ab")], vec![ScalarValue::Null, ScalarValue::Null], vec![small(8), text("")]]);
        // The next packet may leave the types out.
        assert_eq!(read(&[0, 9, 1], false, &mut types).unwrap(), [vec![small(9), ScalarValue::Null]]);
        assert!(read(&[0, 9, 1], false, &mut vec![]).is_err());
        for bad in [&first[..first.len() - 1], &[1, 0, 253, 0, 9, 0, 0], &[1, 0, 253, 0, 2, 1], &[1, 0]] {
            assert!(read(bad, true, &mut types).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_type_is_read() {
        let text = |s: &str| ScalarValue::Utf8(Some(s.into()));
        let table: [(u8, u8, &[u8], ScalarValue); 17] = [
            (1, 0, &[0xff], ScalarValue::Int8(Some(-1))),
            (1, 0x80, &[0xff], ScalarValue::UInt8(Some(255))),
            (2, 0, &[0xfe, 0xff], ScalarValue::Int16(Some(-2))),
            (3, 0, &[1, 0, 0, 0x80], ScalarValue::Int32(Some(i32::MIN + 1))),
            (8, 0x80, &[0xff; 8], ScalarValue::UInt64(Some(u64::MAX))),
            (4, 0, &1.5f32.to_le_bytes(), ScalarValue::Float32(Some(1.5))),
            (5, 0, &(-0.1f64).to_le_bytes(), ScalarValue::Float64(Some(-0.1))),
            (246, 0, b"\x06-12.50", ScalarValue::Decimal128(Some(-1250), 4, 2)),
            (253, 0, "\u{3}\u{e9}x".as_bytes(), text("\u{e9}x")),
            (252, 0, b"\x02\xff\xfe", ScalarValue::Binary(Some(vec![0xff, 0xfe]))),
            (10, 0, &[4, 0xe6, 7, 7, 5], ScalarValue::Date32(Some(19_178))),
            (12, 0, &[7, 0xe6, 7, 7, 5, 11, 11, 11], ScalarValue::TimestampMicrosecond(Some(1_657_019_471_000_000), None)),
            (7, 0, &[11, 0xb2, 7, 1, 1, 0, 0, 1, 5, 0, 0, 0], ScalarValue::TimestampMicrosecond(Some(1_000_005), None)),
            (11, 0, &[8, 0, 0, 0, 0, 0, 1, 0, 1], ScalarValue::Time64Microsecond(Some(3_601_000_000))),
            (11, 0, &[8, 1, 1, 0, 0, 0, 1, 0, 1], text("-25:00:01.000000")),
            (16, 0, &[2, 1, 2], ScalarValue::UInt64(Some(258))),
            (6, 0, &[], ScalarValue::Null),
        ];
        for (ty, flag, value, wanted) in table {
            assert_eq!(one(ty, flag, value).unwrap(), wanted, "type {ty}");
        }
    }

    #[test]
    fn days_that_are_not_are_errors() {
        for value in [&[0u8][..], &[4, 0xe6, 7, 13, 5], &[4, 0xe7, 7, 2, 29], &[7, 0xe6, 7, 7, 5, 24, 0, 0]] {
            assert_eq!(one(12, 0, value).unwrap_err().kind(), Kind::InvalidValue, "{value:?}");
        }
    }

    #[test]
    fn types_are_remembered_and_long_data_takes_the_place_of_a_value() {
        let mut types = vec![];
        let first = read_params(&[0, 1, 3, 0, 253, 0, 7, 0, 0, 0, 1, b'a'], 2, &mut types, &[], Charset::UTF8).unwrap();
        assert_eq!(first, [ScalarValue::Int32(Some(7)), ScalarValue::Utf8(Some("a".into()))]);
        let long = [None, Some(b"long".to_vec())];
        let second = read_params(&[1, 0], 2, &mut types, &long, Charset::UTF8).unwrap();
        assert_eq!(second, [ScalarValue::Null, ScalarValue::Utf8(Some("long".into()))]);
        assert!(read_params(&[0, 0], 2, &mut vec![], &[], Charset::UTF8).is_err());
    }

    #[test]
    fn malformed_parameters_are_errors() {
        let corpus: [&[u8]; 10] = [
            &[],
            &[0],
            &[0, 1],
            &[0, 1, 3],
            &[0, 1, 3, 0],
            &[0, 1, 3, 0, 1, 2],
            &[0, 1, 200, 0, 1],
            &[0, 1, 253, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0, 1, 12, 0, 5, 1, 2, 3, 4, 5],
            &[0, 1, 16, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        for bytes in corpus {
            assert!(read_params(bytes, 1, &mut vec![], &[], Charset::UTF8).is_err(), "{bytes:?}");
        }
    }
}
