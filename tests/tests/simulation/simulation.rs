//! The loop that moves a world: one step after the other, each decided by its dice.

use std::sync::Arc;
use std::time::Duration;

use tiered::{Cache, Stats};

use crate::caller::Caller;
use crate::journal::Counts;
use crate::ledger::Life;
use crate::node::Node;
use crate::world::World;

pub(crate) struct Simulation {
    pub(crate) world: Arc<World>,
    /// The nodes by number; `None`: it is dead.
    pub(crate) nodes: Vec<Option<Node>>,
    lives: u64,
    calls: u64,
}

/// What has become of a seed.
pub(crate) struct Outcome {
    pub(crate) profile: &'static str,
    pub(crate) steps: usize,
    pub(crate) counts: Counts,
    pub(crate) trace: Vec<String>,
    pub(crate) violation: Option<String>,
}

/// How many calls a node has at a time.
const MOST_CALLS: usize = 6;

/// How often nodes run in a row without that time passes.
const MOST_ROUNDS: usize = 10_000;

impl Simulation {
    pub(crate) fn run(seed: u64, is_traced: bool) -> Outcome {
        let mut simulation = Self::new(seed, is_traced);
        let world = Arc::clone(&simulation.world);
        let mut steps = 0;
        while steps < world.profile.steps && world.journal.violation().is_none() {
            simulation.step();
            steps += 1;
        }
        simulation.rest();
        drop(simulation);
        // Its events hold the world.
        world.timeline.clear();
        let (trace, counts) = world.journal.take();
        Outcome {
            profile: world.profile.name,
            steps,
            counts,
            trace,
            violation: world.journal.violation(),
        }
    }

    fn new(seed: u64, is_traced: bool) -> Self {
        let world = World::new(seed, is_traced);
        let mut simulation = Self {
            nodes: (0..world.profile.nodes).map(|_| None).collect(),
            world,
            lives: 0,
            calls: 0,
        };
        for node in 0..simulation.nodes.len() {
            simulation.start(node);
        }
        simulation
    }

    fn step(&mut self) {
        let world = Arc::clone(&self.world);
        if world.strikes(world.profile.chances.fault) {
            self.fault(world.dice.below(self.nodes.len()));
        }
        if world.dice.one_in(12) {
            self.start_one();
        }
        if world.dice.permille(700) {
            self.call();
        }
        if world.strikes(world.profile.chances.cancel)
            && let Some(node) = self.any_node()
        {
            node.drop_call();
        }
        self.pass(self.pause());
        if world.dice.one_in(3) {
            world.probe.check(&world);
        }
        world.judge_loads();
        self.confirm();
    }

    /// What a node has repeated until L2 took it is as good as acknowledged, once the others can hear of it.
    fn confirm(&self) {
        for node in self.nodes.iter().flatten() {
            let is_leaving = self.world.departures.has(node.life);
            let stats = node.cache.as_ref().map(Cache::stats);
            let has_settled = |stats: Stats| stats.unconfirmed == 0 && stats.hears_itself;
            if !is_leaving && stats.is_some_and(has_settled) {
                self.world.ledger.confirm(node.life, self.world.now());
            }
        }
    }

    /// Most steps follow closely.
    fn pause(&self) -> Duration {
        let (dice, bound) = (&self.world.dice, self.world.profile.coherence().bound);
        dice.up_to(match dice.below(100) {
            0..70 => Duration::from_millis(15),
            70..92 => Duration::from_millis(150),
            92..99 => bound,
            _ => bound * 3,
        })
    }

    pub(crate) fn start(&mut self, number: usize) {
        self.lives += 1;
        let life = Life {
            node: number,
            number: self.lives,
        };
        self.world.say(|| format!("node {life} starts"));
        if let Some(gone) = &self.nodes[number] {
            gone.judge_end();
        }
        self.world.frosts.end(number, self.world.now());
        self.nodes[number] = Some(Node::start(&self.world, life));
    }

    /// Starts one of the nodes that are dead, or have left.
    fn start_one(&mut self) {
        let is_gone = |node: &Option<Node>| node.as_ref().is_none_or(|node| node.cache.is_none());
        if let Some(number) = self.nodes.iter().position(is_gone) {
            self.start(number);
        }
    }

    pub(crate) fn start_all(&mut self) {
        for _ in 0..self.nodes.len() {
            self.start_one();
        }
    }

    /// Something that a caller does, on a node that can.
    fn call(&mut self) {
        let number = self.next_call();
        let Some(node) = self.any_node() else { return };
        if node.calls().len() >= MOST_CALLS {
            return;
        }
        if let Some(deed) = node.caller().and_then(Caller::draw) {
            node.call(number, deed);
        }
    }

    pub(crate) fn next_call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    /// A node that runs and has a cache.
    pub(crate) fn any_node(&mut self) -> Option<&mut Node> {
        let can_run = |node: &Node| node.cache.is_some() && node.frozen_until.is_none();
        let nodes = self.nodes.iter_mut().flatten();
        let mut nodes: Vec<_> = nodes.filter(|node| can_run(node)).collect();
        if nodes.is_empty() {
            return None;
        }
        let number = self.world.dice.below(nodes.len());
        Some(nodes.swap_remove(number))
    }

    /// Lets time pass, and everything happen that happens meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.world.now() + time;
        loop {
            self.settle();
            match self.next_moment().filter(|moment| *moment <= end) {
                Some(moment) => self.move_to(moment),
                None => break,
            }
            if self.world.journal.violation().is_some() {
                return;
            }
            if let Some(event) = self.world.timeline.take_due() {
                event();
            }
            if self.world.take_visit() {
                self.visit();
            }
        }
        self.move_to(end);
        self.settle();
    }

    /// Everything is read by everybody.
    fn visit(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            if node.frozen_until.is_none() {
                self.calls += 1;
                node.visit(self.calls);
            }
        }
    }

    /// Lets all nodes run until they wait.
    fn settle(&mut self) {
        let (mut has_run, mut rounds) = (true, 0);
        while has_run {
            has_run = false;
            rounds += 1;
            if rounds > MOST_ROUNDS {
                let what = format!("busy: somebody never waits, at {:?}", self.world.now());
                return self.world.journal.violate(what);
            }
            for node in self.nodes.iter_mut().flatten() {
                has_run |= node.run();
            }
            if let Some(node) = self.world.take_struck() {
                self.fault(node);
                has_run = true;
            }
        }
    }

    fn next_moment(&self) -> Option<Duration> {
        let now = self.world.now();
        let wakes = self.nodes.iter().flatten().filter_map(Node::next_wake);
        // Who was woken already, and has not looked, is not waited for.
        let wakes = wakes.filter(|moment| *moment > now);
        let events = self.world.timeline.next();
        wakes.chain(events).chain(self.world.next_visit()).min()
    }

    fn move_to(&mut self, moment: Duration) {
        let by = moment.saturating_sub(self.world.now());
        if by.is_zero() {
            return;
        }
        self.world.timeline.move_to(moment);
        self.world.server.hand.advance(by);
        for node in self.nodes.iter().flatten() {
            node.advance(by);
        }
        self.thaw(moment);
    }

    /// Lets those nodes run again whose time has come. Readers are the first to run, before the node has heard of anything.
    pub(crate) fn thaw(&mut self, now: Duration) {
        for node in self.nodes.iter_mut().flatten() {
            if node.frozen_until.is_none_or(|until| until > now) {
                continue;
            }
            self.world.say(|| format!("node {} thaws", node.life));
            self.world.frosts.end(node.life.node, now);
            node.frozen_until = None;
            self.calls += 1;
            node.visit(self.calls);
        }
    }
}
