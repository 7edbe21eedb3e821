//! Character sets and collations that MySQL sessions may name, with MySQL 8.0's numbers. Text is UTF-8 inside.

/// A character set that the MySQL wire announces.
pub struct Charset {
    pub name: &'static str,
    pub description: &'static str,
    /// Longest character, in bytes.
    pub max_len: u32,
}

/// A collation, with its number on the wire.
pub struct Collation {
    pub name: &'static str,
    pub charset: &'static str,
    pub id: u16,
    pub default: bool,
    pub pad: &'static str,
}

const fn charset(name: &'static str, description: &'static str, max_len: u32) -> Charset {
    Charset { name, description, max_len }
}

const fn collation(name: &'static str, charset: &'static str, id: u16, default: bool, pad: &'static str) -> Collation {
    Collation { name, charset, id, default, pad }
}

/// The character sets a client may choose. Text is UTF-8 inside.
pub const CHARSETS: &[Charset] = &[
    charset("ascii", "US ASCII", 1),
    charset("binary", "Binary pseudo charset", 1),
    charset("latin1", "cp1252 West European", 1),
    charset("utf8mb3", "UTF-8 Unicode", 3),
    charset("utf8mb4", "UTF-8 Unicode", 4),
];

/// Their collations; numbers as MySQL 8.0 gives them.
pub const COLLATIONS: &[Collation] = &[
    collation("ascii_bin", "ascii", 65, false, "PAD SPACE"),
    collation("ascii_general_ci", "ascii", 11, true, "PAD SPACE"),
    collation("binary", "binary", 63, true, "NO PAD"),
    collation("latin1_bin", "latin1", 47, false, "PAD SPACE"),
    collation("latin1_general_ci", "latin1", 48, false, "PAD SPACE"),
    collation("latin1_swedish_ci", "latin1", 8, true, "PAD SPACE"),
    collation("utf8mb3_bin", "utf8mb3", 83, false, "PAD SPACE"),
    collation("utf8mb3_general_ci", "utf8mb3", 33, true, "PAD SPACE"),
    collation("utf8mb3_unicode_ci", "utf8mb3", 192, false, "PAD SPACE"),
    collation("utf8mb4_0900_ai_ci", "utf8mb4", 255, true, "NO PAD"),
    collation("utf8mb4_0900_as_ci", "utf8mb4", 305, false, "NO PAD"),
    collation("utf8mb4_0900_as_cs", "utf8mb4", 278, false, "NO PAD"),
    collation("utf8mb4_0900_bin", "utf8mb4", 309, false, "NO PAD"),
    collation("utf8mb4_bin", "utf8mb4", 46, false, "PAD SPACE"),
    collation("utf8mb4_general_ci", "utf8mb4", 45, false, "PAD SPACE"),
    collation("utf8mb4_unicode_520_ci", "utf8mb4", 246, false, "PAD SPACE"),
    collation("utf8mb4_unicode_ci", "utf8mb4", 224, false, "PAD SPACE"),
];

/// The collation of a character set when none is named.
pub fn default_collation(charset: &str) -> Option<&'static str> {
    COLLATIONS.iter().find(|c| c.default && c.charset == charset).map(|c| c.name)
}
