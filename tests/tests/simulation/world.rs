use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::dice::Dice;
use crate::exclusion::Exclusion;
use crate::farewell::Departures;
use crate::hub::Hub;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::loads::Loads;
use crate::probe::Probe;
use crate::profile::Profile;
use crate::server::Server;
use crate::source::Source;
use crate::timeline::{Stopped, Timeline};
use crate::waits::Frosts;

/// All that the nodes of one seed share.
pub(crate) struct World {
    pub(crate) profile: Profile,
    pub(crate) dice: Dice,
    pub(crate) timeline: Timeline,
    pub(crate) stopped: Stopped,
    pub(crate) server: Server,
    pub(crate) hub: Hub,
    pub(crate) source: Source,
    pub(crate) exclusion: Exclusion,
    pub(crate) ledger: Ledger,
    pub(crate) journal: Journal,
    pub(crate) loads: Loads,
    pub(crate) frosts: Frosts,
    pub(crate) departures: Departures,
    pub(crate) probe: Probe,
    is_healed: AtomicBool,
    struck: Mutex<Option<usize>>,
    visits: Mutex<BTreeSet<Duration>>,
}

impl World {
    pub(crate) fn new(seed: u64, is_traced: bool) -> Arc<Self> {
        let dice = Dice::new(seed);
        let profile = Profile::draw(seed, &dice);
        let server = Server::new();
        Arc::new(Self {
            probe: Probe::new(&server, &profile, &dice),
            server,
            loads: Loads::default(),
            frosts: Frosts::new(profile.nodes),
            departures: Departures::default(),
            hub: Hub::default(),
            source: Source::new(profile.keys),
            exclusion: Exclusion::new(profile.keys),
            ledger: Ledger::new(profile.keys),
            timeline: Timeline::default(),
            stopped: Stopped::default(),
            journal: Journal::new(is_traced),
            is_healed: AtomicBool::new(false),
            struck: Mutex::default(),
            visits: Mutex::default(),
            profile,
            dice,
        })
    }

    pub(crate) fn now(&self) -> Duration {
        self.timeline.now()
    }

    /// A chance of trouble, which is gone once the world is healed.
    pub(crate) fn strikes(&self, permille: u64) -> bool {
        !self.is_healed.load(Ordering::Relaxed) && self.dice.permille(permille)
    }

    pub(crate) fn heal(&self) {
        self.is_healed.store(true, Ordering::Relaxed);
    }

    /// A fault is to strike this node before it does anything more.
    pub(crate) fn strike(&self, node: usize) {
        *self.struck.lock().unwrap() = Some(node);
    }

    pub(crate) fn is_struck(&self, node: usize) -> bool {
        *self.struck.lock().unwrap() == Some(node)
    }

    pub(crate) fn take_struck(&self) -> Option<usize> {
        self.struck.lock().unwrap().take()
    }

    /// Everything is to be read by everybody at this moment.
    pub(crate) fn plan_visit(&self, moment: Duration) {
        self.visits.lock().unwrap().insert(moment);
    }

    pub(crate) fn next_visit(&self) -> Option<Duration> {
        self.visits.lock().unwrap().first().copied()
    }

    /// Whether it is time for one.
    pub(crate) fn take_visit(&self) -> bool {
        let mut visits = self.visits.lock().unwrap();
        let is_due = visits.first().is_some_and(|visit| *visit <= self.now());
        is_due && visits.pop_first().is_some()
    }

    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if self.journal.is_traced() {
            let (now, line) = (self.now(), line());
            let (millis, micros) = (now.as_millis(), now.subsec_micros() % 1_000);
            self.journal
                .write(format!("{millis:>7}.{micros:03} {line}"));
        }
    }
}
