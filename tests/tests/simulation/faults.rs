//! What goes wrong, and for how long.

use std::sync::Arc;
use std::time::Duration;

use tiered::Version;

use crate::hub;
use crate::loader::name;
use crate::simulation::Simulation;
use crate::source::{Malady, TAGS};
use crate::troubles::{Ill, Scope, Use};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Freeze,
    Crash,
    Leave,
    Shutdown,
    CutSubscription,
    Overflow,
    Outage,
    /// The server is away, and with it the hub.
    Blackout,
    /// The same without a word: it stands still.
    StopBlackout,
    Partition,
    Stop,
    StopReads,
    StopWrites,
    Swallow,
    SwallowReads,
    SwallowWrites,
    DenyWrites,
    FillUp,
    SlowDown,
    EvictRecord,
    EvictMark,
    Flush,
    ForgetNear,
    SourceFails,
    SourceHangs,
    JumpWall,
}

impl Fault {
    pub(crate) const ALL: &[Self] = &[
        Self::Freeze,
        Self::Crash,
        Self::Leave,
        Self::Shutdown,
        Self::CutSubscription,
        Self::Overflow,
        Self::Outage,
        Self::Blackout,
        Self::StopBlackout,
        Self::Partition,
        Self::Stop,
        Self::StopReads,
        Self::StopWrites,
        Self::Swallow,
        Self::SwallowReads,
        Self::SwallowWrites,
        Self::DenyWrites,
        Self::FillUp,
        Self::SlowDown,
        Self::EvictRecord,
        Self::EvictMark,
        Self::Flush,
        Self::ForgetNear,
        Self::SourceFails,
        Self::SourceHangs,
        Self::JumpWall,
    ];

    /// Answers of the server may come late, but in time.
    pub(crate) fn delays_answers(self) -> bool {
        matches!(
            self,
            Self::Stop | Self::StopReads | Self::StopWrites | Self::StopBlackout | Self::SlowDown
        )
    }

    /// What the server has then.
    fn ill(self, node: usize, slowness: Duration) -> Option<Ill> {
        Some(match self {
            Self::Outage | Self::Blackout => Ill::Down,
            Self::Partition => Ill::Cut(node),
            Self::Stop | Self::StopBlackout => Ill::Stopped(Scope::All),
            Self::StopReads => Ill::Stopped(Scope::Only(Use::Read)),
            Self::StopWrites => Ill::Stopped(Scope::Only(Use::Write)),
            Self::Swallow => Ill::Swallows(Scope::All),
            Self::SwallowReads => Ill::Swallows(Scope::Only(Use::Read)),
            Self::SwallowWrites => Ill::Swallows(Scope::Only(Use::Write)),
            Self::DenyWrites => Ill::IsReadOnly,
            Self::FillUp => Ill::IsFull,
            Self::SlowDown => Ill::Slow(slowness),
            _ => return None,
        })
    }
}

impl Simulation {
    /// One of the faults of this world happens.
    pub(crate) fn fault(&mut self, node: usize) {
        let world = Arc::clone(&self.world);
        let fault = *world.dice.pick(world.profile.faults);
        world.journal.count(format!("fault: {fault:?}"));
        world.say(|| format!("{fault:?} (node {node})"));
        self.trouble_server(fault, node);
        match fault {
            Fault::Freeze => self.freeze(node),
            Fault::Crash => self.crash(node),
            Fault::Leave => self.leave(node),
            Fault::Shutdown => self.shut_down(node),
            Fault::CutSubscription => self.cut(node, self.later()),
            Fault::Overflow => hub::overflow(&world, node),
            Fault::EvictRecord => self.evict(world.dice.below(world.profile.keys)),
            Fault::EvictMark => self.evict_mark(),
            Fault::Flush => (0..world.profile.keys).for_each(|key| self.evict(key)),
            Fault::ForgetNear => self.forget_near(node),
            Fault::SourceFails => world.source.fall_ill(Malady::Fails, self.later()),
            Fault::SourceHangs => world.source.fall_ill(Malady::Hangs, self.later()),
            Fault::JumpWall => self.jump_wall(node),
            _ => {}
        }
    }

    fn trouble_server(&self, fault: Fault, node: usize) {
        let world = &self.world;
        let budget = world.profile.settings.deadlines.l2;
        let Some(ill) = fault.ill(node, budget / 2) else {
            return;
        };
        let until = self.later();
        let begin = |ill| {
            world.server.wires().troubles.begin(ill, world.now(), until);
        };
        begin(ill);
        if matches!(fault, Fault::Blackout | Fault::StopBlackout) {
            world.hub.be_away(until, fault == Fault::StopBlackout);
            for node in 0..self.nodes.len() {
                self.cut(node, until);
            }
        }
    }

    /// No fault is left.
    pub(crate) fn heal(&mut self) {
        let world = Arc::clone(&self.world);
        world.say(|| "all is healed".to_owned());
        world.heal();
        world.server.wires().troubles.end_all(world.now());
        world.stopped.release();
        world.source.recover();
        world.hub.be_away(Duration::ZERO, false);
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
            let now = self.world.now();
            self.world.frosts.begin(node.life.node, now);
        }
    }

    /// The process ends in the middle of whatever it does.
    fn crash(&mut self, node: usize) {
        if let Some(node) = self.nodes[node].take() {
            self.world.frosts.end(node.life.node, self.world.now());
            node.crash();
        }
    }

    /// The last handle of a cache goes.
    fn leave(&mut self, node: usize) {
        if let Some(node) = &mut self.nodes[node] {
            node.leave();
        }
    }

    fn shut_down(&mut self, node: usize) {
        let number = self.next_call();
        if let Some(node) = &mut self.nodes[node] {
            node.shut_down(number);
        }
    }

    fn cut(&self, node: usize, until: Duration) {
        self.world.hub.cut(node);
        let world = Arc::clone(&self.world);
        self.world
            .timeline
            .at(until, move || hub::restore(&world, node));
    }

    fn evict(&self, key: usize) {
        let (world, name) = (&self.world, format!("sim:{}", name(key)));
        world.server.evict(&name, world.now());
    }

    fn evict_mark(&self) {
        let (world, dice) = (&self.world, &self.world.dice);
        let mark = match dice.below(4) {
            0 => "#space:{sim}".to_owned(),
            1 => "#epoch:{sim}".to_owned(),
            _ => format!("#tag:{{sim}}:{}", dice.pick(&TAGS)),
        };
        let version = Version::from_bytes(dice.bits().max(1).to_le_bytes());
        world.server.evict_mark(&mark, version, world.now());
    }

    fn forget_near(&self, node: usize) {
        if let Some(node) = &self.nodes[node] {
            node.shelf.forget_all();
        }
    }

    fn jump_wall(&self, node: usize) {
        if let Some(node) = &self.nodes[node] {
            node.jump_wall();
        }
    }

    /// The end of a trouble that begins now.
    fn later(&self) -> Duration {
        let world = &self.world;
        world.now() + world.dice.up_to(world.profile.longest_trouble())
    }
}
