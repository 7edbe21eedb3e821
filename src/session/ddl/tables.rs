//! Tables: made, renamed, dropped. Each statement is one moment, outside any transaction.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::gms::{Key, NewTable, Table};
use crate::session::call::Call;
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{ColumnDef, CreateTable, KeyDef, Name, Query};
use crate::store::DEFAULT_ENGINE;
use crate::types::coerce::default_value;
use crate::types::{Column, Family, SqlType, same};

/// What CREATE TABLE makes.
struct NewColumns {
    columns: Vec<Column>,
    keys: Vec<Key>,
    comment: String,
    engine: Option<String>,
    /// How many of the columns come before those that a query fills.
    leading: usize,
}

impl Session {
    pub(in crate::session) async fn create_table(&mut self, create: &CreateTable, call: &Call) -> Result<Reply> {
        if self.makes_hot(create) {
            return self.create_hot(create, call).await;
        }
        if create.temporary {
            return Err(Error::unsupported("a temporary table").with_hint("create an ordinary one and drop it"));
        }
        self.end_before_ddl("CREATE TABLE").await?;
        let (database, name) = self.namespace().table(&create.name.parts)?;
        self.ensure_database(&database).await?;
        let catalog = self.node.gms.catalog();
        if catalog.table(&database, &name).is_some() || catalog.view(&database, &name).is_some() {
            let message = self.exists(&name);
            if create.if_not_exists {
                self.diagnostics.note(1050, message);
                return Ok(Reply::Done(Outcome::tag("CREATE TABLE")));
            }
            return Err(Error::new(Kind::TableExists, message));
        }
        if !create.shadow && self.has_hot(&database, &name).await? {
            if create.if_not_exists {
                self.diagnostics.note(1050, self.exists(&name));
                return Ok(Reply::Done(Outcome::tag("CREATE TABLE")));
            }
            return Err(self.is_hot_error(&name));
        }
        if create.archive_mode.is_some() {
            return Err(Error::new(Kind::Refused, "ARCHIVE_MODE copies from a hot table, and there is no database behind this Flashgate")
                .with_hint("create the table without ARCHIVE_MODE and insert into it"));
        }
        let NewColumns { columns, keys, comment, engine, leading } = self.new_columns(create, call).await?;
        let engine = engine.unwrap_or_else(|| self.default_engine());
        let storage = catalog.storage(&engine).ok_or_else(|| {
            Error::new(Kind::UnknownFileStorage, format!("Unknown storage engine '{engine}'"))
                .with_hint("SHOW FILESTORAGE lists the engines; CREATE FILESTORAGE registers one")
        })?;
        for warning in &create.warnings {
            self.diagnostics.warn(1105, warning.clone());
        }
        let new =
            NewTable { database, name, engine: storage.engine.clone(), columns, keys, comment, options: serde_json::Value::Null, at: None };
        let table = self.node.gms.create_table(new).await?;
        self.renew_snapshot().await?;
        match &create.as_query {
            None => Ok(Reply::Done(Outcome::tag("CREATE TABLE"))),
            Some(query) => self.fill_new_table(&table, leading, query, call).await,
        }
    }

    /// The session's default_storage_engine when that is a file storage, else the default one.
    fn default_engine(&self) -> String {
        let wished = self.settings.text("default_storage_engine").filter(|e| self.node.gms.catalog().storage(e).is_some());
        wished.unwrap_or_else(|| DEFAULT_ENGINE.to_owned())
    }

    /// A PostgreSQL schema that was never created, `public` included, is an error; MySQL says "unknown database".
    pub(in crate::session) async fn ensure_database(&self, database: &str) -> Result<()> {
        if self.node.gms.catalog().database(database).is_none() {
            self.node.gms.refresh().await?;
            // Which databases there are is the upstream's to say, where there is one.
            if self.has_upstream() && self.node.gms.catalog().database(database).is_none() {
                self.node.gms.create_database(database).await?;
            }
            self.node.gms.catalog().require_database(database)?;
        }
        Ok(())
    }

    async fn new_columns(&mut self, create: &CreateTable, call: &Call) -> Result<NewColumns> {
        if let Some(like) = &create.like {
            let source = self.table(like)?;
            return Ok(NewColumns {
                columns: source.columns().to_vec(),
                keys: source.keys.clone(),
                comment: source.comment.clone(),
                engine: create.engine.clone().or(Some(source.engine.clone())),
                leading: 0,
            });
        }
        let mut columns: Vec<Column> = Vec::new();
        for def in &create.columns {
            if columns.iter().any(|c| same(&c.name, &def.name)) {
                return Err(Error::new(Kind::Duplicate, format!("Duplicate column name '{}'", def.name)));
            }
            columns.push(new_column(columns.len() as u32 + 1, def)?);
        }
        let mut leading = 0;
        if let Some(query) = &create.as_query
            && (columns.is_empty() || self.family() == Family::MySql)
        {
            // MySQL: the query's columns come last; one that was declared keeps its declaration.
            let declared = std::mem::take(&mut columns);
            let running = self.start_query(query, call).await?;
            let given = |name: &str| running.columns.iter().any(|info| same(&info.label, name));
            columns.extend(declared.iter().filter(|c| !given(&c.name)).cloned());
            leading = columns.len();
            for info in running.columns.iter() {
                if columns.iter().any(|c| same(&c.name, &info.label)) {
                    return Err(Error::new(Kind::Duplicate, format!("Duplicate column name '{}'", info.label)));
                }
                columns.push(declared.iter().find(|c| same(&c.name, &info.label)).cloned().unwrap_or_else(|| Column {
                    id: 0,
                    name: info.label.clone(),
                    ty: storable(&info.ty),
                    nullable: true,
                    default: None,
                    comment: String::new(),
                }));
            }
            for (column, id) in columns.iter_mut().zip(1..) {
                column.id = id;
            }
        }
        if columns.is_empty() {
            return Err(Error::new(Kind::InvalidStatement, "A table must have at least 1 column"));
        }
        let mut keys = Vec::new();
        for key in &create.keys {
            keys.push(checked_key(key, &mut columns)?);
        }
        Ok(NewColumns { columns, keys, comment: create.comment.clone(), engine: create.engine.clone(), leading })
    }

    /// CREATE TABLE .. AS SELECT: the table was made; when the rows do not come, it goes again.
    async fn fill_new_table(&mut self, table: &Arc<Table>, leading: usize, query: &Query, call: &Call) -> Result<Reply> {
        let outcome = self.insert_from_query(table, leading, query, call).await;
        if outcome.is_err() {
            let bin = self.node.gms.drop_table(table.id).await?;
            self.node.gms.purge_binned(Some(&table.database), Some(&bin)).await?;
        }
        let rows = outcome?;
        Ok(Reply::Done(Outcome { affected: rows, ..Outcome::tag(format!("SELECT {rows}")) }))
    }

    pub(in crate::session) async fn drop_tables(&mut self, names: &[Name], if_exists: bool) -> Result<Reply> {
        self.end_before_ddl("DROP TABLE").await?;
        // All names are known before the first table goes.
        let mut tables = Vec::new();
        for name in names {
            match self.table(name) {
                Ok(table) => tables.push(table),
                Err(error) if if_exists && error.kind() == Kind::UnknownTable => {
                    self.diagnostics.note(1051, format!("Unknown table '{name}'"))
                }
                Err(error) if error.kind() == Kind::UnknownTable && self.family() == Family::MySql => {
                    return Err(Error::new(Kind::UnknownTableToDrop, format!("Unknown table '{name}'")));
                }
                Err(error) => return Err(error),
            }
        }
        for table in tables {
            let bin = self.node.gms.drop_table(table.id).await?;
            tracing::info!(database = %table.database, table = %table.name, bin = %bin, "a cold table went to the recycle bin");
        }
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("DROP TABLE")))
    }

    pub(in crate::session) async fn rename_tables(&mut self, pairs: &[(Name, Name)]) -> Result<Reply> {
        self.end_before_ddl("RENAME TABLE").await?;
        for (from, to) in pairs {
            let table = self.table(from)?;
            self.rename(&table, to).await?;
        }
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("RENAME TABLE")))
    }

    /// Where a table of `database` goes. In PostgreSQL a bare name stays in its schema.
    pub(in crate::session) fn rename_target(&self, database: &str, to: &Name) -> Result<(String, String)> {
        match (self.family(), to.parts.as_slice()) {
            (Family::Postgres, [name]) => Ok((database.to_owned(), name.clone())),
            _ => self.namespace().table(&to.parts),
        }
    }

    pub(in crate::session) async fn rename(&self, table: &Table, to: &Name) -> Result<()> {
        let (database, name) = self.rename_target(&table.database, to)?;
        self.ensure_database(&database).await?;
        let catalog = self.node.gms.catalog();
        if catalog.view(&database, &name).is_some() {
            return Err(Error::new(Kind::TableExists, self.exists(&name)));
        }
        self.check_not_hot(&database, &name).await?;
        self.node.gms.rename_table(table.id, &database, &name).await
    }
}

pub(in crate::session) fn new_column(id: u32, def: &ColumnDef) -> Result<Column> {
    let column = Column {
        id,
        name: def.name.clone(),
        ty: def.ty.clone(),
        nullable: def.nullable,
        default: def.default.clone(),
        comment: def.comment.clone(),
    };
    check_default(&column)?;
    Ok(column)
}

/// A default that does not fit its column is refused when it is declared.
pub(in crate::session) fn check_default(column: &Column) -> Result<()> {
    if column.default.is_some() {
        default_value(column, jiff::Timestamp::now(), &jiff::tz::TimeZone::UTC)
            .map_err(|e| Error::new(Kind::InvalidDefault, format!("Invalid default value for '{}': {e}", column.name)))?;
    }
    Ok(())
}

fn checked_key(key: &KeyDef, columns: &mut [Column]) -> Result<Key> {
    for name in &key.columns {
        let Some(column) = columns.iter_mut().find(|c| same(&c.name, name)) else {
            return Err(Error::new(Kind::UnknownKeyColumn, format!("Key column '{name}' doesn't exist in table")));
        };
        if key.primary {
            column.nullable = false;
        }
    }
    Ok(Key {
        name: if key.primary { "PRIMARY".into() } else { key.name.clone() },
        columns: key.columns.clone(),
        unique: key.unique || key.primary,
        primary: key.primary,
    })
}

/// The type under which a computed column is stored.
fn storable(ty: &SqlType) -> SqlType {
    match ty {
        SqlType::Null | SqlType::List(_) | SqlType::Interval => SqlType::Text,
        other => other.clone(),
    }
}

impl Session {
    /// Inserts a query's rows into a table's columns behind the `leading` ones, in order; the number of rows.
    async fn insert_from_query(&mut self, table: &Arc<Table>, leading: usize, query: &Query, call: &Call) -> Result<u64> {
        let own = self.begin_write().await?;
        let outcome = self.query_delta(table, leading, query, call).await;
        let (delta, rows) = match outcome {
            Ok((delta, rows)) => (Ok(vec![delta]), rows),
            Err(error) => (Err(error), 0),
        };
        self.end_write(own, delta).await?;
        Ok(rows)
    }
}
