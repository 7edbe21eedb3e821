//! COPY's binary format: a signature, then rows of fields in the types' binary forms, then a trailer.

use datafusion::scalar::ScalarValue;
use jiff::tz::TimeZone;

use super::{Batches, MAX_ROW_BYTES, Row, at_line, bad_data};
use crate::types::ColumnInfo;
use crate::wire::postgres::encode::{Encoder, Style};
use crate::wire::postgres::fault::{Fault, INVALID_BINARY};
use crate::wire::postgres::{params, types};

/// The first bytes of the format.
pub const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// The flag bits that a reader must understand; all of them are reserved.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

/// Which part comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Header,
    Row,
    /// The trailer was read.
    Nothing,
}

/// Reads the binary format.
pub struct BinaryDecoder {
    columns: Vec<ColumnInfo>,
    expect: Expect,
    pending: Vec<u8>,
    rows: u64,
    row: Row,
}

impl BinaryDecoder {
    pub fn new(columns: &[ColumnInfo]) -> BinaryDecoder {
        BinaryDecoder { columns: columns.to_vec(), expect: Expect::Header, pending: vec![], rows: 0, row: Row::default() }
    }

    pub fn feed(&mut self, data: &[u8], rows: &mut Batches) -> Result<(), Fault> {
        self.pending.extend_from_slice(data);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        loop {
            let after = match self.expect {
                Expect::Header => self.header(rest)?,
                Expect::Row => self.row(rest, rows)?,
                Expect::Nothing if rest.is_empty() => None,
                Expect::Nothing => return Err(bad_data("received copy data after EOF marker", self.rows + 1)),
            };
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        if rest.len() > MAX_ROW_BYTES {
            return Err(bad_data("a row is longer than 256 MiB", self.rows + 1));
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    pub fn finish(&mut self) -> Result<(), Fault> {
        if self.expect == Expect::Nothing { Ok(()) } else { Err(bad_data("unexpected EOF in COPY data", self.rows + 1)) }
    }

    /// Takes the header; None: it has not all come.
    fn header<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
        let known = bytes.len().min(SIGNATURE.len());
        if bytes[..known] != SIGNATURE[..known] {
            return Err(bad_data("COPY file signature not recognized", 1));
        }
        let Some((flags, rest)) = word(&bytes[known..]) else { return Ok(None) };
        if flags & CRITICAL_FLAGS != 0 {
            return Err(bad_data("unrecognized critical flags in COPY file header", 1));
        }
        let Some((extension, rest)) = word(rest) else { return Ok(None) };
        if extension as usize > MAX_ROW_BYTES {
            return Err(bad_data("invalid COPY file header (wrong length)", 1));
        }
        let Some(rest) = rest.get(extension as usize..) else { return Ok(None) };
        self.expect = Expect::Row;
        Ok(Some(rest))
    }

    /// Takes a row or the trailer; None: it has not all come.
    fn row<'a>(&mut self, bytes: &'a [u8], rows: &mut Batches) -> Result<Option<&'a [u8]>, Fault> {
        let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let (count, line) = (i16::from_be_bytes(*count), self.rows + 1);
        if count == -1 {
            self.expect = Expect::Nothing;
            return Ok(Some(rest));
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            return Err(bad_data(format!("row field count is {count}, expected {}", self.columns.len()), line));
        }
        self.row.clear();
        for column in &self.columns {
            let Some((length, after)) = word(rest) else { return Ok(None) };
            if length as i32 == -1 {
                self.row.end_field(true);
                rest = after;
                continue;
            }
            if length as usize > MAX_ROW_BYTES {
                return Err(bad_data("invalid field size", line));
            }
            let Some((value, after)) = after.split_at_checked(length as usize) else { return Ok(None) };
            write_field(column, value, &mut self.row.data)
                .map_err(|fault| at_line(fault, line))
                .map_err(|fault| fault.in_context(format!("COPY, line {line}, column {}", column.label)))?;
            self.row.end_field(false);
            rest = after;
        }
        self.rows += 1;
        rows.push(&self.row, line)?;
        Ok(Some(rest))
    }
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*word), rest))
}

/// Writes the text of a binary value. A moment with zone is written in UTC, with its offset.
fn write_field(column: &ColumnInfo, value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let oid = types::describe(&column.ty).oid;
    let (scalar, ty) = match params::decode_binary(oid, value)? {
        ScalarValue::Utf8(Some(text)) => {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        other => {
            let ty = crate::types::SqlType::of_arrow(&other.data_type());
            (other, ty)
        }
    };
    let array = scalar.to_array().map_err(|error| Fault::error(INVALID_BINARY, error.to_string()))?;
    let style = Style { zone: TimeZone::UTC };
    let mut text = bytes::BytesMut::new();
    Encoder::new(&ty, &array, &style)?.write_text(0, &mut text)?;
    out.extend_from_slice(&text);
    Ok(())
}
