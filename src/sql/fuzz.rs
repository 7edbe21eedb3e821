//! One door to the parser and the printer, for fuzzing.

use super::statement::{Dialect, Family, Server};
use super::{parse, printer};

/// Parses `bytes`, as a wire hands over text, in MySQL, MySQL with both quoting modes changed, and PostgreSQL, and prints
/// what was understood. Nothing may panic, hang or overflow the stack.
pub fn fuzz_decode(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let server = Server { mariadb: true, version: 101_100 };
    let ansi = Dialect { family: Family::MySql, ansi_quotes: true, no_backslash_escapes: true, pipes_as_concat: true, server };
    for dialect in [Dialect::MYSQL, ansi, Dialect::POSTGRES] {
        for parsed in parse(&dialect, &text).unwrap_or_default() {
            let _ = printer::print(&dialect, &parsed.statement);
        }
    }
}
