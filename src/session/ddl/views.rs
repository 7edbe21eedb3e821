//! Views: made, replaced, dropped.

use crate::engine::Namespace;
use crate::error::{Error, Kind, Result};
use crate::session::call::Call;
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{self, CreateView, Dialect, Name, Parsed, Query, Statement};
use crate::types::{Family, same};

/// How many views deep a definition is looked through for the view itself.
const MAX_VIEW_DEPTH: usize = 32;

impl Session {
    pub(in crate::session) async fn create_view(&mut self, create: &CreateView, call: &Call) -> Result<Reply> {
        self.end_before_ddl("CREATE VIEW").await?;
        let (database, name) = self.namespace().table(&create.name.parts)?;
        self.ensure_database(&database).await?;
        let catalog = self.node.gms.catalog();
        if catalog.table(&database, &name).is_some() {
            return Err(Error::new(Kind::TableExists, format!("Table '{name}' already exists")));
        }
        if catalog.view(&database, &name).is_some() && !create.or_replace {
            if create.if_not_exists {
                self.diagnostics.note(1050, format!("Table '{name}' already exists"));
                return Ok(Reply::Done(Outcome::tag("CREATE VIEW")));
            }
            return Err(Error::new(Kind::TableExists, format!("Table '{name}' already exists")));
        }
        if catalog.view(&database, &name).is_none() && !create.shadow && self.has_hot(&database, &name).await? {
            if create.if_not_exists {
                self.diagnostics.note(1050, self.exists(&name));
                return Ok(Reply::Done(Outcome::tag("CREATE VIEW")));
            }
            return Err(self.is_hot_error(&name));
        }
        if catalog.view(&database, &name).is_some() && self.reads_view(&create.query, self.namespace(), (&database, &name), 0)? {
            return Err(Error::new(Kind::ViewRecursion, format!("`{database}`.`{name}` contains view recursion")));
        }
        if self.family() == Family::MySql && crate::session::time_clauses::reads_variables(&create.query) {
            return Err(Error::new(Kind::InvalidStatement, "View's SELECT contains a variable or parameter"));
        }
        // A definition that cannot be planned is refused now rather than at each use.
        let read = self.read_time().await?;
        let query = self.substitute(&create.query)?;
        let tables = self.tables(&query, call).await?;
        let environment = self.environment(read, tables, &call.text, &[]);
        let planned = self.node.engine.plan(&environment, &query).await?;
        if !create.columns.is_empty() && create.columns.len() != planned.columns.len() {
            return Err(Error::new(Kind::ColumnCount, "the view's SELECT and its column list have different numbers of columns"));
        }
        let (quote, dialect) = match self.family() {
            Family::MySql => ('`', "mysql"),
            Family::Postgres => ('"', "postgres"),
        };
        let definition = self.plain_definition(create)?;
        let definition = if create.columns.is_empty() {
            definition
        } else {
            let names: Vec<String> = create.columns.iter().map(|c| format!("{quote}{c}{quote}")).collect();
            format!("SELECT * FROM ({definition}) AS {quote}{name}{quote} ({})", names.join(", "))
        };
        drop(planned);
        drop(environment);
        self.node.gms.create_view(&database, &name, &definition, dialect, create.or_replace).await?;
        Ok(Reply::Done(Outcome::tag("CREATE VIEW")))
    }

    /// The definition as it is to be read later: whatever a session's modes are (sql_mode, standard_conforming_strings) then.
    fn plain_definition(&self, create: &CreateView) -> Result<String> {
        let plain = match self.family() {
            Family::MySql => Dialect::MYSQL,
            Family::Postgres => Dialect::POSTGRES,
        };
        if self.dialect() == (Dialect { server: self.dialect().server, ..plain }) {
            return Ok(create.definition.clone());
        }
        let means_it = |text: &str| {
            let read = sql::parse(&plain, text);
            matches!(read.as_deref(), Ok([Parsed { statement: Statement::Query(query), .. }]) if *query == create.query)
        };
        let printed = sql::printer::print(&plain, &Statement::Query(create.query.clone()));
        [create.definition.clone(), printed].into_iter().find(|text| means_it(text)).ok_or_else(|| {
            Error::unsupported("a view whose definition means something else in another session").with_hint(match self.family() {
                Family::MySql => "make it with sql_mode = ''",
                Family::Postgres => "make it with standard_conforming_strings = on",
            })
        })
    }

    /// Does a query read the view `wanted`, itself or through other views? Its namespace is that of its definition.
    fn reads_view(&self, query: &Query, namespace: Namespace, wanted: (&str, &str), depth: usize) -> Result<bool> {
        let catalog = self.node.gms.catalog();
        for (schema, name) in crate::session::named_tables::named_tables(query) {
            let parts: Vec<String> = schema.into_iter().chain([name]).collect();
            let Ok((database, name)) = namespace.table(&parts) else { continue };
            let Some(view) = catalog.view(&database, &name) else { continue };
            if same(&database, wanted.0) && same(&name, wanted.1) {
                return Ok(true);
            }
            let (dialect, family) = match view.dialect.as_str() {
                "postgres" => (crate::sql::Dialect::POSTGRES, Family::Postgres),
                _ => (crate::sql::Dialect::MYSQL, Family::MySql),
            };
            let inner = Namespace { family, database: Some(view.database.clone()) };
            if depth < MAX_VIEW_DEPTH
                && let Some(Parsed { statement: Statement::Query(query), .. }) = crate::sql::parse(&dialect, &view.definition)?.pop()
                && self.reads_view(&query, inner, wanted, depth + 1)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(in crate::session) async fn drop_views(&mut self, names: &[Name], if_exists: bool) -> Result<Reply> {
        self.end_before_ddl("DROP VIEW").await?;
        for name in names {
            let (database, view) = self.namespace().table(&name.parts)?;
            if self.node.gms.catalog().view(&database, &view).is_none() {
                if if_exists {
                    self.diagnostics.note(1051, format!("Unknown table '{name}'"));
                    continue;
                }
                return Err(self.no_table(&database, &view));
            }
            self.node.gms.drop_view(&database, &view).await?;
        }
        Ok(Reply::Done(Outcome::tag("DROP VIEW")))
    }
}
