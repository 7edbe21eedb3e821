//! SCHEMATA, TABLES, VIEWS, PARTITIONS: what databases hold.

use super::super::layout::{Cell, RowSet};
use super::super::snapshot::CatalogSnapshot;
use super::layouts::{DEF, INFORMATION_SCHEMA, PERFORMANCE_SCHEMA, virtual_layouts};
use crate::gms::Table;

const COLLATION: &str = "utf8mb4_0900_ai_ci";

/// Names of all databases a MySQL client sees, the virtual ones first.
pub(super) fn schema_names(snapshot: &CatalogSnapshot) -> Vec<String> {
    let virtuals = [INFORMATION_SCHEMA, PERFORMANCE_SCHEMA].map(str::to_owned);
    virtuals.into_iter().chain(snapshot.metadata.databases.iter().map(|d| d.name.clone())).collect()
}

pub(super) fn schemata(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for name in schema_names(snapshot) {
        let is_information = name == INFORMATION_SCHEMA;
        rows.push([
            ("catalog_name", DEF.into()),
            ("schema_name", name.into()),
            ("default_character_set_name", if is_information { "utf8mb3" } else { "utf8mb4" }.into()),
            ("default_collation_name", if is_information { "utf8mb3_general_ci" } else { COLLATION }.into()),
            ("default_encryption", "NO".into()),
        ]);
    }
}

pub(super) fn schemata_extensions(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for name in schema_names(snapshot) {
        rows.push([("catalog_name", DEF.into()), ("schema_name", name.into()), ("options", "".into())]);
    }
}

/// (rows, average row length, bytes), as far as they are known.
fn sizes(snapshot: &CatalogSnapshot, table: &Table) -> (u64, u64, u64) {
    let size = snapshot.size(table.id);
    (size.rows, size.bytes.checked_div(size.rows).unwrap_or(0), size.bytes)
}

pub(super) fn tables(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for (schema, layout) in virtual_layouts() {
        rows.push([
            ("table_catalog", DEF.into()),
            ("table_schema", schema.into()),
            ("table_name", layout.name.as_str().into()),
            ("table_type", "SYSTEM VIEW".into()),
            ("version", 10.into()),
            ("table_rows", 0u64.into()),
            ("table_comment", "".into()),
        ]);
    }
    for table in &snapshot.metadata.tables {
        let (count, average, bytes) = sizes(snapshot, table);
        rows.push([
            ("table_catalog", DEF.into()),
            ("table_schema", table.database.as_str().into()),
            ("table_name", table.name.as_str().into()),
            ("table_type", "BASE TABLE".into()),
            ("engine", table.engine.as_str().into()),
            ("version", 10.into()),
            ("row_format", "Compressed".into()),
            ("table_rows", count.into()),
            ("avg_row_length", average.into()),
            ("data_length", bytes.into()),
            ("max_data_length", 0u64.into()),
            ("index_length", 0u64.into()),
            ("data_free", 0u64.into()),
            ("create_time", Cell::Micros(table.created.timestamp().as_microsecond())),
            ("table_collation", COLLATION.into()),
            ("create_options", "".into()),
            ("table_comment", table.comment.as_str().into()),
        ]);
    }
    for view in &snapshot.metadata.views {
        rows.push([
            ("table_catalog", DEF.into()),
            ("table_schema", view.database.as_str().into()),
            ("table_name", view.name.as_str().into()),
            ("table_type", "VIEW".into()),
            ("create_time", Cell::Micros(view.created.timestamp().as_microsecond())),
            ("table_comment", "VIEW".into()),
        ]);
    }
}

pub(super) fn tables_extensions(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    let tables = snapshot.metadata.tables.iter().map(|t| (&t.database, &t.name));
    for (schema, name) in tables.chain(snapshot.metadata.views.iter().map(|v| (&v.database, &v.name))) {
        rows.push([("table_catalog", DEF.into()), ("table_schema", schema.into()), ("table_name", name.into())]);
    }
}

pub(super) fn views(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for view in &snapshot.metadata.views {
        rows.push([
            ("table_catalog", DEF.into()),
            ("table_schema", view.database.as_str().into()),
            ("table_name", view.name.as_str().into()),
            ("view_definition", view.definition.as_str().into()),
            ("check_option", "NONE".into()),
            ("is_updatable", "NO".into()),
            ("definer", format!("{}@%", snapshot.user).into()),
            ("security_type", "INVOKER".into()),
            ("character_set_client", "utf8mb4".into()),
            ("collation_connection", COLLATION.into()),
        ]);
    }
}

/// A table without partitions has one row whose partition columns are NULL.
pub(super) fn partitions(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for table in &snapshot.metadata.tables {
        let (count, average, bytes) = sizes(snapshot, table);
        rows.push([
            ("table_catalog", DEF.into()),
            ("table_schema", table.database.as_str().into()),
            ("table_name", table.name.as_str().into()),
            ("table_rows", count.into()),
            ("avg_row_length", average.into()),
            ("data_length", bytes.into()),
            ("index_length", 0u64.into()),
            ("data_free", 0u64.into()),
            ("create_time", Cell::Micros(table.created.timestamp().as_microsecond())),
        ]);
    }
}
