use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tiered::{Bound, Entry, L1, Usage};

use crate::datum::Datum;
use crate::dice::Dice;

/// A first tier that forgets now and then. A handle.
#[derive(Clone)]
pub(crate) struct Shelf {
    dice: Dice,
    forgets: u64,
    entries: Arc<Mutex<BTreeMap<String, Entry<Datum>>>>,
}

impl Shelf {
    pub(crate) fn new(dice: Dice, forgets: u64) -> Self {
        let entries = Arc::default();
        Self {
            dice,
            forgets,
            entries,
        }
    }

    pub(crate) fn forget_all(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry<Datum>>> {
        self.entries.lock().unwrap()
    }
}

impl L1<Datum, str> for Shelf {
    fn get(&self, key: &str) -> Option<Entry<Datum>> {
        self.entries().get(key).cloned()
    }

    fn insert(&self, key: String, entry: Entry<Datum>) {
        let mut entries = self.entries();
        if self.dice.permille(self.forgets) {
            entries.remove(&key);
        } else {
            entries.insert(key, entry);
        }
    }

    fn remove(&self, key: &str) -> Option<Entry<Datum>> {
        self.entries().remove(key)
    }

    fn bound(&self) -> Bound {
        Bound::Entries(1_000)
    }

    fn usage(&self) -> Usage {
        let entries = self.entries().len() as u64;
        Usage { entries, weight: 0 }
    }
}
