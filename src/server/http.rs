//! /health, /ready and /metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::session::Instance;
use crate::store::ENGINES;
use crate::telemetry;

/// How long the metadata database and the default store may take to answer /ready.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Ctx {
    instance: Arc<Instance>,
    drain: CancellationToken,
}

/// Answers until `stop`.
pub(super) async fn serve(listener: TcpListener, instance: Arc<Instance>, drain: CancellationToken, stop: CancellationToken) {
    let routes = Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Ctx { instance, drain });
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "the HTTP listener ended");
    }
}

/// 200 when statements can be answered: not draining, and the metadata database and the default store answer.
async fn ready(State(ctx): State<Ctx>) -> (StatusCode, String) {
    if ctx.drain.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into());
    }
    match check(&ctx.instance).await {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn check(instance: &Instance) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, instance.gms.refresh()).await {
        Err(_) => return Err("metadata: no answer in time".into()),
        Ok(Err(error)) => return Err(format!("metadata: {error}")),
        Ok(Ok(())) => {}
    }
    instance.stores.probe(instance.stores.default_spec(), PATIENCE).await.map_err(|error| format!("default file storage: {error}"))
}

async fn metrics(State(ctx): State<Ctx>) -> impl IntoResponse {
    for engine in ENGINES {
        let t = ctx.instance.stores.counters(engine).traffic();
        telemetry::store(engine, [t.bytes_read, t.bytes_written], [t.read_ops, t.write_ops]);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::render())
}
