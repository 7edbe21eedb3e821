//! One single-threaded runtime for each core, for clients in front of an upstream.
//!
//! A relayed statement is four short system calls; on a runtime of many threads, what wakes them and moves tasks between
//! them costs as much again. A connection stays on its thread for life. Statements of ours run elsewhere
//! ([`crate::wire::Apart`]), so that a thread only passes bytes on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::sockets;

/// The threads. They end when the last holder has gone.
pub(super) struct Cores {
    threads: Vec<Thread>,
    stop: CancellationToken,
}

struct Thread {
    handle: Handle,
    /// Connections that live on it.
    live: Arc<AtomicUsize>,
}

/// A connection's place on a thread, given back when it is dropped.
pub(super) struct Place {
    pub handle: Handle,
    live: Arc<AtomicUsize>,
}

impl Cores {
    /// Starts a thread for each core.
    pub(super) fn start() -> io::Result<Cores> {
        let stop = CancellationToken::new();
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut cores = Cores { threads: Vec::with_capacity(count), stop };
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().thread_name("flashgate-relay").build()?;
            let handle = runtime.handle().clone();
            let stop = cores.stop.clone();
            std::thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
                sockets::drives_alone(number + 1);
                runtime.block_on(stop.cancelled());
            })?;
            cores.threads.push(Thread { handle, live: Arc::default() });
        }
        Ok(cores)
    }

    /// A place on the thread that has the fewest connections.
    pub(super) fn place(&self) -> Option<Place> {
        let thread = self.threads.iter().min_by_key(|thread| thread.live.load(Ordering::Relaxed))?;
        thread.live.fetch_add(1, Ordering::Relaxed);
        Some(Place { handle: thread.handle.clone(), live: Arc::clone(&thread.live) })
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
