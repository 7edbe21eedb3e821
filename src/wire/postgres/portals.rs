//! FETCH, MOVE and CLOSE of SQL on portals that Bind made: SQL and the protocol share their names. Cursors that DECLARE
//! made are the session's.

use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::extended::PortalState;
use super::fault::{Fault, Step};
use super::rows::{self, Cursor};
use crate::session::{Parsed, Reply};
use crate::sql::{FetchCount, Statement};
use crate::types::{ColumnInfo, fold};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The portal that a name of SQL means.
    pub(crate) fn portal_named(&self, name: &str) -> Option<String> {
        let folded = fold(name);
        [name, folded.as_str()].into_iter().find(|n| !n.is_empty() && self.portals.contains_key(*n)).map(str::to_owned)
    }

    /// Runs a statement that names one of our portals; None: the statement is the session's. `describe`: a simple query
    /// wants the columns before the rows. `codes`: the formats of the rows.
    pub(crate) async fn run_on_portal(&mut self, statement: &Parsed, codes: &[i16], describe: bool) -> Step<Option<String>> {
        let (Statement::Fetch { name, .. } | Statement::CloseCursor(Some(name))) = &statement.statement else {
            if matches!(statement.statement, Statement::CloseCursor(None)) {
                self.portals.clear();
            }
            return Ok(None);
        };
        let Some(name) = self.portal_named(name) else { return Ok(None) };
        if self.session.status().failed {
            return Err(Fault::error("25P02", "current transaction is aborted, commands ignored until end of transaction block").into());
        }
        let Statement::Fetch { count, is_move, .. } = &statement.statement else {
            self.portals.remove(&name);
            return Ok(Some("CLOSE CURSOR".to_owned()));
        };
        let limit = match count {
            FetchCount::Forward(n) => Some(*n),
            FetchCount::All => None,
            FetchCount::Other => return Err(Fault::error("55000", "cursor can only scan forward").into()),
        };
        let Some(mut portal) = self.portals.remove(&name) else { return Ok(None) };
        let mut cursor = match (portal.state, &portal.statement) {
            (PortalState::Suspended(cursor), _) => cursor,
            (PortalState::Ready, Some(inner)) => match self.link.watching(self.session.execute(inner, &portal.params)).await?? {
                Reply::Rows(rows) => Cursor::new(rows, &portal.result_formats)?,
                _ => return Err(not_a_cursor(&name).into()),
            },
            _ => return Err(not_a_cursor(&name).into()),
        };
        let formats = rows::formats(codes, cursor.columns().len())?;
        if describe && !is_move {
            rows::describe(cursor.columns(), &formats, self.out());
        }
        let style = self.style();
        let sent = match limit {
            Some(0) => 0,
            limit => {
                let limit = limit.unwrap_or(0);
                match is_move {
                    true => cursor.each(limit, &style, &mut self.link, |_, _, _| Ok(())).await?.rows,
                    false => cursor.send_in(&formats, limit, &style, &mut self.link).await?.rows,
                }
            }
        };
        portal.state = PortalState::Suspended(cursor);
        self.portals.insert(name, portal);
        Ok(Some(format!("{} {sent}", if *is_move { "MOVE" } else { "FETCH" })))
    }

    /// The columns that a FETCH from one of our portals gives; None: it names none, or a portal that has not run.
    pub(crate) fn fetched_columns(&self, statement: &Parsed) -> Option<Vec<ColumnInfo>> {
        let Statement::Fetch { name, is_move: false, .. } = &statement.statement else { return None };
        match &self.portals.get(&self.portal_named(name)?)?.state {
            PortalState::Suspended(cursor) => Some(cursor.columns().to_vec()),
            _ => None,
        }
    }
}

fn not_a_cursor(name: &str) -> Fault {
    Fault::error("34000", format!("portal \"{name}\" gives no rows to fetch"))
}
