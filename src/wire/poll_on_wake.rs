//! What ends a connection from outside is waited for with every byte that passes, and should cost nothing then.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// A future that is polled only when it has something to say: not each time its task wakes for another reason. A token that
/// all connections wait for has a lock that they would all take for every statement.
pub struct PollOnWake<F> {
    future: F,
    bell: Arc<Bell>,
    waker: Waker,
    /// Whom the bell wakes.
    told: Option<Waker>,
}

struct Bell {
    /// Changes with the lock held: as long as it has not rung, the bell has whom it wakes.
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let task = {
            let mut task = self.task.lock();
            self.rung.store(true, Ordering::Release);
            task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<F: Future + Unpin> PollOnWake<F> {
    /// `future` is polled at once when this is polled first.
    pub fn new(future: F) -> PollOnWake<F> {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: Mutex::new(None) });
        PollOnWake { future, waker: Waker::from(Arc::clone(&bell)), bell, told: None }
    }

    /// The future, to be changed; it is polled anew.
    pub fn get_mut(&mut self) -> &mut F {
        self.bell.rung.store(true, Ordering::Release);
        &mut self.future
    }
}

impl<F: Future + Unpin> Future for PollOnWake<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let PollOnWake { future, bell, waker, told } = &mut *self;
        let same = told.as_ref().is_some_and(|told| told.will_wake(cx.waker()));
        if same && !bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let rung = {
            let mut task = bell.task.lock();
            *task = Some(cx.waker().clone());
            bell.rung.swap(false, Ordering::AcqRel)
        };
        if !same {
            *told = Some(cx.waker().clone());
        }
        if rung { Pin::new(future).poll(&mut Context::from_waker(waker)) } else { Poll::Pending }
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
        let mut seldom = PollOnWake::new(counted);
        for _ in 0..10 {
            assert!(futures::poll!(&mut seldom).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        let canceller = tokio::spawn(async move { token.cancel() });
        seldom.await;
        canceller.await.unwrap();
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_change_is_seen_and_whoever_polled_last_is_woken() {
        use tokio::time::{Duration, Instant, sleep, timeout};
        let mut seldom = PollOnWake::new(Box::pin(sleep(Duration::from_secs(3600))));
        assert!(futures::poll!(&mut seldom).is_pending());
        seldom.get_mut().as_mut().reset(Instant::now() + Duration::from_millis(20));
        assert!(futures::poll!(&mut seldom).is_pending());
        let elsewhere = tokio::spawn(async move { timeout(Duration::from_secs(20), seldom).await });
        elsewhere.await.unwrap().unwrap();
    }
}
