//! Every ratio that the README quotes, in a minute: the two sides take turns in short rounds, so that what else the
//! machine does meets both, and the median of the rounds' ratios is printed. The other benches tell more of each.

use std::hint::black_box;
use std::sync::Arc;

use futures_util::FutureExt;
use tiered::bench::Frames;
use tiered::{Bincode, Cache, EarlyRefresh, Moka, Settings};
use tiered_benches::turns::{compare, heading, measure, on_threads, over, report, timed};
use tiered_benches::world::World;
use tiered_benches::{Package, decode, encode, runtime, time};
use tiered_tests::RedisServer;
use zstd::bulk::{Compressor, Decompressor};

fn main() {
    heading("baseline", "tiered");
    l1();
    frames();
    l2();
}

fn l1() {
    let keys: Vec<String> = (0..1_000)
        .map(|number| format!("package:{number}"))
        .collect();
    let moka = moka::sync::Cache::new(10_000);
    let settings = Settings {
        early_refresh: EarlyRefresh::XFetch(1.0),
        ..Settings::default()
    };
    let cache = Cache::builder("bench")
        .l1(Moka::entries(10_000))
        .settings(settings)
        .build()
        .expect("the settings make sense");
    for (number, key) in keys.iter().enumerate() {
        let value = Arc::new(Package::numbered(number));
        moka.insert(key.clone(), Arc::clone(&value));
        cache
            .set(key, value)
            .now_or_never()
            .expect("L1 does not wait");
    }
    let hits = 200_000;
    for threads in [1, 2] {
        let moka = || {
            on_threads(threads, hits, || {
                keys.iter()
                    .cycle()
                    .take(hits)
                    .for_each(|key| drop(black_box(moka.get(key.as_str()))));
            })
        };
        let get = || {
            let work = async {
                for key in keys.iter().cycle().take(hits) {
                    black_box(cache.get(key).await);
                }
            };
            work.now_or_never().expect("hits do not wait");
        };
        compare(&format!("L1 hit, {threads} thread(s): moka"), moka, || {
            on_threads(threads, hits, get)
        });
        let load = || async { Err::<Package, _>("it is there") };
        let get_or_load = || {
            let work = async {
                for key in keys.iter().cycle().take(hits) {
                    black_box(cache.get_or_load(key, load).await.expect("it is there"));
                }
            };
            work.now_or_never().expect("hits do not wait");
        };
        compare("  with get_or_load", moka, || {
            on_threads(threads, hits, get_or_load)
        });
    }
}

fn frames() {
    const NAME: &str = "packages:4711";
    let values: Vec<_> = (0..64)
        .map(|number| Arc::new(Package::numbered(number)))
        .collect();
    let frames = Frames::new(Bincode, &Settings::default());
    let records: Vec<_> = values
        .iter()
        .map(|value| frames.encode(NAME, value).expect("it fits"))
        .collect();
    let mut compressor = Compressor::new(3).expect("level 3 exists");
    let mut decompressor = Decompressor::new().expect("a context can be made");
    let packed: Vec<_> = values
        .iter()
        .map(|value| encode(value))
        .map(|raw| (compressor.compress(&raw).expect("it compresses"), raw.len()))
        .collect();
    compare(
        "encode and compress: bincode, zstd",
        || {
            many(&values, |value| {
                drop(black_box(compressor.compress(&encode(value))));
            })
        },
        || many(&values, |value| drop(black_box(frames.encode(NAME, value)))),
    );
    compare(
        "decompress and decode: zstd, bincode",
        || {
            many(&packed, |(packed, length)| {
                let raw = decompressor
                    .decompress(packed, *length)
                    .expect("it was compressed");
                drop(black_box(Arc::new(decode(&raw))));
            })
        },
        || {
            many(&records, |record| {
                drop(black_box(frames.decode(NAME, record)));
            })
        },
    );
}

/// Compares an operation of fred with one of the cache, done by so many callers at once.
macro_rules! compare_l2 {
    ($runtime:ident, $world:ident, $what:expr, $callers:expr, $operations:expr, $baseline:ident, $ours:ident) => {
        compare(
            &format!("{}, {} caller(s)", $what, $callers),
            || {
                over(
                    $operations,
                    run!($runtime, $world, $callers, $operations, $baseline),
                )
            },
            || {
                over(
                    $operations,
                    run!($runtime, $world, $callers, $operations, $ours),
                )
            },
        );
    };
}

macro_rules! run {
    ($runtime:ident, $world:ident, $callers:expr, $operations:expr, $operation:ident) => {{
        let world = $world.clone();
        let operation = move |number| {
            let world = world.clone();
            async move { world.$operation(number).await }
        };
        $runtime.block_on(time($callers, $operations, operation))
    }};
}

/// The same for one caller, who does the two in turn, operation by operation: how long a lone caller waits is a matter of
/// how fast the machine wakes up, which comes and goes.
macro_rules! alternate_l2 {
    ($runtime:ident, $world:ident, $what:expr, $operations:expr, $baseline:ident, $ours:ident) => {
        let turns = |number: u64| {
            let world = $world.clone();
            $runtime.block_on($runtime.spawn(async move {
                // Who comes second finds the machine awake.
                if number.is_multiple_of(2) {
                    let base = timed(world.$baseline(number)).await;
                    (base, timed(world.$ours(number)).await)
                } else {
                    let mine = timed(world.$ours(number)).await;
                    (timed(world.$baseline(number)).await, mine)
                }
            }))
        };
        let rounds = (0..$operations).map(|number| turns(number).expect("no operation panics"));
        report(&format!("{}, 1 caller", $what), &rounds.collect::<Vec<_>>());
    };
}

fn l2() {
    let runtime = runtime();
    let server = runtime.block_on(RedisServer::start());
    let world = runtime.block_on(World::new(&server));
    let hit = "L2 hit: GET, bincode";
    alternate_l2!(runtime, world, hit, 20_000, fred_get, cache_get);
    alternate_l2!(
        runtime,
        world,
        "  with get_or_load",
        20_000,
        fred_get,
        cache_get_or_load
    );
    compare_l2!(runtime, world, hit, 64, 20_000, fred_get, cache_get);
    compare_l2!(
        runtime,
        world,
        "  with get_or_load",
        64,
        20_000,
        fred_get,
        cache_get_or_load
    );
    compare_l2!(runtime, world, hit, 256, 20_000, fred_get, cache_get);
    compare_l2!(
        runtime,
        world,
        "  with get_or_load",
        256,
        20_000,
        fred_get,
        cache_get_or_load
    );
    alternate_l2!(
        runtime,
        world,
        "get_many of 100: MGET, bincode",
        5_000,
        fred_get_many,
        cache_get_many
    );
    alternate_l2!(
        runtime,
        world,
        "set: bincode, SET",
        20_000,
        fred_set,
        cache_set
    );
    compare_l2!(
        runtime,
        world,
        "set: bincode, SET",
        64,
        10_000,
        fred_set,
        cache_set
    );
    let guard = "L2 hit: without the guard, with it";
    alternate_l2!(runtime, world, guard, 20_000, unguarded_get, cache_get);
    compare_l2!(runtime, world, guard, 256, 20_000, unguarded_get, cache_get);
    let _inside = runtime.enter();
    drop(world);
}

fn many<T>(items: &[T], mut work: impl FnMut(&T)) -> f64 {
    let times = 5_000;
    over(
        times as u64,
        measure(|| items.iter().cycle().take(times).for_each(&mut work)),
    )
}
