//! A small snapshot and a DataFusion session over it, for the tests of this room.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, TableProvider};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement;

use super::super::{dialect, functions};
use super::{CatalogSnapshot, Metadata, pg_functions, rewrite_postgres_catalog, virtual_schemas, virtual_table};
use crate::gms::{Database, FileStorage, Key, SchemaVersion, Table, TableId, View};
use crate::time::Tso;
use crate::types::Family;
use crate::types::{Column, Default, SqlType};

fn column(id: u32, name: &str, ty: SqlType, nullable: bool, default: Option<Default>) -> Column {
    Column { id, name: name.into(), ty, nullable, default, comment: if name == "name" { "who ordered".into() } else { String::new() } }
}

fn key(name: &str, columns: &[&str], unique: bool, primary: bool) -> Key {
    Key { name: name.into(), columns: columns.iter().map(|c| (*c).to_owned()).collect(), unique, primary }
}

/// Database `shop` with table `Orders` and view `recent`, database `shop.archive` with table `old_orders`.
pub(crate) fn snapshot() -> CatalogSnapshot {
    let ts = Tso::from_unix_millis(1_657_019_471_000);
    let int = SqlType::Int32 { unsigned: false };
    let table = |id, database: &str, name: &str, columns: Vec<Column>, keys: Vec<Key>| {
        Arc::new(Table {
            id: TableId(id),
            database: database.into(),
            name: name.into(),
            engine: "OSS".into(),
            created: ts,
            dropped: None,
            schemas: vec![SchemaVersion { ts, columns }],
            keys,
            comment: if id == 1 { "cold orders".into() } else { String::new() },
            options: serde_json::Value::Null,
        })
    };
    let orders = vec![
        column(1, "id", SqlType::Int64 { unsigned: false }, false, None),
        column(2, "userId", int.clone(), false, Some(Default::Value("0".into()))),
        column(3, "name", SqlType::VarChar { length: 20 }, true, Some(Default::Value("it's".into()))),
        column(4, "amount", SqlType::Decimal { precision: 10, scale: 2 }, true, None),
        column(5, "at", SqlType::Timestamp { fsp: 6 }, false, Some(Default::Now)),
        column(6, "status", SqlType::Enum { labels: vec!["new".into(), "paid".into()] }, true, None),
    ];
    let keys = vec![key("PRIMARY", &["id"], true, true), key("u", &["name"], true, false), key("by_user", &["userId", "at"], false, false)];
    let metadata = Metadata {
        databases: ["shop", "shop.archive", "test"].map(|name| Arc::new(Database { name: name.into(), created: ts })).into(),
        tables: vec![
            table(1, "shop", "Orders", orders, keys),
            // The names and OIDs (16388, 16398) that the recorded queries of clients use.
            table(
                4,
                "shop",
                "t",
                vec![column(1, "id", int.clone(), false, None), column(2, "at", SqlType::Timestamp { fsp: 6 }, true, None)],
                vec![key("", &["id"], true, true)],
            ),
            table(
                14,
                "shop",
                "u",
                vec![column(1, "a", int.clone(), true, None), column(2, "b", SqlType::Text, true, None)],
                vec![key("", &["a", "b"], true, false), key("ub", &["b"], false, false)],
            ),
            table(2, "shop.archive", "old_orders", vec![column(1, "id", int, false, None)], vec![]),
        ],
        views: ["recent", "v"]
            .map(|name| {
                let definition = "SELECT id FROM Orders".into();
                Arc::new(View { database: "shop".into(), name: name.into(), definition, dialect: "mysql".into(), created: ts })
            })
            .into(),
        storages: vec![Arc::new(FileStorage::new("OSS", "s3://key:secret@bucket/x/"))],
    };
    let mut snapshot = CatalogSnapshot::new(metadata, "root", Some("shop".into()));
    for view in ["recent", "v"] {
        let columns = vec![column(1, "id", SqlType::Int64 { unsigned: false }, false, None)];
        snapshot.view_columns.insert(("shop".into(), view.into()), columns);
    }
    let setting = |name: &str, value: &str| super::snapshot::SettingRow {
        name: name.into(),
        value: value.into(),
        ..super::snapshot::SettingRow::default()
    };
    snapshot.settings = vec![setting("default_table_access_method", "heap")];
    snapshot
}

#[derive(Debug)]
struct Virtual {
    family: Family,
    schema: String,
    snapshot: Arc<Hidden>,
}

struct Hidden(CatalogSnapshot);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("snapshot")
    }
}

#[async_trait]
impl SchemaProvider for Virtual {
    fn table_names(&self) -> Vec<String> {
        super::table_names(self.family, &self.schema)
    }
    async fn table(&self, name: &str) -> datafusion::error::Result<Option<Arc<dyn TableProvider>>> {
        Ok(virtual_table(self.family, &self.schema, name, &self.snapshot.0))
    }
    fn table_exist(&self, name: &str) -> bool {
        virtual_table(self.family, &self.schema, name, &self.snapshot.0).is_some()
    }
}

fn context(family: Family, snapshot: CatalogSnapshot) -> SessionContext {
    let default = if family == Family::MySql { "information_schema" } else { "pg_catalog" };
    let mut config = dialect::configure(SessionConfig::new(), family)
        .with_default_catalog_and_schema("db", default)
        .with_create_default_catalog_and_schema(false);
    config.options_mut().execution.target_partitions = 1;
    let ctx = SessionContext::new_with_config(config);
    let facts = functions::FunctionFacts { zone: jiff::tz::TimeZone::UTC, now_micros: 0, signed_subtraction: false, keeps_digits: true };
    functions::register(&ctx, family, &facts, |_| true);
    dialect::register_planners(&ctx, family, &facts);
    let catalog = MemoryCatalogProvider::new();
    let snapshot = Arc::new(Hidden(snapshot));
    for schema in virtual_schemas(family) {
        let provider = Virtual { family, schema: (*schema).to_owned(), snapshot: Arc::clone(&snapshot) };
        catalog.register_schema(schema, Arc::new(provider)).unwrap();
    }
    ctx.register_catalog("db", Arc::new(catalog));
    if family == Family::Postgres {
        pg_functions::register_postgres_functions(&ctx, &snapshot.0);
    }
    ctx
}

/// Runs a query of that family over the test snapshot.
pub(crate) async fn query(family: Family, sql: &str) -> Result<Vec<RecordBatch>, String> {
    query_in(family, sql, snapshot()).await
}

/// The same over a given snapshot.
pub(crate) async fn query_in(family: Family, sql: &str, snapshot: CatalogSnapshot) -> Result<Vec<RecordBatch>, String> {
    let language = if family == Family::MySql { crate::sql::Dialect::MYSQL } else { crate::sql::Dialect::POSTGRES };
    let parsed = crate::sql::parse(&language, sql).map_err(|e| format!("parse: {e}"))?.remove(0);
    let crate::sql::Statement::Query(query) = parsed.statement else { return Err("not a query".into()) };
    let mut statement = Statement::Query(query.query);
    if family == Family::Postgres {
        rewrite_postgres_catalog(&mut statement).map_err(|e| e.to_string())?;
    }
    // As the engine does with every query.
    let Statement::Query(mut query) = statement else { return Err("not a query".into()) };
    dialect::rewrite(query.as_mut(), family, &dialect::DialectContext::default()).map_err(|e| format!("dialect: {e}"))?;
    let statement = Statement::Query(query);
    let ctx = context(family, snapshot);
    let plan = ctx.state().statement_to_plan(DfStatement::Statement(Box::new(statement.clone()))).await;
    let plan = plan.map_err(|e| format!("plan: {e}\n{statement}"))?;
    let plan = dialect::choice::spell_out(plan).map_err(|e| format!("plan: {e}\n{statement}"))?;
    let frame = ctx.execute_logical_plan(plan).await.map_err(|e| format!("{e}\n{statement}"))?;
    frame.collect().await.map_err(|e| format!("run: {e}\n{statement}"))
}

/// The rows as text: columns joined by `|`, NULL as nothing.
pub(crate) async fn rows(family: Family, sql: &str) -> Vec<String> {
    match query(family, sql).await {
        Ok(batches) => lines(&batches),
        Err(e) => panic!("{e}"),
    }
}

/// Rows of batches as text.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
    let mut lines = Vec::new();
    for batch in batches {
        let options = FormatOptions::default();
        let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

/// For a look while writing tests.
#[allow(dead_code)]
pub(crate) fn pretty(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).map(|t| t.to_string()).unwrap_or_default()
}
