//! The far side of a cache: L2, and the form that entries have there.

use std::sync::Arc;
use std::time::Duration;

use tiered_core::{Error, ErrorKind, Key, L2, Result, Write};

use crate::guard::Guard;
use crate::near::Act;
use crate::settings::Life;
use crate::wire::{Packed, Wire};
use crate::written::Outcome;

pub(crate) struct Far<V> {
    pub(crate) l2: Arc<dyn L2>,
    /// What stands around it.
    pub(crate) guard: Guard,
    pub(crate) wire: Wire<V>,
}

/// What L2 is to do with one record, and what has become of it.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) act: Act<Packed>,
    /// How long L2 is to remember it.
    pub(crate) life: Duration,
    /// Why it cannot be stored.
    pub(crate) refusal: Option<Error>,
    /// Why it is not known what L2 did.
    pub(crate) failure: Option<Error>,
}

impl<V: 'static> Far<V> {
    /// The names of these keys in L2.
    pub(crate) fn names<K: Key + ?Sized>(&self, keys: &[&K]) -> Vec<String> {
        keys.iter().map(|key| self.wire.name(*key)).collect()
    }

    /// Has L2 do all jobs: one round trip, and a second one if some records are to be stored and others removed.
    pub(crate) async fn carry_out(&self, jobs: &mut [Job]) {
        self.store(jobs).await;
        self.remove(jobs).await;
    }

    async fn store(&self, jobs: &mut [Job]) {
        let writes: Vec<_> = jobs.iter().filter_map(Job::write).collect();
        if writes.is_empty() {
            return;
        }
        let answers = self.l2.set_many(&writes).await;
        let stored = jobs.iter_mut().filter(|job| job.is_put());
        stored
            .zip(answers)
            .for_each(|(job, answer)| job.note(answer));
    }

    async fn remove(&self, jobs: &mut [Job]) {
        let removals = jobs.iter().filter(|job| matches!(job.act, Act::Take));
        let names: Vec<_> = removals.map(|job| job.name.as_str()).collect();
        if names.is_empty() {
            return;
        }
        let answers = self.l2.remove_many(&names).await;
        let removed = jobs.iter_mut().filter(|job| matches!(job.act, Act::Take));
        removed
            .zip(answers)
            .for_each(|(job, answer)| job.note(answer.map(drop)));
    }
}

impl Job {
    /// What is there is to be removed, unless something comes in its place.
    pub(crate) fn take(name: String, life: Life) -> Self {
        Self {
            name,
            act: Act::Take,
            life: life.whole.saturating_add(life.stale),
            refusal: None,
            failure: None,
        }
    }

    /// The new record cannot be stored, or cannot be made now: then nothing older may stay.
    pub(crate) fn refuse(&mut self, error: Error) {
        if error.kind() == ErrorKind::Unstorable {
            self.refusal = Some(error);
        } else {
            self.failure = Some(error);
        }
        self.act = Act::Take;
    }

    /// What L2 holds now.
    pub(crate) fn outcome(&self) -> Outcome {
        match (&self.failure, &self.refusal, &self.act) {
            (Some(failure), _, _) => Outcome::Failed(failure.clone()),
            (None, Some(refusal), _) => Outcome::Refused(refusal.clone()),
            (None, None, Act::Put(_)) => Outcome::Stored,
            (None, None, Act::Take) => Outcome::Removed,
            (None, None, Act::Leave) => Outcome::Untouched,
        }
    }

    /// How long the value is before compression, where it was to be stored.
    pub(crate) fn raw_bytes(&self) -> Option<usize> {
        match &self.act {
            Act::Put(packed) => Some(packed.raw_bytes),
            Act::Take | Act::Leave => None,
        }
    }

    fn is_put(&self) -> bool {
        matches!(self.act, Act::Put(_))
    }

    fn write(&self) -> Option<Write<'_>> {
        let Act::Put(packed) = &self.act else {
            return None;
        };
        Some(Write {
            key: &self.name,
            record: packed.record.clone(),
            life: self.life,
        })
    }

    fn note(&mut self, answer: Result<()>) {
        match answer {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Unstorable => self.refuse(error),
            Err(error) => self.failure = Some(error),
        }
    }
}

/// Names as L2 takes them.
pub(crate) fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
