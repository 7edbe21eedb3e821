//! COM_QUERY, and sending what a statement answers: rows as they come, OK, or the request for a file.

use std::io;

use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use mysql_common::constants::CapabilityFlags as Caps;
use tokio::io::{AsyncRead, AsyncWrite};

use super::cells::{Zone, cells_of};
use super::codec::put_lenenc;
use super::column::put_column;
use super::connection::{FLUSH_AT, Lost};
use super::dispatch::{Failure, Served};
use super::local_infile::LoadParser;
use super::result::{Ok as OkBody, Refusal, put_eof, put_ok};
use super::{binary, binary_literal, statistics, text};
use crate::error::{Error, Kind};
use crate::session::{CopyFormat, CopyIn, CopySink, Outcome, Parsed, Reply, Rows};
use crate::sql;
use crate::time::parse_zone;

/// The format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// Of COM_QUERY.
    Text,
    /// Of COM_STMT_EXECUTE.
    Binary,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Served<S> {
    /// COM_QUERY: runs the statements of a text in order, up to the first that fails.
    pub(crate) async fn query(&mut self, text: &[u8]) -> Result<(), Failure> {
        statistics::question();
        let hexed = binary_literal::to_hex(text, self.charset, !self.session.status().no_backslash_escapes);
        let text = self.charset.decode(hexed.as_deref().unwrap_or(text))?;
        let _room = self.session.room(text.len()).await?;
        let mut text = text;
        let (mut statements, mut broken) = self.session.parse_leading(&text).inspect_err(|error| self.session.unreadable(error))?;
        if statements.is_empty() {
            if let Some(error) = broken {
                self.session.unreadable(&error);
                return Err(error.into());
            }
            // ER_EMPTY_QUERY
            return Err(Refusal::new(1065, "42000", "Query was empty").into());
        }
        let count = statements.len() + usize::from(broken.is_some());
        if count > 1 && !self.multi_statements {
            return Err(Error::new(Kind::Syntax, "You have an error in your SQL syntax; the text holds more than one statement")
                .with_hint("send one at a time, or connect with multi-statements on")
                .into());
        }
        let mut dialect = self.session.dialect();
        let mut done = 0;
        while let Some(statement) = statements.get(done) {
            let more = done + 1 < statements.len() || broken.is_some();
            let reply = self.run_watched(statement, &[]).await?;
            self.answer(reply, RowFormat::Text, more).await?;
            done += 1;
            if more && self.session.dialect() != dialect {
                // How the rest is to be read has changed.
                text = sql::behind(&dialect, &text, done).unwrap_or_default().to_owned().into();
                (statements, broken) = match self.session.parse_leading(&text) {
                    Ok(read) => read,
                    Err(error) => (Vec::new(), Some(error)),
                };
                (dialect, done) = (self.session.dialect(), 0);
            }
        }
        broken.map_or(Ok(()), |error| {
            self.session.unreadable(&error);
            Err(error.into())
        })
    }

    /// Runs a statement for as long as the client is there.
    pub(crate) async fn run_watched(&mut self, statement: &Parsed, params: &[ScalarValue]) -> Result<Reply, Failure> {
        tokio::select! {
            reply = self.session.execute(statement, params) => Ok(reply?),
            error = self.connection.vanished() => Err(Lost::Gone(error).into()),
        }
    }

    /// Sends a statement's reply; `more`: another result follows.
    pub(crate) async fn answer(&mut self, reply: Reply, format: RowFormat, more: bool) -> Result<(), Failure> {
        match reply {
            Reply::Done(outcome) => self.done(&outcome, more),
            // A result without columns has no form in this protocol.
            Reply::Rows(rows) if rows.columns.is_empty() => self.done(&Outcome::default(), more),
            Reply::Rows(rows) => self.rows(rows, format, more).await?,
            Reply::CopyIn(copy) if format == RowFormat::Text => {
                let outcome = self.load(copy).await?;
                self.done(&outcome, more);
            }
            // ER_UNSUPPORTED_PS
            Reply::CopyIn(_) => {
                return Err(Refusal::new(1295, "HY000", "This command is not supported in the prepared statement protocol yet").into());
            }
            Reply::CopyOut(_) => return Err(Error::unsupported("COPY .. TO STDOUT in a MySQL session").into()),
        }
        Ok(())
    }

    fn done(&mut self, outcome: &Outcome, more: bool) {
        let tail = self.tail(more);
        let capabilities = self.capabilities;
        let found = outcome.matched.filter(|_| capabilities.contains(Caps::CLIENT_FOUND_ROWS));
        let ok = OkBody { affected: found.unwrap_or(outcome.affected), last_insert_id: outcome.last_insert_id, info: &outcome.info };
        self.connection.out.message(|out| put_ok(out, 0, &ok, &tail, capabilities));
    }

    async fn rows(&mut self, mut rows: Rows, format: RowFormat, more: bool) -> Result<(), Failure> {
        let form = self.form();
        let charset = form.charset;
        let zone = self.zone()?;
        self.connection.out.message(|out| put_lenenc(out, rows.columns.len() as u64));
        for column in rows.columns.iter() {
            self.connection.out.message(|out| put_column(out, column, form, false));
        }
        self.end_of_definitions();
        loop {
            let batch = tokio::select! {
                batch = rows.batches.next() => batch,
                error = self.connection.vanished() => return Err(Lost::Gone(error).into()),
            };
            let Some(batch) = batch.transpose()? else { break };
            let cells = cells_of(&batch, &rows.columns, &zone)?;
            for row in 0..batch.num_rows() {
                match format {
                    RowFormat::Text => self.connection.out.message(|out| text::put_row(out, &cells, row, charset)),
                    RowFormat::Binary => self.connection.out.try_message(|out| binary::put_row(out, &cells, row, charset))?,
                }
                if self.connection.out.bytes.len() >= FLUSH_AT {
                    self.send().await?;
                }
            }
        }
        self.end(more);
        Ok(())
    }

    /// The rows of a result as packets of the text protocol, for one that others send.
    pub(crate) async fn text_rows(&mut self, mut rows: Rows) -> Result<Vec<Vec<u8>>, Error> {
        let zone = self.zone()?;
        let mut packets = Vec::new();
        while let Some(batch) = rows.batches.next().await.transpose()? {
            let cells = cells_of(&batch, &rows.columns, &zone)?;
            packets.extend((0..batch.num_rows()).map(|row| {
                let mut packet = Vec::new();
                text::put_row(&mut packet, &cells, row, self.results);
                packet
            }));
        }
        Ok(packets)
    }

    /// EOF after column definitions, for a client that still wants it.
    pub(crate) fn end_of_definitions(&mut self) {
        if !self.capabilities.contains(Caps::CLIENT_DEPRECATE_EOF) {
            let tail = super::result::Tail { status: super::result::status_flags(self.session.status()), ..Default::default() };
            self.connection.out.message(|out| put_eof(out, &tail));
        }
    }

    /// The zone in which the session sees moments.
    pub(crate) fn zone(&self) -> Result<Zone, Error> {
        Ok(Zone::new(parse_zone(self.session.variable("time_zone").as_deref().unwrap_or("UTC"))?))
    }

    /// LOAD DATA LOCAL INFILE: asks for the file and takes all of it, also after an error, because the client sends all.
    async fn load(&mut self, copy: CopyIn) -> Result<Outcome, Failure> {
        let (CopyFormat::MySql(format), Some(file)) = (copy.format, copy.local_file) else {
            return Err(Error::unsupported("a bulk load other than LOAD DATA LOCAL INFILE").into());
        };
        let allowed = self.session.variable("local_infile").as_deref() != Some("OFF");
        if !allowed || !self.capabilities.contains(Caps::CLIENT_LOCAL_FILES) {
            // ER_CLIENT_LOCAL_FILES_DISABLED
            let message = "Loading local data is disabled; this must be enabled on both the client and server sides";
            return Err(Refusal::new(3948, "42000", message).into());
        }
        let mut parser = LoadParser::new(format, &copy.columns)?;
        let name = self.charset.encode(&file).into_owned();
        self.connection.out.message(|out| {
            out.push(0xfb);
            out.extend_from_slice(&name);
        });
        self.send().await?;
        let closing = self.session.closing();
        let mut sink = Ok(copy.sink);
        loop {
            let data = tokio::select! {
                data = self.connection.reply() => data?,
                () = closing.cancelled() => return Err(Lost::Gone(io::ErrorKind::ConnectionAborted.into()).into()),
            };
            if data.is_empty() {
                break;
            }
            // Once it has failed, the sink is gone (which undoes the load) and the rest of the file passes by.
            if let Ok(open) = &mut sink {
                let taken = match parser.push(&data) {
                    Ok(batches) => self.write_all(open, batches).await?,
                    Err(error) => Err(error),
                };
                if let Err(error) = taken {
                    sink = Err(error);
                }
            }
        }
        let mut sink = sink?;
        let batches = parser.finish()?;
        self.write_all(&mut sink, batches).await??;
        tokio::select! {
            outcome = sink.finish() => Ok(outcome?),
            error = self.connection.vanished() => Err(Lost::Gone(error).into()),
        }
    }

    async fn write_all(
        &mut self,
        sink: &mut Box<dyn CopySink>,
        batches: Vec<datafusion::arrow::array::RecordBatch>,
    ) -> Result<Result<(), Error>, Failure> {
        for batch in batches {
            let written = tokio::select! {
                written = sink.write(batch) => written,
                error = self.connection.vanished() => return Err(Lost::Gone(error).into()),
            };
            if written.is_err() {
                return Ok(written);
            }
        }
        Ok(Ok(()))
    }
}
