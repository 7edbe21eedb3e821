//! What a session knows about itself, put into a query as literals: `@@variables`, `@user` variables and the functions
//! that drivers call at their start (`DATABASE()`, `VERSION()`, `CONNECTION_ID()`, ..).

use std::ops::ControlFlow;

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Statement, Value, ValueWithSpan, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::versions::MYSQL_VERSION;
use crate::error::Result;
use crate::sql::walk::walk_mut;

/// Where variables are looked up.
pub trait VariableSource {
    /// `@@name` (None), `@@session.name` (`session`), `@@global.name` (`global`). An unknown name is an error.
    fn system(&self, scope: Option<&str>, name: &str) -> Result<ScalarValue>;
    /// `@name`; NULL when it was never set.
    fn user(&self, name: &str) -> ScalarValue;
}

/// What a MySQL session answers about itself.
#[derive(Debug, Clone, Default)]
pub struct SessionFacts {
    pub user: String,
    /// The client's address, as USER() shows it.
    pub host: String,
    pub database: Option<String>,
    pub connection_id: u32,
    pub last_insert_id: u64,
    /// Of the statement before this one: -1 after a SELECT.
    pub row_count: i64,
    /// Rows that the last SELECT returned.
    pub found_rows: u64,
}

impl SessionFacts {
    /// The value of a function of MySQL's that depends on the session alone.
    pub fn value(&self, function: &str) -> Option<ScalarValue> {
        let text = |t: &str| Some(ScalarValue::from(t));
        match function.to_ascii_lowercase().as_str() {
            "database" | "schema" => Some(ScalarValue::Utf8(self.database.clone())),
            "user" | "session_user" | "system_user" => text(&format!("{}@{}", self.user, self.host)),
            "current_user" => text(&format!("{}@%", self.user)),
            "current_role" => text("NONE"),
            "version" => text(MYSQL_VERSION),
            "connection_id" => Some(ScalarValue::UInt64(Some(u64::from(self.connection_id)))),
            "last_insert_id" => Some(ScalarValue::UInt64(Some(self.last_insert_id))),
            "row_count" => Some(ScalarValue::Int64(Some(self.row_count))),
            "found_rows" => Some(ScalarValue::UInt64(Some(self.found_rows))),
            _ => None,
        }
    }
}

/// Replaces `@@variables`, `@variables` and the functions of [`SessionFacts`] by literals. A result column that was
/// replaced keeps its text as its label.
pub fn substitute_variables(statement: &mut Statement, source: &dyn VariableSource, facts: &SessionFacts) -> Result<()> {
    let mut visitor = Substitute { source, facts };
    match walk_mut(statement, &mut visitor) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The same for a bare expression (`SET x = @@y`).
pub fn substitute_in_expr(expr: &mut Expr, source: &dyn VariableSource, facts: &SessionFacts) -> Result<()> {
    match walk_mut(expr, &mut Substitute { source, facts }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Substitute<'a> {
    source: &'a dyn VariableSource,
    facts: &'a SessionFacts,
}

impl Substitute<'_> {
    fn replacement(&self, expr: &Expr) -> Result<Option<ScalarValue>> {
        Ok(match expr {
            Expr::Identifier(ident) if ident.quote_style.is_none() => match ident.value.strip_prefix("@@") {
                Some(name) => Some(match name.split_once('.') {
                    Some((scope, name)) => self.source.system(Some(&scope.to_ascii_lowercase()), name)?,
                    None => self.source.system(None, name)?,
                }),
                None => ident.value.strip_prefix('@').map(|name| self.source.user(name.trim_matches(['`', '\'', '"']))),
            },
            // With quotes within the name it is a placeholder to the parser.
            Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) => name.strip_prefix('@').map(|name| self.source.user(name)),
            Expr::CompoundIdentifier(parts) => match parts.first().and_then(|p| p.value.strip_prefix("@@")) {
                Some(scope) => {
                    let scope = scope.to_ascii_lowercase();
                    let name = parts[1..].iter().map(|p| p.value.as_str()).collect::<Vec<_>>().join(".");
                    let scope = if scope == "local" { "session".to_owned() } else { scope };
                    Some(self.source.system(Some(&scope), &name)?)
                }
                None => None,
            },
            Expr::Function(f) if without_arguments(f) => function_name(&f.name).and_then(|name| self.facts.value(name)),
            _ => None,
        })
    }

    fn label_items(&self, select: &mut Select) -> Result<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && self.replacement(expr)?.is_some()
            {
                let alias = Ident::with_quote('`', expr.to_string());
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        Ok(())
    }
}

fn without_arguments(f: &Function) -> bool {
    match &f.args {
        FunctionArguments::None => true,
        FunctionArguments::List(list) => list.args.is_empty() && list.clauses.is_empty(),
        FunctionArguments::Subquery(_) => false,
    }
}

fn function_name(name: &ObjectName) -> Option<&str> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(|i| i.value.as_str()),
        _ => None,
    }
}

impl VisitorMut for Substitute<'_> {
    type Break = crate::error::Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        if let SetExpr::Select(select) = query.body.as_mut()
            && let Err(error) = self.label_items(select)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match self.replacement(expr) {
            Ok(Some(value)) => *expr = literal(&value),
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// A value as a literal of a query.
pub fn literal(value: &ScalarValue) -> Expr {
    let of = |value: Value| Expr::Value(ValueWithSpan { value, span: Span::empty() });
    if value.is_null() {
        return of(Value::Null);
    }
    match value {
        ScalarValue::Boolean(Some(b)) => of(Value::Boolean(*b)),
        ScalarValue::Utf8(Some(t)) | ScalarValue::LargeUtf8(Some(t)) | ScalarValue::Utf8View(Some(t)) => {
            of(Value::SingleQuotedString(t.clone()))
        }
        other if other.data_type().is_numeric() => of(Value::Number(other.to_string(), false)),
        other => of(Value::SingleQuotedString(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::MySqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::error::{Error, Kind};

    struct Fixed;
    impl VariableSource for Fixed {
        fn system(&self, scope: Option<&str>, name: &str) -> Result<ScalarValue> {
            match (scope, name.to_ascii_lowercase().as_str()) {
                (_, "autocommit") => Ok(ScalarValue::Int64(Some(1))),
                (Some("session") | None, "time_zone") => Ok(ScalarValue::from("SYSTEM")),
                _ => Err(Error::new(Kind::UnknownVariable, format!("Unknown system variable '{name}'"))),
            }
        }
        fn user(&self, name: &str) -> ScalarValue {
            if name == "a" { ScalarValue::Int64(Some(7)) } else { ScalarValue::Null }
        }
    }

    fn run(sql: &str) -> Result<String> {
        let mut statement = Parser::parse_sql(&MySqlDialect {}, sql).unwrap().remove(0);
        let facts = SessionFacts {
            user: "root".into(),
            host: "localhost".into(),
            database: Some("shop".into()),
            connection_id: 9,
            ..Default::default()
        };
        substitute_variables(&mut statement, &Fixed, &facts)?;
        Ok(statement.to_string())
    }

    #[test]
    fn variables_become_literals_and_keep_their_labels() {
        // mysql CLI
        assert_eq!(
            run("select DATABASE(), USER() limit 1").unwrap(),
            "SELECT 'shop' AS `DATABASE()`, 'root@localhost' AS `USER()` LIMIT 1"
        );
        // MySQL Connector/J 8
        assert_eq!(
            run("SELECT @@session.autocommit AS a, @@time_zone, CONNECTION_ID()").unwrap(),
            "SELECT 1 AS a, 'SYSTEM' AS `@@time_zone`, 9 AS `CONNECTION_ID()`"
        );
        assert_eq!(run("SELECT x FROM t WHERE y = @a + 1 AND z = @b").unwrap(), "SELECT x FROM t WHERE y = 7 + 1 AND z = NULL");
    }

    #[test]
    fn an_unknown_variable_is_an_error() {
        assert_eq!(run("SELECT @@nope").unwrap_err().mysql_code(), 1193);
        assert_eq!(run("SELECT 1 FROM t WHERE @@global.nope = 1").unwrap_err().mysql_code(), 1193);
    }
}
