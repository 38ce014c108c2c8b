use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tiered::{Authoritative, BoxError, Held, Loaded};

use crate::books::Books;
use crate::datum::Datum;
use crate::exclusion::Loading;
use crate::ledger::Life;
use crate::loads::{End, Load, Running};
use crate::source::{Malady, Row, TAGS};
use crate::waits::Wait;
use crate::world::World;
use crate::writes::OWN_KEY;

/// A loader, and how it will behave.
#[derive(Clone)]
pub(crate) struct Loader {
    world: Arc<World>,
    books: Arc<Books>,
    by: Life,
    quirk: Quirk,
    before: Duration,
    after: Duration,
    brought: Arc<Mutex<BTreeSet<usize>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quirk {
    None,
    Fails,
    Panics,
    Uncached,
    /// Takes longer than a load may.
    Hangs,
    /// Is told that there will never be anything.
    HearsTheLastWord,
}

const QUIRKS: [Quirk; 5] = [
    Quirk::Fails,
    Quirk::Panics,
    Quirk::Uncached,
    Quirk::Hangs,
    Quirk::HearsTheLastWord,
];

impl Loader {
    pub(crate) fn draw(world: &Arc<World>, books: &Arc<Books>, by: Life) -> Self {
        let (profile, dice) = (&world.profile, &world.dice);
        let quirk = if world.strikes(profile.chances.bad_load) {
            let quirk = *dice.pick(&QUIRKS);
            world.journal.count(format!("loaders: {quirk:?}"));
            quirk
        } else {
            Quirk::None
        };
        let hanging = match quirk {
            Quirk::Hangs => profile.settings.deadlines.abandon,
            _ => Duration::ZERO,
        };
        Self {
            world: Arc::clone(world),
            books: Arc::clone(books),
            by,
            quirk,
            before: profile.load.draw(dice),
            after: profile.load.draw(dice) + hanging,
            brought: Arc::default(),
        }
    }

    /// How long it takes for so many keys, by itself.
    pub(crate) fn takes(&self, keys: usize) -> Duration {
        (self.before + self.after) * u32::try_from(keys).unwrap()
    }

    /// It has run to a good end for this key.
    pub(crate) fn has_brought(&self, key: usize) -> bool {
        self.brought.lock().unwrap().contains(&key)
    }

    pub(crate) async fn load(self, key: usize) -> Result<Loaded<Datum>, BoxError> {
        self.load_shown(key, None).await
    }

    /// The same, shown the copy that it is to replace.
    pub(crate) async fn load_shown(
        self,
        key: usize,
        shown: Option<Arc<Datum>>,
    ) -> Result<Loaded<Datum>, BoxError> {
        let wait = self.world.wait(self.by);
        let _loading = Loading::begin(&self.world, key);
        let running = self.run(&[key], wait);
        let (loaded, id) = self.load_row(key, shown, &running).await?;
        self.note_values(&wait, &[key], id.into_iter().collect());
        Ok(loaded)
    }

    pub(crate) async fn load_many(self, keys: Vec<String>) -> Loads {
        let held = keys.into_iter().map(|key| Held { key, value: None });
        self.load_held(held.collect()).await
    }

    /// Loads one row after the other. The values' lives begin when all are loaded.
    pub(crate) async fn load_held(self, helds: Vec<Held<Datum, String>>) -> Loads {
        let wait = self.world.wait(self.by);
        let keys: Vec<_> = helds.iter().map(|held| number(&held.key)).collect();
        let begin = |key: &usize| Loading::begin(&self.world, *key);
        let _loading: Vec<_> = keys.iter().map(begin).collect();
        let running = self.run(&keys, wait);
        let (mut loads, mut ids) = (Vec::new(), Vec::new());
        for Held { key, value } in helds {
            let (loaded, id) = self.load_row(number(&key), value, &running).await?;
            loads.push((key, loaded));
            ids.extend(id);
        }
        for id in &ids {
            self.world.source.renew(*id, self.world.now());
        }
        self.note_values(&wait, &keys, ids);
        Ok(loads)
    }

    fn run(&self, keys: &[usize], wait: Wait) -> Running {
        let end = match self.quirk {
            Quirk::Fails => End::Error,
            Quirk::Panics => End::Panic,
            Quirk::HearsTheLastWord => End::LastWord,
            Quirk::None | Quirk::Uncached | Quirk::Hangs => End::Value,
        };
        let load = |key: &usize| Load {
            key: *key,
            wait,
            takes: self.takes(keys.len()),
            end,
            ended: None,
            last_word: None,
        };
        Running::begin(&self.world, keys.iter().map(load))
    }

    /// What the row says, and the name of the value that it is.
    async fn load_row(
        &self,
        key: usize,
        shown: Option<Arc<Datum>>,
        running: &Running,
    ) -> Result<(Loaded<Datum>, Option<u32>), BoxError> {
        self.world.say(|| format!("load of k{key} begins"));
        self.world.timeline.pause(self.before).await;
        let row = self.read(key, running).await?;
        self.world
            .say(|| format!("load of k{key} reads {}", row.version));
        self.world.timeline.pause(self.after).await;
        self.misbehave()?;
        let (loaded, id) = if row.is_absent {
            (Loaded::missing(), None)
        } else {
            self.found(row, key, shown)
        };
        let tags = (0..TAGS.len()).filter(|bit| row.tags & (1 << bit) != 0);
        let loaded = loaded.tags(tags.map(|bit| TAGS[bit]));
        let keeps_absence = !self.world.profile.settings.negative_ttl.is_zero();
        let is_uncached = self.quirk == Quirk::Uncached;
        if is_uncached || row.is_absent && !keeps_absence {
            self.books.uncached.fetch_add(1, Ordering::Relaxed);
        }
        let loaded = if is_uncached {
            loaded.uncached()
        } else {
            loaded
        };
        Ok((loaded, id))
    }

    /// The row, as far as the database is well.
    async fn read(&self, key: usize, running: &Running) -> Result<Row, BoxError> {
        let (source, now) = (&self.world.source, self.world.now());
        match source.malady(now) {
            Some((Malady::Fails, _)) => {
                running.end_in(End::Error);
                return Err("the database is away".into());
            }
            Some((Malady::Hangs, until)) => {
                running.last_longer(until.saturating_sub(now));
                self.world.timeline.reach(until).await;
            }
            None => {}
        }
        if self.quirk == Quirk::HearsTheLastWord && key != OWN_KEY {
            running.say_for_good(key, source.update(key, &self.world.dice));
        }
        Ok(source.row(key))
    }

    fn found(
        &self,
        row: Row,
        key: usize,
        shown: Option<Arc<Datum>>,
    ) -> (Loaded<Datum>, Option<u32>) {
        let (source, now) = (&self.world.source, self.world.now());
        if let Some(shown) = shown.filter(|shown| shown.version == row.version) {
            source.renew(shown.id, now);
            self.world.journal.count("loaders: nothing has changed");
            return (Loaded::unchanged(), Some(shown.id));
        }
        let id = source.new_id(now);
        let datum = Datum {
            key: u8::try_from(key).unwrap(),
            tags: row.tags,
            is_set: false,
            version: row.version,
            id,
        };
        (Loaded::found(datum), Some(id))
    }

    fn misbehave(&self) -> Result<(), BoxError> {
        match self.quirk {
            Quirk::Fails => Err("the database is away".into()),
            // Without a word on the terminal.
            Quirk::Panics => resume_unwind(Box::new("a loader that panics")),
            Quirk::HearsTheLastWord => Err(Authoritative::new("gone").into()),
            Quirk::None | Quirk::Uncached | Quirk::Hangs => Ok(()),
        }
    }

    /// It has come to a good end, or would have, had it not been given up.
    fn note_values(&self, wait: &Wait, keys: &[usize], ids: Vec<u32>) {
        let world = &self.world;
        let is_frozen = !world.frozen_during(wait).is_zero();
        if world.waited(wait) <= world.profile.settings.deadlines.abandon || is_frozen {
            return self.brought.lock().unwrap().extend(keys);
        }
        for id in ids {
            // What is merely renewed is the value of another load.
            if world.source.made(id)[0] >= wait.begun {
                world.source.give_up(id);
            }
        }
    }
}

type Loads = Result<Vec<(String, Loaded<Datum>)>, BoxError>;

/// The number of the key of this name.
pub(crate) fn number(name: &str) -> usize {
    name[1..].parse().unwrap()
}

pub(crate) fn name(key: usize) -> String {
    format!("k{key}")
}
