//! What goes wrong, and for how long.

use std::sync::Arc;
use std::time::Duration;

use tiered::Version;

use crate::hub;
use crate::loader::name;
use crate::profile::Fault;
use crate::simulation::Simulation;
use crate::source::TAGS;

impl Simulation {
    /// One of the faults of this world happens.
    pub(crate) fn fault(&mut self, node: usize) {
        let world = Arc::clone(&self.world);
        let fault = *world.dice.pick(world.profile.faults);
        world.journal.count(fault.name());
        world.say(|| format!("{fault:?} (node {node})"));
        match fault {
            Fault::Freeze => self.freeze(node),
            Fault::Crash => self.crash(node),
            Fault::Leave => {
                if let Some(node) = &mut self.nodes[node] {
                    node.leave();
                }
            }
            Fault::CutSubscription => self.cut(node),
            Fault::Overflow => hub::overflow(&world, node),
            Fault::Outage => world.server.down_until(self.later()),
            Fault::Partition => world.server.cut_until(node, self.later()),
            Fault::EvictRecord => self.evict(world.dice.below(world.profile.keys)),
            Fault::EvictMark => self.evict_mark(),
            Fault::Flush => (0..world.profile.keys).for_each(|key| self.evict(key)),
            Fault::ForgetNear => {
                if let Some(node) = &self.nodes[node] {
                    node.shelf.forget_all();
                }
            }
        }
    }

    /// No fault is left.
    pub(crate) fn heal(&mut self) {
        let world = Arc::clone(&self.world);
        world.say(|| "all is healed".to_owned());
        world.heal();
        world.server.heal();
        for node in 0..self.nodes.len() {
            hub::restore(&world, node);
            if let Some(node) = &mut self.nodes[node] {
                let now = world.now();
                node.frozen_until = node.frozen_until.map(|until| until.min(now));
            }
        }
        self.thaw(world.now());
        self.start_all();
    }

    fn freeze(&mut self, node: usize) {
        let until = self.later();
        if let Some(node) = &mut self.nodes[node] {
            node.frozen_until = Some(until);
        }
    }

    /// The process ends in the middle of whatever it does.
    fn crash(&mut self, node: usize) {
        if let Some(node) = self.nodes[node].take() {
            node.crash();
        }
    }

    fn cut(&mut self, node: usize) {
        self.world.hub.cut(node);
        let (world, moment) = (Arc::clone(&self.world), self.later());
        self.world
            .timeline
            .at(moment, move || hub::restore(&world, node));
    }

    fn evict(&self, key: usize) {
        self.world.server.evict(&format!("sim:{}", name(key)));
    }

    fn evict_mark(&self) {
        let (world, dice) = (&self.world, &self.world.dice);
        let mark = match dice.below(4) {
            0 => "#space:{sim}".to_owned(),
            1 => "#epoch:{sim}".to_owned(),
            _ => format!("#tag:{{sim}}:{}", dice.pick(&TAGS)),
        };
        let version = Version::from_bytes(dice.bits().max(1).to_le_bytes());
        world.server.evict_mark(&mark, version);
    }

    /// The end of a trouble that begins now.
    fn later(&self) -> Duration {
        let bound = self.world.profile.coherence().bound;
        self.world.now() + self.world.dice.up_to(bound * 4)
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Freeze => "fault: freezes",
            Self::Crash => "fault: crashes",
            Self::Leave => "fault: leaves",
            Self::CutSubscription => "fault: subscriptions cut",
            Self::Overflow => "fault: overflows",
            Self::Outage => "fault: outages",
            Self::Partition => "fault: partitions",
            Self::EvictRecord => "fault: evictions of records",
            Self::EvictMark => "fault: evictions of marks",
            Self::Flush => "fault: flushes",
            Self::ForgetNear => "fault: l1 emptied",
        }
    }
}
