//! Regular expressions: the functions of both dialects on Rust's `regex` (no back-references, linear time).

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::*;
use regex::{Regex, RegexBuilder};

use super::scalar::{At, Call, Spec, add as row, int, text, truth};
use crate::error::{Error, Kind, Result};

/// Memory that a compiled pattern may take.
const SIZE_LIMIT: usize = 4 << 20;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "regexp_like|fg_regexp", 2..=3, truth, |c| {
        let mut patterns = Patterns::new(c, 1, (c.count() > 2).then_some(2))?;
        let s = c.text(0)?;
        let mut cells = Vec::with_capacity(c.rows);
        for i in 0..c.rows {
            cells.push(match (s.at(i), patterns.at(i)?) {
                (Some(s), Some(pattern)) => Some(pattern.is_match(s)),
                _ => None,
            });
        }
        Ok(Arc::new(BooleanArray::from(cells)))
    });
    row(out, "regexp_substr", 2..=5, text, |c| first_match(c, false));
    row(out, "regexp_instr", 2..=6, int, |c| {
        let mut patterns = Patterns::new(c, 1, None)?;
        let s = c.text(0)?;
        let mut cells = Vec::with_capacity(c.rows);
        for i in 0..c.rows {
            cells.push(match (s.at(i), patterns.at(i)?) {
                (Some(s), Some(pattern)) => Some(pattern.find(s).map_or(0, |m| s[..m.start()].chars().count() as i64 + 1)),
                _ => None,
            });
        }
        Ok(Arc::new(Int64Array::from(cells)))
    });
    row(out, "regexp_count", 2..=4, int, |c| {
        let mut patterns = Patterns::new(c, 1, None)?;
        let s = c.text(0)?;
        let mut cells = Vec::with_capacity(c.rows);
        for i in 0..c.rows {
            cells.push(match (s.at(i), patterns.at(i)?) {
                (Some(s), Some(pattern)) => Some(pattern.find_iter(s).count() as i64),
                _ => None,
            });
        }
        Ok(Arc::new(Int64Array::from(cells)))
    });
    row(out, "regexp_replace", 3..=6, text, replace);
    row(out, "fg_like_pattern", 2..=2, text, |c| {
        let (patterns, mark) = (c.text(0)?, c.text(1)?.at(0).and_then(|m| m.chars().next()));
        c.texts(|i| patterns.at(i).map(|p| with_backslashes(p, mark)))
    });
}

/// A pattern of LIKE whose escape is `mark` (none: nothing is escaped) with the escape that the engine knows, a backslash.
pub fn with_backslashes(pattern: &str, mark: Option<char>) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(ch) = chars.next() {
        match ch {
            ch if Some(ch) == mark => {
                out.push('\\');
                out.extend(chars.next());
            }
            '\\' => out.push_str("\\\\"),
            ch => out.push(ch),
        }
    }
    out
}

/// The patterns of a call, each compiled once.
struct Patterns {
    texts: StringArray,
    flags: Option<StringArray>,
    case_insensitive: bool,
    compiled: HashMap<(String, String), Regex>,
}

impl Patterns {
    fn new(c: &Call<'_>, pattern: usize, flags: Option<usize>) -> Result<Patterns> {
        let flags = flags.map(|at| c.text(at)).transpose()?;
        // MySQL's default collation compares without case.
        Ok(Patterns { texts: c.text(pattern)?, flags, case_insensitive: c.is_mysql(), compiled: HashMap::new() })
    }

    fn at(&mut self, i: usize) -> Result<Option<&Regex>> {
        let Some(text) = self.texts.at(i) else { return Ok(None) };
        let flags = self.flags.as_ref().and_then(|f| f.at(i)).unwrap_or("");
        let key = (text.to_owned(), flags.to_owned());
        if !self.compiled.contains_key(&key) {
            let regex = compile(text, flags, self.case_insensitive)?;
            self.compiled.insert(key.clone(), regex);
        }
        Ok(self.compiled.get(&key))
    }
}

fn compile(pattern: &str, flags: &str, case_insensitive: bool) -> Result<Regex> {
    let insensitive = if flags.contains('i') { true } else { case_insensitive && !flags.contains('c') };
    RegexBuilder::new(pattern)
        .case_insensitive(insensitive)
        .multi_line(flags.contains(['m', 'n']))
        .dot_matches_new_line(flags.contains('s') || (!case_insensitive && !flags.contains('n')))
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|e| {
            let reason = e.to_string().lines().last().unwrap_or_default().to_owned();
            Error::new(Kind::WrongValue, format!("invalid regular expression: {reason}"))
        })
}

/// The first match; with `group`, its first parenthesised part when it has one (PostgreSQL's substring).
pub(super) fn first_match(c: &Call<'_>, group: bool) -> Result<ArrayRef> {
    let mut patterns = Patterns::new(c, 1, (c.count() > 4).then_some(4))?;
    let s = c.text(0)?;
    let from = if c.count() > 2 { Some(c.int(2)?) } else { None };
    let nth = if c.count() > 3 { Some(c.int(3)?) } else { None };
    let mut out = StringBuilder::new();
    for i in 0..c.rows {
        let (Some(s), Some(pattern)) = (s.at(i), patterns.at(i)?) else {
            out.append_null();
            continue;
        };
        let skip = from.as_ref().and_then(|f| f.at(i)).map_or(0, |n| (n - 1).max(0) as usize);
        let rest = &s[super::text::byte_at(s, skip)..];
        let nth = nth.as_ref().and_then(|n| n.at(i)).map_or(0, |n| (n - 1).max(0) as usize);
        let found = pattern.captures_iter(rest).nth(nth);
        out.append_option(found.and_then(|m| if group && m.len() > 1 { m.get(1) } else { m.get(0) }).map(|m| m.as_str()));
    }
    Ok(Arc::new(out.finish()))
}

/// MySQL: (s, pattern, new[, position[, occurrence[, mode]]]), all occurrences. PostgreSQL: (s, pattern, new[, flags]),
/// the first unless a flag is `g`.
fn replace(c: &Call<'_>) -> Result<ArrayRef> {
    let mysql = c.is_mysql();
    let flags = if mysql { (c.count() > 5).then_some(5) } else { (c.count() > 3).then_some(3) };
    let mut patterns = Patterns::new(c, 1, flags)?;
    let (s, new) = (c.text(0)?, c.text(2)?);
    let flag_texts = flags.map(|at| c.text(at)).transpose()?;
    let from = if mysql && c.count() > 3 { Some(c.int(3)?) } else { None };
    let occurrence = if mysql && c.count() > 4 { Some(c.int(4)?) } else { None };
    let mut out = StringBuilder::new();
    for i in 0..c.rows {
        let (Some(s), Some(new), Some(pattern)) = (s.at(i), new.at(i), patterns.at(i)?) else {
            out.append_null();
            continue;
        };
        let new = replacement(new, mysql);
        let skip = from.as_ref().and_then(|f| f.at(i)).map_or(0, |n| (n - 1).max(0) as usize);
        let (head, rest) = s.split_at(super::text::byte_at(s, skip));
        let global = if mysql { true } else { flag_texts.as_ref().and_then(|f| f.at(i)).is_some_and(|f| f.contains('g')) };
        out.append_value(match occurrence.as_ref().and_then(|o| o.at(i)).filter(|n| *n > 0) {
            Some(n) => {
                let mut seen = 0;
                let replaced = pattern.replace_all(rest, |m: &regex::Captures<'_>| {
                    seen += 1;
                    let mut text = String::new();
                    if seen == n {
                        m.expand(&new, &mut text)
                    } else {
                        text.push_str(&m[0])
                    }
                    text
                });
                format!("{head}{replaced}")
            }
            None => format!("{head}{}", pattern.replacen(rest, usize::from(!global), new.as_str())),
        });
    }
    Ok(Arc::new(out.finish()))
}

/// `\1` (PostgreSQL) and `$1` (MySQL) as the crate writes them.
fn replacement(text: &str, mysql: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(ch) = chars.next() {
        match (ch, chars.peek()) {
            ('\\', Some(d)) if d.is_ascii_digit() && !mysql => {
                out.push_str(&format!("${{{d}}}"));
                chars.next();
            }
            ('\\', Some('&')) if !mysql => {
                out.push_str("${0}");
                chars.next();
            }
            ('\\', Some(_)) => out.extend(chars.next()),
            ('$', Some(d)) if d.is_ascii_digit() && mysql => {
                out.push_str(&format!("${{{d}}}"));
                chars.next();
            }
            ('$', _) => out.push_str("$$"),
            (other, _) => out.push(other),
        }
    }
    out
}
