//! COPY: bulk data in its three formats, streaming in both directions.
//!
//! A [`Decoder`] takes the bytes of CopyData messages, cut anywhere, and fills a [`Batches`] with text columns; an
//! [`Exporter`] writes rows. Neither does I/O. Formats: PostgreSQL documentation, COPY, "File Formats".

mod binary;
mod csv;
mod export;
mod text;

use std::collections::VecDeque;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::fault::{BAD_COPY_FILE_FORMAT, Fault};
use super::message::not_utf8;
use crate::session::{CopyLayout, PostgresCopy};
use crate::types::ColumnInfo;

pub use export::Exporter;

/// Rows of a batch that is full.
const BATCH_ROWS: usize = 8192;
/// Bytes of a batch that is full before it has so many rows.
const BATCH_BYTES: usize = 8 << 20;
/// Longest row; a quote that never closes would otherwise swallow the whole input.
const MAX_ROW_BYTES: usize = 256 << 20;

/// Reads bulk data.
pub enum Decoder {
    Text(text::TextDecoder),
    Csv(csv::CsvDecoder),
    Binary(binary::BinaryDecoder),
}

impl Decoder {
    /// For data laid out as `options` say, with these columns.
    pub fn new(options: &PostgresCopy, columns: &[ColumnInfo]) -> Decoder {
        match options.layout {
            CopyLayout::Text => Decoder::Text(text::TextDecoder::new(options)),
            CopyLayout::Csv => Decoder::Csv(csv::CsvDecoder::new(options)),
            CopyLayout::Binary => Decoder::Binary(binary::BinaryDecoder::new(columns)),
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, data: &[u8], rows: &mut Batches) -> Result<(), Fault> {
        match self {
            Decoder::Text(decoder) => decoder.feed(data, rows),
            Decoder::Csv(decoder) => decoder.feed(data, rows),
            Decoder::Binary(decoder) => decoder.feed(data, rows),
        }
    }

    /// All bytes came.
    pub fn finish(&mut self, rows: &mut Batches) -> Result<(), Fault> {
        match self {
            Decoder::Text(decoder) => decoder.finish(rows)?,
            Decoder::Csv(decoder) => decoder.finish(rows)?,
            Decoder::Binary(decoder) => decoder.finish()?,
        }
        rows.close_batch()
    }
}

/// An error in the data, with the line (or row) that has it.
fn bad_data(message: impl Into<String>, line: u64) -> Fault {
    at_line(Fault::error(BAD_COPY_FILE_FORMAT, message), line)
}

fn at_line(fault: Fault, line: u64) -> Fault {
    let message = format!("{} (line {line})", fault.message);
    Fault { message, ..fault }.in_context(format!("COPY, line {line}"))
}

/// One row being read: the fields' bytes one after the other.
#[derive(Default)]
struct Row {
    data: Vec<u8>,
    /// For each field: where it ends in `data`, and whether it is NULL.
    fields: Vec<(usize, bool)>,
}

impl Row {
    fn clear(&mut self) {
        self.data.clear();
        self.fields.clear();
    }

    /// Where the field that is being read begins.
    fn field_start(&self) -> usize {
        self.fields.last().map_or(0, |(end, _)| *end)
    }

    fn end_field(&mut self, null: bool) {
        self.fields.push((self.data.len(), null));
    }

    fn is_too_long(&self) -> bool {
        self.data.len() > MAX_ROW_BYTES
    }
}

/// Rows gathered into batches whose columns are all text.
pub struct Batches {
    schema: SchemaRef,
    columns: Vec<StringBuilder>,
    rows: usize,
    bytes: usize,
    full: VecDeque<RecordBatch>,
}

impl Batches {
    /// With these columns.
    pub fn new(columns: &[ColumnInfo]) -> Batches {
        let fields: Vec<Field> = columns.iter().map(|c| Field::new(&c.label, DataType::Utf8, true)).collect();
        let columns = columns.iter().map(|_| StringBuilder::new()).collect();
        Batches { schema: Arc::new(Schema::new(fields)), columns, rows: 0, bytes: 0, full: VecDeque::new() }
    }

    /// The next full batch.
    pub fn take(&mut self) -> Option<RecordBatch> {
        self.full.pop_front()
    }

    /// Compares a header with the names of the columns (copyfromparse.c, NextCopyFromRawFields).
    fn check_header(&self, row: &Row, line: u64) -> Result<(), Fault> {
        let (given, wanted) = (row.fields.len(), self.schema.fields().len());
        let fault = |text: String| Fault { sqlstate: "22P04", ..at_line(Fault::error("22P04", text), line) };
        if given != wanted {
            return Err(fault(format!("wrong number of fields in header line: got {given}, expected {wanted}")));
        }
        let mut start = 0;
        for (at, (field, &(end, null))) in self.schema.fields().iter().zip(&row.fields).enumerate() {
            let (name, got) = (field.name(), String::from_utf8_lossy(&row.data[start..end]).into_owned());
            start = end;
            if null || *name != got {
                let text = format!("column name mismatch in header line field {}: got \"{got}\", expected \"{name}\"", at + 1);
                return Err(fault(text));
            }
        }
        Ok(())
    }

    /// Adds a row that was read from `line`.
    fn push(&mut self, row: &Row, line: u64) -> Result<(), Fault> {
        if row.fields.len() > self.columns.len() {
            return Err(bad_data("extra data after last expected column", line));
        }
        if let Some(missing) = self.schema.fields().get(row.fields.len()) {
            return Err(bad_data(format!("missing data for column \"{}\"", missing.name()), line));
        }
        let mut start = 0;
        for (builder, &(end, null)) in self.columns.iter_mut().zip(&row.fields) {
            let bytes = &row.data[start..end];
            start = end;
            if null {
                builder.append_null();
                continue;
            }
            match std::str::from_utf8(bytes) {
                Ok(text) if !bytes.contains(&0) => builder.append_value(text),
                Ok(_) => return Err(at_line(not_utf8(&[0]), line)),
                Err(error) => return Err(at_line(not_utf8(&bytes[error.valid_up_to()..]), line)),
            }
        }
        self.rows += 1;
        self.bytes += row.data.len();
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES { self.close_batch() } else { Ok(()) }
    }

    fn close_batch(&mut self) -> Result<(), Fault> {
        if self.rows == 0 {
            return Ok(());
        }
        let arrays = self.columns.iter_mut().map(|c| Arc::new(c.finish()) as ArrayRef).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| Fault::error("XX000", format!("rows of COPY could not be gathered: {error}")))?;
        self.full.push_back(batch);
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
