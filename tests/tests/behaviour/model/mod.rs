//! The cache held against a model simple enough to be believed: two maps, and the rules as they are written.

mod forgetful;
mod rules;
mod steps;

use proptest::prelude::*;
use std::collections::HashMap;
use tiered::{Access, Cache, Held, Options, Settings, Throttle};

use self::forgetful::{brief, hold_forgetful};
use self::rules::{Ask, Counts, Got, Model, Seen, got, lived, text};
use self::steps::{Asked, Say, Step, batch_answer, different, names, says_or_fails, statics, step};
use crate::support::plain::Plain;
use crate::support::world::{DEFAULT, World, millis, settings};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// What kind of cache is tried.
#[derive(Clone, Copy, Debug)]
struct Kind {
    has_l1: bool,
    has_l2: bool,
    l1_ttl: Option<u64>,
    stale_for: u64,
    hold_off: u64,
}

const BOTH: Kind = Kind {
    has_l1: true,
    has_l2: true,
    l1_ttl: None,
    stale_for: 0,
    hold_off: 0,
};

struct Trial {
    world: World,
    cache: Cache<String>,
    model: Model,
    values: u64,
}

impl Trial {
    fn new(kind: Kind) -> Self {
        let Kind { has_l1, has_l2, .. } = kind;
        let world = World::new();
        let throttle = Throttle {
            hold_off: millis(kind.hold_off),
            longest_hold_off: millis(kind.hold_off * 5),
            ..Throttle::default()
        };
        let settings = Settings {
            ttl: millis(1_000),
            l1_ttl: kind.l1_ttl.map(millis),
            negative_ttl: millis(200),
            stale_for: millis(kind.stale_for),
            throttle,
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
            hold_offs: HashMap::new(),
            settings,
            now: 0,
            counts: Counts::default(),
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
                let expected = self.model.get(key, &options);
                let answer = self.cache.with(options).get(KEYS[key]).await;
                assert_eq!(answer.map(Seen::new), expected);
            }
            Step::GetMany(keys, options) => self.get_many(&keys, options).await,
            Step::Contains(key, options) => {
                let is_present = self.cache.with(options).contains(KEYS[key]).await;
                assert_eq!(is_present, self.model.contains(key, &options));
            }
            Step::Load(key, say, options) => self.load(key, say, options).await,
            Step::Reload(key, say, options) => self.reload(key, say, options).await,
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
            expected.insert(key, self.model.get(key, &options));
        }
        let answers = self.cache.with(options).get_many(names(keys)).await;
        for (key, answer) in keys.iter().zip(answers) {
            assert_eq!(answer.map(Seen::new), expected[key]);
        }
    }

    async fn load(&mut self, key: usize, say: Say, options: Options) {
        let number = self.number();
        let asked = Asked::default();
        let (note, answer) = (asked.clone(), says_or_fails(say, &number));
        let load = move || {
            note.add(KEYS[key], None);
            async move { answer }
        };
        let call = self.cache.with(options);
        let got = got(call.get_or_load(KEYS[key], load).await);
        let ask = Ask {
            says: &[say; KEYS.len()],
            number: &number,
            options: &options,
        };
        self.expect_loads(&[key], ask, &asked, &[got], false);
    }

    async fn reload(&mut self, key: usize, say: Say, options: Options) {
        let number = self.number();
        let asked = Asked::default();
        let (note, answer) = (asked.clone(), says_or_fails(say, &number));
        let load = move |held| {
            note.add(KEYS[key], text(held));
            async move { answer }
        };
        let call = self.cache.with(options);
        let got = got(call.get_or_reload(KEYS[key], load).await);
        let ask = Ask {
            says: &[say; KEYS.len()],
            number: &number,
            options: &options,
        };
        self.expect_loads(&[key], ask, &asked, &[got], true);
    }

    async fn load_many(&mut self, keys: &[usize], says: Vec<Say>, options: Options) {
        let number = self.number();
        let asked = Asked::default();
        let (note, saying, given) = (asked.clone(), says.clone(), number.clone());
        let load = move |keys: Vec<String>| async move {
            for key in &keys {
                note.add(key, None);
            }
            batch_answer(&statics(&keys), &saying, &given)
        };
        let call = self.cache.with(options);
        let answers = call.get_many_or_load(names(keys), load).await;
        let gots: Vec<_> = answers.into_iter().map(got).collect();
        let ask = Ask {
            says: &says,
            number: &number,
            options: &options,
        };
        self.expect_loads(keys, ask, &asked, &gots, false);
    }

    /// These answers are what the model says, and the loader was asked for what the model says, and shown that.
    fn expect_loads(
        &mut self,
        keys: &[usize],
        ask: Ask<'_>,
        asked: &Asked,
        gots: &[Got],
        is_shown: bool,
    ) {
        let asked = asked.all();
        let was_held = |key: usize| {
            let place = keys.iter().position(|asked| *asked == key).unwrap();
            let has_failed = gots[place].as_ref().is_ok_and(|seen| seen.has_failed);
            has_failed && !asked.contains_key(KEYS[key])
        };
        let (expected, mut shown) = self.model.load(&different(keys), ask, was_held);
        for (key, got) in keys.iter().zip(gots) {
            assert_eq!(*got, expected[key], "{}", KEYS[*key]);
        }
        if !is_shown {
            for shown in shown.values_mut() {
                *shown = None;
            }
        }
        let shown = shown
            .into_iter()
            .map(|(key, held)| (KEYS[key].to_owned(), held));
        assert_eq!(asked, shown.collect());
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
        let asked = Asked::default();
        let (note, answer) = (asked.clone(), says_or_fails(say, &number));
        let load = move |held| {
            note.add(KEYS[key], text(held));
            async move { answer }
        };
        let got = got(self.cache.with(options).refresh(KEYS[key], load).await);
        let ask = Ask {
            says: &[say; KEYS.len()],
            number: &number,
            options: &options,
        };
        self.expect_refreshes(&[key], ask, &asked, &[got]);
    }

    async fn refresh_many(&mut self, keys: &[usize], says: Vec<Say>, options: Options) {
        let number = self.number();
        let asked = Asked::default();
        let (note, saying, given) = (asked.clone(), says.clone(), number.clone());
        let load = move |helds: Vec<Held<String, String>>| {
            let keys: Vec<_> = helds.iter().map(|held| held.key.clone()).collect();
            for held in helds {
                note.add(&held.key, text(held.value));
            }
            let answer = batch_answer(&statics(&keys), &saying, &given);
            async move { answer }
        };
        let call = self.cache.with(options);
        let answers = call.refresh_many(names(keys), load).await;
        let gots: Vec<_> = answers.into_iter().map(got).collect();
        let ask = Ask {
            says: &says,
            number: &number,
            options: &options,
        };
        self.expect_refreshes(keys, ask, &asked, &gots);
    }

    /// A refresh answers with what its loader brings or with its error, and with nothing older.
    fn expect_refreshes(&mut self, keys: &[usize], ask: Ask<'_>, asked: &Asked, gots: &[Got]) {
        let asked = asked.all();
        let different = different(keys);
        let fails = different.iter().any(|key| ask.says[*key] == Say::Error);
        let mut expected = HashMap::new();
        for &key in &different {
            let say = if fails { Say::Error } else { ask.says[key] };
            let held = self.model.shown(key, ask.options);
            assert_eq!(asked[KEYS[key]], held, "what the loader was shown");
            let brought = self.model.bring(key, say, held, ask, true);
            expected.insert(key, brought.map(Seen::loaded));
        }
        assert_eq!(asked.len(), different.len());
        for (key, got) in keys.iter().zip(gots) {
            assert_eq!(*got, expected[key], "{}", KEYS[*key]);
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
                let expected = self.model.get(key, &options);
                let answer = self.cache.with(options).get(name).await;
                assert_eq!(answer.map(Seen::new), expected, "{name} by {options:?}");
            }
        }
        let stats = self.cache.stats();
        let counts = Counts {
            l1_hits: stats.l1_hits,
            l2_hits: stats.l2_hits,
            misses: stats.misses,
            stale_hits: stats.stale_hits,
            loads: stats.loads,
            load_errors: stats.load_errors,
        };
        assert_eq!(counts, self.model.counts);
        let strange = [stats.coalesced, stats.loads_refused, stats.l2_errors];
        assert_eq!((strange, self.cache.loads_in_flight()), ([0; 3], 0));
    }
}

fn on_a_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(work);
}

fn hold(kind: Kind, steps: &[Step]) {
    on_a_runtime(async {
        let mut trial = Trial::new(kind);
        for step in steps {
            trial.run(step).await;
            trial.check().await;
        }
    });
}

/// Caches of each combination of tiers, in which values may be used for a while after they have ceased to be fresh.
fn may_use_old() -> impl Strategy<Value = Kind> {
    let tiers = prop_oneof![
        3 => Just((true, true)),
        1 => Just((true, false)),
        1 => Just((false, true)),
    ];
    let l1_ttl = prop_oneof![Just(None), Just(Some(150))];
    (tiers, l1_ttl, 1..600_u64).prop_map(|((has_l1, has_l2), l1_ttl, stale_for)| Kind {
        has_l1,
        has_l2,
        l1_ttl,
        stale_for,
        ..BOTH
    })
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
        hold(BOTH, &steps);
    }

    #[test]
    fn a_cache_with_a_shorter_life_in_l1_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        hold(Kind { l1_ttl: Some(150), ..BOTH }, &steps);
    }

    #[test]
    fn a_cache_of_l1_alone_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        hold(Kind { has_l2: false, ..BOTH }, &steps);
    }

    #[test]
    fn a_cache_of_l2_alone_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        hold(Kind { has_l1: false, ..BOTH }, &steps);
    }

    #[test]
    fn a_cache_that_may_use_old_copies_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40), kind in may_use_old()) {
        hold(kind, &steps);
    }

    #[test]
    fn a_cache_that_holds_off_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40), kind in may_use_old()) {
        hold(Kind { hold_off: 150, ..kind }, &steps);
    }

    #[test]
    fn a_cache_whose_l1_forgets_never_answers_with_what_is_over(steps in prop::collection::vec(brief(), 1..60), has_l2: bool) {
        on_a_runtime(hold_forgetful(has_l2, &steps));
    }
}
