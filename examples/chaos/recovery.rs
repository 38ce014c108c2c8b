use std::time::Duration;

use tiered::{Cache, State};
use tiered_examples::Moment;
use tokio::time::sleep;

use crate::ledger::Row;
use crate::traffic::World;

/// How soon after the end of a fault all was well again; `None`: not within [`PATIENCE`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recovery {
    /// Each node was answered by L2 again.
    pub(crate) used: Option<Duration>,
    /// L2 had taken all invalidations that it did not take before, and no node called it or the backplane down.
    pub(crate) settled: Option<Duration>,
}

impl Recovery {
    /// Watches it, and lets the ledger know when all nodes must know of all that was invalidated before.
    pub(crate) async fn watch(world: &World, heard_within: Duration) -> Self {
        let begin = Moment::now();
        let hits = |cache: &Cache<Row, u32>| cache.stats().l2_hits;
        let before: Vec<_> = world.nodes.iter().map(hits).collect();
        let is_used = || {
            let now = world.nodes.iter().map(hits);
            now.zip(&before).all(|(now, before)| now > *before)
        };
        let used = reached(begin, is_used).await;
        let mut invalidations = Vec::new();
        let settled = reached(begin, || {
            invalidations = world.ledger.invalidations();
            world.nodes.iter().all(is_settled)
        });
        let settled = settled.await;
        sleep(heard_within).await;
        world.ledger.settle(&invalidations);
        Self { used, settled }
    }
}

fn is_settled(cache: &Cache<Row, u32>) -> bool {
    let health = cache.health();
    let parts = [health.l2.state, health.backplane.state];
    health.unconfirmed == 0 && !parts.contains(&State::Down)
}

async fn reached(begin: Moment, mut is_so: impl FnMut() -> bool) -> Option<Duration> {
    loop {
        let waited = Moment::now().since(begin);
        if is_so() {
            return Some(waited);
        }
        if waited > PATIENCE {
            return None;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

const PATIENCE: Duration = Duration::from_secs(15);
