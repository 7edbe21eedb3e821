//! GRANT, REVOKE, SHOW COLD GRANTS.

use std::collections::BTreeMap;

use super::{EVERY, Rights, key, of_key, protocol_of};
use crate::error::{Error, Kind, Result};
use crate::gms::Grant as Row;
use crate::session::result_set::{reply, text};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{Grant, GrantScope, Granted, Name, Statement, StoragePrivilege, TablePrivilege, printer};
use crate::types::fold;

/// The column of SHOW COLD GRANTS.
const LABEL: &str = "Cold grants";

impl Session {
    pub(in crate::session) async fn grant(&mut self, grant: &Grant) -> Result<Reply> {
        if !self.has_upstream() {
            return Err(Error::new(Kind::Refused, "rights over cold tables are of an upstream's users, and there is no upstream")
                .with_hint("a user of Flashgate's own may do everything; see flashgate user"));
        }
        let (privileges, database, table) = self.granted(&grant.what)?;
        let rows: Vec<Row> = grant
            .users
            .iter()
            .flat_map(|user| {
                privileges.iter().map(|privilege| Row {
                    protocol: protocol_of(self.family()).to_owned(),
                    grantee: key(self.family(), user),
                    privilege: (*privilege).to_owned(),
                    database: database.clone(),
                    table: table.clone(),
                })
            })
            .collect();
        if !grant.revoke {
            self.node.gms.grant(rows).await?;
            self.note_unknown(&database, &table);
            return Ok(Reply::Done(Outcome::tag("GRANT")));
        }
        let given = rows.len();
        if self.node.gms.revoke(rows).await? < given {
            self.diagnostics.note(1141, "some of these privileges were not granted");
        }
        Ok(Reply::Done(Outcome::tag("REVOKE")))
    }

    /// Privileges, database and table as rows hold them.
    fn granted(&self, what: &Granted) -> Result<(Vec<&'static str>, String, String)> {
        let (privileges, scope) = match what {
            Granted::Storages(privileges) => {
                return Ok((privileges.iter().map(|p| p.word()).collect(), String::new(), String::new()));
            }
            Granted::Tables { privileges, scope } => (privileges.iter().map(|p| p.word()).collect(), scope),
        };
        let namespace = self.namespace();
        let (database, table) = match scope {
            GrantScope::All => return Ok((privileges, EVERY.to_owned(), EVERY.to_owned())),
            // Any table of it shows which database it is.
            GrantScope::Database(parts) => {
                let (database, _) = namespace.table(&[parts.as_slice(), &["t".to_owned()]].concat())?;
                (database, EVERY.to_owned())
            }
            GrantScope::Table(name) => {
                let (database, table) = namespace.table(&name.parts)?;
                if table == EVERY {
                    return Err(unnameable());
                }
                (database, fold(&table))
            }
        };
        if database == EVERY || database.is_empty() || table.is_empty() {
            Err(unnameable())
        } else {
            Ok((privileges, fold(&database), table))
        }
    }

    /// A grant may come before its table; a name that was misspelt should not go unnoticed.
    fn note_unknown(&mut self, database: &str, table: &str) {
        let catalog = self.node.gms.catalog();
        let known = table.is_empty()
            || database == EVERY
            || if table == EVERY {
                catalog.database(database).is_some()
            } else {
                catalog.table(database, table).is_some() || catalog.view(database, table).is_some()
            };
        if !known {
            self.diagnostics.warn(1146, format!("there is no cold table {database}.{table} yet"));
        }
    }

    /// What a user has; without a user an administrator sees everybody's, anybody else its own.
    pub(in crate::session) fn show_cold_grants(&self, user: Option<&crate::sql::Grantee>) -> Result<Reply> {
        let rights = Rights::of(self);
        let catalog = self.node.gms.catalog();
        let wanted = user.map(|user| key(self.family(), user));
        let everybody = !self.has_upstream() || rights.is_admin();
        let shown = |grantee: &str| match &wanted {
            Some(wanted) => grantee == wanted,
            None => everybody || rights.is_own(grantee),
        };
        let mut lines: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
        for row in catalog.grants().all().filter(|row| row.protocol == protocol_of(self.family()) && shown(&row.grantee)) {
            lines.entry((&row.grantee, &row.database, &row.table)).or_default().push(&row.privilege);
        }
        let dialect = self.dialect();
        let lines = lines.into_iter().map(|((grantee, database, table), words)| {
            let what = if table.is_empty() {
                Granted::Storages(StoragePrivilege::ALL.into_iter().filter(|p| words.contains(&p.word())).collect())
            } else {
                let privileges = TablePrivilege::ALL.into_iter().filter(|p| words.contains(&p.word())).collect();
                Granted::Tables { privileges, scope: self.scope(database, table) }
            };
            Some(printer::print(&dialect, &Statement::Grant(Grant { revoke: false, what, users: vec![of_key(grantee)] })))
        });
        reply("SHOW", vec![text(LABEL, lines)])
    }

    fn scope(&self, database: &str, table: &str) -> GrantScope {
        let Name { mut parts } = self.full_name(database, table);
        match (database, table) {
            (EVERY, _) => GrantScope::All,
            (_, EVERY) => {
                parts.pop();
                GrantScope::Database(parts)
            }
            _ => GrantScope::Table(Name { parts }),
        }
    }
}

fn unnameable() -> Error {
    Error::new(Kind::WrongValue, "a table or database of this name cannot be granted by itself").with_hint("grant on db.* or *.*")
}
