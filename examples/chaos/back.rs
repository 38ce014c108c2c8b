//! How soon Redis is used again once it is back.

use std::convert::Infallible;
use std::time::Duration;

use tiered::{Access, Cache, Clock, Options, Settings};
use tiered_examples::{Failure, Moment};
use tokio::time::{sleep, timeout};

use crate::ground::Ground;
use crate::targets::Targets;

pub(crate) async fn run() -> Result<Targets, Failure> {
    let mut targets = Targets::default();
    for fault in [Fault::Killed, Fault::Frozen] {
        let mut times = Vec::new();
        for trial in 0..TRIALS {
            times.push(fault.back(AWAY + AWAY / TRIALS * trial).await?);
        }
        let each: Vec<_> = times
            .iter()
            .map(|time| time.as_millis().to_string())
            .collect();
        targets.about(fault.name());
        targets.tell("each time, in ms", each.join(", "));
        let longest = times.into_iter().max().unwrap_or_default();
        targets.time("the longest time", longest, Duration::from_secs(2));
    }
    Ok(targets)
}

#[derive(Clone, Copy)]
enum Fault {
    Killed,
    Frozen,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed, and started again",
            Self::Frozen => "frozen, and thawed",
        }
    }

    /// How long after it was back a read was answered by L2.
    async fn back(self, away: Duration) -> Result<Duration, Failure> {
        let mut ground = Ground::prepare().await?;
        let cache = ground.node(&Settings::default(), Clock::system()).await?;
        used(&cache).await;
        match self {
            Self::Killed => ground.server.kill().await?,
            Self::Frozen => ground.server.freeze()?,
        }
        // It is asked meanwhile: an L2 that nobody asks has no breaker that opens.
        let _ = timeout(away, used(&cache)).await;
        match self {
            Self::Killed => ground.start_again(&[]).await?,
            Self::Frozen => ground.server.thaw()?,
        }
        let begin = Moment::now();
        let seen = timeout(PATIENCE, used(&cache)).await;
        Ok(seen.map_or(PATIENCE, |seen| seen.since(begin)))
    }
}

/// Asks until L2 has answered, and says when that was.
async fn used(cache: &Cache<u32, u32>) -> Moment {
    let past_l1 = Options {
        l1: Access::WriteOnly,
        ..Options::default()
    };
    let before = cache.stats().l2_hits;
    while cache.stats().l2_hits == before {
        let key = fastrand::u32(..10);
        let load = move || async move { Ok::<_, Infallible>(key) };
        // The loader does not fail.
        let _ = cache.with(past_l1).get_or_load(&key, load).await;
        sleep(Duration::from_millis(2)).await;
    }
    Moment::now()
}

const TRIALS: u32 = 5;
/// How long Redis is away at least.
const AWAY: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(20);
