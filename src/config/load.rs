//! Where values come from: a TOML file, then `FLASHGATE_*` variables, then flags; later ones win.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::keys::{self, KEYS};
use super::{Config, ConfigError};

/// FLASHGATE_ variables that are no configuration: other code reads them.
const OTHER_VARIABLES: &[&str] = &["FLASHGATE_CONFIG", "FLASHGATE_PASSWORD"];
/// Families of variables that tests use.
const TEST_PREFIXES: &[&str] = &["FLASHGATE_STORE_FAULT", "FLASHGATE_TEST_", "FLASHGATE_CRASH"];

/// What the command line says: (key, value), and the file's name.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub file: Option<PathBuf>,
    pub values: Vec<(&'static str, String)>,
}

/// A configuration, and what was odd about its sources (to be logged once logs flow).
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<String>,
}

/// Reads all sources and checks the whole. `environment` is what `std::env::vars()` gives.
pub fn load(overrides: &Overrides, environment: impl Iterator<Item = (String, String)>) -> Result<Loaded, ConfigError> {
    let environment: Vec<(String, String)> = environment.filter(|(name, _)| name.starts_with("FLASHGATE_")).collect();
    let named = environment.iter().find(|(name, _)| name == "FLASHGATE_CONFIG").map(|(_, value)| PathBuf::from(value));
    let mut table = match overrides.file.as_ref().or(named.as_ref()) {
        Some(path) => read_file(path)?,
        None => Table::new(),
    };
    let types = Value::try_from(Config::default()).map_err(|e| ConfigError(e.to_string()))?;
    let mut warnings = Vec::new();
    for (name, value) in &environment {
        match find_env(name) {
            Some(path) => set(&mut table, path, typed(&types, path, value, name)?),
            None => warnings.extend(unknown_env(name)),
        }
    }
    for (path, value) in &overrides.values {
        set(&mut table, path, typed(&types, path, value, path)?);
    }
    let config: Config =
        Value::Table(table).try_into().map_err(|e: toml::de::Error| ConfigError(format!("configuration: {}", e.to_string().trim())))?;
    config.validate()?;
    Ok(Loaded { config, warnings })
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError(format!("cannot read the configuration file {name}: {e}")))?;
    let table: Table = text.parse().map_err(|e: toml::de::Error| ConfigError(format!("{name}: {}", e.to_string().trim())))?;
    known_only("", &table).map_err(|e| ConfigError(format!("{name}: {e}")))?;
    // A second look with the types alone, so that a wrong value is reported at its line of the file.
    toml::from_str::<Config>(&text).map_err(|e| ConfigError(format!("{name}: {}", e.to_string().trim())))?;
    Ok(table)
}

/// Every leaf must be a key; the error names the nearest.
fn known_only(prefix: &str, table: &Table) -> Result<(), ConfigError> {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let section = format!("{path}.");
        match value {
            Value::Table(inner) if KEYS.iter().any(|key| key.path.starts_with(&section)) => known_only(&path, inner)?,
            _ if KEYS.iter().any(|key| key.path == path) => {}
            Value::Table(_) if !KEYS.iter().any(|key| key.path == path) => {
                let sections = KEYS.iter().filter_map(|key| key.path.split_once('.')).map(|(section, _)| section);
                return Err(unknown("section", &path, keys::nearest_of(&path, sections)));
            }
            _ => return Err(unknown("key", &path, keys::nearest(&path))),
        }
    }
    Ok(())
}

fn unknown(what: &str, name: &str, nearest: Option<&str>) -> ConfigError {
    match nearest {
        Some(nearest) => ConfigError(format!("unknown {what} '{name}'; did you mean '{nearest}'?")),
        None => ConfigError(format!("unknown {what} '{name}'; `flashgate config` lists all")),
    }
}

/// The key of a variable; a section may be followed by one underscore or by two.
fn find_env(name: &str) -> Option<&'static str> {
    let plain = name.replace("__", "_");
    KEYS.iter().find(|key| key.env() == plain).map(|key| key.path)
}

/// An unknown variable is a warning, not an error: orchestrators add some of their own (`FLASHGATE_SERVICE_HOST`).
fn unknown_env(name: &str) -> Option<String> {
    if OTHER_VARIABLES.contains(&name) || TEST_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let all: Vec<String> = KEYS.iter().map(keys::Key::env).collect();
    let nearest = keys::nearest_of(name, all.iter().map(String::as_str)).map(|nearest| format!("; did you mean {nearest}?"));
    Some(format!("the environment variable {name} is unknown and has no effect{}", nearest.unwrap_or_default()))
}

/// A text as the TOML value that its key takes.
fn typed(types: &Value, path: &str, text: &str, source: &str) -> Result<Value, ConfigError> {
    let default = path.split('.').try_fold(types, |value, part| value.get(part));
    match default {
        Some(Value::Integer(_)) => {
            text.trim().parse().map(Value::Integer).map_err(|_| ConfigError(format!("{source}: '{text}' is not a whole number")))
        }
        Some(Value::Boolean(_)) => match text.trim().to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Boolean(false)),
            _ => Err(ConfigError(format!("{source}: '{text}' is neither true nor false"))),
        },
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn set(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

/// A key with its value in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub path: &'static str,
    pub value: String,
    pub doc: &'static str,
    env: String,
}

/// Every key with its value as TOML writes it. Passwords in URLs are hidden.
pub fn shown(config: &Config) -> Result<Vec<Line>, ConfigError> {
    let mut shown = config.clone();
    shown.gms.url = hide_password(&config.gms_url());
    shown.storage.default_uri = config.default_uri();
    shown.limits.spill_dir = config.spill_dir();
    let values = Value::try_from(&shown).map_err(|e| ConfigError(e.to_string()))?;
    let value = |path: &str| path.split('.').try_fold(&values, |value, part| value.get(part)).map(Value::to_string);
    Ok(KEYS.iter().filter_map(|key| Some(Line { path: key.path, value: value(key.path)?, doc: key.doc, env: key.env() })).collect())
}

/// The whole configuration as a commented TOML file that [`load`] reads back to the same. Passwords in URLs are hidden.
pub fn print(config: &Config) -> Result<String, ConfigError> {
    let mut text = String::new();
    let mut section = "";
    for line in shown(config)? {
        let (in_section, name) = line.path.split_once('.').unwrap_or(("", line.path));
        if in_section != section {
            section = in_section;
            text.push_str(&format!("\n[{section}]\n"));
        }
        text.push_str(&format!("# {}. {}\n{name} = {}\n", line.doc, line.env, line.value));
    }
    Ok(text)
}

fn hide_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let hidden = parsed.set_password(Some("***")).is_ok();
            if hidden { parsed.into() } else { "***".into() }
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> std::vec::IntoIter<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    fn file(text: &str) -> (tempfile::TempDir, Overrides) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flashgate.toml");
        std::fs::write(&path, text).unwrap();
        (dir, Overrides { file: Some(path), values: Vec::new() })
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let (_dir, mut overrides) = file("instance_id = 'a'\n[limits]\nconnections = 5\nmessage_bytes = '1MiB'\nlogin_timeout = 3\n");
        let vars = [("FLASHGATE_LIMITS__CONNECTIONS", "6"), ("FLASHGATE_INSTANCE_ID", "b"), ("FLASHGATE_TLS_SELF_SIGNED", "true")];
        overrides.values.push(("instance_id", "c".into()));
        let config = load(&overrides, env(&vars)).unwrap().config;
        assert_eq!(config.instance_id, "c");
        assert_eq!(config.limits.connections, 6);
        assert_eq!(config.limits.message_bytes.0, 1 << 20);
        assert_eq!(config.limits.login_timeout.0.as_secs(), 3);
        assert!(config.tls.self_signed);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_nearest() {
        for (text, expected) in [
            ("[listen]\nmysq = 'off'", "'listen.mysql'"),
            ("datadir = '/x'", "'data_dir'"),
            ("[limit]\nconnections = 1", "'limits'"),
            ("[listen]\nmysql = 'nowhere'", "not an address"),
            ("[limits]\nmessage_bytes = '64 MeB'", "not a size"),
        ] {
            let (_dir, overrides) = file(text);
            let error = load(&overrides, env(&[])).unwrap_err().0;
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.contains("flashgate.toml"), "{error}");
        }
    }

    #[test]
    fn a_wrong_variable_value_names_the_variable_and_an_unknown_variable_is_a_warning() {
        let error = load(&Overrides::default(), env(&[("FLASHGATE_LIMITS_CONNECTIONS", "many")])).unwrap_err().0;
        assert!(error.contains("FLASHGATE_LIMITS_CONNECTIONS") && error.contains("many"), "{error}");
        let loaded = load(&Overrides::default(), env(&[("FLASHGATE_LISTN_MYSQL", "off"), ("FLASHGATE_STORE_FAULT", "x")])).unwrap();
        assert_eq!(loaded.warnings.len(), 1);
        assert!(loaded.warnings[0].contains("FLASHGATE_LISTEN_MYSQL"), "{:?}", loaded.warnings);
    }

    #[test]
    fn the_printed_configuration_reads_back_to_the_same() {
        let mut config = Config { data_dir: "/tmp/fg".into(), ..Config::default() };
        config.limits.connections = 7;
        config.listen.http = "off".parse().unwrap();
        let text = print(&config).unwrap();
        let (_dir, overrides) = file(&text);
        let again = load(&overrides, env(&[])).unwrap().config;
        assert_eq!(again.limits, crate::config::Limits { spill_dir: config.spill_dir(), ..config.limits.clone() });
        assert_eq!(again.listen, config.listen);
        assert_eq!(again.gms_url(), config.gms_url());
    }

    #[test]
    fn a_password_in_a_url_is_not_printed() {
        let mut config = Config::default();
        config.gms.url = "mysql://root:topsecret@db/gms".into();
        let text = print(&config).unwrap();
        assert!(!text.contains("topsecret"), "{text}");
    }
}
