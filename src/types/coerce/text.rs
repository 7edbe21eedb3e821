//! Text columns from anything: character lengths, JSON, labels of ENUM and SET, UUIDs.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::*;
use jiff::tz::TimeZone;

use super::civil::{offset_at, utc_to_civil};
use super::target::Target;
use super::{Family, format};
use crate::error::{Error, Kind, Result};
use crate::types::SqlType;

/// Values as text, as the session's database prints them. Bytes must be UTF-8.
pub fn text_of(values: &ArrayRef, family: Family, zone: &TimeZone) -> Result<ArrayRef> {
    let values = &super::plain(values)?;
    macro_rules! print {
        ($ty:ty, $f:expr) => {{
            let array = values.as_primitive::<$ty>();
            let mut out = StringBuilder::with_capacity(array.len(), array.len() * 12);
            for cell in array.iter() {
                out.append_option(cell.map($f));
            }
            Arc::new(out.finish()) as ArrayRef
        }};
    }
    Ok(match values.data_type() {
        DataType::Utf8 => Arc::clone(values),
        DataType::Boolean => {
            let (yes, no) = if family == Family::MySql { ("1", "0") } else { ("true", "false") };
            Arc::new(values.as_boolean().iter().map(|b| b.map(|b| if b { yes } else { no })).collect::<StringArray>())
        }
        DataType::Float32 => print!(Float32Type, |v| format::float32_text(v, family)),
        DataType::Float64 => print!(Float64Type, |v| format::float_text(v, family)),
        DataType::Decimal128(_, scale) => print!(Decimal128Type, |v| format::decimal_text(v, *scale)),
        DataType::Date32 => print!(Date32Type, |v| format::date_text(i64::from(v))),
        DataType::Time64(_) => print!(Time64MicrosecondType, |v| format::time_text(v, format::needed_fsp(v))),
        DataType::Timestamp(_, None) => print!(TimestampMicrosecondType, |v| format::civil_text(v, format::needed_fsp(v))),
        DataType::Timestamp(_, Some(_)) => print!(TimestampMicrosecondType, |v| {
            let text = format::civil_text(utc_to_civil(v, zone), format::needed_fsp(v));
            if family == Family::Postgres { text + &format::offset_text(offset_at(v, zone)) } else { text }
        }),
        DataType::Duration(TimeUnit::Microsecond) => print!(DurationMicrosecondType, |v| format::time_text(v, format::needed_fsp(v))),
        DataType::Binary if family == Family::Postgres => {
            let hex = |bytes: &[u8]| format!("\\x{}", hex::encode(bytes));
            Arc::new(values.as_binary::<i32>().iter().map(|b| b.map(hex)).collect::<StringArray>())
        }
        DataType::List(_) if family == Family::Postgres => {
            let lists = values.as_list::<i32>();
            let mut out = StringBuilder::new();
            for list in lists.iter() {
                out.append_option(list.map(|items| list_text(&items, zone)).transpose()?);
            }
            Arc::new(out.finish())
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => print!(IntervalMonthDayNanoType, |v| {
            let mut text = String::new();
            let _ = format::write_interval(v.months, v.days, v.nanoseconds / 1000, &mut text);
            text
        }),
        DataType::Binary => {
            let array = values.as_binary::<i32>();
            let mut out = StringBuilder::with_capacity(array.len(), array.value_data().len());
            for (i, cell) in array.iter().enumerate() {
                match cell.map(std::str::from_utf8).transpose() {
                    Ok(text) => out.append_option(text),
                    Err(_) => {
                        return Err(Error::new(Kind::IncorrectValue, format!("the bytes of row {} are not UTF-8 text", i + 1))
                            .with_hint("use hex() or encode() to show bytes"));
                    }
                }
            }
            Arc::new(out.finish())
        }
        other => cast(values, &DataType::Utf8)
            .map_err(|_| Error::new(Kind::WrongArguments, format!("a value of type {} has no text form", SqlType::of_arrow(other))))?,
    })
}

/// Values as PostgreSQL's output functions write them, which `concat`, `format` and arrays show: a truth is `t` or `f`. In
/// MySQL sessions the same as [`text_of`].
pub fn output_text(values: &ArrayRef, family: Family, zone: &TimeZone) -> Result<ArrayRef> {
    match values.as_boolean_opt() {
        Some(truths) if family == Family::Postgres => {
            Ok(Arc::new(truths.iter().map(|b| b.map(|b| if b { "t" } else { "f" })).collect::<StringArray>()))
        }
        _ => text_of(values, family, zone),
    }
}

/// `{1,NULL,"a b"}` (arrayfuncs.c, array_out).
fn list_text(items: &ArrayRef, zone: &TimeZone) -> Result<String> {
    let texts = output_text(items, Family::Postgres, zone)?;
    let nested = items.as_list_opt::<i32>().is_some();
    let special = |c: char| matches!(c, '"' | '\\' | '{' | '}' | ',') || c.is_ascii_whitespace() || c == '\u{b}';
    let mut out = String::from("{");
    for (i, text) in texts.as_string::<i32>().iter().enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        match text {
            None => out.push_str("NULL"),
            Some(text) if nested || !(text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(special)) => out.push_str(text),
            Some(text) => {
                let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
                out.push_str(&format!("\"{escaped}\""));
            }
        }
    }
    out.push('}');
    Ok(out)
}

pub(super) fn texts(values: &ArrayRef, t: &Target<'_>) -> Result<ArrayRef> {
    if let (SqlType::Enum { labels }, true) = (t.ty, values.data_type().is_integer() && t.is_mysql()) {
        return enum_of_index(values, labels, t);
    }
    let texts = match (values.data_type(), t.ty) {
        // A UUID or a text column fed with bytes that are no text: name the column.
        (DataType::Binary, _) => text_of(values, t.family, t.zone).map_err(|_| t.incorrect(0, "bytes that are not UTF-8"))?,
        _ => text_of(values, t.family, t.zone)?,
    };
    let array = texts.as_string::<i32>();
    match t.ty {
        SqlType::Text => Ok(texts),
        SqlType::VarChar { length } => limited(&texts, *length as usize, false, t),
        SqlType::Char { length } => limited(&texts, *length as usize, true, t),
        SqlType::Json => {
            for (i, cell) in array.iter().enumerate() {
                if let Some(text) = cell {
                    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| t.incorrect(i, text))?;
                }
            }
            Ok(texts)
        }
        SqlType::Enum { labels } => mapped(array, |i, text| enum_label(i, text, labels, t)),
        SqlType::Set { labels } => mapped(array, |i, text| set_labels(i, text, labels, t)),
        SqlType::Uuid => mapped(array, |i, text| {
            let word = text.trim().trim_start_matches('{').trim_end_matches('}');
            uuid::Uuid::try_parse(word).map(|id| id.hyphenated().to_string()).map_err(|_| t.incorrect(i, text))
        }),
        _ => Ok(texts),
    }
}

fn mapped(array: &StringArray, f: impl Fn(usize, &str) -> Result<String>) -> Result<ArrayRef> {
    let mut out = StringBuilder::with_capacity(array.len(), array.value_data().len());
    for (i, cell) in array.iter().enumerate() {
        out.append_option(cell.map(|text| f(i, text)).transpose()?);
    }
    Ok(Arc::new(out.finish()))
}

/// Cuts and checks lengths in characters. `padded`: CHAR, whose trailing spaces mean nothing to MySQL.
fn limited(texts: &ArrayRef, length: usize, padded: bool, t: &Target<'_>) -> Result<ArrayRef> {
    let array = texts.as_string::<i32>();
    let fits = |text: &str| text.len() <= length || text.chars().count() <= length;
    let trims = |text: &str| padded && t.is_mysql() && text.ends_with(' ');
    if array.iter().flatten().all(|text| fits(text) && !trims(text)) {
        return Ok(Arc::clone(texts));
    }
    mapped(array, |i, text| {
        let text = if trims(text) { text.trim_end_matches(' ') } else { text };
        if fits(text) {
            return Ok(text.to_owned());
        }
        // Both databases cut surplus characters when all of them are spaces.
        let end = text.char_indices().nth(length).map_or(text.len(), |(at, _)| at);
        if text[end..].bytes().all(|b| b == b' ') { Ok(text[..end].to_owned()) } else { Err(t.too_long(i)) }
    })
}

fn enum_label(index: usize, text: &str, labels: &[String], t: &Target<'_>) -> Result<String> {
    if let Some(label) = labels.iter().find(|l| l.as_str() == text) {
        return Ok(label.clone());
    }
    if t.is_mysql() {
        let trimmed = text.trim_end_matches(' ').to_lowercase();
        if let Some(label) = labels.iter().find(|l| l.to_lowercase() == trimmed) {
            return Ok(label.clone());
        }
        if let Some(label) = text.parse::<usize>().ok().and_then(|n| labels.get(n.checked_sub(1)?)) {
            return Ok(label.clone());
        }
    }
    Err(t.incorrect(index, text))
}

/// MySQL lets a number stand for a label: 1 is the first.
fn enum_of_index(values: &ArrayRef, labels: &[String], t: &Target<'_>) -> Result<ArrayRef> {
    let numbers = cast(values, &DataType::Int64).map_err(|e| Error::internal(e.to_string()))?;
    let mut out = StringBuilder::new();
    for (i, cell) in numbers.as_primitive::<Int64Type>().iter().enumerate() {
        match cell {
            None => out.append_null(),
            Some(n) => match usize::try_from(n - 1).ok().and_then(|at| labels.get(at)) {
                Some(label) => out.append_value(label),
                None => return Err(t.incorrect(i, &n.to_string())),
            },
        }
    }
    Ok(Arc::new(out.finish()))
}

/// Labels in the order of the declaration, each once. A number is a bit mask.
fn set_labels(index: usize, text: &str, labels: &[String], t: &Target<'_>) -> Result<String> {
    let mut chosen = vec![false; labels.len()];
    match text.parse::<u64>() {
        Ok(mask) if !labels.iter().any(|l| l == text) => {
            if labels.len() < 64 && mask >> labels.len() != 0 {
                return Err(t.incorrect(index, text));
            }
            chosen.iter_mut().enumerate().for_each(|(i, c)| *c = mask >> i & 1 == 1);
        }
        _ if text.is_empty() => {}
        _ => {
            for part in text.split(',') {
                let part = part.trim_end_matches(' ').to_lowercase();
                let at = labels.iter().position(|l| l.to_lowercase() == part).ok_or_else(|| t.incorrect(index, text))?;
                chosen[at] = true;
            }
        }
    }
    Ok(labels.iter().zip(chosen).filter(|(_, c)| *c).map(|(l, _)| l.as_str()).collect::<Vec<_>>().join(","))
}
