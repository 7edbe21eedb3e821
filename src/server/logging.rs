//! Log lines: to stderr, as text or JSON. Stdout belongs to the ready line.

use std::sync::OnceLock;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, reload};

use crate::config::{Log, LogFormat};

/// Sets another filter; there once logs flow.
static CHANGE: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Starts logging; once a process, later calls change nothing.
pub fn install(log: &Log) {
    let (filter, handle) = reload::Layer::new(filter_of(&log.level));
    let discreet = filter_fn(is_discreet);
    let layers = tracing_subscriber::registry().with(filter).with(discreet);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let installed = match log.format {
        LogFormat::Text => layers.with(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))).try_init(),
        LogFormat::Json => layers.with(lines.json().flatten_event(true)).try_init(),
    };
    if installed.is_ok() {
        let _ = CHANGE.set(Box::new(move |filter| {
            // It fails only when there is nothing left to change.
            let _ = handle.reload(filter);
        }));
    }
}

/// Logs what this level or filter says, from now on.
pub fn set_level(level: &str) {
    if let Some(change) = CHANGE.get() {
        change(filter_of(level));
    }
}

fn filter_of(level: &str) -> EnvFilter {
    // The level was checked with the configuration.
    EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Libraries write tokens, plans and statements with their literals below INFO: of them no such line is taken, whatever
/// the level.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
}
