//! Syntax errors in the words of each server, with the place in the text.

use datafusion::sql::sqlparser::parser::ParserError;

use super::language::{Dialect, Family};
use super::tokens::Tok;
use crate::error::{Error, Kind};

/// MySQL quotes this many characters of the text that it could not read.
const NEAR_CHARS: usize = 80;

/// A syntax error at byte `at` of `text`.
pub(super) fn near(dialect: &Dialect, text: &str, at: usize) -> Error {
    let at = at.min(text.len());
    let rest = text.get(at..).unwrap_or_default();
    let message = match dialect.family {
        Family::MySql => {
            let near: String = rest.chars().take(NEAR_CHARS).collect();
            let line = 1 + text.get(..at).unwrap_or(text).matches('\n').count();
            format!("You have an error in your SQL syntax near '{}' at line {line}", near.trim_end())
        }
        Family::Postgres if rest.trim().is_empty() => "syntax error at end of input".to_owned(),
        Family::Postgres => format!("syntax error at or near \"{}\"", first_token(rest)),
    };
    Error::new(Kind::Syntax, message).at(position(text, at))
}

/// The 1-based character position of a byte.
pub(super) fn position(text: &str, at: usize) -> usize {
    text.get(..at).map_or(0, |before| before.chars().count()) + 1
}

/// What PostgreSQL would quote: a word, a quoted string, or one character.
fn first_token(rest: &str) -> String {
    let mut chars = rest.chars();
    let Some(first) = chars.next() else { return String::new() };
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_' || *c == '$' || *c == '.';
    let mut token = String::from(first);
    if is_word(&first) {
        token.extend(chars.take_while(is_word).take(NEAR_CHARS));
    } else if first == '\'' || first == '"' {
        for c in chars.take(NEAR_CHARS) {
            token.push(c);
            if c == first {
                break;
            }
        }
    }
    token
}

/// A syntax error at the token with this index; at the end of the statement when there is none.
pub(super) fn at_token(dialect: &Dialect, text: &str, toks: &[(usize, usize)], end: usize, index: usize) -> Error {
    near(dialect, text, toks.get(index).map_or(end, |t| t.0))
}

/// sqlparser's error: its place is the index of our token, smuggled through as the column (see [`spanned`]).
pub(super) fn of_parser(dialect: &Dialect, text: &str, places: &[(usize, usize)], end: usize, error: ParserError) -> Error {
    match error {
        ParserError::RecursionLimitExceeded => {
            Error::new(Kind::Syntax, "the statement nests too deeply").with_hint("write it with fewer nested parentheses or subqueries")
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            let (what, index) = match message.rfind(" at Line: ") {
                Some(at) => {
                    let column = message.rsplit("Column: ").next().and_then(|n| n.trim().parse::<usize>().ok());
                    (&message[..at], column.map_or(usize::MAX, |column| column.saturating_sub(1)))
                }
                None => (message.as_str(), usize::MAX),
            };
            let wanted = what.split(", found:").next().unwrap_or(what).replacen("Expected: ", "expected ", 1);
            at_token(dialect, text, places, end, index).with_hint(wanted)
        }
    }
}

/// The places of tokens, for errors after the tokens themselves were handed over.
pub(super) fn places(toks: &[Tok]) -> Vec<(usize, usize)> {
    toks.iter().map(|t| (t.start, t.end)).collect()
}
