//! Pieces of the syntax tree that the rewriting makes or takes apart.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Value, ValueWithSpan,
};
use datafusion::sql::sqlparser::tokenizer::Span;

/// A literal without a place in a text.
pub(super) fn value(value: Value) -> Expr {
    Expr::Value(ValueWithSpan { value, span: Span::empty() })
}

pub(super) fn null() -> Expr {
    value(Value::Null)
}

pub(super) fn int(n: i64) -> Expr {
    value(Value::Number(n.to_string(), false))
}

/// A call of one of our functions.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// The arguments of a plain call.
pub(super) fn arguments(function: &Function) -> Option<Vec<Expr>> {
    match &function.args {
        FunctionArguments::None => Some(vec![]),
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
            list.args.iter().map(|a| if let FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) = a { Some(e.clone()) } else { None }).collect()
        }
        _ => None,
    }
}

pub(super) fn last_part(name: &ObjectName) -> String {
    name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.to_ascii_lowercase()).unwrap_or_default()
}

/// Words that are functions without parentheses.
pub(super) fn is_session_keyword(word: &str) -> bool {
    ["current_user", "session_user", "current_role", "current_catalog", "current_schema", "user"]
        .iter()
        .any(|k| k.eq_ignore_ascii_case(word))
}
