//! One single-threaded runtime for each core, for clients in front of an upstream.
//!
//! A relayed statement is four short system calls; on a runtime of many threads, what wakes them and moves tasks between
//! them costs as much again. A connection stays on its thread for life. Statements of ours run elsewhere
//! ([`crate::wire::LocalRuntime`]), so that a thread only passes bytes on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::sockets;

/// At most so many accept clients: a client that comes wakes all that do.
const ACCEPTORS: usize = 4;
/// One connection in so many more than the least is no reason to move a client to another thread.
const UNEVEN: usize = 8;

/// How far away a thread's next timer is at most; those of a login are set for longer.
const TICK: Duration = Duration::from_secs(1);

/// The threads. They end when the last holder has gone.
pub(super) struct Cores {
    threads: Vec<Thread>,
    stop: CancellationToken,
}

struct Thread {
    /// From 1 on.
    number: usize,
    handle: Handle,
    /// Connections that live on it.
    live: Arc<AtomicUsize>,
}

/// A connection's place on a thread, given back when it is dropped.
pub(super) struct Place {
    pub handle: Handle,
    /// It is on the thread that was asked for it.
    pub is_here: bool,
    live: Arc<AtomicUsize>,
}

impl Cores {
    /// Starts a thread for each core.
    pub(super) fn start() -> io::Result<Cores> {
        let stop = CancellationToken::new();
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut cores = Cores { threads: Vec::with_capacity(count), stop };
        for number in 1..=count {
            let runtime = Builder::new_current_thread().enable_all().thread_name("flashgate-relay").build()?;
            let handle = runtime.handle().clone();
            let stop = cores.stop.clone();
            std::thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
                sockets::drives_alone(number);
                runtime.block_on(async {
                    // A timer that is due before all others makes the thread wake itself. Those of a login never are, with this one.
                    while stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {}
                });
            })?;
            cores.threads.push(Thread { number, handle, live: Arc::default() });
        }
        Ok(cores)
    }

    /// Where clients are accepted: on the threads that they will live on, so that most need not move to another.
    pub(super) fn acceptors(&self) -> Vec<Handle> {
        self.threads.iter().take(ACCEPTORS).map(|thread| thread.handle.clone()).collect()
    }

    /// A place on this thread, if it is one of them and has about as many connections as any; else on the one that has the fewest.
    pub(super) fn place(&self) -> Option<Place> {
        let live = |thread: &Thread| thread.live.load(Ordering::Relaxed);
        let least = self.threads.iter().min_by_key(|thread| live(thread))?;
        let even = live(least) + live(least) / UNEVEN;
        let here = self.threads.iter().find(|thread| sockets::driver() == Some(thread.number));
        let thread = here.filter(|thread| live(thread) <= even).unwrap_or(least);
        thread.live.fetch_add(1, Ordering::Relaxed);
        let is_here = sockets::driver() == Some(thread.number);
        Some(Place { handle: thread.handle.clone(), is_here, live: Arc::clone(&thread.live) })
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_spread_and_their_places_given_back() {
        let cores = Cores::start().unwrap();
        let threads = cores.threads.len();
        let places: Vec<Place> = (0..threads * 3).map(|_| cores.place().unwrap()).collect();
        let names = |place: &Place| place.handle.spawn(async { std::thread::current().name().map(str::to_owned) });
        let mut seen = std::collections::HashMap::new();
        for place in &places {
            *seen.entry(names(place).await.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(seen.into_values().collect::<Vec<_>>(), vec![3; threads]);
        drop(places);
        assert!(cores.threads.iter().all(|thread| thread.live.load(Ordering::Relaxed) == 0));
    }
}
