//! The tables of the metadata database and the numbered migrations that make them. Tables with PolarDB-X's names have
//! its columns and meanings (docs: contract section 3); ours begin with `fg_`.

use sea_query::{ColumnDef, Expr, ExprTrait, Index, IndexCreateStatement, Query, Table, TableCreateStatement};

use super::backend::{Db, Tx};
use crate::error::{Error, Kind, Result};

/// The schema that this program writes.
pub const VERSION: i64 = 2;

/// Brings the database to [`VERSION`]. A newer one is an error, and nothing is touched.
pub async fn migrate(db: &Db) -> Result<()> {
    // Looked at by a reader first: a second process must not need the write lock just to look.
    if current(db).await? == VERSION {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    tx.run(fg_schema_version()).await?;
    let rows = tx.rows(Query::select().column("version").from("fg_schema_version").take()).await?;
    let mut at = rows.iter().map(|r| r.int(0)).collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0);
    while at < VERSION {
        at += 1;
        step(&mut tx, at).await?;
        let insert = Query::insert().into_table("fg_schema_version").columns(["version"]).values_panic([at.into()]).take();
        tx.run(insert).await?;
    }
    tx.commit().await
}

/// The version that the file has; 0: the file is not Flashgate's.
async fn current(db: &Db) -> Result<i64> {
    let exists = Query::select().column("name").from("sqlite_schema").and_where(Expr::col("name").eq("fg_schema_version")).take();
    if db.rows(exists).await?.is_empty() {
        return Ok(0);
    }
    let rows = db.rows(Query::select().column("version").from("fg_schema_version").take()).await?;
    let version = rows.iter().map(|r| r.int(0)).collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0);
    if version > VERSION {
        return Err(Error::new(
            Kind::Metadata,
            format!("the metadata database has schema version {version}, this program knows {VERSION}"),
        )
        .with_hint("start the newer Flashgate that wrote it"));
    }
    Ok(version)
}

async fn step(tx: &mut Tx, version: i64) -> Result<()> {
    match version {
        1 => {
            for table in tables() {
                tx.run(table).await?;
            }
            for index in indexes() {
                tx.run(index).await?;
            }
            let clock = Query::insert().into_table("fg_clock").columns(["id", "ceiling"]).values_panic([1.into(), 0.into()]).take();
            tx.run(clock).await?;
            Ok(())
        }
        2 => {
            // `table_name` '*': every table of the database; `schema_name` '*' too: every table; both empty: file storages.
            let columns = vec![id("id"), name("protocol"), name("grantee"), name("privilege"), name("schema_name"), name("table_name")];
            tx.run(table("fg_grants", columns)).await?;
            let unique = ["protocol", "grantee", "privilege", "schema_name", "table_name"];
            tx.run(index("fg_grants", "grants_by_grantee", true, &unique)).await?;
            Ok(())
        }
        other => Err(Error::internal(format!("no migration to schema version {other}"))),
    }
}

fn id(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().auto_increment().primary_key().take()
}
fn key(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().primary_key().take()
}
fn int(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}
fn int_or_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().take()
}
fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}
fn text_or_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().null().take()
}
fn name(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).string_len(255).not_null().take()
}
fn table(name: &'static str, columns: Vec<ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create().table(name).if_not_exists().take();
    for column in columns {
        table.col(column);
    }
    table
}

fn fg_schema_version() -> TableCreateStatement {
    table("fg_schema_version", vec![key("version")])
}

#[rustfmt::skip]
fn tables() -> Vec<TableCreateStatement> {
    vec![
        files(),
        table("file_storage_files_meta", vec![id("id"), text("file_name"), name("engine"), int_or_null("commit_ts"), int_or_null("remove_ts")]),
        table("file_storage_info", vec![
            id("id"), text_or_null("inst_id"), name("engine"), text_or_null("external_endpoint"), text_or_null("internal_classic_endpoint"),
            text_or_null("internal_vpc_endpoint"), text("file_uri"), text_or_null("file_system_conf"), text_or_null("access_key_id"),
            text_or_null("access_key_secret"), int("priority"), text_or_null("region_id"), text_or_null("azone_id"), int("cache_policy"),
            int("delete_policy"), int("status"), text_or_null("gmt_created"), text_or_null("gmt_modified"), int("endpoint_ordinal"),
        ]),
        table("recycle_bin", vec![id("id"), text_or_null("gmt_create"), name("name"), name("original_name"), name("schema_name")]),
        table("tables", vec![
            id("id"), text_or_null("table_catalog"), name("table_schema"), name("table_name"), text("table_type"), name("engine"),
            text_or_null("create_time"), text_or_null("update_time"), text("table_comment"), int("status"),
        ]),
        table("columns", vec![
            id("id"), name("table_schema"), name("table_name"), name("column_name"), int("ordinal_position"), text_or_null("column_default"),
            text("is_nullable"), text("column_type"), text("column_key"), text("extra"), text("column_comment"), int("status"),
        ]),
        table("config_listener", vec![ColumnDef::new("data_id").string_len(255).not_null().primary_key().take(), int("op_version"), text_or_null("gmt_modified")]),
        table("fg_databases", vec![id("id"), name("name"), name("folded"), int("created_ts")]),
        // `folded_schema` and `folded_name` make names unique without case; a binned table has the bin's name.
        table("fg_tables", vec![
            key("table_id"), name("folded_schema"), name("folded_name"), int("created_ts"), int_or_null("dropped_ts"), text("keys"), text("options"),
        ]),
        table("fg_table_schemas", vec![id("id"), int("table_id"), int("ts"), text("columns")]),
        table("fg_file_stats", vec![key("file_id"), text("stats")]),
        table("fg_clock", vec![key("id"), int("ceiling")]),
        table("fg_tasks", vec![id("task_id"), text("what"), text("started")]),
        table("fg_garbage", vec![id("id"), name("engine"), text("path"), int("due"), int("batch")]),
        table("fg_horizons", vec![id("id"), name("kind"), name("subject"), int("horizon")]),
        table("fg_erased", vec![id("id"), int("table_id"), int("from_ts"), int("to_ts")]),
        table("fg_views", vec![
            id("id"), name("schema_name"), name("name"), name("folded_schema"), name("folded_name"), text("definition"), text("dialect"), int("created_ts"),
        ]),
        // What CREATE FILESTORAGE said beyond the columns of file_storage_info.
        table("fg_storage_options", vec![key("storage_id"), text("options")]),
        table("fg_users", vec![ColumnDef::new("name").string_len(255).not_null().primary_key().take(), text("verifier")]),
    ]
}

/// `files` with all of PolarDB-X's columns; those that mean nothing for cold files stay NULL.
fn files() -> TableCreateStatement {
    let mut columns = vec![id("file_id"), text("file_name"), text("file_type")];
    columns.push(ColumnDef::new("file_meta").blob().null().take());
    for text_column in ["tablespace_name", "table_catalog", "table_schema", "table_name", "logfile_group_name"] {
        columns.push(text_or_null(text_column));
    }
    columns.push(int_or_null("logfile_group_number"));
    columns.push(name("engine"));
    columns.push(text_or_null("fulltext_keys"));
    for number in
        ["deleted_rows", "update_count", "free_extents", "total_extents", "extent_size", "initial_size", "maximum_size", "autoextend_size"]
    {
        columns.push(int_or_null(number));
    }
    for moment in ["creation_time", "last_update_time", "last_access_time"] {
        columns.push(text_or_null(moment));
    }
    for number in ["recover_time", "transaction_counter", "version"] {
        columns.push(int_or_null(number));
    }
    columns.push(text_or_null("row_format"));
    for number in ["table_rows", "avg_row_length", "data_length", "max_data_length", "index_length", "data_free"] {
        columns.push(int_or_null(number));
    }
    for moment in ["create_time", "update_time", "check_time"] {
        columns.push(text_or_null(moment));
    }
    columns.extend([int_or_null("checksum"), int_or_null("deleted_checksum"), text_or_null("status"), text_or_null("extra")]);
    columns.extend([int_or_null("task_id"), int("life_cycle"), text_or_null("local_path")]);
    columns.extend([text_or_null("logical_schema_name"), text_or_null("logical_table_name")]);
    columns.extend([int_or_null("commit_ts"), int_or_null("remove_ts"), text_or_null("file_hash")]);
    columns.extend([text_or_null("local_partition_name"), text_or_null("partition_name"), int_or_null("schema_ts")]);
    table("files", columns)
}

fn index(table: &'static str, name: &'static str, unique: bool, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().if_not_exists().name(name).table(table).take();
    for column in columns {
        index.col(*column);
    }
    if unique {
        index.unique();
    }
    index
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        // Covers what the visibility index is loaded from.
        index("files", "files_by_table", false, &["table_name", "commit_ts", "remove_ts"]),
        index("files", "files_by_object", false, &["file_name", "engine"]),
        index("files", "files_by_task", false, &["task_id", "life_cycle"]),
        index("file_storage_info", "storage_uri", true, &["file_uri"]),
        index("file_storage_info", "storage_engine", true, &["engine"]),
        index("recycle_bin", "bin_name", true, &["name", "schema_name"]),
        index("tables", "tables_by_name", true, &["table_schema", "table_name"]),
        index("columns", "columns_by_name", true, &["table_schema", "table_name", "column_name"]),
        index("fg_databases", "databases_by_name", true, &["folded"]),
        index("fg_tables", "tables_by_folded_name", true, &["folded_schema", "folded_name"]),
        index("fg_table_schemas", "schemas_by_table", true, &["table_id", "ts"]),
        index("fg_garbage", "garbage_by_due", false, &["due"]),
        index("fg_garbage", "garbage_by_batch", false, &["batch"]),
        index("fg_horizons", "horizons_by_subject", true, &["kind", "subject"]),
        index("fg_erased", "erased_by_table", false, &["table_id"]),
        index("fg_views", "views_by_name", true, &["folded_schema", "folded_name"]),
    ]
}
