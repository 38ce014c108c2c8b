use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Tags, Tick, Version};

/// A copy of what is known about a key: a value, or that there is none. The only judge of age.
///
/// Its moments are fixed when the value is loaded and travel with it: a copy never lives longer than its original.
/// Cloning costs one reference count.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use tiered_core::{Begun, Clock, Entry, Random, Version};
///
/// let now = Clock::system().now();
/// let entry = Entry {
///     value: Some(Arc::new("Ada")),
///     version: Version::random(&Random::new()),
///     begun: Begun::new(0, now),
///     created: now,
///     fresh_until: now.plus(Duration::from_secs(60)),
///     stale_until: now.plus(Duration::from_secs(60)),
///     load_millis: 12,
///     weight: 160,
///     tags: None,
/// };
/// assert!(entry.is_fresh(now));
/// assert!(!entry.is_fresh(now.plus(Duration::from_secs(60))));
/// ```
pub struct Entry<V> {
    /// The value; `None` if the source has none (a negative entry).
    pub value: Option<Arc<V>>,
    /// The version of the record this is a copy of.
    pub version: Version,
    /// When the read, load or write that brought this copy here began.
    pub begun: Begun,
    /// When the value was loaded or set, here or elsewhere.
    pub created: Tick,
    /// Until when it may be used without asking anybody.
    pub fresh_until: Tick,
    /// Until when it may be used at all; never before `fresh_until`.
    pub stale_until: Tick,
    /// How long the load took, in milliseconds; 0 for a value that was set.
    pub load_millis: u32,
    /// About how many bytes of memory this copy takes, where L1 is bounded by bytes; 0 elsewhere.
    pub weight: u32,
    /// Its tags, if it has any.
    pub tags: Option<Arc<Tags>>,
}

/// When an operation began: in which era of its node, and at which moment. Later eras come after all earlier moments.
///
/// A node enters a new era when it hears that its namespace was cleared.
///
/// ```
/// use tiered_core::{Begun, Clock};
///
/// let now = Clock::system().now();
/// assert!(Begun::new(3, now) < Begun::new(4, now));
/// assert_eq!(Begun::new(3, now).era(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Begun(u64);

impl Begun {
    /// The last era there can be: about 16 million.
    pub const LAST_ERA: u32 = (1 << 24) - 1;

    const MILLIS: u32 = 40;
    const NANOS_PER_MILLI: i64 = 1_000_000;

    /// This moment of this era, to the millisecond; the first or last moment that can be told, where it lies beyond.
    pub fn new(era: u32, at: Tick) -> Self {
        let millis = u64::try_from(at.nanos() / Self::NANOS_PER_MILLI).unwrap_or(0);
        let era = u64::from(era.min(Self::LAST_ERA));
        Self(era << Self::MILLIS | millis.min((1 << Self::MILLIS) - 1))
    }

    /// The bits, in which later moments are larger.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What these bits stand for.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The era.
    pub fn era(self) -> u32 {
        u32::try_from(self.0 >> Self::MILLIS).unwrap_or(Self::LAST_ERA)
    }

    /// The moment.
    pub fn at(self) -> Tick {
        let millis = i64::try_from(self.0 & ((1 << Self::MILLIS) - 1)).unwrap_or(i64::MAX);
        Tick::from_nanos(millis.saturating_mul(Self::NANOS_PER_MILLI))
    }
}

impl<V> Entry<V> {
    /// May be used at `now` without asking anybody.
    #[inline]
    pub fn is_fresh(&self, now: Tick) -> bool {
        now < self.fresh_until
    }

    /// May not be used any more at `now`, not even as a fallback.
    pub fn is_dead(&self, now: Tick) -> bool {
        now >= self.stale_until
    }

    /// How long ago the value was loaded or set; zero if the clock that says so runs behind.
    pub fn age(&self, now: Tick) -> Duration {
        now.since(self.created)
    }
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            tags: self.tags.clone(),
            ..*self
        }
    }
}

impl<V> fmt::Debug for Entry<V> {
    /// Leaves the value out: it may be large, or secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("is_negative", &self.value.is_none())
            .field("version", &self.version)
            .field("created", &self.created)
            .field("fresh_until", &self.fresh_until)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_64_bytes_of_which_16_are_for_coherence() {
        assert_eq!(size_of::<Entry<String>>(), 64);
        assert_eq!(size_of::<Begun>() + size_of::<Option<Arc<Tags>>>(), 16);
    }

    #[test]
    fn a_begin_keeps_its_era_and_its_moment_to_the_millisecond() {
        let at = Tick::from_nanos(5_999_999);
        let begun = Begun::new(7, at);
        assert_eq!((begun.era(), begun.at()), (7, Tick::from_nanos(5_000_000)));
        assert_eq!(Begun::from_bits(begun.bits()), begun);
        let last = Begun::new(u32::MAX, Tick::from_nanos(i64::MAX));
        assert_eq!(last.era(), Begun::LAST_ERA);
        assert!(Begun::new(1, Tick::from_nanos(-1)) < Begun::new(1, at));
    }
}
