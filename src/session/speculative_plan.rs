//! A query that is planned before it is run: while the upstream is still asked how its session stands, since mostly nothing
//! has changed there; or when its columns are asked for a moment before its rows.
//!
//! A plan is good for one run, of the same text with the same parameters, and only as long as nothing that it was made from
//! has changed. What it reads is of the moment at which it was made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::scalar::ScalarValue;

use super::execute::Call;
use super::guard::Guard;
use super::ownership::Owner;
use super::state::{Description, Session};
use crate::engine::Ready;
use crate::error::{Error, Kind, Result};
use crate::sql::{Parsed, Query, Statement};
use crate::telemetry;
use crate::types::Protocol;
use crate::types::{ColumnInfo, Family, SqlType};

/// A query, planned.
pub(super) struct PlannedAhead {
    text: Arc<str>,
    params: Vec<ScalarValue>,
    ready: Ready,
    /// How long that took: it counts for the statement's time limit.
    took: Duration,
    /// Of the catalog that it was planned with.
    catalog_version: u64,
    /// A portal of PostgreSQL has been bound to it.
    bound: bool,
    tally: Tally,
}

/// A statement, described: its parameters and columns.
pub(super) struct Described {
    text: Arc<str>,
    hints: Vec<Option<SqlType>>,
    description: Description,
    catalog_version: u64,
    tally: Tally,
}

/// Counts a plan when it goes.
struct Tally {
    protocol: Protocol,
    used: bool,
}

impl Drop for Tally {
    fn drop(&mut self) {
        telemetry::planned_ahead(self.protocol.label(), self.used);
    }
}

impl Session {
    /// Plans a query that is about to be run. What cannot be planned now, or would leave traces, is planned when it is run.
    pub async fn plan_speculatively(&mut self, parsed: &Parsed, params: &[ScalarValue]) {
        self.forget_planned_ahead();
        let Statement::Query(query) = &parsed.statement else { return };
        // What is the upstream's by its names is fetched over the client's connection, which is not at hand yet.
        let ours = !self.has_upstream() || self.owner(parsed) == Owner::Flashgate;
        if params.len() != parsed.params || !self.reads_alone() || !ours || self.check_rights(&parsed.statement).is_err() {
            return;
        }
        // Variables of the upstream's session are fetched when it is known that they are wanted; what holds for the statement
        // alone is set when it is run.
        if self.family() == Family::MySql && (parsed.text.contains('@') || !parsed.settings.is_empty()) {
            return;
        }
        let guard = Guard::new(&self.handle, parsed.statement.verb(), self.limit_of(parsed));
        let call = Call { text: Arc::clone(&parsed.text), params: params.into(), guard };
        let catalog_version = self.node.gms.catalog_version();
        let began = Instant::now();
        match self.plan_ahead(query, &call).await {
            Ok(Some(ready)) => {
                let tally = Tally { protocol: self.client.protocol, used: false };
                let (params, took) = (params.to_vec(), began.elapsed());
                self.planned_ahead = Some(PlannedAhead { text: call.text, params, ready, took, catalog_version, bound: false, tally });
            }
            Ok(None) => {}
            Err(error) => self.note_end(call.text, error),
        }
    }

    /// A statement that was stopped while it was planned is stopped. Other errors are told by the run.
    fn note_end(&mut self, text: Arc<str>, error: Error) {
        if matches!(error.kind(), Kind::Killed | Kind::StatementTimeout) {
            self.stopped = Some((text, error));
        }
    }

    /// Was this statement stopped before it was run?
    pub(super) fn check_not_stopped(&mut self, parsed: &Parsed) -> Result<()> {
        match self.stopped.take() {
            Some((text, error)) if text == parsed.text => Err(error),
            _ => Ok(()),
        }
    }

    /// How long the planning of what is run next has taken already.
    pub(super) fn spent_ahead(&self) -> Duration {
        self.planned_ahead.as_ref().map_or(Duration::ZERO, |planned_ahead| planned_ahead.took)
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

    /// A statement is its own transaction, and reads now or at the session's time.
    fn reads_alone(&self) -> bool {
        let behind = self.behind.is_some_and(|status| status.in_transaction || !status.autocommit);
        self.transaction.is_none() && !self.implicit && self.autocommit() && !behind
    }

    /// The plan of this statement, if there is one that still holds.
    pub(super) fn take_planned_ahead(&mut self, call: &Call) -> Option<Ready> {
        let alone = self.reads_alone();
        let mut planned_ahead = self.planned_ahead.take()?;
        planned_ahead.tally.used = alone && self.still_holds(&planned_ahead, &call.text, &call.params);
        planned_ahead.tally.used.then_some(planned_ahead.ready)
    }

    /// The columns of this statement, if it is planned.
    pub fn planned_columns(&self, parsed: &Parsed, params: &[ScalarValue]) -> Option<Vec<ColumnInfo>> {
        let planned_ahead = self.planned_ahead.as_ref().filter(|planned_ahead| self.still_holds(planned_ahead, &parsed.text, params))?;
        Some(self.as_the_server_has_them(Arc::clone(planned_ahead.ready.columns())).to_vec())
    }

    fn still_holds(&self, planned_ahead: &PlannedAhead, text: &Arc<str>, params: &[ScalarValue]) -> bool {
        planned_ahead.text == *text && planned_ahead.params == params && planned_ahead.catalog_version == self.node.gms.catalog_version()
    }

    /// Describes a statement that is about to be prepared, as far as that leaves no traces.
    pub async fn describe_speculatively(&mut self, parsed: &Parsed, hints: &[Option<SqlType>]) {
        self.forget_planned_ahead();
        if !self.reads_alone() {
            return;
        }
        let catalog_version = self.node.gms.catalog_version();
        let text = Arc::clone(&parsed.text);
        match self.describe(parsed, hints).await {
            Ok(description) => {
                let tally = Tally { protocol: self.client.protocol, used: false };
                self.described = Some(Described { text, hints: hints.to_vec(), description, catalog_version, tally });
            }
            Err(error) => self.note_end(text, error),
        }
    }

    /// What a statement takes and gives, if it is known already.
    pub(super) fn take_description(&mut self, parsed: &Parsed, hints: &[Option<SqlType>]) -> Option<Description> {
        let mut described = self.described.take()?;
        let same = described.text == parsed.text && described.hints == hints;
        described.tally.used = same && described.catalog_version == self.node.gms.catalog_version();
        described.tally.used.then(|| described.description.clone())
    }

    /// What was planned is for the portal that is bound now; a plan of another one has had its time.
    pub fn bind_planned_ahead(&mut self) {
        self.planned_ahead = self
            .planned_ahead
            .take()
            .filter(|planned_ahead| !planned_ahead.bound)
            .map(|planned_ahead| PlannedAhead { bound: true, ..planned_ahead });
    }

    /// Nothing is planned any more.
    pub fn forget_planned_ahead(&mut self) {
        self.drop_plans();
        self.stopped = None;
    }

    /// What was planned does not hold.
    pub(super) fn drop_plans(&mut self) {
        (self.planned_ahead, self.described) = (None, None);
    }
}
