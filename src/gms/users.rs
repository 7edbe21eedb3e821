//! Users and garbage: small things that need no commit time. Users may be changed while a server runs on the same file.

use super::Gms;
use super::model::{Garbage, StoredUser};
use super::queries::{self, USERS};
use crate::error::Result;
use crate::fault;

impl Gms {
    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<StoredUser>> {
        queries::users(&self.inner.db).await
    }

    /// Adds a user or replaces its verifiers (JSON; never a password).
    pub async fn put_user(&self, name: &str, verifier: &str) -> Result<()> {
        let mut tx = self.inner.db.begin().await?;
        queries::put_user(&mut tx, name, verifier).await?;
        self.inner.make_durable(tx, &[USERS]).await?.settled();
        Ok(())
    }

    /// Removes a user; false: there is none.
    pub async fn remove_user(&self, name: &str) -> Result<bool> {
        let mut tx = self.inner.db.begin().await?;
        let removed = queries::remove_user(&mut tx, name).await?;
        self.inner.make_durable(tx, &[USERS]).await?.settled();
        Ok(removed)
    }

    /// Changes whenever users changed, as of the last refresh: what a cache of users watches.
    pub fn users_version(&self) -> u64 {
        self.inner.operation(USERS)
    }

    /// Objects to delete: those past their delay that no row points to.
    pub async fn garbage(&self) -> Result<Vec<Garbage>> {
        queries::purge::garbage(&self.inner.db, self.inner.clock.wall().unix_micros()).await
    }

    /// These objects are deleted (or were never written).
    pub async fn forget_garbage(&self, ids: &[u64]) -> Result<()> {
        fault::point("gms.garbage.before_forget");
        let mut tx = self.inner.db.begin().await?;
        queries::purge::forget_garbage(&mut tx, ids).await?;
        tx.commit().await?;
        fault::point("gms.garbage.after_forget");
        Ok(())
    }
}
