//! Statements about stand-ins: the upstream is asked and told on the client's connection, before the statement itself is
//! answered here.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::dispatch::last_sequence;
use super::own_queries::{self, OwnAnswer, status_of};
use crate::error::Error;
use crate::session::{Answer, Parsed};
use crate::wire::mysql::codec::Reader;
use crate::wire::mysql::result::Refusal;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    /// Lets the upstream do its part. Some: the command was answered with an error (false: and the connection is over).
    pub(super) async fn make_stand_ins(&mut self, bytes: &[u8], parsed: &Parsed) -> io::Result<Option<bool>> {
        let done = self.try_stand_ins(parsed).await?;
        let unasked = self.upstream.take_inbox();
        self.pump.pass_on(&unasked);
        self.asked_at = None;
        let refusal = match done {
            Ok(()) => return Ok(None),
            Err(StandInFailure::Local(refusal)) => return self.refuse(bytes, refusal).await.map(Some),
            Err(StandInFailure::Upstream(packet)) => packet,
        };
        let client = self.client()?;
        client.out.sequence = last_sequence(bytes).wrapping_add(1);
        client.out.message(|out| out.extend_from_slice(&refusal));
        client.flush().await?;
        Ok(Some(true))
    }

    async fn try_stand_ins(&mut self, parsed: &Parsed) -> io::Result<Result<(), StandInFailure>> {
        let Some(served) = self.served() else { return Ok(Ok(())) };
        let charset = served.charset;
        let questions = match served.session.stand_in_questions(parsed) {
            Ok(questions) => questions,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut answers: Vec<Vec<Answer>> = Vec::with_capacity(questions.len());
        for question in &questions {
            let answered = self.say(question.as_bytes()).await?;
            if let Some(packet) = answered.error {
                return Ok(Err(StandInFailure::Upstream(packet)));
            }
            answers.push(answered.rows.iter().map(|row| cells(row)).collect());
        }
        let Some(served) = self.served() else { return Ok(Ok(())) };
        let commands = match served.session.stand_in_commands(parsed, &answers) {
            Ok(commands) => commands,
            Err(error) => return Ok(Err(error.into())),
        };
        for command in &commands {
            let text = charset.encode(command).into_owned();
            if charset.decode(&text).ok().as_deref() != Some(command.as_str()) {
                let error = Error::unsupported("a name or label that the connection's character set does not have")
                    .with_hint("SET NAMES utf8mb4 first");
                return Ok(Err(error.into()));
            }
            if let Some(packet) = self.say(&text).await?.error {
                return Ok(Err(StandInFailure::Upstream(packet)));
            }
        }
        let status = status_of(self.pump.upstream_side.expected.status);
        if let Some(served) = self.served() {
            served.session.set_status(status);
        }
        Ok(Ok(()))
    }

    async fn say(&mut self, text: &[u8]) -> io::Result<OwnAnswer> {
        let mut status = self.pump.upstream_side.expected.status;
        let answered = own_queries::run(&mut self.upstream, self.capabilities, &mut status, &[b"\x03", text].concat()).await?;
        self.pump.upstream_side.expected.stand(status);
        Ok(answered)
    }
}

/// Why the upstream's part was not done.
enum StandInFailure {
    Local(Refusal),
    /// The upstream's own words.
    Upstream(Bytes),
}

impl From<Error> for StandInFailure {
    fn from(error: Error) -> StandInFailure {
        StandInFailure::Local(error.into())
    }
}

fn cells(row: &[u8]) -> Answer {
    let mut reader = Reader::new(row);
    let mut all = Vec::new();
    while !reader.is_empty() && all.len() < 16 {
        all.push(own_queries::cell(&mut reader));
    }
    all
}
