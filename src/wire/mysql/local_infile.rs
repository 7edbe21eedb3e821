//! The data of LOAD DATA LOCAL INFILE: bytes in, batches out, in bounded memory.
//!
//! The rules are those of MySQL's LOAD DATA: terminators of several bytes, enclosed fields with doubled quotes,
//! escapes, `\N` (and the bare word NULL where fields may be enclosed) for NULL. A row with more or fewer fields than
//! columns is an error here: nothing is filled up or dropped silently. The file is taken to be UTF-8.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryBuilder, RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Kind, Result};
use crate::session::LoadData;
use crate::types::ColumnInfo;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes at which a batch is given up before it has its rows.
const BATCH_BYTES: usize = 8 << 20;
/// The longest field or ignored line taken.
const MAX_FIELD: usize = 64 << 20;

/// Cuts the bytes of a file into rows.
pub struct LoadParser {
    format: LoadData,
    columns: Vec<Builder>,
    schema: SchemaRef,
    rows: usize,
    bytes: usize,
    line: u64,
    /// Bytes that are not yet part of a field.
    pending: Vec<u8>,
    /// Columns of the present line that are filled.
    filled: usize,
    /// The present line began (its prefix was seen, or none is asked).
    begun: bool,
    skip: u64,
}

enum Builder {
    Text(StringBuilder),
    Bytes(BinaryBuilder),
}

/// What follows a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Field,
    Line,
}

/// A field as it stands in the file.
struct Raw {
    /// `\N` alone, or the bare word NULL.
    null: bool,
    value: Vec<u8>,
    end: End,
    /// Bytes used, with the terminator.
    used: usize,
}

impl LoadParser {
    /// A parser of rows for `columns`. Rows of fixed size (empty terminators) are not supported.
    pub fn new(format: LoadData, columns: &[ColumnInfo]) -> Result<LoadParser> {
        if format.line_terminator.is_empty() || (format.field_terminator.is_empty() && columns.len() > 1) {
            return Err(Error::unsupported("LOAD DATA with an empty FIELDS or LINES TERMINATED BY"));
        }
        let binary = |info: &ColumnInfo| info.ty.is_binary();
        let fields: Vec<Field> = columns
            .iter()
            .map(|info| Field::new(&info.label, if binary(info) { DataType::Binary } else { DataType::Utf8 }, true))
            .collect();
        let builders = columns
            .iter()
            .map(|info| if binary(info) { Builder::Bytes(BinaryBuilder::new()) } else { Builder::Text(StringBuilder::new()) })
            .collect();
        let skip = format.skip_lines;
        Ok(LoadParser {
            format,
            columns: builders,
            schema: Arc::new(Schema::new(fields)),
            rows: 0,
            bytes: 0,
            line: 1,
            pending: vec![],
            filled: 0,
            begun: false,
            skip,
        })
    }

    /// Takes bytes of the file; batches that are full come out.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<RecordBatch>> {
        self.pending.extend_from_slice(bytes);
        self.parse(false)
    }

    /// The file has ended: the last batches come out.
    pub fn finish(&mut self) -> Result<Vec<RecordBatch>> {
        let mut batches = self.parse(true)?;
        if self.rows > 0 {
            batches.push(self.batch()?);
        }
        Ok(batches)
    }

    fn parse(&mut self, last: bool) -> Result<Vec<RecordBatch>> {
        let pending = std::mem::take(&mut self.pending);
        let mut batches = vec![];
        let mut at = 0;
        let outcome = self.parse_lines(&pending, &mut at, last, &mut batches);
        self.pending = pending;
        self.pending.drain(..at);
        outcome?;
        if self.pending.len() > MAX_FIELD {
            return Err(Error::new(Kind::TooLong, format!("line {}: a field is longer than {MAX_FIELD} bytes", self.line))
                .with_hint("check FIELDS TERMINATED BY, ENCLOSED BY and LINES TERMINATED BY"));
        }
        Ok(batches)
    }

    fn parse_lines(&mut self, data: &[u8], at: &mut usize, last: bool, batches: &mut Vec<RecordBatch>) -> Result<()> {
        while *at < data.len() {
            let rest = &data[*at..];
            if self.skip > 0 {
                let Some(used) = self.skipped_line(rest, last) else { return Ok(()) };
                *at += used;
                self.skip -= 1;
                self.line += 1;
                continue;
            }
            if !self.begun {
                let Some(used) = self.line_begin(rest, last) else { return Ok(()) };
                *at += used;
                self.begun = true;
                if *at == data.len() {
                    continue;
                }
            }
            let Some(field) = self.field(&data[*at..], last) else { return Ok(()) };
            *at += field.used;
            self.take_field(field.null, field.value)?;
            if field.end == End::Line {
                self.end_line()?;
            }
            if self.rows >= BATCH_ROWS || (self.bytes >= BATCH_BYTES && self.filled == 0) {
                batches.push(self.batch()?);
            }
        }
        // The file ended in the middle of a line: after a field's terminator one empty field is still owed.
        if last && self.filled > 0 {
            self.take_field(false, vec![])?;
            self.end_line()?;
        }
        Ok(())
    }

    /// Length of an ignored line with its terminator; None: more bytes are needed.
    fn skipped_line(&self, data: &[u8], last: bool) -> Option<usize> {
        let terminator = &self.format.line_terminator;
        match memchr::memmem::find(data, terminator) {
            Some(end) => Some(end + terminator.len()),
            None => last.then_some(data.len()),
        }
    }

    /// Bytes up to the line's first field; a line without the prefix is passed over.
    fn line_begin(&self, data: &[u8], last: bool) -> Option<usize> {
        let prefix = &self.format.line_prefix;
        if prefix.is_empty() {
            return Some(0);
        }
        match memchr::memmem::find(data, prefix) {
            Some(start) => Some(start + prefix.len()),
            None => last.then_some(data.len()),
        }
    }

    /// The field at the front of `data`; None: it is not here whole.
    fn field(&self, data: &[u8], last: bool) -> Option<Raw> {
        let format = &self.format;
        let quote = format.enclosed_by.filter(|q| data.first() == Some(q));
        let mut value = Vec::new();
        let mut null = false;
        let mut at = usize::from(quote.is_some());
        loop {
            let plain = self.plain_run(&data[at..], quote);
            if plain > 0 {
                if std::mem::take(&mut null) {
                    // \N was the beginning of a longer value.
                    value.push(b'N');
                }
                value.extend_from_slice(&data[at..at + plain]);
                at += plain;
            }
            let Some(&byte) = data.get(at) else {
                // An open quote at the end of the file is taken as it stands, as the server does.
                return last.then(|| self.made(null, value, quote.is_some(), End::Line, at));
            };
            if format.escaped_by == Some(byte) && quote != Some(byte) {
                let Some(&escaped) = data.get(at + 1) else {
                    if !last {
                        return None;
                    }
                    value.push(byte);
                    at += 1;
                    continue;
                };
                if escaped == b'N' && value.is_empty() && at == 0 {
                    null = true;
                } else {
                    if std::mem::take(&mut null) {
                        value.push(b'N');
                    }
                    value.push(unescape(escaped));
                }
                at += 2;
                continue;
            }
            if let Some(quote) = quote {
                let after = &data[at + 1..];
                match self.terminator(after, last) {
                    Terminator::Found(end, length) => return Some(self.made(null, value, true, end, at + 1 + length)),
                    Terminator::Unknown => return None,
                    Terminator::None if after.is_empty() && last => return Some(self.made(null, value, true, End::Line, at + 1)),
                    // A quote within the field: doubled, or simply there.
                    Terminator::None => {
                        value.push(quote);
                        at += if after.first() == Some(&quote) { 2 } else { 1 };
                    }
                }
                continue;
            }
            match self.terminator(&data[at..], last) {
                Terminator::Found(end, length) => return Some(self.made(null, value, false, end, at + length)),
                Terminator::Unknown => return None,
                Terminator::None => {
                    if std::mem::take(&mut null) {
                        value.push(b'N');
                    }
                    value.push(byte);
                    at += 1;
                }
            }
        }
    }

    /// Bytes at the front that are nothing but value.
    fn plain_run(&self, data: &[u8], quote: Option<u8>) -> usize {
        let line = self.format.line_terminator.first().copied().unwrap_or(b'\n');
        let escape = self.format.escaped_by;
        let end = match quote {
            Some(quote) => memchr::memchr2(quote, escape.unwrap_or(quote), data),
            None => memchr::memchr3(line, self.format.field_terminator.first().copied().unwrap_or(line), escape.unwrap_or(line), data),
        };
        end.unwrap_or(data.len())
    }

    fn made(&self, null: bool, value: Vec<u8>, enclosed: bool, end: End, used: usize) -> Raw {
        let word = self.format.enclosed_by.is_some() && !enclosed && value == b"NULL";
        Raw { null: null || word, value, end, used }
    }

    fn terminator(&self, data: &[u8], last: bool) -> Terminator {
        let mut unknown = false;
        for (terminator, end) in [(&self.format.line_terminator, End::Line), (&self.format.field_terminator, End::Field)] {
            if terminator.is_empty() {
                continue;
            }
            if data.starts_with(terminator) {
                return Terminator::Found(end, terminator.len());
            }
            unknown |= !last && data.len() < terminator.len() && terminator.starts_with(data);
        }
        if unknown { Terminator::Unknown } else { Terminator::None }
    }

    fn take_field(&mut self, null: bool, value: Vec<u8>) -> Result<()> {
        let line = self.line;
        let Some(builder) = self.columns.get_mut(self.filled) else {
            return Err(Error::new(
                Kind::ColumnCount,
                format!("Row {line} contained more data than there were input columns ({})", self.columns.len()),
            ));
        };
        self.filled += 1;
        self.bytes += value.len();
        match builder {
            Builder::Text(text) if null => text.append_null(),
            Builder::Bytes(bytes) if null => bytes.append_null(),
            Builder::Bytes(bytes) => bytes.append_value(value),
            Builder::Text(text) => match std::str::from_utf8(&value) {
                Ok(value) => text.append_value(value),
                Err(_) => {
                    let column = self.schema.field(self.filled - 1).name();
                    return Err(Error::new(Kind::InvalidCharacter, format!("Row {line}, column '{column}': the bytes are not UTF-8"))
                        .with_hint("convert the file to UTF-8, for example with iconv"));
                }
            },
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<()> {
        if self.filled < self.columns.len() {
            return Err(Error::new(
                Kind::ColumnCount,
                format!("Row {} doesn't contain data for all columns ({} of {})", self.line, self.filled, self.columns.len()),
            ));
        }
        self.filled = 0;
        self.begun = false;
        self.rows += 1;
        self.line += 1;
        Ok(())
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let arrays: Vec<ArrayRef> = self
            .columns
            .iter_mut()
            .map(|builder| match builder {
                Builder::Text(text) => Arc::new(text.finish()) as ArrayRef,
                Builder::Bytes(bytes) => Arc::new(bytes.finish()),
            })
            .collect();
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|error| Error::internal(error.to_string()))
    }
}

enum Terminator {
    Found(End, usize),
    /// More bytes decide.
    Unknown,
    None,
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'b' => 8,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'Z' => 26,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlType;
    use datafusion::arrow::array::{Array, AsArray};

    fn tabs() -> LoadData {
        LoadData {
            field_terminator: b"\t".to_vec(),
            enclosed_by: None,
            escaped_by: Some(b'\\'),
            line_prefix: vec![],
            line_terminator: b"\n".to_vec(),
            skip_lines: 0,
        }
    }

    fn csv() -> LoadData {
        LoadData { field_terminator: b",".to_vec(), enclosed_by: Some(b'"'), line_terminator: b"\r\n".to_vec(), ..tabs() }
    }

    /// Rows, NULL as `~`; the same whether the file comes at once or byte by byte.
    fn rows(format: LoadData, columns: usize, file: &[u8]) -> Result<Vec<String>> {
        let infos: Vec<ColumnInfo> = (0..columns).map(|i| ColumnInfo::new(format!("c{i}"), SqlType::Text)).collect();
        let run = |chunk: usize| -> Result<Vec<String>> {
            let mut parser = LoadParser::new(format.clone(), &infos)?;
            let mut batches = vec![];
            for piece in file.chunks(chunk) {
                batches.extend(parser.push(piece)?);
            }
            batches.extend(parser.finish()?);
            Ok(batches
                .iter()
                .flat_map(|batch| {
                    (0..batch.num_rows()).map(|row| {
                        let cell = |column: &ArrayRef| {
                            let text = column.as_string::<i32>();
                            if text.is_null(row) { "~".to_owned() } else { text.value(row).to_owned() }
                        };
                        batch.columns().iter().map(cell).collect::<Vec<_>>().join("|")
                    })
                })
                .collect())
        };
        let whole = run(file.len().max(1));
        let pieces = run(1);
        assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok());
        whole
    }

    #[test]
    fn tabs_escapes_and_nulls() {
        assert_eq!(rows(tabs(), 2, b"1\t\\N\n2\ta\\tb\\\\\n").unwrap(), ["1|~", "2|a\tb\\"]);
        assert_eq!(rows(tabs(), 2, b"1\t\n2\tx").unwrap(), ["1|", "2|x"]);
        assert_eq!(rows(tabs(), 2, b"1\tx\n2\t").unwrap(), ["1|x", "2|"]);
        assert_eq!(rows(tabs(), 1, b"a\\\nb\n").unwrap(), ["a\nb"]);
        assert_eq!(rows(tabs(), 1, b"").unwrap(), Vec::<String>::new());
        assert_eq!(rows(tabs(), 1, b"\n\n").unwrap(), ["", ""]);
        assert_eq!(rows(tabs(), 1, b"NULL\n").unwrap(), ["NULL"]);
    }

    #[test]
    fn enclosed_fields_hold_terminators_and_doubled_quotes() {
        let file = b"\"a,b\",\"say \"\"hi\"\"\"\r\nplain,NULL\r\n\"NULL\",\"x\r\ny\"\r\n";
        assert_eq!(rows(csv(), 2, file).unwrap(), ["a,b|say \"hi\"", "plain|~", "NULL|x\r\ny"]);
        assert_eq!(rows(csv(), 1, b"\"in \"side\" it\"\r\n").unwrap(), ["in \"side\" it"]);
        assert_eq!(rows(csv(), 1, b"\"last\"").unwrap(), ["last"]);
    }

    #[test]
    fn lines_are_skipped_and_prefixes_found() {
        assert_eq!(rows(LoadData { skip_lines: 2, ..csv() }, 1, b"h1\r\nh2\r\nv\r\n").unwrap(), ["v"]);
        let starting = LoadData { line_prefix: b"xx".to_vec(), ..tabs() };
        assert_eq!(rows(starting, 1, b"xxa\nnothing\njunk xxb\n").unwrap(), ["a", "b"]);
    }

    #[test]
    fn rows_of_another_width_and_bytes_that_are_no_text_are_errors() {
        assert_eq!(rows(tabs(), 2, b"1\n").unwrap_err().kind(), Kind::ColumnCount);
        assert_eq!(rows(tabs(), 1, b"1\t2\n").unwrap_err().kind(), Kind::ColumnCount);
        assert_eq!(rows(tabs(), 1, b"\xff\n").unwrap_err().kind(), Kind::InvalidCharacter);
    }

    #[test]
    fn batches_are_cut_at_their_size_and_binary_columns_take_any_bytes() {
        let infos = [ColumnInfo::new("b", SqlType::Blob)];
        let mut parser = LoadParser::new(tabs(), &infos).unwrap();
        let mut batches = parser.push(&b"\xff\xfe\n".repeat(20_000)).unwrap();
        batches.extend(parser.finish().unwrap());
        assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [8192, 8192, 3616]);
        assert_eq!(batches[0].column(0).as_binary::<i32>().value(0), b"\xff\xfe");
    }
}
