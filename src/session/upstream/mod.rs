//! The client's own session at the upstream: what is known of it here, and statements that reach tables there.

mod federated;
mod follow;
mod hot_insert;
mod insert_text;
mod name_conflicts;
mod stand_ins;

use std::sync::Arc;

use super::client::Status;
use crate::sql::Server;
use crate::time::Tso;
use crate::types::{ColumnInfo, SqlType};
use crate::upstream::{HiddenNames, UpstreamHandle};

/// What marks a PostgreSQL view as a stand-in: how its comment begins. The shape follows.
pub const STAND_IN_COMMENT: &str = "Flashgate stand-in ";
/// The columns of SHOW COLD STANDINS.
pub(super) const STAND_IN_COLUMNS: [&str; 3] = ["TABLE_SCHEMA", "TABLE_NAME", "STATE"];

/// A row of the upstream's answer to a question about its catalog, as text.
pub type Answer = Vec<Option<String>>;

/// Who the client is to the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// MySQL: the account that the client was let in as, `name@host`. PostgreSQL: the current role.
    pub account: String,
    /// It may do everything there, and so here.
    pub superuser: bool,
}

/// The state of the client's session at the upstream, as a wire has fetched it.
#[derive(Debug, Clone, Default)]
pub struct UpstreamSession {
    /// The current database; it need not be known here.
    pub database: Option<String>,
    /// Variables by name. What Flashgate does not know is left out.
    pub variables: Vec<(String, String)>,
    /// What the upstream reported with its last answer.
    pub status: Status,
    /// Who the client is there; None: not known, then only its login name counts.
    pub principal: Option<Principal>,
    /// MySQL: the product and version of the upstream, by its greeting.
    pub server: Option<Server>,
}

/// What a session keeps of it.
pub(super) struct UpstreamState {
    /// What the upstream reported with its last answer; None: there is no upstream.
    pub status: Option<Status>,
    /// The client's own connection to the upstream, while a local statement runs that may need it.
    pub handle: Option<UpstreamHandle>,
    /// The product and version of the upstream: its version comments are code.
    pub server: Server,
    /// Names without a schema that mean tables of the upstream.
    pub hidden_names: HiddenNames,
    /// Who the client is to the upstream.
    pub principal: Option<Principal>,
    /// When the upstream's open transaction reads at one time: the moment of its first read of a cold table.
    pub snapshot_time: Option<Tso>,
    /// The upstream has done its part of a statement about stand-ins.
    pub stand_ins_done: bool,
    /// The stand-ins that the upstream has listed.
    pub stand_ins: Vec<Answer>,
}

impl Default for UpstreamState {
    fn default() -> UpstreamState {
        UpstreamState {
            status: None,
            handle: None,
            server: Server::OWN,
            hidden_names: HiddenNames::None,
            principal: None,
            snapshot_time: None,
            stand_ins_done: false,
            stand_ins: Vec::new(),
        }
    }
}

impl UpstreamState {
    /// Is there an upstream?
    pub fn exists(&self) -> bool {
        self.status.is_some()
    }

    /// Is a transaction open there?
    pub fn in_transaction(&self) -> bool {
        self.status.is_some_and(|status| status.in_transaction)
    }

    /// Is the next statement there part of a longer transaction?
    pub fn joins_statements(&self) -> bool {
        self.status.is_some_and(|status| status.in_transaction || !status.autocommit)
    }

    /// A statement that was run there may have opened or ended a transaction.
    pub fn set_in_transaction(&mut self, in_transaction: Option<bool>) {
        if let (Some(status), Some(in_transaction)) = (&mut self.status, in_transaction) {
            status.in_transaction = in_transaction;
        }
    }

    /// Columns as the clients of the upstream's product expect them: to MariaDB JSON is another name of LONGTEXT.
    pub fn as_the_server_has_them(&self, columns: Arc<[ColumnInfo]>) -> Arc<[ColumnInfo]> {
        if !self.server.mariadb || columns.iter().all(|column| column.ty != SqlType::Json) {
            return columns;
        }
        let text = |column: &ColumnInfo| match column.ty {
            SqlType::Json => ColumnInfo { ty: SqlType::Text, checked_json: true, ..column.clone() },
            _ => column.clone(),
        };
        columns.iter().map(text).collect()
    }
}
