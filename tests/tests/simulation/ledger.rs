//! What was promised to whom.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tiered::Version;

use crate::source::Row;
use crate::waits::Wait;

/// All invalidations that have returned.
pub(crate) struct Ledger(Mutex<State>);

struct State {
    floors: Vec<Vec<Entry>>,
    count: u64,
    /// The latest writes of single keys.
    writes: Vec<WriteOf>,
    /// When something was last done that concerns all keys.
    swept: Duration,
    /// When each node last began a read of a key that looks past L1.
    blinkered: BTreeMap<(u64, usize), Duration>,
}

/// An invalidation: nothing older than this may be seen any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    pub(crate) version: u32,
    /// It concerns values that carry one of these tags only.
    pub(crate) tag: Option<u8>,
    /// Older values may still serve, marked as stale.
    pub(crate) is_expiry: bool,
    pub(crate) by: Life,
    pub(crate) is_confirmed: bool,
}

/// An invalidation that has returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) floor: Floor,
    pub(crate) at: Duration,
    order: u64,
}

/// A node from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) node: usize,
    pub(crate) number: u64,
}

/// A write that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteOf {
    pub(crate) key: usize,
    pub(crate) version: u32,
    pub(crate) after: Version,
}

/// A read that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) wait: Wait,
    order: u64,
    /// It must see this write.
    pub(crate) after: Option<WriteOf>,
}

impl Ledger {
    pub(crate) fn new(keys: usize) -> Self {
        Self(Mutex::new(State {
            floors: vec![Vec::new(); keys],
            count: 0,
            writes: Vec::new(),
            swept: Duration::ZERO,
            blinkered: BTreeMap::new(),
        }))
    }

    pub(crate) fn read(&self, wait: Wait, after: Option<WriteOf>) -> Reading {
        let order = self.state().count;
        Reading { wait, order, after }
    }

    pub(crate) fn returned(&self, key: usize, floor: Floor, at: Duration) {
        let mut state = self.state();
        state.count += 1;
        let order = state.count;
        state.floors[key].push(Entry { floor, at, order });
    }

    /// What this node has repeated is acknowledged now.
    pub(crate) fn confirm(&self, by: Life, now: Duration) {
        let mut state = self.state();
        let entries = state.floors.iter_mut().flatten();
        let open = entries.filter(|entry| entry.floor.by == by && !entry.floor.is_confirmed);
        for entry in open {
            entry.floor.is_confirmed = true;
            entry.at = now;
        }
    }

    /// A read looks past L1, and so does whoever joins it.
    pub(crate) fn look_past_l1(&self, by: Life, key: usize, now: Duration) {
        self.state().blinkered.insert((by.number, key), now);
    }

    pub(crate) fn looked_past_l1(&self, by: Life, key: usize) -> Option<Duration> {
        self.state().blinkered.get(&(by.number, key)).copied()
    }

    /// A tag is being removed, or everything, or was a moment ago.
    pub(crate) fn sweep(&self, now: Duration) {
        self.state().swept = now;
    }

    pub(crate) fn swept_at(&self) -> Duration {
        self.state().swept
    }

    /// The invalidations that a read of this row has missed, if it has: one that was called on the same node and returned before
    /// the read began, or elsewhere and so much earlier.
    pub(crate) fn missed(
        &self,
        key: usize,
        row: Row,
        reading: &Reading,
        allowance: Duration,
    ) -> Vec<Entry> {
        let is_due = |entry: &Entry| {
            if entry.floor.by == reading.wait.by {
                return entry.order <= reading.order;
            }
            entry.floor.is_confirmed && entry.at + allowance < reading.wait.begun
        };
        let state = self.state();
        let entries = state.floors[key].iter();
        entries
            .filter(|entry| entry.floor.covers(row) && is_due(entry))
            .copied()
            .collect()
    }

    /// The acknowledged invalidation that this row should have been gone with.
    pub(crate) fn outlived(&self, key: usize, row: Row) -> Option<Entry> {
        let state = self.state();
        let mut entries = state.floors[key].iter();
        entries
            .find(|entry| entry.floor.covers(row) && entry.floor.is_confirmed)
            .copied()
    }

    pub(crate) fn wrote(&self, write: WriteOf) {
        let writes = &mut self.state().writes;
        writes.push(write);
        if writes.len() > 4 {
            writes.remove(0);
        }
    }

    pub(crate) fn writes(&self) -> Vec<WriteOf> {
        self.state().writes.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Floor {
    fn covers(&self, row: Row) -> bool {
        self.version > row.version && self.tag.is_none_or(|tag| row.tags & tag != 0)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.number)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { floor, at, .. } = self;
        let tag = floor.tag.map(|tag| format!(" of tag {tag}"));
        let tag = tag.unwrap_or_default();
        let (by, version) = (floor.by, floor.version);
        write!(
            f,
            "the invalidation{tag} by node {by} at state {version} that returned at {at:?}"
        )
    }
}
