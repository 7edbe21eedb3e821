//! Rows of values in PostgreSQL: `ROW(1, NULL) IS NOT NULL` asks each of them, `ROW(a, b) = (c, d)` compares one by one.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value};

use super::build::joined;

/// Spells out what asks a row, or compares one.
pub(super) fn expr(e: &mut Expr) {
    match e {
        Expr::IsNull(inner) => {
            if let Some(items) = items(inner) {
                *e = all(items, Expr::IsNull);
            }
        }
        Expr::IsNotNull(inner) => {
            if let Some(items) = items(inner) {
                *e = all(items, Expr::IsNotNull);
            }
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right } => {
            if let (Some(a), Some(b)) = (items(left), items(right)) {
                (**left, **right) = (Expr::Tuple(a), Expr::Tuple(b));
            }
        }
        _ => {}
    }
}

/// The values of a row; None: it is none.
fn items(e: &Expr) -> Option<Vec<Expr>> {
    match e {
        Expr::Tuple(items) => Some(items.clone()),
        Expr::Nested(inner) => items(inner),
        Expr::Function(f) if f.name.to_string().eq_ignore_ascii_case("row") && f.over.is_none() => {
            let FunctionArguments::List(list) = &f.args else { return None };
            let args = list.args.iter().map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
                _ => None,
            });
            args.collect()
        }
        _ => None,
    }
}

fn truth(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).into())
}

/// Is each of a row's values NULL, or is none? A row within the row is a value, and is none that is NULL.
fn all(items: Vec<Expr>, ask: fn(Box<Expr>) -> Expr) -> Expr {
    let null = matches!(ask(Box::new(truth(true))), Expr::IsNull(_));
    let asked =
        items.into_iter().map(|item| if self::items(&item).is_some() { truth(!null) } else { ask(Box::new(Expr::Nested(Box::new(item)))) });
    joined(asked.collect(), &BinaryOperator::And).unwrap_or_else(|| truth(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    #[test]
    fn a_row_is_asked_value_by_value() {
        let cases = [
            ("ROW(a, b) IS NOT NULL", "((a) IS NOT NULL AND (b) IS NOT NULL)"),
            ("(a, b) IS NULL", "((a) IS NULL AND (b) IS NULL)"),
            ("ROW(ROW(a), b) IS NULL", "(false AND (b) IS NULL)"),
            ("ROW(a) = ROW(b)", "(a) = (b)"),
            ("a IS NULL", "a IS NULL"),
        ];
        for (text, want) in cases {
            let mut e = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).unwrap().parse_expr().unwrap();
            expr(&mut e);
            assert_eq!(e.to_string(), want, "{text}");
        }
    }
}
