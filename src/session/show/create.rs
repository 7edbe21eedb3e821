//! SHOW CREATE TABLE, VIEW and DATABASE: statements that make the same thing again.

use super::context::{ShowContext, database_name, located, no_table};
use super::grid::Grid;
use crate::engine::catalog::{default_text, keys_of, quoted};
use crate::error::Result;
use crate::gms::{Table, View};
use crate::sql::Name;
use crate::types::{Column, Default, SqlType};

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn column_line(column: &Column) -> String {
    let mut line = format!("  {} {}", quoted(&column.name), column.ty.mysql_name());
    let stamp = |fsp: u8| if fsp == 0 { "CURRENT_TIMESTAMP".to_owned() } else { format!("CURRENT_TIMESTAMP({fsp})") };
    match (column.nullable, &column.ty) {
        (false, _) => line.push_str(" NOT NULL"),
        // Without the word a TIMESTAMP is NOT NULL in old dialects, and MySQL prints it.
        (true, SqlType::Timestamp { .. }) => line.push_str(" NULL"),
        (true, _) => {}
    }
    let default = match (&column.default, &column.ty) {
        (Some(Default::Value(_)), SqlType::Bit { .. }) => default_text(column).0,
        (Some(Default::Value(_)), _) => default_text(column).0.map(|text| literal(&text)),
        (Some(Default::Now), SqlType::DateTime { fsp } | SqlType::Timestamp { fsp }) => Some(stamp(*fsp)),
        (Some(Default::Now), _) => Some("(CURRENT_TIMESTAMP)".into()),
        (Some(Default::Today), _) => Some("(CURRENT_DATE)".into()),
        (Some(Default::Uuid), _) => Some("(uuid())".into()),
        (None, SqlType::Text | SqlType::Blob | SqlType::Json) => None,
        (None, _) => column.nullable.then(|| "NULL".into()),
    };
    if let Some(default) = default {
        line.push_str(" DEFAULT ");
        line.push_str(&default);
    }
    if !column.comment.is_empty() {
        line.push_str(" COMMENT ");
        line.push_str(&literal(&column.comment));
    }
    line
}

/// The statement that makes a table like this one, in MySQL's words.
pub fn create_table(table: &Table) -> String {
    let mut lines: Vec<String> = table.columns().iter().map(column_line).collect();
    for (name, key) in keys_of(table) {
        let columns = key.columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(",");
        lines.push(match () {
            () if key.primary => format!("  PRIMARY KEY ({columns})"),
            () if key.unique => format!("  UNIQUE KEY {} ({columns})", quoted(&name)),
            () => format!("  KEY {} ({columns})", quoted(&name)),
        });
    }
    let mut text =
        format!("CREATE TABLE {} (\n{}\n) ENGINE='{}' DEFAULT CHARSET=utf8mb4", quoted(&table.name), lines.join(",\n"), table.engine);
    if !table.comment.is_empty() {
        text.push_str(" COMMENT=");
        text.push_str(&literal(&table.comment));
    }
    text
}

/// The statement that makes a view like this one.
pub fn create_view(view: &View) -> String {
    format!("CREATE VIEW {} AS {}", quoted(&view.name), view.definition)
}

fn view_grid(view: &View) -> Grid {
    Grid::new("View:v64,Create View:text,character_set_client:v64,collation_connection:v64").row([
        view.name.as_str().into(),
        create_view(view).into(),
        "utf8mb4".into(),
        "utf8mb4_0900_ai_ci".into(),
    ])
}

pub(super) fn show_create_table(name: &Name, context: &ShowContext<'_>) -> Result<Grid> {
    let (database, table) = located(name, context)?;
    if let Some(view) = context.snapshot.metadata.view(&database, &table) {
        return Ok(view_grid(view));
    }
    let table = context.snapshot.metadata.table(&database, &table).ok_or_else(|| no_table(&database, &table))?;
    Ok(Grid::new("Table:v64,Create Table:text").row([table.name.as_str().into(), create_table(table).into()]))
}

pub(super) fn show_create_view(name: &Name, context: &ShowContext<'_>) -> Result<Grid> {
    let (database, view) = located(name, context)?;
    let view = context.snapshot.metadata.view(&database, &view).ok_or_else(|| no_table(&database, &view))?;
    Ok(view_grid(view))
}

pub(super) fn show_create_database(name: &str, context: &ShowContext<'_>) -> Result<Grid> {
    let name = database_name(Some(name), context)?;
    let text = format!("CREATE DATABASE {} /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */", quoted(&name));
    Ok(Grid::new("Database:v64,Create Database:text").row([name.into(), text.into()]))
}
