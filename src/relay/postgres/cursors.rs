//! Cursors that DECLARE opens over cold tables. Each has a cursor of its name at the upstream, which reads nothing: so it is one
//! set of names, and it is the upstream that ends it, with its transaction, a rollback to a savepoint before it, or a CLOSE.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::expected::Suppress;
use super::upstream_side::fields;
use crate::wire::postgres::fault::{Fault, Step};

/// Which cursors are open at the upstream, and the end of what was declared.
const OPEN: &str = "SELECT c.name, pg_catalog.right(c.statement, 64) FROM pg_catalog.pg_cursors c";

/// The local cursors.
#[derive(Default)]
pub(super) struct Cursors {
    /// By name, each with its number.
    pub open: HashMap<String, u64>,
    /// How many were declared.
    declared: u64,
    /// Statements that had gone to the upstream, and transactions that had ended there, when it was last asked.
    asked_at: Option<(u64, u64)>,
}

/// How the text ends that declared the cursor of this number at the upstream.
fn mark(number: u64) -> String {
    format!("/* flashgate: cursor {number} */")
}

/// A name in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What is declared at the upstream. A held cursor is run to its end by COMMIT, so that it must not fail; any other does when
/// somebody fetches from it after all.
fn declaration(name: &str, hold: bool, number: u64) -> String {
    let (held, query) = match hold {
        true => ("WITH HOLD ", "SELECT 'a cursor over cold tables'::pg_catalog.text WHERE false"),
        false => ("", "SELECT pg_catalog.current_setting('flashgate: a cursor over cold tables')"),
    };
    format!("DECLARE {} NO SCROLL CURSOR {held}FOR {query} {}", quoted(name), mark(number))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Declares a local cursor at the upstream; false: it has told the client why not. `within`: as part of the client's
    /// pipeline.
    pub(super) async fn reserve_cursor(&mut self, name: &str, hold: bool, within: bool) -> Step<bool> {
        let cursors = &mut self.local().await?.cursors;
        cursors.declared += 1;
        let text = declaration(name, hold, cursors.declared);
        match within {
            true => self.run_within(&text, Suppress::AllButErrors).await,
            false => self.command(&text, Suppress::AllButErrors).await,
        }
    }

    /// A cursor whose name was reserved a moment ago has been declared, or could not be.
    pub(super) fn cursor_declared(&mut self, name: &str) {
        if let Some(local) = &mut self.local
            && local.connection.session.has_cursor(name)
        {
            local.cursors.open.insert(name.to_owned(), local.cursors.declared);
        }
    }

    /// Forgets the local cursors that have ended at the upstream; true: there were some. Everything before must be answered.
    pub(super) async fn forget_ended_cursors(&mut self) -> Step<bool> {
        let now = |relay: &Self| Some((relay.pump.client_side.relayed, relay.pump.upstream_side.idles));
        let failed = self.pump.upstream_side.status == b'E' || self.pump.upstream_side.expected.is_skipping();
        match &self.local {
            Some(local) if !failed && local.connection.session.cursor_names().next().is_some() && local.cursors.asked_at != now(self) => {}
            _ => return Ok(false),
        }
        let Some(rows) = self.rows_of(OPEN).await? else {
            return Err(Fault::error("58000", "the upstream did not tell which cursors are open").into());
        };
        let open: HashMap<String, String> = rows
            .iter()
            .filter_map(|row| match fields(row).as_slice() {
                [Some(name), Some(end)] => Some((name.clone(), end.clone())),
                _ => None,
            })
            .collect();
        let asked_at = now(self);
        let names = &mut self.pump.client_side.names;
        let Some(local) = self.local.as_deref_mut() else { return Ok(false) };
        local.cursors.asked_at = asked_at;
        local.cursors.open.retain(|name, number| open.get(name).is_some_and(|end| end.ends_with(&mark(*number))));
        let before: Vec<String> = local.connection.session.cursor_names().map(str::to_owned).collect();
        local.connection.session.keep_cursors(|name| local.cursors.open.contains_key(name));
        for name in before.iter().filter(|name| !local.cursors.open.contains_key(*name)) {
            names.held.remove(name.as_bytes());
            if !local.connection.portals.contains_key(name) && !local.followed.portals.contains_key(name.as_bytes()) {
                names.portals.remove(name.as_bytes());
            }
        }
        Ok(before.len() > local.cursors.open.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_told_from_others_of_its_name_by_how_its_text_ends() {
        let text = declaration("a\"b", true, 12);
        assert!(text.starts_with("DECLARE \"a\"\"b\" NO SCROLL CURSOR WITH HOLD FOR "));
        let end = &text[text.len() - 64..];
        assert!(end.ends_with(&mark(12)) && !end.ends_with(&mark(2)));
    }
}
