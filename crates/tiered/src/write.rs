//! The write path: L2 first, then L1, then the other nodes; and removals, which leave L1 twice.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tiered_core::{Begun, Entry, Error, ErrorKind, Key, Record, Result, Tags, Tick, Version};

use crate::far::{Far, Job, borrowed};
use crate::frame::{LONGEST_TAG, MOST_TAGS};
use crate::marks::Which;
use crate::message::Event;
use crate::near::{Act, Begin, By};
use crate::options::Terms;
use crate::settings::Life;
use crate::shared::Shared;
use crate::stats::Count;
use crate::wire::{Address, Packed};
use crate::written::{Outcome, Removed, Written};

/// What is to become of a key that is set.
struct Change<V, K: Key + ?Sized> {
    key: K::Owned,
    begin: Begin,
    entry: Entry<V>,
    life: Life,
    l1: Act<()>,
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Sets these keys, which differ from each other.
    pub(crate) async fn set(
        self: Arc<Self>,
        items: Vec<(K::Owned, Arc<V>)>,
        terms: Terms,
    ) -> Vec<Written> {
        let start = self.near.start(self.now());
        let begin = |(key, _): &(K::Owned, _)| self.near.begin(key.borrow(), By::Write, start);
        let begins: Vec<_> = items.iter().map(begin).collect();
        let marks = self.marks_of_write(&terms).await;
        let tags = marks.as_ref().ok().and_then(|(_, tags)| tags.clone());
        let act = |life: Life| {
            let may_put = terms.options.l1.writes() && !life.near.is_zero() && marks.is_ok();
            if may_put { Act::Put(()) } else { Act::Take }
        };
        let change = |((key, value), begin): ((K::Owned, _), _)| {
            let life = self
                .settings
                .life(&terms.options, None, false, &self.random);
            let tags = tags.clone();
            let entry = self.entry(Some(value), start.at, life, 0);
            Change {
                key,
                begin,
                entry: Entry { tags, ..entry },
                life,
                l1: act(life),
            }
        };
        let changes: Vec<_> = items.into_iter().zip(begins).map(change).collect();
        let space = marks.map(|(space, _)| space);
        self.carry_out(&changes, &terms, &space).await
    }

    async fn carry_out(
        self: &Arc<Self>,
        changes: &[Change<V, K>],
        terms: &Terms,
        space: &Result<Option<Version>>,
    ) -> Vec<Written> {
        let mut jobs = self.jobs(changes, terms, space);
        if let Some(far) = &self.far {
            far.carry_out(&mut jobs).await;
        }
        for (change, job) in changes.iter().zip(&jobs) {
            if matches!(job.outcome(), Outcome::Failed(_)) {
                // All of them before anybody can read L2 who would take what is there for newer than this.
                self.distrust(change.key.borrow());
            }
        }
        let mut jobs = jobs.iter();
        let settle = |change| self.settle(change, jobs.next());
        let mut written: Vec<_> = changes.iter().map(settle).collect();
        if let Err(error) = self.told().await {
            for written in &mut written {
                written.untold = Some(error.clone());
            }
        }
        written
    }

    /// The namespace's mark, and the tags of what is set with theirs, as they are now.
    async fn marks_of_write(&self, terms: &Terms) -> Result<(Option<Version>, Option<Arc<Tags>>)> {
        check_tags(&terms.tags)?;
        let marks = terms.tags.iter().cloned().map(Which::Tag);
        let space = self.far.is_some().then_some(Which::Space);
        let marks = self.unsure_of(space.into_iter().chain(marks));
        let (lessons, ()) = join(self.learn(marks), self.learn_time()).await;
        let known = self.marks.known();
        let mut tags = Vec::with_capacity(terms.tags.len());
        for tag in &terms.tags {
            let mark = lessons
                .of_tag(tag)
                .or_else(|| self.marks.since(tag, &known));
            tags.push((&**tag, mark.ok_or_else(unknown_mark)?));
        }
        let space = lessons.of(&Which::Space).or_else(|| self.marks.space());
        // Without the time there, nothing can be stamped.
        let space = space.filter(|_| self.wall.is_known());
        Ok((space, self.marks.tags(tags)))
    }

    /// What L2 is to do.
    fn jobs(
        &self,
        changes: &[Change<V, K>],
        terms: &Terms,
        space: &Result<Option<Version>>,
    ) -> Vec<Job> {
        let Some(far) = &self.far else {
            return Vec::new();
        };
        let job = |change: &Change<V, K>| {
            let mut job = Job::take(far.wire.name(change.key.borrow()), change.life);
            if !terms.options.l2.writes() || change.life.whole.is_zero() {
                return job;
            }
            let space = space
                .clone()
                .and_then(|space| space.ok_or_else(unknown_mark));
            let packed = space.and_then(|space| self.pack(far, (&job.name, space), &change.entry));
            match packed {
                Ok(packed) => job.act = Act::Put(packed),
                Err(error) => job.refuse(error),
            }
            job
        };
        changes.iter().map(job).collect()
    }

    /// The record of an entry that was made under this mark of the namespace. It may have been made a while ago.
    pub(crate) fn pack(
        &self,
        far: &Far<V>,
        (name, space): (&str, Version),
        entry: &Entry<V>,
    ) -> Result<Packed> {
        let now = self.moment();
        let created = now.wall.minus(entry.age(now.tick));
        far.wire.pack(Address { name, space }, entry, created)
    }

    /// L2 has done its part, or not: brings the change to L1, and tells the others.
    fn settle(self: &Arc<Self>, change: &Change<V, K>, job: Option<&Job>) -> Written {
        let key = change.key.borrow();
        let l2 = job.map_or(Outcome::Absent, Job::outcome);
        let is_unknown = matches!(l2, Outcome::Failed(_));
        if let Some(job) = job {
            self.count(job);
        }
        let l1 = self.install_change(change, job, &l2);
        self.hold_offs.end(key);
        let version = change.entry.version;
        self.tell_of(key, |text| match &l2 {
            Outcome::Stored | Outcome::Absent => Event::Set(version, text),
            _ => Event::Removed(text),
        });
        Written {
            l1,
            l2,
            version: (!is_unknown).then_some(version),
            untold: None,
        }
    }

    /// INSTALL. What L2 has not confirmed does not stay for long.
    fn install_change(&self, change: &Change<V, K>, job: Option<&Job>, l2: &Outcome) -> Outcome {
        let key = change.key.borrow();
        let is_confirmed = matches!(l2, Outcome::Stored | Outcome::Absent);
        let life = self.near_life_of(change.life, is_confirmed);
        let raw_bytes = job.and_then(Job::raw_bytes);
        let copy = match change.l1 {
            Act::Put(()) => self.near_copy(key, &change.entry, &change.begin, (life, raw_bytes)),
            Act::Take | Act::Leave => None,
        };
        let is_put = copy.is_some();
        let is_current = self
            .near
            .install(key, &change.begin, copy.map_or(Act::Take, Act::Put));
        match (self.near.is_present(), is_put && is_current) {
            (false, _) => Outcome::Absent,
            (true, true) => Outcome::Stored,
            (true, false) => Outcome::Removed,
        }
    }

    /// Removes these keys, which differ from each other. Between L1's first drop and L2's answer a read may bring the old value
    /// back from L2: hence the second.
    pub(crate) async fn remove(self: Arc<Self>, keys: Vec<K::Owned>) -> Removed {
        let mut tally = self.tally(&keys, Version::random(&self.random));
        for key in &keys {
            self.near.drop_copy(key.borrow());
        }
        if let Some(far) = &self.far {
            let names = names::<V, K>(far, &keys);
            let names = borrowed(&names);
            let (heads, _) = join(far.l2.remove_many(&names), self.orient()).await;
            self.note_heads(&mut tally, &keys, heads);
        }
        for key in &keys {
            self.near.drop_copy(key.borrow());
            self.hold_offs.end(key.borrow());
            self.tell_of(key.borrow(), Event::Removed);
        }
        tally.removed(self.told().await)
    }

    /// Which of these keys L1 says are present.
    pub(crate) fn tally(&self, keys: &[K::Owned], version: Version) -> Tally {
        let now = self.now();
        let is_present = |key: &K::Owned| {
            let hit = self.near.hit(key.borrow(), now)?;
            Some(hit.value.is_some())
        };
        Tally {
            present: keys.iter().map(is_present).collect(),
            removed: Removed::of(version),
        }
    }

    /// What L2 says was there under each key.
    pub(crate) fn note_heads(
        self: &Arc<Self>,
        tally: &mut Tally,
        keys: &[K::Owned],
        heads: Vec<Result<Option<Record>>>,
    ) {
        for ((key, present), head) in keys.iter().zip(&mut tally.present).zip(heads) {
            let is_present = self.is_present(key.borrow(), head);
            tally.removed.note(&is_present);
            if is_present.is_err() {
                self.distrust(key.borrow());
            }
            present.get_or_insert(is_present.unwrap_or_default());
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
            begun: Begun::new(0, now),
            created: now,
            fresh_until: until,
            stale_until: until.plus(life.stale),
            load_millis,
            weight: 0,
            tags: None,
        }
    }

    fn count(&self, job: &Job) {
        if job.refusal.is_some() {
            self.counters.add(Count::Unstorable, 1);
        }
        if job.failure.is_some() {
            self.counters.add(Count::L2Errors, 1);
        } else if let Act::Put(packed) = &job.act {
            self.count_stored(packed);
        }
    }

    pub(crate) fn count_stored(&self, packed: &Packed) {
        self.counters
            .add(Count::L2RawBytes, packed.raw_bytes as u64);
        self.counters
            .add(Count::L2StoredBytes, packed.record.bytes().len() as u64);
    }

    /// How long a copy is fresh in L1: what L2 has not confirmed, not for long.
    pub(crate) fn near_life_of(&self, life: Life, is_confirmed: bool) -> Duration {
        if is_confirmed {
            life.near
        } else {
            life.near.min(self.settings.coherence.blind_trust)
        }
    }

    /// The copy for L1; `None` if it would not live at all.
    pub(crate) fn near_copy(
        &self,
        key: &K,
        entry: &Entry<V>,
        begin: &Begin,
        (life, raw_bytes): (Duration, Option<usize>),
    ) -> Option<Entry<V>> {
        if life.is_zero() {
            return None;
        }
        let value = entry.value.as_deref();
        let weight = self.weight.of(key, value, |value| {
            raw_bytes.or_else(|| self.far.as_ref()?.wire.measure(value))
        });
        let fresh_until = entry.created.plus(life).min(entry.fresh_until);
        Some(Entry {
            begun: begin.at,
            fresh_until,
            weight,
            ..entry.clone()
        })
    }
}

/// What becomes known about keys that are removed.
pub(crate) struct Tally {
    present: Vec<Option<bool>>,
    removed: Removed,
}

impl Tally {
    pub(crate) fn removed(mut self, told: Result<()>) -> Removed {
        self.removed.note_told(told);
        let present = self.present.into_iter().flatten();
        self.removed.present = present.filter(|is_value| *is_value).count();
        self.removed
    }
}

/// What these keys are called in L2.
pub(crate) fn names<V: 'static, K: Key + ?Sized>(far: &Far<V>, keys: &[K::Owned]) -> Vec<String> {
    keys.iter().map(|key| far.wire.name(key.borrow())).collect()
}

/// How long a load took, as entries say it.
pub(crate) fn load_millis(took: Duration) -> u32 {
    u32::try_from(took.as_millis()).unwrap_or(u32::MAX)
}

/// There are not too many, and each is a tag.
pub(crate) fn check_tags(tags: &[Box<str>]) -> Result<()> {
    let lengths = 1..=LONGEST_TAG;
    if tags.len() <= MOST_TAGS && tags.iter().all(|tag| lengths.contains(&tag.len())) {
        return Ok(());
    }
    let message = "a value has at most 32 tags, of 1 to 128 bytes each";
    Err(Error::new(ErrorKind::Unstorable, message))
}

fn unknown_mark() -> Error {
    let message =
        "l2 does not say what time it is, or whether the namespace was cleared or a tag removed";
    Error::new(ErrorKind::Unavailable, message)
}
