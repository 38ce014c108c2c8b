//! Keys whose load has failed and that are left alone for a while, because an older copy serves meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tiered_core::{Error, Key, Random, Tick};

use crate::frame::LONGEST;
use crate::seeded::Seeded;
use crate::throttle::Throttle;

/// How many keys are remembered; what does not fit is loaded without holding off.
const MOST: usize = 10_000;

/// By which part of itself it is shortened at random, at most.
const JITTER: f64 = 0.25;

pub(crate) struct HoldOffs<K: Key + ?Sized> {
    /// So many there are; most of the time none.
    count: AtomicUsize,
    held: Mutex<HashMap<K::Owned, HoldOff, Seeded>>,
}

struct HoldOff {
    failures: u32,
    until: Tick,
    error: Error,
    /// The copy that served was no longer fresh then: neither L2 nor L1 had a better one.
    was_old: bool,
}

impl<K: Key + ?Sized> HoldOffs<K> {
    pub(crate) fn new(seeded: Seeded) -> Self {
        Self {
            count: AtomicUsize::new(0),
            held: Mutex::new(HashMap::with_hasher(seeded)),
        }
    }

    /// Why this key is not to be loaded now, where older copies serve.
    pub(crate) fn reason(&self, key: &K, now: Tick) -> Option<Error> {
        self.find(key, now, |_| true)
    }

    /// Why this key is not to be looked for at all.
    pub(crate) fn reason_not_to_look(&self, key: &K, now: Tick) -> Option<Error> {
        self.find(key, now, |hold_off| hold_off.was_old)
    }

    fn find(&self, key: &K, now: Tick, is_it: impl Fn(&HoldOff) -> bool) -> Option<Error> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let held = self.held();
        let hold_off = held.get(key).filter(|hold_off| now < hold_off.until);
        let hold_off = hold_off.filter(|hold_off| is_it(hold_off))?;
        Some(hold_off.error.clone())
    }

    /// Its load has failed once more, where a copy serves that was old or not.
    pub(crate) fn add(
        &self,
        key: &K,
        now: Tick,
        (error, was_old): (&Error, bool),
        terms: (&Throttle, &Random),
    ) {
        let mut held = self.held();
        if held.len() >= MOST {
            held.retain(|_, hold_off| now < hold_off.until);
        }
        let failures = held.get(key).map_or(0, |hold_off| hold_off.failures);
        if held.len() < MOST || failures > 0 {
            let hold_off = HoldOff {
                failures: failures.saturating_add(1),
                until: now.plus(length(failures, terms)),
                error: error.clone(),
                was_old,
            };
            held.insert(key.to_owned(), hold_off);
        }
        self.count.store(held.len(), Ordering::Release);
    }

    /// It is not held off any more.
    pub(crate) fn end(&self, key: &K) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut held = self.held();
        held.remove(key);
        self.count.store(held.len(), Ordering::Release);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K::Owned, HoldOff, Seeded>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn length(failures: u32, (throttle, random): (&Throttle, &Random)) -> Duration {
    let doubled = throttle.hold_off.saturating_mul(1 << failures.min(20));
    let longest = doubled.min(throttle.longest_hold_off).min(LONGEST);
    longest.mul_f64(1.0 - JITTER * random.fraction())
}
