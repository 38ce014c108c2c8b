use std::sync::Arc;

use tiered_core::{Clock, Key, Random, Tick};
use tokio::sync::Semaphore;

use crate::bus::Bus;
use crate::doubts::Doubts;
use crate::far::Far;
use crate::marks::Marks;
use crate::mend::Mender;
use crate::near::Near;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::weight::Weight;

/// What the handles of one cache share. The read path is in `read`, flights are in `fly`, the write path is in `write`.
pub(crate) struct Shared<V, K: Key + ?Sized> {
    pub(crate) namespace: String,
    pub(crate) settings: Settings,
    pub(crate) near: Near<V, K>,
    pub(crate) far: Option<Far<V>>,
    pub(crate) marks: Marks,
    pub(crate) doubts: Doubts<K>,
    pub(crate) mender: Mender,
    pub(crate) bus: Option<Arc<Bus>>,
    /// How many copies may be confirmed by L2 at a time.
    pub(crate) confirmations: Semaphore,
    pub(crate) weight: Weight<V>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) counters: Counters,
}

/// How many reads of doubtful copies may be under way.
pub(crate) const CONFIRMATIONS: usize = 256;

impl<V, K: Key + ?Sized> Shared<V, K> {
    pub(crate) fn now(&self) -> Tick {
        self.clock.now()
    }
}

impl<V, K: Key + ?Sized> Drop for Shared<V, K> {
    /// The tasks hold no handle, and end with the last one.
    fn drop(&mut self) {
        self.mender.stop();
        if let Some(bus) = &self.bus {
            bus.close();
        }
    }
}
