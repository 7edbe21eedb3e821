//! A session in front of an upstream: the client's state is the upstream's, and is taken over before a statement of ours runs.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;

use super::rights::Principal;
use super::state::{Client, Session, Status};
use crate::error::{Error, Kind, Result};
use crate::node::Node;
use crate::sql::{Parsed, Server, Setting, Statement};
use crate::types::fold;
use crate::upstream::HiddenNames;
use crate::variables::{Scope, Value};

/// What the client's own session at the upstream says of itself.
#[derive(Debug, Clone, Default)]
pub struct UpstreamSession {
    /// The current database; it need not be known here.
    pub database: Option<String>,
    /// Variables by name. What Flashgate does not know is left out.
    pub variables: Vec<(String, String)>,
    /// What the upstream reported with its last answer.
    pub status: Status,
    /// Who the client is there; None: not known, then it is nobody but its login name.
    pub principal: Option<Principal>,
    /// MySQL: what the upstream is, by its greeting.
    pub server: Option<Server>,
}

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
        let server = upstream_session.server.unwrap_or(self.server);
        let now = (Some(upstream_session.status), upstream_session.principal, server);
        if (self.behind, self.principal.as_ref(), self.server) != (now.0, now.1.as_ref(), now.2)
            || self.database != upstream_session.database
        {
            self.drop_plans();
        }
        (self.behind, self.principal, self.server) = now;
        if self.database != upstream_session.database {
            self.handle.set_database(upstream_session.database.as_deref());
            self.database = upstream_session.database;
        }
        for (name, value) in upstream_session.variables {
            let before = self.variables.text(&name);
            if before.as_deref() == Some(value.as_str()) {
                continue;
            }
            // A value that we cannot take, such as a zone that is unknown here, leaves ours as it was.
            let changed = self.variables.set(&name, Some(Value::Text(value)), Scope::Session);
            if let Err(error) = changed.and_then(|changed| self.follow(changed)) {
                // Its sentence may quote the value.
                tracing::debug!(name, kind = ?error.kind(), "a setting of the upstream was not taken over");
            }
            // It may be one that has more to say there than here, as MariaDB's sql_mode.
            if self.variables.text(&name) != before {
                self.drop_plans();
            }
        }
        self.changes.clear();
    }

    /// The transaction of the upstream's that was open when a statement of ours ran last has ended, even if another is open.
    pub async fn end_upstream_transaction(&mut self) {
        self.end_cursors(false);
        self.held_time = None;
        // It was opened here (AS OF) beside one of the upstream. One that the wire has opened around the statements of a
        // pipeline ends with that.
        if self.transaction.as_ref().is_some_and(|open| !open.implicit) {
            self.forget_transaction().await;
        }
    }

    /// Another transaction may be open: its reads of cold tables are at their own time.
    pub fn release_time(&mut self) {
        self.held_time = None;
    }

    /// Takes over what the upstream reported with its last answer.
    pub fn set_status(&mut self, status: Status) {
        self.behind = Some(status);
    }

    /// Takes over user variables of the upstream's session.
    pub fn set_user_variables(&mut self, values: Vec<(String, ScalarValue)>) {
        self.drop_plans();
        self.user_variables.extend(values.into_iter().map(|(name, value)| (fold(&name), value)));
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
        let value = |name: &String| self.user_variables.get(&fold(name)).cloned();
        names.into_iter().filter_map(|name| Some((name.clone(), value(name)?))).collect()
    }

    /// Takes over standard_conforming_strings of the upstream's session: how the next text is read.
    pub fn take_over_strings(&mut self, conforming: bool) {
        const NAME: &str = "standard_conforming_strings";
        if self.dialect().no_backslash_escapes != conforming
            && let Err(error) = self.variables.set(NAME, Some(Value::Text(if conforming { "on" } else { "off" }.into())), Scope::Session)
        {
            tracing::debug!(kind = ?error.kind(), "standard_conforming_strings was not taken over");
        }
    }

    /// Says which names without a schema are not ours: PostgreSQL's search_path may leave `public` out, or have a schema
    /// before it with a table of that name.
    /// Gives those that were not ours before.
    pub fn hide_names(&mut self, hidden: HiddenNames) -> HiddenNames {
        if self.hidden_names != hidden {
            self.drop_plans();
        }
        std::mem::replace(&mut self.hidden_names, hidden)
    }

    /// Forgets textual statements of the names that these prepare elsewhere.
    pub fn forget_prepared(&mut self, statements: &[Parsed]) {
        for parsed in statements {
            if let Statement::Prepare { name, .. } = &parsed.statement {
                let key = self.statement_key(name);
                self.statements.remove(&key);
            }
        }
    }

    /// Has an open transaction of ours changed rows?
    pub fn has_changes(&self) -> bool {
        self.transaction.as_ref().is_some_and(|open| open.transaction.is_dirty()) || !self.loaded.lock().is_empty()
    }

    /// Is there an upstream?
    pub fn has_upstream(&self) -> bool {
        self.behind.is_some()
    }

    /// A change of cold tables cannot be rolled back with an upstream's transaction, so it must not look as if it could.
    pub(super) fn check_apart(&self, statement: &Statement) -> Result<()> {
        let Some(status) = self.behind else { return Ok(()) };
        let open = match statement {
            // These are changes of the upstream's.
            Statement::Insert(insert) if self.inserts_hot(insert) => false,
            Statement::CreateTable(create) if self.makes_hot(create) => false,
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::LoadData(_) => {
                status.in_transaction || !status.autocommit
            }
            Statement::Copy(copy) => copy.from && status.in_transaction,
            Statement::Execute { name, .. } => {
                return match self.prepared_statement(name) {
                    Some(inner) => self.check_apart(&inner.statement),
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
