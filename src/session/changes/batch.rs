//! One statement for many sets of parameters, all or nothing: MariaDB's bulk execution.

use datafusion::scalar::ScalarValue;

use crate::error::{Error, Result};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::Parsed;

impl Session {
    /// Runs a change once for each set. What they have changed becomes visible at one moment.
    pub async fn execute_batch(&mut self, parsed: &Parsed, sets: &[Vec<ScalarValue>]) -> Result<Outcome> {
        if !self.is_change(&parsed.statement) {
            return Err(Error::unsupported("a bulk execution of a statement other than INSERT, UPDATE and DELETE"));
        }
        let own = !self.transactions.is_open() && self.settings.autocommit();
        if own {
            self.begin_implicit().await;
        }
        let outcome = self.execute_sets(parsed, sets).await;
        if !own {
            return outcome;
        }
        let ended = self.end_implicit(outcome.is_ok()).await;
        outcome.and_then(|outcome| ended.map(|()| outcome))
    }

    async fn execute_sets(&mut self, parsed: &Parsed, sets: &[Vec<ScalarValue>]) -> Result<Outcome> {
        let mut total = Outcome::default();
        for set in sets {
            if let Reply::Done(done) = self.execute(parsed, set).await? {
                total.affected += done.affected;
                total.matched = total.matched.zip(done.matched).map(|(a, b)| a + b).or(done.matched);
            }
        }
        total.info = format!("Records: {}  Duplicates: 0  Warnings: {}", sets.len(), self.warning_count());
        Ok(total)
    }
}
