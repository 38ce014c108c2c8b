//! What coherence costs: each operation with it, next to the same without, in the same run and on the same server.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tiered::{Cache, Compression, Entry, Moka, Redis, Settings};
use tiered_benches::turns::{compare, heading, on_threads, over, report, timed};
use tiered_benches::world::PAST_L1;
use tiered_benches::{Fred, Package, runtime, time};
use tiered_tests::RedisServer;
use tokio::runtime::Runtime;

const KEYS: usize = 1_000;
const TAGS: [&str; 3] = ["team:7", "of the engine", "2026"];

/// Caches with and without coherence, filled with the same packages, and fred by itself.
#[derive(Clone)]
struct World {
    on: Cache<Package>,
    off: Cache<Package>,
    tagged: Cache<Package>,
    fred: Fred,
    keys: Arc<[String]>,
    values: Arc<[Arc<Package>]>,
    /// How many keys were loaded.
    asked: Arc<AtomicU64>,
}

fn main() {
    let runtime = runtime();
    let server = runtime.block_on(RedisServer::start());
    let world = runtime.block_on(World::new(&server.url()));
    println!("an entry in L1: {} bytes", size_of::<Entry<Package>>());
    heading("without", "with");
    l1_hits(&runtime, &world);
    let hit = |cache: fn(&World) -> &Cache<Package>| {
        move |world: World, number| async move {
            black_box(cache(&world).with(PAST_L1).get(world.key(number)).await);
        }
    };
    both(
        &runtime,
        &world,
        "L2 hit",
        hit(|world| &world.off),
        hit(|world| &world.on),
    );
    let tagged = hit(|world| &world.tagged);
    both(
        &runtime,
        &world,
        "L2 hit, 3 tags",
        hit(|world| &world.off),
        tagged,
    );
    let set = |cache: fn(&World) -> &Cache<Package>| {
        move |world: World, number| async move {
            let (key, value) = (world.key(number), world.value(number));
            black_box(cache(&world).set(key, value).await);
        }
    };
    both(
        &runtime,
        &world,
        "set",
        set(|world| &world.off),
        set(|world| &world.on),
    );
    let remove = |cache: fn(&World) -> &Cache<Package>| {
        move |world: World, number| async move {
            black_box(cache(&world).remove(world.key(number)).await);
        }
    };
    both(
        &runtime,
        &world,
        "remove",
        remove(|world| &world.off),
        remove(|world| &world.on),
    );
    heading("fred", "with");
    both(
        &runtime,
        &world,
        "load and fill: GET, load, SET",
        World::fred_load,
        World::load,
    );
    let _inside = runtime.enter();
    drop(world);
}

fn l1_hits(runtime: &Runtime, world: &World) {
    let hits = 200_000;
    for threads in [1, 2] {
        let get = |cache: &Cache<Package>| {
            // Not all are hits: on a busy machine a node may not hear itself in time, and asks L2 then.
            runtime.block_on(async {
                for key in world.keys.iter().cycle().take(hits) {
                    black_box(cache.get(key).await);
                }
            });
        };
        compare(
            &format!("L1 hit, {threads} thread(s)"),
            || on_threads(threads, hits, || get(&world.off)),
            || on_threads(threads, hits, || get(&world.on)),
        );
    }
}

/// Compares two operations, done by one caller in turn, and by 64.
fn both<A, B, FA, FB>(runtime: &Runtime, world: &World, what: &str, base: A, ours: B)
where
    A: Fn(World, u64) -> FA + Clone + Send + Sync + 'static,
    B: Fn(World, u64) -> FB + Clone + Send + Sync + 'static,
    FA: Future<Output = ()> + Send + 'static,
    FB: Future<Output = ()> + Send + 'static,
{
    let turn = |number: u64| {
        let (world, base, ours) = (world.clone(), base.clone(), ours.clone());
        let turn = runtime.spawn(async move {
            // Who comes second finds the machine awake.
            if number.is_multiple_of(2) {
                let base = timed(base(world.clone(), number)).await;
                (base, timed(ours(world, number)).await)
            } else {
                let ours = timed(ours(world.clone(), number)).await;
                (timed(base(world, number)).await, ours)
            }
        });
        runtime.block_on(turn).expect("no operation panics")
    };
    report(
        &format!("{what}, 1 caller"),
        &(0..10_000).map(turn).collect::<Vec<_>>(),
    );
    compare(
        &format!("{what}, 64 callers"),
        || many(runtime, world, base.clone()),
        || many(runtime, world, ours.clone()),
    );
}

fn many<F, Fut>(runtime: &Runtime, world: &World, operation: F) -> f64
where
    F: Fn(World, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    const OPERATIONS: u64 = 10_000;
    let world = world.clone();
    let operation = move |number| operation(world.clone(), number);
    over(
        OPERATIONS,
        runtime.block_on(time(64, OPERATIONS, operation)),
    )
}

impl World {
    async fn new(url: &str) -> Self {
        let redis = Redis::connect(url).await.expect("the server is there");
        let node = |namespace: &str| {
            let settings = Settings {
                compression: Compression::None,
                ..Settings::default()
            };
            let l1 = Moka::entries(100_000);
            Cache::builder(namespace)
                .l1(l1)
                .l2(redis.clone())
                .settings(settings)
        };
        let values = |number| Arc::new(Package::numbered(number));
        let world = Self {
            on: node("on").build().expect("the settings make sense"),
            off: node("off")
                .without_backplane()
                .build()
                .expect("the settings make sense"),
            tagged: node("tagged").build().expect("the settings make sense"),
            fred: Fred::connect(url).await,
            keys: (0..KEYS)
                .map(|number| format!("package:{number}"))
                .collect(),
            values: (0..KEYS).map(values).collect(),
            asked: Arc::default(),
        };
        for number in 0..KEYS as u64 {
            let (key, value) = (world.key(number), world.value(number));
            world.on.set(key, Arc::clone(&value)).await;
            world.off.set(key, Arc::clone(&value)).await;
            world.tagged.with(PAST_L1).tags(&TAGS).set(key, value).await;
        }
        world
    }

    /// A key that nobody has asked for before is loaded.
    async fn load(self, _: u64) {
        let number = self.next();
        let (key, value) = (format!("load:{number}"), self.value(number));
        let load = move || async move { Ok::<_, Infallible>(value) };
        black_box(self.on.get_or_load(&key, load).await.expect("it is loaded"));
    }

    async fn fred_load(self, _: u64) {
        let number = self.next();
        let at = usize::try_from(number).unwrap_or_default();
        let key = format!("fred:{number}");
        black_box(self.fred.find(at, &key).await);
        self.fred.set(at, &key, &self.value(number)).await;
    }

    fn next(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed)
    }

    fn key(&self, number: u64) -> &str {
        let at = usize::try_from(number).unwrap_or_default() % KEYS;
        self.keys.get(at).expect("the number is below the length")
    }

    fn value(&self, number: u64) -> Arc<Package> {
        let at = usize::try_from(number).unwrap_or_default() % KEYS;
        let value = self.values.get(at);
        Arc::clone(value.expect("the number is below the length"))
    }
}
