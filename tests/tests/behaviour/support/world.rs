use std::sync::Arc;
use std::time::Duration;

use tiered::{
    Access, Builder, Cache, Compression, Embedded, Key, L2, ManualClock, Moka, Options, Record,
    Settings, Write,
};

use super::spy::Spy;

/// A second tier that some nodes share, and their clock, which stands still.
pub(crate) struct World {
    pub(crate) hand: ManualClock,
    pub(crate) store: Embedded,
    pub(crate) spy: Spy,
}

impl World {
    pub(crate) fn new() -> Self {
        let hand = ManualClock::new();
        let store = Embedded::new().with_clock(hand.clone());
        let spy = Spy::new(store.clone());
        Self { hand, store, spy }
    }

    /// A node with both tiers.
    pub(crate) fn node(&self) -> Cache<String> {
        self.builder().build().unwrap()
    }

    /// A node without L1: what it sees is what L2 holds.
    pub(crate) fn far_node(&self) -> Cache<String> {
        let node = self.bare().l2(self.store.clone()).settings(settings());
        node.build().unwrap()
    }

    /// A node without L2.
    pub(crate) fn near_node(&self) -> Cache<String> {
        let node = self.bare().l1(Moka::entries(100_000)).settings(settings());
        node.build().unwrap()
    }

    /// A node with both tiers, to be altered.
    pub(crate) fn builder(&self) -> Builder<String> {
        let node = self.bare().l1(Moka::entries(100_000));
        node.l2(self.spy.clone()).settings(settings())
    }

    pub(crate) fn node_with(&self, settings: Settings) -> Cache<String> {
        self.builder().settings(settings).build().unwrap()
    }

    /// No tiers yet, on the world's clock, and deaf: what other nodes say is the business of the module `coherence`.
    pub(crate) fn bare<K: Key + ?Sized>(&self) -> Builder<String, K> {
        let node = Builder::new("users").clock(self.hand.clone());
        node.without_backplane()
    }

    pub(crate) fn pass(&self, millis: u64) {
        self.hand.advance(Duration::from_millis(millis));
    }

    /// Lets time pass for nodes that go on meanwhile.
    pub(crate) async fn live(&self, mut millis: u64) {
        others_turn().await;
        while millis > 0 {
            let step = millis.min(50);
            self.pass(step);
            others_turn().await;
            millis -= step;
        }
    }

    /// The bytes that L2 holds under this key of the namespace `users`.
    pub(crate) async fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        let name = format!("users:{key}");
        let record = self.store.get_many(&[&name]).await.remove(0).unwrap()?;
        Some(record.bytes().to_vec())
    }

    /// Puts bytes under this key of the namespace `users` in L2.
    pub(crate) async fn plant(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        let name = format!("users:{key}");
        let write = Write {
            key: &name,
            record: Record::new(bytes.into()),
            life: Duration::from_secs(3_600),
        };
        self.store.set_many(&[write]).await.remove(0).unwrap();
    }
}

/// A ttl of 10 seconds, 2 for "there is none", no jitter, and small values stored as they are.
pub(crate) fn settings() -> Settings {
    Settings {
        ttl: Duration::from_secs(10),
        negative_ttl: Duration::from_secs(2),
        jitter: 0.0,
        compression: Compression::None,
        ..Settings::default()
    }
}

pub(crate) const NEAR_ONLY: Options = Options {
    l2: Access::Skip,
    ..DEFAULT
};
pub(crate) const FAR_ONLY: Options = Options {
    l1: Access::Skip,
    ..DEFAULT
};
/// Only what is fresh will do.
pub(crate) const FRESH: Options = Options {
    refuses_stale: true,
    ..DEFAULT
};
pub(crate) const DEFAULT: Options = Options {
    ttl: None,
    l1_ttl: None,
    negative_ttl: None,
    l1: Access::ReadWrite,
    l2: Access::ReadWrite,
    after: None,
    soft: None,
    hard: None,
    refuses_stale: false,
};

/// What L1 holds, and what L2 holds, if it is a fresh value.
pub(crate) async fn tiers<K: Key + ?Sized>(
    cache: &Cache<String, K>,
    key: &K,
) -> (Option<String>, Option<String>) {
    (
        value_in(cache, key, NEAR_ONLY).await,
        value_in(cache, key, FAR_ONLY).await,
    )
}

async fn value_in<K: Key + ?Sized>(
    cache: &Cache<String, K>,
    key: &K,
    options: Options,
) -> Option<String> {
    let answer = cache.with(options).get(key).await?;
    answer.value.map(Arc::unwrap_or_clone)
}

/// As [`tiers`] gives them.
pub(crate) fn both(value: &str) -> (Option<String>, Option<String>) {
    (Some(value.to_owned()), Some(value.to_owned()))
}

pub(crate) const NEITHER: (Option<String>, Option<String>) = (None, None);

/// Waits for what comes at once unless something is broken: then the test fails rather than hangs.
pub(crate) async fn promptly<T>(work: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(20);
    let work = tokio::time::timeout(patience, work).await;
    work.expect("what is waited for comes")
}

/// Gives others their turn until this holds; fails if it never does.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let work = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(20);
    let came = tokio::time::timeout(patience, work).await;
    assert!(came.is_ok(), "never came: {what}");
}

/// Gives others their turn, often enough on a runtime of one thread for all that can end to end.
pub(crate) async fn others_turn() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
