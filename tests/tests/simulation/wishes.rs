//! Reads that load what they do not find.

use std::time::Duration;

use futures_util::future::{Either, select};
use tiered::{Access, Answer, Options, Result};

use crate::caller::{Caller, Deed, names};
use crate::datum::Datum;
use crate::exclusion::Disturbance;
use crate::failures::Wish;
use crate::ledger::WriteOf;
use crate::loader::{Loader, name};

impl Caller {
    pub(crate) fn load(self) -> Deed {
        let key = self.any_key();
        self.load_of(key, None)
    }

    pub(crate) fn load_of(self, key: usize, after: Option<WriteOf>) -> Deed {
        let loader = self.loader();
        let tags = if self.world.dice.one_in(2) {
            self.tags(key)
        } else {
            Vec::new()
        };
        let options = self.options(after);
        let what = match after {
            Some(write) => format!(
                "get_or_load k{key} after {}{}",
                write.version,
                terms(&options)
            ),
            None => format!("get_or_load k{key}, tags {tags:?}{}", terms(&options)),
        };
        Deed::new(what, async move {
            let wish = self.wish(vec![key], &loader, &options, after);
            let load = move || loader.load(key);
            let (call, name) = (self.cache.with(options).tags(&tags), name(key));
            let answer = async { vec![call.get_or_load(&name, load).await] };
            self.wait_for(&wish, answer).await;
        })
    }

    /// A load that is shown the copy that it is to replace.
    pub(crate) fn reload(self) -> Deed {
        let (key, loader, options) = (self.any_key(), self.loader(), self.options(None));
        Deed::new(
            format!("get_or_reload k{key}{}", terms(&options)),
            async move {
                let wish = self.wish(vec![key], &loader, &options, None);
                let load = move |shown| loader.load_shown(key, shown);
                let (call, name) = (self.cache.with(options), name(key));
                let answer = async { vec![call.get_or_reload(&name, load).await] };
                self.wait_for(&wish, answer).await;
            },
        )
    }

    pub(crate) fn load_many(self) -> Deed {
        let (keys, loader) = (self.some_keys(), self.loader());
        let options = Options::default();
        Deed::new(format!("get_many_or_load {keys:?}"), async move {
            let (names, wish) = (names(&keys), self.wish(keys, &loader, &options, None));
            let load = move |keys| loader.load_many(keys);
            let answers = self.cache.with(options).get_many_or_load(&names, load);
            self.wait_for(&wish, answers).await;
        })
    }

    pub(crate) fn refresh(self) -> Deed {
        let (keys, loader) = (self.some_keys(), self.loader());
        let options = Options {
            refuses_stale: true,
            ..Options::default()
        };
        Deed::new(format!("refresh {keys:?}"), async move {
            let _disturbance = Disturbance::of(&self.world, &keys);
            let (names, wish) = (names(&keys), self.wish(keys, &loader, &options, None));
            let load = move |helds| loader.load_held(helds);
            let answers = self.cache.with(options).refresh_many(&names, load);
            self.wait_for(&wish, answers).await;
        })
    }

    fn loader(&self) -> Loader {
        Loader::draw(&self.world, &self.books, self.life)
    }

    fn wish(
        &self,
        keys: Vec<usize>,
        loader: &Loader,
        options: &Options,
        after: Option<WriteOf>,
    ) -> Wish {
        let deadlines = &self.world.profile.settings.deadlines;
        let soft = options.soft.unwrap_or(deadlines.soft);
        let reads_l1 = options.l1 != Access::WriteOnly;
        for key in keys.iter().filter(|_| !reads_l1) {
            let ledger = &self.world.ledger;
            ledger.look_past_l1(self.life, *key, self.world.now());
        }
        Wish {
            reading: self.reading(after),
            keys,
            loader: loader.clone(),
            hard: options.hard.unwrap_or(deadlines.hard),
            soft: (!options.refuses_stale).then_some(soft),
            reads_l1,
        }
    }

    /// Waits for the answers, and judges them.
    async fn wait_for(
        &self,
        wish: &Wish,
        answers: impl Future<Output = Vec<Result<Answer<Datum>>>>,
    ) {
        let answers = self.watch(wish, answers).await;
        let wait = &wish.reading.wait;
        self.world
            .judge_wait(wait, "a read that may load", wish.hard);
        for (key, answer) in wish.keys.iter().zip(answers) {
            match answer {
                Ok(answer) => self.judge_answer(wish, *key, &answer),
                Err(error) => self.judge_error(wish, *key, &error),
            }
        }
    }

    fn judge_answer(&self, wish: &Wish, key: usize, answer: &Answer<Datum>) {
        if wish.soft.is_none() && answer.is_stale && answer.source != tiered::Source::Loader {
            let what = format!("marks: an older copy of k{key} for who refuses it");
            self.world.journal.violate(what);
        }
        self.world.judge(&wish.reading, key, answer);
    }

    /// Waits, and looks whether that is right once an older copy would do.
    async fn watch<T>(&self, wish: &Wish, work: impl Future<Output = T>) -> T {
        let Some(soft) = wish.soft else {
            return work.await;
        };
        let budget = self.world.profile.settings.deadlines.l2;
        let enough = soft.max(budget) + Duration::from_millis(1);
        let (work, pause) = (Box::pin(work), Box::pin(self.world.timeline.pause(enough)));
        match select(work, pause).await {
            Either::Left((done, _)) => done,
            Either::Right(((), work)) => {
                self.judge_patience(wish, soft.max(budget));
                work.await
            }
        }
    }

    fn judge_patience(&self, wish: &Wish, enough: Duration) {
        let (world, reading) = (&self.world, &wish.reading);
        let is_frozen = !world.frozen_during(&reading.wait).is_zero();
        let copy = |key: &usize| self.certain_copy(reading, *key, wish.reads_l1);
        let copies: Option<Vec<_>> = wish.keys.iter().map(copy).collect();
        if let Some(copies) = copies.filter(|_| !is_frozen) {
            world.journal.violate(format!(
                "budget: a read of {:?} by node {} begun at {:?} still waits after {enough:?}, with older copies in {copies:?}",
                wish.keys, self.life, reading.wait.begun
            ));
        }
    }
}

/// What is special about a call.
fn terms(options: &Options) -> String {
    let past_l1 = if options.l1 == Access::WriteOnly {
        ", past l1"
    } else {
        ""
    };
    let fresh = if options.refuses_stale {
        ", nothing old"
    } else {
        ""
    };
    format!("{past_l1}{fresh}")
}
