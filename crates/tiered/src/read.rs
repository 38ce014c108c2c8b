//! The read path: L1, then L2, then the flight of the key.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tiered_core::{Entry, Error, ErrorKind, Key, Record, Result};
use tokio::runtime::Handle;

use crate::answer::{Answer, Source};
use crate::batch::{fill, gaps, only};
use crate::far::{Far, borrowed};
use crate::flight::{Landed, Landing, Lead, Seat};
use crate::load::LoadFn;
use crate::near::{Act, Begin, By};
use crate::options::Options;
use crate::shared::Shared;
use crate::stats::Count;
use crate::wire::{Now, Unpacked};

/// What a look into L2 has shown.
pub(crate) enum Look<V> {
    /// A value, or that there is none, that may be used.
    Fresh(Unpacked<V>),
    /// One whose life is over.
    Old(Entry<V>),
    /// Nothing, or nothing to be believed.
    Nothing,
    /// L2 could not be asked.
    Silent,
}

impl<V> Look<V> {
    /// The copy that was seen, fresh or not; and whether L2 did not answer.
    pub(crate) fn held(self) -> (Option<Entry<V>>, bool) {
        match self {
            Self::Fresh(found) => (Some(found.entry), false),
            Self::Old(entry) => (Some(entry), false),
            Self::Nothing => (None, false),
            Self::Silent => (None, true),
        }
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// What L1 has that may be used. Never waits.
    #[inline]
    pub(crate) fn hit(&self, key: &K) -> Option<Entry<V>> {
        let entry = self.near.hit(key, self.now())?;
        self.counters.add_hit(Source::L1, &entry);
        Some(entry)
    }

    /// What L1 has that may be used. Never waits.
    #[inline]
    pub(crate) fn get_near(&self, key: &K, options: &Options) -> Option<Answer<V>> {
        if !options.l1.reads() {
            return None;
        }
        let now = self.now();
        let entry = self.near.hit(key, now)?;
        self.counters.add_hit(Source::L1, &entry);
        Some(Answer::new(entry, Source::L1, now))
    }

    /// What L2 has of one key: [`get_far`](Self::get_far) without its lists. Boxed, so that a hit in L1 has no large
    /// future to move about.
    #[cold]
    pub(crate) fn get_far_boxed<'a>(
        &'a self,
        key: &'a K,
        options: Options,
    ) -> BoxFuture<'a, Option<Answer<V>>> {
        Box::pin(async move {
            let begin = self.near.begin(key, By::Read, self.near.start(self.now()));
            let look = match self.far.as_ref().filter(|_| options.l2.reads()) {
                Some(far) => {
                    let name = far.wire.name(key);
                    let record = only(far.l2.get_many(&[name.as_str()]).await);
                    self.judge(far, &name, record, Now::of(&self.clock))
                }
                None => Look::Nothing,
            };
            self.answer(key, &begin, look, &options)
        })
    }

    /// [`get_or_load`](Self::get_or_load) of one key, boxed for the same reason.
    #[cold]
    pub(crate) fn get_or_load_boxed<'a>(
        self: &'a Arc<Self>,
        key: &'a K,
        options: Options,
        load: LoadFn<V, K>,
    ) -> BoxFuture<'a, Result<Answer<V>>> {
        Box::pin(async move { only(self.get_or_load(&[key], &options, load).await) })
    }

    /// What L2 has that may be used, for keys that L1 has not.
    pub(crate) async fn get_far(&self, keys: &[&K], options: &Options) -> Vec<Option<Answer<V>>> {
        let start = self.near.start(self.now());
        let begins: Vec<_> = keys
            .iter()
            .map(|key| self.near.begin(key, By::Read, start))
            .collect();
        let looks = self.look(keys, options).await;
        let places = keys.iter().zip(&begins);
        let answers = places
            .zip(looks)
            .map(|((key, begin), look)| self.answer(key, begin, look, options));
        answers.collect()
    }

    fn answer(
        &self,
        key: &K,
        begin: &Begin,
        look: Look<V>,
        options: &Options,
    ) -> Option<Answer<V>> {
        let Look::Fresh(found) = look else {
            self.counters.add(Count::Misses, 1);
            return None;
        };
        let now = found.entry.begun;
        let entry = self.take_in(key, begin, found, options);
        Some(Answer::new(entry, Source::L2, now))
    }

    /// Asks L2 for these keys, in one round trip.
    pub(crate) async fn look(&self, keys: &[&K], options: &Options) -> Vec<Look<V>> {
        let far = match &self.far {
            Some(far) if options.l2.reads() => far,
            _ => return keys.iter().map(|_| Look::Nothing).collect(),
        };
        let names = far.names(keys);
        let records = far.l2.get_many(&borrowed(&names)).await;
        let now = Now::of(&self.clock);
        let judge = |(name, record): (&String, _)| self.judge(far, name, record, now);
        names.iter().zip(records).map(judge).collect()
    }

    fn judge(&self, far: &Far<V>, name: &str, record: Result<Option<Record>>, now: Now) -> Look<V> {
        let record = match record {
            Ok(Some(record)) => record,
            Ok(None) => return Look::Nothing,
            Err(_) => {
                self.counters.add(Count::L2Errors, 1);
                return Look::Silent;
            }
        };
        match far.wire.unpack(name, &record, now) {
            Ok(found) if found.entry.is_fresh(now.tick) => Look::Fresh(found),
            Ok(found) => Look::Old(found.entry),
            Err(reason) => {
                self.counters.add_rejected(reason);
                Look::Nothing
            }
        }
    }

    /// Puts a copy of what L2 had into L1, unless something has changed since `begin`. The copy lives no longer than
    /// what it is a copy of.
    pub(crate) fn take_in(
        &self,
        key: &K,
        begin: &Begin,
        found: Unpacked<V>,
        options: &Options,
    ) -> Entry<V> {
        let Unpacked { entry, raw_bytes } = found;
        let rest = entry.fresh_until.since(entry.begun);
        let life = self.settings.near_life(options, rest, &self.random);
        if options.l1.writes() && !life.is_zero() {
            let until = entry.begun.plus(life);
            let weight = self
                .weight
                .of(key, entry.value.as_deref(), |_| Some(raw_bytes));
            let copy = Entry {
                begun: begin.at,
                fresh_until: until,
                stale_until: until,
                weight,
                ..entry.clone()
            };
            self.near.install(key, begin, Act::Put(copy));
        }
        self.counters.add_hit(Source::L2, &entry);
        entry
    }

    /// The answers of the flights of these keys, which differ from each other: those there are, and one that begins
    /// now for the others. Flights run on a task of their own; a caller who goes away ends none.
    pub(crate) async fn get_or_load(
        self: &Arc<Self>,
        keys: &[&K],
        options: &Options,
        load: LoadFn<V, K>,
    ) -> Vec<Result<Answer<V>>> {
        let Ok(runtime) = Handle::try_current() else {
            return keys.iter().map(|_| Err(no_runtime())).collect();
        };
        let (start, look) = (self.near.start(self.now()), options.l1.reads());
        let seats = keys
            .iter()
            .map(|key| self.near.join(self, key, start, look));
        let (places, leads) = sit_down(seats);
        self.count_places(&places);
        if !leads.is_empty() {
            runtime.spawn(Arc::clone(self).fly(leads, *options, load));
        }
        self.arrive(places).await
    }

    fn count_places(&self, places: &[Place<V>]) {
        for place in places {
            match place {
                Place::Here(entry) => self.counters.add_hit(Source::L1, entry),
                Place::Joined(_) => self.counters.add(Count::Coalesced, 1),
                Place::Led(_) => {}
            }
        }
    }

    /// The answers, as they come.
    pub(crate) async fn arrive(&self, places: Vec<Place<V>>) -> Vec<Result<Answer<V>>> {
        let mut answers = Vec::with_capacity(places.len());
        for place in places {
            let landed = match place {
                Place::Here(entry) => Ok(Landed::new(entry, Source::L1)),
                Place::Joined(landing) | Place::Led(landing) => landing.wait().await,
            };
            answers.push(landed.map(|landed| Answer::new(landed.entry, landed.source, self.now())));
        }
        answers
    }

    /// A fresh value is under these keys, as far as can be told without its payload.
    pub(crate) async fn contains(&self, keys: &[&K], options: &Options) -> Vec<bool> {
        let now = self.now();
        let near = keys
            .iter()
            .map(|key| self.near.hit(key, now).filter(|_| options.l1.reads()));
        let mut known: Vec<_> = near
            .map(|entry| entry.map(|entry| entry.value.is_some()))
            .collect();
        let gaps = gaps(keys, &known);
        if let Some(far) = self
            .far
            .as_ref()
            .filter(|_| options.l2.reads() && !gaps.is_empty())
        {
            let names = far.names(&gaps);
            let heads = far.l2.heads_many(&borrowed(&names)).await;
            let found = names
                .iter()
                .zip(heads)
                .map(|(name, head)| self.is_value(far, name, head).ok());
            fill(&mut known, found);
        }
        known.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// A record's head is that of a fresh value.
    pub(crate) fn is_value(
        &self,
        far: &Far<V>,
        name: &str,
        head: Result<Option<Record>>,
    ) -> Result<bool> {
        let head = head.inspect_err(|_| self.counters.add(Count::L2Errors, 1))?;
        let is_present = head.map(|head| far.wire.is_present(name, &head, Now::of(&self.clock)));
        let is_present = is_present
            .transpose()
            .inspect_err(|reason| self.counters.add_rejected(*reason));
        Ok(is_present.ok().flatten().unwrap_or_default())
    }
}

/// Where a caller's answer will be.
pub(crate) enum Place<V> {
    /// It is here.
    Here(Entry<V>),
    /// A flight that somebody else leads brings it.
    Joined(Landing<V>),
    /// A flight that this caller leads brings it.
    Led(Landing<V>),
}

/// Where each caller waits, and which flights are for us to lead.
pub(crate) fn sit_down<V, K: Key + ?Sized>(
    seats: impl Iterator<Item = Seat<V, K>>,
) -> (Vec<Place<V>>, Vec<Lead<V, K>>) {
    let mut leads = Vec::new();
    let place = |seat| match seat {
        Seat::Ready(entry) => Place::Here(entry),
        Seat::Wait(landing) => Place::Joined(landing),
        Seat::Lead(lead, landing) => {
            leads.push(lead);
            Place::Led(landing)
        }
    };
    (seats.map(place).collect(), leads)
}

pub(crate) fn no_runtime() -> Error {
    Error::new(
        ErrorKind::Config,
        "a load needs a tokio runtime: call from within one",
    )
}
