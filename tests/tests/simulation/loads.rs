//! The loads that there were, and what became of them.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::ledger::{Life, Reading};
use crate::waits::Wait;
use crate::world::World;

#[derive(Default)]
pub(crate) struct Loads(Mutex<Vec<Load>>);

/// The load of one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) key: usize,
    pub(crate) wait: Wait,
    /// How long it takes by itself.
    pub(crate) takes: Duration,
    pub(crate) end: End,
    pub(crate) ended: Option<Duration>,
    /// An authoritative error says that nothing before this state is there any more.
    pub(crate) last_word: Option<u32>,
}

/// What a load comes to by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Value,
    Error,
    Panic,
    LastWord,
}

impl Loads {
    /// Those of this key on this node that ran at this moment or later.
    pub(crate) fn since(&self, by: Life, key: usize, since: Duration) -> Vec<Load> {
        let is_it = |load: &&Load| {
            let is_late = load.ended.is_none_or(|ended| ended >= since);
            load.wait.by == by && load.key == key && is_late
        };
        self.all().iter().filter(is_it).copied().collect()
    }

    /// Something was loaded on this node at this moment or later.
    pub(crate) fn has_run(&self, by: Life, since: Duration) -> bool {
        let all = self.all();
        let mut own = all.iter().filter(|load| load.wait.by == by);
        own.any(|load| load.ended.is_none_or(|ended| ended >= since))
    }

    /// How many loaders run on this node.
    pub(crate) fn running(&self, by: Life) -> usize {
        let all = self.all();
        let running = all.iter().filter(|load| load.ended.is_none());
        running.filter(|load| load.wait.by == by).count()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Load>> {
        self.0.lock().unwrap()
    }
}

impl World {
    /// What ran while somebody read this key, or had ended a moment before: its news was on the way.
    pub(crate) fn loads_during(&self, reading: &Reading, key: usize) -> Vec<Load> {
        let since = reading.wait.begun.saturating_sub(self.profile.news());
        self.loads.since(reading.wait.by, key, since)
    }

    /// A load that lasts for too long is given up.
    pub(crate) fn judge_loads(&self) {
        let deadlines = &self.profile.settings.deadlines;
        if !deadlines.aborts {
            return;
        }
        let limit = deadlines.abandon + Duration::from_millis(1);
        let all = self.loads.all();
        let running = all.iter().filter(|load| load.ended.is_none());
        for load in running {
            if self.waited(&load.wait) > limit {
                let what = format!("abandon: it still runs: {load:?}");
                self.journal.violate(what);
            }
        }
    }
}

/// A loader, for as long as it runs, with a load for each of its keys.
pub(crate) struct Running {
    world: Arc<World>,
    places: Range<usize>,
}

impl Running {
    pub(crate) fn begin(world: &Arc<World>, loads: impl Iterator<Item = Load>) -> Self {
        let mut all = world.loads.all();
        let first = all.len();
        all.extend(loads);
        Self {
            world: Arc::clone(world),
            places: first..all.len(),
        }
    }

    /// It takes so much longer.
    pub(crate) fn last_longer(&self, by: Duration) {
        self.change(|load| load.takes += by);
    }

    pub(crate) fn end_in(&self, end: End) {
        self.change(|load| load.end = end);
    }

    pub(crate) fn say_for_good(&self, key: usize, version: u32) {
        self.change(|load| {
            if load.key == key {
                load.last_word = Some(version);
            }
        });
    }

    fn change(&self, change: impl FnMut(&mut Load)) {
        let mut all = self.world.loads.all();
        all[self.places.clone()].iter_mut().for_each(change);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let now = self.world.now();
        self.change(|load| load.ended = Some(now));
    }
}
