//! String functions as PostgreSQL's manual (section 9.4) has them, where DataFusion's own differ or are missing.

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::scalar::{At, Call, MANY, Spec, add as row, add_volatile, int, text};
use super::text::{checked_texts, map};
use crate::error::{Error, Kind, Result};
use crate::types::SqlType;
use crate::types::coerce;

pub(super) fn add(out: &mut Vec<Spec>) {
    super::arithmetic::add_postgres(out);
    row(out, "length", 1..=1, int, |c| {
        if c.args[0].data_type() == &DataType::Binary {
            let b = c.bytes(0)?;
            return c.ints(|i| b.at(i).map(|b| b.len() as i64));
        }
        let s = c.text(0)?;
        c.ints(|i| s.at(i).map(|s| s.chars().count() as i64))
    });
    row(out, "concat", 0..=MANY, text, |c| {
        let texts = (0..c.count()).map(|i| c.output(i)).collect::<Result<Vec<_>>>()?;
        c.texts(|i| Some(texts.iter().filter_map(|t| t.at(i)).collect::<String>()))
    });
    row(out, "initcap", 1..=1, text, |c| {
        map(c, |s| {
            let mut inside = false;
            let mut out = String::with_capacity(s.len());
            for ch in s.chars() {
                if inside {
                    out.extend(ch.to_lowercase())
                } else {
                    out.extend(ch.to_uppercase())
                }
                inside = ch.is_alphanumeric();
            }
            Some(out)
        })
    });
    row(out, "split_part", 3..=3, text, |c| {
        let (s, delimiter, n) = (c.text(0)?, c.text(1)?, c.int(2)?);
        if n.iter().flatten().any(|n| n == 0) {
            return Err(Error::new(Kind::WrongValue, "field position must not be zero"));
        }
        c.texts(|i| {
            let (s, delimiter, n) = (s.at(i)?, delimiter.at(i)?, n.at(i)?);
            let parts: Vec<&str> = if delimiter.is_empty() { vec![s] } else { s.split(delimiter).collect() };
            let at = if n > 0 { n - 1 } else { parts.len() as i64 + n };
            Some(usize::try_from(at).ok().and_then(|at| parts.get(at)).copied().unwrap_or(""))
        })
    });
    row(out, "fg_pg_substr", 2..=3, substring_type, substring);
    row(out, "translate", 3..=3, text, |c| {
        let (s, from, to) = (c.text(0)?, c.text(1)?, c.text(2)?);
        c.texts(|i| {
            let (s, from, to) = (s.at(i)?, from.at(i)?, to.at(i)?);
            let to: Vec<char> = to.chars().collect();
            let out: String = s
                .chars()
                .filter_map(|ch| match from.chars().position(|f| f == ch) {
                    Some(at) => to.get(at).copied(),
                    None => Some(ch),
                })
                .collect();
            Some(out)
        })
    });
    row(out, "quote_ident", 1..=1, text, |c| {
        map(c, |s| {
            let plain = s.starts_with(|ch: char| ch.is_ascii_lowercase() || ch == '_')
                && s.chars().all(|ch| ch.is_ascii_lowercase() || ch.is_ascii_digit() || ch == '_');
            Some(if plain { s.to_owned() } else { format!("\"{}\"", s.replace('"', "\"\"")) })
        })
    });
    row(out, "quote_literal", 1..=1, text, |c| map(c, |s| Some(quoted(s))));
    row(out, "quote_nullable", 1..=1, text, |c| {
        let s = c.text(0)?;
        c.texts(|i| Some(s.at(i).map_or("NULL".to_owned(), quoted)))
    });
    row(out, "format", 1..=MANY, text, format);
    row(out, "chr", 1..=1, text, |c| {
        let n = c.int(0)?;
        checked_texts(c, |i| {
            let n = n.at(i)?;
            let ch = u32::try_from(n).ok().filter(|n| *n > 0).and_then(char::from_u32);
            Some(ch.map(String::from).ok_or_else(|| Error::new(Kind::OutOfRange, format!("requested character not valid: {n}"))))
        })
    });
    row(out, "to_hex", 1..=1, text, |c| {
        let n = c.int(0)?;
        c.texts(|i| n.at(i).map(|n| format!("{n:x}")))
    });
    row(out, "fg_pg_substring_regex", 2..=2, text, |c| super::pattern::first_match(c, true));
    add_volatile(out, "gen_random_uuid|uuid_generate_v4", 0..=0, text, |c| c.texts(|_| Some(uuid::Uuid::new_v4().to_string())));
    row(out, "pg_typeof", 1..=1, text, |c| {
        let name = SqlType::of_arrow(c.args[0].data_type()).postgres_name();
        c.texts(|_| Some(name.as_str()))
    });
    row(
        out,
        "to_number",
        2..=2,
        |_, _| Ok(DataType::Decimal128(38, 10)),
        |c| {
            let s = c.text(0)?;
            c.decimals(|i| {
                let digits: String = s.at(i)?.chars().filter(|ch| ch.is_ascii_digit() || matches!(ch, '.' | '-')).collect();
                let (value, scale) = coerce::parse_decimal(&digits)?;
                coerce::rescale(value, scale, 10)
            })
        },
    );
}

/// Of bytes: bytes.
fn substring_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(if types.first() == Some(&DataType::Binary) { DataType::Binary } else { DataType::Utf8 })
}

/// Counts from 1; what lies before the start counts too, as in PostgreSQL.
fn substring(c: &Call<'_>) -> Result<ArrayRef> {
    let from = c.int(1)?;
    let length = if c.count() > 2 { Some(c.int(2)?) } else { None };
    if length.as_ref().is_some_and(|l| (0..c.rows).any(|i| l.at(i).is_some_and(|l| l < 0))) {
        return Err(Error::new(Kind::WrongValue, "negative substring length not allowed"));
    }
    // (first, end), both from 0; None: NULL.
    let range = |i: usize| {
        let first = from.at(i)?.saturating_sub(1);
        let end = match &length {
            Some(length) => first.saturating_add(length.at(i)?),
            None => i64::MAX,
        };
        Some((first.max(0) as usize, end.max(0) as usize))
    };
    if c.returns == &DataType::Binary {
        let bytes = c.bytes(0)?;
        return c.binaries(|i| {
            let (bytes, (first, end)) = (bytes.at(i)?, range(i)?);
            let end = end.min(bytes.len());
            Some(&bytes[first.min(end)..end])
        });
    }
    let text = c.text(0)?;
    c.texts(|i| {
        let (text, (first, end)) = (text.at(i)?, range(i)?);
        let at = |n: usize| if text.is_ascii() { n.min(text.len()) } else { text.char_indices().nth(n).map_or(text.len(), |(at, _)| at) };
        Some(&text[at(first)..at(end.max(first))])
    })
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", escaped.replace('\\', "\\\\")) } else { format!("'{escaped}'") }
}

/// `format('%s %I %L %2$s', ..)`.
fn format(c: &Call<'_>) -> Result<ArrayRef> {
    let texts = (0..c.count()).map(|i| c.output(i)).collect::<Result<Vec<_>>>()?;
    checked_texts(c, |i| {
        let pattern = texts[0].at(i)?;
        let mut out = String::new();
        let mut next = 1;
        let mut rest = pattern;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(tail) = rest.strip_prefix('%') {
                out.push('%');
                rest = tail;
                continue;
            }
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 && rest[digits..].starts_with('$') {
                next = rest[..digits].parse().unwrap_or(usize::MAX);
                rest = &rest[digits + 1..];
            }
            let Some(argument) = texts.get(next).filter(|_| next > 0) else {
                return Some(Err(Error::new(Kind::WrongValue, "too few arguments for format()")));
            };
            next += 1;
            let value = argument.at(i);
            match rest.chars().next() {
                Some('s') => out.push_str(value.unwrap_or("")),
                Some('I') => out.push_str(&format!("\"{}\"", value.unwrap_or("").replace('"', "\"\""))),
                Some('L') => out.push_str(&value.map_or("NULL".to_owned(), quoted)),
                _ => return Some(Err(Error::new(Kind::WrongValue, "unrecognized format() type specifier"))),
            }
            rest = &rest[1..];
        }
        out.push_str(rest);
        Some(Ok(out))
    })
}
