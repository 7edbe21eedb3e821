//! String functions that both dialects share. Lengths and positions are in characters unless the name says bytes.

use std::sync::Arc;

use datafusion::arrow::array::*;

use super::scalar::{At, Call, MANY, Spec, add as row, int, text, truth};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::format::decimal_text;

/// Longest text that REPEAT, LPAD, .. make: what one answer packet could carry.
pub(super) const MOST: usize = 64 << 20;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "upper|ucase", 1..=1, text, |c| map(c, |s| Some(s.to_uppercase())));
    row(out, "lower|lcase", 1..=1, text, |c| map(c, |s| Some(s.to_lowercase())));
    row(out, "char_length|character_length", 1..=1, int, |c| {
        let s = c.text(0)?;
        c.ints(|i| s.at(i).map(|s| s.chars().count() as i64))
    });
    row(out, "octet_length", 1..=1, int, byte_length);
    row(out, "bit_length", 1..=1, int, |c| {
        let b = c.bytes(0)?;
        c.ints(|i| b.at(i).map(|b| b.len() as i64 * 8))
    });
    row(out, "reverse", 1..=1, text, |c| map(c, |s| Some(s.chars().rev().collect())));
    row(out, "replace", 3..=3, text, |c| {
        let (s, from, to) = (c.text(0)?, c.text(1)?, c.text(2)?);
        c.texts(|i| {
            let (s, from, to) = (s.at(i)?, from.at(i)?, to.at(i)?);
            Some(if from.is_empty() { s.to_owned() } else { s.replace(from, to) })
        })
    });
    row(out, "repeat", 2..=2, text, |c| {
        let (s, n) = (c.text(0)?, c.int(1)?);
        checked_texts(c, |i| {
            let (s, n) = (s.at(i)?, n.at(i)?.max(0) as usize);
            Some(if s.len().saturating_mul(n) > MOST { Err(too_large(c)) } else { Ok(s.repeat(n)) })
        })
    });
    row(out, "left", 2..=2, text, |c| {
        let (s, n) = (c.text(0)?, c.int(1)?);
        let mysql = c.is_mysql();
        c.texts(|i| {
            let (s, n) = (s.at(i)?, n.at(i)?);
            // PostgreSQL: a negative count leaves that many characters off the other end.
            let n = if n < 0 && !mysql { s.chars().count() as i64 + n } else { n };
            Some(&s[..byte_at(s, n.max(0) as usize)])
        })
    });
    row(out, "right", 2..=2, text, |c| {
        let (s, n) = (c.text(0)?, c.int(1)?);
        let mysql = c.is_mysql();
        c.texts(|i| {
            let (s, n) = (s.at(i)?, n.at(i)?);
            let count = s.chars().count() as i64;
            let skip = if n < 0 && !mysql { -n } else { count - n.max(0) };
            Some(&s[byte_at(s, skip.max(0) as usize)..])
        })
    });
    row(out, "lpad", 2..=3, text, |c| pad(c, true));
    row(out, "rpad", 2..=3, text, |c| pad(c, false));
    row(out, "ascii", 1..=1, int, |c| {
        let (s, mysql) = (c.text(0)?, c.is_mysql());
        c.ints(|i| {
            s.at(i).map(|s| {
                if mysql { i64::from(s.bytes().next().unwrap_or(0)) } else { s.chars().next().map_or(0, |ch| i64::from(u32::from(ch))) }
            })
        })
    });
    row(out, "concat_ws", 1..=MANY, text, |c| {
        let texts = (0..c.count()).map(|i| c.output(i)).collect::<Result<Vec<_>>>()?;
        c.texts(|i| {
            let separator = texts[0].at(i)?;
            Some(texts[1..].iter().filter_map(|t| t.at(i)).collect::<Vec<_>>().join(separator))
        })
    });
    row(out, "starts_with", 2..=2, truth, |c| {
        let (s, p) = (c.text(0)?, c.text(1)?);
        c.truths(|i| Some(s.at(i)?.starts_with(p.at(i)?)))
    });
    row(out, "fg_locate", 2..=3, int, |c| locate(c, 0, 1));
    row(out, "fg_trim", 3..=3, text, trim_string);
    row(out, "fg_pg_round_text", 2..=2, text, |c| {
        let (v, n) = (c.float(0)?, c.int(1)?);
        c.texts(|i| crate::types::coerce::decimal_from_f64(v.at(i)?, n.at(i)? as i8).map(|d| decimal_text(d, n.value(i) as i8)))
    });
}

/// A text from a text.
pub(super) fn map(c: &Call<'_>, f: impl Fn(&str) -> Option<String>) -> Result<ArrayRef> {
    let s = c.text(0)?;
    c.texts(|i| s.at(i).and_then(&f))
}

/// Texts whose making may be refused.
pub(super) fn checked_texts(c: &Call<'_>, f: impl Fn(usize) -> Option<Result<String>>) -> Result<ArrayRef> {
    let mut out = StringBuilder::new();
    for i in 0..c.rows {
        out.append_option(f(i).transpose()?);
    }
    Ok(Arc::new(out.finish()))
}

pub(super) fn too_large(c: &Call<'_>) -> Error {
    Error::new(Kind::OutOfRange, format!("the result of {} is larger than {MOST} bytes", c.name))
}

/// The byte where character `n` begins, or the end.
pub(super) fn byte_at(text: &str, n: usize) -> usize {
    text.char_indices().nth(n).map_or(text.len(), |(at, _)| at)
}

pub(super) fn byte_length(c: &Call<'_>) -> Result<ArrayRef> {
    let b = c.bytes(0)?;
    c.ints(|i| b.at(i).map(|b| b.len() as i64))
}

fn pad(c: &Call<'_>, left: bool) -> Result<ArrayRef> {
    let (s, n) = (c.text(0)?, c.int(1)?);
    let fill = if c.count() > 2 { Some(c.text(2)?) } else { None };
    let mysql = c.is_mysql();
    checked_texts(c, |i| {
        let (s, n) = (s.at(i)?, n.at(i)?);
        let fill = match &fill {
            Some(f) => f.at(i)?,
            None => " ",
        };
        if n < 0 {
            return (!mysql).then(|| Ok(String::new()));
        }
        let n = n as usize;
        if n > MOST {
            return Some(Err(too_large(c)));
        }
        let count = s.chars().count();
        if count >= n {
            return Some(Ok(s[..byte_at(s, n)].to_owned()));
        }
        if fill.is_empty() {
            return Some(Ok(if mysql { String::new() } else { s.to_owned() }));
        }
        let padding: String = fill.chars().cycle().take(n - count).collect();
        Some(Ok(if left { padding + s } else { format!("{s}{padding}") }))
    })
}

/// 1-based place of a text in another, from a place on; 0: not there. MySQL compares without case.
pub(super) fn locate(c: &Call<'_>, needle: usize, hay: usize) -> Result<ArrayRef> {
    let (n, h) = (c.text(needle)?, c.text(hay)?);
    let from = if c.count() > 2 { Some(c.int(2)?) } else { None };
    let mysql = c.is_mysql();
    c.ints(|i| {
        let (n, h) = (n.at(i)?, h.at(i)?);
        let from = match &from {
            Some(f) => f.at(i)?,
            None => 1,
        };
        if from < 1 {
            return Some(0);
        }
        let skip = from as usize - 1;
        if skip > h.chars().count() {
            return Some(0);
        }
        let rest = &h[byte_at(h, skip)..];
        let found = if mysql {
            let (rest, n) = (rest.to_lowercase(), n.to_lowercase());
            rest.find(&n).map(|at| rest[..at].chars().count())
        } else {
            rest.find(n).map(|at| rest[..at].chars().count())
        };
        Some(found.map_or(0, |at| (at + skip + 1) as i64))
    })
}

/// `TRIM(LEADING what FROM s)`: whole occurrences of a string (MySQL), or any of its characters (PostgreSQL).
fn trim_string(c: &Call<'_>) -> Result<ArrayRef> {
    let (mode, s, what) = (c.word(0)?, c.text(1)?, c.text(2)?);
    let (front, back) = (mode != "trailing", mode != "leading");
    let mysql = c.is_mysql();
    c.texts(|i| {
        let (mut s, what) = (s.at(i)?, what.at(i)?);
        if what.is_empty() {
            return Some(s);
        }
        if !mysql {
            let any = |ch: char| what.contains(ch);
            s = if front { s.trim_start_matches(any) } else { s };
            return Some(if back { s.trim_end_matches(any) } else { s });
        }
        while let Some(rest) = s.strip_prefix(what).filter(|_| front) {
            s = rest;
        }
        while let Some(rest) = s.strip_suffix(what).filter(|_| back) {
            s = rest;
        }
        Some(s)
    })
}
