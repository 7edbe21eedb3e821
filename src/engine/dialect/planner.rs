//! What an operator means once the types of its two sides are known.
//!
//! DataFusion asks this planner for each binary operator. It compares text with numbers, dates and moments as the
//! dialect does (a literal is read once, in the session's zone, so that files can still be pruned by it), lets integers
//! overflow loudly, and adds intervals to dates.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::StringArray;
use datafusion::arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit};
use datafusion::common::DFSchema;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use jiff::tz::TimeZone;

use crate::engine::error::external;
use crate::engine::functions::scalar::CIVIL;
use crate::engine::functions::{self, Facts, read_moment};
use crate::engine::rules::common_types::double_of;
use crate::error::{Error, Kind, Result};
use crate::types::coerce::{cast_to, parse_decimal, parse_integer_prefix};
use crate::types::{ColumnInfo, Family, SqlType};

/// The planner of one session.
#[derive(Debug)]
pub struct DialectPlanner {
    pub(super) family: Family,
    pub(super) zone: TimeZone,
    pub(super) facts: Arc<Facts>,
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

pub(super) fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

pub(super) fn is_moment(ty: &DataType) -> bool {
    matches!(ty, DataType::Date32 | DataType::Timestamp(..))
}

fn is_interval(ty: &DataType) -> bool {
    matches!(ty, DataType::Interval(_) | DataType::Duration(_))
}

pub(super) fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(s)) | ScalarValue::Utf8View(Some(s)) | ScalarValue::LargeUtf8(Some(s)), _) => Some(s),
        _ => None,
    }
}

fn integer_of(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(n), _) => *n,
        _ => None,
    }
}

/// A decimal of just these digits.
pub(super) fn decimal_literal(value: i128, scale: i8) -> ScalarValue {
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |n| n as i32 + 1).max(i32::from(scale) + 1);
    ScalarValue::Decimal128(Some(value), digits.clamp(1, 38) as u8, scale)
}

/// A literal added to a moment.
fn interval_literal(expr: Expr) -> DfResult<Expr> {
    let Some(text) = text_of(&expr) else { return Ok(expr) };
    let read = crate::sql::interval::parts(text).and_then(|(months, days, micros)| Some((months, days, micros.checked_mul(1_000)?)));
    let (months, days, nanos) =
        read.ok_or_else(|| external(Error::new(Kind::InvalidDatetime, format!("invalid input syntax for type interval: \"{text}\""))))?;
    Ok(lit(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)))))
}

impl DialectPlanner {
    /// The planner for a session.
    pub fn new(facts: Arc<Facts>) -> DialectPlanner {
        DialectPlanner { family: facts.family, zone: facts.zone.clone(), facts }
    }

    pub(super) fn is_mysql(&self) -> bool {
        self.family == Family::MySql
    }

    pub(super) fn call(&self, name: &str, args: Vec<Expr>) -> DfResult<Expr> {
        match functions::internal(name, &self.facts) {
            Some(function) => Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), args))),
            None => Err(external(Error::internal(format!("no function {name}")))),
        }
    }

    /// A literal as the type of the other side, by the rules of a column of that type.
    fn read(&self, text: &str, ty: &DataType) -> Result<ScalarValue> {
        let array: datafusion::arrow::array::ArrayRef = Arc::new(StringArray::from(vec![text]));
        let value = cast_to(&array, &SqlType::of_arrow(ty), self.family, &self.zone)?;
        ScalarValue::try_from_array(&value, 0).map_err(|e| Error::internal(e.to_string()))
    }

    /// A literal compared with a column whose type has a text form of its own (uuid, char(n)) is read as that type; a
    /// parameter of unknown type that is added to a moment is an interval.
    fn literals_of_columns(&self, raw: RawBinaryExpr, schema: &DFSchema) -> DfResult<RawBinaryExpr> {
        use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq, Plus};
        let RawBinaryExpr { op, mut left, mut right } = raw;
        match op {
            Eq | NotEq | Lt | LtEq | Gt | GtEq => {
                if let Some(new) = self.beside_column(&right, &left, schema)? {
                    right = new;
                } else if let Some(new) = self.beside_column(&left, &right, schema)? {
                    left = new;
                }
            }
            Plus if matches!(left.get_type(schema), Ok(DataType::Timestamp(..))) => {
                if let Expr::Placeholder(hole) = &mut right
                    && hole.field.is_none()
                {
                    hole.field = Some(Arc::new(Field::new("", INTERVAL, true)));
                }
            }
            _ => {}
        }
        Ok(RawBinaryExpr { op, left, right })
    }

    fn beside_column(&self, literal: &Expr, column: &Expr, schema: &DFSchema) -> DfResult<Option<Expr>> {
        let (Some(text), Expr::Column(_)) = (text_of(literal), column) else { return Ok(None) };
        let Ok((_, field)) = column.to_field(schema) else { return Ok(None) };
        Ok(match ColumnInfo::of_field(&field, "").ty {
            SqlType::Uuid => {
                let array: datafusion::arrow::array::ArrayRef = Arc::new(StringArray::from(vec![text]));
                let value = cast_to(&array, &SqlType::Uuid, self.family, &self.zone).map_err(external)?;
                Some(lit(ScalarValue::try_from_array(&value, 0)?))
            }
            // Blanks at the end mean nothing in char(n), and are not kept.
            SqlType::Char { .. } => Some(lit(text.trim_end_matches(' '))),
            _ => None,
        })
    }

    /// One side of a comparison, seen beside the other side's type: what it is to become, if anything.
    pub(super) fn beside(&self, side: &Expr, ty: &DataType, other: &DataType) -> DfResult<Option<Expr>> {
        if is_text(ty) {
            if is_moment(other) {
                return Ok(Some(match text_of(side) {
                    Some(text) => lit(read_moment(text, other, self.family, &self.zone).map_err(external)?),
                    None if self.is_mysql() => {
                        let moment = self.call("fg_moment", vec![side.clone()])?;
                        if matches!(other, DataType::Timestamp(_, Some(_))) { self.call("fg_stamp", vec![moment])? } else { moment }
                    }
                    None => self
                        .call(if matches!(other, DataType::Timestamp(_, Some(_))) { "fg_stamp" } else { "fg_civil" }, vec![side.clone()])?,
                }));
            }
            if matches!(other, DataType::Time64(_)) {
                return text_of(side).map(|text| self.read(text, other).map(lit).map_err(external)).transpose();
            }
            if other.is_numeric() || (other == &DataType::Boolean && self.is_mysql()) {
                return self.number_beside(side, other).map(Some);
            }
            if is_interval(other) && !self.is_mysql() && text_of(side).is_some() {
                return interval_literal(side.clone()).map(Some);
            }
            if (other == &DataType::Boolean || other == &DataType::Binary) && !self.is_mysql() {
                return text_of(side).map(|text| self.read(text, other).map(lit).map_err(external)).transpose();
            }
        }
        if self.is_mysql()
            && let Some(new) = self.mysql_beside(side, ty, other)?
        {
            return Ok(Some(new));
        }
        if self.is_mysql() && ty == &DataType::Boolean && (other.is_numeric() || is_text(other)) {
            return Ok(Some(self.call("fg_int", vec![side.clone()])?));
        }
        Ok(match (ty, other) {
            (DataType::Date32, DataType::Timestamp(_, None)) => Some(cast(side.clone(), CIVIL)),
            (DataType::Date32 | DataType::Timestamp(_, None), DataType::Timestamp(_, Some(_))) => {
                Some(self.call("fg_stamp", vec![side.clone()])?)
            }
            _ => None,
        })
    }

    /// A text beside a number. MySQL takes the number that the text begins with; PostgreSQL reads a literal as the
    /// other side's type and compares nothing else.
    fn number_beside(&self, side: &Expr, other: &DataType) -> DfResult<Expr> {
        match (text_of(side), self.family) {
            (Some(text), Family::Postgres) => self.read(text, other).map(lit).map_err(external),
            (Some(text), Family::MySql) => {
                let number = parse_integer_prefix(text);
                let double = matches!(other, DataType::Float32 | DataType::Float64);
                Ok(match (number.parse::<i64>(), parse_decimal(number)) {
                    (Ok(n), _) => lit(n),
                    // As a decimal it needs no cast of the column beside it.
                    (_, Some((value, scale))) if !double && scale <= 30 => lit(decimal_literal(value, scale)),
                    (_, Some(_)) => lit(number.parse::<f64>().unwrap_or(0.0)),
                    _ => lit(number.parse::<f64>().unwrap_or(0.0)),
                })
            }
            (None, Family::MySql) => self.call("fg_float", vec![side.clone()]),
            (None, Family::Postgres) => Err(external(
                Error::new(
                    Kind::UnknownFunction,
                    format!("operator does not exist: text and {}", SqlType::of_arrow(other).postgres_name()),
                )
                .with_hint("you might need to add explicit type casts"),
            )),
        }
    }

    pub(super) fn comparison(&self, raw: RawBinaryExpr, lt: &DataType, rt: &DataType) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = raw;
        // `flag = 1` stays a comparison of the flag.
        if self.is_mysql() && matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) {
            if let (DataType::Boolean, Some(n @ (0 | 1))) = (lt, integer_of(&right)) {
                return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right: lit(n == 1) }));
            }
            if let (Some(n @ (0 | 1)), DataType::Boolean) = (integer_of(&left), rt) {
                return Ok(PlannerResult::Original(RawBinaryExpr { op, left: lit(n == 1), right }));
            }
        }
        let double = |ty: &DataType| matches!(ty, DataType::Float32 | DataType::Float64);
        let (left, right) = match (lt, rt) {
            (l, r) if double(l) && r.is_decimal() => (left, double_of(right)),
            (l, r) if l.is_decimal() && double(r) => (double_of(left), right),
            _ => (left, right),
        };
        let new_left = self.beside(&left, lt, rt)?;
        let new_right = self.beside(&right, rt, lt)?;
        let (mut left, mut right) = (new_left.unwrap_or(left), new_right.unwrap_or(right));
        // A text that is no literal became a double: so does what it is compared with.
        if self.is_mysql() {
            if is_text(lt) && rt.is_decimal() && text_of(&left).is_none() && !matches!(left, Expr::Literal(..)) {
                right = double_of(right);
            } else if is_text(rt) && lt.is_decimal() && !matches!(right, Expr::Literal(..)) {
                left = double_of(left);
            }
        }
        // A date beside a literal that turned out to have a time of day.
        let civil = |e: &Expr| matches!(e, Expr::Literal(ScalarValue::TimestampMicrosecond(_, None), _));
        let (left, right) = match (lt, rt) {
            (DataType::Date32, _) if civil(&right) => (cast(left, CIVIL), right),
            (_, DataType::Date32) if civil(&left) => (left, cast(right, CIVIL)),
            (DataType::Date32, other)
                if (is_text(other) || self.is_mysql() && other.is_numeric()) && !matches!(right, Expr::Literal(..)) =>
            {
                (cast(left, CIVIL), right)
            }
            (other, DataType::Date32)
                if (is_text(other) || self.is_mysql() && other.is_numeric()) && !matches!(left, Expr::Literal(..)) =>
            {
                (left, cast(right, CIVIL))
            }
            // A number that is computed beside a time: both as numbers.
            (DataType::Time64(_), n)
                if self.is_mysql() && n.is_numeric() && !matches!(right, Expr::Literal(ScalarValue::Time64Microsecond(_), _)) =>
            {
                (self.call("fg_number", vec![left, lit(6i64)])?, right)
            }
            (n, DataType::Time64(_))
                if self.is_mysql() && n.is_numeric() && !matches!(left, Expr::Literal(ScalarValue::Time64Microsecond(_), _)) =>
            {
                (left, self.call("fg_number", vec![right, lit(6i64)])?)
            }
            _ => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }

    /// Integers that refuse to wrap.
    pub(super) fn checked(
        &self,
        op: BinaryOperator,
        left: Expr,
        right: Expr,
        lt: &DataType,
        rt: &DataType,
    ) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let name = match (&op, self.family) {
            (BinaryOperator::Plus, Family::MySql) => "fg_my_add",
            (BinaryOperator::Minus, Family::MySql) if self.facts.signed_subtraction => "fg_my_sub_signed",
            (BinaryOperator::Minus, Family::MySql) => "fg_my_sub",
            (BinaryOperator::Multiply, Family::MySql) => "fg_my_mul",
            (BinaryOperator::Plus, Family::Postgres) => "fg_add",
            (BinaryOperator::Minus, Family::Postgres) => "fg_sub",
            (BinaryOperator::Multiply, Family::Postgres) => "fg_mul",
            _ => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        };
        if lt.is_integer() && rt.is_integer() {
            return Ok(PlannerResult::Planned(self.call(name, vec![left, right])?));
        }
        if self.is_mysql() && (lt == &DataType::Float64 || rt == &DataType::Float64) {
            let operator = match op {
                BinaryOperator::Plus => Operator::Plus,
                BinaryOperator::Minus => Operator::Minus,
                _ => Operator::Multiply,
            };
            let result = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)));
            return Ok(PlannerResult::Planned(self.call("fg_finite", vec![result])?));
        }
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }

    fn postgres_arithmetic(&self, raw: RawBinaryExpr, lt: &DataType, rt: &DataType) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, mut left, mut right } = raw;
        let (mut lt, mut rt) = (lt.clone(), rt.clone());
        let additive = matches!(op, BinaryOperator::Plus | BinaryOperator::Minus);
        let temporal = |ty: &DataType| is_moment(ty) || is_interval(ty) || matches!(ty, DataType::Time64(_));
        // A literal takes the type that the other side suggests.
        if is_text(&rt) && text_of(&right).is_some() {
            if additive && temporal(&lt) {
                (right, rt) = (interval_literal(right)?, INTERVAL);
            } else if lt.is_numeric() {
                right = self.number_beside(&right, &lt)?;
                rt = lt.clone();
            }
        } else if is_text(&lt) && text_of(&left).is_some() && rt.is_numeric() {
            left = self.number_beside(&left, &rt)?;
            lt = rt.clone();
        }
        let planned = |e: DfResult<Expr>| e.map(PlannerResult::Planned);
        let minus = op == BinaryOperator::Minus;
        if additive && (temporal(&lt) || temporal(&rt)) {
            return match (&lt, &rt) {
                (l, r) if temporal(l) && is_interval(r) => {
                    planned(self.call(if minus { "fg_pg_minus" } else { "fg_pg_plus" }, vec![left, right]))
                }
                (l, r) if is_interval(l) && temporal(r) && !minus => planned(self.call("fg_pg_plus", vec![right, left])),
                (DataType::Date32, r) if r.is_integer() => {
                    let days = if minus { Expr::Negative(Box::new(right)) } else { right };
                    planned(self.call("fg_date_plus", vec![left, days]))
                }
                (l, DataType::Date32) if l.is_integer() && !minus => planned(self.call("fg_date_plus", vec![right, left])),
                (DataType::Date32, DataType::Date32) if minus => planned(self.call("fg_date_minus", vec![left, right])),
                (l, r) if minus && is_moment(l) && is_moment(r) => {
                    let (left, right) = match (l, r) {
                        (DataType::Timestamp(_, Some(_)), _) | (_, DataType::Timestamp(_, Some(_))) => {
                            (self.call("fg_stamp", vec![left])?, self.call("fg_stamp", vec![right])?)
                        }
                        _ => (left, right),
                    };
                    planned(self.call("fg_pg_between", vec![left, right]))
                }
                // A time of day counts from a moment on as an interval does.
                (l, DataType::Time64(_)) if is_moment(l) => {
                    planned(self.call(if minus { "fg_pg_minus" } else { "fg_pg_plus" }, vec![left, right]))
                }
                (DataType::Time64(_), r) if is_moment(r) && !minus => planned(self.call("fg_pg_plus", vec![right, left])),
                _ => Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
            };
        }
        let exact = |ty: &DataType| ty.is_integer() || ty.is_decimal();
        match op {
            BinaryOperator::Multiply if is_interval(&lt) && rt.is_numeric() => planned(self.call("fg_interval_times", vec![left, right])),
            BinaryOperator::Multiply if lt.is_numeric() && is_interval(&rt) => planned(self.call("fg_interval_times", vec![right, left])),
            BinaryOperator::Divide if is_interval(&lt) && rt.is_numeric() => planned(self.call("fg_interval_over", vec![left, right])),
            BinaryOperator::Divide if lt.is_integer() && rt.is_integer() => planned(self.call("fg_intdiv", vec![left, right])),
            BinaryOperator::Divide if exact(&lt) && exact(&rt) => planned(self.call("fg_pg_div", vec![left, right])),
            BinaryOperator::Divide if lt.is_numeric() && rt.is_numeric() => planned(self.call("fg_div", vec![left, right])),
            BinaryOperator::Modulo if lt.is_numeric() && rt.is_numeric() => planned(self.call("fg_mod", vec![left, right])),
            _ if is_text(&lt) && rt.is_numeric() => self.number_beside(&left, &rt).map(PlannerResult::Planned),
            _ if is_text(&rt) && lt.is_numeric() => self.number_beside(&right, &lt).map(PlannerResult::Planned),
            _ => self.checked(op, left, right, &lt, &rt),
        }
    }

    /// `||` joins the text of anything but arrays.
    fn concatenation(&self, raw: RawBinaryExpr, lt: &DataType, rt: &DataType, schema: &DFSchema) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = raw;
        let depth = |ty: &DataType| {
            let mut ty = ty;
            let mut depth = 0;
            while let DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) = ty {
                (ty, depth) = (item.data_type(), depth + 1);
            }
            depth
        };
        if depth(lt) + depth(rt) > 0 {
            let name = match depth(lt).cmp(&depth(rt)) {
                // NULL beside an array is one.
                _ if lt.is_null() || rt.is_null() => "array_cat",
                Ordering::Equal => "array_cat",
                Ordering::Greater => "array_append",
                Ordering::Less => "array_prepend",
            };
            return Ok(PlannerResult::Planned(self.call(name, vec![left, right])?));
        }
        if lt.is_null() || rt.is_null() {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let json = |side: &Expr| {
            side.to_field(schema).is_ok_and(|(_, field)| is_text(field.data_type()) && ColumnInfo::of_field(&field, "").ty == SqlType::Json)
        };
        let joins = |side: &Expr, other: &Expr| json(side) && (json(other) || text_of(other).is_some());
        if joins(&left, &right) || joins(&right, &left) {
            return Ok(PlannerResult::Planned(self.call("fg_jsonb_join", vec![left, right])?));
        }
        let text =
            |side: Expr, ty: &DataType| if is_text(ty) || ty == &DataType::Binary { Ok(side) } else { self.call("fg_text", vec![side]) };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left: text(left, lt)?, right: text(right, rt)? }))
    }
}

impl ExprPlanner for DialectPlanner {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let raw = if self.is_mysql() { self.among(raw, schema)? } else { self.literals_of_columns(raw, schema)? };
        let (Ok(lt), Ok(rt)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
            return if self.is_mysql() { self.mysql_division(raw) } else { Ok(PlannerResult::Original(raw)) };
        };
        let unknown = lt == DataType::Null || rt == DataType::Null;
        match &raw.op {
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
                if !unknown =>
            {
                self.comparison(raw, &lt, &rt)
            }
            // A moment beside a NULL, or a parameter that has no value yet, is a number too.
            BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply
                if self.is_mysql() && (!unknown || lt.is_temporal() || rt.is_temporal()) =>
            {
                self.mysql_arithmetic(raw, &lt, &rt, schema)
            }
            BinaryOperator::Divide | BinaryOperator::Modulo | BinaryOperator::MyIntegerDivide | BinaryOperator::DuckIntegerDivide
                if self.is_mysql() =>
            {
                self.mysql_arithmetic(raw, &lt, &rt, schema)
            }
            BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo
                if !self.is_mysql() && !unknown =>
            {
                self.postgres_arithmetic(raw, &lt, &rt)
            }
            BinaryOperator::And | BinaryOperator::Or if self.is_mysql() => {
                let RawBinaryExpr { op, left, right } = raw;
                let truth = |side: Expr, ty: &DataType| if ty == &DataType::Boolean { Ok(side) } else { self.call("fg_truth", vec![side]) };
                Ok(PlannerResult::Original(RawBinaryExpr { op, left: truth(left, &lt)?, right: truth(right, &rt)? }))
            }
            BinaryOperator::StringConcat if !self.is_mysql() => self.concatenation(raw, &lt, &rt, schema),
            BinaryOperator::AtArrow if is_text(&lt) => {
                Ok(PlannerResult::Planned(self.call("fg_json_contains", vec![raw.left, raw.right])?))
            }
            BinaryOperator::ArrowAt if is_text(&lt) => {
                Ok(PlannerResult::Planned(self.call("fg_json_contains", vec![raw.right, raw.left])?))
            }
            _ => Ok(PlannerResult::Original(raw)),
        }
    }
}
