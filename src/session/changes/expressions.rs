//! Expressions of changes: parameters, defaults, values on their way into a column.

use datafusion::sql::sqlparser::ast::{Expr, Value};

use crate::error::{Error, Kind, Result};
use crate::gms::Table;
use crate::types::coerce::default_value;
use crate::types::rows::no_default;
use crate::types::{Column, Default, Family, SqlType, same};

/// The index of a column by its name.
pub(in crate::session) fn column_index(table: &Table, name: &str, family: Family) -> Result<usize> {
    table.columns().iter().position(|c| same(&c.name, name)).ok_or_else(|| {
        Error::new(
            Kind::UnknownColumn,
            match family {
                Family::MySql => format!("Unknown column '{name}' in 'field list'"),
                Family::Postgres => format!("column \"{name}\" of relation \"{}\" does not exist", table.name),
            },
        )
    })
}

/// The number (from 0) of a placeholder.
pub(in crate::session) fn placeholder(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1),
            _ => None,
        },
        Expr::Nested(inner) => placeholder(inner),
        _ => None,
    }
}

/// A value on its way into a column of a MySQL session.
pub(in crate::session) fn with_all_digits(expr: Expr) -> Expr {
    if crate::engine::dialect::has_quotient(&expr) { crate::engine::dialect::as_computed(expr) } else { expr }
}

/// A column's default as an expression, for `SET c = DEFAULT`.
pub(in crate::session) fn default_expr(column: &Column, family: Family) -> Result<Expr> {
    if column.default.is_none() && !column.nullable {
        return Err(no_default(column, family));
    }
    let value = match &column.default {
        None => Value::Null,
        Some(Default::Value(text)) if column.ty == SqlType::Bool => {
            Value::Boolean(matches!(text.as_str(), "true" | "t" | "yes" | "y" | "on" | "1"))
        }
        Some(Default::Value(text)) if matches!(column.ty, SqlType::Bit { .. }) && text.parse::<u64>().is_ok() => {
            Value::Number(text.clone(), false)
        }
        Some(Default::Value(text)) => Value::SingleQuotedString(text.clone()),
        Some(_) => {
            let now = default_value(column, jiff::Timestamp::now(), &jiff::tz::TimeZone::system())?;
            Value::SingleQuotedString(now.to_string())
        }
    };
    Ok(Expr::Value(value.into()))
}
