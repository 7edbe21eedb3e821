//! What a session shows of itself and of the metadata: the virtual tables' snapshot, taken for one statement.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;

use super::call::Call;
use super::named_tables::named_tables;
use super::state::Session;
use crate::engine::catalog::{self, CatalogSnapshot, Metadata, Process, TableSize};
use crate::engine::{ReadTime, TimeOrigin, VirtualTables};
use crate::error::Result;
use crate::gms::{Scope as FileScope, Table};
use crate::sql::Query;
use crate::time::Tso;
use crate::types::Family;

/// The virtual tables of one statement.
pub(super) struct SessionTables {
    family: Family,
    /// What NOW() says.
    pub(super) now: Tso,
    snapshot: Option<CatalogSnapshot>,
}

impl SessionTables {
    /// They hold a picture of the sessions and settings of a moment.
    pub(super) fn shows_the_session(&self) -> bool {
        self.snapshot.is_some()
    }
}

impl VirtualTables for SessionTables {
    fn exists(&self, schema: &str, name: &str) -> bool {
        catalog::table_names(self.family, schema).iter().any(|t| crate::types::same(t, name))
    }

    fn table(&self, schema: &str, name: &str) -> Option<Arc<dyn TableProvider>> {
        catalog::virtual_table(self.family, schema, name, self.snapshot.as_ref()?)
    }

    fn register_functions(&self, context: &SessionContext) {
        if self.family == Family::Postgres
            && let Some(snapshot) = &self.snapshot
        {
            catalog::pg_functions::register_postgres_functions(context, snapshot);
        }
    }
}

impl Session {
    /// The virtual tables for a query; their snapshot is only made when the query names one of them.
    pub(super) async fn tables(&mut self, query: &Query, call: &Call) -> Result<Arc<SessionTables>> {
        self.tables_with(query, Some(call)).await
    }

    /// The same; without a call (a view is being planned for its columns) no view has columns.
    async fn tables_with(&mut self, query: &Query, call: Option<&Call>) -> Result<Arc<SessionTables>> {
        let family = self.family();
        let now = self.node.gms.read_now().await?;
        let named = named_tables(query);
        let virtual_ones: Vec<&(Option<String>, String)> = named
            .iter()
            .filter(|(schema, name)| match schema {
                Some(schema) => catalog::is_virtual_schema(family, schema),
                None => {
                    let current = self.settings.database.as_deref().is_some_and(|d| catalog::is_virtual_schema(family, d));
                    current
                        || (family == Family::Postgres
                            && catalog::table_names(family, "pg_catalog").iter().any(|t| crate::types::same(t, name)))
                }
            })
            .collect();
        let wants = |test: fn(Family, &str, &str) -> bool| {
            virtual_ones.iter().any(|(schema, name)| {
                let schema = schema.as_deref().unwrap_or(if family == Family::Postgres { "pg_catalog" } else { "information_schema" });
                test(family, schema, name)
            })
        };
        let picture = self.node.gms.catalog();
        // What a view stands on is not looked into.
        let names_a_view = || {
            named.iter().any(|(schema, name)| {
                let databases = [schema.as_deref(), self.settings.database.as_deref()];
                databases.into_iter().flatten().any(|database| picture.view(database, name).is_some())
            })
        };
        let calls_one =
            || family == Family::Postgres && crate::engine::called(&query.query).iter().any(|name| catalog::pg_functions::is_one(name));
        let needs_world = !virtual_ones.is_empty() || calls_one() || names_a_view();
        let shows_columns = virtual_ones.iter().any(|(_, name)| ["pg_attribute", "columns"].iter().any(|t| crate::types::same(t, name)));
        let mut snapshot =
            if needs_world { Some(self.snapshot(wants(catalog::needs_files), wants(catalog::needs_sizes)).await?) } else { None };
        if let (Some(snapshot), Some(call), true) = (&mut snapshot, call, shows_columns) {
            Box::pin(self.add_view_columns(snapshot, call)).await;
        }
        Ok(Arc::new(SessionTables { family, now, snapshot }))
    }

    /// Everything that a virtual table may show, as of now.
    pub(super) async fn snapshot(&mut self, files: bool, sizes: bool) -> Result<CatalogSnapshot> {
        let node = Arc::clone(&self.node);
        let picture = node.gms.catalog();
        let mut snapshot = CatalogSnapshot::new(Metadata::from(picture.as_ref()), self.client.user.clone(), self.settings.database.clone());
        let facts = self.facts();
        snapshot.connection_id = self.handle.id;
        snapshot.client_host = facts.host;
        snapshot.zone = self.settings.zone.clone();
        snapshot.now = jiff::Timestamp::now();
        let up = jiff::SignedDuration::try_from(node.started.elapsed()).unwrap_or(jiff::SignedDuration::ZERO);
        snapshot.started = snapshot.now.checked_sub(up).unwrap_or(snapshot.now);
        let mut users = node.users.names();
        if !users.contains(&self.client.user) {
            users.push(self.client.user.clone());
        }
        snapshot.users = users;
        snapshot.settings = self.settings.variables().rows();
        if let Some(setting) = snapshot.settings.iter_mut().find(|s| crate::types::same(&s.name, crate::sql::READ_TIME)) {
            setting.value = self.settings.read_time.map(|at| at.display_in(&self.settings.zone)).unwrap_or_default();
        }
        snapshot.processes = self.process_rows();
        snapshot.status = vec![
            ("Threads_connected".into(), node.sessions.count().to_string()),
            ("Uptime".into(), node.started.elapsed().as_secs().to_string()),
        ];
        if files {
            for storage in picture.storages() {
                let versions = node.gms.file_versions(&FileScope::Engine(storage.engine.clone())).await?;
                snapshot.files.extend(versions.into_iter().map(Arc::new));
            }
        }
        self.hide_unprivileged(&mut snapshot);
        if sizes {
            let at = node.gms.read_now().await?;
            // One that is being made is empty.
            let tables: Vec<Arc<Table>> = snapshot.metadata.tables.iter().filter(|table| table.created <= at).cloned().collect();
            let mut map = HashMap::new();
            for table in tables {
                let snapshot = node.gms.snapshot(table.id, at).await?;
                map.insert(
                    table.id,
                    TableSize {
                        files: snapshot.files.len() as u64,
                        rows: snapshot.files.iter().map(|f| f.rows).sum(),
                        bytes: snapshot.files.iter().map(|f| f.bytes).sum(),
                    },
                );
            }
            snapshot.sizes = map;
        }
        Ok(snapshot)
    }

    fn process_rows(&self) -> Vec<Process> {
        let now = jiff::Timestamp::now();
        self.node
            .sessions
            .list()
            .into_iter()
            .map(|p| {
                let since = now.checked_sub(jiff::SignedDuration::from_secs(p.seconds as i64)).unwrap_or(now);
                Process {
                    id: p.id,
                    user: p.user,
                    host: p.peer,
                    database: p.database,
                    command: if p.running.is_some() { "Query".into() } else { "Sleep".into() },
                    since,
                    started: since,
                    state: if p.running.is_some() { "executing".into() } else { String::new() },
                    statement: p.running,
                    application: p.protocol.label().to_owned(),
                    in_transaction: false,
                }
            })
            .collect()
    }
}

impl Session {
    /// Adds the columns of all views to the snapshot: each view is planned once. One that cannot be planned any more has none.
    pub(super) async fn add_view_columns(&mut self, snapshot: &mut CatalogSnapshot, call: &Call) {
        for view in snapshot.metadata.views.clone() {
            let dialect = if view.dialect == "postgres" { crate::sql::Dialect::POSTGRES } else { crate::sql::Dialect::MYSQL };
            let Ok(parsed) = crate::sql::parse(&dialect, &view.definition) else { continue };
            let Some(crate::sql::Statement::Query(query)) = parsed.into_iter().next().map(|p| p.statement) else { continue };
            // What virtual tables show is of the present, whenever the session reads.
            let Ok(at) = self.node.gms.read_now().await else { continue };
            let read = ReadTime { at, origin: TimeOrigin::Now };
            let Ok(tables) = self.tables_with(&query, None).await else { continue };
            let mut environment = self.environment(read, tables, &call.text, &[]);
            environment.namespace.database = Some(view.database.clone());
            environment.dialect = dialect;
            let Ok((_, columns)) = self.node.engine.describe(&environment, &query, &[]).await else { continue };
            let columns = columns
                .iter()
                .enumerate()
                .map(|(i, c)| crate::types::Column {
                    id: i as u32 + 1,
                    name: c.label.clone(),
                    ty: c.ty.clone(),
                    nullable: c.nullable,
                    default: None,
                    comment: String::new(),
                })
                .collect();
            snapshot.view_columns.insert((crate::types::fold(&view.database), crate::types::fold(&view.name)), columns);
        }
    }
}
