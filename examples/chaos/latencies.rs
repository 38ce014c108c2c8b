use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// How long requests took, in memory that does not grow.
pub(crate) struct Latencies(Mutex<Histogram<u64>>);

/// In nanoseconds: two minutes.
const LONGEST: u64 = 120_000_000_000;

impl Latencies {
    pub(crate) fn note(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(LONGEST);
        self.histogram().saturating_record(nanos);
    }

    pub(crate) fn len(&self) -> u64 {
        self.histogram().len()
    }

    /// What this part of all does not exceed.
    pub(crate) fn at(&self, part: f64) -> Duration {
        Duration::from_nanos(self.histogram().value_at_quantile(part))
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.histogram().max())
    }

    fn histogram(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(LONGEST, 3);
        Self(Mutex::new(histogram.expect("three digits are possible")))
    }
}

impl fmt::Display for Latencies {
    /// In milliseconds: p50, p99, max.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |latency: Duration| latency.as_secs_f64() * 1e3;
        let (half, most) = (millis(self.at(0.5)), millis(self.at(0.99)));
        write!(f, "{half:.3} / {most:.2} / {:.1}", millis(self.max()))
    }
}
