//! What the SQLite file promises beyond the suite: damage and locks are told, a wrong clock does no harm.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::Connection;

use super::*;
use crate::Kind;

fn file(fresh: &Fresh) -> PathBuf {
    PathBuf::from(fresh.url.strip_prefix("sqlite:").unwrap())
}

#[tokio::test]
async fn a_damaged_file_is_told_with_its_name() {
    let fresh = Fresh::sqlite();
    std::fs::write(file(&fresh), b"this is not a database, it only lies where one should be. ".repeat(100)).unwrap();
    let error = Gms::open(&fresh.url).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Metadata);
    assert!(error.message().contains("gms.db") && error.message().contains("damaged"), "{error}");
    assert!(error.hint().unwrap().contains("backup"));

    let fresh = Fresh::sqlite();
    let (gms, a) = fresh.shop().await;
    change(&gms, &a, &["f"], &[]).await;
    gms.close().await.unwrap();
    let mut bytes = std::fs::read(file(&fresh)).unwrap();
    let end = bytes.len();
    bytes[4096..end].fill(0xA5);
    std::fs::write(file(&fresh), bytes).unwrap();
    let error = Gms::open(&fresh.url).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Metadata, "{error}");
}

#[tokio::test]
async fn a_file_that_another_process_locks_is_told_and_nothing_is_lost() {
    let fresh = Fresh::sqlite();
    let (gms, a) = fresh.shop().await;
    let task = gms.begin_task("waits").await.unwrap();
    let add = vec![new_file(&gms, task, &a, "f").await];
    let mut other = sqlx::SqliteConnection::connect(&fresh.url).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let commit = Change { task: Some(task), add, ..Change::default() };
    let error = gms.commit(commit.clone()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Metadata);
    assert!(error.message().contains("gms.db") && error.message().contains("locked"), "{error}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    gms.commit(commit).await.unwrap();
    assert_eq!(paths(&gms, a.id).await, ["f"]);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_not_touched() {
    let fresh = Fresh::sqlite();
    fresh.open().await.close().await.unwrap();
    let mut other = sqlx::SqliteConnection::connect(&fresh.url).await.unwrap();
    sqlx::raw_sql("INSERT INTO fg_schema_version VALUES (99)").execute(&mut other).await.unwrap();
    let error = Gms::open(&fresh.url).await.unwrap_err();
    assert!(error.kind() == Kind::Metadata && error.message().contains("99"), "{error}");
}

/// The file was written by a program that knew version 1 only (see fixtures/gms).
#[tokio::test]
async fn a_database_of_version_1_is_brought_up_to_date_and_keeps_what_it_holds() {
    let fresh = Fresh::sqlite();
    std::fs::write(file(&fresh), "").unwrap();
    let mut old = sqlx::SqliteConnection::connect(&fresh.url).await.unwrap();
    sqlx::raw_sql(include_str!("../../../fixtures/gms/version-1.sql")).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    for _ in 0..2 {
        let gms = fresh.open().await;
        let catalog = gms.catalog();
        let orders = catalog.require_table("shop", "orders").unwrap();
        assert_eq!((orders.columns().len(), orders.keys.len()), (2, 1));
        assert!(catalog.view("shop", "large").is_some() && catalog.storage("OSS").is_some());
        assert_eq!(gms.recycle_bin().await.unwrap()[0].original_name, "gone");
        assert_eq!(paths(&gms, orders.id).await, ["Shop_Orders_3bb08e6d-d182-457b-8bb4-069c3b6644eb.orc"]);
        let before_the_delete = Tso(7530296846581088912 - 1);
        assert_eq!(paths_at(&gms, orders.id, before_the_delete).await, ["Shop_Orders_e073a441-7b45-42d8-8e68-be505ff3bcc1.orc"]);
        let grant = Grant { protocol: "mysql".into(), grantee: "'ann'".into(), privilege: "ADMIN".into(), ..Grant::default() };
        gms.grant(vec![grant.clone()]).await.unwrap();
        assert!(gms.catalog().grants().has(&grant));
        gms.close().await.unwrap();
    }
}

#[tokio::test]
async fn only_one_server_hands_out_times() {
    let fresh = Fresh::sqlite();
    let (gms, a) = fresh.shop().await;
    gms.recover().await.unwrap();
    let second = fresh.open().await;
    assert_eq!(second.recover().await.unwrap_err().kind(), Kind::Refused);
    assert_eq!(second.read_now().await.unwrap_err().kind(), Kind::Refused);
    assert!(second.catalog().table_by_id(a.id).is_some());
    second.close().await.unwrap();
    change(&gms, &a, &["f"], &[]).await;
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let fresh = Fresh::sqlite();
    let (gms, _) = fresh.shop().await;
    for name in ["", "-wal", "-shm"] {
        let path = format!("{}{name}", file(&fresh).display());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{path}");
    }
    drop(gms);
}

#[tokio::test]
async fn commits_go_on_when_the_machine_clock_jumps_back() {
    let fresh = Fresh::sqlite();
    let start = 1_700_000_000_000_000;
    let time = ManualTime::at(start);
    let gms = Gms::open_with_time(&fresh.url, time.clone()).await.unwrap();
    gms.create_database("shop").await.unwrap();
    gms.create_storage(FileStorage::new("oss", "file:///tmp/cold/")).await.unwrap();
    let a = gms.create_table(new_table("a")).await.unwrap();
    let mut seen = vec![];
    for (i, jump) in [0, 1_000_000, -86_400_000_000_i64, -86_400_000_000, 2_000_000].into_iter().enumerate() {
        time.set(start.saturating_add_signed(jump));
        let at = change(&gms, &a, &[&format!("f{i}")], &[]).await;
        seen.push((at, i + 1));
    }
    gms.close().await.unwrap();
    // Down and up again with a machine clock that is an hour behind: no wait, and times go on.
    time.set(start - 3_600_000_000);
    let gms = tokio::time::timeout(Duration::from_secs(2), Gms::open_with_time(&fresh.url, time.clone())).await.unwrap().unwrap();
    seen.push((change(&gms, &a, &["later"], &[]).await, seen.len() + 1));
    assert!(seen.windows(2).all(|w| w[0].0 < w[1].0), "{seen:?}");
    for (at, n) in seen {
        assert_eq!(paths_at(&gms, a.id, at).await.len(), n);
    }
}

#[tokio::test]
async fn memory_is_read_again_when_it_may_differ_from_the_database() {
    let fresh = Fresh::sqlite();
    let (gms, a) = fresh.shop().await;
    let at = change(&gms, &a, &["f1"], &[]).await;
    // A transaction that became durable, but whose publication never came.
    let mut tx = gms.inner.db.begin().await.unwrap();
    let table = gms.inner.table(a.id).unwrap();
    queries::tables::rename(&mut tx, &table, "Shop", "renamed", None).await.unwrap();
    drop(gms.inner.make_durable(tx, &[queries::CATALOG]).await.unwrap());
    let moment = gms.read_now().await.unwrap();
    let snapshot = gms.snapshot(a.id, moment).await.unwrap();
    assert_eq!((&*snapshot.table.name, snapshot.files.len()), ("renamed", 1));
    assert_eq!(paths_at(&gms, a.id, at).await, ["f1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_read_does_not_wait_for_a_long_write() {
    let fresh = Fresh::sqlite();
    let (gms, a) = fresh.shop().await;
    change(&gms, &a, &["f1"], &[]).await;
    let before = gms.read_now().await.unwrap();
    paths_at(&gms, a.id, before).await;
    let held = gms.inner.db.begin().await.unwrap();
    // Longer than the lease: the ceiling cannot be raised while the writer is busy.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let read = tokio::time::timeout(Duration::from_secs(1), gms.read_now()).await.unwrap().unwrap();
    assert!(read > before);
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), paths_at(&gms, a.id, read)).await.unwrap(), ["f1"]);
    drop(held);
    assert!(change(&gms, &a, &["f2"], &[]).await > read);
}
