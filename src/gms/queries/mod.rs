//! Every query on the metadata database, written once with sea-query. Nothing else in this room names a column.

pub mod files;
pub mod grants;
pub mod purge;
pub mod storages;
pub mod tables;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sea_query::{Expr, ExprTrait, Query};

use super::backend::{Db, Tx};
use super::model::{StoredUser, TableId};
use crate::error::{Error, Kind, Result};
use crate::time::Tso;

/// `data_id` of `config_listener`: databases, tables, views and file storages changed.
pub const CATALOG: &str = "flashgate.catalog";
/// `data_id` of `config_listener`: file versions, horizons or the recycle bin changed.
pub const FILES: &str = "flashgate.files";
/// `data_id` of `config_listener`: users changed.
pub const USERS: &str = "flashgate.users";
/// `data_id` of `config_listener`: grants changed.
pub const GRANTS: &str = "flashgate.grants";

/// How many values one `IN (..)` lists.
pub const CHUNK: usize = 500;

/// A number as the database keeps it: a TSO or a count never needs the 64th bit.
pub fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A TSO as the database keeps it.
pub fn ts(t: Tso) -> i64 {
    number(t.0)
}

/// The physical name of a table: what `files.table_name` holds. A rename does not touch it.
pub fn physical(table: TableId) -> String {
    format!("t_{}", table.0)
}

/// The table of a physical name.
pub fn of_physical(name: &str) -> Result<TableId> {
    name.strip_prefix("t_").and_then(|id| id.parse().ok()).map(TableId).ok_or_else(|| {
        Error::new(Kind::Metadata, format!("the metadata database names a table '{name}' that Flashgate did not make"))
            .with_hint("it was written by another program or is damaged")
    })
}

/// A moment as the contract's date-time columns keep it: UTC, to the microsecond.
pub fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// Back from [`moment`]; an unreadable one is 1970.
pub fn of_moment(text: &str) -> Timestamp {
    let civil = text.parse::<jiff::civil::DateTime>().ok();
    civil.and_then(|c| c.to_zoned(TimeZone::UTC).ok()).map_or(Timestamp::UNIX_EPOCH, |z| z.timestamp())
}

/// JSON out of a column; what cannot be read is damage.
pub fn of_json<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        Error::new(Kind::Metadata, format!("the metadata database holds {what} that cannot be read: {e}"))
            .with_hint("it was written by another version or is damaged; restore it from a backup")
    })
}

/// JSON for a column.
pub fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal(format!("metadata that is not JSON: {e}")))
}

/// Counts the change of `data_id`; gives its new operation number.
pub async fn bump(tx: &mut Tx, data_id: &'static str) -> Result<u64> {
    let now = moment(Timestamp::now());
    let one_more = Query::update()
        .table("config_listener")
        .value("op_version", Expr::col("op_version").add(1))
        .value("gmt_modified", now.clone())
        .and_where(Expr::col("data_id").eq(data_id))
        .take();
    if tx.run(one_more).await? == 0 {
        let first = Query::insert()
            .into_table("config_listener")
            .columns(["data_id", "op_version", "gmt_modified"])
            .values_panic([data_id.into(), 1.into(), now.into()])
            .take();
        tx.run(first).await?;
    }
    let rows = tx.rows(Query::select().column("op_version").from("config_listener").and_where(Expr::col("data_id").eq(data_id)).take());
    rows.await?.first().map_or(Ok(0), |row| row.u64(0))
}

/// All operation numbers, by `data_id`.
pub async fn operations(db: &Db) -> Result<Vec<(String, u64)>> {
    let rows = db.rows(Query::select().columns(["data_id", "op_version"]).from("config_listener").take()).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.u64(1)?))).collect()
}

/// The clock's ceiling.
pub async fn ceiling(db: &Db) -> Result<Tso> {
    let rows = db.rows(Query::select().column("ceiling").from("fg_clock").and_where(Expr::col("id").eq(1)).take()).await?;
    rows.first().map_or(Ok(Tso::MIN), |row| row.u64(0).map(Tso))
}

/// Stores the clock's ceiling.
pub async fn set_ceiling(tx: &mut Tx, ceiling: Tso) -> Result<()> {
    let update = Query::update().table("fg_clock").value("ceiling", ts(ceiling)).and_where(Expr::col("id").eq(1)).take();
    tx.run(update).await.map(drop)
}

/// All users, by name.
pub async fn users(db: &Db) -> Result<Vec<StoredUser>> {
    let query = Query::select().columns(["name", "verifier"]).from("fg_users").order_by("name", sea_query::Order::Asc).take();
    db.rows(query).await?.iter().map(|row| Ok(StoredUser { name: row.text(0)?, verifier: row.text(1)? })).collect()
}

/// Adds a user or replaces its verifier.
pub async fn put_user(tx: &mut Tx, name: &str, verifier: &str) -> Result<()> {
    remove_user(tx, name).await?;
    let insert = Query::insert().into_table("fg_users").columns(["name", "verifier"]).values_panic([name.into(), verifier.into()]).take();
    tx.run(insert).await.map(drop)
}

/// Removes a user; false: there is none.
pub async fn remove_user(tx: &mut Tx, name: &str) -> Result<bool> {
    Ok(tx.run(Query::delete().from_table("fg_users").and_where(Expr::col("name").eq(name)).take()).await? > 0)
}
