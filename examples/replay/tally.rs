use std::error::Error;
use std::time::Duration;

use hdrhistogram::Histogram;
use tiered::Source;

/// What a task has seen.
pub(crate) struct Tally {
    /// Keys asked for; one that is in a request twice counts once, as in the cache's own counts.
    pub(crate) reads: u64,
    pub(crate) errors: u64,
    pub(crate) wrong: u64,
    /// The first error, with its causes.
    pub(crate) first_error: Option<String>,
    pub(crate) took: Duration,
    /// In nanoseconds, by who answered.
    latencies: [Histogram<u64>; 3],
}

impl Tally {
    pub(crate) fn new() -> Self {
        let latencies = || Histogram::new(2).expect("two digits are possible");
        let latencies = [latencies(), latencies(), latencies()];
        Self {
            reads: 0,
            errors: 0,
            wrong: 0,
            first_error: None,
            took: Duration::ZERO,
            latencies,
        }
    }

    pub(crate) fn add_answer(&mut self, source: Source, took: Duration, is_right: bool) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let [l1, l2, loader] = &mut self.latencies;
        let latencies = match source {
            Source::L1 => l1,
            Source::L2 => l2,
            Source::Loader => loader,
        };
        latencies
            .record(nanos)
            .expect("a histogram that resizes takes any value");
        self.wrong += u64::from(!is_right);
    }

    pub(crate) fn add_error(&mut self, error: &tiered::Error) {
        self.errors += 1;
        self.first_error
            .get_or_insert_with(|| match error.source() {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            });
    }

    /// Takes another task's tally in.
    pub(crate) fn add(&mut self, other: &Self) {
        self.reads += other.reads;
        self.errors += other.errors;
        self.wrong += other.wrong;
        self.first_error = self
            .first_error
            .take()
            .or_else(|| other.first_error.clone());
        for (mine, others) in self.latencies.iter_mut().zip(&other.latencies) {
            mine.add(others)
                .expect("a histogram that resizes takes any value");
        }
    }

    /// How long the answers took, in nanoseconds, from L1, L2 and the loader.
    pub(crate) fn latencies(&self) -> &[Histogram<u64>; 3] {
        &self.latencies
    }
}
