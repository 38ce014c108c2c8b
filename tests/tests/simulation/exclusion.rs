//! Who loads what, and whether somebody else may at this time.
//!
//! An invalidation ends the claims of the loads that run: after it a key may be loaded again at once. A load that was refused
//! leaves a pass, under which claims do not exclude each other for as long as somebody loads.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::world::World;

/// For how long a pass lasts by itself, with the news of it on its way.
const PASS: Duration = Duration::from_millis(600);

/// For how long after a disturbance the news of it may be on its way.
const NEWS: Duration = Duration::from_millis(50);

/// For how long a node may take to repeat a write, where nothing goes wrong.
const REPEAT: Duration = Duration::from_secs(1);

pub(crate) struct Exclusion(Mutex<Vec<Key>>);

#[derive(Clone, Default)]
struct Key {
    loads: Vec<Load>,
    /// How many disturbances go on.
    disturbing: u64,
    /// How often one has begun or ended.
    disturbed: u64,
    /// When the news of the last one has spread.
    quiet_from: Duration,
    pass_until: Duration,
}

/// A load that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Load {
    begun: Duration,
    /// What was disturbed before it.
    disturbed: u64,
    /// Nobody else may load the key while it runs undisturbed.
    is_exclusive: bool,
}

impl Exclusion {
    pub(crate) fn new(keys: usize) -> Self {
        Self(Mutex::new(vec![Key::default(); keys]))
    }

    /// What L2 holds under this key is not known to a node, which loads past it until it has repeated its write.
    pub(crate) fn distrust(&self, key: usize, now: Duration) {
        let key = &mut self.keys()[key];
        key.disturbed += 1;
        key.quiet_from = now + REPEAT;
    }

    /// How many loads run.
    pub(crate) fn loads(&self) -> usize {
        self.keys().iter().map(|key| key.loads.len()).sum()
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Key>> {
        self.0.lock().unwrap()
    }
}

impl Key {
    fn load(&self, now: Duration) -> Load {
        let is_quiet = self.disturbing == 0 && self.quiet_from <= now;
        Load {
            begun: now,
            disturbed: self.disturbed,
            is_exclusive: is_quiet && self.pass_until <= now,
        }
    }

    fn is_excluded(&self, load: &Load) -> bool {
        let excludes = |other: &Load| other.is_exclusive && other.disturbed == load.disturbed;
        load.is_exclusive && self.loads.iter().any(excludes)
    }

    fn end(&mut self, load: Load, now: Duration) {
        let place = self.loads.iter().position(|other| *other == load);
        self.loads.remove(place.unwrap());
        if !load.is_exclusive || self.disturbing > 0 || self.disturbed != load.disturbed {
            self.pass_until = now + PASS;
        }
    }
}

/// A load, for as long as it runs.
pub(crate) struct Loading {
    world: Arc<World>,
    key: usize,
    load: Load,
}

impl Loading {
    /// A load begins. That another one runs is a violation in a world where nothing goes wrong.
    pub(crate) fn begin(world: &Arc<World>, key: usize) -> Self {
        let mut keys = world.exclusion.keys();
        let load = keys[key].load(world.now());
        let is_excluded = keys[key].is_excluded(&load);
        keys[key].loads.push(load);
        drop(keys);
        if is_excluded && world.profile.is_exclusive() {
            let what = format!("one load per key: k{key} is loaded twice at a time");
            world.journal.violate(what);
        }
        let world = Arc::clone(world);
        Self { world, key, load }
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        let now = self.world.now();
        self.world.exclusion.keys()[self.key].end(self.load, now);
    }
}

/// Something that ends the loads of these keys, for as long as it goes on.
pub(crate) struct Disturbance {
    world: Arc<World>,
    keys: Vec<usize>,
}

impl Disturbance {
    pub(crate) fn of(world: &Arc<World>, keys: &[usize]) -> Self {
        for key in keys {
            let key = &mut world.exclusion.keys()[*key];
            key.disturbing += 1;
            key.disturbed += 1;
        }
        Self {
            world: Arc::clone(world),
            keys: keys.to_vec(),
        }
    }
}

impl Drop for Disturbance {
    fn drop(&mut self) {
        let now = self.world.now();
        for key in &self.keys {
            let key = &mut self.world.exclusion.keys()[*key];
            key.disturbing -= 1;
            key.disturbed += 1;
            key.quiet_from = key.quiet_from.max(now + NEWS);
        }
    }
}
