//! A session's state, and what the wires ask of it apart from running statements.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use datafusion::scalar::ScalarValue;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::copy::Loaded;
use super::cursors::Cursors;
use super::parsing::LastParsed;
use super::prepared::TextualStatement;
use super::speculative_plan::{Described, PlannedAhead};
use super::transaction::Open;
use crate::engine::Namespace;
use crate::error::{Error, Kind, Result};
use crate::node::Handle;
use crate::node::HeldPermit;
use crate::node::Node;
use crate::sql::{Dialect, Parsed, READ_TIME, Server, TimeClause, TimeKind, ast};
use crate::time::{Tso, parse_zone, postgres_zone};
use crate::types::{ColumnInfo, Family, Protocol, SqlType, same};
use crate::variables::{Changed, Scope, Value, Variables};

/// Who connected. Built by a wire after authentication.
#[derive(Debug, Clone)]
pub struct Client {
    /// Which wire.
    pub protocol: Protocol,
    /// Address.
    pub peer: String,
    /// User name.
    pub user: String,
    /// The database it asked for.
    pub database: Option<String>,
    /// PostgreSQL's start-up parameters; MySQL's connection attributes.
    pub settings: Vec<(String, String)>,
    /// Is the connection encrypted?
    pub tls: bool,
    /// The id that the wire has told the client already, from [`super::Registry::next_id`].
    pub id: Option<u32>,
}

/// What a wire reports with each answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// A transaction is open (not an implicit one).
    pub in_transaction: bool,
    /// It has failed (PostgreSQL).
    pub failed: bool,
    /// MySQL's autocommit.
    pub autocommit: bool,
    /// The open transaction is read only.
    pub read_only: bool,
    /// sql_mode has NO_BACKSLASH_ESCAPES.
    pub no_backslash_escapes: bool,
}

/// What a statement takes and gives.
#[derive(Debug, Clone)]
pub struct Description {
    /// Types of its parameters.
    pub params: Vec<SqlType>,
    /// Its columns; None: no result set.
    pub columns: Option<Vec<ColumnInfo>>,
}

/// The SQLSTATE of a warning.
pub const WARNING: &str = "01000";
/// The SQLSTATE of a note.
pub const NOTE: &str = "00000";

/// A warning or notice of the last statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// MySQL code.
    pub code: u16,
    /// SQLSTATE for PostgreSQL.
    pub sqlstate: &'static str,
    /// The sentence.
    pub message: String,
}

/// A change of state that the client is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A variable, by its canonical name.
    Variable { name: String, value: String },
    /// The current database.
    Database(String),
}

/// One client's session.
pub struct Session {
    pub(super) node: Arc<Node>,
    pub(super) client: Client,
    pub(super) handle: Arc<Handle>,
    pub(super) database: Option<String>,
    pub(super) variables: Variables,
    pub(super) user_variables: BTreeMap<String, ScalarValue>,
    pub(super) zone: TimeZone,
    /// What the upstream's own session says of itself; None: there is no upstream.
    pub(super) behind: Option<Status>,
    /// The client's own connection to it, while a statement of ours runs that may need it.
    pub(super) upstream: Option<crate::upstream::UpstreamHandle>,
    /// Whose comments are code.
    pub(super) server: Server,
    /// Names without a schema that are the upstream's.
    pub(super) hidden_names: crate::upstream::HiddenNames,
    /// Who the client is to the upstream.
    pub(super) principal: Option<super::Principal>,
    /// `SET flashback_read_time`.
    pub(super) read_time: Option<Tso>,
    /// Where the upstream's open transaction reads, if it reads at one time and has read here.
    pub(super) held_time: Option<Tso>,
    pub(super) transaction: Option<Open>,
    /// The query that is run next, if it is planned already.
    pub(super) planned_ahead: Option<PlannedAhead>,
    /// A statement that was stopped while it was planned ahead, and the error.
    pub(super) stopped: Option<(Arc<str>, Error)>,
    /// On its way through the relay a text is read several times.
    pub(super) last_parsed: LastParsed,
    /// For reading a long text.
    pub(super) held_permit: HeldPermit,
    /// The statement that is prepared next, if it is described already.
    pub(super) described: Option<Described>,
    /// PostgreSQL: statements until Sync (or of one simple query) are one transaction.
    pub(super) implicit: bool,
    /// Modes that `SET TRANSACTION` asked of the next transaction.
    pub(super) next_read_only: Option<bool>,
    /// What SET LOCAL has changed in the open transaction.
    pub(super) local: Vec<super::local::Before>,
    /// What a rollback of the open transaction brings back.
    pub(super) undo: Vec<super::local::Before>,
    /// What a rollback to each savepoint brings back.
    pub(super) savepoints: Vec<super::local::Savepoint>,
    pub(super) statements: BTreeMap<String, TextualStatement>,
    pub(super) cursors: Cursors,
    /// The upstream has done its part of a statement about stand-ins.
    pub(super) stand_ins_done: bool,
    /// The stand-ins that it has named.
    pub(super) stand_ins: Vec<super::stand_ins::Answer>,
    /// Loads that ended within the open transaction.
    pub(super) loaded: Loaded,
    pub(super) warnings: Vec<Notice>,
    pub(super) notices: Vec<Notice>,
    pub(super) changes: Vec<Change>,
    /// Warnings and errors of the last statement that did not ask for these numbers.
    pub(super) counts: (u64, u64),
    pub(super) row_count: i64,
    /// Rows that the last SELECT has given so far.
    pub(super) found_rows: Arc<AtomicU64>,
}

impl Session {
    /// Opens a session; an unknown database is an error.
    pub async fn open(node: Arc<Node>, client: Client) -> Result<Session> {
        let handle = node.sessions.add(client.id, &client.user, &client.peer, client.protocol);
        Session::open_as(node, client, handle).await
    }

    /// Opens a session that is registered already.
    pub(super) async fn open_as(node: Arc<Node>, client: Client, handle: Arc<Handle>) -> Result<Session> {
        let variables = Variables::new(client.protocol.family(), Arc::clone(&node.globals));
        let mut session = Session {
            node,
            client,
            handle,
            database: None,
            variables,
            user_variables: BTreeMap::new(),
            zone: TimeZone::system(),
            behind: None,
            upstream: None,
            server: Server::OWN,
            hidden_names: crate::upstream::HiddenNames::None,
            principal: None,
            read_time: None,
            held_time: None,
            transaction: None,
            planned_ahead: None,
            described: None,
            stopped: None,
            last_parsed: LastParsed::default(),
            held_permit: HeldPermit::default(),
            implicit: false,
            next_read_only: None,
            local: Vec::new(),
            undo: Vec::new(),
            savepoints: Vec::new(),
            statements: BTreeMap::new(),
            cursors: Cursors::default(),
            stand_ins_done: false,
            stand_ins: Vec::new(),
            loaded: Loaded::default(),
            warnings: Vec::new(),
            notices: Vec::new(),
            changes: Vec::new(),
            counts: (0, 0),
            row_count: -1,
            found_rows: Arc::default(),
        };
        session.start().await?;
        Ok(session)
    }

    /// CHANGE_USER: a fresh session on the same connection.
    pub async fn reopen(&mut self, client: Client) -> Result<()> {
        self.forget_transaction().await;
        let id = self.handle.id;
        self.client = Client { id: Some(id), ..client };
        self.node.sessions.remove(&self.handle);
        self.handle = self.node.sessions.add(Some(id), &self.client.user, &self.client.peer, self.client.protocol);
        self.fresh();
        self.start().await
    }

    /// RESET CONNECTION: everything but user and database as after login.
    pub async fn reset(&mut self) -> Result<()> {
        self.forget_transaction().await;
        let database = self.database.take();
        self.fresh();
        self.database = database;
        self.apply_start_settings()?;
        Ok(())
    }

    fn fresh(&mut self) {
        self.variables = Variables::new(self.client.protocol.family(), Arc::clone(&self.node.globals));
        self.user_variables.clear();
        self.zone = TimeZone::system();
        self.read_time = None;
        self.held_time = None;
        self.forget_planned_ahead();
        self.implicit = false;
        self.next_read_only = None;
        self.statements.clear();
        self.cursors = Cursors::default();
        self.warnings.clear();
        self.counts = (0, 0);
        self.notices.clear();
        self.changes.clear();
        self.database = None;
        self.row_count = -1;
        self.found_rows = Arc::default();
    }

    async fn start(&mut self) -> Result<()> {
        self.apply_start_settings()?;
        self.start_read_time().await?;
        if let Some(database) = self.client.database.clone() {
            match self.use_database(&database).await {
                Err(error) if error.kind() == Kind::UnknownDatabase && self.is_conventional(&database) => {}
                outcome => outcome?,
            }
            self.changes.clear();
        }
        Ok(())
    }

    /// A PostgreSQL client may start in the past: `options='-c flashback_read_time=2022-07-05'`.
    async fn start_read_time(&mut self) -> Result<()> {
        let named = self.client.settings.iter().find(|(name, _)| self.family() == Family::Postgres && same(name, READ_TIME));
        let Some((_, text)) = named else { return Ok(()) };
        let expr = ast::Expr::Value(ast::Value::SingleQuotedString(text.clone()).into());
        let now = self.node.gms.read_now().await?;
        let at = self.evaluate_time(&TimeClause { kind: TimeKind::Timestamp, expr }, now, &[])?;
        self.node.gms.admit(at).await?;
        self.read_time = Some(at);
        Ok(())
    }

    /// Clients of PostgreSQL cannot connect without a database: who names none gets the one called like the user, and
    /// tools that are about to make one connect to `postgres`. Both start with no database here when there is none.
    fn is_conventional(&self, database: &str) -> bool {
        self.family() == Family::Postgres && (database == self.client.user || database == "postgres")
    }

    fn apply_start_settings(&mut self) -> Result<()> {
        self.variables.fact("pseudo_thread_id", Value::UInt(u64::from(self.handle.id)));
        self.variables.fact("is_superuser", Value::Bool(true));
        self.variables.fact("session_authorization", Value::Text(self.client.user.clone()));
        let zone_name = self.zone.iana_name().unwrap_or("UTC").to_owned();
        match self.family() {
            Family::MySql => self.variables.fact("system_time_zone", Value::Text(zone_name)),
            Family::Postgres => {
                self.variables.fact("TimeZone", Value::Text(zone_name));
                for (name, value) in self.client.settings.clone() {
                    let startup_only = ["user", "database", "replication", "options"].contains(&name.as_str());
                    // As in PostgreSQL, prefixed names are protocol options.
                    if !startup_only && !name.starts_with("_pq_") && !same(&name, READ_TIME) {
                        let changed = self.variables.set(&name, Some(Value::Text(value)), Scope::Session)?;
                        self.follow(changed)?;
                    }
                }
                self.variables.settle();
            }
        }
        self.changes.clear();
        Ok(())
    }

    /// The connection's id.
    pub fn id(&self) -> u32 {
        self.handle.id
    }

    /// What a CancelRequest must bring.
    pub fn secret(&self) -> u32 {
        self.handle.secret
    }

    /// What all sessions share.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Fires when the connection is to end.
    pub fn closing(&self) -> CancellationToken {
        self.handle.closing.clone()
    }

    /// The current database.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// What a wire reports with each answer.
    pub fn status(&self) -> Status {
        if let Some(status) = self.behind {
            return status;
        }
        let open = self.transaction.as_ref().filter(|t| !t.implicit);
        Status {
            in_transaction: open.is_some(),
            failed: open.is_some_and(|t| t.failed),
            autocommit: self.autocommit(),
            read_only: open.is_some_and(|t| t.read_only),
            no_backslash_escapes: self.dialect().no_backslash_escapes,
        }
    }

    /// MySQL's autocommit; always on in PostgreSQL.
    pub(super) fn autocommit(&self) -> bool {
        self.family() == Family::Postgres || self.variables.flag("autocommit")
    }

    /// Makes a database the current one.
    pub async fn use_database(&mut self, name: &str) -> Result<()> {
        let name = if Namespace::is_virtual(name) {
            crate::types::fold(name)
        } else {
            let catalog = self.node.gms.catalog();
            if catalog.database(name).is_none() {
                self.node.gms.refresh().await?;
            }
            let catalog = self.node.gms.catalog();
            catalog.require_database(name)?.name.clone()
        };
        self.handle.set_database(Some(&name));
        self.changes.push(Change::Database(name.clone()));
        self.database = Some(name);
        Ok(())
    }

    /// Splits a text into its statements; an empty text gives none.
    pub fn parse(&self, text: &str) -> Result<Vec<Parsed>> {
        match self.parse_leading(text)? {
            (statements, None) => Ok(statements),
            (_, Some(error)) => Err(error),
        }
    }

    /// The statements up to the first that cannot be read, and the error of that one.
    pub fn parse_leading(&self, text: &str) -> Result<(Vec<Parsed>, Option<Error>)> {
        self.last_parsed.parse(&self.dialect(), text)
    }

    /// How the session's text is read.
    pub fn dialect(&self) -> Dialect {
        match self.family() {
            Family::Postgres => Dialect { no_backslash_escapes: self.variables.flag("standard_conforming_strings"), ..Dialect::POSTGRES },
            Family::MySql => {
                let mode = self.variables.text("sql_mode").unwrap_or_default();
                let has = |word: &str| mode.split(',').any(|m| m.eq_ignore_ascii_case(word));
                Dialect {
                    ansi_quotes: has("ANSI_QUOTES"),
                    no_backslash_escapes: has("NO_BACKSLASH_ESCAPES"),
                    pipes_as_concat: has("PIPES_AS_CONCAT"),
                    server: self.server,
                    ..Dialect::MYSQL
                }
            }
        }
    }

    /// The language.
    pub fn family(&self) -> Family {
        self.client.protocol.family()
    }

    pub(super) fn namespace(&self) -> Namespace {
        Namespace { family: self.family(), database: self.database.clone() }
    }

    /// Warnings of the last statement.
    pub fn warning_count(&self) -> u16 {
        u16::try_from(self.warnings.len()).unwrap_or(u16::MAX)
    }

    /// Notices that the client has not been told yet.
    pub fn drain_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Changes that the client has not been told yet.
    pub fn drain_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// A variable's value as text.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.text(name)
    }

    /// A setting that is a time span; None: not set, or no limit.
    pub fn duration(&self, name: &str) -> Option<std::time::Duration> {
        self.variables.duration(name)
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, code: u16, message: impl Into<String>) {
        let notice = Notice { code, sqlstate: WARNING, message: message.into() };
        self.warnings.push(notice.clone());
        self.notices.push(notice);
    }

    /// Adds a note: what was asked for is so already.
    pub(super) fn note(&mut self, code: u16, message: impl Into<String>) {
        let notice = Notice { code, sqlstate: NOTE, message: message.into() };
        self.warnings.push(notice.clone());
        self.notices.push(notice);
    }

    /// Does what follows from changed variables: the zone, and what the client is told.
    pub(super) fn follow(&mut self, changed: Vec<Changed>) -> Result<()> {
        for change in changed {
            let text = change.value.text(self.family());
            if change.scope == Scope::Global {
                // It is for sessions to come.
                continue;
            }
            if change.name.eq_ignore_ascii_case("time_zone") | change.name.eq_ignore_ascii_case("TimeZone") {
                self.zone = match self.family() {
                    Family::MySql => parse_zone(&text)?,
                    Family::Postgres => postgres_zone(&text)?,
                };
            }
            self.changes.push(Change::Variable { name: change.name, value: text });
        }
        Ok(())
    }

    /// The error of a table that is not there.
    pub(super) fn no_table(&self, database: &str, name: &str) -> Error {
        crate::engine::unknown_table(self.family(), database, name)
    }

    /// An error that a wire met outside of a statement's run (parsing, binding, bulk data, encoding) fails an open
    /// PostgreSQL transaction like one inside.
    pub fn fail(&mut self) {
        if self.family() == Family::Postgres
            && let Some(open) = &mut self.transaction
        {
            open.failed = true;
        }
    }

    /// A text that could not be read takes the place of the last statement in SHOW WARNINGS (MySQL).
    pub fn unreadable(&mut self, error: &Error) {
        self.warnings.clear();
        self.row_count = -1;
        self.note_error(error);
        self.count_notes();
    }

    pub(super) fn note_error(&mut self, error: &Error) {
        self.warnings.push(Notice { code: error.mysql_code(), sqlstate: error.sqlstate(), message: error.to_string() });
    }

    /// Keeps the numbers of warnings and errors for `@@warning_count` and `@@error_count`.
    pub(super) fn count_notes(&mut self) {
        let errors = self.warnings.iter().filter(|note| !matches!(note.sqlstate, WARNING | NOTE)).count();
        self.counts = (self.warnings.len() as u64, errors as u64);
    }

    /// A failed PostgreSQL transaction takes nothing but its end.
    pub(super) fn check_not_failed(&self) -> Result<()> {
        if self.transaction.as_ref().is_some_and(|t| t.failed) {
            return Err(Error::new(
                Kind::FailedTransaction,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.node.sessions.remove(&self.handle);
        if let Some(open) = self.transaction.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // The connection is gone: what it staged is garbage.
            runtime.spawn(open.transaction.rollback());
        }
    }
}
