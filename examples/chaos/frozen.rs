//! What a read costs that L1 cannot answer, when Redis is there and does not answer.

use std::sync::Arc;
use std::time::Duration;

use tiered::{Cache, Clock, Settings, State};
use tiered_examples::{Failure, Moment};

use crate::ground::Ground;
use crate::pair::Pair;
use crate::targets::Targets;

pub(crate) async fn run(workers: usize) -> Result<Targets, Failure> {
    let mut targets = Targets::default();
    one_after_the_other(&mut targets).await?;
    all_at_once(&mut targets, workers).await?;
    Ok(targets)
}

/// A single caller: how many of its calls L2 holds up.
async fn one_after_the_other(targets: &mut Targets) -> Result<(), Failure> {
    let (ground, pair) = prepare().await?;
    ground.server.freeze()?;
    let end = Moment::now().plus(LASTS);
    let (mut held_up, mut longest) = (0, Duration::ZERO);
    while !is_open(&pair.troubled) && Moment::now() < end {
        let took = pair.ask_once(&pair.troubled).await;
        held_up += u64::from(took > BUDGET / 2);
        longest = longest.max(took);
    }
    targets.about("one caller");
    targets.claim("the breaker opens", is_open(&pair.troubled));
    targets.number("calls held up before that", held_up, 10);
    targets.time("the longest of them", longest, BUDGET + SCHEDULING);
    compare(targets, &pair, 1).await;
    Ok(())
}

async fn all_at_once(targets: &mut Targets, workers: usize) -> Result<(), Failure> {
    let (ground, pair) = prepare().await?;
    ground.server.freeze()?;
    let begin = Moment::now();
    let node = pair.troubled.clone();
    let is_over = move || is_open(&node) || Moment::now() > begin.plus(LASTS);
    let first = pair.ask(workers, is_over).await;
    let opened = Moment::now().since(begin);
    targets.about(format!("{workers} callers"));
    targets.time("until the breaker is open", opened, LASTS);
    targets.tell("until then, p50 / p99 / max in ms", &first.troubled);
    targets.time(
        "the longest call until then",
        first.troubled.max(),
        BUDGET + SCHEDULING,
    );
    compare(targets, &pair, workers).await;
    Ok(())
}

/// What L2 costs while its breaker is open.
async fn compare(targets: &mut Targets, pair: &Arc<Pair>, workers: usize) {
    let rest = pair.ask_for(workers, LASTS).await;
    targets.tell("once it is open, p50 / p99 / max in ms", &rest.troubled);
    targets.tell("the same without L2", &rest.alone);
    let more = |part| rest.troubled.at(part).saturating_sub(rest.alone.at(part));
    targets.time(
        "once it is open, p50: longer than without L2",
        more(0.5),
        MORE,
    );
    targets.time(
        "once it is open, p99: longer than without L2",
        more(0.99),
        MORE,
    );
    targets.number("requests failed", pair.failed(), 0);
}

/// A node that has used its L2.
async fn prepare() -> Result<(Ground, Arc<Pair>), Failure> {
    let ground = Ground::prepare().await?;
    let node = ground.node(&Settings::default(), Clock::system()).await?;
    let pair = Arc::new(Pair::new(node)?);
    pair.ask_for(10, Duration::from_secs(2)).await;
    Ok((ground, pair))
}

fn is_open(cache: &Cache<u32, u32>) -> bool {
    cache.health().l2.state == State::Down
}

const LASTS: Duration = Duration::from_secs(5);
/// What all that a call asks of L2 may take.
const BUDGET: Duration = Duration::from_millis(50);
/// What a busy machine may add to it: timers and the clock are exact to some milliseconds.
const SCHEDULING: Duration = Duration::from_millis(15);
/// What a call may take longer while L2 is not asked.
const MORE: Duration = Duration::from_micros(100);
