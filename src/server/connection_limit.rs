//! How many clients there may be, a number that may change while they come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the seats that are taken. A lower limit sends nobody away: it is kept when enough have gone.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimit {
    limit: AtomicUsize,
    taken: AtomicUsize,
}

/// A seat; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<ConnectionLimit>);

impl ConnectionLimit {
    pub(super) fn new(limit: usize) -> Arc<ConnectionLimit> {
        Arc::new(ConnectionLimit { limit: AtomicUsize::new(limit), taken: AtomicUsize::new(0) })
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
        let connection_limit = ConnectionLimit::new(2);
        let (first, second) = (connection_limit.take().unwrap(), connection_limit.take().unwrap());
        assert!(connection_limit.take().is_none());
        connection_limit.set_limit(1);
        drop(first);
        assert!(connection_limit.take().is_none());
        drop(second);
        let _kept = connection_limit.take().unwrap();
        assert!(connection_limit.take().is_none());
        connection_limit.set_limit(2);
        assert!(connection_limit.take().is_some());
    }
}
