//! The text that was read last, so that it is not read again for each of the questions that are asked of it.

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::sql::{self, Dialect, Parsed, Statement};

/// Longer texts are not kept, in bytes.
const LONGEST: usize = 4 << 10;

/// One query, read. Other statements are not kept: they may hold passwords.
#[derive(Default)]
pub(super) struct LastParsed(Mutex<Option<(Dialect, Box<str>, Parsed)>>);

impl LastParsed {
    /// As [`sql::parse_leading`].
    pub(super) fn parse(&self, dialect: &Dialect, text: &str) -> Result<(Vec<Parsed>, Option<Error>)> {
        if let Some((of, kept, parsed)) = &*self.0.lock()
            && (of, &**kept) == (dialect, text)
        {
            return Ok((vec![parsed.clone()], None));
        }
        let read = sql::parse_leading(dialect, text)?;
        let query = match &read {
            (statements, None) if text.len() <= LONGEST => match statements.as_slice() {
                [only] if matches!(only.statement, Statement::Query(_)) => Some((*dialect, text.into(), only.clone())),
                _ => None,
            },
            _ => None,
        };
        *self.0.lock() = query;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_same_only_in_the_same_dialect() {
        let last = LastParsed::default();
        let tree = |dialect: &Dialect| {
            let (statements, broken) = last.parse(dialect, "SELECT \"a\"").unwrap();
            assert!(broken.is_none() && statements.len() == 1);
            let Statement::Query(query) = &statements[0].statement else { panic!("not a query") };
            format!("{:?}", query.query)
        };
        let quoted = Dialect { ansi_quotes: true, ..Dialect::MYSQL };
        let (text, name) = (tree(&Dialect::MYSQL), tree(&quoted));
        assert_ne!(text, name);
        assert_eq!((tree(&quoted), tree(&Dialect::MYSQL)), (name, text));
    }

    #[test]
    fn what_may_hold_secrets_and_what_is_long_or_broken_is_not_kept() {
        let last = LastParsed::default();
        for text in ["SET PASSWORD = 'secret'", "SELECT 1; SELECT 2", "SELECT 1; SELEC 2", &format!("SELECT '{}'", "x".repeat(LONGEST))] {
            last.parse(&Dialect::MYSQL, "SELECT 1").unwrap();
            assert!(last.0.lock().is_some());
            let _ = last.parse(&Dialect::MYSQL, text);
            assert!(last.0.lock().is_none(), "{text}");
        }
    }
}
