//! Hits in L2, batches and sets against fred and bincode alone, on a `redis-server` of their own.
//!
//! The baseline does what a program would do by hand: the same codec, as many connections, the same timeouts. It does
//! not compress, so neither does the cache here; what compression costs is in the bench `frame`.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tiered_benches::world::World;
use tiered_benches::{runtime, time};
use tiered_tests::RedisServer;

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
