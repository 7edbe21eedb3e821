//! The line that COM_STATISTICS answers, and the counts in it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

static STARTED: OnceLock<Instant> = OnceLock::new();
static CONNECTED: AtomicU64 = AtomicU64::new(0);
static QUESTIONS: AtomicU64 = AtomicU64::new(0);

/// Counts a client until dropped.
pub struct Connected(());

impl Drop for Connected {
    fn drop(&mut self) {
        CONNECTED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client has logged in.
pub fn connected() -> Connected {
    STARTED.get_or_init(Instant::now);
    CONNECTED.fetch_add(1, Ordering::Relaxed);
    Connected(())
}

/// A statement was sent.
pub fn question() {
    QUESTIONS.fetch_add(1, Ordering::Relaxed);
}

/// `Uptime: 12  Threads: 1  Questions: 3`. The uptime counts from the first client.
pub fn line() -> String {
    let uptime = STARTED.get_or_init(Instant::now).elapsed().as_secs();
    format!("Uptime: {uptime}  Threads: {}  Questions: {}", CONNECTED.load(Ordering::Relaxed), QUESTIONS.load(Ordering::Relaxed))
}
