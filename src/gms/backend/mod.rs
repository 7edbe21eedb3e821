//! Where the metadata lies. A back end runs statements that `queries` wrote once with sea-query; it knows a dialect,
//! transactions and its own errors, and nothing of what the tables mean. SQLite now; MySQL and PostgreSQL fit the same traits.

mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use sea_query::{
    DeleteStatement, IndexCreateStatement, InsertStatement, SelectStatement, SqliteQueryBuilder, TableCreateStatement, UpdateStatement,
};
use sea_query_sqlx::{SqlxBinder, SqlxValues};

use crate::error::{Error, Kind, Result};

/// A rendered statement with its values.
pub struct Statement {
    sql: String,
    values: SqlxValues,
}

/// How statements are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
}

/// A statement of sea-query's that can be rendered.
pub trait Render {
    /// In this dialect.
    fn render(&self, dialect: Dialect) -> Statement;
}

macro_rules! render {
    ($($statement:ty),*) => { $(
        impl Render for $statement {
            fn render(&self, dialect: Dialect) -> Statement {
                let (sql, values) = match dialect { Dialect::Sqlite => self.build_sqlx(SqliteQueryBuilder) };
                Statement { sql, values }
            }
        }
    )* };
}
render!(SelectStatement, InsertStatement, UpdateStatement, DeleteStatement);

macro_rules! render_definition {
    ($($statement:ty),*) => { $(
        impl Render for $statement {
            fn render(&self, dialect: Dialect) -> Statement {
                let sql = match dialect { Dialect::Sqlite => self.build(SqliteQueryBuilder) };
                Statement { sql, values: SqlxValues(sea_query::Values(Vec::new())) }
            }
        }
    )* };
}
render_definition!(TableCreateStatement, IndexCreateStatement);

/// One value of a row, without its back end.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// One row of an answer; columns are counted from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<Cell>);

impl Row {
    fn wrong(&self, column: usize, want: &str) -> Error {
        let found = match self.0.get(column) {
            None => "nothing",
            Some(Cell::Null) => "NULL",
            Some(Cell::Int(_)) => "an integer",
            Some(Cell::Float(_)) => "a float",
            Some(Cell::Text(_)) => "text",
            Some(Cell::Bytes(_)) => "bytes",
        };
        Error::new(Kind::Metadata, format!("the metadata database holds {found} where {want} should be (column {column})"))
            .with_hint("it was written by another version or is damaged; restore it from a backup")
    }

    /// An integer.
    pub fn int(&self, column: usize) -> Result<i64> {
        match self.0.get(column) {
            Some(Cell::Int(v)) => Ok(*v),
            _ => Err(self.wrong(column, "an integer")),
        }
    }

    /// An integer that is not negative.
    pub fn u64(&self, column: usize) -> Result<u64> {
        u64::try_from(self.int(column)?).map_err(|_| self.wrong(column, "an integer from 0 on"))
    }

    /// An integer that is not negative, or NULL.
    pub fn opt_u64(&self, column: usize) -> Result<Option<u64>> {
        match self.0.get(column) {
            Some(Cell::Null) => Ok(None),
            _ => self.u64(column).map(Some),
        }
    }

    /// Text; NULL is the empty text.
    pub fn text(&self, column: usize) -> Result<String> {
        match self.0.get(column) {
            Some(Cell::Text(v)) => Ok(v.clone()),
            Some(Cell::Null) => Ok(String::new()),
            _ => Err(self.wrong(column, "text")),
        }
    }
}

/// Takes rows as they come.
pub type RowSink<'a> = &'a mut (dyn FnMut(Row) -> Result<()> + Send);

/// A metadata database.
#[async_trait]
pub trait Backend: Send + Sync {
    /// How to write for it.
    fn dialect(&self) -> Dialect;
    /// Reads the last committed state; never waits for a writer.
    async fn fetch(&self, statement: Statement, sink: RowSink<'_>) -> Result<()>;
    /// Starts a write transaction; waits for other writers. Dropping it rolls back.
    async fn begin(&self) -> Result<Box<dyn Transaction>>;
    /// Makes this process the one that hands out commit times, until it ends. Another owner is [`Kind::Refused`].
    async fn own(&self) -> Result<()>;
    /// Ends all connections.
    async fn close(&self);
}

/// A write transaction.
#[async_trait]
pub trait Transaction: Send {
    /// Reads, own changes included.
    async fn fetch(&mut self, statement: Statement, sink: RowSink<'_>) -> Result<()>;
    /// Writes; gives (rows affected, last generated id).
    async fn execute(&mut self, statement: Statement) -> Result<(u64, u64)>;
    /// Makes it durable. After an error it may or may not be.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// Opens the back end that the URL names.
pub async fn open(url: &str) -> Result<Arc<dyn Backend>> {
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::Sqlite::open(path.strip_prefix("//").unwrap_or(path)).await?)),
        _ => Err(Error::new(Kind::WrongValue, "the metadata database's URL is not one that Flashgate knows")
            .with_hint("write sqlite:PATH; MySQL and PostgreSQL are not supported yet")),
    }
}

/// A handle on a back end that takes unrendered statements.
#[derive(Clone)]
pub struct Db(Arc<dyn Backend>);

impl Db {
    /// Over an open back end.
    pub fn new(backend: Arc<dyn Backend>) -> Db {
        Db(backend)
    }

    /// The back end.
    pub fn backend(&self) -> &dyn Backend {
        &*self.0
    }

    /// All rows.
    pub async fn rows(&self, query: impl Render + Send) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.each(query, &mut |row| {
            rows.push(row);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// Each row as it comes.
    pub async fn each(&self, query: impl Render + Send, sink: RowSink<'_>) -> Result<()> {
        let statement = query.render(self.0.dialect());
        drop(query);
        self.0.fetch(statement, sink).await
    }

    /// A write transaction.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(Tx { tx: self.0.begin().await?, dialect: self.0.dialect() })
    }
}

/// A write transaction that takes unrendered statements. Dropping it rolls back.
pub struct Tx {
    tx: Box<dyn Transaction>,
    dialect: Dialect,
}

impl Tx {
    /// All rows, own changes included.
    pub async fn rows(&mut self, query: impl Render + Send) -> Result<Vec<Row>> {
        let statement = query.render(self.dialect);
        drop(query);
        let mut rows = Vec::new();
        self.tx
            .fetch(statement, &mut |row| {
                rows.push(row);
                Ok(())
            })
            .await?;
        Ok(rows)
    }

    /// Rows affected.
    pub async fn run(&mut self, query: impl Render + Send) -> Result<u64> {
        let statement = query.render(self.dialect);
        drop(query);
        Ok(self.tx.execute(statement).await?.0)
    }

    /// The id that an insert of one row generated.
    pub async fn insert(&mut self, query: InsertStatement) -> Result<u64> {
        let statement = query.render(self.dialect);
        drop(query);
        Ok(self.tx.execute(statement).await?.1)
    }

    /// Makes it durable. After an error it may or may not be.
    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await
    }
}
