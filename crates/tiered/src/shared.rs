use tiered_core::{Clock, Key, Random, Tick};

use crate::far::Far;
use crate::near::Near;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::weight::Weight;

/// What the handles of one cache share. The read path is in `read`, loads are in `load`, the write path is in `write`.
pub(crate) struct Shared<V, K: Key + ?Sized> {
    pub(crate) namespace: String,
    pub(crate) settings: Settings,
    pub(crate) near: Near<V, K>,
    pub(crate) far: Option<Far<V>>,
    pub(crate) weight: Weight<V>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) counters: Counters,
}

impl<V, K: Key + ?Sized> Shared<V, K> {
    pub(crate) fn now(&self) -> Tick {
        self.clock.now()
    }
}
