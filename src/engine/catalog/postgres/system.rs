//! The relations of the catalogs themselves, as the .tsv files say.

use std::sync::LazyLock;

use super::super::layout::Layout;

pub(in crate::engine::catalog) const PG_CATALOG: &str = "pg_catalog";
pub(in crate::engine::catalog) const INFORMATION_SCHEMA: &str = "information_schema";

/// One relation of the catalogs themselves.
pub struct SystemRelation {
    pub oid: i64,
    pub schema: &'static str,
    /// `r` or `v`.
    pub kind: char,
    pub layout: Layout,
}

fn parse(schema: &'static str, text: &str) -> Vec<SystemRelation> {
    text.lines()
        .filter_map(|line| {
            let mut parts = line.split('\t');
            let (oid, kind, name, columns) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            Some(SystemRelation {
                oid: oid.parse().ok()?,
                schema,
                kind: kind.chars().next()?,
                layout: Layout::parse(schema, name, columns),
            })
        })
        .collect()
}

/// All relations of both virtual schemas.
pub static SYSTEM: LazyLock<Vec<SystemRelation>> = LazyLock::new(|| {
    let mut all = parse(PG_CATALOG, include_str!("pg_catalog.tsv"));
    all.extend(parse(INFORMATION_SCHEMA, include_str!("information_schema.tsv")));
    all
});
