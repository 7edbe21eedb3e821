//! Room for reading: how many bytes of long texts are read and run at a time, over all clients.
//!
//! A parsed statement takes up to forty times the memory of its text. One client could take all of it, so long texts wait for
//! each other. One wait is short: statements that run may wait for the one that waits here (for locks of the upstream).

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{Error, Kind, Result};

/// What is counted, in bytes.
const UNIT: usize = 1 << 10;
/// How long a text waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// The room of a server.
#[derive(Debug)]
pub struct Reading {
    free: Arc<Semaphore>,
    units: usize,
    patience: Duration,
}

/// Room that is taken, until it is dropped.
#[derive(Debug)]
pub struct Room {
    _permit: OwnedSemaphorePermit,
}

/// The room that a session has taken. A statement passes several places that ask for it, and takes it once.
#[derive(Debug, Default)]
pub(super) struct InRoom(Mutex<Weak<Room>>);

impl Reading {
    /// Room for `bytes`. A text that is longer takes all of it.
    pub fn new(bytes: usize) -> Reading {
        let units = (bytes / UNIT).clamp(1, u32::MAX as usize);
        Reading { free: Arc::new(Semaphore::new(units)), units, patience: PATIENCE }
    }

    pub(super) async fn take(&self, session: &InRoom, bytes: usize) -> Result<Arc<Room>> {
        if let Some(room) = session.0.lock().upgrade() {
            return Ok(room);
        }
        let units = bytes.div_ceil(UNIT).clamp(1, self.units);
        let permit = timeout(self.patience, Arc::clone(&self.free).acquire_many_owned(units as u32)).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Error::new(Kind::OutOfMemory, "too many long statements are read at this time")
                .with_hint("send it again, or in shorter statements; limits.message_bytes is the length of all that are read at a time"));
        };
        let room = Arc::new(Room { _permit: permit });
        *session.0.lock() = Arc::downgrade(&room);
        Ok(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_texts_wait_for_each_other_and_not_for_ever() {
        let reading = Reading { patience: Duration::from_millis(10), ..Reading::new(100 * UNIT) };
        let (ann, bob) = (InRoom::default(), InRoom::default());
        let first = reading.take(&ann, 60 * UNIT).await.unwrap();
        let again = reading.take(&ann, 60 * UNIT).await.unwrap();
        assert_eq!(reading.take(&bob, 60 * UNIT).await.unwrap_err().kind(), Kind::OutOfMemory);
        drop(first);
        assert_eq!(reading.take(&bob, 60 * UNIT).await.unwrap_err().kind(), Kind::OutOfMemory);
        drop(again);
        // One that is longer than all of the room gets all of it.
        let all = reading.take(&bob, 1000 * UNIT).await.unwrap();
        assert_eq!(reading.free.available_permits(), 0);
        drop(all);
        assert_eq!(reading.free.available_permits(), 100);
    }
}
