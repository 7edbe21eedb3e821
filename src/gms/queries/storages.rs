//! `file_storage_info` and `fg_storage_options`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sea_query::{Expr, ExprTrait, Query, Value};

use super::{moment, number, of_json, of_moment, to_json};
use crate::error::{Error, Kind, Result};
use crate::gms::backend::{Db, Row, Tx};
use crate::gms::model::{FileStorage, StorageStatus};

/// Keys of CREATE FILESTORAGE that have a column of their own.
const COLUMNS: [(&str, &str); 6] = [
    ("ENDPOINT", "external_endpoint"),
    ("FILE_SYSTEM_CONF", "file_system_conf"),
    ("ACCESS_KEY_ID", "access_key_id"),
    ("ACCESS_KEY_SECRET", "access_key_secret"),
    ("REGION_ID", "region_id"),
    ("AVAILABLE_ZONE_ID", "azone_id"),
];

/// All file storages.
pub async fn storages(db: &Db) -> Result<Vec<FileStorage>> {
    let s = |column: &'static str| ("file_storage_info", column);
    let mut query = Query::select();
    query.columns([s("engine"), s("file_uri"), s("status"), s("priority"), s("delete_policy"), s("gmt_created")]);
    query.column(("fg_storage_options", "options"));
    for (_, column) in COLUMNS {
        query.column(s(column));
    }
    query.from("file_storage_info").left_join("fg_storage_options", Expr::col(("fg_storage_options", "storage_id")).equals(s("id")));
    db.rows(query).await?.iter().map(storage).collect()
}

fn storage(row: &Row) -> Result<FileStorage> {
    let more = row.text(6)?;
    let mut options: BTreeMap<String, String> =
        if more.is_empty() { BTreeMap::new() } else { of_json(&more, "options of a file storage")? };
    for (i, (key, _)) in COLUMNS.iter().enumerate() {
        let value = row.text(7 + i)?;
        if !value.is_empty() {
            options.insert((*key).to_owned(), value);
        }
    }
    let status = StorageStatus::of_code(row.int(2)?)
        .ok_or_else(|| Error::new(Kind::Metadata, "the metadata database holds a file storage with an unknown status"))?;
    Ok(FileStorage {
        engine: row.text(0)?,
        uri: row.text(1)?,
        options,
        status,
        priority: row.int(3)?,
        delete_policy: row.int(4)?,
        created: of_moment(&row.text(5)?),
    })
}

/// Adds a file storage, or replaces the one of the same engine.
pub async fn put(tx: &mut Tx, storage: &FileStorage) -> Result<()> {
    drop_storage(tx, &storage.engine).await?;
    let mut columns = vec!["engine", "file_uri", "status", "priority", "delete_policy", "cache_policy", "endpoint_ordinal"];
    let whole = |key: &str| storage.options.get(key).and_then(|v| v.parse::<i64>().ok()).unwrap_or(0);
    let mut values: Vec<Expr> = vec![
        storage.engine.as_str().into(),
        storage.uri.as_str().into(),
        storage.status.code().into(),
        storage.priority.into(),
        storage.delete_policy.into(),
        whole("CACHE_POLICY").into(),
        whole("ENDPOINT_ORDINAL").into(),
    ];
    columns.extend(["gmt_created", "gmt_modified"]);
    values.extend([moment(storage.created).into(), moment(Timestamp::now()).into()]);
    for (key, column) in COLUMNS {
        columns.push(column);
        values.push(Value::from(storage.options.get(key).cloned()).into());
    }
    let id = tx.insert(Query::insert().into_table("file_storage_info").columns(columns).values_panic(values).take()).await?;
    let more: BTreeMap<_, _> = storage.options.iter().filter(|(key, _)| COLUMNS.iter().all(|(known, _)| known != key)).collect();
    let insert = Query::insert()
        .into_table("fg_storage_options")
        .columns(["storage_id", "options"])
        .values_panic([number(id).into(), to_json(&more)?.into()])
        .take();
    tx.run(insert).await.map(drop)
}

/// A file storage goes.
pub async fn drop_storage(tx: &mut Tx, engine: &str) -> Result<()> {
    let ids = Query::select().column("id").from("file_storage_info").and_where(Expr::col("engine").eq(engine)).take();
    tx.run(Query::delete().from_table("fg_storage_options").and_where(Expr::col("storage_id").in_subquery(ids)).take()).await?;
    tx.run(Query::delete().from_table("file_storage_info").and_where(Expr::col("engine").eq(engine)).take()).await.map(drop)
}
