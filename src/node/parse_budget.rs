//! The budget for parsing: how many bytes of long texts are parsed and run at a time, over all clients.
//!
//! A parsed statement takes up to forty times the memory of its text. One client could take all of it, so long texts wait for
//! each other. One wait is short: statements that run may wait for the one that waits here (for locks of the upstream).

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{Error, Kind, Result};

/// The unit of the budget, in bytes.
const UNIT: usize = 1 << 10;
/// How long a text waits for its part of the budget.
const PATIENCE: Duration = Duration::from_secs(20);

/// The budget of a server.
#[derive(Debug)]
pub struct ParseBudget {
    free: Arc<Semaphore>,
    units: usize,
    patience: Duration,
}

/// A part of the budget, taken until it is dropped.
#[derive(Debug)]
pub struct ParsePermit {
    _permit: OwnedSemaphorePermit,
}

/// The permit that a session holds. A statement passes several places that ask for it, and takes it once.
#[derive(Debug, Default)]
pub struct HeldPermit(Mutex<Weak<ParsePermit>>);

impl ParseBudget {
    /// A budget of `bytes`. A text that is longer takes all of it.
    pub fn new(bytes: usize) -> ParseBudget {
        let units = (bytes / UNIT).clamp(1, u32::MAX as usize);
        ParseBudget { free: Arc::new(Semaphore::new(units)), units, patience: PATIENCE }
    }

    pub async fn take(&self, session: &HeldPermit, bytes: usize) -> Result<Arc<ParsePermit>> {
        if let Some(permit) = session.0.lock().upgrade() {
            return Ok(permit);
        }
        let units = bytes.div_ceil(UNIT).clamp(1, self.units);
        let permit = timeout(self.patience, Arc::clone(&self.free).acquire_many_owned(units as u32)).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Error::new(Kind::OutOfMemory, "too many long statements are being parsed at the same time")
                .with_hint("try again, or send shorter statements; limits.message_bytes limits the total length of the statements that are parsed at the same time"));
        };
        let permit = Arc::new(ParsePermit { _permit: permit });
        *session.0.lock() = Arc::downgrade(&permit);
        Ok(permit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_texts_wait_for_each_other_and_not_for_ever() {
        let reading = ParseBudget { patience: Duration::from_millis(10), ..ParseBudget::new(100 * UNIT) };
        let (ann, bob) = (HeldPermit::default(), HeldPermit::default());
        let first = reading.take(&ann, 60 * UNIT).await.unwrap();
        let again = reading.take(&ann, 60 * UNIT).await.unwrap();
        assert_eq!(reading.take(&bob, 60 * UNIT).await.unwrap_err().kind(), Kind::OutOfMemory);
        drop(first);
        assert_eq!(reading.take(&bob, 60 * UNIT).await.unwrap_err().kind(), Kind::OutOfMemory);
        drop(again);
        // A text that is longer than the whole budget takes all of it.
        let all = reading.take(&bob, 1000 * UNIT).await.unwrap();
        assert_eq!(reading.free.available_permits(), 0);
        drop(all);
        assert_eq!(reading.free.available_permits(), 100);
    }
}
