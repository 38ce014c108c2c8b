use std::fmt;
use std::sync::Arc;

use tiered_core::{Backplane, Bound, Clock, Codec, Error, ErrorKind, Key, L1, L2, Random, Result};
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::doubts::Doubts;
use crate::early::Lead;
use crate::far::Far;
use crate::guard::{Guard, GuardedBackplane};
use crate::holdoff::HoldOffs;
use crate::lost::LostClaims;
use crate::marks::Marks;
use crate::mend::Mender;
use crate::near::Near;
use crate::outbox::Bus;
use crate::ration::Ration;
use crate::running::Running;
use crate::seeded::Seeded;
use crate::settings::Settings;
use crate::shared::{CONFIRMATIONS, Shared};
use crate::shutdown::Phase;
use crate::stats::Counters;
use crate::trust::Trust;
use crate::wall::Wall;
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
    backplane: Link,
    weigh: Option<Weigh<V>>,
    settings: Settings,
    clock: Clock,
    random: Random,
    is_guarded: bool,
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
            backplane: Link::OfL2,
            weigh: None,
            settings: Settings::default(),
            clock: Clock::system(),
            random: Random::new(),
            is_guarded: true,
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

    /// How the nodes of the namespace tell each other of changes. Default: the L2's own backplane, which Redis and the embedded
    /// store have.
    pub fn backplane(mut self, backplane: impl Backplane) -> Self {
        self.backplane = Link::Given(Arc::new(backplane));
        self
    }

    /// The nodes do not tell each other of changes, for an L2 that only one process uses, or that has no backplane: copies in L1 stay until their own end, whatever other nodes do.
    pub fn without_backplane(mut self) -> Self {
        self.backplane = Link::None;
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

    /// Without the guard around L2, so that a bench can tell what it costs.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn without_guard(mut self) -> Self {
        self.is_guarded = false;
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
    /// at all, the L2 has no backplane and nothing was said about it, or values cannot be weighed.
    pub fn build(self) -> Result<Cache<V, K>> {
        self.check()?;
        self.settings.check(self.l2.is_some())?;
        let bound = self.l1.as_ref().map(|l1| l1.bound());
        let weight = Weight {
            is_wanted: matches!(bound, Some(Bound::Bytes(_))),
            of_value: self.weigh,
        };
        let (namespace, settings, random) = (self.namespace, self.settings, self.random);
        let clock = self.clock;
        let bus = self.backplane.resolve(self.l2.as_deref())?.map(|link| {
            let link = GuardedBackplane::new(link, &namespace, &settings, &clock);
            Arc::new(Bus::new(link, &namespace, random.bits().max(1)))
        });
        let far = self.l2.zip(self.codec).map(|(l2, codec)| {
            let guard = Guard::new(Arc::clone(&l2), &namespace, &settings, &clock);
            let wire = Wire::new(&namespace, codec, &settings);
            let guarded = self
                .is_guarded
                .then(|| Arc::new(guard.clone()) as Arc<dyn L2>);
            let l2 = guarded.unwrap_or(l2);
            Far { l2, guard, wire }
        });
        let trust = match bus {
            Some(_) => Trust::in_backplane(settings.coherence.bound),
            None => Trust::alone(settings.coherence.bound),
        };
        Ok(Cache::new(Shared {
            near: Near::new(self.l1, trust, &random),
            far,
            marks: Marks::new(&namespace),
            wall: Wall::new(),
            doubts: Doubts::new(Seeded::new(&random)),
            lost_claims: LostClaims::default(),
            mender: Mender::default(),
            bus,
            hold_offs: HoldOffs::new(Seeded::new(&random)),
            lead: Lead::new(settings.early_refresh),
            room: Arc::new(Semaphore::new(settings.throttle.max_loads)),
            early: Arc::new(Semaphore::new(settings.throttle.max_early)),
            loads: Running::default(),
            writes: Running::default(),
            outage_loads: Ration::new(settings.throttle.outage_loads, clock.now()),
            phase: Phase::default(),
            confirmations: Semaphore::new(CONFIRMATIONS),
            weight,
            built: clock.now(),
            clock,
            random,
            counters: Counters::new(),
            namespace,
            settings,
        }))
    }

    fn check(&self) -> Result<()> {
        check_namespace(&self.namespace)?;
        let bound = self.l1.as_ref().map(|l1| l1.bound());
        let wrong = if self.l1.is_none() && self.l2.is_none() {
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

pub(crate) fn check_namespace(namespace: &str) -> Result<()> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (1..=64).contains(&namespace.len()) && namespace.bytes().all(is_allowed) {
        return Ok(());
    }
    let message = "a namespace is 1 to 64 ascii letters, digits, '.', '-' or '_'";
    Err(Error::new(ErrorKind::Config, message))
}

/// Which backplane the cache is to have.
enum Link {
    OfL2,
    Given(Arc<dyn Backplane>),
    None,
}

impl Link {
    fn resolve(self, l2: Option<&dyn L2>) -> Result<Option<Arc<dyn Backplane>>> {
        let of_l2 = l2.map(L2::backplane);
        match (self, of_l2) {
            (Self::Given(backplane), _) => Ok(Some(backplane)),
            (Self::OfL2, Some(None)) => Err(Error::new(
                ErrorKind::Config,
                "the l2 has no backplane: give one, or say `without_backplane`",
            )),
            (Self::OfL2, Some(of_l2)) => Ok(of_l2),
            (Self::OfL2, None) | (Self::None, _) => Ok(None),
        }
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
