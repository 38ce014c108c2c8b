//! When a read may fail: as its loader does, or because nobody could have brought anything in time. Never where an older copy
//! may serve.

use std::time::Duration;

use tiered::{Error, ErrorKind};

use crate::caller::Caller;
use crate::ledger::{Floor, Reading};
use crate::loader::Loader;
use crate::loads::{End, Load};

/// A read that loads what it does not find.
pub(crate) struct Wish {
    pub(crate) reading: Reading,
    pub(crate) keys: Vec<usize>,
    pub(crate) loader: Loader,
    pub(crate) hard: Duration,
    /// An older copy will do after so long.
    pub(crate) soft: Option<Duration>,
    pub(crate) reads_l1: bool,
}

impl Caller {
    /// A read has failed.
    pub(crate) fn judge_error(&self, wish: &Wish, key: usize, error: &Error) {
        let kind = error.kind();
        self.world.journal.count(format!("reads: failed, {kind:?}"));
        self.world
            .say(|| format!("node {} k{key}: {error:?}", self.life));
        if kind == ErrorKind::Authoritative {
            self.note_last_word(wish, key);
        } else if wish.soft.is_some()
            && let Some(place) = self.certain_copy(&wish.reading, key, wish.reads_l1)
        {
            self.violate(
                wish,
                key,
                &format!("{error:?}, with an older copy in {place}"),
            );
        }
        if !self.is_excused(wish, key, kind) {
            self.violate(wish, key, &format!("{error:?}"));
        }
    }

    fn violate(&self, wish: &Wish, key: usize, what: &str) {
        let (by, begun) = (self.life, wish.reading.wait.begun);
        self.world.journal.violate(format!(
            "errors: a read of k{key} by node {by}, begun at {begun:?}: {what}"
        ));
    }

    /// This is how a loader that ran meanwhile has failed, or nothing could have come in time.
    fn is_excused(&self, wish: &Wish, key: usize, kind: ErrorKind) -> bool {
        let loads = self.world.loads_during(&wish.reading, key);
        let has_ended = |end: End| {
            let is_it = |load: &Load| load.end == end && load.ended.is_some();
            loads.iter().any(is_it)
        };
        let has_brought = wish.loader.has_brought(key);
        match kind {
            ErrorKind::Loader => !has_brought && has_ended(End::Error),
            ErrorKind::Panicked => !has_brought && has_ended(End::Panic),
            ErrorKind::Authoritative => !has_brought && has_ended(End::LastWord),
            ErrorKind::Timeout => self.is_late(wish, &loads),
            ErrorKind::Overloaded => !has_brought && self.is_crowded(wish),
            ErrorKind::Aborted => self.world.departures.has(self.life),
            // It refuses what there is, and somebody else was asked before it.
            ErrorKind::Unavailable => !has_brought && wish.refuses_old(),
            _ => false,
        }
    }

    /// Others had the little room there is: they load, or were about to.
    fn is_crowded(&self, wish: &Wish) -> bool {
        let (world, settings) = (&self.world, &self.world.profile.settings);
        let (l2, max_wait) = (settings.deadlines.l2, settings.throttle.max_wait);
        let since = wish.reading.wait.begun.saturating_sub(max_wait + l2);
        let has_run = world.loads.has_run(self.life, since);
        settings.throttle.max_loads < 10 && (has_run || l2 >= max_wait)
    }

    /// A load was given up, or all that comes before and with a load took longer than one waits.
    fn is_late(&self, wish: &Wish, loads: &[Load]) -> bool {
        let (world, settings) = (&self.world, &self.world.profile.settings);
        let deadlines = &settings.deadlines;
        let lasted = |load: &Load| {
            let ended = load.ended.unwrap_or(world.now());
            ended.saturating_sub(load.wait.begun)
        };
        let near = Duration::from_millis(1);
        if loads
            .iter()
            .any(|load| lasted(load) + near >= deadlines.abandon)
        {
            return true;
        }
        let own = wish.loader.takes(wish.keys.len());
        let takes = loads.iter().map(|load| load.takes).chain([own]);
        let longest: Duration = takes.map(|takes| takes.min(deadlines.abandon)).sum();
        let others = settings.coherence.claim_wait + settings.throttle.max_wait;
        let needed = longest + others + deadlines.l2 * 4;
        world.waited(&wish.reading.wait) + near >= wish.hard && needed >= wish.hard
            || !world.frozen_during(&wish.reading.wait).is_zero()
    }

    /// The source's last word ends all that is cached of the key.
    fn note_last_word(&self, wish: &Wish, key: usize) {
        let world = &self.world;
        let loads = world.loads_during(&wish.reading, key);
        let ended = loads.iter().filter(|load| load.ended.is_some());
        let words = ended.filter_map(|load| load.last_word);
        let Some(version) = words.min() else { return };
        let floor = Floor {
            version,
            tag: None,
            is_expiry: false,
            by: self.life,
            is_confirmed: false,
        };
        world.ledger.returned(key, floor, world.now());
    }
}

impl Wish {
    fn refuses_old(&self) -> bool {
        self.soft.is_none()
    }
}
