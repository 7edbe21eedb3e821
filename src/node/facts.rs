//! Global variables whose values come from the configuration (max_connections, ssl, ..).

use crate::config::Config;
use crate::variables::{Family, Globals, Value};

/// MySQL's default for wait_timeout, in seconds.
const WAIT_TIMEOUT: u64 = 28_800;

/// Sets the variables whose configured value differs between `old` and `new`; a value that a client has SET since stays.
pub(super) fn tell(globals: &Globals, new: &Config, old: Option<&Config>) {
    let known = old.map(facts).unwrap_or_default();
    for fact in facts(new) {
        if !known.contains(&fact) {
            let (family, name, value) = fact;
            globals.fact(family, name, value);
        }
    }
}

fn facts(config: &Config) -> Vec<(Family, &'static str, Value)> {
    let limits = &config.limits;
    let tls = config.has_tls();
    let word = Value::Text(if tls { "YES" } else { "DISABLED" }.into());
    // A session ends after the shorter of the two timeouts.
    let silence = limits.idle_timeout.limit().map_or(WAIT_TIMEOUT, |limit| {
        let seconds = limit.as_secs().saturating_add(u64::from(limit.subsec_nanos() > 0));
        seconds.clamp(1, WAIT_TIMEOUT)
    });
    let mut facts = vec![
        (Family::MySql, "max_connections", Value::Int(limits.connections as i64)),
        (Family::Postgres, "max_connections", Value::Int(limits.connections as i64)),
        (Family::MySql, "max_allowed_packet", Value::Int(limits.message_bytes.0 as i64)),
        (Family::MySql, "have_ssl", word.clone()),
        (Family::MySql, "have_openssl", word),
        (Family::MySql, "require_secure_transport", Value::Bool(tls && config.tls.required)),
        (Family::Postgres, "ssl", Value::Bool(tls)),
        (Family::MySql, "wait_timeout", Value::UInt(silence)),
        (Family::MySql, "interactive_timeout", Value::UInt(silence)),
    ];
    for family in [Family::MySql, Family::Postgres] {
        facts.push((family, "backup_oss_period", Value::Int(i64::from(config.purge.backup_oss_period_days))));
    }
    if let Some(limit) = limits.login_timeout.limit() {
        facts.push((Family::MySql, "connect_timeout", Value::UInt(limit.as_secs().max(1))));
    }
    facts
}
