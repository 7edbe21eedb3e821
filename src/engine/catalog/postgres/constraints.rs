//! pg_index and pg_constraint: declared keys. Nothing enforces them: `convalidated` is false.

use super::super::layout::{Cell, RowSet};
use super::relations::{NamedKey, named_keys};
use super::{PgCatalog, oids, types};
use crate::gms::Table;

/// `CREATE [UNIQUE] INDEX ..` as pg_get_indexdef prints it.
pub fn index_definition(schema: &str, table: &Table, key: &NamedKey) -> String {
    let unique = if key.key.unique || key.key.primary { "UNIQUE " } else { "" };
    let name = quote_ident(&key.name);
    let on = format!("{}.{}", quote_ident(schema), quote_ident(&table.name));
    format!("CREATE {unique}INDEX {name} ON {on} USING btree ({})", column_list(key))
}

/// `PRIMARY KEY (a, b)` as pg_get_constraintdef prints it.
pub fn constraint_definition(key: &NamedKey) -> String {
    format!("{} ({})", if key.key.primary { "PRIMARY KEY" } else { "UNIQUE" }, column_list(key))
}

fn column_list(key: &NamedKey) -> String {
    key.key.columns.iter().map(|c| quote_ident(c)).collect::<Vec<_>>().join(", ")
}

/// Words that PostgreSQL reserves.
pub const RESERVED: &str = " all analyse analyze and any array as asc both case cast check collate column constraint create default desc distinct do \
        else end except false fetch for foreign from grant group having in initially intersect into lateral leading limit localtime not null offset on \
        only or order placing primary references returning select some symmetric table then to trailing true union unique user using variadic when \
        where window with ";

/// A name in double quotes where PostgreSQL would need them.
pub fn quote_ident(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !RESERVED.contains(&format!(" {name} ")) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

pub(super) fn indexes(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for (_, table) in pg.tables() {
        for key in named_keys(table) {
            let column_types = key.columns.iter().filter_map(|n| table.columns().get(*n as usize - 1)).map(|c| types::type_oid(&c.ty).0);
            let (classes, collations): (Vec<i64>, Vec<i64>) = column_types.map(|t| (types::btree_class(t), types::physical(t).4)).unzip();
            let count = key.columns.len() as i64;
            rows.push([
                ("indexrelid", key.oid.into()),
                ("indrelid", oids::table(table.id.0).into()),
                ("indnatts", count.into()),
                ("indnkeyatts", count.into()),
                ("indisunique", (key.key.unique || key.key.primary).into()),
                ("indisprimary", key.key.primary.into()),
                ("indimmediate", true.into()),
                ("indisvalid", true.into()),
                ("indisready", true.into()),
                ("indislive", true.into()),
                ("indkey", Cell::Ints(key.columns.clone())),
                ("indcollation", Cell::Ints(collations)),
                ("indclass", Cell::Ints(classes)),
                ("indoption", Cell::Ints(vec![0; key.columns.len()])),
            ]);
        }
    }
}

pub(super) fn index_list(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for (namespace, table) in pg.tables() {
        for key in named_keys(table) {
            rows.push([
                ("schemaname", namespace.name.as_str().into()),
                ("tablename", table.name.as_str().into()),
                ("indexname", key.name.as_str().into()),
                ("indexdef", index_definition(&namespace.name, table, &key).into()),
            ]);
        }
    }
}

pub(super) fn constraints(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for (namespace, table) in pg.tables() {
        for key in named_keys(table).into_iter().filter(|k| k.key.unique || k.key.primary) {
            rows.push([
                ("oid", key.oid.into()),
                ("conname", key.name.as_str().into()),
                ("connamespace", namespace.oid.into()),
                ("contype", if key.key.primary { "p" } else { "u" }.into()),
                ("convalidated", false.into()),
                ("conrelid", oids::table(table.id.0).into()),
                ("conindid", key.oid.into()),
                ("confupdtype", " ".into()),
                ("confdeltype", " ".into()),
                ("confmatchtype", " ".into()),
                ("conislocal", true.into()),
                ("connoinherit", true.into()),
                ("conkey", Cell::Ints(key.columns)),
            ]);
        }
    }
}
