//! Loads: what their loader brings, and where it goes.

use std::any::Any;
use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use tiered_core::{BoxError, Entry, Error, ErrorKind, Key, Result};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinSet};

use crate::answer::Source;
use crate::authoritative::Authoritative;
use crate::claim::{Grip, PASS, Right};
use crate::fill::{Draft, Fate};
use crate::flight::Lead;
use crate::frame::LONGEST;
use crate::landing::aborted;
use crate::load_fn::{Asked, LoadFn};
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
    pub(crate) held: Option<Entry<V>>,
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
        room: Option<OwnedSemaphorePermit>,
        (terms, mode): (&Terms, Mode),
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
        let drafts = match self.run(&wanted, room, load).await {
            Ok(mut brought) => {
                let took = self.now().since(begun);
                let draft = |wanted: Wanted<V, K>| {
                    let loaded = brought.take(&wanted.lead.key);
                    self.draft(wanted, loaded, took, (terms, mode))
                };
                wanted.into_iter().map(draft).collect()
            }
            Err(error) if error.kind() == ErrorKind::Authoritative => {
                let draft = |wanted| self.draft_of_nothing(wanted, &error, (terms, mode));
                wanted.into_iter().map(draft).collect()
            }
            Err(error) => return self.fail(wanted, &error, (terms, mode)).await,
        };
        self.settle_loads(drafts, &known, terms).await;
    }

    /// Runs the loader on a task of its own, and keeps the claims alive meanwhile: also a loader that blocks its thread is given
    /// up in time.
    async fn run(
        &self,
        wanted: &[Wanted<V, K>],
        room: Option<OwnedSemaphorePermit>,
        load: &LoadFn<V, K>,
    ) -> Result<Loads<V, K::Owned>> {
        let asked = wanted.iter().map(Wanted::asked).collect();
        let (load, run) = (Arc::clone(load), self.loads.begin(self.now()));
        // Dropped, it aborts its task.
        let mut loader = JoinSet::new();
        loader.spawn(async move {
            let _held = (room, run);
            load(asked).await
        });
        tokio::select! {
            biased;
            ended = loader.join_next() => brought(ended),
            () = self.closed() => Err(aborted()),
            () = self.keep(wanted) => {
                self.counters.add(Count::LoadsAbandoned, wanted.len() as u64);
                if !self.settings.deadlines.aborts {
                    loader.detach_all();
                }
                Err(abandoned())
            }
        }
    }

    async fn fail(
        self: &Arc<Self>,
        wanted: Vec<Wanted<V, K>>,
        error: &Error,
        (terms, mode): (&Terms, Mode),
    ) {
        self.counters.add(Count::LoadErrors, wanted.len() as u64);
        // After a load that took too long the next one may well be faster.
        let pass = (error.kind() != ErrorKind::Timeout).then_some(PASS);
        self.release(&grips(&wanted), pass).await;
        for Wanted { lead, right, .. } in wanted {
            self.tell_freed(lead.key.borrow(), &right);
            if mode == Mode::Fill {
                self.hold_off(&lead, error, terms);
            }
            lead.land(Err(error.clone()));
        }
    }

    /// Where an older copy serves, the key is left alone for a while, and the copy is at hand.
    fn hold_off(&self, lead: &Lead<V, K>, error: &Error, terms: &Terms) {
        let Some(old) = lead.fallback() else { return };
        let (key, now) = (lead.key.borrow(), self.now());
        let throttle = (&self.settings.throttle, &self.random);
        let was_old = !old.entry.is_fresh(now);
        self.hold_offs.add(key, now, (error, was_old), throttle);
        let is_better = old.source == Source::L2 && was_old;
        if !is_better || !terms.options.l1.writes() || self.near.hit(key, now).is_some() {
            return;
        }
        if let Some(copy) = self.near_copy(key, &old.entry, &lead.begin, (LONGEST, None)) {
            let begun = old.entry.begun;
            let act = Act::Put(Entry { begun, ..copy });
            self.near.install(key, &lead.begin, act);
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
        let (l1, l2) = match &value {
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

    /// The source has said for good that there is nothing for this key: nothing of it stays cached, not even what was put there
    /// since. The next read asks the source, and that is never wrong.
    fn draft_of_nothing(
        &self,
        wanted: Wanted<V, K>,
        error: &Error,
        (terms, mode): (&Terms, Mode),
    ) -> Draft<V, K> {
        let act = |may_write: bool| if may_write { Act::Take } else { Act::Leave };
        let Wanted { lead, right, .. } = wanted;
        let options = &terms.options;
        Draft {
            lead,
            right,
            entry: Err(error.clone()),
            tags: Vec::new(),
            life: Life::default(),
            l1: act(options.l1.writes()),
            l2: act(options.l2.writes()),
            otherwise: mode.otherwise(),
            packed: None,
            fate: Fate::before(self.far.is_some()),
        }
    }
}

impl<V, K: Key + ?Sized> Wanted<V, K> {
    pub(crate) fn new(lead: Lead<V, K>, right: Right) -> Self {
        let held = lead.fallback().map(|old| old.entry.clone());
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

/// What the loader's task has brought.
fn brought<L>(ended: Option<Result<Result<L, BoxError>, JoinError>>) -> Result<L> {
    match ended {
        Some(Ok(loaded)) => loaded.map_err(failed),
        Some(Err(ended)) if ended.is_panic() => Err(panicked(&*ended.into_panic())),
        Some(Err(_)) | None => Err(aborted()),
    }
}

fn failed(error: BoxError) -> Error {
    match error.downcast::<Authoritative>() {
        Ok(last_word) => {
            let message = "the source gives nothing for this key";
            Error::new(ErrorKind::Authoritative, message).because(last_word.into_inner())
        }
        Err(error) => Error::new(ErrorKind::Loader, "the loader failed").because(error),
    }
}

fn abandoned() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "the loader took too long and was given up",
    )
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
