//! From a text to its statements: splits it, and sends each statement to the parser of its family by its first words.

use std::sync::Arc;

use datafusion::sql::sqlparser::tokenizer::{Token, Word};

use super::as_of::Source;
use super::cursor::Cursor;
use super::lexer::{self, Piece};
use super::statement::{Dialect, Explain, Parsed, Statement};
use super::tokens::Tok;
use super::{admin, copy, create_table, cursors, file_storage, grants, prepare, queries, recycle, set, show, stand_in, table, view};
use crate::error::{Error, Kind, Result};

/// Reads a statement of its family, or answers None without having taken a token. The flag: it is an outermost statement.
type FamilyParser = fn(&mut Cursor, bool) -> Result<Option<Statement>>;

/// The longest text that is taken, in bytes; the wires have their own, lower limits.
const MAX_TEXT: usize = 1 << 30;

/// Reads every statement of `text`. An empty text, or one of comments only, gives none. The first statement that cannot
/// be read makes all of it an error ([`Kind::Syntax`], or [`Kind::Unsupported`] for what is understood but not done).
pub fn parse(dialect: &Dialect, text: &str) -> Result<Vec<Parsed>> {
    if text.len() > MAX_TEXT {
        return Err(Error::new(Kind::PacketTooLarge, "the statement is too long"));
    }
    let lexed = lexer::lex(dialect, text)?;
    lexer::split(dialect, text, lexed).into_iter().map(|piece| parse_piece(dialect, text, piece)).collect()
}

/// The same, up to the first statement that cannot be read: those before it, and its error. MySQL runs the former.
pub fn parse_leading(dialect: &Dialect, text: &str) -> Result<(Vec<Parsed>, Option<Error>)> {
    if text.len() > MAX_TEXT {
        return Err(Error::new(Kind::PacketTooLarge, "the statement is too long"));
    }
    let (lexed, unlexed) = lexer::lex_leading(dialect, text);
    let mut statements = Vec::new();
    for piece in lexer::split(dialect, text, lexed) {
        match parse_piece(dialect, text, piece) {
            Ok(parsed) => statements.push(parsed),
            Err(error) => return Ok((statements, Some(error))),
        }
    }
    match unlexed {
        // As it was: nothing of the text is known.
        Some(error) if statements.is_empty() => Err(error),
        unlexed => Ok((statements, unlexed)),
    }
}

/// What of a text stands behind its first `count` statements; None: it has fewer.
pub fn behind<'a>(dialect: &Dialect, text: &'a str, count: usize) -> Option<&'a str> {
    let Some(last) = count.checked_sub(1) else { return Some(text) };
    let (lexed, _) = lexer::lex_leading(dialect, text);
    Some(&text[lexer::split(dialect, text, lexed).get(last)?.end..])
}

/// The user variables of a text of MySQL's, without the sign. One that cannot be read has none.
pub fn user_variables(dialect: &Dialect, text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for tok in lexer::lex_leading(dialect, text).0.toks {
        if let Token::Word(Word { value, quote_style: None, .. }) = tok.token
            && let Some(name) = value.strip_prefix('@').filter(|name| !name.is_empty() && !name.starts_with('@'))
            && !names.iter().any(|known| known.eq_ignore_ascii_case(name))
        {
            names.push(name.to_owned());
        }
    }
    names
}

fn parse_piece(dialect: &Dialect, text: &str, piece: Piece) -> Result<Parsed> {
    let Piece { mut toks, start, end, hints, limit, params } = piece;
    let settings = set::take_statement_settings(dialect, text, &mut toks, end)?;
    let statement = statement(dialect, text, toks, end, true)?;
    // The parameters of PREPARE n AS .. are the prepared statement's.
    let params = if matches!(statement, Statement::Prepare { .. }) { 0 } else { params };
    let limit = limit.filter(|_| matches!(statement, Statement::Query(_) | Statement::SelectInto { .. } | Statement::Explain(_)));
    Ok(Parsed { statement, text: Arc::from(&text[start..end]), params, hints, limit, settings })
}

/// Reads one statement from its tokens. `outer`: it is not itself within EXPLAIN or PREPARE.
pub(super) fn statement(dialect: &Dialect, text: &str, toks: Vec<Tok>, end: usize, outer: bool) -> Result<Statement> {
    let source = Source { dialect, text, end };
    let mut cursor = Cursor::new(dialect, text, &toks, end);
    match family(&toks).as_str() {
        "SELECT" | "WITH" | "VALUES" | "TABLE" | "(" => return queries::query_statement(&source, toks),
        "INSERT" | "REPLACE" => return queries::insert(&source, toks),
        "UPDATE" => return queries::update(&source, toks),
        "DELETE" => return queries::delete(&source, toks),
        _ => {}
    }
    let families: [FamilyParser; 13] = [
        file_storage::parse,
        recycle::parse,
        stand_in::parse,
        grants::parse,
        show::parse,
        set::parse,
        create_table::parse,
        table::parse,
        view::parse,
        copy::parse,
        prepare::parse,
        cursors::parse,
        admin::parse,
    ];
    for parse in families {
        if let Some(statement) = parse(&mut cursor, outer)? {
            cursor.finish()?;
            return Ok(statement);
        }
    }
    if outer && let Some(statement) = explain(&mut cursor)? {
        cursor.finish()?;
        return Ok(statement);
    }
    Err(cursor.error())
}

/// The first word, in upper case.
fn family(toks: &[Tok]) -> String {
    match toks.first().map(|t| &t.token) {
        Some(Token::Word(Word { value, quote_style: None, .. })) => value.to_ascii_uppercase(),
        Some(Token::LParen) => "(".into(),
        _ => String::new(),
    }
}

/// `EXPLAIN [ANALYZE] [VERBOSE] [FORMAT = x] [(options)] statement`, `DESCRIBE t`.
fn explain(cursor: &mut Cursor) -> Result<Option<Statement>> {
    if cursor.accept_one(&["EXPLAIN", "DESCRIBE", "DESC"]).is_none() {
        return Ok(None);
    }
    let mut explain = ExplainOptions::default();
    explain.read(cursor)?;
    let starts_statement =
        ["SELECT", "WITH", "VALUES", "TABLE", "INSERT", "REPLACE", "UPDATE", "DELETE"].iter().any(|word| cursor.is(word))
            || cursor.peek() == Some(&Token::LParen)
            || (!cursor.dialect.is_mysql() && cursor.is("EXECUTE"));
    if !starts_statement {
        if explain.any {
            return Err(cursor.wanted("a query or a change"));
        }
        let table = cursor.name()?;
        let column = if cursor.is_end() { None } else { Some(cursor.ident_or_string()?) };
        return Ok(Some(Statement::Describe { table, column }));
    }
    let inner = statement(cursor.dialect, cursor.text, cursor.rest().to_vec(), cursor.end_offset(), false)?;
    cursor.skip(usize::MAX / 2);
    let ExplainOptions { analyze, verbose, format, .. } = explain;
    Ok(Some(Statement::Explain(Explain { analyze, verbose, format, inner: Box::new(inner) })))
}

#[derive(Default)]
struct ExplainOptions {
    analyze: bool,
    verbose: bool,
    format: Option<String>,
    any: bool,
}

impl ExplainOptions {
    fn read(&mut self, cursor: &mut Cursor) -> Result<()> {
        loop {
            match cursor.accept_one(&["ANALYZE", "VERBOSE", "EXTENDED", "PARTITIONS", "FORMAT"]) {
                Some("ANALYZE") => self.analyze = true,
                Some("VERBOSE" | "EXTENDED") => self.verbose = true,
                Some("FORMAT") => {
                    cursor.expect_token(&Token::Eq)?;
                    self.format = Some(cursor.ident_or_string()?);
                }
                Some(_) => {}
                None => break,
            }
            self.any = true;
        }
        // PostgreSQL's list, unless the parenthesis opens the query.
        let opens_query = ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|word| cursor.is_word_at(1, word));
        if !cursor.dialect.is_mysql()
            && cursor.peek() == Some(&Token::LParen)
            && !opens_query
            && !matches!(cursor.peek_at(1), Some(Token::LParen))
        {
            cursor.parenthesised(|c| self.option(c))?;
            self.any = true;
        }
        Ok(())
    }

    fn option(&mut self, cursor: &mut Cursor) -> Result<()> {
        let name = cursor.ident()?.to_ascii_uppercase();
        if name == "FORMAT" {
            self.format = Some(cursor.ident_or_string()?);
            return Ok(());
        }
        let mut on = true;
        if !matches!(cursor.peek(), Some(Token::Comma | Token::RParen)) {
            on = match cursor.next() {
                Some(Token::Word(w)) => !["off", "false"].iter().any(|no| w.value.eq_ignore_ascii_case(no)),
                Some(Token::Number(n, _)) => n != "0",
                _ => return Err(cursor.wanted("on or off")),
            };
        }
        match name.as_str() {
            "ANALYZE" => self.analyze = on,
            "VERBOSE" => self.verbose = on,
            "COSTS" | "SETTINGS" | "BUFFERS" | "WAL" | "TIMING" | "SUMMARY" | "GENERIC_PLAN" | "MEMORY" | "SERIALIZE" => {}
            other => return Err(Error::new(Kind::Syntax, format!("unrecognized EXPLAIN option \"{}\"", other.to_lowercase()))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_an_unreadable_statement_is_given_with_its_error() {
        let (read, error) = parse_leading(&Dialect::MYSQL, "SELECT 1; INSERT INTO p VALUES (1); SELEC; SELECT 2").unwrap();
        assert_eq!(read.iter().map(|p| p.statement.verb()).collect::<Vec<_>>(), ["SELECT", "INSERT"]);
        assert_eq!(error.unwrap().kind(), Kind::Syntax);
        assert!(parse_leading(&Dialect::MYSQL, "SELECT 1; SELECT 2").unwrap().1.is_none());
        // Nor does a string without an end hide what stands before it.
        let (read, error) = parse_leading(&Dialect::MYSQL, "SELECT 1; SELECT 'a").unwrap();
        assert_eq!((read.len(), error.unwrap().kind()), (1, Kind::Syntax));
        assert!(parse_leading(&Dialect::MYSQL, "SELECT 'a").is_err());
        let rest = |text, count| behind(&Dialect::MYSQL, text, count);
        assert_eq!(rest(" SELECT 1 ; SELECT ';' ; SELECT 'a", 2), Some(" ; SELECT 'a"));
        assert_eq!((rest("SELECT 1", 0), rest("SELECT 1;", 1), rest("SELECT 1;", 2)), (Some("SELECT 1"), Some(";"), None));
    }

    #[test]
    fn user_variables_are_found_whatever_is_quoted_around_them() {
        let names = |dialect: &Dialect, text: &str| user_variables(dialect, text);
        let (mysql, no_backslash) = (Dialect::MYSQL, Dialect { no_backslash_escapes: true, ..Dialect::MYSQL });
        let ansi = Dialect { ansi_quotes: true, ..Dialect::MYSQL };
        assert_eq!(names(&mysql, r#"SELECT id FROM t WHERE n="it's" AND id=@v"#), ["v"]);
        assert_eq!(names(&ansi, r#"SELECT "it's" FROM t WHERE id=@v"#), ["v"]);
        assert_eq!(names(&mysql, "SELECT 'a@b', @v, 'x' LIKE '%@' AND @w"), ["v", "w"]);
        assert_eq!(names(&mysql, r"SELECT 'it\'s @no', @v"), ["v"]);
        assert_eq!(names(&no_backslash, r"SELECT 'it\', @v, 'x'"), ["v"]);
        assert_eq!(names(&mysql, "SELECT `it's`, @v /* don't @no */, @w -- isn't @no\n, @x # '@no\n, @y"), ["v", "w", "x", "y"]);
        assert_eq!(names(&mysql, "SELECT /*! @v, */ 'it''s @no', \"say \"\"@no\"\"\", @w"), ["v", "w"]);
        assert_eq!(
            names(&mysql, "SELECT @a, @@b, @@global.c, @`c d`, @A, @'e f', @\"g\", @x.y$z, @`h``i` FROM t"),
            ["a", "c d", "e f", "g", "x.y$z", "h`i"]
        );
        assert_eq!(names(&mysql, "SELECT a@b, 'u'@'h', `u`@`h`, @v:=1"), ["v"]);
        assert!(names(&mysql, "SELECT 1").is_empty() && names(&mysql, "@`").is_empty() && names(&mysql, "é@").is_empty());
    }

    #[test]
    fn a_statement_may_be_prepared_from_a_variable_or_an_expression() {
        let source = |text: &str| match parse(&Dialect::MYSQL, text).unwrap().remove(0).statement {
            Statement::Prepare { source, .. } => (source, 0),
            Statement::ExecuteImmediate { source, args } => (source, args.len()),
            other => panic!("{other:?}"),
        };
        use super::super::statement::PrepareSource::{Expr, Text, Variable};
        assert_eq!(source("PREPARE s FROM @q"), (Variable("q".into()), 0));
        assert_eq!(source("PREPARE s FROM @`q r`"), (Variable("q r".into()), 0));
        assert_eq!(source("EXECUTE IMMEDIATE 'SELECT ?' USING @a"), (Text("SELECT ?".into()), 1));
        assert_eq!(source("EXECUTE IMMEDIATE @q USING @a, 2"), (Variable("q".into()), 2));
        let (Expr { text, .. }, 1) = source("EXECUTE IMMEDIATE CONCAT('SELECT ', @c) USING 5") else { panic!() };
        assert_eq!(&*text, "CONCAT('SELECT ', @c)");
        let named = |text: &str| matches!(parse(&Dialect::MYSQL, text).unwrap().remove(0).statement, Statement::Execute { .. });
        assert!(named("EXECUTE immediate") && named("EXECUTE immediate USING @a"));
    }
}
