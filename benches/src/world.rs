//! Both sides of a comparison, on one server.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use fred::interfaces::KeysInterface;
use tiered::{Access, Cache, Compression, Moka, Options, Redis, Settings};
use tiered_tests::RedisServer;

use crate::{Fred, Package, decode};

const KEYS: usize = 1_000;

/// A call that passes L1 by.
pub const PAST_L1: Options = Options {
    ttl: None,
    l1_ttl: None,
    negative_ttl: None,
    l1: Access::Skip,
    l2: Access::ReadWrite,
    after: None,
    soft: None,
    hard: None,
    refuses_stale: false,
};

/// Both sides, with the same packages in the same server.
#[derive(Clone)]
pub struct World {
    fred: Fred,
    cache: Cache<Package>,
    /// The same, without the guard around L2.
    unguarded: Cache<Package>,
    keys: Arc<[String]>,
    values: Arc<[Arc<Package>]>,
}

impl World {
    /// Connects both sides to this server, and fills it.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    pub async fn new(server: &RedisServer) -> Self {
        let redis = Redis::connect(&server.url())
            .await
            .expect("the server is there");
        let settings = Settings {
            compression: Compression::None,
            ..Settings::default()
        };
        let cache = || {
            Cache::builder("cache")
                .l1(Moka::entries(100_000))
                .l2(redis.clone())
                .settings(settings.clone())
        };
        let unguarded = cache().without_guard();
        let world = Self {
            fred: Fred::connect(&server.url()).await,
            cache: cache().build().expect("the settings make sense"),
            unguarded: unguarded.build().expect("the settings make sense"),
            keys: (0..KEYS)
                .map(|number| format!("package:{number}"))
                .collect(),
            values: (0..KEYS)
                .map(|number| Arc::new(Package::numbered(number)))
                .collect(),
        };
        for number in 0..KEYS as u64 {
            world.fred_set(number).await;
            world.cache_set(number).await;
        }
        world
    }

    /// A `GET` by fred, decoded.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    pub async fn fred_get(&self, number: u64) {
        let (at, key, _) = self.at(number);
        black_box(self.fred.get(at, key).await);
    }

    /// A hit in L2.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    pub async fn cache_get(&self, number: u64) {
        let (_, key, _) = self.at(number);
        black_box(
            self.cache
                .with(PAST_L1)
                .get(key)
                .await
                .expect("it is there"),
        );
    }

    /// A hit in L2 around which there is no guard.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    pub async fn unguarded_get(&self, number: u64) {
        let (_, key, _) = self.at(number);
        let found = self.unguarded.with(PAST_L1).get(key).await;
        black_box(found.expect("it is there"));
    }

    /// A hit in L2 on the way to a loader.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    pub async fn cache_get_or_load(&self, number: u64) {
        let (_, key, _) = self.at(number);
        let load = || async { Err::<Package, _>("it is there") };
        black_box(
            self.cache
                .with(PAST_L1)
                .get_or_load(key, load)
                .await
                .expect("it is there"),
        );
    }

    /// A `SET` by fred.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    pub async fn fred_set(&self, number: u64) {
        let (at, key, value) = self.at(number);
        self.fred.set(at, key, value).await;
    }

    /// A write through both tiers.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    pub async fn cache_set(&self, number: u64) {
        let (_, key, value) = self.at(number);
        self.cache
            .set(key, Arc::clone(value))
            .await
            .ok()
            .expect("the server takes it");
    }

    /// An `MGET` of a hundred keys by fred, decoded.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    pub async fn fred_get_many(&self, number: u64) {
        let keys: Vec<&str> = self.hundred(number).collect();
        let (at, ..) = self.at(number);
        let found: Vec<Bytes> = self
            .fred
            .client(at)
            .mget(keys)
            .await
            .expect("the server answers");
        black_box(
            found
                .iter()
                .map(|bytes| Arc::new(decode(bytes)))
                .collect::<Vec<_>>(),
        );
    }

    /// A hundred hits in L2.
    pub async fn cache_get_many(&self, number: u64) {
        black_box(
            self.cache
                .with(PAST_L1)
                .get_many(self.hundred(number))
                .await,
        );
    }

    fn hundred(&self, number: u64) -> impl Iterator<Item = &str> {
        let (at, ..) = self.at(number * 100);
        self.keys
            .iter()
            .cycle()
            .skip(at)
            .take(100)
            .map(String::as_str)
    }

    fn at(&self, number: u64) -> (usize, &str, &Arc<Package>) {
        let at = usize::try_from(number).unwrap_or_default() % KEYS;
        let (key, value) = (self.keys.get(at), self.values.get(at));
        (
            at,
            key.expect("the number is below the length"),
            value.expect("the number is below the length"),
        )
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
