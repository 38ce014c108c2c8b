//! Refreshes: loads that somebody has asked for, whatever is cached.

use std::borrow::Borrow;
use std::sync::Arc;

use tiered_core::{Entry, Key, Result, Seen};
use tokio::runtime::Handle;

use crate::answer::Answer;
use crate::batch::{fill, gaps};
use crate::claim::{Granted, Right};
use crate::flight::Lead;
use crate::fly::{LoadFn, Open};
use crate::load::{Mode, Wanted};
use crate::look::Look;
use crate::options::{Options, Terms};
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
            runtime.spawn(Arc::clone(self).fly_again(leads, terms.clone(), Arc::clone(load)));
        }
        self.arrive(places).await
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
        let shown = self.shown(&keys, &terms.options).await;
        let (mut open, mut copies, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for (lead, shown) in leads.into_iter().zip(shown) {
            if shown.is_l2_silent {
                wanted.push(Wanted::new(lead, shown.copy, Right::Unfenced));
                continue;
            }
            let (seen, old) = (Seen::Anything, None);
            open.push(Open { lead, seen, old });
            copies.push(shown.copy);
        }
        let granted = self.ask(&open, &terms).await;
        for ((open, copy), granted) in open.into_iter().zip(copies).zip(granted) {
            let right = match granted {
                Granted::Right(right) => right,
                // A store that knows no force.
                Granted::Busy | Granted::Changed(_) => Right::Unfenced,
            };
            wanted.push(Wanted::new(open.lead, copy, right));
        }
        self.load(wanted, &terms, Mode::Replace, &load).await;
    }

    /// The copy of each key that a load would replace: fresh in L1, or in L2, or any in L1.
    async fn shown(&self, keys: &[&K], options: &Options) -> Vec<Shown<V>> {
        let now = self.now();
        let hit = |key: &&K| {
            let hit = self.near.hit(key, now).filter(|_| options.l1.reads())?;
            Some(Shown {
                copy: Some(hit),
                is_l2_silent: self.doubts.has(key),
            })
        };
        let mut shown: Vec<_> = keys.iter().map(hit).collect();
        let gaps = gaps(keys, &shown);
        if !gaps.is_empty() {
            let looks = self.look(&gaps, options).await;
            let far = |(key, look): (&&K, Look<V>)| {
                let is_l2_silent = matches!(look, Look::Silent);
                let near = || self.near.outdated(key).filter(|_| options.l1.reads());
                let copy = look.copy().or_else(near);
                Some(Shown { copy, is_l2_silent })
            };
            let far: Vec<_> = gaps.iter().zip(looks).map(far).collect();
            fill(&mut shown, far);
        }
        shown.into_iter().flatten().collect()
    }
}

/// What a refresh has seen of a key.
struct Shown<V> {
    copy: Option<Entry<V>>,
    is_l2_silent: bool,
}
