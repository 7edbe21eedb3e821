//! The visibility index of one table: which file versions are visible at a read time. A pure data structure, no I/O.
//!
//! Versions lie in commit order. Every so many events (a version appears or disappears) a checkpoint lists what is
//! visible then. A lookup at T takes the last checkpoint not after T, adds the versions committed between it and T, and
//! drops what is removed by T. Checkpoints lie so close that this costs a small multiple of what is visible, and so far
//! apart that they take a few bytes a version.

use std::collections::HashMap;
use std::mem::size_of;

use super::model::FileId;
use crate::time::Tso;

/// A checkpoint comes after this many events at least; what a lookup costs when nothing is visible.
const MIN_EVENTS: usize = 64;
/// Stands for "not removed".
const NEVER: u64 = u64::MAX;

#[derive(Debug, Clone, Copy)]
struct Version {
    commit: u64,
    remove: u64,
    id: FileId,
}

/// What is visible right after the events at `time`.
#[derive(Debug)]
struct Checkpoint {
    time: u64,
    /// Versions before this slot are listed in `slots` if they are visible at `time`; those after it are to be looked at.
    position: u32,
    slots: Box<[u32]>,
}

/// File versions of one table, by time. Visible: `commit_ts <= T < remove_ts`.
#[derive(Debug, Default)]
pub struct VisibilityIndex {
    versions: Vec<Version>,
    /// Slots of the versions that are not removed.
    alive: HashMap<FileId, u32>,
    checkpoints: Vec<Checkpoint>,
    checkpoint_slots: usize,
    events_since: usize,
    newest_event: u64,
}

impl VisibilityIndex {
    /// Without any version.
    pub fn new() -> VisibilityIndex {
        VisibilityIndex::default()
    }

    /// Of a whole history, in any order: (id, commit_ts, remove_ts).
    pub fn of_history(history: impl IntoIterator<Item = (FileId, Tso, Option<Tso>)>) -> VisibilityIndex {
        let versions =
            history.into_iter().map(|(id, commit, remove)| Version { commit: commit.0, remove: remove.map_or(NEVER, |t| t.0), id });
        let mut versions: Vec<Version> = versions.collect();
        // A version that ends before it begins was never visible, and must not end before it is there.
        versions.iter_mut().for_each(|v| v.remove = v.remove.max(v.commit));
        versions.sort_unstable_by_key(|v| (v.commit, v.id));
        let mut removals: Vec<u32> = (0..versions.len() as u32).filter(|&slot| versions[slot as usize].remove != NEVER).collect();
        removals.sort_unstable_by_key(|&slot| versions[slot as usize].remove);
        let mut index = VisibilityIndex { versions: Vec::with_capacity(versions.len()), ..VisibilityIndex::default() };
        let mut ends = removals.iter().map(|&slot| versions[slot as usize]).peekable();
        for version in &versions {
            while let Some(end) = ends.next_if(|end| end.remove < version.commit) {
                index.remove(end.id, Tso(end.remove));
            }
            index.insert(version.id, Tso(version.commit));
        }
        for end in ends {
            index.remove(end.id, Tso(end.remove));
        }
        index.versions.shrink_to_fit();
        index
    }

    /// A version becomes visible at `commit`. Cheap when `commit` is not before the newest event; else the index is rebuilt.
    pub fn insert(&mut self, id: FileId, commit: Tso) {
        if commit.0 < self.newest_event {
            let history = self.history().chain([(id, commit, None)]).collect::<Vec<_>>();
            *self = VisibilityIndex::of_history(history);
            return;
        }
        let slot = self.versions.len() as u32;
        self.versions.push(Version { commit: commit.0, remove: NEVER, id });
        self.alive.insert(id, slot);
        self.event(commit.0);
    }

    /// A visible version ends at `at`. False: there is no such version, or it ended before. Cheap when `at` is not before
    /// the newest event; else the index is rebuilt.
    pub fn remove(&mut self, id: FileId, at: Tso) -> bool {
        let Some(slot) = self.alive.remove(&id) else { return false };
        let version = &mut self.versions[slot as usize];
        version.remove = at.0.max(version.commit);
        if at.0 < self.newest_event {
            *self = VisibilityIndex::of_history(self.history().collect::<Vec<_>>());
        } else {
            self.event(at.0);
        }
        true
    }

    /// The versions visible at `t`, in commit order.
    pub fn resolve(&self, t: Tso) -> Vec<FileId> {
        let t = t.0;
        let after = self.checkpoints.partition_point(|c| c.time <= t);
        let (slots, position) = match after.checked_sub(1).map(|i| &self.checkpoints[i]) {
            Some(checkpoint) => (&*checkpoint.slots, checkpoint.position as usize),
            None => (&[][..], 0),
        };
        let mut visible = Vec::with_capacity(slots.len());
        for &slot in slots {
            let version = &self.versions[slot as usize];
            if t < version.remove {
                visible.push(version.id);
            }
        }
        for version in &self.versions[position..] {
            if version.commit > t {
                break;
            }
            if t < version.remove {
                visible.push(version.id);
            }
        }
        visible
    }

    /// Is this version not removed?
    pub fn is_alive(&self, id: FileId) -> bool {
        self.alive.contains_key(&id)
    }

    /// Versions in all.
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// No version at all?
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// The time of the newest event; [`Tso::MIN`] when there is none.
    pub fn newest_event(&self) -> Tso {
        Tso(self.newest_event)
    }

    /// Bytes that the index takes.
    pub fn memory_bytes(&self) -> usize {
        // A hash map keeps 8 slots for at most 7 entries and a control byte for each.
        let buckets = (self.alive.capacity() * 8 / 7).next_power_of_two();
        size_of::<Self>()
            + self.versions.capacity() * size_of::<Version>()
            + buckets * (size_of::<(FileId, u32)>() + 1)
            + self.checkpoints.capacity() * size_of::<Checkpoint>()
            + self.checkpoint_slots * size_of::<u32>()
    }

    fn history(&self) -> impl Iterator<Item = (FileId, Tso, Option<Tso>)> {
        self.versions.iter().map(|v| (v.id, Tso(v.commit), (v.remove != NEVER).then_some(Tso(v.remove))))
    }

    fn event(&mut self, time: u64) {
        self.newest_event = time;
        self.events_since += 1;
        let listed = self.checkpoints.last().map_or(0, |c| c.slots.len());
        // Half of what the last one lists: until the next one, at least the other half of it is still visible.
        if self.events_since >= MIN_EVENTS.max(listed / 2) {
            self.checkpoint(time);
        }
    }

    /// Lists what is visible now, from the last list and the versions after it, so in commit order.
    fn checkpoint(&mut self, time: u64) {
        let (old, position) = self.checkpoints.last().map_or((&[][..], 0), |c| (&*c.slots, c.position as usize));
        let alive = |slot: &u32| self.versions[*slot as usize].remove == NEVER;
        let slots: Box<[u32]> =
            old.iter().copied().chain(position as u32..self.versions.len() as u32).filter(alive).collect::<Vec<_>>().into_boxed_slice();
        self.checkpoint_slots += slots.len();
        let checkpoint = Checkpoint { time, position: self.versions.len() as u32, slots };
        match self.checkpoints.last_mut() {
            // One moment may have many events; only the state after the last of them can be asked for.
            Some(last) if last.time == time => {
                self.checkpoint_slots -= last.slots.len();
                *last = checkpoint;
            }
            _ => self.checkpoints.push(checkpoint),
        }
        self.events_since = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type History = Vec<(FileId, Tso, Option<Tso>)>;

    fn naive(history: &History, t: Tso) -> Vec<FileId> {
        let mut visible: Vec<_> = history.iter().filter(|(_, c, r)| *c <= t && r.is_none_or(|r| t < r)).collect();
        visible.sort_unstable_by_key(|(id, c, _)| (*c, *id));
        visible.into_iter().map(|v| v.0).collect()
    }

    /// What happens at one moment: how many versions appear, and which of those that live then end.
    fn moments() -> impl Strategy<Value = Vec<(u64, u8, Vec<u16>)>> {
        prop::collection::vec((0..3_u64, 0..40_u8, prop::collection::vec(any::<u16>(), 0..40)), 1..60)
    }

    fn play(moments: &[(u64, u8, Vec<u16>)]) -> (VisibilityIndex, History) {
        let (mut index, mut history, mut now) = (VisibilityIndex::new(), History::new(), 1);
        for (step, added, removed) in moments {
            now += step;
            let alive: Vec<usize> = (0..history.len()).filter(|&i| history[i].2.is_none()).collect();
            for &pick in removed.iter().filter(|_| !alive.is_empty()) {
                let at = alive[pick as usize % alive.len()];
                let first = history[at].2.is_none();
                assert_eq!(index.remove(history[at].0, Tso(now)), first);
                if first {
                    history[at].2 = Some(Tso(now));
                }
            }
            for _ in 0..*added {
                let id = FileId(history.len() as u64 + 1);
                index.insert(id, Tso(now));
                history.push((id, Tso(now), None));
            }
        }
        (index, history)
    }

    proptest! {
        #[test]
        fn a_lookup_gives_what_a_filter_over_all_versions_gives(moments in moments()) {
            let (index, history) = play(&moments);
            let rebuilt = VisibilityIndex::of_history(history.iter().rev().copied());
            let end = index.newest_event().0 + 2;
            for t in (0..=end).map(Tso) {
                let want = naive(&history, t);
                prop_assert_eq!(&index.resolve(t), &want, "at {}", t);
                prop_assert_eq!(&rebuilt.resolve(t), &want, "rebuilt, at {}", t);
            }
        }

        #[test]
        fn history_may_come_in_any_order(lives in prop::collection::vec((0..50_u64, prop::option::of(0..60_u64)), 0..300)) {
            let mut index = VisibilityIndex::new();
            let mut history = History::new();
            for (i, (commit, life)) in lives.iter().enumerate() {
                let id = FileId(i as u64);
                index.insert(id, Tso(*commit));
                let remove = life.map(|l| Tso(commit + l));
                if let Some(at) = remove {
                    prop_assert!(index.remove(id, at));
                }
                history.push((id, Tso(*commit), remove));
            }
            for t in (0..120).map(Tso) {
                prop_assert_eq!(index.resolve(t), naive(&history, t), "at {}", t);
            }
        }
    }

    #[test]
    fn a_rewrite_shows_the_old_or_the_new_file_and_never_both() {
        let mut index = VisibilityIndex::new();
        index.insert(FileId(1), Tso(10));
        assert!(index.remove(FileId(1), Tso(20)));
        index.insert(FileId(2), Tso(20));
        assert_eq!(index.resolve(Tso(19)), [FileId(1)]);
        assert_eq!(index.resolve(Tso(20)), [FileId(2)]);
        assert!(!index.remove(FileId(1), Tso(30)), "a version ends once");
    }

    /// The shape of the promised speed: lookups look at few versions more than they return, and memory stays small.
    #[test]
    fn a_lookup_costs_what_it_returns_and_memory_stays_below_200_bytes_a_version() {
        let mut index = VisibilityIndex::new();
        let (n, window) = (100_000_u64, 1_000);
        for i in 0..n {
            index.insert(FileId(i), Tso(2 * i));
            if i >= window {
                index.remove(FileId(i - window), Tso(2 * i + 1));
            }
        }
        for i in (n - window..n).rev() {
            index.remove(FileId(i), Tso(2 * n));
        }
        let looked_at = |t: u64| {
            let after = index.checkpoints.partition_point(|c| c.time <= t);
            let (listed, position) =
                after.checked_sub(1).map_or((0, 0), |i| (index.checkpoints[i].slots.len(), index.checkpoints[i].position as usize));
            listed + index.versions[position..].iter().take_while(|v| v.commit <= t).count()
        };
        for t in (0..2 * n + 2).step_by(97) {
            let visible = index.resolve(Tso(t)).len();
            assert!(looked_at(t) <= 4 * visible + 2 * MIN_EVENTS, "at {t}: {} for {visible}", looked_at(t));
        }
        assert!(index.resolve(Tso(2 * n)).is_empty());
        let each = index.memory_bytes() / n as usize;
        assert!(each < 200, "{each} bytes a version");
    }
}
