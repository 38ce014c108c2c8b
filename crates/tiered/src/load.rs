//! Loads: what their loader brings, and where it goes.

use std::any::Any;
use std::borrow::Borrow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tiered_core::{Entry, Error, ErrorKind, Key, Result};

use crate::claim::{Grip, PASS, Right};
use crate::fill::{Draft, Fate};
use crate::flight::Lead;
use crate::fly::{Asked, LoadFn};
use crate::loader::{Held, Loaded, Loads, What};
use crate::near::{Act, By, Start};
use crate::options::{Options, Terms};
use crate::settings::Life;
use crate::shared::Shared;
use crate::stats::Count;
use crate::write::load_millis;

/// A key that is about to be loaded.
pub(crate) struct Wanted<V, K: Key + ?Sized> {
    pub(crate) lead: Lead<V, K>,
    /// The copy that the load would replace.
    held: Option<Entry<V>>,
    pub(crate) right: Right,
}

/// How a load treats what is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It fills a gap.
    Fill,
    /// It replaces what is there: where the new cannot go, the old is taken out.
    Replace,
}

impl Mode {
    /// What becomes of the copies in L1 and in L2.
    fn acts(self, options: &Options, life: Life, is_kept: bool) -> (Act<()>, Act<()>) {
        let act = |may_write: bool, life: Duration| {
            if is_kept && may_write && !life.is_zero() {
                Act::Put(())
            } else {
                self.otherwise()
            }
        };
        let near = act(options.l1.writes(), life.near);
        (near, act(options.l2.writes(), life.whole))
    }

    fn otherwise(self) -> Act<()> {
        match self {
            Self::Fill => Act::Leave,
            Self::Replace => Act::Take,
        }
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Runs the loader, stores what it brings as far as nothing has changed since, and lands the flights.
    pub(crate) async fn load(
        self: &Arc<Self>,
        mut wanted: Vec<Wanted<V, K>>,
        terms: &Terms,
        mode: Mode,
        load: &LoadFn<V, K>,
    ) {
        if wanted.is_empty() {
            return;
        }
        let begun = self.now();
        for Wanted { lead, .. } in &mut wanted {
            let start = Start {
                operation: lead.begin.operation,
                at: begun,
            };
            lead.begin = self.near.begin_flight(lead.key.borrow(), By::Load, start);
        }
        // After the era was noted, so that a clear in between is noticed.
        let known = self.marks.known();
        self.count_loads(&wanted);
        match self.run(&wanted, load).await {
            Ok(mut brought) => {
                let took = self.now().since(begun);
                let draft = |wanted: Wanted<V, K>| {
                    let loaded = brought.take(&wanted.lead.key);
                    self.draft(wanted, loaded, took, (terms, mode))
                };
                let drafts = wanted.into_iter().map(draft).collect();
                self.settle_loads(drafts, &known, terms).await;
            }
            Err(error) => self.fail(wanted, &error).await,
        }
    }

    /// Runs the loader, and keeps the claims alive meanwhile.
    async fn run(
        &self,
        wanted: &[Wanted<V, K>],
        load: &LoadFn<V, K>,
    ) -> Result<Loads<V, K::Owned>> {
        let asked = wanted.iter().map(Wanted::asked).collect();
        tokio::select! {
            biased;
            loaded = run::<V, K>(load, asked) => loaded,
            never = self.keep(wanted) => match never {},
        }
    }

    async fn fail(self: &Arc<Self>, wanted: Vec<Wanted<V, K>>, error: &Error) {
        self.counters.add(Count::LoadErrors, wanted.len() as u64);
        self.release(&grips(&wanted), Some(PASS)).await;
        for Wanted { lead, right, .. } in wanted {
            self.tell_freed(lead.key.borrow(), &right);
            lead.land(Err(error.clone()));
        }
    }

    fn count_loads(&self, wanted: &[Wanted<V, K>]) {
        let is_unfenced = |wanted: &&Wanted<V, K>| matches!(wanted.right, Right::Unfenced);
        let unfenced = wanted.iter().filter(is_unfenced).count();
        self.counters.add(Count::Loads, wanted.len() as u64);
        self.counters.add(Count::LoadsUnfenced, unfenced as u64);
    }

    /// What is to be done with what was loaded for one key.
    fn draft(
        &self,
        wanted: Wanted<V, K>,
        loaded: Loaded<V>,
        took: Duration,
        (terms, mode): (&Terms, Mode),
    ) -> Draft<V, K> {
        let Wanted { lead, held, right } = wanted;
        let mut tags = loaded.tags;
        tags.extend(kept_tags(&loaded.what, held.as_ref()));
        let value = value(loaded.what, held);
        let is_negative = matches!(value, Ok(None));
        let options = &terms.options;
        let life = self
            .settings
            .life(options, loaded.ttl, is_negative, &self.random);
        let (l1, l2) = match value {
            Ok(_) => mode.acts(options, life, loaded.is_kept),
            Err(_) => (Act::Leave, Act::Leave),
        };
        Draft {
            lead,
            right,
            entry: value.map(|value| self.entry(value, self.now(), life, load_millis(took))),
            tags,
            life,
            l1,
            l2,
            otherwise: mode.otherwise(),
            packed: None,
            fate: Fate::before(self.far.is_some()),
        }
    }
}

impl<V, K: Key + ?Sized> Wanted<V, K> {
    pub(crate) fn new(lead: Lead<V, K>, held: Option<Entry<V>>, right: Right) -> Self {
        Self { lead, held, right }
    }

    fn asked(&self) -> Asked<V, K> {
        let value = self.held.as_ref().and_then(|entry| entry.value.clone());
        Held {
            key: self.lead.key.clone(),
            value,
        }
    }
}

fn grips<V, K: Key + ?Sized>(wanted: &[Wanted<V, K>]) -> Vec<&Grip> {
    let grips = wanted.iter().filter_map(|wanted| wanted.right.grip());
    grips.collect()
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

/// What has not changed keeps its tags.
fn kept_tags<V>(what: &What<V>, held: Option<&Entry<V>>) -> Vec<Box<str>> {
    let held = held.filter(|_| matches!(what, What::Unchanged));
    let tags = held.into_iter().flat_map(|held| &held.tags);
    let names = tags.flat_map(|tags| tags.iter().map(|(mark, _)| mark.name().into()));
    names.collect()
}

/// Runs the loader to its end, and makes an error of a panic.
async fn run<V, K: Key + ?Sized>(
    load: &LoadFn<V, K>,
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
