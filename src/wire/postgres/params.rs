//! Parameters of Bind: text or bytes of a type into a value of the engine.

use std::sync::Arc;

use bytes::Buf;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::scalar::ScalarValue;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::encode::Format;
use super::fault::{Fault, INVALID_BINARY};
use super::types::{self, of_oid};
use super::{datetime, message, numeric};
use crate::types::{MAX_DECIMAL_PRECISION, UTC};

/// Reads one parameter. `oid` 0 or unknown: text. A moment without zone given for one with zone is taken in `zone`.
pub fn decode(oid: u32, format: Format, bytes: Option<&[u8]>, zone: &TimeZone) -> Result<ScalarValue, Fault> {
    let Some(bytes) = bytes else {
        let null = of_oid(oid).and_then(|ty| ScalarValue::try_from(&ty.arrow()).ok());
        return Ok(null.unwrap_or(ScalarValue::Utf8(None)));
    };
    match format {
        Format::Text => {
            let text = std::str::from_utf8(bytes).map_err(|error| message::not_utf8(&bytes[error.valid_up_to()..]))?;
            if text.contains('\0') {
                return Err(message::not_utf8(&[0]));
            }
            decode_text(oid, text, zone)
        }
        Format::Binary => decode_binary(oid, bytes),
    }
}

/// Reads the text of a value of the type.
pub fn decode_text(oid: u32, text: &str, zone: &TimeZone) -> Result<ScalarValue, Fault> {
    let invalid = |name: &str| Fault::error("22P02", format!("invalid input syntax for type {name}: \"{text}\""));
    let moment = |name: &str| Fault { sqlstate: "22007", ..invalid(name) };
    let word = text.trim();
    macro_rules! number {
        ($variant:ident, $name:literal) => {
            ScalarValue::$variant(Some(word.parse().map_err(|e: std::num::ParseIntError| match e.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                    Fault::error("22003", format!("value \"{text}\" is out of range for type {}", $name))
                }
                _ => invalid($name),
            })?))
        };
    }
    Ok(match oid {
        types::BOOL => ScalarValue::Boolean(Some(boolean(word).ok_or_else(|| invalid("boolean"))?)),
        types::INT2 => number!(Int16, "smallint"),
        types::INT4 => number!(Int32, "integer"),
        types::INT8 => number!(Int64, "bigint"),
        types::OID => number!(Int64, "oid"),
        types::FLOAT4 => ScalarValue::Float32(Some(float(word).ok_or_else(|| invalid("real"))? as f32)),
        types::FLOAT8 => ScalarValue::Float64(Some(float(word).ok_or_else(|| invalid("double precision"))?)),
        types::NUMERIC => decimal(word).ok_or_else(|| invalid("numeric"))?,
        types::BYTEA => ScalarValue::Binary(Some(bytea(text).ok_or_else(|| invalid("bytea"))?)),
        types::DATE => {
            let days = datetime::read_timestamp(word).map(|(micros, _)| micros.div_euclid(datetime::DAY));
            ScalarValue::Date32(Some(days.and_then(|d| i32::try_from(d).ok()).ok_or_else(|| moment("date"))?))
        }
        types::TIME => ScalarValue::Time64Microsecond(Some(datetime::read_time(word).ok_or_else(|| moment("time"))?)),
        types::TIMESTAMP => {
            // A zone at the end is ignored, as PostgreSQL does.
            let (micros, _) = datetime::read_timestamp(word).ok_or_else(|| moment("timestamp"))?;
            ScalarValue::TimestampMicrosecond(Some(micros), None)
        }
        types::TIMESTAMPTZ => {
            let micros = datetime::read_timestamp(word).and_then(|(micros, offset)| match offset {
                Some(offset) => micros.checked_sub(offset * 1_000_000),
                None => in_zone(micros, zone),
            });
            let micros = micros.ok_or_else(|| moment("timestamp with time zone"))?;
            ScalarValue::TimestampMicrosecond(Some(micros), Some(UTC.into()))
        }
        types::UUID => {
            let uuid = uuid::Uuid::try_parse(word).map_err(|_| invalid("uuid"))?;
            ScalarValue::Utf8(Some(uuid.to_string()))
        }
        types::INTERVAL => {
            let (months, days, micros) = crate::sql::interval::parts(word).ok_or_else(|| moment("interval"))?;
            let nanos = micros.checked_mul(1000).ok_or_else(|| Fault::error("22008", format!("interval out of range: \"{text}\"")))?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)))
        }
        _ => match types::element_of(oid) {
            Some(element) => array_text(element, text, zone)?,
            None => ScalarValue::Utf8(Some(text.to_owned())),
        },
    })
}

/// Reads an array of one dimension from its text: `{1,NULL,"a \"b\""}`.
fn array_text(element: u32, text: &str, zone: &TimeZone) -> Result<ScalarValue, Fault> {
    let malformed = || Fault::error("22P02", format!("malformed array literal: \"{text}\""));
    let inner = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(malformed)?;
    let item = of_oid(element).map(|ty| ty.arrow()).ok_or_else(malformed)?;
    let mut values = vec![];
    let mut chars = inner.chars().peekable();
    while chars.by_ref().next_if(|c| c.is_whitespace()).is_some() {}
    while chars.peek().is_some() {
        let (mut word, mut quoted, mut open, mut more) = (String::new(), false, false, false);
        while let Some(ch) = chars.next() {
            match ch {
                '"' => (open, quoted) = (!open, true),
                '\\' => word.push(chars.next().ok_or_else(malformed)?),
                ',' if !open => {
                    more = true;
                    break;
                }
                '{' | '}' if !open => return Err(Fault::error("0A000", "an array parameter of several dimensions is not supported")),
                ch if ch.is_whitespace() && !open && (word.is_empty() || quoted) => {}
                ch => word.push(ch),
            }
        }
        let bare = word.trim_end();
        if open || (!quoted && bare.is_empty()) || (more && chars.peek().is_none()) {
            return Err(malformed());
        }
        values.push(match quoted {
            false if bare.eq_ignore_ascii_case("null") => ScalarValue::try_from(&item).map_err(|_| malformed())?,
            false => decode_text(element, bare, zone)?,
            true => decode_text(element, &word, zone)?,
        });
    }
    list_of(values, item).ok_or_else(malformed)
}

/// Values as a list; decimals, whose scales differ, get the largest. None: their types differ.
fn list_of(values: Vec<ScalarValue>, item: DataType) -> Option<ScalarValue> {
    let scale = values.iter().filter_map(|v| if let ScalarValue::Decimal128(Some(_), _, scale) = v { Some(*scale) } else { None }).max();
    let item = match scale {
        Some(scale) => DataType::Decimal128(MAX_DECIMAL_PRECISION, scale),
        None => values.iter().find(|v| !v.is_null()).map_or(item, ScalarValue::data_type),
    };
    let values: Vec<_> = values.into_iter().map(|v| v.cast_to(&item).ok()).collect::<Option<_>>()?;
    Some(ScalarValue::List(ScalarValue::new_list_nullable(&values, &item)))
}

/// Reads the binary form of a value of the type.
pub fn decode_binary(oid: u32, mut bytes: &[u8]) -> Result<ScalarValue, Fault> {
    let bad = || Fault::error(INVALID_BINARY, format!("incorrect binary data format for the type with OID {oid}"));
    let whole = bytes;
    macro_rules! take {
        ($read:ident) => {
            bytes.$read().map_err(|_| bad())?
        };
    }
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(message::not_utf8(&[0])),
        Ok(text) => Ok(ScalarValue::Utf8(Some(text.to_owned()))),
        Err(error) => Err(message::not_utf8(&bytes[error.valid_up_to()..])),
    };
    let out_of_range = || Fault::error("22008", "a date or time is out of range");
    let value = match oid {
        types::BOOL => ScalarValue::Boolean(Some(take!(try_get_u8) != 0)),
        types::INT2 => ScalarValue::Int16(Some(take!(try_get_i16))),
        types::INT4 => ScalarValue::Int32(Some(take!(try_get_i32))),
        types::INT8 => ScalarValue::Int64(Some(take!(try_get_i64))),
        types::OID | types::REGPROC | types::REGCLASS => ScalarValue::Int64(Some(take!(try_get_u32).into())),
        types::FLOAT4 => ScalarValue::Float32(Some(take!(try_get_f32))),
        types::FLOAT8 => ScalarValue::Float64(Some(take!(try_get_f64))),
        types::NUMERIC => {
            let text = numeric::read_binary(whole).ok_or_else(bad)?;
            let value = decimal(&text);
            return value.ok_or_else(|| Fault::error("22003", format!("the numeric {text} has more than 38 digits or no finite value")));
        }
        types::BYTEA => return Ok(ScalarValue::Binary(Some(whole.to_vec()))),
        types::DATE => {
            let days = take!(try_get_i32).checked_add(datetime::EPOCH_DAYS).ok_or_else(out_of_range)?;
            ScalarValue::Date32(Some(days))
        }
        types::TIME => ScalarValue::Time64Microsecond(Some(take!(try_get_i64))),
        types::TIMESTAMP | types::TIMESTAMPTZ => {
            let micros = take!(try_get_i64).checked_add(datetime::EPOCH_MICROS).ok_or_else(out_of_range)?;
            let zone: Option<Arc<str>> = (oid == types::TIMESTAMPTZ).then(|| UTC.into());
            ScalarValue::TimestampMicrosecond(Some(micros), zone)
        }
        types::INTERVAL => {
            let (micros, days, months) = (take!(try_get_i64), take!(try_get_i32), take!(try_get_i32));
            let nanos = micros.checked_mul(1000).ok_or_else(out_of_range)?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)))
        }
        types::UUID => {
            let uuid = uuid::Uuid::from_slice(whole).map_err(|_| bad())?;
            return Ok(ScalarValue::Utf8(Some(uuid.to_string())));
        }
        // A version byte, then the text.
        types::JSONB => return whole.strip_prefix(b"\x01").ok_or_else(bad).and_then(text),
        0 | types::TEXT | types::VARCHAR | types::BPCHAR | types::NAME | types::CHAR | types::JSON | types::UNKNOWN => return text(whole),
        _ => match types::element_of(oid) {
            Some(element) => return decode_array(element, whole),
            None => return Err(Fault::error("0A000", format!("a binary parameter of the type with OID {oid} is not supported"))),
        },
    };
    if bytes.is_empty() { Ok(value) } else { Err(bad()) }
}

/// Reads a binary array of one dimension.
fn decode_array(element: u32, mut bytes: &[u8]) -> Result<ScalarValue, Fault> {
    let bad = || Fault::error(INVALID_BINARY, "incorrect binary data format for an array");
    let (dimensions, _nulls, oid) =
        (bytes.try_get_i32().map_err(|_| bad())?, bytes.try_get_i32().map_err(|_| bad())?, bytes.try_get_u32().map_err(|_| bad())?);
    let item = of_oid(element).map(|ty| ty.arrow()).ok_or_else(bad)?;
    let mut values = vec![];
    match dimensions {
        0 => {}
        1 => {
            let length = bytes.try_get_u32().map_err(|_| bad())? as usize;
            bytes.try_get_i32().map_err(|_| bad())?;
            // Each element has at least its length.
            if length > bytes.len() / 4 {
                return Err(bad());
            }
            for _ in 0..length {
                let size = bytes.try_get_i32().map_err(|_| bad())?;
                if size < 0 {
                    values.push(ScalarValue::try_from(&item).map_err(|_| bad())?);
                    continue;
                }
                let (value, rest) = bytes.split_at_checked(size as usize).ok_or_else(bad)?;
                values.push(decode_binary(oid, value)?);
                bytes = rest;
            }
        }
        _ => return Err(Fault::error("0A000", "an array parameter of several dimensions is not supported")),
    }
    if !bytes.is_empty() {
        return Err(bad());
    }
    list_of(values, item).ok_or_else(bad)
}

fn boolean(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn float(word: &str) -> Option<f64> {
    word.parse().ok()
}

fn decimal(word: &str) -> Option<ScalarValue> {
    let (value, scale) = numeric::read_text(word)?;
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) as u8 + 1;
    Some(ScalarValue::Decimal128(Some(value), digits.max(scale).max(1), scale as i8))
}

/// `\x0a1b`, or the older form with `\\` and `\ooo`.
pub fn bytea(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        return hex::decode(digits.split_ascii_whitespace().collect::<String>()).ok();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        match (b, tail) {
            (b'\\', [b'\\', tail @ ..]) => {
                out.push(b'\\');
                rest = tail;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            (b'\\', _) => return None,
            _ => out.push(b),
        }
    }
    Some(out)
}

/// The moment that a wall clock in `zone` shows as `micros` since 1970-01-01.
fn in_zone(micros: i64, zone: &TimeZone) -> Option<i64> {
    let wall: DateTime = TimeZone::UTC.to_datetime(jiff::Timestamp::from_microsecond(micros).ok()?);
    Some(zone.to_timestamp(wall).ok()?.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::AsArray as _;
    use proptest::prelude::*;

    fn paris() -> TimeZone {
        crate::time::parse_zone("Europe/Paris").unwrap()
    }

    #[test]
    fn a_text_is_read_by_its_type_and_an_unknown_one_stays_text() {
        let read = |oid, text| decode_text(oid, text, &paris()).unwrap();
        assert_eq!(read(types::INT4, " 7 "), ScalarValue::Int32(Some(7)));
        assert_eq!(read(types::NUMERIC, "-12.30"), ScalarValue::Decimal128(Some(-1230), 4, 2));
        assert_eq!(read(types::NUMERIC, "0.001"), ScalarValue::Decimal128(Some(1), 3, 3));
        assert_eq!(read(0, "7"), ScalarValue::Utf8(Some("7".into())));
        assert_eq!(read(types::BYTEA, "\\x0aFf"), ScalarValue::Binary(Some(vec![10, 255])));
        assert_eq!(read(types::BYTEA, "a\\\\\\101"), ScalarValue::Binary(Some(b"a\\A".to_vec())));
        assert_eq!(read(types::DATE, "2022-07-05"), ScalarValue::Date32(Some(19_178)));
        let moment = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some(UTC.into()));
        assert_eq!(read(types::TIMESTAMPTZ, "2022-07-05 11:11:11"), moment(1_657_012_271_000_000));
        assert_eq!(read(types::TIMESTAMPTZ, "2022-07-05 11:11:11+00"), moment(1_657_019_471_000_000));
    }

    #[test]
    fn a_text_that_is_not_of_its_type_is_an_error_that_shows_it() {
        for (oid, text, sqlstate) in [
            (types::INT4, "x", "22P02"),
            (types::INT4, "3000000000", "22003"),
            (types::BOOL, "maybe", "22P02"),
            (types::UUID, "123", "22P02"),
            (types::BYTEA, "\\x0", "22P02"),
            (types::BYTEA, "\\9", "22P02"),
            (types::DATE, "2022-02-30", "22007"),
            (types::TIMESTAMPTZ, "yesterday", "22007"),
            (types::NUMERIC, "one", "22P02"),
        ] {
            let fault = decode_text(oid, text, &paris()).unwrap_err();
            assert_eq!(fault.sqlstate, sqlstate, "{text}");
            assert!(fault.message.contains(text), "{}", fault.message);
        }
    }

    #[test]
    fn a_binary_value_of_the_wrong_length_is_an_error() {
        for (oid, bytes) in [
            (types::INT4, &b"\0\0\0"[..]),
            (types::INT4, b"\0\0\0\0\0"),
            (types::BOOL, b""),
            (types::UUID, b"short"),
            (types::NUMERIC, b"\0\x01\0\0\0\0\0\0"),
            (types::JSONB, b"\x02{}"),
            (1007, b"\0\0\0\x01\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff\0\0\0\x01"),
        ] {
            assert_eq!(decode_binary(oid, bytes).unwrap_err().sqlstate, INVALID_BINARY, "{oid}");
        }
        assert_eq!(decode_binary(types::TEXT, b"\xff").unwrap_err().sqlstate, "22021");
        assert_eq!(decode_binary(types::TIMESTAMP, &i64::MAX.to_be_bytes()).unwrap_err().sqlstate, "22008");
    }

    #[test]
    fn binary_values_are_read_by_their_type() {
        let read = |oid, bytes: &[u8]| decode_binary(oid, bytes).unwrap();
        assert_eq!(read(types::INT8, &7i64.to_be_bytes()), ScalarValue::Int64(Some(7)));
        assert_eq!(read(types::DATE, &8221i32.to_be_bytes()), ScalarValue::Date32(Some(19_178)));
        assert_eq!(read(types::NUMERIC, &hex::decode("0002000040000002000c0bb8").unwrap()), ScalarValue::Decimal128(Some(-1230), 4, 2));
        assert_eq!(read(types::JSONB, b"\x01{}"), ScalarValue::Utf8(Some("{}".into())));
        let list = read(1007, &hex::decode("000000010000000100000017000000020000000100000004 00000001ffffffff".replace(' ', "")).unwrap());
        assert_eq!(list.to_string(), "[1, NULL]".replace("NULL", ""));
    }

    #[test]
    fn arrays_and_intervals_are_read_from_their_text() {
        let read = |oid, text| decode_text(oid, text, &paris());
        assert_eq!(read(1007, "{1,NULL, 3}").unwrap().data_type(), read(1007, "{}").unwrap().data_type());
        let ScalarValue::List(texts) = read(1009, r#"{a b,"NULL","x\"y",null}"#).unwrap() else { panic!() };
        let texts = texts.value(0);
        let texts: Vec<_> = texts.as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("a b"), Some("NULL"), Some("x\"y"), None]);
        for text in ["1", "{1", "{1,}", "{\"a}", "{{1},{2}}"] {
            assert!(read(1009, text).is_err(), "{text}");
        }
        let interval = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(14, 3, 14_706_789_000_000)));
        assert_eq!(read(types::INTERVAL, "1 year 2 mons 3 days 04:05:06.789").unwrap(), interval);
        assert_eq!(read(types::INTERVAL, "one day").unwrap_err().sqlstate, "22007");
        assert_eq!(decode_binary(types::TEXT, b"a\0b").unwrap_err().sqlstate, "22021");
    }

    proptest! {
        #[test]
        fn random_values_of_random_types_never_panic(at in 0usize..30, bytes: Vec<u8>, text: String) {
            let oids = [0, types::BOOL, types::BYTEA, types::INT2, types::INT4, types::INT8, types::OID, types::FLOAT4, types::FLOAT8,
                types::NUMERIC, types::DATE, types::TIME, types::TIMESTAMP, types::TIMESTAMPTZ, types::INTERVAL, types::UUID, types::JSONB,
                1007, 1009, 1231, 1185, 99_999];
            let oid = oids[at % oids.len()];
            let zone = paris();
            let _ = decode(oid, Format::Binary, Some(&bytes), &zone);
            let _ = decode(oid, Format::Text, Some(&bytes), &zone);
            let _ = decode(oid, Format::Text, Some(text.as_bytes()), &zone);
        }
    }
}
