//! The SQLite back end: one writer connection, a few readers, write-ahead log, every commit synced to disk.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use parking_lot::Mutex;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Row as _, TypeInfo as _, ValueRef as _};

use super::{Backend, Cell, Dialect, Row, RowSink, Statement, Transaction};
use crate::error::{Error, Kind, Result};

/// How long a writer waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a statement waits for a pooled connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(60);
const READERS: u32 = 4;

pub(super) struct Sqlite {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    /// Locked while this process is the owner; the system lets go of it when the process ends, however it ends.
    owner: Mutex<Option<File>>,
}

impl Sqlite {
    /// Opens the file, making it (and its folder) when it is not there; only its owner may read it, for it holds access keys.
    pub(super) async fn open(path: &str) -> Result<Sqlite> {
        let path = PathBuf::from(path);
        if path.as_os_str().is_empty() || path.to_string_lossy().starts_with(":memory:") {
            return Err(Error::new(Kind::WrongValue, "the metadata database needs a file: sqlite:PATH"));
        }
        create_private(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(false)
            .statement_cache_capacity(200);
        let pool = |max: u32| SqlitePoolOptions::new().max_connections(max).min_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
        let error = |e| explain(&path, e);
        // The writer first: it makes the file and switches it to the write-ahead log.
        let writer = pool(1).idle_timeout(None).max_lifetime(None).connect_with(options.clone()).await.map_err(error)?;
        sqlx::query("SELECT count(*) FROM sqlite_schema").fetch_one(&writer).await.map_err(error)?;
        let readers = pool(READERS).connect_with(options.pragma("query_only", "ON")).await.map_err(error)?;
        Ok(Sqlite { path, writer, readers, owner: Mutex::new(None) })
    }
}

fn create_private(path: &Path) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::new(Kind::Metadata, format!("the metadata database {} cannot be opened: {e}", path.display()))
            .with_hint("check the folder, its owner and the free space")
    };
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(failed)
}

/// Says which file and what to do. SQLite's own text names tables and columns but never values.
fn explain(path: &Path, error: sqlx::Error) -> Error {
    let file = path.display();
    // Result codes: https://www.sqlite.org/rescode.html; the low byte is the primary one.
    let code = error.as_database_error().and_then(|e| e.code()?.parse::<i32>().ok()).map(|code| code & 0xff);
    let (what, hint) = match (code, &error) {
        (Some(5 | 6), _) => ("is locked by another process", "end that process or let it finish, then try again"),
        (Some(11 | 26), _) => ("is damaged or not a metadata database", "restore it from a backup, or try sqlite3's .recover on a copy"),
        (Some(13), _) => ("cannot be written: the disk is full", "free some space, then try again"),
        (Some(8), _) => ("is read-only", "make the file and its folder writable"),
        (Some(10), _) => ("cannot be read or written", "check the disk and the system's log"),
        (Some(14), _) => ("cannot be opened", "check the path, its owner and its rights"),
        (_, sqlx::Error::PoolTimedOut) => ("does not answer: all connections are busy", "a long purge may be running; try again"),
        (_, sqlx::Error::PoolClosed) => ("is closed", "the server is shutting down"),
        _ => ("does not answer as it should", "check the file and the server's log"),
    };
    let detail = match &error {
        sqlx::Error::Database(e) => format!(": {}", e.message()),
        sqlx::Error::Io(e) => format!(": {e}"),
        _ => String::new(),
    };
    Error::new(Kind::Metadata, format!("the metadata database {file} {what}{detail}")).with_hint(hint)
}

fn neutral(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    let mut cells = Vec::with_capacity(row.len());
    for i in 0..row.len() {
        let raw = row.try_get_raw(i)?;
        cells.push(if raw.is_null() {
            Cell::Null
        } else {
            match raw.type_info().name() {
                "REAL" => Cell::Float(row.try_get_unchecked(i)?),
                "TEXT" => Cell::Text(row.try_get_unchecked(i)?),
                "BLOB" => Cell::Bytes(row.try_get_unchecked(i)?),
                _ => Cell::Int(row.try_get_unchecked(i)?),
            }
        });
    }
    Ok(Row(cells))
}

async fn fetch<'c, E>(path: &Path, executor: E, statement: Statement, sink: RowSink<'_>) -> Result<()>
where
    E: sqlx::Executor<'c, Database = sqlx::Sqlite>,
{
    let mut rows = sqlx::query_with(AssertSqlSafe(statement.sql), statement.values).fetch(executor);
    while let Some(row) = rows.try_next().await.map_err(|e| explain(path, e))? {
        sink(neutral(&row).map_err(|e| explain(path, e))?)?;
    }
    Ok(())
}

#[async_trait]
impl Backend for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn fetch(&self, statement: Statement, sink: RowSink<'_>) -> Result<()> {
        fetch(&self.path, &self.readers, statement, sink).await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        let tx = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|e| explain(&self.path, e))?;
        Ok(Box::new(SqliteTransaction { path: self.path.clone(), tx }))
    }

    async fn own(&self) -> Result<()> {
        let mut owner = self.owner.lock();
        if owner.is_some() {
            return Ok(());
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".owner");
        let failed = |e: std::io::Error| Error::new(Kind::Metadata, format!("cannot lock {}: {e}", Path::new(&name).display()));
        let file = OpenOptions::new().create(true).append(true).open(&name).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                *owner = Some(file);
                Ok(())
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(Error::new(Kind::Refused, format!("the metadata database {} is in use by another Flashgate", self.path.display()))
                    .with_hint("connect to that server, or stop it first"))
            }
            Err(std::fs::TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        self.owner.lock().take();
    }
}

struct SqliteTransaction {
    path: PathBuf,
    tx: sqlx::Transaction<'static, sqlx::Sqlite>,
}

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn fetch(&mut self, statement: Statement, sink: RowSink<'_>) -> Result<()> {
        fetch(&self.path, &mut *self.tx, statement, sink).await
    }

    async fn execute(&mut self, statement: Statement) -> Result<(u64, u64)> {
        let done = sqlx::query_with(AssertSqlSafe(statement.sql), statement.values)
            .execute(&mut *self.tx)
            .await
            .map_err(|e| explain(&self.path, e))?;
        Ok((done.rows_affected(), u64::try_from(done.last_insert_rowid()).unwrap_or(0)))
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let path = self.path;
        self.tx.commit().await.map_err(|e| explain(&path, e))
    }
}
