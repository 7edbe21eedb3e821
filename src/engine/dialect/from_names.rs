//! A name may stand in FROM only once: two tables of one name need aliases.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Query, Select, TableFactor, TableWithJoins, Visitor};

use crate::error::{Error, Kind, Result};
use crate::sql::walk::walk;
use crate::types::{Family, fold};

/// Refuses a query in which two tables of one FROM have one name. To be called before tables get the aliases that the
/// engine knows them by: tables of one name in two databases differ.
pub fn check_from(query: &Query, family: Family) -> Result<()> {
    match walk(query, &mut Check { family }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Check {
    family: Family,
}

impl Visitor for Check {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        let mut seen = HashSet::new();
        if select.from.len() > 1 || select.from.iter().any(|from| !from.joins.is_empty()) {
            for from in &select.from {
                if let Err(error) = tables(from, self.family, &mut seen) {
                    return ControlFlow::Break(error);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn tables(from: &TableWithJoins, family: Family, seen: &mut HashSet<String>) -> Result<()> {
    for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
        let (key, shown) = match factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => (fold(&alias.name.value), alias.name.value.clone()),
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                tables(table_with_joins, family, seen)?;
                continue;
            }
            TableFactor::Table { name, alias: None, args: None, .. } => {
                let parts: Vec<&str> = name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
                (fold(&parts.join(".")), parts.last().copied().unwrap_or_default().to_owned())
            }
            _ => continue,
        };
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
