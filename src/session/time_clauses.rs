//! What a time clause may read of its session: user variables in MySQL's language, settings by `current_setting` in
//! PostgreSQL's. Their values are put in as literals each time that the statement is run; a description does without them.

use std::ops::ControlFlow;

use datafusion::scalar::ScalarValue;

use super::constants::{constant, plain_argument};
use super::state::Session;
use crate::engine::catalog::{VariableSource, literal, substitute_in_expr};
use crate::error::{Error, Kind, Result};
use crate::sql::ast::{self, Expr, FunctionArguments, TableFactor, TableVersion, Value, VisitorMut};
use crate::sql::walk::{expressions, expressions_mut, walk_mut};
use crate::sql::{self, Query, TimeClause};
use crate::time::Tso;
use crate::types::Family;

impl Session {
    /// The moment that a time clause of a statement of ours names.
    pub(super) fn evaluate_time(&self, clause: &TimeClause, now: Tso, params: &[ScalarValue]) -> Result<Tso> {
        let mut clause = clause.clone();
        self.fill_time(&mut clause.expr)?;
        sql::time::evaluate(&clause, &sql::time::TimeContext { zone: self.settings.zone.clone(), now, params })
    }

    /// Puts the session's values into all time clauses of a query.
    pub(super) fn fill_times(&self, query: &mut Query) -> Result<()> {
        if let Some(clause) = &mut query.as_of {
            self.fill_time(&mut clause.expr)?;
        }
        match walk_mut(query.query.as_mut(), &mut Tables(|expr: &mut Expr| self.fill_time(expr))) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn fill_time(&self, expr: &mut Expr) -> Result<()> {
        let values = Values(self);
        if let ControlFlow::Break(error) = expressions_mut(expr, |expr| values.put(expr)) {
            return Err(error);
        }
        match self.family() {
            Family::MySql => substitute_in_expr(expr, self, &self.facts()),
            Family::Postgres => Ok(()),
        }
    }
}

/// Does something with the time clauses at tables.
struct Tables<F>(F);

impl<F: FnMut(&mut Expr) -> Result<()>> VisitorMut for Tables<F> {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::Table { version: Some(TableVersion::ForSystemTimeAsOf(expr)), .. } = factor
            && let Err(error) = self.0(expr)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }
}

/// Puts values in the place of what names them.
struct Values<'a>(&'a Session);

impl Values<'_> {
    fn value(&self, expr: &Expr) -> Result<Option<Expr>> {
        match self.0.family() {
            Family::MySql => user_variable(expr).map(|name| self.of_variable(name)).transpose(),
            Family::Postgres => setting(expr).map(|(name, forgiving)| self.of_setting(name, forgiving)).transpose(),
        }
    }

    fn of_variable(&self, name: &str) -> Result<Expr> {
        match self.0.user(name) {
            value if value.is_null() => {
                Err(Error::new(Kind::NotConstantTime, format!("the time @{name} is NULL")).with_hint(format!("SET @{name} = '..' first")))
            }
            ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) => {
                Ok(literal(&ScalarValue::Utf8(Some(String::from_utf8_lossy(&bytes).into_owned()))))
            }
            value => Ok(literal(&value)),
        }
    }

    fn of_setting(&self, name: Option<String>, forgiving: bool) -> Result<Expr> {
        let name = name.ok_or_else(|| Error::unsupported("current_setting of a computed name in a time"))?;
        if self.0.has_upstream() {
            return Err(Error::unsupported("current_setting in the time of a statement over cold tables")
                .with_hint("write the time itself, or give it as a parameter"));
        }
        match self.0.variable(&name) {
            Some(text) => Ok(literal(&ScalarValue::from(text))),
            None if forgiving => Err(Error::new(Kind::NotConstantTime, format!("the time current_setting('{name}') is NULL"))),
            None => Err(Error::new(Kind::UnknownVariable, format!("unrecognized configuration parameter \"{name}\""))),
        }
    }
}

impl Values<'_> {
    fn put(&self, expr: &mut Expr) -> ControlFlow<Error> {
        match self.value(expr) {
            Ok(Some(value)) => *expr = value,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// The name in `@name`, which is not `@@name`. With quotes within it is a placeholder to the parser.
fn user_variable(expr: &Expr) -> Option<&str> {
    let word = match expr {
        Expr::Identifier(ident) if ident.quote_style.is_none() => &ident.value,
        Expr::Value(ast::ValueWithSpan { value: Value::Placeholder(name), .. }) => name,
        _ => return None,
    };
    let name = word.strip_prefix('@').filter(|name| !name.starts_with('@'))?;
    Some(name.trim_matches(['`', '\'', '"']))
}

/// `current_setting(name [, forgiving])`; the name is None when it is not a constant.
fn setting(expr: &Expr) -> Option<(Option<String>, bool)> {
    let Expr::Function(function) = expr else { return None };
    if !function.name.0.last()?.as_ident()?.value.eq_ignore_ascii_case("current_setting") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let text = |at: usize| list.args.get(at).and_then(plain_argument).and_then(|arg| constant(arg, &[])).flatten();
    Some((text(0), text(1).is_some_and(|word| word.eq_ignore_ascii_case("true"))))
}

/// Takes out the time clauses whose value is known only when the statement is run: those with parameters, user variables
/// or settings.
pub(super) fn drop_open_times(query: &mut Query) {
    struct Dropper;
    impl VisitorMut for Dropper {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { version, .. } = factor
                && matches!(version, Some(TableVersion::ForSystemTimeAsOf(expr)) if is_open(expr))
            {
                *version = None;
            }
            ControlFlow::Continue(())
        }
    }
    let _ = walk_mut(query.query.as_mut(), &mut Dropper);
    if query.as_of.as_ref().is_some_and(|clause| is_open(&clause.expr)) {
        query.as_of = None;
    }
}

fn is_open(expr: &Expr) -> bool {
    let open = |expr: &Expr| {
        let parameter = matches!(expr, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)));
        parameter || user_variable(expr).is_some() || setting(expr).is_some()
    };
    expressions(expr, |expr| if open(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }).is_break()
}

/// Does a query name a user variable, in a time clause or elsewhere?
pub(super) fn reads_variables(query: &Query) -> bool {
    let look = |expr: &Expr| if user_variable(expr).is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    expressions(query.query.as_ref(), look).is_break()
        || query.as_of.as_ref().is_some_and(|clause| expressions(&clause.expr, look).is_break())
}
