//! What a running server does from time to time: look for other processes' changes, sweep garbage, sum up its metrics.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Node;
use crate::error::Result;
use crate::telemetry;

/// How often measurements are summed up, even when nobody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

impl Node {
    /// Starts the periodic tasks; [`Node::close`] ends them.
    pub fn start_periodic_tasks(self: &Arc<Self>) {
        let config = self.config();
        self.every("refresh", config.gms.refresh_interval.0, |node| async move {
            node.gms.refresh().await?;
            node.users.refresh().await
        });
        self.every("sweep", config.purge.sweep_interval.0, |node| async move {
            let report = node.sweep().await?;
            if report.deleted > 0 {
                telemetry::swept(report.deleted as u64);
                tracing::info!(objects = report.deleted, "garbage was swept");
            }
            Ok(())
        });
        self.every("upkeep", UPKEEP, |_| async {
            telemetry::upkeep();
            Ok(())
        });
    }

    fn every<F>(self: &Arc<Self>, name: &'static str, period: Duration, turn: impl Fn(Arc<Node>) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        // Weak: a node that is dropped without being closed is not kept alive by its own tasks.
        let node: Weak<Node> = Arc::downgrade(self);
        self.tasks.every(name, period, move || {
            let turn = node.upgrade().map(&turn);
            async move {
                match turn {
                    Some(turn) => turn.await,
                    None => Ok(()),
                }
            }
        });
    }
}
