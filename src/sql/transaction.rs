//! Transactions: BEGIN, START TRANSACTION, COMMIT, ROLLBACK, savepoints, SET TRANSACTION.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::statement::{Begin, Isolation, Scope, Statement, TransactionModes};
use crate::error::{Error, Kind, Result};

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    let mysql = cursor.dialect.is_mysql();
    let verb = cursor.accept_one(&["START TRANSACTION", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"]);
    Ok(Some(match verb {
        Some("START TRANSACTION") => begin(cursor)?,
        Some("BEGIN") => {
            cursor.accept_one(&["WORK", "TRANSACTION"]);
            begin(cursor)?
        }
        Some("COMMIT") => commit(cursor)?,
        Some("ROLLBACK") => rollback(cursor)?,
        Some("SAVEPOINT") => Statement::Savepoint(cursor.ident()?),
        Some(_) => {
            cursor.accept("SAVEPOINT");
            Statement::Release(cursor.ident()?)
        }
        None if !mysql && cursor.accept("END") => commit(cursor)?,
        None if !mysql && cursor.accept("ABORT") => rollback(cursor)?,
        None => return set_transaction(cursor),
    }))
}

fn begin(cursor: &mut Cursor) -> Result<Statement> {
    let mut begin = Begin::default();
    while !cursor.is_end() {
        let place = cursor.error();
        if let Some(time) = cursor.time_clause()? {
            if begin.as_of.replace(time).is_some() {
                return Err(place.with_hint("one time clause is allowed"));
            }
        } else if cursor.accept("WITH CONSISTENT SNAPSHOT") {
            begin.snapshot = true;
        } else {
            mode(cursor, &mut begin.modes)?;
        }
        cursor.accept_token(&Token::Comma);
    }
    if begin.as_of.is_some() && begin.modes.read_only == Some(false) {
        return Err(Error::new(Kind::Syntax, "a transaction AS OF a time cannot be READ WRITE")
            .with_hint("write START TRANSACTION READ ONLY AS OF TIMESTAMP '..'"));
    }
    Ok(Statement::Begin(begin))
}

fn mode(cursor: &mut Cursor, modes: &mut TransactionModes) -> Result<()> {
    match cursor.accept_one(&["READ ONLY", "READ WRITE", "ISOLATION LEVEL", "NOT DEFERRABLE", "DEFERRABLE"]) {
        Some("READ ONLY") => modes.read_only = Some(true),
        Some("READ WRITE") => modes.read_only = Some(false),
        Some("ISOLATION LEVEL") => {
            let level = cursor.accept_one(&["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]);
            modes.isolation = Some(match level {
                Some("READ UNCOMMITTED") => Isolation::ReadUncommitted,
                Some("READ COMMITTED") => Isolation::ReadCommitted,
                Some("REPEATABLE READ") => Isolation::RepeatableRead,
                Some(_) => Isolation::Serializable,
                None => return Err(cursor.wanted("an isolation level")),
            });
        }
        Some("NOT DEFERRABLE") => modes.deferrable = Some(false),
        Some(_) => modes.deferrable = Some(true),
        None => return Err(cursor.wanted("a transaction mode or AS OF TIMESTAMP")),
    }
    Ok(())
}

fn commit(cursor: &mut Cursor) -> Result<Statement> {
    if cursor.is("PREPARED") {
        return Err(Error::unsupported("COMMIT PREPARED"));
    }
    let (chain, release) = completion(cursor)?;
    Ok(Statement::Commit { chain, release })
}

fn rollback(cursor: &mut Cursor) -> Result<Statement> {
    cursor.accept_one(&["WORK", "TRANSACTION"]);
    if cursor.is("PREPARED") {
        return Err(Error::unsupported("ROLLBACK PREPARED"));
    }
    if cursor.accept("TO") {
        cursor.accept("SAVEPOINT");
        return Ok(Statement::RollbackTo(cursor.ident()?));
    }
    let (chain, release) = completion(cursor)?;
    Ok(Statement::Rollback { chain, release })
}

/// `[WORK | TRANSACTION] [AND [NO] CHAIN] [[NO] RELEASE]`.
fn completion(cursor: &mut Cursor) -> Result<(bool, bool)> {
    cursor.accept_one(&["WORK", "TRANSACTION"]);
    let chain = matches!(cursor.accept_one(&["AND NO CHAIN", "AND CHAIN"]), Some("AND CHAIN"));
    let release = matches!(cursor.accept_one(&["NO RELEASE", "RELEASE"]), Some("RELEASE"));
    Ok((chain, release))
}

/// `SET [SESSION | GLOBAL | LOCAL] TRANSACTION ..`, `SET SESSION CHARACTERISTICS AS TRANSACTION ..`
fn set_transaction(cursor: &mut Cursor) -> Result<Option<Statement>> {
    let scope = match cursor.accept_one(&[
        "SET TRANSACTION SNAPSHOT",
        "SET TRANSACTION",
        "SET SESSION CHARACTERISTICS AS TRANSACTION",
        "SET SESSION TRANSACTION",
        "SET LOCAL TRANSACTION",
        "SET GLOBAL TRANSACTION",
    ]) {
        Some("SET TRANSACTION SNAPSHOT") => return Err(Error::unsupported("SET TRANSACTION SNAPSHOT")),
        Some("SET TRANSACTION") => None,
        Some("SET GLOBAL TRANSACTION") => Some(Scope::Global),
        Some("SET LOCAL TRANSACTION") => Some(Scope::Local),
        Some(_) => Some(Scope::Session),
        None => return Ok(None),
    };
    let mut modes = TransactionModes::default();
    mode(cursor, &mut modes)?;
    while !cursor.is_end() {
        cursor.accept_token(&Token::Comma);
        mode(cursor, &mut modes)?;
    }
    Ok(Some(Statement::SetTransaction { scope, modes }))
}
