//! One entry to the scanner, the parser and the printer, for fuzzing.

use super::scan::Scan;
use super::statement::{Dialect, Family, Server};
use super::{Characters, parse, printer};

/// Parses `bytes`, as a wire hands over text, in MySQL, MySQL with both quoting modes changed, and PostgreSQL with
/// either kind of strings, and prints what was understood; before, the bytes themselves are cut into pieces. Nothing may panic, hang or overflow the stack.
pub fn fuzz_decode(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let server = Server { mariadb: true, version: 101_100 };
    let ansi = Dialect { family: Family::MySql, ansi_quotes: true, no_backslash_escapes: true, pipes_as_concat: true, server };
    let escapes = Dialect { no_backslash_escapes: false, ..Dialect::POSTGRES };
    for dialect in [Dialect::MYSQL, ansi, Dialect::POSTGRES, escapes] {
        for characters in Characters::OTHERS.into_iter().chain([Characters::Plain]) {
            // The pieces cover the text.
            let end = Scan::of(&dialect, characters, bytes).fold(0, |at, piece| {
                assert!(piece.start == at && piece.end > at && piece.end <= bytes.len());
                assert!(piece.start <= piece.inside().start && piece.inside().end <= piece.end);
                piece.end
            });
            assert_eq!(end, bytes.len());
        }
        for parsed in parse(&dialect, &text).unwrap_or_default() {
            let _ = printer::print(&dialect, &parsed.statement);
        }
    }
}
