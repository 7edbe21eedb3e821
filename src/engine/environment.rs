//! What one statement sees of its session: its language, names, times, transaction, parameters and tables.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use jiff::tz::TimeZone;

use super::federated::HotAccess;
use super::functions::FunctionFacts;
use super::names::Namespace;
use super::rules::quotient_digits;
use crate::cold::Transaction;
use crate::sql::Dialect;
use crate::time::Tso;

/// Where a read time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeOrigin {
    /// A clause at the table.
    Table,
    /// A clause at the end of the statement.
    Statement,
    /// `START TRANSACTION READ ONLY AS OF ..`
    Transaction,
    /// The snapshot of the open transaction.
    Snapshot,
    /// `SET flashback_read_time`.
    Session,
    /// No one said otherwise.
    Now,
}

impl TimeOrigin {
    /// For EXPLAIN.
    pub fn words(self) -> &'static str {
        match self {
            TimeOrigin::Table => "table clause",
            TimeOrigin::Statement => "statement clause",
            TimeOrigin::Transaction | TimeOrigin::Snapshot => "transaction",
            TimeOrigin::Session => "session variable flashback_read_time",
            TimeOrigin::Now => "now",
        }
    }
}

/// A read time with its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadTime {
    /// The time.
    pub at: Tso,
    /// Who said so.
    pub origin: TimeOrigin,
}

/// Tables that are made up from metadata, and the functions that go with them; the session room knows what they say.
pub trait VirtualTables: Send + Sync {
    /// Is there such a table?
    fn exists(&self, schema: &str, name: &str) -> bool;
    /// Its rows as of now.
    fn table(&self, schema: &str, name: &str) -> Option<Arc<dyn TableProvider>>;
    /// Adds functions about the session and the catalog.
    fn register_functions(&self, context: &SessionContext);
}

/// What one statement sees of its session.
pub struct Environment<'a> {
    /// The language and how strings are quoted.
    pub dialect: Dialect,
    /// How names are read.
    pub namespace: Namespace,
    /// The session's zone.
    pub zone: TimeZone,
    /// The statement's time: what NOW() says.
    pub now: Tso,
    /// For tables without a clause.
    pub read: ReadTime,
    /// The open transaction, whose changes are seen at its own time.
    pub transaction: Option<&'a Transaction>,
    /// Values of the statement's parameters.
    pub params: &'a [ScalarValue],
    /// Metadata as tables.
    pub tables: Arc<dyn VirtualTables>,
    /// The statement's text, for labels and positions.
    pub text: Arc<str>,
    /// MySQL: `||` concatenates (sql_mode has PIPES_AS_CONCAT).
    pub pipes_as_concat: bool,
    /// MySQL: a difference of unsigned numbers has a sign (sql_mode has NO_UNSIGNED_SUBTRACTION).
    pub signed_subtraction: bool,
    /// The way to hot tables; None: there are none.
    pub hot: Option<HotAccess>,
}

impl Environment<'_> {
    pub(super) fn facts(&self) -> FunctionFacts {
        FunctionFacts {
            zone: self.zone.clone(),
            now_micros: self.now.unix_micros() as i64,
            signed_subtraction: self.signed_subtraction,
            keeps_digits: quotient_digits::are_kept(self.dialect.server),
        }
    }
}
