//! Databases, roles, settings, activity: what belongs to the server and not to a table.

use super::super::layout::{Cell, RowSet};
use super::{PgCatalog, oids};

/// Databases that a PostgreSQL client may connect to: those that are not a schema of another one.
pub(super) fn database_names<'a>(pg: &'a PgCatalog<'_>) -> impl Iterator<Item = &'a str> {
    let all = &pg.snapshot.metadata.databases;
    all.iter()
        .map(|d| d.name.as_str())
        .filter(move |name| name.split_once('.').is_none_or(|(d, _)| pg.snapshot.metadata.database(d).is_none()))
}

pub(super) fn databases(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for name in database_names(pg) {
        rows.push([
            ("oid", oids::database(name).into()),
            ("datname", name.into()),
            ("datdba", pg.owner().into()),
            ("encoding", Cell::Int(6)),
            ("datlocprovider", "c".into()),
            ("datistemplate", false.into()),
            ("datallowconn", true.into()),
            ("datconnlimit", Cell::Int(-1)),
            ("dattablespace", Cell::Int(1663)),
            ("datcollate", "C".into()),
            ("datctype", "C.UTF-8".into()),
        ]);
    }
}

pub(super) fn database_statistics(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for name in database_names(pg) {
        let backends = pg.snapshot.processes.iter().filter(|p| p.database.as_deref() == Some(name)).count() as i64;
        rows.push([("datid", oids::database(name).into()), ("datname", name.into()), ("numbackends", backends.into())]);
    }
}

/// pg_roles and pg_authid; a password is never shown. Every user may do everything.
pub(super) fn roles(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for user in &pg.snapshot.users {
        let hidden = if rows.layout().name == "pg_roles" { Cell::from("********") } else { Cell::Null };
        rows.push([
            ("oid", oids::role(user).into()),
            ("rolname", user.into()),
            ("rolsuper", true.into()),
            ("rolinherit", true.into()),
            ("rolcreaterole", false.into()),
            ("rolcreatedb", true.into()),
            ("rolcanlogin", true.into()),
            ("rolreplication", false.into()),
            ("rolbypassrls", true.into()),
            ("rolconnlimit", Cell::Int(-1)),
            ("rolpassword", hidden),
        ]);
    }
}

pub(super) fn users(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for user in &pg.snapshot.users {
        let hidden = if rows.layout().name == "pg_user" { Cell::from("********") } else { Cell::Null };
        rows.push([
            ("usename", user.into()),
            ("usesysid", oids::role(user).into()),
            ("usecreatedb", true.into()),
            ("usesuper", true.into()),
            ("userepl", false.into()),
            ("usebypassrls", true.into()),
            ("passwd", hidden),
        ]);
    }
}

pub(super) fn access_methods(rows: &mut RowSet<'_>) {
    for (oid, name, handler, kind) in [(oids::HEAP, "heap", 3, "t"), (oids::BTREE, "btree", 330, "i")] {
        rows.push([("oid", oid.into()), ("amname", name.into()), ("amhandler", Cell::Int(handler)), ("amtype", kind.into())]);
    }
}

pub(super) fn collations(rows: &mut RowSet<'_>) {
    for (oid, name, provider, encoding, locale) in [
        (100, "default", "d", -1, None),
        (950, "C", "c", -1, Some("C")),
        (951, "POSIX", "c", -1, Some("POSIX")),
        (12_340, "ucs_basic", "c", 6, Some("C")),
    ] {
        rows.push([
            ("oid", Cell::Int(oid)),
            ("collname", name.into()),
            ("collnamespace", oids::PG_CATALOG.into()),
            ("collowner", oids::SUPERUSER.into()),
            ("collprovider", provider.into()),
            ("collisdeterministic", true.into()),
            ("collencoding", Cell::Int(encoding)),
            ("collcollate", locale.into()),
            ("collctype", locale.into()),
        ]);
    }
}

pub(super) fn languages(rows: &mut RowSet<'_>) {
    for (oid, name) in [(12, "internal"), (13, "c"), (14, "sql")] {
        rows.push([("oid", Cell::Int(oid)), ("lanname", name.into()), ("lanowner", oids::SUPERUSER.into())]);
    }
}

pub(super) fn tablespaces(rows: &mut RowSet<'_>) {
    for (oid, name) in [(1663, "pg_default"), (1664, "pg_global")] {
        rows.push([("oid", Cell::Int(oid)), ("spcname", name.into()), ("spcowner", oids::SUPERUSER.into())]);
    }
}

pub(super) fn settings(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for s in &pg.snapshot.settings {
        rows.push([
            ("name", s.name.as_str().into()),
            ("setting", s.value.as_str().into()),
            ("category", "Flashgate".into()),
            ("short_desc", s.description.as_str().into()),
            ("context", s.context.as_str().into()),
            ("vartype", s.vartype.as_str().into()),
            ("source", if s.value == s.built_in { "default" } else { "session" }.into()),
            ("min_val", s.min.clone().into()),
            ("max_val", s.max.clone().into()),
            ("enumvals", s.words.clone().into()),
            ("boot_val", s.built_in.as_str().into()),
            ("reset_val", s.initial.as_str().into()),
            ("pending_restart", false.into()),
        ]);
    }
}

pub(super) fn activity(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for p in &pg.snapshot.processes {
        let state = match (p.command == "Sleep", p.in_transaction) {
            (true, true) => "idle in transaction",
            (true, false) => "idle",
            _ => "active",
        };
        let (host, port) = p.host.rsplit_once(':').unwrap_or((&p.host, ""));
        let moment = |t: jiff::Timestamp| Cell::Micros(t.as_microsecond());
        rows.push([
            ("datid", p.database.as_deref().map(oids::database).into()),
            ("datname", p.database.as_deref().into()),
            ("pid", p.id.into()),
            ("usesysid", oids::role(&p.user).into()),
            ("usename", p.user.as_str().into()),
            ("application_name", p.application.as_str().into()),
            ("client_addr", host.into()),
            ("client_port", port.parse::<i64>().ok().into()),
            ("backend_start", moment(p.started)),
            ("query_start", moment(p.since)),
            ("state_change", moment(p.since)),
            ("state", state.into()),
            ("query", p.statement.as_deref().unwrap_or_default().into()),
            ("backend_type", "client backend".into()),
        ]);
    }
}

pub(super) fn timezone_names(rows: &mut RowSet<'_>, pg: &PgCatalog<'_>) {
    for name in jiff::tz::db().available() {
        let Ok(zone) = jiff::tz::TimeZone::get(name.as_str()) else { continue };
        let info = zone.to_offset_info(pg.snapshot.now);
        let seconds = info.offset().seconds();
        let sign = if seconds < 0 { "-" } else { "" };
        let offset = format!("{sign}{:02}:{:02}:{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60);
        rows.push([
            ("name", name.as_str().into()),
            ("abbrev", info.abbreviation().into()),
            ("utc_offset", offset.into()),
            ("is_dst", info.dst().is_dst().into()),
        ]);
    }
}
