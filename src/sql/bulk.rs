//! Types of the statements that move data in bulk: COPY and LOAD DATA, with their options resolved.

use super::ddl::Name;
use super::statement::Query;

/// PostgreSQL's COPY.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    pub source: CopySource,
    /// FROM: data comes in. TO: data goes out.
    pub from: bool,
    pub target: CopyTarget,
    pub options: CopyOptions,
}

/// What COPY copies.
#[allow(clippy::large_enum_variant)] // one of them a statement
#[derive(Debug, Clone, PartialEq)]
pub enum CopySource {
    /// A table; no columns: all of them.
    Table { name: Name, columns: Vec<String> },
    /// `(query)`.
    Query(Query),
}

/// The other end of a COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyTarget {
    /// STDIN or STDOUT: the client.
    Client,
    /// A file of the server's.
    File(String),
    /// A program on the server.
    Program(String),
}

/// The three formats of COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyLayout {
    Text,
    Csv,
    Binary,
}

/// Options of PostgreSQL's COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOptions {
    /// text, csv or binary.
    pub layout: CopyLayout,
    /// Between fields; one byte.
    pub delimiter: u8,
    /// The text that stands for NULL.
    pub null: String,
    /// A first line with names.
    pub header: bool,
    /// The names in it must be those of the columns.
    pub header_match: bool,
    /// csv only; one byte each.
    pub quote: u8,
    /// csv only.
    pub escape: u8,
}

impl CopyOptions {
    /// The defaults of a format.
    pub fn of(layout: CopyLayout) -> CopyOptions {
        let csv = layout == CopyLayout::Csv;
        CopyOptions {
            layout,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { String::new() } else { "\\N".into() },
            header: false,
            header_match: false,
            quote: b'"',
            escape: b'"',
        }
    }
}

/// MySQL's LOAD DATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// LOCAL: the client sends the file.
    pub local: bool,
    pub file: String,
    pub table: Name,
    /// The columns that the file brings; none: all of them.
    pub columns: Vec<String>,
    /// REPLACE or IGNORE, as for INSERT.
    pub duplicates: Option<Duplicates>,
    pub options: LoadOptions,
}

/// What a load does with rows that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Duplicates {
    Replace,
    Ignore,
}

/// Options of MySQL's LOAD DATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// FIELDS TERMINATED BY; default a tab.
    pub field_terminator: Vec<u8>,
    /// FIELDS [OPTIONALLY] ENCLOSED BY; none by default.
    pub enclosed_by: Option<u8>,
    /// FIELDS ESCAPED BY; default a backslash.
    pub escaped_by: Option<u8>,
    /// LINES STARTING BY.
    pub line_prefix: Vec<u8>,
    /// LINES TERMINATED BY; default a newline.
    pub line_terminator: Vec<u8>,
    /// IGNORE n LINES.
    pub skip_lines: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            field_terminator: b"\t".to_vec(),
            enclosed_by: None,
            escaped_by: Some(b'\\'),
            line_prefix: Vec::new(),
            line_terminator: b"\n".to_vec(),
            skip_lines: 0,
        }
    }
}
