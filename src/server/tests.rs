//! Promises of a server's end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::config::Config;
use crate::gms::Gms;
use crate::session::{Client, Session};
use crate::types::Protocol;

fn config(dir: &tempfile::TempDir) -> Config {
    let mut config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
    for listener in [&mut config.listen.mysql, &mut config.listen.postgres, &mut config.listen.http] {
        *listener = "127.0.0.1:0".parse().unwrap();
    }
    config
}

async fn run(session: &mut Session, text: &str) {
    for parsed in session.parse(text).unwrap() {
        session.execute(&parsed, &[]).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[tokio::test]
async fn a_rollback_that_runs_when_the_server_stops_is_finished_before_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir);
    let metadata = config.gms_url();
    let node = super::open(config).await.unwrap();
    let server = super::start(Arc::clone(&node)).await.unwrap();
    let client = Client {
        protocol: Protocol::MySql,
        peer: "127.0.0.1:5000".into(),
        user: "root".into(),
        database: None,
        settings: Vec::new(),
        tls: false,
        id: None,
    };
    let mut session = Session::open(Arc::clone(&node), client).await.unwrap();
    for text in ["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT)", "INSERT INTO shop.t VALUES (1)", "BEGIN"] {
        run(&mut session, text).await;
    }
    run(&mut session, "INSERT INTO shop.t SELECT id FROM shop.t").await;
    // The session has a file in flight. Its client leaves at the last moment: the rollback has not begun.
    drop(session);
    assert_eq!(node.tasks.running().last(), Some(&"rollback"));
    assert!(server.stop().await.unwrap());
    assert!(node.tasks.running().is_empty());
    drop(node);
    let gms = Gms::open(&metadata).await.unwrap();
    assert_eq!(gms.recover().await.unwrap(), 0, "the rollback has left nothing in flight");
    gms.close().await.unwrap();
}

#[tokio::test]
async fn no_task_outlives_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let node = super::open(config(&dir)).await.unwrap();
    node.start_periodic_tasks();
    let ended = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&ended);
    node.tasks.spawn("rollback", async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        mark.store(true, Ordering::SeqCst);
    });
    let stopping = node.tasks.stopping();
    node.tasks.spawn("job", async move { stopping.cancelled().await });
    node.close().await.unwrap();
    assert!(ended.load(Ordering::SeqCst) && node.tasks.running().is_empty());
    assert!(node.tasks.spawn("late", async {}).join().await.is_err());
}
