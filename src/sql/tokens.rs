//! A token and its place: what the parsers of this room read.

use datafusion::sql::sqlparser::tokenizer::Token;

/// A token and where it stands in the text, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tok {
    pub token: Token,
    pub start: usize,
    pub end: usize,
}
