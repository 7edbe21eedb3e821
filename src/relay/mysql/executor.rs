//! Answers what a local statement asks of the client's own connection to the upstream.
//!
//! Between two statements of its own the server is left as it was, but for what the client asked for: a transaction around
//! the batches of an INSERT, or a savepoint when one is open already.

use std::io;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use mysql_common::constants::CapabilityFlags as Caps;
use tokio::sync::mpsc;

use super::expected::{AnswerKind, AnswerProgress, Expected, HEAD};
use super::own_queries::{broken, cell_bytes, error_of, status_of};
use super::{hot_rows, literals};
use crate::error::{Error, Kind, Result};
use crate::types::{ColumnInfo, SqlType};
use crate::upstream::{Done, HotColumn, InsertText, MYSQL_COMMIT, MYSQL_ROLLBACK, Request, Requests, Stream};
use crate::wire::mysql::cells::{Cells, Zone, cells_of};
use crate::wire::mysql::charset::Charset;
use crate::wire::mysql::codec::Reader;
use crate::wire::mysql::connection::Connection;

/// A statement ends once it has so many bytes: well below every server's max_allowed_packet (1 MiB at the least that is usual).
const STATEMENT_BYTES: usize = 512 << 10;
/// Above this the server is asked what it takes.
const ASK_ABOVE: usize = 900 << 10;
/// Warnings that are taken over, as many as the server keeps by default.
const WARNINGS: &[u8] = b"\x03SHOW WARNINGS LIMIT 64";
/// No client of its own mind calls a savepoint so.
const SAVEPOINT: &str = "`flashgate: insert`";

/// ER_QUERY_INTERRUPTED.
const INTERRUPTED: u16 = 1317;

/// What was begun around the batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    Nothing,
    Transaction,
    Savepoint,
}

fn is_interrupted(error: &Error) -> bool {
    error.foreign().is_some_and(|error| error.code == INTERRUPTED)
}

/// A piece of the answer to a query.
enum AnswerPart {
    Definition(Bytes),
    Row(Bytes),
    End(Result<()>),
}

/// The one who answers.
pub(super) struct Executor<'a> {
    pub upstream: &'a mut Connection<Stream>,
    pub capabilities: Caps,
    /// The status flags of the last answer.
    pub status: u16,
    pub charset: Charset,
    pub results: Charset,
    pub zone: Zone,
    begun: Begun,
    /// INSERTs since, and the first id that one of them was given.
    inserts: u64,
    first_id: u64,
    /// The server's limit, once it was asked.
    max_packet: Option<usize>,
    /// It has been asked for anything that may change how the session stands.
    pub asked: bool,
}

impl<'a> Executor<'a> {
    pub fn new(
        upstream: &'a mut Connection<Stream>,
        capabilities: Caps,
        status: u16,
        charsets: (Charset, Charset),
        zone: Zone,
    ) -> Executor<'a> {
        let (charset, results) = charsets;
        let begun = Begun::Nothing;
        Executor { upstream, capabilities, status, charset, results, zone, begun, inserts: 0, first_id: 0, max_packet: None, asked: false }
    }

    /// Answers requests until the upstream handle is closed. Only the connection's own errors end it early.
    pub async fn serve(&mut self, requests: &mut Requests) -> io::Result<()> {
        // Nobody may wait for an answer any more: then it is dropped.
        while let Some(request) = requests.next().await {
            self.asked = true;
            match request {
                Request::Begin(answer) => drop(answer.send(self.begin().await?)),
                Request::End { keep, answer } => drop(answer.send(self.end(keep).await?)),
                Request::Run { text, answer } => drop(answer.send(self.text(&text).await?)),
                Request::Insert { text, columns, rows, answer } => drop(answer.send(self.insert(&text, &columns, &rows).await?)),
                Request::Describe { query, answer } => drop(answer.send(self.describe(&query).await?)),
                Request::Rows { query, types, rows, answer } => drop(answer.send(self.rows(&query, &types, rows).await?)),
                Request::Warnings { answer } => drop(answer.send(self.warnings().await?)),
            }
        }
        Ok(())
    }

    async fn begin(&mut self) -> io::Result<Result<()>> {
        let status = status_of(self.status);
        let (begun, text) = if status.in_transaction || !status.autocommit {
            (Begun::Savepoint, format!("SAVEPOINT {SAVEPOINT}"))
        } else {
            (Begun::Transaction, "START TRANSACTION".to_owned())
        };
        (self.inserts, self.first_id) = (0, 0);
        let outcome = self.text(&text).await?;
        self.begun = if outcome.is_ok() { begun } else { Begun::Nothing };
        Ok(outcome.map(drop))
    }

    async fn end(&mut self, keep: bool) -> io::Result<Result<Done>> {
        if keep && self.inserts > 1 && self.first_id > 0 {
            // LAST_INSERT_ID() is the first id of a statement, not of its last batch.
            let text = format!("SET last_insert_id = {}", self.first_id);
            let _ = self.text(&text).await?;
        }
        let mut outcome = Ok(Done::default());
        let begun = std::mem::replace(&mut self.begun, Begun::Nothing);
        match begun {
            Begun::Nothing => {}
            Begun::Transaction => {
                let text = if keep { MYSQL_COMMIT } else { MYSQL_ROLLBACK };
                outcome = self.text(text).await?;
                if !keep && outcome.as_ref().is_err_and(is_interrupted) {
                    outcome = self.text(text).await?;
                }
            }
            Begun::Savepoint => {
                if !keep {
                    let undo = format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}");
                    outcome = self.text(&undo).await?;
                    if outcome.as_ref().is_err_and(is_interrupted) {
                        // A KILL that was for the INSERT: what it did has to go.
                        outcome = self.text(&undo).await?;
                    }
                }
                if outcome.is_ok() {
                    outcome = self.text(&format!("RELEASE SAVEPOINT {SAVEPOINT}")).await?;
                }
            }
        }
        if outcome.is_err() {
            // After a deadlock the whole transaction is gone, and the savepoint with it. An error does not say how things stand.
            let _ = self.text("DO 0").await?;
            if keep && status_of(self.status).in_transaction {
                // What is told as failed has to go: a KILL may come before the last word is understood.
                self.take_back(begun).await?;
            }
        }
        let in_transaction = Some(status_of(self.status).in_transaction);
        Ok(outcome.map(|_| Done { in_transaction, last_insert_id: self.first_id, ..Done::default() }))
    }

    /// Undoes what was begun, as far as that can be done.
    async fn take_back(&mut self, begun: Begun) -> io::Result<()> {
        match begun {
            Begun::Nothing => {}
            Begun::Transaction => drop(self.text(MYSQL_ROLLBACK).await?),
            Begun::Savepoint => {
                let _ = self.text(&format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}")).await?;
                let _ = self.text(&format!("RELEASE SAVEPOINT {SAVEPOINT}")).await?;
            }
        }
        Ok(())
    }

    async fn insert(&mut self, text: &InsertText, columns: &[ColumnInfo], rows: &RecordBatch) -> io::Result<Result<Done>> {
        let cells = match cells_of(rows, columns, &self.zone) {
            Ok(cells) => cells,
            Err(error) => return Ok(Err(error)),
        };
        let (mut row, mut done) = (0, Done::default());
        while row < rows.num_rows() {
            let statement = match self.statement(text, &cells, rows.num_rows(), &mut row) {
                Ok(statement) => statement,
                Err(error) => return Ok(Err(error)),
            };
            if statement.len() > ASK_ABOVE
                && let Err(error) = self.check_size(statement.len()).await?
            {
                return Ok(Err(error));
            }
            let one = match self.run(&statement).await? {
                Ok(one) => one,
                Err(error) => return Ok(Err(error)),
            };
            self.inserts += 1;
            if self.first_id == 0 {
                self.first_id = one.last_insert_id;
            }
            done.affected += one.affected;
            done.duplicates += one.duplicates;
            done.warnings += one.warnings;
            done.in_transaction = one.in_transaction;
        }
        done.last_insert_id = self.first_id;
        Ok(Ok(done))
    }

    /// The next statement of a batch, whose rows begin at `row`.
    fn statement(&self, text: &InsertText, cells: &[Cells], rows: usize, row: &mut usize) -> Result<Vec<u8>> {
        let mut statement = vec![3];
        statement.extend_from_slice(&self.charset.encode(&text.head));
        let start = *row;
        while *row < rows && (*row == start || statement.len() < STATEMENT_BYTES) {
            if *row > start {
                statement.push(b',');
            }
            literals::put_row(&mut statement, cells, *row)?;
            *row += 1;
        }
        statement.extend_from_slice(&self.charset.encode(&text.tail));
        Ok(statement)
    }

    /// A server that is sent more than it takes closes the connection.
    async fn check_size(&mut self, bytes: usize) -> io::Result<Result<()>> {
        if self.max_packet.is_none() {
            let row =
                super::own_queries::run(self.upstream, self.capabilities, &mut self.status, b"\x03SELECT @@max_allowed_packet LIMIT 1")
                    .await?
                    .row;
            let number = row.and_then(|row| std::str::from_utf8(cell_bytes(&mut Reader::new(&row))?).ok()?.parse().ok());
            self.max_packet = Some(number.unwrap_or(ASK_ABOVE));
        }
        let limit = self.max_packet.unwrap_or(ASK_ABOVE);
        if bytes <= limit {
            return Ok(Ok(()));
        }
        let message = format!("a row takes {bytes} bytes as a statement, and the upstream's max_allowed_packet is {limit}");
        Ok(Err(
            Error::new(Kind::PacketTooLarge, message).with_hint("raise max_allowed_packet there; bytes and special characters count twice")
        ))
    }

    async fn text(&mut self, text: &str) -> io::Result<Result<Done>> {
        let mut command = vec![3];
        command.extend_from_slice(&self.charset.encode(text));
        self.run(&command).await
    }

    async fn send(&mut self, command: &[u8]) -> io::Result<Expected> {
        self.upstream.out.sequence = 0;
        self.upstream.out.message(|out| out.extend_from_slice(command));
        self.upstream.flush().await?;
        let mut answers = Expected::new(self.capabilities, self.status);
        answers.expect(AnswerKind::Results);
        Ok(answers)
    }

    /// Runs a command and gives what it did; rows of it are passed over.
    async fn run(&mut self, command: &[u8]) -> io::Result<Result<Done>> {
        let mut answers = self.send(command).await?;
        let mut first = true;
        let mut done = Done::default();
        loop {
            let packet = self.upstream.reply().await.map_err(broken)?;
            let said = answers.packet(&packet[..packet.len().min(HEAD)], packet.len());
            if std::mem::take(&mut first) && packet.first() == Some(&0) {
                done = done_of(&packet);
            }
            match said {
                AnswerProgress::Continues => {}
                AnswerProgress::Done { failed } => {
                    self.status = answers.status;
                    done.in_transaction = Some(status_of(self.status).in_transaction);
                    return Ok(if failed { Err(error_of(&packet, self.results)) } else { Ok(done) });
                }
                AnswerProgress::FileRequested => return Err(io::Error::new(io::ErrorKind::InvalidData, "the upstream asked for a file")),
            }
        }
    }

    async fn warnings(&mut self) -> io::Result<Result<Vec<(u16, bool, String)>>> {
        let mut found = Vec::new();
        let mut answers = self.send(WARNINGS).await?;
        loop {
            match self.next(&mut answers).await? {
                AnswerPart::Row(row) => {
                    let mut reader = Reader::new(&row);
                    let mut next = || cell_bytes(&mut reader).map(<[u8]>::to_vec).unwrap_or_default();
                    let (level, code, message) = (next(), next(), next());
                    let code = std::str::from_utf8(&code).ok().and_then(|code| code.parse().ok()).unwrap_or(1105);
                    found.push((code, level == b"Note", self.decoded(&message)));
                }
                AnswerPart::Definition(_) => {}
                AnswerPart::End(outcome) => return Ok(outcome.map(|()| found)),
            }
        }
    }

    /// What comes next of the answer to a query.
    async fn next(&mut self, answers: &mut Expected) -> io::Result<AnswerPart> {
        loop {
            let packet = self.upstream.reply().await.map_err(broken)?;
            let (in_rows, in_definitions) = (answers.in_rows(), answers.in_definitions());
            match answers.packet(&packet[..packet.len().min(HEAD)], packet.len()) {
                AnswerProgress::Continues if in_rows => return Ok(AnswerPart::Row(packet)),
                AnswerProgress::Continues if in_definitions => return Ok(AnswerPart::Definition(packet)),
                AnswerProgress::Continues => {}
                AnswerProgress::Done { failed } => {
                    self.status = answers.status;
                    return Ok(AnswerPart::End(if failed { Err(error_of(&packet, self.results)) } else { Ok(()) }));
                }
                AnswerProgress::FileRequested => return Err(io::Error::new(io::ErrorKind::InvalidData, "the upstream asked for a file")),
            }
        }
    }

    async fn describe(&mut self, query: &str) -> io::Result<Result<Vec<HotColumn>>> {
        let command = [&[3], &*self.charset.encode(query)].concat();
        let mut answers = self.send(&command).await?;
        let mut columns = Ok(Vec::new());
        loop {
            match self.next(&mut answers).await? {
                AnswerPart::Definition(definition) => match (hot_rows::column(&definition, self.results), &mut columns) {
                    (Ok(column), Ok(known)) => known.push(column),
                    (Err(error), Ok(_)) => columns = Err(error),
                    (_, Err(_)) => {}
                },
                AnswerPart::Row(_) => {}
                AnswerPart::End(outcome) => return Ok(outcome.and(columns)),
            }
        }
    }

    async fn rows(&mut self, query: &str, types: &[SqlType], to: mpsc::Sender<RecordBatch>) -> io::Result<Result<()>> {
        let command = [&[3], &*self.charset.encode(query)].concat();
        let mut answers = self.send(&command).await?;
        let mut pending = hot_rows::Pending::new(types, self.results);
        // After an error, and when nobody wants them any more, the rest of the rows pass by.
        let mut taken = Ok(());
        loop {
            match self.next(&mut answers).await? {
                AnswerPart::Row(row) if taken.is_ok() && !to.is_closed() => {
                    taken = pending.push(&row);
                    if pending.is_full() {
                        match pending.take() {
                            Ok(batch) => drop(to.send(batch).await),
                            Err(error) => taken = Err(error),
                        }
                    }
                }
                AnswerPart::Row(_) | AnswerPart::Definition(_) => {}
                AnswerPart::End(outcome) => {
                    let mut outcome = outcome.and(taken);
                    if outcome.is_ok() && !pending.is_empty() {
                        match pending.take() {
                            Ok(batch) => drop(to.send(batch).await),
                            Err(error) => outcome = Err(error),
                        }
                    }
                    return Ok(outcome);
                }
            }
        }
    }

    fn decoded(&self, text: &[u8]) -> String {
        self.results.decode(text).map_or_else(|_| String::from_utf8_lossy(text).into_owned(), |text| text.into_owned())
    }
}

/// What an OK packet says.
fn done_of(packet: &[u8]) -> Done {
    let mut reader = Reader::new(packet.get(1..).unwrap_or_default());
    let affected = reader.lenenc("affected rows").unwrap_or(0);
    let last_insert_id = reader.lenenc("last insert id").unwrap_or(0);
    let _ = reader.u16("status");
    let warnings = reader.u16("warnings").unwrap_or(0).into();
    let info = String::from_utf8_lossy(reader.rest()).into_owned();
    let number = |word: &str| -> Option<u64> {
        let rest = info.split_once(word)?.1.trim_start();
        rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
    };
    Done { affected, last_insert_id, duplicates: number("Duplicates:").unwrap_or(0), warnings, in_transaction: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ok_packet_says_what_was_done() {
        let packet = b"\0\x05\x0a\x02\0\x01\0\x27Records: 3  Duplicates: 2  Warnings: 1";
        let done = done_of(packet);
        assert_eq!((done.affected, done.last_insert_id, done.duplicates, done.warnings), (5, 10, 2, 1));
        assert_eq!(done_of(b"\0"), Done::default());
    }
}
