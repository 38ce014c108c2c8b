//! What a read costs that L1 cannot answer, when there is no Redis.

use std::sync::Arc;
use std::time::Duration;

use tiered::{Clock, Settings};
use tiered_examples::Failure;

use crate::ground::Ground;
use crate::pair::Pair;
use crate::targets::Targets;

pub(crate) async fn run(workers: usize) -> Result<Targets, Failure> {
    let mut ground = Ground::prepare().await?;
    let node = ground.node(&Settings::default(), Clock::system()).await?;
    let pair = Arc::new(Pair::new(node)?);
    let before = pair.ask_for(workers, LASTS).await;
    ground.server.kill().await?;
    let first = pair.ask_for(workers, Duration::from_millis(100)).await;
    let rest = pair.ask_for(workers, LASTS).await;
    let mut targets = Targets::default();
    targets.tell("with Redis, p50 / p99 / max in ms", &before.troubled);
    targets.tell("killed, in the first 100 ms", &first.troubled);
    targets.tell("killed, after that", &rest.troubled);
    targets.tell("at the same time without L2", &rest.alone);
    targets.time(
        "killed, after 100 ms, p99",
        rest.troubled.at(0.99),
        Duration::from_millis(2),
    );
    targets.number("requests failed", pair.failed(), 0);
    Ok(targets)
}

const LASTS: Duration = Duration::from_secs(5);
