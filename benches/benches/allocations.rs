//! Counts allocations, which no noise disturbs: all tasks run on one thread, fred's own included.

use allocation_counter::{AllocationInfo, measure};
use tiered::{Cache, Compression, Moka, Redis, Settings};
use tiered_benches::world::PAST_L1;
use tiered_benches::{Fred, Package};
use tiered_tests::RedisServer;
use tokio::runtime::{Builder, Runtime};

const ROUNDS: u64 = 1_000;

fn main() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let server = runtime.block_on(RedisServer::start());
    let fred = runtime.block_on(Fred::connect(&server.url()));
    let redis = runtime
        .block_on(Redis::connect(&server.url()))
        .expect("the server is there");
    let settings = Settings {
        compression: Compression::None,
        ..Settings::default()
    };
    let cache = || {
        Cache::builder("cache")
            .l1(Moka::entries(1_000))
            .l2(redis.clone())
            .settings(settings.clone())
    };
    let unguarded = cache().without_guard();
    let unguarded: Cache<Package> = unguarded.build().expect("the settings make sense");
    let cache: Cache<Package> = cache().build().expect("the settings make sense");
    let value = std::sync::Arc::new(Package::numbered(7));
    let load = || async { Err::<Package, _>("it is there") };

    print(
        "set: bincode and fred",
        count(&runtime, async || fred.set(0, "k", &value).await),
    );
    print(
        "set: tiered",
        count(&runtime, async || drop(cache.set("k", value.clone()).await)),
    );
    print(
        "L2 hit: fred and bincode",
        count(&runtime, async || drop(fred.get(0, "k").await)),
    );
    print(
        "L2 hit: tiered, get",
        count(&runtime, async || drop(cache.with(PAST_L1).get("k").await)),
    );
    let past_the_guard = async || drop(unguarded.with(PAST_L1).get("k").await);
    print("  without the guard", count(&runtime, past_the_guard));
    let through = async || drop(cache.with(PAST_L1).get_or_load("k", load).await);
    print("L2 hit: tiered, get_or_load", count(&runtime, through));
    print(
        "L1 hit: tiered, get",
        count(&runtime, async || drop(cache.get("k").await)),
    );
    print(
        "L1 hit: tiered, get_or_load",
        count(&runtime, async || drop(cache.get_or_load("k", load).await)),
    );
    let _inside = runtime.enter();
    drop((cache, unguarded, fred));
}

fn count(runtime: &Runtime, operation: impl AsyncFn()) -> AllocationInfo {
    runtime.block_on(operation());
    measure(|| {
        for _ in 0..ROUNDS {
            runtime.block_on(operation());
        }
    })
}

fn print(what: &str, info: AllocationInfo) {
    let each = |number: u64| format!("{}.{}", number / ROUNDS, number % ROUNDS * 10 / ROUNDS);
    println!(
        "{what:<28} {:>6} allocations  {:>8} bytes",
        each(info.count_total),
        each(info.bytes_total)
    );
}
