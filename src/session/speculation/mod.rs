//! Queries that are planned, and statements that are described, before the client's request for them is carried out.
//!
//! A plan is good for one run, of the same text with the same parameters, and only as long as nothing that it was made from
//! has changed. What it reads is of the moment at which it was made.

mod plan_ahead;

use std::sync::Arc;
use std::time::Duration;

use datafusion::scalar::ScalarValue;

use super::client::Description;
use crate::engine::Ready;
use crate::error::{Error, Kind, Result};
use crate::sql::Parsed;
use crate::telemetry;
use crate::types::{ColumnInfo, Protocol, SqlType};

/// The speculative plan and description of the statement that is expected next.
#[derive(Default)]
pub(super) struct Speculation {
    planned: Option<Planned>,
    described: Option<Described>,
    /// A statement that was stopped while it was planned ahead, and the error.
    stopped: Option<(Arc<str>, Error)>,
}

/// A query, planned.
struct Planned {
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

impl Planned {
    fn is_for(&self, text: &Arc<str>, params: &[ScalarValue], catalog_version: u64) -> bool {
        self.text == *text && self.params == params && self.catalog_version == catalog_version
    }
}

/// A statement, described: its parameters and columns.
struct Described {
    text: Arc<str>,
    hints: Vec<Option<SqlType>>,
    description: Description,
    catalog_version: u64,
    tally: Tally,
}

/// Counts a plan when it is dropped.
struct Tally {
    protocol: Protocol,
    used: bool,
}

impl Drop for Tally {
    fn drop(&mut self) {
        telemetry::planned_ahead(self.protocol.label(), self.used);
    }
}

impl Speculation {
    /// A statement that was stopped while it was planned is stopped. Other errors are reported by the run.
    fn keep_stop(&mut self, text: Arc<str>, error: Error) {
        if matches!(error.kind(), Kind::Killed | Kind::StatementTimeout) {
            self.stopped = Some((text, error));
        }
    }

    /// Was this statement stopped before it was run?
    pub fn check_not_stopped(&mut self, parsed: &Parsed) -> Result<()> {
        match self.stopped.take() {
            Some((text, error)) if text == parsed.text => Err(error),
            _ => Ok(()),
        }
    }

    /// How long the planning of the statement that is run next has taken already.
    pub fn time_spent(&self) -> Duration {
        self.planned.as_ref().map_or(Duration::ZERO, |planned| planned.took)
    }

    /// Takes the plan of this statement, if there is one that still holds. `usable`: may the statement be run with a plan?
    pub fn take_plan(&mut self, text: &Arc<str>, params: &[ScalarValue], catalog_version: u64, usable: bool) -> Option<Ready> {
        let mut planned = self.planned.take()?;
        planned.tally.used = usable && planned.is_for(text, params, catalog_version);
        planned.tally.used.then_some(planned.ready)
    }

    /// The columns of this statement, if it is planned.
    pub fn columns(&self, text: &Arc<str>, params: &[ScalarValue], catalog_version: u64) -> Option<Arc<[ColumnInfo]>> {
        let planned = self.planned.as_ref().filter(|planned| planned.is_for(text, params, catalog_version))?;
        Some(Arc::clone(planned.ready.columns()))
    }

    /// Takes the description of this statement, if there is one that still holds.
    pub fn take_description(&mut self, parsed: &Parsed, hints: &[Option<SqlType>], catalog_version: u64) -> Option<Description> {
        let mut described = self.described.take()?;
        let same = described.text == parsed.text && described.hints == hints;
        described.tally.used = same && described.catalog_version == catalog_version;
        described.tally.used.then(|| described.description.clone())
    }

    /// The plan is for the portal that is bound now; the plan of a portal that was bound before is dropped.
    pub fn bind_plan(&mut self) {
        self.planned = self.planned.take().filter(|planned| !planned.bound).map(|planned| Planned { bound: true, ..planned });
    }

    /// The plan is not used.
    pub fn drop_plan(&mut self) {
        self.planned = None;
    }

    /// What was planned and described does not hold any more.
    pub fn invalidate(&mut self) {
        (self.planned, self.described) = (None, None);
    }

    /// Forgets everything, also that a statement was stopped.
    pub fn forget(&mut self) {
        *self = Speculation::default();
    }
}
