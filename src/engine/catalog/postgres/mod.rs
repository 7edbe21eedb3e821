//! `pg_catalog` and PostgreSQL's `information_schema`, in the shape of PostgreSQL 16.
//!
//! The .tsv files beside hold the shapes of all relations and the rows that are the same in every PostgreSQL (types,
//! their functions, casts, operator classes), as the manual's chapter "System Catalogs" defines them.

mod classes;
mod constraints;
mod information;
pub(super) mod oids;
mod relations;
mod server;
mod system;
mod types;

pub(super) use constraints::{RESERVED, constraint_definition, index_definition, quote_ident};
pub(super) use relations::RelationSource;
pub(super) use relations::named_keys;
pub use relations::{PgCatalog, Relation};
pub(super) use system::{INFORMATION_SCHEMA, PG_CATALOG};
use system::{SYSTEM, SystemRelation};
pub(super) use types::PROCS;
pub use types::{format_type, type_by_name, type_oid};

use super::layout::{Layout, RowSet};
use super::snapshot::CatalogSnapshot;
use crate::types::same;

/// Tables of a virtual schema.
pub(super) fn table_names(schema: &str) -> Vec<String> {
    SYSTEM.iter().filter(|r| same(r.schema, schema)).map(|r| r.layout.name.clone()).collect()
}

/// The shape of a virtual table; None: no such table.
pub(super) fn layout(schema: &str, table: &str) -> Option<&'static Layout> {
    SYSTEM.iter().find(|r| same(r.schema, schema) && same(&r.layout.name, table)).map(|r| &r.layout)
}

/// Relations of pg_catalog that [`fill`] fills; the others are there and always empty.
const FILLED: &str = " pg_namespace pg_class pg_attribute pg_attrdef pg_tables pg_views pg_rewrite pg_description pg_stat_user_tables pg_stat_all_tables \
    pg_index pg_indexes pg_constraint pg_type pg_range pg_proc pg_cast pg_opclass pg_database pg_roles pg_authid pg_user pg_shadow pg_am pg_collation \
    pg_language pg_tablespace pg_settings pg_stat_activity pg_stat_database pg_timezone_names ";

/// Is this a relation of pg_catalog that never has rows here: sequences, triggers, policies, publications, ..?
pub(super) fn is_always_empty(name: &str) -> bool {
    let catalog = |r: &SystemRelation| r.schema == PG_CATALOG && r.layout.name == name;
    !FILLED.contains(&format!(" {name} ")) && SYSTEM.iter().any(catalog)
}

/// The rows of a virtual table; None: no such table.
pub(super) fn fill(schema: &str, table: &str, snapshot: &CatalogSnapshot) -> Option<RowSet<'static>> {
    let relation = SYSTEM.iter().find(|r| same(r.schema, schema) && same(&r.layout.name, table))?;
    let mut rows = relation.layout.rows();
    if relation.schema == PG_CATALOG && is_always_empty(&relation.layout.name) {
        return Some(rows);
    }
    let pg = PgCatalog::new(snapshot);
    if relation.schema == INFORMATION_SCHEMA {
        information::fill(&relation.layout.name, &mut rows, &pg);
        return Some(rows);
    }
    match relation.layout.name.as_str() {
        "pg_namespace" => classes::namespaces(&mut rows, &pg),
        "pg_class" => classes::classes(&mut rows, &pg),
        "pg_attribute" => classes::attributes(&mut rows, &pg),
        "pg_attrdef" => classes::defaults(&mut rows, &pg),
        "pg_tables" => classes::tables(&mut rows, &pg),
        "pg_views" => classes::views(&mut rows, &pg),
        "pg_rewrite" => classes::rewrite(&mut rows, &pg),
        "pg_description" => classes::descriptions(&mut rows, &pg),
        "pg_stat_user_tables" | "pg_stat_all_tables" => classes::statistics(&mut rows, &pg),
        "pg_index" => constraints::indexes(&mut rows, &pg),
        "pg_indexes" => constraints::index_list(&mut rows, &pg),
        "pg_constraint" => constraints::constraints(&mut rows, &pg),
        "pg_type" => types::types(&mut rows, &pg),
        "pg_range" => types::ranges(&mut rows),
        "pg_proc" => types::procs(&mut rows),
        "pg_cast" => types::casts(&mut rows),
        "pg_opclass" => types::opclasses(&mut rows),
        "pg_database" => server::databases(&mut rows, &pg),
        "pg_roles" | "pg_authid" => server::roles(&mut rows, &pg),
        "pg_user" | "pg_shadow" => server::users(&mut rows, &pg),
        "pg_am" => server::access_methods(&mut rows),
        "pg_collation" => server::collations(&mut rows),
        "pg_language" => server::languages(&mut rows),
        "pg_tablespace" => server::tablespaces(&mut rows),
        "pg_settings" => server::settings(&mut rows, &pg),
        "pg_stat_activity" => server::activity(&mut rows, &pg),
        "pg_stat_database" => server::database_statistics(&mut rows, &pg),
        "pg_timezone_names" => server::timezone_names(&mut rows, &pg),
        // Extensions, triggers, policies, publications, partitions, enums..: there are none of them here.
        _ => {}
    }
    Some(rows)
}
