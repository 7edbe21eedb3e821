//! Tasks, and the commit that makes their files visible at one moment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::backend::Tx;
use super::model::{Change, FileId, TableId, TaskId};
use super::queries::{self, FILES};
use super::state::{Inner, TableFiles};
use super::{Gms, Table};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::time::Tso;

use parking_lot::RwLock;

impl Gms {
    /// A piece of work that will write objects. `what` is for people.
    pub async fn begin_task(&self, what: &str) -> Result<TaskId> {
        self.inner.clock.start().await?;
        fault::point("gms.task.before_tx");
        let mut tx = self.inner.db.begin().await?;
        let task = queries::files::begin_task(&mut tx, what).await?;
        tx.commit().await?;
        fault::point("gms.task.after_tx");
        Ok(task)
    }

    /// Says which object a task is about to write: a row in flight, so that the object is found should the task die.
    /// To be called before the object is written. `path` is relative to the storage's root; one with a scheme
    /// (`file:///..`) is somebody else's object, which is never deleted.
    pub async fn register_file(&self, task: TaskId, table: TableId, engine: &str, path: &str) -> Result<FileId> {
        let table = self.inner.live_table(table)?;
        let engine = self.inner.catalog().require_storage(engine)?.engine.clone();
        fault::point("gms.register.before_tx");
        let mut tx = self.inner.db.begin().await?;
        if !queries::files::task_exists(&mut tx, task).await? {
            return Err(gone(task));
        }
        let id = queries::files::insert_in_flight(&mut tx, task, &table, &engine, path).await?;
        tx.commit().await?;
        fault::point("gms.register.after_tx");
        Ok(id)
    }

    /// Makes a change visible at one moment, which it returns: all of it or, on an error, nothing of it. The objects of
    /// added files must be durable. [`Kind::WriteConflict`]: a removed file is gone already, or a table was altered or dropped.
    /// Not cancelled by dropping the future: once begun it runs to its end.
    pub async fn commit(&self, change: Change) -> Result<Tso> {
        self.inner.exclusive(move |inner| commit(inner, change)).await
    }

    /// Ends a task that will not commit: its rows in flight become garbage. Its objects must not be written any more.
    pub async fn abandon(&self, task: TaskId) -> Result<()> {
        fault::point("gms.abandon.before_tx");
        let now = self.inner.clock.wall().unix_micros();
        let mut tx = self.inner.db.begin().await?;
        queries::purge::delete(&mut tx, queries::purge::in_flight(Some(task)), now).await?;
        queries::files::end_task(&mut tx, task).await?;
        tx.commit().await?;
        fault::point("gms.abandon.after_tx");
        Ok(())
    }

    /// `ALTER TABLE .. DROP FILE`: ends visible files, given by their object paths. A name that is unknown or ended
    /// already is an error, and nothing changes.
    pub async fn drop_files(&self, table: TableId, names: &[String]) -> Result<Tso> {
        let names = names.to_vec();
        self.inner.exclusive(move |inner| drop_files(inner, table, names)).await
    }
}

fn gone(task: TaskId) -> Error {
    Error::new(Kind::WriteConflict, format!("task {} is over: it was abandoned, or its table was purged", task.0))
        .with_hint("run the statement again")
}

fn conflict(table: &Table, why: &str) -> Error {
    Error::new(Kind::WriteConflict, format!("write conflict: {why} {}.{} since this transaction read it", table.database, table.name))
        .with_hint("run the transaction again")
}

/// A table of the change with its files, checked.
struct Touched {
    table: Arc<Table>,
    files: Arc<RwLock<TableFiles>>,
}

async fn commit(inner: Arc<Inner>, change: Change) -> Result<Tso> {
    let touched = check(&inner, &change).await?;
    fault::point("gms.commit.before_tx");
    // A moment of the past does not run: nobody may have read there, which `check` cannot know; the demo does.
    let moment = if change.at.is_none() { Some(inner.clock.commit_time().await?) } else { None };
    let at = match (&moment, change.at) {
        (Some(moment), _) => moment.ts(),
        (None, Some(at)) => at,
        (None, None) => return Err(Error::internal("a commit without a moment")),
    };
    let mut tx = inner.db.begin().await?;
    write(&mut tx, &change, &touched, at, inner.clock.wall().unix_micros()).await?;
    fault::point("gms.commit.in_tx");
    let doubt = inner.make_durable(tx, &[FILES]).await?;
    fault::point("gms.commit.before_publish");
    for (id, touched) in &touched {
        let mut files = touched.files.write();
        for (_, file) in change.remove.iter().filter(|(table, _)| table == id) {
            files.index.remove(*file, at);
        }
        for file in change.add.iter().filter(|file| file.table == *id) {
            files.index.insert(file.id, at);
        }
    }
    inner.forget_details(change.remove.iter().map(|(_, file)| *file));
    doubt.settled();
    drop(moment);
    fault::point("gms.commit.after_publish");
    Ok(at)
}

/// Everything that can be known before the transaction: schemas, conflicts, the moment.
async fn check(inner: &Arc<Inner>, change: &Change) -> Result<HashMap<TableId, Touched>> {
    let tables =
        change.add.iter().map(|f| f.table).chain(change.remove.iter().map(|r| r.0)).chain(change.expect_schema.iter().map(|e| e.0));
    let mut touched = HashMap::new();
    for id in tables {
        if let std::collections::hash_map::Entry::Vacant(slot) = touched.entry(id) {
            let table = inner.live_table(id).map_err(|e| {
                Error::new(Kind::WriteConflict, format!("write conflict: {}", e.message())).with_hint("run the transaction again")
            })?;
            slot.insert(Touched { table, files: inner.files_in_change(id).await? });
        }
    }
    for (id, expected) in &change.expect_schema {
        if touched[id].table.schema_ts() != *expected {
            return Err(conflict(&touched[id].table, "somebody altered"));
        }
    }
    let mut seen = HashSet::new();
    for (id, file) in &change.remove {
        if !seen.insert(file) || !touched[id].files.read().index.is_alive(*file) {
            return Err(conflict(&touched[id].table, "somebody changed"));
        }
    }
    if let Some(at) = change.at {
        let newest = touched.values().map(|t| t.files.read()).map(|f| f.index.newest_event().max(f.horizon)).max().unwrap_or_default();
        if at <= newest || at > inner.clock.now() {
            return Err(Error::new(
                Kind::Refused,
                format!("a commit at {at:?} must lie after all that its tables hold ({newest:?}) and not in the future"),
            ));
        }
    }
    if change.task.is_none() && !change.add.is_empty() {
        return Err(Error::internal("a commit adds files but names no task"));
    }
    Ok(touched)
}

async fn write(tx: &mut Tx, change: &Change, touched: &HashMap<TableId, Touched>, at: Tso, now: u64) -> Result<()> {
    let created = change.at.map(Tso::timestamp);
    if let Some(task) = change.task {
        for file in &change.add {
            if !queries::files::publish(tx, task, file, at, created).await? {
                return Err(gone(task));
            }
        }
    }
    for (id, touched) in touched {
        let ids: Vec<FileId> = change.remove.iter().filter(|(table, _)| table == id).map(|(_, file)| *file).collect();
        if queries::files::end(tx, *id, &ids, at).await? != ids.len() as u64 {
            return Err(conflict(&touched.table, "somebody changed"));
        }
    }
    if let Some(task) = change.task {
        // What was registered and not used after all.
        queries::purge::delete(tx, queries::purge::in_flight(Some(task)), now).await?;
        queries::files::end_task(tx, task).await?;
    }
    Ok(())
}

async fn drop_files(inner: Arc<Inner>, table: TableId, names: Vec<String>) -> Result<Tso> {
    let table = inner.live_table(table)?;
    let alive = queries::files::alive_by_path(&inner.db, table.id, &names).await?;
    let unknown: Vec<&str> = names.iter().filter(|name| !alive.iter().any(|(path, _)| path == *name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        return Err(Error::new(
            Kind::WrongValue,
            format!("table {}.{} has no visible file '{}'; nothing was dropped", table.database, table.name, unknown.join("', '")),
        )
        .with_hint(format!("SHOW FILES FROM {} lists them", table.name)));
    }
    let ids: Vec<FileId> = alive.into_iter().map(|(_, id)| id).collect();
    let files = inner.files_in_change(table.id).await?;
    fault::point("gms.drop_files.before_tx");
    let moment = inner.clock.commit_time().await?;
    let mut tx = inner.db.begin().await?;
    if queries::files::end(&mut tx, table.id, &ids, moment.ts()).await? != ids.len() as u64 {
        return Err(conflict(&table, "somebody changed"));
    }
    fault::point("gms.drop_files.in_tx");
    let doubt = inner.make_durable(tx, &[FILES]).await?;
    {
        let mut files = files.write();
        for id in &ids {
            files.index.remove(*id, moment.ts());
        }
    }
    inner.forget_details(ids);
    doubt.settled();
    let at = moment.ts();
    drop(moment);
    fault::point("gms.drop_files.after_tx");
    Ok(at)
}

/// Turns what dead tasks left in flight into garbage that is due at once.
pub async fn recover(inner: Arc<Inner>) -> Result<u64> {
    fault::point("gms.recover.before_tx");
    let now = inner.clock.wall().unix_micros();
    let mut tx = inner.db.begin().await?;
    let (_, objects) = queries::purge::delete(&mut tx, queries::purge::in_flight(None), now).await?;
    queries::files::end_all_tasks(&mut tx).await?;
    tx.commit().await?;
    fault::point("gms.recover.after_tx");
    Ok(objects)
}
