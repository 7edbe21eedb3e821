//! What a statement is run with, and what is known of it without running it.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;

use super::statement_guard::StatementGuard;
use crate::types::{ColumnInfo, SqlType};

/// One run of a statement.
#[derive(Clone)]
pub(super) struct Call {
    /// The text of the statement.
    pub text: Arc<str>,
    /// The values of its parameters.
    pub params: Arc<[ScalarValue]>,
    /// Ends the run at KILL, a cancel request or the time limit.
    pub guard: StatementGuard,
}

/// Parameter types and columns, as far as planning tells.
pub(super) type Described = (Vec<Option<SqlType>>, Option<Vec<ColumnInfo>>);
