//! MySQL's functions whose meaning is a form of SQL, or needs their arguments prepared.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::*;

use super::build::{bytes_as_number, call, hole, list, string, take};
use super::mysql::{amount_of, date_add, make_truth};
use crate::error::{Error, Kind, Result};

fn wrong_count(name: &str) -> Error {
    Error::new(Kind::WrongArguments, format!("Incorrect parameter count in the call to native function '{name}'"))
}

/// The plain arguments of a call.
pub(super) fn arguments(function: &mut Function) -> Vec<&mut Expr> {
    match &mut function.args {
        FunctionArguments::List(list) => list
            .args
            .iter_mut()
            .filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

pub(super) fn case_when(condition: Expr, result: Expr, otherwise: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: Some(Box::new(otherwise)),
    }
}

/// Wraps each argument of an aggregate.
pub(super) fn wrap_arguments(function: &mut Function, wrapper: &str) {
    for argument in arguments(function) {
        *argument = call(wrapper, vec![take(argument)]);
    }
}

pub(super) fn rename(function: &mut Function, name: &str) {
    function.name = ObjectName::from(Ident::new(name));
}

/// Does an expression divide, or average?
pub fn has_quotient(expr: &Expr) -> bool {
    crate::sql::walk::expressions(expr, |e| match e {
        Expr::BinaryOp { op: BinaryOperator::Divide, .. } => ControlFlow::Break(()),
        Expr::Function(f) if f.name.to_string().eq_ignore_ascii_case("avg") => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Functions that take bytes for a number.
const OF_NUMBERS: [&str; 21] = [
    "abs",
    "acos",
    "asin",
    "atan",
    "avg",
    "bit_and",
    "bit_count",
    "bit_or",
    "bit_xor",
    "ceil",
    "ceiling",
    "cos",
    "exp",
    "floor",
    "mod",
    "pow",
    "round",
    "sign",
    "sin",
    "sqrt",
    "sum",
];

/// Rewrites a call; Some: it became another expression.
pub(super) fn rewrite(function: &mut Function) -> Result<Option<Expr>> {
    let name = function.name.to_string().to_lowercase();
    if OF_NUMBERS.contains(&name.as_str()) {
        arguments(function).into_iter().for_each(bytes_as_number);
    }
    let mut taken = || arguments(function).into_iter().map(take).collect::<Vec<_>>();
    Ok(match name.as_str() {
        "if" => {
            let [mut condition, yes, no] = <[Expr; 3]>::try_from(taken()).map_err(|_| wrong_count("if"))?;
            make_truth(&mut condition);
            Some(case_when(condition, yes, no))
        }
        "ifnull" | "nvl" => {
            let args = taken();
            if args.len() != 2 {
                return Err(wrong_count("ifnull"));
            }
            Some(call("coalesce", args))
        }
        "isnull" => {
            let [value] = <[Expr; 1]>::try_from(taken()).map_err(|_| wrong_count("isnull"))?;
            Some(Expr::IsNull(Box::new(value)))
        }
        "nullif" => {
            let [a, b] = <[Expr; 2]>::try_from(taken()).map_err(|_| wrong_count("nullif"))?;
            Some(case_when(super::build::binary(a.clone(), BinaryOperator::Eq, b), hole(), a))
        }
        "date_add" | "adddate" | "date_sub" | "subdate" => {
            let minus = name.contains("sub");
            let [value, mut by] = <[Expr; 2]>::try_from(taken()).map_err(|_| wrong_count(&name))?;
            let (amount, unit) = match &mut by {
                Expr::Interval(interval) => amount_of(interval)?,
                other => (take(other), "day".to_owned()),
            };
            Some(date_add(value, amount, unit, minus))
        }
        "timestampadd" => {
            let [unit, amount, value] = <[Expr; 3]>::try_from(taken()).map_err(|_| wrong_count(&name))?;
            Some(date_add(value, amount, unit_name(&unit), false))
        }
        "timestampdiff" => {
            let [unit, a, b] = <[Expr; 3]>::try_from(taken()).map_err(|_| wrong_count(&name))?;
            Some(call("timestampdiff", vec![string(unit_name(&unit)), a, b]))
        }
        "group_concat" => {
            group_concat(function);
            None
        }
        "count" => {
            let many = arguments(function).len() > 1;
            if many && let FunctionArguments::List(arguments) = &mut function.args {
                let tuple = call("fg_tuple", Vec::new());
                let args = std::mem::take(&mut arguments.args);
                if let Expr::Function(mut inner) = tuple {
                    if let FunctionArguments::List(inner_list) = &mut inner.args {
                        inner_list.args = args;
                    }
                    arguments.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner)))];
                }
            }
            None
        }
        "sum" => {
            wrap_arguments(function, "fg_exact");
            None
        }
        "avg" => {
            // Exact, and rounded as every quotient; DataFusion's own cuts.
            let mut count = function.clone();
            rename(&mut count, "count");
            rename(function, "sum");
            wrap_arguments(function, "fg_exact");
            Some(call("fg_div", vec![Expr::Function(function.clone()), Expr::Function(count)]))
        }
        "std" | "stddev" | "stddev_pop" => {
            rename(function, "stddev_pop");
            wrap_arguments(function, "fg_float");
            None
        }
        "variance" | "var_pop" => {
            rename(function, "var_pop");
            wrap_arguments(function, "fg_float");
            None
        }
        "bit_and" | "bit_or" | "bit_xor" => {
            wrap_arguments(function, "fg_bits_of_row");
            // Of no rows it is what changes nothing.
            let nothing = if name == "bit_and" { u64::MAX } else { 0 };
            let nothing = call("fg_bits", vec![Expr::Value(Value::Number(nothing.to_string(), false).into())]);
            Some(call("coalesce", vec![Expr::Function(function.clone()), nothing]))
        }
        "mod" => {
            let [a, b] = <[Expr; 2]>::try_from(taken()).map_err(|_| wrong_count(&name))?;
            let nested = |e: Expr| Expr::Nested(Box::new(e));
            Some(nested(super::build::binary(nested(a), BinaryOperator::Modulo, nested(b))))
        }
        "json_arrayagg" => {
            let value = call("fg_json_value", taken());
            Some(json_aggregate(function, "[", value, "]"))
        }
        "json_objectagg" => {
            let [key, value] = <[Expr; 2]>::try_from(taken()).map_err(|_| wrong_count(&name))?;
            let member = call("concat", vec![call("json_quote", vec![key]), string(": "), call("fg_json_value", vec![value])]);
            Some(json_aggregate(function, "{", member, "}"))
        }
        "get_lock" | "release_lock" | "benchmark" | "load_file" => return Err(Error::unsupported(format!("{}()", name.to_uppercase()))),
        _ => None,
    })
}

/// The unit of TIMESTAMPDIFF stands as a name.
fn unit_name(unit: &Expr) -> String {
    let name = unit.to_string().trim_matches(['\'', '`', '"']).to_lowercase();
    name.trim_start_matches("sql_tsi_").to_owned()
}

/// `[` + all values with commas + `]`.
pub(super) fn json_aggregate(function: &mut Function, open: &str, value: Expr, close: &str) -> Expr {
    let mut inner = function.clone();
    rename(&mut inner, "string_agg");
    inner.args = list(vec![value, string(", ")]);
    call("fg_json_whole", vec![string(open), Expr::Function(inner), string(close)])
}

/// `GROUP_CONCAT([DISTINCT] a, b ORDER BY c SEPARATOR s)` is string_agg of the joined values.
fn group_concat(function: &mut Function) {
    rename(function, "string_agg");
    let FunctionArguments::List(arguments) = &mut function.args else { return };
    let mut separator = ",".to_owned();
    arguments.clauses.retain(|clause| match clause {
        FunctionArgumentClause::Separator(text) => {
            separator = text.value.clone().into_string().unwrap_or_default();
            false
        }
        _ => true,
    });
    let mut values: Vec<Expr> = Vec::new();
    for argument in &mut arguments.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) = argument {
            values.push(take(e));
        }
    }
    let distinct = arguments.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let value = match values.len() {
        1 => call("fg_text", values.clone()),
        _ => call("concat", values.clone()),
    };
    // DataFusion orders a distinct aggregate only by its own argument: the usual ORDER BY of the same column is that.
    for clause in &mut arguments.clauses {
        if let FunctionArgumentClause::OrderBy(items) = clause {
            for item in items.iter_mut() {
                let same = values.len() == 1 && item.expr == values[0];
                let ordinal = matches!(&item.expr, Expr::Value(v) if matches!(&v.value, Value::Number(n, _) if n == "1"));
                if (same && distinct) || ordinal {
                    item.expr = value.clone();
                }
            }
        }
    }
    arguments.args =
        vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value)), FunctionArg::Unnamed(FunctionArgExpr::Expr(string(separator)))];
}
