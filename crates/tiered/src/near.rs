//! The near side of a cache: L1, and the rule by which anybody may change it.
//!
//! Whoever brings something into L1 has looked at the world earlier: it read L2, or asked the source, or wrote L2.
//! Between that look and the insert an invalidation may pass. So each operation takes note of where it began
//! (BEGIN), and what it brings goes in only if nothing has changed since (INSTALL); an invalidation takes the copy out
//! and lets everybody know (DROP). "Has changed" is a generation number per stripe of keys. Compare and insert are
//! one step under a lock, and an invalidation takes the same lock: with the comparison after the insert, an old value
//! would be seen for a moment, or stay for good. A hit takes no lock.
//!
//! The flights of a stripe's keys are behind the same lock, because an invalidation also detaches the running flight:
//! a caller who comes later must not be given what was loaded before. For what a flight brings, that is also the
//! sharper test: "has changed" is then "was detached", and a neighbour in the stripe disturbs nothing.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tiered_core::{Begun, Entry, Key, L1, Random, Tick, Usage, Version};
use tokio::sync::Notify;

use crate::answer::Source;
use crate::flight::{Flights, Seat};
use crate::landing::Landed;
use crate::seeded::Seeded;
use crate::shared::Shared;
use crate::trust::Trust;

/// How many generations: two operations on different keys disturb each other about once in so many cases.
const STRIPES: usize = 8192;

/// How many locks, each over the flights and the generations of `STRIPES / LOCKS` stripes.
const LOCKS: usize = 128;

pub(crate) struct Near<V, K: Key + ?Sized> {
    pub(crate) trust: Trust,
    l1: Option<Box<dyn L1<V, K>>>,
    seeded: Seeded,
    operations: AtomicU64,
    /// The operation that last changed a key of the stripe.
    generations: Box<[AtomicU64]>,
    flights: Box<[Mutex<Flights<V, K>>]>,
}

/// An operation on one key or more: its number, and when it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) operation: u64,
    pub(crate) at: Tick,
}

/// Where an operation stood when it began to look at a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    pub(crate) by: By,
    pub(crate) operation: u64,
    pub(crate) at: Begun,
    generation: u64,
}

/// What is to be done with the copy in a tier.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act<T> {
    Put(T),
    Take,
    Leave,
}

/// Whose operation it is: that decides how a change in between is noticed, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A read of L2 by a caller of its own: brings a copy of what is there, changes nothing.
    Read,
    /// A read of L2 by a flight.
    Look,
    /// A load: brings something new, unless something else came first.
    Load,
    /// A write that somebody asked for: after it, nothing older may be left.
    Write,
}

impl<V: 'static, K: Key + ?Sized> Near<V, K> {
    pub(crate) fn new(l1: Option<Box<dyn L1<V, K>>>, trust: Trust, random: &Random) -> Self {
        let seeded = Seeded::new(random);
        let flights = || Mutex::new(Flights::new(seeded));
        Self {
            trust,
            l1,
            seeded,
            operations: AtomicU64::new(1),
            generations: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            flights: (0..LOCKS).map(|_| flights()).collect(),
        }
    }

    /// The copy under `key`, if it is fresh at `now` and there is no doubt about it.
    #[inline]
    pub(crate) fn hit(&self, key: &K, now: Tick) -> Option<Entry<V>> {
        let found = self.l1.as_ref()?.get(key);
        // Passed on as it came: taking it apart would copy it.
        match &found {
            Some(entry) if entry.is_fresh(now) && self.trust.covers(entry, now) => found,
            Some(_) => self.bury(key, now),
            None => None,
        }
    }

    /// The copy under `key` that would be a hit if it were known that nobody has changed the key.
    pub(crate) fn doubtful(&self, key: &K, now: Tick) -> Option<Entry<V>> {
        self.outdated(key).filter(|copy| copy.is_fresh(now))
    }

    /// The copy under `key`, whatever its age.
    pub(crate) fn held(&self, key: &K) -> Option<Entry<V>> {
        self.l1.as_ref()?.get(key)
    }

    /// The copy under `key`, however old, unless the namespace was cleared since.
    pub(crate) fn outdated(&self, key: &K) -> Option<Entry<V>> {
        let copy = self.held(key)?;
        self.trust.is_of_this_era(&copy).then_some(copy)
    }

    /// The copy under `key` that is no longer fresh but may still serve where nothing better can be had. One that is in doubt
    /// may not: it may have been removed.
    pub(crate) fn fallback(&self, key: &K, now: Tick) -> Option<Entry<V>> {
        let copy = self.held(key)?;
        let is_old = !copy.is_fresh(now) && !copy.is_dead(now);
        (is_old && self.trust.covers(&copy, now)).then_some(copy)
    }

    /// The start of an operation. A batch has one for all its keys, so that its own changes do not count as somebody
    /// else's.
    pub(crate) fn start(&self, at: Tick) -> Start {
        Start {
            operation: self.operation(),
            at,
        }
    }

    /// BEGIN: to be called before L2, the source or the value to write is looked at.
    pub(crate) fn begin(&self, key: &K, by: By, from: Start) -> Begin {
        let generation = self.generation(self.stripe(key)).load(Ordering::Acquire);
        Begin {
            by,
            operation: from.operation,
            at: self.trust.begin(from.at),
            generation,
        }
    }

    /// INSTALL: does `act` if nothing has changed since `begin`, and says whether it did. A write that comes second
    /// takes the copy out instead: in which order two overlapping writes reached L2 is not known here.
    pub(crate) fn install(&self, key: &K, begin: &Begin, act: Act<Entry<V>>) -> bool {
        let stripe = self.stripe(key);
        let mut flights = self.lock(stripe);
        let is_current = match begin.by {
            By::Look | By::Load => flights.may_store(key, begin.operation),
            By::Read | By::Write => self.is_unmoved(stripe, begin),
        };
        let is_idle = matches!(act, Act::Leave);
        let act = match act {
            // A tag was removed since its mark was read. Later nobody could tell.
            Act::Put(entry) if !has_its_tags(&entry) => Act::Take,
            act => act,
        };
        let taken = match (is_current, begin.by) {
            (true, _) => self.apply(key, act),
            (false, By::Write) => self.apply(key, Act::Take),
            (false, By::Read | By::Look | By::Load) => return false,
        };
        match begin.by {
            By::Read | By::Look => {}
            By::Load if is_idle => {}
            By::Write if is_current => self.move_on(stripe, begin.operation),
            // Never a number that was there before: who saw that one would take the stripe for unmoved.
            By::Load | By::Write => self.move_on(stripe, self.operation()),
        }
        if begin.by == By::Write {
            flights.detach(key);
        }
        drop(flights);
        // Only now: a value's own `Drop` may use the cache.
        drop(taken);
        is_current
    }

    /// DROP: takes the copy out, and lets nothing in that began to look before now.
    pub(crate) fn drop_copy(&self, key: &K) -> Option<Entry<V>> {
        let stripe = self.stripe(key);
        let mut flights = self.lock(stripe);
        self.move_on(stripe, self.operation());
        flights.detach(key);
        self.apply(key, Act::Take)
    }

    /// DROP on behalf of another node that has changed the key, and has given it this version: a copy that has it already
    /// may stay, and after a mere `refill` or expiry an older one may still serve as a fallback.
    pub(crate) fn changed(&self, key: &K, version: Option<Version>, is_refill: bool) {
        let stripe = self.stripe(key);
        let mut flights = self.lock(stripe);
        self.move_on(stripe, self.operation());
        flights.detach(key);
        let copy = self.held(key).filter(|copy| Some(copy.version) != version);
        let taken = match copy {
            None => None,
            Some(copy) if is_refill => self.apply(key, Act::Put(ended(copy))),
            Some(_) => self.apply(key, Act::Take),
        };
        drop(flights);
        drop(taken);
    }

    /// No caller joins a flight any more that runs now; waiting ones look again.
    pub(crate) fn detach_all(&self) {
        for flights in &self.flights {
            lock(flights).detach_all();
        }
    }

    /// No caller joins a flight any more that runs now; it may store what it brings all the same.
    pub(crate) fn close_all(&self) {
        for flights in &self.flights {
            lock(flights).close_all();
        }
    }

    /// Nobody joins the flight of this key any more that runs now.
    pub(crate) fn detach(&self, key: &K) {
        self.lock(self.stripe(key)).detach(key);
    }

    /// The bell of the flight, that rings when something happens to the key from now on.
    pub(crate) fn bell(&self, key: &K, operation: u64) -> Arc<Notify> {
        self.lock(self.stripe(key)).bell(key, operation)
    }

    /// BEGIN, by a flight that looks or loads from now on.
    pub(crate) fn begin_flight(&self, key: &K, by: By, from: Start) -> Begin {
        let mut flights = self.lock(self.stripe(key));
        let begin = self.begin(key, by, from);
        flights.begin(key, begin.operation, begin.at);
        begin
    }

    /// Tells the flight that something has happened to the key.
    pub(crate) fn ring(&self, key: &K) {
        self.lock(self.stripe(key)).ring(key);
    }

    /// The flight holds nothing that it has seen, and waits to look again.
    pub(crate) fn wait(&self, key: &K, operation: u64) {
        self.lock(self.stripe(key)).wait(key, operation);
    }

    /// A seat in the flight of `key`: the one there is, or a new one to lead. With `look`, a copy that came into L1
    /// since the caller looked is as good as a seat: the flight that brought it has just landed.
    pub(crate) fn join(
        &self,
        shared: &Arc<Shared<V, K>>,
        key: &K,
        from: Start,
        look: bool,
    ) -> Seat<V, K> {
        let mut flights = self.lock(self.stripe(key));
        if let Some(landing) = flights.find(key, |begun| self.trust.vouches_for(begun, from.at)) {
            return Seat::Wait(landing);
        }
        let copy = if look { self.held(key) } else { None };
        let is_hit =
            |entry: &Entry<V>| entry.is_fresh(from.at) && self.trust.covers(entry, from.at);
        if let Some(entry) = copy.filter(is_hit) {
            return Seat::Ready(Landed::new(entry, Source::L1));
        }
        let (lead, landing) = flights.board(shared, key, self.begin(key, By::Look, from));
        Seat::Lead(lead, landing)
    }

    /// A seat in a flight that begins its load later than now: one that is queued behind a running one, or a new one
    /// to lead.
    pub(crate) fn join_later(
        &self,
        shared: &Arc<Shared<V, K>>,
        key: &K,
        from: Start,
    ) -> Seat<V, K> {
        let mut flights = self.lock(self.stripe(key));
        if let Some(landing) = flights.find_queued(key) {
            return Seat::Wait(landing);
        }
        let (lead, landing) = flights.board(shared, key, self.begin(key, By::Load, from));
        Seat::Lead(lead, landing)
    }

    pub(crate) fn usage(&self) -> Usage {
        self.l1.as_ref().map(|l1| l1.usage()).unwrap_or_default()
    }

    pub(crate) fn is_present(&self) -> bool {
        self.l1.is_some()
    }

    /// Gives back the room of a copy that can never be used again. Answers with nothing, for that is what was found.
    #[cold]
    fn bury(&self, key: &K, now: Tick) -> Option<Entry<V>> {
        let flights = self.lock(self.stripe(key));
        let is_dead = |entry: Entry<V>| entry.is_dead(now) || !self.trust.is_of_this_era(&entry);
        let is_dead = self.held(key).is_some_and(is_dead);
        let dead = if is_dead {
            self.apply(key, Act::Take)
        } else {
            None
        };
        drop(flights);
        drop(dead);
        None
    }

    fn operation(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::Relaxed)
    }

    fn move_on(&self, stripe: usize, operation: u64) {
        self.generation(stripe).store(operation, Ordering::Release);
    }

    fn is_unmoved(&self, stripe: usize, begin: &Begin) -> bool {
        let generation = self.generation(stripe).load(Ordering::Acquire);
        generation == begin.generation || generation == begin.operation
    }

    /// Does it, and answers with what was taken out.
    fn apply(&self, key: &K, act: Act<Entry<V>>) -> Option<Entry<V>> {
        let l1 = self.l1.as_ref()?;
        match act {
            Act::Put(entry) => l1.insert(key.to_owned(), entry),
            Act::Take => return l1.remove(key),
            Act::Leave => {}
        }
        None
    }
}

impl<V, K: Key + ?Sized> Near<V, K> {
    /// The flight of `key` with this number is over.
    pub(crate) fn leave(&self, key: &K, operation: u64) {
        self.lock(self.stripe(key)).leave(key, operation);
    }

    /// How many flights there are, queued ones included.
    pub(crate) fn flights(&self) -> usize {
        self.flights.iter().map(|flights| lock(flights).len()).sum()
    }

    fn stripe(&self, key: &K) -> usize {
        let hash = self.seeded.hash_one(key);
        usize::try_from(hash % STRIPES as u64).unwrap_or_default()
    }

    #[expect(clippy::indexing_slicing, reason = "`stripe` is below `STRIPES`")]
    fn generation(&self, stripe: usize) -> &AtomicU64 {
        &self.generations[stripe]
    }

    #[expect(clippy::indexing_slicing, reason = "`stripe` is taken modulo `LOCKS`")]
    fn lock(&self, stripe: usize) -> MutexGuard<'_, Flights<V, K>> {
        lock(&self.flights[stripe % LOCKS])
    }
}

/// When what somebody has ended ceased to be fresh: before all time, so that it is told from what has ended by itself.
pub(crate) const ENDED: Tick = Tick::from_nanos(i64::MIN);

/// None of its tags is known to have been removed, and all are known.
fn has_its_tags<V>(entry: &Entry<V>) -> bool {
    entry.tags.as_ref().is_none_or(|tags| tags.hold())
}

/// The copy as one that somebody has ended.
fn ended<V>(copy: Entry<V>) -> Entry<V> {
    Entry {
        fresh_until: ENDED,
        ..copy
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
