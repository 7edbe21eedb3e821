//! Metrics by name, in one place. Labels are words from a fixed list; nothing that a user wrote ever becomes one.
//!
//! Rooms call these functions; `server` renders them at /metrics. Before [`install`] they do nothing.

mod histogram;
pub mod whose;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const CONNECTIONS: &str = "flashgate_connections";
const CONNECTIONS_TOTAL: &str = "flashgate_connections_total";
const REFUSED: &str = "flashgate_connections_refused_total";
const LOGINS: &str = "flashgate_logins_total";
const STATEMENTS: &str = "flashgate_statements_total";
const ROUTED: &str = "flashgate_routed_total";
const RELAYED_BYTES: &str = "flashgate_relayed_bytes_total";
const SESSIONS: &str = "flashgate_sessions";
const CONNECTS: &str = "flashgate_upstream_connects_total";
const SECONDS: &str = "flashgate_statement_seconds";
const STORE_BYTES: &str = "flashgate_store_bytes_total";
const STORE_OPERATIONS: &str = "flashgate_store_operations_total";
const SWEPT: &str = "flashgate_garbage_swept_total";
const PANICS: &str = "flashgate_panics_total";

/// So many bytes are told before their answer has ended.
const TOLD_BYTES: u64 = 1 << 20;
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
        describe_counter!(RELAYED_BYTES, Unit::Bytes, "bytes passed between clients and their upstream, unencrypted, by direction");
        describe_gauge!(SESSIONS, "clients that have logged in, by who serves them");
        describe_counter!(CONNECTS, "attempts to connect to an upstream, by outcome");
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
            handle.render() + &histogram::render()
        }
        _ => String::new(),
    }
}

/// Puts what was measured where it takes no more room; to be called from time to time, whether anybody looks or not.
pub fn upkeep() {
    if let Some(Some(handle)) = HANDLE.get() {
        handle.run_upkeep();
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

/// What one relayed connection measures: its commands, by who answered them, and its bytes. Cheap to measure with.
pub struct Routed {
    counts: [metrics::Counter; 3],
    seconds: [&'static histogram::Histogram; 3],
    bytes: [metrics::Counter; 2],
    /// Not told yet: towards the upstream, and towards the client.
    passed: [u64; 2],
    /// The command that is looked at: since when, and what it turned out to be.
    began: Option<Instant>,
    ours: Option<Route>,
}

/// Where a command went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Relayed,
    Local,
    Refused,
}

impl Routed {
    /// `protocol`: mysql or postgres.
    pub fn new(protocol: &'static str) -> Routed {
        let counter = |route: &'static str| counter!(ROUTED, "protocol" => protocol, "route" => route);
        let bytes = |direction: &'static str| counter!(RELAYED_BYTES, "protocol" => protocol, "direction" => direction);
        Routed {
            counts: ["relayed", "local", "refused"].map(counter),
            seconds: ["relayed", "local", "refused"].map(|route| histogram::commands(protocol, route)),
            bytes: ["to_upstream", "to_client"].map(bytes),
            passed: [0; 2],
            began: None,
            ours: None,
        }
    }

    /// The upstream answers it.
    pub fn relayed(&self) {
        self.counts[Route::Relayed as usize].increment(1);
    }

    /// The upstream has answered what came at these times; tells the bytes as well.
    pub fn answered(&mut self, since: impl IntoIterator<Item = Instant>) {
        let now = Instant::now();
        for since in since {
            self.seconds[Route::Relayed as usize].record(now.saturating_duration_since(since));
        }
        self.tell_bytes();
    }

    /// A command is looked at that may be ours.
    pub fn begins(&mut self) {
        self.began = Some(Instant::now());
        self.ours = None;
    }

    /// It is, and Flashgate answers it.
    pub fn local(&mut self) {
        self.counts[Route::Local as usize].increment(1);
        self.ours.get_or_insert(Route::Local);
    }

    /// It is, and cannot be done: it names tables of both, for instance.
    pub fn refused(&mut self) {
        self.counts[Route::Refused as usize].increment(1);
        self.ours = Some(Route::Refused);
    }

    /// What was looked at is answered, or on its way to the upstream.
    pub fn ends(&mut self) {
        if let (Some(began), Some(route)) = (self.began.take(), self.ours.take()) {
            self.seconds[route as usize].record(began.elapsed());
        }
    }

    /// So many bytes go to the upstream.
    pub fn to_upstream(&mut self, bytes: usize) {
        self.pass(0, bytes);
    }

    /// So many bytes go to the client.
    pub fn to_client(&mut self, bytes: usize) {
        self.pass(1, bytes);
    }

    fn pass(&mut self, direction: usize, bytes: usize) {
        self.passed[direction] += bytes as u64;
        // A long answer, or a stream without an end, is told of on its way.
        if self.passed[direction] >= TOLD_BYTES {
            self.tell_bytes();
        }
    }

    fn tell_bytes(&mut self) {
        for (counter, passed) in self.bytes.iter().zip(&mut self.passed) {
            if *passed > 0 {
                counter.increment(std::mem::take(passed));
            }
        }
    }
}

impl Drop for Routed {
    fn drop(&mut self) {
        self.tell_bytes();
    }
}

/// A client that has logged in, counted from here until it is dropped.
#[derive(Debug)]
pub struct Session([&'static str; 2]);

impl Session {
    /// `protocol`: mysql or postgres. `route`: upstream or local.
    pub fn new(protocol: &'static str, route: &'static str) -> Session {
        gauge!(SESSIONS, "protocol" => protocol, "route" => route).increment(1.0);
        Session([protocol, route])
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let [protocol, route] = self.0;
        gauge!(SESSIONS, "protocol" => protocol, "route" => route).decrement(1.0);
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
        counter!(CONNECTS, "protocol" => self.protocol, "outcome" => outcome(succeeded)).increment(1);
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
