//! The versions of the servers that Flashgate stands for.

/// What the MySQL wire and `VERSION()` call themselves.
pub const MYSQL_VERSION: &str = "8.0.40-flashgate";
/// What `SHOW server_version` says.
pub const POSTGRES_VERSION: &str = "16.6";
