//! The catalog: an immutable picture of databases, tables, views and file storages. Names are compared without case.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::grants::Grants;
use super::model::{Database, FileStorage, Table, TableId, View};
use crate::error::{Error, Kind, Result};
use crate::types::fold;

/// Databases, tables, views, file storages and grants as of the last refresh. Cheap to clone: all entries are shared.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    databases: BTreeMap<String, Arc<Database>>,
    /// By (database, table), folded; tables in the recycle bin stand only in `by_id`.
    tables: BTreeMap<(String, String), Arc<Table>>,
    by_id: HashMap<TableId, Arc<Table>>,
    views: BTreeMap<(String, String), Arc<View>>,
    storages: BTreeMap<String, Arc<FileStorage>>,
    grants: Arc<Grants>,
}

impl Catalog {
    /// All databases, by name.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.databases.values()
    }

    /// The database of this name.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.get(&fold(name))
    }

    /// The database of this name, or [`Kind::UnknownDatabase`].
    pub fn require_database(&self, name: &str) -> Result<&Arc<Database>> {
        self.database(name).ok_or_else(|| Error::new(Kind::UnknownDatabase, format!("Unknown database '{name}'")))
    }

    /// The tables of a database, by name; without those in the recycle bin.
    pub fn tables(&self, database: &str) -> impl Iterator<Item = &Arc<Table>> {
        let database = fold(database);
        self.tables.range((database.clone(), String::new())..).take_while(move |((d, _), _)| *d == database).map(|(_, t)| t)
    }

    /// All tables of all databases; without those in the recycle bin.
    pub fn all_tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// The table of this name.
    pub fn table(&self, database: &str, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(&(fold(database), fold(name)))
    }

    /// The table of this name, or [`Kind::UnknownDatabase`] or [`Kind::UnknownTable`].
    pub fn require_table(&self, database: &str, name: &str) -> Result<&Arc<Table>> {
        self.require_database(database)?;
        self.table(database, name).ok_or_else(|| Error::new(Kind::UnknownTable, format!("Table '{database}.{name}' doesn't exist")))
    }

    /// A table by its identity, also one in the recycle bin ([`Table::dropped`] is set then).
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.by_id.get(&id)
    }

    /// Every table, those in the recycle bin too, in no order.
    pub fn every_table(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.by_id.values()
    }

    /// Does any database have a table or view of this name?
    pub fn has_name(&self, name: &str) -> bool {
        let name = fold(name);
        self.tables.keys().chain(self.views.keys()).any(|(_, known)| *known == name)
    }

    /// All views of all databases.
    pub fn all_views(&self) -> impl Iterator<Item = &Arc<View>> {
        self.views.values()
    }

    /// The views of a database, by name.
    pub fn views(&self, database: &str) -> impl Iterator<Item = &Arc<View>> {
        let database = fold(database);
        self.views.range((database.clone(), String::new())..).take_while(move |((d, _), _)| *d == database).map(|(_, v)| v)
    }

    /// The view of this name.
    pub fn view(&self, database: &str, name: &str) -> Option<&Arc<View>> {
        self.views.get(&(fold(database), fold(name)))
    }

    /// All file storages, by engine name.
    pub fn storages(&self) -> impl Iterator<Item = &Arc<FileStorage>> {
        self.storages.values()
    }

    /// The file storage of this engine name.
    pub fn storage(&self, engine: &str) -> Option<&Arc<FileStorage>> {
        self.storages.get(&engine.to_uppercase())
    }

    /// The file storage of this engine name, or [`Kind::UnknownFileStorage`].
    pub fn require_storage(&self, engine: &str) -> Result<&Arc<FileStorage>> {
        self.storage(engine).ok_or_else(|| {
            Error::new(Kind::UnknownFileStorage, format!("unknown file storage '{engine}'"))
                .with_hint("SHOW FILESTORAGE lists them, CREATE FILESTORAGE adds one")
        })
    }

    /// Rights over cold tables and file storages.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    pub(super) fn put_grants(&mut self, grants: Grants) {
        self.grants = Arc::new(grants);
    }

    pub(super) fn put_database(&mut self, database: Database) {
        self.databases.insert(fold(&database.name), Arc::new(database));
    }

    pub(super) fn remove_database(&mut self, name: &str) {
        self.databases.remove(&fold(name));
    }

    /// Adds a table or replaces what is known of it, its name included.
    pub(super) fn put_table(&mut self, table: Table) -> Arc<Table> {
        self.remove_table(table.id);
        let table = Arc::new(table);
        if table.dropped.is_none() {
            self.tables.insert((fold(&table.database), fold(&table.name)), Arc::clone(&table));
        }
        self.by_id.insert(table.id, Arc::clone(&table));
        table
    }

    pub(super) fn remove_table(&mut self, id: TableId) {
        if let Some(old) = self.by_id.remove(&id) {
            let key = (fold(&old.database), fold(&old.name));
            if self.tables.get(&key).is_some_and(|t| t.id == id) {
                self.tables.remove(&key);
            }
        }
    }

    pub(super) fn put_view(&mut self, view: View) {
        self.views.insert((fold(&view.database), fold(&view.name)), Arc::new(view));
    }

    pub(super) fn remove_view(&mut self, database: &str, name: &str) {
        self.views.remove(&(fold(database), fold(name)));
    }

    pub(super) fn put_storage(&mut self, storage: FileStorage) {
        self.storages.insert(storage.engine.to_uppercase(), Arc::new(storage));
    }

    pub(super) fn remove_storage(&mut self, engine: &str) {
        self.storages.remove(&engine.to_uppercase());
    }
}
