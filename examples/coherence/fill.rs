use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tiered::Cache;
use tiered_examples::{Failure, Moment};
use tokio::task::JoinSet;

/// How many tasks work side by side.
pub(crate) const TASKS: usize = 64;

/// A node that has just subscribed doubts once more what it holds, until all others must have spoken: by then the default
/// bound has passed.
const SETTLED: Duration = Duration::from_millis(1_200);

/// Loads all keys below `keys`, each with a value of some 200 bytes, into a node that has settled.
pub(crate) async fn fill(cache: &Cache<String, u32>, keys: u32) -> Result<(), Failure> {
    let cache = cache.clone();
    cache.contains(&0).await;
    tokio::time::sleep(SETTLED).await;
    let waits = for_each(keys, move |key| {
        let cache = cache.clone();
        async move {
            let load = move || async move { Ok::<_, Infallible>(format!("{key:0>200}")) };
            cache.get_or_load(&key, load).await.is_ok()
        }
    });
    match waits.await?.failed {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} keys could not be loaded"))),
    }
}

/// How long work on keys took.
pub(crate) struct Waits {
    pub(crate) each: Vec<Duration>,
    pub(crate) whole: Duration,
    pub(crate) failed: usize,
}

/// Does `work` for all keys below `keys`, so many at a time as there are tasks. `work` says whether it succeeded.
pub(crate) async fn for_each<F, Fut>(keys: u32, work: F) -> Result<Waits, Failure>
where
    F: Fn(u32) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = bool> + Send,
{
    let (next, begin) = (Arc::new(AtomicU32::new(0)), Moment::now());
    let task = |_| {
        let (next, work) = (Arc::clone(&next), work.clone());
        async move {
            let (mut waits, mut failed) = (Vec::new(), 0);
            while let Some(key) =
                Some(next.fetch_add(1, Ordering::Relaxed)).filter(|key| *key < keys)
            {
                let begin = Moment::now();
                failed += usize::from(!work(key).await);
                waits.push(Moment::now().since(begin));
                // A hit in L1 does not wait: many in a row would keep other tasks from their turn.
                tokio::task::consume_budget().await;
            }
            (waits, failed)
        }
    };
    let mut tasks: JoinSet<_> = (0..TASKS).map(task).collect();
    let mut all = Waits {
        each: Vec::new(),
        whole: Duration::ZERO,
        failed: 0,
    };
    while let Some(task) = tasks.join_next().await {
        let (waits, failed) = task.map_err(|error| Failure::new("a task died").because(error))?;
        all.each.extend(waits);
        all.failed += failed;
    }
    all.whole = Moment::now().since(begin);
    Ok(all)
}
