//! A reader over the tokens of one statement: what the recursive-descent parsers of our own statements stand on.

use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Word};

use super::as_of;
use super::ddl::Name;
use super::language::Dialect;
use super::query::{TimeClause, TimeKind};
use super::tokens::Tok;
use super::{ast, errors};
use crate::error::{Error, Kind, Result};

/// Tokens that one expression of our own statements may have.
const MAX_EXPRESSION_TOKENS: usize = 1_000;

/// Reads tokens from left to right.
pub(super) struct Cursor<'a> {
    pub dialect: &'a Dialect,
    pub text: &'a str,
    toks: &'a [Tok],
    at: usize,
    /// Where the statement ends, in bytes.
    end: usize,
}

impl<'a> Cursor<'a> {
    /// The name of a prepared statement or cursor as it is kept: PostgreSQL shares it with the protocol, whose names are exact.
    pub(super) fn statement_name(&mut self) -> Result<String> {
        let bare = matches!(self.peek(), Some(Token::Word(word)) if word.quote_style.is_none());
        let name = self.ident()?;
        Ok(if bare && !self.dialect.is_mysql() { name.to_lowercase() } else { name })
    }

    pub fn new(dialect: &'a Dialect, text: &'a str, toks: &'a [Tok], end: usize) -> Cursor<'a> {
        Cursor { dialect, text, toks, at: 0, end }
    }

    /// The token `n` ahead.
    pub fn peek_at(&self, n: usize) -> Option<&'a Token> {
        self.toks.get(self.at + n).map(|t| &t.token)
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.peek_at(0)
    }

    pub fn is_end(&self) -> bool {
        self.at >= self.toks.len()
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    pub fn skip(&mut self, n: usize) {
        self.at = (self.at + n).min(self.toks.len());
    }

    /// How many tokens were taken: hand it to [`Cursor::back_to`].
    pub fn mark(&self) -> usize {
        self.at
    }

    pub fn back_to(&mut self, mark: usize) {
        self.at = mark;
    }

    /// The tokens that remain.
    pub fn rest(&self) -> &'a [Tok] {
        &self.toks[self.at..]
    }

    /// Byte offset of the next token, or of the statement's end.
    pub fn offset(&self) -> usize {
        self.toks.get(self.at).map_or(self.end, |t| t.start)
    }

    /// The end of the statement in the text.
    pub fn end_offset(&self) -> usize {
        self.end
    }

    /// Is the token `n` ahead this bare word?
    pub fn is_word_at(&self, n: usize, word: &str) -> bool {
        matches!(self.peek_at(n), Some(Token::Word(Word { value, quote_style: None, .. })) if value.eq_ignore_ascii_case(word))
    }

    /// Do these bare words come next? They are given with spaces between.
    pub fn is(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, word)| self.is_word_at(n, word))
    }

    /// Takes these bare words if they come next.
    pub fn accept(&mut self, words: &str) -> bool {
        let found = self.is(words);
        if found {
            self.at += words.split(' ').count();
        }
        found
    }

    /// Takes the first of these alternatives that comes next.
    pub fn accept_one(&mut self, alternatives: &[&'static str]) -> Option<&'static str> {
        alternatives.iter().copied().find(|words| self.accept(words))
    }

    /// These words must come next.
    pub fn expect(&mut self, words: &str) -> Result<()> {
        if self.accept(words) { Ok(()) } else { Err(self.wanted(words)) }
    }

    /// Takes this token if it comes next.
    pub fn accept_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.at += 1;
        }
        found
    }

    pub fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.accept_token(token) { Ok(()) } else { Err(self.wanted(&token.to_string())) }
    }

    /// A syntax error at the next token.
    pub fn error(&self) -> Error {
        errors::near(self.dialect, self.text, self.offset())
    }

    /// A syntax error at the next token that says what was expected.
    pub fn wanted(&self, what: &str) -> Error {
        self.error().with_hint(format!("expected {what}"))
    }

    /// Nothing may follow.
    pub fn finish(&self) -> Result<()> {
        if self.is_end() { Ok(()) } else { Err(self.wanted("the end of the statement")) }
    }

    /// A name's part: a bare or quoted word.
    pub fn ident(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word.value.clone())
            }
            _ => Err(self.wanted("a name")),
        }
    }

    /// A name's part, or a string.
    pub fn ident_or_string(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::SingleQuotedString(value)) => {
                self.at += 1;
                Ok(value.clone())
            }
            _ => self.ident(),
        }
    }

    /// One to three parts.
    pub fn name(&mut self) -> Result<Name> {
        let mut parts = vec![self.ident()?];
        while parts.len() < 3 && self.accept_token(&Token::Period) {
            parts.push(self.ident()?);
        }
        Ok(Name { parts })
    }

    /// `a, b, c` of anything, at least one.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accept_token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `(a, b, c)`.
    pub fn parenthesised<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_token(&Token::LParen)?;
        let items = self.list(item)?;
        self.expect_token(&Token::RParen)?;
        Ok(items)
    }

    /// Takes everything to the matching `)`; the `(` has been taken.
    pub fn skip_parenthesis(&mut self) -> Result<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth -= 1,
                Some(_) => {}
                None => return Err(self.wanted(")")),
            }
        }
        Ok(())
    }

    /// A string literal.
    pub fn string(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::SingleQuotedString(value)) => {
                self.at += 1;
                Ok(value.clone())
            }
            _ => Err(self.wanted("a string in quotes")),
        }
    }

    /// A whole number.
    pub fn number(&mut self) -> Result<u64> {
        match self.peek() {
            Some(Token::Number(digits, _)) => match digits.parse() {
                Ok(number) => {
                    self.at += 1;
                    Ok(number)
                }
                Err(_) => Err(self.wanted("a whole number")),
            },
            _ => Err(self.wanted("a whole number")),
        }
    }

    /// A whole number with a sign.
    pub fn signed_number(&mut self) -> Result<i64> {
        let negative = self.accept_token(&Token::Minus);
        let number = i64::try_from(self.number()?).map_err(|_| self.wanted("a smaller number"))?;
        Ok(if negative { -number } else { number })
    }

    /// MySQL's `@name`, `@'name'`, without the sign; not `@@name`.
    pub fn user_variable(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::AtSign) => {
                self.at += 1;
                self.ident_or_string()
            }
            Some(Token::Word(word)) if word.value == "@" && word.quote_style.is_none() => {
                self.at += 1;
                self.ident_or_string()
            }
            Some(Token::Word(word)) if word.quote_style.is_none() && word.value.starts_with('@') && !word.value.starts_with("@@") => {
                self.at += 1;
                Ok(word.value[1..].to_owned())
            }
            _ => Err(self.wanted("a user variable like @name")),
        }
    }

    /// Does `WITH (` come next: options, not a query's WITH?
    pub fn is_with_list(&self) -> bool {
        self.is("WITH") && self.peek_at(1) == Some(&Token::LParen)
    }

    /// `IF EXISTS`.
    pub fn if_exists(&mut self) -> bool {
        self.accept("IF EXISTS")
    }

    /// `IF NOT EXISTS`.
    pub fn if_not_exists(&mut self) -> bool {
        self.accept("IF NOT EXISTS")
    }

    /// An expression, read by sqlparser.
    pub fn expr(&mut self) -> Result<ast::Expr> {
        self.with_parser(|parser| parser.parse_expr())
    }

    /// Lets sqlparser read from here on, and goes on behind what it took.
    pub fn with_parser<T>(
        &mut self,
        read: impl FnOnce(&mut Parser) -> Result<T, datafusion::sql::sqlparser::parser::ParserError>,
    ) -> Result<T> {
        let window = &self.rest()[..self.rest().len().min(MAX_EXPRESSION_TOKENS)];
        let parser_dialect = super::dialect::of(self.dialect, window.len());
        as_of::guard_chains(window)?;
        let mut parser = as_of::parser(parser_dialect.as_ref(), as_of::spanned(window.to_vec()));
        let value =
            read(&mut parser).map_err(|error| errors::of_parser(self.dialect, self.text, &errors::places(self.rest()), self.end, error))?;
        let taken = parser.index();
        if taken == MAX_EXPRESSION_TOKENS && taken < self.rest().len() {
            return Err(
                Error::new(Kind::Syntax, "an expression of this statement is too long").at(errors::position(self.text, self.offset()))
            );
        }
        self.skip(taken);
        Ok(value)
    }

    /// A time clause if one comes next: `AS OF ..` or `FOR .. AS OF ..`.
    pub fn time_clause(&mut self) -> Result<Option<TimeClause>> {
        let Some((kind, introduction)) = as_of::introduction(self.rest()) else { return Ok(None) };
        self.skip(introduction);
        Ok(Some(TimeClause { kind, expr: self.expr()? }))
    }

    /// `TIMESTAMP e | TSO e | e`.
    pub fn time(&mut self) -> Result<TimeClause> {
        let kind = match self.accept_one(&["TSO", "TIMESTAMP"]) {
            Some("TSO") => TimeKind::Tso,
            _ => TimeKind::Timestamp,
        };
        Ok(TimeClause { kind, expr: self.expr()? })
    }
}
