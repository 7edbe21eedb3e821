//! COPY's csv format. Unlike a common csv reader it must tell a quoted empty field (a text) from a bare one (NULL).

use super::{Batches, Row, bad_data};
use crate::session::PostgresCopy;
use crate::wire::postgres::fault::Fault;

/// Where in a record the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Outside quotes.
    Bare,
    /// Inside quotes.
    Quoted,
    /// Behind a quote inside quotes, where quote and escape are the same: its end, or the first half of a quote.
    QuoteSeen,
    /// Behind an escape inside quotes.
    EscapeSeen,
    /// Behind a carriage return outside quotes: a newline may follow.
    ReturnSeen,
}

/// Reads the csv format.
pub struct CsvDecoder {
    delimiter: u8,
    quote: u8,
    escape: u8,
    null: Vec<u8>,
    header: bool,
    header_match: bool,
    at: At,
    /// Did the field have a quote?
    quoted: bool,
    /// Has the record any byte?
    begun: bool,
    row: Row,
    /// Line that the record began on, and the one we are on.
    first_line: u64,
    line: u64,
    /// `\.` was read: the rest is not data.
    ended: bool,
}

impl CsvDecoder {
    pub fn new(options: &PostgresCopy) -> CsvDecoder {
        CsvDecoder {
            delimiter: options.delimiter,
            quote: options.quote,
            escape: options.escape,
            null: options.null.clone().into_bytes(),
            header: options.header,
            header_match: options.header_match,
            at: At::Bare,
            quoted: false,
            begun: false,
            row: Row::default(),
            first_line: 1,
            line: 1,
            ended: false,
        }
    }

    pub fn feed(&mut self, data: &[u8], rows: &mut Batches) -> Result<(), Fault> {
        let mut rest = data;
        while let Some((&b, tail)) = rest.split_first() {
            if self.ended {
                return Ok(());
            }
            match self.at {
                At::Bare | At::Quoted => {
                    // Plain bytes are taken in one piece.
                    let plain = rest.iter().position(|b| self.is_special(*b)).unwrap_or(rest.len());
                    if plain > 0 {
                        self.row.data.extend_from_slice(&rest[..plain]);
                        self.begun = true;
                        rest = &rest[plain..];
                        if self.row.is_too_long() {
                            return Err(bad_data("a row is longer than 256 MiB", self.first_line));
                        }
                        continue;
                    }
                    self.special(b, rows)?;
                    rest = tail;
                }
                At::QuoteSeen if b == self.quote => {
                    self.row.data.push(b);
                    self.at = At::Quoted;
                    rest = tail;
                }
                At::QuoteSeen => self.at = At::Bare,
                At::EscapeSeen => {
                    self.at = At::Quoted;
                    if b == self.quote || b == self.escape {
                        self.row.data.push(b);
                        rest = tail;
                    } else {
                        self.row.data.push(self.escape);
                    }
                }
                At::ReturnSeen => {
                    self.at = At::Bare;
                    self.end_record(rows)?;
                    if b == b'\n' {
                        rest = tail;
                    }
                }
            }
        }
        Ok(())
    }

    pub fn finish(&mut self, rows: &mut Batches) -> Result<(), Fault> {
        match self.at {
            _ if self.ended => Ok(()),
            At::Quoted | At::EscapeSeen => Err(bad_data("unterminated CSV quoted field", self.first_line)),
            At::ReturnSeen => self.end_record(rows),
            At::Bare | At::QuoteSeen if self.begun => self.end_record(rows),
            At::Bare | At::QuoteSeen => Ok(()),
        }
    }

    fn is_special(&self, b: u8) -> bool {
        b == self.quote || b == self.escape || b == self.delimiter || b == b'\n' || b == b'\r'
    }

    /// A byte that may mean something, inside or outside quotes.
    fn special(&mut self, b: u8, rows: &mut Batches) -> Result<(), Fault> {
        if self.at == At::Quoted {
            if b == self.escape && self.escape != self.quote {
                self.at = At::EscapeSeen;
            } else if b == self.quote {
                self.at = if self.escape == self.quote { At::QuoteSeen } else { At::Bare };
            } else {
                self.line += u64::from(b == b'\n');
                self.row.data.push(b);
            }
            return Ok(());
        }
        match b {
            b'\n' => return self.end_record(rows),
            b'\r' => self.at = At::ReturnSeen,
            _ if b == self.delimiter => self.end_field(),
            _ if b == self.quote => {
                self.quoted = true;
                self.at = At::Quoted;
            }
            _ => self.row.data.push(b),
        }
        self.begun = true;
        Ok(())
    }

    fn end_field(&mut self) {
        let start = self.row.field_start();
        let null = !self.quoted && self.row.data[start..] == self.null[..];
        if null {
            self.row.data.truncate(start);
        }
        self.row.end_field(null);
        self.quoted = false;
    }

    fn end_record(&mut self, rows: &mut Batches) -> Result<(), Fault> {
        let line = self.first_line;
        self.line += 1;
        self.first_line = self.line;
        self.begun = false;
        if self.row.fields.is_empty() && !self.quoted && self.row.data == b"\\." {
            self.ended = true;
            return Ok(());
        }
        self.end_field();
        let pushed = match std::mem::take(&mut self.header) {
            true if self.header_match => rows.check_header(&self.row, line),
            true => Ok(()),
            false => rows.push(&self.row, line),
        };
        self.row.clear();
        pushed
    }
}
