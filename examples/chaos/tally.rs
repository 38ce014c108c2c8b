use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tiered::{Health, State};
use tiered_examples::Moment;

use crate::breach::{Breach, Promise};
use crate::latencies::Latencies;

/// When a request began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Before,
    During,
    After,
    /// What happens now is not counted, as before the first phase.
    Over,
}

/// What all workers of a row have seen.
pub(crate) struct Tally {
    phase: AtomicU8,
    /// When the phase began, in nanoseconds of [`Moment`].
    begun: AtomicU64,
    before: Span,
    during: Span,
    after: Span,
    notes: Mutex<Notes>,
    /// The worst that a node has told of its L2 and its backplane, during the fault.
    health: Mutex<(State, State)>,
}

/// What they have seen in one phase.
#[derive(Default)]
pub(crate) struct Span {
    pub(crate) failed: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) latencies: Latencies,
    /// How long it was, in milliseconds.
    lasted: AtomicU64,
}

/// What went wrong.
#[derive(Default)]
struct Notes {
    first_error: Option<String>,
    /// By promise, the number and the worst one.
    breaches: Vec<(Promise, u64, Breach)>,
}

impl Tally {
    /// Before the first phase.
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Over as u8),
            begun: AtomicU64::new(0),
            before: Span::default(),
            during: Span::default(),
            after: Span::default(),
            notes: Mutex::default(),
            health: Mutex::new((State::Absent, State::Absent)),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let now = Moment::now();
        let begun = self.begun.swap(now.nanos(), Ordering::SeqCst);
        if let Some(span) = self.now() {
            let lasted = now.since(Moment::from_nanos(begun)).as_millis();
            let lasted = u64::try_from(lasted).unwrap_or(u64::MAX);
            span.lasted.store(lasted, Ordering::SeqCst);
        }
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// The present phase, where it is counted.
    pub(crate) fn now(&self) -> Option<&Span> {
        let phase = self.phase.load(Ordering::SeqCst);
        let counted = [Phase::Before, Phase::During, Phase::After];
        let phase = counted
            .into_iter()
            .find(|counted| *counted as u8 == phase)?;
        self.span(phase)
    }

    pub(crate) fn span(&self, phase: Phase) -> Option<&Span> {
        match phase {
            Phase::Before => Some(&self.before),
            Phase::During => Some(&self.during),
            Phase::After => Some(&self.after),
            Phase::Over => None,
        }
    }

    /// How many requests there were in all phases.
    pub(crate) fn requests(&self) -> u64 {
        let spans = [&self.before, &self.during, &self.after];
        spans.into_iter().map(|span| span.latencies.len()).sum()
    }

    /// The sum over all phases.
    pub(crate) fn sum(&self, of: impl Fn(&Span) -> &AtomicU64) -> u64 {
        let spans = [&self.before, &self.during, &self.after];
        spans
            .into_iter()
            .map(|span| of(span).load(Ordering::SeqCst))
            .sum()
    }

    pub(crate) fn note_error(&self, error: String) {
        self.notes().first_error.get_or_insert(error);
    }

    pub(crate) fn note_breach(&self, breach: Breach) {
        let mut notes = self.notes();
        let known = notes.breaches.iter_mut();
        match known
            .into_iter()
            .find(|(promise, ..)| *promise == breach.promise)
        {
            Some((_, count, worst)) => {
                *count += 1;
                if breach.age > worst.age {
                    *worst = breach;
                }
            }
            None => notes.breaches.push((breach.promise, 1, breach)),
        }
    }

    pub(crate) fn note_health(&self, health: &Health) {
        if self.phase.load(Ordering::SeqCst) == Phase::During as u8 {
            let mut worst = self.health.lock().unwrap_or_else(PoisonError::into_inner);
            let (l2, backplane) = *worst;
            *worst = (
                l2.max(health.l2.state),
                backplane.max(health.backplane.state),
            );
        }
    }

    /// The worst of L2 and of the backplane.
    pub(crate) fn health(&self) -> (State, State) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn first_error(&self) -> Option<String> {
        self.notes().first_error.clone()
    }

    /// How often each promise was broken, and the worst case.
    pub(crate) fn breaches(&self) -> Vec<(u64, Breach)> {
        let notes = self.notes();
        let broken = notes.breaches.iter();
        broken
            .map(|(_, count, worst)| (*count, worst.clone()))
            .collect()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Span {
    /// Loads in a second of it.
    pub(crate) fn load_rate(&self) -> u64 {
        let loads = self.loads.load(Ordering::SeqCst);
        loads * 1_000 / self.lasted.load(Ordering::SeqCst).max(1)
    }
}
