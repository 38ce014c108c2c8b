//! The write path: L2 first, then L1; and removals, which leave L1 twice.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use tiered_core::{Entry, Key, Result, Tick, Version};

use crate::far::{Far, Job, borrowed};
use crate::near::{Act, Begin, By};
use crate::options::Options;
use crate::settings::Life;
use crate::shared::Shared;
use crate::stats::Count;
use crate::written::{Outcome, Removed, Written};

/// What is to become of a key in both tiers.
pub(crate) struct Change<V, K: Key + ?Sized> {
    pub(crate) key: K::Owned,
    pub(crate) begin: Begin,
    pub(crate) entry: Entry<V>,
    pub(crate) life: Life,
    pub(crate) l1: Act<()>,
    pub(crate) l2: Act<()>,
    /// What becomes of an old copy in L2 if the new one cannot go there.
    pub(crate) otherwise: Act<()>,
}

impl<V, K: Key + ?Sized> Change<V, K> {
    fn is_to_be_stored(&self) -> bool {
        matches!((&self.l1, &self.l2), (Act::Put(()), _) | (_, Act::Put(())))
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Sets these keys, which differ from each other.
    pub(crate) async fn set(
        self: Arc<Self>,
        items: Vec<(K::Owned, Arc<V>)>,
        options: Options,
    ) -> Vec<Written> {
        let keys: Vec<_> = items.iter().map(|(key, _)| key.clone()).collect();
        let _writing = self.near.write(&keys);
        let start = self.near.start(self.now());
        let change = |(key, value): (K::Owned, Arc<V>)| {
            let life = self.settings.life(&options, None, false, &self.random);
            let act = |may_put| if may_put { Act::Put(()) } else { Act::Take };
            Change {
                begin: self.near.begin(key.borrow(), By::Write, start),
                entry: self.entry(Some(value), start.at, life, 0),
                life,
                l1: act(options.l1.writes() && !life.near.is_zero()),
                l2: act(options.l2.writes() && !life.whole.is_zero()),
                otherwise: Act::Take,
                key,
            }
        };
        let changes: Vec<_> = items.into_iter().map(change).collect();
        self.apply(&changes).await
    }

    /// Removes these keys, which differ from each other.
    pub(crate) async fn remove(self: Arc<Self>, keys: Vec<K::Owned>) -> Removed {
        self.remove_now(&keys).await
    }

    /// Between L1's first drop and L2's answer a read may bring the old value back from L2: hence the second.
    async fn remove_now(&self, keys: &[K::Owned]) -> Removed {
        let _writing = self.near.write(keys);
        let now = self.now();
        let mut present = Vec::with_capacity(keys.len());
        for key in keys {
            let copy = self.near.drop_copy(key.borrow());
            let fresh = copy.filter(|entry| entry.is_fresh(now));
            present.push(fresh.map(|entry| entry.value.is_some()));
        }
        let mut removed = Removed::default();
        for (present, head) in present.iter_mut().zip(self.remove_far(keys).await) {
            removed.note(&head);
            present.get_or_insert(head.unwrap_or_default());
        }
        for key in keys {
            self.near.drop_copy(key.borrow());
        }
        removed.present = present
            .into_iter()
            .flatten()
            .filter(|is_value| *is_value)
            .count();
        removed
    }

    /// Removes these keys from L2, and says of each whether a fresh value was there.
    async fn remove_far(&self, keys: &[K::Owned]) -> Vec<Result<bool>> {
        let Some(far) = &self.far else {
            return Vec::new();
        };
        let names: Vec<_> = keys.iter().map(|key| far.wire.name(key.borrow())).collect();
        let heads = far.l2.remove_many(&borrowed(&names)).await;
        let judge = |(name, head): (&String, _)| self.is_value(far, name, head);
        names.iter().zip(heads).map(judge).collect()
    }

    /// Brings these changes to L2 and then to L1, as far as nothing that came since they began forbids it.
    pub(crate) async fn apply(&self, changes: &[Change<V, K>]) -> Vec<Written> {
        let mut jobs: Vec<Job> = Vec::new();
        if let Some(far) = &self.far {
            jobs.extend(changes.iter().map(|change| self.job(far, change)));
            far.carry_out(&mut jobs).await;
            for job in &jobs {
                self.count(job);
            }
        }
        let mut late = Vec::new();
        let mut jobs = jobs.iter();
        let written = changes.iter().map(|change| {
            let job = jobs.next();
            let l1 = self.install(change, job);
            if l1.is_none() && job.is_some_and(Job::is_put) {
                late.push(change.key.clone());
            }
            Written {
                l1: l1.unwrap_or(Outcome::Untouched),
                l2: job.map_or(Outcome::Absent, Job::outcome),
            }
        });
        let written = written.collect();
        self.take_back(&late).await;
        written
    }

    /// While these loads wrote to L2, their keys were written or removed. Which came there last is not known, so
    /// nothing is left there.
    async fn take_back(&self, late: &[K::Owned]) {
        if !late.is_empty() {
            self.remove_now(late).await;
        }
    }

    /// An entry that was made just now.
    pub(crate) fn entry(
        &self,
        value: Option<Arc<V>>,
        now: Tick,
        life: Life,
        load_millis: u32,
    ) -> Entry<V> {
        let until = now.plus(life.whole);
        Entry {
            value,
            version: Version::random(&self.random),
            begun: now,
            created: now,
            fresh_until: until,
            stale_until: until,
            load_millis,
            weight: 0,
        }
    }

    fn job(&self, far: &Far<V>, change: &Change<V, K>) -> Job {
        let mut job = Job {
            name: far.wire.name(change.key.borrow()),
            act: Act::Leave,
            life: change.life.whole,
            otherwise: change.otherwise,
            refusal: None,
            failure: None,
        };
        // A late load does not overwrite what came after its begin.
        let is_late =
            change.begin.by == By::Load && !self.near.may_store(change.key.borrow(), &change.begin);
        match change.l2 {
            _ if is_late => {}
            Act::Leave => {}
            Act::Take => job.act = Act::Take,
            Act::Put(()) => match far.wire.pack(&job.name, &change.entry, self.clock.wall()) {
                Ok(packed) => job.act = Act::Put(packed),
                Err(error) => job.refuse(error),
            },
        }
        job
    }

    fn count(&self, job: &Job) {
        if job.refusal.is_some() {
            self.counters.add(Count::Unstorable, 1);
        }
        if job.failure.is_some() {
            self.counters.add(Count::L2Errors, 1);
        } else if let Act::Put(packed) = &job.act {
            self.counters
                .add(Count::L2RawBytes, packed.raw_bytes as u64);
            self.counters
                .add(Count::L2StoredBytes, packed.record.bytes().len() as u64);
        }
    }

    /// Brings one change to L1. `None`: it is a load's, and came too late.
    fn install(&self, change: &Change<V, K>, job: Option<&Job>) -> Option<Outcome> {
        let key = change.key.borrow();
        let act = match change.l1 {
            Act::Put(()) => Act::Put(self.near_copy(change, job)),
            Act::Take => Act::Take,
            Act::Leave => Act::Leave,
        };
        let is_current = self.near.install(key, &change.begin, act);
        if !is_current && change.begin.by == By::Load {
            if change.is_to_be_stored() {
                self.counters.add(Count::LoadsRefused, 1);
            }
            return None;
        }
        Some(match change.l1 {
            _ if !self.near.is_present() => Outcome::Absent,
            Act::Put(()) if is_current => Outcome::Stored,
            Act::Leave if is_current => Outcome::Untouched,
            _ => Outcome::Removed,
        })
    }

    fn near_copy(&self, change: &Change<V, K>, job: Option<&Job>) -> Entry<V> {
        let until = change.entry.created.plus(change.life.near);
        let value = change.entry.value.as_deref();
        let weight = self.weight.of(change.key.borrow(), value, |value| {
            match job.map(|job| &job.act) {
                Some(Act::Put(packed)) => Some(packed.raw_bytes),
                _ => self.far.as_ref()?.wire.measure(value),
            }
        });
        Entry {
            begun: change.begin.at,
            fresh_until: until,
            stale_until: until,
            weight,
            ..change.entry.clone()
        }
    }
}

/// How long a load took, as entries say it.
pub(crate) fn load_millis(took: Duration) -> u32 {
    u32::try_from(took.as_millis()).unwrap_or(u32::MAX)
}
