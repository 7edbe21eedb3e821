//! What a SHOW looks at, and the names in it.

use datafusion::arrow::array::RecordBatch;

use crate::engine::catalog::CatalogSnapshot;
use crate::error::{Error, Kind, Result};
use crate::sql::Name;
use crate::types::{ColumnInfo, same};
use crate::variables::Variables;

/// One line of SHOW WARNINGS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// `Note`, `Warning` or `Error`.
    pub level: &'static str,
    /// MySQL code.
    pub code: u16,
    /// The sentence.
    pub message: String,
}

/// What SHOW looks at.
pub struct ShowContext<'a> {
    pub snapshot: &'a CatalogSnapshot,
    pub variables: &'a Variables,
    /// Of the statement before this one.
    pub warnings: &'a [Warning],
}

/// A result set that is made here.
#[derive(Debug, Clone)]
pub struct Shown {
    pub columns: Vec<ColumnInfo>,
    pub batch: RecordBatch,
}

/// The database that is meant, as declared.
pub(super) fn database_name(name: Option<&str>, context: &ShowContext<'_>) -> Result<String> {
    let name = name.or(context.snapshot.database.as_deref()).ok_or_else(|| Error::new(Kind::NoDatabase, "No database selected"))?;
    let family = context.variables.family();
    if let Some(schema) = crate::engine::catalog::virtual_schemas(family).iter().find(|s| same(s, name)) {
        return Ok((*schema).to_owned());
    }
    match context.snapshot.metadata.database(name) {
        Some(database) => Ok(database.name.clone()),
        None => Err(Error::new(Kind::UnknownDatabase, format!("Unknown database '{name}'"))),
    }
}

/// (database, table) that a name means.
pub(super) fn located(name: &Name, context: &ShowContext<'_>) -> Result<(String, String)> {
    let database = database_name(name.qualifier().last().map(String::as_str), context)?;
    Ok((database, name.name().to_owned()))
}

pub(super) fn no_table(database: &str, table: &str) -> Error {
    Error::new(Kind::UnknownTable, format!("Table '{database}.{table}' doesn't exist"))
}
