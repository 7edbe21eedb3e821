//! Functions of PostgreSQL over bytea, and those whose arguments may be bytea or text (manual, section 9.5).

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use sha1::Digest;

use super::scalar::{At, Call, Spec, add as row, bytes, int, text};
use crate::error::{Error, Kind, Result};

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "md5", 1..=1, text, |c| {
        let b = c.bytes(0)?;
        c.texts(|i| b.at(i).map(|b| hex::encode(md5::Md5::digest(b))))
    });
    row(out, "sha224", 1..=1, bytes, |c| digest(c, |b| sha2::Sha224::digest(b).to_vec()));
    row(out, "sha256", 1..=1, bytes, |c| digest(c, |b| sha2::Sha256::digest(b).to_vec()));
    row(out, "sha384", 1..=1, bytes, |c| digest(c, |b| sha2::Sha384::digest(b).to_vec()));
    row(out, "sha512", 1..=1, bytes, |c| digest(c, |b| sha2::Sha512::digest(b).to_vec()));
    row(out, "get_byte", 2..=2, int4, |c| read(c, |b, n| place(b, n, b.len()).map(|at| i64::from(b[at]))));
    row(out, "get_bit", 2..=2, int4, |c| read(c, |b, n| place(b, n, b.len() * 8).map(|at| i64::from(b[at / 8] >> (at % 8) & 1))));
    row(out, "set_byte", 3..=3, bytes, |c| {
        changed(c, |b, n, value| {
            let at = place(b, n, b.len())?;
            b[at] = value as u8;
            Ok(())
        })
    });
    row(out, "set_bit", 3..=3, bytes, |c| {
        changed(c, |b, n, value| {
            let at = place(b, n, b.len() * 8)?;
            if !matches!(value, 0 | 1) {
                return Err(Error::new(Kind::WrongValue, "new bit must be 0 or 1"));
            }
            b[at / 8] = b[at / 8] & !(1 << (at % 8)) | (value as u8) << (at % 8);
            Ok(())
        })
    });
    row(out, "strpos|position", 2..=2, int, |c| {
        if !is_bytes(c, 0) && !is_bytes(c, 1) {
            return super::text::locate(c, 1, 0);
        }
        let (whole, part) = (as_bytes(c, 0)?, as_bytes(c, 1)?);
        c.ints(|i| {
            let (whole, part) = (whole.at(i)?, part.at(i)?);
            if part.is_empty() {
                return Some(1);
            }
            Some(whole.windows(part.len()).position(|w| w == part).map_or(0, |at| at as i64 + 1))
        })
    });
    row(out, "overlay|fg_overlay", 3..=4, kind_of_first, overlay);
    row(out, "btrim", 1..=2, kind_of_first, |c| trimmed(c, true, true));
    row(out, "ltrim", 1..=2, kind_of_first, |c| trimmed(c, true, false));
    row(out, "rtrim", 1..=2, kind_of_first, |c| trimmed(c, false, true));
    row(
        out,
        "fg_trim",
        3..=3,
        |types, scalars| kind_of_first(types.get(1..).unwrap_or_default(), scalars),
        |c| {
            let mode = c.word(0)?;
            let inner = c.with(c.args[1..].to_vec(), c.returns);
            trimmed(&inner, mode != "trailing", mode != "leading")
        },
    );
    row(out, "convert_from", 2..=2, text, |c| {
        utf8_only(c, 1)?;
        let b = c.bytes(0)?;
        super::text::checked_texts(c, |i| {
            let wrong = |_| Error::new(Kind::InvalidCharacter, "invalid byte sequence for encoding \"UTF8\"");
            b.at(i).map(|b| std::str::from_utf8(b).map(str::to_owned).map_err(wrong))
        })
    });
    row(out, "convert_to", 2..=2, bytes, |c| {
        utf8_only(c, 1)?;
        Ok(Arc::new(c.bytes(0)?))
    });
    row(out, "encode", 2..=2, text, encode);
    row(out, "decode", 2..=2, bytes, decode);
}

fn int4(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Int32)
}

/// What `f` reads of the bytes at a position.
fn read(c: &Call<'_>, f: impl Fn(&[u8], i64) -> Result<i64>) -> Result<ArrayRef> {
    let (bytes, positions) = (c.bytes(0)?, c.int(1)?);
    checked(c, |i| Some(f(bytes.at(i)?, positions.at(i)?)))
}

fn is_bytes(c: &Call<'_>, i: usize) -> bool {
    c.args[i].data_type() == &DataType::Binary
}

/// A literal beside bytea is bytea.
fn as_bytes(c: &Call<'_>, i: usize) -> Result<BinaryArray> {
    if is_bytes(c, i) {
        return c.bytes(i);
    }
    let array = crate::types::coerce::cast_to(&c.args[i], &crate::types::SqlType::Blob, c.facts.family, &c.facts.zone)?;
    Ok(array.as_binary::<i32>().clone())
}

fn kind_of_first(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let bytes = matches!(types.first(), Some(DataType::Binary | DataType::LargeBinary | DataType::BinaryView));
    Ok(if bytes { DataType::Binary } else { DataType::Utf8 })
}

fn digest(c: &Call<'_>, f: fn(&[u8]) -> Vec<u8>) -> Result<ArrayRef> {
    let b = as_bytes(c, 0)?;
    c.binaries(|i| b.at(i).map(f))
}

fn checked(c: &Call<'_>, f: impl Fn(usize) -> Option<Result<i64>>) -> Result<ArrayRef> {
    let cells = (0..c.rows).map(|i| f(i).transpose()).collect::<Result<Vec<_>>>()?;
    c.ints(|i| cells[i])
}

/// A place in bytes, from 0.
fn place(_: &[u8], n: i64, length: usize) -> Result<usize> {
    let out = || Error::new(Kind::ArraySubscript, format!("index {n} out of valid range, 0..{}", length as i64 - 1));
    usize::try_from(n).ok().filter(|at| *at < length).ok_or_else(out)
}

fn changed(c: &Call<'_>, f: impl Fn(&mut Vec<u8>, i64, i64) -> Result<()>) -> Result<ArrayRef> {
    let (b, n, value) = (as_bytes(c, 0)?, c.int(1)?, c.int(2)?);
    let cells = (0..c.rows).map(|i| {
        let (Some(b), Some(n), Some(value)) = (b.at(i), n.at(i), value.at(i)) else { return Ok(None) };
        let mut b = b.to_vec();
        f(&mut b, n, value).map(|()| Some(b))
    });
    let cells = cells.collect::<Result<Vec<_>>>()?;
    c.binaries(|i| cells[i].as_deref())
}

/// `overlay(s placing t from n [for m])`.
fn overlay(c: &Call<'_>) -> Result<ArrayRef> {
    let from = c.int(2)?;
    let length = if c.count() > 3 { Some(c.int(3)?) } else { None };
    if from.iter().flatten().any(|n| n <= 0) {
        return Err(Error::new(Kind::WrongValue, "negative substring length not allowed"));
    }
    // (first, end) of what goes, in units of the text or bytes.
    let range = |i: usize, new: usize, all: usize| {
        let first = usize::try_from(from.at(i)? - 1).ok()?;
        let length = match &length {
            Some(length) => length.at(i)?,
            None => new as i64,
        };
        let end = (first as i64).saturating_add(length).max(0) as usize;
        Some((first.min(all), end.min(all)))
    };
    if c.returns == &DataType::Binary {
        let (b, new) = (as_bytes(c, 0)?, as_bytes(c, 1)?);
        return c.binaries(|i| {
            let (b, new) = (b.at(i)?, new.at(i)?);
            let (first, end) = range(i, new.len(), b.len())?;
            Some([&b[..first], new, &b[end..]].concat())
        });
    }
    let (s, new) = (c.text(0)?, c.text(1)?);
    c.texts(|i| {
        let (s, new) = (s.at(i)?, new.at(i)?);
        let (first, end) = range(i, new.chars().count(), s.chars().count())?;
        let at = |n| super::text::byte_at(s, n);
        Some([&s[..at(first)], new, &s[at(end)..]].concat())
    })
}

/// Without any of some characters, or bytes, at its ends.
fn trimmed(c: &Call<'_>, front: bool, back: bool) -> Result<ArrayRef> {
    if c.returns == &DataType::Binary {
        let b = as_bytes(c, 0)?;
        let what = if c.count() > 1 {
            as_bytes(c, 1)?
        } else {
            return Err(Error::new(Kind::WrongArguments, "function btrim(bytea) does not exist"));
        };
        return c.binaries(|i| {
            let (mut b, what) = (b.at(i)?, what.at(i)?);
            while let [first, rest @ ..] = b
                && front
                && what.contains(first)
            {
                b = rest;
            }
            while let [rest @ .., last] = b
                && back
                && what.contains(last)
            {
                b = rest;
            }
            Some(b)
        });
    }
    let s = c.text(0)?;
    let what = if c.count() > 1 { Some(c.text(1)?) } else { None };
    c.texts(|i| {
        let mut s = s.at(i)?;
        let what = match &what {
            Some(what) => what.at(i)?,
            None => " ",
        };
        let any = |ch: char| what.contains(ch);
        s = if front { s.trim_start_matches(any) } else { s };
        Some(if back { s.trim_end_matches(any) } else { s })
    })
}

fn utf8_only(c: &Call<'_>, i: usize) -> Result<()> {
    let name = c.word(i)?.replace(['-', '_'], "");
    if matches!(name.as_str(), "utf8" | "unicode" | "") { Ok(()) } else { Err(Error::unsupported(format!("the encoding {name}"))) }
}

fn unknown_encoding(form: &str) -> Error {
    Error::new(Kind::WrongValue, format!("unrecognized encoding: \"{form}\""))
}

fn encode(c: &Call<'_>) -> Result<ArrayRef> {
    use base64::Engine;
    let (b, form) = (as_bytes(c, 0)?, c.text(1)?);
    super::text::checked_texts(c, |i| {
        let (b, form) = (b.at(i)?, form.at(i)?);
        Some(Ok(match form.to_ascii_lowercase().as_str() {
            "hex" => hex::encode(b),
            // A line has 76 characters at most.
            "base64" => {
                let whole = base64::engine::general_purpose::STANDARD.encode(b);
                let lines = (0..whole.len()).step_by(76).map(|at| &whole[at..whole.len().min(at + 76)]);
                lines.collect::<Vec<_>>().join("\n")
            }
            "escape" => b
                .iter()
                .map(|byte| match byte {
                    b'\\' => "\\\\".to_owned(),
                    0 | 128.. => format!("\\{byte:03o}"),
                    _ => char::from(*byte).to_string(),
                })
                .collect(),
            _ => return Some(Err(unknown_encoding(form))),
        }))
    })
}

fn decode(c: &Call<'_>) -> Result<ArrayRef> {
    use base64::Engine;
    let (s, form) = (c.text(0)?, c.text(1)?);
    let mut out = BinaryBuilder::new();
    for i in 0..c.rows {
        let (Some(s), Some(form)) = (s.at(i), form.at(i)) else {
            out.append_null();
            continue;
        };
        let packed = || s.chars().filter(|ch| !ch.is_ascii_whitespace()).collect::<String>();
        let decoded = match form.to_ascii_lowercase().as_str() {
            "hex" => hex::decode(packed()).ok(),
            "base64" => base64::engine::general_purpose::STANDARD.decode(packed()).ok(),
            "escape" => crate::types::coerce::unescaped_bytes(s),
            _ => return Err(unknown_encoding(form)),
        };
        out.append_value(decoded.ok_or_else(|| Error::new(Kind::WrongValue, format!("invalid {form} data")))?);
    }
    Ok(Arc::new(out.finish()))
}
