//! Older copies: which may serve where nothing better is to be had, and when one is enough.

use std::borrow::Borrow;
use std::sync::Arc;

use tiered_core::{Entry, Error, ErrorKind, Key, Result, Seen};
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::Source;
use crate::flight::Lead;
use crate::landing::{Landed, aborted};
use crate::look::{Found, Look};
use crate::near::ENDED;
use crate::options::{Options, Terms};
use crate::shared::Shared;

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// What was seen where nothing that may be used as it is was found, and the copy that may serve all the same.
    pub(crate) fn older(
        &self,
        key: &K,
        look: Look<V>,
        terms: &Terms,
    ) -> (Seen, Option<(Entry<V>, Source)>) {
        let (seen, old) = match look {
            Look::Fresh(Found { entry, .. }) | Look::Old(entry) => {
                (Seen::Version(entry.version), Some((entry, Source::L2)))
            }
            Look::Nothing(seen) => (seen, self.fallback(key, terms)),
            Look::Claimed => (Seen::Nothing, self.fallback(key, terms)),
            Look::Silent => (Seen::Nothing, self.last_resort(key, terms)),
        };
        let now = self.now();
        let is_usable = |(entry, _): &(Entry<V>, Source)| !entry.is_dead(now);
        // What L2 has may be dead before the copy in L1 is.
        let old = old.filter(is_usable).or_else(|| self.fallback(key, terms));
        (seen, old)
    }

    /// The copy in L1 that may serve although it is no longer fresh, or that is to be replaced early. L2 answers, and has
    /// nothing newer.
    fn fallback(&self, key: &K, terms: &Terms) -> Option<(Entry<V>, Source)> {
        let now = self.now();
        let copy = self.near.fallback(key, now);
        let copy = copy.or_else(|| terms.early.and_then(|_| self.near.hit(key, now)));
        let copy = copy.filter(|_| terms.options.l1.reads())?;
        Some((copy, Source::L1))
    }

    /// The copy in L1 that may serve while L2 does not answer: also one that may have missed a change, but none of which
    /// one is known.
    fn last_resort(&self, key: &K, terms: &Terms) -> Option<(Entry<V>, Source)> {
        let copy = self
            .near
            .outdated(key)
            .filter(|_| terms.options.l1.reads())?;
        (!self.is_known_to_be_gone(key, &copy)).then_some((copy, Source::L1))
    }

    /// It was removed, or something has become of it that L2 has not confirmed.
    pub(crate) fn is_known_to_be_gone(&self, key: &K, copy: &Entry<V>) -> bool {
        let are_retired = copy.tags.as_ref().is_some_and(|tags| tags.are_retired());
        are_retired || self.doubts.has(key)
    }

    /// The older copy that serves in place of a load, and why there is none now: the last one has failed a short while ago; or
    /// L2 is silent, and not all that it would answer may be asked of the source at once.
    pub(crate) fn instead_of_a_load(
        &self,
        lead: &Lead<V, K>,
        is_l2_silent: bool,
        terms: &Terms,
    ) -> Option<Landed<V>> {
        let old = lead.fallback().filter(|_| !terms.options.refuses_stale)?;
        let held_off = self.hold_offs.reason(lead.key.borrow(), self.now());
        let is_rationed = || is_l2_silent && self.is_rationed(&old.entry, terms);
        let reason = held_off.or_else(|| is_rationed().then(rationed))?;
        Some(old.clone().because(reason))
    }

    /// An outage is no time to refresh what still serves; otherwise it may be loaded if its last load is a while ago, or somebody
    /// has ended it since, and only so many a second. A call that has failed is no outage yet.
    fn is_rationed(&self, old: &Entry<V>, terms: &Terms) -> bool {
        let is_outage = self
            .far
            .as_ref()
            .is_some_and(|far| far.guard.reads().is_open());
        let now = self.now();
        let due = old.begun.at().plus(self.settings.throttle.outage_interval);
        let is_young = now < due && old.fresh_until != ENDED;
        let may_load = !is_outage || !is_young && self.outage_loads.take(now);
        terms.early.is_some() || !may_load
    }

    /// An older copy that serves without a flight: the key's load has failed a short while ago.
    pub(crate) fn held_off(&self, key: &K, options: &Options) -> Option<Landed<V>> {
        let now = self.now();
        if options.refuses_stale || !options.l1.reads() || options.after.is_some() {
            return None;
        }
        let error = self.hold_offs.reason_not_to_look(key, now)?;
        let copy = self.near.fallback(key, now)?;
        Some(Landed::new(copy, Source::L1).because(error))
    }

    /// Room for one more loader.
    ///
    /// # Errors
    /// There is none in time, or the cache was closed.
    pub(crate) async fn find_room(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            return Ok(room);
        }
        let end = self.now().plus(self.settings.throttle.max_wait);
        tokio::select! {
            biased;
            () = self.closed() => Err(aborted()),
            room = Arc::clone(&self.room).acquire_owned() => room.map_err(|_| overloaded()),
            () = self.clock.sleep_until(end) => Err(overloaded()),
        }
    }
}

fn overloaded() -> Error {
    let message = "as many loads run as may, and none has ended in time";
    Error::new(ErrorKind::Overloaded, message)
}

fn rationed() -> Error {
    let message = "l2 does not answer, and only so many keys a second are loaded without it";
    Error::new(ErrorKind::Unavailable, message)
}
