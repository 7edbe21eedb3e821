//! Rights: what a user of the upstream may do with cold tables and file storages.
//!
//! Only sessions in front of an upstream are checked; a user of Flashgate's own may do everything. What is not granted
//! is denied. `required` tells which privileges a statement requires, `grants` is GRANT and REVOKE; here is the answer, from
//! memory alone.

mod grants;
mod required;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use super::state::Session;
use super::upstream::Principal;
use crate::engine::catalog::{CatalogSnapshot, Metadata};
use crate::error::{Error, Kind, Result};
use crate::gms::{Catalog, Grant as Row};
use crate::sql::{Grant, GrantScope, Granted, Grantee, Name, Statement, StoragePrivilege, TablePrivilege, printer};
use crate::types::Protocol;
use crate::types::{Family, fold};

/// In a row: every table of a database, every database.
const EVERY: &str = "*";

/// A privilege that a statement requires.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RequiredPrivilege {
    /// This privilege on a table or view.
    Table { privilege: TablePrivilege, database: String, table: String },
    /// Any privilege on a table or view: its definition is shown.
    Some { database: String, table: String },
    /// A privilege of file storages.
    Storage(StoragePrivilege),
}

/// What one user may do.
struct Rights {
    catalog: Arc<Catalog>,
    protocol: &'static str,
    /// As rows name them: everybody, and the user in each way it may be named.
    grantees: Vec<String>,
    superuser: bool,
}

impl Session {
    /// Who the client is to the upstream, when that is known.
    pub fn principal(&self) -> Option<&Principal> {
        self.upstream.principal.as_ref()
    }

    /// May the user run it? Asked before anything else of the statement happens, so that an error tells nothing of what is
    /// there.
    pub(super) fn check_rights(&self, statement: &Statement) -> Result<()> {
        let Some(rights) = self.restricted() else { return Ok(()) };
        let required = required::privileges_of(self, &rights, statement);
        required.iter().find(|privilege| !rights.allow(privilege)).map_or(Ok(()), |privilege| Err(self.denied(privilege)))
    }

    /// The rights that bind this session; None: it may do everything.
    fn restricted(&self) -> Option<Rights> {
        self.has_upstream().then(|| Rights::of(self)).filter(|rights| !rights.is_admin())
    }

    /// Takes out of the virtual tables what the user has no privilege on.
    pub(super) fn hide_unprivileged(&self, snapshot: &mut CatalogSnapshot) {
        let Some(rights) = self.restricted() else { return };
        let Metadata { databases, tables, views, storages } = &mut snapshot.metadata;
        tables.retain(|table| rights.some(&table.database, &table.name));
        views.retain(|view| rights.some(&view.database, &view.name));
        let shown: HashSet<String> = tables
            .iter()
            .map(|t| &t.database)
            .chain(views.iter().map(|v| &v.database))
            .chain(&self.settings.database)
            .map(|d| fold(d))
            .collect();
        databases.retain(|database| shown.contains(&fold(&database.name)) || rights.some_in(&database.name));
        if !rights.storage(StoragePrivilege::Backup) {
            storages.clear();
            let tables: HashSet<_> = tables.iter().map(|table| table.id).collect();
            snapshot.files.retain(|file| tables.contains(&file.table));
        }
        snapshot.processes.retain(|process| process.user == self.client.user);
    }

    /// The user, as GRANT names it.
    fn grantee(&self) -> Grantee {
        match (&self.upstream.principal, self.family()) {
            (None, _) => Grantee::User { name: self.client.user.clone(), host: None },
            (Some(principal), Family::Postgres) => Grantee::User { name: principal.account.clone(), host: None },
            (Some(principal), Family::MySql) => match principal.account.rsplit_once('@') {
                Some((name, host)) => Grantee::User { name: name.to_owned(), host: Some(host.to_owned()) },
                None => Grantee::User { name: principal.account.clone(), host: None },
            },
        }
    }

    fn denied(&self, required: &RequiredPrivilege) -> Error {
        let what = match required {
            RequiredPrivilege::Storage(privilege) => Granted::Storages(vec![*privilege]),
            RequiredPrivilege::Table { database, table, .. } | RequiredPrivilege::Some { database, table } => {
                let privileges = vec![required.table_privilege()];
                Granted::Tables { privileges, scope: GrantScope::Table(self.full_name(database, table)) }
            }
        };
        let user = self.grantee();
        let grant = printer::print(&self.dialect(), &Statement::Grant(Grant { revoke: false, what, users: vec![user.clone()] }));
        let user = match user {
            Grantee::User { name, host: Some(host) } => format!("'{name}'@'{host}'"),
            Grantee::User { name, host: None } => format!("'{name}'"),
            Grantee::Public => "PUBLIC".to_owned(),
        };
        let error = match (required, self.family()) {
            (RequiredPrivilege::Storage(privilege), Family::MySql) => {
                let word = privilege.word();
                let message = format!("Access denied; you need (at least one of) the {word} privilege(s) for this operation");
                Error::new(Kind::PrivilegeNeeded, message)
            }
            (RequiredPrivilege::Storage(privilege), Family::Postgres) => {
                Error::new(Kind::PrivilegeNeeded, format!("permission denied: the {} privilege is needed", privilege.word()))
            }
            (RequiredPrivilege::Table { table, .. } | RequiredPrivilege::Some { table, .. }, Family::MySql) => {
                let word = required.table_privilege().word();
                Error::new(Kind::Denied, format!("{word} command denied to user {user} for table '{table}'"))
            }
            (RequiredPrivilege::Table { table, .. } | RequiredPrivilege::Some { table, .. }, Family::Postgres) => {
                Error::new(Kind::Denied, format!("permission denied for table {table}"))
            }
        };
        error.with_hint(format!("an administrator can allow it: {grant}"))
    }

    /// A name that means this table in any session of this language.
    fn full_name(&self, database: &str, table: &str) -> Name {
        let mut parts = vec![database.to_owned()];
        if self.family() == Family::Postgres {
            // A database `d.s` is the schema `s` of `d`.
            parts = match database.split_once('.') {
                Some((database, schema)) => vec![database.to_owned(), schema.to_owned()],
                None => vec![database.to_owned(), "public".to_owned()],
            };
        }
        parts.push(table.to_owned());
        Name { parts }
    }
}

impl RequiredPrivilege {
    /// The privilege that an error names.
    fn table_privilege(&self) -> TablePrivilege {
        match self {
            RequiredPrivilege::Table { privilege, .. } => *privilege,
            _ => TablePrivilege::Select,
        }
    }
}

impl Rights {
    fn of(session: &Session) -> Rights {
        let user = session.grantee();
        let mut grantees = vec![key(session.family(), &Grantee::Public), key(session.family(), &user)];
        if let Grantee::User { name, host: Some(_) } = user {
            grantees.push(key(session.family(), &Grantee::User { name, host: None }));
        }
        Rights {
            catalog: session.node.gms.catalog(),
            protocol: session.client.protocol.label(),
            grantees,
            superuser: session.upstream.principal.as_ref().is_some_and(|principal| principal.superuser),
        }
    }

    fn is_admin(&self) -> bool {
        self.superuser || self.has(StoragePrivilege::Admin.word(), "", "")
    }

    fn allow(&self, required: &RequiredPrivilege) -> bool {
        match required {
            RequiredPrivilege::Table { privilege, database, table } => self.table(*privilege, database, table),
            RequiredPrivilege::Some { database, table } => self.some(database, table),
            RequiredPrivilege::Storage(privilege) => self.storage(*privilege),
        }
    }

    fn storage(&self, privilege: StoragePrivilege) -> bool {
        self.is_admin() || self.has(privilege.word(), "", "")
    }

    fn table(&self, privilege: TablePrivilege, database: &str, table: &str) -> bool {
        let (database, table) = (fold(database), fold(table));
        let scopes = [(database.as_str(), table.as_str()), (&database, EVERY), (EVERY, EVERY)];
        self.is_admin() || scopes.iter().any(|(database, table)| self.has(privilege.word(), database, table))
    }

    /// Any privilege on the table?
    fn some(&self, database: &str, table: &str) -> bool {
        let (database, table) = (fold(database), fold(table));
        self.is_admin()
            || self.rows().any(|row| row.database == EVERY || (row.database == database && (row.table == EVERY || row.table == table)))
    }

    /// Any privilege on anything in the database?
    fn some_in(&self, database: &str) -> bool {
        let database = fold(database);
        self.is_admin() || self.rows().any(|row| row.database == EVERY || row.database == database)
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.grantees.iter().flat_map(|grantee| self.catalog.grants().of(self.protocol, grantee))
    }

    fn has(&self, privilege: &str, database: &str, table: &str) -> bool {
        self.grantees.iter().any(|grantee| {
            self.catalog.grants().has(&Row {
                protocol: self.protocol.to_owned(),
                grantee: grantee.clone(),
                privilege: privilege.to_owned(),
                database: database.to_owned(),
                table: table.to_owned(),
            })
        })
    }

    fn is_own(&self, grantee: &str) -> bool {
        self.grantees.iter().any(|own| own == grantee)
    }
}

/// How rows name a grantee: `PUBLIC`, `'name'`, `'name'@'host'` or `"role"`. Hosts are not case-sensitive.
fn key(family: Family, grantee: &Grantee) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match grantee {
        Grantee::Public => "PUBLIC".to_owned(),
        Grantee::User { name, .. } if family == Family::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        Grantee::User { name, host: None } => quoted(name),
        Grantee::User { name, host: Some(host) } => format!("{}@{}", quoted(name), quoted(&host.to_lowercase())),
    }
}

/// The grantee of a [`key`].
fn of_key(key: &str) -> Grantee {
    let inner = |text: &str, quote: &str| {
        let text = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)).unwrap_or(text);
        text.replace(&quote.repeat(2), quote)
    };
    if key == "PUBLIC" {
        return Grantee::Public;
    }
    if key.starts_with('"') {
        return Grantee::User { name: inner(key, "\""), host: None };
    }
    // Within a name a quote is doubled, so a quote before an at sign ends it, unless it is the second of two.
    let mut quotes = 0;
    for (at, character) in key.char_indices() {
        match character {
            '\'' => quotes += 1,
            '@' if quotes % 2 == 0 => return Grantee::User { name: inner(&key[..at], "'"), host: Some(inner(&key[at + 1..], "'")) },
            _ => {}
        }
    }
    Grantee::User { name: inner(key, "'"), host: None }
}

/// The protocol that a family's rows are kept under.
fn protocol_of(family: Family) -> &'static str {
    match family {
        Family::MySql => Protocol::MySql.label(),
        Family::Postgres => Protocol::Postgres.label(),
    }
}
