//! PURGE BEFORE TIMESTAMP: versions that ended before a time go for good, and the horizon moves there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sea_query::{Cond, Condition};

use super::Gms;
use super::model::{Binned, FileVersion, PurgePlan, PurgeResult, PurgeTable, Scope, Table, TableId};
use super::queries::purge::{self as rows, Subject, Sums};
use super::queries::{self, CATALOG, FILES};
use super::state::Inner;
use crate::error::Result;
use crate::fault;
use crate::time::Tso;

impl Gms {
    /// All committed versions in scope, in commit order, those in the recycle bin too: what BACKUP writes.
    pub async fn file_versions(&self, scope: &Scope) -> Result<Vec<FileVersion>> {
        queries::files::list(&self.inner.db, in_scope(&self.inner, scope)?).await
    }

    /// What [`Gms::purge`] would do. A time after now is [`crate::Kind::FutureReadTime`].
    pub async fn plan_purge(&self, scope: &Scope, before: Tso) -> Result<PurgePlan> {
        self.inner.clock.admit(before).await?;
        plan(&self.inner, scope, before).await
    }

    /// Deletes versions that ended before `before`, and (scope: engine) tables dropped before it. Every table in scope
    /// gets `before` as its horizon unless that is later already. Rows, horizons and garbage change in one transaction;
    /// an object that any row still points to is not garbage.
    pub async fn purge(&self, scope: &Scope, before: Tso) -> Result<PurgeResult> {
        // The horizon becomes a time that can be read: it must be closed.
        self.inner.clock.admit(before).await?;
        let scope = scope.clone();
        self.inner.exclusive(move |inner| purge(inner, scope, before)).await
    }
}

fn in_scope(inner: &Inner, scope: &Scope) -> Result<Condition> {
    match scope {
        Scope::Engine(engine) => Ok(rows::of_engine(&inner.catalog().require_storage(engine)?.engine)),
        Scope::Table(id) => Ok(rows::of_tables([inner.table(*id)?.id])),
    }
}

/// The tables of an engine: those that write to it, and those that have files in it; in the recycle bin too.
pub async fn tables_in_scope(inner: &Inner, scope: &Scope) -> Result<Vec<Arc<Table>>> {
    let catalog = inner.catalog();
    let mut tables: Vec<Arc<Table>> = match scope {
        Scope::Table(id) => vec![inner.table(*id)?],
        Scope::Engine(engine) => {
            let engine = catalog.require_storage(engine)?.engine.clone();
            let with_files: HashSet<TableId> = queries::files::tables_of_engine(&inner.db, &engine).await?.into_iter().collect();
            catalog.every_table().filter(|t| t.engine == engine || with_files.contains(&t.id)).cloned().collect()
        }
    };
    tables.sort_by(|a, b| (&a.database, &a.name, a.id).cmp(&(&b.database, &b.name, b.id)));
    Ok(tables)
}

/// What goes: the ended versions in scope, and everything of the dropped tables.
fn doomed(inner: &Inner, scope: &Scope, before: Tso, dropped: &[TableId]) -> Result<Condition> {
    let ended = rows::ended_before(in_scope(inner, scope)?, before);
    Ok(if dropped.is_empty() { ended } else { Cond::any().add(ended).add(rows::of_tables(dropped.iter().copied())) })
}

async fn plan(inner: &Arc<Inner>, scope: &Scope, before: Tso) -> Result<PurgePlan> {
    let tables = tables_in_scope(inner, scope).await?;
    let goes = |t: &Table| match scope {
        Scope::Engine(engine) => t.dropped.is_some_and(|at| at < before) && t.engine.eq_ignore_ascii_case(engine),
        Scope::Table(_) => false,
    };
    let dropped: Vec<TableId> = tables.iter().filter(|t| goes(t)).map(|t| t.id).collect();
    let sums: HashMap<TableId, Sums> = rows::sums(&inner.db, doomed(inner, scope, before, &dropped)?).await?.into_iter().collect();
    let bin: BTreeMap<TableId, Binned> = queries::tables::bin(&inner.db).await?.into_iter().map(|b| (b.table, b)).collect();
    let mut plan = PurgePlan { before, tables: vec![], binned: vec![], files: 0, rows: 0, bytes: 0 };
    for table in tables {
        let Sums { files, rows, bytes } = sums.get(&table.id).copied().unwrap_or_default();
        let horizon_before = rows::horizon(&inner.db, Subject::Table(table.id)).await?;
        plan.files += files;
        plan.rows += rows;
        plan.bytes += bytes;
        let binned = dropped.contains(&table.id);
        plan.binned.extend(bin.get(&table.id).filter(|_| binned).cloned());
        plan.tables.push(PurgeTable {
            table: table.id,
            database: table.database.clone(),
            name: table.name.clone(),
            binned,
            files,
            rows,
            bytes,
            horizon_before,
            horizon_after: horizon_before.max(before),
        });
    }
    Ok(plan)
}

async fn purge(inner: Arc<Inner>, scope: Scope, before: Tso) -> Result<PurgeResult> {
    let plan = plan(&inner, &scope, before).await?;
    let dropped: Vec<Arc<Table>> = plan.tables.iter().filter(|t| t.binned).map(|t| inner.table(t.table)).collect::<Result<_>>()?;
    let dropped_ids: Vec<TableId> = dropped.iter().map(|t| t.id).collect();
    fault::point("gms.purge.before_tx");
    let mut tx = inner.db.begin().await?;
    let (files, objects) = rows::delete(&mut tx, doomed(&inner, &scope, before, &dropped_ids)?, inner.due()).await?;
    for table in &dropped {
        queries::tables::forget(&mut tx, table).await?;
        rows::forget_table(&mut tx, table.id).await?;
    }
    for table in plan.tables.iter().filter(|t| !t.binned) {
        rows::raise_horizon(&mut tx, Subject::Table(table.table), before).await?;
    }
    if let Scope::Engine(engine) = &scope {
        rows::raise_horizon(&mut tx, Subject::Engine(engine), before).await?;
    }
    fault::point("gms.purge.in_tx");
    let doubt = inner.make_durable(tx, &[CATALOG, FILES]).await?;
    inner.change_catalog(|catalog| dropped_ids.iter().for_each(|id| catalog.remove_table(*id)));
    inner.forget_files(plan.tables.iter().map(|t| t.table));
    doubt.settled();
    fault::point("gms.purge.after_tx");
    Ok(PurgeResult { files, rows: plan.rows, bytes: plan.bytes, objects, tables: dropped.len() as u64, horizon: Some(before) })
}
