//! The fuzz targets, by name. `fuzz_targets/` hands libFuzzer's inputs to them; `tests/fuzz_corpus.rs` of the main crate
//! includes this file and runs the kept inputs (`tests/corpus/<target>/`) through them in every `cargo test`.
//!
//! A target may neither panic, hang nor overflow the stack of a server thread (8 MiB), whatever the bytes are.

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target and its name: that of its file in `fuzz_targets/` and of its folder in `tests/corpus/`.
pub const TARGETS: [(&str, Target); 5] = [
    ("mysql_wire", mysql_wire),
    ("postgres_wire", postgres_wire),
    ("sql_parse", sql_parse),
    ("orc_tail", orc_tail),
    ("proxy_protocol", proxy_protocol),
];

/// Packets, handshakes, commands, parameters and LOAD DATA of a MySQL client.
pub fn mysql_wire(bytes: &[u8]) {
    flashgate::wire::mysql::fuzz_decode(bytes);
}

/// Start-up packets, messages, SCRAM, parameters and COPY of a PostgreSQL client.
pub fn postgres_wire(bytes: &[u8]) {
    flashgate::wire::postgres::fuzz_decode(bytes);
}

/// Statements: the router's scan and the parser, in MySQL's and PostgreSQL's language.
pub fn sql_parse(bytes: &[u8]) {
    let scanner = flashgate::route::Scanner::new(["oss_orders"]);
    for dialect in [flashgate::sql::Dialect::MYSQL, flashgate::sql::Dialect::POSTGRES] {
        let _ = scanner.scan(&dialect, bytes);
    }
    flashgate::sql::fuzz_decode(bytes);
}

/// ORC files: the tail, then stripes, indexes and columns.
pub fn orc_tail(bytes: &[u8]) {
    flashgate::orc::fuzz_decode(bytes);
}

/// PROXY headers of load balancers.
pub fn proxy_protocol(bytes: &[u8]) {
    flashgate::proxy_protocol::fuzz_decode(bytes);
}
