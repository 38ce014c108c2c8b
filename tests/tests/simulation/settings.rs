//! The settings of a seed's nodes.

use std::time::Duration;

use tiered::{Breaker, Coherence, Compression, Deadlines, EarlyRefresh, Settings, Throttle};

use crate::dice::Dice;

pub(crate) fn draw(dice: &Dice) -> Settings {
    Settings {
        ttl: millis(*dice.pick(&[700, 4_000, 300_000, 300_000])),
        l1_ttl: dice.one_in(4).then_some(millis(500)),
        negative_ttl: millis(*dice.pick(&[0, 600, 30_000])),
        stale_for: millis(*dice.pick(&[0, 0, 2_000, 60_000])),
        jitter: *dice.pick(&[0.0, 0.3]),
        compression: Compression::None,
        coherence: coherence(dice),
        deadlines: deadlines(dice),
        throttle: throttle(dice),
        breaker: Breaker {
            calls: *dice.pick(&[3, 10]),
            pause: millis(*dice.pick(&[50, 250])),
            ..Breaker::default()
        },
        early_refresh: early_refresh(dice),
        ..Settings::default()
    }
}

fn coherence(dice: &Dice) -> Coherence {
    Coherence {
        bound: millis(*dice.pick(&[400, 1_000, 1_000])),
        blind_trust: millis(*dice.pick(&[0, 500, 2_000])),
        claim_life: millis(1_500),
        claim_wait: millis(*dice.pick(&[1_000, 6_000])),
    }
}

fn deadlines(dice: &Dice) -> Deadlines {
    Deadlines {
        soft: millis(*dice.pick(&[0, 20, 250])),
        hard: millis(*dice.pick(&[2_000, 20_000])),
        abandon: millis(*dice.pick(&[3_000, 6_000])),
        aborts: !dice.one_in(4),
        l2: millis(*dice.pick(&[50, 50, 300, 4_000])),
    }
}

fn throttle(dice: &Dice) -> Throttle {
    Throttle {
        max_wait: millis(300),
        hold_off: millis(*dice.pick(&[0, 300, 1_000])),
        longest_hold_off: millis(3_000),
        outage_loads: *dice.pick(&[0, 1, 200]),
        outage_interval: millis(*dice.pick(&[0, 1_000, 15_000])),
        ..Throttle::default()
    }
}

pub(crate) fn early_refresh(dice: &Dice) -> EarlyRefresh {
    match dice.below(6) {
        0 => EarlyRefresh::After(0.5),
        1 => EarlyRefresh::XFetch(3.0),
        _ => EarlyRefresh::Off,
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
