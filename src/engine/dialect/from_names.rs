//! A name stands once in FROM: two tables of one name without aliases could not be told apart.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{Select, TableFactor, TableWithJoins};

use crate::error::{Error, Kind, Result};
use crate::types::Family;

/// Refuses a FROM in which two tables have one name. Names must be folded.
pub(super) fn check(select: &Select, family: Family) -> Result<()> {
    if let [TableWithJoins { joins, .. }] = select.from.as_slice()
        && joins.is_empty()
    {
        return Ok(());
    }
    let mut seen = HashSet::new();
    select.from.iter().try_for_each(|from| tables(from, family, &mut seen))
}

fn tables(from: &TableWithJoins, family: Family, seen: &mut HashSet<String>) -> Result<()> {
    for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
        let (full, shown) = match factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => (alias.name.value.clone(), alias.name.value.clone()),
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                tables(table_with_joins, family, seen)?;
                continue;
            }
            TableFactor::Table { name, alias: None, args: None, .. } => {
                let last = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone());
                (name.to_string(), last.unwrap_or_default())
            }
            _ => continue,
        };
        // MySQL's aliases differ by more than case.
        let key = if family == Family::MySql { full.to_lowercase() } else { full };
        if !seen.insert(key) {
            let message = match family {
                Family::MySql => format!("Not unique table/alias: '{shown}'"),
                Family::Postgres => format!("table name \"{shown}\" specified more than once"),
            };
            return Err(Error::new(Kind::NotUniqueTable, message));
        }
    }
    Ok(())
}
