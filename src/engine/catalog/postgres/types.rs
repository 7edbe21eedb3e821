//! pg_type and what hangs on it: every built-in type with its own OID, its functions, casts and operator classes.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::super::layout::{Cell, RowSet};
use super::{PgCatalog, oids};
use crate::types::SqlType;

/// A built-in type. The numbers are those of every PostgreSQL (pg_type.dat).
pub struct Type {
    pub oid: i64,
    pub name: &'static str,
    /// typelem.
    pub element: i64,
    /// typarray.
    pub array: i64,
    fields: Vec<&'static str>,
}

/// All built-in types, by OID.
pub static TYPES: LazyLock<Vec<Type>> = LazyLock::new(|| {
    let lines = include_str!("pg_type.tsv").lines();
    lines
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|f| f.len() >= 20)
        .map(|f| Type {
            oid: f[0].parse().unwrap_or_default(),
            name: f[1],
            element: f[8].parse().unwrap_or_default(),
            array: f[9].parse().unwrap_or_default(),
            fields: f,
        })
        .collect()
});

static BY_OID: LazyLock<HashMap<i64, &'static Type>> = LazyLock::new(|| TYPES.iter().map(|t| (t.oid, t)).collect());

/// The type of this OID.
fn by_oid(oid: i64) -> Option<&'static Type> {
    BY_OID.get(&oid).copied()
}

/// The type of this name, SQL's spellings included (`integer`, `character varying`, `int[]`).
pub fn type_by_name(name: &str) -> Option<&'static Type> {
    let name = name.trim().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    if let Some(element) = name.strip_suffix("[]") {
        return by_oid(type_by_name(element)?.array);
    }
    let name = match name.split('(').next().unwrap_or(name).trim() {
        "integer" | "int" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "real" => "float4",
        "double precision" => "float8",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "character" => "bpchar",
        "\"char\"" => "char",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "bit varying" => "varbit",
        other => other,
    };
    TYPES.iter().find(|t| t.name == name)
}

/// (type OID, type modifier) of a Flashgate column; agrees with [`SqlType::postgres_name`].
pub fn type_oid(ty: &SqlType) -> (i64, i64) {
    let stamp = |fsp: u8| if fsp == 6 { -1 } else { i64::from(fsp) };
    let numeric = |precision: i64, scale: i64| (1700, ((precision << 16) | (scale & 0x7ff)) + 4);
    match ty {
        SqlType::Bool => (16, -1),
        SqlType::Int8 { .. } | SqlType::Int16 { unsigned: false } | SqlType::Year => (21, -1),
        SqlType::Int16 { unsigned: true } | SqlType::Int24 { .. } | SqlType::Int32 { unsigned: false } => (23, -1),
        SqlType::Int32 { unsigned: true } | SqlType::Int64 { unsigned: false } => (20, -1),
        SqlType::Int64 { unsigned: true } | SqlType::Bit { .. } => numeric(20, 0),
        SqlType::Float32 => (700, -1),
        SqlType::Float64 => (701, -1),
        SqlType::Decimal { precision, scale } => numeric(i64::from(*precision), i64::from(*scale)),
        SqlType::Char { length } => (1042, i64::from(*length) + 4),
        SqlType::VarChar { length } => (1043, i64::from(*length) + 4),
        SqlType::Text | SqlType::Null | SqlType::Enum { .. } | SqlType::Set { .. } => (25, -1),
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Blob => (17, -1),
        SqlType::Date => (1082, -1),
        SqlType::Time { fsp } => (1083, stamp(*fsp)),
        SqlType::DateTime { fsp } => (1114, stamp(*fsp)),
        SqlType::Timestamp { fsp } => (1184, stamp(*fsp)),
        SqlType::Json => (114, -1),
        SqlType::Uuid => (2950, -1),
        SqlType::Oid => (26, -1),
        SqlType::Interval => (1186, -1),
        SqlType::List(item) => (by_oid(type_oid(item).0).map_or(1009, |t| t.array), -1),
    }
}

/// typlen, typbyval, typalign, typstorage, typcollation: what pg_attribute repeats of a type.
pub(super) fn physical(oid: i64) -> (i64, bool, &'static str, &'static str, i64) {
    by_oid(oid).map_or((-1, false, "i", "x", 0), |t| {
        let number = |i: usize| t.fields[i].parse::<i64>().unwrap_or_default();
        (number(2), number(3) == 1, t.fields[16], t.fields[17], number(18))
    })
}

/// What `format_type(oid, typmod)` prints; `???` for a type that is not known, as PostgreSQL does.
pub fn format_type(oid: i64, modifier: Option<i64>) -> String {
    let modifier = modifier.filter(|m| *m >= 0);
    let Some(ty) = by_oid(oid) else { return if oid == 0 { "-".into() } else { "???".into() } };
    if ty.name.starts_with('_') && ty.element != 0 {
        return format!("{}[]", format_type(ty.element, modifier));
    }
    let sized = |name: &str| modifier.map_or(name.to_owned(), |m| format!("{name}({})", m - 4));
    let timed = |name: &str, zone: &str| match modifier {
        Some(m) => format!("{name}({m}) {zone} time zone"),
        None => format!("{name} {zone} time zone"),
    };
    match ty.name {
        "int2" => "smallint".into(),
        "int4" => "integer".into(),
        "int8" => "bigint".into(),
        "bool" => "boolean".into(),
        "float4" => "real".into(),
        "float8" => "double precision".into(),
        "char" => "\"char\"".into(),
        "bpchar" => sized("character"),
        "varchar" => sized("character varying"),
        "varbit" => modifier.map_or("bit varying".into(), |m| format!("bit varying({m})")),
        "bit" => modifier.map_or("bit".into(), |m| format!("bit({m})")),
        "numeric" => modifier.map_or("numeric".into(), |m| format!("numeric({},{})", ((m - 4) >> 16) & 0xffff, (m - 4) & 0x7ff)),
        "time" => timed("time", "without"),
        "timetz" => timed("time", "with"),
        "timestamp" => timed("timestamp", "without"),
        "timestamptz" => timed("timestamp", "with"),
        name => name.into(),
    }
}

pub(super) fn types(rows: &mut RowSet<'_>, _pg: &PgCatalog<'_>) {
    for t in TYPES.iter() {
        let number = |i: usize| Cell::Int(t.fields[i].parse().unwrap_or_default());
        let text = |i: usize| Cell::from(t.fields[i]);
        let flag = |i: usize| Cell::Bool(t.fields[i] == "1");
        rows.push([
            ("oid", Cell::Int(t.oid)),
            ("typname", t.name.into()),
            ("typnamespace", Cell::Int(oids::PG_CATALOG)),
            ("typowner", Cell::Int(oids::SUPERUSER)),
            ("typlen", number(2)),
            ("typbyval", flag(3)),
            ("typtype", text(4)),
            ("typcategory", text(5)),
            ("typispreferred", flag(6)),
            ("typisdefined", true.into()),
            ("typdelim", text(7)),
            ("typelem", number(8)),
            ("typarray", number(9)),
            ("typinput", number(10)),
            ("typoutput", number(11)),
            ("typreceive", number(12)),
            ("typsend", number(13)),
            ("typmodin", number(14)),
            ("typmodout", number(15)),
            ("typalign", text(16)),
            ("typstorage", text(17)),
            ("typtypmod", Cell::Int(-1)),
            ("typcollation", number(18)),
            ("typsubscript", number(19)),
        ]);
    }
}

/// (range, subtype, multirange, collation, operator class) of the built-in ranges.
const RANGES: [[i64; 5]; 6] = [
    [3904, 23, 4451, 0, 1978],
    [3906, 1700, 4532, 0, 3125],
    [3908, 1114, 4533, 0, 3128],
    [3910, 1184, 4534, 0, 3127],
    [3912, 1082, 4535, 0, 3122],
    [3926, 20, 4536, 0, 3124],
];

pub(super) fn ranges(rows: &mut RowSet<'_>) {
    for [range, subtype, multirange, collation, class] in RANGES {
        rows.push([
            ("rngtypid", range.into()),
            ("rngsubtype", subtype.into()),
            ("rngmultitypid", multirange.into()),
            ("rngcollation", collation.into()),
            ("rngsubopc", class.into()),
        ]);
    }
}

/// A function of pg_proc.tsv: oid, name, kind, volatility, strict, set, result, argument count, argument types.
pub static PROCS: LazyLock<Vec<Vec<&'static str>>> =
    LazyLock::new(|| include_str!("pg_proc.tsv").lines().map(|l| l.split('\t').collect()).filter(|f: &Vec<_>| f.len() >= 9).collect());

pub(super) fn procs(rows: &mut RowSet<'_>) {
    for f in PROCS.iter() {
        let number = |i: usize| Cell::Int(f[i].parse().unwrap_or_default());
        rows.push([
            ("oid", number(0)),
            ("proname", f[1].into()),
            ("pronamespace", Cell::Int(oids::PG_CATALOG)),
            ("proowner", Cell::Int(oids::SUPERUSER)),
            ("prolang", Cell::Int(12)),
            ("procost", Cell::Float(1.0)),
            ("prokind", f[2].into()),
            ("proisstrict", Cell::Bool(f[4] == "1")),
            ("proretset", Cell::Bool(f[5] == "1")),
            ("provolatile", f[3].into()),
            ("proparallel", "s".into()),
            ("pronargs", number(7)),
            ("prorettype", number(6)),
            ("proargtypes", f[8].split(' ').filter_map(|a| a.parse().ok()).collect::<Vec<i64>>().into()),
            ("prosrc", f[1].into()),
        ]);
    }
}

pub(super) fn casts(rows: &mut RowSet<'_>) {
    for f in include_str!("pg_cast.tsv").lines().map(|l| l.split('\t').collect::<Vec<_>>()).filter(|f| f.len() >= 6) {
        let number = |i: usize| Cell::Int(f[i].parse().unwrap_or_default());
        rows.push([
            ("oid", number(0)),
            ("castsource", number(1)),
            ("casttarget", number(2)),
            ("castfunc", number(3)),
            ("castcontext", f[4].into()),
            ("castmethod", f[5].into()),
        ]);
    }
}

static OPCLASSES: LazyLock<Vec<Vec<&'static str>>> =
    LazyLock::new(|| include_str!("pg_opclass.tsv").lines().map(|l| l.split('\t').collect()).filter(|f: &Vec<_>| f.len() >= 7).collect());

/// The btree operator class of a type; text's for those that have none of their own (varchar).
pub(super) fn btree_class(ty: i64) -> i64 {
    let wanted = ty.to_string();
    let class = |ty: &str| OPCLASSES.iter().find(|f| f[1] == "403" && f[4] == ty && f[5] == "1");
    class(&wanted).or_else(|| class("25")).and_then(|f| f[0].parse().ok()).unwrap_or_default()
}

pub(super) fn opclasses(rows: &mut RowSet<'_>) {
    for f in OPCLASSES.iter() {
        let number = |i: usize| Cell::Int(f[i].parse().unwrap_or_default());
        rows.push([
            ("oid", number(0)),
            ("opcmethod", number(1)),
            ("opcname", f[2].into()),
            ("opcnamespace", Cell::Int(oids::PG_CATALOG)),
            ("opcowner", Cell::Int(oids::SUPERUSER)),
            ("opcfamily", number(3)),
            ("opcintype", number(4)),
            ("opcdefault", Cell::Bool(f[5] == "1")),
            ("opckeytype", number(6)),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_type_prints_what_a_columns_type_says() {
        let int = SqlType::Int64 { unsigned: true };
        for ty in [
            SqlType::Bool,
            SqlType::Int32 { unsigned: false },
            int,
            SqlType::Decimal { precision: 10, scale: 2 },
            SqlType::Char { length: 3 },
            SqlType::VarChar { length: 20 },
            SqlType::Text,
            SqlType::Blob,
            SqlType::Date,
            SqlType::Time { fsp: 3 },
            SqlType::DateTime { fsp: 6 },
            SqlType::Timestamp { fsp: 0 },
            SqlType::Json,
            SqlType::Uuid,
            SqlType::Interval,
            SqlType::List(Box::new(SqlType::Int32 { unsigned: false })),
        ] {
            let (oid, modifier) = type_oid(&ty);
            assert_eq!(format_type(oid, Some(modifier)), ty.postgres_name(), "{ty:?}");
        }
    }

    #[test]
    fn names_of_types_are_found_in_both_spellings() {
        for (name, oid) in
            [("int4", 23), ("integer", 23), ("pg_catalog.int2[]", 1005), ("varchar(20)", 1043), ("\"char\"", 18), ("_text", 1009)]
        {
            assert_eq!(type_by_name(name).map(|t| t.oid), Some(oid), "{name}");
        }
        assert!(type_by_name("nope").is_none());
    }
}
