//! Metrics by name, in one place. Labels are words from a fixed list; nothing that a user wrote ever becomes one.
//!
//! Rooms call these functions; `server` renders them at /metrics. Before [`install`] they do nothing.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const CONNECTIONS: &str = "flashgate_connections";
const CONNECTIONS_TOTAL: &str = "flashgate_connections_total";
const REFUSED: &str = "flashgate_connections_refused_total";
const LOGINS: &str = "flashgate_logins_total";
const STATEMENTS: &str = "flashgate_statements_total";
const ROUTED: &str = "flashgate_routed_total";
const SECONDS: &str = "flashgate_statement_seconds";
const STORE_BYTES: &str = "flashgate_store_bytes_total";
const STORE_OPERATIONS: &str = "flashgate_store_operations_total";
const SWEPT: &str = "flashgate_garbage_swept_total";
const PANICS: &str = "flashgate_panics_total";

/// Upper bounds of the statement histogram, in seconds.
const BUCKETS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Collects from now on; once a process. Another recorder of the process (an embedding program's) is left in place.
pub fn install() {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(SECONDS.into()), BUCKETS);
        let handle = builder.ok()?.install_recorder().ok()?;
        describe_gauge!(CONNECTIONS, "clients that are connected now");
        describe_counter!(CONNECTIONS_TOTAL, "clients that ever connected");
        describe_counter!(REFUSED, "clients that were sent away because limits.connections was reached");
        describe_counter!(LOGINS, "attempts to authenticate, by outcome");
        describe_counter!(STATEMENTS, "statements that ended, by kind and outcome");
        describe_counter!(ROUTED, "commands of clients in front of an upstream, by who answered them");
        describe_histogram!(SECONDS, Unit::Seconds, "time from a statement's arrival to its first answer");
        describe_counter!(STORE_BYTES, Unit::Bytes, "bytes read from and written to file storages");
        describe_counter!(STORE_OPERATIONS, "requests to file storages");
        describe_counter!(SWEPT, "objects that the sweeper deleted");
        describe_counter!(PANICS, "connections and background turns that ended by a fault of our own");
        Some(handle)
    });
}

/// Everything as Prometheus text; empty before [`install`].
pub fn render() -> String {
    match HANDLE.get() {
        Some(Some(handle)) => {
            handle.run_upkeep();
            handle.render()
        }
        _ => String::new(),
    }
}

/// One connection, counted from here until it is dropped.
#[derive(Debug)]
pub struct Connected(&'static str);

impl Connected {
    /// `protocol`: mysql or postgres.
    pub fn new(protocol: &'static str) -> Connected {
        counter!(CONNECTIONS_TOTAL, "protocol" => protocol).increment(1);
        gauge!(CONNECTIONS, "protocol" => protocol).increment(1.0);
        Connected(protocol)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        gauge!(CONNECTIONS, "protocol" => self.0).decrement(1.0);
    }
}

/// A client was sent away for the connection limit.
pub fn refused(protocol: &'static str) {
    counter!(REFUSED, "protocol" => protocol).increment(1);
}

/// Somebody tried to authenticate.
pub fn login(protocol: &'static str, succeeded: bool) {
    counter!(LOGINS, "protocol" => protocol, "outcome" => outcome(succeeded)).increment(1);
}

/// A statement ended. `kind` is a word of ours: select, insert, alter_filestorage, ...
pub fn statement(protocol: &'static str, kind: &'static str, succeeded: bool, took: Duration) {
    counter!(STATEMENTS, "protocol" => protocol, "kind" => kind, "outcome" => outcome(succeeded)).increment(1);
    histogram!(SECONDS, "protocol" => protocol, "kind" => kind).record(took.as_secs_f64());
}

/// Counts of one connection's commands, by who answered them. Cheap to count with.
#[derive(Clone)]
pub struct Routed {
    relayed: metrics::Counter,
    local: metrics::Counter,
    refused: metrics::Counter,
}

impl Routed {
    /// `protocol`: mysql or postgres.
    pub fn new(protocol: &'static str) -> Routed {
        let counter = |route: &'static str| counter!(ROUTED, "protocol" => protocol, "route" => route);
        Routed { relayed: counter("relayed"), local: counter("local"), refused: counter("refused") }
    }

    /// The upstream answers it.
    pub fn relayed(&self) {
        self.relayed.increment(1);
    }

    /// Flashgate has answered it.
    pub fn local(&self) {
        self.local.increment(1);
    }

    /// It was ours and could not be done: it names tables of both, for instance.
    pub fn refused(&self) {
        self.refused.increment(1);
    }
}

/// Totals of one engine since the process started.
pub fn store(engine: &'static str, bytes: [u64; 2], operations: [u64; 2]) {
    for (n, direction) in ["read", "write"].into_iter().enumerate() {
        counter!(STORE_BYTES, "engine" => engine, "direction" => direction).absolute(bytes[n]);
        counter!(STORE_OPERATIONS, "engine" => engine, "direction" => direction).absolute(operations[n]);
    }
}

/// The sweeper deleted so many objects.
pub fn swept(objects: u64) {
    counter!(SWEPT).increment(objects);
}

/// A fault of our own was caught.
pub fn panicked(place: &'static str) {
    counter!(PANICS, "place" => place).increment(1);
}

fn outcome(succeeded: bool) -> &'static str {
    if succeeded { "ok" } else { "error" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered_with_its_labels() {
        install();
        install();
        statement("mysql", "test_kind", true, Duration::from_millis(3));
        let connected = Connected::new("test_protocol");
        let text = render();
        assert!(text.contains("flashgate_statements_total{protocol=\"mysql\",kind=\"test_kind\",outcome=\"ok\"} 1"), "{text}");
        assert!(text.contains("flashgate_statement_seconds_bucket{protocol=\"mysql\",kind=\"test_kind\",le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("flashgate_connections{protocol=\"test_protocol\"} 1"), "{text}");
        drop(connected);
        assert!(render().contains("flashgate_connections{protocol=\"test_protocol\"} 0"));
    }
}
