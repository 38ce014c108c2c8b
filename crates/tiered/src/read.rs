//! The read path: L1, then L2, then the flight of the key.

use std::sync::Arc;

use futures_util::future::{BoxFuture, join, join_all};
use tiered_core::{Entry, Error, ErrorKind, Key, Kind, Record, Result, Tick};
use tokio::runtime::Handle;

use crate::answer::{Answer, Source};
use crate::batch::{fill, gaps, only};
use crate::budget::with_budget;
use crate::far::borrowed;
use crate::flight::{Lead, Seat};
use crate::landing::{Landed, Landing, Patience};
use crate::load_fn::LoadFn;
use crate::look::{Found, How, Look};
use crate::near::{Act, Begin, By};
use crate::options::{Options, Terms};
use crate::shared::Shared;
use crate::stats::Count;
use crate::wire::{Address, Presence};

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// What L1 has that may be used. Never waits.
    #[inline]
    pub(crate) fn hit(&self, key: &K, now: Tick) -> Option<Entry<V>> {
        let entry = self.near.hit(key, now)?;
        self.counters.add_hit(Source::L1, &entry);
        Some(entry)
    }

    /// What L1 has that may be used. Never waits.
    #[inline]
    pub(crate) fn get_near(&self, key: &K, options: &Options) -> Option<Answer<V>> {
        let now = self.now();
        let entry = self.hit_with(key, now, options)?;
        Some(Answer::new(Landed::new(entry, Source::L1), now))
    }

    /// The same, as an entry.
    #[inline]
    pub(crate) fn hit_with(&self, key: &K, now: Tick, options: &Options) -> Option<Entry<V>> {
        let Some(entry) = self.near_hit(key, now, options) else {
            if options.after.is_some() {
                // What is there, or on its way there, may be older than what is to be seen.
                self.near.drop_copy(key);
            }
            return None;
        };
        self.counters.add_hit(Source::L1, &entry);
        Some(entry)
    }

    fn near_hit(&self, key: &K, now: Tick, options: &Options) -> Option<Entry<V>> {
        if !options.l1.reads() {
            return None;
        }
        let hit = self.near.hit(key, now)?;
        let is_wanted = options.after.is_none_or(|after| hit.version == after);
        is_wanted.then_some(hit)
    }

    /// What L2 has of one key: [`get_far`](Self::get_far) without its lists. Boxed, so that a hit in L1 has no large
    /// future to move about.
    #[cold]
    pub(crate) fn get_far_boxed<'a>(
        self: &'a Arc<Self>,
        key: &'a K,
        options: Options,
    ) -> BoxFuture<'a, Option<Answer<V>>> {
        Box::pin(with_budget(self.budget(1), async move {
            self.attend();
            let begin = self.near.begin(key, By::Read, self.near.start(self.now()));
            let look = self.look_at(key, &options).await;
            self.answer(key, &begin, look, &options)
        }))
    }

    /// [`get_or_load`](Self::get_or_load) of one key, boxed for the same reason.
    #[cold]
    pub(crate) fn get_or_load_boxed<'a>(
        self: &'a Arc<Self>,
        key: &'a K,
        terms: Terms,
        load: LoadFn<V, K>,
    ) -> BoxFuture<'a, Result<Answer<V>>> {
        Box::pin(async move { only(self.get_or_load(&[key], terms, load).await) })
    }

    /// What L2 has that may be used, for keys that L1 has not.
    pub(crate) async fn get_far(
        self: &Arc<Self>,
        keys: &[&K],
        options: &Options,
    ) -> Vec<Option<Answer<V>>> {
        self.attend();
        let start = self.near.start(self.now());
        let begins: Vec<_> = keys
            .iter()
            .map(|key| self.near.begin(key, By::Read, start))
            .collect();
        let looks = with_budget(self.budget(keys.len()), self.look(keys, options)).await;
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
        let now = found.at;
        let landed = self.take_in(key, begin, found, options);
        self.counters.add_hit(landed.source, &landed.entry);
        Some(Answer::new(landed, now))
    }

    /// Puts a copy of what was found into L1, unless something has changed since `begin`. The copy lives no longer than
    /// what it is a copy of.
    pub(crate) fn take_in(
        &self,
        key: &K,
        begin: &Begin,
        found: Found<V>,
        options: &Options,
    ) -> Landed<V> {
        let Found { entry, how, at } = found;
        let copy = match how {
            How::Read(raw_bytes) => self.copy(key, &entry, (at, raw_bytes), options),
            How::Confirmed => Some(entry.clone()),
            How::Blindly => None,
        };
        if let Some(copy) = copy.filter(|_| options.l1.writes()) {
            let copy = Entry {
                begun: begin.at,
                ..copy
            };
            self.near.install(key, begin, Act::Put(copy));
        }
        Landed::new(entry, self.source(how))
    }

    /// Where what was found so has come from.
    fn source(&self, how: How) -> Source {
        match how {
            How::Read(_) => Source::L2,
            How::Confirmed => {
                self.counters.add(Count::Confirmed, 1);
                Source::L2
            }
            How::Blindly => {
                self.counters.add(Count::BlindHits, 1);
                Source::L1
            }
        }
    }

    /// The copy for L1 of what L2 had at this moment; `None` if it would not live at all.
    fn copy(
        &self,
        key: &K,
        entry: &Entry<V>,
        (at, raw_bytes): (Tick, usize),
        options: &Options,
    ) -> Option<Entry<V>> {
        let rest = entry.fresh_until.since(at);
        let life = self.settings.near_life(options, rest, &self.random);
        let value = entry.value.as_deref();
        (!life.is_zero()).then(|| Entry {
            fresh_until: at.plus(life),
            weight: self.weight.of(key, value, |_| Some(raw_bytes)),
            ..entry.clone()
        })
    }

    /// The answers of the flights of these keys, which differ from each other: those there are, and one that begins
    /// now for the others. Flights run on a task of their own; a caller who goes away ends none.
    pub(crate) async fn get_or_load(
        self: &Arc<Self>,
        keys: &[&K],
        terms: Terms,
        load: LoadFn<V, K>,
    ) -> Vec<Result<Answer<V>>> {
        let Ok(runtime) = Handle::try_current() else {
            return keys.iter().map(|_| Err(no_runtime())).collect();
        };
        self.attend();
        let options = terms.options;
        let (start, look) = (self.near.start(self.now()), options.l1.reads());
        let seats = keys.iter().map(|key| match self.held_off(key, &options) {
            Some(old) => Seat::Ready(old),
            None => self.near.join(self, key, start, look),
        });
        let (places, leads) = sit_down(seats);
        let are_joined: Vec<_> = places.iter().map(Place::is_joined).collect();
        let joined = are_joined.iter().filter(|is_joined| **is_joined).count();
        self.counters.add(Count::Coalesced, joined as u64);
        if !leads.is_empty() {
            let flight = Arc::clone(self).fly(leads, terms, load);
            runtime.spawn(with_budget(self.budget(keys.len()), flight));
        }
        let landed = self.arrive(places, self.patience(&options, start.at)).await;
        for (landed, is_joined) in landed.iter().zip(are_joined) {
            self.count_read(landed, is_joined);
        }
        self.answers(landed)
    }

    /// Whether anybody has known the key. Who has joined a flight is counted already.
    fn count_read(&self, landed: &Result<Landed<V>>, is_joined: bool) {
        match landed {
            _ if is_joined => {}
            Ok(landed) if landed.source != Source::Loader => {
                self.counters.add_hit(landed.source, &landed.entry);
            }
            Ok(_) | Err(_) => self.counters.add(Count::Misses, 1),
        }
        let now = self.now();
        if landed.as_ref().is_ok_and(|landed| landed.is_stale(now)) {
            self.counters.add(Count::StaleHits, 1);
        }
    }

    pub(crate) fn answers(&self, landed: Vec<Result<Landed<V>>>) -> Vec<Result<Answer<V>>> {
        let now = self.now();
        let answer = |landed: Result<Landed<V>>| landed.map(|landed| Answer::new(landed, now));
        landed.into_iter().map(answer).collect()
    }

    /// How long a caller waits who has begun then.
    pub(crate) fn patience(&self, options: &Options, begun: Tick) -> Patience {
        let deadlines = &self.settings.deadlines;
        let soft = begun.plus(options.soft.unwrap_or(deadlines.soft));
        Patience {
            soft: (!options.refuses_stale).then_some(soft),
            hard: begun.plus(options.hard.unwrap_or(deadlines.hard)),
        }
    }

    /// What the flights bring, in time.
    pub(crate) async fn arrive(
        &self,
        places: Vec<Place<V>>,
        patience: Patience,
    ) -> Vec<Result<Landed<V>>> {
        let arrivals = places.into_iter().map(async |place| match place {
            Place::Here(landed) => Ok(landed),
            Place::Joined(landing) | Place::Led(landing) => {
                landing.wait(&self.clock, patience).await
            }
        });
        // At the same time: an older copy that serves one key may not live until another one is there.
        join_all(arrivals).await
    }

    /// A fresh value is under these keys, as far as can be told without its payload.
    pub(crate) async fn contains(self: &Arc<Self>, keys: &[&K], options: &Options) -> Vec<bool> {
        let now = self.now();
        let near = keys.iter().map(|key| self.near_hit(key, now, options));
        let mut known: Vec<_> = near
            .map(|entry| entry.map(|entry| entry.value.is_some()))
            .collect();
        let gaps = gaps(keys, &known);
        if !gaps.is_empty() {
            self.attend();
            let answers = with_budget(self.budget(gaps.len()), self.contains_far(&gaps, options));
            fill(&mut known, answers.await);
        }
        known.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// What L2 says of the presence of these keys, by the heads of their records. Tags are not in the head: where a record has
    /// some, it is read as a whole.
    async fn contains_far(&self, keys: &[&K], options: &Options) -> Vec<Option<bool>> {
        let Some(far) = self.far.as_ref().filter(|_| options.l2.reads()) else {
            return Vec::new();
        };
        let names = far.names(keys);
        let names = borrowed(&names);
        let heads = far.l2.heads_many(&names);
        let (heads, _) = join(heads, self.orient()).await;
        let presence = |(key, head)| match self.presence(key, head) {
            Ok(Presence::IfTagsHold) => None,
            presence => Some(presence.is_ok_and(|presence| presence == Presence::Present)),
        };
        let mut known: Vec<_> = keys.iter().copied().zip(heads).map(presence).collect();
        let tagged = gaps(keys, &known);
        if !tagged.is_empty() {
            let looks = self.look(&tagged, options).await;
            let is_value = |look| matches!(look, Look::Fresh(found) if found.entry.value.is_some());
            fill(&mut known, looks.into_iter().map(is_value).map(Some));
        }
        known
    }

    /// What was under a key in L2 was a fresh value, as far as its head tells.
    pub(crate) fn is_present(&self, key: &K, head: Result<Option<Record>>) -> Result<bool> {
        let presence = self.presence(key, head)?;
        Ok(presence != Presence::Absent)
    }

    fn presence(&self, key: &K, head: Result<Option<Record>>) -> Result<Presence> {
        let head = head.inspect_err(|_| self.counters.add(Count::L2Errors, 1))?;
        let (Some(far), Some(space), Some(head)) = (&self.far, self.marks.space(), head) else {
            return Ok(Presence::Absent);
        };
        let is_entry = matches!(head.kind(), Kind::Value | Kind::Stale | Kind::Foreign);
        if !is_entry || self.doubts.has(key) || !self.wall.is_known() {
            return Ok(Presence::Absent);
        }
        let name = far.wire.name(key);
        let address = Address { name: &name, space };
        let presence = far.wire.presence(address, &head, self.moment());
        Ok(presence.unwrap_or_else(|reason| {
            self.counters.add_rejected(reason);
            Presence::Absent
        }))
    }
}

/// Where a caller's answer will be.
pub(crate) enum Place<V> {
    /// It is here.
    Here(Landed<V>),
    /// A flight that somebody else leads brings it.
    Joined(Landing<V>),
    /// A flight that this caller leads brings it.
    Led(Landing<V>),
}

impl<V> Place<V> {
    fn is_joined(&self) -> bool {
        matches!(self, Self::Joined(_))
    }
}

/// Where each caller waits, and which flights are for us to lead.
pub(crate) fn sit_down<V, K: Key + ?Sized>(
    seats: impl Iterator<Item = Seat<V, K>>,
) -> (Vec<Place<V>>, Vec<Lead<V, K>>) {
    let mut leads = Vec::new();
    let place = |seat| match seat {
        Seat::Ready(landed) => Place::Here(landed),
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
