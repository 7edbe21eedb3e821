//! Histograms of fixed buckets: two additions a value, and no memory that grows until somebody looks, since a relay records
//! every command.

use std::fmt::Write;
use std::time::Duration;

use super::sums::Sums;

/// Upper bounds, in microseconds. The last bucket has none.
const BOUNDS: [u64; 16] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 30_000_000, 300_000_000];

const COMMANDS: (&str, &str) =
    ("flashgate_command_seconds", "time from a command of a client in front of an upstream to the end of its answer");
const CONNECTS: (&str, &str) = ("flashgate_upstream_connect_seconds", "time that connecting to an upstream took");

/// Durations of one kind.
#[derive(Debug)]
pub struct Histogram {
    labels: &'static str,
    /// How many of each bucket; the microseconds of all.
    sums: Sums<{ BOUNDS.len() + 2 }>,
}

/// Where the microseconds are among the sums.
const MICROS: usize = BOUNDS.len() + 1;

static BY_COMMAND: [Histogram; 6] = [
    Histogram::new("protocol=\"mysql\",route=\"relayed\""),
    Histogram::new("protocol=\"mysql\",route=\"local\""),
    Histogram::new("protocol=\"mysql\",route=\"refused\""),
    Histogram::new("protocol=\"postgres\",route=\"relayed\""),
    Histogram::new("protocol=\"postgres\",route=\"local\""),
    Histogram::new("protocol=\"postgres\",route=\"refused\""),
];
static BY_UPSTREAM: [Histogram; 2] = [Histogram::new("protocol=\"mysql\""), Histogram::new("protocol=\"postgres\"")];

/// Of commands.
pub fn commands(protocol: &str, route: &str) -> &'static Histogram {
    let route = match route {
        "relayed" => 0,
        "local" => 1,
        _ => 2,
    };
    &BY_COMMAND[route + if protocol == "mysql" { 0 } else { 3 }]
}

/// Of attempts to connect.
pub fn connects(protocol: &str) -> &'static Histogram {
    &BY_UPSTREAM[usize::from(protocol != "mysql")]
}

impl Histogram {
    const fn new(labels: &'static str) -> Histogram {
        Histogram { labels, sums: Sums::new() }
    }

    /// Counts one.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Most are short: the first bounds are looked at first.
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        self.sums.add(bucket, 1);
        self.sums.add(MICROS, micros);
    }

    fn render(&self, name: &str, out: &mut String) {
        let mut count = 0;
        let sums = self.sums.get();
        for (bound, more) in BOUNDS.iter().zip(sums) {
            count += more;
            let _ = writeln!(out, "{name}_bucket{{{},le=\"{}\"}} {count}", self.labels, *bound as f64 / 1e6);
        }
        count += sums[BOUNDS.len()];
        let sum = sums[MICROS] as f64 / 1e6;
        let _ =
            writeln!(out, "{name}_bucket{{{0},le=\"+Inf\"}} {count}\n{name}_sum{{{0}}} {sum}\n{name}_count{{{0}}} {count}", self.labels);
    }
}

/// All of them as Prometheus text.
pub fn render() -> String {
    let mut out = String::new();
    for ((name, help), all) in [(COMMANDS, &BY_COMMAND[..]), (CONNECTS, &BY_UPSTREAM[..])] {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        all.iter().for_each(|histogram| histogram.render(name, &mut out));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_every_bucket_from_its_own_on() {
        let histogram = Histogram::new("kind=\"test\"");
        for micros in [0, 100, 101, 2_000_000, u64::MAX] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut text = String::new();
        histogram.render("x", &mut text);
        for line in [
            "x_bucket{kind=\"test\",le=\"0.0001\"} 2",
            "x_bucket{kind=\"test\",le=\"0.00025\"} 3",
            "x_bucket{kind=\"test\",le=\"1\"} 3",
            "x_bucket{kind=\"test\",le=\"5\"} 4",
            "x_bucket{kind=\"test\",le=\"300\"} 4",
            "x_bucket{kind=\"test\",le=\"+Inf\"} 5",
            "x_count{kind=\"test\"} 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn every_pair_of_words_has_its_own() {
        let mut all: Vec<&str> = Vec::new();
        for protocol in ["mysql", "postgres"] {
            for route in ["relayed", "local", "refused"] {
                assert_eq!(commands(protocol, route).labels, format!("protocol=\"{protocol}\",route=\"{route}\""));
                all.push(commands(protocol, route).labels);
            }
            assert_eq!(connects(protocol).labels, format!("protocol=\"{protocol}\""));
        }
        all.dedup();
        assert_eq!(all.len(), 6);
    }
}
