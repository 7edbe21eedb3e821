//! COPY's text format: a line a row, a delimiter between fields, backslash escapes.

use memchr::memchr3;

use super::{Batches, MAX_ROW_BYTES, Row, bad_data};
use crate::session::PostgresCopy;
use crate::wire::postgres::fault::Fault;

/// How the lines end; the first one decides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Newline,
    CarriageReturn,
    Both,
}

/// Reads the text format.
pub struct TextDecoder {
    delimiter: u8,
    null: Vec<u8>,
    header: bool,
    header_match: bool,
    line_end: LineEnd,
    /// Bytes of lines that are not complete.
    pending: Vec<u8>,
    /// Bytes of `pending` that hold no end of line.
    scanned: usize,
    line: u64,
    /// `\.` was read: the rest is not data.
    ended: bool,
    row: Row,
}

impl TextDecoder {
    pub fn new(options: &PostgresCopy) -> TextDecoder {
        TextDecoder {
            delimiter: options.delimiter,
            null: options.null.clone().into_bytes(),
            header: options.header,
            header_match: options.header_match,
            line_end: LineEnd::Unknown,
            pending: vec![],
            scanned: 0,
            line: 0,
            ended: false,
            row: Row::default(),
        }
    }

    pub fn feed(&mut self, data: &[u8], rows: &mut Batches) -> Result<(), Fault> {
        if self.ended {
            return Ok(());
        }
        self.pending.extend_from_slice(data);
        let pending = std::mem::take(&mut self.pending);
        let mut start = 0;
        while let Some((end, next)) = self.find_end(&pending)? {
            self.take_line(&pending[start..end], rows)?;
            start = next;
            if self.ended {
                return Ok(());
            }
        }
        self.pending = pending;
        self.pending.drain(..start);
        self.scanned -= start;
        if self.pending.len() > MAX_ROW_BYTES {
            return Err(bad_data("a line is longer than 256 MiB", self.line + 1));
        }
        Ok(())
    }

    pub fn finish(&mut self, rows: &mut Batches) -> Result<(), Fault> {
        let pending = std::mem::take(&mut self.pending);
        let last = match self.line_end {
            LineEnd::Unknown | LineEnd::Both => pending.strip_suffix(b"\r").unwrap_or(&pending),
            _ => &pending,
        };
        if self.ended || pending.is_empty() { Ok(()) } else { self.take_line(last, rows) }
    }

    /// The next end of line at or after `scanned`: where the line ends, and where the next one begins.
    fn find_end(&mut self, bytes: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
        loop {
            let Some(at) = memchr3(b'\\', b'\n', b'\r', bytes.get(self.scanned..).unwrap_or_default()) else {
                self.scanned = bytes.len().max(self.scanned);
                return Ok(None);
            };
            let at = self.scanned + at;
            self.scanned = at;
            let next = bytes.get(at + 1).copied();
            match (bytes[at], next, self.line_end) {
                // An escaped byte, whatever it is; it may not have come yet.
                (b'\\', Some(_), _) => self.scanned = at + 2,
                (b'\\', None, _) => return Ok(None),
                (b'\n', _, LineEnd::Unknown | LineEnd::Newline) => {
                    self.line_end = LineEnd::Newline;
                    self.scanned = at + 1;
                    return Ok(Some((at, at + 1)));
                }
                (b'\n', _, _) => return Err(self.literal("newline", "\\n")),
                (b'\r', None, LineEnd::Unknown | LineEnd::Both) => return Ok(None),
                (b'\r', Some(b'\n'), LineEnd::Unknown | LineEnd::Both) => {
                    self.line_end = LineEnd::Both;
                    self.scanned = at + 2;
                    return Ok(Some((at, at + 2)));
                }
                (b'\r', _, LineEnd::Unknown | LineEnd::CarriageReturn) => {
                    self.line_end = LineEnd::CarriageReturn;
                    self.scanned = at + 1;
                    return Ok(Some((at, at + 1)));
                }
                _ => return Err(self.literal("carriage return", "\\r")),
            }
        }
    }

    fn literal(&self, name: &str, escape: &str) -> Fault {
        bad_data(format!("literal {name} found in data"), self.line + 1).with_hint(format!("Use \"{escape}\" to represent {name}."))
    }

    fn take_line(&mut self, line: &[u8], rows: &mut Batches) -> Result<(), Fault> {
        self.line += 1;
        if line == b"\\." {
            self.ended = true;
            return Ok(());
        }
        let header = std::mem::take(&mut self.header);
        if header && !self.header_match {
            return Ok(());
        }
        self.row.clear();
        let (mut at, mut field) = (0, 0);
        loop {
            match line.get(at) {
                None => break,
                Some(&b) if b == self.delimiter => {
                    self.end_field(&line[field..at]);
                    field = at + 1;
                    at += 1;
                }
                Some(b'\\') if at + 1 < line.len() => {
                    let (byte, used) = unescape(&line[at + 1..]);
                    self.row.data.push(byte);
                    at += 1 + used;
                }
                Some(&b) => {
                    self.row.data.push(b);
                    at += 1;
                }
            }
        }
        self.end_field(&line[field..]);
        if header { rows.check_header(&self.row, self.line) } else { rows.push(&self.row, self.line) }
    }

    /// NULL is known by the bytes as they came, before escapes.
    fn end_field(&mut self, raw: &[u8]) {
        let null = raw == self.null;
        if null {
            self.row.data.truncate(self.row.field_start());
        }
        self.row.end_field(null);
    }
}

/// The byte that an escape means, and how many bytes after the backslash it takes. `rest` is not empty.
fn unescape(rest: &[u8]) -> (u8, usize) {
    let digits = |from: usize, most: usize, radix: u32| {
        let digits = rest[from..].iter().take(most).map_while(|b| (*b as char).to_digit(radix));
        digits.fold((0u32, from), |(n, used), digit| (n * radix + digit, used + 1))
    };
    match rest[0] {
        b'b' => (0x08, 1),
        b'f' => (0x0c, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'v' => (0x0b, 1),
        b'0'..=b'7' => {
            let (value, used) = digits(0, 3, 8);
            (value as u8, used)
        }
        b'x' if rest.get(1).is_some_and(u8::is_ascii_hexdigit) => {
            let (value, used) = digits(1, 2, 16);
            (value as u8, used)
        }
        other => (other, 1),
    }
}
