//! Refreshes: loads that somebody has asked for, whatever is cached.

use std::borrow::Borrow;
use std::sync::Arc;

use tiered_core::{Entry, Key, Result, Seen};
use tokio::runtime::Handle;

use crate::answer::{Answer, Source};
use crate::batch::{fill, gaps};
use crate::budget::with_budget;
use crate::claim::Right;
use crate::flight::Lead;
use crate::fly::Open;
use crate::landing::Patience;
use crate::load::{Mode, Wanted};
use crate::load_fn::LoadFn;
use crate::look::Look;
use crate::options::Terms;
use crate::read::{no_runtime, sit_down};
use crate::shared::Shared;

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// The answers of loads that begin now, or as soon as the loads that already run have ended. `load` is asked for
    /// one loader for all keys that are free, and one for each key whose load already runs: to wait for a key while
    /// holding another could last for ever.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        keys: &[&K],
        terms: &Terms,
        load: &LoadFn<V, K>,
    ) -> Vec<Result<Answer<V>>> {
        let Ok(runtime) = Handle::try_current() else {
            return keys.iter().map(|_| Err(no_runtime())).collect();
        };
        self.attend();
        let start = self.near.start(self.now());
        let seats = keys
            .iter()
            .map(|key| self.near.join_later(self, key, start));
        let (places, leads) = sit_down(seats);
        let (queued, free): (Vec<_>, Vec<_>) = leads.into_iter().partition(Lead::is_queued);
        let flights = queued
            .into_iter()
            .map(|lead| vec![lead])
            .chain((!free.is_empty()).then_some(free));
        for leads in flights {
            let flight = Arc::clone(self).fly_again(leads, terms.clone(), Arc::clone(load));
            runtime.spawn(with_budget(self.budget(keys.len()), flight));
        }
        let patience = Patience {
            soft: None,
            ..self.patience(&terms.options, start.at)
        };
        self.answers(self.arrive(places, patience).await)
    }

    /// Lands each of these flights from the loader, which is shown what it would replace. Its claim goes before any other:
    /// what others load at this time began earlier.
    async fn fly_again(
        self: Arc<Self>,
        mut leads: Vec<Lead<V, K>>,
        terms: Terms,
        load: LoadFn<V, K>,
    ) {
        for lead in &mut leads {
            lead.take_off().await;
        }
        let keys: Vec<&K> = leads.iter().map(|lead| lead.key.borrow()).collect();
        let shown = self.shown(&keys, &terms).await;
        for (lead, shown) in leads.iter_mut().zip(&shown) {
            // For reads that join it: a refresh itself is never answered with that.
            lead.offer(shown.old.clone());
        }
        let room = match self.find_room().await {
            Ok(room) => Some(room),
            Err(error) => return self.turn_away(leads.into_iter(), &error),
        };
        let wanted = self.claim_all(leads, shown, &terms).await;
        self.load(wanted, room, (&terms, Mode::Replace), &load)
            .await;
    }

    /// Claims these keys, whoever else has them.
    async fn claim_all(
        self: &Arc<Self>,
        leads: Vec<Lead<V, K>>,
        shown: Vec<Shown<V>>,
        terms: &Terms,
    ) -> Vec<Wanted<V, K>> {
        let (silent, heard): (Vec<_>, Vec<_>) = leads
            .into_iter()
            .zip(shown)
            .partition(|(_, shown)| shown.is_l2_silent);
        let open = |(lead, shown): (_, Shown<V>)| {
            let seen = Seen::Anything;
            (Open { lead, seen }, shown.copy)
        };
        let (open, copies): (Vec<_>, Vec<_>) = heard.into_iter().map(open).unzip();
        let granted = self.ask(&open, terms).await;
        let unfenced = silent.into_iter().map(|(lead, shown)| Wanted {
            lead,
            held: shown.copy,
            right: Right::Unfenced,
        });
        let claimed = open.into_iter().zip(copies).zip(granted);
        let claimed = claimed.map(|((open, held), granted)| Wanted {
            lead: open.lead,
            held,
            right: granted.or_unfenced(),
        });
        unfenced.chain(claimed).collect()
    }

    /// The copy of each key that a load would replace: fresh in L1, or in L2, or any in L1.
    async fn shown(&self, keys: &[&K], terms: &Terms) -> Vec<Shown<V>> {
        let now = self.now();
        let hit = |key: &&K| {
            let hit = self.near.hit(key, now);
            let hit = hit.filter(|_| terms.options.l1.reads())?;
            Some(Shown {
                copy: Some(hit.clone()),
                old: Some((hit, Source::L1)),
                is_l2_silent: self.doubts.has(key),
            })
        };
        let mut shown: Vec<_> = keys.iter().map(hit).collect();
        let gaps = gaps(keys, &shown);
        if !gaps.is_empty() {
            let looks = self.look(&gaps, &terms.options).await;
            let far = gaps.iter().zip(looks);
            let far: Vec<_> = far
                .map(|(key, look)| Some(self.shown_far(key, look, terms)))
                .collect();
            fill(&mut shown, far);
        }
        shown.into_iter().flatten().collect()
    }

    fn shown_far(&self, key: &K, look: Look<V>, terms: &Terms) -> Shown<V> {
        let is_l2_silent = matches!(look, Look::Silent);
        let far = look.copy().cloned();
        let (_, old) = self.older(key, look, terms);
        let near = || self.near.outdated(key).filter(|_| terms.options.l1.reads());
        Shown {
            copy: far.or_else(near),
            old,
            is_l2_silent,
        }
    }
}

/// What a refresh has seen of a key.
struct Shown<V> {
    /// What its loader is shown.
    copy: Option<Entry<V>>,
    /// What serves others meanwhile.
    old: Option<(Entry<V>, Source)>,
    is_l2_silent: bool,
}
