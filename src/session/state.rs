//! A session: its parts, how it begins and starts anew, and what the wires ask of it apart from running statements.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::client::{Client, Status};
use super::cursors::Cursors;
use super::diagnostics::{Diagnostics, Notice};
use super::last_parsed::LastParsed;
use super::prepared::PreparedStatements;
use super::settings::{Change, Settings};
use super::speculation::Speculation;
use super::transactions::Transactions;
use super::upstream::UpstreamState;
use crate::engine::Namespace;
use crate::error::{Error, Kind, Result};
use crate::node::{Handle, HeldPermit, Node};
use crate::sql::{Dialect, Parsed, READ_TIME, TimeClause, TimeKind, ast};
use crate::types::{Family, same};
use crate::variables::{Scope, Value};

/// One client's session.
pub struct Session {
    pub(super) node: Arc<Node>,
    pub(super) client: Client,
    pub(super) handle: Arc<Handle>,
    pub(super) settings: Settings,
    pub(super) transactions: Transactions,
    pub(super) prepared: PreparedStatements,
    pub(super) cursors: Cursors,
    pub(super) upstream: UpstreamState,
    pub(super) diagnostics: Diagnostics,
    pub(super) speculation: Speculation,
    /// On its way through the relay a text is parsed several times.
    pub(super) last_parsed: LastParsed,
    /// For parsing a long text.
    pub(super) held_permit: HeldPermit,
}

impl Session {
    /// Opens a session; an unknown database is an error.
    pub async fn open(node: Arc<Node>, client: Client) -> Result<Session> {
        let handle = node.sessions.add(client.id, &client.user, &client.peer, client.protocol);
        Session::open_as(node, client, handle).await
    }

    /// Opens a session that is registered already.
    pub(super) async fn open_as(node: Arc<Node>, client: Client, handle: Arc<Handle>) -> Result<Session> {
        let family = client.protocol.family();
        let mut session = Session {
            settings: Settings::new(family, Arc::clone(&node.globals)),
            prepared: PreparedStatements::new(family),
            node,
            client,
            handle,
            transactions: Transactions::default(),
            cursors: Cursors::default(),
            upstream: UpstreamState::default(),
            diagnostics: Diagnostics::default(),
            speculation: Speculation::default(),
            last_parsed: LastParsed::default(),
            held_permit: HeldPermit::default(),
        };
        session.start().await?;
        Ok(session)
    }

    /// CHANGE_USER: a fresh session on the same connection.
    pub async fn reopen(&mut self, client: Client) -> Result<()> {
        self.roll_back_open().await;
        let id = self.handle.id;
        self.client = Client { id: Some(id), ..client };
        self.node.sessions.remove(&self.handle);
        self.handle = self.node.sessions.add(Some(id), &self.client.user, &self.client.peer, self.client.protocol);
        self.fresh();
        self.start().await
    }

    /// RESET CONNECTION: everything but user and database as after login.
    pub async fn reset(&mut self) -> Result<()> {
        self.roll_back_open().await;
        let database = self.settings.database.take();
        self.fresh();
        self.settings.database = database;
        self.apply_start_settings()?;
        Ok(())
    }

    fn fresh(&mut self) {
        self.settings = Settings::new(self.family(), Arc::clone(&self.node.globals));
        self.transactions.reset();
        self.prepared.clear();
        self.cursors = Cursors::default();
        self.upstream.snapshot_time = None;
        self.diagnostics = Diagnostics::default();
        self.speculation.forget();
    }

    async fn start(&mut self) -> Result<()> {
        self.apply_start_settings()?;
        self.start_read_time().await?;
        if let Some(database) = self.client.database.clone() {
            match self.use_database(&database).await {
                Err(error) if error.kind() == Kind::UnknownDatabase && self.is_conventional(&database) => {}
                outcome => outcome?,
            }
            self.settings.discard_changes();
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
        self.settings.read_time = Some(at);
        Ok(())
    }

    /// Clients of PostgreSQL cannot connect without a database: who names none gets the one called like the user, and
    /// tools that are about to make one connect to `postgres`. Both start with no database here when there is none.
    fn is_conventional(&self, database: &str) -> bool {
        self.family() == Family::Postgres && (database == self.client.user || database == "postgres")
    }

    fn apply_start_settings(&mut self) -> Result<()> {
        self.settings.set_fact("pseudo_thread_id", Value::UInt(u64::from(self.handle.id)));
        self.settings.set_fact("is_superuser", Value::Bool(true));
        self.settings.set_fact("session_authorization", Value::Text(self.client.user.clone()));
        let zone_name = self.settings.zone.iana_name().unwrap_or("UTC").to_owned();
        match self.family() {
            Family::MySql => self.settings.set_fact("system_time_zone", Value::Text(zone_name)),
            Family::Postgres => {
                self.settings.set_fact("TimeZone", Value::Text(zone_name));
                for (name, value) in self.client.settings.clone() {
                    let startup_only = ["user", "database", "replication", "options"].contains(&name.as_str());
                    // As in PostgreSQL, prefixed names are protocol options.
                    if !startup_only && !name.starts_with("_pq_") && !same(&name, READ_TIME) {
                        self.settings.set(&name, Some(Value::Text(value)), Scope::Session)?;
                    }
                }
                self.settings.settle();
            }
        }
        self.settings.discard_changes();
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
        self.settings.database.as_deref()
    }

    /// What a wire reports with each answer.
    pub fn status(&self) -> Status {
        if let Some(status) = self.upstream.status {
            return status;
        }
        let open = self.transactions.client_transaction();
        Status {
            in_transaction: open.is_some(),
            failed: open.is_some_and(|t| t.failed),
            autocommit: self.settings.autocommit(),
            read_only: open.is_some_and(|t| t.read_only),
            no_backslash_escapes: self.dialect().no_backslash_escapes,
        }
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
        self.settings.use_database(name);
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
        self.settings.dialect(self.upstream.server)
    }

    /// The language.
    pub fn family(&self) -> Family {
        self.client.protocol.family()
    }

    pub(super) fn namespace(&self) -> Namespace {
        self.settings.namespace()
    }

    /// Warnings of the last statement.
    pub fn warning_count(&self) -> u16 {
        u16::try_from(self.diagnostics.warnings().len()).unwrap_or(u16::MAX)
    }

    /// Notices that the client has not received yet.
    pub fn drain_notices(&mut self) -> Vec<Notice> {
        self.diagnostics.take_notices()
    }

    /// Changes that the client has not received yet.
    pub fn drain_changes(&mut self) -> Vec<Change> {
        self.settings.take_changes()
    }

    /// A variable's value as text.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.settings.text(name)
    }

    /// A setting that is a time span; None: not set, or no limit.
    pub fn duration(&self, name: &str) -> Option<std::time::Duration> {
        self.settings.duration(name)
    }

    /// An error that a wire met outside of a statement's run (parsing, binding, bulk data, encoding) fails an open
    /// PostgreSQL transaction like one inside.
    pub fn fail(&mut self) {
        if self.family() == Family::Postgres {
            self.transactions.fail();
        }
    }

    /// A text that could not be parsed takes the place of the last statement in SHOW WARNINGS (MySQL).
    pub fn unreadable(&mut self, error: &Error) {
        self.diagnostics.clear_warnings();
        self.diagnostics.row_count = -1;
        self.diagnostics.add_error(error);
        self.diagnostics.update_counts();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.node.sessions.remove(&self.handle);
        if let Some(transaction) = self.transactions.hand_over() {
            // The connection is gone: what it staged is garbage.
            self.node.tasks.spawn("rollback", transaction.rollback());
        }
    }
}
