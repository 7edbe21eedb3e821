//! The snapshot from which the virtual tables are filled: everything that one statement can ask for.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::gms::{Catalog, Database, FileStorage, FileVersion, Table, TableId, View};
use crate::types::{Column, fold};

/// Databases, tables, views and storages, each sorted by name.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    pub databases: Vec<Arc<Database>>,
    pub tables: Vec<Arc<Table>>,
    pub views: Vec<Arc<View>>,
    pub storages: Vec<Arc<FileStorage>>,
}

impl From<&Catalog> for Metadata {
    fn from(catalog: &Catalog) -> Metadata {
        Metadata {
            databases: catalog.databases().cloned().collect(),
            tables: catalog.all_tables().cloned().collect(),
            views: catalog.databases().flat_map(|d| catalog.views(&d.name)).cloned().collect(),
            storages: catalog.storages().cloned().collect(),
        }
    }
}

impl Metadata {
    /// The table of this name.
    pub fn table(&self, database: &str, name: &str) -> Option<&Arc<Table>> {
        self.tables.iter().find(|t| crate::types::same(&t.database, database) && crate::types::same(&t.name, name))
    }

    /// The view of this name.
    pub fn view(&self, database: &str, name: &str) -> Option<&Arc<View>> {
        self.views.iter().find(|v| crate::types::same(&v.database, database) && crate::types::same(&v.name, name))
    }

    /// The database of this name.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.iter().find(|d| crate::types::same(&d.name, name))
    }
}

/// One connection, for PROCESSLIST and pg_stat_activity. Its statement has its literals removed.
#[derive(Debug, Clone)]
pub struct Process {
    pub id: u32,
    pub user: String,
    /// Address and port of the client.
    pub host: String,
    pub database: Option<String>,
    /// `Sleep` or `Query`.
    pub command: String,
    /// Since when it does that.
    pub since: Timestamp,
    pub started: Timestamp,
    pub state: String,
    pub statement: Option<String>,
    pub application: String,
    pub in_transaction: bool,
}

/// One variable or setting, for pg_settings and performance_schema's variables.
#[derive(Debug, Clone, Default)]
pub struct SettingRow {
    pub name: String,
    pub value: String,
    /// MySQL: the value of a fresh session; None: a variable that only sessions have.
    pub global: Option<String>,
    /// pg_settings.boot_val.
    pub built_in: String,
    /// pg_settings.reset_val.
    pub initial: String,
    pub description: String,
    /// pg_settings.context: `user`, `internal`, `postmaster`.
    pub context: String,
    /// pg_settings.vartype: `bool`, `integer`, `real`, `string`, `enum`.
    pub vartype: String,
    pub min: Option<String>,
    pub max: Option<String>,
    pub words: Option<Vec<String>>,
}

/// How large a table is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableSize {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// Everything that a virtual table may show.
#[derive(Clone)]
pub struct CatalogSnapshot {
    pub metadata: Metadata,
    /// The columns of views, by folded (database, view); a view that is missing here has none to show.
    pub view_columns: HashMap<(String, String), Vec<Column>>,
    /// The session's user and current database.
    pub user: String,
    pub database: Option<String>,
    /// All users' names.
    pub users: Vec<String>,
    /// The session's number.
    pub connection_id: u32,
    /// The client's address, without port.
    pub client_host: String,
    pub settings: Vec<SettingRow>,
    /// Status counters, for SHOW STATUS.
    pub status: Vec<(String, String)>,
    pub processes: Vec<Process>,
    /// All file versions, when [`super::needs_files`] says so.
    pub files: Vec<Arc<FileVersion>>,
    /// Sizes by table, when [`super::needs_sizes`] says so.
    pub sizes: HashMap<TableId, TableSize>,
    /// The session's zone: times of information_schema are shown in it.
    pub zone: TimeZone,
    pub now: Timestamp,
    /// When the server started.
    pub started: Timestamp,
}

impl CatalogSnapshot {
    /// A snapshot with this metadata and nothing else.
    pub fn new(metadata: Metadata, user: impl Into<String>, database: Option<String>) -> CatalogSnapshot {
        let user = user.into();
        CatalogSnapshot {
            metadata,
            view_columns: HashMap::new(),
            users: vec![user.clone()],
            user,
            database,
            connection_id: 1,
            client_host: "localhost".into(),
            settings: Vec::new(),
            status: Vec::new(),
            processes: Vec::new(),
            files: Vec::new(),
            sizes: HashMap::new(),
            zone: TimeZone::UTC,
            now: Timestamp::now(),
            started: Timestamp::now(),
        }
    }

    /// The columns of a view.
    pub fn columns_of_view(&self, view: &View) -> &[Column] {
        self.view_columns.get(&(fold(&view.database), fold(&view.name))).map_or(&[], Vec::as_slice)
    }

    /// Size of a table; zeros when it was not asked for.
    pub fn size(&self, table: TableId) -> TableSize {
        self.sizes.get(&table).copied().unwrap_or_default()
    }

    /// A moment as microseconds of the session's local clock, for DATETIME columns.
    pub fn local_micros(&self, at: Timestamp) -> i64 {
        at.as_microsecond() + i64::from(self.zone.to_offset(at).seconds()) * 1_000_000
    }

    /// The table with this identity.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.metadata.tables.iter().find(|t| t.id == id)
    }
}
