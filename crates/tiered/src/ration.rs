//! So many a second, and not more.

use std::sync::{Mutex, PoisonError};

use tiered_core::Tick;

/// A token bucket that holds one second's worth.
pub(crate) struct Ration {
    per_second: f64,
    level: Mutex<(f64, Tick)>,
}

impl Ration {
    pub(crate) fn new(per_second: u32, now: Tick) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            level: Mutex::new((per_second, now)),
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&self, now: Tick) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = *level;
        let grown = left + now.since(at).as_secs_f64() * self.per_second;
        let left = grown.min(self.per_second);
        let is_enough = left >= 1.0;
        *level = (if is_enough { left - 1.0 } else { left }, now.max(at));
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second_are_taken_and_no_more_are_saved_up() {
        let tick = |millis: i64| Tick::from_nanos(millis * 1_000_000);
        let ration = Ration::new(10, tick(0));
        let taken = |at: i64| (0..100).filter(|_| ration.take(tick(at))).count();
        assert_eq!(
            [taken(0), taken(50), taken(1_000), taken(60_000)],
            [10, 0, 10, 10]
        );
    }
}
