//! Whose work a task does, for the log: the span of the client's connection.
//!
//! A relay is polled several times a statement, and to enter a span at every poll was 3 % of its processor time. So its
//! task only carries the span along, and what has something to log enters it.

use std::future::Future;

use tracing::Span;

tokio::task_local! {
    static CONNECTION: Span;
}

/// The work of the connection of `span`, which it does not enter.
pub fn carry<F: Future>(span: Span, work: F) -> impl Future<Output = F::Output> {
    CONNECTION.scope(span, work)
}

/// The connection's span: the one that the task carries, else the one that it is in.
pub fn span() -> Span {
    CONNECTION.try_with(Span::clone).unwrap_or_else(|_| Span::current())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Instrument;

    #[tokio::test]
    async fn a_task_finds_its_span_carried_or_entered() {
        let _log = tracing::subscriber::set_default(tracing_subscriber::registry());
        let (carried, entered) = (tracing::info_span!("carried"), tracing::info_span!("entered"));
        let seen = carry(carried.clone(), async { (span().id(), Span::current().id()) }).await;
        assert_eq!(seen, (carried.id(), None));
        assert_eq!(async { span().id() }.instrument(entered.clone()).await, entered.id());
        let inside = carry(carried.clone(), async { span().id() }.instrument(entered)).await;
        assert_eq!(inside, carried.id());
    }
}
