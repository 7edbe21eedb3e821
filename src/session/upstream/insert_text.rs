//! The text of an INSERT into a hot table, taken apart round its rows, and values as literals of the upstream's language.

use std::ops::ControlFlow;

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, SetExpr, Table as TableCommand, TableObject, UnaryOperator, Value, ValueWithSpan, VisitorMut};

use crate::error::{Error, Result};
use crate::session::changes::placeholder;
use crate::sql::walk::walk_mut;
use crate::sql::{Dialect, Insert, Statement, printer};
use crate::types::coerce::format::{civil_text, date_text, decimal_text, float_text, time_text};
use crate::types::{Family, SqlType};
use crate::upstream::InsertText;

/// Stands for the rows in an INSERT that is printed, as `TABLE` of this name.
const ROWS: &str = "__fg_rows";
/// An INSERT without its rows.
pub(super) fn insert_text(dialect: &Dialect, insert: &Insert, params: &[ScalarValue]) -> Result<InsertText> {
    let mut tree = insert.insert.as_ref().clone();
    if let Some(source) = &mut tree.source {
        source.with = None;
        source.order_by = None;
        source.limit_clause = None;
        source.fetch = None;
        source.locks.clear();
        *source.body = SetExpr::Table(Box::new(TableCommand { table_name: Some(ROWS.to_owned()), schema_name: None }));
    }
    if let TableObject::TableName(_) = &tree.table {
        tree.into = true;
    }
    let family = if dialect.is_mysql() { Family::MySql } else { Family::Postgres };
    if let ControlFlow::Break(error) = walk_mut(&mut tree, &mut Bound { params, family }) {
        return Err(error);
    }
    let printed = printer::print(dialect, &Statement::Insert(Insert { insert: Box::new(tree), as_of: None }));
    let (head, tail) = printed.split_once(&format!("TABLE {ROWS}")).ok_or_else(|| Error::internal("an INSERT lost its rows"))?;
    Ok(InsertText { head: format!("{head}VALUES "), tail: tail.to_owned() })
}

/// Puts literals of the upstream's in the place of parameters.
struct Bound<'a> {
    params: &'a [ScalarValue],
    family: Family,
}

impl VisitorMut for Bound<'_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Nested(_) = expr {
            return ControlFlow::Continue(());
        }
        let Some(index) = placeholder(expr) else { return ControlFlow::Continue(()) };
        match self.params.get(index).map(|value| literal(value, self.family)) {
            Some(Ok(made)) => *expr = made,
            Some(Err(error)) => return ControlFlow::Break(error),
            // The statement is only described.
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Error> {
        // Where a backslash stands for itself is a setting of the upstream's; in this form it is always doubled.
        if self.family == Family::Postgres
            && let Value::SingleQuotedString(text) = &value.value
            && text.contains('\\')
        {
            value.value = Value::EscapedStringLiteral(text.clone());
        }
        ControlFlow::Continue(())
    }
}

/// A value as a literal of the upstream's language.
pub(in crate::session) fn literal(value: &ScalarValue, family: Family) -> Result<Expr> {
    let made = |value: Value| Expr::Value(value.into());
    let text = |text: String| match family {
        Family::Postgres if text.contains('\\') => made(Value::EscapedStringLiteral(text)),
        _ => made(Value::SingleQuotedString(text)),
    };
    let number = |text: String| match text.strip_prefix('-') {
        Some(rest) => {
            Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(made(Value::Number(rest.to_owned(), false))) }))
        }
        None => made(Value::Number(text, false)),
    };
    if value.is_null() {
        return Ok(made(Value::Null));
    }
    Ok(match value {
        ScalarValue::Utf8(Some(s)) | ScalarValue::LargeUtf8(Some(s)) | ScalarValue::Utf8View(Some(s)) => text(s.clone()),
        ScalarValue::Boolean(Some(b)) => made(Value::Boolean(*b)),
        ScalarValue::Int8(Some(n)) => number(n.to_string()),
        ScalarValue::Int16(Some(n)) => number(n.to_string()),
        ScalarValue::Int32(Some(n)) => number(n.to_string()),
        ScalarValue::Int64(Some(n)) => number(n.to_string()),
        ScalarValue::UInt8(Some(n)) => number(n.to_string()),
        ScalarValue::UInt16(Some(n)) => number(n.to_string()),
        ScalarValue::UInt32(Some(n)) => number(n.to_string()),
        ScalarValue::UInt64(Some(n)) => number(n.to_string()),
        ScalarValue::Float32(Some(v)) if v.is_finite() => number(format!("{:e}", f64::from(*v))),
        ScalarValue::Float64(Some(v)) if v.is_finite() => number(format!("{v:e}")),
        ScalarValue::Float32(Some(v)) => text(float_text(f64::from(*v), family)),
        ScalarValue::Float64(Some(v)) => text(float_text(*v, family)),
        ScalarValue::Decimal128(Some(v), _, scale) => number(decimal_text(*v, *scale)),
        ScalarValue::Binary(Some(b)) | ScalarValue::LargeBinary(Some(b)) | ScalarValue::BinaryView(Some(b)) => match family {
            Family::MySql => made(Value::HexStringLiteral(hex::encode(b))),
            Family::Postgres => text(format!("\\x{}", hex::encode(b))),
        },
        ScalarValue::Date32(Some(d)) => text(date_text(i64::from(*d))),
        ScalarValue::Time64Microsecond(Some(v)) => text(time_text(*v, 6)),
        ScalarValue::TimestampMicrosecond(Some(v), None) => text(civil_text(*v, 6)),
        ScalarValue::TimestampMicrosecond(Some(v), Some(_)) if family == Family::Postgres => text(format!("{}+00", civil_text(*v, 6))),
        other => {
            return Err(Error::unsupported(format!(
                "a value of type {} in what goes to the upstream",
                SqlType::of_arrow(&other.data_type())
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(dialect: Dialect, text: &str, params: &[ScalarValue]) -> (String, String) {
        let parsed = crate::sql::parse(&dialect, text).unwrap().remove(0);
        let Statement::Insert(insert) = parsed.statement else { panic!("{text}") };
        let made = insert_text(&dialect, &insert, params).unwrap();
        (made.head, made.tail)
    }

    #[test]
    fn an_insert_is_taken_apart_round_its_rows() {
        let my = |text: &str, params: &[ScalarValue]| split(Dialect::MYSQL, text, params);
        let pg = |text: &str, params: &[ScalarValue]| split(Dialect::POSTGRES, text, params);
        let string = |s: &str| ScalarValue::Utf8(Some(s.to_owned()));
        assert_eq!(
            my("INSERT IGNORE INTO `h x` (a, b) SELECT a, b FROM cold1 WHERE id > 3 ORDER BY 1 LIMIT 5", &[]),
            ("INSERT IGNORE INTO `h x` (a, b) VALUES ".into(), "".into())
        );
        assert_eq!(
            my("REPLACE INTO h SELECT * FROM cold1 AS OF TIMESTAMP '2022-01-01'", &[]),
            ("REPLACE INTO h VALUES ".into(), "".into())
        );
        let (head, tail) =
            my("INSERT INTO h SELECT ? FROM cold1 ON DUPLICATE KEY UPDATE a = ?, b = 'x\\'y\\\\'", &[string("in"), string("o'u\\t")]);
        assert_eq!((head.as_str(), tail.as_str()), ("INSERT INTO h VALUES ", " ON DUPLICATE KEY UPDATE a = 'o''u\\\\t', b = 'x''y\\\\'"));
        let (_, tail) =
            pg("INSERT INTO h SELECT $1 FROM cold1 ON CONFLICT (id) DO UPDATE SET a = $2, b = 'c\\d'", &[string("in"), string("o'u\\t")]);
        assert_eq!(tail, " ON CONFLICT(id) DO UPDATE SET a = E'o\\'u\\\\t', b = E'c\\\\d'");
        assert_eq!(pg("INSERT INTO s.h SELECT 1 FROM c ON CONFLICT DO NOTHING", &[]).1, " ON CONFLICT DO NOTHING");
    }
}
