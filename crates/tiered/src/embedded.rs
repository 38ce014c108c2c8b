use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tiered_core::{Clock, Error, ErrorKind, L2, Record, Result, Tick, Write};

/// An L2 in the memory of the process, for programs without a server, for tests and for quick starts.
///
/// A handle: clones share one store. It is shared by nobody outside the process and ends with it; caches that are
/// given the same one share their second tier.
///
/// The bound counts the bytes of keys and records, not what the maps around them take.
/// Where room is needed, records whose life has ended go first, then those whose life ends next, as with Redis'
/// `volatile-ttl`; a record that is larger than the whole bound is refused as
/// [`Unstorable`](ErrorKind::Unstorable), and what was under its key stays. Ended records are never answered; each
/// write reclaims them, there is no background task.
///
/// With n records, a read costs O(1), a write or a removal O(log n), and each record that makes room O(log n) once.
///
/// ```
/// use std::time::Duration;
/// use tiered::{Embedded, L2, Record, Result, Write};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let l2 = Embedded::bounded(64 << 20);
/// let record = Record::new(b"whatever".as_slice());
/// let write = Write { key: "users:7", record: record.clone(), life: Duration::from_secs(60) };
/// l2.set_many(&[write]).await.remove(0)?;
/// assert_eq!(l2.get_many(&["users:7"]).await.remove(0)?, Some(record));
/// assert_eq!(l2.bytes(), 15);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Embedded(Arc<Shared>);

struct Shared {
    limit: usize,
    clock: Clock,
    stock: Mutex<Stock>,
}

impl Embedded {
    /// A store of at most 256 MiB.
    pub fn new() -> Self {
        Self::bounded(256 << 20)
    }

    /// A store whose keys and records take at most `bytes`.
    pub fn bounded(bytes: usize) -> Self {
        Self::with(bytes, Clock::system())
    }

    /// An empty store of the same bound whose lives run on `clock`.
    #[must_use]
    pub fn with_clock(self, clock: impl Into<Clock>) -> Self {
        Self::with(self.0.limit, clock.into())
    }

    /// How many records it holds, those included whose life has ended and whose room is not yet reclaimed.
    pub fn len(&self) -> usize {
        self.stock().records.len()
    }

    /// Holds no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes its keys and records take; never more than the bound.
    pub fn bytes(&self) -> usize {
        self.stock().bytes
    }

    fn with(limit: usize, clock: Clock) -> Self {
        let stock = Mutex::default();
        Self(Arc::new(Shared {
            limit,
            clock,
            stock,
        }))
    }

    fn set(&self, write: &Write<'_>) -> Result<()> {
        let bytes = write.key.len() + write.record.bytes().len();
        if bytes > self.0.limit {
            return Err(Error::new(
                ErrorKind::Unstorable,
                "the record is larger than the store",
            ));
        }
        let now = self.0.clock.now();
        let kept = Kept {
            record: own(&write.record),
            end: now.plus(whole_millis(write.life)),
        };
        let mut stock = self.stock();
        stock.remove(write.key);
        stock.reclaim(now);
        stock.make_room(self.0.limit - bytes);
        stock.insert(write.key, kept);
        Ok(())
    }

    /// What is done with each key under one lock, at one moment.
    fn each<T>(
        &self,
        keys: &[&str],
        mut ask: impl FnMut(&mut Stock, &str, Tick) -> T,
    ) -> Vec<Result<T>> {
        let mut stock = self.stock();
        let now = self.0.clock.now();
        keys.iter()
            .map(|key| Ok(ask(&mut stock, key, now)))
            .collect()
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.0.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl L2 for Embedded {
    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.each(keys, |stock, key, now| stock.get(key, now).cloned())
    }

    async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.each(keys, |stock, key, now| stock.get(key, now).map(head))
    }

    async fn set_many(&self, writes: &[Write<'_>]) -> Vec<Result<()>> {
        writes.iter().map(|write| self.set(write)).collect()
    }

    async fn remove_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.each(keys, |stock, key, now| {
            let kept = stock.remove(key)?;
            (now < kept.end).then(|| head(&kept.record))
        })
    }
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("limit", &self.0.limit)
            .finish_non_exhaustive()
    }
}

/// Each record is in both indexes; `bytes` is the sum over them.
#[derive(Default)]
struct Stock {
    records: HashMap<Arc<str>, Kept>,
    ends: BTreeSet<(Tick, Arc<str>)>,
    bytes: usize,
}

struct Kept {
    record: Record,
    end: Tick,
}

impl Stock {
    fn get(&self, key: &str, now: Tick) -> Option<&Record> {
        let kept = self.records.get(key)?;
        (now < kept.end).then_some(&kept.record)
    }

    /// Expects that nothing is under this key.
    fn insert(&mut self, key: &str, kept: Kept) {
        let key: Arc<str> = key.into();
        self.bytes += key.len() + kept.record.bytes().len();
        self.ends.insert((kept.end, key.clone()));
        self.records.insert(key, kept);
    }

    fn remove(&mut self, key: &str) -> Option<Kept> {
        let (key, kept) = self.records.remove_entry(key)?;
        self.bytes -= key.len() + kept.record.bytes().len();
        self.ends.remove(&(kept.end, key));
        Some(kept)
    }

    /// Takes out what has ended.
    fn reclaim(&mut self, now: Tick) {
        while let Some(key) = self.next_to_end(|end| end <= now) {
            self.remove(&key);
        }
    }

    /// Takes out what ends next, until at most `bytes` are left.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes > bytes
            && let Some(key) = self.next_to_end(|_| true)
        {
            self.remove(&key);
        }
    }

    fn next_to_end(&self, may: impl Fn(Tick) -> bool) -> Option<Arc<str>> {
        let (end, key) = self.ends.first()?;
        may(*end).then(|| key.clone())
    }
}

/// A copy of its own: the record may be a slice of a much larger buffer, which it would hold whole.
fn own(record: &Record) -> Record {
    Record::new(record.bytes().to_vec())
}

/// A copy, so that a head that is kept does not hold the payload.
fn head(record: &Record) -> Record {
    own(&record.head())
}

fn whole_millis(life: Duration) -> Duration {
    let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.max(1))
}
