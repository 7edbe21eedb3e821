//! Whose work a task does, for the log: the span of the client's connection.
//!
//! A relay is polled several times a statement, and to enter a span at every poll was 3 % of its processor time. So its
//! task only carries the span along, and what has something to log enters it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::LazyLock;

use parking_lot::RwLock;
use tokio::task::{Id, try_id};
use tracing::Span;

/// By the connection's task.
static CONNECTIONS: LazyLock<RwLock<HashMap<Id, Span>>> = LazyLock::new(RwLock::default);

/// A connection's span is known as long as this.
struct Carried(Option<Id>);

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            CONNECTIONS.write().remove(&id);
        }
    }
}

/// The work of the connection of `span`, which it does not enter: a task of its own.
pub async fn carry<F: Future>(span: Span, work: F) -> F::Output {
    let id = try_id();
    if let Some(id) = id {
        CONNECTIONS.write().insert(id, span);
    }
    let _carried = Carried(id);
    work.await
}

/// The connection's span: the one that the task carries, else the one that it is in.
pub fn span() -> Span {
    try_id().and_then(|id| CONNECTIONS.read().get(&id).cloned()).unwrap_or_else(Span::current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Instrument;

    #[tokio::test]
    async fn a_task_finds_its_span_carried_or_entered() {
        let _log = tracing::subscriber::set_default(tracing_subscriber::registry());
        let (carried, entered) = (tracing::info_span!("carried"), tracing::info_span!("entered"));
        let seen = tokio::spawn(carry(carried.clone(), async { (span().id(), Span::current().id()) })).await.unwrap();
        assert_eq!(seen, (carried.id(), None));
        assert_eq!(async { span().id() }.instrument(entered.clone()).await, entered.id());
        let inside = tokio::spawn(carry(carried.clone(), async { (tokio::task::id(), span().id()) }.instrument(entered))).await.unwrap();
        assert_eq!(inside.1, carried.id());
        assert!(!CONNECTIONS.read().contains_key(&inside.0), "it is forgotten with its task");
    }
}
