//! Work apart from the relays, whose threads only pass bytes on.
//!
//! What is looked at begins on the relay's own thread: most of it is to ask the upstream, whose socket wakes that thread, and
//! a change of threads on the way there and back would cost more than the question. Where the work gets heavy, it says so
//! ([`heavy`]) and goes on elsewhere.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::resume_unwind;
use std::task::Poll;

use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::telemetry::connection_span;

/// Where the work that this thread polls just now stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Not on a relay's thread.
    Anywhere,
    Relay,
    /// On a relay's thread, which it wants to leave.
    Leaves,
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Anywhere) };
}

/// Says that this thread is a relay's, for the time of one poll, even one that panics.
struct OnRelay;

impl OnRelay {
    fn begin() -> OnRelay {
        PLACE.set(Place::Relay);
        OnRelay
    }
}

impl Drop for OnRelay {
    fn drop(&mut self) {
        PLACE.set(Place::Anywhere);
    }
}

/// The runtime that may be kept busy: local statements run on it.
#[derive(Debug, Clone)]
pub struct LocalRuntime(Handle);

impl LocalRuntime {
    /// The runtime that this is called on.
    pub fn here() -> LocalRuntime {
        LocalRuntime(Handle::current())
    }

    /// Does the work, from where it is [`heavy`] on there, and waits for it. Dropped, it ends the work; a panic of the work is
    /// the caller's.
    pub async fn run<F>(&self, work: F) -> io::Result<F::Output>
    where
        F: Future + Send + Unpin + 'static,
        F::Output: Send,
    {
        let mut work = Box::pin(work.instrument(connection_span::span()));
        let light = poll_fn(|cx| {
            let _here = OnRelay::begin();
            match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if PLACE.get() == Place::Leaves => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        if let Some(done) = light.await {
            return Ok(done);
        }
        match AbortOnDropHandle::new(self.0.spawn(work)).await {
            Ok(done) => Ok(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(io::Error::new(io::ErrorKind::NotConnected, "the server has stopped")),
            },
        }
    }
}

/// Leaves the relay's thread, if this is one: what follows may keep a thread busy.
pub async fn off_relay_thread() {
    poll_fn(|_| match PLACE.get() {
        Place::Anywhere => Poll::Ready(()),
        // Polled again at once, elsewhere.
        Place::Relay | Place::Leaves => {
            PLACE.set(Place::Leaves);
            Poll::Pending
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use tokio::runtime::Builder;

    fn name() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    #[test]
    fn work_begins_here_and_goes_on_there_from_where_it_is_heavy() {
        let busy = Builder::new_multi_thread().worker_threads(1).thread_name("busy").enable_all().build().unwrap();
        let local_runtime = LocalRuntime(busy.handle().clone());
        let relay = Builder::new_current_thread().enable_all().build().unwrap();
        let here = name();
        let seen = relay.block_on(local_runtime.run(Box::pin(async {
            let began = name();
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            let asked = name();
            off_relay_thread().await;
            let first = name();
            off_relay_thread().await;
            (began, asked, first, name())
        })));
        assert_eq!(seen.unwrap(), (here.clone(), here.clone(), "busy".into(), "busy".into()));
        assert_eq!(relay.block_on(local_runtime.run(Box::pin(async { name() }))).unwrap(), here, "light work stays");
    }

    #[test]
    fn a_panic_is_the_callers_before_and_after() {
        let relay = Builder::new_current_thread().enable_all().build().unwrap();
        for leaves in [false, true] {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                relay.block_on(async {
                    let work = async move {
                        if leaves {
                            off_relay_thread().await;
                        }
                        panic!("on purpose");
                    };
                    LocalRuntime::here().run(Box::pin(work)).await
                })
            }));
            assert!(outcome.is_err());
            assert_eq!(PLACE.get(), Place::Anywhere);
        }
    }
}
