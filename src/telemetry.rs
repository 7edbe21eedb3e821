//! Metrics by name, in one place. Labels are words from a fixed list; nothing that a user wrote ever becomes one.
//!
//! Rooms call these functions; `server` renders them at /metrics. Before [`install`] they do nothing.

pub mod connection_span;
mod histogram;
mod routed;
mod sums;

use std::any::Any;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
pub use routed::Routed;

const CONNECTIONS: &str = "flashgate_connections";
const CONNECTIONS_TOTAL: &str = "flashgate_connections_total";
const REFUSED: &str = "flashgate_connections_refused_total";
const LOGINS: &str = "flashgate_logins_total";
const STATEMENTS: &str = "flashgate_statements_total";
const SESSIONS: &str = "flashgate_sessions";
const CONNECTS: &str = "flashgate_upstream_connects_total";
const PLANS_AHEAD: &str = "flashgate_plans_ahead_total";
const SECONDS: &str = "flashgate_statement_seconds";
const STORE_BYTES: &str = "flashgate_store_bytes_total";
const STORE_OPERATIONS: &str = "flashgate_store_operations_total";
const SWEPT: &str = "flashgate_garbage_swept_total";
const PANICS: &str = "flashgate_panics_total";

/// Upper bounds of the statement histogram, in seconds.
const BUCKETS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// The counters of one protocol's connections, looked up once.
#[derive(Debug)]
struct ByProtocol {
    connections: Gauge,
    connections_total: Counter,
    /// Failed, succeeded.
    logins: [Counter; 2],
    connects: [Counter; 2],
    /// Local, upstream.
    sessions: [Gauge; 2],
}

static BY_PROTOCOL: OnceLock<[ByProtocol; 2]> = OnceLock::new();

impl ByProtocol {
    fn new(protocol: &'static str) -> ByProtocol {
        ByProtocol {
            connections: gauge!(CONNECTIONS, "protocol" => protocol),
            connections_total: counter!(CONNECTIONS_TOTAL, "protocol" => protocol),
            logins: [false, true].map(|succeeded| counter!(LOGINS, "protocol" => protocol, "outcome" => outcome(succeeded))),
            connects: [false, true].map(|succeeded| counter!(CONNECTS, "protocol" => protocol, "outcome" => outcome(succeeded))),
            sessions: ["local", "upstream"].map(|route| gauge!(SESSIONS, "protocol" => protocol, "route" => route)),
        }
    }

    /// `protocol`: mysql or postgres.
    fn of(protocol: &'static str) -> Option<&'static ByProtocol> {
        BY_PROTOCOL.get().map(|all| &all[usize::from(protocol != "mysql")])
    }
}

/// Collects from now on; once a process. Another recorder of the process (an embedding program's) is left in place.
pub fn install() {
    HANDLE.get_or_init(collect);
    BY_PROTOCOL.get_or_init(|| ["mysql", "postgres"].map(ByProtocol::new));
}

fn collect() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(SECONDS.into()), BUCKETS);
    let handle = builder.ok()?.install_recorder().ok()?;
    describe_gauge!(CONNECTIONS, "clients that are connected now");
    describe_counter!(CONNECTIONS_TOTAL, "clients that ever connected");
    describe_counter!(REFUSED, "clients that were refused because limits.connections was reached");
    describe_counter!(LOGINS, "attempts to authenticate, by outcome");
    describe_counter!(STATEMENTS, "statements that ended, by kind and outcome");
    describe_gauge!(SESSIONS, "clients that have logged in, by who serves them");
    describe_counter!(CONNECTS, "attempts to connect to an upstream, by outcome");
    describe_counter!(PLANS_AHEAD, "queries that were planned before it was known that they would be run as planned, by outcome");
    describe_histogram!(SECONDS, Unit::Seconds, "time from a statement's arrival to its first answer");
    describe_counter!(STORE_BYTES, Unit::Bytes, "bytes read from and written to file storages");
    describe_counter!(STORE_OPERATIONS, "requests to file storages");
    describe_counter!(SWEPT, "objects that the sweeper deleted");
    describe_counter!(PANICS, "statements, connections and background tasks that ended by a fault of Flashgate");
    Some(handle)
}

/// Everything as Prometheus text; empty before [`install`].
pub fn render() -> String {
    match HANDLE.get() {
        Some(Some(handle)) => {
            handle.run_upkeep();
            handle.render() + &routed::render() + &histogram::render()
        }
        _ => String::new(),
    }
}

/// Sums up what was measured, so that it takes no more memory; call it from time to time even when nobody reads the metrics.
pub fn upkeep() {
    if let Some(Some(handle)) = HANDLE.get() {
        handle.run_upkeep();
    }
}

/// One connection, counted from here until it is dropped.
#[derive(Debug)]
pub struct Connected(Option<&'static ByProtocol>);

impl Connected {
    /// `protocol`: mysql or postgres.
    pub fn new(protocol: &'static str) -> Connected {
        Connected(ByProtocol::of(protocol).inspect(|counted| {
            counted.connections_total.increment(1);
            counted.connections.increment(1.0);
        }))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.inspect(|counted| counted.connections.decrement(1.0));
    }
}

/// A client was refused: the connection limit was reached.
pub fn refused(protocol: &'static str) {
    counter!(REFUSED, "protocol" => protocol).increment(1);
}

/// A client tried to authenticate.
pub fn login(protocol: &'static str, succeeded: bool) {
    if let Some(counted) = ByProtocol::of(protocol) {
        counted.logins[usize::from(succeeded)].increment(1);
    }
}

/// A statement ended. `kind` is from a fixed list: select, insert, alter_filestorage, ...
pub fn statement(protocol: &'static str, kind: &'static str, succeeded: bool, took: Duration) {
    counter!(STATEMENTS, "protocol" => protocol, "kind" => kind, "outcome" => outcome(succeeded)).increment(1);
    histogram!(SECONDS, "protocol" => protocol, "kind" => kind).record(took.as_secs_f64());
}

/// A query was planned ahead; was it run as planned?
pub fn planned_ahead(protocol: &'static str, used: bool) {
    counter!(PLANS_AHEAD, "protocol" => protocol, "outcome" => if used { "used" } else { "dropped" }).increment(1);
}

/// A client that has logged in, counted from here until it is dropped.
#[derive(Debug)]
pub struct Session(Option<&'static Gauge>);

impl Session {
    /// `protocol`: mysql or postgres. `route`: upstream or local.
    pub fn new(protocol: &'static str, route: &'static str) -> Session {
        let gauge = ByProtocol::of(protocol).map(|counted| &counted.sessions[usize::from(route == "upstream")]);
        gauge.inspect(|gauge| gauge.increment(1.0));
        Session(gauge)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.inspect(|gauge| gauge.decrement(1.0));
    }
}

/// Counts the attempts to connect to one upstream.
pub struct Connects {
    protocol: &'static str,
    seconds: &'static histogram::Histogram,
}

impl Connects {
    /// `protocol`: mysql or postgres.
    pub fn new(protocol: &'static str) -> Connects {
        Connects { protocol, seconds: histogram::connects(protocol) }
    }

    /// One has ended.
    pub fn ended(&self, succeeded: bool, took: Duration) {
        if let Some(counted) = ByProtocol::of(self.protocol) {
            counted.connects[usize::from(succeeded)].increment(1);
        }
        if succeeded {
            self.seconds.record(took);
        }
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

/// A panic was caught; gives its message.
pub fn panicked<'a>(place: &'static str, panic: &'a (dyn Any + Send)) -> &'a str {
    counter!(PANICS, "place" => place).increment(1);
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
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
        let connected = Connected::new("mysql");
        let text = render();
        assert!(text.contains("flashgate_statements_total{protocol=\"mysql\",kind=\"test_kind\",outcome=\"ok\"} 1"), "{text}");
        assert!(text.contains("flashgate_statement_seconds_bucket{protocol=\"mysql\",kind=\"test_kind\",le=\"0.005\"} 1"), "{text}");
        let connections = text.lines().find_map(|line| line.strip_prefix("flashgate_connections{protocol=\"mysql\"} "));
        // Others connect as well meanwhile.
        assert!(connections.is_some_and(|n| n.parse::<u64>().unwrap() >= 1), "{text}");
        drop(connected);
    }
}
