//! Views and databases: CREATE and DROP of both.

use super::as_of::Source;
use super::cursor::Cursor;
use super::ddl::CreateView;
use super::statement::Statement;
use crate::error::Result;

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    if let Some(statement) = databases(cursor)? {
        return Ok(Some(statement));
    }
    if cursor.accept("DROP VIEW") {
        let if_exists = cursor.if_exists();
        let names = cursor.list(Cursor::name)?;
        cursor.accept_one(&["CASCADE", "RESTRICT"]);
        return Ok(Some(Statement::DropView { names, if_exists }));
    }
    if !cursor.is("CREATE") {
        return Ok(None);
    }
    let start = cursor.mark();
    cursor.skip(1);
    let or_replace = cursor.accept("OR REPLACE");
    let shadow = !or_replace && cursor.accept("OR SHADOW");
    // MySQL's ALGORITHM = x DEFINER = y SQL SECURITY z: how, not what.
    while cursor.accept_one(&["ALGORITHM", "DEFINER", "SQL SECURITY"]).is_some() {
        while !cursor.is_end() && !["VIEW", "DEFINER", "SQL"].iter().any(|word| cursor.is(word)) {
            cursor.skip(1);
        }
    }
    cursor.accept_one(&["TEMPORARY", "TEMP"]);
    if !cursor.accept("VIEW") {
        cursor.back_to(start);
        return Ok(None);
    }
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    let columns = if cursor.peek() == Some(&datafusion::sql::sqlparser::tokenizer::Token::LParen) {
        cursor.parenthesised(Cursor::ident)?
    } else {
        Vec::new()
    };
    cursor.expect("AS")?;
    let toks = without_check_option(cursor);
    let end = toks.last().map_or(cursor.end_offset(), |t| t.end);
    let definition = cursor.text.get(cursor.offset()..end).unwrap_or_default().to_owned();
    let source = Source { dialect: cursor.dialect, text: cursor.text, end };
    let query = super::queries::query(&source, toks)?;
    cursor.skip(usize::MAX / 2);
    Ok(Some(Statement::CreateView(Box::new(CreateView { name, or_replace, shadow, if_not_exists, columns, definition, query }))))
}

/// The query's tokens: `WITH [CASCADED | LOCAL] CHECK OPTION` at the end says nothing about a view that cannot be written.
fn without_check_option(cursor: &Cursor) -> Vec<super::tokens::Tok> {
    let mut toks = cursor.rest().to_vec();
    for words in [&["WITH", "CHECK", "OPTION"][..], &["WITH", "CASCADED", "CHECK", "OPTION"], &["WITH", "LOCAL", "CHECK", "OPTION"]] {
        let Some(from) = toks.len().checked_sub(words.len()) else { continue };
        if toks[from..].iter().zip(words).all(|(tok, word)| tok.token.to_string().eq_ignore_ascii_case(word)) {
            toks.truncate(from);
            break;
        }
    }
    toks
}

fn databases(cursor: &mut Cursor) -> Result<Option<Statement>> {
    let words = cursor.accept_one(&["CREATE DATABASE", "CREATE SCHEMA", "DROP DATABASE", "DROP SCHEMA"]);
    // The two words mean the same to MySQL.
    let schema = words.is_some_and(|w| w.ends_with("SCHEMA")) && !cursor.dialect.is_mysql();
    match words {
        Some("CREATE DATABASE" | "CREATE SCHEMA") => {
            let if_not_exists = cursor.if_not_exists();
            let name = cursor.name()?;
            // CHARACTER SET, COLLATE, ENCRYPTION, OWNER, ENCODING ..: accepted, one character set is all there is.
            while !cursor.is_end() {
                if ![
                    "DEFAULT",
                    "CHARACTER",
                    "CHARSET",
                    "COLLATE",
                    "ENCRYPTION",
                    "WITH",
                    "OWNER",
                    "ENCODING",
                    "TEMPLATE",
                    "AUTHORIZATION",
                    "LC_COLLATE",
                    "LC_CTYPE",
                    "LOCALE",
                ]
                .iter()
                .any(|word| cursor.is(word))
                {
                    return Err(cursor.error());
                }
                cursor.accept("DEFAULT");
                if cursor.accept("WITH") {
                    continue;
                }
                if !cursor.accept("CHARACTER SET") {
                    cursor.skip(1);
                }
                cursor.accept_token(&datafusion::sql::sqlparser::tokenizer::Token::Eq);
                cursor.ident_or_string()?;
            }
            Ok(Some(Statement::CreateDatabase { name, schema, if_not_exists }))
        }
        Some(_) => {
            let if_exists = cursor.if_exists();
            let name = cursor.name()?;
            let cascade = matches!(cursor.accept_one(&["CASCADE", "RESTRICT"]), Some("CASCADE"));
            Ok(Some(Statement::DropDatabase { name, schema, if_exists, cascade }))
        }
        None => Ok(None),
    }
}
