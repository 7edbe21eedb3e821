//! From text to tokens: the scanner's pieces as sqlparser's tokens, with byte offsets, and with what a MySQL or PostgreSQL
//! session means by quotes, comments and hints already resolved.
//!
//! The scanner says where strings, names and comments begin and end. sqlparser's tokenizer reads what stands between
//! them (words, numbers, operators), and the escapes within a string.
//!
//! Owns the spelling of strings (all become single-quoted), `/*! .. */` comments (executed), optimizer hints (kept
//! aside) and the numbers of `?` parameters. Never looks at grammar.

use datafusion::sql::sqlparser::dialect::Dialect as ParserDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Word};

use super::errors;
use super::scan::{Kind, Piece as Cut, Quote, Scan, Text};
use super::statement::Dialect;
use super::tokens::Tok;
use crate::error::{Error, Result};

/// A text as tokens.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    pub toks: Vec<Tok>,
    /// Optimizer hints: where they stand and what is between `/*+` and `*/`.
    pub hints: Vec<(usize, String)>,
}

/// Splits `text` into tokens. An unterminated string or comment is a syntax error.
pub(super) fn lex(dialect: &Dialect, text: &str) -> Result<Lexed> {
    let (lexed, error) = lex_all(dialect, text);
    error.map_or(Ok(lexed), Err)
}

/// The same; where not all of it can be split, the statements before the one with the error, and that.
pub(super) fn lex_leading(dialect: &Dialect, text: &str) -> (Lexed, Option<Error>) {
    let (mut lexed, error) = lex_all(dialect, text);
    if error.is_some() {
        let whole = lexed.toks.iter().rposition(|tok| tok.token == Token::SemiColon).map_or(0, |last| last + 1);
        lexed.toks.truncate(whole);
    }
    (lexed, error)
}

fn lex_all(dialect: &Dialect, text: &str) -> (Lexed, Option<Error>) {
    let parser_dialect = super::dialect::of(dialect, 0);
    let mut lexer =
        Lexer { dialect, parser_dialect: parser_dialect.as_ref(), text, lexed: Lexed::default(), raw: Vec::new(), before: None };
    let outcome = lexer.run();
    (lexer.lexed, outcome.err())
}

struct Lexer<'a> {
    dialect: &'a Dialect,
    parser_dialect: &'a dyn ParserDialect,
    text: &'a str,
    lexed: Lexed,
    /// What the tokenizer gives, before it is taken from here.
    raw: Vec<TokenWithSpan>,
    /// The token before, as far as the tokenizer looks back to it.
    before: Option<Token>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<()> {
        // Words, numbers, signs and spaces that no piece has followed yet.
        let mut from = 0;
        for cut in Scan::new(self.dialect, self.text.as_bytes()) {
            match cut.kind {
                Kind::Word | Kind::Number | Kind::Parameter | Kind::Sign(_) => continue,
                // The tokenizer knows these alone.
                Kind::Space if self.text[cut.range()].bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) => continue,
                _ => {}
            }
            self.tokenize(from, cut.start)?;
            from = cut.end;
            self.cut(cut)?;
        }
        self.tokenize(from, self.text.len())
    }

    /// Reads what holds no quotes and no comments.
    fn tokenize(&mut self, from: usize, to: usize) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let slice = &self.text[from..to];
        let mut raw = std::mem::take(&mut self.raw);
        raw.extend(self.before.take().map(|token| TokenWithSpan { token, span: Span::empty() }));
        let known = raw.len();
        let outcome = Tokenizer::new(self.parser_dialect, slice).tokenize_with_location_into_buf(&mut raw);
        self.before = raw.last().and_then(|last| looked_back_to(&last.token));
        let mut place = Places { text: slice, byte: 0, line: 1, column: 1 };
        for token in raw.drain(..).skip(known) {
            let start = from + place.byte_of(token.span.start);
            let end = from + place.byte_of(token.span.end);
            if !matches!(token.token, Token::Whitespace(_)) {
                self.push(Tok { token: token.token, start, end });
            }
        }
        self.raw = raw;
        outcome.map_err(|error| errors::near(self.dialect, self.text, from + place.byte_of(error.location)).with_hint(error.message))
    }

    /// Takes a string, a name in quotes, a comment or white space that the tokenizer does not know.
    fn cut(&mut self, cut: Cut) -> Result<()> {
        self.before = None;
        if !cut.ended {
            let what = match cut.kind {
                Kind::Comment => "a comment without an end",
                _ => "a quoted string or name without an end",
            };
            return Err(self.near(cut.start).with_hint(what));
        }
        let inside = &self.text[cut.inside()];
        let token = match cut.kind {
            Kind::Comment => {
                if let Some(hint) = inside.strip_prefix('+') {
                    self.lexed.hints.push((cut.start, hint.trim().to_owned()));
                }
                return Ok(());
            }
            Kind::Text(text) => self.string(text, &cut)?,
            Kind::Name(Quote::Unicode) => return Err(Error::unsupported("a name like U&\"..\"").at(errors::position(self.text, cut.start))),
            Kind::Name(quote) => {
                let quote = char::from(quote.byte());
                Token::make_word(&undoubled(inside, quote, cut.plain), Some(quote))
            }
            _ => return Ok(()),
        };
        // 'a' and 'b' on the next line are one string.
        if cut.continues
            && let (Token::SingleQuotedString(more), Some(Tok { token: Token::SingleQuotedString(whole), end, .. })) =
                (&token, self.lexed.toks.last_mut())
        {
            whole.push_str(more);
            *end = cut.end;
            return Ok(());
        }
        self.before = looked_back_to(&token);
        self.push(Tok { token, start: cut.start, end: cut.end });
        Ok(())
    }

    fn near(&self, at: usize) -> Error {
        errors::near(self.dialect, self.text, at)
    }

    /// The value of a string.
    fn string(&self, text: Text, cut: &Cut) -> Result<Token> {
        let inside = &self.text[cut.inside()];
        let quote = if matches!(text, Text::Double(_)) { '"' } else { '\'' };
        let escaped = match text {
            Text::Hex => return Ok(Token::HexStringLiteral(inside.to_owned())),
            Text::Bits => return Ok(Token::SingleQuotedByteStringLiteral(inside.to_owned())),
            Text::Unicode if !self.dialect.no_backslash_escapes => {
                let what = "U&'..' while standard_conforming_strings is off";
                return Err(Error::unsupported(what).at(errors::position(self.text, cut.start)));
            }
            Text::Unicode => format!("U&'{inside}'"),
            Text::Dollar | Text::Plain | Text::Double(false) => {
                let plain = cut.plain || text == Text::Dollar;
                return Ok(Token::SingleQuotedString(undoubled(inside, quote, plain)));
            }
            Text::Escaped | Text::Double(true) if !inside.contains('\\') => {
                return Ok(Token::SingleQuotedString(undoubled(inside, quote, cut.plain)));
            }
            Text::Escaped | Text::Double(_) if self.dialect.is_mysql() => format!("{quote}{inside}{quote}"),
            Text::Escaped | Text::Double(_) => format!("E'{inside}'"),
        };
        match Tokenizer::new(self.parser_dialect, &escaped).tokenize() {
            Ok(mut tokens) if tokens.len() == 1 => match tokens.remove(0) {
                Token::SingleQuotedString(value)
                | Token::DoubleQuotedString(value)
                | Token::EscapedStringLiteral(value)
                | Token::UnicodeStringLiteral(value) => Ok(Token::SingleQuotedString(value)),
                _ => Err(self.near(cut.start)),
            },
            Ok(_) => Err(self.near(cut.start)),
            Err(error) => Err(self.near(cut.start).with_hint(error.message)),
        }
    }

    /// Adds a token.
    fn push(&mut self, tok: Tok) {
        push(self.dialect, tok, &mut self.lexed);
    }
}

/// What the tokenizer looks back to: does a dot follow a name, or digits a dot?
fn looked_back_to(token: &Token) -> Option<Token> {
    match token {
        Token::Word(_) => Some(Token::make_word("", None)),
        Token::Period => Some(Token::Period),
        _ => None,
    }
}

/// What is meant between two quotes.
fn undoubled(inside: &str, quote: char, plain: bool) -> String {
    if plain { inside.to_owned() } else { inside.replace(&format!("{quote}{quote}"), quote.encode_utf8(&mut [0; 4])) }
}

/// Adds a token. What sqlparser would take for several of MySQL's becomes one.
fn push(dialect: &Dialect, mut tok: Tok, lexed: &mut Lexed) {
    if dialect.is_mysql() && matches!(tok.token, Token::SingleQuotedString(_) | Token::HexStringLiteral(_)) {
        // _utf8mb4'text': the introducer says what every string is anyway.
        if lexed.toks.last().is_some_and(|last| matches!(&last.token, Token::Word(w) if w.quote_style.is_none() && is_introducer(&w.value)))
        {
            lexed.toks.pop();
        }
    }
    if dialect.is_mysql()
        && let Some((name, start, parts)) = variable_with(&lexed.toks, &tok)
    {
        lexed.toks.truncate(lexed.toks.len() - parts);
        tok = Tok { token: Token::make_word(&name, None), start, end: tok.end };
    }
    lexed.toks.push(tok);
}

/// The name of a user variable that this token completes, with the sign; where it begins, and how many tokens of it have been
/// read: `@` before a name in quotes, `@a` and a dot before a further part of its name.
fn variable_with(before: &[Tok], last: &Tok) -> Option<(String, usize, usize)> {
    let bare = |tok: &Tok| match &tok.token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value.clone()),
        Token::AtSign => Some("@".to_owned()),
        _ => None,
    };
    let touches = |tok: &Tok, next: &Tok| tok.end == next.start;
    let is_variable = |name: &str| name.len() > 1 && name.starts_with('@') && !name.starts_with("@@");
    match (before, &last.token) {
        ([.., sign], Token::Word(Word { value, quote_style: Some(_), .. }) | Token::SingleQuotedString(value))
            if touches(sign, last) && bare(sign).as_deref() == Some("@") =>
        {
            // Not the host of 'user'@'host'.
            let of_account = before.len() > 1
                && touches(&before[before.len() - 2], sign)
                && matches!(before[before.len() - 2].token, Token::SingleQuotedString(_) | Token::Word(_));
            (!of_account).then(|| (format!("@{value}"), sign.start, 1))
        }
        ([.., name, dot], Token::Word(Word { value, quote_style: None, .. }))
            if dot.token == Token::Period && touches(name, dot) && touches(dot, last) =>
        {
            let name_text = bare(name).filter(|name| is_variable(name))?;
            Some((format!("{name_text}.{value}"), name.start, 2))
        }
        _ => None,
    }
}

fn is_introducer(word: &str) -> bool {
    ["_utf8mb4", "_utf8mb3", "_utf8", "_latin1", "_ascii", "_binary"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Turns the tokenizer's lines and columns, asked for in growing order, into bytes.
struct Places<'a> {
    text: &'a str,
    byte: usize,
    line: u64,
    column: u64,
}

impl Places<'_> {
    fn byte_of(&mut self, at: Location) -> usize {
        let rest = &self.text[self.byte..];
        for (i, c) in rest.char_indices() {
            if (self.line, self.column) >= (at.line, at.column) {
                self.byte += i;
                return self.byte;
            }
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.byte = self.text.len();
        self.byte
    }
}

/// One statement's tokens and its slice of the text.
pub(super) struct Piece {
    pub toks: Vec<Tok>,
    pub start: usize,
    pub end: usize,
    pub hints: Vec<String>,
    /// MySQL: the limit that a hint after the first SELECT names, in milliseconds.
    pub limit: Option<u64>,
    pub params: usize,
}

/// Splits at semicolons, drops what is empty, and numbers the parameters of each statement.
pub(super) fn split(dialect: &Dialect, text: &str, lexed: Lexed) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut hints = lexed.hints.into_iter().peekable();
    let mut toks = Vec::new();
    let mut start = 0;
    let end_of_text = Tok { token: Token::SemiColon, start: text.len(), end: text.len() };
    for tok in lexed.toks.into_iter().chain(std::iter::once(end_of_text)) {
        if tok.token != Token::SemiColon {
            toks.push(tok);
            continue;
        }
        let mut own_hints = Vec::new();
        let mut limit = None;
        while let Some((at, hint)) = hints.next_if(|(at, _)| *at < tok.start) {
            if dialect.is_mysql() && limit.is_none() && is_after_first_select(&toks, at) {
                limit = limit_in(&hint);
            }
            own_hints.push(hint);
        }
        if !toks.is_empty() {
            let mut toks = std::mem::take(&mut toks);
            let params = number_params(dialect, &mut toks);
            let slice = &text[start..tok.start];
            let trimmed = slice.trim_start();
            let from = start + (slice.len() - trimmed.len());
            pieces.push(Piece { toks, start: from, end: from + trimmed.trim_end().len(), hints: own_hints, limit, params });
        }
        start = tok.end;
    }
    pieces
}

/// Is the token before `at` the first SELECT of a statement that stands in no parentheses but those around the statement?
fn is_after_first_select(toks: &[Tok], at: usize) -> bool {
    let is_select = |tok: &Tok| matches!(&tok.token, Token::Word(word) if word.keyword == Keyword::SELECT && word.quote_style.is_none());
    let outer = toks.iter().take_while(|tok| tok.token == Token::LParen).count();
    let mut depth = 0_usize;
    let first = toks.iter().position(|tok| {
        match tok.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= outer && is_select(tok)
    });
    first.is_some_and(|first| toks.partition_point(|tok| tok.start < at) == first + 1)
}

/// `MAX_EXECUTION_TIME(n)`, or `SET_VAR(max_execution_time = n)`; as in MySQL, 0 says nothing.
fn limit_in(hint: &str) -> Option<u64> {
    let hint = hint.to_ascii_lowercase();
    let rest = hint.split_once("max_execution_time")?.1.trim_start();
    let digits = rest.strip_prefix(['(', '='])?.trim_start();
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().filter(|millis| *millis > 0)
}

/// `?` becomes `$n` in text order, so that moving a clause does not renumber. Answers how many there are.
fn number_params(dialect: &Dialect, toks: &mut [Tok]) -> usize {
    let mut count = 0;
    for tok in toks {
        if let Token::Placeholder(name) = &mut tok.token {
            if dialect.is_mysql() {
                count += 1;
                *name = format!("${count}");
            } else {
                count = count.max(name.trim_start_matches('$').parse().unwrap_or(0));
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Server;

    fn words(dialect: &Dialect, text: &str) -> Vec<String> {
        lex(dialect, text).unwrap().toks.iter().map(|t| t.token.to_string()).collect()
    }

    #[test]
    fn offsets_are_bytes_of_the_text_even_after_wide_characters_and_lines() {
        let text = "SELECT 'gr\u{fc}n'\r\n , \u{1F600}x -- c\n FROM t";
        for tok in lex(&Dialect::MYSQL, text).unwrap().toks {
            let slice = &text[tok.start..tok.end];
            assert!(!slice.is_empty() && !slice.contains(char::is_whitespace), "{slice:?}");
        }
    }

    #[test]
    fn versioned_comments_are_executed_and_those_for_later_servers_are_not() {
        assert_eq!(words(&Dialect::MYSQL, "/*!40101 SET NAMES utf8 */"), ["SET", "NAMES", "utf8"]);
        assert_eq!(words(&Dialect::MYSQL, "SELECT 1 /*!99999 , 2 */ /*! , 3*/"), ["SELECT", "1", ",", "3"]);
        assert_eq!(words(&Dialect::POSTGRES, "SELECT 1 /*!40101 , 2 */"), ["SELECT", "1"]);
        let maria = Dialect { server: Server { mariadb: true, version: 101_106 }, ..Dialect::MYSQL };
        assert_eq!(words(&maria, "SELECT 1 /*!80000 , 2 */ /*M!100100 , 3*/ /*!100000 , 4*/"), ["SELECT", "1", ",", "3", ",", "4"]);
        assert_eq!(words(&Dialect::MYSQL, "SELECT 1 /*M!100100 , 3*/"), ["SELECT", "1"]);
        // A comment within one that is passed over does not end it, nor does a quote begin a string.
        assert_eq!(words(&Dialect::MYSQL, "SELECT 1 /*!99999 it /* 's */ it's */ , 'x'"), ["SELECT", "1", ",", "'x'"]);
        // MariaDB 10.11 and MySQL 9.7 refuse it.
        assert!(lex(&Dialect::MYSQL, "SELECT 1 /*!99999 /* */ no end").is_err());
    }

    #[test]
    fn quotes_mean_what_the_session_says() {
        let string = |d: &Dialect, t: &str| matches!(&lex(d, t).unwrap().toks[0].token, Token::SingleQuotedString(_));
        assert!(string(&Dialect::MYSQL, "\"a\""));
        assert!(!string(&Dialect { ansi_quotes: true, ..Dialect::MYSQL }, "\"a\""));
        assert!(!string(&Dialect::POSTGRES, "\"a\""));
        assert_eq!(words(&Dialect::MYSQL, r"'a\'b'").len(), 1);
        assert!(lex(&Dialect { no_backslash_escapes: true, ..Dialect::MYSQL }, r"'a\'b'").is_err());
        assert_eq!(words(&Dialect::POSTGRES, "E'a\\nb' $$x'y$$"), ["'a\nb'", "'x'y'"]);
    }

    #[test]
    fn strings_of_postgres_follow_standard_conforming_strings() {
        let (on, off) = (Dialect::POSTGRES, Dialect { no_backslash_escapes: false, ..Dialect::POSTGRES });
        let texts = |d: &Dialect, t: &str| match &lex(d, t).unwrap().toks[0].token {
            Token::SingleQuotedString(text) => text.clone(),
            other => panic!("{other}"),
        };
        assert_eq!(texts(&on, r"'a\b'"), r"a\b");
        assert_eq!(texts(&off, r"'a\\b\x41\101\u0041\t\q''\''"), "a\\bAAA\tq''");
        assert_eq!(texts(&off, r"E'it\'s'"), "it's");
        assert_eq!(texts(&off, "$$a\\'b$$"), r"a\'b");
        assert_eq!(words(&off, r#"'it\'s', "a\", b"#).len(), 5);
        assert!(lex(&on, r"'it\'s'").is_err() && lex(&off, r"U&'\0041'").is_err() && lex(&off, r"'a\'").is_err());
    }

    #[test]
    fn a_string_goes_on_in_the_next_line() {
        assert_eq!(words(&Dialect::POSTGRES, "'a'\n  'b' \n'c'"), ["'abc'"]);
        assert_eq!(words(&Dialect::POSTGRES, "'a' 'b'").len(), 2);
    }

    #[test]
    fn parameters_are_numbered_within_each_statement() {
        let text = "SELECT ?, ?; /* ; */ SELECT '?', ? ;; ";
        let pieces = split(&Dialect::MYSQL, text, lex(&Dialect::MYSQL, text).unwrap());
        assert_eq!(pieces.iter().map(|p| p.params).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(&text[pieces[1].start..pieces[1].end], "/* ; */ SELECT '?', ?");
    }

    #[test]
    fn the_hint_of_a_limit_counts_behind_the_first_select_of_a_query() {
        let limit = |text: &str| crate::sql::parse(&Dialect::MYSQL, text).unwrap()[0].limit;
        for text in [
            "SELECT /*+ MAX_EXECUTION_TIME(100) */ 1",
            "select/*+max_execution_time( 100 )*/ a from t",
            "/* c */ (SELECT /*+ NO_ICP(t) MAX_EXECUTION_TIME(100) */ a FROM t) UNION SELECT 2",
            "SELECT /*+ SET_VAR(max_execution_time = 100) */ 1",
            "WITH c AS (SELECT 1) SELECT /*+ MAX_EXECUTION_TIME(100) */ * FROM c",
            "EXPLAIN ANALYZE SELECT /*+ MAX_EXECUTION_TIME(100) */ 1",
            "SET STATEMENT time_zone = 'UTC' FOR SELECT /*+ MAX_EXECUTION_TIME(100) */ a INTO @a FROM t",
        ] {
            assert_eq!(limit(text), Some(100), "{text}");
        }
        // MySQL 9.7 warns of the last three (3125) and passes them over.
        for text in [
            "SELECT /* MAX_EXECUTION_TIME(100) */ 1",
            "SELECT /*+ MAX_EXECUTION_TIME(0) */ 1",
            "SELECT /*+ MAX_EXECUTION_TIME */ 1",
            "SELECT 1 /*+ MAX_EXECUTION_TIME(100) */",
            "SELECT a FROM (SELECT /*+ MAX_EXECUTION_TIME(100) */ 1 AS a) t",
            "WITH c AS (SELECT /*+ MAX_EXECUTION_TIME(100) */ 1) SELECT * FROM c",
            "INSERT INTO t SELECT /*+ MAX_EXECUTION_TIME(100) */ 1",
        ] {
            assert_eq!(limit(text), None, "{text}");
        }
    }
}
