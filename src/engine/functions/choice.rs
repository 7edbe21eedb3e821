//! The branches of a CASE, and the values of one column of a UNION: their common type, and the conversion of each to it.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::*;
use datafusion::arrow::compute::kernels::cmp;
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{Case, Expr, ScalarUDF, cast, lit};
use datafusion::scalar::ScalarValue;

use super::control::{as_common, common_type_of};
use super::scalar::{At, Call, Spec, add as row};
use crate::engine::rules::common_types::double_of;
use crate::error::{Error, Result};
use crate::types::Family;

/// `CASE WHEN c THEN v .. ELSE e END` is `fg_case(c, v, .., e)`.
pub(in crate::engine) const CASE: &str = "fg_case";
/// `CASE x WHEN c THEN v .. ELSE e END` is `fg_case_of(x, c, v, .., e)`.
pub(in crate::engine) const CASE_OF: &str = "fg_case_of";

/// Makes its first argument a value of the second's type.
const AS: &str = "fg_as";

pub(super) fn add(out: &mut Vec<Spec>, family: Family) {
    add_conversion(out);
    let (plain, of) = match family {
        Family::MySql => (mysql_case as super::scalar::TypeOf, mysql_case_of as super::scalar::TypeOf),
        Family::Postgres => (postgres_case as super::scalar::TypeOf, postgres_case_of as super::scalar::TypeOf),
    };
    row(out, CASE, 1..=super::scalar::MANY, plain, |c| chosen(c, 0));
    row(out, CASE_OF, 2..=super::scalar::MANY, of, |c| chosen(c, 1));
}

fn add_conversion(out: &mut Vec<Spec>) {
    row(out, AS, 2..=2, |types, _| Ok(types.get(1).cloned().unwrap_or(DataType::Null)), |c| as_common(c, 0));
}

/// The row of what makes its first argument a value of the second's type.
pub(super) fn conversion_spec() -> &'static Spec {
    static SPEC: LazyLock<Vec<Spec>> = LazyLock::new(|| {
        let mut rows = Vec::new();
        add_conversion(&mut rows);
        rows
    });
    &SPEC[0]
}

fn mysql_case(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(of_branches(Family::MySql, types, constants))
}

fn mysql_case_of(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(of_branches(Family::MySql, types.get(1..).unwrap_or_default(), constants.get(1..).unwrap_or_default()))
}

fn postgres_case(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(of_branches(Family::Postgres, types, constants))
}

fn postgres_case_of(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(of_branches(Family::Postgres, types.get(1..).unwrap_or_default(), constants.get(1..).unwrap_or_default()))
}

/// Of `condition, value, .., else`.
fn of_branches(family: Family, types: &[DataType], constants: &[Option<&ScalarValue>]) -> DataType {
    let last = types.len().saturating_sub(1);
    let value = |at: &usize| at % 2 == 1 || *at == last;
    let constant = |at: usize| constants.get(at).copied().flatten();
    let (types, constants): (Vec<_>, Vec<_>) = (0..types.len()).filter(value).map(|at| (types[at].clone(), constant(at))).unzip();
    common(family, &types, &constants)
}

/// The type of a value that is one of several. Where there is none that all can be turned into, it is that of the first that
/// has one: whoever makes the plan says so then.
pub(in crate::engine) fn common(family: Family, types: &[DataType], constants: &[Option<&ScalarValue>]) -> DataType {
    // A whole number beside decimals needs no more digits than it has.
    let decimals = types.iter().any(DataType::is_decimal);
    let exact = |(at, ty): (usize, &DataType)| match constants.get(at).copied().flatten() {
        Some(ScalarValue::Int64(Some(n))) if decimals => DataType::Decimal128(n.unsigned_abs().to_string().len() as u8, 0),
        _ => ty.clone(),
    };
    let types: Vec<DataType> = types.iter().enumerate().map(exact).collect();
    if let Ok(ty) = common_type_of(family, &types, constants) {
        return ty;
    }
    // MySQL's truth values are numbers.
    let numbers: Vec<DataType> = types.iter().map(|ty| if ty == &DataType::Boolean { DataType::Int64 } else { ty.clone() }).collect();
    match common_type_of(family, &numbers, constants) {
        Ok(ty) if family == Family::MySql => ty,
        // And what has nothing in common is text.
        _ if family == Family::MySql && !types.iter().any(DataType::is_nested) => DataType::Utf8,
        _ => types.iter().find(|ty| !ty.is_null()).cloned().unwrap_or(DataType::Null),
    }
}

/// A value of type `from` as one of type `to`; `with` is what `conversion` gave.
pub(in crate::engine) fn converted(value: Expr, from: &DataType, to: &DataType, with: Option<&Arc<ScalarUDF>>) -> Expr {
    if from == to || from.is_null() {
        return value;
    }
    let number = |ty: &DataType| ty.is_numeric() || ty == &DataType::Boolean;
    match with {
        _ if from.is_decimal() && to == &DataType::Float64 => double_of(value),
        _ if from == &DataType::Boolean && to.is_decimal() => cast(cast(value, DataType::Int64), to.clone()),
        _ if number(from) && number(to) => cast(value, to.clone()),
        Some(with) if type_union_coercion(from, to).is_some() || matches!(to, DataType::Utf8) || matches!(from, DataType::Utf8) => {
            match ScalarValue::try_from(to) {
                Ok(model) => Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(with), vec![value, lit(model)])),
                Err(_) => value,
            }
        }
        _ => value,
    }
}

/// The CASE of a call, whose values go through `f` with their positions.
pub(in crate::engine) fn case_parts(name: &str, args: Vec<Expr>, f: impl Fn(usize, Expr) -> Expr) -> Option<Case> {
    let last = args.len().checked_sub(1)?;
    let mut args = args.into_iter().enumerate();
    let expr = if name == CASE_OF { Some(Box::new(args.next()?.1)) } else { None };
    let (mut when_then_expr, mut else_expr) = (Vec::new(), None);
    while let Some((at, first)) = args.next() {
        if at == last {
            else_expr = Some(Box::new(f(at, first)));
            break;
        }
        let (at, value) = args.next()?;
        when_then_expr.push((Box::new(first), Box::new(f(at, value))));
    }
    Some(Case { expr, when_then_expr, else_expr })
}

/// A CASE that was not spelled out: all its values are computed, and one is taken.
fn chosen(c: &Call<'_>, first: usize) -> Result<ArrayRef> {
    let wrong = |e: datafusion::arrow::error::ArrowError| Error::internal(e.to_string());
    let last = c.count() - 1;
    let mut out = as_common(c, last)?;
    let branches = (last - first) / 2;
    for branch in (0..branches).rev() {
        let at = first + 2 * branch;
        let holds: BooleanArray = if first == 0 {
            let truth = c.truth(at)?;
            (0..c.rows).map(|i| Some(truth.at(i) == Some(true))).collect()
        } else {
            let (a, b) = (&c.args[0], &c.args[at]);
            let equal = if a.data_type() == b.data_type() {
                cmp::eq(a, b).map_err(wrong)?
            } else {
                cmp::eq(&c.text(0)?, &c.text(at)?).map_err(wrong)?
            };
            (0..c.rows).map(|i| Some(equal.at(i) == Some(true))).collect()
        };
        out = zip(&holds, &as_common(c, at + 1)?, &out).map_err(wrong)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_beside_a_decimal_costs_no_digits() {
        let (price, zero) = (DataType::Decimal128(10, 2), ScalarValue::Int64(Some(0)));
        for family in [Family::MySql, Family::Postgres] {
            assert_eq!(common(family, &[DataType::Int64, price.clone()], &[Some(&zero), None]), price);
            assert_eq!(common(family, &[DataType::Null, price.clone()], &[None, None]), price);
            assert_eq!(common(family, &[price.clone(), DataType::Float64], &[None, None]), DataType::Float64);
        }
    }

    #[test]
    fn a_truth_value_is_a_number_to_mysql() {
        assert_eq!(common(Family::MySql, &[DataType::Boolean, DataType::Int32], &[None, None]), DataType::Int64);
        assert_eq!(common(Family::MySql, &[DataType::Boolean, DataType::Boolean], &[None, None]), DataType::Boolean);
    }
}
