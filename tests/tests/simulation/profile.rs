//! What a seed's world is like, and what goes wrong in it.

use std::time::Duration;

use tiered::{Coherence, Compression, Settings};

use crate::dice::Dice;

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
    /// A loader fails, panics, takes long, has nothing to store.
    pub(crate) bad_load: u64,
    pub(crate) l1_forgets: u64,
    /// A step ends with a caller who goes away.
    pub(crate) cancel: u64,
}

/// Most delays are short, some are not.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    usual: Duration,
    longest: Duration,
    long_ones: u64,
}

impl Pace {
    const fn prompt(millis: u64) -> Self {
        let usual = Duration::from_millis(millis);
        Self {
            usual,
            longest: usual,
            long_ones: 0,
        }
    }

    const fn uneven(usual: u64, longest: u64, long_ones: u64) -> Self {
        Self {
            usual: Duration::from_millis(usual),
            longest: Duration::from_millis(longest),
            long_ones,
        }
    }

    pub(crate) fn draw(&self, dice: &Dice) -> Duration {
        let is_long = dice.permille(self.long_ones);
        dice.up_to(if is_long { self.longest } else { self.usual })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Freeze,
    Crash,
    Leave,
    CutSubscription,
    Overflow,
    Outage,
    Partition,
    EvictRecord,
    EvictMark,
    Flush,
    ForgetNear,
}

const KINDS: [&str; 9] = [
    "quiet",
    "messages",
    "l2 errors",
    "cuts",
    "crashes",
    "freezes",
    "evictions",
    "slow",
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
            settings: settings(dice),
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
            faults: &[],
        };
        profile.trouble();
        profile
    }

    fn trouble(&mut self) {
        let chances = &mut self.chances;
        match self.name {
            "quiet" => {
                self.l2 = Pace::prompt(5);
                self.settings.coherence.claim_wait = Duration::from_secs(30);
                self.settings.negative_ttl = Duration::from_secs(30);
                *chances = Chances {
                    l1_forgets: 30,
                    ..Chances::default()
                };
            }
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
            "evictions" => self.fail(
                60,
                &[
                    Fault::EvictRecord,
                    Fault::EvictMark,
                    Fault::Flush,
                    Fault::ForgetNear,
                ],
            ),
            "slow" => {
                self.l2 = Pace::uneven(300, 2_500, 150);
                self.publish = Pace::uneven(100, 600, 100);
                self.deliver = Pace::uneven(100, 2_500, 100);
            }
            _ => self.everything(),
        }
    }

    fn everything(&mut self) {
        self.chances = Chances {
            l2_fails: 25,
            l2_refuses: 10,
            publish_fails: 20,
            is_lost: 20,
            comes_twice: 20,
            ..self.chances
        };
        self.fail(
            40,
            &[
                Fault::Freeze,
                Fault::Crash,
                Fault::Leave,
                Fault::CutSubscription,
                Fault::Overflow,
                Fault::Outage,
                Fault::Partition,
                Fault::EvictRecord,
                Fault::EvictMark,
                Fault::Flush,
                Fault::ForgetNear,
            ],
        );
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
}

fn settings(dice: &Dice) -> Settings {
    let millis = Duration::from_millis;
    let bound = *dice.pick(&[400, 1_000, 1_000]);
    Settings {
        ttl: millis(*dice.pick(&[700, 4_000, 300_000, 300_000])),
        l1_ttl: dice.one_in(4).then_some(millis(500)),
        negative_ttl: millis(*dice.pick(&[0, 600, 30_000])),
        stale_for: millis(*dice.pick(&[0, 0, 2_000])),
        jitter: *dice.pick(&[0.0, 0.3]),
        compression: Compression::None,
        coherence: Coherence {
            bound: millis(bound),
            blind_trust: millis(*dice.pick(&[0, 500, 2_000])),
            claim_life: millis(1_500),
            claim_wait: millis(*dice.pick(&[1_000, 6_000])),
            load_limit: millis(5_000),
        },
        ..Settings::default()
    }
}
