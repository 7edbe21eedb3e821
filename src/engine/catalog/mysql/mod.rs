//! `information_schema` as MySQL 8.0 shows it, with PolarDB-X's FILE_STORAGE tables, and performance_schema's variables.
//! Shapes: MySQL 8.0 reference manual, chapter "INFORMATION_SCHEMA Tables"; information_schema.txt holds them.

mod columns;
mod files;
mod keys;
mod server;
mod tables;

use std::sync::LazyLock;

pub use columns::{default_text, has_charset};
pub use keys::{column_key, keys_of};
pub use server::PRIVILEGES;

use super::layout::{Layout, RowSet};
use super::world::World;
use crate::types::same;

const INFORMATION_SCHEMA: &str = "information_schema";
const PERFORMANCE_SCHEMA: &str = "performance_schema";
/// MySQL's catalog has one name.
const DEF: &str = "def";

static LAYOUTS: LazyLock<Vec<Layout>> = LazyLock::new(|| {
    let lines = include_str!("information_schema.txt").lines();
    lines.filter_map(|line| line.split_once(' ')).map(|(name, columns)| Layout::parse(INFORMATION_SCHEMA, name, columns)).collect()
});

static PERFORMANCE: LazyLock<Vec<Layout>> = LazyLock::new(|| {
    ["global_status", "global_variables", "session_status", "session_variables"]
        .map(|name| Layout::parse(PERFORMANCE_SCHEMA, name, "VARIABLE_NAME:v64 VARIABLE_VALUE:v1024?"))
        .into()
});

fn layouts(schema: &str) -> &'static [Layout] {
    match () {
        () if same(schema, INFORMATION_SCHEMA) => &LAYOUTS,
        () if same(schema, PERFORMANCE_SCHEMA) => &PERFORMANCE,
        () => &[],
    }
}

/// Tables of a virtual schema, as declared.
pub(super) fn table_names(schema: &str) -> Vec<String> {
    layouts(schema).iter().map(|l| l.name.clone()).collect()
}

/// All layouts with their schema's name: information_schema lists itself too.
fn virtual_layouts() -> impl Iterator<Item = (&'static str, &'static Layout)> {
    let information = LAYOUTS.iter().map(|l| (INFORMATION_SCHEMA, l));
    information.chain(PERFORMANCE.iter().map(|l| (PERFORMANCE_SCHEMA, l)))
}

/// The shape of a virtual table; None: no such table.
pub(super) fn layout(schema: &str, table: &str) -> Option<&'static Layout> {
    layouts(schema).iter().find(|l| same(&l.name, table))
}

/// The rows of a virtual table; None: no such table.
pub(super) fn fill(schema: &str, table: &str, world: &World) -> Option<RowSet<'static>> {
    let layout = layout(schema, table)?;
    let mut rows = layout.rows();
    match layout.name.to_ascii_uppercase().as_str() {
        "SCHEMATA" => tables::schemata(&mut rows, world),
        "SCHEMATA_EXTENSIONS" => tables::schemata_extensions(&mut rows, world),
        "TABLES" => tables::tables(&mut rows, world),
        "TABLES_EXTENSIONS" => tables::tables_extensions(&mut rows, world),
        "VIEWS" => tables::views(&mut rows, world),
        "PARTITIONS" => tables::partitions(&mut rows, world),
        "COLUMNS" => columns::columns(&mut rows, world),
        "COLUMNS_EXTENSIONS" => columns::columns_extensions(&mut rows, world),
        "STATISTICS" => keys::statistics(&mut rows, world),
        "KEY_COLUMN_USAGE" => keys::key_column_usage(&mut rows, world),
        "TABLE_CONSTRAINTS" => keys::table_constraints(&mut rows, world),
        "FILES" => files::files(&mut rows, world),
        "FILE_STORAGE" => files::file_storage(&mut rows, world),
        "FILE_STORAGE_FILES_META" => files::files_meta(&mut rows, world),
        "CHARACTER_SETS" => server::character_sets(&mut rows),
        "COLLATIONS" => server::collations(&mut rows),
        "COLLATION_CHARACTER_SET_APPLICABILITY" => server::applicability(&mut rows),
        "ENGINES" => server::engines(&mut rows, world),
        "KEYWORDS" => server::keywords(&mut rows),
        "PLUGINS" => server::plugins(&mut rows, world),
        "PROCESSLIST" => server::processlist(&mut rows, world),
        "USER_PRIVILEGES" => server::user_privileges(&mut rows, world),
        "USER_ATTRIBUTES" => server::user_attributes(&mut rows, world),
        "GLOBAL_VARIABLES" => server::variables(&mut rows, world, true),
        "SESSION_VARIABLES" => server::variables(&mut rows, world, false),
        "GLOBAL_STATUS" | "SESSION_STATUS" => server::status(&mut rows, world),
        // Routines, triggers, events, roles: there are none of them here.
        _ => {}
    }
    Some(rows)
}

/// A name in MySQL's backticks.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
