//! SET, RESET, DISCARD, and the values that queries see as `@@variables` and `@variables`.

use std::sync::atomic::Ordering;

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::execute::Call;
use super::set_config::{self, Configured};
use super::state::Session;
use super::{Outcome, Reply};
use crate::engine::catalog::{SessionFacts, VariableSource, substitute_in_expr, substitute_variables};
use crate::error::{Error, Kind, Result};
use crate::sql::{Discard, Query, Scope, Setting, ast};
use crate::types::{Family, SqlType, fold};
use crate::variables::{Scope as VariableScope, Value};

impl VariableSource for Session {
    fn system(&self, scope: Option<&str>, name: &str) -> Result<ScalarValue> {
        if name.eq_ignore_ascii_case("flashback_read_time") {
            return Ok(ScalarValue::Utf8(self.read_time.map(|at| at.display_in(&self.zone))));
        }
        match name.to_ascii_lowercase().as_str() {
            "warning_count" => return Ok(ScalarValue::UInt64(Some(self.counts.0))),
            "error_count" => return Ok(ScalarValue::UInt64(Some(self.counts.1))),
            _ => {}
        }
        match scope {
            Some("global") => Ok(self.variables.global(name)?.scalar()),
            _ => self.variables.get(name).map(|v| v.scalar()).ok_or_else(|| self.variables.unknown(name)),
        }
    }

    fn user(&self, name: &str) -> ScalarValue {
        self.user_variables.get(&fold(name)).cloned().unwrap_or(ScalarValue::Utf8(None))
    }
}

impl Session {
    pub(super) fn facts(&self) -> SessionFacts {
        SessionFacts {
            user: self.client.user.clone(),
            host: self.client.peer.rsplit_once(':').map_or(self.client.peer.as_str(), |(host, _)| host).to_owned(),
            database: self.database.clone(),
            connection_id: self.handle.id,
            last_insert_id: 0,
            row_count: self.row_count,
            found_rows: self.found_rows.load(Ordering::Relaxed),
        }
    }

    /// The query with the session's own values put in.
    pub(super) fn substitute(&self, query: &Query) -> Result<Query> {
        self.substitute_with(query, None).map(|(query, _)| query)
    }

    /// The same, and what its calls of set_config ask for. `params`: None when it is only described.
    pub(super) fn substitute_with(&self, query: &Query, params: Option<&[ScalarValue]>) -> Result<(Query, Vec<Configured>)> {
        let mut query = query.clone();
        self.fill_times(&mut query)?;
        let mut statement = ast::Statement::Query(query.query);
        let mut configured = Vec::new();
        match self.family() {
            Family::MySql => substitute_variables(&mut statement, self, &self.facts())?,
            Family::Postgres => {
                crate::engine::catalog::rewrite_postgres_catalog(&mut statement)?;
                configured = set_config::take(&mut statement, params)?;
            }
        }
        let ast::Statement::Query(tree) = statement else { return Err(Error::internal("a query turned into something else")) };
        Ok((Query { query: tree, as_of: query.as_of }, configured))
    }

    pub(super) async fn set(&mut self, settings: &[Setting], call: &Call) -> Result<Reply> {
        for setting in settings {
            self.set_one(setting, call).await?;
        }
        Ok(Reply::Done(Outcome::tag("SET")))
    }

    /// `SELECT .. INTO @a, @b`: at most one row; without one the variables stay as they are.
    pub(super) async fn select_into(&mut self, variables: &[String], query: &crate::sql::Query, call: &Call) -> Result<Reply> {
        let mut running = self.start_query(query, call).await?;
        if running.columns.len() != variables.len() {
            return Err(Error::new(Kind::SelectWidth, "The used SELECT statements have a different number of columns"));
        }
        let mut row: Option<Vec<ScalarValue>> = None;
        while let Some(batch) = call.guard.run(async { running.batches.try_next().await }).await? {
            if batch.num_rows() > 1 || (batch.num_rows() == 1 && row.is_some()) {
                return Err(Error::new(Kind::ManyRowsInto, "Result consisted of more than one row"));
            }
            if batch.num_rows() == 1 {
                let cells = batch.columns().iter().map(|c| ScalarValue::try_from_array(c, 0));
                row = Some(cells.collect::<Result<_, _>>().map_err(|e| Error::internal(e.to_string()))?);
            }
        }
        let Some(row) = row else {
            self.warn(1329, "No data - zero rows fetched, selected, or processed");
            return Ok(Reply::Done(Outcome::tag("SELECT")));
        };
        for (name, value) in variables.iter().zip(row) {
            let value = self.as_user_value(value)?;
            self.user_variables.insert(fold(name), value);
        }
        Ok(Reply::Done(Outcome { affected: 1, ..Outcome::tag("SELECT") }))
    }

    async fn set_one(&mut self, setting: &Setting, call: &Call) -> Result<()> {
        match setting {
            Setting::User { name, value } => {
                let mut value = value.clone();
                substitute_in_expr(&mut value, self, &self.facts())?;
                let value = self.evaluate(&[value], call).await?.into_iter().next().unwrap_or(ScalarValue::Null);
                let value = self.as_user_value(value)?;
                self.user_variables.insert(fold(name), value);
                Ok(())
            }
            Setting::ReadTime { scope, time } => self.set_read_time(*scope, time.as_ref(), call).await,
            Setting::Names { charset, collation } => {
                let changed = match self.family() {
                    Family::MySql => self.variables.set_names(charset.as_deref(), collation.as_deref())?,
                    Family::Postgres => {
                        let value = charset.clone().map(Value::Text);
                        self.variables.set("client_encoding", value, VariableScope::Session)?
                    }
                };
                self.follow(changed)
            }
            Setting::Charset(charset) => {
                let changed = self.variables.set_names(charset.as_deref(), None)?;
                self.follow(changed)
            }
            Setting::System { scope, name, values } => self.set_system(*scope, name, values, call).await,
        }
    }

    /// User variables hold numbers, texts and bytes; a moment becomes its text, as MySQL has it.
    fn as_user_value(&self, value: ScalarValue) -> Result<ScalarValue> {
        use DataType::{Date32, Date64, Time32, Time64, Timestamp};
        if !matches!(value.data_type(), Timestamp(..) | Date32 | Date64 | Time32(_) | Time64(_)) {
            return Ok(value);
        }
        let array = value.to_array().map_err(|e| Error::internal(e.to_string()))?;
        let text = crate::types::coerce::cast_to(&array, &SqlType::Text, self.family(), &self.zone)?;
        ScalarValue::try_from_array(&text, 0).map_err(|e| Error::internal(e.to_string()))
    }

    async fn set_read_time(&mut self, scope: Option<Scope>, time: Option<&crate::sql::TimeClause>, call: &Call) -> Result<()> {
        if matches!(scope, Some(Scope::Global | Scope::Persist)) {
            return Err(Error::new(Kind::WrongScope, "Variable 'flashback_read_time' is a SESSION variable"));
        }
        let at = match time {
            None => None,
            Some(clause) => {
                let now = self.node.gms.read_now().await?;
                let at = self.evaluate_time(clause, now, &call.params)?;
                self.node.gms.admit(at).await?;
                Some(at)
            }
        };
        if at.is_some() && self.transaction.as_ref().is_some_and(|t| t.transaction.is_dirty()) {
            return Err(Error::new(Kind::Refused, "the open transaction has changed rows; its session cannot turn to the past")
                .with_hint("COMMIT or ROLLBACK first"));
        }
        if self.remember_local("flashback_read_time", scope == Some(Scope::Local)) {
            self.read_time = at;
        }
        Ok(())
    }

    async fn set_system(&mut self, scope: Option<Scope>, name: &str, values: &[ast::Expr], call: &Call) -> Result<()> {
        let value = match values {
            [] => None,
            [one] => match self.setting_value(one, call).await? {
                Setting1::Default => None,
                Setting1::Value(value) => Some(value),
            },
            several => {
                let mut words = Vec::new();
                for expr in several {
                    if let Setting1::Value(value) = self.setting_value(expr, call).await? {
                        words.push(value.text(self.family()));
                    }
                }
                Some(Value::Text(words.join(", ")))
            }
        };
        let local = scope == Some(Scope::Local);
        let scope = match scope {
            Some(Scope::Global | Scope::Persist) => VariableScope::Global,
            _ => VariableScope::Session,
        };
        if name.eq_ignore_ascii_case("autocommit") && self.family() == Family::MySql {
            return self.set_autocommit(value, scope).await;
        }
        if !self.remember_local(name, local) {
            return Ok(());
        }
        let changed = self.variables.set(name, value, scope)?;
        self.follow(changed)
    }

    /// Turning autocommit on commits what is open, as in MySQL.
    async fn set_autocommit(&mut self, value: Option<Value>, scope: VariableScope) -> Result<()> {
        let changed = self.variables.set("autocommit", value, scope)?;
        if scope == VariableScope::Session && self.variables.flag("autocommit") {
            self.commit_open().await?;
        }
        self.follow(changed)
    }

    /// A word, a literal or an expression on the right of SET.
    async fn setting_value(&mut self, expr: &ast::Expr, call: &Call) -> Result<Setting1> {
        if let ast::Expr::Identifier(word) = expr
            && !word.value.starts_with('@')
        {
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") {
                return Ok(Setting1::Default);
            }
            return Ok(Setting1::Value(Value::Text(word.value.clone())));
        }
        let mut expr = expr.clone();
        substitute_in_expr(&mut expr, self, &self.facts())?;
        let value = self.evaluate(&[expr], call).await?.into_iter().next().unwrap_or(ScalarValue::Null);
        Ok(Setting1::Value(Value::of_scalar(&value)))
    }

    pub(super) fn reset_variable(&mut self, name: Option<&str>) -> Result<Reply> {
        let changed = match name {
            None => {
                self.remember_all();
                self.read_time = None;
                self.variables.reset_all()
            }
            Some(name) if name.eq_ignore_ascii_case("flashback_read_time") => {
                self.remember_local(name, false);
                self.read_time = None;
                Vec::new()
            }
            Some(name) => {
                self.remember_local(name, false);
                self.variables.reset(name)?
            }
        };
        self.follow(changed)?;
        Ok(Reply::Done(Outcome::tag("RESET")))
    }

    pub(super) async fn discard(&mut self, what: Discard) -> Result<Reply> {
        if what == Discard::All {
            if self.transaction.as_ref().is_some_and(|t| !t.implicit) {
                return Err(Error::new(Kind::Refused, "DISCARD ALL cannot run inside a transaction block"));
            }
            self.statements.clear();
            self.cursors = super::cursors::Cursors::default();
            self.reset_variable(None)?;
        }
        Ok(Reply::Done(Outcome::tag(match what {
            Discard::All => "DISCARD ALL",
            Discard::Plans => "DISCARD PLANS",
            Discard::Sequences => "DISCARD SEQUENCES",
            Discard::Temp => "DISCARD TEMP",
        })))
    }
}

/// A value, or DEFAULT.
enum Setting1 {
    Value(Value),
    Default,
}
