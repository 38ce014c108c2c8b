//! The store's own clock.

use std::ops::Range;

use super::probe::Probe;
use super::{BRIEF, LONG, PAUSE};
use crate::Stamp;

const ONWARD: &str = "the time does not go back between two calls of one task";

/// From 2001 to 2286: a clock of another unit, or of another beginning, shows none of these moments.
const BELIEVED: Range<Stamp> =
    Stamp::from_millis(1_000_000_000_000)..Stamp::from_millis(10_000_000_000_000);

/// When `PAUSE` begins.
pub(super) async fn begin(probe: &Probe) -> Stamp {
    let mut last = probe.time().await;
    let rule = "the time is in milliseconds since the Unix epoch";
    assert!(BELIEVED.contains(&last), "L2: {rule}: it is {last:?}");
    for _ in 0..100 {
        last = later(probe, last).await;
    }
    last
}

pub(super) async fn end(probe: &Probe, begun: Stamp) {
    let passed = later(probe, begun).await.since(begun);
    let rule = "the time moves on with the store's clock";
    // How long the pause really was is not known, but what was to live on through it must not have ended.
    let is_right = (BRIEF..LONG).contains(&passed);
    assert!(is_right, "L2: {rule}: by {passed:?} in {PAUSE:?}");
}

async fn later(probe: &Probe, last: Stamp) -> Stamp {
    let next = probe.time().await;
    assert!(next >= last, "L2: {ONWARD}: {next:?} after {last:?}");
    next
}
