//! L1 of the two-tier cache [`tiered`](https://docs.rs/tiered) on [moka](https://docs.rs/moka).

use std::fmt;

use moka::sync::Cache;
use tiered_core::{Bound, Entry, Key, L1, Usage};

/// An L1 on [moka](https://docs.rs/moka), bounded by entries or by bytes, with its TinyLFU admission: what is read
/// often stays, a scan does not flush it.
///
/// An entry whose life is over keeps its room until the cache meets it on a read, replaces it, or moka evicts it;
/// the bound holds throughout.
///
/// ```
/// use tiered_core::{Bound, L1};
/// use tiered_moka::Moka;
///
/// let l1: Moka<String, str> = Moka::entries(10_000);
/// assert_eq!(l1.bound(), Bound::Entries(10_000));
/// let l1: Moka<String, str> = Moka::bytes(64 << 20);
/// assert_eq!(l1.bound(), Bound::Bytes(64 << 20));
/// ```
pub struct Moka<V, K: Key + ?Sized> {
    entries: Cache<K::Owned, Entry<V>>,
    bound: Bound,
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Moka<V, K> {
    /// At most `limit` entries.
    pub fn entries(limit: u64) -> Self {
        let entries = Cache::builder().max_capacity(limit).build();
        Self {
            entries,
            bound: Bound::Entries(limit),
        }
    }

    /// At most `limit` bytes, by the weights that the cache gives its entries.
    pub fn bytes(limit: u64) -> Self {
        let weigh = |_: &K::Owned, entry: &Entry<V>| entry.weight;
        let entries = Cache::builder().max_capacity(limit).weigher(weigh).build();
        Self {
            entries,
            bound: Bound::Bytes(limit),
        }
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> L1<V, K> for Moka<V, K> {
    #[inline]
    fn get(&self, key: &K) -> Option<Entry<V>> {
        self.entries.get(key)
    }

    fn insert(&self, key: K::Owned, entry: Entry<V>) {
        self.entries.insert(key, entry);
    }

    fn remove(&self, key: &K) -> Option<Entry<V>> {
        self.entries.remove(key)
    }

    fn bound(&self) -> Bound {
        self.bound
    }

    fn usage(&self) -> Usage {
        self.entries.run_pending_tasks();
        let weight = match self.bound {
            Bound::Entries(_) => 0,
            Bound::Bytes(_) => self.entries.weighted_size(),
        };
        Usage {
            entries: self.entries.entry_count(),
            weight,
        }
    }
}

impl<V, K: Key + ?Sized> fmt::Debug for Moka<V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moka")
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}
