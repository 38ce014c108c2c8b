//! The cache held against a model simple enough to be believed: two maps, and the rules as they are written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tiered::{Access, Answer, Cache, Held, Loaded, Moka, Options, Settings};

use crate::support::loaders::says;
use crate::support::plain::Plain;
use crate::support::world::{DEFAULT, World, millis, settings};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// What a loader answers. Values are numbered, so that each is told from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    Found,
    FoundFor(u64),
    Missing,
    MissingFor(u64),
    Uncached,
    Unchanged,
    Error,
}

#[derive(Clone, Debug)]
enum Step {
    Get(usize, Options),
    GetMany(Vec<usize>, Options),
    Contains(usize, Options),
    Load(usize, Say, Options),
    LoadMany(Vec<usize>, Vec<Say>, Options),
    Set(usize, Options),
    SetMany(Vec<usize>, Options),
    Remove(usize),
    RemoveMany(Vec<usize>),
    Refresh(usize, Say, Options),
    RefreshMany(Vec<usize>, Vec<Say>, Options),
    Pass(u64),
}

fn say() -> impl Strategy<Value = Say> {
    prop_oneof![
        4 => Just(Say::Found),
        1 => (0..500_u64).prop_map(Say::FoundFor),
        2 => Just(Say::Missing),
        1 => (0..500_u64).prop_map(Say::MissingFor),
        1 => Just(Say::Uncached),
        1 => Just(Say::Unchanged),
        1 => Just(Say::Error),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let access = || {
        prop_oneof![
            5 => Just(Access::ReadWrite),
            1 => Just(Access::ReadOnly),
            1 => Just(Access::WriteOnly),
            1 => Just(Access::Skip),
        ]
    };
    let life =
        || prop_oneof![4 => Just(None), 1 => (0..400_u64).prop_map(|life| Some(millis(life)))];
    (life(), life(), life(), access(), access()).prop_map(|(ttl, l1_ttl, negative_ttl, l1, l2)| {
        Options {
            ttl,
            l1_ttl,
            negative_ttl,
            l1,
            l2,
            after: None,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS.len();
    let keys = || prop::collection::vec(key(), 0..6);
    let says = || prop::collection::vec(say(), KEYS.len());
    prop_oneof![
        3 => (key(), options()).prop_map(|(key, options)| Step::Get(key, options)),
        1 => (keys(), options()).prop_map(|(keys, options)| Step::GetMany(keys, options)),
        1 => (key(), options()).prop_map(|(key, options)| Step::Contains(key, options)),
        4 => (key(), say(), options()).prop_map(|(key, say, options)| Step::Load(key, say, options)),
        2 => (keys(), says(), options()).prop_map(|(keys, says, options)| Step::LoadMany(keys, says, options)),
        2 => (key(), options()).prop_map(|(key, options)| Step::Set(key, options)),
        1 => (keys(), options()).prop_map(|(keys, options)| Step::SetMany(keys, options)),
        1 => key().prop_map(Step::Remove),
        1 => keys().prop_map(Step::RemoveMany),
        2 => (key(), say(), options()).prop_map(|(key, say, options)| Step::Refresh(key, say, options)),
        1 => (keys(), says(), options()).prop_map(|(keys, says, options)| Step::RefreshMany(keys, says, options)),
        3 => (1..400_u64).prop_map(Step::Pass),
    ]
}

/// A copy in a tier: a value or that there is none, and until when it is fresh.
#[derive(Clone, Debug)]
struct Copy {
    value: Option<String>,
    until: u64,
}

/// The cache as it is described. An absent tier holds nothing.
struct Model {
    near: Option<HashMap<usize, Copy>>,
    far: Option<HashMap<usize, Copy>>,
    settings: Settings,
    now: u64,
    loads: u64,
    load_errors: u64,
    reads: u64,
}

impl Model {
    fn fresh(&self, tier: Option<&HashMap<usize, Copy>>, key: usize, may: Access) -> Option<Copy> {
        let copy = tier.filter(|_| reads(may))?.get(&key)?;
        (self.now < copy.until).then(|| copy.clone())
    }

    fn near(&self, key: usize, options: &Options) -> Option<Copy> {
        self.fresh(self.near.as_ref(), key, options.l1)
    }

    fn far(&self, key: usize, options: &Options) -> Option<Copy> {
        self.fresh(self.far.as_ref(), key, options.l2)
    }

    /// What a read finds, without a load; L1 is filled if it may be, and left alone if the copy would have no life.
    fn read(&mut self, key: usize, options: &Options) -> Option<Copy> {
        if let Some(copy) = self.near(key, options) {
            return Some(copy);
        }
        let copy = self.far(key, options)?;
        let life = near_life(options, &self.settings);
        let near = self.near.as_mut();
        if let Some(near) = near.filter(|_| writes(options.l1) && life > 0) {
            let until = copy.until.min(self.now + life);
            near.insert(
                key,
                Copy {
                    until,
                    ..copy.clone()
                },
            );
        }
        Some(copy)
    }

    fn contains(&self, key: usize, options: &Options) -> bool {
        let copy = self.near(key, options).or_else(|| self.far(key, options));
        copy.is_some_and(|copy| copy.value.is_some())
    }

    /// Stores something new; what a tier does not take leaves it, if old copies are to go.
    fn store(
        &mut self,
        key: usize,
        value: Option<&String>,
        life: Option<u64>,
        options: &Options,
        old_goes: bool,
    ) {
        let whole = life.unwrap_or(0);
        let near = near_life(options, &self.settings).min(whole);
        let now = self.now;
        let put = |tier: &mut Option<HashMap<usize, Copy>>, may: Access, life: u64| {
            let Some(tier) = tier else { return };
            if writes(may) && life > 0 {
                tier.insert(
                    key,
                    Copy {
                        value: value.cloned(),
                        until: now + life,
                    },
                );
            } else if old_goes {
                tier.remove(&key);
            }
        };
        put(&mut self.near, options.l1, near);
        put(&mut self.far, options.l2, whole);
    }

    /// A loader has answered; what the caller gets: a value or none, or an error.
    fn load(
        &mut self,
        key: usize,
        say: Say,
        number: &str,
        held: Option<String>,
        options: &Options,
        old_goes: bool,
    ) -> Got {
        self.loads += 1;
        let found = || Some(number.to_owned());
        let ttl = lived(options.ttl.unwrap_or(self.settings.ttl));
        let negative = lived(options.negative_ttl.unwrap_or(self.settings.negative_ttl));
        let (value, life) = match (say, held) {
            (Say::Found, _) => (found(), Some(ttl)),
            (Say::FoundFor(life), _) => (found(), Some(life)),
            (Say::Missing, _) => (None, Some(negative)),
            (Say::MissingFor(life), _) => (None, Some(life)),
            (Say::Uncached, _) => (found(), None),
            (Say::Unchanged, Some(held)) => (Some(held), Some(ttl)),
            (Say::Unchanged, None) | (Say::Error, _) => {
                self.load_errors += 1;
                return Err(Failed);
            }
        };
        self.store(key, value.as_ref(), life, options, old_goes);
        Ok(value)
    }

    /// What a refresh may show where nothing fresh is: the copy of any tier that it may read. One in L1 that was met when it was
    /// over has lost its room, and in L2 a claim may have let one live on: so the loader decides by what it is shown.
    fn may_show(&self, key: usize, shown: &String, options: &Options) -> bool {
        let tiers = [(&self.near, options.l1), (&self.far, options.l2)];
        let readable = tiers.into_iter().filter(|(_, may)| reads(*may));
        let mut copies = readable.filter_map(|(tier, _)| tier.as_ref()?.get(&key));
        copies.any(|copy| copy.value.as_ref() == Some(shown))
    }
}

fn reads(access: Access) -> bool {
    matches!(access, Access::ReadWrite | Access::ReadOnly)
}

fn writes(access: Access) -> bool {
    matches!(access, Access::ReadWrite | Access::WriteOnly)
}

fn lived(life: std::time::Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap()
}

fn near_life(options: &Options, settings: &Settings) -> u64 {
    options
        .l1_ttl
        .or(settings.l1_ttl)
        .map_or(u64::MAX / 2, lived)
}

fn loaded(say: Say, number: &str) -> Loaded<String> {
    let found = || Loaded::found(number.to_owned());
    match say {
        Say::Found => found(),
        Say::FoundFor(life) => found().ttl(millis(life)),
        Say::Missing => Loaded::missing(),
        Say::MissingFor(life) => Loaded::missing().ttl(millis(life)),
        Say::Uncached => found().uncached(),
        Say::Unchanged => Loaded::unchanged(),
        Say::Error => unreachable!("an error is no answer"),
    }
}

/// The keys of a batch, each once, and what the loader of the batch says about each; one error fails them all.
fn different(keys: &[usize]) -> Vec<usize> {
    let mut different: Vec<usize> = Vec::new();
    for key in keys {
        if !different.contains(key) {
            different.push(*key);
        }
    }
    different
}

fn names(keys: &[usize]) -> Vec<&'static str> {
    keys.iter().map(|key| KEYS[*key]).collect()
}

fn batch_answer(
    keys: &[&'static str],
    says: &[Say],
    number: &str,
) -> Result<Vec<(String, Loaded<String>)>, &'static str> {
    let place = |key: &str| KEYS.iter().position(|known| *known == key).unwrap();
    if keys.iter().any(|key| says[place(key)] == Say::Error) {
        return Err("the database is away");
    }
    let answer = |key: &&'static str| ((*key).to_owned(), loaded(says[place(key)], number));
    Ok(keys.iter().map(answer).collect())
}

fn statics(keys: &[String]) -> Vec<&'static str> {
    keys.iter()
        .map(|key| *KEYS.iter().find(|known| **known == key).unwrap())
        .collect()
}

/// What a caller gets: the value, or that there is none, or an error.
type Got = Result<Option<String>, Failed>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failed;

fn got(answer: tiered::Result<Answer<String>>) -> Got {
    answer.map(|answer| text(answer.value)).map_err(|_| Failed)
}

fn text(value: Option<Arc<String>>) -> Option<String> {
    value.map(|value| value.to_string())
}

struct Trial {
    world: World,
    cache: Cache<String>,
    model: Model,
    values: u64,
}

impl Trial {
    fn new(has_l1: bool, has_l2: bool, l1_ttl: Option<u64>) -> Self {
        let world = World::new();
        let settings = Settings {
            ttl: millis(1_000),
            l1_ttl: l1_ttl.map(millis),
            negative_ttl: millis(200),
            ..settings()
        };
        let mut builder = world.bare().settings(settings.clone());
        if has_l1 {
            builder = builder.l1(Plain::new());
        }
        if has_l2 {
            builder = builder.l2(world.store.clone());
        }
        let model = Model {
            near: has_l1.then(HashMap::new),
            far: has_l2.then(HashMap::new),
            settings,
            now: 0,
            loads: 0,
            load_errors: 0,
            reads: 0,
        };
        Self {
            cache: builder.build().unwrap(),
            world,
            model,
            values: 0,
        }
    }

    fn number(&mut self) -> String {
        self.values += 1;
        format!("value {}", self.values)
    }

    async fn run(&mut self, step: &Step) {
        match step.clone() {
            Step::Get(key, options) => {
                self.model.reads += 1;
                let expected = self.model.read(key, &options).map(|copy| copy.value);
                let answer = self.cache.with(options).get(KEYS[key]).await;
                assert_eq!(answer.map(|answer| text(answer.value)), expected);
            }
            Step::GetMany(keys, options) => self.get_many(&keys, options).await,
            Step::Contains(key, options) => {
                let is_present = self.cache.with(options).contains(KEYS[key]).await;
                assert_eq!(is_present, self.model.contains(key, &options));
            }
            Step::Load(key, say, options) => self.load(key, say, options).await,
            Step::LoadMany(keys, says, options) => self.load_many(&keys, says, options).await,
            Step::Set(key, options) => {
                let value = self.number();
                self.cache
                    .with(options)
                    .set(KEYS[key], value.clone())
                    .await
                    .ok()
                    .unwrap();
                self.set(key, &value, &options);
            }
            Step::SetMany(keys, options) => {
                let values: Vec<_> = keys.iter().map(|_| self.number()).collect();
                let items: Vec<_> = names(&keys).into_iter().zip(values.clone()).collect();
                self.cache.with(options).set_many(items).await;
                keys.iter()
                    .zip(values)
                    .for_each(|(key, value)| self.set(*key, &value, &options));
            }
            Step::Remove(key) => self.remove(&[key]).await,
            Step::RemoveMany(keys) => self.remove(&keys).await,
            Step::Refresh(key, say, options) => self.refresh(key, say, options).await,
            Step::RefreshMany(keys, says, options) => self.refresh_many(&keys, says, options).await,
            Step::Pass(time) => {
                self.world.pass(time);
                self.model.now += time;
            }
        }
    }

    fn set(&mut self, key: usize, value: &String, options: &Options) {
        let life = lived(options.ttl.unwrap_or(self.model.settings.ttl));
        self.model
            .store(key, Some(value), Some(life), options, true);
    }

    async fn get_many(&mut self, keys: &[usize], options: Options) {
        let mut expected = HashMap::new();
        for key in different(keys) {
            self.model.reads += 1;
            expected.insert(key, self.model.read(key, &options).map(|copy| copy.value));
        }
        let answers = self.cache.with(options).get_many(names(keys)).await;
        for (key, answer) in keys.iter().zip(answers) {
            assert_eq!(answer.map(|answer| text(answer.value)), expected[key]);
        }
    }

    async fn load(&mut self, key: usize, say: Say, options: Options) {
        let number = self.number();
        self.model.reads += 1;
        let expected = match self.model.read(key, &options) {
            Some(copy) => Ok(copy.value),
            None => self.model.load(key, say, &number, None, &options, false),
        };
        let call = self.cache.with(options);
        let answer = if say == Say::Error {
            call.get_or_load(KEYS[key], || async {
                Err::<String, _>("the database is away")
            })
            .await
        } else {
            call.get_or_load(KEYS[key], says(loaded(say, &number)))
                .await
        };
        assert_eq!(got(answer), expected);
    }

    async fn load_many(&mut self, keys: &[usize], says: Vec<Say>, options: Options) {
        let number = self.number();
        let mut expected = HashMap::new();
        let mut gaps = Vec::new();
        for key in different(keys) {
            self.model.reads += 1;
            match self.model.read(key, &options) {
                Some(copy) => drop(expected.insert(key, Ok(copy.value))),
                None => gaps.push(key),
            }
        }
        self.expect_loads(
            &gaps,
            &says,
            &number,
            &vec![None; gaps.len()],
            &options,
            false,
            &mut expected,
        );
        let load =
            move |keys: Vec<String>| async move { batch_answer(&statics(&keys), &says, &number) };
        let answers = self
            .cache
            .with(options)
            .get_many_or_load(names(keys), load)
            .await;
        for (key, answer) in keys.iter().zip(answers) {
            assert_eq!(got(answer), expected[key]);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that a batch load depends on"
    )]
    fn expect_loads(
        &mut self,
        keys: &[usize],
        says: &[Say],
        number: &str,
        helds: &[Option<String>],
        options: &Options,
        old_goes: bool,
        expected: &mut HashMap<usize, Got>,
    ) {
        let fails = keys.iter().any(|key| says[*key] == Say::Error);
        for (key, held) in keys.iter().zip(helds) {
            let say = if fails { Say::Error } else { says[*key] };
            let got = self
                .model
                .load(*key, say, number, held.clone(), options, old_goes);
            expected.insert(*key, got);
        }
    }

    async fn remove(&mut self, keys: &[usize]) {
        let different = different(keys);
        let is_present = |key: &&usize| self.model.contains(**key, &DEFAULT);
        let present = different.iter().filter(is_present).count();
        let removed = self.cache.remove_many(names(keys)).await;
        assert_eq!((removed.present, removed.failed), (present, 0));
        for tier in [&mut self.model.near, &mut self.model.far]
            .into_iter()
            .flatten()
        {
            tier.retain(|key, _| !different.contains(key));
        }
    }

    async fn refresh(&mut self, key: usize, say: Say, options: Options) {
        let number = self.number();
        let shown = Arc::new(Mutex::new(None));
        let (seen, answer) = (
            Arc::clone(&shown),
            (say != Say::Error).then(|| loaded(say, &number)),
        );
        let load = move |held: Option<Arc<String>>| {
            *seen.lock().unwrap() = text(held);
            async move { answer.ok_or("the database is away") }
        };
        let answer = self.cache.with(options).refresh(KEYS[key], load).await;
        let held = shown.lock().unwrap().clone();
        self.expect_shown(key, held.as_ref(), &options);
        let expected = self.model.load(key, say, &number, held, &options, true);
        assert_eq!(got(answer), expected);
    }

    /// A copy whose life is over may be shown or not; a fresh one is.
    fn expect_shown(&self, key: usize, shown: Option<&String>, options: &Options) {
        let fresh = self
            .model
            .near(key, options)
            .or_else(|| self.model.far(key, options));
        match (fresh, shown) {
            (Some(copy), shown) => assert_eq!(copy.value.as_ref(), shown),
            (None, Some(shown)) => assert!(self.model.may_show(key, shown, options)),
            (None, None) => {}
        }
    }

    async fn refresh_many(&mut self, keys: &[usize], says: Vec<Say>, options: Options) {
        let number = self.number();
        let shown = Arc::new(Mutex::new(HashMap::new()));
        let (seen, saying, given) = (Arc::clone(&shown), says.clone(), number.clone());
        let load = move |asked: Vec<Held<String, String>>| {
            let keys: Vec<_> = asked.iter().map(|held| held.key.clone()).collect();
            seen.lock()
                .unwrap()
                .extend(asked.into_iter().map(|held| (held.key, text(held.value))));
            let answer = batch_answer(&statics(&keys), &saying, &given);
            async move { answer }
        };
        let answers = self
            .cache
            .with(options)
            .refresh_many(names(keys), load)
            .await;
        let different = different(keys);
        let helds: Vec<Option<String>> = {
            let shown = shown.lock().unwrap();
            different
                .iter()
                .map(|key| shown[KEYS[*key]].clone())
                .collect()
        };
        for (key, held) in different.iter().zip(&helds) {
            self.expect_shown(*key, held.as_ref(), &options);
        }
        let mut expected = HashMap::new();
        self.expect_loads(
            &different,
            &says,
            &number,
            &helds,
            &options,
            true,
            &mut expected,
        );
        for (key, answer) in keys.iter().zip(answers) {
            assert_eq!(got(answer), expected[key]);
        }
    }

    /// Both tiers hold what the model holds, and the counters agree.
    async fn check(&mut self) {
        use crate::support::world::{FAR_ONLY, NEAR_ONLY};
        let near_only = Options {
            l1: Access::ReadOnly,
            ..NEAR_ONLY
        };
        for (key, name) in KEYS.iter().enumerate() {
            for options in [near_only, FAR_ONLY] {
                self.model.reads += 1;
                let expected = self.model.read(key, &options).map(|copy| copy.value);
                let answer = self.cache.with(options).get(name).await;
                assert_eq!(
                    answer.map(|answer| text(answer.value)),
                    expected,
                    "{name} by {options:?}"
                );
            }
        }
        let stats = self.cache.stats();
        assert_eq!(
            (stats.loads, stats.load_errors),
            (self.model.loads, self.model.load_errors)
        );
        let reads = stats.l1_hits + stats.l2_hits + stats.misses + stats.coalesced;
        assert_eq!(reads, self.model.reads);
        assert_eq!(
            (
                stats.loads_refused,
                stats.l2_errors,
                self.cache.loads_in_flight()
            ),
            (0, 0, 0)
        );
    }
}

fn on_a_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(work);
}

fn hold(has_l1: bool, has_l2: bool, l1_ttl: Option<u64>, steps: &[Step]) {
    on_a_runtime(async {
        let mut trial = Trial::new(has_l1, has_l2, l1_ttl);
        for step in steps {
            trial.run(step).await;
            trial.check().await;
        }
    });
}

/// What happens to a key in a cache whose L1 forgets.
#[derive(Clone, Debug)]
enum Brief {
    Get(usize),
    Load(usize),
    Set(usize),
    Remove(usize),
    Pass(u64),
}

fn brief() -> impl Strategy<Value = Brief> {
    let key = || 0..KEYS.len();
    prop_oneof![
        2 => key().prop_map(Brief::Get),
        3 => key().prop_map(Brief::Load),
        2 => key().prop_map(Brief::Set),
        1 => key().prop_map(Brief::Remove),
        1 => (1..6_000_u64).prop_map(Brief::Pass),
    ]
}

/// An L1 of two entries over four keys: what is answered is the last value, or it was loaded anew; never an old one.
async fn hold_forgetful(has_l2: bool, steps: &[Brief]) {
    let world = World::new();
    let mut builder = world.bare().l1(Moka::entries(2)).settings(settings());
    if has_l2 {
        builder = builder.l2(world.store.clone());
    }
    let cache: Cache<String> = builder.build().unwrap();
    let (mut model, mut now): (HashMap<usize, (String, u64)>, u64) = (HashMap::new(), 0);
    for (at, step) in steps.iter().enumerate() {
        let value = format!("value {at}");
        let known = |model: &HashMap<usize, (String, u64)>, key: &usize| {
            model
                .get(key)
                .filter(|(_, until)| now < *until)
                .map(|(value, _)| value.clone())
        };
        match step {
            Brief::Get(key) => {
                let got = text(cache.get(KEYS[*key]).await);
                let is_forgotten = got.is_none() && !has_l2;
                assert!(is_forgotten || got == known(&model, key));
            }
            Brief::Load(key) => {
                let load = crate::support::loaders::found(&value);
                let got = cache
                    .get_or_load(KEYS[*key], load)
                    .await
                    .unwrap()
                    .to_string();
                let is_old = Some(&got) == known(&model, key).as_ref();
                assert!(is_old || (got == value && (!has_l2 || known(&model, key).is_none())));
                if !is_old {
                    model.insert(*key, (got, now + 10_000));
                }
            }
            Brief::Set(key) => {
                cache.set(KEYS[*key], value.clone()).await.ok().unwrap();
                model.insert(*key, (value, now + 10_000));
            }
            Brief::Remove(key) => {
                cache.remove(KEYS[*key]).await.ok().unwrap();
                model.remove(key);
            }
            Brief::Pass(time) => {
                world.pass(*time);
                now += time;
            }
        }
    }
}

/// What failed is told by proptest itself; nothing is written into the source tree.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn a_cache_of_both_tiers_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        hold(true, true, None, &steps);
    }

    #[test]
    fn a_cache_with_a_shorter_life_in_l1_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        hold(true, true, Some(150), &steps);
    }

    #[test]
    fn a_cache_of_l1_alone_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        hold(true, false, None, &steps);
    }

    #[test]
    fn a_cache_of_l2_alone_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        hold(false, true, None, &steps);
    }

    #[test]
    fn a_cache_whose_l1_forgets_never_answers_with_what_is_over(steps in prop::collection::vec(brief(), 1..60), has_l2: bool) {
        on_a_runtime(hold_forgetful(has_l2, &steps));
    }
}
