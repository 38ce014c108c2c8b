//! Flights from inside: what their task does.

use std::any::Any;
use std::borrow::Borrow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tiered_core::{BoxError, Entry, Error, ErrorKind, Key, Result};
use tokio::runtime::Handle;

use crate::answer::{Answer, Source};
use crate::batch::{fill, gaps};
use crate::flight::{Landed, Lead};
use crate::loader::{Held, Loaded, Loads, What};
use crate::near::{Act, By, Start};
use crate::options::Options;
use crate::read::{Look, no_runtime, sit_down};
use crate::settings::Life;
use crate::shared::Shared;
use crate::stats::Count;
use crate::write::{Change, load_millis};

/// A loader of the keys it is given, whatever the caller wrote it as.
pub(crate) type LoadFn<V, K> = Box<dyn FnOnce(Vec<Asked<V, K>>) -> Loading<V, K> + Send>;
pub(crate) type Loading<V, K> =
    BoxFuture<'static, Result<Loads<V, <K as ToOwned>::Owned>, BoxError>>;
pub(crate) type Asked<V, K> = Held<V, <K as ToOwned>::Owned>;

/// A key that is about to be loaded.
struct Wanted<V, K: Key + ?Sized> {
    lead: Lead<V, K>,
    /// The copy that the load would replace.
    held: Option<Entry<V>>,
    /// L2 did not answer; it is not asked again for this key.
    is_l2_silent: bool,
}

/// A flight that is about to land, and what is to be stored; or why nothing is.
type Draft<V, K> = (Lead<V, K>, Result<Change<V, K>>);

/// On what terms a load is made.
struct Terms {
    mode: Mode,
    options: Options,
}

impl Terms {
    /// What becomes of the copies in L1 and in L2.
    fn acts(&self, life: Life, is_kept: bool) -> (Act<()>, Act<()>) {
        let act = |may_write: bool, life: Duration| {
            let is_put = is_kept && may_write && !life.is_zero();
            if is_put {
                Act::Put(())
            } else {
                self.otherwise()
            }
        };
        let (near, far) = (self.options.l1.writes(), self.options.l2.writes());
        (act(near, life.near), act(far, life.whole))
    }

    /// What becomes of an old copy where the new one cannot go.
    fn otherwise(&self) -> Act<()> {
        match self.mode {
            Mode::Fill => Act::Leave,
            Mode::Replace => Act::Take,
        }
    }
}

/// How a flight treats what is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It fills a gap.
    Fill,
    /// It replaces what is there.
    Replace,
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Lands each of these flights: from L2, or else from the loader.
    pub(crate) async fn fly(
        self: Arc<Self>,
        leads: Vec<Lead<V, K>>,
        options: Options,
        load: LoadFn<V, K>,
    ) {
        let keys: Vec<&K> = leads.iter().map(|lead| lead.key.borrow()).collect();
        let looks = self.look(&keys, &options).await;
        let mut wanted = Vec::new();
        for (lead, look) in leads.into_iter().zip(looks) {
            match look {
                Look::Fresh(found) => {
                    let entry = self.take_in(lead.key.borrow(), &lead.begin, found, &options);
                    lead.land(Ok(Landed::new(entry, Source::L2)));
                }
                Look::Silent => wanted.push(Wanted::new(lead, (None, true))),
                Look::Old(_) | Look::Nothing => wanted.push(Wanted::new(lead, (None, false))),
            }
        }
        if !wanted.is_empty() {
            self.counters.add(Count::Misses, wanted.len() as u64);
            self.load(
                wanted,
                Terms {
                    mode: Mode::Fill,
                    options,
                },
                load,
            )
            .await;
        }
    }

    /// The answers of loads that begin now, or as soon as the loads that already run have ended. `load` is asked for
    /// one loader for all keys that are free, and one for each key whose load already runs: to wait for a key while
    /// holding another could last for ever.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        keys: &[&K],
        options: &Options,
        mut load: impl FnMut() -> LoadFn<V, K>,
    ) -> Vec<Result<Answer<V>>> {
        let Ok(runtime) = Handle::try_current() else {
            return keys.iter().map(|_| Err(no_runtime())).collect();
        };
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
            runtime.spawn(Arc::clone(self).fly_again(leads, *options, load()));
        }
        self.arrive(places).await
    }

    /// Lands each of these flights from the loader, which is shown what it would replace.
    async fn fly_again(
        self: Arc<Self>,
        mut leads: Vec<Lead<V, K>>,
        options: Options,
        load: LoadFn<V, K>,
    ) {
        for lead in &mut leads {
            lead.take_off().await;
        }
        let keys: Vec<&K> = leads.iter().map(|lead| lead.key.borrow()).collect();
        let helds = self.held(&keys, &options).await;
        let wanted = leads.into_iter().zip(helds);
        let wanted = wanted.map(|(lead, held)| Wanted::new(lead, held));
        let terms = Terms {
            mode: Mode::Replace,
            options,
        };
        self.load(wanted.collect(), terms, load).await;
    }

    /// The copy of each key that a load would replace: fresh in L1, or in L2, or any in L1. And whether L2 is silent.
    async fn held(&self, keys: &[&K], options: &Options) -> Vec<(Option<Entry<V>>, bool)> {
        let now = self.now();
        let copies = keys
            .iter()
            .map(|key| self.near.held(key).filter(|_| options.l1.reads()));
        let copies: Vec<_> = copies.collect();
        let is_fresh = |copy: &&Entry<V>| copy.is_fresh(now);
        let fresh = copies
            .iter()
            .map(|copy| copy.as_ref().filter(is_fresh).cloned());
        let mut helds: Vec<_> = fresh
            .map(|copy| copy.map(|entry| (Some(entry), false)))
            .collect();
        let looks = self.look(&gaps(keys, &helds), options).await;
        fill(&mut helds, looks.into_iter().map(|look| Some(look.held())));
        let helds = helds.into_iter().map(|held| held.unwrap_or((None, true)));
        helds
            .zip(copies)
            .map(|((held, is_l2_silent), copy)| (held.or(copy), is_l2_silent))
            .collect()
    }

    /// Runs the loader, stores what it brings as far as nothing has changed since, and lands the flights.
    async fn load(&self, mut wanted: Vec<Wanted<V, K>>, terms: Terms, load: LoadFn<V, K>) {
        let begun = self.now();
        for Wanted { lead, .. } in &mut wanted {
            let start = Start {
                operation: lead.begin.operation,
                at: begun,
            };
            lead.begin = self.near.begin(lead.key.borrow(), By::Load, start);
        }
        let asked = wanted.iter().map(Wanted::asked).collect();
        self.counters.add(Count::Loads, wanted.len() as u64);
        match run::<V, K>(load, asked).await {
            Ok(mut loads) => {
                let took = self.now().since(begun);
                let draft = |wanted: Wanted<V, K>| {
                    let loaded = loads.take(&wanted.lead.key);
                    self.draft(wanted, loaded, took, &terms)
                };
                self.settle(wanted.into_iter().map(draft).collect()).await;
            }
            Err(error) => {
                self.counters.add(Count::LoadErrors, wanted.len() as u64);
                for Wanted { lead, .. } in wanted {
                    lead.land(Err(error.clone()));
                }
            }
        }
    }

    /// What is to be done with what was loaded for one key.
    fn draft(
        &self,
        wanted: Wanted<V, K>,
        loaded: Loaded<V>,
        took: Duration,
        terms: &Terms,
    ) -> Draft<V, K> {
        let Wanted {
            lead,
            held,
            is_l2_silent,
        } = wanted;
        let change = value(loaded.what, held).map(|value| {
            let options = &terms.options;
            let life = self
                .settings
                .life(options, loaded.ttl, value.is_none(), &self.random);
            let (l1, l2) = terms.acts(life, loaded.is_kept);
            Change {
                key: lead.key.clone(),
                begin: lead.begin,
                entry: self.entry(value, self.now(), life, load_millis(took)),
                life,
                l1,
                l2: if is_l2_silent { Act::Leave } else { l2 },
                otherwise: terms.otherwise(),
            }
        });
        (lead, change)
    }

    /// Stores what is to be stored, and lands the flights.
    async fn settle(&self, drafts: Vec<Draft<V, K>>) {
        let (mut leads, mut changes) = (Vec::new(), Vec::new());
        for (lead, change) in drafts {
            match change {
                Ok(change) => {
                    leads.push(lead);
                    changes.push(change);
                }
                Err(error) => {
                    self.counters.add(Count::LoadErrors, 1);
                    lead.land(Err(error));
                }
            }
        }
        self.apply(&changes).await;
        for (lead, change) in leads.into_iter().zip(changes) {
            lead.land(Ok(Landed::new(change.entry, Source::Loader)));
        }
    }
}

impl<V, K: Key + ?Sized> Wanted<V, K> {
    fn new(lead: Lead<V, K>, (held, is_l2_silent): (Option<Entry<V>>, bool)) -> Self {
        Self {
            lead,
            held,
            is_l2_silent,
        }
    }

    fn asked(&self) -> Asked<V, K> {
        let value = self.held.as_ref().and_then(|entry| entry.value.clone());
        Held {
            key: self.lead.key.clone(),
            value,
        }
    }
}

fn value<V>(what: What<V>, held: Option<Entry<V>>) -> Result<Option<Arc<V>>> {
    match what {
        What::Found(value) => Ok(Some(value)),
        What::Missing => Ok(None),
        What::Unchanged => match held.and_then(|held| held.value) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::new(
                ErrorKind::Loader,
                "the loader answered `unchanged`, but was shown no value",
            )),
        },
    }
}

/// Runs the loader to its end, and makes an error of a panic.
async fn run<V, K: Key + ?Sized>(
    load: LoadFn<V, K>,
    asked: Vec<Asked<V, K>>,
) -> Result<Loads<V, K::Owned>> {
    match AssertUnwindSafe(async move { load(asked).await })
        .catch_unwind()
        .await
    {
        Ok(Ok(loads)) => Ok(loads),
        Ok(Err(error)) => Err(Error::new(ErrorKind::Loader, "the loader failed").because(error)),
        Err(panic) => Err(panicked(&*panic)),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or(panic.downcast_ref::<String>().map(String::as_str));
    let error = Error::new(ErrorKind::Panicked, "the loader panicked");
    match message {
        Some(message) => error.because(message),
        None => error,
    }
}
