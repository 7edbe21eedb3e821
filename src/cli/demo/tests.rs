//! The history as it is built: in place once, with its times.

use std::sync::Arc;

use super::history::{DATABASE, build_history};
use crate::config::Config;
use crate::error::Kind;
use crate::gms::{FileVersion, Scope, Table};
use crate::node::Node;
use crate::time::Tso;

async fn open(dir: &tempfile::TempDir) -> Arc<Node> {
    let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
    Node::open(config).await.unwrap()
}

fn table(node: &Node, name: &str) -> Arc<Table> {
    Arc::clone(node.gms.catalog().require_table(DATABASE, name).unwrap())
}

async fn versions(node: &Node, name: &str) -> Vec<FileVersion> {
    node.gms.file_versions(&Scope::Table(table(node, name).id)).await.unwrap()
}

fn at(text: &str) -> Tso {
    Tso::from_timestamp(text.parse().unwrap()).unwrap()
}

async fn rows(node: &Node, name: &str, time: Tso) -> u64 {
    node.gms.snapshot(table(node, name).id, time).await.unwrap().files.iter().map(|f| f.rows).sum()
}

#[tokio::test]
async fn every_commit_lies_in_the_summer_of_2022_and_none_near_the_storys_time() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(&dir).await;
    build_history(&node).await.unwrap();
    let (day, story) = (86_400_000, at("2022-07-05T11:11:11Z"));
    for name in ["oss_orders", "oss_customers"] {
        assert_eq!(table(&node, name).created, at("2022-06-01T00:00:00Z"));
        for file in versions(&node, name).await {
            for time in [Some(file.commit_ts), file.remove_ts].into_iter().flatten() {
                assert!(time > at("2022-06-01T00:00:00Z") && time < at("2022-08-01T00:00:00Z"), "{time:?}");
                assert!(time.unix_millis().abs_diff(story.unix_millis()) > 2 * day, "{time:?} is near the story's time");
            }
        }
    }
    node.close().await.unwrap();
}

#[tokio::test]
async fn the_past_differs_from_today() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(&dir).await;
    build_history(&node).await.unwrap();
    let now = node.gms.read_now().await.unwrap();
    for (name, time, expected) in [
        ("oss_orders", "2022-06-04T00:00:00Z", 0),
        ("oss_orders", "2022-06-05T02:00:00Z", 6),
        ("oss_orders", "2022-07-05T11:11:11Z", 27),
        ("oss_orders", "2022-07-17T02:00:00Z", 31),
        ("oss_customers", "2022-07-05T11:11:11Z", 8),
    ] {
        assert_eq!(rows(&node, name, at(time)).await, expected, "{name} at {time}");
    }
    // Three orders and one customer were deleted, seven orders and two customers came.
    assert_eq!(rows(&node, "oss_orders", now).await, 31);
    assert_eq!(rows(&node, "oss_customers", now).await, 9);
    node.close().await.unwrap();
}

#[tokio::test]
async fn a_database_demo_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(&dir).await;
    build_history(&node).await.unwrap();
    let orders = versions(&node, "oss_orders").await;
    node.gms.drop_table(table(&node, "oss_customers").id).await.unwrap();
    node.close().await.unwrap();

    let node = open(&dir).await;
    build_history(&node).await.unwrap();
    assert_eq!(versions(&node, "oss_orders").await, orders);
    assert_eq!(node.gms.catalog().require_table(DATABASE, "oss_customers").unwrap_err().kind(), Kind::UnknownTable);
    node.close().await.unwrap();
}

#[tokio::test]
async fn a_build_that_was_cut_short_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(&dir).await;
    // As after a crash in the middle: the unfinished database, one of its tables, no `demo`.
    node.gms.create_database("demo__unfinished").await.unwrap();
    super::history::create_tables(&node.gms).await.unwrap();
    build_history(&node).await.unwrap();
    assert!(node.gms.catalog().database("demo__unfinished").is_none());
    assert_eq!(rows(&node, "oss_orders", at("2022-07-05T11:11:11Z")).await, 27);
    assert!(node.gms.recycle_bin().await.unwrap().is_empty());
    node.close().await.unwrap();
}
