//! HTTP: health, readiness and metrics, each in a file of its own. It changes nothing.

mod metrics;
mod ready;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::wire::Context;
use ready::Upstreams;

/// What the pages are made from.
#[derive(Clone)]
struct Pages {
    contexts: Arc<ArcSwap<Context>>,
    /// Fires when the server stops to take clients.
    drain: CancellationToken,
    upstreams: Arc<Upstreams>,
}

/// Answers requests until `stop`.
pub async fn serve(listener: TcpListener, contexts: Arc<ArcSwap<Context>>, drain: CancellationToken, stop: CancellationToken) {
    let routes = routes(Pages { contexts, drain, upstreams: Arc::default() });
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "the HTTP listener ended");
    }
}

fn routes(pages: Pages) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready::page))
        .route("/metrics", get(metrics::page))
        .with_state(pages)
}
