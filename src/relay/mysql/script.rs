//! A text with statements of both sides: each is answered by its owner, in order, as results of one command.

use std::collections::{HashSet, VecDeque};
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::client_side::payload;
use super::decide::{Script, is_about_the_last, is_listing, sets_mode, unread};
use super::dispatch::last_sequence;
use super::expected::{AnswerKind, AnswerProgress, Expected, HEAD};
use super::local::lend;
use super::own_queries::{self, broken, cell, cell_bytes, status_of};
use super::user_variables::quoted;
use crate::session::{Owner, Parsed, Reply};
use crate::sql::{self, PrepareSource, Statement};
use crate::upstream::{Stream, run_with_executor};
use crate::wire::mysql::codec::Reader;
use crate::wire::mysql::codes::{COM_QUERY, MORE_RESULTS};
use crate::wire::mysql::connection::Connection;
use crate::wire::mysql::dispatch::Failure;
use crate::wire::mysql::query::RowFormat;
use crate::wire::mysql::result::Refusal;

const NULL: u8 = 0xfb;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    /// A listing that both sides have rows for. False: the connection is over.
    pub(super) async fn listing(&mut self, bytes: &[u8], parsed: &Parsed) -> io::Result<bool> {
        let held = self.pump.take_held();
        let super::Client::Served(served) = &mut self.client else { return Ok(false) };
        served.connection.put_inbox(&held);
        // When the local listing fails, only the upstream answers, with its error if it has one.
        let local_rows = match served.session.execute(parsed, &[]).await {
            Ok(Reply::Rows(rows)) => {
                let columns = rows.columns.len();
                LocalRows { columns, rows: served.text_rows(rows).await.unwrap_or_default() }
            }
            _ => LocalRows::default(),
        };
        super::pump::ScanTexts::relayed(&mut self.text_scan);
        self.pump.routed.relayed();
        self.pump.relayed += 1;
        served.connection.out.sequence = last_sequence(bytes).wrapping_add(1);
        let mut answers = Expected::new(self.capabilities, self.pump.upstream_side.expected.status);
        let text = payload(bytes);
        pass(&mut served.connection, &mut self.upstream, &mut answers, &text, (false, &local_rows)).await?;
        self.pump.upstream_side.expected.stand(answers.status);
        served.connection.flush().await?;
        let unused = served.connection.take_inbox();
        self.pump.unread(&unused);
        Ok(true)
    }

    /// Runs statements in order up to the first that fails, then the rest of the text at the upstream. False: the connection is
    /// over.
    pub(super) async fn run_script(&mut self, bytes: &[u8], script: Script) -> io::Result<bool> {
        let Script { mut text, statements, mut rest } = script;
        let held = self.pump.take_held();
        let Some(served) = self.served() else { return Ok(false) };
        served.connection.out.sequence = last_sequence(bytes).wrapping_add(1);
        served.connection.put_inbox(&held);
        let mut part = PieceOutcome::Done;
        let mut statements = VecDeque::from(statements);
        let mut done = 0;
        while let Some(parsed) = statements.pop_front() {
            let more = !statements.is_empty() || rest.is_some();
            let told = match self.told(&parsed).await? {
                Ok(told) => told,
                Err(refusal) => {
                    part = self.failed(&refusal);
                    break;
                }
            };
            // Who answers it depends on what those before it have done: USE, for instance.
            part = match self.whose(told.as_ref().unwrap_or(&parsed)).await? {
                Ok(true) if let Statement::Kill { query_only, id } = &parsed.statement => {
                    let running = self.running(id);
                    let part = self.run_relayed(&parsed, more).await?;
                    if let Some(running) = running.filter(|_| part == PieceOutcome::Done) {
                        running.stop(*query_only);
                    }
                    part
                }
                Ok(true) => self.run_local(told.as_ref().unwrap_or(&parsed), more).await?,
                Ok(false) => self.run_relayed(&parsed, more).await?,
                Err(refusal) => self.failed(&refusal),
            };
            if part != PieceOutcome::Done {
                break;
            }
            done += 1;
            if more && sets_mode(&parsed) {
                match self.read_on(&text, done).await? {
                    Ok(None) => {}
                    Ok(Some(script)) => {
                        (text, statements, rest, done) = (script.text, VecDeque::from(script.statements), script.rest, 0);
                    }
                    Err(refusal) => {
                        part = self.failed(&refusal);
                        break;
                    }
                }
            }
        }
        if let (PieceOutcome::Done, Some(rest)) = (part, rest) {
            part = self.relay_text(rest.trim_start_matches(|c: char| c == ';' || c.is_whitespace()), false).await?;
        }
        let Some(served) = self.served() else { return Ok(false) };
        if part != PieceOutcome::ConnectionOver {
            served.connection.flush().await?;
        }
        let unused = served.connection.take_inbox();
        self.pump.unread(&unused);
        Ok(part != PieceOutcome::ConnectionOver)
    }

    /// What stands after the first `done` statements of a text, read as sql_mode is now. None: as before.
    async fn read_on(&mut self, text: &str, done: usize) -> io::Result<Result<Option<Script>, Refusal>> {
        let before = self.served().map(|served| served.session.dialect());
        if let Err(refusal) = self.take_over_state().await? {
            return Ok(Err(refusal));
        }
        let Some(served) = self.served() else { return Ok(Ok(None)) };
        let session = &served.session;
        let Some(before) = before.filter(|before| *before != session.dialect()) else { return Ok(Ok(None)) };
        let Some(text) = sql::behind(&before, text, done).map(str::to_owned) else { return Ok(Ok(None)) };
        let (statements, broken) = session.statements(&text);
        if let Some(error) = broken {
            return Ok(Err(error.into()));
        }
        let rest = unread(session, &text, statements.len());
        Ok(Ok(Some(Script { text, statements, rest })))
    }

    /// A PREPARE or EXECUTE IMMEDIATE of a text that only the upstream knows, with that text. None: it has it by itself, or the
    /// upstream does not tell, and will say why.
    async fn told(&mut self, parsed: &Parsed) -> io::Result<Result<Option<Parsed>, Refusal>> {
        let (Statement::Prepare { source, .. } | Statement::ExecuteImmediate { source, .. }) = &parsed.statement else {
            return Ok(Ok(None));
        };
        let written = match source {
            PrepareSource::Variable(name) => quoted(name),
            // What evaluating twice would do twice.
            PrepareSource::Expr { text, .. } if has_effects(text) => return Ok(Ok(None)),
            PrepareSource::Expr { text, .. } => text.to_string(),
            PrepareSource::Text(_) | PrepareSource::Statement { .. } => return Ok(Ok(None)),
        };
        if !self.may_own(parsed.text.as_bytes()) {
            return Ok(Ok(None));
        }
        if let Err(refusal) = self.take_over_state().await? {
            return Ok(Err(refusal));
        }
        let Some(served) = self.served() else { return Ok(Ok(None)) };
        let question = format!("SELECT HEX(CONVERT(({written}) USING utf8mb4)) LIMIT 1");
        let command = [&[COM_QUERY], &*served.charset.encode(&question)].concat();
        let mut status = self.pump.upstream_side.expected.status;
        let asking = own_queries::run(&mut self.upstream, self.capabilities, &mut status, &command);
        let answered = Self::while_connected(&mut self.client, asking).await?;
        self.pump.upstream_side.expected.stand(status);
        let digits = answered.row.and_then(|row| cell(&mut Reader::new(&row)));
        let Some(text) = digits.and_then(|digits| String::from_utf8(hex::decode(digits).ok()?).ok()) else { return Ok(Ok(None)) };
        let source = PrepareSource::Text(text);
        let statement = match parsed.statement.clone() {
            Statement::Prepare { name, .. } => Statement::Prepare { name, source },
            Statement::ExecuteImmediate { args, .. } => Statement::ExecuteImmediate { source, args },
            statement => statement,
        };
        Ok(Ok(Some(Parsed { statement, ..parsed.clone() })))
    }

    /// Is a statement of a longer text local, with the session state of now?
    async fn whose(&mut self, parsed: &Parsed) -> io::Result<Result<bool, Refusal>> {
        if self.text_scan.answered_last() && is_about_the_last(parsed) {
            return Ok(Ok(true));
        }
        if !self.may_own(parsed.text.as_bytes()) {
            return Ok(Ok(false));
        }
        if let Err(refusal) = self.take_over_state().await? {
            return Ok(Err(refusal));
        }
        let owner = self.served().map_or(Owner::Upstream, |served| served.session.owner(parsed));
        Ok(match owner {
            Owner::Flashgate => Ok(true),
            Owner::Both if !is_listing(parsed) => {
                let check_federated = self.served().map_or(Ok(()), |served| served.session.check_federated(parsed));
                check_federated.map(|()| true).map_err(Refusal::from)
            }
            Owner::Both | Owner::Upstream => Ok(false),
        })
    }

    async fn run_local(&mut self, parsed: &Parsed, more: bool) -> io::Result<PieceOutcome> {
        self.pump.routed.local();
        self.text_scan.local_answered();
        if let Err(refusal) = self.fetch_variables(std::slice::from_ref(parsed)).await? {
            return Ok(self.failed(&refusal));
        }
        // What the statements before it have done to the transaction counts.
        let status = self.pump.upstream_side.expected.status;
        let super::Client::Served(served) = &mut self.client else { return Ok(PieceOutcome::ConnectionOver) };
        served.session.set_status(status_of(status));
        let (mut requests, mut executor, closed) = lend(served, (&mut self.upstream, self.capabilities, status))?;
        let run = async {
            match served.run_watched(parsed, &[]).await {
                Ok(reply) => served.answer(reply, RowFormat::Text, more).await,
                Err(failure) => Err(failure),
            }
        };
        let left = |outcome: &Result<(), Failure>| matches!(outcome, Err(Failure::Fatal(_) | Failure::Lost(_)));
        let outcome = run_with_executor(run, executor.serve(&mut requests), closed, left).await?;
        self.pump.upstream_side.expected.stand(executor.status);
        if executor.asked {
            self.asked_at = None;
        }
        served.session.end_upstream_loan();
        match outcome {
            Ok(()) => {
                self.carry_over(std::slice::from_ref(parsed)).await?;
                Ok(PieceOutcome::Done)
            }
            Err(Failure::Refused(refusal)) => Ok(self.failed(&refusal)),
            Err(_) => Ok(PieceOutcome::ConnectionOver),
        }
    }

    async fn run_relayed(&mut self, parsed: &Parsed, more: bool) -> io::Result<PieceOutcome> {
        if let Some(served) = self.served() {
            served.session.forget_prepared(std::slice::from_ref(parsed));
        }
        let part = self.relay_text(&parsed.text, more).await?;
        self.text_scan.piece_relayed(parsed);
        Ok(part)
    }

    async fn relay_text(&mut self, text: &str, more: bool) -> io::Result<PieceOutcome> {
        self.pump.routed.relayed();
        self.pump.relayed += 1;
        super::pump::ScanTexts::relayed(&mut self.text_scan);
        let super::Client::Served(served) = &mut self.client else { return Ok(PieceOutcome::ConnectionOver) };
        let text = served.charset.encode(text);
        let command = [&[COM_QUERY], &*text].concat();
        let mut answers = Expected::new(self.capabilities, self.pump.upstream_side.expected.status);
        let passed = pass(&mut served.connection, &mut self.upstream, &mut answers, &command, (more, &LocalRows::default())).await?;
        let tracked = &mut self.pump.upstream_side.expected;
        tracked.stand(answers.status & !MORE_RESULTS);
        // What was outside a transaction in between counts as well.
        tracked.outside += answers.outside;
        Ok(if passed { PieceOutcome::Done } else { PieceOutcome::Failed })
    }

    fn failed(&mut self, refusal: &Refusal) -> PieceOutcome {
        let Some(served) = self.served() else { return PieceOutcome::ConnectionOver };
        let charset = served.results;
        served.connection.out.message(|out| refusal.put(out, charset));
        PieceOutcome::Failed
    }
}

/// May evaluating an expression change anything? It may say yes too often.
fn has_effects(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [":=", "nextval(", "next value", "setval(", "insert_id(", "sleep(", "_lock(", "uuid", "rand("].iter().any(|word| text.contains(word))
}

/// What became of one statement of a longer text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PieceOutcome {
    Done,
    /// It was answered with an error: the last word of the answer.
    Failed,
    /// The connection is.
    ConnectionOver,
}

/// Local rows, which follow those of the upstream.
#[derive(Default)]
pub(super) struct LocalRows {
    columns: usize,
    rows: Vec<Vec<u8>>,
}

/// Sends a command of one statement upstream and its answer, followed by `local_rows`, to the client as a part of a longer
/// answer. False: it has failed.
pub(super) async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Connection<S>,
    upstream: &mut Connection<Stream>,
    answers: &mut Expected,
    command: &[u8],
    (more, local_rows): (bool, &LocalRows),
) -> io::Result<bool> {
    upstream.out.sequence = 0;
    upstream.out.message(|out| out.extend_from_slice(command));
    // Whatever the upstream is waited for: a client that has gone waits for nothing.
    tokio::select! {
        biased;
        sent = upstream.flush() => sent?,
        error = client.vanished() => return Err(error),
    }
    answers.expect(AnswerKind::Results);
    let mut columns = 0;
    let mut listed = HashSet::new();
    loop {
        let packet = tokio::select! {
            biased;
            packet = upstream.reply() => packet.map_err(broken)?,
            error = client.vanished() => return Err(error),
        };
        let (in_rows, in_definitions) = (answers.in_rows(), answers.in_definitions());
        columns += usize::from(in_definitions);
        let said = answers.packet(&packet[..packet.len().min(HEAD)], packet.len());
        let ends = matches!(said, AnswerProgress::Done { failed: false });
        if matches!(said, AnswerProgress::Continues) && in_rows && !local_rows.rows.is_empty() {
            listed.extend(name_of(&packet));
        }
        if ends && in_rows {
            // A table with a stand-in is in the upstream's list already.
            let ours = local_rows
                .rows
                .iter()
                .filter(|row| columns >= local_rows.columns && name_of(row).is_none_or(|name| !listed.contains(&name)));
            for row in ours {
                client.out.message(|out| {
                    out.extend_from_slice(row);
                    // MariaDB has more columns than Flashgate; they stand last.
                    out.resize(out.len() + columns - local_rows.columns, NULL);
                });
            }
        }
        client.out.message(|out| {
            let start = out.len();
            out.extend_from_slice(&packet);
            if ends && more {
                announce_more(&mut out[start..]);
            }
        });
        if client.out.bytes.len() >= crate::wire::mysql::connection::FLUSH_AT {
            client.flush().await?;
        }
        match said {
            AnswerProgress::Continues => {}
            AnswerProgress::Done { failed } => return Ok(!failed),
            AnswerProgress::FileRequested => {
                client.flush().await?;
                // The file goes from the client to the upstream, never from here.
                loop {
                    let data = client.reply().await.map_err(broken)?;
                    upstream.out.message(|out| out.extend_from_slice(&data));
                    upstream.flush().await?;
                    if data.is_empty() {
                        break;
                    }
                }
            }
        }
    }
}

/// The first cell of a text row.
fn name_of(row: &[u8]) -> Option<Vec<u8>> {
    cell_bytes(&mut Reader::new(row)).map(<[u8]>::to_ascii_lowercase)
}

/// Sets the flag in the OK or EOF packet that ends an answer.
fn announce_more(packet: &mut [u8]) {
    let whole = packet.len();
    let at = if packet.first() == Some(&0xfe) && whole == 5 {
        3
    } else {
        let mut reader = Reader::new(packet.get(1..).unwrap_or_default());
        if reader.lenenc("affected rows").is_err() || reader.lenenc("last insert id").is_err() {
            return;
        }
        whole - reader.rest().len()
    };
    if let Some(flags) = packet.get_mut(at) {
        *flags |= MORE_RESULTS as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::announce_more;

    #[test]
    fn the_flag_is_set_where_the_status_stands() {
        let mut eof = [0xfe, 0, 0, 2, 0];
        announce_more(&mut eof);
        assert_eq!(eof, [0xfe, 0, 0, 10, 0]);
        let mut ok = [0, 0xfc, 1, 1, 0, 2, 0, 0, 0];
        announce_more(&mut ok);
        assert_eq!(ok, [0, 0xfc, 1, 1, 0, 10, 0, 0, 0]);
        announce_more(&mut []);
    }
}
