//! One single-threaded runtime for each core, for the connections of clients in front of an upstream.
//!
//! A relayed statement costs four short system calls. On a runtime of many threads, waking threads and moving tasks between
//! them would double that. A connection stays on its thread until it ends. Local statements run on another runtime
//! ([`crate::wire::LocalRuntime`]), so that these threads only pass bytes on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::sockets;

/// At most so many threads accept clients: every new client wakes all of them.
const ACCEPTORS: usize = 4;
/// A client is moved to the thread with the fewest connections when its own has more than one in `UNEVEN` above that.
const UNEVEN: usize = 8;

/// The longest time to a thread's next timer. The timers of a login are longer.
const TICK: Duration = Duration::from_secs(1);

/// The threads. They end when the last holder is dropped.
pub(super) struct RelayThreads {
    threads: Vec<Thread>,
    stop: CancellationToken,
}

struct Thread {
    /// From 1 on.
    number: usize,
    handle: Handle,
    /// The connections that run on it.
    live: Arc<AtomicUsize>,
}

/// Assigns a connection to a thread; the thread counts it until this is dropped.
pub(super) struct ThreadAssignment {
    pub handle: Handle,
    /// The assigned thread is the one that asked.
    pub is_current_thread: bool,
    live: Arc<AtomicUsize>,
}

impl RelayThreads {
    /// Starts a thread for each core.
    pub(super) fn start() -> io::Result<RelayThreads> {
        let stop = CancellationToken::new();
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut relay_threads = RelayThreads { threads: Vec::with_capacity(count), stop };
        for number in 1..=count {
            let runtime = Builder::new_current_thread().enable_all().thread_name("flashgate-relay").build()?;
            let handle = runtime.handle().clone();
            let stop = relay_threads.stop.clone();
            std::thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
                sockets::drives_alone(number);
                runtime.block_on(async {
                    // A new earliest timer makes the thread wake itself. With this one pending, a login's timer is never the earliest.
                    while stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {}
                });
            })?;
            relay_threads.threads.push(Thread { number, handle, live: Arc::default() });
        }
        Ok(relay_threads)
    }

    /// The threads that accept clients. Most clients stay on the thread that accepted them.
    pub(super) fn acceptors(&self) -> Vec<Handle> {
        self.threads.iter().take(ACCEPTORS).map(|thread| thread.handle.clone()).collect()
    }

    /// Assigns a connection: to this thread, if it is one of these and has about as few connections as any; else to the one with
    /// the fewest.
    pub(super) fn assign(&self) -> Option<ThreadAssignment> {
        let live = |thread: &Thread| thread.live.load(Ordering::Relaxed);
        let least = self.threads.iter().min_by_key(|thread| live(thread))?;
        let even = live(least) + live(least) / UNEVEN;
        let here = self.threads.iter().find(|thread| sockets::driver() == Some(thread.number));
        let thread = here.filter(|thread| live(thread) <= even).unwrap_or(least);
        thread.live.fetch_add(1, Ordering::Relaxed);
        let is_current_thread = sockets::driver() == Some(thread.number);
        Some(ThreadAssignment { handle: thread.handle.clone(), is_current_thread, live: Arc::clone(&thread.live) })
    }
}

impl Drop for RelayThreads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Drop for ThreadAssignment {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_spread_over_the_threads_and_uncounted_when_they_end() {
        let relay_threads = RelayThreads::start().unwrap();
        let threads = relay_threads.threads.len();
        let places: Vec<ThreadAssignment> = (0..threads * 3).map(|_| relay_threads.assign().unwrap()).collect();
        let names = |place: &ThreadAssignment| place.handle.spawn(async { std::thread::current().name().map(str::to_owned) });
        let mut seen = std::collections::HashMap::new();
        for place in &places {
            *seen.entry(names(place).await.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(seen.into_values().collect::<Vec<_>>(), vec![3; threads]);
        drop(places);
        assert!(relay_threads.threads.iter().all(|thread| thread.live.load(Ordering::Relaxed) == 0));
    }
}
