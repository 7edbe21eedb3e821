//! Reload (SIGHUP): reads the configuration again while clients are served. A setting that can change without a restart takes
//! effect at once or for new connections; the log names those that cannot. All or nothing: an error in the file, a certificate
//! or an authority leaves everything as it was.

use std::sync::Arc;

use super::{Server, logging, tls};
use crate::config::keys::KEYS;
use crate::config::{Config, ConfigError, Loaded};
use crate::wire::{Context, Upstreams};

impl Server {
    /// Puts the configuration that was read in force. Open connections continue.
    pub fn reload(&self, read: Result<Loaded, ConfigError>) {
        let loaded = match read {
            Ok(loaded) => loaded,
            Err(error) => return refused(&error),
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        match self.take_over(&loaded.config) {
            Ok(Changes { now, later }) => {
                let changed = now.join(", ");
                tracing::info!(changed, "the configuration was read again");
                for key in later {
                    tracing::warn!(key, "this setting has changed and takes effect at the next start");
                }
            }
            Err(error) => refused(&error),
        }
    }

    fn take_over(&self, fresh: &Config) -> Result<Changes, ConfigError> {
        let node = &self.node;
        let (config, changes) = merge(&node.config(), fresh)?;
        config.validate()?;
        config.check_exposure(node.users.count())?;
        let upstreams = Upstreams::open(&config)?;
        let tls = tls::Tls::open(&config).inspect_err(|error| tracing::error!(%error, "the certificate was not read"))?;
        let tls = tls.map(|tls| tls.server_config()).transpose()?;
        // From here on nothing fails.
        let certified = tls.is_some();
        logging::set_level(&config.log.level);
        self.admission.connection_limit.set_limit(config.limits.connections);
        let before = self.contexts.load();
        node.reconfigure(config);
        self.contexts.store(Arc::new(Context { tls, upstreams, ..Context::clone(&before) }));
        if certified {
            tracing::info!("the certificate was read again");
        }
        Ok(changes)
    }
}

fn refused(error: &ConfigError) {
    tracing::error!(%error, "the configuration was not taken over; the old one stays in force");
}

/// Keys whose values differ.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    now: Vec<&'static str>,
    /// After a restart.
    later: Vec<&'static str>,
}

/// The configuration after a reload: new values for the keys that can change, old values for the others.
fn merge(old: &Config, fresh: &Config) -> Result<(Config, Changes), ConfigError> {
    let wrong = |error: &dyn std::fmt::Display| ConfigError(format!("configuration: {error}"));
    let table = |config: &Config| toml::Value::try_from(config).map_err(|error| wrong(&error));
    let (before, mut merged) = (table(old)?, table(fresh)?);
    let mut changes = Changes::default();
    for key in KEYS {
        let Some(was) = at(&before, key.path) else { continue };
        if at(&merged, key.path) == Some(was) {
            continue;
        }
        if key.live {
            changes.now.push(key.path);
        } else {
            changes.later.push(key.path);
            put(&mut merged, key.path, was.clone());
        }
    }
    Ok((merged.try_into().map_err(|error: toml::de::Error| wrong(&error))?, changes))
}

fn at<'a>(value: &'a toml::Value, path: &str) -> Option<&'a toml::Value> {
    path.split('.').try_fold(value, |value, part| value.get(part))
}

fn put(value: &mut toml::Value, path: &str, new: toml::Value) {
    let slot = path.split('.').try_fold(value, |value, part| value.get_mut(part));
    if let Some(slot) = slot {
        *slot = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Size, Span};

    #[test]
    fn what_can_change_does_and_the_rest_stays_and_is_named() {
        let old = Config::default();
        let mut fresh = Config::default();
        fresh.limits.connections = 7;
        fresh.limits.idle_timeout = Span::OFF;
        fresh.upstream.mysql.address = "db:3306".into();
        fresh.listen.mysql = "127.0.0.1:1".parse().unwrap();
        fresh.limits.engine_memory = Size::mib(64);
        fresh.data_dir = "/elsewhere".into();
        let (config, changes) = merge(&old, &fresh).unwrap();
        assert_eq!(changes.now, ["upstream.mysql.address", "limits.connections", "limits.idle_timeout"]);
        assert_eq!(changes.later, ["data_dir", "listen.mysql", "limits.engine_memory"]);
        let mut want = old.clone();
        want.limits.connections = 7;
        want.limits.idle_timeout = Span::OFF;
        want.upstream.mysql.address = "db:3306".into();
        assert_eq!(config, want);
        assert_eq!(merge(&old, &old).unwrap(), (old.clone(), Changes::default()));
    }
}
