//! The shapes of the virtual tables, and the names of their schemas.

use std::sync::LazyLock;

use super::super::layout::Layout;
use crate::types::same;

pub(super) const INFORMATION_SCHEMA: &str = "information_schema";
pub(super) const PERFORMANCE_SCHEMA: &str = "performance_schema";
/// MySQL's catalog has one name.
pub(super) const DEF: &str = "def";

static LAYOUTS: LazyLock<Vec<Layout>> = LazyLock::new(|| {
    let lines = include_str!("information_schema.txt").lines();
    lines.filter_map(|line| line.split_once(' ')).map(|(name, columns)| Layout::parse(INFORMATION_SCHEMA, name, columns)).collect()
});

static PERFORMANCE: LazyLock<Vec<Layout>> = LazyLock::new(|| {
    ["global_status", "global_variables", "session_status", "session_variables"]
        .map(|name| Layout::parse(PERFORMANCE_SCHEMA, name, "VARIABLE_NAME:v64 VARIABLE_VALUE:v1024?"))
        .into()
});

pub(super) fn layouts(schema: &str) -> &'static [Layout] {
    match () {
        () if same(schema, INFORMATION_SCHEMA) => &LAYOUTS,
        () if same(schema, PERFORMANCE_SCHEMA) => &PERFORMANCE,
        () => &[],
    }
}

/// All layouts with their schema's name: information_schema lists itself too.
pub(super) fn virtual_layouts() -> impl Iterator<Item = (&'static str, &'static Layout)> {
    let information = LAYOUTS.iter().map(|l| (INFORMATION_SCHEMA, l));
    information.chain(PERFORMANCE.iter().map(|l| (PERFORMANCE_SCHEMA, l)))
}
