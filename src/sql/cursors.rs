//! PostgreSQL's SQL cursors: DECLARE, FETCH, MOVE, CLOSE.

use super::as_of::Source;
use super::cursor::Cursor;
use super::statement::{FetchCount, Statement};
use crate::error::{Error, Result};

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    if cursor.dialect.is_mysql() {
        return Ok(None);
    }
    Ok(Some(match cursor.accept_one(&["DECLARE", "FETCH", "MOVE", "CLOSE"]) {
        Some("DECLARE") => declare(cursor)?,
        Some("CLOSE") => Statement::CloseCursor(if cursor.accept("ALL") { None } else { Some(cursor.statement_name()?) }),
        Some(verb) => {
            let count = count(cursor)?;
            cursor.accept_one(&["FROM", "IN"]);
            Statement::Fetch { name: cursor.statement_name()?, count, is_move: verb == "MOVE" }
        }
        None => return Ok(None),
    }))
}

fn declare(cursor: &mut Cursor) -> Result<Statement> {
    let name = cursor.statement_name()?;
    loop {
        match cursor.accept_one(&["BINARY", "ASENSITIVE", "INSENSITIVE", "NO SCROLL", "SCROLL"]) {
            Some("BINARY") => return Err(Error::unsupported("a BINARY cursor")),
            Some("SCROLL") => return Err(Error::unsupported("a SCROLL cursor").with_hint("declare it NO SCROLL and read forward")),
            Some(_) => {}
            None => break,
        }
    }
    cursor.expect("CURSOR")?;
    let hold = matches!(cursor.accept_one(&["WITH HOLD", "WITHOUT HOLD"]), Some("WITH HOLD"));
    cursor.expect("FOR")?;
    let source = Source { dialect: cursor.dialect, text: cursor.text, end: cursor.end_offset() };
    let query = super::queries::query(&source, cursor.rest().to_vec())?;
    cursor.skip(usize::MAX / 2);
    Ok(Statement::DeclareCursor { name, hold, query })
}

fn count(cursor: &mut Cursor) -> Result<FetchCount> {
    Ok(match cursor.accept_one(&["NEXT", "ALL", "FORWARD", "PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE", "BACKWARD"]) {
        Some("NEXT") => FetchCount::Forward(1),
        Some("ALL") => FetchCount::All,
        Some("FORWARD") => {
            if cursor.accept("ALL") {
                FetchCount::All
            } else {
                FetchCount::Forward(cursor.number().unwrap_or(1))
            }
        }
        Some(_) => {
            if cursor.signed_number().is_err() {
                cursor.accept("ALL");
            }
            FetchCount::Other
        }
        None => match cursor.number() {
            Ok(number) => FetchCount::Forward(number),
            Err(_) => FetchCount::Forward(1),
        },
    })
}
