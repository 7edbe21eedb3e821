//! Statements about stand-ins: the upstream is asked and told on the client's connection, before the statement itself is
//! answered here.

use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::expected::Suppress;
use super::upstream_side::fields;
use crate::session::{Answer, Parsed};
use crate::wire::postgres::fault::{Fault, Step};

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Lets the upstream do its part. `within`: as part of the client's pipeline. False: it has told the client of an error.
    pub(super) async fn make_stand_ins(&mut self, parsed: &Parsed, within: bool) -> Step<bool> {
        self.take_over_state(false).await?;
        let questions = self.local().await?.connection.session.stand_in_questions(parsed)?;
        let mut answers = Vec::with_capacity(questions.len());
        for question in &questions {
            answers.push(self.answer_of(question).await?);
        }
        let commands = self.local().await?.connection.session.stand_in_commands(parsed, &answers)?;
        if commands.is_empty() {
            return Ok(true);
        }
        if !within {
            // One text is one transaction.
            return self.command(&commands.join("; "), Suppress::AllButErrors).await;
        }
        for command in &commands {
            if !self.run_within(command, Suppress::AllButErrors).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn answer_of(&mut self, question: &str) -> Step<Vec<Answer>> {
        match self.rows_of(question).await? {
            Some(rows) => Ok(rows.iter().map(|row| fields(row)).collect()),
            None => Err(Fault::error("XX000", "the upstream did not tell what it has of this name").into()),
        }
    }
}
