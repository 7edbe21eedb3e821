//! Functions about the session and the server, and about what the user may do.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::{MemTable, TableFunctionImpl, TableProvider};
use datafusion::prelude::{Expr, SessionContext};
use datafusion::scalar::ScalarValue;

use super::super::POSTGRES_VERSION;
use super::super::layout::{Cell, Layout};
use super::build::{bigint_function, bool_function, number, oid_function, text, text_function};
use super::directory::Directory;
use super::row::{RowFunction, register};
use crate::types::UTC;

/// What `version()` says.
pub(super) fn version_text() -> String {
    format!("PostgreSQL {POSTGRES_VERSION} (Flashgate {}) on {}, 64-bit", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH)
}

pub(super) fn register_all(ctx: &SessionContext, directory: &Arc<Directory>) {
    facts(ctx, directory);
    privileges(ctx);
    visibility(ctx, directory);
    let d = Arc::clone(directory);
    let setting = move |args: &[ScalarValue]| {
        let name = text(args, 0)?;
        d.snapshot.settings.iter().find(|s| s.name.eq_ignore_ascii_case(name)).map(|s| s.value.clone())
    };
    // `current_setting(name, true)` forgives; a NULL name gives NULL.
    let unknown = |args: &[ScalarValue]| {
        let name = text(args, 0)?;
        let forgiven = matches!(args.get(1), Some(ScalarValue::Boolean(Some(true))));
        let text = format!("unrecognized configuration parameter \"{name}\"");
        (!forgiven).then(|| crate::error::Error::new(crate::error::Kind::UnknownVariable, text))
    };
    register(ctx, text_function("current_setting", setting).or_error(unknown));
    ctx.register_udtf("pg_get_keywords", Arc::new(Keywords));
    // There are no advisory locks to hold.
    register(ctx, text_function("pg_advisory_unlock_all", |_| Some(String::new())));
}

fn facts(ctx: &SessionContext, directory: &Arc<Directory>) {
    let snapshot = &directory.snapshot;
    for name in ["current_user", "session_user", "user", "current_role", "getpgusername"] {
        let user = snapshot.user.clone();
        register(ctx, text_function(name, move |_| Some(user.clone())));
    }
    for name in ["current_database", "current_catalog"] {
        let d = Arc::clone(directory);
        register(ctx, text_function(name, move |_| Some(d.built().database.clone())));
    }
    let d = Arc::clone(directory);
    register(ctx, text_function("current_schema", move |_| d.built().path.first().cloned()));
    let d = Arc::clone(directory);
    let schemas = move |args: &[ScalarValue]| {
        let implicit = matches!(args.first(), Some(ScalarValue::Boolean(Some(true))));
        let built = d.built();
        let path = if implicit { &built.path_with_implicit } else { &built.path };
        let items: Vec<ScalarValue> = path.iter().map(|s| ScalarValue::from(s.as_str())).collect();
        ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Utf8))
    };
    register(ctx, RowFunction::new("current_schemas", DataType::new_list(DataType::Utf8, true), schemas));
    register(ctx, text_function("version", |_| Some(version_text())));
    register(ctx, text_function("getdatabaseencoding", |_| Some("UTF8".into())));
    register(ctx, text_function("pg_client_encoding", |_| Some("UTF8".into())));
    register(ctx, text_function("pg_encoding_to_char", |args| number(args, 0).map(|n| if n == 6 { "UTF8" } else { "SQL_ASCII" }.into())));
    register(ctx, oid_function("pg_char_to_encoding", |args| text(args, 0).map(|t| if t.eq_ignore_ascii_case("utf8") { 6 } else { -1 })));
    let id = i64::from(snapshot.connection_id);
    register(ctx, oid_function("pg_backend_pid", move |_| Some(id)));
    register(ctx, oid_function("pg_my_temp_schema", |_| Some(0)));
    let host = snapshot.client_host.clone();
    register(ctx, text_function("inet_client_addr", move |_| Some(host.clone())));
    register(ctx, text_function("inet_server_addr", |_| None));
    register(ctx, oid_function("inet_client_port", |_| None));
    let port = snapshot.settings.iter().find(|s| s.name == "port").and_then(|s| s.value.parse().ok());
    register(ctx, oid_function("inet_server_port", move |_| port));
    // There are no transaction numbers here; the time of the statement grows as they would.
    let micros = snapshot.now.as_microsecond();
    for name in ["txid_current", "pg_current_xact_id"] {
        register(ctx, bigint_function(name, move |_| Some(micros)));
    }
    let moment = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
    for name in ["pg_postmaster_start_time", "pg_conf_load_time"] {
        let started = snapshot.started.as_microsecond();
        let eval = move |_: &[ScalarValue]| ScalarValue::TimestampMicrosecond(Some(started), Some(UTC.into()));
        register(ctx, RowFunction::new(name, moment.clone(), eval));
    }
    for name in
        ["pg_is_in_recovery", "pg_is_wal_replay_paused", "pg_is_other_temp_schema", "row_security_active", "pg_relation_is_publishable"]
    {
        register(ctx, bool_function(name, |_| Some(false)));
    }
}

/// pg_get_keywords(): word, category code, may it be a bare label, and their descriptions.
pub(super) fn keywords() -> Option<MemTable> {
    let mut rows = KEYWORDS.rows();
    for (words, code, description) in [(super::super::postgres::RESERVED, "R", "reserved"), (OURS, "U", "unreserved")] {
        for word in words.split_whitespace() {
            let cells = [word, code, description].map(Cell::from);
            rows.push_all(cells);
        }
    }
    let batch = rows.finish().ok()?;
    MemTable::try_new(batch.schema(), vec![vec![batch]]).ok()
}

/// Words of the statements that we add.
const OURS: &str = "archive_mode backup expire filestorage flashback preview purge recyclebin tso unarchive";
static KEYWORDS: LazyLock<Layout> = LazyLock::new(|| Layout::parse("pg_catalog", "pg_get_keywords", "word:text catcode:char catdesc:text"));

/// A table function without arguments.
#[derive(Debug)]
pub(super) struct Keywords;

impl TableFunctionImpl for Keywords {
    fn call(&self, _: &[Expr]) -> datafusion::error::Result<Arc<dyn TableProvider>> {
        let table = keywords().ok_or_else(|| datafusion::error::DataFusionError::Internal("pg_get_keywords".into()))?;
        Ok(Arc::new(table))
    }
}

/// Every user may do everything that can be done here.
fn privileges(ctx: &SessionContext) {
    for name in [
        "has_table_privilege",
        "has_schema_privilege",
        "has_database_privilege",
        "has_column_privilege",
        "has_any_column_privilege",
        "has_function_privilege",
        "has_sequence_privilege",
        "has_tablespace_privilege",
        "has_type_privilege",
        "has_language_privilege",
        "has_foreign_data_wrapper_privilege",
        "has_server_privilege",
        "pg_has_role",
    ] {
        register(ctx, bool_function(name, |args| if args.iter().any(ScalarValue::is_null) { None } else { Some(true) }));
    }
}

fn visibility(ctx: &SessionContext, directory: &Arc<Directory>) {
    let d = Arc::clone(directory);
    register(
        ctx,
        bool_function("pg_table_is_visible", move |args| Some(d.built().relations.get(&d.relation(args, 0)?).is_some_and(|k| k.visible))),
    );
    // All types, functions and their kin are in pg_catalog, which is always on the path.
    for name in [
        "pg_type_is_visible",
        "pg_function_is_visible",
        "pg_operator_is_visible",
        "pg_opclass_is_visible",
        "pg_opfamily_is_visible",
        "pg_collation_is_visible",
        "pg_conversion_is_visible",
        "pg_statistics_obj_is_visible",
        "pg_ts_config_is_visible",
        "pg_ts_dict_is_visible",
        "pg_ts_parser_is_visible",
        "pg_ts_template_is_visible",
    ] {
        register(ctx, bool_function(name, |args| number(args, 0).map(|_| true)));
    }
}
