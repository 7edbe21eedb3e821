//! Virtual catalogs: `information_schema` in both flavours, `pg_catalog`, and the little of `performance_schema` that
//! clients ask for.
//!
//! Owns the shape of every virtual table and fills it from a [`CatalogSnapshot`], an immutable picture that the session takes
//! for one statement. It never reads the metadata database, an object or a socket.

pub mod charsets;
mod layout;
mod mysql;
pub mod pg_functions;
mod postgres;
mod rewrite;
mod session_literals;
mod snapshot;
mod versions;

use std::sync::Arc;

use datafusion::catalog::{MemTable, TableProvider};

pub use layout::{Cell, Layout, RowSet};
pub use mysql::{PRIVILEGES, column_key, default_text, has_charset, keys_of, quoted};
pub use postgres::{PgCatalog, format_type, type_oid};
pub use rewrite::{distinct_aliases, rewrite_postgres_catalog};
pub use session_literals::{SessionFacts, VariableSource, literal, substitute_in_expr, substitute_variables};
pub use snapshot::{CatalogSnapshot, Metadata, Process, SettingRow, TableSize};
pub use versions::{MYSQL_VERSION, POSTGRES_VERSION};

use crate::types::{Column, Family};

/// The schemas that a family's sessions have besides their own.
pub fn virtual_schemas(family: Family) -> &'static [&'static str] {
    match family {
        Family::MySql => &["information_schema", "performance_schema", "mysql", "sys"],
        Family::Postgres => &["pg_catalog", "information_schema"],
    }
}

/// Is this schema one of the virtual ones?
pub fn is_virtual_schema(family: Family, schema: &str) -> bool {
    virtual_schemas(family).iter().any(|s| s.eq_ignore_ascii_case(schema))
}

/// The tables of a virtual schema, by their declared names.
pub fn table_names(family: Family, schema: &str) -> Vec<String> {
    match family {
        Family::MySql => mysql::table_names(schema),
        Family::Postgres => postgres::table_names(schema),
    }
}

/// The columns of a virtual table, as declared.
pub fn virtual_columns(family: Family, schema: &str, table: &str) -> Option<Vec<Column>> {
    let layout = match family {
        Family::MySql => mysql::layout(schema, table)?,
        Family::Postgres => postgres::layout(schema, table)?,
    };
    Some(layout.declared())
}

/// Does this virtual table list file versions (so that [`CatalogSnapshot::files`] must be there)?
pub fn needs_files(family: Family, schema: &str, table: &str) -> bool {
    family == Family::MySql
        && schema.eq_ignore_ascii_case("information_schema")
        && ["files", "file_storage_files_meta"].iter().any(|t| t.eq_ignore_ascii_case(table))
}

/// Does this virtual table tell how large tables are (so that [`CatalogSnapshot::sizes`] should be there)?
pub fn needs_sizes(family: Family, schema: &str, table: &str) -> bool {
    let names: &[&str] = match family {
        Family::MySql => &["tables", "partitions", "statistics"],
        Family::Postgres => &["pg_class", "pg_stat_user_tables", "pg_stat_all_tables"],
    };
    is_virtual_schema(family, schema) && names.iter().any(|t| t.eq_ignore_ascii_case(table))
}

/// The virtual table of this name, filled; None: there is none. Names are compared without case; columns have folded
/// names and carry their declared ones as metadata.
pub fn virtual_table(family: Family, schema: &str, table: &str, snapshot: &CatalogSnapshot) -> Option<Arc<dyn TableProvider>> {
    let rows = match family {
        Family::MySql => mysql::fill(schema, table, snapshot)?,
        Family::Postgres => postgres::fill(schema, table, snapshot)?,
    };
    let batch = rows.finish().ok()?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).ok()?;
    Some(Arc::new(table))
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
