//! What a copy in L1 may be trusted for.
//!
//! A node hears of other nodes' changes over the backplane. It trusts a copy as long as it knows that it has missed
//! nothing about it:
//!
//! - **Watermark.** A node that may have missed a message moves its watermark to the present; what began before it is
//!   doubtful from then on.
//! - **Lease.** A node sends pings and hears its own echo. The echo of a ping sent at `s` proves that everything before `s`
//!   has been heard, so copies are trusted until `s` plus the bound. It is judged when a copy is read, by the clock: a
//!   process that was frozen finds its lease ended, whichever of its tasks wakes up first.
//! - **Youth.** Whatever began less than the bound ago is within the bound by itself, lease or not. So a node without a
//!   lease asks L2 for each key once per bound, not once per read.
//! - **Era.** When the namespace is cleared a new era begins; what began in an earlier one is gone, not doubtful.
//!
//! The watermark and the era are one number, so that a hit compares one number and one clock reading.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tiered_core::{Begun, Entry, Tick};

pub(crate) struct Trust {
    watermark: AtomicU64,
    /// Nanoseconds of the clock; without a backplane, the end of time.
    lease: AtomicI64,
    bound: Duration,
    /// The last doubts, oldest first.
    doubts: Mutex<VecDeque<Doubt>>,
}

/// What began up to `of` has been doubtful since then, or earlier.
#[derive(Clone, Copy)]
struct Doubt {
    of: u64,
    since: Tick,
}

/// How many doubts are remembered; what is older than all of them has been doubtful for long.
const MOST_DOUBTS: usize = 32;

impl Trust {
    /// Trust in what a node hears itself: there is nobody else to hear.
    pub(crate) fn alone(bound: Duration) -> Self {
        Self::until(i64::MAX, bound)
    }

    /// Trust in a backplane that is not yet heard.
    pub(crate) fn in_backplane(bound: Duration) -> Self {
        Self::until(i64::MIN, bound)
    }

    fn until(lease: i64, bound: Duration) -> Self {
        Self {
            watermark: AtomicU64::new(0),
            lease: AtomicI64::new(lease),
            bound,
            doubts: Mutex::default(),
        }
    }

    /// This node hears what the others say, or has nobody to hear.
    #[inline]
    pub(crate) fn is_heard(&self, now: Tick) -> bool {
        now.nanos() < self.lease.load(Ordering::Acquire)
    }

    /// The copy may be used without asking anybody, as far as others' changes go.
    #[inline]
    pub(crate) fn covers<V>(&self, entry: &Entry<V>, now: Tick) -> bool {
        self.vouches_for(entry.begun, now) && entry.tags.as_ref().is_none_or(|tags| tags.hold())
    }

    /// Nothing was missed about what began then, or it was so short a while ago that it is within the bound.
    #[inline]
    pub(crate) fn vouches_for(&self, begun: Begun, now: Tick) -> bool {
        let is_after = begun.bits() >= self.watermark.load(Ordering::Acquire);
        is_after && self.is_heard(now) || self.is_young(begun, now)
    }

    #[cold]
    fn is_young(&self, begun: Begun, now: Tick) -> bool {
        self.is_present(begun) && now < begun.at().plus(self.bound)
    }

    fn is_present(&self, begun: Begun) -> bool {
        let era = self.era();
        begun.era() == era && era < Begun::LAST_ERA
    }

    /// The begin of what begins now. What is known of marks is as old as the last echo, or the last doubt; unless this node is
    /// deaf, for then the marks are read as well.
    pub(crate) fn begin(&self, now: Tick) -> Begun {
        let watermark = Begun::from_bits(self.watermark.load(Ordering::Acquire));
        if !self.is_heard(now) {
            return Begun::new(watermark.era(), now);
        }
        let echo = self.lease_end().minus(self.bound);
        let known = Begun::new(watermark.era(), echo.min(now));
        known.max(watermark).min(Begun::new(watermark.era(), now))
    }

    /// Nobody has cleared the namespace since the copy began.
    pub(crate) fn is_of_this_era<V>(&self, entry: &Entry<V>) -> bool {
        self.is_present(entry.begun)
    }

    /// From when on a copy that is not covered has been doubtful: since the first doubt after it began, or since the end of
    /// the lease.
    pub(crate) fn doubtful_since<V>(&self, entry: &Entry<V>) -> Tick {
        let begun = entry.begun.bits();
        let doubts = self.doubts();
        let first = doubts.iter().position(|doubt| begun < doubt.of);
        let since = match first {
            Some(0) if doubts.len() == MOST_DOUBTS => Tick::from_nanos(i64::MIN),
            Some(first) => doubts
                .get(first)
                .map_or(self.lease_end(), |doubt| doubt.since),
            None => self.lease_end(),
        };
        since.max(entry.begun.at().plus(self.bound))
    }

    pub(crate) fn era(&self) -> u32 {
        Begun::from_bits(self.watermark.load(Ordering::Acquire)).era()
    }

    /// What began up to `now` is doubtful.
    pub(crate) fn doubt(&self, now: Tick) {
        let mut doubts = self.doubts();
        let of = Begun::new(self.era(), now).bits().saturating_add(1);
        self.raise(|watermark| Begun::new(watermark.era(), now).bits().saturating_add(1));
        if doubts.len() == MOST_DOUBTS {
            doubts.pop_front();
        }
        // Without a lease it was in doubt before.
        let since = now.min(self.lease_end());
        doubts.push_back(Doubt { of, since });
    }

    /// What began up to now is gone. The last era never ends, and in it nothing is trusted.
    pub(crate) fn next_era(&self) {
        self.raise(|watermark| match watermark.era() {
            Begun::LAST_ERA => u64::MAX,
            era => Begun::new(era + 1, Tick::from_nanos(0)).bits(),
        });
    }

    /// Since when this node has not heard itself; `None` if it does, or has nobody to hear.
    pub(crate) fn silent_since(&self, now: Tick) -> Option<Tick> {
        (!self.is_heard(now)).then(|| self.lease_end())
    }

    fn lease_end(&self) -> Tick {
        Tick::from_nanos(self.lease.load(Ordering::Acquire))
    }

    fn doubts(&self) -> MutexGuard<'_, VecDeque<Doubt>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, to: impl Fn(Begun) -> u64) {
        let higher = |bits: u64| Some(bits.max(to(Begun::from_bits(bits))));
        // The closure always gives a value, so this cannot fail.
        let _ = self
            .watermark
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, higher);
    }

    /// All that was published before `sent` has been heard.
    pub(crate) fn heard_all_before(&self, sent: Tick) {
        let end = sent.plus(self.bound).nanos();
        self.lease.fetch_max(end, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const BOUND: Duration = Duration::from_secs(1);

    fn tick(millis: i64) -> Tick {
        Tick::from_nanos(millis * 1_000_000)
    }

    fn copy(trust: &Trust, millis: i64) -> Entry<u8> {
        Entry {
            value: Some(Arc::new(1)),
            version: tiered_core::Version::from_bytes([1; 8]),
            begun: Begun::new(trust.era(), tick(millis)),
            created: tick(millis),
            fresh_until: tick(1 << 30),
            stale_until: tick(1 << 30),
            load_millis: 0,
            weight: 0,
            tags: None,
        }
    }

    #[test]
    fn without_a_lease_a_copy_is_trusted_for_the_bound() {
        let trust = Trust::in_backplane(BOUND);
        let copy = copy(&trust, 5_000);
        assert!(trust.covers(&copy, tick(5_999)));
        assert!(!trust.covers(&copy, tick(6_000)));
        trust.heard_all_before(tick(9_000));
        assert!(trust.covers(&copy, tick(9_999)));
        assert!(!trust.covers(&copy, tick(10_000)));
    }

    #[test]
    fn what_began_up_to_the_watermark_is_doubtful() {
        let trust = Trust::alone(BOUND);
        let (before, after) = (copy(&trust, 5_000), copy(&trust, 5_001));
        trust.doubt(tick(5_000));
        assert!(!trust.covers(&before, tick(7_000)));
        assert!(trust.covers(&after, tick(7_000)));
    }

    #[test]
    fn a_copy_is_doubtful_since_the_first_doubt_however_many_follow() {
        let trust = Trust::in_backplane(BOUND);
        let copy = copy(&trust, 1_000);
        trust.heard_all_before(tick(3_000));
        assert_eq!(trust.doubtful_since(&copy), tick(4_000), "the lease's end");
        for millis in [9_000, 12_000] {
            // The lease has ended long before.
            trust.doubt(tick(millis));
            assert_eq!(trust.doubtful_since(&copy), tick(4_000));
            trust.heard_all_before(tick(millis));
            assert_eq!(trust.doubtful_since(&copy), tick(4_000));
        }
        for millis in 13_000..13_040 {
            trust.doubt(tick(millis));
        }
        assert_eq!(trust.doubtful_since(&copy), tick(2_000), "for long");
    }

    #[test]
    fn a_new_era_ends_all_trust_at_once() {
        let trust = Trust::alone(BOUND);
        let old = copy(&trust, 5_000);
        trust.next_era();
        assert!(!trust.covers(&old, tick(5_000)));
        assert!(trust.covers(&copy(&trust, 5_000), tick(7_000)));
        for _ in 0..3 {
            trust.raise(|_| Begun::new(Begun::LAST_ERA, tick(0)).bits());
            trust.next_era();
            assert!(!trust.covers(&copy(&trust, 5_000), tick(5_000)));
        }
    }
}
