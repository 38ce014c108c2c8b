//! What callers get from a flight, and how long they wait for it.

use tiered_core::{Clock, Entry, Error, ErrorKind, Result, Tick};
use tokio::sync::watch;

use crate::answer::Source;

/// What a flight brought, or an older copy in its place: an entry, and from where.
#[derive(Debug)]
pub(crate) struct Landed<V> {
    pub(crate) entry: Entry<V>,
    pub(crate) source: Source,
    /// Why there is nothing newer.
    pub(crate) failure: Option<Error>,
}

impl<V> Landed<V> {
    pub(crate) const fn new(entry: Entry<V>, source: Source) -> Self {
        let failure = None;
        Self {
            entry,
            source,
            failure,
        }
    }

    /// There is nothing newer to be had, or something is about to be. What was just loaded is never old, however short its
    /// life.
    pub(crate) fn is_stale(&self, now: Tick) -> bool {
        self.failure.is_some() || self.source != Source::Loader && !self.entry.is_fresh(now)
    }

    /// It serves because there is nothing newer, for this reason.
    pub(crate) fn because(self, failure: Error) -> Self {
        let failure = Some(failure);
        Self { failure, ..self }
    }
}

impl<V> Clone for Landed<V> {
    fn clone(&self) -> Self {
        Self {
            entry: self.entry.clone(),
            failure: self.failure.clone(),
            ..*self
        }
    }
}

/// How far a flight has come.
pub(crate) struct Progress<V> {
    pub(crate) outcome: Option<Result<Landed<V>>>,
    /// An older copy, for those who do not want to wait, or cannot be given anything better.
    pub(crate) fallback: Option<Landed<V>>,
}

impl<V> Progress<V> {
    /// What there is for a caller who takes an older copy rather than an error.
    fn covered(&self, now: Tick) -> Option<Result<Landed<V>>> {
        match &self.outcome {
            Some(Err(error)) if may_be_covered(error) => Some(match self.usable(now) {
                Some(fallback) => Ok(fallback.because(error.clone())),
                None => Err(error.clone()),
            }),
            outcome => outcome.clone(),
        }
    }

    fn usable(&self, now: Tick) -> Option<Landed<V>> {
        let fallback = self.fallback.as_ref();
        fallback.filter(|old| !old.entry.is_dead(now)).cloned()
    }
}

/// An older copy is better than this error.
fn may_be_covered(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Authoritative | ErrorKind::Config | ErrorKind::NotFound
    )
}

/// How long a caller waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until when for something better than an older copy; `None`: one is never taken.
    pub(crate) soft: Option<Tick>,
    pub(crate) hard: Tick,
}

/// Where to wait for a flight. Waiting may be given up at any time, and disturbs nobody.
pub(crate) struct Landing<V>(pub(crate) watch::Receiver<Progress<V>>);

impl<V> Landing<V> {
    /// What the flight brings; after a while, or in place of an error, an older copy if there is one.
    pub(crate) async fn wait(mut self, clock: &Clock, patience: Patience) -> Result<Landed<V>> {
        let Some(soft) = patience.soft else {
            let outcome = self.until(clock, patience.hard, |progress| progress.outcome.clone());
            let landed = outcome.await.unwrap_or_else(|| Err(late()))?;
            return if landed.is_stale(clock.now()) {
                Err(outdated())
            } else {
                Ok(landed)
            };
        };
        let first = self.until(clock, soft.min(patience.hard), |progress| {
            progress.covered(clock.now())
        });
        if let Some(outcome) = first.await {
            return outcome;
        }
        let anything = |progress: &Progress<V>| {
            let now = clock.now();
            progress
                .covered(now)
                .or_else(|| Some(Ok(progress.usable(now)?.because(late()))))
        };
        let second = self.until(clock, patience.hard, anything);
        second.await.unwrap_or_else(|| Err(late()))
    }

    /// What `choose` finds in the flight's progress, as soon as it does; `None` if it has not until then.
    async fn until(
        &mut self,
        clock: &Clock,
        end: Tick,
        choose: impl Fn(&Progress<V>) -> Option<Result<Landed<V>>>,
    ) -> Option<Result<Landed<V>>> {
        let mut chosen = None;
        let landed = self.0.wait_for(|progress| {
            chosen = choose(progress);
            chosen.is_some()
        });
        tokio::select! {
            biased;
            landed = landed => if landed.is_err() { return Some(Err(aborted())) },
            () = clock.sleep_until(end) => return None,
        }
        chosen
    }
}

pub(crate) fn aborted() -> Error {
    let message = "the load ended without a result: its runtime or its cache was shut down";
    Error::new(ErrorKind::Aborted, message)
}

fn outdated() -> Error {
    let message = "there is only an older copy, which this call refuses";
    Error::new(ErrorKind::Unavailable, message)
}

fn late() -> Error {
    let message = "it did not come in time; the load goes on for those who come later";
    Error::new(ErrorKind::Timeout, message)
}

impl<V> Clone for Landing<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
