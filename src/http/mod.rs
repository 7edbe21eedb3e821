//! /health, /ready and /metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::node::Node;
use crate::store::ENGINES;
use crate::telemetry;
use crate::wire::Context;

/// How long the metadata database and the default store may take to answer /ready.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer about the upstreams counts.
const FRESH: Duration = Duration::from_secs(1);

/// Or why not, in a sentence.
type Readiness = Result<(), String>;

#[derive(Clone)]
struct Ctx {
    contexts: Arc<ArcSwap<Context>>,
    drain: CancellationToken,
    /// How the upstreams were when they were last asked.
    asked: Arc<Mutex<Option<(Instant, Readiness)>>>,
}

/// Answers until `stop`.
pub async fn serve(listener: TcpListener, contexts: Arc<ArcSwap<Context>>, drain: CancellationToken, stop: CancellationToken) {
    let routes = Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Ctx { contexts, drain, asked: Arc::default() });
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "the HTTP listener ended");
    }
}

/// 200 when statements can be answered: not draining, the metadata database and the default store answer, and the
/// upstreams take connections.
async fn ready(State(ctx): State<Ctx>) -> (StatusCode, String) {
    if ctx.drain.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into());
    }
    let context = ctx.contexts.load_full();
    let checked = match check(&context.node).await {
        Ok(()) => reach(&ctx, &context).await,
        failed => failed,
    };
    match checked {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn check(node: &Node) -> Readiness {
    match tokio::time::timeout(PATIENCE, node.gms.refresh()).await {
        Err(_) => return Err("metadata: no answer in time".into()),
        Ok(Err(error)) => return Err(format!("metadata: {error}")),
        Ok(Ok(())) => {}
    }
    node.stores.probe(node.stores.default_spec(), PATIENCE).await.map_err(|error| format!("default file storage: {error}"))
}

/// Are the upstreams there? Asked once in a while, however many ask us: MySQL counts connections that end before a login
/// against the host that they come from (max_connect_errors).
async fn reach(ctx: &Ctx, context: &Context) -> Readiness {
    // Held while asking: who comes meanwhile gets the same answer.
    let mut asked = ctx.asked.lock().await;
    if let Some((at, answer)) = asked.as_ref()
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
    *asked = Some((Instant::now(), answer.clone()));
    answer
}

async fn metrics(State(ctx): State<Ctx>) -> impl IntoResponse {
    for engine in ENGINES {
        let t = ctx.contexts.load_full().node.stores.counters(engine).traffic();
        telemetry::store(engine, [t.bytes_read, t.bytes_written], [t.read_ops, t.write_ops]);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::render())
}
