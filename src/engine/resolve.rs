//! From the names in a query to snapshots: views are opened, time clauses evaluated, each table reference gets a name of
//! its own. Afterwards no name in the tree depends on the session any more.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::sql::sqlparser::ast::{self, Ident, ObjectName, TableAlias, TableFactor, VisitorMut};
use parking_lot::Mutex;

use super::context::Engine;
use super::environment::{Environment, ReadTime, TimeOrigin};
use super::federated::{HotAccess, HotTable};
use super::names::Located;
use crate::cold::{ColdTable, ScanReport, TableView};
use crate::error::{Error, Kind, Result};
use crate::gms::{Snapshot, Table, View};
use crate::sql;
use crate::sql::walk::walk_mut;
use crate::time::Tso;
use crate::types::{Family, fold};

/// Private table names begin with this.
pub const TABLE_PREFIX: &str = "__fg_t";

/// Views in views in views: deeper than this is refused.
const MAX_VIEW_DEPTH: usize = 32;

/// One table reference of a query, resolved.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The name it is registered under.
    pub internal: String,
    /// The name that its columns are qualified with in the query, folded.
    pub alias: String,
    /// What it reads.
    pub source: ReferencedTable,
}

/// What a reference reads.
#[derive(Debug, Clone)]
pub enum ReferencedTable {
    /// A cold table at a time.
    Cold { table: Arc<Table>, read: ReadTime },
    /// A table made up from metadata.
    Virtual { schema: String, name: String },
    /// A table of the upstream's, as the client wrote its name.
    Hot { written: String, database: String, name: String },
}

/// Walks a query and resolves its names.
pub(super) struct Resolver<'e, 'a> {
    engine: &'e Engine,
    environment: &'e Environment<'a>,
    /// The clause that stands last, if any.
    statement_time: Option<Tso>,
    references: Vec<Reference>,
    frames: Vec<Frame>,
    view_depth: usize,
    /// The time and database of the view being opened.
    outer: Option<(ReadTime, String)>,
    /// The private name of the reference that carries [`TARGET_MARK`].
    target: Option<String>,
    error: Option<Error>,
}

/// A table hint that marks the table whose rows are to be changed: it shows the hidden position columns.
pub const TARGET_MARK: &str = "__fg_target";

/// The common table expressions of one query that is being walked.
#[derive(Debug, Default)]
struct Frame {
    names: Vec<String>,
    recursive: bool,
    /// How many of them have been entered; the next sub-query entered below `with` is the next of them.
    entered: usize,
}

impl<'e, 'a> Resolver<'e, 'a> {
    pub(super) fn new(engine: &'e Engine, environment: &'e Environment<'a>, statement_time: Option<Tso>) -> Resolver<'e, 'a> {
        Resolver {
            engine,
            environment,
            statement_time,
            references: Vec::new(),
            frames: Vec::new(),
            view_depth: 0,
            outer: None,
            target: None,
            error: None,
        }
    }

    /// Resolves every name of `query` in place. Gives the references, and the private name of the marked one.
    pub(super) fn resolve(mut self, query: &mut ast::Query) -> Result<(Vec<Reference>, Option<String>)> {
        self.walk(query)?;
        Ok((self.references, self.target))
    }

    fn walk(&mut self, query: &mut ast::Query) -> Result<()> {
        let _ = walk_mut(query, self);
        self.error.take().map_or(Ok(()), Err)
    }

    /// Is `name` a common table expression here? Definitions are walked first and in order, so a query entered while a
    /// frame has entered no more of them than it has names is a definition: it knows only those before it.
    fn is_cte(&self, name: &str) -> bool {
        let name = fold(name);
        let last = self.frames.len().saturating_sub(1);
        self.frames.iter().enumerate().any(|(depth, frame)| {
            let all = frame.names.len();
            let defining = depth < last && frame.entered <= all;
            let known = if defining && !frame.recursive { frame.entered.saturating_sub(1) } else { all };
            frame.names.iter().take(known).any(|n| *n == name)
        })
    }

    fn factor(&mut self, factor: &mut TableFactor) -> Result<()> {
        let (TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. }) = factor else { return Ok(()) };
        if sample.is_some() {
            return Err(Error::unsupported("TABLESAMPLE"));
        }
        let TableFactor::Table { name, alias, args, version, .. } = factor else { return Ok(()) };
        let no_history = |what: &str| {
            Error::new(Kind::Refused, format!("{name} is {what}: write AS OF after a table or a view"))
                .with_hint("write the clause inside of it")
        };
        if args.is_some() {
            return if version.is_some() { Err(no_history("a function")) } else { Ok(()) };
        }
        let parts = sql::Name::of(name).parts;
        let [.., last] = parts.as_slice() else { return Ok(()) };
        if last.starts_with(TABLE_PREFIX) {
            return Ok(());
        }
        if parts.len() == 1 && self.is_cte(last) {
            return if version.is_some() { Err(no_history("a common table expression")) } else { Ok(()) };
        }
        let shown = alias.as_ref().map_or_else(|| fold(last), |a| fold(&a.name.value));
        if parts.len() == 1 && self.hot().is_some_and(|hot| hot.hidden.covers(last)) {
            return self.hot_table(factor, shown, String::new(), last.clone());
        }
        let clause = version.as_ref().and_then(sql::table_clause);
        match self.locate(&parts)? {
            Located::Virtual { schema, name } => {
                if clause.is_some() {
                    return Err(Error::new(Kind::Refused, format!("{schema}.{name} shows the present; it has no history")));
                }
                if !self.environment.tables.exists(&schema, &name) {
                    return Err(unknown_table(self.environment.dialect.family, &schema, &name));
                }
                self.replace(factor, shown, ReferencedTable::Virtual { schema, name });
                Ok(())
            }
            Located::Table { database, name } => {
                let catalog = self.engine.cold.gms.catalog();
                let read = self.read_time(clause.as_ref())?;
                if let Some(table) = catalog.table(&database, &name) {
                    self.replace(factor, shown, ReferencedTable::Cold { table: Arc::clone(table), read });
                    return Ok(());
                }
                if let Some(view) = catalog.view(&database, &name).cloned() {
                    return self.open_view(factor, &view, shown, read);
                }
                if self.hot().is_some() {
                    return self.hot_table(factor, shown, database, name);
                }
                if catalog.database(&database).is_none() && self.environment.dialect.family == Family::MySql {
                    return Err(Error::new(Kind::UnknownDatabase, format!("Unknown database '{database}'")));
                }
                Err(unknown_table(self.environment.dialect.family, &database, &name))
            }
        }
    }

    /// The way to hot tables; a name within a Flashgate view is never one.
    fn hot(&self) -> Option<&HotAccess> {
        self.environment.hot.as_ref().filter(|_| self.outer.is_none())
    }

    fn hot_table(&mut self, factor: &mut TableFactor, shown: String, database: String, table: String) -> Result<()> {
        let TableFactor::Table { name, version, partitions, .. } = factor else { return Ok(()) };
        if version.is_some() {
            let message = format!("{name} is a hot table: its past is not kept here, so it takes no AS OF");
            return Err(Error::new(Kind::Refused, message)
                .with_hint("write AS OF after a cold table; at the end of the query it applies to all cold tables"));
        }
        let mut written = name.to_string();
        if !partitions.is_empty() {
            let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            written = format!("{written} PARTITION ({})", partitions.join(", "));
        }
        self.replace(factor, shown, ReferencedTable::Hot { written, database, name: table });
        Ok(())
    }

    fn locate(&self, parts: &[String]) -> Result<Located> {
        let tables = &self.environment.tables;
        match &self.outer {
            Some((_, database)) => {
                let mut namespace = self.environment.namespace.clone();
                namespace.database = Some(database.clone());
                namespace.locate(parts, |s, n| tables.exists(s, n))
            }
            None => self.environment.namespace.locate(parts, |s, n| tables.exists(s, n)),
        }
    }

    /// Table clause, else the outer view's time, else the statement's clause, else the transaction, session or now.
    fn read_time(&self, clause: Option<&sql::TimeClause>) -> Result<ReadTime> {
        if let Some(clause) = clause {
            return Ok(ReadTime { at: self.environment.evaluate(clause)?, origin: TimeOrigin::Table });
        }
        if let Some((read, _)) = &self.outer {
            return Ok(*read);
        }
        Ok(match self.statement_time {
            Some(at) => ReadTime { at, origin: TimeOrigin::Statement },
            None => self.environment.read,
        })
    }

    fn replace(&mut self, factor: &mut TableFactor, shown: String, source: ReferencedTable) {
        let internal = format!("{TABLE_PREFIX}{}", self.references.len());
        if let TableFactor::Table { name, alias, version, partitions, index_hints, with_hints, .. } = factor {
            if with_hints.iter().any(|hint| matches!(hint, ast::Expr::Identifier(mark) if mark.value == TARGET_MARK)) {
                self.target = Some(internal.clone());
            }
            with_hints.clear();
            *name = ObjectName::from(vec![Ident::new(&internal)]);
            *version = None;
            partitions.clear();
            index_hints.clear();
            if alias.is_none() {
                *alias = Some(named(&shown));
            }
        }
        self.references.push(Reference { internal, alias: shown, source });
    }

    fn open_view(&mut self, factor: &mut TableFactor, view: &View, shown: String, read: ReadTime) -> Result<()> {
        if self.view_depth >= MAX_VIEW_DEPTH {
            return Err(Error::new(Kind::Refused, format!("view {} is defined by itself, or nested too deeply", view.name)));
        }
        let dialect = if view.dialect == "postgres" { sql::Dialect::POSTGRES } else { sql::Dialect::MYSQL };
        let parsed = sql::parse(&dialect, &view.definition)?;
        let Some(sql::Statement::Query(inner)) = parsed.into_iter().next().map(|p| p.statement) else {
            return Err(Error::internal(format!("the definition of view {} is not a query", view.name)));
        };
        let mut subquery = inner.query;
        let read = match &inner.as_of {
            Some(clause) => ReadTime { at: self.environment.evaluate(clause)?, origin: TimeOrigin::Statement },
            None => read,
        };
        let frames = std::mem::take(&mut self.frames);
        let outer = self.outer.replace((read, view.database.clone()));
        self.view_depth += 1;
        let walked = self.walk(&mut subquery);
        self.view_depth -= 1;
        self.outer = outer;
        self.frames = frames;
        walked?;
        let alias = match factor {
            TableFactor::Table { alias: Some(alias), .. } => alias.clone(),
            _ => named(&shown),
        };
        *factor = TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
        Ok(())
    }
}

impl VisitorMut for Resolver<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<()> {
        if let Some(parent) = self.frames.last_mut() {
            parent.entered += 1;
        }
        let frame = query.with.as_ref().map_or_else(Frame::default, |with| Frame {
            names: with.cte_tables.iter().map(|cte| fold(&cte.alias.name.value)).collect(),
            recursive: with.recursive,
            entered: 0,
        });
        self.frames.push(frame);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<()> {
        self.frames.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match self.factor(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        // db.t.c and public.t.c: references are known by their alias alone.
        if let ast::Expr::CompoundIdentifier(parts) = expr
            && parts.len() > 2
        {
            parts.drain(..parts.len() - 2);
        }
        ControlFlow::Continue(())
    }
}

fn named(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(name), columns: Vec::new(), at: None }
}

/// The error for a table that is not there.
pub(crate) fn unknown_table(family: Family, database: &str, name: &str) -> Error {
    Error::new(
        Kind::UnknownTable,
        match family {
            Family::MySql => format!("Table '{database}.{name}' doesn't exist"),
            Family::Postgres => format!("relation \"{name}\" does not exist"),
        },
    )
}

impl Environment<'_> {
    /// The moment that a time clause names.
    pub fn evaluate(&self, clause: &sql::TimeClause) -> Result<Tso> {
        sql::time::evaluate(clause, &sql::time::TimeContext { zone: self.zone.clone(), now: self.now, params: self.params })
    }
}

/// A provider under the name it is registered with.
pub(super) type Named = (String, Arc<dyn TableProvider>);

/// What EXPLAIN says of each reference.
pub(super) type Reported = (ReadTime, Arc<Mutex<ScanReport>>);

impl Engine {
    /// Takes the snapshots that the references need, each (table, time) once, and makes providers of them.
    ///
    /// `positions_of`: the reference whose rows are to be changed shows the hidden position columns.
    pub(super) async fn providers(
        &self,
        environment: &Environment<'_>,
        references: &[Reference],
        positions_of: Option<&str>,
    ) -> Result<(Vec<Named>, Vec<Reported>, Option<TableView>)> {
        let mut views: BTreeMap<(u64, Tso), TableView> = BTreeMap::new();
        let mut providers: Vec<Named> = Vec::new();
        let mut reports = Vec::new();
        let mut target = None;
        for reference in references {
            match &reference.source {
                ReferencedTable::Virtual { schema, name } => {
                    let table =
                        environment.tables.table(schema, name).ok_or_else(|| unknown_table(environment.dialect.family, schema, name))?;
                    providers.push((reference.internal.clone(), table));
                }
                ReferencedTable::Hot { written, database, name } => {
                    let Some(hot) = &environment.hot else { return Err(unknown_table(environment.dialect.family, database, name)) };
                    let (dialect, zone) = (environment.dialect, &environment.zone);
                    let table = HotTable::of(written, database, name, &hot.upstream, dialect, zone).await?;
                    providers.push((reference.internal.clone(), Arc::new(table)));
                }
                ReferencedTable::Cold { table, read } => {
                    let key = (table.id.0, read.at);
                    let view = match views.get(&key) {
                        Some(view) => view.clone(),
                        None => {
                            let view = self.view(environment, table, *read).await?;
                            views.insert(key, view.clone());
                            view
                        }
                    };
                    let positions = positions_of == Some(reference.internal.as_str());
                    if positions {
                        target = Some(view.clone());
                    }
                    let provider = ColdTable::new(view, positions);
                    reports.push((*read, provider.report()));
                    providers.push((reference.internal.clone(), Arc::new(provider)));
                }
            }
        }
        Ok((providers, reports, target))
    }

    /// The files of a table at a time. A table that was made after the snapshot of the open transaction is
    /// [`Kind::TableTooNew`]: it has rows, and none at that time.
    pub async fn snapshot(&self, table: &Table, read: ReadTime) -> Result<Snapshot> {
        if matches!(read.origin, TimeOrigin::Now | TimeOrigin::Snapshot) && read.at < table.created {
            let utc = |at: Tso| at.display_in(&jiff::tz::TimeZone::UTC);
            let (made, at) = (utc(table.created), utc(read.at));
            let message = format!(
                "Table definition has changed, please retry transaction: {}.{} was made at {made} UTC, the transaction reads at {at} UTC",
                table.database, table.name
            );
            return Err(Error::new(Kind::TableTooNew, message).with_hint("COMMIT or ROLLBACK, then run it again"));
        }
        self.cold.gms.snapshot(table.id, read.at).await
    }

    /// One table at one time; a transaction's own changes are seen at its own time only.
    pub async fn view(&self, environment: &Environment<'_>, table: &Table, read: ReadTime) -> Result<TableView> {
        if read.origin != TimeOrigin::Now && environment.transaction.is_none_or(|t| t.read_time != read.at) {
            self.cold.gms.admit(read.at).await?;
        }
        let snapshot = Arc::new(self.snapshot(table, read).await?);
        let own = matches!(read.origin, TimeOrigin::Now | TimeOrigin::Transaction | TimeOrigin::Snapshot);
        let staged = environment.transaction.filter(|t| own && t.read_time == read.at).and_then(|t| t.staged(table.id));
        let place = self.cold.place(&snapshot.table.engine)?;
        Ok(TableView { snapshot, staged, place })
    }
}
