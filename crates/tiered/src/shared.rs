use std::sync::Arc;
use std::time::Duration;

use tiered_core::{Clock, Key, Random, Tick};
use tokio::sync::Semaphore;

use crate::budget::for_keys;
use crate::doubts::Doubts;
use crate::early::Lead;
use crate::far::Far;
use crate::holdoff::HoldOffs;
use crate::lost::LostClaims;
use crate::marks::Marks;
use crate::mend::Mender;
use crate::near::Near;
use crate::outbox::Bus;
use crate::ration::Ration;
use crate::running::Running;
use crate::settings::Settings;
use crate::shutdown::Phase;
use crate::stats::Counters;
use crate::wall::Wall;
use crate::weight::Weight;
use crate::wire::Now;

/// What the handles of one cache share. The read path is in `read`, flights are in `fly`, the write path is in `write`.
pub(crate) struct Shared<V, K: Key + ?Sized> {
    pub(crate) namespace: String,
    pub(crate) settings: Settings,
    pub(crate) near: Near<V, K>,
    pub(crate) far: Option<Far<V>>,
    pub(crate) marks: Marks,
    pub(crate) wall: Wall,
    pub(crate) doubts: Doubts<K>,
    pub(crate) lost_claims: LostClaims,
    pub(crate) mender: Mender,
    pub(crate) bus: Option<Arc<Bus>>,
    pub(crate) hold_offs: HoldOffs<K>,
    pub(crate) lead: Lead,
    /// Room for loaders.
    pub(crate) room: Arc<Semaphore>,
    /// Room for early refreshes.
    pub(crate) early: Arc<Semaphore>,
    pub(crate) loads: Running,
    pub(crate) writes: Running,
    /// What may be loaded while L2 is silent, although an older copy could serve.
    pub(crate) outage_loads: Ration,
    pub(crate) phase: Phase,
    /// How many copies may be confirmed by L2 at a time.
    pub(crate) confirmations: Semaphore,
    pub(crate) weight: Weight<V>,
    pub(crate) clock: Clock,
    pub(crate) built: Tick,
    pub(crate) random: Random,
    pub(crate) counters: Counters,
}

/// How many reads of doubtful copies may be under way.
pub(crate) const CONFIRMATIONS: usize = 256;

impl<V, K: Key + ?Sized> Shared<V, K> {
    #[inline]
    pub(crate) fn now(&self) -> Tick {
        self.clock.now()
    }

    /// What a call on so many keys may spend on L2.
    pub(crate) fn budget(&self, keys: usize) -> Duration {
        for_keys(self.settings.deadlines.l2, keys)
    }

    /// The present, here and as frames tell it.
    pub(crate) fn moment(&self) -> Now {
        let tick = self.now();
        let wall = self.wall.at(tick, &self.clock);
        Now { tick, wall }
    }
}
