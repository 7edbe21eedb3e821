//! Plans a query before it is run: while the upstream is still asked for the state of its session, since mostly nothing has
//! changed there; or when the client asks for the query's columns a moment before its rows.

use std::sync::Arc;
use std::time::Instant;

use datafusion::scalar::ScalarValue;

use super::{Described, Planned, Tally};
use crate::engine::Ready;
use crate::error::Result;
use crate::session::call::Call;
use crate::session::ownership::Owner;
use crate::session::state::Session;
use crate::session::statement_guard::StatementGuard;
use crate::sql::{Parsed, Query, Statement};
use crate::types::{ColumnInfo, Family, SqlType};

impl Session {
    /// Plans a query that is about to be run. What cannot be planned now, or would leave traces, is planned when it is run.
    pub async fn plan_speculatively(&mut self, parsed: &Parsed, params: &[ScalarValue]) {
        self.speculation.forget();
        let Statement::Query(query) = &parsed.statement else { return };
        // Hot tables are read over the client's connection to the upstream, which is not at hand yet.
        let local = !self.has_upstream() || self.owner(parsed) == Owner::Flashgate;
        if params.len() != parsed.params || !self.reads_alone() || !local || self.check_rights(&parsed.statement).is_err() {
            return;
        }
        // Variables of the upstream's session are fetched when it is known that they are wanted; what holds for the statement
        // alone is set when it is run.
        if self.family() == Family::MySql && (parsed.text.contains('@') || !parsed.settings.is_empty()) {
            return;
        }
        let guard = StatementGuard::new(&self.handle, parsed.statement.verb(), self.limit_of(parsed));
        let call = Call { text: Arc::clone(&parsed.text), params: params.into(), guard };
        let catalog_version = self.node.gms.catalog_version();
        let began = Instant::now();
        match self.plan_ahead(query, &call).await {
            Ok(Some(ready)) => {
                let tally = Tally { protocol: self.client.protocol, used: false };
                let (params, took) = (params.to_vec(), began.elapsed());
                self.speculation.planned = Some(Planned { text: call.text, params, ready, took, catalog_version, bound: false, tally });
            }
            Ok(None) => {}
            Err(error) => self.speculation.keep_stop(call.text, error),
        }
    }

    async fn plan_ahead(&mut self, query: &Query, call: &Call) -> Result<Option<Ready>> {
        let read = self.read_time_of(query).await?;
        let (query, configured) = self.substitute_with(query, Some(&call.params))?;
        let tables = self.tables(&query, call).await?;
        if !configured.is_empty() || tables.shows_the_session() {
            return Ok(None);
        }
        let environment = self.environment(read, tables, &call.text, &call.params);
        let engine = self.node.engine.clone();
        let planning = async { engine.plan(&environment, &query).await?.ready().await };
        call.guard.run(planning).await.map(Some)
    }

    /// Is a statement a transaction of its own, that reads now or at the session's time?
    fn reads_alone(&self) -> bool {
        self.transactions.is_idle() && self.settings.autocommit() && !self.upstream.joins_statements()
    }

    /// The plan of this statement, if there is one that still holds.
    pub(in crate::session) fn take_planned_ahead(&mut self, call: &Call) -> Option<Ready> {
        let usable = self.reads_alone();
        self.speculation.take_plan(&call.text, &call.params, self.node.gms.catalog_version(), usable)
    }

    /// The columns of this statement, if it is planned.
    pub fn planned_columns(&self, parsed: &Parsed, params: &[ScalarValue]) -> Option<Vec<ColumnInfo>> {
        let columns = self.speculation.columns(&parsed.text, params, self.node.gms.catalog_version())?;
        Some(self.upstream.as_the_server_has_them(columns).to_vec())
    }

    /// Describes a statement that is about to be prepared, as far as that leaves no traces.
    pub async fn describe_speculatively(&mut self, parsed: &Parsed, hints: &[Option<SqlType>]) {
        self.speculation.forget();
        if !self.reads_alone() {
            return;
        }
        let catalog_version = self.node.gms.catalog_version();
        let text = Arc::clone(&parsed.text);
        match self.describe(parsed, hints).await {
            Ok(description) => {
                let tally = Tally { protocol: self.client.protocol, used: false };
                let hints = hints.to_vec();
                self.speculation.described = Some(Described { text, hints, description, catalog_version, tally });
            }
            Err(error) => self.speculation.keep_stop(text, error),
        }
    }

    /// The plan is for the portal that is bound now.
    pub fn bind_planned_ahead(&mut self) {
        self.speculation.bind_plan();
    }

    /// Nothing is planned any more.
    pub fn forget_planned_ahead(&mut self) {
        self.speculation.forget();
    }
}
