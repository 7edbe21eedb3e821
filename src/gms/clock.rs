//! The clock: hands out commit times that only grow, and closes read times.
//!
//! A hybrid logical clock: the machine's time while that moves forward, else the last time plus one. Whatever it hands
//! out or closes lies below a ceiling that was made durable before; a process that starts after a crash goes on above
//! the ceiling, so no commit ever gets a time that somebody has read at. While a commit runs (from its time to its
//! publication) "now" is the moment before it, and a read at a later time waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::{Error, Kind, Result};
use crate::time::{LOGICAL_BITS, Tso};

/// How far ahead the ceiling lies: after a crash, commits begin that much later at most.
const LEASE: u64 = 2000 << LOGICAL_BITS;
/// A start waits for the machine's time to pass the ceiling when it is this near; else it goes on from the ceiling.
const PATIENCE: Duration = Duration::from_secs(3);
/// A plain read rather takes the ceiling as its time than wait longer for a new one.
const READ_PATIENCE: Duration = Duration::from_millis(100);

/// Tells the machine's time.
pub trait TimeSource: Send + Sync + fmt::Debug {
    /// Microseconds since 1970, UTC.
    fn unix_micros(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct MachineTime;

impl TimeSource for MachineTime {
    fn unix_micros(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(0))
    }
}

/// A clock for tests, moved by hand.
#[derive(Debug, Default)]
pub struct ManualTime(AtomicU64);

impl ManualTime {
    /// Standing at this microsecond.
    pub fn at(micros: u64) -> Arc<ManualTime> {
        Arc::new(ManualTime(AtomicU64::new(micros)))
    }

    /// Jumps, forth or back.
    pub fn set(&self, micros: u64) {
        self.0.store(micros, Ordering::SeqCst);
    }
}

impl TimeSource for ManualTime {
    fn unix_micros(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Where the ceiling is kept. Only the owner of the metadata calls it.
#[async_trait]
pub trait Ceiling: Send + Sync {
    /// The last ceiling stored; [`Tso::MIN`] at first. Makes this process the owner, or fails.
    async fn claim(&self) -> Result<Tso>;
    /// Durable when it returns.
    async fn store(&self, ceiling: Tso) -> Result<()>;
}

#[derive(Debug, Default)]
struct State {
    /// The newest time handed out or closed.
    last: u64,
    /// Nothing above it may be handed out or closed.
    ceiling: u64,
    /// The time of the commit that runs.
    running: Option<u64>,
    started: bool,
    /// Was the jump of the machine's clock reported?
    behind: bool,
    /// Handed out or closed anything since the ceiling was last raised?
    used: bool,
}

/// Hands out commit times and closes read times.
pub struct Clock {
    source: Arc<dyn TimeSource>,
    ceiling: Arc<dyn Ceiling>,
    state: Mutex<State>,
    /// Held while the ceiling is raised.
    raising: tokio::sync::Mutex<()>,
    settled: Notify,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("state", &*self.state.lock()).finish_non_exhaustive()
    }
}

/// What a caller wants of the clock.
#[derive(Clone, Copy)]
enum Aim {
    Now,
    Close(u64),
    Commit,
}

/// The time of a running commit. Dropping it says that the commit is published, or that it never will be.
#[derive(Debug)]
pub struct Moment {
    clock: Arc<Clock>,
    ts: Tso,
}

impl Moment {
    /// The commit time.
    pub fn ts(&self) -> Tso {
        self.ts
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        self.clock.state.lock().running = None;
        self.clock.settled.notify_waiters();
    }
}

impl Clock {
    /// A clock that starts with its first use.
    pub fn new(source: Arc<dyn TimeSource>, ceiling: Arc<dyn Ceiling>) -> Clock {
        Clock { source, ceiling, state: Mutex::default(), raising: tokio::sync::Mutex::new(()), settled: Notify::new() }
    }

    /// The time now: never behind a time that was handed out or closed. Closes nothing.
    pub fn now(&self) -> Tso {
        Tso(self.wall().0.max(self.state.lock().last))
    }

    /// The machine's time, as it is.
    pub fn wall(&self) -> Tso {
        Tso::from_unix_micros(self.source.unix_micros())
    }

    /// The newest time handed out or closed.
    pub fn last(&self) -> Tso {
        Tso(self.state.lock().last)
    }

    /// Becomes the one clock of this metadata and goes on above what a dead process may have handed out.
    pub async fn start(&self) -> Result<()> {
        if self.state.lock().started {
            return Ok(());
        }
        let _one = self.raising.lock().await;
        if self.state.lock().started {
            return Ok(());
        }
        let ceiling = self.ceiling.claim().await?;
        self.wait_for(ceiling).await;
        let mut state = self.state.lock();
        (state.last, state.ceiling, state.started) = (ceiling.0, ceiling.0, true);
        Ok(())
    }

    /// Waits until the machine's time passes `ceiling`, if that is near: so that "now" sees fresh commits at once.
    async fn wait_for(&self, ceiling: Tso) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let missing = ceiling.unix_micros().saturating_sub(self.source.unix_micros());
            if missing == 0 && self.wall() > ceiling || Duration::from_micros(missing) > PATIENCE {
                return;
            }
            let step = Duration::from_micros(missing.clamp(1, 50_000));
            if tokio::time::Instant::now() + step > deadline {
                return;
            }
            tokio::time::sleep(step).await;
        }
    }

    /// The newest time at which everything is decided: now, or the moment before the commit that runs. Closes it.
    pub async fn read_now(&self) -> Result<Tso> {
        self.start().await?;
        match tokio::time::timeout(READ_PATIENCE, self.advance(Aim::Now)).await {
            Ok(Ok(now)) => return Ok(now),
            Ok(Err(error)) => tracing::warn!(%error, "the clock's ceiling cannot be raised; reads go on below it"),
            Err(_) => {}
        }
        // The ceiling cannot be raised just now (a long write holds the database, or the disk is full): all commits lie
        // below it, so it is a time at which everything is decided, if not the very newest.
        let mut state = self.state.lock();
        match state.running {
            Some(commit) => Ok(Tso(commit - 1)),
            None => {
                state.last = state.ceiling;
                Ok(Tso(state.last))
            }
        }
    }

    /// Closes `at` for commits, and waits for those that run at or before it. A time after now is an error.
    pub async fn admit(&self, at: Tso) -> Result<()> {
        self.start().await?;
        let now = self.now();
        if at > now {
            return Err(Error::new(
                Kind::FutureReadTime,
                format!("the read time {} UTC (TSO {at}) lies in the future", at.display_in(&jiff::tz::TimeZone::UTC)),
            )
            .with_hint(format!("it is {} UTC now", now.display_in(&jiff::tz::TimeZone::UTC))));
        }
        self.advance(Aim::Close(at.0)).await?;
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.state.lock().running.is_none_or(|commit| commit > at.0) {
                return Ok(());
            }
            settled.await;
        }
    }

    /// A commit time after all that was handed out or closed. The caller holds the commit lock: one commit runs at a time.
    pub async fn commit_time(self: &Arc<Self>) -> Result<Moment> {
        self.start().await?;
        let ts = self.advance(Aim::Commit).await?;
        Ok(Moment { clock: Arc::clone(self), ts })
    }

    async fn advance(&self, aim: Aim) -> Result<Tso> {
        loop {
            {
                let wall = self.wall().0;
                let mut state = self.state.lock();
                self.watch_jumps(&mut state, wall);
                let t = match (aim, state.running) {
                    (Aim::Now, Some(commit)) => return Ok(Tso(commit - 1)),
                    (Aim::Now, None) => wall.max(state.last),
                    (Aim::Close(at), _) => at,
                    (Aim::Commit, Some(_)) => return Err(Error::internal("two commits run at once")),
                    (Aim::Commit, None) => wall.max(state.last + 1),
                };
                if t <= state.ceiling {
                    state.last = state.last.max(t);
                    state.used = true;
                    if matches!(aim, Aim::Commit) {
                        state.running = Some(t);
                    }
                    return Ok(Tso(t));
                }
            }
            self.raise().await?;
        }
    }

    /// Makes room above now, unless somebody just did.
    async fn raise(&self) -> Result<()> {
        let _one = self.raising.lock().await;
        let wall = self.wall().0;
        let target = {
            let state = self.state.lock();
            let now = wall.max(state.last + 1);
            if state.ceiling >= now + LEASE / 2 {
                return Ok(());
            }
            now + LEASE
        };
        crate::fault::point("gms.clock.before_lease");
        self.ceiling.store(Tso(target)).await?;
        crate::fault::point("gms.clock.after_lease");
        let mut state = self.state.lock();
        state.ceiling = state.ceiling.max(target);
        state.used = false;
        Ok(())
    }

    /// Raises the ceiling in time for a clock that is in use; called in the background a few times a second.
    pub async fn keep_ahead(&self) -> Result<()> {
        let used = {
            let state = self.state.lock();
            state.started && state.used
        };
        if used { self.raise().await } else { Ok(()) }
    }

    /// Stores the exact last time, so that the next start need not wait.
    pub async fn stop(&self) -> Result<()> {
        let _one = self.raising.lock().await;
        let last = {
            let mut state = self.state.lock();
            if !state.started {
                return Ok(());
            }
            // From here on every use has to raise the ceiling again, which a closed database refuses.
            state.ceiling = state.last;
            state.last
        };
        self.ceiling.store(Tso(last)).await
    }

    fn watch_jumps(&self, state: &mut State, wall: u64) {
        // Less than a second behind is no jump: a lease or a burst of commits may run ahead of the machine's clock.
        if !state.behind && wall + (1000 << LOGICAL_BITS) < state.last {
            state.behind = true;
            tracing::warn!(
                machine = %Tso(wall).timestamp(), last = %Tso(state.last).timestamp(),
                "the machine's clock is behind the last commit or read time; commits go on from there until it catches up"
            );
        } else if state.behind && wall > state.last {
            state.behind = false;
            tracing::info!("the machine's clock has caught up");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ceiling in memory that outlives its clocks.
    #[derive(Default)]
    struct Kept(AtomicU64);

    #[async_trait]
    impl Ceiling for Kept {
        async fn claim(&self) -> Result<Tso> {
            Ok(Tso(self.0.load(Ordering::SeqCst)))
        }
        async fn store(&self, ceiling: Tso) -> Result<()> {
            self.0.store(ceiling.0, Ordering::SeqCst);
            Ok(())
        }
    }

    const START: u64 = 1_700_000_000_000_000;

    fn clock(time: &Arc<ManualTime>, kept: &Arc<Kept>) -> Arc<Clock> {
        Arc::new(Clock::new(time.clone(), kept.clone()))
    }

    #[tokio::test]
    async fn commit_times_grow_when_the_machine_clock_jumps_back_and_recover() {
        let (time, kept) = (ManualTime::at(START), Arc::new(Kept::default()));
        let clock = clock(&time, &kept);
        let mut last = Tso::MIN;
        for jump in [0, 10, -3_600_000_000_i64, -3_600_000_000, 5, 5, 7_200_000_000] {
            time.set(START.saturating_add_signed(jump));
            for _ in 0..100 {
                let ts = clock.commit_time().await.unwrap().ts();
                assert!(ts > last, "{ts:?} after {last:?}");
                last = ts;
            }
        }
        assert_eq!(last.unix_micros() / 1_000_000, (START + 7_200_000_000) / 1_000_000, "back on the machine's time");
    }

    #[tokio::test]
    async fn no_commit_gets_a_time_that_was_read_before_a_crash() {
        let kept = Arc::new(Kept::default());
        for (ahead, back) in [(0, 0), (1_000_000, 0), (0, 10_000_000), (0, 86_400_000_000)] {
            let time = ManualTime::at(START + ahead);
            let before = clock(&time, &kept);
            let mut seen = before.commit_time().await.unwrap().ts();
            for step in 0..50 {
                time.set(START + ahead + step * 100_000);
                seen = seen.max(before.read_now().await.unwrap());
            }
            // No stop: the process is killed, and the machine's clock is wrong when it comes up again.
            time.set(START + ahead - back);
            let after = clock(&time, &kept);
            assert!(after.commit_time().await.unwrap().ts() > seen, "ahead {ahead}, back {back}");
        }
    }

    #[tokio::test]
    async fn a_clean_stop_stores_the_exact_last_time() {
        let (time, kept) = (ManualTime::at(START), Arc::new(Kept::default()));
        let before = clock(&time, &kept);
        let ts = before.commit_time().await.unwrap().ts();
        before.stop().await.unwrap();
        assert_eq!(before.last(), Tso(kept.0.load(Ordering::SeqCst)));
        let next = clock(&time, &kept).commit_time().await.unwrap().ts();
        assert_eq!(next, ts.next(), "the machine's clock stands still");
    }

    #[tokio::test]
    async fn a_read_never_sees_half_a_commit() {
        let (time, kept) = (ManualTime::at(START), Arc::new(Kept::default()));
        let clock = clock(&time, &kept);
        let moment = clock.commit_time().await.unwrap();
        time.set(START + 1000);
        assert!(clock.read_now().await.unwrap() < moment.ts());
        clock.admit(moment.ts().prev()).await.unwrap();
        let waits = tokio::spawn({
            let (clock, ts) = (Arc::clone(&clock), moment.ts());
            async move { clock.admit(ts).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waits.is_finished(), "a read at the time of a running commit waits for it");
        let ts = moment.ts();
        drop(moment);
        waits.await.unwrap().unwrap();
        assert!(clock.read_now().await.unwrap() >= ts);
    }

    /// A ceiling whose disk is full.
    struct Full;

    #[async_trait]
    impl Ceiling for Full {
        async fn claim(&self) -> Result<Tso> {
            Ok(Tso::from_unix_micros(START))
        }
        async fn store(&self, _: Tso) -> Result<()> {
            Err(Error::new(Kind::Metadata, "the disk is full"))
        }
    }

    #[tokio::test]
    async fn reads_go_on_when_nothing_can_be_written_and_commits_do_not() {
        let clock = Arc::new(Clock::new(ManualTime::at(START + 5_000_000), Arc::new(Full)));
        let read = clock.read_now().await.unwrap();
        assert_eq!(read, Tso::from_unix_micros(START), "all that was ever committed lies at or below the ceiling");
        assert_eq!(clock.commit_time().await.unwrap_err().kind(), Kind::Metadata);
        clock.admit(read).await.unwrap();
    }

    #[tokio::test]
    async fn a_read_closes_its_time() {
        let (time, kept) = (ManualTime::at(START), Arc::new(Kept::default()));
        let clock = clock(&time, &kept);
        let read = clock.read_now().await.unwrap();
        assert!(clock.commit_time().await.unwrap().ts() > read);
        time.set(START + 500);
        let at = clock.wall();
        clock.admit(at).await.unwrap();
        time.set(START + 400);
        assert!(clock.commit_time().await.unwrap().ts() > at);
        let future = clock.admit(Tso(clock.now().0 + 1)).await.unwrap_err();
        assert_eq!(future.kind(), Kind::FutureReadTime);
    }
}
