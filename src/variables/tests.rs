use super::*;

fn mysql() -> Variables {
    Variables::new(Family::MySql, Arc::default())
}

fn postgres() -> Variables {
    Variables::new(Family::Postgres, Arc::default())
}

fn text(t: &str) -> Option<Value> {
    Some(Value::Text(t.to_owned()))
}

#[test]
fn every_default_is_a_value_that_its_variable_takes() {
    for family in [Family::MySql, Family::Postgres] {
        for d in definitions(family) {
            if matches!(d.domain, Domain::Int { .. } | Domain::UInt { .. } | Domain::Float { .. }) {
                assert!(!matches!(d.initial(), Value::Text(_)), "{}: {}", d.name, d.default);
            }
            if d.domain != Domain::Text || !d.default.is_empty() {
                let canonical = check::check(family, d, d.initial()).unwrap_or_else(|e| panic!("{}: {e}", d.name));
                assert_eq!(canonical, d.initial(), "{}", d.name);
            }
        }
    }
}

/// MySQL Connector/J 8.0, ConnectionImpl / NativeProtocol: its first query names all of these.
#[test]
fn what_connector_j_reads_at_its_start_is_there() {
    for name in "auto_increment_increment character_set_client character_set_connection character_set_results character_set_server \
                 collation_server collation_connection init_connect interactive_timeout license lower_case_table_names \
                 max_allowed_packet net_write_timeout performance_schema query_cache_size query_cache_type sql_mode \
                 system_time_zone time_zone transaction_isolation wait_timeout tx_isolation"
        .split_whitespace()
    {
        assert!(mysql().get(name).is_some(), "{name}");
    }
}

#[test]
fn names_are_found_without_case_and_booleans_speak_their_family() {
    let mut v = mysql();
    assert_eq!(v.get("AutoCommit"), Some(Value::Bool(true)));
    v.set("AUTOCOMMIT", Some(Value::Int(0)), Scope::Session).unwrap();
    assert_eq!(v.text("autocommit").as_deref(), Some("OFF"));
    let mut v = postgres();
    v.set("ROW_SECURITY", text("no"), Scope::Session).unwrap();
    assert_eq!(v.text("row_security").as_deref(), Some("off"));
}

#[test]
fn unknown_read_only_and_wrong_are_three_errors() {
    let mut v = mysql();
    assert_eq!(v.set("nope", text("1"), Scope::Session).unwrap_err().mysql_code(), 1193);
    assert_eq!(v.set("version", text("9"), Scope::Session).unwrap_err().mysql_code(), 1238);
    assert_eq!(v.set("autocommit", text("maybe"), Scope::Session).unwrap_err().mysql_code(), 1231);
    assert_eq!(v.set("sql_mode", text("STRICT_TRANS_TABLES,WHAT"), Scope::Session).unwrap_err().mysql_code(), 1231);
    assert_eq!(v.set("time_zone", text("Mars/Olympus"), Scope::Session).unwrap_err().mysql_code(), 1298);
    assert_eq!(v.set("max_allowed_packet", Some(Value::Int(5000)), Scope::Session).unwrap_err().mysql_code(), 1229);
    let mut v = postgres();
    assert_eq!(v.set("nope", text("1"), Scope::Session).unwrap_err().sqlstate(), "42704");
    assert_eq!(v.set("server_version", text("1"), Scope::Session).unwrap_err().sqlstate(), "55P02");
    assert_eq!(v.set("client_encoding", text("KOI8R"), Scope::Session).unwrap_err().sqlstate(), "22023");
    assert_eq!(v.set("DateStyle", text("German"), Scope::Session).unwrap_err().sqlstate(), "22023");
    assert_eq!(v.set("extra_float_digits", Some(Value::Int(9)), Scope::Session).unwrap_err().sqlstate(), "22023");
}

#[test]
fn a_combined_sql_mode_is_spelled_out_in_mysqls_order() {
    let mut v = mysql();
    v.set("sql_mode", text("traditional"), Scope::Session).unwrap();
    assert_eq!(
        v.text("sql_mode").unwrap(),
        "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,TRADITIONAL,NO_ENGINE_SUBSTITUTION"
    );
    // mysqldump: SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO'; Connector/J adds NO_AUTO_CREATE_USER of MySQL 5.7
    v.set("sql_mode", text("NO_AUTO_CREATE_USER,NO_AUTO_VALUE_ON_ZERO"), Scope::Session).unwrap();
    assert_eq!(v.text("sql_mode").unwrap(), "NO_AUTO_VALUE_ON_ZERO");
    v.set("sql_mode", text(""), Scope::Session).unwrap();
    assert_eq!(v.text("sql_mode").unwrap(), "");
}

#[test]
fn set_names_moves_charsets_and_collation_together() {
    let mut v = mysql();
    let changed = v.set_names(Some("utf8mb4"), Some("utf8mb4_general_ci")).unwrap();
    assert!(changed.iter().any(|c| c.name == "collation_connection" && c.value == Value::Text("utf8mb4_general_ci".into())));
    v.set_names(Some("latin1"), None).unwrap();
    assert_eq!(v.text("collation_connection").unwrap(), "latin1_swedish_ci");
    assert_eq!(v.set_names(Some("utf8mb4"), Some("latin1_bin")).unwrap_err().mysql_code(), 1231);
    assert!(v.set_names(Some("klingon"), None).is_err());
    v.set_names(None, None).unwrap();
    assert_eq!(v.text("character_set_client").unwrap(), "utf8mb4");
    v.set("character_set_results", Some(Value::Null), Scope::Session).unwrap();
    assert_eq!(v.get("character_set_results"), Some(Value::Null));
}

#[test]
fn a_global_change_is_seen_by_sessions_to_come_only() {
    let globals = Arc::new(Globals::default());
    let mut a = Variables::new(Family::MySql, Arc::clone(&globals));
    a.set("wait_timeout", Some(Value::Int(100)), Scope::Global).unwrap();
    assert_eq!(a.get("wait_timeout"), Some(Value::UInt(28800)));
    assert_eq!(a.global("wait_timeout").unwrap(), Value::UInt(100));
    let mut b = Variables::new(Family::MySql, globals);
    assert_eq!(b.get("wait_timeout"), Some(Value::UInt(100)));
    b.set("wait_timeout", Some(Value::Int(7)), Scope::Session).unwrap();
    b.set("wait_timeout", None, Scope::Session).unwrap();
    assert_eq!(b.get("wait_timeout"), Some(Value::UInt(100)));
}

#[test]
fn postgres_durations_and_sizes_come_back_in_their_shortest_unit() {
    let mut v = postgres();
    for (given, shown) in [("5000", "5s"), ("1min", "1min"), ("90s", "90s"), ("0", "0"), ("1.5s", "1500ms")] {
        v.set("statement_timeout", text(given), Scope::Session).unwrap();
        assert_eq!(v.text("statement_timeout").unwrap(), shown);
    }
    assert_eq!(v.duration("statement_timeout"), Some(std::time::Duration::from_millis(1500)));
    assert_eq!(v.duration("lock_timeout"), None);
    assert!(v.set("statement_timeout", text("5 parsecs"), Scope::Session).is_err());
    v.set("work_mem", text("65536"), Scope::Session).unwrap();
    assert_eq!(v.text("work_mem").unwrap(), "64MB");
    v.set("datestyle", text("ISO, DMY"), Scope::Session).unwrap();
    assert_eq!(v.text("DateStyle").unwrap(), "ISO, DMY");
}

#[test]
fn postgres_takes_settings_with_a_prefix_and_reset_all_forgets_them() {
    let mut v = postgres();
    v.set("myapp.user_id", text("7"), Scope::Session).unwrap();
    assert_eq!(v.text("MyApp.user_id").as_deref(), Some("7"));
    v.set("TimeZone", text("Europe/Paris"), Scope::Session).unwrap();
    let changed = v.reset_all();
    assert_eq!(changed.len(), 1);
    assert_eq!((changed[0].name.as_str(), v.text("timezone").as_deref()), ("TimeZone", Some("UTC")));
    assert_eq!(v.get("myapp.user_id"), None);
    assert!(v.reported().iter().any(|(n, value)| *n == "server_version" && value == POSTGRES_VERSION));
    assert_eq!(v.reported().len(), 14);
}

#[test]
fn facts_of_the_process_are_shown_but_not_settable() {
    let globals = Arc::new(Globals::default());
    globals.fact(Family::MySql, "port", Value::UInt(4242));
    let mut v = Variables::new(Family::MySql, globals);
    assert_eq!(v.get("port"), Some(Value::UInt(4242)));
    assert!(v.set("port", Some(Value::Int(1)), Scope::Global).is_err());
    v.fact("warning_count", Value::UInt(3));
    assert_eq!(v.get("warning_count"), Some(Value::UInt(3)));
    assert!(v.all(Scope::Global).iter().all(|l| l.name != "warning_count"));
}

#[test]
fn the_limit_of_a_statement_has_a_name_in_milliseconds_and_one_in_seconds() {
    let mut v = Variables::new(Family::MySql, Arc::default());
    let limit = |v: &Variables| (v.duration("max_execution_time").map(|d| d.as_millis()), v.text("max_statement_time").unwrap());
    v.set("max_execution_time", Some(Value::Int(1500)), Scope::Session).unwrap();
    assert_eq!(limit(&v), (Some(1500), "1.5".to_owned()));
    v.set("max_statement_time", Some(Value::Text("0.250000".into())), Scope::Session).unwrap();
    assert_eq!(limit(&v), (Some(250), "0.25".to_owned()));
    v.set("max_statement_time", Some(Value::Float(0.0000001)), Scope::Session).unwrap();
    assert_eq!(limit(&v).0, Some(1), "a limit is never none");
    v.set("max_statement_time", None, Scope::Session).unwrap();
    assert_eq!(limit(&v), (None, "0".to_owned()));
}

/// docs/variables.md, from the definitions.
fn reference() -> String {
    let mut out = "# Variables\n\nEvery variable that Flashgate knows. SET of any other is 1193 / 42704 (a PostgreSQL setting with a dot in its name is kept as \
         given). *Unused* ones are taken for the sake of clients and change nothing; [sql.md](sql.md#variables) says what the others do. \
         Scope: **session** and **global** can be SET, global ones hold until the process ends; **fixed** ones are told and cannot be set.\n\n\
         `FLASHGATE_WRITE_DOCS=1 cargo test --lib variables` writes this file.\n"
        .to_owned();
    for (family, title) in [(Family::MySql, "MySQL sessions"), (Family::Postgres, "PostgreSQL sessions")] {
        out += &format!("\n## {title}\n\n| Variable | Scope | Built-in value | |\n| --- | --- | --- | --- |\n");
        for d in definitions(family) {
            let scope = match d.reach {
                Reach::ReadOnly | Reach::SessionFact => "fixed",
                Reach::Global => "global",
                Reach::Session => "session",
                Reach::Both => "session, global",
            };
            // The machine's own.
            let default = if d.name.starts_with("version_compile") { "" } else { d.default };
            let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
            out += &format!("| {} | {scope} | {default} | {} |\n", d.name, d.description);
        }
    }
    out
}

#[test]
fn the_reference_lists_every_variable_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/variables.md");
    if std::env::var_os("FLASHGATE_WRITE_DOCS").is_some() {
        std::fs::write(path, reference()).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == reference(), "docs/variables.md is stale: FLASHGATE_WRITE_DOCS=1 writes it");
}
