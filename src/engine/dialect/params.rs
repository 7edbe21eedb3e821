//! Parameters with values, put into the tree as what a client would have typed. So they mean what literals mean: a text
//! beside a date is a date, read once, in the session's zone.

use std::ops::ControlFlow;

use datafusion::arrow::array::Array as _;
use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Array, CastKind, DataType, Expr, Interval, Query, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
};

use super::build::{call, hole, string};
use crate::engine::functions::{cast_name, type_argument};
use crate::error::{Error, Kind, Result};
use crate::sql::interval::Parts;
use crate::sql::walk::walk_mut;
use crate::types::coerce::format::{civil_text, date_text, decimal_text, float_text, time_text};
use crate::types::{Family, SqlType};

/// Puts values in the place of `$1`, `$2`, .. No values: the parameters stay, for a description of the statement.
pub fn bind<T: VisitMut>(tree: &mut T, params: &[ScalarValue], family: Family) -> Result<()> {
    if params.is_empty() {
        return Ok(());
    }
    match walk_mut(tree, &mut Binder { params, family }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Puts a NULL of its type in the place of every parameter whose type is known, so that the plan of a description sees
/// the type. LIMIT, which takes no such thing and gives no column, goes.
pub fn bind_types<T: VisitMut>(tree: &mut T, types: &[Option<SqlType>]) {
    let _ = walk_mut(tree, &mut TypeBinder { types });
}

struct TypeBinder<'a> {
    types: &'a [Option<SqlType>],
}

impl VisitorMut for TypeBinder<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if query.limit_clause.as_ref().is_some_and(|limit| limit.to_string().contains('$')) {
            query.limit_clause = None;
        }
        if query.fetch.as_ref().is_some_and(|fetch| fetch.to_string().contains('$')) {
            query.fetch = None;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) = expr
            && let Some(index) = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()?.checked_sub(1))
            && let Some(Some(ty)) = self.types.get(index)
        {
            *expr = typed_null(ty);
        }
        ControlFlow::Continue(())
    }
}

/// A NULL that has a type; of an array its elements are NULL, since the engine's NULL array has none.
fn typed_null(ty: &SqlType) -> Expr {
    match ty {
        SqlType::Null => hole(),
        SqlType::Interval => Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(hole()),
            data_type: DataType::Interval { fields: None, precision: None },
            array: false,
            format: None,
        },
        SqlType::List(item) => Expr::Array(Array { elem: vec![typed_null(item)], named: true }),
        ty => typed(hole(), ty),
    }
}

/// An interval as the engine reads it.
pub(super) fn interval((months, days, micros): Parts) -> Expr {
    let sign = if micros < 0 { "-" } else { "" };
    let (seconds, rest) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    Expr::Interval(Interval {
        value: Box::new(string(format!("{months} mons {days} days {sign}{seconds}.{rest:06} secs"))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

struct Binder<'a> {
    params: &'a [ScalarValue],
    family: Family,
}

impl VisitorMut for Binder<'_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) = expr else { return ControlFlow::Continue(()) };
        let Some(index) = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()) else { return ControlFlow::Continue(()) };
        let value = index.checked_sub(1).and_then(|i| self.params.get(i));
        let made = value
            .ok_or_else(|| Error::new(Kind::WrongArguments, format!("there is no parameter ${index}")))
            .and_then(|value| literal(value, self.family));
        match made {
            Ok(new) => *expr = new,
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// A number, in parentheses so that a sign before it stays apart.
fn number(text: &str) -> Expr {
    let digits = |s: &str| Expr::Value(Value::Number(s.to_owned(), false).into());
    let plain = match text.strip_prefix('-') {
        Some(rest) => Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(digits(rest)) },
        None => digits(text),
    };
    Expr::Nested(Box::new(plain))
}

fn typed(value: Expr, ty: &SqlType) -> Expr {
    call(cast_name(), vec![value, string(type_argument(ty))])
}

/// A value as an expression.
fn literal(value: &ScalarValue, family: Family) -> Result<Expr> {
    if value.is_null() {
        return Ok(match SqlType::of_arrow(&value.data_type()) {
            // A NULL of a type keeps it where PostgreSQL shows types.
            ty if family == Family::Postgres && !matches!(ty, SqlType::List(_)) => typed_null(&ty),
            _ => hole(),
        });
    }
    // PostgreSQL's clients see the exact type of a number again; to MySQL an integer is an integer.
    let whole = |text: String| match family {
        Family::Postgres if value.data_type() != ArrowType::Int64 => typed(number(&text), &SqlType::of_arrow(&value.data_type())),
        _ => number(&text),
    };
    Ok(match value {
        ScalarValue::Utf8(Some(s)) | ScalarValue::LargeUtf8(Some(s)) | ScalarValue::Utf8View(Some(s)) => string(s.as_str()),
        ScalarValue::Boolean(Some(b)) => Expr::Value(Value::Boolean(*b).into()),
        ScalarValue::Int8(Some(n)) => whole(n.to_string()),
        ScalarValue::Int16(Some(n)) => whole(n.to_string()),
        ScalarValue::Int32(Some(n)) => whole(n.to_string()),
        ScalarValue::Int64(Some(n)) => whole(n.to_string()),
        ScalarValue::UInt8(Some(n)) => whole(n.to_string()),
        ScalarValue::UInt16(Some(n)) => whole(n.to_string()),
        ScalarValue::UInt32(Some(n)) => whole(n.to_string()),
        ScalarValue::UInt64(Some(n)) => number(&n.to_string()),
        ScalarValue::Float32(Some(v)) => typed(string(float_text(f64::from(*v), family)), &SqlType::Float32),
        ScalarValue::Float64(Some(v)) => typed(string(float_text(*v, family)), &SqlType::Float64),
        ScalarValue::Decimal128(Some(v), _, scale) => number(&decimal_text(*v, *scale)),
        ScalarValue::Binary(Some(b)) | ScalarValue::LargeBinary(Some(b)) | ScalarValue::BinaryView(Some(b)) => {
            let bytes = Expr::Value(Value::HexStringLiteral(hex::encode(b)).into());
            // A literal would be a number among numbers; bytes of a client are the text of one.
            if family == Family::MySql { typed(bytes, &SqlType::Blob) } else { bytes }
        }
        ScalarValue::Date32(Some(d)) => typed(string(date_text(i64::from(*d))), &SqlType::Date),
        ScalarValue::Time64Microsecond(Some(v)) => typed(string(time_text(*v, 6)), &SqlType::Time { fsp: 6 }),
        ScalarValue::TimestampMicrosecond(Some(v), None) => typed(string(civil_text(*v, 6)), &SqlType::DateTime { fsp: 6 }),
        ScalarValue::TimestampMicrosecond(Some(v), Some(_)) => {
            typed(string(format!("{}+00:00", civil_text(*v, 6))), &SqlType::Timestamp { fsp: 6 })
        }
        ScalarValue::IntervalMonthDayNano(Some(v)) => interval((v.months, v.days, v.nanoseconds / 1_000)),
        ScalarValue::List(array) => {
            let items = array.value(0);
            let elem = (0..items.len())
                .map(|i| {
                    ScalarValue::try_from_array(&items, i).map_err(|e| Error::internal(e.to_string())).and_then(|v| literal(&v, family))
                })
                .collect::<Result<Vec<_>>>()?;
            Expr::Array(Array { elem, named: true })
        }
        other => return Err(Error::unsupported(format!("a parameter of type {}", SqlType::of_arrow(&other.data_type())))),
    })
}
