//! Simple queries: a text of any number of statements, which are one implicit transaction when there are several.

use pgwire::messages::response::EmptyQueryResponse;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::fault::{Fault, Step, Stop, put};
use super::rows::Cursor;
use crate::session::{Parsed, Reply};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Answers a Query message.
    pub(crate) async fn simple_query(&mut self, text: &str) -> Step<()> {
        // A pipeline that was not ended by Sync ends here; so do its unnamed statement and portal.
        if std::mem::take(&mut self.implicit) {
            self.session.end_implicit(true).await?;
        }
        self.fresh = None;
        self.session.forget_planned_ahead();
        self.statements.remove("");
        self.portals.remove("");
        let done = self.script(text).await;
        self.drop_portals_outside_transactions();
        done?;
        self.ready();
        Ok(())
    }

    /// Runs all statements of a text.
    pub(crate) async fn script(&mut self, text: &str) -> Step<()> {
        let _room = self.session.room(text.len()).await?;
        let statements = self.session.parse(text)?;
        if statements.is_empty() {
            put(&EmptyQueryResponse::new(), self.out());
            return Ok(());
        }
        if statements.len() == 1 {
            let tag = self.run_statement(&statements[0]).await?;
            self.complete(tag);
            return Ok(());
        }
        self.session.begin_implicit().await;
        let mut before = 0;
        for (at, statement) in statements.iter().enumerate() {
            let start = text.get(before..).and_then(|rest| rest.find(&*statement.text)).map_or(before, |found| before + found);
            before = start + statement.text.len();
            let tag = match self.run_statement(statement).await {
                Ok(tag) => tag,
                Err(stop) => {
                    let _ = self.session.end_implicit(false).await;
                    return Err(moved(stop, text, start));
                }
            };
            if at + 1 == statements.len() {
                // Committed before its tag says that it is done.
                self.session.end_implicit(true).await?;
            }
            self.complete(tag);
        }
        Ok(())
    }

    /// Runs one statement and sends its rows; gives its command tag.
    pub(crate) async fn run_statement(&mut self, statement: &Parsed) -> Step<String> {
        if let Some(tag) = self.deallocate(&statement.statement) {
            return Ok(tag);
        }
        if let Some(tag) = self.prepare_text(statement).await? {
            return Ok(tag);
        }
        if let Some(tag) = self.run_on_portal(statement, &[], true).await? {
            return Ok(tag);
        }
        match self.link.watching(self.session.execute(statement, &[])).await?? {
            Reply::Done(outcome) => Ok(outcome.tag),
            Reply::CopyIn(copy) => self.copy_in(copy).await,
            Reply::CopyOut(copy) => self.copy_out(copy).await,
            Reply::Rows(rows) => {
                let mut cursor = Cursor::new(rows, &[])?;
                cursor.describe(self.out());
                let style = self.style();
                let sent = cursor.send(0, &style, &mut self.link).await?;
                Ok(cursor.tag(sent.rows))
            }
        }
    }
}

/// Positions count from the start of the text that the client sent, not of the statement in it.
pub(crate) fn moved(stop: Stop, text: &str, start: usize) -> Stop {
    match stop {
        Stop::Fault(fault) => {
            let before = text.get(..start).map_or(0, |before| before.chars().count());
            Stop::Fault(Fault { position: fault.position.map(|p| p + before), ..fault })
        }
        gone => gone,
    }
}
