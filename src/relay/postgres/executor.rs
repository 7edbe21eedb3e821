//! Answers what a local statement asks of the client's own connection to the upstream.
//!
//! In a simple query that stands outside of a transaction, one is opened round the batches of an INSERT. Within a pipeline
//! the batches are messages of the pipeline, which ends with the client's Sync.

use std::io;

use bytes::BufMut;
use datafusion::arrow::array::RecordBatch;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::expected::Suppress;
use super::own_queries::{NAME, message};
use super::pump::Pump;
use super::{hot_rows, literals};
use crate::error::{Error, Foreign, Kind, Result};
use crate::types::{ColumnInfo, SqlType};
use crate::upstream::{Done, HotColumn, InsertText, Request, Requests};

/// A statement ends once it has so many bytes.
const STATEMENT_BYTES: usize = 512 << 10;

/// The one who answers.
pub(super) struct Executor<'a, C, U> {
    pump: &'a mut Pump<C, U>,
    /// The statement came with the extended protocol.
    extended: bool,
    /// A transaction was opened round the batches.
    begun: bool,
}

impl<'a, C, U> Executor<'a, C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    pub fn new(pump: &'a mut Pump<C, U>, extended: bool) -> Executor<'a, C, U> {
        Executor { pump, extended, begun: false }
    }

    /// Answers requests until the upstream handle is closed. Only the connection's own errors end it early.
    pub async fn serve(&mut self, requests: &mut Requests) -> io::Result<()> {
        self.pump.upstream_side.keeps_own_answers = true;
        let served = self.requests(requests).await;
        self.pump.upstream_side.keeps_own_answers = false;
        self.pump.upstream_side.own_answers.clear();
        served
    }

    async fn requests(&mut self, requests: &mut Requests) -> io::Result<()> {
        // Nobody may wait for an answer any more: then it is dropped.
        while let Some(request) = requests.next().await {
            match request {
                Request::Begin(answer) => drop(answer.send(self.begin().await?)),
                Request::End { keep, answer } => drop(answer.send(self.end(keep).await?)),
                Request::Run { text, answer } => drop(answer.send(self.run(text.as_bytes()).await?)),
                Request::Insert { text, columns, rows, answer } => drop(answer.send(self.insert(&text, &columns, &rows).await?)),
                Request::Describe { query, answer } => drop(answer.send(self.describe(&query).await?)),
                Request::Rows { query, types, rows, answer } => drop(answer.send(self.rows(&query, &types, rows).await?)),
                // The client has been told of them already.
                Request::Warnings { answer } => drop(answer.send(Ok(Vec::new()))),
            }
        }
        Ok(())
    }

    async fn begin(&mut self) -> io::Result<Result<()>> {
        if self.extended || self.pump.upstream_side.status != b'I' {
            return Ok(Ok(()));
        }
        let outcome = self.run(b"BEGIN").await?;
        self.begun = outcome.is_ok();
        Ok(outcome.map(drop))
    }

    async fn end(&mut self, keep: bool) -> io::Result<Result<Done>> {
        if !std::mem::take(&mut self.begun) {
            return Ok(Ok(Done::default()));
        }
        self.run(if keep { b"COMMIT" } else { b"ROLLBACK" }).await
    }

    /// Runs a statement and gives what it did.
    async fn run(&mut self, text: &[u8]) -> io::Result<Result<Done>> {
        if let Err(error) = self.check() {
            return Ok(Err(error));
        }
        let notices = self.pump.upstream_side.notices;
        if self.extended {
            self.prepared(text, &[0; 6], true);
        } else {
            self.pump.send_own(b'Q', &[text, b"\0"], Suppress::Everything);
        }
        let mut outcome = Ok(Done::default());
        while let Some((kind, body)) = self.pump.next_own_answer().await? {
            match kind {
                b'C' => {
                    if let Ok(done) = &mut outcome {
                        done.affected = count_of(&body);
                    }
                }
                b'E' => outcome = Err(self.error_of(body)),
                _ => {}
            }
        }
        Ok(outcome.map(|done| Done { warnings: self.pump.upstream_side.notices - notices, ..done }))
    }

    /// A statement with the extended protocol; `rest`: the rest of Bind.
    fn prepared(&mut self, text: &[u8], rest: &[u8], joins: bool) {
        self.pump.close_left_open();
        self.pump.send_own(b'P', &[NAME, text, b"\0\0\0"], Suppress::Everything);
        self.pump.send_own(b'B', &[NAME, NAME, rest], Suppress::Everything);
        self.pump.send_own(b'E', &[NAME, &[0; 4]], Suppress::Everything);
        self.pump.send_own(b'C', &[b"P", NAME], Suppress::Everything);
        self.pump.send_own(b'C', &[b"S", NAME], Suppress::Everything);
        self.close_exchange(joins);
    }

    /// Within a pipeline only the client's Sync ends it. `joins`: what was done is a part of it, be it the first.
    fn close_exchange(&mut self, joins: bool) {
        if joins || self.pump.upstream_side.expected.is_open() {
            message(&mut self.pump.upstream.outgoing.bytes, b'H', &[]);
            self.pump.upstream_side.expected.join_pipeline();
        } else {
            self.pump.send_own(b'S', &[], Suppress::Everything);
        }
    }

    async fn insert(&mut self, text: &InsertText, columns: &[ColumnInfo], rows: &RecordBatch) -> io::Result<Result<Done>> {
        let literals = match literals::Literals::of(columns, rows) {
            Ok(literals) => literals,
            Err(error) => return Ok(Err(error)),
        };
        let (mut row, mut done) = (0, Done::default());
        while row < rows.num_rows() {
            let mut statement = text.head.clone();
            let start = row;
            while row < rows.num_rows() && (row == start || statement.len() < STATEMENT_BYTES) {
                if row > start {
                    statement.push(',');
                }
                if let Err(error) = literals.put_row(&mut statement, row) {
                    return Ok(Err(error));
                }
                row += 1;
            }
            statement.push_str(&text.tail);
            match self.run(statement.as_bytes()).await? {
                Ok(one) => done.affected += one.affected,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(done))
    }

    /// After an error within a pipeline nothing is answered before its Sync.
    fn check(&self) -> Result<()> {
        if self.pump.upstream_side.expected.is_skipping() {
            return Err(Error::new(Kind::FailedTransaction, "the pipeline has failed, statements are ignored until it ends"));
        }
        Ok(())
    }

    async fn describe(&mut self, query: &str) -> io::Result<Result<Vec<HotColumn>>> {
        if let Err(error) = self.check() {
            return Ok(Err(error));
        }
        self.pump.close_left_open();
        self.pump.send_own(b'P', &[NAME, query.as_bytes(), b"\0\0\0"], Suppress::Everything);
        self.pump.send_own(b'D', &[b"S", NAME], Suppress::Everything);
        self.pump.send_own(b'C', &[b"S", NAME], Suppress::Everything);
        self.close_exchange(false);
        let mut outcome = Ok(Vec::new());
        while let Some((kind, body)) = self.pump.next_own_answer().await? {
            match kind {
                b'T' => outcome = hot_rows::columns(&body),
                b'E' => outcome = Err(self.error_of(body)),
                _ => {}
            }
        }
        Ok(outcome)
    }

    async fn rows(&mut self, query: &str, types: &[SqlType], to: mpsc::Sender<RecordBatch>) -> io::Result<Result<()>> {
        if let Err(error) = self.check() {
            return Ok(Err(error));
        }
        // No parameters; all columns in binary form.
        self.prepared(query.as_bytes(), &[0, 0, 0, 0, 0, 1, 0, 1], false);
        let mut pending = hot_rows::Pending::new(types);
        let mut outcome = Ok(());
        while let Some((kind, body)) = self.pump.next_own_answer().await? {
            match kind {
                // After an error, and when nobody wants them any more, the rest of the rows pass by.
                b'D' if outcome.is_ok() && !to.is_closed() => {
                    outcome = pending.push(&body);
                    if pending.is_full() {
                        match pending.take() {
                            Ok(batch) => drop(to.send(batch).await),
                            Err(error) => outcome = Err(error),
                        }
                    }
                }
                b'E' => outcome = Err(self.error_of(body)),
                _ => {}
            }
        }
        if outcome.is_ok() && !pending.is_empty() {
            match pending.take() {
                Ok(batch) => drop(to.send(batch).await),
                Err(error) => outcome = Err(error),
            }
        }
        Ok(outcome)
    }

    /// The error of an ErrorResponse, to be passed on as it is but for its place in a text that the client did not send. One
    /// that ends the connection is the client's at once.
    fn error_of(&mut self, body: Vec<u8>) -> Error {
        let mut kept = Vec::with_capacity(body.len());
        let (mut text, mut fatal) = (String::new(), false);
        for field in body.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
            let (code, value) = (field[0], &field[1..]);
            match code {
                b'P' => continue,
                b'M' => text = String::from_utf8_lossy(value).into_owned(),
                b'V' => fatal = matches!(value, b"FATAL" | b"PANIC"),
                _ => {}
            }
            kept.extend_from_slice(field);
            kept.push(0);
        }
        kept.push(0);
        if fatal {
            let out = &mut self.pump.client.outgoing.bytes;
            out.put_u8(b'E');
            out.put_u32(kept.len() as u32 + 4);
            out.put_slice(&kept);
        }
        Error::of_upstream(text, Foreign { code: 0, bytes: kept })
    }
}

/// The number at the end of a command tag.
fn count_of(body: &[u8]) -> u64 {
    let tag = std::str::from_utf8(body).unwrap_or_default().trim_end_matches('\0');
    tag.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_ends_with_its_count() {
        for (tag, count) in [(&b"INSERT 0 12\0"[..], 12), (b"BEGIN\0", 0), (b"SELECT 3\0", 3), (b"", 0)] {
            assert_eq!(count_of(tag), count);
        }
    }
}
