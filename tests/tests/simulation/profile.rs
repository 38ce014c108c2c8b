//! What a seed's world is like, and what goes wrong in it.

use std::time::Duration;

use tiered::{Coherence, EarlyRefresh, Settings};

use crate::dice::Dice;
use crate::faults::Fault;
use crate::pace::Pace;
use crate::settings;

pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) nodes: usize,
    pub(crate) keys: usize,
    pub(crate) steps: usize,
    pub(crate) settings: Settings,
    /// One way to the server or back.
    pub(crate) l2: Pace,
    /// How long an error of the server lets itself be waited for.
    pub(crate) timeout: Duration,
    pub(crate) publish: Pace,
    pub(crate) deliver: Pace,
    pub(crate) load: Pace,
    pub(crate) chances: Chances,
    /// The nodes' wall clocks show anything.
    pub(crate) are_clocks_off: bool,
    pub(crate) faults: &'static [Fault],
}

/// How often things go wrong, in a thousand.
#[derive(Clone, Copy, Default)]
pub(crate) struct Chances {
    /// A step begins with a fault.
    pub(crate) fault: u64,
    /// A node is struck by one of the world's faults just as its write returns, before it can tell anybody.
    pub(crate) struck: u64,
    /// A command fails: before its effect, after it, or ahead of it.
    pub(crate) l2_fails: u64,
    /// The server cannot take a record.
    pub(crate) l2_refuses: u64,
    pub(crate) publish_fails: u64,
    /// A message does not reach one of its hearers, and nobody says so.
    pub(crate) is_lost: u64,
    pub(crate) comes_twice: u64,
    /// A loader fails, panics, takes long, hangs, has nothing to store, or a last word to say.
    pub(crate) bad_load: u64,
    pub(crate) l1_forgets: u64,
    /// A step ends with a caller who goes away.
    pub(crate) cancel: u64,
}

const KINDS: [&str; 18] = [
    "quiet",
    "messages",
    "l2 errors",
    "cuts",
    "crashes",
    "freezes",
    "evictions",
    "slow",
    "hangs",
    "denials",
    "slowness",
    "blackouts",
    "source",
    "crowd",
    "early",
    "departures",
    "clocks",
    "everything",
];

impl Profile {
    pub(crate) fn draw(seed: u64, dice: &Dice) -> Self {
        let kind = usize::try_from(seed).unwrap() % KINDS.len();
        let mut profile = Self {
            name: KINDS[kind],
            nodes: 2 + dice.below(2),
            keys: 1 + dice.below(3),
            steps: 200 + dice.below(150),
            settings: settings::draw(dice),
            l2: Pace::uneven(4, 900, 25),
            timeout: Duration::from_millis(700),
            publish: Pace::prompt(3),
            deliver: Pace::prompt(3),
            load: Pace::uneven(40, 2_500, 120),
            chances: Chances {
                bad_load: 120,
                l1_forgets: 30,
                cancel: 15,
                ..Chances::default()
            },
            are_clocks_off: false,
            faults: &[],
        };
        profile.trouble(dice);
        profile
    }

    fn trouble(&mut self, dice: &Dice) {
        let chances = &mut self.chances;
        match self.name {
            "quiet" => self.calm_down(),
            "messages" => {
                chances.is_lost = 60;
                chances.comes_twice = 60;
                chances.publish_fails = 40;
            }
            "l2 errors" => {
                chances.l2_fails = 60;
                chances.l2_refuses = 20;
                self.fail(15, &[Fault::Outage, Fault::Partition]);
            }
            "cuts" => self.fail(30, &[Fault::CutSubscription, Fault::Overflow]),
            "crashes" => {
                chances.struck = 100;
                self.fail(15, &[Fault::Crash, Fault::Leave]);
            }
            "freezes" => {
                chances.struck = 100;
                self.fail(20, &[Fault::Freeze]);
            }
            "evictions" => self.fail(60, EVICTIONS),
            "slow" => {
                self.settings.deadlines.l2 = Duration::from_secs(12);
                self.l2 = Pace::uneven(300, 2_500, 150);
                self.publish = Pace::uneven(60, 100, 100);
                self.deliver = Pace::uneven(100, 2_500, 100);
            }
            "hangs" => self.fail(20, HANGS),
            "denials" => {
                chances.l2_refuses = 10;
                self.fail(20, &[Fault::DenyWrites, Fault::FillUp]);
            }
            "slowness" => self.fail(25, &[Fault::SlowDown]),
            "blackouts" => self.fail(15, &[Fault::Blackout, Fault::StopBlackout]),
            "source" => {
                chances.bad_load = 350;
                self.fail(20, &[Fault::SourceFails, Fault::SourceHangs]);
            }
            "crowd" => self.crowd(dice),
            "early" => self.refresh_early(dice),
            "departures" => {
                chances.struck = 60;
                chances.l2_fails = 10;
                self.fail(20, &[Fault::Shutdown, Fault::Shutdown, Fault::Leave]);
            }
            "clocks" => {
                chances.l2_fails = 30;
                self.are_clocks_off = true;
                self.fail(20, &[Fault::JumpWall, Fault::Outage, Fault::Crash]);
            }
            _ => self.everything(dice),
        }
    }

    /// Nothing goes wrong, and nobody gives up.
    fn calm_down(&mut self) {
        let deadlines = &mut self.settings.deadlines;
        deadlines.l2 = Duration::from_secs(1);
        deadlines.hard = Duration::from_secs(100);
        deadlines.abandon = Duration::from_secs(100);
        self.l2 = Pace::prompt(5);
        self.settings.coherence.claim_wait = Duration::from_secs(30);
        self.settings.negative_ttl = Duration::from_secs(30);
        self.chances = Chances {
            l1_forgets: 30,
            ..Chances::default()
        };
    }

    fn crowd(&mut self, dice: &Dice) {
        self.keys = 3;
        self.chances.bad_load = 250;
        self.settings.throttle.max_loads = 1 + dice.below(2);
        self.fail(15, &[Fault::Outage, Fault::EvictRecord, Fault::SourceFails]);
    }

    fn refresh_early(&mut self, dice: &Dice) {
        let settings = &mut self.settings;
        while settings.early_refresh == EarlyRefresh::Off {
            settings.early_refresh = settings::early_refresh(dice);
        }
        settings.throttle.max_early = *dice.pick(&[1, 64]);
        settings.ttl = Duration::from_millis(*dice.pick(&[700, 2_000, 4_000]));
        self.chances.l2_fails = 10;
        self.fail(10, &[Fault::Outage, Fault::EvictRecord, Fault::SourceHangs]);
    }

    fn everything(&mut self, dice: &Dice) {
        self.chances = Chances {
            l2_fails: 25,
            l2_refuses: 10,
            publish_fails: 20,
            is_lost: 20,
            comes_twice: 20,
            ..self.chances
        };
        if dice.one_in(3) {
            self.settings.throttle.max_loads = 2;
        }
        self.are_clocks_off = dice.one_in(3);
        self.fail(40, Fault::ALL);
    }

    fn fail(&mut self, chance: u64, faults: &'static [Fault]) {
        self.chances.fault = chance;
        self.faults = faults;
    }

    pub(crate) fn coherence(&self) -> &Coherence {
        &self.settings.coherence
    }

    /// Nothing goes wrong, and nothing takes longer than a claim lives: then nobody loads what another loads.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.name == "quiet"
    }

    /// How much later than the bound a change may be noticed elsewhere: until its message, queued behind another one, is out.
    pub(crate) fn lateness(&self) -> Duration {
        self.publish.longest * 3 + self.deliver.longest + Duration::from_millis(2)
    }

    /// How long a single command may be waited for.
    pub(crate) fn longest_command(&self) -> Duration {
        self.settings.deadlines.l2.max(Duration::from_millis(250))
    }

    /// For how long after a failure a node may still not ask L2.
    pub(crate) fn blindness(&self) -> Duration {
        self.settings.breaker.pause * 2 + self.longest_command() * 2
    }

    /// How long after its end those who wait for a load may not have heard of it.
    pub(crate) fn news(&self) -> Duration {
        let freezes = self.faults.contains(&Fault::Freeze);
        let frozen = if freezes {
            self.longest_trouble()
        } else {
            Duration::ZERO
        };
        self.settings.deadlines.l2 + frozen + Duration::from_millis(2)
    }

    /// How long a trouble lasts at most.
    pub(crate) fn longest_trouble(&self) -> Duration {
        self.coherence().bound * 6
    }

    /// By how much two nodes may differ about the age of a value: each knows the server's clock as exactly as half of the time
    /// that its answer took.
    pub(crate) fn clock_error(&self) -> Duration {
        let round_trip = self.longest_command().min(self.l2.longest * 2);
        let is_uneven = self.faults.iter().any(|fault| fault.delays_answers());
        let error = if is_uneven {
            self.longest_command()
        } else {
            round_trip
        };
        error + Duration::from_millis(4)
    }
}

const EVICTIONS: &[Fault] = &[
    Fault::EvictRecord,
    Fault::EvictMark,
    Fault::Flush,
    Fault::ForgetNear,
];

const HANGS: &[Fault] = &[
    Fault::Stop,
    Fault::Swallow,
    Fault::StopReads,
    Fault::StopWrites,
    Fault::SwallowReads,
    Fault::SwallowWrites,
];
