//! A hit in L1 against the same hit in moka alone, on one thread and on two.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tiered::{Cache, Moka};
use tiered_benches::Package;

const KEYS: usize = 1_000;
const ROOM: u64 = 10_000;

fn l1_hit(criterion: &mut Criterion) {
    let keys: Arc<[String]> = (0..KEYS)
        .map(|number| format!("package:{number}"))
        .collect();
    let moka = moka::sync::Cache::new(ROOM);
    let cache = Cache::builder("bench")
        .l1(Moka::entries(ROOM))
        .build()
        .expect("the settings make sense");
    block_on(async {
        for (number, key) in keys.iter().enumerate() {
            let value = Arc::new(Package::numbered(number));
            moka.insert(key.clone(), Arc::clone(&value));
            cache.set(key, value).await;
        }
    });

    let mut group = criterion.benchmark_group("l1_hit");
    for threads in [1, 2] {
        let id = |name| BenchmarkId::new(name, threads);
        group.bench_function(id("moka"), |bencher| {
            bencher.iter_custom(|hits| {
                on_threads(threads, hits, &keys, |key| drop(black_box(moka.get(key))))
            });
        });
        group.bench_function(id("tiered"), |bencher| {
            bencher.iter_custom(|hits| {
                on_threads(threads, hits, &keys, |key| {
                    drop(black_box(block_on(cache.get(key))));
                })
            });
        });
        group.bench_function(id("tiered_get_or_load"), |bencher| {
            let load = || async { Ok::<Package, std::io::Error>(Package::numbered(0)) };
            bencher.iter_custom(|hits| {
                on_threads(threads, hits, &keys, |key| {
                    drop(black_box(block_on(cache.get_or_load(key, load))));
                })
            });
        });
    }
    group.finish();
}

/// How long each of the threads takes for so many hits.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the full clock"
)]
fn on_threads(threads: usize, hits: u64, keys: &[String], hit: impl Fn(&str) + Sync) -> Duration {
    let hit = &hit;
    let work = move || {
        let begin = Instant::now();
        for (key, _) in keys.iter().cycle().zip(0..hits) {
            hit(key);
        }
        begin.elapsed()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let times = workers
            .into_iter()
            .map(|worker| worker.join().expect("no hit panics"));
        times.sum::<Duration>() / u32::try_from(threads).unwrap_or(1)
    })
}

/// A hit never waits: one poll is all it takes.
fn block_on<T>(hit: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(hit).expect("a hit does not wait")
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(60).warm_up_time(Duration::from_secs(1));
    targets = l1_hit
}
criterion_main!(benches);
