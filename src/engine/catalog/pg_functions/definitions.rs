//! Functions that give an object's name, definition, comment or size.

use std::sync::Arc;

use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;

use super::super::postgres::{PROCS, format_type, oids};
use super::build::{bigint_function, number, oid_function, text, text_function};
use super::directory::{Directory, quote_ident, split_name};
use super::row::register;
use crate::types::same;

pub(super) fn register_all(ctx: &SessionContext, directory: &Arc<Directory>) {
    names(ctx, directory);
    object_identifiers(ctx, directory);
    object_definitions(ctx, directory);
    comments(ctx, directory);
    sizes(ctx, directory);
}

fn names(ctx: &SessionContext, directory: &Arc<Directory>) {
    let d = Arc::clone(directory);
    let user = move |args: &[ScalarValue]| {
        let oid = number(args, 0)?;
        Some(d.role(oid).unwrap_or_else(|| if oid == oids::SUPERUSER { "root".into() } else { format!("unknown (OID={oid})") }))
    };
    register(ctx, text_function("pg_get_userbyid", user));
    register(ctx, text_function("format_type", |args| Some(format_type(Directory::type_of(args, 0)?, number(args, 1)))));
    register(ctx, text_function("quote_ident", |args| text(args, 0).map(quote_ident)));
    register(ctx, text_function("quote_literal", |args| text(args, 0).map(|t| format!("'{}'", t.replace('\'', "''")))));
    let nullable = |args: &[ScalarValue]| Some(text(args, 0).map_or("NULL".into(), |t| format!("'{}'", t.replace('\'', "''"))));
    register(ctx, text_function("quote_nullable", nullable));
    register(ctx, text_function("pg_size_pretty", |args| number(args, 0).map(pretty_size)));
}

/// `10 bytes`, `12 kB`, as PostgreSQL rounds: the next unit from 10 of it on.
fn pretty_size(bytes: i64) -> String {
    let mut size = bytes as f64;
    let mut unit = "bytes";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if size.abs() < 10_240.0 {
            break;
        }
        size = (size / 1024.0).round();
        unit = next;
    }
    format!("{size} {unit}")
}

/// `fg_reg*` read a name (or pass an OID on), `fg_reg*_name` print an OID as a name: what casts to regclass and its kin
/// become. The `to_reg*` functions of PostgreSQL give the OID too.
fn object_identifiers(ctx: &SessionContext, directory: &Arc<Directory>) {
    for name in ["fg_regclass", "to_regclass"] {
        let d = Arc::clone(directory);
        register(ctx, oid_function(name, move |args| d.relation(args, 0)));
    }
    let d = Arc::clone(directory);
    register(ctx, text_function("fg_regclass_name", move |args| Some(d.relation_name(d.relation(args, 0)?))));
    for name in ["fg_regtype", "to_regtype"] {
        register(ctx, oid_function(name, |args| Directory::type_of(args, 0)));
    }
    register(ctx, text_function("fg_regtype_name", |args| Some(format_type(Directory::type_of(args, 0)?, None))));
    for name in ["fg_regproc", "to_regproc"] {
        register(ctx, oid_function(name, procedure));
    }
    let proc_name = |args: &[ScalarValue]| {
        let oid = procedure(args)?.to_string();
        Some(PROCS.iter().find(|p| p[0] == oid).map_or_else(|| if oid == "0" { "-".into() } else { oid.clone() }, |p| p[1].to_owned()))
    };
    register(ctx, text_function("fg_regproc_name", proc_name));
    for name in ["fg_regnamespace", "to_regnamespace"] {
        let d = Arc::clone(directory);
        register(ctx, oid_function(name, move |args| namespace(&d, args)));
    }
    let d = Arc::clone(directory);
    let namespace_name = move |args: &[ScalarValue]| {
        let oid = namespace(&d, args)?;
        d.built().namespaces.iter().find(|(o, _)| *o == oid).map(|(_, n)| quote_ident(n)).or(Some(oid.to_string()))
    };
    register(ctx, text_function("fg_regnamespace_name", namespace_name));
    for name in ["fg_regrole", "to_regrole"] {
        register(ctx, oid_function(name, |args| number(args, 0).or_else(|| text(args, 0).map(|t| oids::role(&split_name(t).1)))));
    }
    let d = Arc::clone(directory);
    register(ctx, text_function("fg_regrole_name", move |args| number(args, 0).and_then(|oid| d.role(oid))));
}

fn procedure(args: &[ScalarValue]) -> Option<i64> {
    if let Some(oid) = number(args, 0) {
        return Some(oid);
    }
    let (_, name) = split_name(text(args, 0)?.split('(').next()?);
    PROCS.iter().find(|p| p[1] == name).and_then(|p| p[0].parse().ok())
}

fn namespace(directory: &Directory, args: &[ScalarValue]) -> Option<i64> {
    if let Some(oid) = number(args, 0) {
        return Some(oid);
    }
    let (_, name) = split_name(text(args, 0)?);
    directory.built().namespaces.iter().find(|(_, n)| same(n, &name)).map(|(oid, _)| *oid)
}

fn object_definitions(ctx: &SessionContext, directory: &Arc<Directory>) {
    // pg_node_tree columns hold their expression as text here.
    register(ctx, text_function("pg_get_expr", |args| text(args, 0).map(str::to_owned)));
    let d = Arc::clone(directory);
    let index = move |args: &[ScalarValue]| {
        let oid = d.relation(args, 0)?;
        match number(args, 1).unwrap_or(0) {
            0 => d.built().indexes.get(&oid).cloned(),
            n => d.built().index_columns.get(&oid)?.get(usize::try_from(n).ok()?.checked_sub(1)?).map(|c| quote_ident(c)),
        }
    };
    register(ctx, text_function("pg_get_indexdef", index));
    let d = Arc::clone(directory);
    register(ctx, text_function("pg_get_constraintdef", move |args| d.built().constraints.get(&number(args, 0)?).cloned()));
    let d = Arc::clone(directory);
    register(ctx, text_function("pg_get_viewdef", move |args| d.built().views.get(&d.relation(args, 0)?).cloned()));
    // Of kinds of objects that there are none of.
    for name in [
        "pg_get_partkeydef",
        "pg_get_statisticsobjdef_columns",
        "pg_get_statisticsobjdef",
        "pg_get_statisticsobjdef_expressions",
        "pg_get_serial_sequence",
        "pg_get_triggerdef",
        "pg_get_ruledef",
        "pg_get_functiondef",
        "pg_get_function_arguments",
        "pg_get_function_identity_arguments",
        "pg_get_function_result",
        "pg_get_function_sqlbody",
        "pg_get_partition_constraintdef",
        "pg_tablespace_location",
        "pg_describe_object",
    ] {
        register(ctx, text_function(name, |_| None));
    }
}

fn comments(ctx: &SessionContext, directory: &Arc<Directory>) {
    let d = Arc::clone(directory);
    let object = move |args: &[ScalarValue]| {
        let catalog = text(args, 1).unwrap_or("pg_class");
        if catalog == "pg_class" { d.built().comments.get(&(d.relation(args, 0)?, 0)).cloned() } else { None }
    };
    register(ctx, text_function("obj_description", object));
    let d = Arc::clone(directory);
    register(ctx, text_function("col_description", move |args| d.built().comments.get(&(d.relation(args, 0)?, number(args, 1)?)).cloned()));
    register(ctx, text_function("shobj_description", |_| None));
}

fn sizes(ctx: &SessionContext, directory: &Arc<Directory>) {
    for name in ["pg_relation_size", "pg_table_size", "pg_total_relation_size"] {
        let d = Arc::clone(directory);
        let size = move |args: &[ScalarValue]| {
            let bytes = d.built().sizes.get(&d.relation(args, 0)?).copied().unwrap_or(0);
            i64::try_from(bytes).ok()
        };
        register(ctx, bigint_function(name, size));
    }
    register(ctx, bigint_function("pg_indexes_size", |_| Some(0)));
    register(ctx, bigint_function("pg_tablespace_size", |_| Some(0)));
    let d = Arc::clone(directory);
    let database = move |args: &[ScalarValue]| {
        let wanted = text(args, 0).map(str::to_owned);
        let oid = number(args, 0);
        let all = &d.snapshot.metadata.tables;
        let in_it = |name: &str| wanted.as_deref().is_some_and(|w| same(w, name)) || oid == Some(oids::database(name));
        let bytes: u64 =
            all.iter().filter(|t| in_it(t.database.split('.').next().unwrap_or_default())).map(|t| d.snapshot.size(t.id).bytes).sum();
        i64::try_from(bytes).ok()
    };
    register(ctx, bigint_function("pg_database_size", database));
}

#[cfg(test)]
mod tests {
    use super::pretty_size;

    #[test]
    fn sizes_change_their_unit_where_postgresql_does() {
        for (bytes, shown) in [(0, "0 bytes"), (10_239, "10239 bytes"), (10_240, "10 kB"), (123_456_789, "118 MB")] {
            assert_eq!(pretty_size(bytes), shown);
        }
    }
}
