//! What a statement is run with.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;

use super::guard::Guard;

/// One run of a statement.
#[derive(Clone)]
pub(super) struct Call {
    /// The text of the statement.
    pub text: Arc<str>,
    /// The values of its parameters.
    pub params: Arc<[ScalarValue]>,
    /// Ends the run at KILL, a cancel request or the time limit.
    pub guard: Guard,
}
