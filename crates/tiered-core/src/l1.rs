use crate::{Entry, Key};

/// The first tier: memory in the process.
///
/// # Contract
///
/// - Every method returns at once: no waiting, no I/O. They are called from many threads, and `get` on every read.
/// - `get` answers with what `insert` last put under an equal key, or with nothing. It judges no age: an entry that
///   is no longer fresh is answered like any other.
/// - It may forget any entry at any time, and refuse one it is given; it is never the only copy.
/// - After `remove` has returned, no `get` that begins later answers with what was there before. An
///   `insert` that replaces is seen by every later `get`, or the key has nothing.
/// - Entries are replaced as a whole.
/// - `insert` is called under a lock of the cache's: a value's own `Drop`, which it may run, must not use the cache.
///
/// The function `testing::l1::contract` (feature `testing`) holds an implementation against this.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use tiered_core::{Bound, Entry, Key, L1, Usage};
///
/// struct Plain<V, K: Key + ?Sized>(Mutex<HashMap<K::Owned, Entry<V>>>);
///
/// impl<V: Send + Sync + 'static, K: Key + ?Sized> L1<V, K> for Plain<V, K> {
///     fn get(&self, key: &K) -> Option<Entry<V>> {
///         self.0.lock().unwrap().get(key).cloned()
///     }
///     fn insert(&self, key: K::Owned, entry: Entry<V>) {
///         self.0.lock().unwrap().insert(key, entry);
///     }
///     fn remove(&self, key: &K) -> Option<Entry<V>> {
///         self.0.lock().unwrap().remove(key)
///     }
///     fn bound(&self) -> Bound {
///         Bound::Entries(u64::MAX)
///     }
///     fn usage(&self) -> Usage {
///         Usage { entries: self.0.lock().unwrap().len() as u64, weight: 0 }
///     }
/// }
/// ```
pub trait L1<V, K: Key + ?Sized>: Send + Sync + 'static {
    /// The entry under `key`, if there is one.
    fn get(&self, key: &K) -> Option<Entry<V>>;

    /// Puts an entry under `key`, in place of the one there.
    fn insert(&self, key: K::Owned, entry: Entry<V>);

    /// Takes the entry under `key` out.
    fn remove(&self, key: &K) -> Option<Entry<V>>;

    /// What it is bounded by. Entries are weighed only for a tier that is bounded by bytes.
    fn bound(&self) -> Bound;

    /// How full it is; may lag behind.
    fn usage(&self) -> Usage;
}

/// The limit of an [`L1`].
///
/// ```
/// assert_ne!(tiered_core::Bound::Entries(1_000), tiered_core::Bound::Bytes(1_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At most so many entries.
    Entries(u64),
    /// At most so many bytes, by the entries' [`weight`](Entry::weight).
    Bytes(u64),
}

/// How full an [`L1`] is.
///
/// ```
/// assert_eq!(tiered_core::Usage::default().entries, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many entries it holds, those that are no longer fresh included.
    pub entries: u64,
    /// The sum of their weights in bytes; 0 where it is bounded by entries.
    pub weight: u64,
}
