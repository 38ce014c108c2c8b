use std::time::Duration;

use tiered::Random;

/// All chance of a world, from its seed.
#[derive(Clone)]
pub(crate) struct Dice(Random);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds are to have nothing in common.
        Self(Random::seeded(
            seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        ))
    }

    pub(crate) fn bits(&self) -> u64 {
        self.0.bits()
    }

    /// Below `end`.
    pub(crate) fn below(&self, end: usize) -> usize {
        usize::try_from(self.bits() % end.max(1) as u64).unwrap()
    }

    pub(crate) fn permille(&self, chance: u64) -> bool {
        chance > 0 && self.bits() % 1_000 < chance
    }

    pub(crate) fn one_in(&self, cases: u64) -> bool {
        self.bits().is_multiple_of(cases)
    }

    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// At least ten microseconds: nothing that has to cross a wire is there at once.
    pub(crate) fn up_to(&self, longest: Duration) -> Duration {
        let micros = u64::try_from(longest.as_micros()).unwrap().max(11);
        Duration::from_micros(10 + self.bits() % (micros - 10))
    }
}
