//! Warnings, notes and errors of the last statement, and the counts that the next statement may ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

/// The SQLSTATE of a warning.
pub const WARNING: &str = "01000";
/// The SQLSTATE of a note.
pub const NOTE: &str = "00000";

/// A warning, note or error of the last statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// MySQL code.
    pub code: u16,
    /// SQLSTATE for PostgreSQL.
    pub sqlstate: &'static str,
    /// The sentence.
    pub message: String,
}

/// The diagnostics area of a session.
pub(super) struct Diagnostics {
    /// What SHOW WARNINGS lists.
    warnings: Vec<Notice>,
    /// Notices that the client has not received yet.
    notices: Vec<Notice>,
    /// `@@warning_count` and `@@error_count`: of the last statement that did not read them.
    counts: (u64, u64),
    /// `ROW_COUNT()`; -1 after a statement that changes no rows.
    pub row_count: i64,
    /// Rows that the last SELECT has sent so far.
    found_rows: Arc<AtomicU64>,
}

/// A point to which diagnostics can be rewound.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    warnings: usize,
    notices: usize,
}

impl Default for Diagnostics {
    fn default() -> Diagnostics {
        Diagnostics { warnings: Vec::new(), notices: Vec::new(), counts: (0, 0), row_count: -1, found_rows: Arc::default() }
    }
}

impl Diagnostics {
    /// Adds a warning.
    pub fn warn(&mut self, code: u16, message: impl Into<String>) {
        self.add(Notice { code, sqlstate: WARNING, message: message.into() });
    }

    /// Adds a note: what the statement asks for is so already.
    pub fn note(&mut self, code: u16, message: impl Into<String>) {
        self.add(Notice { code, sqlstate: NOTE, message: message.into() });
    }

    fn add(&mut self, notice: Notice) {
        self.warnings.push(notice.clone());
        self.notices.push(notice);
    }

    /// Adds the error of the statement, for SHOW WARNINGS and SHOW ERRORS.
    pub fn add_error(&mut self, error: &Error) {
        self.warnings.push(Notice { code: error.mysql_code(), sqlstate: error.sqlstate(), message: error.to_string() });
    }

    /// Adds warnings that the upstream gave.
    pub fn add_upstream_warnings(&mut self, warnings: Vec<Notice>) {
        self.warnings.extend(warnings);
    }

    /// A statement begins.
    pub fn clear_warnings(&mut self) {
        self.warnings.clear();
    }

    /// What SHOW WARNINGS lists.
    pub fn warnings(&self) -> &[Notice] {
        &self.warnings
    }

    /// Keeps the numbers of warnings and errors for `@@warning_count` and `@@error_count`.
    pub fn update_counts(&mut self) {
        let errors = self.warnings.iter().filter(|notice| !matches!(notice.sqlstate, WARNING | NOTE)).count();
        self.counts = (self.warnings.len() as u64, errors as u64);
    }

    /// `@@warning_count`
    pub fn warning_count(&self) -> u64 {
        self.counts.0
    }

    /// `@@error_count`
    pub fn error_count(&self) -> u64 {
        self.counts.1
    }

    /// Notices that the client has not received yet.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Where a statement that may be run again stands.
    pub fn mark(&self) -> Mark {
        Mark { warnings: self.warnings.len(), notices: self.notices.len() }
    }

    /// Forgets what came after the mark: the statement is run again.
    pub fn rewind(&mut self, mark: Mark) {
        self.warnings.truncate(mark.warnings);
        self.notices.truncate(mark.notices);
    }

    /// `FOUND_ROWS()`
    pub fn found_rows(&self) -> u64 {
        self.found_rows.load(Ordering::Relaxed)
    }

    /// A SELECT begins: the counter of its rows.
    pub fn count_found_rows(&mut self) -> Arc<AtomicU64> {
        self.found_rows = Arc::default();
        Arc::clone(&self.found_rows)
    }
}
