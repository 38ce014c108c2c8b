//! Flights from inside: what their task does until each of its keys has landed.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join, select_all};
use tiered_core::{BoxError, Entry, Key, Record, Result, Seen, Tick};
use tokio::sync::Notify;

use crate::answer::Source;
use crate::claim::{Granted, Right, UNFENCED};
use crate::flight::{Landed, Lead};
use crate::load::{Mode, Wanted};
use crate::loader::{Held, Loads};
use crate::look::Look;
use crate::marks::Which;
use crate::near::{By, Start};
use crate::options::Terms;
use crate::shared::Shared;
use crate::stats::Count;

/// A loader of the keys it is given, whatever the caller wrote it as. A single key is loaded once at most.
pub(crate) type LoadFn<V, K> = Arc<dyn Fn(Vec<Asked<V, K>>) -> Loading<V, K> + Send + Sync>;
pub(crate) type Loading<V, K> =
    BoxFuture<'static, Result<Loads<V, <K as ToOwned>::Owned>, BoxError>>;
pub(crate) type Asked<V, K> = Held<V, <K as ToOwned>::Owned>;

/// A key that is to be loaded if nobody else does, and what was seen of it.
pub(crate) struct Open<V, K: Key + ?Sized> {
    pub(crate) lead: Lead<V, K>,
    pub(crate) seen: Seen,
    /// A copy that is no longer fresh.
    pub(crate) old: Option<Entry<V>>,
}

/// What a round has left.
struct Round<V, K: Key + ?Sized> {
    wanted: Vec<Wanted<V, K>>,
    /// Somebody else loads these.
    busy: Vec<Lead<V, K>>,
}

impl<V, K: Key + ?Sized> Round<V, K> {
    /// Nobody is waited for any more.
    fn go_alone(&mut self) {
        let alone = self.busy.drain(..);
        let alone = alone.map(|lead| Wanted::new(lead, None, Right::Unfenced));
        self.wanted.extend(alone);
    }
}

/// What a flight is to bring, and how.
struct Errand<V, K: Key + ?Sized> {
    terms: Terms,
    load: LoadFn<V, K>,
    patience: Patience,
}

/// How long one still waits for others.
#[derive(Clone, Copy)]
struct Patience {
    limit: Duration,
    deadline: Option<Tick>,
    poll: Duration,
}

impl Patience {
    /// How often one looks whether another node is done, at first and at most: a net, for its message rings the bell.
    const FIRST_POLL: Duration = Duration::from_millis(50);
    const SLOWEST_POLL: Duration = Duration::from_millis(500);

    fn new(limit: Duration) -> Self {
        Self {
            limit,
            deadline: None,
            poll: Self::FIRST_POLL,
        }
    }

    /// Nothing has been waited for yet.
    fn is_new(&self) -> bool {
        self.deadline.is_none()
    }

    fn is_over(&self, now: Tick) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Until when to wait before looking again.
    fn next(&mut self, now: Tick) -> Tick {
        let deadline = *self.deadline.get_or_insert(now.plus(self.limit));
        let poll = self.poll;
        self.poll = (poll * 2).min(Self::SLOWEST_POLL);
        now.plus(poll).min(deadline)
    }
}

/// How often one claims anew what has changed in the meantime, before it counts as somebody else's.
const CLAIMS: usize = 3;

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Lands each of these flights: from L2, or else from the loader, or from whoever else loads it. What others load is
    /// waited for by itself: neither does it hold up what this flight may load, nor is it held up. Nothing is held while
    /// one waits, so two batches in opposite order cannot wait for each other.
    pub(crate) async fn fly(
        self: Arc<Self>,
        leads: Vec<Lead<V, K>>,
        terms: Terms,
        load: LoadFn<V, K>,
    ) {
        let patience = Patience::new(self.settings.coherence.claim_wait);
        let errand = Errand {
            terms,
            load,
            patience,
        };
        self.run_errand(leads, errand).await;
    }

    async fn run_errand(self: Arc<Self>, mut leads: Vec<Lead<V, K>>, mut errand: Errand<V, K>) {
        loop {
            let bells = self.bells(&leads);
            let mut round = self.round(leads, &errand.terms).await;
            if errand.patience.is_over(self.now()) {
                round.go_alone();
            }
            let Round { wanted, busy } = round;
            self.counters.add(Count::Misses, wanted.len() as u64);
            if busy.is_empty() {
                let (terms, load) = (&errand.terms, &errand.load);
                return self.load(wanted, terms, Mode::Fill, load).await;
            }
            if errand.patience.is_new() {
                self.counters.add(Count::Waits, busy.len() as u64);
            }
            let until = errand.patience.next(self.now());
            if wanted.is_empty() {
                leads = self.wait(busy, &bells, until).await;
                continue;
            }
            tokio::spawn(Arc::clone(&self).wait_apart(busy, bells, until, errand.clone()));
            let (terms, load) = (&errand.terms, &errand.load);
            return self.load(wanted, terms, Mode::Fill, load).await;
        }
    }

    /// Waits for others, and goes on with these keys. Boxed, for a task of this kind may begin another one.
    fn wait_apart(
        self: Arc<Self>,
        busy: Vec<Lead<V, K>>,
        bells: Vec<Arc<Notify>>,
        until: Tick,
        errand: Errand<V, K>,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let leads = self.wait(busy, &bells, until).await;
            self.run_errand(leads, errand).await;
        })
    }

    /// The bells that ring when something happens to these keys from now on. Without an L2 there is nobody to wait for.
    fn bells(&self, leads: &[Lead<V, K>]) -> Vec<Arc<Notify>> {
        let leads = leads.iter().filter(|_| self.far.is_some());
        let bell = |lead: &Lead<V, K>| self.near.bell(lead.key.borrow(), lead.begin.operation);
        leads.map(bell).collect()
    }

    /// Waits until something has happened to one of these keys, or until this moment.
    async fn wait(
        &self,
        busy: Vec<Lead<V, K>>,
        bells: &[Arc<Notify>],
        until: Tick,
    ) -> Vec<Lead<V, K>> {
        for lead in &busy {
            self.near.wait(lead.key.borrow(), lead.begin.operation);
        }
        let rings = bells.iter().map(|bell| Box::pin(bell.notified()));
        tokio::select! {
            biased;
            _ = select_all(rings) => {}
            () = self.clock.sleep_until(until) => {}
        }
        busy
    }

    /// Looks at each of these keys, lands what L2 has, and claims the rest.
    async fn round(&self, mut leads: Vec<Lead<V, K>>, terms: &Terms) -> Round<V, K> {
        let at = self.now();
        for lead in &mut leads {
            let operation = lead.begin.operation;
            lead.begin =
                self.near
                    .begin_flight(lead.key.borrow(), By::Look, Start { operation, at });
        }
        let looks = self.look_for(&leads, terms).await;
        let mut round = Round {
            wanted: Vec::new(),
            busy: Vec::new(),
        };
        let mut open = Vec::new();
        for (lead, look) in leads.into_iter().zip(looks) {
            open.extend(self.sort(lead, look, &mut round, terms));
        }
        for _ in 0..CLAIMS {
            if open.is_empty() {
                break;
            }
            open = self.claim_open(open, &mut round, terms).await;
        }
        round.busy.extend(open.into_iter().map(|open| open.lead));
        round
    }

    async fn look_for(&self, leads: &[Lead<V, K>], terms: &Terms) -> Vec<Look<V>> {
        let keys: Vec<&K> = leads.iter().map(|lead| lead.key.borrow()).collect();
        match keys.as_slice() {
            [key] => vec![self.look_at(key, &terms.options).await],
            keys => self.look(keys, &terms.options).await,
        }
    }

    /// What is to be done about a key of which this was seen; `None` if that is done, or decided.
    fn sort(
        &self,
        lead: Lead<V, K>,
        look: Look<V>,
        round: &mut Round<V, K>,
        terms: &Terms,
    ) -> Option<Open<V, K>> {
        let (seen, old) = match look {
            Look::Fresh(found) => {
                let landed = self.take_in(lead.key.borrow(), &lead.begin, found, &terms.options);
                lead.land(Ok(landed));
                return None;
            }
            Look::Claimed => {
                let old = self.near.fallback(lead.key.borrow(), self.now());
                self.leave_to_another(lead, old.map(|old| (old, Source::L1)), round);
                return None;
            }
            Look::Silent => {
                round.wanted.push(Wanted::new(lead, None, Right::Unfenced));
                return None;
            }
            Look::Old(entry) => (Seen::Version(entry.version), Some(entry)),
            Look::Nothing(seen) => (seen, None),
        };
        Some(Open { lead, seen, old })
    }

    /// Somebody else loads it: an old copy serves meanwhile, where there is one that may.
    fn leave_to_another(
        &self,
        lead: Lead<V, K>,
        old: Option<(Entry<V>, Source)>,
        round: &mut Round<V, K>,
    ) {
        let now = self.now();
        let Some((entry, source)) = old.filter(|(entry, _)| !entry.is_dead(now)) else {
            round.busy.push(lead);
            return;
        };
        self.counters.add(Count::StaleHits, 1);
        self.counters.add_hit(source, &entry);
        lead.land(Ok(Landed::new(entry, source)));
    }

    /// Claims these keys. What has changed since it was seen is left to be claimed anew.
    async fn claim_open(
        &self,
        open: Vec<Open<V, K>>,
        round: &mut Round<V, K>,
        terms: &Terms,
    ) -> Vec<Open<V, K>> {
        let granted = self.ask(&open, terms).await;
        let mut changed = Vec::new();
        for (open, granted) in open.into_iter().zip(granted) {
            match granted {
                Granted::Right(right) => {
                    round.wanted.push(Wanted::new(open.lead, None, right));
                }
                Granted::Busy => {
                    let old = open.old.map(|old| (old, Source::L2));
                    self.leave_to_another(open.lead, old, round);
                }
                Granted::Changed(record) => {
                    let look = self.look_at_record(open.lead.key.borrow(), record, terms);
                    changed.extend(self.sort(open.lead, look, round, terms));
                }
            }
        }
        changed
    }

    /// Asks for the right to load these keys, and learns what has to be known before a load begins.
    pub(crate) async fn ask(&self, open: &[Open<V, K>], terms: &Terms) -> Vec<Granted> {
        let tags = terms.tags.iter().cloned().map(Which::Tag);
        let learned = self.learn(self.unsure_of(tags.chain([Which::Epoch])));
        let Some(far) = self.far.as_ref() else {
            learned.await;
            return open.iter().map(|_| Granted::Right(Right::Alone)).collect();
        };
        let space = match self.marks.space() {
            Some(space) => Some(space),
            // It was not read, or was dropped since.
            None => self.learn_space().await.of(&Which::Space),
        };
        let (Some(space), true) = (space, terms.options.l2.writes()) else {
            learned.await;
            return open.iter().map(|_| UNFENCED).collect();
        };
        let wish = |open: &Open<V, K>| (far.wire.name(open.lead.key.borrow()), open.seen);
        let wishes: Vec<_> = open.iter().map(wish).collect();
        join(self.claim(far, &wishes, space), learned).await.0
    }

    /// What a claim has found in place of what was seen.
    fn look_at_record(&self, key: &K, record: Record, terms: &Terms) -> Look<V> {
        match &self.far {
            Some(far) if terms.options.l2.reads() => {
                self.judge_at_once(far, key, record, &terms.options)
            }
            _ => Look::Nothing(Seen::Version(record.version())),
        }
    }
}

impl<V, K: Key + ?Sized> Clone for Errand<V, K> {
    fn clone(&self) -> Self {
        Self {
            terms: self.terms.clone(),
            load: Arc::clone(&self.load),
            patience: self.patience,
        }
    }
}
