//! Promises of purge, trim, dropped files and the recycle bin.

use std::time::Duration;

use super::*;
use crate::Kind;

fn oss() -> Scope {
    Scope::Engine("oss".into())
}

pub async fn a_purged_time_is_an_error_not_fewer_rows(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    gms.set_purge_delay(Duration::ZERO);
    let first = change(&gms, &a, &["f1"], &[]).await;
    let second = change(&gms, &a, &["f2"], &["f1"]).await;
    let third = change(&gms, &a, &["f3"], &["f2"]).await;
    let done = gms.purge(&Scope::Table(a.id), third).await.unwrap();
    assert_eq!((done.files, done.rows, done.bytes, done.objects, done.horizon), (1, 10, 100, 1, Some(third)));
    let mut gms = gms;
    for _ in 0..2 {
        for at in [first, second, third.prev()] {
            let error = gms.snapshot(a.id, at).await.unwrap_err();
            assert_eq!(error.kind(), Kind::SnapshotTooOld);
            let utc = third.display_in(&jiff::tz::TimeZone::UTC);
            assert!(error.message().contains(&third.to_string()) && error.message().contains(&utc), "{error}");
        }
        assert_eq!(paths_at(&gms, a.id, third).await, ["f3"], "the horizon itself can be read");
        assert_eq!(garbage_paths(&gms).await, ["f1"], "f2 ended at the horizon, not before it");
        gms = fresh.reopen(gms).await;
    }
}

pub async fn a_time_before_a_table_was_made_is_an_error_that_names_that_moment(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let early = change(&gms, &a, &["a1"], &[]).await;
    let late = gms.create_table(new_table("late")).await.unwrap();
    change(&gms, &late, &["l1"], &[]).await;
    gms.rename_table(late.id, "shop", "later").await.unwrap();
    let too_old = async |gms: &Gms, table: TableId, at: Tso| {
        let error = gms.snapshot(table, at).await.unwrap_err();
        assert_eq!(error.kind(), Kind::SnapshotTooOld, "{error}");
        format!("{} {}", error.message(), error.hint().unwrap_or_default())
    };
    let mut gms = gms;
    for _ in 0..2 {
        for at in [Tso::MIN, early, late.created.prev()] {
            let said = too_old(&gms, late.id, at).await;
            let utc = late.created.display_in(&jiff::tz::TimeZone::UTC);
            assert!(said.contains(&late.created.to_string()) && said.contains(&utc) && said.contains("Shop.later begins"), "{said}");
            assert!(!said.contains("RECYCLEBIN"), "{said}");
        }
        assert!(paths_at(&gms, late.id, late.created).await.is_empty(), "it was there, and empty");
        assert_eq!(paths(&gms, late.id).await, ["l1"]);
        gms = fresh.reopen(gms).await;
    }
    // One of the same name made since begins later; the dropped one has its own history.
    let bin = gms.drop_table(late.id).await.unwrap();
    let again = gms.create_table(new_table("later")).await.unwrap();
    let said = too_old(&gms, again.id, late.created.next()).await;
    assert!(said.contains(&again.created.to_string()) && said.contains("SHOW RECYCLEBIN"), "{said}");
    assert!(!too_old(&gms, again.id, early).await.contains("RECYCLEBIN"), "neither was there");
    let back = gms.flashback_table("shop", &bin, Some("back")).await.unwrap();
    assert!(paths_at(&gms, back.id, late.created).await.is_empty());
    too_old(&gms, back.id, late.created.prev()).await;
    // A trim to a time before it leaves it empty, and can be undone.
    let full = gms.read_now().await.unwrap();
    gms.trim("oss", early, false).await.unwrap();
    assert!(paths(&gms, back.id).await.is_empty());
    assert_eq!(paths_at(&gms, back.id, full).await, ["l1"]);
    gms.trim("oss", full, false).await.unwrap();
    assert_eq!(paths(&gms, back.id).await, ["l1"]);
    // What a purge or a forced trim has taken since is said instead.
    let erased = gms.trim("oss", early, true).await.unwrap().at;
    assert!(
        too_old(&gms, back.id, late.created.prev())
            .await
            .contains(&format!("read at or after {}", erased.display_in(&jiff::tz::TimeZone::UTC)))
    );
    let horizon = gms.read_now().await.unwrap();
    gms.purge(&Scope::Table(back.id), horizon).await.unwrap();
    assert!(too_old(&gms, back.id, late.created.prev()).await.contains(&horizon.to_string()));
}

pub async fn a_purge_moves_the_horizon_of_tables_that_lose_nothing(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let b = gms.create_table(new_table("b")).await.unwrap();
    change(&gms, &a, &["a1"], &[]).await;
    let at = gms.read_now().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let later = gms.read_now().await.unwrap();
    gms.purge(&oss(), later).await.unwrap();
    for table in [a.id, b.id] {
        assert_eq!(gms.snapshot(table, at).await.unwrap_err().kind(), Kind::SnapshotTooOld);
        assert_eq!(gms.snapshot(table, later).await.unwrap().horizon, later);
    }
    gms.purge(&Scope::Table(b.id), at).await.unwrap();
    assert_eq!(gms.snapshot(b.id, later).await.unwrap().horizon, later, "a horizon never moves back");
    assert_eq!(paths(&gms, a.id).await, ["a1"]);
}

pub async fn a_purge_plan_says_what_the_purge_then_does(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let b = gms.create_table(new_table("b")).await.unwrap();
    change(&gms, &a, &["a1", "a2"], &[]).await;
    change(&gms, &b, &["b1"], &[]).await;
    change(&gms, &a, &["a3"], &["a1", "a2"]).await;
    let bin = gms.drop_table(b.id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let before = gms.read_now().await.unwrap();
    let plan = gms.plan_purge(&oss(), before).await.unwrap();
    assert_eq!((plan.files, plan.rows, plan.bytes), (3, 30, 300));
    assert_eq!(plan.binned.iter().map(|b| b.name.clone()).collect::<Vec<_>>(), [bin]);
    let line = plan.tables.iter().find(|t| t.table == a.id).unwrap();
    assert_eq!((line.files, line.horizon_before, line.horizon_after, line.binned), (2, Tso::MIN, before, false));
    assert_eq!(paths(&gms, a.id).await, ["a3"], "a plan does nothing");
    assert_eq!(gms.file_versions(&oss()).await.unwrap().len(), 4);
    let done = gms.purge(&oss(), before).await.unwrap();
    assert_eq!((done.files, done.rows, done.bytes, done.tables), (plan.files, plan.rows, plan.bytes, 1));
    assert_eq!(gms.plan_purge(&oss(), before).await.unwrap().files, 0);
}

pub async fn an_object_that_a_row_still_needs_is_never_garbage(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    gms.set_purge_delay(Duration::ZERO);
    let first = change(&gms, &a, &["f1"], &[]).await;
    change(&gms, &a, &["f2"], &["f1"]).await;
    gms.trim("oss", first, false).await.unwrap();
    assert_eq!(paths(&gms, a.id).await, ["f1"]);
    tokio::time::sleep(Duration::from_millis(2)).await;
    let before = gms.read_now().await.unwrap();
    let done = gms.purge(&oss(), before).await.unwrap();
    assert_eq!((done.files, done.objects), (2, 1), "the first row of f1 goes, its object stays");
    assert_eq!(garbage_paths(&gms).await, ["f2"]);
    assert_eq!(paths(&gms, a.id).await, ["f1"]);
}

pub async fn garbage_waits_for_its_delay(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    gms.set_purge_delay(Duration::from_millis(300));
    change(&gms, &a, &["f1"], &[]).await;
    change(&gms, &a, &["f2"], &["f1"]).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    let before = gms.read_now().await.unwrap();
    gms.purge(&oss(), before).await.unwrap();
    assert!(garbage_paths(&gms).await.is_empty());
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(garbage_paths(&gms).await, ["f1"]);
}

pub async fn foreign_objects_are_never_garbage(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    gms.set_purge_delay(Duration::ZERO);
    change(&gms, &a, &["file:///home/me/mine.orc", "ours"], &[]).await;
    gms.drop_table(a.id).await.unwrap();
    let done = gms.purge_binned(None, None).await.unwrap();
    assert_eq!((done.files, done.objects), (2, 1));
    assert_eq!(garbage_paths(&gms).await, ["ours"]);
}

pub async fn a_trim_brings_the_files_of_a_time_back_and_keeps_the_past(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let b = gms.create_table(new_table("b")).await.unwrap();
    change(&gms, &a, &["a1", "a2"], &[]).await;
    let to = change(&gms, &b, &["b1"], &[]).await;
    change(&gms, &a, &["a3"], &["a1"]).await;
    let last = change(&gms, &b, &["b2"], &[]).await;
    let (a_last, b_last) = (paths_at(&gms, a.id, last).await, paths_at(&gms, b.id, last).await);
    let plan = gms.plan_trim("OSS", to).await.unwrap();
    let line = plan.tables.iter().find(|t| t.table == a.id).unwrap();
    assert_eq!((line.files_removed, line.rows_removed, line.bytes_removed, line.files_restored, line.rows_restored), (1, 10, 100, 1, 10));
    let done = gms.trim("oss", to, false).await.unwrap();
    assert_eq!((done.tables.clone(), done.objects), (plan.tables, 0));
    let mut gms = gms;
    for _ in 0..2 {
        assert_eq!(paths(&gms, a.id).await, ["a1", "a2"]);
        assert_eq!(paths(&gms, b.id).await, ["b1"]);
        for at in [last, done.at.prev()] {
            assert_eq!(paths_at(&gms, a.id, at).await, a_last, "the past is repeatable");
            assert_eq!(paths_at(&gms, b.id, at).await, b_last, "the past is repeatable");
        }
        assert_eq!(paths_at(&gms, a.id, to).await, ["a1", "a2"]);
        assert!(garbage_paths(&gms).await.is_empty());
        let now = gms.read_now().await.unwrap();
        let back = gms.snapshot(a.id, now).await.unwrap().files.iter().find(|f| f.path == "a1").unwrap().clone();
        assert_eq!((back.rows, back.bytes, back.commit_ts, &*back.stats), (10, 100, done.at, &stats()));
        // There and back again: what was trimmed away comes back too, and the same object twice is no difference.
        let again = gms.trim("oss", to, false).await.unwrap();
        assert!(again.tables.iter().all(|t| t.files_removed + t.files_restored == 0), "{:?}", again.tables);
        gms = fresh.reopen(gms).await;
    }
    gms.trim("oss", last, false).await.unwrap();
    assert_eq!((paths(&gms, a.id).await, paths(&gms, b.id).await), (a_last, b_last));
}

pub async fn a_forced_trim_erases_what_came_after_and_says_so(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let idle = gms.create_table(new_table("idle")).await.unwrap();
    change(&gms, &idle, &["i1"], &[]).await;
    let to = change(&gms, &a, &["a1", "a2"], &[]).await;
    let erased = change(&gms, &a, &["a3"], &["a1"]).await;
    let done = gms.trim("oss", to, true).await.unwrap();
    assert_eq!(done.objects, 1);
    let mut gms = gms;
    for _ in 0..2 {
        assert_eq!(garbage_paths(&gms).await, ["a3"], "FORCE does not wait");
        assert_eq!(paths_at(&gms, a.id, to).await, ["a1", "a2"]);
        assert_eq!(paths_at(&gms, a.id, done.at).await, ["a1", "a2"]);
        assert_eq!(paths(&gms, a.id).await, ["a1", "a2"]);
        for at in [to.next(), erased, done.at.prev()] {
            let error = gms.snapshot(a.id, at).await.unwrap_err();
            assert_eq!(error.kind(), Kind::SnapshotTooOld, "at {at}");
            assert!(error.message().contains(&done.at.to_string()), "{error}");
            assert_eq!(paths_at(&gms, idle.id, at).await, ["i1"], "a table that nothing happened to keeps its history");
        }
        assert_eq!(gms.trim("oss", erased, false).await.unwrap_err().kind(), Kind::SnapshotTooOld);
        gms = fresh.reopen(gms).await;
    }
    change(&gms, &a, &["a4"], &["a1"]).await;
    assert_eq!(paths(&gms, a.id).await, ["a2", "a4"], "a revived file can be removed again");
}

pub async fn a_trim_below_the_horizon_or_into_the_future_is_refused(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let early = change(&gms, &a, &["a1"], &[]).await;
    let late = change(&gms, &a, &["a2"], &["a1"]).await;
    gms.purge(&oss(), late).await.unwrap();
    for force in [false, true] {
        assert_eq!(gms.trim("oss", early, force).await.unwrap_err().kind(), Kind::SnapshotTooOld);
        let future = Tso(gms.clock().now().0 + (60_000 << 22));
        assert_eq!(gms.trim("oss", future, force).await.unwrap_err().kind(), Kind::FutureReadTime);
        assert_eq!(gms.trim("nowhere", late, force).await.unwrap_err().kind(), Kind::UnknownFileStorage);
    }
    assert_eq!(gms.plan_trim("oss", early).await.unwrap_err().kind(), Kind::SnapshotTooOld);
    assert_eq!(paths(&gms, a.id).await, ["a2"]);
}

pub async fn dropped_files_are_gone_from_then_on_and_unknown_ones_change_nothing(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    change(&gms, &a, &["f1", "f2", "f3"], &[]).await;
    let error = gms.drop_files(a.id, &["f1".into(), "nope".into()]).await.unwrap_err();
    assert!(error.message().contains("nope") && !error.message().contains("'f1'"), "{error}");
    assert_eq!(paths(&gms, a.id).await, ["f1", "f2", "f3"]);
    let at = gms.drop_files(a.id, &["f1".into(), "f3".into(), "f1".into()]).await.unwrap();
    assert_eq!(paths_at(&gms, a.id, at).await, ["f2"]);
    assert_eq!(paths_at(&gms, a.id, at.prev()).await, ["f1", "f2", "f3"]);
    assert!(gms.drop_files(a.id, &["f1".into()]).await.is_err(), "dropped already");
}

pub async fn a_dropped_table_comes_back_with_its_whole_history(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let first = change(&gms, &a, &["f1"], &[]).await;
    change(&gms, &a, &["f2"], &["f1"]).await;
    let bin = gms.drop_table(a.id).await.unwrap();
    assert!(bin.starts_with("FILE_STORAGE_BIN_") && bin.len() == 37);
    assert!(gms.catalog().table("shop", "orders").is_none());
    let other = gms.create_table(new_table("ORDERS")).await.unwrap();
    assert_ne!(other.id, a.id, "the name is free");
    let gms = fresh.reopen(gms).await;
    let binned = gms.recycle_bin().await.unwrap();
    assert_eq!(binned.len(), 1);
    assert_eq!((&binned[0].name, &*binned[0].original_name, &*binned[0].database, binned[0].table), (&bin, "orders", "Shop", a.id));
    assert_eq!(gms.flashback_table("shop", &bin, None).await.unwrap_err().kind(), Kind::TableExists);
    let back = gms.flashback_table("SHOP", "Orders", Some("orders_back")).await.unwrap();
    assert_eq!((back.id, back.name.as_str(), back.dropped), (a.id, "orders_back", None));
    assert_eq!(paths(&gms, back.id).await, ["f2"]);
    assert_eq!(paths_at(&gms, back.id, first).await, ["f1"]);
    assert!(gms.recycle_bin().await.unwrap().is_empty());
    let gms = fresh.reopen(gms).await;
    assert_eq!(gms.catalog().require_table("shop", "orders_back").unwrap().id, a.id);
    change(&gms, &back, &["f3"], &["f2"]).await;
    assert_eq!(gms.flashback_table("shop", &bin, None).await.unwrap_err().kind(), Kind::UnknownTable);
}

pub async fn a_purged_bin_takes_tables_and_objects(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    gms.set_purge_delay(Duration::ZERO);
    let b = gms.create_table(new_table("b")).await.unwrap();
    change(&gms, &a, &["a1"], &[]).await;
    let at = change(&gms, &b, &["b1"], &[]).await;
    let bin = gms.drop_table(a.id).await.unwrap();
    gms.drop_table(b.id).await.unwrap();
    let done = gms.purge_binned(Some("shop"), Some(&bin)).await.unwrap();
    assert_eq!((done.tables, done.files, done.rows, done.bytes, done.objects), (1, 1, 10, 100, 1));
    assert_eq!(garbage_paths(&gms).await, ["a1"]);
    assert_eq!(gms.snapshot(a.id, at).await.unwrap_err().kind(), Kind::UnknownTable);
    assert_eq!(paths_at(&gms, b.id, at).await, ["b1"], "the other one stays");
    assert_eq!(gms.purge_binned(None, Some(&bin)).await.unwrap_err().kind(), Kind::UnknownTable);
    assert_eq!(gms.purge_binned(None, None).await.unwrap().tables, 1);
    assert!(gms.recycle_bin().await.unwrap().is_empty());
    assert_eq!(garbage_paths(&gms).await, ["a1", "b1"]);
    let gms = fresh.reopen(gms).await;
    assert_eq!(gms.catalog().every_table().count(), 0);
}

pub async fn a_purge_takes_tables_dropped_before_it(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let b = gms.create_table(new_table("b")).await.unwrap();
    change(&gms, &a, &["a1"], &[]).await;
    change(&gms, &b, &["b1"], &[]).await;
    gms.drop_table(a.id).await.unwrap();
    let dropped = gms.recycle_bin().await.unwrap()[0].created;
    assert_eq!(gms.purge(&oss(), dropped).await.unwrap().tables, 0, "dropped at that time, not before it");
    assert_eq!(gms.purge(&oss(), dropped.next()).await.unwrap().tables, 1);
    assert!(gms.recycle_bin().await.unwrap().is_empty());
    assert_eq!(paths(&gms, b.id).await, ["b1"]);
}

pub async fn clearing_a_storage_ends_its_tables_and_keeps_it(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    gms.set_purge_delay(Duration::ZERO);
    change(&gms, &a, &["a1"], &[]).await;
    let gone = gms.create_table(new_table("gone")).await.unwrap();
    change(&gms, &gone, &["g1"], &[]).await;
    gms.drop_table(gone.id).await.unwrap();
    assert_eq!(gms.drop_storage("oss").await.unwrap_err().kind(), Kind::Refused);
    let done = gms.clear_storage("oss").await.unwrap();
    assert_eq!((done.tables, done.files, done.objects), (2, 2, 2));
    assert_eq!(gms.catalog().tables("shop").count(), 0);
    assert!(gms.recycle_bin().await.unwrap().is_empty());
    assert_eq!(gms.drop_storage("oss").await.unwrap_err().kind(), Kind::Refused, "its objects are still there");
    let ids: Vec<u64> = gms.garbage().await.unwrap().iter().map(|g| g.id).collect();
    assert_eq!(ids.len(), 2);
    gms.forget_garbage(&ids).await.unwrap();
    gms.drop_storage("Oss").await.unwrap();
    assert_eq!(gms.drop_storage("oss").await.unwrap_err().kind(), Kind::UnknownFileStorage);
}

pub async fn future_reads_and_purges_are_errors(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let future = Tso(gms.clock().now().0 + (60_000 << 22));
    assert_eq!(gms.admit(future).await.unwrap_err().kind(), Kind::FutureReadTime);
    assert_eq!(gms.snapshot(a.id, future).await.unwrap_err().kind(), Kind::FutureReadTime);
    assert_eq!(gms.purge(&oss(), future).await.unwrap_err().kind(), Kind::FutureReadTime);
    assert_eq!(gms.plan_purge(&oss(), future).await.unwrap_err().kind(), Kind::FutureReadTime);
    let read = gms.read_now().await.unwrap();
    assert!(change(&gms, &a, &["f"], &[]).await > read);
}
