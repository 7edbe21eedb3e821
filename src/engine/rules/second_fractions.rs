//! How many digits of the second a computed DATETIME, TIMESTAMP or TIME has in MySQL: `NOW()` none, `MAX(c)` as many as
//! `c`. Arrow keeps microseconds always, so the digits are read off the plan.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunctionDefinition};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan, ScalarUDF, Union, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;

use crate::engine::dialect::set_operations::matched_column;
use crate::engine::functions::{FunctionFacts, declared_digits as declared, mysql_functions};
use crate::sql::walk::expressions;
use crate::types::{ColumnInfo, SqlType};

/// Most digits there are.
const ALL: u8 = 6;

/// Gives computed columns of `plan`'s output their digits.
pub(in crate::engine) fn refine(plan: &LogicalPlan, columns: &mut [ColumnInfo]) {
    for (index, (column, field)) in columns.iter_mut().zip(plan.schema().fields()).enumerate() {
        if declared(field).is_some() {
            continue;
        }
        if let SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } | SqlType::Time { fsp } = &mut column.ty {
            *fsp = of_output(plan, index).unwrap_or(ALL);
        }
    }
}

/// Functions to which a moment is a number.
const OF_NUMBERS: [&str; 9] = ["abs", "ceil", "ceiling", "fg_exact", "fg_neg", "floor", "round", "sign", "truncate"];

/// Does a tree call a function that makes numbers of moments?
pub(in crate::engine) fn numbers_are_in(tree: &ast::Query) -> bool {
    expressions(tree, |e| match e {
        ast::Expr::Function(f) => {
            let name = f.name.to_string().to_lowercase();
            if name == "unix_timestamp" || OF_NUMBERS.contains(&name.as_str()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Gives the numbers that functions make of moments their digits.
pub(in crate::engine) fn number_moments(plan: LogicalPlan, facts: &FunctionFacts) -> Result<LogicalPlan> {
    let mut functions = mysql_functions(&["fg_number", "fg_unix_timestamp"], facts).into_iter().map(|(_, function)| Arc::new(function));
    let (Some(number), Some(unix)) = (functions.next(), functions.next()) else { return Ok(plan) };
    let call = |function: &Arc<ScalarUDF>, arg: Expr, digits: u8| {
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), vec![arg, lit(i64::from(digits))]))
    };
    let done = plan.transform_up_with_subqueries(|plan| {
        let before = plan.clone();
        let scope = ColumnOrigin::Plan(&before);
        let names = NamePreserver::new(&plan);
        let settle = |e: Expr| {
            let Expr::ScalarFunction(mut function) = e else { return Ok(Transformed::no(e)) };
            let moment = match function.args.first() {
                Some(arg) => matches!(scope.type_of(arg), Some(DataType::Timestamp(..) | DataType::Time64(_))),
                None => false,
            };
            if !moment || !(function.name() == "unix_timestamp" || OF_NUMBERS.contains(&function.name())) {
                return Ok(Transformed::no(Expr::ScalarFunction(function)));
            }
            let arg = function.args.remove(0);
            let digits = of_expr(scope, &arg).unwrap_or(ALL);
            if function.name() == "unix_timestamp" {
                return Ok(Transformed::yes(call(&unix, arg, digits)));
            }
            function.args.insert(0, call(&number, arg, digits));
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        };
        let changed = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(settle)?.update_data(|e| name.restore(e)))
        })?;
        match changed.data {
            // It keeps its schema where the inputs only change types.
            LogicalPlan::Union(union) => {
                let types = |schema: &DFSchema| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
                let same = union.inputs.iter().all(|input| types(input.schema()) == types(&union.schema));
                let union = if same { union } else { Union::try_new_with_loose_types(union.inputs)? };
                Ok(Transformed::yes(LogicalPlan::Union(union)))
            }
            other => Ok(Transformed::yes(other.recompute_schema()?)),
        }
    })?;
    Ok(done.data)
}

/// The digits of an expression over columns of `schema`; all there are when nothing says fewer.
pub(in crate::engine) fn digits(expr: &Expr, schema: &DFSchema) -> u8 {
    of_expr(ColumnOrigin::Columns(schema), expr).unwrap_or(ALL)
}

/// Where the columns of an expression come from.
#[derive(Clone, Copy)]
enum ColumnOrigin<'a> {
    /// The inputs of a plan.
    Plan(&'a LogicalPlan),
    /// A schema, while there is no plan.
    Columns(&'a DFSchema),
}

impl ColumnOrigin<'_> {
    fn column(self, column: &Column) -> Option<u8> {
        match self {
            ColumnOrigin::Plan(plan) => {
                plan.inputs().into_iter().find_map(|input| of_input(input, input.schema().maybe_index_of_column(column)?))
            }
            ColumnOrigin::Columns(schema) => declared(schema.field_from_column(column).ok()?),
        }
    }

    fn type_of(self, expr: &Expr) -> Option<DataType> {
        match self {
            ColumnOrigin::Plan(plan) => expr.get_type(plan.inputs().first()?.schema()).ok(),
            ColumnOrigin::Columns(schema) => expr.get_type(schema).ok(),
        }
    }
}

/// The digits of a plan's output column.
fn of_output(plan: &LogicalPlan, index: usize) -> Option<u8> {
    let within = |expr: Option<&Expr>| expr.and_then(|e| of_expr(ColumnOrigin::Plan(plan), e));
    match plan {
        LogicalPlan::Projection(p) => within(p.expr.get(index)),
        LogicalPlan::Aggregate(a) => within(a.group_expr.iter().chain(&a.aggr_expr).nth(index)),
        LogicalPlan::Window(w) => match index.checked_sub(w.input.schema().fields().len()) {
            Some(own) => within(w.window_expr.get(own)),
            None => of_input(&w.input, index),
        },
        LogicalPlan::Join(j) => match index.checked_sub(j.left.schema().fields().len()) {
            Some(right) => of_input(&j.right, right),
            // INTERSECT and EXCEPT show rows of one side in the type of both.
            None => {
                let shown = of_input(&j.left, index)?;
                matched_column(j, index).map_or(Some(shown), |other| Some(shown.max(of_input(&j.right, other)?)))
            }
        },
        LogicalPlan::Union(u) => u.inputs.iter().map(|input| of_input(input, index)).try_fold(0, |most, fsp| Some(most.max(fsp?))),
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Repartition(_) => of_input(plan.inputs().first()?, index),
        LogicalPlan::Distinct(Distinct::All(input)) => of_input(input, index),
        LogicalPlan::Distinct(Distinct::On(d)) => within(d.select_expr.get(index)),
        LogicalPlan::Values(v) => most(ColumnOrigin::Plan(plan), v.values.iter().filter_map(|row| row.get(index))),
        _ => None,
    }
}

fn of_input(plan: &LogicalPlan, index: usize) -> Option<u8> {
    if plan.schema().field(index).data_type() == &DataType::Date32 {
        return Some(0);
    }
    declared(plan.schema().field(index)).or_else(|| of_output(plan, index))
}

/// The most digits of several expressions; NULL and text have none to add.
fn most<'e>(scope: ColumnOrigin<'_>, exprs: impl IntoIterator<Item = &'e Expr>) -> Option<u8> {
    exprs.into_iter().try_fold(0, |most, e| if is_null(e) { Some(most) } else { Some(most.max(of_expr(scope, e)?)) })
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

/// The digits of an expression.
fn of_expr(scope: ColumnOrigin<'_>, expr: &Expr) -> Option<u8> {
    match expr {
        Expr::Alias(alias) => of_expr(scope, &alias.expr),
        Expr::Column(column) => scope.column(column).or_else(|| plain(&scope.type_of(expr)?)),
        Expr::OuterReferenceColumn(field, _) => declared(field),
        Expr::Case(case) => most(scope, case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref())),
        Expr::ScalarSubquery(subquery) => of_input(&subquery.subquery, 0),
        Expr::AggregateFunction(AggregateFunction { func, params }) if keeps(func.name()) => of_expr(scope, params.args.first()?),
        Expr::WindowFunction(window) => match &window.fun {
            WindowFunctionDefinition::AggregateUDF(f) if keeps(f.name()) => of_expr(scope, window.params.args.first()?),
            WindowFunctionDefinition::WindowUDF(f) if keeps(f.name()) => of_expr(scope, window.params.args.first()?),
            _ => None,
        },
        Expr::ScalarFunction(function) => of_function(scope, function),
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Timestamp(..)) => argument(scope, &cast.expr),
        Expr::Literal(value, _) => of_literal(value),
        // DATE has none; a text may hold any.
        _ => plain(&scope.type_of(expr)?),
    }
}

/// The digits of types that say it by themselves.
fn plain(ty: &DataType) -> Option<u8> {
    match ty {
        DataType::Date32 => Some(0),
        ty if ty.is_integer() => Some(0),
        DataType::Decimal128(_, scale) => Some(u8::try_from(*scale).unwrap_or(0).min(ALL)),
        _ => None,
    }
}

/// Functions whose answer is one of the values they got.
fn keeps(name: &str) -> bool {
    ["min", "max", "first_value", "last_value", "nth_value", "lag", "lead", "any_value"].contains(&name.to_ascii_lowercase().as_str())
}

fn of_function(scope: ColumnOrigin<'_>, function: &ScalarFunction) -> Option<u8> {
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
        "coalesce" | "greatest" | "least" | "nullif" | "ifnull" | "if" => most(scope, args),
        "fg_cast" => match serde_json::from_str(text(1)?).ok()? {
            // A literal of the form TIMESTAMP '..' has the digits it is written with.
            SqlType::DateTime { fsp: ALL } | SqlType::Timestamp { fsp: ALL } | SqlType::Time { fsp: ALL } if text(0).is_some() => {
                Some(written(text(0)?))
            }
            SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } | SqlType::Time { fsp } => Some(fsp),
            SqlType::Date => Some(0),
            _ => None,
        },
        "fg_date_add" => match text(2)? {
            unit if unit.contains("microsecond") => Some(ALL),
            // A decimal has its digits, a text or a double may have any.
            "second" => Some(argument(scope, args.first()?)?.max(match scope.type_of(args.get(1)?)? {
                ty if ty.is_integer() => 0,
                DataType::Decimal128(_, scale) => u8::try_from(scale).unwrap_or(0).min(ALL),
                _ => ALL,
            })),
            _ => argument(scope, args.first()?),
        },
        "timestamp" if args.len() == 2 => Some(argument(scope, args.first()?)?.max(argument(scope, args.get(1)?)?)),
        "convert_tz" | "timestamp" | "time" | "fg_civil" | "fg_stamp" | "fg_as" => argument(scope, args.first()?),
        "addtime" | "subtime" => Some(argument(scope, args.first()?)?.max(argument(scope, args.get(1)?)?)),
        "from_unixtime" => match scope.type_of(args.first()?)? {
            ty if ty.is_integer() => Some(0),
            DataType::Decimal128(_, scale) => Some(u8::try_from(scale).unwrap_or(0).min(ALL)),
            _ => None,
        },
        "str_to_date" => Some(if text(1)?.contains("%f") { ALL } else { 0 }),
        _ => None,
    }
}

/// An argument that may also be a text with a moment in it.
fn argument(scope: ColumnOrigin<'_>, expr: &Expr) -> Option<u8> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(written(text)),
        _ => of_expr(scope, expr),
    }
}

/// Digits after the last point of a written moment.
fn written(text: &str) -> u8 {
    let digits = text.rsplit_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    u8::try_from(digits).unwrap_or(ALL).min(ALL)
}

fn of_literal(value: &ScalarValue) -> Option<u8> {
    match value {
        ScalarValue::TimestampMicrosecond(Some(us), _) | ScalarValue::Time64Microsecond(Some(us)) => Some(needed(us.rem_euclid(1_000_000))),
        other => plain(&other.data_type()),
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
