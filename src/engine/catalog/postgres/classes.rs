//! pg_namespace, pg_class, pg_attribute and their views: schemas, relations and columns.

use super::super::layout::{Cell, RowSet};
use super::relations::{Relation, RelationSource};
use super::{PgCatalog, oids, types};
use crate::types::{Column, Default, SqlType};

/// pg_class and pg_namespace as OIDs of catalogs (pg_description.classoid).
pub(super) const CLASS_CLASS: i64 = 1259;

pub(super) fn namespaces(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for n in &pg.namespaces {
        let owner = if n.database.is_some() { pg.owner() } else { oids::SUPERUSER };
        rows.push([("oid", n.oid.into()), ("nspname", n.name.as_str().into()), ("nspowner", owner.into())]);
    }
    rows.push([("oid", oids::PG_TOAST.into()), ("nspname", "pg_toast".into()), ("nspowner", oids::SUPERUSER.into())]);
}

pub(super) fn classes(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for relation in pg.relations() {
        let (tuples, bytes, keys) = match &relation.source {
            RelationSource::Table(t) => {
                let size = pg.snapshot.size(t.id);
                (size.rows as f64, size.bytes, !t.keys.is_empty())
            }
            _ => (-1.0, 0, false),
        };
        let (owner, method) = match relation.source {
            RelationSource::System(_) if relation.kind() == "r" => (oids::SUPERUSER, oids::HEAP),
            RelationSource::System(_) => (oids::SUPERUSER, 0),
            RelationSource::Table(_) => (pg.owner(), oids::HEAP),
            RelationSource::View(_) => (pg.owner(), 0),
            RelationSource::Index(..) => (pg.owner(), oids::BTREE),
        };
        rows.push([
            ("oid", relation.oid.into()),
            ("relname", relation.name.as_str().into()),
            ("relnamespace", relation.namespace.into()),
            ("relowner", owner.into()),
            ("relam", method.into()),
            ("relfilenode", if relation.kind() == "v" { 0 } else { relation.oid }.into()),
            ("relpages", Cell::Int(i64::try_from(bytes.div_ceil(8192)).unwrap_or(i64::MAX).min(i64::from(i32::MAX)))),
            ("reltuples", tuples.into()),
            ("relhasindex", keys.into()),
            ("relpersistence", "p".into()),
            ("relkind", relation.kind().into()),
            ("relnatts", Cell::Int(pg.columns(&relation).len() as i64)),
            ("relhasrules", (relation.kind() == "v").into()),
            ("relispopulated", true.into()),
            ("relreplident", if matches!(relation.source, RelationSource::Table(_)) { "d" } else { "n" }.into()),
        ]);
    }
}

pub(super) fn attributes(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for relation in pg.relations() {
        let oid_columns = system_oid_columns(&relation);
        for (i, column) in pg.columns(&relation).iter().enumerate() {
            let (mut ty, modifier) = types::type_oid(&column.ty);
            if let Some(declared) = oid_columns.as_ref().and_then(|c| c.get(i)).copied().flatten() {
                ty = declared;
            }
            let (length, by_value, align, storage, collation) = types::physical(ty);
            let is_table = matches!(relation.source, RelationSource::Table(_));
            rows.push([
                ("attrelid", relation.oid.into()),
                ("attname", column.name.as_str().into()),
                ("atttypid", ty.into()),
                ("attstattarget", Cell::Int(-1)),
                ("attlen", length.into()),
                ("attnum", Cell::Int(i as i64 + 1)),
                ("attndims", Cell::Int(i64::from(matches!(column.ty, SqlType::List(_))))),
                ("attcacheoff", Cell::Int(-1)),
                ("atttypmod", modifier.into()),
                ("attbyval", by_value.into()),
                ("attalign", align.into()),
                ("attstorage", storage.into()),
                ("attnotnull", (!column.nullable && !matches!(relation.source, RelationSource::Index(..))).into()),
                ("atthasdef", (is_table && column.default.is_some()).into()),
                ("attislocal", true.into()),
                ("attcollation", collation.into()),
            ]);
        }
    }
}

/// Columns of the catalogs whose PostgreSQL type is not the one that we send: identifiers are int4 here.
fn system_oid_columns(relation: &Relation) -> Option<Vec<Option<i64>>> {
    let RelationSource::System(system) = &relation.source else { return None };
    let of = |name: &str, ty: &SqlType| match ty {
        SqlType::Int32 { .. } if name == "oid" || (name.len() > 4 && name.ends_with("oid")) => Some(26),
        _ => None,
    };
    Some(system.layout.columns.iter().map(|(name, ty)| of(name, ty)).collect())
}

/// A default as PostgreSQL prints it: `'x'::character varying`, `0`, `CURRENT_TIMESTAMP`.
pub(super) fn default_expression(column: &Column) -> Option<String> {
    let text = match column.default.as_ref()? {
        Default::Now => "CURRENT_TIMESTAMP".to_owned(),
        Default::Today => "CURRENT_DATE".to_owned(),
        Default::Uuid => "gen_random_uuid()".to_owned(),
        Default::Value(text) => match &column.ty {
            SqlType::Bool => (if matches!(text.as_str(), "1" | "t" | "true" | "on") { "true" } else { "false" }).to_owned(),
            SqlType::Int8 { .. }
            | SqlType::Int16 { .. }
            | SqlType::Int24 { .. }
            | SqlType::Int32 { .. }
            | SqlType::Int64 { .. }
            | SqlType::Float32
            | SqlType::Float64
            | SqlType::Decimal { .. }
            | SqlType::Year
            | SqlType::Bit { .. } => text.clone(),
            ty => {
                let (oid, _) = types::type_oid(ty);
                format!("'{}'::{}", text.replace('\'', "''"), types::format_type(oid, None))
            }
        },
    };
    Some(text)
}

pub(super) fn defaults(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for (_, table) in pg.tables() {
        for (i, column) in table.columns().iter().enumerate() {
            if let Some(expression) = default_expression(column) {
                rows.push([
                    ("oid", oids::default(table.id.0, i).into()),
                    ("adrelid", oids::table(table.id.0).into()),
                    ("adnum", Cell::Int(i as i64 + 1)),
                    ("adbin", expression.into()),
                ]);
            }
        }
    }
}

pub(super) fn tables(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for relation in pg.relations().iter().filter(|r| r.kind() == "r") {
        let keys = matches!(&relation.source, RelationSource::Table(t) if !t.keys.is_empty());
        rows.push([
            ("schemaname", relation.schema.as_str().into()),
            ("tablename", relation.name.as_str().into()),
            ("tableowner", pg.snapshot.user.as_str().into()),
            ("hasindexes", keys.into()),
            ("hasrules", false.into()),
            ("hastriggers", false.into()),
            ("rowsecurity", false.into()),
        ]);
    }
}

pub(super) fn views(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for relation in pg.relations().iter().filter(|r| r.kind() == "v") {
        let definition = match &relation.source {
            RelationSource::View(v) => v.definition.clone(),
            _ => String::new(),
        };
        rows.push([
            ("schemaname", relation.schema.as_str().into()),
            ("viewname", relation.name.as_str().into()),
            ("viewowner", pg.snapshot.user.as_str().into()),
            ("definition", definition.into()),
        ]);
    }
}

/// A view is a relation with one rule, by which drivers recognise it.
pub(super) fn rewrite(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for (_, view) in pg.views() {
        let oid = oids::view(&view.database, &view.name);
        rows.push([
            ("oid", oid.into()),
            ("rulename", "_RETURN".into()),
            ("ev_class", oid.into()),
            ("ev_type", "1".into()),
            ("ev_enabled", "O".into()),
            ("is_instead", true.into()),
        ]);
    }
}

/// Comments of tables (objsubid 0) and columns (their number).
pub(super) fn descriptions(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for (_, table) in pg.tables() {
        let columns = table.columns().iter().enumerate().map(|(i, c)| (i as i64 + 1, &c.comment));
        for (number, comment) in std::iter::once((0, &table.comment)).chain(columns).filter(|(_, c)| !c.is_empty()) {
            rows.push([
                ("objoid", oids::table(table.id.0).into()),
                ("classoid", CLASS_CLASS.into()),
                ("objsubid", number.into()),
                ("description", comment.into()),
            ]);
        }
    }
}

pub(super) fn statistics(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for (namespace, table) in pg.tables() {
        rows.push([
            ("relid", oids::table(table.id.0).into()),
            ("schemaname", namespace.name.as_str().into()),
            ("relname", table.name.as_str().into()),
            ("n_live_tup", Cell::Int(i64::try_from(pg.snapshot.size(table.id).rows).unwrap_or(i64::MAX))),
        ]);
    }
}
