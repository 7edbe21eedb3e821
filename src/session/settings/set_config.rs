//! PostgreSQL's `set_config(name, value, is_local)`: a SET inside a query.

use std::ops::ControlFlow;

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, FunctionArguments, Statement, VisitorMut};

use crate::error::{Error, Kind, Result};
use crate::session::constants::{constant, plain_argument};
use crate::session::state::Session;
use crate::sql::READ_TIME;
use crate::sql::walk::walk_mut;
use crate::types::same;
use crate::variables::{Scope, Value};

/// One call: what is to be set once the query is planned.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::session) struct Configured {
    name: String,
    value: Option<String>,
    local: bool,
}

/// Puts the value in the place of every call. Without `params` (the query is only described) nothing is taken.
pub(super) fn take(statement: &mut Statement, params: Option<&[ScalarValue]>) -> Result<Vec<Configured>> {
    let mut calls = Calls { params, taken: Vec::new() };
    match walk_mut(statement, &mut calls) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(calls.taken),
    }
}

struct Calls<'a> {
    params: Option<&'a [ScalarValue]>,
    taken: Vec<Configured>,
}

impl VisitorMut for Calls<'_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Some([name, value, local]) = arguments(expr) else { return ControlFlow::Continue(()) };
        if let Some(params) = self.params {
            match configured(name, value, local, params) {
                Some(configured) => self.taken.push(configured),
                None => return ControlFlow::Break(Error::unsupported("set_config with arguments that are not constants")),
            }
        }
        *expr = Expr::Cast { kind: CastKind::Cast, expr: Box::new(value.clone()), data_type: DataType::Text, array: false, format: None };
        ControlFlow::Continue(())
    }
}

/// The three arguments of a call.
fn arguments(expr: &Expr) -> Option<[&Expr; 3]> {
    let Expr::Function(function) = expr else { return None };
    let name = function.name.0.last()?.as_ident()?;
    if !name.value.eq_ignore_ascii_case("set_config") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let [a, b, c] = list.args.as_slice() else { return None };
    Some([plain_argument(a)?, plain_argument(b)?, plain_argument(c)?])
}

fn configured(name: &Expr, value: &Expr, local: &Expr, params: &[ScalarValue]) -> Option<Configured> {
    let local = constant(local, params)?.unwrap_or_default();
    Some(Configured {
        name: constant(name, params)??,
        value: constant(value, params)?,
        local: matches!(local.to_ascii_lowercase().as_str(), "true" | "t" | "1" | "on" | "yes"),
    })
}

impl Session {
    /// Does what the calls ask for.
    pub(in crate::session) fn configure(&mut self, calls: Vec<Configured>) -> Result<()> {
        for Configured { name, value, local } in calls {
            if same(&name, READ_TIME) {
                return Err(Error::new(Kind::Unsupported, format!("set_config cannot set {READ_TIME}"))
                    .with_hint(format!("write SET {READ_TIME} = '2022-07-05 11:11:11'")));
            }
            if self.scope_setting(&name, local) {
                self.settings.set(&name, value.map(Value::Text), Scope::Session)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn calls_become_their_value_and_are_taken_in_order() {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, "SELECT set_config('a', $1, false), set_config('b', 'x'::text, true)")
            .unwrap()
            .remove(0);
        let taken = take(&mut statement, Some(&[ScalarValue::from("off")])).unwrap();
        let of = |name: &str, value: &str, local| Configured { name: name.into(), value: Some(value.into()), local };
        assert_eq!(taken, [of("a", "off", false), of("b", "x", true)]);
        assert!(!statement.to_string().contains("set_config"));
    }

    #[test]
    fn a_computed_value_is_refused_and_a_described_one_is_not_taken() {
        let parse = |text: &str| Parser::parse_sql(&PostgreSqlDialect {}, text).unwrap().remove(0);
        assert_eq!(take(&mut parse("SELECT set_config(name, 'x', false) FROM t"), Some(&[])).unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(take(&mut parse("SELECT set_config('a', $1, false)"), None).unwrap(), []);
    }
}
