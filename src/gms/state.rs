//! What is kept in memory of the metadata, and the one path on which it changes.
//!
//! Every change runs alone ([`Inner::exclusive`]): it takes its moment from the clock, writes one transaction, makes it
//! durable, publishes it here, and only then lets the moment go. It runs in a task of its own, so that a client that
//! goes away in the middle leaves the memory and the database alike. When it cannot be known whether a transaction
//! became durable, the memory is thrown away and read again before anybody reads it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use quick_cache::sync::Cache;
use tokio_util::task::TaskTracker;

use super::backend::{Db, Tx};
use super::catalog::Catalog;
use super::clock::{Ceiling, Clock};
use super::model::{FileId, FileVersion, Table, TableId};
use super::queries;
use super::visibility::VisibilityIndex;
use crate::error::{Error, Kind, Result};
use crate::time::Tso;

/// How many files' details are kept in memory at most; the visibility index is not counted.
const DETAILS_KEPT: usize = 200_000;

/// What is known of one table's files.
#[derive(Debug)]
pub struct TableFiles {
    pub index: VisibilityIndex,
    /// Reads below it are errors.
    pub horizon: Tso,
    /// Reads in `[from, to)` are errors.
    pub erased: Vec<(Tso, Tso)>,
}

/// A moment as errors name it.
fn utc(t: Tso) -> String {
    format!("{} UTC (TSO {t})", t.display_in(&jiff::tz::TimeZone::UTC))
}

impl TableFiles {
    /// Was the table there at `at`? Else [`Kind::SnapshotTooOld`]. Where a purge or a trim has moved the first time that can
    /// be read further on, [`TableFiles::check`] names that.
    pub fn check_made(&self, table: &Table, at: Tso) -> Result<()> {
        let moved = self.horizon > table.created || self.erased.iter().any(|(from, to)| *from <= at && table.created < *to);
        if at >= table.created || moved {
            return Ok(());
        }
        let (name, made) = (format!("{}.{}", table.database, table.name), utc(table.created));
        Err(Error::new(
            Kind::SnapshotTooOld,
            format!("snapshot too old: the history of {name} begins at {made}, when the table was made; the read time is {}", utc(at)),
        )
        .with_hint("read at or after that moment"))
    }

    /// Is the history at `at` still there? Else [`Kind::SnapshotTooOld`].
    pub fn check(&self, table: &Table, at: Tso) -> Result<()> {
        let name = format!("{}.{}", table.database, table.name);
        if at < self.horizon {
            return Err(Error::new(
                Kind::SnapshotTooOld,
                format!(
                    "snapshot too old: the history of {name} before {} has been purged, the read time is {}",
                    utc(self.horizon),
                    utc(at)
                ),
            )
            .with_hint("read at or after the horizon"));
        }
        if let Some((from, to)) = self.erased.iter().find(|(from, to)| *from <= at && at < *to) {
            return Err(Error::new(
                Kind::SnapshotTooOld,
                format!(
                    "snapshot too old: the history of {name} from {} to {} was erased by ALTER FILESTORAGE .. AS OF TIMESTAMP .. FORCE, \
                     the read time is {}",
                    utc(*from),
                    utc(*to),
                    utc(at)
                ),
            )
            .with_hint(match table.created < *from {
                true => format!("read before that interval, or at or after {}", utc(*to)),
                false => format!("read at or after {}", utc(*to)),
            }));
        }
        Ok(())
    }
}

/// The state of a [`super::Gms`], shared with its tasks.
pub struct Inner {
    pub db: Db,
    pub clock: Arc<Clock>,
    catalog: RwLock<Arc<Catalog>>,
    /// Grows when another catalog is published.
    catalog_version: AtomicU64,
    /// Loaded on first use, one by one.
    files: DashMap<TableId, Arc<RwLock<TableFiles>>>,
    details: Cache<FileId, Arc<FileVersion>>,
    /// Held from a change's moment to its publication.
    changes: tokio::sync::Mutex<()>,
    /// Changes that run or wait for their turn.
    tasks: TaskTracker,
    /// Memory and database may differ: a transaction's end is unknown, or publishing it failed.
    doubtful: AtomicBool,
    /// The operation numbers that memory reflects.
    operations: Mutex<HashMap<String, u64>>,
    /// Microseconds that an object stays after its last row went.
    purge_delay: AtomicU64,
}

/// Keeps the ceiling of the clock in the metadata database.
pub struct StoredCeiling(pub Db);

#[async_trait]
impl Ceiling for StoredCeiling {
    async fn claim(&self) -> Result<Tso> {
        self.0.backend().own().await?;
        queries::ceiling(&self.0).await
    }

    async fn store(&self, ceiling: Tso) -> Result<()> {
        let mut tx = self.0.begin().await?;
        queries::set_ceiling(&mut tx, ceiling).await?;
        tx.commit().await
    }
}

/// Between "about to be durable" and "published": dropped on the way, it marks the memory as doubtful.
pub struct Doubt {
    inner: Arc<Inner>,
    settled: bool,
}

impl Doubt {
    /// Memory shows the change.
    pub fn settled(mut self) {
        self.settled = true;
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if !self.settled {
            self.inner.doubtful.store(true, Ordering::SeqCst);
        }
    }
}

impl Inner {
    /// Reads the catalog; files follow when they are asked for.
    pub async fn load(db: Db, clock: Arc<Clock>) -> Result<Arc<Inner>> {
        let inner = Inner {
            db,
            clock,
            catalog: RwLock::default(),
            catalog_version: AtomicU64::new(0),
            files: DashMap::new(),
            details: Cache::new(DETAILS_KEPT),
            changes: tokio::sync::Mutex::new(()),
            tasks: TaskTracker::new(),
            doubtful: AtomicBool::new(false),
            operations: Mutex::default(),
            purge_delay: AtomicU64::new(600_000_000),
        };
        inner.reload().await?;
        Ok(Arc::new(inner))
    }

    /// The catalog as of the last change or refresh.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read())
    }

    /// Changes whenever the catalog does, before any client can know of the change. Cheap to read.
    pub fn catalog_version(&self) -> u64 {
        self.catalog_version.load(Ordering::Acquire)
    }

    /// Publishes a change of the catalog.
    pub fn change_catalog<T>(&self, change: impl FnOnce(&mut Catalog) -> T) -> T {
        let mut shared = self.catalog.write();
        let mut catalog = Catalog::clone(&shared);
        let result = change(&mut catalog);
        *shared = Arc::new(catalog);
        self.catalog_version.fetch_add(1, Ordering::Release);
        result
    }

    /// A table of the catalog; [`Kind::UnknownTable`] when it is gone for good.
    pub fn table(&self, id: TableId) -> Result<Arc<Table>> {
        self.catalog().table_by_id(id).cloned().ok_or_else(|| {
            Error::new(Kind::UnknownTable, format!("table number {} does not exist any more: it was dropped and purged", id.0))
        })
    }

    /// A table that is not in the recycle bin.
    pub fn live_table(&self, id: TableId) -> Result<Arc<Table>> {
        let table = self.table(id)?;
        match table.dropped {
            None => Ok(table),
            Some(_) => Err(Error::new(Kind::UnknownTable, format!("the table was dropped; it lies in the recycle bin as {}", table.name))
                .with_hint("FLASHBACK TABLE .. TO BEFORE DROP brings it back")),
        }
    }

    /// How long an object stays after its last row went.
    pub fn set_purge_delay(&self, delay: Duration) {
        self.purge_delay.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// From when on an object whose last row goes now may be deleted: microseconds since 1970.
    pub fn due(&self) -> u64 {
        self.clock.wall().unix_micros().saturating_add(self.purge_delay.load(Ordering::Relaxed))
    }

    /// Runs `work` alone among all changes, in a task of its own.
    pub async fn exclusive<T, F, Fut>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Inner>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let inner = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            let _alone = inner.changes.lock().await;
            inner.clock.start().await?;
            inner.settle().await?;
            work(Arc::clone(&inner)).await
        });
        task.await.map_err(|e| Error::internal(format!("a change of the metadata did not run to its end: {e}")))?
    }

    /// Waits until no change runs and none waits for its turn.
    pub async fn join_changes(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Makes a transaction durable. The caller publishes it and settles the doubt, or memory is read again.
    pub async fn make_durable(self: &Arc<Self>, mut tx: Tx, changed: &[&'static str]) -> Result<Doubt> {
        let mut numbers = Vec::with_capacity(changed.len());
        for data_id in changed {
            numbers.push(((*data_id).to_owned(), queries::bump(&mut tx, data_id).await?));
        }
        let doubt = Doubt { inner: Arc::clone(self), settled: false };
        tx.commit().await?;
        self.operations.lock().extend(numbers);
        Ok(doubt)
    }

    /// The operation number of `data_id` that memory reflects.
    pub fn operation(&self, data_id: &str) -> u64 {
        self.operations.lock().get(data_id).copied().unwrap_or(0)
    }

    /// Reads everything again when memory is doubtful. The caller holds the lock of changes.
    async fn settle(&self) -> Result<()> {
        if self.doubtful.load(Ordering::SeqCst) {
            self.reload().await?;
            self.doubtful.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// The same for a reader: it does not hold the lock yet.
    pub async fn settle_for_read(&self) -> Result<()> {
        if self.doubtful.load(Ordering::SeqCst) {
            let _alone = self.changes.lock().await;
            self.settle().await?;
        }
        Ok(())
    }

    /// Waits until the change that runs, if any, is published.
    pub async fn wait_for_change(&self) {
        drop(self.changes.lock().await);
    }

    /// Reads what other processes changed.
    pub async fn refresh(&self) -> Result<()> {
        self.settle_for_read().await?;
        if self.is_current(&queries::operations(&self.db).await?) {
            return Ok(());
        }
        let _alone = self.changes.lock().await;
        let found = queries::operations(&self.db).await?;
        // What we changed ourselves while waiting is known by now.
        if self.is_current(&found) { Ok(()) } else { self.reload().await }
    }

    fn is_current(&self, found: &[(String, u64)]) -> bool {
        let known = self.operations.lock();
        found.iter().all(|(data_id, number)| known.get(data_id) == Some(number))
    }

    /// Reads the catalog and forgets the rest, to be read when asked for.
    async fn reload(&self) -> Result<()> {
        let operations = queries::operations(&self.db).await?;
        let mut catalog = Catalog::default();
        queries::tables::databases(&self.db).await?.into_iter().for_each(|d| catalog.put_database(d));
        queries::tables::tables(&self.db).await?.into_iter().for_each(|t| drop(catalog.put_table(t)));
        queries::tables::views(&self.db).await?.into_iter().for_each(|v| catalog.put_view(v));
        queries::storages::storages(&self.db).await?.into_iter().for_each(|s| catalog.put_storage(s));
        catalog.put_grants(queries::grants::grants(&self.db).await?.into_iter().collect());
        *self.catalog.write() = Arc::new(catalog);
        self.catalog_version.fetch_add(1, Ordering::Release);
        self.forget_all_files();
        *self.operations.lock() = operations.into_iter().collect();
        Ok(())
    }

    /// The files of a table, for a reader; read from the database on first use.
    pub async fn files_of(&self, table: TableId) -> Result<Arc<RwLock<TableFiles>>> {
        if let Some(files) = self.files.get(&table) {
            return Ok(Arc::clone(&files));
        }
        let _alone = self.changes.lock().await;
        self.files_in_change(table).await
    }

    /// The files of a table, for a change or under its lock.
    pub async fn files_in_change(&self, table: TableId) -> Result<Arc<RwLock<TableFiles>>> {
        if let Some(files) = self.files.get(&table) {
            return Ok(Arc::clone(&files));
        }
        let files = TableFiles {
            index: queries::files::load_index(&self.db, table).await?,
            horizon: queries::purge::horizon(&self.db, queries::purge::Subject::Table(table)).await?,
            erased: queries::purge::erased(&self.db, table).await?,
        };
        let files = Arc::new(RwLock::new(files));
        self.files.insert(table, Arc::clone(&files));
        Ok(files)
    }

    /// What is known of these tables' files is void; it is read again when asked for.
    pub fn forget_files(&self, tables: impl IntoIterator<Item = TableId>) {
        for table in tables {
            self.files.remove(&table);
        }
        self.details.clear();
    }

    fn forget_all_files(&self) {
        self.files.clear();
        self.details.clear();
    }

    /// File details changed: they are read again when asked for.
    pub fn forget_details(&self, ids: impl IntoIterator<Item = FileId>) {
        for id in ids {
            self.details.remove(&id);
        }
    }

    /// The details of these versions, in this order; None when one of them is gone meanwhile. A detail's `remove_ts` may
    /// lag behind: the index decides what is visible.
    pub async fn details(&self, ids: &[FileId]) -> Result<Option<Vec<Arc<FileVersion>>>> {
        let mut found: Vec<Option<Arc<FileVersion>>> = ids.iter().map(|id| self.details.get(id)).collect();
        let missing: Vec<FileId> = ids.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|(id, _)| *id).collect();
        if !missing.is_empty() {
            let read = queries::files::load(&self.db, &missing).await?;
            let read: HashMap<FileId, Arc<FileVersion>> = read.into_iter().map(|f| (f.id, Arc::new(f))).collect();
            for (slot, id) in found.iter_mut().zip(ids).filter(|(slot, _)| slot.is_none()) {
                *slot = read.get(id).cloned();
            }
            read.into_iter().for_each(|(id, file)| self.details.insert(id, file));
        }
        Ok(found.into_iter().collect())
    }
}
