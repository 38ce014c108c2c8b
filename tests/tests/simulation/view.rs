//! A node as it looks from outside.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tiered::{Cache, Clock, Tick};

use crate::datum::Datum;
use crate::shelf::{Place, Shelf};
use crate::world::World;

/// A handle.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) shelf: Shelf,
    clock: Clock,
    faith: Arc<Mutex<Faith>>,
}

/// Whether a node trusts what it holds.
struct Faith {
    doubts: u64,
    /// When it last did not, for all that is known.
    lost: Tick,
}

impl View {
    pub(crate) fn new(world: &World, clock: Clock) -> Self {
        let forgets = world.profile.chances.l1_forgets;
        let lost = clock.now();
        Self {
            shelf: Shelf::new(world.dice.clone(), forgets, clock.clone()),
            clock,
            faith: Arc::new(Mutex::new(Faith { doubts: 0, lost })),
        }
    }

    /// To be called whenever the node may have run.
    pub(crate) fn look(&self, cache: &Cache<Datum>) {
        let (stats, now) = (cache.stats(), self.clock.now());
        let mut faith = self.faith.lock().unwrap();
        if stats.doubts != faith.doubts || !stats.hears_itself {
            faith.lost = now;
        }
        faith.doubts = stats.doubts;
    }

    /// The copy that has been in L1 for so long, and may be used a while longer.
    pub(crate) fn copy(&self, key: &str, for_long: Duration) -> Option<Place> {
        let now = self.clock.now();
        let soon = now.plus(Duration::from_millis(1));
        let is_it = |place: &Place| place.since < now.minus(for_long) && !place.entry.is_dead(soon);
        self.shelf.look(key).filter(is_it)
    }

    /// How long ago somebody began to bring this copy here. It may have been put again since, as one that was expired.
    pub(crate) fn age(&self, place: &Place) -> Duration {
        self.clock.now().since(place.entry.begun.at())
    }

    /// Nothing was missed since before this copy began.
    pub(crate) fn trusts(&self, place: &Place) -> bool {
        let begun = place.entry.begun.at();
        let lost = self.faith.lock().unwrap().lost;
        lost.plus(Duration::from_millis(2)) < begun
    }
}
