//! The one owner of background tasks: every task that is no connection has a name here, and [`Tasks::close`] joins it.
//!
//! Two kinds of work run here. A step that must not stop halfway when its client leaves (a commit, a rollback) runs to its end.
//! Work that repeats or lasts takes [`Tasks::stopping`] and ends soon after it fires.
//!
//! The end has three steps, in this order: `stopping` fires; tasks get until a deadline to end; those that are left are cut at
//! their next await. A closed owner starts nothing more.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::error::{Error, Result};
use crate::telemetry;

/// How long a task that was cut may take to be gone: until its next await.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The tasks of a node. Dropped without [`Tasks::close`], it cuts them.
#[derive(Debug)]
pub struct Tasks {
    /// All tasks run here: the thread that starts one may belong to a relay, or end before the task does.
    runtime: Handle,
    running: Arc<Mutex<Running>>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    cut: CancellationToken,
}

#[derive(Debug, Default)]
struct Running {
    closed: bool,
    next: u64,
    names: BTreeMap<u64, &'static str>,
}

/// A task that was started. Dropping this does not end the task.
#[derive(Debug)]
pub struct Task<T> {
    name: &'static str,
    /// None: it was never started, since the owner is closed.
    handle: Option<JoinHandle<Option<T>>>,
}

impl<T> Task<T> {
    /// Waits for the task's result; an error when it panicked, was cut, or came after the owner was closed.
    pub async fn join(self) -> Result<T> {
        let Some(handle) = self.handle else {
            return Err(Error::internal(format!("the {} was not started: the server has stopped", self.name)));
        };
        match handle.await {
            Ok(Some(result)) => Ok(result),
            Ok(None) | Err(_) => Err(Error::internal(format!("the {} did not run to its end", self.name))),
        }
    }
}

/// A task is listed as running until this is dropped.
struct Listed {
    running: Arc<Mutex<Running>>,
    number: u64,
    /// `close` waits until this is dropped.
    _joined: TaskTrackerToken,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.running.lock().names.remove(&self.number);
    }
}

impl Tasks {
    /// An owner whose tasks run on the runtime that this is called on.
    pub fn here() -> Tasks {
        Tasks {
            runtime: Handle::current(),
            running: Arc::default(),
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Fires when the node begins to close.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Starts `work`, whose result [`Task::join`] gives. A panic is logged and counted under `name`, a word from a fixed list.
    pub fn spawn<T, F>(&self, name: &'static str, work: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let Some(listed) = self.list(name) else {
            tracing::debug!(task = name, "a background task was not started: the node is closed");
            return Task { name, handle: None };
        };
        let cut = self.cut.clone();
        let task = async move {
            let _listed = listed;
            match cut.run_until_cancelled_owned(AssertUnwindSafe(work).catch_unwind()).await? {
                Ok(result) => Some(result),
                Err(panic) => {
                    let panic = telemetry::panicked(name, panic.as_ref());
                    tracing::error!(task = name, panic, "a background task ended by a fault of Flashgate; please report it");
                    None
                }
            }
        };
        Task { name, handle: Some(self.runtime.spawn(task)) }
    }

    /// Lists a task, unless the owner is closed. Both under one lock, so that a task is either refused or joined by `close`. The
    /// lock is free again when the task is spawned: a runtime that ends drops the task at once, and the task locks this again.
    fn list(&self, name: &'static str) -> Option<Listed> {
        let mut running = self.running.lock();
        if running.closed {
            return None;
        }
        running.next += 1;
        let number = running.next;
        running.names.insert(number, name);
        Some(Listed { running: Arc::clone(&self.running), number, _joined: self.tracker.token() })
    }

    /// Runs `turn` now and after every `period`, until the node closes; a turn that has begun is finished. The first failure of
    /// a row is logged, and the first success after it; a panic is a failure.
    pub fn every<T, F>(&self, name: &'static str, period: Duration, mut turn: T)
    where
        T: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let stopping = self.stopping();
        self.spawn(name, async move {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut failing = false;
            loop {
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                let result = AssertUnwindSafe(turn())
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|panic| Err(Error::internal(format!("panic: {}", telemetry::panicked(name, panic.as_ref())))));
                match &result {
                    Ok(()) if failing => tracing::info!(task = name, "the background task succeeds again"),
                    Err(error) if !failing => {
                        tracing::error!(task = name, %error, "a background task failed; it is tried again at every turn")
                    }
                    Ok(()) | Err(_) => {}
                }
                failing = result.is_err();
            }
        });
    }

    /// The names of the tasks that run now, oldest first.
    pub fn running(&self) -> Vec<&'static str> {
        self.running.lock().names.values().copied().collect()
    }

    /// Ends all tasks: see the head of this file. True: none had to be cut.
    pub async fn close(&self, deadline: Duration) -> bool {
        self.running.lock().closed = true;
        self.tracker.close();
        self.stopping.cancel();
        if timeout(deadline, self.tracker.wait()).await.is_ok() {
            return true;
        }
        tracing::warn!(tasks = ?self.running(), deadline_ms = deadline.as_millis() as u64, "background tasks did not end in time and are cut");
        self.cut.cancel();
        if timeout(LAST_WAIT, self.tracker.wait()).await.is_err() {
            tracing::error!(tasks = ?self.running(), "background tasks hold their threads and cannot be cut");
        }
        false
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.cut.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_turn_that_fails_or_panics_does_not_end_the_task() {
        let tasks = Tasks::here();
        let turns = Arc::new(AtomicU32::new(0));
        let counted = turns.clone();
        tasks.every("test", Duration::from_millis(5), move || {
            let turn = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match turn {
                    0 => Err(Error::internal("on purpose")),
                    1 => panic!("on purpose"),
                    _ => Ok(()),
                }
            }
        });
        while turns.load(Ordering::Relaxed) < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(tasks.close(LONG).await);
    }

    #[tokio::test]
    async fn closing_waits_for_work_that_runs_to_its_end() {
        let tasks = Tasks::here();
        let ended = Arc::new(AtomicBool::new(false));
        let (release, held) = tokio::sync::oneshot::channel::<()>();
        let mark = ended.clone();
        tasks.spawn("rollback", async move {
            let _ = held.await;
            mark.store(true, Ordering::SeqCst);
        });
        assert_eq!(tasks.running(), ["rollback"]);
        let close = tasks.close(LONG);
        tokio::pin!(close);
        assert!(futures::poll!(&mut close).is_pending(), "the task runs");
        release.send(()).unwrap();
        assert!(close.await && ended.load(Ordering::SeqCst));
        assert!(tasks.running().is_empty());
    }

    #[tokio::test]
    async fn what_does_not_end_by_the_deadline_is_cut() {
        let tasks = Tasks::here();
        let stuck = tasks.spawn("stuck", std::future::pending::<()>());
        assert!(!tasks.close(Duration::from_millis(10)).await);
        assert!(tasks.running().is_empty());
        assert!(stuck.join().await.unwrap_err().message().contains("stuck"));
    }

    #[tokio::test]
    async fn a_closed_owner_starts_nothing() {
        let tasks = Tasks::here();
        assert!(tasks.close(LONG).await);
        let ran = Arc::new(AtomicBool::new(false));
        let mark = ran.clone();
        let late = tasks.spawn("late", async move { mark.store(true, Ordering::SeqCst) });
        assert!(late.join().await.is_err() && !ran.load(Ordering::SeqCst));
    }

    #[test]
    fn a_task_that_comes_after_its_runtime_is_dropped_and_not_listed() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tasks = runtime.block_on(async { Tasks::here() });
        drop(runtime);
        let late = tasks.spawn("late", async {});
        assert!(tasks.running().is_empty());
        assert!(futures::executor::block_on(late.join()).is_err());
    }

    #[tokio::test]
    async fn a_panic_is_the_error_of_its_own_task_only() {
        let tasks = Tasks::here();
        let bad = tasks.spawn("bad", async { panic!("on purpose") });
        let good = tasks.spawn("good", async { 7 });
        assert!(bad.join().await.is_err());
        assert_eq!(good.join().await.unwrap(), 7);
        assert!(tasks.close(LONG).await);
    }

    #[tokio::test]
    async fn an_owner_that_is_dropped_cuts_its_tasks() {
        let tasks = Tasks::here();
        let stuck = tasks.spawn("stuck", std::future::pending::<()>());
        drop(tasks);
        assert!(stuck.join().await.is_err());
    }
}
