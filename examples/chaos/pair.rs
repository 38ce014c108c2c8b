use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tiered::{Builder, Cache, Moka, Settings};
use tiered_examples::{Failure, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::latencies::Latencies;

/// Two caches that are asked alike, for keys that no tier has and a loader that takes no time. They are asked one after the
/// other, so that whatever else the machine does concerns both.
pub(crate) struct Pair {
    /// The one whose L2 is troubled.
    pub(crate) troubled: Cache<u32, u32>,
    /// One without L2.
    alone: Cache<u32, u32>,
    next_key: AtomicU32,
    failed: AtomicU64,
}

/// How long each of the two took.
#[derive(Default)]
pub(crate) struct Compared {
    pub(crate) troubled: Latencies,
    pub(crate) alone: Latencies,
}

impl Pair {
    pub(crate) fn new(troubled: Cache<u32, u32>) -> Result<Self, Failure> {
        let alone = Builder::new("alone").settings(Settings::default());
        let alone = alone.l1(Moka::entries(50_000)).build();
        Ok(Self {
            troubled,
            alone: alone.map_err(|error| Failure::new("cannot set up a cache").because(error))?,
            next_key: AtomicU32::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// How many requests have failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    /// Asks both from so many tasks, for so long.
    pub(crate) async fn ask_for(
        self: &Arc<Self>,
        workers: usize,
        lasts: Duration,
    ) -> Arc<Compared> {
        let end = Moment::now().plus(lasts);
        self.ask(workers, move || Moment::now() >= end).await
    }

    /// Asks both from so many tasks, until `is_over` says so.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        workers: usize,
        is_over: impl Fn() -> bool + Clone + Send + 'static,
    ) -> Arc<Compared> {
        let compared = Arc::new(Compared::default());
        let mut tasks = JoinSet::new();
        for _ in 0..workers {
            let (pair, compared, is_over) =
                (Arc::clone(self), Arc::clone(&compared), is_over.clone());
            tasks.spawn(async move {
                while !is_over() {
                    pair.ask_both(&compared).await;
                    sleep(PAUSE).await;
                }
            });
        }
        tasks.join_all().await;
        compared
    }

    /// Asks for the next key, and says how long it took.
    pub(crate) async fn ask_once(&self, cache: &Cache<u32, u32>) -> Duration {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let begin = Moment::now();
        let load = move || async move { Ok::<_, Infallible>(key) };
        let answer = cache.get_or_load(&key, load).await;
        let took = Moment::now().since(begin);
        let is_right = answer.is_ok_and(|value| *value == key);
        self.failed
            .fetch_add(u64::from(!is_right), Ordering::Relaxed);
        took
    }

    async fn ask_both(&self, compared: &Compared) {
        let mut both = [
            (&self.troubled, &compared.troubled),
            (&self.alone, &compared.alone),
        ];
        // Who comes first after a pause finds the machine busier.
        fastrand::shuffle(&mut both);
        for (cache, latencies) in both {
            latencies.note(self.ask_once(cache).await);
        }
    }
}

/// Of a task between two requests.
const PAUSE: Duration = Duration::from_millis(1);
