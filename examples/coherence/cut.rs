//! A process whose L1 is full loses the connection over which it hears of changes, and gets it back: it doubts all its
//! copies, and has L2 confirm them as they are read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tiered::{Access, Cache, Coherence, Options, Stats};
use tiered_examples::{Failure, Moment, Spread};
use tokio::time::sleep;

use crate::fill::{TASKS, Waits, fill, for_each};
use crate::lab::Lab;

/// What the way back cost.
pub(crate) struct Recovery {
    keys: u32,
    away: Duration,
    /// How often the process lost and found its connection, or missed something.
    doubts: u64,
    loads: u64,
    confirmed: u64,
    /// Reads of copies in doubt.
    doubtful: Reads,
    /// Reads of the same keys from L2, before.
    plain: Reads,
    /// Reads of the same keys from L1, after.
    settled: Reads,
}

struct Reads {
    rate: f64,
    waits: Spread,
    failed: usize,
}

pub(crate) async fn run(lab: &Lab, keys: u32, away: Duration) -> Result<Recovery, Failure> {
    let site = lab.site(Coherence::default());
    let redis = site.connect().await?;
    let cache: Cache<String, u32> = site.cache(&redis)?;
    fill(&cache, keys).await?;
    let plain = read_l2(&cache, keys).await?;
    let before = cache.stats();
    lose_the_listener(lab, away).await?;
    let loads = Arc::new(AtomicU64::new(0));
    let doubtful = read(&cache, keys, &loads).await?;
    let settled = read(&cache, keys, &loads).await?;
    let after = cache.stats();
    redis.shutdown().await;
    let grown = |of: fn(&Stats) -> u64| of(&after) - of(&before);
    Ok(Recovery {
        keys,
        away,
        doubts: grown(|stats| stats.doubts),
        loads: loads.load(Ordering::Relaxed),
        confirmed: grown(|stats| stats.confirmed),
        doubtful,
        plain,
        settled,
    })
}

impl Recovery {
    /// All copies were confirmed, and nothing was loaded again.
    pub(crate) fn is_sound(&self) -> bool {
        let failed = self.doubtful.failed + self.plain.failed + self.settled.failed;
        self.doubts > 0 && self.loads == 0 && failed == 0 && self.confirmed >= u64::from(self.keys)
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            keys,
            away,
            doubts,
            loads,
            confirmed,
            ..
        } = self;
        writeln!(f, "keys in L1       {keys}, read by {TASKS} tasks")?;
        writeln!(
            f,
            "listener away    {} s, doubts {doubts}",
            away.as_secs_f64()
        )?;
        writeln!(f, "loads            {loads}")?;
        writeln!(f, "copies confirmed {confirmed}")?;
        writeln!(f, "confirming       {}", self.doubtful)?;
        writeln!(f, "plain L2 hits    {}", self.plain)?;
        writeln!(f, "read once more   {}", self.settled)
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} a second; {}; failed {}",
            self.rate, self.waits, self.failed
        )
    }
}

impl From<Waits> for Reads {
    fn from(waits: Waits) -> Self {
        let number = u32::try_from(waits.each.len()).unwrap_or(u32::MAX);
        Self {
            rate: f64::from(number) / waits.whole.as_secs_f64(),
            waits: waits.each.into_iter().collect(),
            failed: waits.failed,
        }
    }
}

async fn read_l2(cache: &Cache<String, u32>, keys: u32) -> Result<Reads, Failure> {
    let past_l1 = Options {
        l1: Access::Skip,
        ..Options::default()
    };
    let cache = cache.clone();
    let waits = for_each(keys, move |key| {
        let cache = cache.clone();
        async move { cache.with(past_l1).get(&key).await.is_some() }
    });
    Ok(waits.await?.into())
}

async fn read(
    cache: &Cache<String, u32>,
    keys: u32,
    loads: &Arc<AtomicU64>,
) -> Result<Reads, Failure> {
    let (cache, loads) = (cache.clone(), Arc::clone(loads));
    let waits = for_each(keys, move |key| {
        let (cache, loads) = (cache.clone(), Arc::clone(&loads));
        async move {
            let load = move || async move {
                loads.fetch_add(1, Ordering::Relaxed);
                Err::<String, _>("nothing was to be loaded")
            };
            cache.get_or_load(&key, load).await.is_ok()
        }
    });
    Ok(waits.await?.into())
}

/// Ends the connection again and again, until `away` is over; then gives the process time to hear again.
async fn lose_the_listener(lab: &Lab, away: Duration) -> Result<(), Failure> {
    let end = Moment::now().plus(away);
    while Moment::now() < end {
        lab.redis.kill_clients("pubsub").await?;
        sleep(Duration::from_millis(5)).await;
    }
    sleep(RECOVERY).await;
    Ok(())
}

/// More than the longest pause between two attempts to connect, and the bound.
const RECOVERY: Duration = Duration::from_secs(2);
