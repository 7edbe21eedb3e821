//! Log lines: to stderr, as text or JSON. Stdout belongs to the ready line.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// Starts logging; once a process, later calls change nothing.
pub fn install(log: &Log) {
    // The level was checked with the configuration.
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let discreet = filter_fn(is_discreet);
    let _ = match log.format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).finish().with(discreet).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().with(discreet).try_init(),
    };
}

/// Libraries write tokens, plans and statements with their literals below INFO: of them no such line is taken, whatever
/// the level.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
}
