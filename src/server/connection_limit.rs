//! The limit on connections. A reload may change it while clients are connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts connections. A lower limit disconnects nobody; no client is let in until enough have left.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimit {
    limit: AtomicUsize,
    taken: AtomicUsize,
}

/// One connection within the limit; dropping it frees its slot.
#[derive(Debug)]
pub(super) struct ConnectionPermit(Arc<ConnectionLimit>);

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

    /// None: the limit is reached.
    pub(super) fn take(self: &Arc<Self>) -> Option<ConnectionPermit> {
        let limit = self.limit();
        let more = |taken| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(ConnectionPermit(Arc::clone(self)))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_limit_holds_for_new_clients_and_a_higher_one_at_once() {
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
