//! /ready: may a load balancer send clients here?

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use tokio::sync::Mutex;

use super::Pages;
use crate::node::Node;
use crate::wire::Context;

/// How long the metadata database, the default store and an upstream may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer about the upstreams is used again.
const FRESH: Duration = Duration::from_secs(1);

/// Ready, or a sentence that says why not.
type Readiness = Result<(), String>;

/// The last answer about the upstreams, and its time.
pub(super) type Upstreams = Mutex<Option<(Instant, Readiness)>>;

/// 200 when statements can be answered: the server does not drain, the metadata database and the default store answer, and
/// the upstreams accept connections.
pub(super) async fn page(State(pages): State<Pages>) -> (StatusCode, String) {
    if pages.drain.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into());
    }
    let context = pages.contexts.load_full();
    let checked = match check_node(&context.node).await {
        Ok(()) => check_upstreams(&pages.upstreams, &context).await,
        failed => failed,
    };
    match checked {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn check_node(node: &Node) -> Readiness {
    match tokio::time::timeout(PATIENCE, node.gms.refresh()).await {
        Err(_) => return Err("metadata: no answer in time".into()),
        Ok(Err(error)) => return Err(format!("metadata: {error}")),
        Ok(Ok(())) => {}
    }
    node.stores.probe(node.stores.default_spec(), PATIENCE).await.map_err(|error| format!("default file storage: {error}"))
}

/// Connects to the upstreams, at most once in [`FRESH`] however many requests come: MySQL counts connections that end before a
/// login against the host that they come from (max_connect_errors).
async fn check_upstreams(last: &Upstreams, context: &Context) -> Readiness {
    // Held across the check: requests that come meanwhile get the same answer.
    let mut last = last.lock().await;
    if let Some((at, answer)) = last.as_ref()
        && at.elapsed() < FRESH
    {
        return answer.clone();
    }
    let mut answer = Ok(());
    let upstreams = [("mysql", &context.upstreams.mysql), ("postgres", &context.upstreams.postgres)];
    for (name, upstream) in upstreams {
        let Some(upstream) = upstream.as_ref().filter(|upstream| !upstream.reached_within(FRESH)) else { continue };
        let why = match tokio::time::timeout(PATIENCE, upstream.connect()).await {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".into(),
        };
        answer = Err(format!("upstream.{name}: cannot connect to {upstream}: {why}"));
        break;
    }
    *last = Some((Instant::now(), answer.clone()));
    answer
}
