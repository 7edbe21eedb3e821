//! STATISTICS, KEY_COLUMN_USAGE, TABLE_CONSTRAINTS: declared keys. Cold tables do not enforce them, and ENFORCED says so.

use super::super::layout::{Cell, RowSet};
use super::super::snapshot::CatalogSnapshot;
use super::layouts::DEF;
use crate::gms::{Key, Table};
use crate::types::same;

/// A table's keys as MySQL lists them: the primary key first, then unique keys, then the rest; each with a name.
pub fn keys_of(table: &Table) -> Vec<(String, &Key)> {
    let mut keys: Vec<&Key> = table.keys.iter().collect();
    keys.sort_by_key(|k| (!k.primary, !k.unique));
    let mut taken: Vec<String> = Vec::new();
    keys.into_iter()
        .map(|key| {
            let wanted = match () {
                () if key.primary => "PRIMARY".to_owned(),
                () if !key.name.is_empty() => key.name.clone(),
                () => key.columns.first().cloned().unwrap_or_default(),
            };
            let mut name = wanted.clone();
            let mut n = 2;
            while taken.iter().any(|t| same(t, &name)) {
                name = format!("{wanted}_{n}");
                n += 1;
            }
            taken.push(name.clone());
            (name, key)
        })
        .collect()
}

/// COLUMN_KEY: `PRI`, `UNI` (alone in a unique key), `MUL` (first of another key) or nothing.
pub fn column_key(keys: &[Key], column: &str) -> &'static str {
    let first = |k: &Key| k.columns.first().is_some_and(|c| same(c, column));
    match () {
        () if keys.iter().any(|k| k.primary && k.columns.iter().any(|c| same(c, column))) => "PRI",
        () if keys.iter().any(|k| k.unique && k.columns.len() == 1 && first(k)) => "UNI",
        () if keys.iter().any(first) => "MUL",
        () => "",
    }
}

pub(super) fn statistics(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for table in &snapshot.metadata.tables {
        for (name, key) in keys_of(table) {
            for (i, column) in key.columns.iter().enumerate() {
                let nullable = !key.primary && table.columns().iter().any(|c| same(&c.name, column) && c.nullable);
                rows.push([
                    ("table_catalog", DEF.into()),
                    ("table_schema", table.database.as_str().into()),
                    ("table_name", table.name.as_str().into()),
                    ("non_unique", Cell::Int(i64::from(!key.unique && !key.primary))),
                    ("index_schema", table.database.as_str().into()),
                    ("index_name", name.as_str().into()),
                    ("seq_in_index", Cell::Int(i as i64 + 1)),
                    ("column_name", column.as_str().into()),
                    ("collation", "A".into()),
                    ("cardinality", Cell::Int(i64::try_from(snapshot.size(table.id).rows).unwrap_or(i64::MAX))),
                    ("nullable", if nullable { "YES" } else { "" }.into()),
                    ("index_type", "BTREE".into()),
                    ("index_comment", "documentation only: not enforced".into()),
                    ("is_visible", "YES".into()),
                ]);
            }
        }
    }
}

pub(super) fn key_column_usage(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for table in &snapshot.metadata.tables {
        for (name, key) in keys_of(table).into_iter().filter(|(_, k)| k.unique || k.primary) {
            for (i, column) in key.columns.iter().enumerate() {
                rows.push([
                    ("constraint_catalog", DEF.into()),
                    ("constraint_schema", table.database.as_str().into()),
                    ("constraint_name", name.as_str().into()),
                    ("table_catalog", DEF.into()),
                    ("table_schema", table.database.as_str().into()),
                    ("table_name", table.name.as_str().into()),
                    ("column_name", column.as_str().into()),
                    ("ordinal_position", Cell::Int(i as i64 + 1)),
                ]);
            }
        }
    }
}

pub(super) fn table_constraints(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for table in &snapshot.metadata.tables {
        for (name, key) in keys_of(table).into_iter().filter(|(_, k)| k.unique || k.primary) {
            rows.push([
                ("constraint_catalog", DEF.into()),
                ("constraint_schema", table.database.as_str().into()),
                ("constraint_name", name.into()),
                ("table_schema", table.database.as_str().into()),
                ("table_name", table.name.as_str().into()),
                ("constraint_type", if key.primary { "PRIMARY KEY" } else { "UNIQUE" }.into()),
                ("enforced", "NO".into()),
            ]);
        }
    }
}
