//! What runs at this moment, loaders or writes: how many, and for how long the oldest.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tiered_core::Tick;

#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<Runs>>);

#[derive(Default)]
struct Runs {
    /// By their begin, and then by their number.
    begun: BTreeSet<(Tick, u64)>,
    last: u64,
}

/// One of them, for as long as it runs.
pub(crate) struct Run {
    running: Running,
    place: (Tick, u64),
}

impl Running {
    pub(crate) fn begin(&self, now: Tick) -> Run {
        let mut runs = self.runs();
        runs.last += 1;
        let place = (now, runs.last);
        runs.begun.insert(place);
        Run {
            running: self.clone(),
            place,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.runs().begun.len()
    }

    pub(crate) fn oldest(&self, now: Tick) -> Option<Duration> {
        let runs = self.runs();
        let (begun, _) = runs.begun.first()?;
        Some(now.since(*begun))
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.running.runs().begun.remove(&self.place);
    }
}
