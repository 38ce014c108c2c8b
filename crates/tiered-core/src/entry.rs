use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Tick, Version};

/// A copy of what is known about a key: a value, or that there is none. The only judge of age.
///
/// Its moments are fixed when the value is loaded and travel with it: a copy never lives longer than its original.
/// Cloning costs one reference count.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use tiered_core::{Clock, Entry, Random, Version};
///
/// let now = Clock::system().now();
/// let entry = Entry {
///     value: Some(Arc::new("Ada")),
///     version: Version::random(&Random::new()),
///     begun: now,
///     created: now,
///     fresh_until: now.plus(Duration::from_secs(60)),
///     stale_until: now.plus(Duration::from_secs(60)),
///     load_millis: 12,
///     weight: 160,
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
    pub begun: Tick,
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
