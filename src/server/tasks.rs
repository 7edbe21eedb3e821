//! Work in the background, owned and joined by the server: looking for other processes' changes, sweeping garbage.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::node::Node;
use crate::telemetry;

/// How often what was measured is put together, though nobody asks for it.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts all of them; they end at `stop`, each after the turn it is in.
pub(super) fn start(node: &Arc<Node>, stop: &CancellationToken) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let refresh = {
        let node = node.clone();
        move || {
            let node = node.clone();
            async move {
                node.gms.refresh().await?;
                node.users.refresh().await
            }
        }
    };
    tasks.spawn(every("refresh", node.config().gms.refresh_interval.0, stop.clone(), refresh));
    let sweep = {
        let node = node.clone();
        move || {
            let node = node.clone();
            async move {
                let report = node.sweep().await?;
                if report.deleted > 0 {
                    telemetry::swept(report.deleted as u64);
                    tracing::info!(objects = report.deleted, "garbage was swept");
                }
                Ok(())
            }
        }
    };
    let upkeep = || async {
        telemetry::upkeep();
        Ok(())
    };
    tasks.spawn(every("upkeep", UPKEEP, stop.clone(), upkeep));
    tasks.spawn(every("sweep", node.config().purge.sweep_interval.0, stop.clone(), sweep));
    tasks
}

/// Runs `turn` at every `period` until `stop`. A failure is logged when it begins and when it ends, not each time; a
/// panic is a failure.
async fn every<F: Future<Output = Result<()>>>(name: &'static str, period: Duration, stop: CancellationToken, mut turn: impl FnMut() -> F) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let result = AssertUnwindSafe(turn())
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(Error::internal(format!("panic: {}", telemetry::panicked(name, panic.as_ref())))));
        match &result {
            Ok(()) if failing => tracing::info!(task = name, "works again"),
            Err(error) if !failing => tracing::error!(task = name, %error, "fails; it is tried again at every turn"),
            Ok(()) | Err(_) => {}
        }
        failing = result.is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_turn_that_fails_or_panics_does_not_end_the_task() {
        let turns = Arc::new(AtomicU32::new(0));
        let stop = CancellationToken::new();
        let counted = turns.clone();
        let task = tokio::spawn(every("test", Duration::from_millis(5), stop.clone(), move || {
            let turn = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match turn {
                    0 => Err(Error::internal("on purpose")),
                    1 => panic!("on purpose"),
                    _ => Ok(()),
                }
            }
        }));
        while turns.load(Ordering::Relaxed) < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        task.await.unwrap();
    }
}
