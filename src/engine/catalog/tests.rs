use super::testing::{lines, query, rows};
use crate::types::Family::{MySql, Postgres};

/// Statements of a recorded file: separated by `;` and an empty line, comments left out.
fn recorded(text: &str) -> Vec<&str> {
    text.split(";\n\n")
        .map(|q| match q.trim_start().strip_prefix("--") {
            Some(rest) => rest.split_once("\n\n").map_or("", |(_, q)| q).trim(),
            None => q.trim(),
        })
        .filter(|q| !q.is_empty())
        .collect()
}

async fn all_run(name: &str, text: &str) {
    let queries = recorded(text);
    assert!(!queries.is_empty());
    let mut failed = Vec::new();
    for q in &queries {
        if let Err(e) = query(Postgres, q).await {
            failed.push(format!("{e}\n  in: {q}\n"));
        }
    }
    assert!(failed.is_empty(), "{name}: {} of {} failed\n{}", failed.len(), queries.len(), failed.join("\n"));
}

#[tokio::test]
async fn every_recorded_query_of_psql_runs() {
    all_run("psql", include_str!("queries/psql15.sql")).await;
}

#[tokio::test]
async fn every_recorded_query_of_sqlalchemy_runs() {
    all_run("sqlalchemy", include_str!("queries/sqlalchemy.sql")).await;
}

#[tokio::test]
async fn every_recorded_query_of_pgjdbc_runs() {
    all_run("pgjdbc", include_str!("queries/pgjdbc.sql")).await;
}

#[tokio::test]
async fn every_recorded_query_of_asyncpg_runs() {
    all_run("asyncpg", include_str!("queries/asyncpg.sql")).await;
}

#[tokio::test]
async fn every_virtual_table_can_be_read() {
    for family in [MySql, Postgres] {
        for schema in super::virtual_schemas(family) {
            for table in super::table_names(family, schema) {
                if let Err(e) = query(family, &format!("SELECT * FROM {schema}.{table}")).await {
                    panic!("{schema}.{table}: {e}");
                }
            }
        }
    }
}

#[tokio::test]
async fn psql_dt_lists_the_tables_of_the_current_database_only() {
    let queries = recorded(include_str!("queries/psql15.sql"));
    let lines = lines(&query(Postgres, queries[1]).await.unwrap());
    assert_eq!(lines, ["public|Orders|table|root", "public|t|table|root", "public|u|table|root"]);
}

#[tokio::test]
async fn psql_d_table_shows_types_defaults_and_keys() {
    let sql = "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
        (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
         WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16385' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    assert_eq!(
        rows(Postgres, sql).await,
        [
            "id|bigint||true",
            "userId|integer|0|true",
            "name|character varying(20)|'it''s'::character varying|false",
            "amount|numeric(10,2)||false",
            "at|timestamp with time zone|CURRENT_TIMESTAMP|true",
            "status|text||false",
        ]
    );
    let sql = "SELECT c2.relname, i.indisprimary, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), pg_catalog.pg_get_constraintdef(con.oid, true)
        FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i
          LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid AND conindid = i.indexrelid AND contype IN ('p','u','x'))
        WHERE c.oid = '16385' AND c.oid = i.indrelid AND i.indexrelid = c2.oid ORDER BY i.indisprimary DESC, c2.relname";
    assert_eq!(
        rows(Postgres, sql).await,
        [
            "Orders_pkey|true|CREATE UNIQUE INDEX \"Orders_pkey\" ON public.\"Orders\" USING btree (id)|PRIMARY KEY (id)",
            "by_user|false|CREATE INDEX by_user ON public.\"Orders\" USING btree (\"userId\", at)|",
            "u|false|CREATE UNIQUE INDEX u ON public.\"Orders\" USING btree (name)|UNIQUE (name)",
        ]
    );
}

#[tokio::test]
async fn casts_to_object_names_work_in_every_place() {
    for (sql, answer) in [
        ("SELECT 't'::regclass::oid", "16388"),
        ("SELECT c.oid::regclass FROM pg_class c WHERE c.oid = 16388", "t"),
        ("SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = 'public.t'::regclass", "t"),
        ("SELECT relname FROM pg_class WHERE oid = '\"Orders\"'::regclass", "Orders"),
        ("SELECT relname FROM pg_class WHERE oid::regclass = 'u'::regclass", "u"),
        ("SELECT count(*) FROM pg_attribute WHERE attrelid = 'pg_catalog.pg_class'::pg_catalog.regclass", "33"),
        ("SELECT 'int4'::regtype::oid", "23"),
        ("SELECT t.oid::regtype FROM pg_type t WHERE typname = '_int4'", "integer[]"),
        ("SELECT relnamespace::regnamespace FROM pg_class WHERE relname = 't'", "public"),
        ("SELECT typname FROM pg_type WHERE typinput = 'array_in'::regproc AND typname = '_int4'", "_int4"),
        ("SELECT obj_description('\"Orders\"'::regclass, 'pg_class')", "cold orders"),
        (
            "SELECT array_to_string(ARRAY(SELECT polname FROM pg_policy WHERE polrelid = c.oid), ',') || 'x' FROM pg_class c WHERE relname = 't'",
            "x",
        ),
        (
            "SELECT ARRAY(SELECT b.rolname FROM pg_auth_members m JOIN pg_roles b ON m.roleid = b.oid WHERE m.member = r.oid) FROM pg_roles r",
            "[]",
        ),
        ("SELECT current_schemas(true)", "[pg_catalog, public]"),
        ("SELECT current_user || '@' || current_database()", "root@shop"),
        ("SELECT nspname FROM pg_namespace WHERE nspname = ANY (current_schemas(false))", "public"),
        (
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = 't'::regclass",
            "id",
        ),
        ("SELECT i.indkey[0] FROM pg_index i WHERE i.indrelid = 'u'::regclass AND indisunique", "1"),
    ] {
        assert_eq!(rows(Postgres, sql).await, [answer], "{sql}");
    }
}

#[tokio::test]
async fn another_schema_is_a_database_with_a_dotted_name() {
    assert_eq!(rows(Postgres, "SELECT datname FROM pg_database ORDER BY 1").await, ["shop", "test"]);
    let sql = "SELECT n.nspname, c.relname, pg_table_is_visible(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'archive'";
    assert_eq!(rows(Postgres, sql).await, ["archive|old_orders|false"]);
}

#[tokio::test]
async fn no_catalog_shows_a_secret() {
    for (family, sql) in [
        (MySql, "SELECT * FROM information_schema.file_storage"),
        (Postgres, "SELECT * FROM pg_authid"),
        (Postgres, "SELECT * FROM pg_shadow"),
    ] {
        let text = rows(family, sql).await.join("\n");
        assert!(!text.contains("secret") && !text.contains("key:") && !text.contains("SCRAM"), "{text}");
    }
}

#[tokio::test]
async fn mysql_columns_have_upper_case_labels_and_mysqls_words() {
    let batches = query(MySql, "SELECT * FROM information_schema.tables").await.unwrap();
    let schema = batches[0].schema();
    assert_eq!(schema.field(0).metadata()[crate::types::meta::NAME], "TABLE_CATALOG");
    // mysql-connector-python, Node's sequelize and DBeaver read these columns.
    let sql = "SELECT column_name, ordinal_position, column_default, is_nullable, data_type, character_maximum_length, numeric_precision,
               numeric_scale, column_type, column_key, extra FROM information_schema.columns
               WHERE table_schema = 'shop' AND table_name = 'Orders' ORDER BY ordinal_position";
    assert_eq!(
        rows(MySql, sql).await,
        [
            "id|1||NO|bigint||19|0|bigint|PRI|",
            "userId|2|0|NO|int||10|0|int|MUL|",
            "name|3|it's|YES|varchar|20|||varchar(20)|UNI|",
            "amount|4||YES|decimal||10|2|decimal(10,2)||",
            "at|5|CURRENT_TIMESTAMP(6)|NO|timestamp||||timestamp(6)||DEFAULT_GENERATED",
            "status|6||YES|enum|4|||enum('new','paid')||",
        ]
    );
    let sql = "SELECT index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics
               WHERE table_name = 'Orders' ORDER BY non_unique, index_name, seq_in_index";
    assert_eq!(rows(MySql, sql).await, ["PRIMARY|1|id|0", "u|1|name|0", "by_user|1|userId|1", "by_user|2|at|1"]);
}

/// SQLAlchemy 2.0's mysql dialect, `get_foreign_keys` correction and `has_table`; MariaDB Connector/J 2.7's getTables.
#[tokio::test]
async fn queries_of_mysql_drivers_run() {
    for sql in [
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.columns WHERE (TABLE_SCHEMA, TABLE_NAME, lower(COLUMN_NAME)) IN (('shop', 't', 'id'))",
        "SELECT TABLE_SCHEMA TABLE_CAT, NULL TABLE_SCHEM, TABLE_NAME, IF(TABLE_TYPE='BASE TABLE', 'TABLE', TABLE_TYPE) as TABLE_TYPE, TABLE_COMMENT REMARKS FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'shop' ORDER BY TABLE_TYPE, TABLE_SCHEMA, TABLE_NAME",
        "SELECT A.TABLE_SCHEMA TABLE_CAT, A.TABLE_NAME, A.COLUMN_NAME, B.SEQ_IN_INDEX KEY_SEQ, B.INDEX_NAME PK_NAME FROM INFORMATION_SCHEMA.COLUMNS A, INFORMATION_SCHEMA.STATISTICS B WHERE A.COLUMN_KEY in ('PRI','pri') AND B.INDEX_NAME='PRIMARY' AND A.TABLE_SCHEMA = B.TABLE_SCHEMA AND A.TABLE_NAME = B.TABLE_NAME AND A.COLUMN_NAME = B.COLUMN_NAME ORDER BY A.COLUMN_NAME",
        "SELECT kcu.REFERENCED_TABLE_SCHEMA PKTABLE_CAT, kcu.CONSTRAINT_NAME FK_NAME, rc.UPDATE_RULE FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE kcu INNER JOIN INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS rc ON kcu.CONSTRAINT_SCHEMA = rc.CONSTRAINT_SCHEMA AND kcu.CONSTRAINT_NAME = rc.CONSTRAINT_NAME WHERE kcu.TABLE_SCHEMA = 'shop'",
    ] {
        // IF() belongs to the dialect's functions, which are not registered here.
        let sql = sql.replace(
            "IF(TABLE_TYPE='BASE TABLE', 'TABLE', TABLE_TYPE)",
            "CASE WHEN TABLE_TYPE='BASE TABLE' THEN 'TABLE' ELSE TABLE_TYPE END",
        );
        if let Err(e) = query(MySql, &sql).await {
            panic!("{e}");
        }
    }
}

/// What a client sees of the labels: psql prints them, psycopg's and SQLAlchemy's rows are looked up by them.
#[tokio::test]
async fn labels_are_those_of_postgresql_before_and_after_the_rewriting() {
    use crate::engine::dialect;
    for (sql, labels) in [
        ("SELECT current_schema(), version(), current_database()", vec!["current_schema", "version", "current_database"]),
        (
            "SELECT 't'::regclass::oid, c.oid::regclass, c.relname::text, 1, count(*), CURRENT_USER FROM pg_class c GROUP BY 2, 3",
            vec!["oid", "oid", "relname", "?column?", "count", "current_user"],
        ),
        (
            "SELECT a.attname, (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adnum = a.attnum) FROM pg_attribute a",
            vec!["attname", "pg_get_expr"],
        ),
        ("SELECT NULL, NULL AS x, ARRAY(SELECT rolname FROM pg_roles)", vec!["?column?", "x", "array"]),
    ] {
        let parsed = crate::sql::parse(&crate::sql::Dialect::POSTGRES, sql).unwrap().remove(0);
        let crate::sql::Statement::Query(query) = parsed.statement else { panic!() };
        let mut statement = datafusion::sql::sqlparser::ast::Statement::Query(query.query);
        super::rewrite_postgres_catalog(&mut statement).unwrap();
        let datafusion::sql::sqlparser::ast::Statement::Query(query) = statement else { panic!() };
        let found: Vec<String> = dialect::label_items(&query, &crate::sql::Dialect::POSTGRES, sql)
            .into_iter()
            .map(|l| match l {
                dialect::Label::Fixed(text) => text,
                dialect::Label::Wildcard(_) => "*".into(),
            })
            .collect();
        assert_eq!(found, labels, "{sql}");
    }
}
