//! Queries and changes: sqlparser reads them, without what it does not know of the dialects and with the time clauses put back.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Word};

use super::as_of::{self, Source};
use super::ast::{self, SetExpr};
use super::ddl::Name;
use super::query::Query;
use super::statement::{Insert, Statement};
use super::tokens::Tok;
use crate::error::{Error, Result};

/// Reads a query that ends with the tokens.
pub(super) fn query(source: &Source, mut toks: Vec<Tok>) -> Result<Query> {
    if source.dialect.is_mysql() {
        mysql_leavings(&mut toks);
    }
    let read = as_of::read(source, toks, |p| p.parse_query())?;
    Ok(Query { query: read.tree, as_of: read.as_of })
}

/// `INTO @a, @b` of a query, wherever it stands outside of parentheses: takes it out and answers the names.
fn take_into(toks: &mut Vec<Tok>) -> Vec<String> {
    let variable = |tok: Option<&Tok>| match tok.map(|t| &t.token) {
        Some(Token::Word(w)) if w.quote_style.is_none() && !w.value.starts_with("@@") => w.value.strip_prefix('@').map(str::to_owned),
        _ => None,
    };
    let mut depth = 0usize;
    for at in 0..toks.len() {
        match &toks[at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(w) if depth == 0 && w.keyword == Keyword::INTO && w.quote_style.is_none() => {
                let mut names = Vec::new();
                let mut end = at + 1;
                while let Some(name) = variable(toks.get(end)) {
                    names.push(name);
                    end += 1;
                    if toks.get(end).is_none_or(|t| t.token != Token::Comma) || variable(toks.get(end + 1)).is_none() {
                        break;
                    }
                    end += 1;
                }
                if !names.is_empty() {
                    toks.drain(at..end);
                    return names;
                }
            }
            _ => {}
        }
    }
    Vec::new()
}

/// MySQL's units of two parts are one word; sqlparser knows `MINUTE TO SECOND`. (`SECOND_MICROSECOND` has no such form.)
fn compound_units(toks: &mut Vec<Tok>) {
    const UNITS: [&str; 10] = [
        "YEAR_MONTH",
        "DAY_HOUR",
        "DAY_MINUTE",
        "DAY_SECOND",
        "DAY_MICROSECOND",
        "HOUR_MINUTE",
        "HOUR_SECOND",
        "HOUR_MICROSECOND",
        "MINUTE_SECOND",
        "MINUTE_MICROSECOND",
    ];
    let mut at = 0;
    while at < toks.len() {
        let opens = matches!(&toks[at].token, Token::Word(w) if w.keyword == Keyword::INTERVAL && w.quote_style.is_none());
        at += 1;
        if !opens {
            continue;
        }
        let mut depth = 0usize;
        for i in at..toks.len() {
            match &toks[i].token {
                Token::LParen => depth += 1,
                Token::RParen | Token::Comma if depth == 0 => break,
                Token::RParen => depth -= 1,
                Token::Word(w) if depth == 0 && w.quote_style.is_none() => {
                    let unit = UNITS.iter().find(|unit| w.value.eq_ignore_ascii_case(unit)).and_then(|unit| unit.split_once('_'));
                    if let Some((first, last)) = unit {
                        let (start, end) = (toks[i].start, toks[i].end);
                        let word = |text: &str| Tok { token: Token::make_keyword(text), start, end };
                        toks.splice(i..=i, [word(first), word("TO"), word(last)]);
                        break;
                    }
                }
                _ => {}
            }
        }
    }
}

pub(super) fn query_statement(source: &Source, mut toks: Vec<Tok>) -> Result<Statement> {
    let variables = if source.dialect.is_mysql() { take_into(&mut toks) } else { Vec::new() };
    let query = query(source, toks)?;
    if !variables.is_empty() && matches!(query.query.body.as_ref(), SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::SetOperation { .. }) {
        return Ok(Statement::SelectInto { variables, query });
    }
    match query.query.body.as_ref() {
        SetExpr::Insert(_) => Err(Error::unsupported("WITH before INSERT").with_hint("write INSERT INTO t WITH .. SELECT ..")),
        SetExpr::Update(_) => Err(Error::unsupported("WITH before UPDATE")),
        SetExpr::Delete(_) => Err(Error::unsupported("WITH before DELETE")),
        _ => Ok(Statement::Query(query)),
    }
}

/// Takes away what means nothing here and sqlparser does not know: `LOCK IN SHARE MODE` at the end, `FROM DUAL`, and
/// the character set of a CAST.
fn mysql_leavings(toks: &mut Vec<Tok>) {
    compound_units(toks);
    let is = |tok: Option<&Tok>, word: &str| match tok.map(|t| &t.token) {
        Some(Token::Word(w)) => w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word),
        _ => false,
    };
    let n = toks.len();
    if n > 4 && ["LOCK", "IN", "SHARE", "MODE"].iter().enumerate().all(|(i, word)| is(toks.get(n - 4 + i), word)) {
        toks.truncate(n - 4);
    }
    let mut gone = Vec::new();
    for i in 0..toks.len() {
        let behind = |n: usize| toks.get(i + n).map(|t| &t.token);
        if is(toks.get(i), "FROM") && is(toks.get(i + 1), "DUAL") && behind(2) != Some(&Token::Period) {
            gone.push(i..i + 2);
        } else if is(toks.get(i), "CHARACTER") && is(toks.get(i + 1), "SET") && behind(3) == Some(&Token::RParen) {
            gone.push(i..i + 3);
        } else if is(toks.get(i), "CHARSET") && behind(2) == Some(&Token::RParen) {
            gone.push(i..i + 2);
        }
    }
    for range in gone.into_iter().rev() {
        toks.drain(range);
    }
}

pub(super) fn insert(source: &Source, mut toks: Vec<Tok>) -> Result<Statement> {
    if source.dialect.is_mysql() {
        mysql_leavings(&mut toks);
    }
    let read = as_of::read(source, toks, |p| p.parse_statement())?;
    let ast::Statement::Insert(insert) = read.tree else {
        return Err(Error::unsupported("this form of INSERT"));
    };
    let is_query = insert.source.as_ref().is_some_and(|q| !matches!(q.body.as_ref(), SetExpr::Values(_)));
    if read.as_of.is_some() && !is_query {
        let name = match &insert.table {
            ast::TableObject::TableName(name) => Name::of(name),
            other => Name::bare(other.to_string()),
        };
        return Err(as_of::target_error(&name));
    }
    Ok(Statement::Insert(Insert { insert: Box::new(insert), as_of: read.as_of }))
}

pub(super) fn update(source: &Source, mut toks: Vec<Tok>) -> Result<Statement> {
    if source.dialect.is_mysql() {
        take_modifiers(&mut toks, "UPDATE")?;
        commas_join(&mut toks);
        compound_units(&mut toks);
    }
    let read = as_of::read(source, toks, |p| p.parse_statement())?;
    let ast::Statement::Update(update) = read.tree else {
        return Err(Error::unsupported("this form of UPDATE"));
    };
    as_of::refuse_target_clause(&update.table.relation)?;
    if read.as_of.is_some() {
        return Err(as_of::target_error(&Name::bare(update.table.relation.to_string())));
    }
    Ok(Statement::Update(Box::new(update)))
}

/// `UPDATE LOW_PRIORITY t`, `DELETE QUICK FROM t`: hints to an engine that locks, which mean nothing here. IGNORE would
/// change what is written, so it is not passed over.
fn take_modifiers(toks: &mut Vec<Tok>, verb: &str) -> Result<()> {
    while let Some(Token::Word(Word { value, quote_style: None, .. })) = toks.get(1).map(|t| &t.token) {
        let is = |word: &str| value.eq_ignore_ascii_case(word);
        if is("IGNORE") {
            return Err(Error::unsupported(format!("{verb} IGNORE"))
                .with_hint("a value that does not fit is an error; keys are not enforced, so no row is a duplicate"));
        }
        let hint = is("LOW_PRIORITY") || (is("QUICK") && verb == "DELETE");
        if !hint {
            break;
        }
        toks.remove(1);
    }
    Ok(())
}

/// `UPDATE a, b SET ..`: sqlparser knows joins there, and no commas.
fn commas_join(toks: &mut Vec<Tok>) {
    let mut depth = 0usize;
    let mut commas = Vec::new();
    for (i, tok) in toks.iter().enumerate() {
        match &tok.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => commas.push(i),
            Token::Word(w) if depth == 0 && w.keyword == Keyword::SET && w.quote_style.is_none() => break,
            _ => {}
        }
    }
    for i in commas.into_iter().rev() {
        let (start, end) = (toks[i].start, toks[i].end);
        let word = |text: &str| Tok { token: Token::make_keyword(text), start, end };
        toks.splice(i..=i, [word("CROSS"), word("JOIN")]);
    }
}

pub(super) fn delete(source: &Source, mut toks: Vec<Tok>) -> Result<Statement> {
    if source.dialect.is_mysql() {
        take_modifiers(&mut toks, "DELETE")?;
        compound_units(&mut toks);
    }
    let read = as_of::read(source, toks, |p| p.parse_statement())?;
    let ast::Statement::Delete(delete) = read.tree else {
        return Err(Error::unsupported("this form of DELETE"));
    };
    let (ast::FromTable::WithFromKeyword(from) | ast::FromTable::WithoutKeyword(from)) = &delete.from;
    if let Some(target) = from.first() {
        as_of::refuse_target_clause(&target.relation)?;
        if read.as_of.is_some() {
            return Err(as_of::target_error(&Name::bare(target.relation.to_string())));
        }
    }
    Ok(Statement::Delete(Box::new(delete)))
}
