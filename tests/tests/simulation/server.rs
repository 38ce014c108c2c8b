//! The store that all nodes share, as it is reached over wires of which nothing is certain.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use tiered::{Embedded, L2, ManualClock, NewMark, Version};

use crate::troubles::{Troubles, Use};

pub(crate) struct Server {
    pub(crate) store: Embedded,
    pub(crate) hand: ManualClock,
    wires: Mutex<Wires>,
}

pub(crate) struct Wires {
    pub(crate) troubles: Troubles,
    /// When a node's last change of a key takes effect: its next one comes later.
    lanes: BTreeMap<(usize, String), Duration>,
    /// When a node last heard an error, or gave up waiting.
    failed: BTreeMap<(usize, Use), Duration>,
    /// When what is under a name was last changed.
    changed: BTreeMap<String, Duration>,
    /// When a mark was.
    marked: Duration,
    /// Some mark was forgotten.
    has_lost_marks: bool,
}

impl Server {
    pub(crate) fn new() -> Self {
        let hand = ManualClock::new();
        Self {
            store: Embedded::new().with_clock(hand.clone()),
            hand,
            wires: Mutex::new(Wires {
                troubles: Troubles::default(),
                lanes: BTreeMap::new(),
                failed: BTreeMap::new(),
                changed: BTreeMap::new(),
                marked: Duration::ZERO,
                has_lost_marks: false,
            }),
        }
    }

    /// When this node last heard that such a command has failed, or did not hear of it in time.
    pub(crate) fn failed_at(&self, node: usize, what: Use) -> Option<Duration> {
        self.wires().failed.get(&(node, what)).copied()
    }

    pub(crate) fn note_failure(&self, node: usize, what: Use, now: Duration) {
        self.wires().failed.insert((node, what), now);
    }

    /// Neither what is under this name nor any mark has changed since then.
    pub(crate) fn is_unchanged(&self, name: &str, since: Duration) -> bool {
        let wires = self.wires();
        let changed = wires.changed.get(name).copied().unwrap_or_default();
        changed.max(wires.marked) < since
    }

    /// No mark has changed since then.
    pub(crate) fn is_unmarked(&self, since: Duration) -> bool {
        self.wires().marked < since
    }

    /// It has forgotten a mark, of which nobody may know yet.
    pub(crate) fn has_lost_marks(&self) -> bool {
        self.wires().has_lost_marks
    }

    /// A command has changed something.
    pub(crate) fn note_change(&self, verb: &str, name: &str, now: Duration) {
        let mut wires = self.wires();
        match verb {
            "set" | "fill" | "remove" | "expire" => {
                wires.changed.insert(name.to_owned(), now);
            }
            "write mark" => wires.marked = now,
            _ => {}
        }
    }

    /// Forgets this record.
    pub(crate) fn evict(&self, name: &str, now: Duration) {
        self.store.remove_many(&[name]).now_or_never().unwrap();
        self.note_change("remove", name, now);
    }

    /// Forgets this mark: whoever reads it next finds another one.
    pub(crate) fn evict_mark(&self, name: &str, version: Version, now: Duration) {
        let life = Duration::from_secs(1_000_000);
        let mark = NewMark {
            name,
            version,
            life,
        };
        let written = self.store.write_marks(&[mark]).now_or_never();
        written.unwrap().unwrap();
        self.note_change("write mark", name, now);
        self.wires().has_lost_marks = true;
    }

    /// When a change that would take effect at this moment does.
    pub(crate) fn queue(&self, node: usize, key: &str, moment: Duration) -> Duration {
        let mut wires = self.wires();
        let lane = wires.lanes.entry((node, key.to_owned())).or_default();
        *lane = moment.max(*lane);
        *lane
    }

    pub(crate) fn wires(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().unwrap()
    }
}
