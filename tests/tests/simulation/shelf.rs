use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tiered::{Bound, Clock, Entry, L1, Tick, Usage};

use crate::datum::Datum;
use crate::dice::Dice;

/// A first tier that forgets now and then. A handle.
#[derive(Clone)]
pub(crate) struct Shelf {
    dice: Dice,
    forgets: u64,
    clock: Clock,
    entries: Arc<Mutex<BTreeMap<String, Place>>>,
}

/// A copy, and since when it is there.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) entry: Entry<Datum>,
    pub(crate) since: Tick,
}

impl Shelf {
    pub(crate) fn new(dice: Dice, forgets: u64, clock: Clock) -> Self {
        let entries = Arc::default();
        Self {
            dice,
            forgets,
            clock,
            entries,
        }
    }

    pub(crate) fn look(&self, key: &str) -> Option<Place> {
        self.entries().get(key).cloned()
    }

    pub(crate) fn forget_all(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.entries.lock().unwrap()
    }
}

impl L1<Datum, str> for Shelf {
    fn get(&self, key: &str) -> Option<Entry<Datum>> {
        self.look(key).map(|place| place.entry)
    }

    fn insert(&self, key: String, entry: Entry<Datum>) {
        let mut entries = self.entries();
        if self.dice.permille(self.forgets) {
            entries.remove(&key);
        } else {
            let since = self.clock.now();
            entries.insert(key, Place { entry, since });
        }
    }

    fn remove(&self, key: &str) -> Option<Entry<Datum>> {
        let place = self.entries().remove(key);
        place.map(|place| place.entry)
    }

    fn bound(&self) -> Bound {
        Bound::Entries(1_000)
    }

    fn usage(&self) -> Usage {
        let entries = self.entries().len() as u64;
        Usage { entries, weight: 0 }
    }
}
