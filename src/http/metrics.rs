//! /metrics: everything that was counted, as Prometheus text.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::Pages;
use crate::store::ENGINES;
use crate::telemetry;

pub(super) async fn page(State(pages): State<Pages>) -> impl IntoResponse {
    let context = pages.contexts.load_full();
    let stores = &context.node.stores;
    for engine in ENGINES {
        let t = stores.counters(engine).traffic();
        telemetry::store(engine, [t.bytes_read, t.bytes_written], [t.read_ops, t.write_ops]);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::render())
}
