//! Older copies that must have served a read: those of which it is certain that the node had them at hand.
//!
//! What a flight has at hand it has seen at its begin, which may lie before that of the read. So nothing counts but what has been
//! as it is since before any flight that the read can have joined.

use std::time::Duration;

use crate::caller::Caller;
use crate::ledger::Reading;
use crate::loader::name;
use crate::troubles::Use;

/// For how long a copy must still be usable, beside what two clocks may differ.
const MARGIN: Duration = Duration::from_millis(5);

/// How long a flight that waits for another node may have seen nothing new.
const SLOWEST_POLL: Duration = Duration::from_millis(505);

impl Caller {
    /// An older copy that may serve this read, if it is certain that there is one: where it is.
    pub(crate) fn certain_copy(
        &self,
        reading: &Reading,
        key: usize,
        reads_l1: bool,
    ) -> Option<&'static str> {
        let since = self.begin_of_flights(reading, key);
        let is_frozen = self.world.frosts.has_been(self.life.node, since);
        if is_frozen || self.cache.stats().unconfirmed > 0 {
            return None;
        }
        if self.is_far_certain(key, since) {
            return Some("l2");
        }
        let sees_l1 = reads_l1 && !self.is_blinkered(key, since);
        (sees_l1 && self.is_near_certain(key, since)).then_some("l1")
    }

    /// It may have joined a flight that looks past L1.
    fn is_blinkered(&self, key: usize, since: Duration) -> bool {
        let settings = &self.world.profile.settings;
        let longest = settings.deadlines.abandon + settings.coherence.claim_wait;
        let past = self.world.ledger.looked_past_l1(self.life, key);
        past.is_some_and(|past| past + longest >= since)
    }

    /// Before that no flight has begun, nor looked again while it waited, that this read can have joined.
    fn begin_of_flights(&self, reading: &Reading, key: usize) -> Duration {
        let settings = &self.world.profile.settings;
        let look = settings.deadlines.l2 * 2 + settings.throttle.max_wait;
        let begun = reading.wait.begun.saturating_sub(look);
        let begun = begun.min(self.world.begin_of_flights(reading, key));
        begun.saturating_sub(SLOWEST_POLL)
    }

    /// L2 has had it, and has answered.
    fn is_far_certain(&self, key: usize, since: Duration) -> bool {
        let world = &self.world;
        let failed = world.server.failed_at(self.life.node, Use::Read);
        let has_answered = failed.is_none_or(|failed| failed < since);
        if !has_answered
            || !world
                .server
                .is_unchanged(&format!("sim:{}", name(key)), since)
        {
            return false;
        }
        let margin = MARGIN + world.profile.clock_error();
        world.probe.rest(key).is_some_and(|rest| rest > margin)
    }

    /// L1 has had it, and L2 was silent, or nobody can have changed it.
    fn is_near_certain(&self, key: usize, since: Duration) -> bool {
        let (world, now) = (&self.world, self.world.now());
        let Some(place) = self.view.copy(&name(key), now.saturating_sub(since)) else {
            return false;
        };
        let begun = now.saturating_sub(self.view.age(&place));
        // The news of it may have been on the way.
        let before = begun.saturating_sub(world.profile.news());
        let is_swept = world.ledger.swept_at() >= before || !world.server.is_unmarked(before);
        if is_swept || world.server.has_lost_marks() {
            return false;
        }
        let is_silent = {
            let wires = world.server.wires();
            wires.troubles.is_silent(self.life.node, (since, now))
        };
        is_silent || self.view.trusts(&place)
    }
}
