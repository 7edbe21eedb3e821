//! What relayed connections measure, command by command.

use std::fmt::Write;
use std::time::Instant;

use super::histogram::{self, Histogram};
use super::sums::Sums;

/// So many bytes are told before their answer has ended.
const TOLD_BYTES: u64 = 1 << 20;
/// Labels, in the order of [`Route`].
const ROUTES: [&str; 3] = ["relayed", "local", "refused"];
const DIRECTIONS: [&str; 2] = ["to_upstream", "to_client"];

/// Of all connections of one protocol.
struct Totals {
    protocol: &'static str,
    routed: Sums<{ ROUTES.len() }>,
    bytes: Sums<{ DIRECTIONS.len() }>,
}

impl Totals {
    const fn new(protocol: &'static str) -> Totals {
        Totals { protocol, routed: Sums::new(), bytes: Sums::new() }
    }
}

static TOTALS: [Totals; 2] = [Totals::new("mysql"), Totals::new("postgres")];

/// All totals as Prometheus text.
pub fn render() -> String {
    let mut out = String::new();
    let mut family = |name: &str, help: &str, label: &str, rows: &dyn Fn(&Totals) -> Vec<(&'static str, u64)>| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
        for totals in &TOTALS {
            for (word, total) in rows(totals) {
                let _ = writeln!(out, "{name}{{protocol=\"{}\",{label}=\"{word}\"}} {total}", totals.protocol);
            }
        }
    };
    family("flashgate_routed_total", "commands of clients in front of an upstream, by who answered them", "route", &|totals| {
        ROUTES.into_iter().zip(totals.routed.get()).collect()
    });
    let help = "bytes passed between clients and their upstream, unencrypted, by direction";
    family("flashgate_relayed_bytes_total", help, "direction", &|totals| DIRECTIONS.into_iter().zip(totals.bytes.get()).collect());
    out
}

/// What one relayed connection measures: its commands, by who answered them, and its bytes. Cheap to measure with.
pub struct Routed {
    totals: &'static Totals,
    seconds: [&'static Histogram; 3],
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
        Routed {
            totals: TOTALS.iter().find(|totals| totals.protocol == protocol).unwrap_or(&TOTALS[0]),
            seconds: ROUTES.map(|route| histogram::commands(protocol, route)),
            passed: [0; 2],
            began: None,
            ours: None,
        }
    }

    /// The upstream answers it.
    pub fn relayed(&self) {
        self.totals.routed.add(Route::Relayed as usize, 1);
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
        self.totals.routed.add(Route::Local as usize, 1);
        self.ours.get_or_insert(Route::Local);
    }

    /// It is, and cannot be done: it names tables of both, for instance.
    pub fn refused(&mut self) {
        self.totals.routed.add(Route::Refused as usize, 1);
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
        // A long answer, or a stream without an end, is counted while it runs.
        if self.passed[direction] >= TOLD_BYTES {
            self.tell_bytes();
        }
    }

    fn tell_bytes(&mut self) {
        for (direction, passed) in self.passed.iter_mut().enumerate() {
            if *passed > 0 {
                self.totals.bytes.add(direction, std::mem::take(passed));
            }
        }
    }
}

impl Drop for Routed {
    fn drop(&mut self) {
        self.tell_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown under these labels.
    fn shown(line: &str) -> u64 {
        let text = render();
        let found = text.lines().find_map(|found| found.strip_prefix(line));
        found.unwrap_or_else(|| panic!("{line} in\n{text}")).trim().parse().unwrap()
    }

    #[test]
    fn commands_and_bytes_are_shown_by_their_labels() {
        const LINES: [&str; 4] = [
            "flashgate_routed_total{protocol=\"postgres\",route=\"relayed\"}",
            "flashgate_routed_total{protocol=\"postgres\",route=\"refused\"}",
            "flashgate_relayed_bytes_total{protocol=\"postgres\",direction=\"to_upstream\"}",
            "flashgate_relayed_bytes_total{protocol=\"postgres\",direction=\"to_client\"}",
        ];
        let before = LINES.map(shown);
        let mut routed = Routed::new("postgres");
        routed.relayed();
        routed.to_upstream(7);
        routed.to_client(2 << 20);
        routed.answered([Instant::now()]);
        routed.begins();
        routed.refused();
        routed.ends();
        routed.to_upstream(4);
        drop(routed);
        let after = LINES.map(shown);
        // Others count as well meanwhile.
        for ((before, after), more) in before.into_iter().zip(after).zip([1, 1, 11, 2 << 20]) {
            assert!(after >= before + more, "{before} {after} {more}");
        }
    }
}
