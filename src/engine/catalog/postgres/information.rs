//! PostgreSQL's information_schema: the standard's view of the same things.

use super::super::layout::{Cell, RowSet};
use super::classes::default_expression;
use super::relations::{Relation, RelationSource, named_keys};
use super::{PgCatalog, types};
use crate::types::{Column, SqlType};

pub(super) fn fill(table: &str, rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    match table {
        "information_schema_catalog_name" => rows.push([("catalog_name", pg.database.as_str().into())]),
        "schemata" => schemata(rows, pg),
        "tables" => tables(rows, pg),
        "columns" => columns(rows, pg),
        "views" => views(rows, pg),
        "table_constraints" => table_constraints(rows, pg),
        "key_column_usage" => key_columns(rows, pg, true),
        "constraint_column_usage" => key_columns(rows, pg, false),
        "table_privileges" | "role_table_grants" => privileges(rows, pg),
        "character_sets" => rows.push([
            ("character_set_name", "UTF8".into()),
            ("character_repertoire", "UCS".into()),
            ("form_of_use", "UTF8".into()),
            ("default_collate_catalog", pg.database.as_str().into()),
            ("default_collate_schema", "pg_catalog".into()),
            ("default_collate_name", "default".into()),
        ]),
        "enabled_roles" => rows.push([("role_name", pg.snapshot.user.as_str().into())]),
        // Routines, triggers, sequences, domains, foreign tables: there are none of them here.
        _ => {}
    }
}

fn schemata(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for n in &pg.namespaces {
        rows.push([
            ("catalog_name", pg.database.as_str().into()),
            ("schema_name", n.name.as_str().into()),
            ("schema_owner", pg.snapshot.user.as_str().into()),
        ]);
    }
}

fn relations(pg: &PgCatalog<'_>) -> impl Iterator<Item = Relation> {
    pg.relations().into_iter().filter(|r| !matches!(r.source, RelationSource::Index(..)))
}

fn tables(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for r in relations(pg) {
        rows.push([
            ("table_catalog", pg.database.as_str().into()),
            ("table_schema", r.schema.as_str().into()),
            ("table_name", r.name.as_str().into()),
            ("table_type", if r.kind() == "v" { "VIEW" } else { "BASE TABLE" }.into()),
            ("is_insertable_into", if matches!(r.source, RelationSource::Table(_)) { "YES" } else { "NO" }.into()),
            ("is_typed", "NO".into()),
        ]);
    }
}

/// (precision, radix, scale) of a number.
fn numbers(ty: &SqlType) -> (Cell, Cell, Cell) {
    let of = |precision: i64, radix: i64, scale: Option<i64>| (Cell::Int(precision), Cell::Int(radix), scale.into());
    match (types::type_oid(ty).0, ty) {
        (21, _) => of(16, 2, Some(0)),
        (23, _) => of(32, 2, Some(0)),
        (20, _) => of(64, 2, Some(0)),
        (700, _) => of(24, 2, None),
        (701, _) => of(53, 2, None),
        (1700, SqlType::Decimal { precision, scale }) => of(i64::from(*precision), 10, Some(i64::from(*scale))),
        (1700, _) => of(20, 10, Some(0)),
        _ => (Cell::Null, Cell::Null, Cell::Null),
    }
}

fn columns(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for r in relations(pg) {
        for (i, column) in pg.columns(&r).iter().enumerate() {
            push_column(rows, pg, &r, i, column);
        }
    }
}

fn push_column(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>, r: &Relation, i: usize, column: &Column) {
    let (oid, _) = types::type_oid(&column.ty);
    let (precision, radix, scale) = numbers(&column.ty);
    let (length, octets) = match column.ty {
        SqlType::Char { length } | SqlType::VarChar { length } => (Cell::Int(i64::from(length)), Cell::Int(i64::from(length) * 4)),
        _ if oid == 25 => (Cell::Null, Cell::Int(1_073_741_824)),
        _ => (Cell::Null, Cell::Null),
    };
    let fraction = match column.ty {
        SqlType::Time { fsp } | SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } => Cell::Int(i64::from(fsp)),
        SqlType::Date => Cell::Int(0),
        _ => Cell::Null,
    };
    let data_type = if matches!(column.ty, SqlType::List(_)) { "ARRAY".to_owned() } else { types::format_type(oid, None) };
    let udt = types::TYPES.iter().find(|t| t.oid == oid).map(|t| t.name);
    let is_table = matches!(r.source, RelationSource::Table(_));
    rows.push([
        ("table_catalog", pg.database.as_str().into()),
        ("table_schema", r.schema.as_str().into()),
        ("table_name", r.name.as_str().into()),
        ("column_name", column.name.as_str().into()),
        ("ordinal_position", Cell::Int(i as i64 + 1)),
        ("column_default", if is_table { default_expression(column) } else { None }.into()),
        ("is_nullable", if column.nullable { "YES" } else { "NO" }.into()),
        ("data_type", data_type.into()),
        ("character_maximum_length", length),
        ("character_octet_length", octets),
        ("numeric_precision", precision),
        ("numeric_precision_radix", radix),
        ("numeric_scale", scale),
        ("datetime_precision", fraction),
        ("udt_catalog", pg.database.as_str().into()),
        ("udt_schema", "pg_catalog".into()),
        ("udt_name", udt.into()),
        ("dtd_identifier", (i + 1).to_string().into()),
        ("is_self_referencing", "NO".into()),
        ("is_identity", "NO".into()),
        ("identity_cycle", "NO".into()),
        ("is_generated", "NEVER".into()),
        ("is_updatable", if is_table { "YES" } else { "NO" }.into()),
    ]);
}

fn views(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for r in relations(pg).filter(|r| r.kind() == "v") {
        let definition = match &r.source {
            RelationSource::View(v) => Some(v.definition.clone()),
            _ => None,
        };
        rows.push([
            ("table_catalog", pg.database.as_str().into()),
            ("table_schema", r.schema.as_str().into()),
            ("table_name", r.name.as_str().into()),
            ("view_definition", definition.into()),
            ("check_option", "NONE".into()),
            ("is_updatable", "NO".into()),
            ("is_insertable_into", "NO".into()),
            ("is_trigger_updatable", "NO".into()),
            ("is_trigger_deletable", "NO".into()),
            ("is_trigger_insertable_into", "NO".into()),
        ]);
    }
}

fn table_constraints(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for (namespace, table) in pg.tables() {
        for key in named_keys(table).into_iter().filter(|k| k.key.unique || k.key.primary) {
            rows.push([
                ("constraint_catalog", pg.database.as_str().into()),
                ("constraint_schema", namespace.name.as_str().into()),
                ("constraint_name", key.name.into()),
                ("table_catalog", pg.database.as_str().into()),
                ("table_schema", namespace.name.as_str().into()),
                ("table_name", table.name.as_str().into()),
                ("constraint_type", if key.key.primary { "PRIMARY KEY" } else { "UNIQUE" }.into()),
                ("is_deferrable", "NO".into()),
                ("initially_deferred", "NO".into()),
                ("enforced", "NO".into()),
            ]);
        }
    }
}

fn key_columns(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>, with_position: bool) {
    for (namespace, table) in pg.tables() {
        for key in named_keys(table).into_iter().filter(|k| k.key.unique || k.key.primary) {
            for (i, column) in key.key.columns.iter().enumerate() {
                let cells = [
                    ("table_catalog", Cell::from(pg.database.as_str())),
                    ("table_schema", namespace.name.as_str().into()),
                    ("table_name", table.name.as_str().into()),
                    ("column_name", column.as_str().into()),
                    ("constraint_catalog", pg.database.as_str().into()),
                    ("constraint_schema", namespace.name.as_str().into()),
                    ("constraint_name", key.name.as_str().into()),
                ];
                if with_position {
                    let [a, b, c, d, e, f, g] = cells;
                    rows.push([a, b, c, d, e, f, g, ("ordinal_position", Cell::Int(i as i64 + 1))]);
                } else {
                    rows.push(cells);
                }
            }
        }
    }
}

/// Every user has the same rights.
fn privileges(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for r in relations(pg).filter(|r| !matches!(r.source, RelationSource::System(_))) {
        for privilege in ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"] {
            rows.push([
                ("grantor", pg.snapshot.user.as_str().into()),
                ("grantee", pg.snapshot.user.as_str().into()),
                ("table_catalog", pg.database.as_str().into()),
                ("table_schema", r.schema.as_str().into()),
                ("table_name", r.name.as_str().into()),
                ("privilege_type", privilege.into()),
                ("is_grantable", "NO".into()),
                ("with_hierarchy", if privilege == "SELECT" { "YES" } else { "NO" }.into()),
            ]);
        }
    }
}
