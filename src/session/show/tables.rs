//! SHOW DATABASES, TABLES, COLUMNS, INDEX, TABLE STATUS, and DESCRIBE.

use super::context::{ShowContext, database_name, located, no_table};
use super::grid::Grid;
use crate::engine::catalog::{self, Cell, column_key, default_text, has_charset, keys_of};
use crate::error::Result;
use crate::gms::Key;
use crate::sql::Name;
use crate::types::{Column, same};

const COLLATION: &str = "utf8mb4_0900_ai_ci";

fn with_pattern(label: &str, pattern: Option<&str>) -> String {
    pattern.map_or_else(|| label.to_owned(), |p| format!("{label} ({p})"))
}

pub(super) fn databases(pattern: Option<&str>, context: &ShowContext<'_>) -> Grid {
    let mut grid = Grid::new("Database:v64").relabel(0, with_pattern("Database", pattern));
    for name in ["information_schema", "performance_schema"] {
        grid.push([name.into()]);
    }
    for database in &context.snapshot.metadata.databases {
        grid.push([database.name.as_str().into()]);
    }
    grid.sorted()
}

pub(super) fn tables(full: bool, database: Option<&str>, pattern: Option<&str>, context: &ShowContext<'_>) -> Result<Grid> {
    let database = database_name(database, context)?;
    let label = with_pattern(&format!("Tables_in_{database}"), pattern);
    let mut grid = Grid::new(if full { "Tables:v64,Table_type:v11" } else { "Tables:v64" }).relabel(0, label);
    let mut push = |name: &str, kind: &str| {
        if full { grid.push([name.into(), kind.into()]) } else { grid.push([name.into()]) }
    };
    for name in catalog::table_names(context.variables.family(), &database) {
        push(&name, "SYSTEM VIEW");
    }
    let metadata = &context.snapshot.metadata;
    metadata.tables.iter().filter(|t| same(&t.database, &database)).for_each(|t| push(&t.name, "BASE TABLE"));
    metadata.views.iter().filter(|v| same(&v.database, &database)).for_each(|v| push(&v.name, "VIEW"));
    Ok(grid.sorted())
}

/// The columns of a table, a view or a virtual table, and the declared keys.
fn columns_of(name: &Name, context: &ShowContext<'_>) -> Result<(Vec<Column>, Vec<Key>)> {
    let (database, table) = located(name, context)?;
    let metadata = &context.snapshot.metadata;
    if let Some(table) = metadata.table(&database, &table) {
        return Ok((table.columns().to_vec(), table.keys.clone()));
    }
    if let Some(view) = metadata.view(&database, &table) {
        return Ok((context.snapshot.columns_of_view(view).to_vec(), Vec::new()));
    }
    match catalog::virtual_columns(context.variables.family(), &database, &table) {
        Some(columns) => Ok((columns, Vec::new())),
        None => Err(no_table(&database, &table)),
    }
}

pub(super) fn columns(name: &Name, full: bool, context: &ShowContext<'_>) -> Result<Grid> {
    let (columns, keys) = columns_of(name, context)?;
    let mut grid = Grid::new(match full {
        true => "Field:v64,Type:text,Collation:v64,Null:v3,Key:v3,Default:text,Extra:v256,Privileges:v154,Comment:text",
        false => "Field:v64,Type:text,Null:v3,Key:v3,Default:text,Extra:v256",
    });
    for column in &columns {
        let (default, extra) = default_text(column);
        let field = Cell::from(column.name.as_str());
        let ty = Cell::from(column.ty.mysql_name());
        let null = Cell::from(if column.nullable { "YES" } else { "NO" });
        let key = Cell::from(column_key(&keys, &column.name));
        if full {
            let collation = has_charset(&column.ty).then_some(COLLATION);
            let comment = column.comment.as_str().into();
            let privileges = "select,insert,update,references".into();
            grid.push([field, ty, collation.into(), null, key, default.into(), extra.into(), privileges, comment]);
        } else {
            grid.push([field, ty, null, key, default.into(), extra.into()]);
        }
    }
    Ok(grid)
}

pub(super) fn index(name: &Name, context: &ShowContext<'_>) -> Result<Grid> {
    columns_of(name, context)?;
    let (database, table) = located(name, context)?;
    let mut grid = Grid::new(
        "Table:v64,Non_unique:int,Key_name:v64,Seq_in_index:uint,Column_name:v64,Collation:v1,Cardinality:bigint,Sub_part:bigint,Packed:v64,\
         Null:v3,Index_type:v11,Comment:v8,Index_comment:v2048,Visible:v3,Expression:text",
    );
    let Some(table) = context.snapshot.metadata.table(&database, &table) else { return Ok(grid) };
    let rows = i64::try_from(context.snapshot.size(table.id).rows).unwrap_or(i64::MAX);
    for (name, key) in keys_of(table) {
        for (i, column) in key.columns.iter().enumerate() {
            let nullable = !key.primary && table.columns().iter().any(|c| same(&c.name, column) && c.nullable);
            grid.push([
                table.name.as_str().into(),
                Cell::Int(i64::from(!key.unique && !key.primary)),
                name.as_str().into(),
                Cell::Int(i as i64 + 1),
                column.as_str().into(),
                "A".into(),
                rows.into(),
                Cell::Null,
                Cell::Null,
                if nullable { "YES" } else { "" }.into(),
                "BTREE".into(),
                "".into(),
                "documentation only: not enforced".into(),
                "YES".into(),
                Cell::Null,
            ]);
        }
    }
    Ok(grid)
}

pub(super) fn status(database: Option<&str>, context: &ShowContext<'_>) -> Result<Grid> {
    let database = database_name(database, context)?;
    let mut grid = Grid::new(
        "Name:v64,Engine:v64,Version:int,Row_format:v10,Rows:ubigint,Avg_row_length:ubigint,Data_length:ubigint,Max_data_length:ubigint,\
         Index_length:ubigint,Data_free:ubigint,Auto_increment:ubigint,Create_time:datetime,Update_time:datetime,Check_time:datetime,\
         Collation:v64,Checksum:bigint,Create_options:v256,Comment:text",
    );
    let snapshot = context.snapshot;
    for table in snapshot.metadata.tables.iter().filter(|t| same(&t.database, &database)) {
        let size = snapshot.size(table.id);
        grid.push([
            table.name.as_str().into(),
            table.engine.as_str().into(),
            10.into(),
            "Compressed".into(),
            size.rows.into(),
            size.bytes.checked_div(size.rows).unwrap_or(0).into(),
            size.bytes.into(),
            0u64.into(),
            0u64.into(),
            0u64.into(),
            Cell::Null,
            Cell::Micros(snapshot.local_micros(table.created.timestamp())),
            Cell::Null,
            Cell::Null,
            COLLATION.into(),
            Cell::Null,
            "".into(),
            table.comment.as_str().into(),
        ]);
    }
    for view in snapshot.metadata.views.iter().filter(|v| same(&v.database, &database)) {
        let mut row: [Cell; 18] = std::array::from_fn(|_| Cell::Null);
        row[0] = view.name.as_str().into();
        row[11] = Cell::Micros(snapshot.local_micros(view.created.timestamp()));
        row[17] = "VIEW".into();
        grid.push(row);
    }
    Ok(grid.sorted())
}
