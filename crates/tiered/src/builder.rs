use std::fmt;
use std::sync::Arc;

use tiered_core::{Bound, Clock, Codec, Error, ErrorKind, Key, L1, L2, Random, Result};

use crate::cache::Cache;
use crate::far::Far;
use crate::near::Near;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::stats::Counters;
use crate::weight::{Weigh, Weight};
use crate::wire::Wire;

/// Puts a [`Cache`] together: its tiers, and its settings.
///
/// ```
/// use std::time::Duration;
/// use tiered::{Builder, Cache, Embedded, Moka, Settings};
///
/// let cache: Cache<String, u64> = Builder::new("names")
///     .l1(Moka::bytes(64 << 20))
///     .l2(Embedded::new())
///     .settings(Settings { ttl: Duration::from_secs(600), ..Settings::default() })
///     .build()?;
/// # Ok::<(), tiered::Error>(())
/// ```
#[must_use]
pub struct Builder<V, K: Key + ?Sized = str> {
    namespace: String,
    l1: Option<Box<dyn L1<V, K>>>,
    l2: Option<Arc<dyn L2>>,
    codec: Option<Box<dyn Codec<V>>>,
    weigh: Option<Weigh<V>>,
    settings: Settings,
    clock: Clock,
    random: Random,
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Builder<V, K> {
    /// A cache on a namespace: the keys of one are apart from those of any other in the same L2. All caches that are
    /// to share their values have the same namespace, type and codec.
    ///
    /// A namespace is 1 to 64 ASCII letters, digits, `.`, `-` or `_`. In L2 a key is the namespace, a colon, and what
    /// the key's `Display` writes.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            l1: None,
            l2: None,
            codec: None,
            weigh: None,
            settings: Settings::default(),
            clock: Clock::system(),
            random: Random::new(),
        }
    }

    /// The first tier. Default: none.
    pub fn l1(mut self, l1: impl L1<V, K>) -> Self {
        self.l1 = Some(Box::new(l1));
        self
    }

    /// The second tier, with the codec bincode. Default: none, and then nothing is ever encoded.
    #[cfg(feature = "bincode")]
    pub fn l2(self, l2: impl L2) -> Self
    where
        V: serde::Serialize + serde::de::DeserializeOwned,
    {
        self.l2_with(l2, crate::codec::Bincode)
    }

    /// The second tier, with another codec.
    pub fn l2_with(mut self, l2: impl L2, codec: impl Codec<V>) -> Self {
        self.l2 = Some(Arc::new(l2));
        self.codec = Some(Box::new(codec));
        self
    }

    /// The numbers and switches. Default: [`Settings::default`].
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// How many bytes of memory a value takes, for an L1 that is bounded by bytes. Default: its encoded length, and at
    /// least the size of its type; a value that cannot be encoded counts as the size of its type alone.
    pub fn weigh(mut self, weigh: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        self.weigh = Some(Box::new(weigh));
        self
    }

    /// The source of time. Default: [`Clock::system`].
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// The source of random bits. Default: [`Random::new`].
    pub fn random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// The cache.
    ///
    /// # Errors
    /// Of the kind [`Config`](ErrorKind::Config): a setting makes no sense, the namespace is not one, there is no tier
    /// at all, or values cannot be weighed.
    pub fn build(self) -> Result<Cache<V, K>> {
        self.check()?;
        self.settings.check(self.l2.is_some())?;
        let is_weighed = self
            .l1
            .as_ref()
            .is_some_and(|l1| matches!(l1.bound(), Bound::Bytes(_)));
        let (namespace, settings) = (self.namespace, self.settings);
        let parts = self.l2.zip(self.codec);
        let far = parts.map(|(l2, codec)| Far {
            l2,
            wire: Wire::new(&namespace, codec, &settings),
        });
        Ok(Cache::new(Shared {
            near: Near::new(self.l1),
            far,
            weight: Weight {
                is_wanted: is_weighed,
                of_value: self.weigh,
            },
            clock: self.clock,
            random: self.random,
            counters: Counters::new(),
            namespace,
            settings,
        }))
    }

    fn check(&self) -> Result<()> {
        let bound = self.l1.as_ref().map(|l1| l1.bound());
        let is_namespace = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let wrong = if !(1..=64).contains(&self.namespace.len())
            || !self.namespace.bytes().all(is_namespace)
        {
            "a namespace is 1 to 64 ascii letters, digits, '.', '-' or '_'"
        } else if self.l1.is_none() && self.l2.is_none() {
            "the cache has no tier: give it an `l1`, an `l2` or both"
        } else if let Some(Bound::Entries(0) | Bound::Bytes(0)) = bound {
            "an l1 of no size holds nothing: leave it out instead"
        } else if let Some(Bound::Bytes(_)) = bound
            && self.l2.is_none()
            && self.weigh.is_none()
            && std::mem::needs_drop::<V>()
        {
            "an l1 bounded by bytes needs `weigh` where there is no l2: what values own cannot be seen from outside"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Config, wrong))
    }
}

impl<V, K: Key + ?Sized> fmt::Debug for Builder<V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("namespace", &self.namespace)
            .field("has_l1", &self.l1.is_some())
            .field("has_l2", &self.l2.is_some())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
