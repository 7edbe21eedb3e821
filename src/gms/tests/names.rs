//! Promises of databases, tables, views, storages and users.

use super::*;
use crate::Kind;

pub async fn names_are_compared_without_case_and_unique(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    assert_eq!(gms.create_database("SHOP").await.unwrap_err().kind(), Kind::DatabaseExists);
    assert_eq!(gms.create_table(new_table("Orders")).await.unwrap_err().kind(), Kind::TableExists);
    let nowhere = NewTable { database: "nowhere".into(), ..new_table("t") };
    assert_eq!(gms.create_table(nowhere).await.unwrap_err().kind(), Kind::UnknownDatabase);
    let no_store = NewTable { engine: "S3".into(), ..new_table("t") };
    assert_eq!(gms.create_table(no_store).await.unwrap_err().kind(), Kind::UnknownFileStorage);
    let twice = NewTable { columns: vec![column(1, "x"), column(2, "X")], ..new_table("t") };
    assert_eq!(gms.create_table(twice).await.unwrap_err().kind(), Kind::Duplicate);
    assert_eq!(gms.create_table(NewTable { columns: vec![], ..new_table("t") }).await.unwrap_err().kind(), Kind::WrongValue);
    assert_eq!(gms.create_table(new_table("")).await.unwrap_err().kind(), Kind::WrongValue);
    gms.create_table(new_table("naïve \"quoted\" `t` 'x' 表")).await.unwrap();
    let gms = fresh.reopen(gms).await;
    let catalog = gms.catalog();
    let found = catalog.require_table("sHOP", "oRDERS").unwrap();
    assert_eq!((&*found.database, &*found.name, &*found.engine, &**found), ("Shop", "orders", "OSS", &*a));
    assert!(catalog.table("shop", "NAÏVE \"quoted\" `T` 'x' 表").is_some());
    assert_eq!(catalog.tables("SHOP").count(), 2);
    assert_eq!(catalog.require_table("shop", "none").unwrap_err().kind(), Kind::UnknownTable);
}

pub async fn altered_columns_are_those_of_their_time(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let before = change(&gms, &a, &["f1"], &[]).await;
    let altered = gms.alter_columns(a.id, a.schema_ts(), vec![column(1, "number"), column(3, "new")]).await.unwrap();
    assert!(altered.schema_ts() > before);
    change(&gms, &altered, &["f2"], &[]).await;
    let gms = fresh.reopen(gms).await;
    let names = async |at| gms.snapshot(a.id, at).await.unwrap().columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(before).await, ["id", "userId"]);
    assert_eq!(names(altered.schema_ts().prev()).await, ["id", "userId"]);
    assert_eq!(names(altered.schema_ts()).await, ["number", "new"]);
    let now = gms.read_now().await.unwrap();
    let files = gms.snapshot(a.id, now).await.unwrap().files;
    assert_eq!(files.iter().map(|f| f.schema_ts).collect::<Vec<_>>(), [a.schema_ts(), altered.schema_ts()]);
}

pub async fn a_renamed_table_keeps_its_history(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let first = change(&gms, &a, &["f1"], &[]).await;
    gms.create_database("archive").await.unwrap();
    let b = gms.create_table(new_table("b")).await.unwrap();
    assert_eq!(gms.rename_table(b.id, "shop", "ORDERS").await.unwrap_err().kind(), Kind::TableExists);
    gms.rename_table(a.id, "shop", "ORDERS").await.unwrap();
    assert_eq!(gms.catalog().table("shop", "orders").unwrap().name, "ORDERS", "only the case changed");
    gms.rename_table(a.id, "ARCHIVE", "old_orders").await.unwrap();
    gms.rename_table(b.id, "shop", "orders").await.unwrap();
    let gms = fresh.reopen(gms).await;
    let catalog = gms.catalog();
    assert_eq!(catalog.table("archive", "old_orders").unwrap().id, a.id);
    assert_eq!(catalog.table("shop", "orders").unwrap().id, b.id);
    assert_eq!(catalog.table("archive", "old_orders").unwrap().database, "archive");
    assert_eq!(paths_at(&gms, a.id, first).await, ["f1"]);
}

pub async fn a_database_must_be_empty_to_go(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    assert_eq!(gms.drop_database("shop").await.unwrap_err().kind(), Kind::Refused);
    gms.drop_table(a.id).await.unwrap();
    gms.drop_database("SHOP").await.unwrap();
    assert_eq!(gms.drop_database("shop").await.unwrap_err().kind(), Kind::UnknownDatabase);
    assert_eq!(gms.flashback_table("shop", "orders", None).await.unwrap_err().kind(), Kind::UnknownDatabase);
    gms.create_database("shop").await.unwrap();
    gms.flashback_table("shop", "orders", None).await.unwrap();
    let gms = fresh.reopen(gms).await;
    assert_eq!(gms.catalog().require_table("shop", "orders").unwrap().id, a.id);
}

pub async fn views_share_names_with_tables(fresh: Fresh) {
    let (gms, _) = fresh.shop().await;
    assert_eq!(gms.create_view("shop", "Orders", "SELECT 1", "mysql", true).await.unwrap_err().kind(), Kind::TableExists);
    gms.create_view("shop", "v", "SELECT 1", "mysql", false).await.unwrap();
    assert_eq!(gms.create_view("shop", "V", "SELECT 2", "mysql", false).await.unwrap_err().kind(), Kind::TableExists);
    assert_eq!(gms.create_table(new_table("V")).await.unwrap_err().kind(), Kind::TableExists);
    gms.create_view("shop", "V", "SELECT 'it''s'", "postgres", true).await.unwrap();
    let gms = fresh.reopen(gms).await;
    let catalog = gms.catalog();
    let view = catalog.view("SHOP", "v").unwrap();
    assert_eq!((&*view.definition, &*view.dialect, catalog.views("shop").count()), ("SELECT 'it''s'", "postgres", 1));
    gms.drop_view("shop", "v").await.unwrap();
    assert_eq!(gms.drop_view("shop", "v").await.unwrap_err().kind(), Kind::UnknownTable);
}

pub async fn storages_come_back_whole_and_in_use_they_stay(fresh: Fresh) {
    let (gms, _) = fresh.shop().await;
    let mut s3 = FileStorage::new("s3", "s3://bucket/prefix/");
    for (key, value) in [("ENDPOINT", "http://h:1"), ("ACCESS_KEY_ID", "me"), ("ACCESS_KEY_SECRET", "pst"), ("AZURE_CONTAINER_NAME", "c")] {
        s3.options.insert(key.into(), value.into());
    }
    (s3.priority, s3.delete_policy, s3.status) = (7, 2, StorageStatus::ReadOnly);
    gms.create_storage(s3.clone()).await.unwrap();
    assert_eq!(gms.create_storage(s3.clone()).await.unwrap_err().kind(), Kind::Refused);
    for overlapping in ["s3://bucket/prefix", "s3://bucket/", "s3://bucket/prefix/deeper/", "s3://bucket/other/../prefix/x"] {
        let storage = FileStorage::new("NFS", overlapping);
        assert_eq!(gms.create_storage(storage).await.unwrap_err().kind(), Kind::Refused, "{overlapping}");
    }
    let beside = FileStorage::new("NFS", "s3://bucket/prefix2/");
    gms.create_storage(beside).await.unwrap();
    gms.drop_storage("NFS").await.unwrap();
    let gms = fresh.reopen(gms).await;
    let known = |gms: &Gms| FileStorage { created: s3.created, ..FileStorage::clone(gms.catalog().require_storage("S3").unwrap()) };
    assert_eq!(known(&gms), s3);
    s3.options.insert("ACCESS_KEY_SECRET".into(), "other".into());
    gms.update_storage(s3.clone()).await.unwrap();
    let gms = fresh.reopen(gms).await;
    assert_eq!(gms.catalog().storage("s3").unwrap().options, s3.options);
    gms.drop_storage("s3").await.unwrap();
    assert_eq!(gms.drop_storage("oss").await.unwrap_err().kind(), Kind::Refused, "a table is in it");
}

pub async fn users_are_kept_and_watched(fresh: Fresh) {
    let server = fresh.open().await;
    server.recover().await.unwrap();
    let before = server.users_version();
    // Another process manages users while the server runs.
    let command = fresh.open().await;
    command.put_user("ann", "{\"v\":1}").await.unwrap();
    command.put_user("Ann", "{\"v\":2}").await.unwrap();
    command.put_user("ann", "{\"v\":3}").await.unwrap();
    server.refresh().await.unwrap();
    assert_ne!(server.users_version(), before);
    let users = server.users().await.unwrap();
    assert_eq!(users.iter().map(|u| (&*u.name, &*u.verifier)).collect::<Vec<_>>(), [("Ann", "{\"v\":2}"), ("ann", "{\"v\":3}")]);
    assert!(command.remove_user("ann").await.unwrap() && !command.remove_user("ann").await.unwrap());
    command.close().await.unwrap();
    assert_eq!(server.users().await.unwrap().len(), 1);
}

pub async fn grants_are_kept_watched_and_counted_once(fresh: Fresh) {
    let grant = |grantee: &str, table: &str| Grant {
        protocol: "mysql".into(),
        grantee: grantee.into(),
        privilege: "SELECT".into(),
        database: "shop".into(),
        table: table.into(),
    };
    let server = fresh.open().await;
    let other = fresh.open().await;
    assert_eq!(server.grant(vec![grant("'ann'", "a"), grant("'ann'", "*"), grant("'ann'", "a")]).await.unwrap(), 2);
    assert_eq!(server.grant(vec![grant("'ann'", "a"), grant("'bob'", "a")]).await.unwrap(), 1);
    assert!(server.catalog().grants().has(&grant("'bob'", "a")) && !server.catalog().grants().has(&grant("'bob'", "A")));
    other.refresh().await.unwrap();
    assert_eq!(other.catalog().grants().of("mysql", "'ann'").count(), 2);
    assert_eq!(server.revoke(vec![grant("'ann'", "a"), grant("'eve'", "a")]).await.unwrap(), 1);
    other.close().await.unwrap();
    let server = fresh.reopen(server).await;
    assert_eq!(server.catalog().grants().all().cloned().collect::<Vec<_>>(), [grant("'ann'", "*"), grant("'bob'", "a")]);
}

pub async fn every_change_has_an_operation_number(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let numbers = async || queries::operations(&gms.inner.db).await.unwrap().into_iter().collect::<std::collections::BTreeMap<_, _>>();
    let start = numbers().await;
    change(&gms, &a, &["f"], &[]).await;
    let committed = numbers().await;
    assert_eq!(committed[queries::FILES], start.get(queries::FILES).copied().unwrap_or(0) + 1);
    gms.rename_table(a.id, "shop", "x").await.unwrap();
    assert_eq!(numbers().await[queries::CATALOG], start[queries::CATALOG] + 1);
}
