//! What L2 has not confirmed: writes and invalidations that failed or were not answered in time.
//!
//! What became of them is not known, so each is repeated as a removal, which is right in either case: a `set` that is
//! repeated could overwrite what somebody has set since. Until then this node neither reads nor claims the key in L2, for what
//! is there may be older than what it has promised.
//!
//! There is room for so many keys, and so many bytes of them. One more, and the whole namespace is in doubt: it will be
//! cleared.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tiered_core::Key;

use crate::marks::Which;
use crate::seeded::Seeded;

/// How many keys may be in doubt.
const MOST_KEYS: usize = 10_000;

/// How long all of them may be together, as text.
const MOST_BYTES: usize = 16 << 20;

pub(crate) struct Doubts<K: Key + ?Sized> {
    /// So many of each are in doubt; most of the time none.
    count: AtomicUsize,
    open: Mutex<Open<K>>,
}

struct Open<K: Key + ?Sized> {
    /// With the number of the last time that it came into doubt.
    keys: HashMap<K::Owned, u64, Seeded>,
    bytes: usize,
    marks: BTreeSet<(Which, u64)>,
    times: u64,
}

/// What is to be repeated. A doubt that came up again meanwhile stays.
pub(crate) struct Due<K: Key + ?Sized> {
    pub(crate) keys: Vec<(K::Owned, u64)>,
    pub(crate) marks: Vec<(Which, u64)>,
}

impl<K: Key + ?Sized> Doubts<K> {
    pub(crate) fn new(seeded: Seeded) -> Self {
        Self {
            count: AtomicUsize::new(0),
            open: Mutex::new(Open {
                keys: HashMap::with_hasher(seeded),
                bytes: 0,
                marks: BTreeSet::new(),
                times: 0,
            }),
        }
    }

    /// What L2 holds under this key is in doubt.
    pub(crate) fn has(&self, key: &K) -> bool {
        self.count() > 0 && {
            let open = self.open();
            open.keys.contains_key(key) || open.has_mark(&Which::Space)
        }
    }

    /// What L2 holds as this mark is in doubt.
    pub(crate) fn has_mark(&self, which: &Which) -> bool {
        self.count() > 0 && self.open().has_mark(which)
    }

    /// How much is in doubt.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, key: &K) {
        let bytes = length(key);
        let mut open = self.open();
        let is_new = !open.keys.contains_key(key);
        if is_new && (open.keys.len() >= MOST_KEYS || open.bytes + bytes > MOST_BYTES) {
            open.keys.clear();
            open.bytes = 0;
            return self.put_mark(open, Which::Space);
        }
        open.bytes += if is_new { bytes } else { 0 };
        let time = open.time();
        open.keys.insert(key.to_owned(), time);
        self.recount(&open);
    }

    pub(crate) fn add_mark(&self, which: Which) {
        self.put_mark(self.open(), which);
    }

    /// What is to be repeated now: marks, and so many keys at most, those first that have not been tried for longest.
    pub(crate) fn due(&self, most: usize) -> Due<K> {
        let open = self.open();
        let mut keys: Vec<_> = open
            .keys
            .iter()
            .map(|(key, time)| (key.clone(), *time))
            .collect();
        keys.sort_by_key(|(_, time)| *time);
        keys.truncate(most);
        let marks = open.marks.iter().cloned().collect();
        Due { keys, marks }
    }

    /// This was repeated.
    pub(crate) fn settle(&self, key: &K, time: u64) {
        let mut open = self.open();
        if open.keys.get(key) == Some(&time) {
            open.keys.remove(key);
            open.bytes = open.bytes.saturating_sub(length(key));
        }
        self.recount(&open);
    }

    /// This could not be repeated: others go first now.
    pub(crate) fn put_off(&self, key: &K) {
        let mut open = self.open();
        let time = open.time();
        if let Some(open) = open.keys.get_mut(key) {
            *open = time;
        }
    }

    /// This was repeated.
    pub(crate) fn settle_mark(&self, mark: &(Which, u64)) {
        let mut open = self.open();
        open.marks.remove(mark);
        self.recount(&open);
    }

    fn put_mark(&self, mut open: MutexGuard<'_, Open<K>>, which: Which) {
        open.marks.retain(|(other, _)| *other != which);
        let time = open.time();
        open.marks.insert((which, time));
        self.recount(&open);
    }

    fn recount(&self, open: &Open<K>) {
        let count = open.keys.len() + open.marks.len();
        self.count.store(count, Ordering::Release);
    }

    fn open(&self) -> MutexGuard<'_, Open<K>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a key as text.
fn length<K: Key + ?Sized>(key: &K) -> usize {
    key.to_string().len()
}

impl<K: Key + ?Sized> Open<K> {
    fn time(&mut self) -> u64 {
        self.times += 1;
        self.times
    }

    fn has_mark(&self, which: &Which) -> bool {
        self.marks.iter().any(|(mark, _)| mark == which)
    }
}
