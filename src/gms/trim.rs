//! ALTER FILESTORAGE .. AS OF TIMESTAMP: the files of a storage are those of an earlier time again.
//!
//! Compensating (the default): one new commit ends what is visible now and was not then, and brings back what was
//! visible then and is not now. The past stays as it was. Tables in the recycle bin are trimmed too, and stay there. FORCE has PolarDB-X's literal effect: what came after the
//! time is erased from history, and reads in the erased interval are errors.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Gms;
use super::model::{FileId, FileVersion, Scope, Table, TrimPlan, TrimResult, TrimTable};
use super::purge::tables_in_scope;
use super::queries::purge::{self as rows, Subject};
use super::queries::{self, FILES};
use super::state::Inner;
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::time::Tso;

impl Gms {
    /// What [`Gms::trim`] would do. A time below the horizon of any table in scope is [`Kind::SnapshotTooOld`], one after
    /// now [`Kind::FutureReadTime`].
    pub async fn plan_trim(&self, engine: &str, to: Tso) -> Result<TrimPlan> {
        self.inner.clock.admit(to).await?;
        self.inner.settle_for_read().await?;
        let engine = engine.to_owned();
        // Alone, so that all tables are looked at as of one moment.
        let (differences, _) = self.inner.exclusive(move |inner| async move { differences(&inner, &engine, to).await }).await?;
        Ok(TrimPlan { to, tables: differences.iter().map(Difference::line).collect() })
    }

    /// Brings the files of a storage back to what they were at `to`, with one commit. `force`: erases what came after
    /// `to` instead; its objects may be deleted at once.
    pub async fn trim(&self, engine: &str, to: Tso, force: bool) -> Result<TrimResult> {
        self.inner.clock.admit(to).await?;
        let engine = engine.to_owned();
        self.inner
            .exclusive(move |inner| async move {
                let (differences, engine) = differences(&inner, &engine, to).await?;
                fault::point("gms.trim.before_tx");
                let result = if force { erase(&inner, &engine, differences, to).await } else { compensate(&inner, differences).await };
                fault::point("gms.trim.after_tx");
                result
            })
            .await
    }
}

/// What of one table is visible at only one of two times.
struct Difference {
    table: Arc<Table>,
    horizon: Tso,
    removed: Vec<Arc<FileVersion>>,
    restored: Vec<Arc<FileVersion>>,
}

impl Difference {
    fn line(&self) -> TrimTable {
        let sum = |files: &[Arc<FileVersion>], of: fn(&FileVersion) -> u64| files.iter().map(|f| of(f)).sum();
        TrimTable {
            table: self.table.id,
            database: self.table.database.clone(),
            name: self.table.name.clone(),
            files_removed: self.removed.len() as u64,
            rows_removed: sum(&self.removed, |f| f.rows),
            bytes_removed: sum(&self.removed, |f| f.bytes),
            files_restored: self.restored.len() as u64,
            rows_restored: sum(&self.restored, |f| f.rows),
            bytes_restored: sum(&self.restored, |f| f.bytes),
            horizon: self.horizon,
        }
    }
}

/// For every table in scope: what is visible now and not at `to`, and the other way round. The same object under
/// another version number (an earlier trim brought it back) is no difference.
async fn differences(inner: &Arc<Inner>, engine: &str, to: Tso) -> Result<(Vec<Difference>, String)> {
    let engine = inner.catalog().require_storage(engine)?.engine.clone();
    let horizon = rows::horizon(&inner.db, Subject::Engine(&engine)).await?;
    if to < horizon {
        let utc = |t: Tso| t.display_in(&jiff::tz::TimeZone::UTC);
        return Err(Error::new(
            Kind::SnapshotTooOld,
            format!(
                "snapshot too old: the history of {engine} before {} UTC (TSO {horizon}) has been purged, the time is {} UTC",
                utc(horizon),
                utc(to)
            ),
        )
        .with_hint("trim to the horizon or later"));
    }
    let mut differences = vec![];
    for table in tables_in_scope(inner, &Scope::Engine(engine.clone())).await? {
        let files = inner.files_in_change(table.id).await?;
        let (then, now, horizon) = {
            let files = files.read();
            files.check(&table, to)?;
            (files.index.resolve(to), files.index.resolve(Tso::MAX), files.horizon)
        };
        let then = of_engine(inner, &then, &engine).await?;
        let now = of_engine(inner, &now, &engine).await?;
        let paths = |files: &[Arc<FileVersion>]| files.iter().map(|f| f.path.clone()).collect::<HashSet<_>>();
        let (then_paths, now_paths) = (paths(&then), paths(&now));
        differences.push(Difference {
            horizon,
            removed: now.into_iter().filter(|f| !then_paths.contains(&f.path)).collect(),
            restored: then.into_iter().filter(|f| !now_paths.contains(&f.path)).collect(),
            table,
        });
    }
    Ok((differences, engine))
}

async fn of_engine(inner: &Inner, ids: &[FileId], engine: &str) -> Result<Vec<Arc<FileVersion>>> {
    let files = inner.details(ids).await?.ok_or_else(|| Error::internal("files are in the index but not in the metadata database"))?;
    Ok(files.into_iter().filter(|f| f.engine == engine).collect())
}

async fn compensate(inner: &Arc<Inner>, differences: Vec<Difference>) -> Result<TrimResult> {
    let moment = inner.clock.commit_time().await?;
    let at = moment.ts();
    let mut tx = inner.db.begin().await?;
    let mut restored: HashMap<_, Vec<FileId>> = HashMap::new();
    for difference in &differences {
        let table = &difference.table;
        let ids: Vec<FileId> = difference.removed.iter().map(|f| f.id).collect();
        if queries::files::end(&mut tx, table.id, &ids, at).await? != ids.len() as u64 {
            return Err(Error::internal("a trim found other files than the index has"));
        }
        for file in &difference.restored {
            let id = queries::files::insert_again(&mut tx, file, table, at).await?;
            restored.entry(table.id).or_default().push(id);
        }
    }
    fault::point("gms.trim.in_tx");
    let doubt = inner.make_durable(tx, &[FILES]).await?;
    for difference in &differences {
        let files = inner.files_in_change(difference.table.id).await?;
        let mut files = files.write();
        for file in &difference.removed {
            files.index.remove(file.id, at);
        }
        for id in restored.remove(&difference.table.id).unwrap_or_default() {
            files.index.insert(id, at);
        }
    }
    inner.forget_details(differences.iter().flat_map(|d| d.removed.iter().map(|f| f.id)));
    doubt.settled();
    drop(moment);
    Ok(TrimResult { at, tables: differences.iter().map(Difference::line).collect(), objects: 0 })
}

async fn erase(inner: &Arc<Inner>, engine: &str, differences: Vec<Difference>, to: Tso) -> Result<TrimResult> {
    let moment = inner.clock.commit_time().await?;
    let at = moment.ts();
    // Only tables that changed after `to` lose that interval.
    let mut touched = HashSet::new();
    for condition in [rows::committed_after(rows::of_engine(engine), to), rows::ended_after(rows::of_engine(engine), to)] {
        touched.extend(rows::sums(&inner.db, condition).await?.into_iter().map(|(table, _)| table));
    }
    let mut tx = inner.db.begin().await?;
    let now = inner.clock.wall().unix_micros();
    let (_, objects) = rows::delete(&mut tx, rows::committed_after(rows::of_engine(engine), to), now).await?;
    queries::files::revive(&mut tx, rows::of_engine(engine), to).await?;
    for table in &touched {
        rows::add_erased(&mut tx, *table, to.next(), at).await?;
    }
    fault::point("gms.trim.in_tx");
    let doubt = inner.make_durable(tx, &[FILES]).await?;
    inner.forget_files(differences.iter().map(|d| d.table.id));
    doubt.settled();
    drop(moment);
    Ok(TrimResult { at, tables: differences.iter().map(Difference::line).collect(), objects })
}
