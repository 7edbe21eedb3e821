//! What ends a running statement: a kill, a cancel request, its time limit.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::{ENDS, Ends, too_late};
use crate::error::{Error, Kind, Result};
use crate::node::Handle;
use crate::telemetry;

/// Guards one statement; while a clone lives the statement counts as running.
#[derive(Clone)]
pub(super) struct StatementGuard(Arc<Inner>);

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

impl StatementGuard {
    pub(super) fn new(handle: &Arc<Handle>, verb: &str, limit: Option<Duration>) -> StatementGuard {
        let cancel = handle.begin(verb);
        StatementGuard(Arc::new(Inner { handle: Arc::clone(handle), cancel, deadline: limit.map(|l| Instant::now() + l) }))
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
            () = late => too_late(),
        }
    }

    /// Runs `work` unless the statement is stopped first; `work` must be safe to drop at any await.
    pub(super) async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let work = ENDS.scope(Ends { cancel: self.0.cancel.clone(), deadline: self.0.deadline }, work);
        tokio::select! {
            biased;
            error = self.stopped() => Err(error),
            outcome = AssertUnwindSafe(work).catch_unwind() => outcome.unwrap_or_else(|panic| Err(fault(panic.as_ref()))),
        }
    }

    /// A stream that ends with the error when the statement is stopped.
    pub(super) fn stream<T: Send + 'static>(self, stream: BoxStream<'static, Result<T>>) -> BoxStream<'static, Result<T>> {
        futures::stream::unfold(Some((stream, self)), |state| async {
            let (mut stream, guard) = state?;
            tokio::select! {
                biased;
                error = guard.stopped() => Some((Err(error), None)),
                item = AssertUnwindSafe(stream.next()).catch_unwind() => {
                    let item = item.unwrap_or_else(|panic| Some(Err(fault(panic.as_ref()))))?;
                    let next = if item.is_ok() { Some((stream, guard)) } else { None };
                    Some((item, next))
                }
            }
        })
        .boxed()
    }
}

/// A panic ends its statement only: the client keeps its connection, and what it has open on the upstream.
fn fault(panic: &(dyn Any + Send)) -> Error {
    tracing::error!(panic = telemetry::panicked("statement", panic), "a statement ended by a fault of Flashgate; please report it");
    Error::internal("the statement ended by a fault of Flashgate; its log says more")
}

pub(super) fn killed() -> Error {
    Error::new(Kind::Killed, "Query execution was interrupted")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Registry;
    use crate::types::Protocol;

    fn guard() -> StatementGuard {
        let registry = Registry::default();
        StatementGuard::new(&registry.add(None, "ann", "x", Protocol::MySql), "SELECT", None)
    }

    #[tokio::test]
    async fn a_panic_is_the_statements_error() {
        let error = guard().run(async { if true { panic!("one") } else { Ok(()) } }).await.unwrap_err();
        assert_eq!((error.kind(), error.message().contains("one")), (Kind::Internal, false));
        let broken = futures::stream::iter([Some(1), None, Some(3)]).map(|n| Ok(n.expect("two")));
        let mut stream = guard().stream(broken.boxed());
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), Kind::Internal);
        assert!(stream.next().await.is_none(), "it is not polled again");
    }
}
