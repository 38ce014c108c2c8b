//! Flights: one running load per key, and who waits for it.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::panicking;

use tiered_core::{Begun, Entry, Error, ErrorKind, Key, Result};
use tokio::sync::{Notify, oneshot, watch};

use crate::answer::Source;
use crate::landing::{Landed, Landing, Progress};
use crate::near::Begin;
use crate::seeded::Seeded;
use crate::shared::Shared;

/// What a caller gets who asks for a key.
pub(crate) enum Seat<V, K: Key + ?Sized> {
    /// The answer, which is here.
    Ready(Landed<V>),
    /// A place among those who wait.
    Wait(Landing<V>),
    /// The duty to bring the answer, and a place among those who wait.
    Lead(Lead<V, K>, Landing<V>),
}

/// The duty to land the flight of one key. Dropped without landing, it frees the key and those who wait are told.
pub(crate) struct Lead<V, K: Key + ?Sized> {
    pub(crate) key: K::Owned,
    pub(crate) begin: Begin,
    /// What a queued flight waits for.
    go: Option<oneshot::Receiver<()>>,
    shared: Arc<Shared<V, K>>,
    outcome: Option<Result<Landed<V>>>,
    fallback: Option<Landed<V>>,
    waiting: watch::Sender<Progress<V>>,
}

impl<V, K: Key + ?Sized> Lead<V, K> {
    /// Offers an older copy to those who wait, or takes that offer back. One from L2 is as old as the look at it.
    pub(crate) fn offer(&mut self, fallback: Option<(Entry<V>, Source)>) {
        let landed = |(mut entry, source): (Entry<V>, Source)| {
            if source == Source::L2 {
                entry.begun = self.begin.at;
            }
            Landed::new(entry, source)
        };
        self.fallback = fallback.map(landed);
        let fallback = self.fallback.clone();
        self.waiting.send_if_modified(|progress| {
            let is_news = fallback.is_some() || progress.fallback.is_some();
            progress.fallback = fallback;
            is_news
        });
    }

    /// The older copy that serves those who do not want to wait.
    pub(crate) fn fallback(&self) -> Option<&Landed<V>> {
        self.fallback.as_ref()
    }

    /// The load may not begin before another one has ended.
    pub(crate) fn is_queued(&self) -> bool {
        self.go.is_some()
    }

    /// Waits until the flight before this one is over, or is no longer joined by anybody.
    pub(crate) async fn take_off(&mut self) {
        if let Some(go) = self.go.take() {
            let _ = go.await;
        }
    }

    /// Lands the flight.
    pub(crate) fn land(mut self, outcome: Result<Landed<V>>) {
        self.outcome = Some(outcome);
    }
}

impl<V, K: Key + ?Sized> Drop for Lead<V, K> {
    /// The key is free before anybody hears of the outcome: who has seen a load fail and asks again, loads again.
    fn drop(&mut self) {
        self.shared
            .near
            .leave(self.key.borrow(), self.begin.operation);
        let panicked = || panicking().then(|| Err(panic_outside_the_loader()));
        if let Some(outcome) = self.outcome.take().or_else(panicked) {
            self.waiting
                .send_modify(|progress| progress.outcome = Some(outcome));
        }
    }
}

fn panic_outside_the_loader() -> Error {
    let message = "the key's `Display`, `weigh` or a value's `Drop` panicked";
    Error::new(ErrorKind::Panicked, message)
}

/// The flights of some keys: for each at most one that runs and one queued behind it.
pub(crate) struct Flights<V, K: Key + ?Sized>(HashMap<K::Owned, Slot<V>, Seeded>);

struct Slot<V> {
    running: Option<Flight<V>>,
    queued: Option<Flight<V>>,
    /// Flights that nobody joins any more, because a tag was removed that they may bring, and that may store all the same:
    /// the tag's mark tells.
    closed: Vec<u64>,
}

struct Flight<V> {
    operation: u64,
    landing: Landing<V>,
    begun: Begun,
    /// Lets a queued flight begin.
    go: Option<oneshot::Sender<()>>,
    /// Rings when something happens to the key.
    bell: Option<Arc<Notify>>,
    /// It holds nothing that it has seen, and will look again.
    is_waiting: bool,
}

impl<V, K: Key + ?Sized> Flights<V, K> {
    pub(crate) fn new(seeded: Seeded) -> Self {
        Self(HashMap::with_hasher(seeded))
    }

    /// The flight that a reader may join. One that is queued will do: it has not begun, so it brings nothing old.
    pub(crate) fn find(
        &mut self,
        key: &K,
        is_trusted: impl Fn(Begun) -> bool,
    ) -> Option<Landing<V>> {
        let slot = self.0.get_mut(key)?;
        let running = slot.running.as_ref();
        if running.is_some_and(|flight| !flight.is_waiting && !is_trusted(flight.begun)) {
            // An invalidation may have been missed since it began.
            slot.detach();
        }
        let flight = slot.running.as_ref().or(slot.queued.as_ref())?;
        Some(flight.landing.clone())
    }

    /// The flight that has not begun yet.
    pub(crate) fn find_queued(&self, key: &K) -> Option<Landing<V>> {
        let flight = self.0.get(key)?.queued.as_ref()?;
        Some(flight.landing.clone())
    }

    /// This flight may store what it brings: nothing has happened to the key since it began.
    pub(crate) fn may_store(&self, key: &K, operation: u64) -> bool {
        let Some(slot) = self.0.get(key) else {
            return false;
        };
        let running = slot.running.as_ref();
        running.is_some_and(|flight| flight.operation == operation)
            || slot.closed.contains(&operation)
    }

    /// The bell of this flight, that rings when something happens to the key from now on.
    pub(crate) fn bell(&mut self, key: &K, operation: u64) -> Arc<Notify> {
        let Some(flight) = self.running(key, operation) else {
            return Arc::default();
        };
        Arc::clone(flight.bell.get_or_insert_default())
    }

    /// This flight looks or loads, from now on.
    pub(crate) fn begin(&mut self, key: &K, operation: u64, at: Begun) {
        if let Some(flight) = self.running(key, operation) {
            flight.is_waiting = false;
            flight.begun = at;
        }
    }

    /// This flight holds nothing that it has seen, and waits to look again: callers may join it whatever happens.
    pub(crate) fn wait(&mut self, key: &K, operation: u64) {
        if let Some(flight) = self.running(key, operation) {
            flight.is_waiting = true;
        }
    }

    /// A new flight: it runs, or waits for the one that does.
    pub(crate) fn board(
        &mut self,
        shared: &Arc<Shared<V, K>>,
        key: &K,
        begin: Begin,
    ) -> (Lead<V, K>, Landing<V>) {
        let slot = self.slot(key);
        let (waiting, landing) = watch::channel(Progress {
            outcome: None,
            fallback: None,
        });
        let landing = Landing(landing);
        let (go, may_go) = slot.running.as_ref().map(|_| oneshot::channel()).unzip();
        let flight = Flight {
            operation: begin.operation,
            landing: landing.clone(),
            begun: begin.at,
            go,
            bell: None,
            is_waiting: false,
        };
        match flight.go {
            Some(_) => slot.queued = Some(flight),
            None => slot.running = Some(flight),
        }
        let lead = Lead {
            key: key.to_owned(),
            begin,
            go: may_go,
            shared: Arc::clone(shared),
            outcome: None,
            fallback: None,
            waiting,
        };
        (lead, landing)
    }

    /// Nobody joins the running flight any more; those who are in it stay. One that was queued behind it may begin. A flight
    /// that waits for another node stays, and hears of it: it has yet to look.
    pub(crate) fn detach(&mut self, key: &K) {
        self.update(key, Slot::disturb);
    }

    /// The same for all keys.
    pub(crate) fn detach_all(&mut self) {
        self.0.values_mut().for_each(Slot::disturb);
        self.0.retain(|_, slot| !slot.is_empty());
    }

    /// Tells the flight that something has happened to the key.
    pub(crate) fn ring(&self, key: &K) {
        if let Some(slot) = self.0.get(key) {
            slot.ring();
        }
    }

    /// Nobody joins any of the running flights any more, but each may store what it brings.
    pub(crate) fn close_all(&mut self) {
        self.0.values_mut().for_each(Slot::close);
    }

    /// A flight is over.
    pub(crate) fn leave(&mut self, key: &K, operation: u64) {
        let is_it = |flight: &Option<Flight<V>>| {
            flight
                .as_ref()
                .is_some_and(|flight| flight.operation == operation)
        };
        self.update(key, |slot| {
            slot.closed.retain(|closed| *closed != operation);
            if is_it(&slot.queued) {
                slot.queued = None;
            }
            if is_it(&slot.running) {
                slot.detach();
            }
        });
    }

    pub(crate) fn len(&self) -> usize {
        let is_joined = |slot: &&Slot<V>| slot.running.is_some() || slot.queued.is_some();
        self.0.values().filter(is_joined).count()
    }

    fn running(&mut self, key: &K, operation: u64) -> Option<&mut Flight<V>> {
        let running = self.0.get_mut(key)?.running.as_mut();
        running.filter(|flight| flight.operation == operation)
    }

    fn update(&mut self, key: &K, change: impl FnOnce(&mut Slot<V>)) {
        let Some(slot) = self.0.get_mut(key) else {
            return;
        };
        change(slot);
        if slot.is_empty() {
            self.0.remove(key);
        }
    }

    fn slot(&mut self, key: &K) -> &mut Slot<V> {
        self.0.entry(key.to_owned()).or_default()
    }
}

impl<V> Slot<V> {
    fn detach(&mut self) {
        self.running = self.queued.take().map(Flight::begin);
    }

    fn disturb(&mut self) {
        self.ring();
        self.closed.clear();
        let running = self.running.as_ref();
        if !running.is_some_and(|flight| flight.is_waiting) {
            self.detach();
        }
    }

    fn close(&mut self) {
        if let Some(flight) = self.running.as_ref().filter(|flight| !flight.is_waiting) {
            self.closed.push(flight.operation);
            self.detach();
        }
    }

    fn ring(&self) {
        let running = self.running.as_ref();
        if let Some(bell) = running.and_then(|flight| flight.bell.as_ref()) {
            bell.notify_one();
        }
    }

    fn is_empty(&self) -> bool {
        self.running.is_none() && self.queued.is_none() && self.closed.is_empty()
    }
}

impl<V> Flight<V> {
    fn begin(mut self) -> Self {
        if let Some(go) = self.go.take() {
            // Its lead may have been dropped; then it leaves in a moment.
            let _ = go.send(());
        }
        self
    }
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        Self {
            running: None,
            queued: None,
            closed: Vec::new(),
        }
    }
}
