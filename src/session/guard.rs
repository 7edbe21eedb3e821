//! What ends a running statement: a kill, a cancel request, its time limit.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::registry::Handle;
use crate::error::{Error, Kind, Result};

/// Guards one statement; while a clone lives the statement counts as running.
#[derive(Clone)]
pub(super) struct Guard(Arc<Inner>);

struct Inner {
    handle: Arc<Handle>,
    cancel: CancellationToken,
    deadline: Option<Instant>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.handle.end();
    }
}

impl Guard {
    pub(super) fn new(handle: &Arc<Handle>, verb: &str, limit: Option<Duration>) -> Guard {
        let cancel = handle.begin(verb);
        Guard(Arc::new(Inner { handle: Arc::clone(handle), cancel, deadline: limit.map(|l| Instant::now() + l) }))
    }

    /// Resolves when the statement is to stop, with the error that says why.
    pub(super) async fn stopped(&self) -> Error {
        let late = async {
            match self.0.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.0.cancel.cancelled() => killed(),
            () = late => Error::new(Kind::StatementTimeout, "Query execution was interrupted, maximum statement execution time exceeded"),
        }
    }

    /// Runs `work` unless the statement is stopped first; `work` must be safe to drop at any await.
    pub(super) async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            error = self.stopped() => Err(error),
            outcome = work => outcome,
        }
    }

    /// A stream that ends with the error when the statement is stopped.
    pub(super) fn stream<T: Send + 'static>(self, stream: BoxStream<'static, Result<T>>) -> BoxStream<'static, Result<T>> {
        futures::stream::unfold(Some((stream, self)), |state| async {
            let (mut stream, guard) = state?;
            tokio::select! {
                biased;
                error = guard.stopped() => Some((Err(error), None)),
                item = stream.next() => item.map(|item| {
                    let next = if item.is_ok() { Some((stream, guard)) } else { None };
                    (item, next)
                }),
            }
        })
        .boxed()
    }
}

pub(super) fn killed() -> Error {
    Error::new(Kind::Killed, "Query execution was interrupted")
}
