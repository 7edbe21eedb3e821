//! Prepared statements: prepare, execute, long data, reset, fetch.
//!
//! A cursor that a client asks for is not opened: it gets all rows at once, and the status flags say so, which the
//! protocol allows. COM_STMT_FETCH therefore always finds no cursor.

use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use tokio::io::{AsyncRead, AsyncWrite};

use super::column::{put_column, put_param};
use super::command::Command;
use super::connection::Lost;
use super::dispatch::{Failure, Served};
use super::params::{ParamType, read_params, read_sets};
use super::query::RowFormat;
use super::result::Refusal;
use super::statistics;
use crate::error::{Error, Kind};
use crate::session::{Owner, Parsed, Reply};
use crate::sql::Statement;
use crate::wire::LONG_TEXT;

/// Statements that one connection may hold, as MySQL's max_prepared_stmt_count for the whole server.
const MAX_STATEMENTS: usize = 16_382;

/// COM_STMT_BULK_EXECUTE: the packet brings types.
const BULK_TYPES: u16 = 128;
/// The client wants a result for each set.
const BULK_RESULTS: u16 = 64;

/// A prepared statement.
pub struct Prepared {
    pub(crate) parsed: Parsed,
    /// What the last execution that brought types said.
    types: Vec<ParamType>,
    /// Values that came in pieces.
    long: Vec<Option<Vec<u8>>>,
    /// A piece that could not be taken; COM_STMT_SEND_LONG_DATA has no answer, so the execution says it.
    long_failed: Option<Refusal>,
}

impl Prepared {
    fn forget_long_data(&mut self) {
        self.long = vec![None; self.parsed.params];
        self.long_failed = None;
    }
}

/// ER_UNKNOWN_STMT_HANDLER
pub(crate) fn unknown_statement(statement: u32, command: &str) -> Refusal {
    Refusal::new(1243, "HY000", format!("Unknown prepared statement handler ({statement}) given to {command}"))
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Served<S> {
    /// COM_STMT_PREPARE.
    pub(crate) async fn prepare(&mut self, text: &[u8]) -> Result<(), Failure> {
        let text = self.charset.decode(text)?;
        let _room = self.session.room(text.len()).await?;
        let mut statements = self.session.parse(&text).inspect_err(|error| self.session.unreadable(error))?;
        let parsed = match statements.len() {
            0 => return Err(Refusal::new(1065, "42000", "Query was empty").into()),
            1 => statements.remove(0),
            _ => return Err(Error::new(Kind::Syntax, "You have an error in your SQL syntax; only one statement can be prepared").into()),
        };
        if self.statements.len() >= MAX_STATEMENTS {
            // ER_MAX_PREPARED_STMT_COUNT_REACHED
            return Err(Refusal::new(1461, "42000", format!("Can't create more than {MAX_STATEMENTS} prepared statements")).into());
        }
        let Ok(params) = u16::try_from(parsed.params) else {
            // ER_PS_MANY_PARAM
            return Err(Refusal::new(1390, "HY000", "Prepared statement contains too many placeholders").into());
        };
        let hints = vec![None; parsed.params];
        let described = tokio::select! {
            described = self.session.describe(&parsed, &hints) => described?,
            error = self.connection.vanished() => return Err(Lost::Gone(error).into()),
        };
        let columns = described.columns.unwrap_or_default();
        let Ok(column_count) = u16::try_from(columns.len()) else {
            // ER_TOO_MANY_FIELDS
            return Err(Refusal::new(1117, "HY000", "Too many columns").into());
        };
        let id = self.fresh_statement_id();
        let warnings = self.session.warning_count();
        self.connection.out.message(|out| {
            out.push(0);
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&column_count.to_le_bytes());
            out.extend_from_slice(&params.to_le_bytes());
            out.push(0);
            out.extend_from_slice(&warnings.to_le_bytes());
        });
        let form = self.form();
        if params > 0 {
            for _ in 0..params {
                self.connection.out.message(|out| put_param(out, form.extended));
            }
            self.end_of_definitions();
        }
        if !columns.is_empty() {
            for column in &columns {
                self.connection.out.message(|out| put_column(out, column, form, false));
            }
            self.end_of_definitions();
        }
        let mut prepared = Prepared { parsed, types: vec![], long: vec![], long_failed: None };
        prepared.forget_long_data();
        self.statements.insert(id, prepared);
        Ok(())
    }

    fn fresh_statement_id(&mut self) -> u32 {
        loop {
            self.last_statement = self.last_statement.wrapping_add(1).max(self.statements_from);
            // 0 and the largest number have meanings of their own in some drivers.
            if !matches!(self.last_statement, 0 | u32::MAX) && !self.statements.contains_key(&self.last_statement) {
                return self.last_statement;
            }
        }
    }

    /// COM_STMT_EXECUTE.
    pub(crate) async fn execute_prepared(&mut self, statement: u32, params: &[u8]) -> Result<(), Failure> {
        statistics::question();
        let charset = self.charset;
        let prepared = self.statements.get_mut(&statement).ok_or_else(|| unknown_statement(statement, "mysqld_stmt_execute"))?;
        let failed = prepared.long_failed.take();
        let count = prepared.parsed.params;
        let values = read_params(params, count, &mut prepared.types, &prepared.long, charset);
        prepared.forget_long_data();
        if let Some(refusal) = failed {
            return Err(refusal.into());
        }
        let parsed = prepared.parsed.clone();
        let reply = self.run_watched(&parsed, &values?).await?;
        self.answer(reply, RowFormat::Binary, false).await
    }

    /// The query that a command would run, as the session stands now, and its parameters. Nothing has happened then. None
    /// also for what takes long to read.
    pub(crate) fn query_of(&self, command: &Bytes) -> Option<(Parsed, Vec<ScalarValue>)> {
        match Command::parse(command, self.capabilities).ok()? {
            Command::Query { text, .. } => {
                let text = self.charset.decode(&text).ok().filter(|_| text.len() <= LONG_TEXT)?;
                let mut statements = self.session.parse(&text).ok()?;
                let only = statements.pop().filter(|_| statements.is_empty())?;
                (self.session.owner(&only) == Owner::Flashgate).then_some((only, Vec::new()))
            }
            Command::Execute { statement, params, .. } => {
                let prepared = self.statements.get(&statement)?;
                let short = params.len() <= LONG_TEXT && prepared.long.iter().all(Option::is_none);
                if !short || !matches!(prepared.parsed.statement, Statement::Query(_)) {
                    return None;
                }
                let mut types = prepared.types.clone();
                let values = read_params(&params, prepared.parsed.params, &mut types, &prepared.long, self.charset).ok()?;
                Some((prepared.parsed.clone(), values))
            }
            _ => None,
        }
    }

    /// COM_STMT_BULK_EXECUTE: one answer for all.
    pub(crate) async fn execute_bulk(&mut self, statement: u32, flags: u16, params: &[u8]) -> Result<(), Failure> {
        statistics::question();
        let charset = self.charset;
        let prepared = self.statements.get_mut(&statement).ok_or_else(|| unknown_statement(statement, "mysqld_stmt_bulk_execute"))?;
        let count = prepared.parsed.params;
        if count == 0 || flags & BULK_RESULTS != 0 {
            // ER_UNSUPPORTED_PS
            return Err(Refusal::new(1295, "HY000", "This command is not supported in the prepared statement protocol yet").into());
        }
        let sets = read_sets(params, count, flags & BULK_TYPES != 0, &mut prepared.types, charset)?;
        let parsed = prepared.parsed.clone();
        let outcome = tokio::select! {
            outcome = self.session.execute_batch(&parsed, &sets) => outcome?,
            error = self.connection.vanished() => return Err(Lost::Gone(error).into()),
        };
        self.answer(Reply::Done(outcome), RowFormat::Binary, false).await
    }

    /// COM_STMT_SEND_LONG_DATA; says nothing, whatever happens.
    pub(crate) fn long_data(&mut self, statement: u32, param: u16, data: &[u8]) {
        let limit = self.max_packet;
        let Some(prepared) = self.statements.get_mut(&statement) else { return };
        let Some(value) = prepared.long.get_mut(usize::from(param)) else {
            // ER_WRONG_ARGUMENTS
            prepared.long_failed = Some(Refusal::new(1210, "HY000", "Incorrect arguments to mysqld_stmt_send_long_data"));
            return;
        };
        let value = value.get_or_insert_default();
        if value.len() + data.len() > limit {
            let message = format!(
                "Parameter of prepared statement which is set through mysql_send_long_data() is longer than 'max_allowed_packet' bytes ({limit})"
            );
            prepared.long_failed = Some(Refusal::new(1105, "HY000", message));
            return;
        }
        value.extend_from_slice(data);
    }

    /// COM_STMT_RESET.
    pub(crate) fn reset_statement(&mut self, statement: u32) -> Result<(), Failure> {
        self.statements.get_mut(&statement).ok_or_else(|| unknown_statement(statement, "mysqld_stmt_reset"))?.forget_long_data();
        self.ok();
        Ok(())
    }

    /// COM_STMT_FETCH: there is never a cursor.
    pub(crate) fn fetch(&self, statement: u32) -> Refusal {
        if self.statements.contains_key(&statement) {
            // ER_STMT_HAS_NO_OPEN_CURSOR
            Refusal::new(1421, "HY000", format!("The statement ({statement}) has no open cursor."))
        } else {
            unknown_statement(statement, "mysqld_stmt_fetch")
        }
    }
}
