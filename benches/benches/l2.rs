//! Hits in L2, batches and sets against fred and bincode alone, on a `redis-server` of their own.
//!
//! The baseline does what a program would do by hand: the same codec, as many connections, the same timeouts. It does
//! not compress, so neither does the cache here; what compression costs is in the bench `frame`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fred::interfaces::KeysInterface;
use tiered::{Access, Cache, Compression, Moka, Options, Redis, Settings};
use tiered_benches::{Fred, Package, decode, runtime, time};
use tiered_tests::RedisServer;

const KEYS: usize = 1_000;
const PAST_L1: Options = Options {
    ttl: None,
    l1_ttl: None,
    negative_ttl: None,
    l1: Access::Skip,
    l2: Access::ReadWrite,
};

/// Both sides, with the same packages in the same server.
#[derive(Clone)]
struct World {
    fred: Fred,
    cache: Cache<Package>,
    keys: Arc<[String]>,
    values: Arc<[Arc<Package>]>,
}

impl World {
    async fn new(server: &RedisServer) -> Self {
        let redis = Redis::connect(&server.url())
            .await
            .expect("the server is there");
        let settings = Settings {
            compression: Compression::None,
            ..Settings::default()
        };
        let cache = Cache::builder("cache")
            .l1(Moka::entries(100_000))
            .l2(redis)
            .settings(settings);
        let world = Self {
            fred: Fred::connect(&server.url()).await,
            cache: cache.build().expect("the settings make sense"),
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

    async fn fred_get(&self, number: u64) {
        let (at, key, _) = self.at(number);
        black_box(self.fred.get(at, key).await);
    }

    async fn cache_get(&self, number: u64) {
        let (_, key, _) = self.at(number);
        black_box(
            self.cache
                .with(PAST_L1)
                .get(key)
                .await
                .expect("it is there"),
        );
    }

    async fn cache_get_or_load(&self, number: u64) {
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

    async fn fred_set(&self, number: u64) {
        let (at, key, value) = self.at(number);
        self.fred.set(at, key, value).await;
    }

    async fn cache_set(&self, number: u64) {
        let (_, key, value) = self.at(number);
        self.cache
            .set(key, Arc::clone(value))
            .await
            .ok()
            .expect("the server takes it");
    }

    async fn fred_get_many(&self, number: u64) {
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

    async fn cache_get_many(&self, number: u64) {
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

/// Times an operation of the world, done by so many callers at once.
macro_rules! bench {
    ($group:ident, $name:literal, $callers:expr, $runtime:ident, $world:ident, $operation:ident) => {
        $group.bench_function(BenchmarkId::new($name, $callers), |bencher| {
            bencher.iter_custom(|operations| {
                let world = $world.clone();
                let operation = move |number| {
                    let world = world.clone();
                    async move { world.$operation(number).await }
                };
                $runtime.block_on(time($callers, operations, operation))
            });
        });
    };
}

fn l2(criterion: &mut Criterion) {
    let runtime = runtime();
    let server = runtime.block_on(RedisServer::start());
    let world = runtime.block_on(World::new(&server));

    let mut group = criterion.benchmark_group("l2_hit");
    group.throughput(Throughput::Elements(1));
    for callers in [1, 64, 256] {
        bench!(group, "fred+bincode", callers, runtime, world, fred_get);
        bench!(group, "tiered", callers, runtime, world, cache_get);
        bench!(
            group,
            "tiered_get_or_load",
            callers,
            runtime,
            world,
            cache_get_or_load
        );
    }
    group.finish();

    let mut group = criterion.benchmark_group("get_many_100");
    bench!(group, "fred+bincode", 1, runtime, world, fred_get_many);
    bench!(group, "tiered", 1, runtime, world, cache_get_many);
    group.finish();

    let mut group = criterion.benchmark_group("set");
    group.throughput(Throughput::Elements(1));
    for callers in [1, 64] {
        bench!(group, "bincode+fred", callers, runtime, world, fred_set);
        bench!(group, "tiered", callers, runtime, world, cache_set);
    }
    group.finish();
    let _inside = runtime.enter();
    drop(world);
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(40)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets = l2
}
criterion_main!(benches);
