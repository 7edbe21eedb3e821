//! KILL of a connection that runs a local statement. The upstream says whether it may be done, and stops what it does for
//! that statement itself; then the local statement is stopped.

use std::io;

use datafusion::sql::sqlparser::ast;
use tokio::io::{AsyncRead, AsyncWrite};

use super::client_side::payload;
use super::dispatch::last_sequence;
use super::expected::{AnswerKind, Expected};
use super::script::{LocalRows, pass};
use super::{Client, Relay};
use crate::node::RunningStatement;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    /// A command that is nothing but `KILL [QUERY] id`. False: the connection is over.
    pub(super) async fn kill_by_text(&mut self, bytes: &[u8], query_only: bool, id: &ast::Expr) -> io::Result<bool> {
        match self.running(id) {
            Some(running) => self.kill(bytes, &running, query_only).await,
            None => {
                // It has ended meanwhile.
                self.pump.forward(bytes, AnswerKind::Results);
                Ok(true)
            }
        }
    }

    /// The local statement that connection `id` is running, if any.
    pub(super) fn running(&self, id: &ast::Expr) -> Option<RunningStatement> {
        self.context.node.sessions.running_foreign(id.to_string().parse().ok()?)
    }

    /// Passes a command on that stops `running`, and stops it here if the upstream agrees. False: the connection is over.
    pub(super) async fn kill(&mut self, bytes: &[u8], running: &RunningStatement, query_only: bool) -> io::Result<bool> {
        if let Err(refusal) = self.take_over_state().await? {
            return self.refuse(bytes, refusal).await;
        }
        let held = self.pump.take_held();
        let Client::Served(served) = &mut self.client else { return Ok(false) };
        served.connection.put_inbox(&held);
        served.connection.out.sequence = last_sequence(bytes).wrapping_add(1);
        super::pump::ScanTexts::relayed(&mut self.text_scan);
        self.pump.routed.relayed();
        self.pump.relayed += 1;
        let mut answers = Expected::new(self.capabilities, self.pump.upstream_side.expected.status);
        let command = payload(bytes);
        if pass(&mut served.connection, &mut self.upstream, &mut answers, &command, (false, &LocalRows::default())).await? {
            running.stop(query_only);
        }
        self.pump.upstream_side.expected.stand(answers.status);
        served.connection.flush().await?;
        let unused = served.connection.take_inbox();
        self.pump.unread(&unused);
        Ok(true)
    }
}
