//! What the metadata room speaks about: tables, file versions, changes, plans. Plain data, no I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time::Tso;
use crate::types::{Column, FileStats};

/// A cold table, for ever: a rename or a stay in the recycle bin keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u64);

/// One file version (a row of `files`), never reused. A restored file is a new version of the same object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u64);

/// A piece of work that writes objects; the sweeper finds its leftovers by this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// A database (MySQL) = schema `public` of a database (PostgreSQL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// As declared, case kept.
    pub name: String,
    /// When it was created.
    pub created: Tso,
}

/// A table's columns from `ts` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The moment of the CREATE or ALTER.
    pub ts: Tso,
    /// All columns, in order.
    pub columns: Vec<Column>,
}

/// A declared key. Cold tables do not enforce keys: documentation only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `PRIMARY` for a primary key.
    pub name: String,
    /// Column names, in order.
    pub columns: Vec<String>,
    /// Declared UNIQUE?
    pub unique: bool,
    /// Declared PRIMARY KEY?
    pub primary: bool,
}

/// A cold table as of the last refresh.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Identity.
    pub id: TableId,
    /// Its database, as declared.
    pub database: String,
    /// Its name, as declared; in the recycle bin the bin's name.
    pub name: String,
    /// Engine name of the file storage that takes new files, upper case.
    pub engine: String,
    /// The moment of CREATE TABLE.
    pub created: Tso,
    /// The moment of DROP TABLE, while it lies in the recycle bin.
    pub dropped: Option<Tso>,
    /// Oldest first; never empty.
    pub schemas: Vec<SchemaVersion>,
    /// Declared keys.
    pub keys: Vec<Key>,
    /// `COMMENT '..'`.
    pub comment: String,
    /// Whatever else the statement said, for SHOW CREATE TABLE.
    pub options: serde_json::Value,
}

impl Table {
    /// The newest columns.
    pub fn columns(&self) -> &[Column] {
        self.schemas.last().map_or(&[], |s| &s.columns)
    }

    /// The columns at `t`; before the table existed, its first ones.
    pub fn columns_at(&self, t: Tso) -> &[Column] {
        let after = self.schemas.partition_point(|s| s.ts <= t);
        self.schemas.get(after.saturating_sub(1)).map_or(&[], |s| &s.columns)
    }

    /// The moment of the newest columns: what a writer names in [`Change::expect_schema`].
    pub fn schema_ts(&self) -> Tso {
        self.schemas.last().map_or(Tso::MIN, |s| s.ts)
    }
}

/// A table to be created.
#[derive(Debug, Clone)]
pub struct NewTable {
    /// An existing database.
    pub database: String,
    /// Free in that database.
    pub name: String,
    /// Engine name of an existing file storage.
    pub engine: String,
    /// At least one; ids given by the caller, unique.
    pub columns: Vec<Column>,
    /// Declared keys.
    pub keys: Vec<Key>,
    /// `COMMENT '..'`.
    pub comment: String,
    /// Whatever else is to be kept.
    pub options: serde_json::Value,
    /// Only for building the demo's history: a moment in the past. None: now.
    pub at: Option<Tso>,
}

/// A view. Its text is run with the outer read time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its database, as declared.
    pub database: String,
    /// Its name, as declared; shares the name space of tables.
    pub name: String,
    /// The query's text.
    pub definition: String,
    /// The dialect of the text: `mysql` or `postgres`.
    pub dialect: String,
    /// When it was created or last replaced.
    pub created: Tso,
}

/// One ORC file with its life `[commit_ts, remove_ts)`.
#[derive(Debug, Clone, PartialEq)]
pub struct FileVersion {
    /// Identity of the version.
    pub id: FileId,
    /// Its table.
    pub table: TableId,
    /// File storage that holds the object.
    pub engine: String,
    /// Object path relative to the storage's root.
    pub path: String,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the object.
    pub bytes: u64,
    /// Visible from this moment on.
    pub commit_ts: Tso,
    /// No more visible from this moment on.
    pub remove_ts: Option<Tso>,
    /// The table's schema version the file was written with.
    pub schema_ts: Tso,
    /// Wall time at which the row was made.
    pub created: Timestamp,
    /// What queries prune by.
    pub stats: Arc<FileStats>,
}

/// A file whose object is durable, to become visible with a [`Change`].
#[derive(Debug, Clone)]
pub struct NewFile {
    /// From `register_file`.
    pub id: FileId,
    /// The table it was registered for.
    pub table: TableId,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the object.
    pub bytes: u64,
    /// The table's schema version it was written with.
    pub schema_ts: Tso,
    /// Column statistics.
    pub stats: FileStats,
}

/// File changes that become visible at one moment.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The task that registered the new files; it ends with the commit.
    pub task: Option<TaskId>,
    /// Files that appear.
    pub add: Vec<NewFile>,
    /// Files that disappear; one that is gone already makes the commit a write conflict.
    pub remove: Vec<(TableId, FileId)>,
    /// Tables whose newest schema must still be this one, or the commit is a write conflict.
    pub expect_schema: Vec<(TableId, Tso)>,
    /// Only for building the demo's history: a past moment after all that the tables hold. None: now.
    pub at: Option<Tso>,
}

/// The file versions of a table that are visible at a read time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The table as of the last refresh.
    pub table: Arc<Table>,
    /// The read time.
    pub at: Tso,
    /// The table's columns at that time.
    pub columns: Vec<Column>,
    /// In commit order.
    pub files: Vec<Arc<FileVersion>>,
    /// Reads below this are errors.
    pub horizon: Tso,
    /// How many versions the table has in all.
    pub total_versions: usize,
}

/// What a file storage statement works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All tables of a file storage.
    Engine(String),
    /// One table.
    Table(TableId),
}

/// A dropped table in the recycle bin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binned {
    /// Number of the bin's row.
    pub id: u64,
    /// `FILE_STORAGE_BIN_` and 20 characters.
    pub name: String,
    /// The name it had.
    pub original_name: String,
    /// The database it was in.
    pub database: String,
    /// The table itself.
    pub table: TableId,
    /// The moment of the DROP.
    pub created: Tso,
}

/// What a purge does to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeTable {
    /// The table.
    pub table: TableId,
    /// Its database.
    pub database: String,
    /// Its name (the bin's name when binned).
    pub name: String,
    /// Does the table itself go, out of the recycle bin?
    pub binned: bool,
    /// File versions that go.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Horizon before the purge.
    pub horizon_before: Tso,
    /// Horizon after it.
    pub horizon_after: Tso,
}

/// What a purge would do. Nothing is done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgePlan {
    /// File versions removed before this time go.
    pub before: Tso,
    /// Every table in scope, also those that lose nothing: their horizon moves.
    pub tables: Vec<PurgeTable>,
    /// Dropped tables that leave the recycle bin.
    pub binned: Vec<Binned>,
    /// File versions that go, in all.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// What a purge, a clear or an emptied bin did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgeResult {
    /// File versions that went.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Objects that no version points to any more; the sweeper deletes them after their delay.
    pub objects: u64,
    /// Tables that went.
    pub tables: u64,
    /// The horizon of the tables in scope is at least this now (purge only).
    pub horizon: Option<Tso>,
}

/// What a trim does to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrimTable {
    /// The table.
    pub table: TableId,
    /// Its database.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Files visible now that will not be.
    pub files_removed: u64,
    /// Rows in them.
    pub rows_removed: u64,
    /// Bytes in them.
    pub bytes_removed: u64,
    /// Files not visible now that come back.
    pub files_restored: u64,
    /// Rows in them.
    pub rows_restored: u64,
    /// Bytes in them.
    pub bytes_restored: u64,
    /// The table's horizon.
    pub horizon: Tso,
}

/// What a trim would do. Nothing is done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrimPlan {
    /// The time to go back to.
    pub to: Tso,
    /// Every table in scope.
    pub tables: Vec<TrimTable>,
}

/// What a trim did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrimResult {
    /// The moment from which the state of the target time is seen again.
    pub at: Tso,
    /// The effect by table.
    pub tables: Vec<TrimTable>,
    /// FORCE: objects that no version points to any more.
    pub objects: u64,
}

/// Is a file storage in use?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StorageStatus {
    /// 0
    Disabled,
    /// 1
    Running,
    /// 2
    ReadOnly,
}

impl StorageStatus {
    /// PolarDB-X's number.
    pub fn code(self) -> i64 {
        match self {
            StorageStatus::Disabled => 0,
            StorageStatus::Running => 1,
            StorageStatus::ReadOnly => 2,
        }
    }

    /// From PolarDB-X's number.
    pub fn of_code(code: i64) -> Option<StorageStatus> {
        Some(match code {
            0 => StorageStatus::Disabled,
            1 => StorageStatus::Running,
            2 => StorageStatus::ReadOnly,
            _ => return None,
        })
    }
}

/// A registered object store.
#[derive(Clone, PartialEq, Eq)]
pub struct FileStorage {
    /// Upper case: `OSS`, `S3`, `LOCAL_DISK`, ..
    pub engine: String,
    /// `FILE_URI`, with its scheme.
    pub uri: String,
    /// The other keys of CREATE FILESTORAGE, upper case, secrets included.
    pub options: BTreeMap<String, String>,
    /// STATUS.
    pub status: StorageStatus,
    /// PRIORITY: the highest wins.
    pub priority: i64,
    /// DELETE_POLICY: 0 never, 1 master only, 2 both.
    pub delete_policy: i64,
    /// When it was registered.
    pub created: Timestamp,
}

/// Options whose values are never shown.
pub const SECRET_OPTIONS: [&str; 3] = ["ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "AZURE_CONNECTION_STRING"];

impl FileStorage {
    /// A running storage without options.
    pub fn new(engine: &str, uri: &str) -> FileStorage {
        FileStorage {
            engine: engine.to_uppercase(),
            uri: uri.to_owned(),
            options: BTreeMap::new(),
            status: StorageStatus::Running,
            priority: 1,
            delete_policy: 1,
            created: Timestamp::now(),
        }
    }
}

impl fmt::Debug for FileStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = |key: &String| SECRET_OPTIONS.iter().any(|s| s.eq_ignore_ascii_case(key));
        let options: BTreeMap<_, _> =
            self.options.iter().map(|(key, value)| (key, if secret(key) { "***" } else { value.as_str() })).collect();
        // A URI may carry user:password@.
        let uri = match (self.uri.find("://"), self.uri.rfind('@')) {
            (Some(start), Some(at)) if at > start => format!("{}***{}", &self.uri[..start + 3], &self.uri[at..]),
            _ => self.uri.clone(),
        };
        f.debug_struct("FileStorage")
            .field("engine", &self.engine)
            .field("uri", &uri)
            .field("options", &options)
            .field("status", &self.status)
            .field("priority", &self.priority)
            .field("delete_policy", &self.delete_policy)
            .finish_non_exhaustive()
    }
}

/// An object that no row points to any more: to be deleted by the sweeper, then forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// Number of the garbage row.
    pub id: u64,
    /// File storage that holds the object.
    pub engine: String,
    /// Object path relative to the storage's root.
    pub path: String,
}

/// A user of this Flashgate. The verifier is opaque here.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredUser {
    /// Name, compared exactly.
    pub name: String,
    /// Verifiers as JSON; never a password.
    pub verifier: String,
}

impl fmt::Debug for StoredUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredUser").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_never_prints_its_secrets() {
        let mut storage = FileStorage::new("oss", "s3://user:hunter2@bucket/x/");
        for key in SECRET_OPTIONS {
            storage.options.insert(key.to_owned(), format!("hidden-{key}"));
        }
        storage.options.insert("ENDPOINT".to_owned(), "http://localhost:8333".to_owned());
        let text = format!("{storage:?}");
        assert!(!text.contains("hidden-") && !text.contains("hunter2"), "{text}");
        assert!(text.contains("http://localhost:8333"), "{text}");
    }

    #[test]
    fn columns_at_a_time_are_those_of_the_last_schema_before_it() {
        let column = |id| Column {
            id,
            name: format!("c{id}"),
            ty: crate::types::SqlType::Text,
            nullable: true,
            default: None,
            comment: String::new(),
        };
        let table = Table {
            id: TableId(1),
            database: "d".into(),
            name: "t".into(),
            engine: "OSS".into(),
            created: Tso(10),
            dropped: None,
            schemas: vec![
                SchemaVersion { ts: Tso(10), columns: vec![column(1)] },
                SchemaVersion { ts: Tso(20), columns: vec![column(1), column(2)] },
            ],
            keys: vec![],
            comment: String::new(),
            options: serde_json::Value::Null,
        };
        for (t, n) in [(5, 1), (10, 1), (19, 1), (20, 2), (99, 2)] {
            assert_eq!(table.columns_at(Tso(t)).len(), n, "at {t}");
        }
        assert_eq!((table.columns().len(), table.schema_ts()), (2, Tso(20)));
    }
}
