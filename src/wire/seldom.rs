//! What ends a connection from outside is waited for with every byte that passes, and should cost nothing then.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// A future that is polled only when it has something to say: not each time its task wakes for another reason. A token that
/// all connections wait for has a lock that they would all take for every statement.
pub struct Seldom<F> {
    future: F,
    bell: Arc<Bell>,
    waker: Waker,
}

struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future + Unpin> Seldom<F> {
    /// `future` is polled at once when this is polled first.
    pub fn new(future: F) -> Seldom<F> {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Seldom { future, waker: Waker::from(Arc::clone(&bell)), bell }
    }
}

impl<F: Future + Unpin> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.bell.task.register(cx.waker());
        if !self.bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.bell.rung.store(false, Ordering::Release);
        let Seldom { future, waker, .. } = &mut *self;
        Pin::new(future).poll(&mut Context::from_waker(waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn it_is_polled_when_it_wakes_and_not_with_its_task() {
        let token = CancellationToken::new();
        let polls = AtomicUsize::new(0);
        let mut cancelled = Box::pin(token.clone().cancelled_owned());
        let counted = std::future::poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            cancelled.as_mut().poll(cx)
        });
        let mut seldom = Seldom::new(counted);
        for _ in 0..10 {
            assert!(futures::poll!(&mut seldom).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        let canceller = tokio::spawn(async move { token.cancel() });
        seldom.await;
        canceller.await.unwrap();
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }
}
