//! How long callers wait. While their node is frozen nobody can answer them.

use std::sync::Mutex;
use std::time::Duration;

use crate::ledger::Life;
use crate::world::World;

/// Nothing that a clock wakes comes later than that.
const GRACE: Duration = Duration::from_millis(1);

/// Somebody of this node waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(crate) by: Life,
    pub(crate) begun: Duration,
    /// How long the node had been frozen before.
    frozen: Duration,
}

impl World {
    pub(crate) fn wait(&self, by: Life) -> Wait {
        let begun = self.now();
        Wait {
            by,
            begun,
            frozen: self.frosts.total(by.node, begun),
        }
    }

    /// How long it has lasted, the time not counted in which the node was frozen.
    pub(crate) fn waited(&self, wait: &Wait) -> Duration {
        let now = self.now();
        now.saturating_sub(wait.begun)
            .saturating_sub(self.frozen_during(wait))
    }

    pub(crate) fn frozen_during(&self, wait: &Wait) -> Duration {
        let total = self.frosts.total(wait.by.node, self.now());
        total.saturating_sub(wait.frozen)
    }

    /// It is over; it was to last no longer than this.
    pub(crate) fn judge_wait(&self, wait: &Wait, what: &str, limit: Duration) {
        let waited = self.waited(wait);
        if waited > limit + GRACE {
            let by = wait.by;
            self.journal.violate(format!(
                "budget: {what} of node {by} begun at {:?} took {waited:?}, not {limit:?} at most",
                wait.begun
            ));
        }
    }
}

/// For how long each node has been frozen, in all its lives.
pub(crate) struct Frosts(Mutex<Vec<Frost>>);

#[derive(Clone, Default)]
struct Frost {
    total: Duration,
    since: Option<Duration>,
    /// When it last ended.
    ended: Option<Duration>,
}

impl Frosts {
    pub(crate) fn new(nodes: usize) -> Self {
        Self(Mutex::new(vec![Frost::default(); nodes]))
    }

    pub(crate) fn begin(&self, node: usize, now: Duration) {
        self.0.lock().unwrap()[node].since.get_or_insert(now);
    }

    pub(crate) fn end(&self, node: usize, now: Duration) {
        let frost = &mut self.0.lock().unwrap()[node];
        if let Some(since) = frost.since.take() {
            frost.total += now.saturating_sub(since);
            frost.ended = Some(now);
        }
    }

    /// It is frozen, or has been since then.
    pub(crate) fn has_been(&self, node: usize, since: Duration) -> bool {
        let frost = &self.0.lock().unwrap()[node];
        frost.since.is_some() || frost.ended.is_some_and(|ended| ended >= since)
    }

    fn total(&self, node: usize, now: Duration) -> Duration {
        let frost = &self.0.lock().unwrap()[node];
        frost.total
            + frost
                .since
                .map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }
}
