//! The cold table that a name means.

use std::sync::Arc;

use super::state::Session;
use crate::error::{Error, Kind, Result};
use crate::gms::Table;
use crate::sql::Name;
use crate::types::Family;

impl Session {
    /// The table that a name means; a view or an unknown name is an error.
    pub(super) fn table(&self, name: &Name) -> Result<Arc<Table>> {
        let (database, table) = self.namespace().table(&name.parts)?;
        let catalog = self.node.gms.catalog();
        if let Some(found) = catalog.table(&database, &table) {
            return Ok(Arc::clone(found));
        }
        if catalog.view(&database, &table).is_some() {
            return Err(Error::new(Kind::Refused, format!("{database}.{table} is a view")).with_hint("change the tables that it reads"));
        }
        if catalog.database(&database).is_none() && self.family() == Family::MySql {
            return Err(Error::new(Kind::UnknownDatabase, format!("Unknown database '{database}'")));
        }
        Err(self.no_table(&database, &table))
    }

    /// The error of a table that is not there.
    pub(super) fn no_table(&self, database: &str, name: &str) -> Error {
        crate::engine::unknown_table(self.family(), database, name)
    }
}
