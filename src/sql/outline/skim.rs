//! From text to words and signs, one at a time: what is enough to see where a text names tables.
//!
//! Unlike the lexer it keeps nothing, so that a text of any length costs no memory, and it takes any text: a string
//! without an end is one that ends with the text.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};

use super::super::server::{end_of_comment, is_conditional};
use super::super::statement::Dialect;

/// What stands next in a text, white space and comments left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tok<'a> {
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

impl<'a> Tok<'a> {
    /// The name that it is.
    pub fn name(self) -> Option<Cow<'a, str>> {
        match self {
            Tok::Word(word) => Some(word.into()),
            Tok::Quoted(inside, quote) if inside.contains(quote) => {
                let doubled: String = [quote, quote].into_iter().collect();
                Some(inside.replace(&doubled, quote.encode_utf8(&mut [0; 4])).into())
            }
            Tok::Quoted(inside, _) => Some(inside.into()),
            _ => None,
        }
    }
}

/// Reads a text.
pub(super) struct Skim<'a> {
    dialect: &'a Dialect,
    mysql: bool,
    text: &'a str,
    bytes: &'a [u8],
    /// Behind the last token.
    at: usize,
    /// Where the last token began.
    start: usize,
    /// A string, a name or a comment has no end.
    pub unended: bool,
    /// `/*!` was read whose `*/` is still to come.
    in_code: bool,
}

impl<'a> Skim<'a> {
    pub fn new(dialect: &'a Dialect, text: &'a str) -> Skim<'a> {
        Skim { dialect, mysql: dialect.is_mysql(), text, bytes: text.as_bytes(), at: 0, start: 0, unended: false, in_code: false }
    }

    /// Where the last token stands.
    pub fn span(&self) -> (usize, usize) {
        (self.start, self.at)
    }

    pub fn next(&mut self) -> Option<Tok<'a>> {
        loop {
            self.start = self.at;
            let byte = *self.bytes.get(self.at)?;
            let after = self.bytes.get(self.at + 1).copied();
            match byte {
                _ if byte.is_ascii_whitespace() || byte == 0 => self.at += 1,
                b'_' | 0x80.. => return Some(self.word()),
                _ if byte.is_ascii_alphanumeric() => return Some(self.word()),
                b'$' if self.mysql => return Some(self.word()),
                b'$' => return Some(self.dollar()),
                b'\'' => {
                    let escapes = !self.dialect.no_backslash_escapes;
                    return Some(Tok::Text(self.quoted(byte, escapes)));
                }
                b'"' if self.mysql && !self.dialect.ansi_quotes => {
                    return Some(Tok::Text(self.quoted(byte, !self.dialect.no_backslash_escapes)));
                }
                b'"' => return Some(Tok::Quoted(self.quoted(byte, false), '"')),
                b'`' if self.mysql => return Some(Tok::Quoted(self.quoted(byte, false), '`')),
                b'-' if after == Some(b'-') && (!self.mysql || self.bytes.get(self.at + 2).is_none_or(|b| *b <= b' ')) => self.skip_line(),
                b'#' if self.mysql => self.skip_line(),
                b'/' if after == Some(b'*') => self.comment(),
                b'*' if self.in_code && after == Some(b'/') => {
                    self.in_code = false;
                    self.at += 2;
                }
                b'@' if self.mysql => return Some(self.variable()),
                _ => {
                    self.at += 1;
                    return Some(Tok::Sign(byte));
                }
            }
        }
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    fn word(&mut self) -> Tok<'a> {
        let from = self.at;
        let rest = &self.bytes[from..];
        let length = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | 0x80..))).unwrap_or(rest.len());
        self.at += length;
        let word = self.slice(from, self.at);
        // E'it\'s': one token, of which nobody wants more than that it is a string.
        if !self.mysql && length == 1 && matches!(rest[0], b'e' | b'E') && self.bytes.get(self.at) == Some(&b'\'') {
            return Tok::Text(self.quoted(b'\'', true));
        }
        Tok::Word(word)
    }

    fn variable(&mut self) -> Tok<'a> {
        self.at += 1;
        let system = self.bytes.get(self.at) == Some(&b'@');
        self.at += usize::from(system);
        match self.bytes.get(self.at) {
            Some(&quote @ (b'\'' | b'"' | b'`')) => Tok::Variable(self.quoted(quote, quote != b'`'), system),
            Some(b'_' | b'$' | b'.' | 0x80..) => self.bare_variable(system),
            Some(byte) if byte.is_ascii_alphanumeric() => self.bare_variable(system),
            _ => Tok::Variable("", system),
        }
    }

    /// A dot belongs to the name of a user's variable.
    fn bare_variable(&mut self, system: bool) -> Tok<'a> {
        let from = self.at;
        let rest = &self.bytes[from..];
        let goes_on = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.' | 0x80..);
        self.at += rest.iter().position(|b| !goes_on(b)).unwrap_or(rest.len());
        Tok::Variable(self.slice(from, self.at), system)
    }

    /// What is between quotes; the first of them stands at `at`.
    fn quoted(&mut self, quote: u8, backslash: bool) -> &'a str {
        let from = self.at + 1;
        let mut at = from;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let found = if backslash { memchr2(quote, b'\\', rest) } else { memchr(quote, rest) };
            let Some(offset) = found else {
                self.unended = true;
                self.at = self.bytes.len();
                return self.slice(from.min(self.at), self.at);
            };
            at += offset;
            if self.bytes[at] == b'\\' || self.bytes.get(at + 1) == Some(&quote) {
                at += 2;
                continue;
            }
            self.at = at + 1;
            return self.slice(from, at);
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += memchr(b'\n', rest).unwrap_or(rest.len());
    }

    /// As the scan of `route` reads comments.
    fn comment(&mut self) {
        self.at += 2;
        let inside = &self.bytes[self.at..];
        if self.mysql
            && let Some(code) = self.dialect.server.code_in(inside)
        {
            self.at += code;
            self.in_code = true;
            return;
        }
        let length = end_of_comment(inside, if self.mysql { usize::from(is_conditional(inside)) } else { usize::MAX });
        self.unended |= !inside[..length].ends_with(b"*/");
        self.at += length;
    }

    /// PostgreSQL's `$tag$ .. $tag$` and `$1`.
    fn dollar(&mut self) -> Tok<'a> {
        let from = self.at;
        let rest = &self.bytes[from..];
        let tag = rest[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(**b, b'_' | 0x80..)).count();
        if rest.get(tag + 1) != Some(&b'$') || rest.get(1).is_some_and(u8::is_ascii_digit) {
            self.at += 1 + tag;
            return Tok::Sign(b'?');
        }
        let (tag, body) = rest.split_at(tag + 2);
        let length = memmem::find(body, tag);
        self.unended |= length.is_none();
        let inside = from + tag.len();
        let end = inside + length.unwrap_or(body.len());
        self.at = end + length.map_or(0, |_| tag.len());
        Tok::Text(self.slice(inside, end))
    }
}
