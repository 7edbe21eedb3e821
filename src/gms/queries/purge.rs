//! Rows that go: `files` and what hangs on them, `fg_garbage`, `fg_horizons`, `fg_erased`.

use sea_query::{Condition, Expr, ExprTrait, Func, Query};

use super::{CHUNK, number, of_physical, physical, ts};
use crate::error::{Error, Result};
use crate::gms::backend::{Db, Tx};
use crate::gms::model::{Garbage, TableId, TaskId};
use crate::time::Tso;

/// Files, rows and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.files += other.files;
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

/// All rows of these tables.
pub fn of_tables(tables: impl IntoIterator<Item = TableId>) -> Condition {
    Condition::all().add(Expr::col("table_name").is_in(tables.into_iter().map(physical)))
}

/// All rows of this engine.
pub fn of_engine(engine: &str) -> Condition {
    Condition::all().add(Expr::col("engine").eq(engine))
}

/// Of these, the versions that ended before `t`.
pub fn ended_before(condition: Condition, t: Tso) -> Condition {
    condition.add(Expr::col("remove_ts").lt(ts(t)))
}

/// Of these, the versions that appeared after `t`.
pub fn committed_after(condition: Condition, t: Tso) -> Condition {
    condition.add(Expr::col("commit_ts").gt(ts(t)))
}

/// Of these, the versions that ended after `t`.
pub fn ended_after(condition: Condition, t: Tso) -> Condition {
    condition.add(Expr::col("remove_ts").gt(ts(t)))
}

/// The rows in flight, of one task or of all.
pub fn in_flight(task: Option<TaskId>) -> Condition {
    Condition::all()
        .add(Expr::col("commit_ts").is_null())
        .add(Expr::col("life_cycle").eq(0))
        .add_option(task.map(|task| Expr::col("task_id").eq(number(task.0))))
}

/// How much the rows of a condition are, by table.
pub async fn sums(db: &Db, condition: Condition) -> Result<Vec<(TableId, Sums)>> {
    let query = Query::select()
        .column("table_name")
        .expr(Func::count(Expr::col("file_id")))
        .expr(Func::sum(Expr::col("table_rows")))
        .expr(Func::sum(Expr::col("extent_size")))
        .from("files")
        .cond_where(condition)
        .group_by_col("table_name")
        .take();
    let sums = |row: &crate::gms::backend::Row| {
        let some = |column| Ok::<_, Error>(row.opt_u64(column)?.unwrap_or(0));
        Ok((of_physical(&row.text(0)?)?, Sums { files: row.u64(1)?, rows: some(2)?, bytes: some(3)? }))
    };
    db.rows(query).await?.iter().map(sums).collect()
}

/// Deletes rows with all that hangs on them. Objects that no other row points to become garbage, to be deleted from
/// `due` (microseconds since 1970) on. A path with a scheme is not ours to delete. Gives (rows deleted, objects).
pub async fn delete(tx: &mut Tx, doomed: Condition, due: u64) -> Result<(u64, u64)> {
    // A number for this deletion, so that only its own garbage is looked at below: a row's id is never below its batch.
    let batch = {
        let newest = Query::select().expr(Func::max(Expr::col("id"))).from("fg_garbage").take();
        let newest = tx.rows(newest).await?.first().map_or(Ok(None), |row| row.opt_u64(0))?;
        number(newest.unwrap_or(0)) + 1
    };
    let objects = Query::select()
        .distinct()
        .columns(["engine", "file_name"])
        .expr(number(due))
        .expr(batch)
        .from("files")
        .cond_where(doomed.clone())
        .and_where(Expr::col("file_name").not_like("%://%"))
        .take();
    let collect = Query::insert()
        .into_table("fg_garbage")
        .columns(["engine", "path", "due", "batch"])
        .select_from(objects)
        .map_err(|e| Error::internal(e.to_string()))?
        .take();
    tx.run(collect).await?;
    let ids = || Query::select().column("file_id").from("files").cond_where(doomed.clone()).take();
    tx.run(Query::delete().from_table("fg_file_stats").and_where(Expr::col("file_id").in_subquery(ids())).take()).await?;
    tx.run(Query::delete().from_table("file_storage_files_meta").and_where(Expr::col("id").in_subquery(ids())).take()).await?;
    let rows = tx.run(Query::delete().from_table("files").cond_where(doomed.clone()).take()).await?;
    let spared = Query::delete().from_table("fg_garbage").and_where(Expr::col("batch").eq(batch)).and_where(referenced()).take();
    tx.run(spared).await?;
    let left = Query::select().expr(Func::count(Expr::col("id"))).from("fg_garbage").and_where(Expr::col("batch").eq(batch)).take();
    let objects = tx.rows(left).await?.first().map_or(Ok(0), |row| row.u64(0))?;
    Ok((rows, objects))
}

/// Does any row point to the object of this garbage?
fn referenced() -> Expr {
    let rows = Query::select()
        .expr(1)
        .from("files")
        .and_where(Expr::col(("files", "file_name")).equals(("fg_garbage", "path")))
        .and_where(Expr::col(("files", "engine")).equals(("fg_garbage", "engine")))
        .take();
    Expr::exists(rows)
}

/// Garbage that is due at `now` (microseconds since 1970) and that no row points to.
pub async fn garbage(db: &Db, now: u64) -> Result<Vec<Garbage>> {
    let query = Query::select()
        .columns(["id", "engine", "path"])
        .from("fg_garbage")
        .and_where(Expr::col("due").lte(number(now)))
        .and_where(referenced().not())
        .order_by("id", sea_query::Order::Asc)
        .take();
    let garbage = db.rows(query).await?;
    garbage.iter().map(|row| Ok(Garbage { id: row.u64(0)?, engine: row.text(1)?, path: row.text(2)? })).collect()
}

/// These objects are deleted.
pub async fn forget_garbage(tx: &mut Tx, ids: &[u64]) -> Result<()> {
    for chunk in ids.chunks(CHUNK) {
        let ids = chunk.iter().map(|id| number(*id));
        tx.run(Query::delete().from_table("fg_garbage").and_where(Expr::col("id").is_in(ids)).take()).await?;
    }
    Ok(())
}

/// Whose horizon.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    Table(TableId),
    Engine(&'a str),
}

impl Subject<'_> {
    fn key(self) -> (&'static str, String) {
        match self {
            Subject::Table(id) => ("table", id.0.to_string()),
            Subject::Engine(engine) => ("engine", engine.to_uppercase()),
        }
    }

    fn condition(self) -> Condition {
        let (kind, subject) = self.key();
        Condition::all().add(Expr::col("kind").eq(kind)).add(Expr::col("subject").eq(subject))
    }
}

/// The horizon; [`Tso::MIN`] when nothing was ever purged.
pub async fn horizon(db: &Db, of: Subject<'_>) -> Result<Tso> {
    let query = Query::select().column("horizon").from("fg_horizons").cond_where(of.condition()).take();
    db.rows(query).await?.first().map_or(Ok(Tso::MIN), |row| row.u64(0).map(Tso))
}

/// Moves a horizon forward; never back.
pub async fn raise_horizon(tx: &mut Tx, of: Subject<'_>, to: Tso) -> Result<()> {
    let query = Query::select().column("horizon").from("fg_horizons").cond_where(of.condition()).take();
    match tx.rows(query).await?.first() {
        Some(row) if row.u64(0)? >= to.0 => Ok(()),
        Some(_) => {
            let update = Query::update().table("fg_horizons").value("horizon", ts(to)).cond_where(of.condition()).take();
            tx.run(update).await.map(drop)
        }
        None => {
            let (kind, subject) = of.key();
            let insert = Query::insert()
                .into_table("fg_horizons")
                .columns(["kind", "subject", "horizon"])
                .values_panic([kind.into(), subject.into(), ts(to).into()])
                .take();
            tx.run(insert).await.map(drop)
        }
    }
}

/// The intervals `[from, to)` of a table that a FORCE trim erased.
pub async fn erased(db: &Db, table: TableId) -> Result<Vec<(Tso, Tso)>> {
    let query = Query::select().columns(["from_ts", "to_ts"]).from("fg_erased").and_where(Expr::col("table_id").eq(number(table.0))).take();
    db.rows(query).await?.iter().map(|row| Ok((Tso(row.u64(0)?), Tso(row.u64(1)?)))).collect()
}

/// A FORCE trim erased `[from, to)` of a table.
pub async fn add_erased(tx: &mut Tx, table: TableId, from: Tso, to: Tso) -> Result<()> {
    let insert = Query::insert()
        .into_table("fg_erased")
        .columns(["table_id", "from_ts", "to_ts"])
        .values_panic([number(table.0).into(), ts(from).into(), ts(to).into()])
        .take();
    tx.run(insert).await.map(drop)
}

/// A table is gone for good: what `fg_horizons` and `fg_erased` know of it goes too.
pub async fn forget_table(tx: &mut Tx, table: TableId) -> Result<()> {
    tx.run(Query::delete().from_table("fg_horizons").cond_where(Subject::Table(table).condition()).take()).await?;
    tx.run(Query::delete().from_table("fg_erased").and_where(Expr::col("table_id").eq(number(table.0))).take()).await.map(drop)
}

/// How many objects of an engine are still to be deleted.
pub async fn garbage_of(db: &Db, engine: &str) -> Result<u64> {
    let query = Query::select().expr(Func::count(Expr::col("id"))).from("fg_garbage").and_where(Expr::col("engine").eq(engine)).take();
    db.rows(query).await?.first().map_or(Ok(0), |row| row.u64(0))
}
