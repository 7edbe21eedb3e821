//! Numbers that every relayed command adds to. A thread adds to its own cells, so that no core waits for what another has just
//! written; what is shown is their sum.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// More threads than these share cells.
const SHARDS: usize = 16;

thread_local! {
    static MINE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

/// `N` sums, from zero on.
#[derive(Debug)]
pub struct Sums<const N: usize>([Shard<N>; SHARDS]);

/// Two lines of a processor's cache: it fetches them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<const N: usize>([AtomicU64; N]);

impl<const N: usize> Sums<N> {
    pub const fn new() -> Sums<N> {
        Sums([const { Shard([const { AtomicU64::new(0) }; N]) }; SHARDS])
    }

    /// Adds to the sum of that number, of those from 0 to N - 1.
    pub fn add(&self, number: usize, more: u64) {
        self.0[MINE.with(|mine| *mine)].0[number].fetch_add(more, Ordering::Relaxed);
    }

    /// All sums as they are now.
    pub fn get(&self) -> [u64; N] {
        std::array::from_fn(|number| self.0.iter().map(|shard| shard.0[number].load(Ordering::Relaxed)).fold(0, u64::wrapping_add))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_add_is_summed() {
        static SUMS: Sums<2> = Sums::new();
        let threads: Vec<_> = (0..SHARDS + 3)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..1000 {
                        SUMS.add(0, 1);
                        SUMS.add(1, 5);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let threads = SHARDS as u64 + 3;
        assert_eq!(SUMS.get(), [threads * 1000, threads * 5000]);
    }
}
