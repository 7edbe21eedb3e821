//! Textual PREPARE, EXECUTE and DEALLOCATE of both dialects.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use crate::error::{Error, Kind, Result};
use crate::session::call::Call;
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{Parsed, PrepareSource, Statement, ast};
use crate::types::Family;

impl Session {
    pub(in crate::session) async fn prepare_text(&mut self, name: &str, source: &PrepareSource, call: &Call) -> Result<Reply> {
        if self.family() == Family::MySql {
            // Whether or not the new one can be prepared.
            self.prepared.remove(name);
        }
        let parsed = self.prepared_from(source, call).await?;
        if self.family() == Family::Postgres && self.prepared.contains(name) {
            return Err(Error::new(Kind::DuplicateStatement, format!("prepared statement \"{name}\" already exists")));
        }
        self.prepared.insert(name, parsed);
        Ok(Reply::Done(Outcome::tag("PREPARE")))
    }

    async fn prepared_from(&mut self, source: &PrepareSource, call: &Call) -> Result<Parsed> {
        let value = match source {
            PrepareSource::Statement { text, statement, params, .. } => {
                let statement = statement.as_ref().clone();
                return Ok(Parsed {
                    statement,
                    text: Arc::clone(text),
                    params: *params,
                    hints: Vec::new(),
                    limit: None,
                    settings: Vec::new(),
                });
            }
            PrepareSource::Text(text) => return self.one_statement(text),
            PrepareSource::Variable(variable) => self.settings.user_variable(variable).cloned(),
            PrepareSource::Expr { expr, .. } => Box::pin(self.evaluate(std::slice::from_ref(expr), call)).await?.pop(),
        };
        let text = value.filter(|value| !value.is_null()).map(|value| match value {
            ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            value => value.to_string(),
        });
        self.one_statement(text.as_deref().unwrap_or("NULL"))
    }

    fn one_statement(&self, text: &str) -> Result<Parsed> {
        let mut all = self.parse(text)?;
        match all.len() {
            // It could run itself, without an end.
            1 if is_about_prepared(&all[0].statement) => {
                Err(Error::unsupported(format!("{} in the text of a prepared statement", all[0].statement.verb())))
            }
            1 => Ok(all.remove(0)),
            0 => Err(Error::new(Kind::Syntax, "Query was empty")),
            _ => Err(Error::new(Kind::Syntax, "PREPARE takes one statement")),
        }
    }

    /// Runs the statement of an EXECUTE IMMEDIATE, as if it had been sent by itself.
    pub(in crate::session) async fn execute_immediate(&mut self, source: &PrepareSource, args: &[ast::Expr], call: Call) -> Result<Reply> {
        let parsed = self.prepared_from(source, &call).await?;
        let params = self.arguments(&parsed, "", args, &call).await?;
        drop(call);
        Box::pin(self.execute(&parsed, &params)).await
    }

    /// The statement that EXECUTE would run.
    pub fn prepared_statement(&self, name: &str) -> Option<Parsed> {
        self.prepared.get(name).cloned()
    }

    /// In PostgreSQL SQL and the protocol share their names: what a Parse made can be run by EXECUTE, if PREPARE could
    /// have made it. False: it cannot.
    pub fn adopt_statement(&mut self, name: &str, parsed: &Parsed) -> bool {
        let row = matches!(parsed.statement, Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_));
        if row {
            self.prepared.insert(name, parsed.clone());
        }
        row
    }

    /// The protocol has closed a statement.
    pub fn forget_statement(&mut self, name: &str) {
        self.prepared.remove(name);
    }

    /// The text that an EXECUTE would run.
    pub fn text_executed_by(&self, parsed: &Parsed) -> Option<Arc<str>> {
        match &parsed.statement {
            Statement::Execute { name, .. } => self.prepared_statement(name).map(|inner| inner.text),
            Statement::ExecuteImmediate { source: PrepareSource::Text(text), .. } => Some(Arc::from(text.as_str())),
            _ => None,
        }
    }

    /// The statement that this one runs: itself, unless it is an EXECUTE.
    pub(in crate::session) fn executed_by(&self, parsed: &Parsed) -> Option<Parsed> {
        match &parsed.statement {
            Statement::Execute { name, .. } => self.prepared_statement(name),
            Statement::ExecuteImmediate { source: PrepareSource::Text(text), .. } => self.one_statement(text).ok(),
            _ => Some(parsed.clone()),
        }
    }

    pub(in crate::session) async fn execute_text(&mut self, name: &str, args: &[ast::Expr], call: &Call) -> Result<Reply> {
        let parsed = self.prepared.require(name)?.clone();
        let params = Box::pin(self.arguments(&parsed, name, args, call)).await?;
        let inner = Call { text: std::sync::Arc::clone(&parsed.text), params: params.into(), guard: call.guard.clone() };
        Box::pin(self.dispatch(&parsed, inner)).await
    }

    /// The values of the parameters of a prepared statement.
    pub(in crate::session) async fn arguments(
        &mut self,
        parsed: &Parsed,
        name: &str,
        args: &[ast::Expr],
        call: &Call,
    ) -> Result<Vec<ScalarValue>> {
        if args.len() != parsed.params {
            let (given, taken) = (args.len(), parsed.params);
            return Err(match self.family() {
                Family::MySql => Error::new(Kind::WrongArguments, format!("Incorrect arguments to EXECUTE: {given} given, {taken} taken")),
                Family::Postgres => Error::new(
                    Kind::Syntax,
                    format!("wrong number of parameters for prepared statement \"{name}\": expected {taken} but got {given}"),
                ),
            });
        }
        let mut params = self.evaluate(args, call).await?;
        for value in &mut params {
            // A bare NULL takes the type of the place where it is used.
            if value.data_type() == DataType::Null {
                *value = ScalarValue::Utf8(None);
            }
        }
        Ok(params)
    }

    pub(in crate::session) fn deallocate(&mut self, name: Option<&str>) -> Result<Reply> {
        match name {
            None => self.prepared.clear(),
            Some(name) => self.prepared.deallocate(name)?,
        }
        Ok(Reply::Done(Outcome::tag(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" })))
    }
}

fn is_about_prepared(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Prepare { .. } | Statement::Execute { .. } | Statement::ExecuteImmediate { .. } | Statement::Deallocate(_)
    )
}
