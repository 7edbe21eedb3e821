//! The history as it is built: in place once, with its times.

use std::sync::Arc;

use super::{DATABASE, build_history};
use crate::config::Config;
use crate::error::Kind;
use crate::gms::{FileVersion, Scope, Table};
use crate::session::Instance;
use crate::time::Tso;

async fn open(dir: &tempfile::TempDir) -> Arc<Instance> {
    let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
    Instance::open(config).await.unwrap()
}

fn table(instance: &Instance, name: &str) -> Arc<Table> {
    Arc::clone(instance.gms.catalog().require_table(DATABASE, name).unwrap())
}

async fn versions(instance: &Instance, name: &str) -> Vec<FileVersion> {
    instance.gms.file_versions(&Scope::Table(table(instance, name).id)).await.unwrap()
}

fn at(text: &str) -> Tso {
    Tso::from_timestamp(text.parse().unwrap()).unwrap()
}

async fn rows(instance: &Instance, name: &str, time: Tso) -> u64 {
    instance.gms.snapshot(table(instance, name).id, time).await.unwrap().files.iter().map(|f| f.rows).sum()
}

#[tokio::test]
async fn every_commit_lies_in_the_summer_of_2022_and_none_near_the_storys_time() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(&dir).await;
    build_history(&instance).await.unwrap();
    let (day, story) = (86_400_000, at("2022-07-05T11:11:11Z"));
    for name in ["oss_orders", "oss_customers"] {
        assert_eq!(table(&instance, name).created, at("2022-06-01T00:00:00Z"));
        for file in versions(&instance, name).await {
            for time in [Some(file.commit_ts), file.remove_ts].into_iter().flatten() {
                assert!(time > at("2022-06-01T00:00:00Z") && time < at("2022-08-01T00:00:00Z"), "{time:?}");
                assert!(time.unix_millis().abs_diff(story.unix_millis()) > 2 * day, "{time:?} is near the story's time");
            }
        }
    }
    instance.close().await.unwrap();
}

#[tokio::test]
async fn the_past_differs_from_today() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(&dir).await;
    build_history(&instance).await.unwrap();
    let now = instance.gms.read_now().await.unwrap();
    for (name, time, expected) in [
        ("oss_orders", "2022-06-04T00:00:00Z", 0),
        ("oss_orders", "2022-06-05T02:00:00Z", 6),
        ("oss_orders", "2022-07-05T11:11:11Z", 27),
        ("oss_orders", "2022-07-17T02:00:00Z", 31),
        ("oss_customers", "2022-07-05T11:11:11Z", 8),
    ] {
        assert_eq!(rows(&instance, name, at(time)).await, expected, "{name} at {time}");
    }
    // Three orders and one customer were deleted, seven orders and two customers came.
    assert_eq!(rows(&instance, "oss_orders", now).await, 31);
    assert_eq!(rows(&instance, "oss_customers", now).await, 9);
    instance.close().await.unwrap();
}

#[tokio::test]
async fn a_database_demo_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(&dir).await;
    build_history(&instance).await.unwrap();
    let orders = versions(&instance, "oss_orders").await;
    instance.gms.drop_table(table(&instance, "oss_customers").id).await.unwrap();
    instance.close().await.unwrap();

    let instance = open(&dir).await;
    build_history(&instance).await.unwrap();
    assert_eq!(versions(&instance, "oss_orders").await, orders);
    assert_eq!(instance.gms.catalog().require_table(DATABASE, "oss_customers").unwrap_err().kind(), Kind::UnknownTable);
    instance.close().await.unwrap();
}

#[tokio::test]
async fn a_build_that_was_cut_short_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(&dir).await;
    // As after a crash in the middle: the unfinished database, one of its tables, no `demo`.
    instance.gms.create_database("demo__unfinished").await.unwrap();
    super::history::create_tables(&instance.gms).await.unwrap();
    build_history(&instance).await.unwrap();
    assert!(instance.gms.catalog().database("demo__unfinished").is_none());
    assert_eq!(rows(&instance, "oss_orders", at("2022-07-05T11:11:11Z")).await, 27);
    assert!(instance.gms.recycle_bin().await.unwrap().is_empty());
    instance.close().await.unwrap();
}
