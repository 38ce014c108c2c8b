use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tiered_core::{
    Backplane, Claim, Claimed, Clock, Error, ErrorKind, Expiry, Fill, Hold, L2, NewMark, Record,
    Result, Stamp, Tick, Version, Write,
};

use crate::loopback::Loopback;
use crate::stock::{Kept, Stock, Verdict, whole_millis};

/// An L2 in the memory of the process, for programs without a server, for tests and for quick starts.
///
/// A handle: clones share one store. It is shared by nobody outside the process and ends with it; caches that are
/// given the same one share their second tier, and hear of each other's changes.
///
/// The bound counts the bytes of keys and records, not what the maps around them take.
/// Where room is needed, records whose life has ended go first, then those whose life ends next, as with Redis'
/// `volatile-ttl`; a record that is larger than the whole bound is refused as
/// [`Unstorable`](ErrorKind::Unstorable), and what was under its key stays. Ended records are never answered; each
/// write reclaims them, there is no background task.
///
/// Marks of tags and namespaces are not counted; there are at most 65,536 of them.
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
    backplane: Loopback,
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
        Self(Arc::new(Shared {
            limit,
            clock,
            stock: Mutex::default(),
            backplane: Loopback::new(),
        }))
    }

    fn set(&self, stock: &mut Stock, write: &Write<'_>, now: Tick) -> Result<()> {
        let bytes = write.key.len() + write.record.bytes().len();
        if bytes > self.0.limit {
            return Err(Error::new(
                ErrorKind::Unstorable,
                "the record is larger than the store",
            ));
        }
        stock.remove(write.key);
        stock.reclaim(now);
        stock.make_room(self.0.limit - bytes);
        let record = own(&write.record);
        stock.insert(write.key, Kept::new(record, now, write.life));
        Ok(())
    }

    /// What is done with each item under one lock, at one moment.
    fn each<I, T>(&self, items: &[I], mut act: impl FnMut(&mut Stock, &I, Tick) -> T) -> Vec<T> {
        let mut stock = self.stock();
        let now = self.0.clock.now();
        items
            .iter()
            .map(|item| act(&mut stock, item, now))
            .collect()
    }

    fn claim(&self, stock: &mut Stock, claim: &Claim<'_>, now: Tick) -> Result<Claimed> {
        let verdict = stock.claim(claim, now);
        match verdict {
            Verdict::Is(claimed) => return Ok(claimed),
            Verdict::Lives => stock.prolong(claim.key, now.plus(whole_millis(claim.life))),
            Verdict::Replace => {
                let record = Record::claim(claim.token, claim.mark);
                let (key, life) = (claim.key, claim.life);
                self.set(stock, &Write { key, record, life }, now)?;
            }
        }
        let held = stock.get(claim.key, now).map(Record::version);
        Ok(Claimed::Granted(held.unwrap_or(claim.token)))
    }

    fn fill(&self, stock: &mut Stock, fill: &Fill<'_>, now: Tick) -> Result<bool> {
        let Some(kept) = stock.kept(fill.hold.key, now) else {
            return Ok(false);
        };
        kept.release(&fill.hold, None);
        let version = kept.record.version();
        if version == fill.record.version() {
            return Ok(true);
        }
        if version != fill.hold.held {
            return Ok(false);
        }
        let (key, record, life) = (fill.hold.key, fill.record.clone(), fill.life);
        self.set(stock, &Write { key, record, life }, now)?;
        Ok(true)
    }

    fn release(
        &self,
        stock: &mut Stock,
        hold: &Hold<'_>,
        now: Tick,
        pass: Option<Duration>,
    ) -> Result<()> {
        let key = hold.key;
        let Some(kept) = stock.kept(key, now) else {
            return Ok(());
        };
        let mark = kept.record.mark();
        let own = mark.filter(|_| kept.record.version() == hold.token);
        let Some(mark) = own else {
            kept.release(hold, pass.map(|life| now.plus(whole_millis(life))));
            return Ok(());
        };
        stock.remove(key);
        let Some(life) = pass else { return Ok(()) };
        let record = Record::pass(hold.token, mark);
        self.set(stock, &Write { key, record, life }, now)
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.0.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl L2 for Embedded {
    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.each(keys, |stock, key, now| Ok(stock.get(key, now).cloned()))
    }

    async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.each(keys, |stock, key, now| Ok(stock.get(key, now).map(head)))
    }

    async fn set_many(&self, writes: &[Write<'_>]) -> Vec<Result<()>> {
        self.each(writes, |stock, write, now| self.set(stock, write, now))
    }

    async fn remove_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.each(keys, |stock, key, now| {
            let kept = stock.remove(key).filter(|kept| now < kept.end);
            Ok(kept.map(|kept| head(&kept.record)))
        })
    }

    async fn expire_many(&self, expiries: &[Expiry<'_>]) -> Vec<Result<Option<Record>>> {
        self.each(expiries, |stock, expiry, now| {
            let Some(kept) = stock.kept(expiry.key, now) else {
                return Ok(None);
            };
            let before = head(&kept.record);
            match kept.record.expired(expiry.version) {
                Some(record) => kept.record = record,
                None => drop(stock.remove(expiry.key)),
            }
            Ok(Some(before))
        })
    }

    async fn claim_many(&self, claims: &[Claim<'_>]) -> Vec<Result<Claimed>> {
        self.each(claims, |stock, claim, now| self.claim(stock, claim, now))
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Vec<Result<bool>> {
        self.each(fills, |stock, fill, now| self.fill(stock, fill, now))
    }

    async fn renew_many(&self, holds: &[Hold<'_>], life: Duration) -> Vec<Result<bool>> {
        self.each(holds, |stock, hold, now| {
            let until = now.plus(whole_millis(life));
            let kept = stock.kept(hold.key, now);
            let stands = kept.is_some_and(|kept| kept.renew(hold, now, until));
            if stands {
                stock.prolong(hold.key, until);
            }
            Ok(stands)
        })
    }

    async fn release_many(&self, holds: &[Hold<'_>], pass: Option<Duration>) -> Vec<Result<()>> {
        self.each(holds, |stock, hold, now| {
            self.release(stock, hold, now, pass)
        })
    }

    async fn read_marks(&self, marks: &[NewMark<'_>]) -> Result<Vec<Version>> {
        Ok(self.each(marks, |stock, mark, now| stock.marks.read(mark, now)))
    }

    async fn write_marks(&self, marks: &[NewMark<'_>]) -> Result<()> {
        self.each(marks, |stock, mark, now| stock.marks.write(mark, now));
        Ok(())
    }

    async fn time(&self) -> Result<Stamp> {
        Ok(self.0.clock.wall())
    }

    fn backplane(&self) -> Option<Arc<dyn Backplane>> {
        Some(Arc::new(self.0.backplane.clone()))
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

/// A copy of its own: the record may be a slice of a much larger buffer, which it would hold whole.
fn own(record: &Record) -> Record {
    Record::new(record.bytes().to_vec())
}

/// A copy, so that a head that is kept does not hold the payload.
fn head(record: &Record) -> Record {
    own(&record.head())
}
