//! What operators mean in MySQL sessions once types are known: numbers beside moments, moments and bytes in arithmetic, and
//! the three sides of BETWEEN.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::planner::{PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::build::AMONG;
use super::planner::{DialectPlanner, is_moment, is_text};
use crate::engine::functions::{read_number, scalar::CIVIL};
use crate::engine::rules::second_fractions;
use crate::types::coerce::parse_decimal;

/// A number as (unscaled value, scale).
pub(crate) fn number_of(expr: &Expr) -> Option<(i128, i8)> {
    match expr {
        Expr::Literal(value, _) => match value {
            ScalarValue::Int64(Some(n)) => Some((i128::from(*n), 0)),
            ScalarValue::UInt64(Some(n)) => Some((i128::from(*n), 0)),
            ScalarValue::Decimal128(Some(n), _, scale) => Some((*n, *scale)),
            ScalarValue::Float64(Some(n)) => parse_decimal(&n.to_string()),
            _ => None,
        },
        Expr::Negative(inner) => number_of(inner).map(|(n, scale)| (-n, scale)),
        // 1e3
        Expr::ScalarFunction(call) if call.name() == "fg_float" => match call.args.as_slice() {
            [Expr::Literal(ScalarValue::Utf8(Some(text)), _)] => parse_decimal(text),
            _ => None,
        },
        _ => None,
    }
}

/// The number that a literal of bytes (0x1F, b'11') is.
fn number_of_bytes(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Literal(ScalarValue::Binary(Some(bytes)), _) => {
            Some(bytes.iter().rev().take(8).rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
        }
        _ => None,
    }
}

fn is_time(ty: &DataType) -> bool {
    matches!(ty, DataType::Time64(_))
}

impl DialectPlanner {
    /// One side of a comparison beside a moment or beside bytes.
    pub(super) fn mysql_beside(&self, side: &Expr, ty: &DataType, other: &DataType) -> DfResult<Option<Expr>> {
        if ty.is_numeric() && (is_moment(other) || is_time(other)) {
            if let Some((value, scale)) = number_of(side) {
                return Ok(Some(lit(read_number(value, scale, other, &self.zone))));
            }
            if is_time(other) {
                return Ok(None);
            }
            let moment = self.call("fg_moment", vec![side.clone()])?;
            return Ok(Some(if matches!(other, DataType::Timestamp(_, Some(_))) { self.call("fg_stamp", vec![moment])? } else { moment }));
        }
        if let Some(n) = number_of_bytes(side) {
            if other.is_numeric() || other == &DataType::Boolean {
                return Ok(Some(number_literal(n)));
            }
            if let (true, Expr::Literal(ScalarValue::Binary(Some(bytes)), _)) = (is_text(other), side) {
                return Ok(Some(match std::str::from_utf8(bytes) {
                    Ok(text) => lit(text),
                    Err(_) => side.clone(),
                }));
            }
        }
        Ok(None)
    }

    /// What a value is in MySQL's arithmetic: a number.
    fn mysql_number(&self, side: Expr, ty: &DataType, schema: &DFSchema) -> DfResult<(Expr, DataType)> {
        if let Some(n) = number_of_bytes(&side) {
            return Ok((lit(n), DataType::UInt64));
        }
        Ok(match ty {
            ty if is_moment(ty) || is_time(ty) => {
                let digits = if ty == &DataType::Date32 { 0 } else { second_fractions::digits(&side, schema) };
                let number = self.call("fg_number", vec![side, lit(i64::from(digits))])?;
                let ty = number.get_type(schema)?;
                (number, ty)
            }
            ty if is_text(ty) || ty == &DataType::Binary => (self.call("fg_float", vec![side])?, DataType::Float64),
            DataType::Boolean => (self.call("fg_int", vec![side])?, DataType::Int64),
            DataType::Float32 => (cast(side, DataType::Float64), DataType::Float64),
            ty => (side, ty.clone()),
        })
    }

    pub(super) fn mysql_arithmetic(
        &self,
        raw: RawBinaryExpr,
        lt: &DataType,
        rt: &DataType,
        schema: &DFSchema,
    ) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = raw;
        let (left, lt) = self.mysql_number(left, lt, schema)?;
        let (right, rt) = self.mysql_number(right, rt, schema)?;
        match division(&op) {
            Some(name) => Ok(PlannerResult::Planned(self.call(name, vec![left, right])?)),
            None => self.checked(op, left, right, &lt, &rt),
        }
    }

    /// A division of what has no type yet, a parameter.
    pub(super) fn mysql_division(&self, raw: RawBinaryExpr) -> DfResult<PlannerResult<RawBinaryExpr>> {
        match division(&raw.op) {
            Some(name) => Ok(PlannerResult::Planned(self.call(name, vec![raw.left, raw.right])?)),
            None => Ok(PlannerResult::Original(raw)),
        }
    }

    /// Takes the marks of BETWEEN off. Its three sides are compared as one type: as moments when one of them is a moment, as
    /// numbers when a text and a number are among them.
    pub(super) fn among(&self, raw: RawBinaryExpr, schema: &DFSchema) -> DfResult<RawBinaryExpr> {
        let RawBinaryExpr { op, left, right } = raw;
        let ((left, third), right) = match (marked(left), marked(right)) {
            (Ok((left, third)), Ok((right, _))) => ((left, third), right),
            (left, right) => {
                let plain = |side: Result<(Expr, Expr), Expr>| side.map_or_else(|side| side, |(side, _)| side);
                return Ok(RawBinaryExpr { op, left: plain(left), right: plain(right) });
            }
        };
        let (Ok(lt), Ok(rt), Ok(tt)) = (left.get_type(schema), right.get_type(schema), third.get_type(schema)) else {
            return Ok(RawBinaryExpr { op, left, right });
        };
        let moment = |ty: &DataType| is_moment(ty) || is_time(ty);
        // Beside each other they see it by themselves.
        if moment(&tt) && !moment(&lt) && !moment(&rt) {
            let civil = |side: Expr, ty: &DataType| -> DfResult<Expr> {
                let side = self.beside(&side, ty, &tt)?.unwrap_or(side);
                Ok(if side.get_type(schema)? == DataType::Date32 { cast(side, CIVIL) } else { side })
            };
            return Ok(RawBinaryExpr { op, left: civil(left, &lt)?, right: civil(right, &rt)? });
        }
        if is_text(&lt) && is_text(&rt) && tt.is_numeric() {
            return Ok(RawBinaryExpr { op, left: self.call("fg_float", vec![left])?, right: self.call("fg_float", vec![right])? });
        }
        Ok(RawBinaryExpr { op, left, right })
    }
}

fn number_literal(n: u64) -> Expr {
    i64::try_from(n).map_or_else(|_| lit(n), lit)
}

fn division(op: &BinaryOperator) -> Option<&'static str> {
    match op {
        BinaryOperator::Divide => Some("fg_div"),
        BinaryOperator::Modulo => Some("fg_my_mod"),
        BinaryOperator::MyIntegerDivide | BinaryOperator::DuckIntegerDivide => Some("fg_my_intdiv"),
        _ => None,
    }
}

/// What stands under a mark, and the third side.
fn marked(expr: Expr) -> Result<(Expr, Expr), Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.name() == AMONG && call.args.len() == 2 => {
            let mut args = call.args.into_iter();
            match (args.next(), args.next()) {
                (Some(side), Some(third)) => Ok((side, third)),
                (side, _) => Err(side.unwrap_or(lit(ScalarValue::Null))),
            }
        }
        other => Err(other),
    }
}
