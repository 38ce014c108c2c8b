//! The write path: L2 first, then L1; and removals, which leave L1 twice.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tiered_core::{Entry, Error, Key, Result, Tick, Version, Write};

use crate::near::{Act, Begin, By};
use crate::options::Options;
use crate::settings::Life;
use crate::shared::{Far, Shared, borrowed};
use crate::stats::Count;
use crate::wire::Packed;
use crate::written::{Outcome, Removed, Written};

/// What is to become of a key in both tiers.
pub(crate) struct Change<V, K: Key + ?Sized> {
    pub(crate) key: K::Owned,
    pub(crate) begin: Begin,
    pub(crate) by: By,
    pub(crate) entry: Entry<V>,
    pub(crate) life: Life,
    pub(crate) l1: Act<()>,
    pub(crate) l2: Act<()>,
    /// What becomes of an old copy in L2 if the new one cannot go there.
    pub(crate) otherwise: Act<()>,
}

/// What L2 is asked to do for a change.
enum Step {
    Set(Packed),
    Remove,
    /// The value cannot go to L2; the old one is removed.
    Evict(Error),
    /// The value cannot go to L2; what is there stays.
    Refuse(Error),
    Nothing,
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Sets these keys, which differ from each other.
    pub(crate) async fn set(self: Arc<Self>, items: Vec<(K::Owned, Arc<V>)>, options: Options) -> Vec<Written> {
        let (operation, now) = (self.near.operation(), self.now());
        let change = |(key, value): (K::Owned, Arc<V>)| {
            let life = self.settings.life(&options, None, false, &self.random);
            let act = |may_put| if may_put { Act::Put(()) } else { Act::Take };
            Change {
                begin: self.near.begin(key.borrow(), operation, now),
                by: By::Write,
                entry: self.entry(Some(value), now, life, 0),
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

    /// Removes these keys, which differ from each other. Between L1's first drop and L2's answer a read may bring the
    /// old value back from L2: hence the second.
    pub(crate) async fn remove(self: Arc<Self>, keys: Vec<K::Owned>) -> Removed {
        let now = self.now();
        let is_value = |entry: Entry<V>| entry.is_fresh(now) && entry.value.is_some();
        let drop_copy = |key: &K::Owned| self.near.drop_copy(key.borrow());
        let mut present: Vec<bool> = keys.iter().map(|key| drop_copy(key).is_some_and(is_value)).collect();
        let mut removed = Removed::default();
        if let Some(far) = &self.far {
            let names: Vec<_> = keys.iter().map(|key| far.wire.name(key.borrow())).collect();
            let heads = far.l2.remove_many(&borrowed(&names)).await;
            for ((name, head), present) in names.iter().zip(heads).zip(&mut present) {
                removed.note(&head);
                *present |= self.is_value(far, name, head);
            }
        }
        keys.iter().for_each(|key| drop(drop_copy(key)));
        removed.present = present.into_iter().filter(|present| *present).count();
        removed
    }

    /// Brings these changes to L2 and then to L1, as far as nothing that came since they began forbids it.
    pub(crate) async fn apply(&self, changes: &[Change<V, K>]) -> Vec<Written> {
        let (steps, far) = match &self.far {
            Some(far) => {
                let names: Vec<_> = changes.iter().map(|change| far.wire.name(change.key.borrow())).collect();
                let steps: Vec<_> = changes.iter().zip(&names).map(|(change, name)| self.step(far, change, name)).collect();
                let outcomes = self.take_steps(far, changes, &names, &steps).await;
                (steps, outcomes)
            }
            None => Default::default(),
        };
        let mut steps = steps.into_iter();
        let mut far = far.into_iter();
        let written = changes.iter().map(|change| Written {
            l1: self.install(change, steps.next().as_ref()),
            l2: far.next().unwrap_or(Outcome::Absent),
        });
        written.collect()
    }

    /// An entry that was made just now.
    pub(crate) fn entry(&self, value: Option<Arc<V>>, now: Tick, life: Life, load_millis: u32) -> Entry<V> {
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

    fn step(&self, far: &Far<V>, change: &Change<V, K>, name: &str) -> Step {
        // A late load does not overwrite what came after its begin.
        if change.by == By::Load && !self.near.is_current(change.key.borrow(), &change.begin) {
            return Step::Nothing;
        }
        match change.l2 {
            Act::Leave => Step::Nothing,
            Act::Take => Step::Remove,
            Act::Put(()) => match far.wire.pack(name, &change.entry, self.clock.wall()) {
                Ok(packed) => Step::Set(packed),
                Err(error) if matches!(change.otherwise, Act::Take) => Step::Evict(error),
                Err(error) => Step::Refuse(error),
            },
        }
    }

    /// Has L2 do all steps, in one round trip, and says for each what came of it.
    async fn take_steps(
        &self,
        far: &Far<V>,
        changes: &[Change<V, K>],
        names: &[String],
        steps: &[Step],
    ) -> Vec<Outcome> {
        let (mut writes, mut removals) = (Vec::new(), Vec::new());
        for ((change, name), step) in changes.iter().zip(names).zip(steps) {
            match step {
                Step::Set(packed) => {
                    writes.push(Write { key: name, record: packed.record.clone(), life: change.life.whole });
                }
                Step::Remove | Step::Evict(_) => removals.push(name.as_str()),
                Step::Refuse(_) | Step::Nothing => {}
            }
        }
        let (set, removed) = match (writes.is_empty(), removals.is_empty()) {
            (true, true) => Default::default(),
            (false, true) => (far.l2.set_many(&writes).await, Vec::new()),
            (true, false) => (Vec::new(), far.l2.remove_many(&removals).await),
            (false, false) => join(far.l2.set_many(&writes), far.l2.remove_many(&removals)).await,
        };
        let (mut set, mut removed) = (set.into_iter(), removed.into_iter().map(|head| head.map(drop)));
        let outcome = |step: &Step| match step {
            Step::Set(_) => self.outcome(step, set.next()),
            Step::Remove | Step::Evict(_) => self.outcome(step, removed.next()),
            Step::Refuse(_) | Step::Nothing => self.outcome(step, None),
        };
        steps.iter().map(outcome).collect()
    }

    fn outcome(&self, step: &Step, answer: Option<Result<()>>) -> Outcome {
        if let Step::Evict(_) | Step::Refuse(_) = step {
            self.counters.add(Count::Unstorable, 1);
        }
        if let Some(Err(error)) = answer {
            self.counters.add(Count::L2Errors, 1);
            return Outcome::Failed(error);
        }
        match step {
            Step::Set(packed) => {
                self.counters.add(Count::L2RawBytes, packed.raw_bytes as u64);
                self.counters.add(Count::L2StoredBytes, packed.record.bytes().len() as u64);
                Outcome::Stored
            }
            Step::Remove => Outcome::Removed,
            Step::Evict(error) | Step::Refuse(error) => Outcome::Refused(error.clone()),
            Step::Nothing => Outcome::Untouched,
        }
    }

    /// Brings one change to L1.
    fn install(&self, change: &Change<V, K>, step: Option<&Step>) -> Outcome {
        let key = change.key.borrow();
        let act = match change.l1 {
            Act::Put(()) => Act::Put(self.near_copy(change, step)),
            Act::Take => Act::Take,
            Act::Leave => Act::Leave,
        };
        let is_current = self.near.install(key, &change.begin, change.by, act);
        if !is_current && change.by == By::Load {
            self.counters.add(Count::LoadsRefused, 1);
            return Outcome::Untouched;
        }
        match change.l1 {
            _ if !self.near.is_present() => Outcome::Absent,
            Act::Put(()) if is_current => Outcome::Stored,
            Act::Leave if is_current => Outcome::Untouched,
            _ => Outcome::Removed,
        }
    }

    fn near_copy(&self, change: &Change<V, K>, step: Option<&Step>) -> Entry<V> {
        let until = change.entry.created.plus(change.life.near);
        let weight = self.weight.of(change.key.borrow(), change.entry.value.as_deref(), |value| match step {
            Some(Step::Set(packed)) => Some(packed.raw_bytes),
            _ => self.far.as_ref()?.wire.measure(value),
        });
        Entry { begun: change.begin.at, fresh_until: until, stale_until: until, weight, ..change.entry.clone() }
    }
}

/// The life of a change whose load took `took`, in the frame's unit.
pub(crate) fn load_millis(took: Duration) -> u32 {
    u32::try_from(took.as_millis()).unwrap_or(u32::MAX)
}
