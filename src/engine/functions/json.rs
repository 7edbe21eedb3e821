//! JSON functions and operators on checked text. Objects print with their keys by length, then by bytes, and with a
//! space after `:` and `,`: as MySQL's JSON and PostgreSQL's jsonb do.

use std::fmt::Write;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::DataType;
use serde_json::{Map, Value};

use super::scalar::{At, Call, MANY, Spec, add as row, int, text, truth};
use super::text::checked_texts;
use crate::error::{Error, Kind, Result};

/// Functions whose text is JSON: nested in each other they are values, not strings.
pub(super) const JSON_VALUED: [&str; 21] = [
    "json_extract",
    "json_object",
    "json_array",
    "json_build_object",
    "json_build_array",
    "jsonb_build_object",
    "jsonb_build_array",
    "to_json",
    "to_jsonb",
    "fg_json_get",
    "json_set",
    "json_insert",
    "json_replace",
    "json_remove",
    "json_keys",
    "json_merge_patch",
    "fg_json_path",
    "fg_json_value",
    "fg_json_whole",
    "fg_jsonb",
    "fg_jsonb_join",
];

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "json_extract", 2..=MANY, text, extract);
    row(out, "json_value|fg_json_extract_text", 2..=2, text, |c| {
        let (docs, paths) = (c.text(0)?, c.text(1)?);
        checked_texts(c, |i| {
            let (doc, path) = (docs.at(i)?, paths.at(i)?);
            match find(doc, path) {
                Ok(found) => found.filter(|v| !v.is_null() || c.name.starts_with("fg_")).map(|v| Ok(unquoted(&v))),
                Err(e) => Some(Err(e)),
            }
        })
    });
    row(out, "json_unquote", 1..=1, text, |c| {
        super::text::map(c, |s| {
            Some(match serde_json::from_str::<Value>(s) {
                Ok(Value::String(inner)) => inner,
                _ => s.to_owned(),
            })
        })
    });
    row(out, "json_quote", 1..=1, text, |c| super::text::map(c, |s| Some(Value::String(s.to_owned()).to_string())));
    row(out, "json_valid", 1..=1, truth, |c| {
        let s = c.text(0)?;
        c.truths(|i| s.at(i).map(|s| serde_json::from_str::<serde::de::IgnoredAny>(s).is_ok()))
    });
    row(out, "json_length|json_array_length|jsonb_array_length", 1..=2, int, |c| {
        let docs = c.text(0)?;
        let paths = if c.count() > 1 { Some(c.text(1)?) } else { None };
        let cells = (0..c.rows)
            .map(|i| {
                let Some(doc) = docs.at(i) else { return Ok(None) };
                let found = match &paths {
                    Some(p) => p.at(i).map(|p| find(doc, p)).transpose()?.flatten(),
                    None => Some(parse(doc)?),
                };
                Ok(found.map(|v| match v {
                    Value::Array(items) => items.len() as i64,
                    Value::Object(map) => map.len() as i64,
                    _ => 1,
                }))
            })
            .collect::<Result<Vec<_>>>()?;
        c.ints(|i| cells[i])
    });
    row(out, "json_type|json_typeof|jsonb_typeof", 1..=1, text, |c| {
        let (docs, mysql) = (c.text(0)?, c.is_mysql());
        checked_texts(c, |i| {
            let doc = docs.at(i)?;
            Some(parse(doc).map(|v| kind_of(&v, mysql).to_owned()))
        })
    });
    row(out, "json_keys", 1..=2, text, |c| {
        let docs = c.text(0)?;
        let paths = if c.count() > 1 { Some(c.text(1)?) } else { None };
        checked_texts(c, |i| {
            let found = find(docs.at(i)?, paths.as_ref().map_or("$", |p| p.at(i).unwrap_or("$")));
            match found {
                Ok(Some(Value::Object(map))) => {
                    Some(Ok(print(&Value::Array(sorted(&map).into_iter().map(|(k, _)| Value::String(k.clone())).collect()))))
                }
                Ok(_) => None,
                Err(e) => Some(Err(e)),
            }
        })
    });
    row(out, "json_contains|fg_json_contains", 2..=3, truth, |c| {
        let (docs, candidates) = (c.text(0)?, c.text(1)?);
        let paths = if c.count() > 2 { Some(c.text(2)?) } else { None };
        let cells = (0..c.rows)
            .map(|i| {
                let (Some(doc), Some(candidate)) = (docs.at(i), candidates.at(i)) else { return Ok(None) };
                let found = find(doc, paths.as_ref().map_or("$", |p| p.at(i).unwrap_or("$")))?;
                let candidate = parse(candidate)?;
                Ok(found.map(|v| contains(&v, &candidate)))
            })
            .collect::<Result<Vec<_>>>()?;
        c.truths(|i| cells[i])
    });
    row(out, "json_object|json_build_object|jsonb_build_object", 0..=MANY, text, object);
    row(out, "json_array|json_build_array|jsonb_build_array", 0..=MANY, text, |c| {
        let columns = (0..c.count()).map(|i| values(c, i)).collect::<Result<Vec<_>>>()?;
        c.texts(|i| Some(print(&Value::Array(columns.iter().map(|col| col[i].clone()).collect()))))
    });
    row(out, "to_json|to_jsonb|fg_json_value", 1..=1, text, |c| {
        let column = values(c, 0)?;
        let null = c.name.starts_with("fg_");
        c.texts(|i| (null || c.args[0].is_valid(i)).then(|| print(&column[i])))
    });
    // `[` + members + `]`; NULL of no members.
    row(out, "fg_json_whole", 3..=3, text, |c| {
        let (open, members, close) = (c.text(0)?, c.text(1)?, c.text(2)?);
        c.texts(|i| Some(format!("{}{}{}", open.at(i)?, members.at(i)?, close.at(i)?)))
    });
    row(out, "fg_json_get", 2..=2, text, |c| get(c, false));
    row(out, "fg_json_get_text", 2..=2, text, |c| get(c, true));
    row(out, "fg_json_path", 2..=2, text, |c| get_path(c, false));
    row(out, "fg_json_path_text", 2..=2, text, |c| get_path(c, true));
    row(out, "fg_json_has", 2..=2, truth, |c| {
        let (docs, keys) = (c.text(0)?, c.text(1)?);
        c.truths(|i| {
            Some(match (serde_json::from_str(docs.at(i)?).ok()?, keys.at(i)?) {
                (Value::Object(map), key) => map.contains_key(key),
                (Value::Array(items), key) => items.iter().any(|v| v.as_str() == Some(key)),
                (Value::String(s), key) => s == key,
                _ => false,
            })
        })
    });
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| Error::new(Kind::InvalidJson, format!("Invalid JSON text: {e}")))
}

fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    entries
}

/// A value as text.
pub(super) fn print(value: &Value) -> String {
    let mut out = String::new();
    push(&mut out, value);
    out
}

fn push(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                push(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (i, (key, item)) in sorted(map).into_iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                let _ = write!(out, "{}: ", Value::String(key.clone()));
                push(out, item);
            }
            out.push('}');
        }
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}

fn unquoted(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => print(other),
    }
}

fn kind_of(value: &Value, mysql: bool) -> &'static str {
    match (value, mysql) {
        (Value::Null, true) => "NULL",
        (Value::Bool(_), true) => "BOOLEAN",
        (Value::Number(n), true) if n.is_f64() => "DOUBLE",
        (Value::Number(_), true) => "INTEGER",
        (Value::String(_), true) => "STRING",
        (Value::Array(_), true) => "ARRAY",
        (Value::Object(_), true) => "OBJECT",
        (Value::Null, false) => "null",
        (Value::Bool(_), false) => "boolean",
        (Value::Number(_), false) => "number",
        (Value::String(_), false) => "string",
        (Value::Array(_), false) => "array",
        (Value::Object(_), false) => "object",
    }
}

/// One step of a path.
enum ClientStream {
    Member(String),
    Index(usize),
    Last,
    AnyMember,
    AnyIndex,
}

/// Reads `$.a."b c"[0][last][*].*`.
fn legs(path: &str) -> Result<Vec<ClientStream>> {
    let wrong = || Error::new(Kind::WrongValue, format!("Invalid JSON path expression '{path}'"));
    let mut rest = path.trim().strip_prefix('$').ok_or_else(wrong)?.trim_start();
    let mut out = Vec::new();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let (inner, after) = tail.split_once(']').ok_or_else(wrong)?;
            out.push(match inner.trim() {
                "*" => ClientStream::AnyIndex,
                "last" => ClientStream::Last,
                n => ClientStream::Index(n.parse().map_err(|_| wrong())?),
            });
            rest = after.trim_start();
        } else if let Some(tail) = rest.strip_prefix('.') {
            let tail = tail.trim_start();
            if let Some(quoted) = tail.strip_prefix('"') {
                let (name, after) = quoted.split_once('"').ok_or_else(wrong)?;
                out.push(ClientStream::Member(name.to_owned()));
                rest = after.trim_start();
            } else if let Some(after) = tail.strip_prefix('*') {
                out.push(ClientStream::AnyMember);
                rest = after.trim_start();
            } else {
                let end = tail.find(['.', '[', ' ']).unwrap_or(tail.len());
                if end == 0 {
                    return Err(wrong());
                }
                out.push(ClientStream::Member(tail[..end].to_owned()));
                rest = tail[end..].trim_start();
            }
        } else {
            return Err(wrong());
        }
    }
    Ok(out)
}

/// What a path finds; several finds of a wildcard come as an array.
fn find(doc: &str, path: &str) -> Result<Option<Value>> {
    let legs = legs(path)?;
    let many = legs.iter().any(|client_stream| matches!(client_stream, ClientStream::AnyIndex | ClientStream::AnyMember));
    let document = parse(doc)?;
    let mut found = vec![&document];
    for client_stream in &legs {
        let mut next = Vec::new();
        for value in found {
            match (client_stream, value) {
                (ClientStream::Member(name), Value::Object(map)) => next.extend(map.get(name)),
                (ClientStream::Index(n), Value::Array(items)) => next.extend(items.get(*n)),
                (ClientStream::Last, Value::Array(items)) => next.extend(items.last()),
                // A value that is no array is an array of one.
                (ClientStream::Index(0) | ClientStream::Last, other) => next.push(other),
                (ClientStream::AnyIndex, Value::Array(items)) => next.extend(items),
                (ClientStream::AnyMember, Value::Object(map)) => next.extend(sorted(map).into_iter().map(|(_, v)| v)),
                _ => {}
            }
        }
        found = next;
    }
    if many {
        return Ok((!found.is_empty()).then(|| Value::Array(found.into_iter().cloned().collect())));
    }
    Ok(found.first().map(|v| (*v).clone()))
}

fn extract(c: &Call<'_>) -> Result<ArrayRef> {
    let docs = c.text(0)?;
    let paths = (1..c.count()).map(|i| c.text(i)).collect::<Result<Vec<_>>>()?;
    checked_texts(c, |i| {
        let doc = docs.at(i)?;
        let mut found = Vec::new();
        for path in &paths {
            match find(doc, path.at(i)?) {
                Ok(value) => found.extend(value),
                Err(e) => return Some(Err(e)),
            }
        }
        if paths.len() == 1 {
            return found.pop().map(|v| Ok(print(&v)));
        }
        (!found.is_empty()).then(|| Ok(print(&Value::Array(found))))
    })
}

fn contains(target: &Value, candidate: &Value) -> bool {
    match (target, candidate) {
        (Value::Object(t), Value::Object(c)) => c.iter().all(|(k, v)| t.get(k).is_some_and(|x| contains(x, v))),
        (Value::Array(t), Value::Array(c)) => c.iter().all(|v| t.iter().any(|x| contains(x, v))),
        (Value::Array(t), v) => t.iter().any(|x| contains(x, v)),
        (a, b) => a == b,
    }
}

/// A column's cells as JSON values. Text that is JSON by its function stays JSON.
fn values(c: &Call<'_>, i: usize) -> Result<Vec<Value>> {
    let array = &c.args[i];
    let nested = c.is_json(i);
    Ok(match array.data_type() {
        DataType::Null => vec![Value::Null; c.rows],
        DataType::Boolean => array.as_boolean().iter().map(|v| v.map_or(Value::Null, Value::Bool)).collect(),
        DataType::UInt64 => {
            use datafusion::arrow::datatypes::UInt64Type;
            array.as_primitive::<UInt64Type>().iter().map(|v| v.map_or(Value::Null, Value::from)).collect()
        }
        DataType::Timestamp(_, zone) if !c.is_mysql() => {
            // ISO 8601, as PostgreSQL's JSON has it: 2022-07-05T11:11:11+00:00.
            let (text, zoned) = (c.text(i)?, zone.is_some());
            let whole = |s: &str| {
                let iso = s.replacen(' ', "T", 1);
                if zoned && iso.len() > 3 && !iso[iso.len() - 3..].starts_with(':') { iso + ":00" } else { iso }
            };
            text.iter().map(|v| v.map_or(Value::Null, |s| Value::String(whole(s)))).collect()
        }
        ty if ty.is_integer() => c.int(i)?.iter().map(|v| v.map_or(Value::Null, Value::from)).collect(),
        ty if ty.is_numeric() => {
            // Through its digits: a decimal keeps them.
            let text = c.text(i)?;
            (0..c.rows)
                .map(|r| text.at(r).map_or(Value::Null, |s| serde_json::from_str(s).unwrap_or_else(|_| Value::String(s.to_owned()))))
                .collect()
        }
        _ => {
            let text = c.text(i)?;
            (0..c.rows)
                .map(|r| match text.at(r) {
                    None => Value::Null,
                    Some(s) if nested => serde_json::from_str(s).unwrap_or_else(|_| Value::String(s.to_owned())),
                    Some(s) => Value::String(s.to_owned()),
                })
                .collect()
        }
    })
}

fn object(c: &Call<'_>) -> Result<ArrayRef> {
    if c.count() % 2 == 1 {
        return Err(Error::new(Kind::WrongArguments, format!("Incorrect parameter count in the call to native function '{}'", c.name)));
    }
    let keys = (0..c.count()).step_by(2).map(|i| c.text(i)).collect::<Result<Vec<_>>>()?;
    let columns = (1..c.count()).step_by(2).map(|i| values(c, i)).collect::<Result<Vec<_>>>()?;
    checked_texts(c, |i| {
        let mut map = Map::new();
        for (key, column) in keys.iter().zip(&columns) {
            let Some(key) = key.at(i) else {
                return Some(Err(Error::new(Kind::WrongValue, "JSON documents may not contain NULL member names")));
            };
            map.insert(key.to_owned(), column[i].clone());
        }
        Some(Ok(print(&Value::Object(map))))
    })
}

fn step<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => {
            let n: i64 = key.parse().ok()?;
            let at = if n < 0 { items.len() as i64 + n } else { n };
            items.get(usize::try_from(at).ok()?)
        }
        _ => None,
    }
}

fn shown(value: &Value, as_text: bool) -> Option<String> {
    match (value, as_text) {
        (Value::Null, true) => None,
        (value, true) => Some(unquoted(value)),
        (value, false) => Some(print(value)),
    }
}

/// `->` and `->>` of PostgreSQL: a text is a member's name, a number an element's place.
fn get(c: &Call<'_>, as_text: bool) -> Result<ArrayRef> {
    let (docs, keys) = (c.text(0)?, c.text(1)?);
    let by_number = c.args[1].data_type().is_integer();
    c.texts(|i| {
        let document: Value = serde_json::from_str(docs.at(i)?).ok()?;
        if by_number != document.is_array() {
            return None;
        }
        shown(step(&document, keys.at(i)?)?, as_text)
    })
}

/// `#>` and `#>>`: the path is an array's text, `{a,0,b}`.
fn get_path(c: &Call<'_>, as_text: bool) -> Result<ArrayRef> {
    let (docs, paths) = (c.text(0)?, c.text(1)?);
    c.texts(|i| {
        let document: Value = serde_json::from_str(docs.at(i)?).ok()?;
        let path = paths.at(i)?.trim_start_matches(['{', '[']).trim_end_matches(['}', ']']);
        let mut value = &document;
        for key in path.split(',').map(str::trim).filter(|k| !k.is_empty()) {
            value = step(value, key.trim_matches('"'))?;
        }
        shown(value, as_text)
    })
}
