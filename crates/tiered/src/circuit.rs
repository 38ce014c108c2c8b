//! A circuit breaker: it counts failures, opens, and is closed by a probe that succeeds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tiered_core::{Clock, Error, ErrorKind, Tick};

use crate::breaker::Breaker;

/// One breaker. While all is well a call costs it one atomic read.
#[derive(Debug)]
pub(crate) struct Circuit {
    /// What it is about, for the log.
    name: String,
    breaker: Breaker,
    clock: Clock,
    /// One of the constants below.
    mood: AtomicU8,
    log: Mutex<Log>,
}

/// Closed, and no failure among the last calls.
const CALM: u8 = 0;
/// Closed, and outcomes are noted.
const ALERT: u8 = 1;
const OPEN: u8 = 2;

#[derive(Debug)]
struct Log {
    /// The last outcomes, oldest first: when, and whether it was a failure.
    outcomes: VecDeque<(Tick, bool)>,
    /// Since when it has been open, or closed.
    since: Tick,
    /// When the next probe may go.
    next_probe: Tick,
    last_failure: Option<Tick>,
}

impl Circuit {
    pub(crate) fn new(name: String, breaker: Breaker, clock: Clock) -> Self {
        let now = clock.now();
        Self {
            name,
            breaker,
            clock,
            mood: AtomicU8::new(CALM),
            log: Mutex::new(Log {
                outcomes: VecDeque::new(),
                since: now,
                next_probe: now,
                last_failure: None,
            }),
        }
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.mood.load(Ordering::Acquire) == OPEN
    }

    /// Notes what has become of a call. Whether that has opened it.
    #[inline]
    pub(crate) fn note(&self, is_failure: bool) -> bool {
        if !is_failure && self.mood.load(Ordering::Acquire) == CALM {
            return false;
        }
        self.note_alert(is_failure)
    }

    #[cold]
    fn note_alert(&self, is_failure: bool) -> bool {
        let now = self.clock.now();
        let mut log = self.log();
        if is_failure {
            log.last_failure = Some(now);
        }
        if self.is_open() {
            // What was asked before it opened.
            return false;
        }
        log.note(&self.breaker, now, is_failure);
        if is_failure && log.is_bad(&self.breaker) {
            log.turn(now);
            log.next_probe = now.plus(self.breaker.pause);
            self.mood.store(OPEN, Ordering::Release);
            drop(log);
            log::warn!(
                "{}: not asked any more, for it fails; probed from now on",
                self.name
            );
            return true;
        }
        let is_calm = log.outcomes.iter().all(|(_, is_failure)| !is_failure);
        self.mood
            .store(if is_calm { CALM } else { ALERT }, Ordering::Release);
        false
    }

    /// Whether a probe may go now; then it is the only one until the next pause is over.
    pub(crate) fn may_probe(&self) -> bool {
        let now = self.clock.now();
        let mut log = self.log();
        let may = self.is_open() && now >= log.next_probe;
        if may {
            log.next_probe = now.plus(self.breaker.pause);
        }
        may
    }

    /// What has become of a probe. A success closes it.
    pub(crate) fn note_probe(&self, is_failure: bool) {
        let now = self.clock.now();
        let mut log = self.log();
        log.next_probe = now.plus(self.breaker.pause);
        if is_failure {
            log.last_failure = Some(now);
        } else if self.is_open() {
            log.turn(now);
            self.mood.store(CALM, Ordering::Release);
            drop(log);
            log::info!("{}: answers again", self.name);
        }
    }

    /// A call was answered, with a refusal that is no failure: it is told, and no more.
    #[cold]
    pub(crate) fn note_refusal(&self) {
        self.log().last_failure = Some(self.clock.now());
    }

    /// When a probe may go at the earliest.
    pub(crate) fn next_probe(&self) -> Tick {
        self.log().next_probe
    }

    /// Since when it has been open or closed, as it is.
    pub(crate) fn since(&self) -> Tick {
        self.log().since
    }

    /// A call has failed, or was refused, a short while ago.
    pub(crate) fn has_failed_lately(&self) -> bool {
        let now = self.clock.now();
        let last = self.log().last_failure;
        last.is_some_and(|last| now < last.plus(self.breaker.window))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing is asked while one is open.
pub(crate) fn refusal() -> Error {
    let message = "not asked, for it failed lately: the circuit breaker is open";
    Error::new(ErrorKind::Unavailable, message)
}

impl Log {
    fn note(&mut self, breaker: &Breaker, now: Tick, is_failure: bool) {
        self.outcomes.push_back((now, is_failure));
        let is_old = |(at, _): &(Tick, bool)| at.plus(breaker.window) <= now;
        while self.outcomes.len() > breaker.calls * 2 || self.outcomes.front().is_some_and(is_old) {
            self.outcomes.pop_front();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "there are 2,000 at most")]
    fn is_bad(&self, breaker: &Breaker) -> bool {
        let failures = self.outcomes.iter().filter(|(_, is_failure)| *is_failure);
        let (failures, calls) = (failures.count(), self.outcomes.len());
        calls >= breaker.calls && failures as f64 >= breaker.share * calls as f64
    }

    fn turn(&mut self, now: Tick) {
        self.since = now;
        self.outcomes.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tiered_core::ManualClock;

    use super::*;

    fn circuit() -> (Circuit, ManualClock) {
        let hand = ManualClock::new();
        let circuit = Circuit::new("it".to_owned(), Breaker::default(), hand.clone().into());
        (circuit, hand)
    }

    #[test]
    fn ten_failures_in_a_row_open_it_however_much_went_well_before() {
        let (circuit, _) = circuit();
        for _ in 0..10_000 {
            assert!(!circuit.note(false));
        }
        for failure in 1..=10 {
            assert_eq!(circuit.note(true), failure == 10);
        }
        assert!(circuit.is_open());
    }

    #[test]
    fn a_success_never_opens_it() {
        let (circuit, _) = circuit();
        (0..9).for_each(|_| assert!(!circuit.note(true)));
        (0..9).for_each(|_| assert!(!circuit.note(false)));
        assert!(
            circuit.note(true),
            "still more than half of them have failed"
        );
    }

    #[test]
    fn less_than_its_share_of_failures_never_opens_it() {
        let (circuit, _) = circuit();
        for call in 0..1_000 {
            assert!(!circuit.note(call % 3 == 0));
        }
    }

    #[test]
    fn what_is_long_ago_does_not_count() {
        let (circuit, hand) = circuit();
        for _ in 0..100 {
            assert!(!circuit.note(true));
            hand.advance(Duration::from_secs(2));
        }
    }

    #[test]
    fn one_probe_a_pause_may_go_and_the_first_that_succeeds_closes_it() {
        let (circuit, hand) = circuit();
        (1..=10).for_each(|failure| assert_eq!(circuit.note(true), failure == 10));
        assert!(!circuit.may_probe());
        hand.advance(Duration::from_millis(250));
        assert!(circuit.may_probe());
        assert!(!circuit.may_probe());
        circuit.note_probe(true);
        assert!(circuit.is_open());
        hand.advance(Duration::from_millis(250));
        assert!(circuit.may_probe());
        circuit.note_probe(false);
        assert!(!circuit.is_open());
        assert!(!circuit.note(true), "what was before is forgotten");
    }
}
