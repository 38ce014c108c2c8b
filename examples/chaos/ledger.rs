//! What the source holds, what has been invalidated, and which answers are wrong by that.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiered::Answer;
use tiered_examples::Moment;

use crate::breach::{Breach, Promise};

/// A row of the source, as a cache holds it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    pub(crate) key: u32,
    pub(crate) version: u32,
    /// When it was read from the source, or written there, in nanoseconds of [`Moment`].
    pub(crate) read_at: u64,
    padding: String,
}

/// How long a copy may be used, and how soon all nodes know of a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) fresh_for: Duration,
    pub(crate) stale_for: Duration,
    /// After an invalidation that L2 has confirmed: the bound, and the blind trust.
    pub(crate) heard_within: Duration,
}

pub(crate) struct Ledger {
    terms: Terms,
    /// The version of each row.
    source: Vec<AtomicU32>,
    /// By node: the version that an invalidation there, which has returned, has left as the oldest one.
    own: [Vec<AtomicU32>; NODES],
    /// The oldest version that any node may answer with as fresh.
    fresh: Vec<AtomicU32>,
    /// The oldest version that any node may answer with at all.
    settled: Vec<AtomicU32>,
    /// What `fresh` is to become, and when.
    confirmed: Mutex<VecDeque<(Moment, u32, u32)>>,
}

/// How many nodes there are.
pub(crate) const NODES: usize = 2;

/// What was known when a read began.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    node: usize,
    key: u32,
    at: Moment,
    own: u32,
    fresh: u32,
    settled: u32,
}

impl Ledger {
    pub(crate) fn new(keys: u32, terms: Terms) -> Self {
        let versions = || (0..keys).map(|_| AtomicU32::new(0)).collect();
        Self {
            terms,
            source: versions(),
            own: [versions(), versions()],
            fresh: versions(),
            settled: versions(),
            confirmed: Mutex::default(),
        }
    }

    /// The row as it is now.
    pub(crate) fn row(&self, key: u32) -> Row {
        Row::new(key, at(&self.source, key))
    }

    /// Changes the row.
    pub(crate) fn change(&self, key: u32) -> Row {
        let version = self.source.get(key as usize);
        let before = version.map_or(0, |version| version.fetch_add(1, Ordering::SeqCst));
        Row::new(key, before + 1)
    }

    /// The node has invalidated what is older than this row, and been told whether L2 has taken that.
    pub(crate) fn invalidated(&self, node: usize, row: &Row, is_confirmed: bool) {
        raise(
            self.own.get(node).map_or(&[], Vec::as_slice),
            row.key,
            row.version,
        );
        if is_confirmed {
            let due = Moment::now().plus(self.terms.heard_within + SLACK);
            self.confirmed().push_back((due, row.key, row.version));
        }
    }

    /// From now on others must know of what was confirmed so long ago.
    pub(crate) fn promote(&self) {
        let now = Moment::now();
        let mut confirmed = self.confirmed();
        while let Some((due, key, version)) = confirmed.front().copied() {
            if due > now {
                return;
            }
            raise(&self.fresh, key, version);
            confirmed.pop_front();
        }
    }

    /// All that has been invalidated by now, on any node.
    pub(crate) fn invalidations(&self) -> Vec<u32> {
        let keys = 0..u32::try_from(self.source.len()).unwrap_or(u32::MAX);
        let newest = |key| self.own.iter().map(|own| at(own, key)).max().unwrap_or(0);
        keys.map(newest).collect()
    }

    /// From now on all nodes must know of these, whether they were confirmed or not.
    pub(crate) fn settle(&self, invalidations: &[u32]) {
        for (key, version) in (0..).zip(invalidations) {
            raise(&self.settled, key, *version);
        }
    }

    pub(crate) fn known(&self, node: usize, key: u32) -> Known {
        Known {
            node,
            key,
            at: Moment::now(),
            own: self.own.get(node).map_or(0, |own| at(own, key)),
            fresh: at(&self.fresh, key),
            settled: at(&self.settled, key),
        }
    }

    /// Holds an answer against what was known when it was asked for.
    pub(crate) fn judge(&self, known: Known, answer: &Answer<Row>) -> Option<Breach> {
        let is_of = |row: &&Row| row.key == known.key && row.version <= at(&self.source, row.key);
        let row = answer.value.as_deref().filter(is_of);
        let promise = row.map_or(Some(Promise::Right), |row| {
            self.broken(known, row, answer.is_stale)
        })?;
        Some(Breach {
            promise,
            node: known.node,
            key: known.key,
            source: answer.source,
            is_stale: answer.is_stale,
            age: row.map_or(Duration::ZERO, |row| known.age(row)),
            failure: answer.failure.clone(),
        })
    }

    fn broken(&self, known: Known, row: &Row, is_stale: bool) -> Option<Promise> {
        let age = known.age(row).saturating_sub(SLACK);
        if row.version < known.own {
            Some(Promise::OwnInvalidation)
        } else if row.version < known.settled {
            Some(Promise::Replay)
        } else if !is_stale && row.version < known.fresh {
            Some(Promise::OthersInvalidation)
        } else if age > self.terms.fresh_for + self.terms.stale_for {
            Some(Promise::StaleUntil)
        } else if !is_stale && age > self.terms.fresh_for {
            Some(Promise::FreshUntil)
        } else {
            None
        }
    }

    fn confirmed(&self) -> MutexGuard<'_, VecDeque<(Moment, u32, u32)>> {
        self.confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn new(key: u32, version: u32) -> Self {
        Self {
            key,
            version,
            read_at: Moment::now().nanos(),
            padding: format!("{key:0>100}"),
        }
    }
}

impl Known {
    fn age(&self, row: &Row) -> Duration {
        self.at.since(Moment::from_nanos(row.read_at))
    }
}

fn at(versions: &[AtomicU32], key: u32) -> u32 {
    let version = versions.get(key as usize);
    version.map_or(0, |version| version.load(Ordering::SeqCst))
}

fn raise(versions: &[AtomicU32], key: u32, version: u32) {
    if let Some(oldest) = versions.get(key as usize) {
        oldest.fetch_max(version, Ordering::SeqCst);
    }
}

/// What coarse clocks and a busy machine may add.
const SLACK: Duration = Duration::from_millis(100);
