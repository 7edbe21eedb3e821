//! Databases and schemas: made and dropped. Each statement is one moment, outside any transaction.

use crate::error::{Error, Kind, Result};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::Name;
use crate::types::{Family, same};

impl Session {
    pub(in crate::session) async fn create_database(&mut self, name: &Name, schema: bool, if_not_exists: bool) -> Result<Reply> {
        self.end_before_ddl("CREATE DATABASE").await?;
        let database = self.database_name(name, schema)?;
        if crate::engine::Namespace::is_virtual(&database) {
            return Err(Error::new(Kind::Denied, format!("'{database}' is reserved")));
        }
        if self.node.gms.catalog().database(&database).is_some() {
            let message = format!("Can't create database '{database}'; database exists");
            if !if_not_exists {
                return Err(Error::new(Kind::DatabaseExists, message));
            }
            self.diagnostics.note(1007, message);
        } else {
            self.node.gms.create_database(&database).await?;
        }
        let tag = if schema { "CREATE SCHEMA" } else { "CREATE DATABASE" };
        Ok(Reply::Done(Outcome { affected: 1, ..Outcome::tag(tag) }))
    }

    /// PostgreSQL's CREATE SCHEMA s makes the database `d.s`; CREATE DATABASE d, the database d.
    fn database_name(&self, name: &Name, schema: bool) -> Result<String> {
        match (self.family(), name.parts.as_slice()) {
            (_, [one]) if schema && !one.is_empty() => self.namespace().database_of_schema(one),
            (_, [one]) if one.is_empty() => Err(Error::new(Kind::Syntax, "a database needs a name")),
            (_, [one]) => Ok(one.clone()),
            (Family::Postgres, [database, schema]) => Ok(format!("{database}.{schema}")),
            _ => Err(Error::new(Kind::Syntax, format!("'{name}' is not the name of a database"))),
        }
    }

    /// Its tables go to the recycle bin, so that a mistake can be taken back.
    pub(in crate::session) async fn drop_database(&mut self, name: &Name, schema: bool, if_exists: bool, cascade: bool) -> Result<Reply> {
        self.end_before_ddl("DROP DATABASE").await?;
        let database = self.database_name(name, schema)?;
        let catalog = self.node.gms.catalog();
        let Some(found) = catalog.database(&database) else {
            let message = format!("Can't drop database '{database}'; database doesn't exist");
            if if_exists {
                self.diagnostics.note(1008, message);
                return Ok(Reply::Done(Outcome::tag("DROP DATABASE")));
            }
            return Err(Error::new(Kind::UnknownDatabase, message));
        };
        let tables: Vec<_> = catalog.tables(&found.name).cloned().collect();
        let views: Vec<_> = catalog.views(&found.name).cloned().collect();
        if self.family() == Family::Postgres && !cascade && !(tables.is_empty() && views.is_empty()) {
            return Err(Error::new(
                Kind::Refused,
                format!("cannot drop {database}: it holds {} tables and views", tables.len() + views.len()),
            )
            .with_hint("use CASCADE; the tables go to the recycle bin"));
        }
        for view in views {
            self.node.gms.drop_view(&view.database, &view.name).await?;
        }
        for table in &tables {
            self.node.gms.drop_table(table.id).await?;
        }
        self.node.gms.drop_database(&found.name).await?;
        if self.settings.database.as_deref().is_some_and(|d| same(d, &database)) && self.family() == Family::MySql {
            self.settings.database = None;
            self.handle.set_database(None);
        }
        let tag = if schema { "DROP SCHEMA" } else { "DROP DATABASE" };
        Ok(Reply::Done(Outcome { affected: tables.len() as u64, ..Outcome::tag(tag) }))
    }
}
