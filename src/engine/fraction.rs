//! How many digits of the second a computed DATETIME, TIMESTAMP or TIME has in MySQL: `NOW()` none, `MAX(c)` as many as
//! `c`. Arrow keeps microseconds always, so the digits are read off the plan.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunctionDefinition};
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};
use datafusion::scalar::ScalarValue;

use crate::types::{ColumnInfo, SqlType, meta};

/// Most digits there are.
const ALL: u8 = 6;

/// Gives computed columns of `plan`'s output their digits.
pub(super) fn refine(plan: &LogicalPlan, columns: &mut [ColumnInfo]) {
    for (index, (column, field)) in columns.iter_mut().zip(plan.schema().fields()).enumerate() {
        if declared(field).is_some() {
            continue;
        }
        if let SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } | SqlType::Time { fsp } = &mut column.ty {
            *fsp = of_output(plan, index).unwrap_or(ALL);
        }
    }
}

/// The digits that a table column was declared with, when the field still is one.
fn declared(field: &Field) -> Option<u8> {
    let ty: SqlType = serde_json::from_str(field.metadata().get(meta::TYPE)?).ok()?;
    match ty {
        SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } | SqlType::Time { fsp } if &ty.arrow() == field.data_type() => Some(fsp),
        _ => None,
    }
}

/// The digits of a plan's output column.
fn of_output(plan: &LogicalPlan, index: usize) -> Option<u8> {
    let within = |expr: Option<&Expr>| expr.and_then(|e| of_expr(plan, e));
    match plan {
        LogicalPlan::Projection(p) => within(p.expr.get(index)),
        LogicalPlan::Aggregate(a) => within(a.group_expr.iter().chain(&a.aggr_expr).nth(index)),
        LogicalPlan::Window(w) => match index.checked_sub(w.input.schema().fields().len()) {
            Some(own) => within(w.window_expr.get(own)),
            None => of_input(&w.input, index),
        },
        LogicalPlan::Join(j) => match index.checked_sub(j.left.schema().fields().len()) {
            Some(right) => of_input(&j.right, right),
            None => of_input(&j.left, index),
        },
        LogicalPlan::Union(u) => u.inputs.iter().map(|input| of_input(input, index)).try_fold(0, |most, fsp| Some(most.max(fsp?))),
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Repartition(_) => of_input(plan.inputs().first()?, index),
        LogicalPlan::Distinct(Distinct::All(input)) => of_input(input, index),
        LogicalPlan::Distinct(Distinct::On(d)) => within(d.select_expr.get(index)),
        LogicalPlan::Values(v) => most(plan, v.values.iter().filter_map(|row| row.get(index))),
        _ => None,
    }
}

fn of_input(plan: &LogicalPlan, index: usize) -> Option<u8> {
    declared(plan.schema().field(index)).or_else(|| of_output(plan, index))
}

/// The most digits of several expressions; NULL and text have none to add.
fn most<'e>(plan: &LogicalPlan, exprs: impl IntoIterator<Item = &'e Expr>) -> Option<u8> {
    exprs.into_iter().try_fold(0, |most, e| if is_null(e) { Some(most) } else { Some(most.max(of_expr(plan, e)?)) })
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

/// The digits of an expression over `plan`'s inputs.
fn of_expr(plan: &LogicalPlan, expr: &Expr) -> Option<u8> {
    match expr {
        Expr::Alias(alias) => of_expr(plan, &alias.expr),
        Expr::Column(column) => plan.inputs().into_iter().find_map(|input| of_input(input, input.schema().maybe_index_of_column(column)?)),
        Expr::OuterReferenceColumn(field, _) => declared(field),
        Expr::Case(case) => most(plan, case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref())),
        Expr::ScalarSubquery(subquery) => of_input(&subquery.subquery, 0),
        Expr::AggregateFunction(AggregateFunction { func, params }) if keeps(func.name()) => of_expr(plan, params.args.first()?),
        Expr::WindowFunction(window) => match &window.fun {
            WindowFunctionDefinition::AggregateUDF(f) if keeps(f.name()) => of_expr(plan, window.params.args.first()?),
            WindowFunctionDefinition::WindowUDF(f) if keeps(f.name()) => of_expr(plan, window.params.args.first()?),
            _ => None,
        },
        Expr::ScalarFunction(function) => of_function(plan, function),
        Expr::Literal(value, _) => of_literal(value),
        // DATE has none; a text may hold any.
        _ => match expr.get_type(plan.inputs().first()?.schema()).ok()? {
            DataType::Date32 => Some(0),
            _ => None,
        },
    }
}

/// Functions whose answer is one of the values they got.
fn keeps(name: &str) -> bool {
    ["min", "max", "first_value", "last_value", "nth_value", "lag", "lead", "any_value"].contains(&name.to_ascii_lowercase().as_str())
}

fn of_function(plan: &LogicalPlan, function: &ScalarFunction) -> Option<u8> {
    let args = function.args.as_slice();
    let digits = |index: usize| match args.get(index) {
        None => Some(0),
        Some(Expr::Literal(value, _)) => value.to_string().parse::<u8>().ok().filter(|n| *n <= ALL),
        Some(_) => None,
    };
    let text = |index: usize| match args.get(index) {
        Some(Expr::Literal(ScalarValue::Utf8(Some(text)), _)) => Some(text.as_str()),
        _ => None,
    };
    match function.name() {
        "now" | "current_timestamp" | "localtime" | "localtimestamp" | "sysdate" | "utc_timestamp" | "curtime" | "current_time"
        | "utc_time" => digits(0),
        "coalesce" | "greatest" | "least" | "nullif" | "ifnull" | "if" => most(plan, args),
        "fg_cast" => match serde_json::from_str(text(1)?).ok()? {
            // A literal of the form TIMESTAMP '..' has the digits it is written with.
            SqlType::DateTime { fsp: ALL } | SqlType::Timestamp { fsp: ALL } | SqlType::Time { fsp: ALL } if text(0).is_some() => {
                Some(written(text(0)?))
            }
            SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } | SqlType::Time { fsp } => Some(fsp),
            _ => None,
        },
        "fg_date_add" => match text(2)? {
            "microsecond" => Some(ALL),
            _ => argument(plan, args.first()?),
        },
        "convert_tz" | "timestamp" | "time" => argument(plan, args.first()?),
        "addtime" | "subtime" => Some(argument(plan, args.first()?)?.max(argument(plan, args.get(1)?)?)),
        "from_unixtime" => match args.first()?.get_type(plan.inputs().first()?.schema()).ok()? {
            ty if ty.is_integer() => Some(0),
            DataType::Decimal128(_, scale) => Some(u8::try_from(scale).unwrap_or(0).min(ALL)),
            _ => None,
        },
        "str_to_date" => Some(if text(1)?.contains("%f") { ALL } else { 0 }),
        _ => None,
    }
}

/// An argument that may also be a text with a moment in it.
fn argument(plan: &LogicalPlan, expr: &Expr) -> Option<u8> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(written(text)),
        _ => of_expr(plan, expr),
    }
}

/// Digits behind the last point of a written moment.
fn written(text: &str) -> u8 {
    let digits = text.rsplit_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    u8::try_from(digits).unwrap_or(ALL).min(ALL)
}

fn of_literal(value: &ScalarValue) -> Option<u8> {
    match value {
        ScalarValue::TimestampMicrosecond(Some(us), _) | ScalarValue::Time64Microsecond(Some(us)) => Some(needed(us.rem_euclid(1_000_000))),
        ScalarValue::Date32(_) => Some(0),
        _ => None,
    }
}

/// Digits that a number of microseconds below a second needs.
fn needed(micros: i64) -> u8 {
    let mut micros = micros;
    let mut digits = ALL;
    while digits > 0 && micros % 10 == 0 {
        micros /= 10;
        digits -= 1;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_counted_as_written() {
        assert_eq!([written("2022-01-01"), written("11:11:11.5"), written("11:11:11.123456Z"), written("1.123456789")], [0, 1, 6, 6]);
        assert_eq!([needed(0), needed(500_000), needed(120), needed(123_456)], [0, 1, 5, 6]);
    }
}
