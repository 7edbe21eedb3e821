//! The rest: USE, KILL, LOCK TABLES, DO, FLUSH, OPTIMIZE, ANALYZE, CHECK, and the statements that are known but not done.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::ddl::Name;
use super::statement::Statement;
use crate::error::{Error, Result};

/// Statements of the two servers that Flashgate knows and does not do.
const NOT_DONE: [&str; 39] = [
    "GRANT",
    "REVOKE",
    "CREATE USER",
    "ALTER USER",
    "DROP USER",
    "RENAME USER",
    "SET PASSWORD",
    "CREATE ROLE",
    "ALTER ROLE",
    "DROP ROLE",
    "CALL",
    "CREATE PROCEDURE",
    "CREATE FUNCTION",
    "CREATE TRIGGER",
    "CREATE EVENT",
    "CREATE SEQUENCE",
    "CREATE TYPE",
    "CREATE DOMAIN",
    "CREATE EXTENSION",
    "CREATE RULE",
    "CREATE POLICY",
    "CREATE MATERIALIZED VIEW",
    "REFRESH MATERIALIZED VIEW",
    "CREATE TABLESPACE",
    "ALTER DATABASE",
    "ALTER SCHEMA",
    "ALTER VIEW",
    "ALTER INDEX",
    "ALTER SEQUENCE",
    "MERGE",
    "HANDLER",
    "LISTEN",
    "NOTIFY",
    "XA",
    "INSTALL",
    "REINDEX",
    "CLUSTER",
    "CHECKPOINT",
    "LOAD XML",
];

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    let verb = cursor.accept_one(&[
        "USE",
        "KILL",
        "LOCK TABLES",
        "LOCK TABLE",
        "LOCK INSTANCE",
        "UNLOCK TABLES",
        "UNLOCK TABLE",
        "DO",
        "FLUSH",
        "OPTIMIZE",
        "ANALYZE",
        "VACUUM",
        "CHECK TABLE",
        "REPAIR TABLE",
        "CHECKSUM TABLE",
    ]);
    let mysql = cursor.dialect.is_mysql();
    Ok(Some(match verb {
        Some("USE") => Statement::Use(cursor.ident()?),
        Some("KILL") => {
            let query_only = matches!(cursor.accept_one(&["QUERY", "CONNECTION"]), Some("QUERY"));
            Statement::Kill { query_only, id: cursor.expr()? }
        }
        Some("LOCK TABLES" | "LOCK TABLE") if mysql => Statement::LockTables(cursor.list(lock)?),
        Some("LOCK TABLES" | "LOCK TABLE" | "LOCK INSTANCE") => return Err(Error::unsupported("LOCK")),
        Some("UNLOCK TABLES" | "UNLOCK TABLE") => Statement::UnlockTables,
        Some("DO") if mysql => Statement::Do(cursor.list(Cursor::expr)?),
        Some("DO") => return Err(Error::unsupported("DO with a code block")),
        Some("FLUSH") => {
            let words = cursor.rest().iter().map(|t| t.token.to_string()).collect::<Vec<_>>().join(" ");
            cursor.skip(usize::MAX / 2);
            Statement::Flush(words)
        }
        Some("OPTIMIZE") => Statement::OptimizeTable { names: tables(cursor)? },
        Some("ANALYZE") => analyze(cursor)?,
        Some("VACUUM") => {
            if cursor.accept_token(&Token::LParen) {
                cursor.skip_parenthesis()?;
            }
            while cursor.accept_one(&["FULL", "FREEZE", "VERBOSE", "ANALYZE"]).is_some() {}
            Statement::AnalyzeTable { names: optional_names(cursor)? }
        }
        Some("CHECK TABLE") => {
            let names = cursor.list(Cursor::name)?;
            while cursor.accept_one(&["FOR UPGRADE", "QUICK", "FAST", "MEDIUM", "EXTENDED", "CHANGED"]).is_some() {}
            Statement::CheckTable { names }
        }
        Some(other) => return Err(Error::unsupported(other)),
        None => return not_done(cursor),
    }))
}

fn not_done(cursor: &mut Cursor) -> Result<Option<Statement>> {
    match NOT_DONE.iter().find(|words| cursor.is(words)) {
        Some(words) => Err(Error::unsupported(words)),
        None => Ok(None),
    }
}

/// `[LOCAL | NO_WRITE_TO_BINLOG] {TABLE | TABLES} t, ..`
fn tables(cursor: &mut Cursor) -> Result<Vec<Name>> {
    cursor.accept_one(&["LOCAL", "NO_WRITE_TO_BINLOG"]);
    if cursor.accept_one(&["TABLES", "TABLE"]).is_none() {
        return Err(cursor.wanted("TABLE"));
    }
    cursor.list(Cursor::name)
}

fn analyze(cursor: &mut Cursor) -> Result<Statement> {
    if cursor.dialect.is_mysql() {
        return Ok(Statement::AnalyzeTable { names: tables(cursor)? });
    }
    if cursor.accept_token(&Token::LParen) {
        cursor.skip_parenthesis()?;
    }
    cursor.accept("VERBOSE");
    Ok(Statement::AnalyzeTable { names: optional_names(cursor)? })
}

/// PostgreSQL's `[t [(columns)], ..]`.
fn optional_names(cursor: &mut Cursor) -> Result<Vec<Name>> {
    if cursor.is_end() {
        return Ok(Vec::new());
    }
    cursor.list(|c| {
        let name = c.name()?;
        if c.accept_token(&Token::LParen) {
            c.skip_parenthesis()?;
        }
        Ok(name)
    })
}

/// `t [[AS] a] READ [LOCAL] | [LOW_PRIORITY] WRITE`.
fn lock(cursor: &mut Cursor) -> Result<(Name, bool)> {
    let name = cursor.name()?;
    let kinds = ["READ LOCAL", "READ", "LOW_PRIORITY WRITE", "WRITE"];
    if !kinds.iter().any(|kind| cursor.is(kind)) {
        cursor.accept("AS");
        cursor.ident()?;
    }
    match cursor.accept_one(&kinds) {
        Some(kind) => Ok((name, kind.ends_with("WRITE"))),
        None => Err(cursor.wanted("READ or WRITE")),
    }
}
