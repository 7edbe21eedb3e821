//! String functions as MySQL's manual (section 14.8) has them.

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::DataType;

use super::scalar::{At, Call, MANY, Spec, add as row, add_volatile, bytes, int, text};
use super::text::{byte_at, byte_length, checked_texts, locate, map, too_large};
use crate::error::Result;
use crate::types::coerce::format::decimal_text;
use crate::types::coerce::{parse_decimal, parse_integer_prefix, rescale};

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "length", 1..=1, int, byte_length);
    row(out, "substring|substr|mid", 2..=3, text, substring);
    row(out, "concat", 1..=MANY, text, concat);
    row(out, "instr", 2..=2, int, |c| locate(c, 1, 0));
    row(out, "locate|position", 2..=3, int, |c| locate(c, 0, 1));
    row(out, "ltrim", 1..=1, text, |c| map(c, |s| Some(s.trim_start_matches(' ').to_owned())));
    row(out, "rtrim", 1..=1, text, |c| map(c, |s| Some(s.trim_end_matches(' ').to_owned())));
    row(out, "trim|btrim", 1..=1, text, |c| map(c, |s| Some(s.trim_matches(' ').to_owned())));
    row(out, "space", 1..=1, text, |c| {
        let n = c.int(0)?;
        checked_texts(c, |i| {
            let n = n.at(i)?.max(0) as usize;
            Some(if n > super::text::MOST { Err(too_large(c)) } else { Ok(" ".repeat(n)) })
        })
    });
    row(out, "ord", 1..=1, int, |c| {
        let s = c.text(0)?;
        c.ints(|i| {
            let first = s.at(i)?.chars().next();
            let mut buffer = [0; 4];
            Some(first.map_or(0, |ch| ch.encode_utf8(&mut buffer).bytes().fold(0, |n, b| n << 8 | i64::from(b))))
        })
    });
    row(out, "char", 1..=MANY, bytes, |c| {
        let numbers = (0..c.count()).map(|i| c.int(i)).collect::<Result<Vec<_>>>()?;
        c.binaries(|i| {
            let mut out = Vec::new();
            for n in numbers.iter().filter_map(|n| n.at(i)) {
                let all = (n as u32).to_be_bytes();
                let zeros = all.iter().take(3).take_while(|b| **b == 0).count();
                out.extend_from_slice(&all[zeros..]);
            }
            Some(out)
        })
    });
    row(out, "hex", 1..=1, text, hex_of);
    row(out, "unhex", 1..=1, bytes, |c| {
        let s = c.text(0)?;
        c.binaries(|i| {
            let s = s.at(i)?;
            if s.len() % 2 == 1 { hex::decode(format!("0{s}")) } else { hex::decode(s) }.ok()
        })
    });
    // CONV(n, 10, 2) and CONV(n, 10, 8): a fraction is cut.
    row(out, "bin", 1..=1, text, |c| {
        let s = c.text(0)?;
        c.texts(|i| converted(s.at(i)?, 10, 2))
    });
    row(out, "oct", 1..=1, text, |c| {
        let s = c.text(0)?;
        c.texts(|i| converted(s.at(i)?, 10, 8))
    });
    row(out, "conv", 3..=3, text, conv);
    row(out, "field", 2..=MANY, int, |c| {
        let moment = |ty: &DataType| matches!(ty, DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_));
        let types = || c.args.iter().map(|a| a.data_type());
        let numeric = types().all(|ty| ty.is_numeric() || moment(ty)) && types().any(DataType::is_numeric);
        if numeric {
            let values = (0..c.count()).map(|i| c.float(i)).collect::<Result<Vec<_>>>()?;
            return c.ints(|i| {
                Some(values[0].at(i).and_then(|v| values[1..].iter().position(|a| a.at(i) == Some(v))).map_or(0, |p| p as i64 + 1))
            });
        }
        let values = (0..c.count()).map(|i| c.text(i)).collect::<Result<Vec<_>>>()?;
        c.ints(|i| {
            let found = values[0]
                .at(i)
                .and_then(|v| values[1..].iter().position(|a| a.at(i).is_some_and(|a| a.to_lowercase() == v.to_lowercase())));
            Some(found.map_or(0, |p| p as i64 + 1))
        })
    });
    row(out, "elt", 2..=MANY, text, |c| {
        let n = c.int(0)?;
        let values = (1..c.count()).map(|i| c.text(i)).collect::<Result<Vec<_>>>()?;
        c.texts(|i| values.get(usize::try_from(n.at(i)? - 1).ok()?)?.at(i).map(str::to_owned))
    });
    row(out, "find_in_set", 2..=2, int, |c| {
        let (s, set) = (c.text(0)?, c.text(1)?);
        c.ints(|i| {
            let (s, set) = (s.at(i)?, set.at(i)?);
            Some(set.split(',').position(|part| part.eq_ignore_ascii_case(s)).filter(|_| !set.is_empty()).map_or(0, |p| p as i64 + 1))
        })
    });
    row(out, "make_set", 2..=MANY, text, |c| {
        let n = c.int(0)?;
        let values = (1..c.count()).map(|i| c.text(i)).collect::<Result<Vec<_>>>()?;
        c.texts(|i| {
            let mask = n.at(i)?;
            let chosen = values.iter().enumerate().filter(|(bit, _)| *bit < 64 && mask >> bit & 1 == 1);
            Some(chosen.filter_map(|(_, v)| v.at(i)).collect::<Vec<_>>().join(","))
        })
    });
    row(out, "substring_index", 3..=3, text, substring_index);
    row(out, "insert", 4..=4, text, |c| {
        let (s, at, n, new) = (c.text(0)?, c.int(1)?, c.int(2)?, c.text(3)?);
        c.texts(|i| {
            let (s, at, n, new) = (s.at(i)?, at.at(i)?, n.at(i)?, new.at(i)?);
            let count = s.chars().count() as i64;
            if at < 1 || at > count {
                return Some(s.to_owned());
            }
            let start = at as usize - 1;
            let end = if n < 0 { count as usize } else { start.saturating_add(n as usize) };
            Some(format!("{}{new}{}", &s[..byte_at(s, start)], &s[byte_at(s, end)..]))
        })
    });
    row(out, "strcmp", 2..=2, int, |c| {
        let (a, b) = (c.text(0)?, c.text(1)?);
        c.ints(|i| Some(a.at(i)?.to_lowercase().cmp(&b.at(i)?.to_lowercase()) as i64))
    });
    row(out, "format", 2..=3, text, format_number);
    row(out, "quote", 1..=1, text, |c| {
        let s = c.text(0)?;
        c.texts(|i| {
            Some(match s.at(i) {
                None => "NULL".to_owned(),
                Some(s) => format!("'{}'", s.replace('\\', "\\\\").replace('\'', "\\'").replace('\0', "\\0").replace('\u{1a}', "\\Z")),
            })
        })
    });
    row(out, "soundex", 1..=1, text, |c| map(c, |s| Some(soundex(s))));
    add_volatile(out, "uuid", 0..=0, text, |c| c.texts(|_| Some(uuid::Uuid::new_v4().to_string())));
    row(out, "charset", 1..=1, text, |c| c.texts(|_| Some("utf8mb4")));
    row(out, "collation", 1..=1, text, |c| c.texts(|_| Some("utf8mb4_0900_ai_ci")));
}

/// NULL when one argument is NULL.
fn concat(c: &Call<'_>) -> Result<ArrayRef> {
    let texts = (0..c.count()).map(|i| c.text(i)).collect::<Result<Vec<_>>>()?;
    c.texts(|i| {
        let mut out = String::new();
        for t in &texts {
            out.push_str(t.at(i)?);
        }
        Some(out)
    })
}

/// A negative position counts from the end; 0 gives nothing.
fn substring(c: &Call<'_>) -> Result<ArrayRef> {
    let (s, from) = (c.text(0)?, c.int(1)?);
    let length = if c.count() > 2 { Some(c.int(2)?) } else { None };
    c.texts(|i| {
        let (s, from) = (s.at(i)?, from.at(i)?);
        let length = match &length {
            Some(l) => l.at(i)?,
            None => i64::MAX,
        };
        let count = s.chars().count() as i64;
        let start = match from {
            0 => return Some(""),
            1.. => from - 1,
            _ if from < -count => return Some(""),
            _ => count + from,
        };
        if start >= count || length <= 0 {
            return Some("");
        }
        let end = start.saturating_add(length).min(count);
        Some(&s[byte_at(s, start as usize)..byte_at(s, end as usize)])
    })
}

/// Bytes of a text; of a number its hexadecimal digits.
fn hex_of(c: &Call<'_>) -> Result<ArrayRef> {
    if c.args[0].data_type().is_numeric() || c.args[0].data_type() == &DataType::Boolean {
        let n = super::bits::bits(c, 0)?;
        return c.texts(|i| n.at(i).map(|n| format!("{n:X}")));
    }
    let b = c.bytes(0)?;
    c.texts(|i| b.at(i).map(hex::encode_upper))
}

/// CONV(n, from, to): a negative base makes the result signed.
fn conv(c: &Call<'_>) -> Result<ArrayRef> {
    let (s, from, to) = (c.text(0)?, c.int(1)?, c.int(2)?);
    c.texts(|i| converted(s.at(i)?, from.at(i)?, to.at(i)?))
}

/// The digits that a text begins with, in another base; beyond 64 bits the largest there is.
fn converted(s: &str, from: i64, to: i64) -> Option<String> {
    if s.is_empty() {
        return None;
    }
    let s = s.trim();
    let (base, target) = (u32::try_from(from.abs()).ok()?, u64::try_from(to.abs()).ok()?);
    if !(2..=36).contains(&base) || !(2..=36).contains(&target) {
        return None;
    }
    let (negative, digits) = match s.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, s.strip_prefix('+').unwrap_or(s)),
    };
    let value =
        digits.chars().map_while(|ch| ch.to_digit(base)).try_fold(0u64, |n, d| n.checked_mul(u64::from(base))?.checked_add(u64::from(d)));
    let mut value = value.unwrap_or(u64::MAX);
    if negative {
        value = value.wrapping_neg();
    }
    let minus = to < 0 && (value as i64) < 0;
    if minus {
        value = value.wrapping_neg();
    }
    let mut out = Vec::new();
    loop {
        out.push(char::from_digit((value % target) as u32, 36)?.to_ascii_uppercase());
        value /= target;
        if value == 0 {
            break;
        }
    }
    if minus {
        out.push('-');
    }
    Some(out.into_iter().rev().collect())
}

fn substring_index(c: &Call<'_>) -> Result<ArrayRef> {
    let (s, delimiter, n) = (c.text(0)?, c.text(1)?, c.int(2)?);
    c.texts(|i| {
        let (s, delimiter, n) = (s.at(i)?, delimiter.at(i)?, n.at(i)?);
        if delimiter.is_empty() || n == 0 {
            return Some("");
        }
        let places: Vec<usize> = s.match_indices(delimiter).map(|(at, _)| at).collect();
        let n_abs = usize::try_from(n.unsigned_abs()).ok()?;
        if n_abs > places.len() {
            return Some(s);
        }
        Some(if n > 0 { &s[..places[n_abs - 1]] } else { &s[places[places.len() - n_abs] + delimiter.len()..] })
    })
}

/// `FORMAT(12332.1234, 2)` is `12,332.12`.
fn format_number(c: &Call<'_>) -> Result<ArrayRef> {
    let (s, digits) = (c.text(0)?, c.int(1)?);
    c.texts(|i| {
        let digits = digits.at(i)?.clamp(0, 30) as i8;
        let (value, scale) = parse_decimal(parse_integer_prefix(s.at(i)?))?;
        let plain = decimal_text(rescale(value, scale, digits)?, digits);
        let (sign, rest) = plain.strip_prefix('-').map_or(("", plain.as_str()), |r| ("-", r));
        let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(w, f)| (w, Some(f)));
        let mut out = String::from(sign);
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at) % 3 == 0 {
                out.push(',');
            }
            out.push(digit);
        }
        if let Some(fraction) = fraction {
            out.push('.');
            out.push_str(fraction);
        }
        Some(out)
    })
}

fn soundex(text: &str) -> String {
    let code = |ch: char| match ch.to_ascii_uppercase() {
        'B' | 'F' | 'P' | 'V' => '1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => '2',
        'D' | 'T' => '3',
        'L' => '4',
        'M' | 'N' => '5',
        'R' => '6',
        _ => '0',
    };
    let mut letters = text.chars().filter(char::is_ascii_alphabetic);
    let Some(first) = letters.next() else { return String::new() };
    let mut out = String::from(first.to_ascii_uppercase());
    let mut last = code(first);
    for letter in letters {
        if matches!(letter.to_ascii_uppercase(), 'H' | 'W') {
            continue;
        }
        let digit = code(letter);
        if digit != '0' && digit != last {
            out.push(digit);
        }
        last = digit;
    }
    while out.len() < 4 {
        out.push('0');
    }
    out
}
