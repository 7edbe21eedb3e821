//! One client after its login: what it sends next, and what a command leaves behind (notices, changed settings, the
//! transaction's status).
//!
//! The story of an error: a simple query's is answered and followed by ReadyForQuery; one within a pipeline is
//! answered, and everything up to the next Sync is skipped ([`Expect::Sync`]).

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use pgwire::messages::response::{CommandComplete, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::ParameterStatus;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::encode::Style;
use super::extended::{Fresh, Portal, Prepared};
use super::fault::{Fault, Severity, Step, Stop, encode_notice, put};
use super::frame::{Frame, Link};
use super::message::Frontend;
use crate::session::{Change, Session};
use crate::time::postgres_zone;

/// Settings that a client is told at the start and whenever they change, with what is said when the session has no
/// word on them (PostgreSQL documentation, section 55.2.7, "Asynchronous Operations").
const REPORTED: &[(&str, &str)] = &[
    ("server_version", "16.6 (Flashgate)"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("application_name", ""),
    ("default_transaction_read_only", "off"),
    ("in_hot_standby", "off"),
    ("is_superuser", "off"),
    ("session_authorization", ""),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
];

/// What the connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// Any command.
    Command,
    /// The end of a pipeline that has failed.
    Sync,
}

/// An authenticated connection.
pub struct Connection<S> {
    pub(crate) link: Link<S>,
    pub(crate) session: Session,
    pub(crate) statements: HashMap<String, Prepared>,
    pub(crate) portals: HashMap<String, Portal>,
    /// What the last Parse found out.
    pub(crate) fresh: Option<Fresh>,
    /// An implicit transaction of a pipeline is open.
    pub(crate) implicit: bool,
    /// Messages of a pipeline came since the last Sync.
    in_pipeline: bool,
    expect: Expect,
    reported: HashMap<&'static str, String>,
    drain: CancellationToken,
    idle_timeout: Option<Duration>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection whose client has just logged in.
    pub fn new(mut link: Link<S>, session: Session, drain: CancellationToken, idle_timeout: Option<Duration>) -> Connection<S> {
        link.closing = session.closing();
        Connection {
            link,
            session,
            statements: HashMap::new(),
            portals: HashMap::new(),
            fresh: None,
            implicit: false,
            in_pipeline: false,
            expect: Expect::Command,
            reported: HashMap::new(),
            drain,
            idle_timeout,
        }
    }

    /// Serves the client until it or we end the connection. An error is the transport's.
    pub async fn run(mut self, user: &str) -> io::Result<()> {
        self.report_all(user);
        self.ready();
        let end = loop {
            if let Err(stop) = self.step().await {
                break stop;
            }
        };
        match end {
            Stop::Fault(fault) => {
                fault.into_fatal().encode(&mut self.link.output);
                self.link.close().await;
                Ok(())
            }
            // Terminate, or a connection closed between two messages, is an end like any other.
            Stop::Gone(error) if error.kind() == io::ErrorKind::NotConnected => {
                self.link.close().await;
                Ok(())
            }
            Stop::Gone(error) => Err(error),
        }
    }

    /// Takes one message. An error ends the connection.
    async fn step(&mut self) -> Step<()> {
        if self.link.next_kind().is_none() {
            self.link.flush().await?;
        } else {
            self.link.flush_if_large().await?;
        }
        let frame = self.next_frame().await?;
        let kind = frame.kind;
        let Err(stop) = self.take(frame).await else { return Ok(()) };
        let fault = match stop {
            Stop::Fault(fault) if fault.severity == Severity::Error => fault,
            stop => return Err(stop),
        };
        self.fail(&fault);
        if matches!(kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H') {
            if std::mem::take(&mut self.implicit) {
                // The pipeline's error is the one to tell.
                let _ = self.session.end_implicit(false).await;
            }
            self.expect = Expect::Sync;
            // The client may wait for the error before it sends Sync.
            self.link.flush().await?;
            Ok(())
        } else {
            self.ready();
            Ok(())
        }
    }

    /// Tells the client of an error, and the session: an open transaction has failed by it.
    pub(crate) fn fail(&mut self, fault: &Fault) {
        self.session.fail();
        self.send_notices();
        fault.encode(&mut self.link.output);
    }

    /// The next message; the connection ends here when it is to be closed and the client has nothing under way.
    async fn next_frame(&mut self) -> Step<Frame> {
        let (drain, closing, idle) = (self.drain.clone(), self.link.closing.clone(), !self.in_pipeline);
        let in_transaction = self.session.status().in_transaction;
        let ending = async {
            tokio::select! {
                // An open transaction may still end, up to the server's deadline.
                _ = drain.cancelled(), if !in_transaction => {}
                _ = closing.cancelled() => {}
            }
            if !idle {
                // The rest of a pipeline is let through, if it comes.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let own = self.session.duration(if in_transaction { "idle_in_transaction_session_timeout" } else { "idle_session_timeout" });
        // Within a pipeline the client is not idle by PostgreSQL's rule, but no silence lasts longer than the server's limit.
        let limit = [own.filter(|_| idle), self.idle_timeout].into_iter().flatten().min();
        let (code, what) =
            if in_transaction && limit == own { ("25P03", "idle-in-transaction timeout") } else { ("57P05", "idle-session timeout") };
        let silent = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = ending => Err(shutting_down().into()),
            _ = silent => Err(Fault::fatal(code, format!("terminating connection due to {what}")).into()),
            frame = self.link.frame() => frame?.ok_or_else(|| Stop::Gone(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Answers the next message of the extended protocol, which has come whole. An error is the caller's to tell.
    pub(crate) async fn answer_next(&mut self) -> Step<()> {
        let frame = self.link.frame().await?.ok_or_else(|| Stop::Gone(io::ErrorKind::NotConnected.into()))?;
        match Frontend::decode(frame)? {
            Frontend::Parse(parse) => self.parse(parse).await,
            Frontend::Bind(bind) => self.bind(bind).await,
            Frontend::Describe(describe) => self.describe(describe).await,
            Frontend::Execute(execute) => self.execute(execute).await,
            Frontend::Close(close) => {
                self.close(close);
                Ok(())
            }
            _ => Err(Fault::protocol("not a message of the extended protocol").into()),
        }
    }

    /// Prepares the statement of the next message, which has come whole, without telling the client.
    pub(crate) async fn prepare_next(&mut self) -> Step<()> {
        let frame = self.link.frame().await?.ok_or_else(|| Stop::Gone(io::ErrorKind::NotConnected.into()))?;
        match Frontend::decode(frame)? {
            Frontend::Parse(parse) => self.prepare(parse).await,
            _ => Err(Fault::protocol("not a Parse message").into()),
        }
    }

    async fn take(&mut self, frame: Frame) -> Step<()> {
        if self.expect == Expect::Sync && !matches!(frame.kind, b'S' | b'X') {
            return Ok(());
        }
        self.in_pipeline = matches!(frame.kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H');
        match Frontend::decode(frame)? {
            Frontend::Query(query) => self.simple_query(&query.query).await,
            Frontend::Parse(parse) => self.parse(parse).await,
            Frontend::Bind(bind) => self.bind(bind).await,
            Frontend::Describe(describe) => self.describe(describe).await,
            Frontend::Execute(execute) => self.execute(execute).await,
            Frontend::Close(close) => {
                self.close(close);
                Ok(())
            }
            Frontend::Flush => Ok(self.link.flush().await?),
            Frontend::Sync => {
                self.expect = Expect::Command;
                self.sync().await;
                Ok(())
            }
            // What is left of a COPY that has failed.
            Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail(_) => Ok(()),
            Frontend::FunctionCall => Err(Fault::error("0A000", "the function call protocol is not supported")
                .with_hint("use SELECT with the function's name")
                .into()),
            Frontend::Password => Err(Fault::protocol("a password message came after the login").into_fatal().into()),
            Frontend::Terminate => Err(Stop::Gone(io::ErrorKind::NotConnected.into())),
        }
    }

    /// The end of a pipeline: its implicit transaction is committed.
    async fn sync(&mut self) {
        if std::mem::take(&mut self.implicit)
            && let Err(error) = self.session.end_implicit(true).await
        {
            self.fail(&error.into());
        }
        // What was described and not run has had its time.
        self.session.forget_planned_ahead();
        self.drop_portals_outside_transactions();
        self.ready();
    }

    /// Portals end with the transaction that they were opened in.
    pub(crate) fn drop_portals_outside_transactions(&mut self) {
        if !self.session.status().in_transaction {
            self.portals.clear();
        }
    }

    /// Ends a command: sends its notices, then its tag.
    pub(crate) fn complete(&mut self, tag: String) {
        self.send_notices();
        put(&CommandComplete::new(tag), &mut self.link.output);
    }

    fn send_notices(&mut self) {
        for notice in self.session.drain_notices() {
            encode_notice(&notice, &mut self.link.output);
        }
    }

    /// Says that the next command may come, and what has changed by the last one.
    pub(crate) fn ready(&mut self) {
        self.send_notices();
        for change in self.session.drain_changes() {
            if let Change::Variable { name, value } = change {
                self.report(&name, value);
            }
        }
        let status = self.session.status();
        let status = match (status.failed, status.in_transaction) {
            (true, _) => TransactionStatus::Error,
            (false, true) => TransactionStatus::Transaction,
            (false, false) => TransactionStatus::Idle,
        };
        put(&ReadyForQuery::new(status), &mut self.link.output);
    }

    fn report_all(&mut self, user: &str) {
        for (name, unset) in REPORTED {
            let unset = if *name == "session_authorization" { user } else { unset };
            let value = self.session.variable(name).unwrap_or_else(|| unset.to_string());
            self.report(name, value);
        }
        // What the client has just been told is no change any more.
        self.session.drain_changes();
    }

    fn report(&mut self, name: &str, value: String) {
        let Some((name, _)) = REPORTED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else { return };
        if self.reported.get(name) != Some(&value) {
            put(&ParameterStatus::new((*name).to_owned(), value.replace('\0', "")), &mut self.link.output);
            self.reported.insert(name, value);
        }
    }

    /// How values are written now.
    pub(crate) fn style(&self) -> Style {
        let zone = self.session.variable("TimeZone").and_then(|name| postgres_zone(&name).ok());
        Style { zone: zone.unwrap_or(jiff::tz::TimeZone::UTC) }
    }

    /// The buffer of messages on their way out.
    pub(crate) fn out(&mut self) -> &mut BytesMut {
        &mut self.link.output
    }
}

/// Why a connection that did nothing wrong is closed.
pub fn shutting_down() -> Fault {
    Fault::fatal("57P01", "terminating connection due to administrator command")
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
