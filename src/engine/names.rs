//! What a table name means in a session: which database, which virtual schema.
//!
//! One database is a MySQL database, and what a PostgreSQL client connected to it sees as schema `public`. Another
//! PostgreSQL schema `s` of database `d` is the database `d.s`.

use crate::error::{Error, Kind, Result};
use crate::types::{Family, fold, same};

/// How a session reads names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// The language.
    pub family: Family,
    /// The current database.
    pub database: Option<String>,
}

/// Where a name points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// A table or view that we keep.
    Table { database: String, name: String },
    /// A table of `information_schema`, `pg_catalog`.
    Virtual { schema: String, name: String },
}

/// Schemas whose tables are made up from metadata.
const VIRTUAL: [&str; 5] = ["information_schema", "pg_catalog", "performance_schema", "mysql", "sys"];

impl Namespace {
    /// The current database, or the error that a client expects when there is none.
    pub fn current(&self) -> Result<&str> {
        self.database
            .as_deref()
            .ok_or_else(|| Error::new(Kind::NoDatabase, "No database selected").with_hint("USE a database, or write database.table"))
    }

    /// Is this the name of a virtual schema?
    pub fn is_virtual(schema: &str) -> bool {
        VIRTUAL.iter().any(|v| same(v, schema))
    }

    /// The database that a schema name means: `public` is the current one in a PostgreSQL session.
    pub fn database_of_schema(&self, schema: &str) -> Result<String> {
        match self.family {
            Family::MySql => Ok(schema.to_owned()),
            Family::Postgres if same(schema, "public") => Ok(self.current()?.to_owned()),
            Family::Postgres => Ok(format!("{}.{schema}", self.current()?)),
        }
    }

    /// Where the name's parts point. `virtual_names` says whether a bare name is a table of `pg_catalog`.
    pub fn locate(&self, parts: &[String], virtual_names: impl Fn(&str, &str) -> bool) -> Result<Located> {
        match parts {
            [name] => {
                if self.family == Family::Postgres && virtual_names("pg_catalog", &fold(name)) {
                    return Ok(Located::Virtual { schema: "pg_catalog".into(), name: fold(name) });
                }
                if let Some(current) = &self.database
                    && Namespace::is_virtual(current)
                {
                    return Ok(Located::Virtual { schema: fold(current), name: fold(name) });
                }
                Ok(Located::Table { database: self.current()?.to_owned(), name: name.clone() })
            }
            [schema, name] if Namespace::is_virtual(schema) => Ok(Located::Virtual { schema: fold(schema), name: fold(name) }),
            [schema, name] => Ok(Located::Table { database: self.database_of_schema(schema)?, name: name.clone() }),
            [_, schema, name] if Namespace::is_virtual(schema) => Ok(Located::Virtual { schema: fold(schema), name: fold(name) }),
            [database, schema, name] if self.family == Family::Postgres => {
                let database = if same(schema, "public") { database.clone() } else { format!("{database}.{schema}") };
                Ok(Located::Table { database, name: name.clone() })
            }
            _ => Err(Error::new(Kind::Syntax, format!("'{}' is not a table name", parts.join(".")))),
        }
    }

    /// The table that the parts name; a virtual one is refused, since it cannot be changed.
    pub fn table(&self, parts: &[String]) -> Result<(String, String)> {
        match self.locate(parts, |_, _| false)? {
            Located::Table { database, name } => Ok((database, name)),
            Located::Virtual { schema, name } => {
                Err(Error::new(Kind::Denied, format!("{schema}.{name} is a view of metadata and cannot be changed")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn public_is_the_database_and_other_schemas_are_beside_it() {
        let pg = Namespace { family: Family::Postgres, database: Some("shop".into()) };
        let at = |text: &str| pg.table(&parts(text)).unwrap();
        assert_eq!(at("t"), ("shop".into(), "t".into()));
        assert_eq!(at("public.t"), ("shop".into(), "t".into()));
        assert_eq!(at("old.t"), ("shop.old".into(), "t".into()));
        assert_eq!(at("other.public.t"), ("other".into(), "t".into()));
    }

    #[test]
    fn a_bare_name_without_a_database_is_an_error() {
        let my = Namespace { family: Family::MySql, database: None };
        assert_eq!(my.table(&parts("t")).unwrap_err().kind(), Kind::NoDatabase);
        assert_eq!(my.table(&parts("d.t")).unwrap(), ("d".into(), "t".into()));
        assert_eq!(my.table(&parts("information_schema.tables")).unwrap_err().kind(), Kind::Denied);
    }
}
