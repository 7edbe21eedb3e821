//! An array as PostgreSQL writes it: `{1,NULL,"a \"b\""}`, `{{1,2},{3,4}}` (arrayfuncs.c, array_in).

use datafusion::sql::sqlparser::ast::{Array, Expr};

use crate::error::{Error, Kind, Result};

/// An item of an array.
#[derive(Debug, PartialEq)]
pub(super) enum ArrayItem {
    Null,
    Text(String),
    List(Vec<ArrayItem>),
}

/// Reads a whole array.
pub(super) fn parse(text: &str) -> Result<Vec<ArrayItem>> {
    let malformed = || Error::new(Kind::InvalidValue, format!("malformed array literal: \"{text}\""));
    let mut reader = Reader { rest: text.trim() };
    let items = reader.list().filter(|_| reader.rest.is_empty()).ok_or_else(malformed)?;
    if shape(&items).is_none() {
        return Err(malformed());
    }
    Ok(items)
}

/// Items as an expression; `element` makes one of a text, or of NULL.
pub(super) fn expression(items: Vec<ArrayItem>, element: &impl Fn(Option<String>) -> Result<Expr>) -> Result<Expr> {
    let elem = items
        .into_iter()
        .map(|item| match item {
            ArrayItem::Null => element(None),
            ArrayItem::Text(text) => element(Some(text)),
            ArrayItem::List(items) => expression(items, element),
        })
        .collect::<Result<_>>()?;
    Ok(Expr::Array(Array { elem, named: true }))
}

/// The lengths of all dimensions; None: rows differ in theirs.
fn shape(items: &[ArrayItem]) -> Option<Vec<usize>> {
    let mut inner: Option<Vec<usize>> = None;
    for item in items {
        let of_item = match item {
            ArrayItem::List(items) => shape(items)?,
            _ => Vec::new(),
        };
        if inner.as_ref().is_some_and(|inner| inner != &of_item) {
            return None;
        }
        inner = Some(of_item);
    }
    let mut lengths = vec![items.len()];
    lengths.extend(inner.unwrap_or_default());
    Some(lengths)
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    }

    fn eat(&mut self, ch: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(ch) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let ch = self.rest.chars().next()?;
        self.rest = &self.rest[ch.len_utf8()..];
        Some(ch)
    }

    fn list(&mut self) -> Option<Vec<ArrayItem>> {
        if !self.eat('{') {
            return None;
        }
        let mut items = Vec::new();
        if self.eat('}') {
            return Some(items);
        }
        loop {
            self.blanks();
            items.push(if self.rest.starts_with('{') { ArrayItem::List(self.list()?) } else { self.item()? });
            if self.eat('}') {
                return Some(items);
            }
            if !self.eat(',') {
                return None;
            }
        }
    }

    fn item(&mut self) -> Option<ArrayItem> {
        let mut out = String::new();
        if self.eat('"') {
            loop {
                match self.next()? {
                    '"' => return Some(ArrayItem::Text(out)),
                    '\\' => out.push(self.next()?),
                    ch => out.push(ch),
                }
            }
        }
        // Blanks at the end do not count, but those that are escaped do.
        let (mut kept, mut escaped) = (0, false);
        loop {
            match self.rest.chars().next()? {
                ',' | '}' => break,
                '{' | '"' => return None,
                '\\' => {
                    self.next();
                    out.push(self.next()?);
                    (kept, escaped) = (out.len(), true);
                }
                ch => {
                    self.next();
                    out.push(ch);
                    kept = if ch.is_ascii_whitespace() { kept } else { out.len() };
                }
            }
        }
        out.truncate(kept);
        match out.as_str() {
            "" if !escaped => None,
            word if !escaped && word.eq_ignore_ascii_case("null") => Some(ArrayItem::Null),
            _ => Some(ArrayItem::Text(out)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: &[&str]) -> Vec<ArrayItem> {
        items.iter().map(|t| ArrayItem::Text((*t).to_owned())).collect()
    }

    #[test]
    fn items_are_read_with_their_quotes_and_escapes() {
        assert_eq!(parse(r#"{"a,b"}"#).unwrap(), texts(&["a,b"]));
        assert_eq!(parse(r#"{"a\"b","c\\d"}"#).unwrap(), texts(&["a\"b", "c\\d"]));
        assert_eq!(parse("{ a b , c }").unwrap(), texts(&["a b", "c"]));
        assert_eq!(parse(r"{a\,b}").unwrap(), texts(&["a,b"]));
        assert_eq!(parse("{}").unwrap(), []);
        assert_eq!(
            parse(r#"{NULL,"NULL",""}"#).unwrap(),
            [vec![ArrayItem::Null], texts(&["NULL", ""])].into_iter().flatten().collect::<Vec<_>>()
        );
        assert_eq!(parse("{{1,2},{3,4}}").unwrap(), [ArrayItem::List(texts(&["1", "2"])), ArrayItem::List(texts(&["3", "4"]))]);
    }

    #[test]
    fn what_is_no_array_is_malformed() {
        for text in ["a", "{a", "{a,}", "{,a}", "{{1,2},{3}}", "{1,{2}}", r#"{"a"b}"#, "{a}b", "{a\"b\"}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
