//! Does a value fit its variable? Gives it in canonical form, or the error a client of that family expects.

use super::definition::{Definition, Domain};
use super::{Family, Value};
use crate::engine::catalog::charsets::{CHARSETS, COLLATIONS};
use crate::error::{Error, Kind, Result};
use crate::time::{parse_zone, posix_name, postgres_zone};

/// The canonical form of `value` for the variable, or [`Kind::WrongValue`].
pub(super) fn check(family: Family, d: &Definition, value: Value) -> Result<Value> {
    let wrong = || wrong(family, d, &value);
    match d.domain {
        Domain::Bool => boolean(family, &value).map(Value::Bool).ok_or_else(wrong),
        Domain::Int { min, max } => {
            let number = integer(family, &value).ok_or_else(|| wrong_type(family, d, &value))?;
            within(family, d, number, i128::from(min), i128::from(max)).map(|n| Value::Int(n as i64))
        }
        Domain::UInt { min, max } => {
            let number = integer(family, &value).ok_or_else(|| wrong_type(family, d, &value))?;
            within(family, d, number, i128::from(min), i128::from(max)).map(|n| Value::UInt(n as u64))
        }
        Domain::Float { min, max } => {
            let number = match &value {
                Value::Float(f) => Some(*f),
                other => other.text(family).trim().parse().ok(),
            };
            number.filter(|n| (min..=max).contains(n)).map(Value::Float).ok_or_else(wrong)
        }
        Domain::Text => match value {
            Value::Null => Err(wrong()),
            other => Ok(Value::Text(other.text(family))),
        },
        Domain::Enum(words) => word(family, words, &value).map(|w| Value::Text(w.to_owned())).ok_or_else(wrong),
        Domain::SqlMode => sql_mode(&value).ok_or_else(wrong),
        Domain::Zone => zone(family, &value),
        Domain::Charset { nullable } => match &value {
            Value::Null if nullable => Ok(Value::Null),
            other => {
                let name = other.text(family);
                let name = if name.eq_ignore_ascii_case("utf8") { "utf8mb3".to_owned() } else { name };
                let found = CHARSETS.iter().find(|c| c.name.eq_ignore_ascii_case(&name));
                found.map(|c| Value::Text(c.name.to_owned())).ok_or_else(|| {
                    Error::new(Kind::WrongValue, format!("Unknown character set: '{name}'")).with_hint("SHOW CHARACTER SET lists them")
                })
            }
        },
        Domain::Collation => {
            let name = value.text(family);
            let found = COLLATIONS.iter().find(|c| c.name.eq_ignore_ascii_case(&name));
            found
                .map(|c| Value::Text(c.name.to_owned()))
                .ok_or_else(|| Error::new(Kind::WrongValue, format!("Unknown collation: '{name}'")).with_hint("SHOW COLLATION lists them"))
        }
        Domain::Millis { max } => {
            let ms = with_unit(&value.text(family), MILLIS).filter(|ms| (0..=max).contains(ms)).ok_or_else(wrong)?;
            Ok(Value::Text(shortest(ms, &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)])))
        }
        Domain::Kilobytes { min, max } => {
            const UNITS: &[(&str, f64)] = &[("B", 1.0 / 1024.0), ("kB", 1.0), ("MB", 1024.0), ("GB", 1_048_576.0), ("TB", 1_073_741_824.0)];
            let kb = with_unit(&value.text(family), UNITS).filter(|kb| (min..=max).contains(kb)).ok_or_else(wrong)?;
            Ok(Value::Text(shortest(kb, &[("TB", 1_073_741_824), ("GB", 1_048_576), ("MB", 1024), ("kB", 1)])))
        }
        Domain::DateStyle => date_style(&value.text(family)).map(Value::Text).ok_or_else(wrong),
        Domain::Encoding => {
            let name = value.text(family).replace(['-', '_'], "").to_ascii_lowercase();
            match name.as_str() {
                "utf8" | "unicode" | "" => Ok(Value::Text("UTF8".into())),
                // Bytes as they are: what we send is UTF-8.
                "sqlascii" => Ok(Value::Text("SQL_ASCII".into())),
                _ => Err(wrong().with_hint("the client encoding is always UTF8")),
            }
        }
    }
}

fn wrong(family: Family, d: &Definition, value: &Value) -> Error {
    let shown = match value {
        Value::Null => "NULL".to_owned(),
        other => other.text(family),
    };
    match family {
        Family::MySql => Error::new(Kind::WrongValue, format!("Variable '{}' can't be set to the value of '{shown}'", d.name)),
        Family::Postgres => {
            let error = Error::new(Kind::WrongValue, format!("invalid value for parameter \"{}\": \"{shown}\"", d.name));
            match d.domain {
                Domain::Enum(words) => error.with_hint(format!("Available values: {}.", words.join(", "))),
                Domain::Bool => error.with_hint("it takes on or off"),
                Domain::Millis { .. } => {
                    error.with_hint("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".")
                }
                _ => error,
            }
        }
    }
}

fn wrong_type(family: Family, d: &Definition, value: &Value) -> Error {
    match family {
        Family::MySql => Error::new(Kind::WrongValue, format!("Incorrect argument type to variable '{}'", d.name)),
        Family::Postgres => wrong(family, d, value),
    }
}

fn boolean(family: Family, value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::Int(1) | Value::UInt(1) => Some(true),
        Value::Int(0) | Value::UInt(0) => Some(false),
        Value::Text(text) => match (text.to_ascii_lowercase().as_str(), family) {
            ("on" | "1" | "true", _) | ("yes" | "y" | "t", Family::Postgres) => Some(true),
            ("off" | "0" | "false", _) | ("no" | "n" | "f", Family::Postgres) => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn integer(family: Family, value: &Value) -> Option<i128> {
    match value {
        Value::Int(i) => Some(i128::from(*i)),
        Value::UInt(u) => Some(i128::from(*u)),
        Value::Bool(b) => Some(i128::from(*b)),
        Value::Text(text) if family == Family::Postgres => text.trim().parse().ok(),
        _ => None,
    }
}

/// MySQL cuts a number to the bounds, PostgreSQL refuses it.
fn within(family: Family, d: &Definition, number: i128, min: i128, max: i128) -> Result<i128> {
    if family == Family::Postgres && !(min..=max).contains(&number) {
        let message = format!("{number} is outside the valid range for parameter \"{}\" ({min} .. {max})", d.name);
        return Err(Error::new(Kind::WrongValue, message));
    }
    Ok(number.clamp(min, max))
}

fn word(family: Family, words: &'static [&'static str], value: &Value) -> Option<&'static str> {
    let index = match value {
        Value::Int(i) if family == Family::MySql => usize::try_from(*i).ok(),
        Value::UInt(i) if family == Family::MySql => usize::try_from(*i).ok(),
        Value::Bool(b) => {
            let text = Value::Bool(*b).text(family);
            return words.iter().find(|w| w.eq_ignore_ascii_case(&text)).copied();
        }
        _ => None,
    };
    if let Some(index) = index {
        return words.get(index).copied();
    }
    let text = value.text(family);
    words.iter().find(|w| w.eq_ignore_ascii_case(text.trim())).copied()
}

/// MySQL 8's modes in the order of their bits (server manual, "Server SQL Modes"); an empty word is a bit without a name.
const MODES: [&str; 33] = [
    "REAL_AS_FLOAT",
    "PIPES_AS_CONCAT",
    "ANSI_QUOTES",
    "IGNORE_SPACE",
    "NOT_USED",
    "ONLY_FULL_GROUP_BY",
    "NO_UNSIGNED_SUBTRACTION",
    "NO_DIR_IN_CREATE",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "ANSI",
    "NO_AUTO_VALUE_ON_ZERO",
    "NO_BACKSLASH_ESCAPES",
    "STRICT_TRANS_TABLES",
    "STRICT_ALL_TABLES",
    "NO_ZERO_IN_DATE",
    "NO_ZERO_DATE",
    "ALLOW_INVALID_DATES",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "TRADITIONAL",
    "",
    "HIGH_NOT_PRECEDENCE",
    "NO_ENGINE_SUBSTITUTION",
    "PAD_CHAR_TO_FULL_LENGTH",
    "TIME_TRUNCATE_FRACTIONAL",
];

/// Modes of MySQL 5.7 and MariaDB that 8.0 dropped; drivers and dumps still send them.
const FORMER_MODES: [&str; 3] = ["NO_AUTO_CREATE_USER", "NO_FIELD_OPTIONS", "NO_KEY_OPTIONS"];

fn sql_mode(value: &Value) -> Option<Value> {
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::Int(_) | Value::UInt(_) => {
            let bits = integer(Family::MySql, value)?;
            let names: Vec<&str> = MODES.iter().enumerate().filter(|(i, m)| bits >> i & 1 == 1 && !m.is_empty()).map(|(_, m)| *m).collect();
            names.join(",")
        }
        _ => return None,
    };
    expand_sql_mode(&text).map(Value::Text)
}

/// A list of SQL modes with the combined modes spelled out, in MySQL's order; None: one of them is unknown.
pub fn expand_sql_mode(text: &str) -> Option<String> {
    let mut on = [false; MODES.len()];
    for word in text.split(',').map(|w| w.trim().to_ascii_uppercase()).filter(|w| !w.is_empty()) {
        if FORMER_MODES.contains(&word.as_str()) {
            continue;
        }
        let implied: &[&str] = match word.as_str() {
            "ANSI" => &["REAL_AS_FLOAT", "PIPES_AS_CONCAT", "ANSI_QUOTES", "IGNORE_SPACE", "ONLY_FULL_GROUP_BY"],
            "TRADITIONAL" => &[
                "STRICT_TRANS_TABLES",
                "STRICT_ALL_TABLES",
                "NO_ZERO_IN_DATE",
                "NO_ZERO_DATE",
                "ERROR_FOR_DIVISION_BY_ZERO",
                "NO_ENGINE_SUBSTITUTION",
            ],
            _ => &[],
        };
        for mode in implied.iter().copied().chain([word.as_str()]) {
            *on.get_mut(MODES.iter().position(|m| *m == mode)?)? = true;
        }
    }
    Some(MODES.iter().zip(on).filter(|(_, on)| *on).map(|(m, _)| *m).collect::<Vec<_>>().join(","))
}

fn zone(family: Family, value: &Value) -> Result<Value> {
    let text = value.text(family);
    let unknown = || {
        match family {
            Family::MySql => Error::new(Kind::UnknownTimeZone, format!("Unknown or incorrect time zone: '{text}'")),
            Family::Postgres => Error::new(Kind::WrongValue, format!("invalid value for parameter \"TimeZone\": \"{text}\"")),
        }
        .with_hint("use a name like 'Europe/Paris' or an offset like '+08:00'")
    };
    if text.trim().is_empty() || (family == Family::MySql && matches!(text.trim().to_ascii_lowercase().as_str(), "default" | "local")) {
        return Err(unknown());
    }
    let zone = match family {
        Family::MySql => parse_zone(&text),
        Family::Postgres => postgres_zone(&text),
    };
    let zone = zone.map_err(|_| unknown())?;
    if family == Family::Postgres && text.trim().parse::<f64>().is_ok() {
        return Ok(Value::Text(posix_name(zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds())));
    }
    Ok(Value::Text(match text.trim().to_ascii_lowercase().as_str() {
        "system" => "SYSTEM".into(),
        "utc" => "UTC".into(),
        "gmt" => "GMT".into(),
        // PostgreSQL's clients look the zone up by the name that they are told.
        name if family == Family::Postgres && zone.iana_name().is_some_and(|own| own.eq_ignore_ascii_case(name)) => {
            zone.iana_name().unwrap_or_default().to_owned()
        }
        _ => text.trim().to_owned(),
    }))
}

const MILLIS: &[(&str, f64)] = &[("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("min", 60_000.0), ("h", 3_600_000.0), ("d", 86_400_000.0)];

/// `5s`, `100` as milliseconds.
pub(super) fn millis(text: &str) -> Option<u64> {
    with_unit(text, MILLIS).and_then(|ms| u64::try_from(ms).ok())
}

/// A number with an optional unit, in the base unit, rounded.
fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<i64> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = (text[..split].trim(), text[split..].trim());
    let factor = if unit.is_empty() { 1.0 } else { units.iter().find(|(u, _)| *u == unit)?.1 };
    let value = number.parse::<f64>().ok()? * factor;
    (value.abs() < 9e15).then(|| value.round() as i64)
}

/// In the largest unit that divides it, as SHOW prints it; zero has no unit.
fn shortest(value: i64, units: &[(&str, i64)]) -> String {
    match units.iter().find(|(_, factor)| value != 0 && value % factor == 0) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => value.to_string(),
    }
}

/// `ISO, MDY` and its kin; we print ISO only, so the other styles are refused.
fn date_style(text: &str) -> Option<String> {
    let mut order = "MDY";
    for word in text.split([',', ' ']).map(|w| w.trim().to_ascii_uppercase()).filter(|w| !w.is_empty()) {
        match word.as_str() {
            "ISO" | "DEFAULT" => {}
            "MDY" | "US" | "NONEURO" | "NONEUROPEAN" => order = "MDY",
            "DMY" | "EURO" | "EUROPEAN" => order = "DMY",
            "YMD" => order = "YMD",
            _ => return None,
        }
    }
    Some(format!("ISO, {order}"))
}
