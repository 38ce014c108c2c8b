//! Loaders that never return, and those who wait for their keys.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tiered::{Cache, Clock, Deadlines, Options, Settings};
use tiered_examples::{Failure, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::ground::Ground;
use crate::targets::Targets;

const DEADLINES: Deadlines = Deadlines {
    soft: Duration::from_millis(250),
    hard: Duration::from_secs(1),
    abandon: Duration::from_secs(2),
    aborts: true,
    l2: Duration::from_millis(50),
};

/// A key of which there is a copy that is no longer fresh.
const STALE: u32 = 1;
/// A key of which there is none.
const COLD: u32 = 2;

pub(crate) async fn run(workers: usize) -> Result<Targets, Failure> {
    let ground = Ground::prepare().await?;
    let settings = Settings {
        ttl: Duration::from_millis(200),
        stale_for: Duration::from_secs(60),
        deadlines: DEADLINES,
        ..Settings::default()
    };
    let cache = Arc::new(ground.node(&settings, Clock::system()).await?);
    cache.set(&STALE, 0).await;
    sleep(Duration::from_millis(400)).await;
    let mut targets = Targets::default();
    with_a_copy(&cache, workers, &mut targets).await;
    without_a_copy(&cache, workers, &mut targets).await;
    Ok(targets)
}

async fn with_a_copy(cache: &Arc<Cache<u32, u32>>, workers: usize, targets: &mut Targets) {
    let mut callers: JoinSet<_> = (0..workers)
        .map(|_| hang(Arc::clone(cache), STALE))
        .collect();
    let (mut stale, mut longest) = (0, Duration::ZERO);
    while let Some(Ok((waited, is_stale))) = callers.join_next().await {
        longest = longest.max(waited);
        stale += usize::from(is_stale == Some(true));
    }
    targets.about("with an older copy");
    targets.tell("callers answered with it", format!("{stale} of {workers}"));
    targets.time("the longest wait", longest, DEADLINES.soft + SCHEDULING);
    targets.claim("nobody fails", stale == workers);
}

async fn without_a_copy(cache: &Arc<Cache<u32, u32>>, workers: usize, targets: &mut Targets) {
    let begin = Moment::now();
    let callers: JoinSet<_> = (0..workers)
        .map(|_| hang(Arc::clone(cache), COLD))
        .collect();
    let (free, waits) = tokio::join!(free_again(cache, begin), callers.join_all());
    let longest = waits.into_iter().map(|(waited, _)| waited).max();
    targets.about("without one");
    let most = DEADLINES.hard + SCHEDULING;
    targets.time("the longest wait", longest.unwrap_or_default(), most);
    let most = DEADLINES.abandon + SCHEDULING;
    targets.time("until the key is free again", free, most);
    sleep(DEADLINES.abandon).await;
    let left = u64::try_from(cache.loads_in_flight()).unwrap_or(u64::MAX);
    targets.number("loads that still run in the end", left, 0);
}

/// Asks with a loader that never returns: how long it took, and whether the answer was stale, if there was one.
async fn hang(cache: Arc<Cache<u32, u32>>, key: u32) -> (Duration, Option<bool>) {
    let begin = Moment::now();
    let load = || pending::<Result<u32, Infallible>>();
    let answer = cache.with(Options::default()).get_or_load(&key, load).await;
    let is_stale = answer.ok().map(|answer| answer.is_stale);
    (Moment::now().since(begin), is_stale)
}

/// How long after `begin` the first of those has an answer who come one after the other with a loader that returns.
async fn free_again(cache: &Arc<Cache<u32, u32>>, begin: Moment) -> Duration {
    let mut callers = JoinSet::new();
    loop {
        sleep(Duration::from_millis(20)).await;
        let cache = Arc::clone(cache);
        callers.spawn(async move {
            let load = || async { Ok::<_, Infallible>(1) };
            cache.get_or_load(&COLD, load).await.is_ok()
        });
        while let Some(caller) = callers.try_join_next() {
            if caller.is_ok_and(|is_served| is_served) {
                return Moment::now().since(begin);
            }
        }
        if Moment::now().since(begin) > DEADLINES.abandon * 5 {
            return Duration::MAX;
        }
    }
}

const SCHEDULING: Duration = Duration::from_millis(50);
