//! Work apart from the relays, whose threads only pass bytes on.

use std::future::Future;
use std::io;
use std::panic::resume_unwind;

use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

/// The runtime that may be kept busy: statements of ours run on it.
#[derive(Debug, Clone)]
pub struct Apart(Handle);

impl Apart {
    /// The runtime that this is called on.
    pub fn here() -> Apart {
        Apart(Handle::current())
    }

    /// Does the work there, and waits for it. Dropped, it ends the work; a panic of the work is the caller's.
    pub async fn run<F>(&self, work: F) -> io::Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        match AbortOnDropHandle::new(self.0.spawn(work.in_current_span())).await {
            Ok(done) => Ok(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(io::Error::new(io::ErrorKind::NotConnected, "the server has stopped")),
            },
        }
    }
}
