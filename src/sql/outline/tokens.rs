//! The pieces of a text that say where it names tables, one at a time.
//!
//! Unlike the lexer it keeps nothing, so that a text of any length costs no memory, and it takes any text: a string
//! without an end is one that ends with the text.

use std::borrow::Cow;

use super::super::scan::{Kind, Scan};
use super::super::statement::Dialect;

/// What stands next in a text, white space and comments left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A word without quotes; a number is one too.
    Word(&'a str),
    /// What stands between the quotes of a name; a quote within is doubled.
    Quoted(&'a str, char),
    /// What stands between the quotes of a string.
    Text(&'a str),
    /// `@name` and, if the flag is set, `@@name`.
    Variable(&'a str, bool),
    /// Any other byte. A placeholder is `?`.
    Sign(u8),
}

impl<'a> Token<'a> {
    /// The name that it is.
    pub fn name(self) -> Option<Cow<'a, str>> {
        match self {
            Token::Word(word) => Some(word.into()),
            Token::Quoted(inside, quote) if inside.contains(quote) => {
                let doubled: String = [quote, quote].into_iter().collect();
                Some(inside.replace(&doubled, quote.encode_utf8(&mut [0; 4])).into())
            }
            Token::Quoted(inside, _) => Some(inside.into()),
            _ => None,
        }
    }
}

/// Reads a text.
pub(super) struct Tokens<'a> {
    mysql: bool,
    text: &'a str,
    scan: Scan<'a>,
    /// Where the last token stands.
    span: (usize, usize),
    /// A string, a name or a comment has no end.
    pub unended: bool,
}

impl<'a> Tokens<'a> {
    pub fn new(dialect: &Dialect, text: &'a str) -> Tokens<'a> {
        Tokens { mysql: dialect.is_mysql(), text, scan: Scan::new(dialect, text.as_bytes()), span: (0, 0), unended: false }
    }

    /// Where the last token stands.
    pub fn span(&self) -> (usize, usize) {
        self.span
    }

    pub fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let piece = self.scan.next()?;
            self.unended |= !piece.ended;
            self.span = (piece.start, piece.end);
            let text = self.text.get(piece.inside()).unwrap_or_default();
            return Some(match piece.kind {
                Kind::Space | Kind::LineComment | Kind::Comment | Kind::CodeMark => continue,
                Kind::Word | Kind::Number => Token::Word(text),
                Kind::Name(quote) => Token::Quoted(text, char::from(quote.byte())),
                Kind::Text(_) => Token::Text(text),
                Kind::Parameter => Token::Sign(b'?'),
                Kind::Sign(b'@') if self.mysql => self.variable(),
                Kind::Sign(sign) => Token::Sign(sign),
            });
        }
    }

    /// What touches an `@` is the name of a variable: one in quotes, or words with dots between.
    fn variable(&mut self) -> Token<'a> {
        let mut ahead = self.scan.clone();
        let mut next = ahead.next();
        let system = next.is_some_and(|piece| piece.kind == Kind::Sign(b'@'));
        if system {
            self.scan = ahead.clone();
            next = ahead.next();
        }
        let mut name = "";
        match next {
            Some(piece) if matches!(piece.kind, Kind::Name(_) | Kind::Text(_)) && piece.inside().start == piece.start + 1 => {
                self.unended |= !piece.ended;
                self.scan = ahead;
                self.span.1 = piece.end;
                name = self.text.get(piece.inside()).unwrap_or_default();
            }
            Some(first) => {
                let mut end = first.start;
                while let Some(piece) = next.filter(|piece| matches!(piece.kind, Kind::Word | Kind::Number | Kind::Sign(b'.'))) {
                    end = piece.end;
                    self.scan = ahead.clone();
                    next = ahead.next();
                }
                self.span.1 = end;
                name = self.text.get(first.start..end).unwrap_or_default();
            }
            None => self.span.1 = self.text.len(),
        }
        Token::Variable(name, system)
    }
}
