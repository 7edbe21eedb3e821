//! The metadata room (GMS): which tables there are, which files they were made of at any time, and what time it is.
//!
//! It owns the metadata database, the clock that hands out commit times, the visibility index and the recycle bin.
//! It never opens an object, knows no SQL text of users and holds no rows.
//!
//! - [`model`](self): the plain data that others see; [`Catalog`]: the immutable picture of names
//! - [`clock`]: commit times and read times
//! - `visibility`: the snapshot at a time, out of a million versions
//! - `state`: what is kept in memory, and the one path on which anything changes
//! - `commit`, `ddl`, `bin`, `storages`, `purge`, `trim`, `users`, `grants`: the changes, one subject each
//! - `queries`: every statement on the database; `backend`: where the database lies; `schema`: its tables

mod backend;
mod bin;
mod catalog;
pub mod clock;
mod commit;
mod ddl;
mod grants;
mod model;
mod purge;
mod queries;
mod schema;
mod state;
mod storages;
#[cfg(test)]
mod tests;
mod trim;
mod users;
mod visibility;

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::time::Tso;
use crate::types::same;
use backend::Db;
use state::{Inner, StoredCeiling};

pub use catalog::Catalog;
pub use clock::{Clock, MachineTime, ManualTime, TimeSource};
pub use grants::{Grant, Grants};
pub use model::*;
pub use visibility::VisibilityIndex;

/// How often the clock's ceiling is looked after.
const LEASE_TICK: Duration = Duration::from_millis(400);
/// How often what other processes changed is looked for.
const REFRESH_EVERY: u32 = 5;

/// The metadata database with all that is kept in memory of it.
///
/// One process at a time may change it or read times from it (the first to do so becomes its owner until it ends);
/// others may open it to look at the catalog and to manage users.
pub struct Gms {
    inner: Arc<Inner>,
    background: Mutex<Option<JoinHandle<()>>>,
}

impl Gms {
    /// Opens the metadata database, making it when it is not there: `sqlite:/path/gms.db`. A damaged, locked or newer
    /// file is [`crate::Kind::Metadata`], naming the file and what to do.
    pub async fn open(url: &str) -> Result<Arc<Gms>> {
        Gms::open_with_time(url, Arc::new(MachineTime)).await
    }

    /// The same with another machine's clock; for tests.
    pub async fn open_with_time(url: &str, time: Arc<dyn TimeSource>) -> Result<Arc<Gms>> {
        let db = Db::new(backend::open(url).await?);
        schema::migrate(&db).await?;
        let clock = Arc::new(Clock::new(time, Arc::new(StoredCeiling(db.clone()))));
        let inner = Inner::load(db, clock).await?;
        let background = tokio::spawn(look_after(Arc::downgrade(&inner)));
        Ok(Arc::new(Gms { inner, background: Mutex::new(Some(background)) }))
    }

    /// To be called once by a server before it serves: becomes the owner ([`crate::Kind::Refused`] when another process
    /// is), and turns what dead tasks left in flight into garbage. Gives how many objects that were.
    pub async fn recover(&self) -> Result<u64> {
        self.inner.exclusive(commit::recover).await
    }

    /// Joins all tasks of this room, stores the exact time and closes the database. Every later call fails.
    pub async fn close(&self) -> Result<()> {
        let background = self.background.lock().take();
        if let Some(background) = background {
            background.abort();
            // An abort is what is asked for; nothing is left to report.
            let _ = background.await;
        }
        let stopped = self.inner.exclusive(|inner| async move { inner.clock.stop().await });
        let stopped = if self.inner.clock.last() == Tso::MIN { Ok(()) } else { stopped.await };
        self.inner.join_changes().await;
        self.inner.db.backend().close().await;
        stopped
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Databases, tables, views, file storages and grants as of the last change or refresh. Cheap.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalog()
    }

    /// Changes whenever the catalog does, before any client can know of the change. Cheap to read.
    pub fn catalog_version(&self) -> u64 {
        self.inner.catalog_version()
    }

    /// Reads what other processes changed; also done in the background, every two seconds.
    pub async fn refresh(&self) -> Result<()> {
        self.inner.refresh().await
    }

    /// The newest time at which everything is decided: now, or the moment before the commit that runs. Never waits for a
    /// commit. Closes the time: no commit will have it or an earlier one.
    pub async fn read_now(&self) -> Result<Tso> {
        self.inner.clock.read_now().await
    }

    /// Makes `at` a read time: waits for commits that run at or before it and closes it. A time after now is
    /// [`crate::Kind::FutureReadTime`].
    pub async fn admit(&self, at: Tso) -> Result<()> {
        self.inner.clock.admit(at).await
    }

    /// The files of a table that are visible at `at` (admitted here if it was not), in commit order. The same answer for
    /// ever, or [`crate::Kind::SnapshotTooOld`]: also before the table was made. Works for a table in the recycle bin too: a transaction may still read it.
    pub async fn snapshot(&self, table: TableId, at: Tso) -> Result<Snapshot> {
        let inner = &self.inner;
        inner.clock.admit(at).await?;
        inner.settle_for_read().await?;
        // A purge may take files between the index and their details: then the horizon has moved, and is looked at again.
        for _ in 0..5 {
            let described = inner.table(table)?;
            let files = inner.files_of(table).await?;
            let checked = {
                let files = files.read();
                let made = files.check_made(&described, at);
                made.and_then(|()| files.check(&described, at)).map(|()| (files.index.resolve(at), files.horizon, files.index.len()))
            };
            let (ids, horizon, total_versions) = match checked {
                Ok(found) => found,
                Err(error) => return Err(self.with_namesake(error, &described, at).await),
            };
            if let Some(files) = inner.details(&ids).await? {
                let columns = described.columns_at(at).to_vec();
                return Ok(Snapshot { table: described, at, columns, files, horizon, total_versions });
            }
            inner.wait_for_change().await;
        }
        Err(Error::internal(format!("files of table number {} are in the index but not in the metadata database", table.0)))
    }

    /// An error of a time before a table was made says when a dropped table of that name was there.
    async fn with_namesake(&self, error: Error, table: &Table, at: Tso) -> Error {
        if at >= table.created {
            return error;
        }
        let bin = queries::tables::bin(&self.inner.db).await.unwrap_or_default();
        let namesake = bin.iter().any(|binned| {
            let named = same(&binned.database, &table.database) && same(&binned.original_name, &table.name);
            named && at < binned.created && self.inner.table(binned.table).is_ok_and(|dropped| dropped.created <= at)
        });
        if !namesake {
            return error;
        }
        let hint = format!("{}; a table of this name was dropped later: SHOW RECYCLEBIN", error.hint().unwrap_or_default());
        error.with_hint(hint)
    }

    /// How long an object stays in its store after its last row went (FORCE and dead tasks excepted). Ten minutes at first.
    pub fn set_purge_delay(&self, delay: Duration) {
        self.inner.set_purge_delay(delay);
    }
}

impl Drop for Gms {
    fn drop(&mut self) {
        if let Some(background) = self.background.lock().take() {
            background.abort();
        }
    }
}

impl std::fmt::Debug for Gms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gms").field("clock", &self.inner.clock).finish_non_exhaustive()
    }
}

/// Keeps the clock's ceiling ahead and the catalog fresh, until the Gms is dropped.
async fn look_after(inner: Weak<Inner>) {
    let mut tick = tokio::time::interval(LEASE_TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = 0_u32;
    loop {
        tick.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(error) = inner.clock.keep_ahead().await {
            tracing::warn!(%error, "the clock's ceiling cannot be raised");
        }
        round = round.wrapping_add(1);
        if round.is_multiple_of(REFRESH_EVERY)
            && let Err(error) = inner.refresh().await
        {
            tracing::warn!(%error, "the metadata cannot be refreshed");
        }
    }
}
