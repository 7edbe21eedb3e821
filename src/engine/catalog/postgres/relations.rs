//! The catalog as a PostgreSQL client connected to one database sees it: schemas, relations, owners, with their OIDs.

use std::sync::Arc;

use super::super::mysql::keys_of;
use super::super::snapshot::CatalogSnapshot;
use super::oids;
use super::system::{INFORMATION_SCHEMA, PG_CATALOG, SYSTEM, SystemRelation};
use crate::gms::{Key, Table, View};
use crate::types::{Column, fold, same};

/// A schema of the current database.
#[derive(Debug, Clone)]
pub struct Namespace {
    pub oid: i64,
    pub name: String,
    /// The Flashgate database that it stands for; None: a virtual schema.
    pub database: Option<String>,
}

/// What a relation is.
#[derive(Clone)]
pub enum RelationSource {
    Table(Arc<Table>),
    View(Arc<View>),
    System(&'static SystemRelation),
    /// The index that stands for a declared key: table, key, number of the key.
    Index(Arc<Table>, Key, usize),
}

/// Anything that pg_class lists.
#[derive(Clone)]
pub struct Relation {
    pub oid: i64,
    pub name: String,
    pub namespace: i64,
    pub schema: String,
    pub source: RelationSource,
}

impl Relation {
    /// pg_class.relkind.
    pub fn kind(&self) -> &'static str {
        match &self.source {
            RelationSource::Table(_) => "r",
            RelationSource::View(_) => "v",
            RelationSource::System(s) if s.kind == 'v' => "v",
            RelationSource::System(_) => "r",
            RelationSource::Index(..) => "i",
        }
    }
}

/// A declared key with the names and numbers PostgreSQL gives it.
pub struct NamedKey {
    pub oid: i64,
    pub name: String,
    pub key: Key,
    /// Numbers of its columns, from 1.
    pub columns: Vec<i64>,
}

/// The catalog of one PostgreSQL session.
pub struct PgCatalog<'a> {
    pub snapshot: &'a CatalogSnapshot,
    /// The current database, as declared.
    pub database: String,
    pub namespaces: Vec<Namespace>,
}

impl<'a> PgCatalog<'a> {
    pub fn new(snapshot: &'a CatalogSnapshot) -> PgCatalog<'a> {
        let current = snapshot.database.clone().unwrap_or_default();
        let database = snapshot.metadata.database(&current).map_or(current, |d| d.name.clone());
        let system = |oid, name: &str| Namespace { oid, name: name.into(), database: None };
        let mut namespaces = vec![
            system(oids::PG_CATALOG, PG_CATALOG),
            system(oids::INFORMATION_SCHEMA, INFORMATION_SCHEMA),
            Namespace { oid: oids::PUBLIC, name: "public".into(), database: Some(database.clone()) },
        ];
        let prefix = format!("{}.", fold(&database));
        for other in &snapshot.metadata.databases {
            if let Some(schema) = fold(&other.name).strip_prefix(&prefix) {
                // The name as declared, from its end: folding may change a name's length.
                let declared = other.name.split_once('.').map_or(schema, |(_, s)| s).to_owned();
                namespaces.push(Namespace { oid: oids::schema(&database, schema), name: declared, database: Some(other.name.clone()) });
            }
        }
        PgCatalog { snapshot, database, namespaces }
    }

    /// The schema that a Flashgate database appears as; None: it belongs to another PostgreSQL database.
    fn namespace_of(&self, database: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|n| n.database.as_deref().is_some_and(|d| same(d, database)))
    }

    /// Tables of the current database, in all its schemas.
    pub fn tables(&self) -> impl Iterator<Item = (&Namespace, &Arc<Table>)> {
        self.snapshot.metadata.tables.iter().filter_map(|t| Some((self.namespace_of(&t.database)?, t)))
    }

    /// Views of the current database.
    pub fn views(&self) -> impl Iterator<Item = (&Namespace, &Arc<View>)> {
        self.snapshot.metadata.views.iter().filter_map(|v| Some((self.namespace_of(&v.database)?, v)))
    }

    /// Everything that pg_class lists.
    pub fn relations(&self) -> Vec<Relation> {
        let mut all = Vec::new();
        for s in SYSTEM.iter() {
            let namespace = if s.schema == PG_CATALOG { oids::PG_CATALOG } else { oids::INFORMATION_SCHEMA };
            let schema = s.schema.to_owned();
            all.push(Relation { oid: s.oid, name: s.layout.name.clone(), namespace, schema, source: RelationSource::System(s) });
        }
        for (n, t) in self.tables() {
            let of = |oid, name: String, source| Relation { oid, name, namespace: n.oid, schema: n.name.clone(), source };
            all.push(of(oids::table(t.id.0), t.name.clone(), RelationSource::Table(Arc::clone(t))));
            for (i, key) in named_keys(t).into_iter().enumerate() {
                all.push(of(key.oid, key.name, RelationSource::Index(Arc::clone(t), key.key, i)));
            }
        }
        for (n, v) in self.views() {
            let oid = oids::view(&v.database, &v.name);
            all.push(Relation {
                oid,
                name: v.name.clone(),
                namespace: n.oid,
                schema: n.name.clone(),
                source: RelationSource::View(Arc::clone(v)),
            });
        }
        all
    }

    /// The columns of a relation, as declared.
    pub fn columns(&self, relation: &Relation) -> Vec<Column> {
        match &relation.source {
            RelationSource::Table(t) => t.columns().to_vec(),
            RelationSource::View(v) => self.snapshot.columns_of_view(v).to_vec(),
            RelationSource::Index(t, key, _) => {
                key.columns.iter().filter_map(|name| t.columns().iter().find(|c| same(&c.name, name)).cloned()).collect()
            }
            RelationSource::System(s) => s.layout.declared(),
        }
    }

    /// The owner of what users made: the session's user is as good as any, all users have the same rights.
    pub fn owner(&self) -> i64 {
        oids::role(&self.snapshot.user)
    }

    /// The names on the search path, in order: only these are found without a schema.
    pub fn search_path(&self, with_implicit: bool) -> Vec<String> {
        let setting = self.snapshot.settings.iter().find(|s| s.name == "search_path").map_or("public", |s| s.value.as_str());
        let mut path: Vec<String> = if with_implicit { vec![PG_CATALOG.to_owned()] } else { Vec::new() };
        for word in setting.split(',').map(|w| w.trim().trim_matches(['"', '\''])) {
            let word = if word == "$user" { self.snapshot.user.as_str() } else { word };
            if let Some(n) = self.namespaces.iter().find(|n| same(&n.name, word))
                && !path.contains(&n.name)
            {
                path.push(n.name.clone());
            }
        }
        path
    }
}

/// The keys of a table with PostgreSQL's names: `t_pkey`, `t_a_b_key`, `t_a_idx` where none was given.
pub fn named_keys(table: &Table) -> Vec<NamedKey> {
    let keys = keys_of(table).into_iter().enumerate();
    keys.map(|(i, (_, key))| {
        let joined = key.columns.join("_");
        let name = match () {
            () if !key.name.is_empty() && !key.name.eq_ignore_ascii_case("PRIMARY") => key.name.clone(),
            () if key.primary => format!("{}_pkey", table.name),
            () if key.unique => format!("{}_{joined}_key", table.name),
            () => format!("{}_{joined}_idx", table.name),
        };
        let position = |column: &String| table.columns().iter().position(|c| same(&c.name, column)).map(|p| p as i64 + 1);
        NamedKey { oid: oids::index(table.id.0, i), name, columns: key.columns.iter().filter_map(position).collect(), key: key.clone() }
    })
    .collect()
}
