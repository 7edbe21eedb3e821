//! SET in all its forms, RESET, DISCARD, UNLISTEN.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::ast::Expr;
use super::cursor::Cursor;
use super::language::READ_TIME;
use super::statement::{Dialect, Discard, Scope, Setting, Statement, TimeClause, TimeKind};
use super::tokens::Tok;
use super::{build, transaction};
use crate::error::{Error, Result};

pub(super) fn parse(cursor: &mut Cursor, outer: bool) -> Result<Option<Statement>> {
    if let Some(statement) = transaction::parse(cursor, outer)? {
        return Ok(Some(statement));
    }
    if cursor.is("SET PASSWORD") || cursor.is("SET ROLE") || cursor.is("SET DEFAULT ROLE") || cursor.is("SET RESOURCE GROUP") {
        return Err(Error::unsupported("SET PASSWORD and SET ROLE").with_hint("users are managed by the command 'flashgate user'"));
    }
    if cursor.is("SET CONSTRAINTS") {
        return Err(Error::unsupported("SET CONSTRAINTS"));
    }
    let mysql = cursor.dialect.is_mysql();
    if cursor.accept("SET") {
        let settings = if mysql { mysql_settings(cursor)? } else { vec![postgres_setting(cursor)?] };
        return Ok(Some(Statement::Set(settings)));
    }
    if !mysql && cursor.accept("RESET") {
        let name = if cursor.accept("ALL") {
            None
        } else if cursor.accept("TIME ZONE") {
            Some("TimeZone".to_owned())
        } else {
            Some(dotted(cursor)?)
        };
        return Ok(Some(Statement::Reset(name)));
    }
    if !mysql && cursor.accept("DISCARD") {
        let what = cursor.accept_one(&["ALL", "PLANS", "SEQUENCES", "TEMPORARY", "TEMP"]);
        return Ok(Some(Statement::Discard(match what {
            Some("ALL") => Discard::All,
            Some("PLANS") => Discard::Plans,
            Some("SEQUENCES") => Discard::Sequences,
            Some(_) => Discard::Temp,
            None => return Err(cursor.wanted("ALL, PLANS, SEQUENCES or TEMP")),
        })));
    }
    if !mysql && cursor.accept("UNLISTEN") {
        let channel = if cursor.accept_token(&Token::Mul) { "*".to_owned() } else { cursor.ident()? };
        return Ok(Some(Statement::Unlisten(channel)));
    }
    Ok(None)
}

/// MariaDB's `SET STATEMENT a = 1, b = 2 FOR statement`: takes all before the statement off its tokens.
pub(super) fn take_statement_settings(dialect: &Dialect, text: &str, toks: &mut Vec<Tok>, end: usize) -> Result<Vec<Setting>> {
    let mut cursor = Cursor::new(dialect, text, toks, end);
    let mut settings = Vec::new();
    while dialect.is_mysql() && cursor.accept("SET STATEMENT") {
        settings.extend(cursor.list(|c| {
            let name = c.ident()?;
            if name.starts_with('@') {
                return Err(c.wanted("the name of a variable"));
            }
            equals(c)?;
            assignment(c, None, name)
        })?);
        cursor.expect("FOR")?;
    }
    let taken = cursor.mark();
    toks.drain(..taken);
    Ok(settings)
}

/// `a = 1, @b := 2, GLOBAL c = 3, NAMES utf8mb4, ..`; a scope word holds for the assignments behind it.
fn mysql_settings(cursor: &mut Cursor) -> Result<Vec<Setting>> {
    let mut scope = None;
    cursor.list(|c| mysql_setting(c, &mut scope))
}

/// A value whose subqueries may read the past.
fn user_value(cursor: &mut Cursor) -> Result<Expr> {
    let mut depth = 0usize;
    let ends = |tok: &Tok| {
        match tok.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && tok.token == Token::Comma
    };
    let rest = cursor.rest();
    let count = rest.iter().position(ends).unwrap_or(rest.len());
    if !(0..count).any(|i| super::as_of::introduction(&rest[i..count]).is_some()) {
        return cursor.expr();
    }
    let end = rest.get(count).map_or(cursor.end_offset(), |tok| tok.start);
    let source = super::as_of::Source { dialect: cursor.dialect, text: cursor.text, end };
    let read = super::as_of::read(&source, rest[..count].to_vec(), |parser| parser.parse_expr())?;
    if read.as_of.is_some() {
        return Err(cursor.error().with_hint("a time clause stands after a table's name or alias"));
    }
    cursor.skip(count);
    Ok(read.tree)
}

fn mysql_setting(cursor: &mut Cursor, sticky: &mut Option<Scope>) -> Result<Setting> {
    if cursor.is("NAMES") && !matches!(cursor.peek_at(1), Some(Token::Eq | Token::Assignment)) {
        cursor.skip(1);
        return names(cursor);
    }
    if cursor.accept("CHARACTER SET") || (cursor.is("CHARSET") && !matches!(cursor.peek_at(1), Some(Token::Eq)) && cursor.accept("CHARSET"))
    {
        return Ok(Setting::Charset(default_or_word(cursor)?));
    }
    if cursor.accept("TIME ZONE") {
        let name = "time_zone".to_owned();
        return Ok(Setting::System { scope: None, name, values: vec![cursor.expr()?] });
    }
    if matches!(cursor.peek(), Some(Token::Word(w)) if w.quote_style.is_none() && w.value.starts_with('@') && !w.value.starts_with("@@")) {
        let name = cursor.user_variable()?;
        equals(cursor)?;
        return Ok(Setting::User { name, value: user_value(cursor)? });
    }
    let mut scope = scope_word(cursor);
    match scope {
        Some(scope) => *sticky = Some(scope),
        None => scope = *sticky,
    }
    let mut name = dotted(cursor)?;
    if let Some(rest) = name.strip_prefix("@@") {
        let (own, rest) = match rest.split_once('.') {
            Some((word, rest)) => (scope_of(word), rest),
            None => (None, rest),
        };
        scope = own;
        name = rest.to_owned();
    }
    equals(cursor)?;
    assignment(cursor, scope, name)
}

/// `[SESSION | LOCAL] name {= | TO} v, ..`, `TIME ZONE z`, `NAMES 'x'`.
fn postgres_setting(cursor: &mut Cursor) -> Result<Setting> {
    let scope = scope_word(cursor);
    if cursor.accept("TIME ZONE") {
        let values = match cursor.accept_one(&["DEFAULT", "LOCAL"]) {
            Some(_) => Vec::new(),
            None => vec![cursor.expr()?],
        };
        return Ok(Setting::System { scope, name: "TimeZone".to_owned(), values });
    }
    if cursor.accept("NAMES") {
        return names(cursor);
    }
    if cursor.accept("SESSION AUTHORIZATION") || cursor.accept("AUTHORIZATION") {
        return Err(Error::unsupported("SET SESSION AUTHORIZATION"));
    }
    if cursor.accept("SCHEMA") {
        return Ok(Setting::System { scope, name: "search_path".to_owned(), values: vec![build::string(cursor.string()?)] });
    }
    let name = dotted(cursor)?;
    if !cursor.accept("TO") {
        cursor.expect_token(&Token::Eq)?;
    }
    assignment(cursor, scope, name)
}

fn assignment(cursor: &mut Cursor, scope: Option<Scope>, name: String) -> Result<Setting> {
    if name.eq_ignore_ascii_case(READ_TIME) {
        return Ok(Setting::ReadTime { scope, time: read_time(cursor)? });
    }
    if cursor.accept("DEFAULT") {
        return Ok(Setting::System { scope, name, values: Vec::new() });
    }
    let values = if cursor.dialect.is_mysql() { vec![value(cursor)?] } else { cursor.list(value)? };
    Ok(Setting::System { scope, name, values })
}

/// A time, or DEFAULT (also NULL and '') for none.
fn read_time(cursor: &mut Cursor) -> Result<Option<TimeClause>> {
    if cursor.accept_one(&["DEFAULT", "NULL"]).is_some() || cursor.accept_token(&Token::SingleQuotedString(String::new())) {
        return Ok(None);
    }
    if cursor.accept("TSO") {
        return Ok(Some(TimeClause { kind: TimeKind::Tso, expr: cursor.expr()? }));
    }
    Ok(Some(TimeClause { kind: TimeKind::Timestamp, expr: cursor.expr()? }))
}

/// A value; a lone word (even a keyword: ON, BINARY, ALL) is that word.
fn value(cursor: &mut Cursor) -> Result<Expr> {
    let lone = matches!(cursor.peek_at(1), None | Some(Token::Comma)) || cursor.is_word_at(1, "FOR");
    match cursor.peek() {
        Some(Token::Word(word)) if lone && !word.value.starts_with('@') && !is_constant(&word.value) => {
            cursor.skip(1);
            Ok(build::word(word.value.clone()))
        }
        _ => cursor.expr(),
    }
}

fn is_constant(word: &str) -> bool {
    ["NULL", "TRUE", "FALSE"].iter().any(|c| word.eq_ignore_ascii_case(c))
}

fn names(cursor: &mut Cursor) -> Result<Setting> {
    let charset = default_or_word(cursor)?;
    let collation = if cursor.accept("COLLATE") { default_or_word(cursor)? } else { None };
    Ok(Setting::Names { charset, collation })
}

fn default_or_word(cursor: &mut Cursor) -> Result<Option<String>> {
    if cursor.accept("DEFAULT") { Ok(None) } else { Ok(Some(cursor.ident_or_string()?)) }
}

fn equals(cursor: &mut Cursor) -> Result<()> {
    if cursor.accept_token(&Token::Assignment) { Ok(()) } else { cursor.expect_token(&Token::Eq) }
}

fn scope_word(cursor: &mut Cursor) -> Option<Scope> {
    // A variable may be called like a scope: look behind it.
    let assigned = matches!(cursor.peek_at(1), Some(Token::Eq | Token::Assignment | Token::Period));
    if assigned {
        return None;
    }
    let word = cursor.accept_one(&["SESSION", "GLOBAL", "LOCAL", "PERSIST_ONLY", "PERSIST"])?;
    let scope = scope_of(word);
    if cursor.dialect.is_mysql() && scope == Some(Scope::Local) { Some(Scope::Session) } else { scope }
}

fn scope_of(word: &str) -> Option<Scope> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if is("SESSION") {
        Some(Scope::Session)
    } else if is("GLOBAL") {
        Some(Scope::Global)
    } else if is("LOCAL") {
        Some(Scope::Local)
    } else if is("PERSIST") || is("PERSIST_ONLY") {
        Some(Scope::Persist)
    } else {
        None
    }
}

/// `a`, `a.b`, `@@a.b`.
fn dotted(cursor: &mut Cursor) -> Result<String> {
    let mut name = cursor.ident()?;
    while cursor.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.ident()?);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn settings(dialect: &Dialect, text: &str) -> Vec<Setting> {
        match parse(dialect, text).unwrap().remove(0).statement {
            Statement::Set(settings) => settings,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn mysql_clients_opening_statements_are_read() {
        let all = settings(
            &Dialect::MYSQL,
            "SET NAMES utf8mb4 COLLATE 'utf8mb4_bin', @a := 1, @@session.sql_mode = 'ANSI', GLOBAL x=ON, autocommit = 0, character_set_results = NULL",
        );
        assert_eq!(all[0], Setting::Names { charset: Some("utf8mb4".into()), collation: Some("utf8mb4_bin".into()) });
        assert!(matches!(&all[1], Setting::User { name, .. } if name == "a"));
        assert!(matches!(&all[2], Setting::System { scope: Some(Scope::Session), name, .. } if name == "sql_mode"));
        assert_eq!(all[3], Setting::System { scope: Some(Scope::Global), name: "x".into(), values: vec![build::word("ON")] });
        assert_eq!(all.len(), 6);
        assert!(matches!(settings(&Dialect::MYSQL, "SET character set 'utf8'")[0], Setting::Charset(Some(_))));
        let concat = "SET sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'), SESSION transaction_isolation = 'REPEATABLE-READ'";
        assert_eq!(settings(&Dialect::MYSQL, concat).len(), 2);
    }

    #[test]
    fn postgres_settings_are_read_with_lists_and_zones() {
        let one = |text| settings(&Dialect::POSTGRES, text).remove(0);
        assert!(matches!(one("SET DateStyle TO ISO, MDY"), Setting::System { values, .. } if values.len() == 2));
        assert!(matches!(one("SET TIME ZONE 'UTC'"), Setting::System { name, .. } if name == "TimeZone"));
        assert!(matches!(one("SET LOCAL x.y = on"), Setting::System { scope: Some(Scope::Local), name, .. } if name == "x.y"));
        assert!(matches!(one("SET search_path TO DEFAULT"), Setting::System { values, .. } if values.is_empty()));
        assert!(matches!(one("SET extra_float_digits = -1"), Setting::System { .. }));
    }

    #[test]
    fn the_read_time_is_set_and_unset_in_both_languages() {
        for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
            let one = |text| settings(&dialect, text).remove(0);
            assert!(matches!(one("SET flashback_read_time = '2022-07-05'"), Setting::ReadTime { time: Some(_), scope: None }));
            assert!(matches!(one("set session Flashback_Read_Time = now() - interval '1' day"), Setting::ReadTime { time: Some(_), .. }));
            assert!(matches!(one("SET flashback_read_time = DEFAULT"), Setting::ReadTime { time: None, .. }));
        }
    }

    #[test]
    fn what_holds_for_one_statement_stands_before_it() {
        let read = |text: &str| parse(&Dialect::MYSQL, text).map(|mut all| all.remove(0));
        let one = read("SET STATEMENT max_statement_time=0.5, sql_mode=ANSI, flashback_read_time='2022-07-05' FOR SET STATEMENT a=@x FOR SELECT ? FROM t").unwrap();
        assert!(matches!(one.statement, Statement::Query(_)));
        assert_eq!((one.params, one.settings.len()), (1, 4));
        assert!(matches!(&one.settings[1], Setting::System { name, values, .. } if name == "sql_mode" && *values == [build::word("ANSI")]));
        assert!(one.text.starts_with("SET STATEMENT"), "the upstream gets it whole");
        assert!(read("SELECT 1").unwrap().settings.is_empty());
        for text in [
            "SET STATEMENT FOR SELECT 1",
            "SET STATEMENT @y=1 FOR SELECT 1",
            "SET STATEMENT GLOBAL a=1 FOR SELECT 1",
            "SET STATEMENT a=1 SELECT 1",
            "SET STATEMENT a=1 FOR",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(parse(&Dialect::POSTGRES, "SET STATEMENT a = 1 FOR SELECT 1").is_err());
    }
}
