//! Follows the client's session at the upstream: its state is taken over before a local statement runs.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;

use super::UpstreamSession;
use crate::error::{Error, Kind, Result};
use crate::node::Node;
use crate::session::client::{Client, Status};
use crate::session::state::Session;
use crate::sql::{Parsed, Setting, Statement};
use crate::upstream::{HiddenNames, UpstreamHandle};
use crate::variables::{Scope, Value};

impl Session {
    /// Opens a session for a client that has logged in to the upstream.
    pub async fn open_with_upstream(node: Arc<Node>, client: Client, upstream_session: UpstreamSession) -> Result<Session> {
        let client = Client { database: None, settings: Vec::new(), ..client };
        let handle = match client.id {
            Some(id) => node.sessions.add_foreign(id, &client.user, &client.peer, client.protocol),
            None => node.sessions.add(None, &client.user, &client.peer, client.protocol),
        };
        let mut session = Session::open_as(node, client, handle).await?;
        session.follow_upstream(upstream_session).await;
        Ok(session)
    }

    /// Takes over the state of the upstream's session.
    pub async fn follow_upstream(&mut self, upstream_session: UpstreamSession) {
        if !upstream_session.status.in_transaction {
            self.end_upstream_transaction().await;
        }
        let UpstreamSession { database, variables, status, principal, server } = upstream_session;
        let upstream = &mut self.upstream;
        let server = server.unwrap_or(upstream.server);
        let same = (upstream.status, &upstream.principal, upstream.server) == (Some(status), &principal, server);
        (upstream.status, upstream.principal, upstream.server) = (Some(status), principal, server);
        if self.settings.database != database {
            self.handle.set_database(database.as_deref());
            self.settings.database = database;
            self.speculation.invalidate();
        } else if !same {
            self.speculation.invalidate();
        }
        for (name, value) in variables {
            let before = self.settings.text(&name);
            if before.as_deref() == Some(value.as_str()) {
                continue;
            }
            // A value that is not known here, such as a zone, leaves the local one as it was.
            if let Err(error) = self.settings.set(&name, Some(Value::Text(value)), Scope::Session) {
                // The error's sentence is not logged: it may quote the value.
                tracing::debug!(name, kind = ?error.kind(), "a setting of the upstream was not taken over");
            }
            // The value may be kept in another form here, as MariaDB's sql_mode is.
            if self.settings.text(&name) != before {
                self.speculation.invalidate();
            }
        }
        self.settings.discard_changes();
    }

    /// The upstream's transaction that was open when a local statement ran last has ended, even if another is open.
    pub async fn end_upstream_transaction(&mut self) {
        self.end_cursors(false);
        self.upstream.snapshot_time = None;
        // The client has begun it here (AS OF) while the upstream had one open. A transaction that the wire has begun around the
        // statements of a pipeline ends with the pipeline.
        if self.transactions.begun_by_client() {
            self.roll_back_open().await;
        }
    }

    /// Another transaction may be open: its reads of cold tables are at their own time.
    pub fn release_time(&mut self) {
        self.upstream.snapshot_time = None;
    }

    /// Takes over what the upstream reported with its last answer.
    pub fn set_status(&mut self, status: Status) {
        self.upstream.status = Some(status);
    }

    /// Takes over user variables of the upstream's session.
    pub fn set_user_variables(&mut self, values: Vec<(String, ScalarValue)>) {
        self.speculation.invalidate();
        self.settings.take_over_user_variables(values);
    }

    /// The user variables that these statements set, as they are now.
    pub fn set_by(&self, statements: &[Parsed]) -> Vec<(String, ScalarValue)> {
        let mut names: Vec<&String> = Vec::new();
        let statements: Vec<Parsed> = statements.iter().filter_map(|parsed| self.executed_by(parsed)).collect();
        for parsed in &statements {
            match &parsed.statement {
                Statement::SelectInto { variables, .. } => names.extend(variables),
                Statement::Set(settings) => names.extend(settings.iter().filter_map(|setting| match setting {
                    Setting::User { name, .. } => Some(name),
                    _ => None,
                })),
                _ => {}
            }
        }
        let value = |name: &String| self.settings.user_variable(name).cloned();
        names.into_iter().filter_map(|name| Some((name.clone(), value(name)?))).collect()
    }

    /// Takes over standard_conforming_strings of the upstream's session: how the next text is read.
    pub fn take_over_strings(&mut self, conforming: bool) {
        const NAME: &str = "standard_conforming_strings";
        if self.dialect().no_backslash_escapes != conforming
            && let Err(error) = self.settings.assign(NAME, Some(Value::Text(if conforming { "on" } else { "off" }.into())), Scope::Session)
        {
            tracing::debug!(kind = ?error.kind(), "standard_conforming_strings was not taken over");
        }
    }

    /// Sets which names without a schema mean tables of the upstream: PostgreSQL's search_path may leave `public` out, or have a
    /// schema before it with a table of that name. Returns the names that were hidden before.
    pub fn hide_names(&mut self, hidden: HiddenNames) -> HiddenNames {
        if self.upstream.hidden_names != hidden {
            self.speculation.invalidate();
        }
        std::mem::replace(&mut self.upstream.hidden_names, hidden)
    }

    /// Forgets prepared statements of the names that these statements prepare at the upstream.
    pub fn forget_prepared(&mut self, statements: &[Parsed]) {
        for parsed in statements {
            if let Statement::Prepare { name, .. } = &parsed.statement {
                self.prepared.remove(name);
            }
        }
    }

    /// Has the open transaction changed rows of cold tables?
    pub fn has_changes(&self) -> bool {
        self.transactions.has_changes()
    }

    /// Gives the session the client's connection to the upstream for the statement that runs next.
    pub fn lend_upstream(&mut self, upstream: UpstreamHandle) {
        self.upstream.handle = Some(upstream);
    }

    /// Takes the connection back.
    pub fn end_upstream_loan(&mut self) {
        self.upstream.handle = None;
    }

    /// Is there an upstream?
    pub fn has_upstream(&self) -> bool {
        self.upstream.exists()
    }

    /// A change of cold tables cannot be rolled back with an upstream's transaction, so it must not look as if it could.
    pub(in crate::session) fn check_outside_upstream_transaction(&self, statement: &Statement) -> Result<()> {
        let Some(status) = self.upstream.status else { return Ok(()) };
        let open = match statement {
            // These change tables of the upstream.
            Statement::Insert(insert) if self.inserts_hot(insert) => false,
            Statement::CreateTable(create) if self.makes_hot(create) => false,
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::LoadData(_) => {
                status.in_transaction || !status.autocommit
            }
            Statement::Copy(copy) => copy.from && status.in_transaction,
            Statement::Execute { name, .. } => {
                return match self.prepared_statement(name) {
                    Some(inner) => self.check_outside_upstream_transaction(&inner.statement),
                    None => Ok(()),
                };
            }
            Statement::Truncate { .. }
            | Statement::CreateTable(_)
            | Statement::DropTable { .. }
            | Statement::AlterTable(_)
            | Statement::RenameTable { .. }
            | Statement::CreateView(_)
            | Statement::DropView { .. }
            | Statement::OptimizeTable { .. }
            | Statement::FlashbackTable { .. }
            | Statement::PurgeTable { .. }
            | Statement::PurgeRecycleBin
            | Statement::CreateFileStorage { .. }
            | Statement::DropFileStorage { .. }
            | Statement::ClearFileStorage { .. }
            | Statement::AlterFileStorage { .. }
            | Statement::Grant(_) => status.in_transaction,
            _ => false,
        };
        if !open {
            return Ok(());
        }
        let message = "a change of cold tables takes effect at once and cannot be part of the upstream's transaction";
        let hint = if status.in_transaction {
            "COMMIT or ROLLBACK first (in a pipeline: Sync), then run it with autocommit on"
        } else {
            "run it with autocommit on (SET autocommit = 1)"
        };
        Err(Error::new(Kind::Refused, message).with_hint(hint))
    }
}
