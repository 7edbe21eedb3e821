//! Rows out, in COPY's three formats: one CopyData message a row, as clients that take rows apart expect.

use bytes::{BufMut, BytesMut};

use super::binary::SIGNATURE;
use crate::session::{CopyLayout, PostgresCopy};
use crate::types::ColumnInfo;
use crate::wire::postgres::encode::{Encoder, Format};
use crate::wire::postgres::fault::Fault;

/// Writes rows as CopyData messages.
pub struct Exporter {
    options: PostgresCopy,
    /// The binary signature goes out together with the first row, as PostgreSQL sends it.
    signed: bool,
    text: BytesMut,
}

impl Exporter {
    /// For rows laid out as `options` say.
    pub fn new(options: PostgresCopy) -> Exporter {
        Exporter { options, signed: false, text: BytesMut::new() }
    }

    /// The format of the fields.
    pub fn format(&self) -> Format {
        if self.options.layout == CopyLayout::Binary { Format::Binary } else { Format::Text }
    }

    /// Writes the line with the names, if one is wanted.
    pub fn begin(&mut self, columns: &[ColumnInfo], out: &mut BytesMut) -> Result<(), Fault> {
        if !self.options.header || self.options.layout == CopyLayout::Binary {
            return Ok(());
        }
        message(out, |out| {
            for (at, column) in columns.iter().enumerate() {
                if at > 0 {
                    out.put_u8(self.options.delimiter);
                }
                self.put_text(column.label.as_bytes(), columns.len() == 1, out);
            }
            out.put_u8(b'\n');
            Ok(())
        })
    }

    /// Writes one row.
    pub fn row(&mut self, encoders: &[Encoder<'_>], row: usize, out: &mut BytesMut) -> Result<(), Fault> {
        let mut text = std::mem::take(&mut self.text);
        let done = message(out, |out| {
            if self.options.layout == CopyLayout::Binary {
                self.sign(out);
                out.put_i16(encoders.len() as i16);
                return encoders.iter().try_for_each(|encoder| encoder.write_field(row, Format::Binary, out));
            }
            for (at, encoder) in encoders.iter().enumerate() {
                if at > 0 {
                    out.put_u8(self.options.delimiter);
                }
                if encoder.is_null(row) {
                    out.put_slice(self.options.null.as_bytes());
                    continue;
                }
                text.clear();
                encoder.write_text(row, &mut text)?;
                self.put_text(&text, encoders.len() == 1, out);
            }
            out.put_u8(b'\n');
            Ok(())
        });
        self.text = text;
        done
    }

    /// Writes what follows the last row.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        if self.options.layout != CopyLayout::Binary {
            return Ok(());
        }
        message(out, |out| {
            self.sign(out);
            out.put_i16(-1);
            Ok(())
        })
    }

    fn sign(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.signed, true) {
            out.put_slice(SIGNATURE);
            out.put_u32(0);
            out.put_u32(0);
        }
    }

    fn put_text(&self, text: &[u8], alone: bool, out: &mut BytesMut) {
        if self.options.layout == CopyLayout::Csv { self.put_csv(text, alone, out) } else { self.put_escaped(text, out) }
    }

    fn put_escaped(&self, text: &[u8], out: &mut BytesMut) {
        for &b in text {
            let escape = match b {
                0x08 => b'b',
                0x0c => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x0b => b'v',
                b'\\' => b'\\',
                b if b == self.options.delimiter => b,
                b => {
                    out.put_u8(b);
                    continue;
                }
            };
            out.put_slice(&[b'\\', escape]);
        }
    }

    /// Quotes what would not come back as it is: also what looks like NULL, and a lone `\.`, which would end the data.
    fn put_csv(&self, text: &[u8], alone: bool, out: &mut BytesMut) {
        let o = &self.options;
        let special = |b: &u8| *b == o.delimiter || *b == o.quote || *b == b'\n' || *b == b'\r';
        if text != o.null.as_bytes() && !(alone && text == b"\\.") && !text.iter().any(special) {
            out.put_slice(text);
            return;
        }
        out.put_u8(o.quote);
        for &b in text {
            if b == o.quote || b == o.escape {
                out.put_u8(o.escape);
            }
            out.put_u8(b);
        }
        out.put_u8(o.quote);
    }
}

/// Writes one CopyData message; nothing of it stays when `body` fails.
fn message(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut) -> Result<(), Fault>) -> Result<(), Fault> {
    let start = out.len();
    out.put_u8(b'd');
    out.put_i32(0);
    let done = body(out).and_then(|()| {
        let length = i32::try_from(out.len() - start - 1).map_err(|_| Fault::error("54000", "a row is larger than 2 GiB"))?;
        out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        Ok(())
    });
    if done.is_err() {
        out.truncate(start);
    }
    done
}
