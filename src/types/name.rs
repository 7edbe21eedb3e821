//! Names of databases, tables and columns: kept as written, compared without case on both wires.

/// The form in which names are compared and looked up.
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// Do two names mean the same?
pub fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || fold(a) == fold(b)
}
