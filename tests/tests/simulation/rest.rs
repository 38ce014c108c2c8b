//! What holds once all faults are over and everything has come to an end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use tiered::{Options, State};

use crate::loader::name;
use crate::node::Node;
use crate::probe::Probe;
use crate::simulation::Simulation;

/// How long a call may go on after the last fault.
const PATIENCE: Duration = Duration::from_secs(60);

impl Simulation {
    /// Lets the world come to rest, and looks whether all is as it must be.
    pub(crate) fn rest(&mut self) {
        let world = Arc::clone(&self.world);
        self.heal();
        self.wait("every call ends", |node| node.calls().is_empty());
        // A load that nobody waits for goes on.
        let source = Arc::clone(&world);
        self.wait("every load ends", |_| source.exclusion.loads() == 0);
        let coherence = world.profile.coherence();
        self.pass(coherence.bound * 2 + coherence.blind_trust + coherence.claim_life);
        self.wait("nothing stays unconfirmed", |node| {
            let cache = node.cache.as_ref();
            cache.is_none_or(|cache| cache.stats().unconfirmed == 0)
        });
        self.wait("no flight is left", |node| {
            let cache = node.cache.as_ref();
            cache.is_none_or(|cache| cache.loads_in_flight() == 0)
        });
        // A flight that nobody joins any more may have begun one meanwhile, or may be about to.
        self.pass(world.profile.settings.deadlines.l2 * 2 + coherence.claim_wait);
        let source = Arc::clone(&world);
        self.wait("every load ends", |_| source.exclusion.loads() == 0);
        self.pass(coherence.claim_life.max(coherence.blind_trust) + world.profile.lateness());
        if world.journal.violation().is_some() {
            return;
        }
        self.check_all();
        self.end();
    }

    fn check_all(&mut self) {
        let world = Arc::clone(&self.world);
        for node in self.nodes.iter().flatten() {
            if !world.departures.has(node.life) {
                world.ledger.confirm(node.life, world.now());
            }
        }
        world.probe.check(&world);
        for key in 0..world.profile.keys {
            if Probe::is_claimed(&world, key) {
                let what = format!("a claim of k{key} is left");
                world.journal.violate(what);
            }
            self.check_agreement(key);
        }
        for node in self.nodes.iter().flatten() {
            check_books(node);
            check_health(node);
        }
    }

    /// What the nodes hold is what L2 holds.
    fn check_agreement(&mut self, key: usize) {
        let world = Arc::clone(&self.world);
        let far = world.probe.look(key);
        for node in self.nodes.iter_mut().flatten() {
            let Some(caller) = node.caller() else {
                continue;
            };
            let name = name(key);
            let call = caller.cache.with(Options::default());
            // What L1 has is answered at once.
            let near = call.get(&name).now_or_never().flatten();
            let near = near.and_then(|answer| answer.value);
            if let (Some(near), Some(far)) = (near, &far)
                && near.version != far.version
            {
                world.journal.violate(format!(
                    "agreement: node {} holds state {} of k{key}, l2 {}",
                    node.life, near.version, far.version
                ));
            }
            let reading = caller.get_of(key);
            node.call(u64::MAX, reading);
        }
        self.wait("every call ends", |node| node.calls().is_empty());
    }

    /// With the last handle go the tasks.
    fn end(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            node.leave();
        }
        self.wait("no task is left", |node| node.tasks() == 0);
        let running = self.world.exclusion.loads();
        if running > 0 {
            let what = format!("{running} loads are left");
            self.world.journal.violate(what);
        }
    }

    /// Lets time pass until this holds of all nodes.
    fn wait(&mut self, what: &str, holds: impl Fn(&Node) -> bool) {
        let end = self.world.now() + PATIENCE;
        while self.world.journal.violation().is_none() && !self.nodes.iter().flatten().all(&holds) {
            if self.world.now() > end {
                let calls: Vec<_> = self.nodes.iter().flatten().map(Node::calls).collect();
                let what = format!("{what}: not so; calls {calls:?}");
                return self.world.journal.violate(what);
            }
            self.pass(Duration::from_millis(100));
        }
    }
}

/// Every load that was not stored has a counted cause.
fn check_books(node: &Node) {
    let (Some(cache), books) = (&node.cache, &node.books) else {
        return;
    };
    let stats = cache.stats();
    let of = |column: &std::sync::atomic::AtomicU64| column.load(Ordering::Relaxed);
    let stored = of(&books.stored);
    let excused = stats.load_errors
        + stats.loads_refused
        + stats.loads_unfenced
        + stats.unstorable
        // Also a fill that was not even asked for, because L2 is to be left alone.
        + stats.l2_errors
        + of(&books.unsure)
        + of(&books.uncached);
    if stats.loads > stored + excused {
        node.violate(&format!(
            "silence: of {} loads {stored} were stored and {excused} excused: {stats:?}",
            stats.loads
        ));
    }
}

/// A node that has nothing to do says so. The wires may be slow for ever, so that it does not hear itself or has given up L2.
fn check_health(node: &Node) {
    let Some(cache) = &node.cache else { return };
    let health = cache.health();
    let is_idle = health.running_loads + health.unconfirmed + health.untold == 0;
    if !is_idle || health.oldest_load.is_some() || health.loads.state != State::Up {
        node.violate(&format!("health: {health:?}"));
    }
}
