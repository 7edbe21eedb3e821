//! Constants in a syntax tree: arguments of calls that must be known before the statement runs.

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Value as Literal};

/// The expression of an argument without a name.
pub(super) fn plain_argument(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// The text of a constant; the inner None is NULL.
pub(super) fn constant(expr: &Expr, params: &[ScalarValue]) -> Option<Option<String>> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => constant(inner, params),
        Expr::Value(value) => match &value.value {
            Literal::Null => Some(None),
            Literal::Boolean(b) => Some(Some(b.to_string())),
            Literal::Number(n, _) => Some(Some(n.clone())),
            Literal::Placeholder(hole) => {
                let value = params.get(hole.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)?)?;
                Some((!value.is_null()).then(|| value.to_string()))
            }
            text => text.clone().into_string().map(Some),
        },
        _ => None,
    }
}
