use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, Hasher};

use tiered_core::Random;

/// `SipHash` behind a random seed from the cache's own source: keys from outside cannot be made to collide, and a simulation
/// replays.
#[derive(Clone, Copy)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(random: &Random) -> Self {
        Self(random.bits())
    }
}

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}
