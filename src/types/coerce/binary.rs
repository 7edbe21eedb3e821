//! Binary columns from anything: raw bytes in MySQL, PostgreSQL's bytea input, lengths and padding.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use datafusion::arrow::datatypes::DataType;

use super::target::Target;
use super::text::text_of;
use crate::error::Result;
use crate::types::SqlType;

pub(super) fn binaries(values: &ArrayRef, t: &Target<'_>) -> Result<ArrayRef> {
    if values.data_type() == &DataType::Binary {
        if matches!(t.ty, SqlType::Blob) {
            return Ok(Arc::clone(values));
        }
        let array = values.as_binary::<i32>();
        return collect(array.len(), t, |i| Ok(array.is_valid(i).then(|| Cow::Borrowed(array.value(i)))));
    }
    let texts = text_of(values, t.family, t.zone)?;
    let array = texts.as_string::<i32>();
    collect(array.len(), t, |i| {
        if array.is_null(i) {
            return Ok(None);
        }
        let text = array.value(i);
        Ok(Some(if t.is_mysql() { Cow::Borrowed(text.as_bytes()) } else { Cow::Owned(bytea(text).ok_or_else(|| t.incorrect(i, text))?) }))
    })
}

fn collect<'a>(rows: usize, t: &Target<'_>, cell: impl Fn(usize) -> Result<Option<Cow<'a, [u8]>>>) -> Result<ArrayRef> {
    let (limit, pad) = match t.ty {
        SqlType::Binary { length } => (*length as usize, true),
        SqlType::VarBinary { length } => (*length as usize, false),
        _ => (usize::MAX, false),
    };
    let mut out = BinaryBuilder::with_capacity(rows, 0);
    for i in 0..rows {
        match cell(i)? {
            None => out.append_null(),
            Some(bytes) if bytes.len() > limit => return Err(t.too_long(i)),
            Some(bytes) if pad && bytes.len() < limit => {
                let mut padded = bytes.into_owned();
                padded.resize(limit, 0);
                out.append_value(padded);
            }
            Some(bytes) => out.append_value(bytes),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// PostgreSQL's bytea input: `\x` and hexadecimal digits, or the escape form with `\\` and `\ooo`.
pub(super) fn bytea(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: String = digits.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        return hex::decode(digits).ok();
    }
    unescaped_bytes(text)
}

/// The escape form: `\\` is a backslash, `\ooo` a byte by its octal digits.
pub fn unescaped_bytes(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        match (first, rest) {
            (b'\\', [b'\\', tail @ ..]) => {
                out.push(b'\\');
                bytes = tail;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                bytes = tail;
            }
            (b'\\', _) => return None,
            (byte, tail) => {
                out.push(*byte);
                bytes = tail;
            }
        }
    }
    Some(out)
}
