//! Statements that name both cold and hot tables: which of them can be run.

use crate::error::{Error, Kind, Result};
use crate::session::state::Session;
use crate::sql::{Parsed, PrepareSource, Setting, Statement};
use crate::upstream::UpstreamHandle;

/// What a client can do instead.
const INSTEAD: &str = "INSERT the rows of the cold table into a hot table first, then name that one";

impl Session {
    pub(in crate::session) fn upstream_handle(&self) -> Result<UpstreamHandle> {
        self.upstream.handle.clone().ok_or_else(|| {
            Error::unsupported("a hot table in a statement of this kind")
                .with_hint("send the statement by itself, not as a part of another")
        })
    }

    /// Can a statement that names both cold and hot tables be run?
    pub fn check_federated(&self, parsed: &Parsed) -> Result<()> {
        self.federated(&parsed.statement)
    }

    fn federated(&self, statement: &Statement) -> Result<()> {
        let change = |verb: &str| {
            Err(Error::unsupported(format!("{verb} of a hot table with cold tables in it, or of a cold one with hot tables in it"))
                .with_hint(INSTEAD))
        };
        match statement {
            Statement::Insert(insert) if insert.insert.source.is_some() && insert.insert.assignments.is_empty() => Ok(()),
            Statement::Insert(_) => {
                Err(Error::unsupported("INSERT .. SET with tables of both sides").with_hint("INSERT INTO .. SELECT does the same"))
            }
            Statement::Update(_) => change("UPDATE"),
            Statement::Delete(_) => change("DELETE"),
            Statement::CreateTable(create) if create.as_query.is_some() && create.like.is_none() => Ok(()),
            Statement::Query(_) | Statement::DeclareCursor { .. } | Statement::SelectInto { .. } | Statement::Execute { .. } => Ok(()),
            Statement::Set(settings) if settings.iter().all(|setting| matches!(setting, Setting::User { .. })) => Ok(()),
            Statement::Copy(copy) if !copy.from => Ok(()),
            Statement::Explain(explain) => self.federated(&explain.inner),
            Statement::RenameTable { .. } | Statement::AlterTable(_) => {
                Err(Error::new(Kind::TableExists, "a table cannot be renamed to the name of a cold table")
                    .with_hint("the cold table would hide it; rename hot and cold tables in statements of their own"))
            }
            Statement::CreateView(_) => {
                Err(Error::unsupported("a view over cold and hot tables").with_hint("name both in the query itself"))
            }
            Statement::Prepare { source: PrepareSource::Statement { statement, .. }, .. } => self.federated(statement),
            Statement::Prepare { source: PrepareSource::Text(text), .. }
            | Statement::ExecuteImmediate { source: PrepareSource::Text(text), .. } => match self.parse(text)?.as_slice() {
                [inner] => self.federated(&inner.statement),
                _ => Ok(()),
            },
            _ => Err(Error::unsupported("a statement of this kind that names both cold and hot tables")
                .with_hint("name the tables of one side in a statement of its own")),
        }
    }
}
