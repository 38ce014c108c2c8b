use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tiered::{Bound, Entry, Key, L1, Usage};

use super::spy::Log;

/// An L1 that never forgets, and that writes down what is done with it.
pub(crate) struct Plain<V, K: Key + ?Sized> {
    entries: Arc<Mutex<HashMap<K::Owned, Entry<V>>>>,
    log: Log,
    blinks: Arc<AtomicBool>,
}

impl<V, K: Key + ?Sized> Plain<V, K> {
    pub(crate) fn new() -> Self {
        Self::with_log(Log::default())
    }

    pub(crate) fn with_log(log: Log) -> Self {
        Self {
            entries: Arc::default(),
            log,
            blinks: Arc::default(),
        }
    }

    /// Lets the next look find nothing, as if the entry had come in just after it.
    pub(crate) fn blink(&self) {
        self.blinks.store(true, Ordering::SeqCst);
    }
}

impl<V, K: Key + ?Sized> Clone for Plain<V, K> {
    fn clone(&self) -> Self {
        Self {
            entries: Arc::clone(&self.entries),
            log: self.log.clone(),
            blinks: Arc::clone(&self.blinks),
        }
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> L1<V, K> for Plain<V, K> {
    fn get(&self, key: &K) -> Option<Entry<V>> {
        if self.blinks.swap(false, Ordering::SeqCst) {
            return None;
        }
        self.entries.lock().unwrap().get(key).cloned()
    }

    fn insert(&self, key: K::Owned, entry: Entry<V>) {
        self.log.note("l1 insert");
        self.entries.lock().unwrap().insert(key, entry);
    }

    fn remove(&self, key: &K) -> Option<Entry<V>> {
        self.log.note("l1 remove");
        self.entries.lock().unwrap().remove(key)
    }

    fn bound(&self) -> Bound {
        Bound::Entries(u64::MAX)
    }

    fn usage(&self) -> Usage {
        let entries = self.entries.lock().unwrap().len() as u64;
        Usage { entries, weight: 0 }
    }
}
