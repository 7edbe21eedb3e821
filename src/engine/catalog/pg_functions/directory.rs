//! Objects by OID and by name: what the functions look up.

use std::collections::HashMap;
use std::sync::OnceLock;

use datafusion::scalar::ScalarValue;

use super::super::postgres::{PgCatalog, Relation, RelationSource, named_keys, oids, type_by_name};
use super::super::snapshot::CatalogSnapshot;
use super::build::{number, text};
use crate::types::{fold, same};

/// The objects of the current database.
pub struct Directory {
    pub(super) snapshot: CatalogSnapshot,
    built: OnceLock<Built>,
}

/// A relation as the functions need it.
pub(super) struct Known {
    pub(super) relation: Relation,
    pub(super) visible: bool,
}

#[derive(Default)]
pub(super) struct Built {
    pub(super) database: String,
    pub(super) path: Vec<String>,
    pub(super) path_with_implicit: Vec<String>,
    pub(super) relations: HashMap<i64, Known>,
    pub(super) namespaces: Vec<(i64, String)>,
    pub(super) indexes: HashMap<i64, String>,
    pub(super) constraints: HashMap<i64, String>,
    pub(super) views: HashMap<i64, String>,
    /// By (relation, column number or 0).
    pub(super) comments: HashMap<(i64, i64), String>,
    /// (columns of an index) by index.
    pub(super) index_columns: HashMap<i64, Vec<String>>,
    pub(super) sizes: HashMap<i64, u64>,
}

impl Directory {
    pub(super) fn new(snapshot: CatalogSnapshot) -> Directory {
        Directory { snapshot, built: OnceLock::new() }
    }

    pub(super) fn built(&self) -> &Built {
        self.built.get_or_init(|| build(&self.snapshot))
    }

    /// The name of a role.
    pub(super) fn role(&self, oid: i64) -> Option<String> {
        self.snapshot.users.iter().find(|u| oids::role(u) == oid).cloned()
    }

    /// A relation by OID, or by name as `'schema.table'::regclass` reads it.
    pub(super) fn relation(&self, args: &[ScalarValue], i: usize) -> Option<i64> {
        match number(args, i) {
            Some(oid) => Some(oid),
            None => self.relation_by_name(text(args, i)?),
        }
    }

    fn relation_by_name(&self, name: &str) -> Option<i64> {
        let built = self.built();
        let (mut schema, name) = split_name(name);
        // database.schema.table names the current database only.
        if let Some((database, rest)) = schema.as_deref().and_then(|s| s.split_once('.')) {
            if !same(database, &built.database) {
                return None;
            }
            schema = Some(rest.to_owned());
        }
        let mut found: Vec<&Known> = built.relations.values().filter(|k| same(&k.relation.name, &name)).collect();
        // Keys of tables that MySQL sessions made may be called like a table: the table is meant.
        found.sort_by_key(|k| matches!(k.relation.source, RelationSource::Index(..)));
        match schema {
            Some(schema) => found.retain(|k| same(&k.relation.schema, &schema)),
            None => {
                found.retain(|k| k.visible);
                found.sort_by_key(|k| built.path_with_implicit.iter().position(|s| same(s, &k.relation.schema)));
            }
        }
        found.first().map(|k| k.relation.oid)
    }

    /// What `oid::regclass` prints: the name, with its schema when it is not on the search path.
    pub(super) fn relation_name(&self, oid: i64) -> String {
        match self.built().relations.get(&oid) {
            Some(k) if k.visible => quote_ident(&k.relation.name),
            Some(k) => format!("{}.{}", quote_ident(&k.relation.schema), quote_ident(&k.relation.name)),
            None if oid == 0 => "-".into(),
            None => oid.to_string(),
        }
    }

    /// A type by OID or name.
    pub(super) fn type_of(args: &[ScalarValue], i: usize) -> Option<i64> {
        match number(args, i) {
            Some(oid) => Some(oid),
            None => type_by_name(text(args, i)?).map(|t| t.oid),
        }
    }
}

/// `"My Schema".t` as (schema, name), both unquoted, folded where they were not quoted.
pub(super) fn split_name(text: &str) -> (Option<String>, String) {
    let mut parts = vec![String::new()];
    let mut in_quotes = false;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if in_quotes && chars.peek() == Some(&'"') => {
                chars.next();
                if let Some(last) = parts.last_mut() {
                    last.push('"');
                }
            }
            '"' => in_quotes = !in_quotes,
            '.' if !in_quotes => parts.push(String::new()),
            c => {
                if let Some(last) = parts.last_mut() {
                    if in_quotes { last.push(c) } else { last.push_str(&fold(&c.to_string())) }
                }
            }
        }
    }
    let name = parts.pop().unwrap_or_default();
    (if parts.is_empty() { None } else { Some(parts.join(".")) }, name)
}

pub(super) use super::super::postgres::quote_ident;

fn build(snapshot: &CatalogSnapshot) -> Built {
    let pg = PgCatalog::new(snapshot);
    let path_with_implicit = pg.search_path(true);
    let mut built = Built { database: pg.database.clone(), path: pg.search_path(false), ..Built::default() };
    built.namespaces = pg.namespaces.iter().map(|n| (n.oid, n.name.clone())).collect();
    for relation in pg.relations() {
        let visible = path_with_implicit.iter().any(|s| same(s, &relation.schema));
        if let RelationSource::View(v) = &relation.source {
            built.views.insert(relation.oid, format!(" {};", v.definition.trim_end_matches(';')));
        }
        built.relations.insert(relation.oid, Known { relation, visible });
    }
    for (namespace, table) in pg.tables() {
        let oid = oids::table(table.id.0);
        built.sizes.insert(oid, snapshot.size(table.id).bytes);
        for key in named_keys(table) {
            built.indexes.insert(key.oid, super::super::postgres::index_definition(&namespace.name, table, &key));
            built.index_columns.insert(key.oid, key.key.columns.clone());
            if key.key.unique || key.key.primary {
                built.constraints.insert(key.oid, super::super::postgres::constraint_definition(&key));
            }
        }
        let columns = table.columns().iter().enumerate().map(|(i, c)| (i as i64 + 1, &c.comment));
        for (n, comment) in std::iter::once((0, &table.comment)).chain(columns).filter(|(_, c)| !c.is_empty()) {
            built.comments.insert((oid, n), comment.clone());
        }
    }
    built.path_with_implicit = path_with_implicit;
    built
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_name_keeps_its_dots_and_case() {
        assert_eq!(split_name("Orders"), (None, "orders".into()));
        assert_eq!(split_name("\"My.Schema\".\"A\"\"b\""), (Some("My.Schema".into()), "A\"b".into()));
    }
}
