//! How many clients there may be, a number that may change while they come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the seats that are taken. A lower limit sends nobody away: it is kept when enough have gone.
#[derive(Debug, Default)]
pub(super) struct Seats {
    limit: AtomicUsize,
    taken: AtomicUsize,
}

/// A seat; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<Seats>);

impl Seats {
    pub(super) fn new(limit: usize) -> Arc<Seats> {
        Arc::new(Seats { limit: AtomicUsize::new(limit), taken: AtomicUsize::new(0) })
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// None: all are taken.
    pub(super) fn take(self: &Arc<Self>) -> Option<Seat> {
        let limit = self.limit();
        let more = |taken| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Seat(Arc::clone(self)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_limit_counts_for_those_who_come_and_a_higher_one_at_once() {
        let seats = Seats::new(2);
        let (first, second) = (seats.take().unwrap(), seats.take().unwrap());
        assert!(seats.take().is_none());
        seats.set_limit(1);
        drop(first);
        assert!(seats.take().is_none());
        drop(second);
        let _kept = seats.take().unwrap();
        assert!(seats.take().is_none());
        seats.set_limit(2);
        assert!(seats.take().is_some());
    }
}
