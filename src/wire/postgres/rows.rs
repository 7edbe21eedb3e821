//! Result sets on their way out: batches become DataRow messages as they arrive, never more than a buffer ahead.

use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::RecordBatch;
use futures::StreamExt;
use pgwire::messages::data::{FieldDescription, RowDescription};
use tokio::io::{AsyncRead, AsyncWrite};

use super::encode::{Encoder, Format, Style};
use super::fault::{Fault, Step, put};
use super::frame::{FLUSH_BYTES, Link};
use super::types;
use crate::session::Rows;
use crate::types::ColumnInfo;

/// The format of each of `count` columns from the format codes of a message: none means text, one is for all.
pub fn formats(codes: &[i16], count: usize) -> Result<Vec<Format>, Fault> {
    let codes = codes.iter().map(|code| Format::of_code(*code)).collect::<Result<Vec<_>, _>>()?;
    match codes.len() {
        0 => Ok(vec![Format::Text; count]),
        1 => Ok(vec![codes[0]; count]),
        n if n == count => Ok(codes),
        n => Err(Fault::protocol(format!("bind message has {n} result formats but query has {count} columns"))),
    }
}

/// Writes the RowDescription of these columns.
pub fn describe(columns: &[ColumnInfo], formats: &[Format], out: &mut BytesMut) {
    let fields = columns.iter().zip(formats).map(|(column, format)| {
        let ty = types::describe(&column.ty);
        let name = column.label.replace('\0', "\u{fffd}");
        FieldDescription::new(name, 0, 0, ty.oid, ty.size, ty.modifier, format.code())
    });
    put(&RowDescription::new(fields.collect()), out);
}

/// A result set and how far it has been sent.
pub struct Cursor {
    rows: Rows,
    formats: Vec<Format>,
    /// The batch in hand and its next row.
    current: Option<(RecordBatch, usize)>,
    /// The last row has been read.
    ended: bool,
}

/// What a call of [`Cursor::send`] did.
pub struct Sent {
    /// Rows sent by this call.
    pub rows: u64,
    /// No more rows will come.
    pub ended: bool,
}

impl Cursor {
    /// At the first row.
    pub fn new(rows: Rows, codes: &[i16]) -> Result<Cursor, Fault> {
        let formats = formats(codes, rows.columns.len())?;
        Ok(Cursor { rows, formats, current: None, ended: false })
    }

    /// The columns.
    pub fn columns(&self) -> &[ColumnInfo] {
        &self.rows.columns
    }

    /// Would a client that was told these types read the rows? In text form only their number matters.
    pub fn is_as_described(&self, oids: &[u32]) -> bool {
        let same =
            |((told, column), format): ((&u32, &ColumnInfo), &Format)| *format == Format::Text || *told == types::describe(&column.ty).oid;
        oids.len() == self.rows.columns.len() && oids.iter().zip(self.rows.columns.iter()).zip(&self.formats).all(same)
    }

    /// Writes the RowDescription.
    pub fn describe(&self, out: &mut BytesMut) {
        describe(&self.rows.columns, &self.formats, out);
    }

    /// The command tag after `rows` rows.
    pub fn tag(&self, rows: u64) -> String {
        match self.rows.verb {
            verb @ ("SELECT" | "FETCH") => format!("{verb} {rows}"),
            verb => verb.to_owned(),
        }
    }

    /// Sends at most `limit` rows as DataRow messages; 0: all.
    pub async fn send<S>(&mut self, limit: u64, style: &Style, link: &mut Link<S>) -> Step<Sent>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let formats = self.formats.clone();
        self.send_in(&formats, limit, style, link).await
    }

    /// The same in other formats than the portal's own.
    pub async fn send_in<S>(&mut self, formats: &[Format], limit: u64, style: &Style, link: &mut Link<S>) -> Step<Sent>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.each(limit, style, link, |encoders, row, out| data_row(encoders, formats, row, out)).await
    }

    /// Gives at most `limit` rows (0: all) to `write`, sending what it wrote whenever that is much.
    pub async fn each<S>(
        &mut self,
        limit: u64,
        style: &Style,
        link: &mut Link<S>,
        mut write: impl FnMut(&[Encoder<'_>], usize, &mut BytesMut) -> Result<(), Fault>,
    ) -> Step<Sent>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut sent = 0;
        loop {
            let (batch, mut row) = match self.current.take() {
                Some(current) => current,
                None if self.ended => return Ok(Sent { rows: sent, ended: true }),
                None => match link.watching(self.rows.batches.next()).await? {
                    Some(batch) => (batch?, 0),
                    None => {
                        // What ran is let go now, however long the portal stays.
                        (self.ended, self.rows.batches) = (true, futures::stream::empty().boxed());
                        return Ok(Sent { rows: sent, ended: true });
                    }
                },
            };
            if batch.num_columns() != self.rows.columns.len() {
                return Err(Fault::error("XX000", "a result has another number of columns than it says").into());
            }
            let columns = self.rows.columns.iter().zip(batch.columns());
            let encoders = columns.map(|(c, array)| Encoder::new(&c.ty, array, style)).collect::<Result<Vec<_>, _>>()?;
            while row < batch.num_rows() {
                if limit > 0 && sent == limit {
                    drop(encoders);
                    self.current = Some((batch, row));
                    return Ok(Sent { rows: sent, ended: false });
                }
                write(&encoders, row, &mut link.output)?;
                row += 1;
                sent += 1;
                if link.output.len() >= FLUSH_BYTES {
                    link.flush().await?;
                }
            }
            // Like PostgreSQL: exactly as many rows as asked for leave the portal open, whether more come or not.
            if limit > 0 && sent == limit {
                return Ok(Sent { rows: sent, ended: false });
            }
        }
    }
}

/// Writes one DataRow; nothing of it stays when a value cannot be written.
fn data_row(encoders: &[Encoder<'_>], formats: &[Format], row: usize, out: &mut BytesMut) -> Result<(), Fault> {
    let start = out.len();
    out.put_u8(b'D');
    out.put_i32(0);
    out.put_i16(encoders.len() as i16);
    let written = encoders.iter().zip(formats).try_for_each(|(encoder, format)| encoder.write_field(row, *format, out));
    let done = written.and_then(|()| {
        let length = i32::try_from(out.len() - start - 1).map_err(|_| Fault::error("54000", "a row is larger than 2 GiB"))?;
        out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        Ok(())
    });
    if done.is_err() {
        out.truncate(start);
    }
    done
}
