//! A hit in L1 against the same hit in moka alone, on one thread and on two.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
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
        let mut bench = |name, hits: &(dyn Fn(u64) + Sync)| {
            group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                bencher.iter_custom(|number| on_threads(threads, || hits(number)));
            });
        };
        bench("moka", &|hits| {
            for key in keys.iter().cycle().take(count(hits)) {
                black_box(moka.get(key.as_str()));
            }
        });
        bench("tiered", &|hits| {
            block_on(async {
                for key in keys.iter().cycle().take(count(hits)) {
                    black_box(cache.get(key).await);
                }
            });
        });
        bench("tiered_get_or_load", &|hits| {
            block_on(async {
                let load = || async { Err::<Package, _>("it is there") };
                for key in keys.iter().cycle().take(count(hits)) {
                    black_box(cache.get_or_load(key, load).await.expect("it is there"));
                }
            });
        });
    }
    group.finish();
}

/// How long each of the threads takes for its work.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the full clock"
)]
fn on_threads(threads: usize, work: impl Fn() + Sync) -> Duration {
    let measured = || {
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(measured)).collect();
        let times = workers
            .into_iter()
            .map(|worker| worker.join().expect("no hit panics"));
        times.sum::<Duration>() / u32::try_from(threads).unwrap_or(1)
    })
}

/// Hits never wait: one poll is all it takes.
fn block_on<T>(hits: impl Future<Output = T>) -> T {
    hits.now_or_never().expect("a hit does not wait")
}

fn count(number: u64) -> usize {
    usize::try_from(number).expect("it is a count of hits")
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(60).warm_up_time(Duration::from_secs(1));
    targets = l1_hit
}
criterion_main!(benches);
