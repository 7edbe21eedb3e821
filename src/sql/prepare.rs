//! Textual prepared statements: PREPARE, EXECUTE, DEALLOCATE, in MySQL's and PostgreSQL's form.

use std::sync::Arc;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::statement::{PrepareSource, Statement};
use crate::error::{Error, Result};

pub(super) fn parse(cursor: &mut Cursor, outer: bool) -> Result<Option<Statement>> {
    let mysql = cursor.dialect.is_mysql();
    Ok(Some(match cursor.accept_one(&["PREPARE", "EXECUTE", "DEALLOCATE", "DROP PREPARE"]) {
        Some("PREPARE") if !outer => return Err(cursor.error()),
        Some("PREPARE") if mysql => prepare_mysql(cursor)?,
        Some("PREPARE") => prepare_postgres(cursor)?,
        Some("EXECUTE") if mysql && is_immediate(cursor) => {
            cursor.skip(1);
            let source = source(cursor)?;
            let args = if cursor.accept("USING") { cursor.list(Cursor::expr)? } else { Vec::new() };
            Statement::ExecuteImmediate { source, args }
        }
        Some("EXECUTE") => {
            let name = cursor.statement_name()?;
            let args = if mysql {
                if cursor.accept("USING") { cursor.list(Cursor::expr)? } else { Vec::new() }
            } else if cursor.peek() == Some(&Token::LParen) {
                cursor.parenthesised(Cursor::expr)?
            } else {
                Vec::new()
            };
            Statement::Execute { name, args }
        }
        Some("DROP PREPARE") => Statement::Deallocate(Some(cursor.ident()?)),
        Some(_) => {
            cursor.accept("PREPARE");
            if !mysql && cursor.accept("ALL") { Statement::Deallocate(None) } else { Statement::Deallocate(Some(cursor.statement_name()?)) }
        }
        None => return Ok(None),
    }))
}

/// `PREPARE n FROM 'text' | @variable`, or MariaDB's expression.
fn prepare_mysql(cursor: &mut Cursor) -> Result<Statement> {
    let name = cursor.ident()?;
    cursor.expect("FROM")?;
    Ok(Statement::Prepare { name, source: source(cursor)? })
}

/// `EXECUTE IMMEDIATE ..`, and not `EXECUTE immediate [USING ..]` of a statement of that name.
fn is_immediate(cursor: &Cursor) -> bool {
    cursor.is("IMMEDIATE") && cursor.peek_at(1).is_some() && !cursor.is_word_at(1, "USING")
}

fn source(cursor: &mut Cursor) -> Result<PrepareSource> {
    let (mark, start) = (cursor.mark(), cursor.offset());
    let whole = match cursor.peek() {
        Some(Token::SingleQuotedString(_)) => cursor.string().map(PrepareSource::Text),
        _ => cursor.user_variable().map(PrepareSource::Variable),
    };
    if whole.is_ok() && (cursor.is_end() || cursor.is("USING")) {
        return whole;
    }
    cursor.back_to(mark);
    let expr = Box::new(cursor.expr()?);
    let text = cursor.text.get(start..cursor.offset()).unwrap_or_default();
    Ok(PrepareSource::Expr { expr, text: Arc::from(text.trim_end()) })
}

/// `PREPARE n [(types)] AS statement`.
fn prepare_postgres(cursor: &mut Cursor) -> Result<Statement> {
    let name = cursor.statement_name()?;
    let types = if cursor.peek() == Some(&Token::LParen) { cursor.parenthesised(super::data_type::parse)? } else { Vec::new() };
    cursor.expect("AS")?;
    let text: Arc<str> = Arc::from(cursor.text.get(cursor.offset()..cursor.end_offset()).unwrap_or_default());
    let toks = cursor.rest().to_vec();
    let params = toks
        .iter()
        .filter_map(|t| match &t.token {
            Token::Placeholder(name) => name.trim_start_matches('$').parse::<usize>().ok(),
            _ => None,
        })
        .max()
        .unwrap_or(0);
    let statement = super::parse::statement(cursor.dialect, cursor.text, toks, cursor.end_offset(), false)?;
    if !matches!(statement, Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_)) {
        return Err(Error::unsupported(format!("PREPARE of {}", statement.verb())).with_hint("prepare a query or a change of rows"));
    }
    cursor.skip(usize::MAX / 2);
    Ok(Statement::Prepare { name, source: PrepareSource::Statement { types, text, statement: Box::new(statement), params } })
}
