//! Databases, tables and views: made, changed, dropped. Each statement is one moment, outside any transaction.

use std::sync::Arc;

use super::execute::Call;
use super::rewrite::column_index;
use super::state::Session;
use super::{Outcome, Reply};
use crate::cold::Delta;
use crate::engine::Namespace;
use crate::error::{Error, Kind, Result};
use crate::gms::{Key, NewTable, Table};
use crate::sql::{AlterAction, AlterTable, ColumnDef, ColumnPosition, CreateTable, CreateView, KeyDef, Name, Parsed, Query, Statement};
use crate::store::DEFAULT_ENGINE;
use crate::types::coerce::default_value;
use crate::types::{Column, Default, Family, SqlType, same};

/// How many views deep a definition is looked through for the view itself.
const MAX_VIEW_DEPTH: usize = 32;

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
    pub(super) async fn create_database(&mut self, name: &Name, schema: bool, if_not_exists: bool) -> Result<Reply> {
        self.end_before_ddl("CREATE DATABASE").await?;
        let database = self.database_name(name, schema)?;
        if crate::engine::Namespace::is_virtual(&database) {
            return Err(Error::new(Kind::Denied, format!("'{database}' is reserved")));
        }
        if self.instance.gms.catalog().database(&database).is_some() {
            let message = format!("Can't create database '{database}'; database exists");
            if !if_not_exists {
                return Err(Error::new(Kind::DatabaseExists, message));
            }
            self.note(1007, message);
        } else {
            self.instance.gms.create_database(&database).await?;
        }
        let tag = if schema { "CREATE SCHEMA" } else { "CREATE DATABASE" };
        Ok(Reply::Done(Outcome { affected: 1, ..Outcome::tag(tag) }))
    }

    /// PostgreSQL's CREATE SCHEMA s makes the database `d.s`; CREATE DATABASE d, the database d.
    fn database_name(&self, name: &Name, schema: bool) -> Result<String> {
        match (self.family(), name.parts.as_slice()) {
            (_, [one]) if schema && !one.is_empty() => self.namespace().database_of_schema(one),
            (_, [one]) if one.is_empty() => Err(Error::new(Kind::Syntax, "a database needs a name")),
            (_, [one]) => Ok(one.clone()),
            (Family::Postgres, [database, schema]) => Ok(format!("{database}.{schema}")),
            _ => Err(Error::new(Kind::Syntax, format!("'{name}' is not the name of a database"))),
        }
    }

    /// Its tables go to the recycle bin, so that a mistake can be taken back.
    pub(super) async fn drop_database(&mut self, name: &Name, schema: bool, if_exists: bool, cascade: bool) -> Result<Reply> {
        self.end_before_ddl("DROP DATABASE").await?;
        let database = self.database_name(name, schema)?;
        let catalog = self.instance.gms.catalog();
        let Some(found) = catalog.database(&database) else {
            let message = format!("Can't drop database '{database}'; database doesn't exist");
            if if_exists {
                self.note(1008, message);
                return Ok(Reply::Done(Outcome::tag("DROP DATABASE")));
            }
            return Err(Error::new(Kind::UnknownDatabase, message));
        };
        let tables: Vec<_> = catalog.tables(&found.name).cloned().collect();
        let views: Vec<_> = catalog.views(&found.name).cloned().collect();
        if self.family() == Family::Postgres && !cascade && !(tables.is_empty() && views.is_empty()) {
            return Err(Error::new(
                Kind::Refused,
                format!("cannot drop {database}: it holds {} tables and views", tables.len() + views.len()),
            )
            .with_hint("use CASCADE; the tables go to the recycle bin"));
        }
        for view in views {
            self.instance.gms.drop_view(&view.database, &view.name).await?;
        }
        for table in &tables {
            self.instance.gms.drop_table(table.id).await?;
        }
        self.instance.gms.drop_database(&found.name).await?;
        if self.database.as_deref().is_some_and(|d| same(d, &database)) && self.family() == Family::MySql {
            self.database = None;
            self.handle.set_database(None);
        }
        let tag = if schema { "DROP SCHEMA" } else { "DROP DATABASE" };
        Ok(Reply::Done(Outcome { affected: tables.len() as u64, ..Outcome::tag(tag) }))
    }

    pub(super) async fn create_table(&mut self, create: &CreateTable, call: &Call) -> Result<Reply> {
        self.end_before_ddl("CREATE TABLE").await?;
        let (database, name) = self.namespace().table(&create.name.parts)?;
        self.ensure_database(&database).await?;
        let catalog = self.instance.gms.catalog();
        if catalog.table(&database, &name).is_some() || catalog.view(&database, &name).is_some() {
            let message = match self.family() {
                Family::MySql => format!("Table '{name}' already exists"),
                Family::Postgres => format!("relation \"{name}\" already exists"),
            };
            if create.if_not_exists {
                self.note(1050, message);
                return Ok(Reply::Done(Outcome::tag("CREATE TABLE")));
            }
            return Err(Error::new(Kind::TableExists, message));
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
            self.warn(1105, warning.clone());
        }
        let new =
            NewTable { database, name, engine: storage.engine.clone(), columns, keys, comment, options: serde_json::Value::Null, at: None };
        let table = self.instance.gms.create_table(new).await?;
        self.renew_snapshot().await?;
        match &create.as_query {
            None => Ok(Reply::Done(Outcome::tag("CREATE TABLE"))),
            Some(query) => self.fill_new_table(&table, leading, query, call).await,
        }
    }

    /// The session's default_storage_engine when that is a file storage, else the default one.
    fn default_engine(&self) -> String {
        let wished = self.variables.text("default_storage_engine").filter(|e| self.instance.gms.catalog().storage(e).is_some());
        wished.unwrap_or_else(|| DEFAULT_ENGINE.to_owned())
    }

    /// A PostgreSQL schema that was never created, `public` included, is an error; MySQL says "unknown database".
    async fn ensure_database(&self, database: &str) -> Result<()> {
        if self.instance.gms.catalog().database(database).is_none() {
            self.instance.gms.refresh().await?;
            self.instance.gms.catalog().require_database(database)?;
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
            let bin = self.instance.gms.drop_table(table.id).await?;
            self.instance.gms.purge_binned(Some(&table.database), Some(&bin)).await?;
        }
        let rows = outcome?;
        Ok(Reply::Done(Outcome { affected: rows, ..Outcome::tag(format!("SELECT {rows}")) }))
    }

    pub(super) async fn drop_tables(&mut self, names: &[Name], if_exists: bool) -> Result<Reply> {
        self.end_before_ddl("DROP TABLE").await?;
        // All names are known before the first table goes.
        let mut tables = Vec::new();
        for name in names {
            match self.table(name) {
                Ok(table) => tables.push(table),
                Err(error) if if_exists && error.kind() == Kind::UnknownTable => self.note(1051, format!("Unknown table '{name}'")),
                Err(error) if error.kind() == Kind::UnknownTable && self.family() == Family::MySql => {
                    return Err(Error::new(Kind::UnknownTableToDrop, format!("Unknown table '{name}'")));
                }
                Err(error) => return Err(error),
            }
        }
        for table in tables {
            let bin = self.instance.gms.drop_table(table.id).await?;
            tracing::info!(database = %table.database, table = %table.name, bin = %bin, "a cold table went to the recycle bin");
        }
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("DROP TABLE")))
    }

    pub(super) async fn rename_tables(&mut self, pairs: &[(Name, Name)]) -> Result<Reply> {
        self.end_before_ddl("RENAME TABLE").await?;
        for (from, to) in pairs {
            let table = self.table(from)?;
            self.rename(&table, to).await?;
        }
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("RENAME TABLE")))
    }

    async fn rename(&self, table: &Table, to: &Name) -> Result<()> {
        let (database, name) = match (self.family(), to.parts.as_slice()) {
            (Family::Postgres, [name]) => (table.database.clone(), name.clone()),
            _ => self.namespace().table(&to.parts)?,
        };
        self.ensure_database(&database).await?;
        let catalog = self.instance.gms.catalog();
        if catalog.view(&database, &name).is_some() {
            return Err(Error::new(Kind::TableExists, format!("Table '{name}' already exists")));
        }
        self.instance.gms.rename_table(table.id, &database, &name).await
    }

    pub(super) async fn alter_table(&mut self, alter: &AlterTable, parsed: &Parsed, call: &Call) -> Result<Reply> {
        if let [AlterAction::PurgeBefore { time, mode }] = alter.actions.as_slice() {
            let table = self.table(&alter.name)?;
            return self.purge_table_before(&table, time, *mode, parsed, call).await;
        }
        let alone = |action: &AlterAction| matches!(action, AlterAction::DropFile(_) | AlterAction::AddFile(_) | AlterAction::Rename(_));
        if alter.actions.len() > 1 && alter.actions.iter().any(alone) {
            return Err(Error::unsupported("ADD FILE, DROP FILE or RENAME beside another action of one ALTER TABLE")
                .with_hint("each of them is a commit of its own: write one statement for each"));
        }
        self.end_before_ddl("ALTER TABLE").await?;
        let table = match self.table(&alter.name) {
            Ok(table) => table,
            Err(error) if alter.if_exists && error.kind() == Kind::UnknownTable => {
                self.note(1146, error.to_string());
                return Ok(Reply::Done(Outcome::tag("ALTER TABLE")));
            }
            Err(error) => return Err(error),
        };
        let mut columns = table.columns().to_vec();
        let mut next_id = table.schemas.iter().flat_map(|s| &s.columns).map(|c| c.id).max().unwrap_or(0) + 1;
        let mut schema_changed = false;
        for action in &alter.actions {
            match action {
                AlterAction::DropFile(names) => drop(self.instance.gms.drop_files(table.id, names).await?),
                AlterAction::AddFile(uris) => self.add_files(&table, uris, call).await?,
                AlterAction::Rename(to) => self.rename(&table, to).await?,
                AlterAction::AddKey(_) | AlterAction::DropKey(_) => {
                    self.warn(1105, "keys of cold tables are documentation: this changes nothing");
                }
                AlterAction::Comment(_) => self.warn(1105, "the comment of a cold table is that of its CREATE TABLE"),
                AlterAction::Engine(engine) if same(engine, &table.engine) => {}
                AlterAction::Engine(engine) => {
                    return Err(Error::unsupported(format!("moving a cold table to engine '{engine}'"))
                        .with_hint("CREATE TABLE .. ENGINE=.. AS SELECT copies it"));
                }
                other => {
                    schema_changed |= change_columns(&mut columns, &mut next_id, other, self.family(), &table)?;
                }
            }
        }
        if schema_changed {
            self.instance.gms.alter_columns(table.id, table.schema_ts(), columns).await?;
        }
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("ALTER TABLE")))
    }

    async fn add_files(&mut self, table: &Arc<Table>, uris: &[String], call: &Call) -> Result<()> {
        let own = self.begin_write().await?;
        let outcome = self.adopted(table, uris, call).await;
        self.end_write(own, outcome).await
    }

    async fn adopted(&mut self, table: &Arc<Table>, uris: &[String], call: &Call) -> Result<Vec<Delta>> {
        let task = match &mut self.transaction {
            Some(open) => open.transaction.task().await?,
            None => return Err(Error::internal("ADD FILE without a transaction")),
        };
        let cold = self.instance.engine.cold.clone();
        let mut deltas = Vec::new();
        for uri in uris {
            let (delta, _) = call.guard.run(cold.adopt(Arc::clone(table), uri, task, self.client.protocol.family(), &self.zone)).await?;
            deltas.push(delta);
        }
        Ok(deltas)
    }

    pub(super) async fn create_view(&mut self, create: &CreateView, call: &Call) -> Result<Reply> {
        self.end_before_ddl("CREATE VIEW").await?;
        let (database, name) = self.namespace().table(&create.name.parts)?;
        self.ensure_database(&database).await?;
        let catalog = self.instance.gms.catalog();
        if catalog.table(&database, &name).is_some() {
            return Err(Error::new(Kind::TableExists, format!("Table '{name}' already exists")));
        }
        if catalog.view(&database, &name).is_some() && !create.or_replace {
            if create.if_not_exists {
                self.note(1050, format!("Table '{name}' already exists"));
                return Ok(Reply::Done(Outcome::tag("CREATE VIEW")));
            }
            return Err(Error::new(Kind::TableExists, format!("Table '{name}' already exists")));
        }
        if catalog.view(&database, &name).is_some() && self.reads_view(&create.query, self.namespace(), (&database, &name), 0)? {
            return Err(Error::new(Kind::ViewRecursion, format!("`{database}`.`{name}` contains view recursion")));
        }
        // A definition that cannot be planned is refused now rather than at each use.
        let read = self.read_time().await?;
        let query = self.substitute(&create.query)?;
        let tables = self.tables(&query, call).await?;
        let environment = self.environment(read, tables, &call.text, &[]);
        let planned = self.instance.engine.plan(&environment, &query).await?;
        if !create.columns.is_empty() && create.columns.len() != planned.columns.len() {
            return Err(Error::new(Kind::ColumnCount, "the view's SELECT and its column list have different numbers of columns"));
        }
        let (quote, dialect) = match self.family() {
            Family::MySql => ('`', "mysql"),
            Family::Postgres => ('"', "postgres"),
        };
        let definition = if create.columns.is_empty() {
            create.definition.clone()
        } else {
            let names: Vec<String> = create.columns.iter().map(|c| format!("{quote}{c}{quote}")).collect();
            format!("SELECT * FROM ({}) AS {quote}{name}{quote} ({})", create.definition, names.join(", "))
        };
        drop(planned);
        drop(environment);
        self.instance.gms.create_view(&database, &name, &definition, dialect, create.or_replace).await?;
        Ok(Reply::Done(Outcome::tag("CREATE VIEW")))
    }

    /// Does a query read the view `wanted`, itself or through other views? Its namespace is that of its definition.
    fn reads_view(&self, query: &Query, namespace: Namespace, wanted: (&str, &str), depth: usize) -> Result<bool> {
        let catalog = self.instance.gms.catalog();
        for (schema, name) in super::metadata::named_tables(query) {
            let parts: Vec<String> = schema.into_iter().chain([name]).collect();
            let Ok((database, name)) = namespace.table(&parts) else { continue };
            let Some(view) = catalog.view(&database, &name) else { continue };
            if same(&database, wanted.0) && same(&name, wanted.1) {
                return Ok(true);
            }
            let (dialect, family) = match view.dialect.as_str() {
                "postgres" => (crate::sql::Dialect::POSTGRES, Family::Postgres),
                _ => (crate::sql::Dialect::MYSQL, Family::MySql),
            };
            let inner = Namespace { family, database: Some(view.database.clone()) };
            if depth < MAX_VIEW_DEPTH
                && let Some(Parsed { statement: Statement::Query(query), .. }) = crate::sql::parse(&dialect, &view.definition)?.pop()
                && self.reads_view(&query, inner, wanted, depth + 1)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) async fn drop_views(&mut self, names: &[Name], if_exists: bool) -> Result<Reply> {
        self.end_before_ddl("DROP VIEW").await?;
        for name in names {
            let (database, view) = self.namespace().table(&name.parts)?;
            if self.instance.gms.catalog().view(&database, &view).is_none() {
                if if_exists {
                    self.note(1051, format!("Unknown table '{name}'"));
                    continue;
                }
                return Err(self.no_table(&database, &view));
            }
            self.instance.gms.drop_view(&database, &view).await?;
        }
        Ok(Reply::Done(Outcome::tag("DROP VIEW")))
    }

    pub(super) fn document_key(&mut self, table: &Name, verb: &'static str) -> Result<Reply> {
        if verb == "CREATE INDEX" {
            self.table(table)?;
        }
        self.warn(1105, "keys of cold tables are documentation: this changes nothing");
        Ok(Reply::Done(Outcome::tag(verb)))
    }
}

fn new_column(id: u32, def: &ColumnDef) -> Result<Column> {
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
fn check_default(column: &Column) -> Result<()> {
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

/// Applies one column action; true when the columns changed.
fn change_columns(columns: &mut Vec<Column>, next_id: &mut u32, action: &AlterAction, family: Family, table: &Table) -> Result<bool> {
    let find = |columns: &[Column], name: &str| {
        columns.iter().position(|c| same(&c.name, name)).ok_or_else(|| {
            column_index(table, name, family)
                .err()
                .unwrap_or_else(|| Error::new(Kind::UnknownColumn, format!("Unknown column '{name}' in '{}'", table.name)))
        })
    };
    match action {
        AlterAction::AddColumn { column, if_not_exists, position } => {
            if columns.iter().any(|c| same(&c.name, &column.name)) {
                if *if_not_exists {
                    return Ok(false);
                }
                return Err(Error::new(Kind::Duplicate, format!("Duplicate column name '{}'", column.name)));
            }
            let mut new = new_column(*next_id, column)?;
            // Rows that are there already get the default; one that differs from row to row is settled now.
            if let Some(Default::Now | Default::Today | Default::Uuid) = &new.default {
                return Err(
                    Error::unsupported("adding a column whose default is computed").with_hint("add it without default, then UPDATE")
                );
            }
            if !new.nullable && new.default.is_none() {
                new.default = Some(Default::Value(zero_of(&new.ty)));
                check_default(&new)?;
            }
            *next_id += 1;
            place(columns, new, position.as_ref(), find)?;
        }
        AlterAction::DropColumn { name, if_exists } => {
            let Ok(index) = find(columns, name) else {
                return if *if_exists { Ok(false) } else { find(columns, name).map(|_| false) };
            };
            if columns.len() == 1 {
                return Err(Error::new(Kind::Refused, "You can't delete all columns with ALTER TABLE; use DROP TABLE instead"));
            }
            columns.remove(index);
        }
        AlterAction::RenameColumn { from, to } => {
            let index = find(columns, from)?;
            if columns.iter().enumerate().any(|(i, c)| i != index && same(&c.name, to)) {
                return Err(Error::new(Kind::Duplicate, format!("Duplicate column name '{to}'")));
            }
            columns[index].name = to.clone();
        }
        AlterAction::ModifyColumn { from, column, position } => {
            let index = find(columns, from)?;
            widens(&columns[index].ty, &column.ty)?;
            if columns[index].nullable && !column.nullable {
                return Err(Error::unsupported("making a column NOT NULL whose rows are already stored"));
            }
            let changed = Column { id: columns[index].id, ..new_column(0, column)? };
            columns.remove(index);
            match position {
                None => columns.insert(index, changed),
                Some(_) => place(columns, changed, position.as_ref(), find)?,
            }
        }
        AlterAction::SetType { name, ty } => {
            let index = find(columns, name)?;
            widens(&columns[index].ty, ty)?;
            columns[index].ty = ty.clone();
        }
        AlterAction::SetDefault { name, default } => {
            let index = find(columns, name)?;
            columns[index].default = default.clone();
            check_default(&columns[index])?;
        }
        AlterAction::SetNullable { name, nullable } => {
            let index = find(columns, name)?;
            if columns[index].nullable && !nullable {
                return Err(Error::unsupported("making a column NOT NULL whose rows are already stored"));
            }
            columns[index].nullable = *nullable;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn place(
    columns: &mut Vec<Column>,
    new: Column,
    position: Option<&ColumnPosition>,
    find: impl Fn(&[Column], &str) -> Result<usize>,
) -> Result<()> {
    match position {
        None => columns.push(new),
        Some(ColumnPosition::First) => columns.insert(0, new),
        Some(ColumnPosition::After(name)) => {
            let index = find(columns, name)?;
            columns.insert(index + 1, new);
        }
    }
    Ok(())
}

/// MySQL's implicit default of a NOT NULL column, given to the rows that are there.
fn zero_of(ty: &SqlType) -> String {
    match ty {
        SqlType::Date => "1970-01-01".into(),
        SqlType::DateTime { .. } | SqlType::Timestamp { .. } => "1970-01-01 00:00:00".into(),
        SqlType::Time { .. } => "00:00:00".into(),
        SqlType::Year => "1970".into(),
        SqlType::Json => "null".into(),
        SqlType::Uuid => "00000000-0000-0000-0000-000000000000".into(),
        SqlType::Enum { labels } => labels.first().cloned().unwrap_or_default(),
        ty if ty.is_text() || ty.is_binary() => String::new(),
        _ => "0".into(),
    }
}

/// A type may change only so that every stored value still fits: the files keep the old one.
fn widens(from: &SqlType, to: &SqlType) -> Result<()> {
    use SqlType::*;
    let rank = |ty: &SqlType| match ty {
        Int8 { .. } => Some(1),
        Int16 { .. } => Some(2),
        Int24 { .. } => Some(3),
        Int32 { .. } => Some(4),
        Int64 { .. } => Some(5),
        _ => None,
    };
    let fits = from == to
        || match (from, to) {
            (a, b) if rank(a).is_some() && rank(b).is_some() => {
                rank(a) <= rank(b) && (a.is_unsigned() == b.is_unsigned() || (a.is_unsigned() && rank(a) < rank(b)))
            }
            (Float32, Float64) => true,
            (Decimal { precision: p, scale: s }, Decimal { precision: q, scale: t }) => t == s && q >= p,
            (Char { length: a } | VarChar { length: a }, VarChar { length: b } | Char { length: b }) => b >= a,
            (Char { .. } | VarChar { .. } | Enum { .. } | Set { .. } | Json | Uuid, Text) => true,
            (Enum { labels: a }, Enum { labels: b }) => a.iter().all(|l| b.contains(l)),
            (Binary { .. } | VarBinary { .. }, Blob) => true,
            (VarBinary { length: a }, VarBinary { length: b }) => b >= a,
            (Time { fsp: a }, Time { fsp: b })
            | (DateTime { fsp: a }, DateTime { fsp: b })
            | (Timestamp { fsp: a }, Timestamp { fsp: b }) => b >= a,
            _ => false,
        };
    if fits {
        return Ok(());
    }
    Err(Error::unsupported(format!("changing {from} to {to}, which stored values may not fit,"))
        .with_hint("CREATE TABLE .. AS SELECT CAST(..) makes a table with the new type"))
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
