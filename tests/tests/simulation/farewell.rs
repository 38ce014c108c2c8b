//! Nodes that leave as they should.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tiered::Farewell;

use crate::caller::{Caller, Deed};
use crate::ledger::Life;
use crate::troubles::Use;
use crate::waits::Wait;

/// For the last words.
const GRACE: Duration = Duration::from_millis(500);

/// For how long a node must have had no trouble for its farewell to be complete.
const PEACE: Duration = Duration::from_secs(6);

/// The nodes that leave, and whether they have.
#[derive(Default)]
pub(crate) struct Departures(Mutex<BTreeMap<u64, bool>>);

impl Departures {
    pub(crate) fn begin(&self, life: Life) {
        self.0.lock().unwrap().insert(life.number, false);
    }

    fn end(&self, life: Life) {
        self.0.lock().unwrap().insert(life.number, true);
    }

    /// This node has begun to leave.
    pub(crate) fn has(&self, life: Life) -> bool {
        self.0.lock().unwrap().contains_key(&life.number)
    }

    /// This node has nothing more to do.
    pub(crate) fn is_over(&self, life: Life) -> bool {
        self.0.lock().unwrap().get(&life.number) == Some(&true)
    }
}

impl Caller {
    /// A shutdown, while others go on calling.
    pub(crate) fn shut_down(self) -> Deed {
        let longest = *self.world.dice.pick(&[0, 200, 3_000]);
        let deadline = self.world.dice.up_to(Duration::from_millis(longest));
        let deed = Deed::new(format!("shutdown in {deadline:?}"), async move {
            let wait = self.world.wait(self.life);
            let farewell = self.cache.shutdown(deadline).await;
            let what = format!("shutdown in {deadline:?}");
            self.world.judge_wait(&wait, &what, deadline + GRACE);
            self.judge_farewell(farewell, &wait);
            self.world.departures.end(self.life);
        });
        Deed {
            may_be_dropped: false,
            ..deed
        }
    }

    fn judge_farewell(&self, farewell: Farewell, wait: &Wait) {
        let (world, life) = (&self.world, self.life);
        world.say(|| format!("node {life}: {farewell:?}"));
        world.journal.count("shutdowns");
        if farewell.unconfirmed + farewell.untold == 0 {
            world.ledger.confirm(life, world.now());
        } else {
            world.journal.count("shutdowns with something unconfirmed");
        }
        if farewell.unconfirmed > 0 && self.is_at_peace(wait) {
            self.complain(&format!("{farewell:?}, although L2 answers"));
        }
        if world.profile.settings.deadlines.aborts && world.loads.running(life) > 0 {
            self.complain("loaders run on");
        }
    }

    /// L2 has answered this node for a while.
    fn is_at_peace(&self, wait: &Wait) -> bool {
        let failed = |what| self.world.server.failed_at(self.life.node, what);
        let last = failed(Use::Read).max(failed(Use::Write));
        last.is_none_or(|last| last + PEACE < wait.begun)
    }

    fn complain(&self, what: &str) {
        let what = format!("farewell of node {}: {what}", self.life);
        self.world.journal.violate(what);
    }
}
