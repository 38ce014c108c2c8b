use std::sync::Arc;

use tiered_core::{Clock, Key, L2, Random, Tick};

use crate::near::Near;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::weight::Weight;
use crate::wire::Wire;

/// What the handles of one cache share. The read path is in `read`, loads are in `load`, the write path is in `write`.
pub(crate) struct Shared<V, K: Key + ?Sized> {
    pub(crate) namespace: String,
    pub(crate) settings: Settings,
    pub(crate) near: Arc<Near<V, K>>,
    pub(crate) far: Option<Far<V>>,
    pub(crate) weight: Weight<V>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) counters: Counters,
}

/// L2, and the form that entries have there.
pub(crate) struct Far<V> {
    pub(crate) l2: Arc<dyn L2>,
    pub(crate) wire: Wire<V>,
}

impl<V, K: Key + ?Sized> Shared<V, K> {
    pub(crate) fn now(&self) -> Tick {
        self.clock.now()
    }
}

impl<V: 'static> Far<V> {
    /// The names of these keys in L2.
    pub(crate) fn names<K: Key + ?Sized>(&self, keys: &[&K]) -> Vec<String> {
        keys.iter().map(|key| self.wire.name(*key)).collect()
    }
}

/// Names as L2 takes them.
pub(crate) fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
