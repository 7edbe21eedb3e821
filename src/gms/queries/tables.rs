//! `tables`, `columns`, `recycle_bin`, `fg_databases`, `fg_tables`, `fg_table_schemas`, `fg_views`.

use std::collections::HashMap;

use jiff::Timestamp;
use sea_query::{Expr, ExprTrait, Order, Query};

use super::{moment, number, of_json, to_json, ts};
use crate::error::Result;
use crate::gms::backend::{Db, Tx};
use crate::gms::model::{Binned, Database, NewTable, SchemaVersion, Table, TableId, View};
use crate::time::Tso;
use crate::types::{Column, Default, fold};

/// All databases.
pub async fn databases(db: &Db) -> Result<Vec<Database>> {
    let rows = db.rows(Query::select().columns(["name", "created_ts"]).from("fg_databases").take()).await?;
    rows.iter().map(|row| Ok(Database { name: row.text(0)?, created: Tso(row.u64(1)?) })).collect()
}

/// A new database.
pub async fn create_database(tx: &mut Tx, database: &Database) -> Result<()> {
    let insert = Query::insert()
        .into_table("fg_databases")
        .columns(["name", "folded", "created_ts"])
        .values_panic([database.name.as_str().into(), fold(&database.name).into(), ts(database.created).into()])
        .take();
    tx.run(insert).await.map(drop)
}

/// A database goes.
pub async fn drop_database(tx: &mut Tx, name: &str) -> Result<()> {
    tx.run(Query::delete().from_table("fg_databases").and_where(Expr::col("folded").eq(fold(name))).take()).await.map(drop)
}

/// All tables with all their schemas, those in the recycle bin too.
pub async fn tables(db: &Db) -> Result<Vec<Table>> {
    let mut schemas: HashMap<u64, Vec<SchemaVersion>> = HashMap::new();
    let query = Query::select()
        .columns(["table_id", "ts", "columns"])
        .from("fg_table_schemas")
        .order_by("table_id", Order::Asc)
        .order_by("ts", Order::Asc)
        .take();
    for row in db.rows(query).await? {
        let version = SchemaVersion { ts: Tso(row.u64(1)?), columns: of_json(&row.text(2)?, "columns of a table")? };
        schemas.entry(row.u64(0)?).or_default().push(version);
    }
    let t = |column: &'static str| ("tables", column);
    let f = |column: &'static str| ("fg_tables", column);
    let query = Query::select()
        .columns([t("id"), t("table_schema"), t("table_name"), t("engine"), t("table_comment")])
        .columns([f("created_ts"), f("dropped_ts"), f("keys"), f("options")])
        .from("tables")
        .inner_join("fg_tables", Expr::col(f("table_id")).equals(t("id")))
        .take();
    let table = |row: &crate::gms::backend::Row| {
        let id = row.u64(0)?;
        Ok(Table {
            id: TableId(id),
            database: row.text(1)?,
            name: row.text(2)?,
            engine: row.text(3)?,
            comment: row.text(4)?,
            created: Tso(row.u64(5)?),
            dropped: row.opt_u64(6)?.map(Tso),
            keys: of_json(&row.text(7)?, "keys of a table")?,
            options: of_json(&row.text(8)?, "options of a table")?,
            schemas: schemas.remove(&id).unwrap_or_default(),
        })
    };
    db.rows(query).await?.iter().map(table).collect()
}

/// A new table with its first schema, both of `at`.
pub async fn create_table(tx: &mut Tx, new: NewTable, at: Tso) -> Result<Table> {
    let now = moment(at.timestamp());
    let insert = Query::insert()
        .into_table("tables")
        .columns(["table_catalog", "table_schema", "table_name", "table_type", "engine", "create_time", "table_comment", "status"])
        .values_panic([
            "def".into(),
            new.database.as_str().into(),
            new.name.as_str().into(),
            "ORC TABLE".into(),
            new.engine.as_str().into(),
            now.into(),
            new.comment.as_str().into(),
            1.into(),
        ])
        .take();
    let id = TableId(tx.insert(insert).await?);
    let insert = Query::insert()
        .into_table("fg_tables")
        .columns(["table_id", "folded_schema", "folded_name", "created_ts", "keys", "options"])
        .values_panic([
            number(id.0).into(),
            fold(&new.database).into(),
            fold(&new.name).into(),
            ts(at).into(),
            to_json(&new.keys)?.into(),
            to_json(&new.options)?.into(),
        ])
        .take();
    tx.run(insert).await?;
    let table = Table {
        id,
        database: new.database,
        name: new.name,
        engine: new.engine,
        created: at,
        dropped: None,
        schemas: vec![],
        keys: new.keys,
        comment: new.comment,
        options: new.options,
    };
    add_schema(tx, table, SchemaVersion { ts: at, columns: new.columns }).await
}

/// A table gets a new schema version.
pub async fn add_schema(tx: &mut Tx, mut table: Table, schema: SchemaVersion) -> Result<Table> {
    let insert = Query::insert()
        .into_table("fg_table_schemas")
        .columns(["table_id", "ts", "columns"])
        .values_panic([number(table.id.0).into(), ts(schema.ts).into(), to_json(&schema.columns)?.into()])
        .take();
    tx.run(insert).await?;
    delete_columns(tx, &table).await?;
    table.schemas.push(schema);
    insert_columns(tx, &table).await?;
    Ok(table)
}

async fn delete_columns(tx: &mut Tx, table: &Table) -> Result<()> {
    let delete = Query::delete()
        .from_table("columns")
        .and_where(Expr::col("table_schema").eq(table.database.as_str()))
        .and_where(Expr::col("table_name").eq(table.name.as_str()))
        .take();
    tx.run(delete).await.map(drop)
}

async fn insert_columns(tx: &mut Tx, table: &Table) -> Result<()> {
    for (i, column) in table.columns().iter().enumerate() {
        tx.run(column_row(table, i, column)).await?;
    }
    Ok(())
}

fn column_row(table: &Table, position: usize, column: &Column) -> sea_query::InsertStatement {
    let default: Option<String> = column.default.as_ref().map(|default| match default {
        Default::Value(text) => text.clone(),
        Default::Now => "CURRENT_TIMESTAMP".to_owned(),
        Default::Today => "CURRENT_DATE".to_owned(),
        Default::Uuid => "uuid()".to_owned(),
    });
    Query::insert()
        .into_table("columns")
        .columns([
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "column_default",
            "is_nullable",
            "column_type",
            "column_key",
            "extra",
            "column_comment",
            "status",
        ])
        .values_panic([
            table.database.as_str().into(),
            table.name.as_str().into(),
            column.name.as_str().into(),
            number(position as u64 + 1).into(),
            default.into(),
            if column.nullable { "YES" } else { "NO" }.into(),
            column.ty.mysql_name().into(),
            "".into(),
            "".into(),
            column.comment.as_str().into(),
            1.into(),
        ])
        .take()
}

/// Gives a table a new name, and says whether it is dropped.
pub async fn rename(tx: &mut Tx, table: &Table, database: &str, name: &str, dropped: Option<Tso>) -> Result<Table> {
    delete_columns(tx, table).await?;
    let renamed = Table { database: database.to_owned(), name: name.to_owned(), dropped, ..table.clone() };
    let update = Query::update()
        .table("tables")
        .value("table_schema", database)
        .value("table_name", name)
        .value("update_time", moment(Timestamp::now()))
        .and_where(Expr::col("id").eq(number(table.id.0)))
        .take();
    tx.run(update).await?;
    let update = Query::update()
        .table("fg_tables")
        .value("folded_schema", fold(database))
        .value("folded_name", fold(name))
        .value("dropped_ts", dropped.map(ts))
        .and_where(Expr::col("table_id").eq(number(table.id.0)))
        .take();
    tx.run(update).await?;
    insert_columns(tx, &renamed).await?;
    Ok(renamed)
}

/// A table goes for good, out of the recycle bin too. Its files are another matter.
pub async fn forget(tx: &mut Tx, table: &Table) -> Result<()> {
    delete_columns(tx, table).await?;
    let id = || number(table.id.0);
    tx.run(Query::delete().from_table("tables").and_where(Expr::col("id").eq(id())).take()).await?;
    tx.run(Query::delete().from_table("fg_tables").and_where(Expr::col("table_id").eq(id())).take()).await?;
    tx.run(Query::delete().from_table("fg_table_schemas").and_where(Expr::col("table_id").eq(id())).take()).await?;
    if table.dropped.is_some() {
        leave_bin(tx, table).await?;
    }
    Ok(())
}

/// Puts a table into the recycle bin. `table` has the bin's name already.
pub async fn enter_bin(tx: &mut Tx, table: &Table, original_name: &str, at: Tso) -> Result<()> {
    let insert = Query::insert()
        .into_table("recycle_bin")
        .columns(["gmt_create", "name", "original_name", "schema_name"])
        .values_panic([moment(at.timestamp()).into(), table.name.as_str().into(), original_name.into(), table.database.as_str().into()])
        .take();
    tx.run(insert).await.map(drop)
}

/// Takes a table out of the recycle bin.
pub async fn leave_bin(tx: &mut Tx, table: &Table) -> Result<()> {
    let delete = Query::delete()
        .from_table("recycle_bin")
        .and_where(Expr::col("name").eq(table.name.as_str()))
        .and_where(Expr::col("schema_name").eq(table.database.as_str()))
        .take();
    tx.run(delete).await.map(drop)
}

/// The recycle bin, oldest first.
pub async fn bin(db: &Db) -> Result<Vec<Binned>> {
    let b = |column: &'static str| ("recycle_bin", column);
    let t = |column: &'static str| ("tables", column);
    let query = Query::select()
        .columns([b("id"), b("name"), b("original_name"), b("schema_name"), t("id"), ("fg_tables", "dropped_ts")])
        .from("recycle_bin")
        .inner_join("tables", Expr::col(t("table_schema")).equals(b("schema_name")).and(Expr::col(t("table_name")).equals(b("name"))))
        .inner_join("fg_tables", Expr::col(("fg_tables", "table_id")).equals(t("id")))
        .order_by(b("id"), Order::Asc)
        .take();
    let binned = |row: &crate::gms::backend::Row| {
        Ok(Binned {
            id: row.u64(0)?,
            name: row.text(1)?,
            original_name: row.text(2)?,
            database: row.text(3)?,
            table: TableId(row.u64(4)?),
            created: Tso(row.opt_u64(5)?.unwrap_or(0)),
        })
    };
    db.rows(query).await?.iter().map(binned).collect()
}

/// All views.
pub async fn views(db: &Db) -> Result<Vec<View>> {
    let query = Query::select().columns(["schema_name", "name", "definition", "dialect", "created_ts"]).from("fg_views").take();
    let view = |row: &crate::gms::backend::Row| {
        Ok(View { database: row.text(0)?, name: row.text(1)?, definition: row.text(2)?, dialect: row.text(3)?, created: Tso(row.u64(4)?) })
    };
    db.rows(query).await?.iter().map(view).collect()
}

/// A new view, or a new text for one.
pub async fn put_view(tx: &mut Tx, view: &View) -> Result<()> {
    drop_view(tx, &view.database, &view.name).await?;
    let insert = Query::insert()
        .into_table("fg_views")
        .columns(["schema_name", "name", "folded_schema", "folded_name", "definition", "dialect", "created_ts"])
        .values_panic([
            view.database.as_str().into(),
            view.name.as_str().into(),
            fold(&view.database).into(),
            fold(&view.name).into(),
            view.definition.as_str().into(),
            view.dialect.as_str().into(),
            ts(view.created).into(),
        ])
        .take();
    tx.run(insert).await.map(drop)
}

/// A view goes.
pub async fn drop_view(tx: &mut Tx, database: &str, name: &str) -> Result<()> {
    let delete = Query::delete()
        .from_table("fg_views")
        .and_where(Expr::col("folded_schema").eq(fold(database)))
        .and_where(Expr::col("folded_name").eq(fold(name)))
        .take();
    tx.run(delete).await.map(drop)
}
