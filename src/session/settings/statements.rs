//! SET, RESET, DISCARD, and the values that queries see as `@@variables` and `@variables`.

use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::set_config::{self, Configured};
use crate::engine::catalog::{SessionFacts, VariableSource, substitute_in_expr, substitute_variables};
use crate::error::{Error, Kind, Result};
use crate::session::call::Call;
use crate::session::cursors::Cursors;
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{Discard, Query, READ_TIME, Scope, Setting, ast};
use crate::types::Family;
use crate::variables::{Scope as VariableScope, Value};

impl VariableSource for Session {
    fn system(&self, scope: Option<&str>, name: &str) -> Result<ScalarValue> {
        if name.eq_ignore_ascii_case("flashback_read_time") {
            return Ok(ScalarValue::Utf8(self.settings.read_time.map(|at| at.display_in(&self.settings.zone))));
        }
        match name.to_ascii_lowercase().as_str() {
            "warning_count" => return Ok(ScalarValue::UInt64(Some(self.diagnostics.warning_count()))),
            "error_count" => return Ok(ScalarValue::UInt64(Some(self.diagnostics.error_count()))),
            _ => {}
        }
        match scope {
            Some("global") => Ok(self.settings.variables.global(name)?.scalar()),
            _ => self.settings.variables.get(name).map(|v| v.scalar()).ok_or_else(|| self.settings.variables.unknown(name)),
        }
    }

    fn user(&self, name: &str) -> ScalarValue {
        self.settings.user_variable(name).cloned().unwrap_or(ScalarValue::Utf8(None))
    }
}

impl Session {
    pub(in crate::session) fn facts(&self) -> SessionFacts {
        SessionFacts {
            user: self.client.user.clone(),
            host: self.client.peer.rsplit_once(':').map_or(self.client.peer.as_str(), |(host, _)| host).to_owned(),
            database: self.settings.database.clone(),
            connection_id: self.handle.id,
            last_insert_id: 0,
            row_count: self.diagnostics.row_count,
            found_rows: self.diagnostics.found_rows(),
        }
    }

    /// The query with the session's own values put in.
    pub(in crate::session) fn substitute(&self, query: &Query) -> Result<Query> {
        self.substitute_with(query, None).map(|(query, _)| query)
    }

    /// The same, and what its calls of set_config ask for. `params`: None when it is only described.
    pub(in crate::session) fn substitute_with(&self, query: &Query, params: Option<&[ScalarValue]>) -> Result<(Query, Vec<Configured>)> {
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

    pub(in crate::session) async fn set(&mut self, settings: &[Setting], call: &Call) -> Result<Reply> {
        for setting in settings {
            self.set_one(setting, call).await?;
        }
        Ok(Reply::Done(Outcome::tag("SET")))
    }

    /// `SELECT .. INTO @a, @b`: at most one row; without one the variables stay as they are.
    pub(in crate::session) async fn select_into(&mut self, variables: &[String], query: &crate::sql::Query, call: &Call) -> Result<Reply> {
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
            self.diagnostics.warn(1329, "No data - zero rows fetched, selected, or processed");
            return Ok(Reply::Done(Outcome::tag("SELECT")));
        };
        for (name, value) in variables.iter().zip(row) {
            self.settings.set_user_variable(name, value)?;
        }
        Ok(Reply::Done(Outcome { affected: 1, ..Outcome::tag("SELECT") }))
    }

    async fn set_one(&mut self, setting: &Setting, call: &Call) -> Result<()> {
        match setting {
            Setting::User { name, value } => {
                let mut value = value.clone();
                substitute_in_expr(&mut value, self, &self.facts())?;
                let value = self.evaluate(&[value], call).await?.into_iter().next().unwrap_or(ScalarValue::Null);
                self.settings.set_user_variable(name, value)
            }
            Setting::ReadTime { scope, time } => self.set_read_time(*scope, time.as_ref(), call).await,
            Setting::Names { charset, collation } => match self.family() {
                Family::MySql => self.settings.set_names(charset.as_deref(), collation.as_deref()),
                Family::Postgres => {
                    let value = charset.clone().map(Value::Text);
                    self.settings.set("client_encoding", value, VariableScope::Session)
                }
            },
            Setting::Charset(charset) => self.settings.set_names(charset.as_deref(), None),
            Setting::System { scope, name, values } => self.set_system(*scope, name, values, call).await,
        }
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
        if at.is_some() && self.transactions.is_dirty() {
            return Err(Error::new(Kind::Refused, "the open transaction has changed rows; its session cannot turn to the past")
                .with_hint("COMMIT or ROLLBACK first"));
        }
        if self.scope_setting("flashback_read_time", scope == Some(Scope::Local)) {
            self.settings.read_time = at;
        }
        Ok(())
    }

    async fn set_system(&mut self, scope: Option<Scope>, name: &str, values: &[ast::Expr], call: &Call) -> Result<()> {
        let value = match values {
            [] => None,
            [one] => match self.setting_value(one, call).await? {
                Assigned::Default => None,
                Assigned::Value(value) => Some(value),
            },
            several => {
                let mut words = Vec::new();
                for expr in several {
                    if let Assigned::Value(value) = self.setting_value(expr, call).await? {
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
        if !self.scope_setting(name, local) {
            return Ok(());
        }
        self.settings.set(name, value, scope)
    }

    /// Turning autocommit on commits what is open, as in MySQL.
    async fn set_autocommit(&mut self, value: Option<Value>, scope: VariableScope) -> Result<()> {
        let changed = self.settings.assign("autocommit", value, scope)?;
        if scope == VariableScope::Session && self.settings.flag("autocommit") {
            self.commit_open().await?;
        }
        self.settings.follow(changed)
    }

    /// A word, a literal or an expression on the right of SET.
    async fn setting_value(&mut self, expr: &ast::Expr, call: &Call) -> Result<Assigned> {
        if let ast::Expr::Identifier(word) = expr
            && !word.value.starts_with('@')
        {
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") {
                return Ok(Assigned::Default);
            }
            return Ok(Assigned::Value(Value::Text(word.value.clone())));
        }
        let mut expr = expr.clone();
        substitute_in_expr(&mut expr, self, &self.facts())?;
        let value = self.evaluate(&[expr], call).await?.into_iter().next().unwrap_or(ScalarValue::Null);
        Ok(Assigned::Value(Value::of_scalar(&value)))
    }

    /// To be called before a variable is set: keeps its value for the end of the transaction. False: SET LOCAL outside of a
    /// transaction does nothing but warn.
    pub(in crate::session) fn scope_setting(&mut self, name: &str, local: bool) -> bool {
        // A script or pipeline is a transaction as well.
        let in_transaction = self.family() == Family::Postgres && self.transactions.in_block();
        if local && !in_transaction {
            self.diagnostics.warn(0, "SET LOCAL can only be used in transaction blocks");
            return false;
        }
        self.settings.keep_previous(name, local, in_transaction);
        true
    }

    pub(in crate::session) fn reset_variable(&mut self, name: Option<&str>) -> Result<Reply> {
        match name {
            None => {
                for name in self.settings.variables.changed() {
                    self.scope_setting(&name, false);
                }
                self.scope_setting(READ_TIME, false);
                self.settings.reset_all()?;
            }
            Some(name) if name.eq_ignore_ascii_case(READ_TIME) => {
                self.scope_setting(name, false);
                self.settings.read_time = None;
            }
            Some(name) => {
                self.scope_setting(name, false);
                self.settings.reset(name)?;
            }
        }
        Ok(Reply::Done(Outcome::tag("RESET")))
    }

    pub(in crate::session) async fn discard(&mut self, what: Discard) -> Result<Reply> {
        if what == Discard::All {
            if self.transactions.begun_by_client() {
                return Err(Error::new(Kind::Refused, "DISCARD ALL cannot run inside a transaction block"));
            }
            self.prepared.clear();
            self.cursors = Cursors::default();
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
enum Assigned {
    Value(Value),
    Default,
}
