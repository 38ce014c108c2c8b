use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tiered_core::{Entry, Key, Usage};

use crate::answer::Source;
use crate::cache::Cache;
use crate::rejection::Rejection;

/// What a cache has done since it was built, and how full its L1 is.
///
/// Reads are counted key by key, each exactly once: `l1_hits + l2_hits + misses + coalesced` is the number of keys that
/// `get`, `get_or_load` and their batch forms were asked for, a key that occurs twice in a batch counting once.
/// `stale_hits` are among all of these.
/// `contains`, `refresh` and writes are not reads.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use tiered::{Cache, Moka};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// names.get("42").await;
/// assert_eq!(names.stats().misses, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Reads answered by L1.
    pub l1_hits: u64,
    /// Reads answered by L2.
    pub l2_hits: u64,
    /// Reads that no tier could answer: a `get` got nothing, or a load answered, or failed.
    pub misses: u64,
    /// Reads that waited for a flight that another caller had begun.
    pub coalesced: u64,
    /// How many of the hits, in either tier, said that there is no value.
    pub negative_hits: u64,
    /// Keys loaded, with or without success.
    pub loads: u64,
    /// How many of the loads ended in an error or a panic.
    pub load_errors: u64,
    /// How many of the loads were not stored because a write, a removal or another load of the key came before their
    /// end. Their result went to those who waited.
    pub loads_refused: u64,
    /// Loads made without the right to fill L2, because L2 did not answer or another node took too long: their result was
    /// kept in L1 only, and not for long.
    pub loads_unfenced: u64,
    /// Loads that waited for another node's, each counted once.
    pub waits: u64,
    /// Loads that were not begun because there was no room for one more.
    pub loads_turned_away: u64,
    /// How many of the load errors were loads that took too long and were given up.
    pub loads_abandoned: u64,
    /// Refreshes begun by reads of values that were still fresh.
    pub early_refreshes: u64,
    /// Reads answered with a value that is no longer fresh, because nothing newer could be had in time.
    pub stale_hits: u64,
    /// Copies in L1 that were in doubt and that L2 has confirmed. They count as answered by L2.
    pub confirmed: u64,
    /// Copies in L1 that were in doubt and were used unconfirmed, because L2 did not answer. They count as answered by L1.
    pub blind_hits: u64,
    /// This node hears itself over the backplane, or has none: what it holds is trusted without asking L2.
    pub hears_itself: bool,
    /// How often this node may have missed a message, and began to doubt all that it held.
    pub doubts: u64,
    /// Messages of other nodes that were heard.
    pub messages_heard: u64,
    /// Messages that could not be sent. The others notice that one is missing.
    pub messages_lost: u64,
    /// Writes and invalidations that L2 has not confirmed and that are still to be repeated.
    pub unconfirmed: u64,
    /// Keys for which L2 failed or did not answer in time, in reads and in writes.
    pub l2_errors: u64,
    /// Values that could not go to L2: not encodable, or too large.
    pub unstorable: u64,
    /// Bytes of values written to L2, before compression.
    pub l2_raw_bytes: u64,
    /// Bytes of records written to L2, as stored.
    pub l2_stored_bytes: u64,
    /// Entries in L1, those whose life is over included.
    pub l1_entries: u64,
    /// The weight of the entries in L1, in bytes; 0 where L1 is bounded by entries.
    pub l1_weight: u64,
    rejected: [u64; Rejection::ALL.len()],
}

impl Stats {
    /// How many records from L2 were not believed, for this reason.
    pub fn rejected(&self, reason: Rejection) -> u64 {
        self.rejected
            .get(reason as usize)
            .copied()
            .unwrap_or_default()
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Cache<V, K> {
    /// What the cache has done since it was built, and how full L1 is. Costs some microseconds.
    pub fn stats(&self) -> Stats {
        let unconfirmed = self.shared.doubts.count();
        let hears_itself = self.shared.near.trust.is_heard(self.shared.now());
        self.shared
            .counters
            .snapshot(self.shared.near.usage(), unconfirmed, hears_itself)
    }

    /// How many keys are being loaded, or are about to be.
    pub fn loads_in_flight(&self) -> usize {
        self.shared.near.flights()
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    L1Hits,
    L2Hits,
    Misses,
    Coalesced,
    NegativeHits,
    Loads,
    LoadErrors,
    LoadsRefused,
    LoadsUnfenced,
    LoadsTurnedAway,
    LoadsAbandoned,
    EarlyRefreshes,
    Waits,
    StaleHits,
    Confirmed,
    BlindHits,
    Doubts,
    MessagesHeard,
    MessagesLost,
    L2Errors,
    Unstorable,
    L2RawBytes,
    L2StoredBytes,
    /// The first of as many as there are reasons.
    Rejected,
}

const COUNTS: usize = Count::Rejected as usize + Rejection::ALL.len();
/// The first threads of the process have a shard each; the last one is for all others.
const SHARDS: usize = 32;

/// Counters in so many copies that threads rarely write to the same memory. A thread that has a shard to itself adds
/// without an atomic operation on the bus, which would cost a hit in L1 some 5 ns of its 130.
pub(crate) struct Counters([Shard; SHARDS]);

#[repr(align(128))]
struct Shard([AtomicU64; COUNTS]);

impl Counters {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| {
            Shard(std::array::from_fn(|_| AtomicU64::new(0)))
        }))
    }

    #[inline]
    pub(crate) fn add(&self, count: Count, number: u64) {
        self.at(count as usize, number);
    }

    pub(crate) fn add_rejected(&self, reason: Rejection) {
        self.at(Count::Rejected as usize + reason as usize, 1);
    }

    /// A read was answered by a tier.
    #[inline]
    pub(crate) fn add_hit<V>(&self, tier: Source, entry: &Entry<V>) {
        self.add(
            if tier == Source::L1 {
                Count::L1Hits
            } else {
                Count::L2Hits
            },
            1,
        );
        if entry.value.is_none() {
            self.add(Count::NegativeHits, 1);
        }
    }

    pub(crate) fn snapshot(&self, l1: Usage, unconfirmed: usize, hears_itself: bool) -> Stats {
        let sum = |count: Count| self.sum(count as usize);
        Stats {
            l1_hits: sum(Count::L1Hits),
            l2_hits: sum(Count::L2Hits),
            misses: sum(Count::Misses),
            coalesced: sum(Count::Coalesced),
            negative_hits: sum(Count::NegativeHits),
            loads: sum(Count::Loads),
            load_errors: sum(Count::LoadErrors),
            loads_refused: sum(Count::LoadsRefused),
            loads_unfenced: sum(Count::LoadsUnfenced),
            loads_turned_away: sum(Count::LoadsTurnedAway),
            loads_abandoned: sum(Count::LoadsAbandoned),
            early_refreshes: sum(Count::EarlyRefreshes),
            waits: sum(Count::Waits),
            stale_hits: sum(Count::StaleHits),
            confirmed: sum(Count::Confirmed),
            blind_hits: sum(Count::BlindHits),
            doubts: sum(Count::Doubts),
            messages_heard: sum(Count::MessagesHeard),
            messages_lost: sum(Count::MessagesLost),
            unconfirmed: unconfirmed as u64,
            hears_itself,
            l2_errors: sum(Count::L2Errors),
            unstorable: sum(Count::Unstorable),
            l2_raw_bytes: sum(Count::L2RawBytes),
            l2_stored_bytes: sum(Count::L2StoredBytes),
            l1_entries: l1.entries,
            l1_weight: l1.weight,
            rejected: std::array::from_fn(|reason| self.sum(Count::Rejected as usize + reason)),
        }
    }

    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "a shard's number is below `SHARDS`, a counter's below `COUNTS`"
    )]
    fn at(&self, counter: usize, number: u64) {
        let shard = shard();
        let counter = &self.0[shard].0[counter];
        if shard == SHARDS - 1 {
            counter.fetch_add(number, Ordering::Relaxed);
        } else {
            // Nobody else writes it.
            let before = counter.load(Ordering::Relaxed);
            counter.store(before.wrapping_add(number), Ordering::Relaxed);
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a counter's number is below `COUNTS`"
    )]
    fn sum(&self, counter: usize) -> u64 {
        self.0
            .iter()
            .map(|shard| shard.0[counter].load(Ordering::Relaxed))
            .sum()
    }
}

/// The shard of this thread.
#[inline]
fn shard() -> usize {
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    match SHARD.get() {
        usize::MAX => {
            SHARD.set(next_shard());
            SHARD.get()
        }
        shard => shard,
    }
}

#[cold]
fn next_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = |next: usize| (next < SHARDS - 1).then_some(next + 1);
    let taken = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    taken.unwrap_or(SHARDS - 1)
}
