//! Rows of literals: an INSERT .. VALUES without a plan for each of its cells.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::concat;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value};

use super::expressions::{placeholder, with_all_digits};
use crate::error::{Error, Result};
use crate::session::call::Call;
use crate::session::state::Session;
use crate::types::coerce::coerce;
use crate::types::rows::{default_or_error, one_array};
use crate::types::{Column, Family, SqlType};

/// A cell of a row of literals.
enum Cell {
    Value(ScalarValue),
    Default,
}

impl Session {
    /// One column's cells, read into its type. Cells that are not literals are evaluated as a query would.
    pub(super) async fn cells(&mut self, column: &Column, cells: &[&Expr], call: &Call) -> Result<ArrayRef> {
        // To these a number is not the same as its digits.
        let numbers = matches!(column.ty, SqlType::Bit { .. } | SqlType::Enum { .. });
        let mut values: Vec<Option<Cell>> = cells.iter().map(|e| literal(e, &call.params, numbers)).collect();
        if self.family() == Family::MySql && column.ty.arrow().is_numeric() {
            // Literal bytes are a number there, and not the text of one.
            for (value, cell) in values.iter_mut().zip(cells) {
                if let Expr::Value(literal) = cell
                    && let Some(n) = crate::engine::dialect::literal_bytes(&literal.value)
                {
                    *value = Some(Cell::Value(ScalarValue::UInt64(Some(n))));
                }
            }
        }
        if self.family() == Family::Postgres && column.ty.arrow().is_integer() {
            // A number with a fraction is rounded; a text with one is an error.
            values.iter_mut().zip(cells).filter(|(_, cell)| has_fraction(cell)).for_each(|(value, _)| *value = None);
        }
        let open: Vec<usize> = values.iter().enumerate().filter(|(_, v)| v.is_none()).map(|(i, _)| i).collect();
        // One query for all of them, in pieces that stay well below planning limits.
        for chunk in open.chunks(256) {
            let mysql = self.family() == Family::MySql;
            let cell = |i: &usize| if mysql { with_all_digits(cells[*i].clone()) } else { cells[*i].clone() };
            let expressions: Vec<Expr> = chunk.iter().map(cell).collect();
            for (index, value) in chunk.iter().zip(self.evaluate(&expressions, call).await?) {
                values[*index] = Some(Cell::Value(value));
            }
        }
        let default = if values.iter().any(|v| matches!(v, Some(Cell::Default))) {
            Some(default_or_error(column, self.family(), &self.settings.zone)?)
        } else {
            None
        };
        let scalars: Vec<ScalarValue> = values
            .into_iter()
            .map(|v| match v {
                Some(Cell::Value(value)) => value,
                _ => default.clone().unwrap_or(ScalarValue::Null),
            })
            .collect();
        let mut types = scalars.iter().filter(|v| !v.is_null()).map(ScalarValue::data_type);
        let first = types.next();
        if types.all(|ty| Some(&ty) == first.as_ref()) {
            return coerce(&one_array(scalars)?, column, self.family(), &self.settings.zone, 0);
        }
        // Cells of several types: each is read into the column as what it is.
        let mut read = Vec::with_capacity(scalars.len());
        for (row, value) in scalars.into_iter().enumerate() {
            read.push(coerce(&one_array(vec![value])?, column, self.family(), &self.settings.zone, row as u64)?);
        }
        concat(&read.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map_err(|e| Error::internal(e.to_string()))
    }
}

fn has_fraction(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => has_fraction(inner),
        Expr::Value(value) => matches!(&value.value, Value::Number(number, _) if number.to_string().contains(['.', 'e', 'E'])),
        _ => false,
    }
}

/// The value of a literal cell, numbers as text so that no digit is lost (or, with `numbers`, whole ones as numbers);
/// None: it must be evaluated.
fn literal(expr: &Expr, params: &[ScalarValue], numbers: bool) -> Option<Cell> {
    let text = |text: String| Some(Cell::Value(ScalarValue::Utf8(Some(text))));
    match expr {
        Expr::Nested(inner) => literal(inner, params, numbers),
        Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") => Some(Cell::Default),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => text(format!("-{number}")),
                _ => None,
            },
            _ => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Null => Some(Cell::Value(ScalarValue::Null)),
            Value::Boolean(b) => Some(Cell::Value(ScalarValue::Boolean(Some(*b)))),
            Value::Number(number, _) => match number.to_string().parse::<u64>() {
                Ok(whole) if numbers => Some(Cell::Value(ScalarValue::UInt64(Some(whole)))),
                _ => text(number.to_string()),
            },
            Value::SingleQuotedString(s)
            | Value::DoubleQuotedString(s)
            | Value::EscapedStringLiteral(s)
            | Value::NationalStringLiteral(s)
            | Value::UnicodeStringLiteral(s) => text(s.clone()),
            Value::DollarQuotedString(s) => text(s.value.clone()),
            Value::HexStringLiteral(hex) => hex::decode(hex).ok().map(|bytes| Cell::Value(ScalarValue::Binary(Some(bytes)))),
            Value::Placeholder(_) => placeholder(expr).and_then(|n| params.get(n)).cloned().map(Cell::Value),
            _ => None,
        },
        _ => None,
    }
}
