//! Flights from inside: what their task does until each of its keys has landed.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join, select_all};
use tiered_core::{Error, Key, Record, Seen, Tick};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::budget::{renew_budget, with_budget};
use crate::claim::{Granted, Right, UNFENCED};
use crate::flight::Lead;
use crate::landing::aborted;
use crate::load::{Mode, Wanted};
use crate::load_fn::LoadFn;
use crate::look::Look;
use crate::marks::Which;
use crate::near::{By, Start};
use crate::options::Terms;
use crate::shared::Shared;
use crate::stats::Count;

/// A key that is to be loaded if nobody else does, and what was seen of it.
pub(crate) struct Open<V, K: Key + ?Sized> {
    pub(crate) lead: Lead<V, K>,
    pub(crate) seen: Seen,
}

/// What a round has left.
struct Round<V, K: Key + ?Sized> {
    wanted: Vec<Wanted<V, K>>,
    /// Somebody else loads these.
    busy: Vec<Lead<V, K>>,
    /// The room for one more loader.
    room: Option<OwnedSemaphorePermit>,
}

impl<V, K: Key + ?Sized> Round<V, K> {
    /// Somebody else loads it: an old copy serves meanwhile, where there is one that may.
    fn leave_to_another(&mut self, lead: Lead<V, K>, terms: &Terms) {
        let old = lead.fallback().filter(|_| !terms.options.refuses_stale);
        match old.cloned() {
            Some(old) => lead.land(Ok(old)),
            None => self.busy.push(lead),
        }
    }
}

/// What a flight is to bring, and how.
struct Errand<V, K: Key + ?Sized> {
    terms: Terms,
    load: LoadFn<V, K>,
    wait: Wait,
}

/// How long one still waits for others.
#[derive(Clone, Copy)]
struct Wait {
    limit: Duration,
    deadline: Option<Tick>,
    poll: Duration,
}

impl Wait {
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
        let wait = Wait::new(self.settings.coherence.claim_wait);
        let errand = Errand { terms, load, wait };
        self.run_errand(leads, errand).await;
    }

    async fn run_errand(self: Arc<Self>, mut leads: Vec<Lead<V, K>>, mut errand: Errand<V, K>) {
        while !leads.is_empty() {
            let bells = self.bells(&leads);
            let mut round = self.round(leads, &errand.terms).await;
            if errand.wait.is_over(self.now()) {
                self.go_alone(&mut round).await;
            }
            let Round { wanted, busy, room } = round;
            if !busy.is_empty() {
                if errand.wait.is_new() {
                    self.counters.add(Count::Waits, busy.len() as u64);
                }
                let until = errand.wait.next(self.now());
                if wanted.is_empty() {
                    drop(room);
                    leads = self.wait(busy, &bells, until).await;
                    continue;
                }
                let budget = self.budget(busy.len());
                let apart = Arc::clone(&self).wait_apart(busy, bells, until, errand.clone());
                tokio::spawn(with_budget(budget, apart));
            }
            let how = (&errand.terms, Mode::Fill);
            return self.load(wanted, room, how, &errand.load).await;
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

    /// Waits until something has happened to one of these keys, or until this moment. None is left if the cache was closed.
    async fn wait(
        &self,
        mut busy: Vec<Lead<V, K>>,
        bells: &[Arc<Notify>],
        until: Tick,
    ) -> Vec<Lead<V, K>> {
        for lead in &mut busy {
            if lead.fallback().is_some() {
                // Whose leader refuses it: it serves others.
                continue;
            }
            self.near.wait(lead.key.borrow(), lead.begin.operation);
        }
        let rings = bells.iter().map(|bell| Box::pin(bell.notified()));
        tokio::select! {
            biased;
            () = self.closed() => {
                busy.drain(..).for_each(|lead| lead.land(Err(aborted())));
            }
            _ = select_all(rings) => {}
            () = self.clock.sleep_until(until) => {}
        }
        renew_budget();
        busy
    }

    /// Looks at each of these keys, lands what L2 has, and claims the rest.
    async fn round(self: &Arc<Self>, mut leads: Vec<Lead<V, K>>, terms: &Terms) -> Round<V, K> {
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
            room: None,
        };
        let mut open = Vec::new();
        for (lead, look) in leads.into_iter().zip(looks) {
            open.extend(self.sort(lead, look, &mut round, terms));
        }
        open = self.make_room(open, &mut round).await;
        for _ in 0..CLAIMS {
            if open.is_empty() {
                break;
            }
            open = self.claim_open(open, &mut round, terms).await;
        }
        for open in open {
            round.leave_to_another(open.lead, terms);
        }
        round
    }

    /// Nobody is waited for any more.
    async fn go_alone(&self, round: &mut Round<V, K>) {
        let alone = round.busy.drain(..);
        let alone = alone.map(|lead| Wanted::new(lead, Right::Unfenced));
        round.wanted.extend(alone);
        self.make_room(Vec::new(), round).await;
    }

    /// Finds room for the loader of what is wanted and what is to be claimed. Where there is none in time, nothing is left to do.
    async fn make_room(&self, open: Vec<Open<V, K>>, round: &mut Round<V, K>) -> Vec<Open<V, K>> {
        if round.room.is_some() || open.is_empty() && round.wanted.is_empty() {
            return open;
        }
        match self.find_room().await {
            Ok(room) => {
                round.room = Some(room);
                open
            }
            Err(error) => {
                let wanted = round.wanted.drain(..).map(|wanted| wanted.lead);
                let open = open.into_iter().map(|open| open.lead);
                self.turn_away(open.chain(wanted), &error);
                Vec::new()
            }
        }
    }

    /// There is no room for the loader of these.
    pub(crate) fn turn_away(&self, leads: impl Iterator<Item = Lead<V, K>>, error: &Error) {
        for lead in leads {
            self.counters.add(Count::LoadsTurnedAway, 1);
            lead.land(Err(error.clone()));
        }
    }

    async fn look_for(&self, leads: &[Lead<V, K>], terms: &Terms) -> Vec<Look<V>> {
        let keys: Vec<&K> = leads.iter().map(|lead| lead.key.borrow()).collect();
        let options = terms.options_of_look();
        match keys.as_slice() {
            [key] => vec![self.look_at(key, &options).await],
            keys => self.look(keys, &options).await,
        }
    }

    /// What is to be done about a key of which this was seen; `None` if that is done, or decided.
    fn sort(
        &self,
        mut lead: Lead<V, K>,
        look: Look<V>,
        round: &mut Round<V, K>,
        terms: &Terms,
    ) -> Option<Open<V, K>> {
        let key = lead.key.borrow();
        let look = match look {
            Look::Fresh(found) if !self.is_to_be_replaced(&found, terms) => {
                let landed = self.take_in(key, &lead.begin, found, &terms.options);
                lead.land(Ok(landed));
                return None;
            }
            look => look,
        };
        let is_claimed = matches!(look, Look::Claimed);
        let is_silent = matches!(look, Look::Silent);
        let (seen, old) = self.older(key, look, terms);
        lead.offer(old);
        if is_claimed {
            round.leave_to_another(lead, terms);
        } else if let Some(old) = self.instead_of_a_load(&lead, is_silent, terms) {
            lead.land(Ok(old));
        } else if is_silent {
            round.wanted.push(Wanted::new(lead, Right::Unfenced));
        } else {
            return Some(Open { lead, seen });
        }
        None
    }

    /// Claims these keys. What has changed since it was seen is left to be claimed anew.
    async fn claim_open(
        self: &Arc<Self>,
        open: Vec<Open<V, K>>,
        round: &mut Round<V, K>,
        terms: &Terms,
    ) -> Vec<Open<V, K>> {
        let granted = self.ask(&open, terms).await;
        let mut changed = Vec::new();
        for (open, granted) in open.into_iter().zip(granted) {
            match granted {
                Granted::Right(right) => {
                    round.wanted.push(Wanted::new(open.lead, right));
                }
                Granted::Busy => round.leave_to_another(open.lead, terms),
                Granted::Changed(record) => {
                    let look = self.look_at_record(open.lead.key.borrow(), record, terms);
                    changed.extend(self.sort(open.lead, look, round, terms));
                }
            }
        }
        changed
    }

    /// Asks for the right to load these keys, and learns what has to be known before a load begins.
    pub(crate) async fn ask(self: &Arc<Self>, open: &[Open<V, K>], terms: &Terms) -> Vec<Granted> {
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
        // Otherwise known since the look.
        self.learn_time().await;
        // What is loaded could not be stamped without the time.
        let may_write = terms.options.l2.writes() && self.wall.is_known();
        let (Some(space), true) = (space, may_write) else {
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
            wait: self.wait,
        }
    }
}
