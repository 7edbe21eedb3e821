//! May a text hold a local statement? Asked for every statement that passes, so it costs next to nothing.

use std::sync::{Arc, LazyLock};

use memchr::{memchr, memchr_iter};

use super::own_queries::status_of;
use super::pump::ScanTexts;
use crate::route::{CurrentScanner, Scanner, ScannerHandle, Verdict};
use crate::sql::{self, Dialect, Parsed, Server, Statement};
use crate::wire::LONG_TEXT;

/// What one connection knows for the scan.
pub(super) struct TextScan {
    scanner_handle: ScannerHandle,
    /// The last statement was local: SHOW WARNINGS and the like ask about it, and are answered here.
    answered_last: bool,
    /// This connection has a local session.
    session: bool,
    /// Statements that may have ended one transaction of the upstream's and begun another at once.
    turns: u64,
    /// Statements of which that is unknown.
    doubts: u64,
    /// What the upstream is: its comments are code.
    server: Server,
}

/// Words of those statements.
static TURNS: LazyLock<Scanner> = LazyLock::new(|| Scanner::of(["begin", "start", "commit", "rollback", "call"]));

/// `DROP PREPARE s` of a local statement; the other words begin their statements.
static NAMES: LazyLock<Scanner> = LazyLock::new(|| Scanner::of(["prepare"]));

/// Words of statements about the one before them.
static LAST: LazyLock<Scanner> =
    LazyLock::new(|| Scanner::of(["warnings", "errors", "warning_count", "error_count", "row_count", "found_rows"]));

impl TextScan {
    pub(super) fn new(watch: Arc<CurrentScanner>, server: Server) -> TextScan {
        TextScan { server, scanner_handle: ScannerHandle::new(watch), answered_last: false, session: false, turns: 0, doubts: 0 }
    }

    /// A local statement was answered.
    pub(super) fn local_answered(&mut self) {
        self.answered_last = true;
    }

    /// There is a local session now.
    pub(super) fn has_session(&mut self) {
        self.session = true;
    }

    /// A statement of a longer text went upstream by itself.
    pub(super) fn piece_relayed(&mut self, parsed: &Parsed) {
        self.turns += u64::from(turns(parsed));
    }

    /// Grows with each statement that may have ended a transaction and begun another, if that cannot be told for certain.
    pub(super) fn doubts(&self) -> u64 {
        self.doubts
    }

    /// Grows with each statement after which another transaction of the upstream's may be open than before it.
    pub(super) fn turns(&self) -> u64 {
        self.turns
    }

    /// Was the last statement local?
    pub(super) fn answered_last(&self) -> bool {
        self.answered_last
    }
}

impl ScanTexts for TextScan {
    fn may_be_local(&mut self, text: &[u8], status: u16) -> bool {
        if self.answered_last() {
            if text.len() <= 4096 && LAST.scan_any(&Dialect { server: self.server, ..Dialect::MYSQL }, text) == Verdict::MaybeLocal {
                return true;
            }
            self.relayed();
        }
        let dialect = Dialect { no_backslash_escapes: status_of(status).no_backslash_escapes, server: self.server, ..Dialect::MYSQL };
        if self.session && TURNS.scan_any(&dialect, text) == Verdict::MaybeLocal {
            match std::str::from_utf8(text).ok().filter(|text| text.len() <= LONG_TEXT).and_then(|text| sql::parse(&dialect, text).ok()) {
                Some(statements) if statements.iter().any(turns) => self.turns += 1,
                Some(statements) => {
                    self.doubts += u64::from(statements.iter().any(|parsed| matches!(parsed.statement, Statement::Unsupported(_))))
                }
                None => self.doubts += 1,
            }
        }
        if self.session && NAMES.scan_any(&dialect, text) == Verdict::MaybeLocal {
            return true;
        }
        let scanner = self.scanner_handle.scanner();
        let other = || Dialect { no_backslash_escapes: !dialect.no_backslash_escapes, ..dialect };
        scanner.scan_any(&dialect, text) == Verdict::MaybeLocal
            || (may_change_escapes(text) && scanner.scan_any(&other(), text) == Verdict::MaybeLocal)
    }

    fn relayed(&mut self) {
        self.answered_last = false;
    }

    fn has_local_state(&self) -> bool {
        self.session
    }
}

/// May a statement of the text change how a backslash in those after it is read?
pub(super) fn may_change_escapes(text: &[u8]) -> bool {
    // Most texts have no backslash.
    let is_mode = |at: usize| {
        let word = at.checked_sub(3).and_then(|start| text.get(start..start + 8));
        word.is_some_and(|word| word.eq_ignore_ascii_case(b"sql_mode"))
    };
    memchr(b'\\', text).is_some() && memchr_iter(b'_', text).any(is_mode)
}

/// May another transaction be open after it than before it, though one is open at both times?
fn turns(parsed: &Parsed) -> bool {
    matches!(parsed.statement, Statement::Begin(_) | Statement::Commit { .. } | Statement::Rollback { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_sets_the_mode_is_read_both_ways() {
        for text in [r"SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT 'a\'", r"set @@SQL_MODE='';select '\''"] {
            assert!(may_change_escapes(text.as_bytes()), "{text}");
        }
        for text in ["SET sql_mode = ''; SELECT 1", r"SELECT 'a\'", r"_mode '\'", r"SELECT '\', sql_mod", ""] {
            assert!(!may_change_escapes(text.as_bytes()), "{text}");
        }
    }
}
