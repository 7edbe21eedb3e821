//! The suite that every back end must pass: [`suite`] with a way to make an empty database. Each promise is also a test
//! of its own on SQLite. What only SQLite promises (damage, locks, kills) is in `sqlite` and `crash`.

mod commits;
mod crash;
mod history;
mod names;
mod sqlite;

use std::sync::Arc;

use super::*;
use crate::types::{Bound, Column, ColumnStats, FileStats, SqlType};

/// An empty metadata database that lives as long as this.
pub struct Fresh {
    pub url: String,
    _keep: Box<dyn Send>,
}

impl Fresh {
    pub fn sqlite() -> Fresh {
        let dir = tempfile::tempdir().unwrap();
        Fresh { url: format!("sqlite:{}", dir.path().join("gms.db").display()), _keep: Box::new(dir) }
    }

    pub async fn open(&self) -> Arc<Gms> {
        Gms::open(&self.url).await.unwrap()
    }

    /// Open, with a database `shop`, a storage `OSS` and a table `orders`.
    pub async fn shop(&self) -> (Arc<Gms>, Arc<Table>) {
        let gms = self.open().await;
        gms.create_database("Shop").await.unwrap();
        gms.create_storage(FileStorage::new("oss", "file:///tmp/cold/")).await.unwrap();
        let orders = gms.create_table(new_table("orders")).await.unwrap();
        (gms, orders)
    }
}

macro_rules! promises {
    ($($module:ident :: $promise:ident),* $(,)?) => {
        /// Every promise, each on a fresh database.
        #[allow(dead_code)]
        pub async fn suite(fresh: impl Fn() -> Fresh) {
            $( $module::$promise(fresh()).await; )*
        }

        $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            $module::$promise(Fresh::sqlite()).await;
        } )*
    };
}

promises! {
    commits::a_commit_is_one_moment_for_all_its_tables,
    commits::the_second_to_remove_a_file_gets_a_write_conflict_and_changes_nothing,
    commits::an_altered_or_dropped_table_is_a_write_conflict,
    commits::a_hundred_commits_at_once_all_arrive_in_order,
    commits::readers_beside_writers_read_the_same_again,
    commits::a_client_that_goes_away_leaves_memory_and_database_alike,
    commits::everything_is_there_after_a_restart,
    commits::what_a_dead_task_left_is_garbage_after_recovery,
    commits::an_abandoned_task_leaves_garbage_and_cannot_commit,
    commits::files_registered_but_not_used_become_garbage,
    commits::history_may_be_built_in_the_past_but_only_forward,
    commits::statistics_come_back_as_they_were,
    history::a_purged_time_is_an_error_not_fewer_rows,
    history::a_time_before_a_table_was_made_is_an_error_that_names_that_moment,
    history::a_purge_moves_the_horizon_of_tables_that_lose_nothing,
    history::a_purge_plan_says_what_the_purge_then_does,
    history::an_object_that_a_row_still_needs_is_never_garbage,
    history::garbage_waits_for_its_delay,
    history::foreign_objects_are_never_garbage,
    history::a_trim_brings_the_files_of_a_time_back_and_keeps_the_past,
    history::a_forced_trim_erases_what_came_after_and_says_so,
    history::a_trim_below_the_horizon_or_into_the_future_is_refused,
    history::dropped_files_are_gone_from_then_on_and_unknown_ones_change_nothing,
    history::a_dropped_table_comes_back_with_its_whole_history,
    history::a_purged_bin_takes_tables_and_objects,
    history::a_purge_takes_tables_dropped_before_it,
    history::clearing_a_storage_ends_its_tables_and_keeps_it,
    history::future_reads_and_purges_are_errors,
    names::names_are_compared_without_case_and_unique,
    names::altered_columns_are_those_of_their_time,
    names::a_renamed_table_keeps_its_history,
    names::a_database_must_be_empty_to_go,
    names::views_share_names_with_tables,
    names::storages_come_back_whole_and_in_use_they_stay,
    names::users_are_kept_and_watched,
    names::grants_are_kept_watched_and_counted_once,
    names::every_change_has_an_operation_number,
}

pub fn column(id: u32, name: &str) -> Column {
    Column { id, name: name.to_owned(), ty: SqlType::Int64 { unsigned: false }, nullable: true, default: None, comment: String::new() }
}

pub fn new_table(name: &str) -> NewTable {
    NewTable {
        database: "shop".into(),
        name: name.into(),
        engine: "Oss".into(),
        columns: vec![column(1, "id"), column(2, "userId")],
        keys: vec![Key { name: "PRIMARY".into(), columns: vec!["id".into()], unique: true, primary: true }],
        comment: "what they bought".into(),
        options: serde_json::json!({"charset": "utf8mb4"}),
        at: None,
    }
}

pub fn stats() -> FileStats {
    FileStats { columns: vec![ColumnStats { id: 1, min: Some(Bound::Int(1)), max: Some(Bound::Int(10)), nulls: 0 }] }
}

pub async fn new_file(gms: &Gms, task: TaskId, table: &Table, path: &str) -> NewFile {
    let id = gms.register_file(task, table.id, "oss", path).await.unwrap();
    NewFile { id, table: table.id, rows: 10, bytes: 100, schema_ts: table.schema_ts(), stats: stats() }
}

/// Adds files of 10 rows and 100 bytes, and removes others, in one commit.
pub async fn try_change(gms: &Gms, table: &Table, add: &[&str], remove: &[&str]) -> Result<Tso> {
    let now = gms.read_now().await?;
    let visible = gms.snapshot(table.id, now).await?.files;
    let task = gms.begin_task("test").await?;
    let mut change = Change { task: Some(task), ..Change::default() };
    for path in add {
        change.add.push(new_file(gms, task, table, path).await);
    }
    for path in remove {
        let file = visible.iter().find(|f| f.path == *path).unwrap_or_else(|| panic!("{path} is not visible"));
        change.remove.push((table.id, file.id));
    }
    gms.commit(change).await
}

pub async fn change(gms: &Gms, table: &Table, add: &[&str], remove: &[&str]) -> Tso {
    try_change(gms, table, add, remove).await.unwrap()
}

/// The paths visible at a time, sorted.
pub async fn paths_at(gms: &Gms, table: TableId, at: Tso) -> Vec<String> {
    let mut paths: Vec<String> = gms.snapshot(table, at).await.unwrap().files.iter().map(|f| f.path.clone()).collect();
    paths.sort();
    paths
}

/// The paths visible now, sorted.
pub async fn paths(gms: &Gms, table: TableId) -> Vec<String> {
    let now = gms.read_now().await.unwrap();
    paths_at(gms, table, now).await
}

pub async fn garbage_paths(gms: &Gms) -> Vec<String> {
    let mut paths: Vec<String> = gms.garbage().await.unwrap().into_iter().map(|g| g.path).collect();
    paths.sort();
    paths
}

impl Fresh {
    /// Opens it once more, after the caller has let go of it.
    pub async fn reopen(&self, gms: Arc<Gms>) -> Arc<Gms> {
        gms.close().await.unwrap();
        drop(gms);
        self.open().await
    }
}
