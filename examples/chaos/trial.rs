//! One row of the matrix: two nodes, their users, and a fault.

use std::sync::Arc;
use std::time::Duration;

use tiered::{Clock, Coherence, Settings};
use tiered_examples::{Failure, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::faults::{Fault, Lengths};
use crate::ground::Ground;
use crate::growth::Growth;
use crate::keys::Zipf;
use crate::ledger::{Ledger, NODES, Terms};
use crate::leftovers::{Leftovers, tasks};
use crate::recovery::Recovery;
use crate::skew::Skew;
use crate::tally::{Phase, Tally};
use crate::traffic::{self, KEYS, World};

/// What became of a row.
pub(crate) struct Outcome {
    pub(crate) fault: Fault,
    pub(crate) world: Arc<World>,
    pub(crate) recovery: Recovery,
    pub(crate) leftovers: Leftovers,
    /// By how many bytes the process was larger than before the fault, at most.
    pub(crate) grown: u64,
    pub(crate) lasted: Duration,
}

pub(crate) async fn run(
    fault: Fault,
    lengths: Lengths,
    workers: usize,
) -> Result<Outcome, Failure> {
    let tasks = tasks();
    let (mut ground, mut skew) = (Ground::prepare().await?, Skew::start());
    let world = Arc::new(world(&ground, fault, &skew).await?);
    let users = traffic::start(&world, workers);
    settle(&world).await;
    let growth = Growth::watch();
    let begin = Moment::now();
    world.tally.enter(Phase::During);
    fault.strike(&mut ground, &mut skew, lengths).await?;
    world.tally.enter(Phase::After);
    let lasted = Moment::now().since(begin);
    let recovery = Recovery::watch(&world, settings().coherence.bound + MARGIN).await;
    sleep(AFTER).await;
    world.tally.enter(Phase::Over);
    let grown = growth.end().await;
    let world = leave(world, users).await?;
    drop(skew);
    Ok(Outcome {
        fault,
        world,
        recovery,
        leftovers: Leftovers::of(ground, tasks).await?,
        grown,
        lasted,
    })
}

/// All that comes before the fault.
async fn settle(world: &World) {
    sleep(WARM_UP).await;
    world.tally.enter(Phase::Before);
    sleep(BEFORE).await;
}

/// Lives that end during the fault, and a bound and a blind trust that are shorter: else age would hide what is not heard.
fn settings() -> Settings {
    let half = Duration::from_millis(500);
    Settings {
        ttl: half * 3,
        stale_for: Duration::from_secs(6),
        coherence: Coherence {
            bound: half,
            blind_trust: half,
            ..Coherence::default()
        },
        ..Settings::default()
    }
}

async fn world(ground: &Ground, fault: Fault, skew: &Skew) -> Result<World, Failure> {
    let settings = settings();
    let odd = match fault {
        Fault::ClockOff => skew.clock(),
        _ => Clock::system(),
    };
    let mut nodes = Vec::with_capacity(NODES);
    for clock in [Clock::system(), odd] {
        nodes.push(ground.node(&settings, clock).await?);
    }
    let terms = Terms {
        fresh_for: settings.ttl,
        stale_for: settings.stale_for,
        heard_within: settings.coherence.bound + settings.coherence.blind_trust,
    };
    Ok(World {
        nodes,
        ledger: Ledger::new(KEYS, terms),
        tally: Tally::new(),
        keys: Zipf::new(KEYS),
    })
}

/// Ends all use, and the caches with it.
async fn leave(world: Arc<World>, mut users: JoinSet<()>) -> Result<Arc<World>, Failure> {
    users.shutdown().await;
    // Loads that nobody waits for any more hold the world for another moment.
    let mut world = world;
    for _ in 0..1_000 {
        if let Some(world) = Arc::get_mut(&mut world) {
            world.nodes.clear();
        }
        if world.nodes.is_empty() {
            return Ok(world);
        }
        sleep(Duration::from_millis(5)).await;
    }
    Err(Failure::new("a load does not end"))
}

/// Until the nodes have settled and the keys are there.
const WARM_UP: Duration = Duration::from_secs(3);
const BEFORE: Duration = Duration::from_secs(3);
/// How much longer than the bound a message may take on a busy machine.
const MARGIN: Duration = Duration::from_millis(100);
/// For how long all is watched after the recovery.
const AFTER: Duration = Duration::from_secs(4);
