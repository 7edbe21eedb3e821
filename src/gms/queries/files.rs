//! `files`, `file_storage_files_meta`, `fg_file_stats`, `fg_tasks`: file versions and the tasks that make them.

use std::sync::Arc;

use jiff::Timestamp;
use sea_query::{Condition, Expr, ExprTrait, Order, Query, SelectStatement};

use super::{CHUNK, moment, number, of_json, of_moment, of_physical, physical, to_json, ts};
use crate::error::{Error, Result};
use crate::gms::backend::{Db, Row, Tx};
use crate::gms::model::{FileId, FileVersion, NewFile, Table, TableId, TaskId};
use crate::gms::visibility::VisibilityIndex;
use crate::time::Tso;
use crate::types::{Bound, FileStats};

/// The visibility index of a table's whole history.
pub async fn load_index(db: &Db, table: TableId) -> Result<VisibilityIndex> {
    let query = Query::select()
        .columns(["file_id", "commit_ts", "remove_ts"])
        .from("files")
        .and_where(Expr::col("table_name").eq(physical(table)))
        .and_where(Expr::col("commit_ts").is_not_null())
        .take();
    let mut history = Vec::new();
    db.each(query, &mut |row| {
        history.push((FileId(row.u64(0)?), Tso(row.u64(1)?), row.opt_u64(2)?.map(Tso)));
        Ok(())
    })
    .await?;
    Ok(VisibilityIndex::of_history(history))
}

fn versions(condition: Condition) -> SelectStatement {
    let f = |column: &'static str| ("files", column);
    let mut select = Query::select();
    for column in
        ["file_id", "table_name", "engine", "file_name", "table_rows", "extent_size", "commit_ts", "remove_ts", "schema_ts", "create_time"]
    {
        select.column(f(column));
    }
    select
        .column(("fg_file_stats", "stats"))
        .from("files")
        .left_join("fg_file_stats", Expr::col(("fg_file_stats", "file_id")).equals(f("file_id")))
        .and_where(Expr::col(f("commit_ts")).is_not_null())
        .cond_where(condition)
        .take()
}

fn version(row: &Row) -> Result<FileVersion> {
    let stats = row.text(10)?;
    Ok(FileVersion {
        id: FileId(row.u64(0)?),
        table: of_physical(&row.text(1)?)?,
        engine: row.text(2)?,
        path: row.text(3)?,
        rows: row.opt_u64(4)?.unwrap_or(0),
        bytes: row.opt_u64(5)?.unwrap_or(0),
        commit_ts: Tso(row.u64(6)?),
        remove_ts: row.opt_u64(7)?.map(Tso),
        schema_ts: Tso(row.opt_u64(8)?.unwrap_or(0)),
        created: of_moment(&row.text(9)?),
        stats: Arc::new(if stats.is_empty() { FileStats::default() } else { of_json(&stats, "file statistics")? }),
    })
}

/// These versions, in no order; those that are gone are missing.
pub async fn load(db: &Db, ids: &[FileId]) -> Result<Vec<FileVersion>> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let ids = chunk.iter().map(|id| number(id.0));
        let query = versions(Expr::col(("files", "file_id")).is_in(ids).into());
        db.each(query, &mut |row| {
            found.push(version(&row)?);
            Ok(())
        })
        .await?;
    }
    Ok(found)
}

/// All committed versions that `condition` takes, in commit order.
pub async fn list(db: &Db, condition: Condition) -> Result<Vec<FileVersion>> {
    let mut found = Vec::new();
    let query = versions(condition).order_by(("files", "commit_ts"), Order::Asc).order_by(("files", "file_id"), Order::Asc).take();
    db.each(query, &mut |row| {
        found.push(version(&row)?);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// The tables that have any row of this engine.
pub async fn tables_of_engine(db: &Db, engine: &str) -> Result<Vec<TableId>> {
    let query = Query::select().distinct().column("table_name").from("files").and_where(Expr::col("engine").eq(engine)).take();
    db.rows(query).await?.iter().map(|row| of_physical(&row.text(0)?)).collect()
}

/// A new task.
pub async fn begin_task(tx: &mut Tx, what: &str) -> Result<TaskId> {
    let insert = Query::insert()
        .into_table("fg_tasks")
        .columns(["what", "started"])
        .values_panic([what.into(), moment(Timestamp::now()).into()])
        .take();
    Ok(TaskId(tx.insert(insert).await?))
}

/// Does the task still run?
pub async fn task_exists(tx: &mut Tx, task: TaskId) -> Result<bool> {
    let query = Query::select().column("task_id").from("fg_tasks").and_where(Expr::col("task_id").eq(number(task.0))).take();
    Ok(!tx.rows(query).await?.is_empty())
}

/// A task is over.
pub async fn end_task(tx: &mut Tx, task: TaskId) -> Result<()> {
    tx.run(Query::delete().from_table("fg_tasks").and_where(Expr::col("task_id").eq(number(task.0))).take()).await.map(drop)
}

/// All tasks are over.
pub async fn end_all_tasks(tx: &mut Tx) -> Result<()> {
    tx.run(Query::delete().from_table("fg_tasks").take()).await.map(drop)
}

/// A row in flight: life_cycle 0, no commit time.
pub async fn insert_in_flight(tx: &mut Tx, task: TaskId, table: &Table, engine: &str, path: &str) -> Result<FileId> {
    let insert = Query::insert()
        .into_table("files")
        .columns([
            "file_name",
            "file_type",
            "table_schema",
            "table_name",
            "engine",
            "create_time",
            "task_id",
            "life_cycle",
            "logical_schema_name",
            "logical_table_name",
        ])
        .values_panic([
            path.into(),
            "TABLE_FILE".into(),
            "flashgate".into(),
            physical(table.id).into(),
            engine.into(),
            moment(Timestamp::now()).into(),
            number(task.0).into(),
            0.into(),
            table.database.as_str().into(),
            table.name.as_str().into(),
        ])
        .take();
    Ok(FileId(tx.insert(insert).await?))
}

/// Turns a row in flight into a version visible from `at` on. False: there is no such row (any more).
pub async fn publish(tx: &mut Tx, task: TaskId, file: &NewFile, at: Tso, created: Option<Timestamp>) -> Result<bool> {
    let mut update = Query::update()
        .table("files")
        .value("table_rows", number(file.rows))
        .value("extent_size", number(file.bytes))
        .value("data_length", number(file.bytes))
        .value("schema_ts", ts(file.schema_ts))
        .value("commit_ts", ts(at))
        .value("life_cycle", 1)
        .and_where(Expr::col("file_id").eq(number(file.id.0)))
        .and_where(Expr::col("task_id").eq(number(task.0)))
        .and_where(Expr::col("table_name").eq(physical(file.table)))
        .and_where(Expr::col("commit_ts").is_null())
        .take();
    if let Some(created) = created {
        update.value("create_time", moment(created));
    }
    if tx.run(update).await? != 1 {
        return Ok(false);
    }
    put_stats(tx, file.id, &file.stats).await?;
    copy_to_meta(tx, file.id).await?;
    Ok(true)
}

async fn put_stats(tx: &mut Tx, id: FileId, stats: &FileStats) -> Result<()> {
    let mut stats = stats.clone();
    // JSON has no infinities; a file without a bound is merely not pruned by it.
    let finite = |bound: &Bound| !matches!(bound, Bound::Float(v) if !v.is_finite());
    for column in &mut stats.columns {
        column.min = column.min.take().filter(finite);
        column.max = column.max.take().filter(finite);
    }
    let insert = Query::insert()
        .into_table("fg_file_stats")
        .columns(["file_id", "stats"])
        .values_panic([number(id.0).into(), to_json(&stats)?.into()])
        .take();
    tx.run(insert).await.map(drop)
}

/// `file_storage_files_meta` has the same row as `files`, under the same number.
async fn copy_to_meta(tx: &mut Tx, id: FileId) -> Result<()> {
    let row = Query::select()
        .columns(["file_id", "file_name", "engine", "commit_ts", "remove_ts"])
        .from("files")
        .and_where(Expr::col("file_id").eq(number(id.0)))
        .take();
    let insert = Query::insert()
        .into_table("file_storage_files_meta")
        .columns(["id", "file_name", "engine", "commit_ts", "remove_ts"])
        .select_from(row)
        .map_err(|e| Error::internal(e.to_string()))?
        .take();
    tx.run(insert).await.map(drop)
}

/// A version that comes back: a new row of the same object, visible from `at` on.
pub async fn insert_again(tx: &mut Tx, old: &FileVersion, table: &Table, at: Tso) -> Result<FileId> {
    let insert = Query::insert()
        .into_table("files")
        .columns([
            "file_name",
            "file_type",
            "table_schema",
            "table_name",
            "engine",
            "create_time",
            "life_cycle",
            "logical_schema_name",
            "logical_table_name",
            "table_rows",
            "extent_size",
            "data_length",
            "schema_ts",
            "commit_ts",
        ])
        .values_panic([
            old.path.as_str().into(),
            "TABLE_FILE".into(),
            "flashgate".into(),
            physical(table.id).into(),
            old.engine.as_str().into(),
            moment(old.created).into(),
            1.into(),
            table.database.as_str().into(),
            table.name.as_str().into(),
            number(old.rows).into(),
            number(old.bytes).into(),
            number(old.bytes).into(),
            ts(old.schema_ts).into(),
            ts(at).into(),
        ])
        .take();
    let id = FileId(tx.insert(insert).await?);
    put_stats(tx, id, &old.stats).await?;
    copy_to_meta(tx, id).await?;
    Ok(id)
}

/// Ends versions of a table at `at`. Gives how many of them were visible until then.
pub async fn end(tx: &mut Tx, table: TableId, ids: &[FileId], at: Tso) -> Result<u64> {
    let mut ended = 0;
    for chunk in ids.chunks(CHUNK) {
        let ids = || chunk.iter().map(|id| number(id.0));
        let update = Query::update()
            .table("files")
            .value("remove_ts", ts(at))
            .and_where(Expr::col("file_id").is_in(ids()))
            .and_where(Expr::col("table_name").eq(physical(table)))
            .and_where(Expr::col("commit_ts").is_not_null())
            .and_where(Expr::col("remove_ts").is_null())
            .take();
        ended += tx.run(update).await?;
        let meta = Query::update()
            .table("file_storage_files_meta")
            .value("remove_ts", ts(at))
            .and_where(Expr::col("id").is_in(ids()))
            .and_where(Expr::col("remove_ts").is_null())
            .take();
        tx.run(meta).await?;
    }
    Ok(ended)
}

/// The visible versions of a table that have these object paths: (path, id), in no order.
pub async fn alive_by_path(db: &Db, table: TableId, paths: &[String]) -> Result<Vec<(String, FileId)>> {
    let mut found = Vec::new();
    for chunk in paths.chunks(CHUNK) {
        let query = Query::select()
            .columns(["file_name", "file_id"])
            .from("files")
            .and_where(Expr::col("table_name").eq(physical(table)))
            .and_where(Expr::col("file_name").is_in(chunk.iter().map(String::as_str)))
            .and_where(Expr::col("commit_ts").is_not_null())
            .and_where(Expr::col("remove_ts").is_null())
            .take();
        for row in db.rows(query).await? {
            found.push((row.text(0)?, FileId(row.u64(1)?)));
        }
    }
    Ok(found)
}

/// After a rename: the logical names of all rows of a table.
pub async fn rename(tx: &mut Tx, table: TableId, database: &str, name: &str) -> Result<()> {
    let update = Query::update()
        .table("files")
        .value("logical_schema_name", database)
        .value("logical_table_name", name)
        .and_where(Expr::col("table_name").eq(physical(table)))
        .take();
    tx.run(update).await.map(drop)
}

/// FORCE trim: versions of an engine that ended after `to` have not ended. `condition` names the tables.
pub async fn revive(tx: &mut Tx, condition: Condition, to: Tso) -> Result<u64> {
    let doomed = condition.add(Expr::col("commit_ts").lte(ts(to))).add(Expr::col("remove_ts").gt(ts(to)));
    let ids = Query::select().column("file_id").from("files").cond_where(doomed.clone()).take();
    let null = || Expr::value(Option::<i64>::None);
    let meta =
        Query::update().table("file_storage_files_meta").value("remove_ts", null()).and_where(Expr::col("id").in_subquery(ids)).take();
    tx.run(meta).await?;
    tx.run(Query::update().table("files").value("remove_ts", null()).cond_where(doomed).take()).await
}
