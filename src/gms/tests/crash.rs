//! Kills the process at every fault point of this room while it works through a history, and looks at what is left:
//! every answered step is there, the unanswered one is wholly there or wholly absent, what was read before reads the
//! same, no object is lost. The work runs in a child: this test binary again, with `FLASHGATE_CRASH_AT`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::*;

/// One answered step: what it left, and what all tables showed at a time after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Answer {
    state: Vec<String>,
    at: u64,
    seen: Vec<(u64, Vec<String>)>,
}

const STEPS: usize = 20;
/// Set for the child: where it works.
const DIR: &str = "FLASHGATE_TEST_CRASH_DIR";
/// The test that runs itself again as the child.
const TEST: &str = "gms::tests::crash::a_kill_at_any_point_leaves_the_old_or_the_new_state";

/// Names, columns, visible files of everything, without what differs from run to run.
async fn state(gms: &Gms) -> (Tso, Vec<String>, Vec<(u64, Vec<String>)>) {
    let now = gms.read_now().await.unwrap();
    let catalog = gms.catalog();
    let (mut state, mut seen) = (vec![], vec![]);
    state.extend(catalog.databases().map(|d| format!("database {}", d.name)));
    state.extend(catalog.storages().map(|s| format!("storage {}", s.engine)));
    let bin = gms.recycle_bin().await.unwrap();
    for table in catalog.every_table() {
        let name = match bin.iter().find(|b| b.table == table.id) {
            Some(binned) => format!("bin:{}", binned.original_name),
            None => table.name.clone(),
        };
        let files = paths_at(gms, table.id, now).await;
        let versions = gms.snapshot(table.id, now).await.unwrap().total_versions;
        state.push(format!("table {name} columns {} versions {versions} files {files:?}", table.columns().len()));
        seen.push((table.id.0, files));
    }
    state.sort();
    seen.sort();
    (now, state, seen)
}

async fn table(gms: &Gms, name: &str) -> Arc<Table> {
    gms.catalog().require_table("d", name).unwrap().clone()
}

/// The history, a step at a time. A step's outcome depends on nothing but the steps before it.
async fn step(gms: &Gms, step: usize) {
    let scope = Scope::Engine("OSS".into());
    let now = async || gms.read_now().await.unwrap();
    match step {
        0 => gms.create_database("d").await.unwrap(),
        1 => gms.create_storage(FileStorage::new("OSS", "file:///x/")).await.unwrap(),
        2 => drop(gms.create_table(NewTable { database: "d".into(), ..new_table("a") }).await.unwrap()),
        3 => drop(change(gms, &*table(gms, "a").await, &["f1", "f2"], &[]).await),
        4 => drop(change(gms, &*table(gms, "a").await, &["f3"], &["f1"]).await),
        5 => {
            let task = gms.begin_task("abandoned").await.unwrap();
            new_file(gms, task, &*table(gms, "a").await, "abandoned").await;
            gms.abandon(task).await.unwrap();
        }
        6 => {
            let a = table(gms, "a").await;
            gms.alter_columns(a.id, a.schema_ts(), vec![column(1, "id"), column(2, "userId"), column(3, "x")]).await.unwrap();
        }
        7 => gms.rename_table(table(gms, "a").await.id, "d", "b").await.unwrap(),
        8 => drop(gms.drop_files(table(gms, "b").await.id, &["f2".into()]).await.unwrap()),
        9 => drop(gms.create_table(NewTable { database: "d".into(), ..new_table("c") }).await.unwrap()),
        10 => drop(change(gms, &*table(gms, "c").await, &["c1"], &[]).await),
        11 => drop(gms.drop_table(table(gms, "c").await.id).await.unwrap()),
        12 => drop(gms.flashback_table("d", "c", None).await.unwrap()),
        // Back to the moment before the DROP FILE: f2 returns, c1 goes.
        13 => {
            let all = gms.file_versions(&scope).await.unwrap();
            let dropped = all.iter().find(|f| f.path == "f2").unwrap().remove_ts.unwrap();
            gms.trim("OSS", dropped.prev(), false).await.unwrap();
        }
        // Erases the trim itself.
        14 => {
            let all = gms.file_versions(&scope).await.unwrap();
            let trimmed = all.iter().filter(|f| f.path == "f2").map(|f| f.commit_ts).max().unwrap();
            gms.trim("OSS", trimmed.prev(), true).await.unwrap();
        }
        15 => drop(gms.drop_table(table(gms, "c").await.id).await.unwrap()),
        16 => drop(gms.purge(&scope, now().await).await.unwrap()),
        17 => {
            gms.set_purge_delay(Duration::ZERO);
            gms.purge_binned(None, None).await.unwrap();
        }
        18 => {
            let ids: Vec<u64> = gms.garbage().await.unwrap().iter().map(|g| g.id).collect();
            gms.forget_garbage(&ids).await.unwrap();
        }
        19 => drop(gms.clear_storage("OSS").await.unwrap()),
        _ => unreachable!(),
    }
}

/// The child's part of the test: works, and writes a line for each answered step.
async fn work_until_killed(dir: &str) {
    let mut log = std::fs::File::create(Path::new(dir).join("answers")).unwrap();
    let gms = Gms::open(&format!("sqlite:{dir}/gms.db")).await.unwrap();
    gms.recover().await.unwrap();
    for i in 0..STEPS {
        step(&gms, i).await;
        let (at, state, seen) = state(&gms).await;
        writeln!(log, "{}", serde_json::to_string(&Answer { state, at: at.0, seen }).unwrap()).unwrap();
        log.sync_data().unwrap();
    }
}

fn run(dir: &Path, crash_at: Option<&str>) -> Vec<Answer> {
    // On Linux this works even when a build has replaced the file meanwhile.
    let this = Path::new("/proc/self/exe");
    let mut child = Command::new(if this.exists() { this.to_owned() } else { std::env::current_exe().unwrap() });
    child.args([TEST, "--exact", "--nocapture"]).env(DIR, dir);
    child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(point) = crash_at {
        child.env("FLASHGATE_CRASH_AT", point);
    }
    let status = child.status().unwrap();
    assert_eq!(status.success(), crash_at.is_none(), "{crash_at:?}: {status}");
    let answers = std::fs::read_to_string(dir.join("answers")).unwrap_or_default();
    answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn check(point: &str, dir: &Path, answers: &[Answer], whole: &[Answer]) {
    let gms = Gms::open(&format!("sqlite:{}/gms.db", dir.display())).await.unwrap();
    gms.recover().await.unwrap();
    let (_, found, _) = state(&gms).await;
    let n = answers.len();
    let before = n.checked_sub(1).map_or(vec![], |i| whole[i].state.clone());
    let after = whole.get(n).map_or(before.clone(), |a| a.state.clone());
    assert!(found == before || found == after, "{point}: after {n} steps\n  {found:?}\nis neither\n  {before:?}\nnor\n  {after:?}");
    for answer in answers {
        for (table, files) in &answer.seen {
            match gms.snapshot(TableId(*table), Tso(answer.at)).await {
                Ok(snapshot) => {
                    let mut again: Vec<String> = snapshot.files.iter().map(|f| f.path.clone()).collect();
                    again.sort();
                    assert_eq!(&again, files, "{point}: the past of table {table} at {} changed", answer.at);
                }
                Err(e) => assert!(
                    matches!(e.kind(), crate::Kind::SnapshotTooOld | crate::Kind::UnknownTable) && n >= 13,
                    "{point}: the past of table {table} is lost after {n} steps: {e}"
                ),
            }
        }
    }
    // Every object that may have been written is named by a row or lies in the garbage (until step 18 forgets it).
    if n < 18 {
        let due = u64::MAX >> 1;
        let garbage = queries::purge::garbage(&gms.inner.db, due).await.unwrap();
        let rows = if n >= 2 { gms.file_versions(&Scope::Engine("OSS".into())).await.unwrap() } else { vec![] };
        let written: [(usize, &str); 5] = [(4, "f1"), (4, "f2"), (5, "f3"), (6, "abandoned"), (11, "c1")];
        for (_, path) in written.iter().filter(|(steps, _)| n >= *steps) {
            let (named, lost) = (rows.iter().any(|f| f.path == *path), garbage.iter().any(|g| g.path == *path));
            assert!(named != lost, "{point}: after {n} steps {path} is named: {named}, garbage: {lost}");
        }
    }
    // And work goes on: the rest of the history gives what it gives without a crash.
    let done = if found == after && found != before { n + 1 } else { n };
    if done > 2 && done < 13 {
        for i in done..13 {
            if i == 5 || !(found == after && i == n) {
                step(&gms, i).await;
            }
        }
        assert_eq!(state(&gms).await.1, whole[12].state, "{point}: the history after the crash");
    }
    gms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_point_leaves_the_old_or_the_new_state() {
    if let Ok(dir) = std::env::var(DIR) {
        return work_until_killed(&dir).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let whole = run(dir.path(), None);
    assert_eq!(whole.len(), STEPS);
    let points: Vec<&str> = crate::fault::ALL.iter().copied().filter(|p| p.starts_with("gms.")).collect();
    assert!(points.len() >= 20);
    // Points that are reached more than once are tried at a later hit too.
    let later = ["gms.commit.in_tx:2", "gms.commit.before_publish:2", "gms.register.after_tx:3", "gms.trim.in_tx:2", "gms.trim.after_tx:2"];
    let mut all = points.into_iter().chain(later);
    loop {
        let batch: Vec<&str> = all.by_ref().take(4).collect();
        if batch.is_empty() {
            break;
        }
        let checks = batch.into_iter().map(|point| {
            let whole = &whole;
            async move {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().to_owned();
                let answers = tokio::task::spawn_blocking(move || run(&path, Some(point))).await.unwrap();
                check(point, dir.path(), &answers, whole).await;
            }
        });
        futures::future::join_all(checks).await;
    }
}
