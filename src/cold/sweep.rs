//! The sweeper: deletes objects whose rows are gone. Deleting comes last, so a crash leaves garbage, never a hole.

use datafusion::object_store::{Error as StoreError, ObjectStoreExt};

use super::storage::Cold;
use crate::error::Result;
use crate::fault;

/// What one sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Objects deleted (or found gone already).
    pub deleted: usize,
    /// Objects that could not be deleted now; the next sweep tries again.
    pub failed: usize,
}

impl Cold {
    /// Deletes what the GMS says is garbage.
    pub async fn sweep(&self) -> Result<SweepReport> {
        let mut report = SweepReport::default();
        let mut forgotten = Vec::new();
        for garbage in self.gms.garbage().await? {
            let place = match self.place(&garbage.engine) {
                Ok(place) => place,
                Err(_) => {
                    // The storage was unregistered: Flashgate may not delete its objects any more.
                    forgotten.push(garbage.id);
                    continue;
                }
            };
            match place.store.delete(&place.path(&garbage.path)).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => {
                    report.deleted += 1;
                    forgotten.push(garbage.id);
                }
                Err(error) => {
                    report.failed += 1;
                    tracing::warn!(engine = %place.engine, object = %garbage.path, error = %place.error(&garbage.path, error), "could not delete an object");
                }
            }
        }
        fault::point("cold.sweep.objects_deleted");
        if !forgotten.is_empty() {
            self.gms.forget_garbage(&forgotten).await?;
        }
        Ok(report)
    }
}
