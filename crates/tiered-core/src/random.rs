use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

/// The only source of random bits: versions and jitter.
///
/// Seeded by the operating system, or by hand so that a test replays. Clones share their state. Not for secrets.
///
/// ```
/// use tiered_core::Random;
///
/// assert_eq!(Random::seeded(7).bits(), Random::seeded(7).bits());
/// assert_ne!(Random::new().bits(), Random::new().bits());
/// ```
#[derive(Clone, Debug)]
pub struct Random(Arc<Mutex<fastrand::Rng>>);

impl Random {
    /// A source seeded by the operating system.
    pub fn new() -> Self {
        // The keys of a fresh `RandomState` come from the operating system.
        Self::seeded(RandomState::new().hash_one(0))
    }

    /// A source that gives the same bits for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// 64 random bits.
    pub fn bits(&self) -> u64 {
        self.draw(|rng| rng.u64(..))
    }

    /// A random number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        self.draw(fastrand::Rng::f64)
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
