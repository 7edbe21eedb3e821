//! May a text be ours? Asked for every statement that passes, so it costs next to nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem;

use super::ask::status_of;
use super::pump::Eye;
use crate::route::{Verdict, Watch};
use crate::sql::{Dialect, Server};

/// What one connection knows of what can be ours.
pub(super) struct Sight {
    watch: Arc<Watch>,
    /// The last statement was ours: what is said about it (SHOW WARNINGS) is ours to say.
    spoke_last: AtomicBool,
    /// There is a session of ours behind this connection.
    session: AtomicBool,
    /// What the upstream is: its comments are code.
    server: Server,
}

impl Sight {
    pub(super) fn new(watch: Arc<Watch>, server: Server) -> Sight {
        Sight { server, watch, spoke_last: AtomicBool::new(false), session: AtomicBool::new(false) }
    }

    /// A statement was answered by us.
    pub(super) fn spoke(&self) {
        self.spoke_last.store(true, Ordering::Relaxed);
        self.session.store(true, Ordering::Relaxed);
    }

    /// Was the last statement ours?
    pub(super) fn spoke_last(&self) -> bool {
        self.spoke_last.load(Ordering::Relaxed)
    }
}

impl Eye for Sight {
    fn may_be_ours(&self, text: &[u8], status: u16) -> bool {
        if self.spoke_last() {
            if asks_about_the_last(text) {
                return true;
            }
            self.passed();
        }
        let dialect = Dialect { no_backslash_escapes: status_of(status).no_backslash_escapes, server: self.server, ..Dialect::MYSQL };
        self.watch.scanner().scan_any(&dialect, text) == Verdict::MaybeOurs
    }

    fn passed(&self) {
        self.spoke_last.store(false, Ordering::Relaxed);
    }

    fn has_local_state(&self) -> bool {
        self.session.load(Ordering::Relaxed)
    }
}

/// Is it about the statement before it? May say yes too often.
fn asks_about_the_last(text: &[u8]) -> bool {
    if text.len() > 4096 {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    ["warnings", "errors", "_count", "found_rows"].iter().any(|word| memmem::find(&lower, word.as_bytes()).is_some())
}
