//! The one list of all keys, with what each means.

/// A key of the configuration: `section.field`, and what it is for (defaults are in [`super::Config`]).
pub struct Key {
    pub path: &'static str,
    pub doc: &'static str,
    /// A reload changes it; else it takes a restart.
    pub live: bool,
}

impl Key {
    /// The environment variable of this key: `FLASHGATE_LISTEN_MYSQL` (`FLASHGATE_LISTEN__MYSQL` is read as well).
    pub fn env(&self) -> String {
        format!("FLASHGATE_{}", self.path.replace('.', "_").to_uppercase())
    }
}

/// Takes effect at the start only.
const fn key(path: &'static str, doc: &'static str) -> Key {
    Key { path, doc, live: false }
}

/// Takes effect when the configuration is read again: for new connections, or at once where that makes sense.
const fn live(path: &'static str, doc: &'static str) -> Key {
    Key { path, doc, live: true }
}

/// All keys, in the order of the file.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("data_dir", "directory of everything that Flashgate keeps on this machine"),
    key("instance_id", "name of this instance; the first folder below the URI of every file storage"),
    key("listen.mysql", "address of the MySQL protocol, or off; port 0 picks a free one"),
    key("listen.postgres", "address of the PostgreSQL protocol, or off"),
    key("listen.http", "address of /health, /ready and /metrics, or off"),
    live("listen.proxy_protocol", "networks of load balancers whose connections begin with a PROXY header (v1 or v2), like 10.0.0.0/8, ::1; or off"),
    live("tls.cert", "PEM file with the certificate chain, for both protocols"),
    live("tls.key", "PEM file with the certificate's private key"),
    live("tls.self_signed", "make a self-signed pair in DATA_DIR/tls when there is none, and use it"),
    live("tls.required", "refuse clients that do not use TLS"),
    live("upstream.mysql.address", "the MySQL or MariaDB server to relay to: host:port, or the path of a Unix socket; empty: none"),
    live("upstream.mysql.tls", "disabled, preferred (as the client's own connection), required, verify-ca or verify-full"),
    live("upstream.mysql.ca", "PEM file with the authorities that sign the upstream's certificate, for verify-ca and verify-full"),
    live("upstream.mysql.connect_timeout", "time that connecting to the upstream may take"),
    live("upstream.mysql.proxy_protocol", "begin connections to the upstream with a PROXY header (v2) that names the client"),
    live("upstream.postgres.address", "the PostgreSQL server to relay to: host:port, or the path of a Unix socket; empty: none"),
    live("upstream.postgres.tls", "disabled, preferred (none on this machine, elsewhere where offered), required, verify-ca or verify-full"),
    live("upstream.postgres.ca", "PEM file with the authorities that sign the upstream's certificate, for verify-ca and verify-full"),
    live("upstream.postgres.connect_timeout", "time that connecting to the upstream may take"),
    live("upstream.postgres.proxy_protocol", "begin connections to the upstream with a PROXY header (v2) that names the client"),
    live("upstream.list_cold_tables", "SHOW TABLES lists cold tables after the upstream's tables"),
    live("upstream.danger_socket_logins_without_password", "let clients in whom an upstream at a Unix socket lets in without a password: it takes Flashgate's own user for theirs, so everybody may be root there"),
    live("limits.connections", "clients at a time, of both protocols together"),
    live("limits.message_bytes", "largest message or statement of a client (MySQL's max_allowed_packet)"),
    live("limits.login_timeout", "time that a client has to authenticate"),
    live("limits.idle_timeout", "time after which a silent client is disconnected, or off"),
    live("limits.statement_timeout", "time that a statement may run, or off; sessions may set their own"),
    live("limits.drain_deadline", "time that running statements get when the server stops"),
    live("limits.keepalive", "silence after which TCP asks whether the other side still lives, on both legs; dead after twice the time; or off"),
    live("limits.write_timeout", "time after which a client that takes nothing of what is sent to it is disconnected, or off"),
    live("limits.unacknowledged_timeout", "time that sent bytes may stay unacknowledged or unread, on both legs (TCP_USER_TIMEOUT), or off"),
    key("limits.engine_memory", "memory of the query engine for all statements together; it spills to disk beyond"),
    key("limits.engine_threads", "threads that one query may use; 0: one a core"),
    key("limits.spill_dir", "directory of spilled data; empty: DATA_DIR/spill"),
    key("limits.spill_bytes", "largest amount of spilled data"),
    key("limits.batch_rows", "rows that flow through the query engine at a time"),
    key("gms.url", "metadata database; empty: sqlite:DATA_DIR/gms.db"),
    key("gms.refresh_interval", "how often changes by other processes are looked for"),
    key("storage.default_uri", "where cold tables go that name no file storage; empty: DATA_DIR/files"),
    key("cold.target_file_rows", "rows of a full cold file"),
    live("purge.backup_oss_period_days", "PURGE BEFORE TIMESTAMP refuses times nearer to now than this many days"),
    live("purge.garbage_delay", "how long an object stays after its last metadata row is gone"),
    key("purge.sweep_interval", "how often garbage is swept"),
    live("log.level", "error, warn, info, debug, trace, or a filter like info,flashgate::wire=debug"),
    key("log.format", "text or json"),
];

/// The key that looks most like `wrong`, when one looks at all like it.
pub fn nearest(wrong: &str) -> Option<&'static str> {
    nearest_of(wrong, KEYS.iter().map(|key| key.path))
}

/// The candidate that looks most like `wrong`, when one looks at all like it.
pub fn nearest_of<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(&wrong.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn leaves(prefix: &str, value: &toml::Value, into: &mut Vec<String>) {
        match value {
            toml::Value::Table(table) => {
                for (name, value) in table {
                    let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    leaves(&path, value, into);
                }
            }
            _ => into.push(prefix.to_owned()),
        }
    }

    #[test]
    fn every_field_has_one_description_and_every_description_a_field() {
        let mut fields = Vec::new();
        leaves("", &toml::Value::try_from(Config::default()).unwrap(), &mut fields);
        fields.sort();
        let mut described: Vec<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
        described.sort();
        assert_eq!(fields, described);
    }

    #[test]
    fn a_slip_of_the_pen_finds_its_key_and_nonsense_finds_none() {
        assert_eq!(nearest("listen.mysq"), Some("listen.mysql"));
        assert_eq!(nearest("limits.conections"), Some("limits.connections"));
        assert_eq!(nearest("datadir"), Some("data_dir"));
        assert_eq!(nearest("zzz"), None);
    }
}
