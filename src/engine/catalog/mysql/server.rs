//! What the server itself is: character sets, engines, keywords, connections, privileges, variables.

use super::super::charsets::{CHARSETS, COLLATIONS, default_collation};
use super::super::layout::{Cell, RowSet};
use super::super::snapshot::CatalogSnapshot;
use super::layouts::DEF;

pub(super) fn character_sets(rows: &mut RowSet<'_>) {
    for charset in CHARSETS {
        rows.push([
            ("character_set_name", charset.name.into()),
            ("default_collate_name", default_collation(charset.name).unwrap_or_default().into()),
            ("description", charset.description.into()),
            ("maxlen", charset.max_len.into()),
        ]);
    }
}

pub(super) fn collations(rows: &mut RowSet<'_>) {
    for c in COLLATIONS {
        rows.push([
            ("collation_name", c.name.into()),
            ("character_set_name", c.charset.into()),
            ("id", Cell::UInt(u64::from(c.id))),
            ("is_default", if c.default { "Yes" } else { "" }.into()),
            ("is_compiled", "Yes".into()),
            ("sortlen", if c.pad == "NO PAD" { 0 } else { 1 }.into()),
            ("pad_attribute", c.pad.into()),
        ]);
    }
}

pub(super) fn applicability(rows: &mut RowSet<'_>) {
    for c in COLLATIONS {
        rows.push([("collation_name", c.name.into()), ("character_set_name", c.charset.into())]);
    }
}

/// The registered file storages; the one that CREATE TABLE takes by itself is DEFAULT.
pub(super) fn engines(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    let default = snapshot.settings.iter().find(|s| s.name == "default_storage_engine").map(|s| s.value.clone());
    for storage in &snapshot.metadata.storages {
        let is_default = default.as_deref().is_some_and(|d| d.eq_ignore_ascii_case(&storage.engine));
        let support = match () {
            () if storage.status == crate::gms::StorageStatus::Disabled => "DISABLED",
            () if is_default => "DEFAULT",
            () => "YES",
        };
        rows.push([
            ("engine", storage.engine.as_str().into()),
            ("support", support.into()),
            ("comment", "Cold tables: ORC files whose history is kept".into()),
            ("transactions", "YES".into()),
            ("xa", "NO".into()),
            ("savepoints", "YES".into()),
        ]);
    }
}

/// Reserved words of MySQL 8.0 that its predecessors and the standard reserve too, and our own words.
const RESERVED: &str = "ADD ALL ALTER ANALYZE AND AS ASC BEFORE BETWEEN BIGINT BINARY BLOB BOTH BY CASE CHANGE CHAR CHARACTER CHECK COLLATE COLUMN \
    CONSTRAINT CONVERT CREATE CROSS CUBE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER DATABASE DATABASES DECIMAL DEFAULT DELETE DESC \
    DESCRIBE DISTINCT DIV DOUBLE DROP DUAL ELSE ENCLOSED ESCAPED EXCEPT EXISTS EXPLAIN FALSE FLOAT FOR FORCE FOREIGN FROM FULLTEXT FUNCTION GRANT \
    GROUP GROUPING GROUPS HAVING IF IGNORE IN INDEX INFILE INNER INSERT INT INTEGER INTERSECT INTERVAL INTO IS JOIN KEY KEYS KILL LATERAL LEADING \
    LEFT LIKE LIMIT LINES LOAD LOCALTIME LOCALTIMESTAMP LOCK LONGBLOB LONGTEXT MATCH MEDIUMBLOB MEDIUMINT MEDIUMTEXT MOD NATURAL NOT NULL NUMERIC OF \
    ON OPTIMIZE OPTION OR ORDER OUTER OVER PARTITION PRIMARY PROCEDURE PURGE RANGE RANK READ REAL RECURSIVE REFERENCES REGEXP RENAME REPLACE \
    RESTRICT REVOKE RIGHT RLIKE ROW ROWS SCHEMA SCHEMAS SELECT SET SHOW SMALLINT SQL STARTING SYSTEM TABLE TERMINATED THEN TINYBLOB TINYINT TINYTEXT \
    TO TRAILING TRIGGER TRUE UNION UNIQUE UNLOCK UNSIGNED UPDATE USAGE USE USING VALUES VARBINARY VARCHAR WHEN WHERE WINDOW WITH WRITE XOR ZEROFILL";
const WORDS: &str = "ARCHIVE_MODE BACKUP EXPIRE FILESTORAGE FLASHBACK PREVIEW RECYCLEBIN TIMESTAMP TSO UNARCHIVE";

pub(super) fn keywords(rows: &mut RowSet<'_>) {
    let mut words: Vec<(&str, i64)> = RESERVED.split_whitespace().map(|w| (w, 1)).collect();
    words.extend(WORDS.split_whitespace().map(|w| (w, 0)));
    words.sort_unstable();
    for (word, reserved) in words {
        rows.push([("word", word.into()), ("reserved", reserved.into())]);
    }
}

pub(super) fn plugins(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    let authentication = ["caching_sha2_password", "mysql_native_password"].map(|n| (n.to_owned(), "AUTHENTICATION"));
    let engines = snapshot.metadata.storages.iter().map(|s| (s.engine.clone(), "STORAGE ENGINE"));
    for (name, kind) in authentication.into_iter().chain(engines) {
        rows.push([
            ("plugin_name", name.into()),
            ("plugin_version", "1.0".into()),
            ("plugin_status", "ACTIVE".into()),
            ("plugin_type", kind.into()),
            ("plugin_type_version", "1.0".into()),
            ("plugin_author", "Flashgate".into()),
            ("plugin_license", "Apache-2.0".into()),
            ("load_option", "FORCE".into()),
        ]);
    }
}

pub(super) fn processlist(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for p in &snapshot.processes {
        rows.push([
            ("id", Cell::UInt(u64::from(p.id))),
            ("user", p.user.as_str().into()),
            ("host", p.host.as_str().into()),
            ("db", p.database.as_deref().into()),
            ("command", p.command.as_str().into()),
            ("time", Cell::Int((snapshot.now.as_second() - p.since.as_second()).max(0))),
            ("state", p.state.as_str().into()),
            ("info", p.statement.as_deref().into()),
        ]);
    }
}

/// What every user may do: all that Flashgate knows to do. Users have no finer rights.
pub const PRIVILEGES: [&str; 11] =
    ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "CREATE VIEW", "SHOW VIEW", "PROCESS"];

pub(super) fn user_privileges(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for user in &snapshot.users {
        for privilege in PRIVILEGES {
            rows.push([
                ("grantee", format!("'{}'@'%'", user.replace('\'', "''")).into()),
                ("table_catalog", DEF.into()),
                ("privilege_type", privilege.into()),
                ("is_grantable", "NO".into()),
            ]);
        }
    }
}

pub(super) fn user_attributes(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for user in &snapshot.users {
        rows.push([("user", user.into()), ("host", "%".into())]);
    }
}

pub(super) fn variables(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot, global: bool) {
    for setting in &snapshot.settings {
        let value = if global { setting.global.clone() } else { Some(setting.value.clone()) };
        if let Some(value) = value {
            rows.push([("variable_name", setting.name.as_str().into()), ("variable_value", value.into())]);
        }
    }
}

pub(super) fn status(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for (name, value) in &snapshot.status {
        rows.push([("variable_name", name.into()), ("variable_value", value.into())]);
    }
}
