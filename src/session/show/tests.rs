use std::sync::Arc;

use datafusion::sql::sqlparser::dialect::MySqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;
use crate::engine::catalog::testing::{lines, snapshot};
use crate::types::Family;
use crate::variables::Variables;

async fn run(kind: ShowKind, filter: Option<ShowFilter>) -> Result<(Vec<String>, Vec<String>)> {
    run_as(Family::MySql, kind, filter).await
}

async fn run_as(family: Family, kind: ShowKind, filter: Option<ShowFilter>) -> Result<(Vec<String>, Vec<String>)> {
    let snapshot = snapshot();
    let variables = Variables::new(family, Arc::default());
    let warnings = [Warning { level: "Warning", code: 1105, message: "keys are documentation".into() }];
    let context = ShowContext { snapshot: &snapshot, variables: &variables, warnings: &warnings };
    let shown = show(&Show { kind, filter }, &context).await?;
    Ok((shown.columns.iter().map(|c| c.label.clone()).collect(), lines(&[shown.batch])))
}

fn like(pattern: &str) -> Option<ShowFilter> {
    Some(ShowFilter::Like(pattern.into()))
}

fn condition(text: &str) -> Option<ShowFilter> {
    let expr = Parser::new(&MySqlDialect {}).try_with_sql(text).unwrap().parse_expr().unwrap();
    Some(ShowFilter::Where(Box::new(expr)))
}

fn name(text: &str) -> Name {
    Name { parts: text.split('.').map(str::to_owned).collect() }
}

#[tokio::test]
async fn tables_and_their_types_are_labelled_as_mysql_does() {
    let (labels, rows) = run(ShowKind::Tables { full: true, database: None }, None).await.unwrap();
    assert_eq!(labels, ["Tables_in_shop", "Table_type"]);
    assert_eq!(rows, ["Orders|BASE TABLE", "recent|VIEW", "t|BASE TABLE", "u|BASE TABLE", "v|VIEW"]);
    let (labels, rows) = run(ShowKind::Tables { full: false, database: Some("SHOP".into()) }, like("o%")).await.unwrap();
    assert_eq!((labels, rows), (vec!["Tables_in_shop (o%)".to_owned()], vec!["Orders".to_owned()]));
    let error = run(ShowKind::Tables { full: false, database: Some("nope".into()) }, None).await.unwrap_err();
    assert_eq!(error.mysql_code(), 1049);
}

/// SQLAlchemy's mysql dialect: `SHOW FULL TABLES FROM shop` filtered in SQL; phpMyAdmin: WHERE on a label with blanks.
#[tokio::test]
async fn where_filters_over_the_columns_of_a_show() {
    let (_, rows) = run(ShowKind::Tables { full: true, database: None }, condition("Table_type = 'view'")).await.unwrap();
    assert_eq!(rows, ["recent|VIEW", "v|VIEW"]);
    // MySQL Connector/J 5: SHOW VARIABLES WHERE Variable_name ='..' OR Variable_name = '..'
    let filter = condition("Variable_name ='language' OR Variable_name = 'net_write_timeout' OR Variable_name LIKE 'LOWER_case_t%'");
    assert_eq!(run(ShowKind::Variables(None), filter).await.unwrap().1, ["lower_case_table_names|2", "net_write_timeout|60"]);
    assert_eq!(run(ShowKind::Charset, condition("`Default collation` IN ('BINARY')")).await.unwrap().1.len(), 1);
    assert!(run(ShowKind::Databases, condition("nope = 1")).await.is_err());
}

#[tokio::test]
async fn describe_shows_columns_keys_and_defaults() {
    let (labels, rows) = run(ShowKind::Columns { full: false, table: name("orders") }, None).await.unwrap();
    assert_eq!(labels, ["Field", "Type", "Null", "Key", "Default", "Extra"]);
    assert_eq!(rows[1], "userId|int|NO|MUL|0|");
    assert_eq!(rows[4], "at|timestamp(6)|NO||CURRENT_TIMESTAMP(6)|DEFAULT_GENERATED");
    let (labels, rows) = run(ShowKind::Columns { full: true, table: name("shop.Orders") }, like("na%")).await.unwrap();
    assert_eq!(labels, ["Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"]);
    assert_eq!(rows, ["name|varchar(20)|utf8mb4_0900_ai_ci|YES|UNI|it's||select,insert,update,references|who ordered"]);
    // A view's columns, and those of a virtual table (mysqldump describes what it dumps).
    assert_eq!(run(ShowKind::Columns { full: false, table: name("recent") }, None).await.unwrap().1, ["id|bigint|NO|||"]);
    assert!(run(ShowKind::Columns { full: false, table: name("information_schema.TABLES") }, None).await.unwrap().1.len() > 20);
    assert_eq!(run(ShowKind::Columns { full: false, table: name("nope") }, None).await.unwrap_err().mysql_code(), 1146);
}

#[tokio::test]
async fn show_create_table_says_all_that_was_declared() {
    let (labels, rows) = run(ShowKind::CreateTable(name("ORDERS")), None).await.unwrap();
    assert_eq!(labels, ["Table", "Create Table"]);
    assert_eq!(
        rows[0],
        "Orders|CREATE TABLE `Orders` (\n  `id` bigint NOT NULL,\n  `userId` int NOT NULL DEFAULT '0',\n  \
         `name` varchar(20) DEFAULT 'it''s' COMMENT 'who ordered',\n  `amount` decimal(10,2) DEFAULT NULL,\n  \
         `at` timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),\n  `status` enum('new','paid') DEFAULT NULL,\n  \
         PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`name`),\n  KEY `by_user` (`userId`,`at`)\n) \
         ENGINE='OSS' DEFAULT CHARSET=utf8mb4 COMMENT='cold orders'"
    );
    let (labels, rows) = run(ShowKind::CreateTable(name("recent")), None).await.unwrap();
    assert_eq!(labels[..2], ["View", "Create View"]);
    assert!(rows[0].starts_with("recent|CREATE VIEW `recent` AS SELECT id FROM Orders|"));
    assert_eq!(run(ShowKind::CreateView(name("Orders")), None).await.unwrap_err().mysql_code(), 1146);
}

#[tokio::test]
async fn databases_warnings_and_counts() {
    let (labels, rows) = run(ShowKind::Databases, None).await.unwrap();
    assert_eq!(
        (labels, rows),
        (
            vec!["Database".to_owned()],
            ["information_schema", "performance_schema", "shop", "shop.archive", "test"].map(String::from).into()
        )
    );
    let (labels, rows) = run(ShowKind::Warnings { offset: 0, limit: None }, None).await.unwrap();
    assert_eq!((labels.join(","), rows), ("Level,Code,Message".into(), vec!["Warning|1105|keys are documentation".to_owned()]));
    assert_eq!(run(ShowKind::Errors { offset: 0, limit: None }, None).await.unwrap().1.len(), 0);
    assert_eq!(run(ShowKind::CountWarnings, None).await.unwrap(), (vec!["@@session.warning_count".into()], vec!["1".into()]));
}

#[tokio::test]
async fn every_show_has_its_columns() {
    let t = || name("Orders");
    for (kind, first, count) in [
        (ShowKind::Index { table: t() }, "Table", 15),
        (ShowKind::TableStatus { database: None }, "Name", 18),
        (ShowKind::OpenTables { database: None }, "Database", 4),
        (ShowKind::Triggers { database: None }, "Trigger", 11),
        (ShowKind::Events { database: None }, "Db", 15),
        (ShowKind::ProcedureStatus, "Db", 11),
        (ShowKind::FunctionStatus, "Db", 11),
        (ShowKind::Processlist { full: true }, "Id", 8),
        (ShowKind::Engines, "Engine", 6),
        (ShowKind::Collation, "Collation", 7),
        (ShowKind::Charset, "Charset", 4),
        (ShowKind::Privileges, "Privilege", 3),
        (ShowKind::Grants(None), "Grants for root@%", 1),
        (ShowKind::Plugins, "Name", 5),
        (ShowKind::Status(None), "Variable_name", 2),
        (ShowKind::MasterStatus, "File", 5),
        (ShowKind::Profiles, "Query_ID", 3),
        (ShowKind::CreateDatabase { name: "shop".into(), if_not_exists: false }, "Database", 2),
    ] {
        let (labels, _) = run(kind.clone(), None).await.unwrap_or_else(|e| panic!("{kind:?}: {e}"));
        assert_eq!((labels[0].as_str(), labels.len()), (first, count), "{kind:?}");
    }
}

#[tokio::test]
async fn postgres_shows_a_setting_under_its_own_name() {
    let setting = |n: &str| ShowKind::Setting(n.into());
    assert_eq!(run_as(Family::Postgres, setting("timezone"), None).await.unwrap(), (vec!["TimeZone".into()], vec!["UTC".into()]));
    // SQLAlchemy and psycopg: "show transaction isolation level", "show standard_conforming_strings"
    assert_eq!(run_as(Family::Postgres, setting("transaction isolation level"), None).await.unwrap().0, ["transaction_isolation"]);
    assert_eq!(run_as(Family::Postgres, setting("standard_conforming_strings"), None).await.unwrap().1, ["on"]);
    assert_eq!(run_as(Family::Postgres, setting("nope"), None).await.unwrap_err().sqlstate(), "42704");
    let (labels, rows) = run_as(Family::Postgres, ShowKind::AllSettings, None).await.unwrap();
    assert_eq!(labels, ["name", "setting", "description"]);
    assert!(rows.len() > 80);
}
