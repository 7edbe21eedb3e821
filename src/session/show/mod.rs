//! SHOW and DESCRIBE: what MySQL and PostgreSQL clients ask about databases, tables and the server, with the column
//! labels they expect.
//!
//! Everything is answered from the statement's [`CatalogSnapshot`] and the session's variables; nothing is read or changed here.

mod context;
mod create;
mod filter;
mod grid;
mod server;
mod tables;

pub use context::{ShowContext, Shown, Warning};
pub use create::{create_table, create_view};

use context::database_name;
use grid::Grid;

use crate::error::{Error, Kind, Result};
use crate::sql::{Name, Scope, Show, ShowFilter, ShowKind};
use crate::types::ColumnInfo;
use crate::variables::Scope as VariableScope;

/// Should [`CatalogSnapshot::sizes`] be there for it?
pub fn needs_sizes(kind: &ShowKind) -> bool {
    matches!(kind, ShowKind::TableStatus { .. } | ShowKind::Index { .. })
}

/// Answers a SHOW.
pub async fn show(show: &Show, context: &ShowContext<'_>) -> Result<Shown> {
    let pattern = match &show.filter {
        Some(ShowFilter::Like(pattern)) => Some(pattern.as_str()),
        _ => None,
    };
    let mut grid = grid_of(&show.kind, pattern, context)?;
    if let Some(pattern) = pattern {
        grid.like(pattern);
    }
    let shown = grid.finish()?;
    match &show.filter {
        Some(ShowFilter::Where(condition)) => filter::matching(shown, condition).await,
        _ => Ok(shown),
    }
}

/// The columns of a SHOW, without its rows: for Describe and prepared statements.
pub fn show_columns(show: &Show, context: &ShowContext<'_>) -> Result<Vec<ColumnInfo>> {
    let pattern = match &show.filter {
        Some(ShowFilter::Like(pattern)) => Some(pattern.as_str()),
        _ => None,
    };
    Ok(grid_of(&show.kind, pattern, context)?.finish()?.columns)
}

/// `DESCRIBE t [column or pattern]`.
pub fn describe(table: &Name, column: Option<&str>, context: &ShowContext<'_>) -> Result<Shown> {
    let mut grid = tables::columns(table, false, context)?;
    if let Some(pattern) = column {
        grid.like(pattern);
    }
    grid.finish()
}

fn grid_of(kind: &ShowKind, pattern: Option<&str>, context: &ShowContext<'_>) -> Result<Grid> {
    match kind {
        ShowKind::Databases => Ok(tables::databases(pattern, context)),
        ShowKind::Tables { full, database } => tables::tables(*full, database.as_deref(), pattern, context),
        ShowKind::Columns { full, table } => tables::columns(table, *full, context),
        ShowKind::Index { table } => tables::index(table, context),
        ShowKind::TableStatus { database } => tables::status(database.as_deref(), context),
        ShowKind::OpenTables { database } => {
            checked(database.as_deref(), context, Grid::new("Database:v64,Table:v64,In_use:bigint,Name_locked:bigint"))
        }
        ShowKind::CreateTable(name) => create::show_create_table(name, context),
        ShowKind::CreateView(name) => create::show_create_view(name, context),
        ShowKind::CreateDatabase { name, .. } => create::show_create_database(name, context),
        ShowKind::Variables(scope) => Ok(server::variables(variable_scope(*scope), context)),
        ShowKind::Status(_) => Ok(server::status(context)),
        ShowKind::Warnings { offset, limit } => Ok(server::warnings(context, |_| true, *offset, *limit)),
        ShowKind::Errors { offset, limit } => Ok(server::warnings(context, |w| w.level == "Error", *offset, *limit)),
        ShowKind::CountWarnings => Ok(Grid::new("@@session.warning_count:ubigint").row([(context.warnings.len() as u64).into()])),
        ShowKind::CountErrors => {
            let errors = context.warnings.iter().filter(|w| w.level == "Error").count() as u64;
            Ok(Grid::new("@@session.error_count:ubigint").row([errors.into()]))
        }
        ShowKind::Processlist { full } => Ok(server::processlist(*full, context)),
        ShowKind::Engines => Ok(server::engines(context)),
        ShowKind::Collation => Ok(server::collations()),
        ShowKind::Charset => Ok(server::charsets()),
        ShowKind::Privileges => Ok(server::privileges()),
        ShowKind::Grants(user) => server::grants(user.as_deref(), context),
        ShowKind::Plugins => Ok(server::plugins(context)),
        ShowKind::Triggers { database } => checked(database.as_deref(), context, server::triggers()),
        ShowKind::Events { database } => checked(database.as_deref(), context, server::events()),
        ShowKind::ProcedureStatus | ShowKind::FunctionStatus => Ok(server::routines()),
        ShowKind::MasterStatus => {
            Ok(Grid::new("File:v255,Position:ubigint,Binlog_Do_DB:v255,Binlog_Ignore_DB:v255,Executed_Gtid_Set:text"))
        }
        ShowKind::ReplicaStatus { old_names } => Ok(server::replica_status(*old_names)),
        ShowKind::BinaryLogs => {
            Err(Error::new(Kind::Refused, "there is no binary log: Flashgate keeps the history of cold tables in its file versions"))
        }
        ShowKind::Profiles => Ok(Grid::new("Query_ID:uint,Duration:double,Query:v300")),
        ShowKind::Setting(name) => server::setting(name, context),
        ShowKind::AllSettings => Ok(server::all_settings(context)),
    }
}

fn variable_scope(scope: Option<Scope>) -> VariableScope {
    match scope {
        Some(Scope::Global | Scope::Persist) => VariableScope::Global,
        _ => VariableScope::Session,
    }
}

/// An empty answer about a database, which must be there.
fn checked(database: Option<&str>, context: &ShowContext<'_>, grid: Grid) -> Result<Grid> {
    if database.is_some() {
        database_name(database, context)?;
    }
    Ok(grid)
}

#[cfg(test)]
mod tests;
