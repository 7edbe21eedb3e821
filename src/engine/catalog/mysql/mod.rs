//! `information_schema` as MySQL 8.0 shows it, with PolarDB-X's FILE_STORAGE tables, and performance_schema's variables.
//! Shapes: MySQL 8.0 reference manual, chapter "INFORMATION_SCHEMA Tables"; information_schema.txt beside this file holds them.

mod columns;
mod files;
mod keys;
mod layouts;
mod server;
mod tables;

pub use columns::{default_text, has_charset};
pub use keys::{column_key, keys_of};
pub use server::PRIVILEGES;

use self::layouts::layouts;
use super::layout::{Layout, RowSet};
use super::snapshot::CatalogSnapshot;
use crate::types::same;

/// Tables of a virtual schema, as declared.
pub(super) fn table_names(schema: &str) -> Vec<String> {
    layouts(schema).iter().map(|l| l.name.clone()).collect()
}

/// The shape of a virtual table; None: no such table.
pub(super) fn layout(schema: &str, table: &str) -> Option<&'static Layout> {
    layouts(schema).iter().find(|l| same(&l.name, table))
}

/// The rows of a virtual table; None: no such table.
pub(super) fn fill(schema: &str, table: &str, snapshot: &CatalogSnapshot) -> Option<RowSet<'static>> {
    let layout = layout(schema, table)?;
    let mut rows = layout.rows();
    match layout.name.to_ascii_uppercase().as_str() {
        "SCHEMATA" => tables::schemata(&mut rows, snapshot),
        "SCHEMATA_EXTENSIONS" => tables::schemata_extensions(&mut rows, snapshot),
        "TABLES" => tables::tables(&mut rows, snapshot),
        "TABLES_EXTENSIONS" => tables::tables_extensions(&mut rows, snapshot),
        "VIEWS" => tables::views(&mut rows, snapshot),
        "PARTITIONS" => tables::partitions(&mut rows, snapshot),
        "COLUMNS" => columns::columns(&mut rows, snapshot),
        "COLUMNS_EXTENSIONS" => columns::columns_extensions(&mut rows, snapshot),
        "STATISTICS" => keys::statistics(&mut rows, snapshot),
        "KEY_COLUMN_USAGE" => keys::key_column_usage(&mut rows, snapshot),
        "TABLE_CONSTRAINTS" => keys::table_constraints(&mut rows, snapshot),
        "FILES" => files::files(&mut rows, snapshot),
        "FILE_STORAGE" => files::file_storage(&mut rows, snapshot),
        "FILE_STORAGE_FILES_META" => files::files_meta(&mut rows, snapshot),
        "CHARACTER_SETS" => server::character_sets(&mut rows),
        "COLLATIONS" => server::collations(&mut rows),
        "COLLATION_CHARACTER_SET_APPLICABILITY" => server::applicability(&mut rows),
        "ENGINES" => server::engines(&mut rows, snapshot),
        "KEYWORDS" => server::keywords(&mut rows),
        "PLUGINS" => server::plugins(&mut rows, snapshot),
        "PROCESSLIST" => server::processlist(&mut rows, snapshot),
        "USER_PRIVILEGES" => server::user_privileges(&mut rows, snapshot),
        "USER_ATTRIBUTES" => server::user_attributes(&mut rows, snapshot),
        "GLOBAL_VARIABLES" => server::variables(&mut rows, snapshot, true),
        "SESSION_VARIABLES" => server::variables(&mut rows, snapshot, false),
        "GLOBAL_STATUS" | "SESSION_STATUS" => server::status(&mut rows, snapshot),
        // Routines, triggers, events, roles: there are none of them here.
        _ => {}
    }
    Some(rows)
}

/// A name in MySQL's backticks.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
