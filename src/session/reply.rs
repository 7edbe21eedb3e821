//! What a statement answers, before a wire gives it bytes.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use futures::stream::BoxStream;

use crate::error::Result;
use crate::types::ColumnInfo;

/// The answer of one statement.
pub enum Reply {
    /// A result set.
    Rows(Rows),
    /// Done, without rows.
    Done(Outcome),
    /// The client is to send data: `COPY .. FROM STDIN`, `LOAD DATA LOCAL INFILE`.
    CopyIn(CopyIn),
    /// The client is to receive data: `COPY .. TO STDOUT`.
    CopyOut(CopyOut),
}

/// A result set that streams. The stream ends with an error when the statement is killed or runs too long;
/// dropping it stops the work.
pub struct Rows {
    /// The columns, in order.
    pub columns: Arc<[ColumnInfo]>,
    /// Batches whose columns have the Arrow types that `columns` say.
    pub batches: BoxStream<'static, Result<RecordBatch>>,
    /// First word of PostgreSQL's command tag: `SELECT`, `SHOW`, `EXPLAIN`.
    pub verb: &'static str,
}

/// What a statement without rows did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows affected.
    pub affected: u64,
    /// Rows found, when an UPDATE left some of them as they were: what MySQL's CLIENT_FOUND_ROWS asks for.
    pub matched: Option<u64>,
    /// MySQL's last insert id; 0: none.
    pub last_insert_id: u64,
    /// PostgreSQL's command tag, whole: `INSERT 0 5`, `CREATE TABLE`, `BEGIN`.
    pub tag: String,
    /// MySQL's info text: `Records: 3  Duplicates: 0  Warnings: 0`.
    pub info: String,
}

impl Outcome {
    /// Nothing affected, with this tag.
    pub fn tag(tag: impl Into<String>) -> Outcome {
        Outcome { tag: tag.into(), ..Outcome::default() }
    }
}

/// A bulk load that waits for the client's data.
pub struct CopyIn {
    /// The table's columns that the data brings, in order.
    pub columns: Arc<[ColumnInfo]>,
    /// How the bytes are laid out.
    pub format: CopyFormat,
    /// `LOAD DATA LOCAL INFILE`: the file that the client is to send.
    pub local_file: Option<String>,
    /// Takes the decoded rows.
    pub sink: Box<dyn CopySink>,
}

/// Where decoded bulk rows go. Dropping it without `finish` undoes the load.
#[async_trait]
pub trait CopySink: Send {
    /// Takes rows: one column for each of `CopyIn::columns`, either of its Arrow type or Utf8 text of the session's
    /// dialect (NULL is NULL), which is read into the type. Waits when the load is ahead of the store.
    async fn write(&mut self, rows: RecordBatch) -> Result<()>;
    /// All data came: makes the load part of the transaction (or commits it).
    async fn finish(self: Box<Self>) -> Result<Outcome>;
}

/// A bulk export.
pub struct CopyOut {
    /// How the client wants it.
    pub format: CopyFormat,
    /// The rows.
    pub rows: Rows,
}

/// The layout of bulk data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyFormat {
    /// PostgreSQL's `COPY` in its three formats.
    Postgres(PostgresCopy),
    /// MySQL's `LOAD DATA`.
    MySql(LoadData),
}

/// Options of PostgreSQL's COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresCopy {
    /// text, csv or binary.
    pub layout: CopyLayout,
    /// Between fields; one byte.
    pub delimiter: u8,
    /// The text that stands for NULL.
    pub null: String,
    /// A first line with names.
    pub header: bool,
    /// The names in it must be those of the columns (input only).
    pub header_match: bool,
    /// csv only; one byte each.
    pub quote: u8,
    /// csv only.
    pub escape: u8,
}

/// The three formats of COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyLayout {
    Text,
    Csv,
    Binary,
}

/// Options of MySQL's LOAD DATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadData {
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

/// A piece of exported or imported bulk data.
pub type Chunk = Bytes;
