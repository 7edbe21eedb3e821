//! Promises of commits, tasks and snapshots.

use std::time::Duration;

use super::*;
use crate::Kind;

pub async fn a_commit_is_one_moment_for_all_its_tables(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let b = gms.create_table(new_table("b")).await.unwrap();
    let task = gms.begin_task("two tables").await.unwrap();
    let add = vec![new_file(&gms, task, &a, "a1").await, new_file(&gms, task, &b, "b1").await];
    assert!(paths(&gms, a.id).await.is_empty(), "a row in flight is not visible");
    let at = gms.commit(Change { task: Some(task), add, ..Change::default() }).await.unwrap();
    for (table, path) in [(a.id, "a1"), (b.id, "b1")] {
        assert!(paths_at(&gms, table, at.prev()).await.is_empty());
        assert_eq!(paths_at(&gms, table, at).await, [path]);
    }
    let rewrite = change(&gms, &a, &["a2"], &["a1"]).await;
    assert_eq!(paths_at(&gms, a.id, rewrite.prev()).await, ["a1"]);
    assert_eq!(paths_at(&gms, a.id, rewrite).await, ["a2"], "never both");
    let old = &gms.snapshot(a.id, at).await.unwrap();
    assert_eq!((old.files[0].remove_ts, old.files[0].rows, old.files[0].bytes, old.total_versions), (Some(rewrite), 10, 100, 2));
}

pub async fn the_second_to_remove_a_file_gets_a_write_conflict_and_changes_nothing(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    change(&gms, &a, &["a1", "a2"], &[]).await;
    let now = gms.read_now().await.unwrap();
    let seen = gms.snapshot(a.id, now).await.unwrap().files;
    let id = |path: &str| seen.iter().find(|f| f.path == path).unwrap().id;
    change(&gms, &a, &["a3"], &["a1"]).await;
    let task = gms.begin_task("loser").await.unwrap();
    let add = vec![new_file(&gms, task, &a, "a4").await];
    let loser = Change { task: Some(task), add, remove: vec![(a.id, id("a2")), (a.id, id("a1"))], ..Change::default() };
    let error = gms.commit(loser.clone()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::WriteConflict);
    assert_eq!(paths(&gms, a.id).await, ["a2", "a3"], "the loser's other changes are not there either");
    gms.abandon(task).await.unwrap();
    let twice = Change { remove: vec![(a.id, id("a2")), (a.id, id("a2"))], ..Change::default() };
    assert_eq!(gms.commit(twice).await.unwrap_err().kind(), Kind::WriteConflict);
    gms.commit(Change { remove: vec![(a.id, id("a2"))], ..Change::default() }).await.unwrap();
    assert_eq!(paths(&gms, a.id).await, ["a3"]);
}

pub async fn an_altered_or_dropped_table_is_a_write_conflict(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let task = gms.begin_task("writer").await.unwrap();
    let add = vec![new_file(&gms, task, &a, "a1").await];
    gms.alter_columns(a.id, a.schema_ts(), vec![column(1, "id")]).await.unwrap();
    let write = Change { task: Some(task), add, expect_schema: vec![(a.id, a.schema_ts())], ..Change::default() };
    assert_eq!(gms.commit(write.clone()).await.unwrap_err().kind(), Kind::WriteConflict);
    let again = gms.alter_columns(a.id, a.schema_ts(), vec![column(1, "id")]).await.unwrap_err();
    assert_eq!(again.kind(), Kind::WriteConflict);
    gms.drop_table(a.id).await.unwrap();
    let write = Change { expect_schema: vec![], ..write };
    assert_eq!(gms.commit(write).await.unwrap_err().kind(), Kind::WriteConflict);
}

pub async fn a_hundred_commits_at_once_all_arrive_in_order(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let writers: Vec<_> = (0..100)
        .map(|i| {
            let (gms, a) = (Arc::clone(&gms), Arc::clone(&a));
            tokio::spawn(async move {
                let before = gms.read_now().await.unwrap();
                let at = change(&gms, &a, &[&format!("f{i:03}")], &[]).await;
                assert!(at > before, "a commit lies after every read before it");
                let seen = gms.read_now().await.unwrap();
                assert!(paths_at(&gms, a.id, seen).await.contains(&format!("f{i:03}")), "an answered commit is seen by the next read");
                (at, format!("f{i:03}"))
            })
        })
        .collect();
    let mut done = vec![];
    for writer in writers {
        done.push(writer.await.unwrap());
    }
    done.sort();
    assert!(done.windows(2).all(|w| w[0].0 < w[1].0), "no two commits share a moment");
    for (i, (at, _)) in done.iter().enumerate() {
        let mut expected: Vec<_> = done[..=i].iter().map(|d| d.1.clone()).collect();
        expected.sort();
        assert_eq!(paths_at(&gms, a.id, *at).await, expected);
    }
}

pub async fn readers_beside_writers_read_the_same_again(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let b = gms.create_table(new_table("b")).await.unwrap();
    change(&gms, &a, &["a-0"], &[]).await;
    change(&gms, &b, &["b-0"], &[]).await;
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (gms, a, b) = (Arc::clone(&gms), a.id, b.id);
            tokio::spawn(async move {
                let mut seen = vec![];
                for _ in 0..60 {
                    let at = gms.read_now().await.unwrap();
                    seen.push((at, paths_at(&gms, a, at).await, paths_at(&gms, b, at).await));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                seen
            })
        })
        .collect();
    // Both tables are rewritten in one commit each time: a reader must see the same number in both.
    for i in 1..40 {
        let now = gms.read_now().await.unwrap();
        let task = gms.begin_task("rewrite").await.unwrap();
        let mut rewrite = Change { task: Some(task), ..Change::default() };
        for (table, name) in [(&a, "a"), (&b, "b")] {
            rewrite.add.push(new_file(&gms, task, table, &format!("{name}-{i}")).await);
            rewrite.remove.push((table.id, gms.snapshot(table.id, now).await.unwrap().files[0].id));
        }
        gms.commit(rewrite).await.unwrap();
    }
    for reader in readers {
        for (at, in_a, in_b) in reader.await.unwrap() {
            assert_eq!((in_a.len(), in_b.len()), (1, 1), "at {at}");
            assert_eq!(in_a[0].strip_prefix("a-"), in_b[0].strip_prefix("b-"), "half a commit at {at}");
            assert_eq!(paths_at(&gms, a.id, at).await, in_a, "the past changed at {at}");
            assert_eq!(paths_at(&gms, b.id, at).await, in_b, "the past changed at {at}");
        }
    }
}

pub async fn a_client_that_goes_away_leaves_memory_and_database_alike(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    for i in 0..40_u64 {
        let task = gms.begin_task("cancelled").await.unwrap();
        let add = vec![new_file(&gms, task, &a, &format!("f{i}")).await];
        let commit = gms.commit(Change { task: Some(task), add, ..Change::default() });
        let _ = tokio::time::timeout(Duration::from_micros(i * 40), commit).await;
    }
    // One more goes through the lock after all of them.
    let at = change(&gms, &a, &["last"], &[]).await;
    let in_memory = paths_at(&gms, a.id, at).await;
    gms.close().await.unwrap();
    drop(gms);
    assert_eq!(paths_at(&*fresh.open().await, a.id, at).await, in_memory);
}

pub async fn everything_is_there_after_a_restart(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let mut seen = vec![];
    for i in 0..5 {
        let old: Vec<String> = paths(&gms, a.id).await;
        let old: Vec<&str> = old.iter().map(String::as_str).collect();
        let at = change(&gms, &a, &[&format!("f{i}"), &format!("g{i}")], &old).await;
        seen.push((at, paths_at(&gms, a.id, at).await));
    }
    let read = gms.read_now().await.unwrap();
    drop(gms); // no close: as if killed
    let gms = fresh.open().await;
    for (at, expected) in &seen {
        assert_eq!(&paths_at(&gms, a.id, *at).await, expected);
    }
    let table = gms.catalog().require_table("SHOP", "ORDERS").unwrap().clone();
    assert_eq!(*table, *a);
    assert!(change(&gms, &a, &["after"], &[]).await > read, "a time read before the crash stays closed");
    let now = gms.read_now().await.unwrap();
    assert_eq!(gms.snapshot(a.id, now).await.unwrap().total_versions, 11);
}

pub async fn what_a_dead_task_left_is_garbage_after_recovery(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    change(&gms, &a, &["kept"], &[]).await;
    let task = gms.begin_task("dies").await.unwrap();
    new_file(&gms, task, &a, "orphan").await;
    drop(gms);
    let gms = fresh.open().await;
    assert_eq!(gms.recover().await.unwrap(), 1);
    let garbage = gms.garbage().await.unwrap();
    assert_eq!((garbage.len(), garbage[0].engine.as_str(), garbage[0].path.as_str()), (1, "OSS", "orphan"));
    gms.forget_garbage(&[garbage[0].id]).await.unwrap();
    assert!(garbage_paths(&gms).await.is_empty());
    assert_eq!(paths(&gms, a.id).await, ["kept"]);
    assert_eq!(gms.register_file(task, a.id, "oss", "late").await.unwrap_err().kind(), Kind::WriteConflict);
}

pub async fn an_abandoned_task_leaves_garbage_and_cannot_commit(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let task = gms.begin_task("rolls back").await.unwrap();
    let add = vec![new_file(&gms, task, &a, "f").await];
    gms.abandon(task).await.unwrap();
    assert_eq!(garbage_paths(&gms).await, ["f"]);
    let commit = Change { task: Some(task), add, ..Change::default() };
    assert_eq!(gms.commit(commit).await.unwrap_err().kind(), Kind::WriteConflict);
    assert!(paths(&gms, a.id).await.is_empty());
}

pub async fn files_registered_but_not_used_become_garbage(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let task = gms.begin_task("one of two").await.unwrap();
    let used = new_file(&gms, task, &a, "used").await;
    new_file(&gms, task, &a, "unused").await;
    gms.commit(Change { task: Some(task), add: vec![used], ..Change::default() }).await.unwrap();
    assert_eq!(garbage_paths(&gms).await, ["unused"]);
    assert_eq!(paths(&gms, a.id).await, ["used"]);
}

pub async fn history_may_be_built_in_the_past_but_only_forward(fresh: Fresh) {
    let (gms, _) = fresh.shop().await;
    let day = |d: u64| Tso::from_unix_millis(1_656_000_000_000 + d * 86_400_000);
    let old = gms.create_table(NewTable { at: Some(day(0)), ..new_table("old") }).await.unwrap();
    assert_eq!((old.created, old.schema_ts()), (day(0), day(0)));
    let add = async |path: &str, at: Tso, task| {
        let add = vec![new_file(&gms, task, &old, path).await];
        gms.commit(Change { task: Some(task), add, at: Some(at), ..Change::default() }).await
    };
    let task = async || gms.begin_task("demo").await.unwrap();
    assert_eq!(add("d1", day(1), task().await).await.unwrap(), day(1));
    assert_eq!(add("d3", day(3), task().await).await.unwrap(), day(3));
    assert_eq!(add("d2", day(2), task().await).await.unwrap_err().kind(), Kind::Refused);
    let tomorrow = Tso(gms.clock().now().0 + day(1).0 - day(0).0);
    assert_eq!(add("d9", tomorrow, task().await).await.unwrap_err().kind(), Kind::Refused);
    for (d, n) in [(0, 0), (1, 1), (2, 1), (3, 2)] {
        assert_eq!(paths_at(&gms, old.id, day(d)).await.len(), n, "day {d}");
    }
    let snapshot = gms.snapshot(old.id, day(1)).await.unwrap();
    assert_eq!(snapshot.files[0].created, day(1).timestamp());
}

pub async fn statistics_come_back_as_they_were(fresh: Fresh) {
    let (gms, a) = fresh.shop().await;
    let bounds = [
        Bound::Int(i64::MIN),
        Bound::UInt(u64::MAX),
        Bound::Float(-0.1),
        Bound::Decimal(-12_345_678_901_234_567_890_123_456_789_012_345_678),
        Bound::Text("naïve \u{1F600} 'quoted'".into()),
        Bound::Bytes(vec![0, 255, 128]),
    ];
    let columns =
        bounds.iter().enumerate().map(|(i, b)| ColumnStats { id: i as u32, min: Some(b.clone()), max: Some(b.clone()), nulls: 3 });
    let stats = FileStats { columns: columns.collect() };
    let infinite = ColumnStats { id: 9, min: Some(Bound::Float(f64::NEG_INFINITY)), max: Some(Bound::Float(1.0)), nulls: 0 };
    let mut written = stats.clone();
    written.columns.push(infinite);
    let task = gms.begin_task("stats").await.unwrap();
    let file = NewFile { stats: written, ..new_file(&gms, task, &a, "f").await };
    gms.commit(Change { task: Some(task), add: vec![file], ..Change::default() }).await.unwrap();
    let now = gms.read_now().await.unwrap();
    let read = gms.snapshot(a.id, now).await.unwrap().files[0].stats.clone();
    assert_eq!(read.columns[..bounds.len()], stats.columns[..]);
    let open_ended = read.column(9).unwrap();
    assert_eq!((&open_ended.min, &open_ended.max), (&None, &Some(Bound::Float(1.0))));
}
