//! One typed configuration. File < environment < flags; an unknown key is an error that names the nearest one.
//!
//! This module owns the fields, their defaults and their checks; [`load`] owns where values come from, [`units`] the
//! values with a unit. Every field is described once, in [`keys::KEYS`], which is also what `flashgate config` prints.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod address;
pub mod keys;
pub mod load;
mod networks;
pub mod units;

pub use address::Address;
pub use load::{Loaded, Overrides, load};
pub use networks::Networks;
pub use units::{Size, Span};

/// The key that lets clients in whom an upstream has let in over a Unix socket without a password.
pub const DANGER_SOCKET_LOGINS: &str = "upstream.danger_socket_logins_without_password";

/// Linux takes no longer time before keepalive probes (include/net/tcp.h, MAX_TCP_KEEPIDLE).
const MOST_KEEPALIVE: u64 = 32_767;
/// TCP_USER_TIMEOUT is a whole number of milliseconds of 31 bits.
const MOST_TIMEOUT: Duration = Duration::from_secs(24 * 86_400);

/// A wrong configuration: the process answers it with exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Everything that can be set. The meaning of each field is in [`keys::KEYS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    pub data_dir: PathBuf,
    pub instance_id: String,
    pub listen: Listen,
    pub tls: Tls,
    pub upstream: Upstreams,
    pub limits: Limits,
    pub gms: GmsConfig,
    pub storage: Storage,
    pub cold: Cold,
    pub purge: Purge,
    pub log: Log,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listen {
    pub mysql: Address,
    pub postgres: Address,
    pub http: Address,
    /// From where a PROXY header is awaited; see [`Networks`].
    pub proxy_protocol: Networks,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tls {
    /// Empty: none.
    pub cert: PathBuf,
    pub key: PathBuf,
    pub self_signed: bool,
    pub required: bool,
}

/// The upstream databases, by protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstreams {
    pub list_cold_tables: bool,
    pub danger_socket_logins_without_password: bool,
    pub mysql: Upstream,
    pub postgres: Upstream,
}

impl Default for Upstreams {
    fn default() -> Self {
        Upstreams {
            list_cold_tables: true,
            danger_socket_logins_without_password: false,
            mysql: Upstream::default(),
            postgres: Upstream::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// `host:port`, or the path of a Unix socket. Empty: none, Flashgate answers by itself.
    pub address: String,
    pub tls: UpstreamTls,
    /// Empty: none.
    pub ca: PathBuf,
    pub connect_timeout: Span,
    pub proxy_protocol: bool,
}

/// How the leg to an upstream is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamTls {
    Disabled,
    /// As the client's own leg is, where the upstream offers it.
    Preferred,
    /// Always; the certificate is not checked.
    Required,
    /// Always, with a certificate of `ca`.
    VerifyCa,
    /// And with the name of the host in it.
    VerifyFull,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub connections: usize,
    pub message_bytes: Size,
    pub login_timeout: Span,
    pub idle_timeout: Span,
    pub statement_timeout: Span,
    pub drain_deadline: Span,
    pub keepalive: Span,
    pub write_timeout: Span,
    pub unacknowledged_timeout: Span,
    pub engine_memory: Size,
    pub engine_threads: usize,
    /// Empty: `spill` in the data directory. Use [`Config::spill_dir`].
    pub spill_dir: PathBuf,
    pub spill_bytes: Size,
    pub batch_rows: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GmsConfig {
    /// Empty: SQLite in the data directory. Use [`Config::gms_url`].
    pub url: String,
    pub refresh_interval: Span,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// Empty: `files` in the data directory. Use [`Config::default_uri`].
    pub default_uri: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cold {
    pub target_file_rows: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purge {
    pub backup_oss_period_days: u32,
    pub garbage_delay: Span,
    pub sweep_interval: Span,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("./flashgate-data"),
            instance_id: "flashgate".into(),
            listen: Listen::default(),
            tls: Tls::default(),
            upstream: Upstreams::default(),
            limits: Limits::default(),
            gms: GmsConfig::default(),
            storage: Storage::default(),
            cold: Cold::default(),
            purge: Purge::default(),
            log: Log::default(),
        }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Upstream {
            address: String::new(),
            tls: UpstreamTls::Preferred,
            ca: PathBuf::new(),
            connect_timeout: Span::secs(10),
            proxy_protocol: false,
        }
    }
}

impl Upstream {
    /// Is there one?
    pub fn is_set(&self) -> bool {
        !self.address.is_empty()
    }
}

impl Default for Listen {
    fn default() -> Self {
        Listen {
            mysql: Address::loopback(3307),
            postgres: Address::loopback(5433),
            http: Address::loopback(8080),
            proxy_protocol: Networks::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            message_bytes: Size::mib(64),
            login_timeout: Span::secs(10),
            idle_timeout: Span::secs(8 * 3600),
            statement_timeout: Span::OFF,
            drain_deadline: Span::secs(30),
            keepalive: Span::secs(60),
            write_timeout: Span::secs(600),
            unacknowledged_timeout: Span::OFF,
            engine_memory: Size::gib(1),
            engine_threads: 0,
            spill_dir: PathBuf::new(),
            spill_bytes: Size::gib(64),
            batch_rows: 8192,
        }
    }
}

impl Default for GmsConfig {
    fn default() -> Self {
        GmsConfig { url: String::new(), refresh_interval: Span::secs(1) }
    }
}

impl Default for Cold {
    fn default() -> Self {
        Cold { target_file_rows: 1_000_000 }
    }
}

impl Default for Purge {
    fn default() -> Self {
        Purge { backup_oss_period_days: 30, garbage_delay: Span::secs(24 * 3600), sweep_interval: Span::secs(60) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".into(), format: LogFormat::Text }
    }
}

impl Config {
    /// Where the metadata lies: `gms.url`, or SQLite in the data directory.
    pub fn gms_url(&self) -> String {
        if self.gms.url.is_empty() { format!("sqlite:{}", absolute(&self.data_dir).join("gms.db").display()) } else { self.gms.url.clone() }
    }

    /// Where the default file storage lies: `storage.default_uri`, or `files` in the data directory.
    pub fn default_uri(&self) -> String {
        if !self.storage.default_uri.is_empty() {
            return self.storage.default_uri.clone();
        }
        let dir = absolute(&self.data_dir).join("files");
        // An absolute path always makes a URL; spaces and the like are escaped.
        url::Url::from_directory_path(&dir).map(String::from).unwrap_or_else(|()| format!("file://{}/", dir.display()))
    }

    /// Where the query engine spills to.
    pub fn spill_dir(&self) -> PathBuf {
        if self.limits.spill_dir.as_os_str().is_empty() { self.data_dir.join("spill") } else { self.limits.spill_dir.clone() }
    }

    /// Is any TLS configured?
    pub fn has_tls(&self) -> bool {
        self.tls.self_signed || !self.tls.cert.as_os_str().is_empty()
    }

    /// Do all listeners face this machine only?
    pub fn loopback_only(&self) -> bool {
        [self.listen.mysql, self.listen.postgres, self.listen.http].into_iter().all(Address::is_loopback)
    }

    /// May a server start with this configuration and `users` known users? The rule of the outside contract:
    /// without users or TLS, only loopback may be listened on.
    pub fn check_exposure(&self, users: usize) -> Result<(), ConfigError> {
        if self.loopback_only() {
            return Ok(());
        }
        // Behind a wire with an upstream it is the upstream that asks who it is.
        let own = [(self.listen.mysql, &self.upstream.mysql), (self.listen.postgres, &self.upstream.postgres)];
        if users == 0 && own.iter().any(|(listen, upstream)| !listen.is_loopback() && !upstream.is_set()) {
            return Err(ConfigError(
                "refusing to listen beyond loopback without users; add one with `flashgate user add NAME`, or listen on 127.0.0.1".into(),
            ));
        }
        if !self.has_tls() {
            return Err(ConfigError(
                "refusing to listen beyond loopback without TLS; set tls.cert and tls.key, or tls.self_signed = true, or listen on 127.0.0.1"
                    .into(),
            ));
        }
        Ok(())
    }

    /// Checks what one field's type cannot say.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fail = |text: String| Err(ConfigError(text));
        if self.data_dir.as_os_str().is_empty() {
            return fail("data_dir is empty; name a directory".into());
        }
        let id = &self.instance_id;
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return fail(format!("instance_id '{id}' must be 1 to 64 letters, digits, '-' or '_'"));
        }
        if self.tls.cert.as_os_str().is_empty() != self.tls.key.as_os_str().is_empty() {
            return fail("tls.cert and tls.key belong together; set both or neither".into());
        }
        if self.tls.self_signed && !self.tls.cert.as_os_str().is_empty() {
            return fail("tls.self_signed and tls.cert exclude each other; set one of them".into());
        }
        if self.tls.required && !self.has_tls() {
            return fail("tls.required needs a certificate; set tls.cert and tls.key, or tls.self_signed = true".into());
        }
        let limits = &self.limits;
        for (key, value, least) in [
            ("limits.connections", limits.connections as u64, 1),
            ("limits.message_bytes", limits.message_bytes.0, 64 << 10),
            ("limits.engine_memory", limits.engine_memory.0, 32 << 20),
            ("limits.batch_rows", limits.batch_rows as u64, 1),
            ("cold.target_file_rows", self.cold.target_file_rows as u64, 1),
        ] {
            if value < least {
                return fail(format!("{key} is {value}; it must be at least {least}"));
            }
        }
        // MySQL's own ceiling for max_allowed_packet.
        if limits.message_bytes.0 > 1 << 30 {
            return fail(format!("limits.message_bytes is {}; it must be at most 1GiB", limits.message_bytes));
        }
        for (key, span) in [
            ("limits.login_timeout", limits.login_timeout),
            ("gms.refresh_interval", self.gms.refresh_interval),
            ("purge.sweep_interval", self.purge.sweep_interval),
        ] {
            if span.limit().is_none() {
                return fail(format!("{key} cannot be off"));
            }
        }
        // The kernel counts both in whole numbers, of seconds and of milliseconds.
        if limits.keepalive.limit().is_some_and(|time| !(1..=MOST_KEEPALIVE).contains(&time.as_secs())) {
            return fail(format!("limits.keepalive is {}; it must be 1s to {MOST_KEEPALIVE}s, or off", limits.keepalive));
        }
        for (key, span) in
            [("limits.write_timeout", limits.write_timeout), ("limits.unacknowledged_timeout", limits.unacknowledged_timeout)]
        {
            if span.limit().is_some_and(|time| time < Duration::from_secs(1) || time > MOST_TIMEOUT) {
                return fail(format!("{key} is {span}; it must be 1s to 24d, or off"));
            }
        }
        for (wire, upstream) in [("mysql", &self.upstream.mysql), ("postgres", &self.upstream.postgres)] {
            let checked = matches!(upstream.tls, UpstreamTls::VerifyCa | UpstreamTls::VerifyFull);
            if upstream.is_set() && checked && upstream.ca.as_os_str().is_empty() {
                return fail(format!("upstream.{wire}.tls checks the certificate; set upstream.{wire}.ca to the file of its authority"));
            }
        }
        if self.log.level.parse::<tracing_subscriber::filter::EnvFilter>().is_err() {
            return fail(format!("log.level '{}' is no filter; write error, warn, info, debug or trace", self.log.level));
        }
        Ok(())
    }
}

/// An absolute form that needs no existing directory.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_face_this_machine_only() {
        let config = Config::default();
        config.validate().unwrap();
        assert!(config.loopback_only());
        config.check_exposure(0).unwrap();
    }

    #[test]
    fn beyond_loopback_a_start_needs_users_and_tls() {
        let mut config = Config::default();
        config.listen.postgres = "0.0.0.0:5433".parse().unwrap();
        assert!(config.check_exposure(0).unwrap_err().0.contains("without users"));
        assert!(config.check_exposure(1).unwrap_err().0.contains("without TLS"));
        config.tls.self_signed = true;
        config.check_exposure(1).unwrap();
    }

    #[test]
    fn an_ipv4_loopback_in_ipv6_clothes_is_loopback_and_any_is_not() {
        for (text, loopback) in [
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("localhost:1", true),
            ("off", true),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_loopback(), loopback, "{text}");
        }
        assert!("3307".parse::<Address>().is_err());
    }

    #[test]
    fn half_a_certificate_and_an_impossible_limit_are_refused() {
        let mut config = Config::default();
        config.tls.cert = "c.pem".into();
        assert!(config.validate().unwrap_err().0.contains("belong together"));
        let mut config = Config::default();
        config.limits.connections = 0;
        assert!(config.validate().unwrap_err().0.contains("limits.connections"));
        let config = Config { instance_id: "../up".into(), ..Config::default() };
        assert!(config.validate().is_err());
    }

    #[test]
    fn the_data_directory_gives_the_other_places() {
        let config = Config { data_dir: "/var/lib/flash gate".into(), ..Config::default() };
        assert_eq!(config.gms_url(), "sqlite:/var/lib/flash gate/gms.db");
        assert_eq!(config.default_uri(), "file:///var/lib/flash%20gate/files/");
    }
}
