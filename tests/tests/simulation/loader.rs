use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tiered::{Held, Loaded};

use crate::books::Books;
use crate::datum::Datum;
use crate::exclusion::Loading;
use crate::source::{Row, TAGS};
use crate::world::World;

/// A loader, and how it will behave.
#[derive(Clone)]
pub(crate) struct Loader {
    world: Arc<World>,
    books: Arc<Books>,
    quirk: Quirk,
    before: Duration,
    after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quirk {
    None,
    Fails,
    Panics,
    Uncached,
    /// Takes longer than a load may.
    Hangs,
}

impl Loader {
    pub(crate) fn draw(world: &Arc<World>, books: &Arc<Books>) -> Self {
        let (profile, dice) = (&world.profile, &world.dice);
        let quirk = if world.strikes(profile.chances.bad_load) {
            world.journal.count("loaders with a quirk");
            *dice.pick(&[Quirk::Fails, Quirk::Panics, Quirk::Uncached, Quirk::Hangs])
        } else {
            Quirk::None
        };
        let hanging = match quirk {
            Quirk::Hangs => profile.coherence().load_limit,
            _ => Duration::ZERO,
        };
        Self {
            world: Arc::clone(world),
            books: Arc::clone(books),
            quirk,
            before: profile.load.draw(dice),
            after: profile.load.draw(dice) + hanging,
        }
    }

    pub(crate) async fn load(self, key: usize) -> Result<Loaded<Datum>, String> {
        let _loading = Loading::begin(&self.world, key);
        let (loaded, _) = self.load_row(key, None).await?;
        Ok(loaded)
    }

    /// What the row says, and the name of the value that it is.
    async fn load_row(
        &self,
        key: usize,
        shown: Option<Arc<Datum>>,
    ) -> Result<(Loaded<Datum>, Option<u32>), String> {
        self.world.say(|| format!("load of k{key} begins"));
        self.world.timeline.pause(self.before).await;
        let row = self.world.source.row(key);
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

    pub(crate) async fn load_many(self, keys: Vec<String>) -> Loads {
        let held = keys.into_iter().map(|key| Held { key, value: None });
        self.load_held(held.collect()).await
    }

    /// Loads one row after the other. The values' lives begin when all are loaded.
    pub(crate) async fn load_held(self, helds: Vec<Held<Datum, String>>) -> Loads {
        let begin = |held: &Held<_, String>| Loading::begin(&self.world, number(&held.key));
        let _loading: Vec<_> = helds.iter().map(begin).collect();
        let (mut loads, mut ids) = (Vec::new(), Vec::new());
        for Held { key, value } in helds {
            let (loaded, id) = self.load_row(number(&key), value).await?;
            loads.push((key, loaded));
            ids.extend(id);
        }
        for id in ids {
            self.world.source.renew(id, self.world.now());
        }
        Ok(loads)
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

    fn misbehave(&self) -> Result<(), String> {
        match self.quirk {
            Quirk::Fails => Err("the database is away".to_owned()),
            // Without a word on the terminal.
            Quirk::Panics => resume_unwind(Box::new("a loader that panics")),
            Quirk::None | Quirk::Uncached | Quirk::Hangs => Ok(()),
        }
    }
}

type Loads = Result<Vec<(String, Loaded<Datum>)>, String>;

/// The number of the key of this name.
pub(crate) fn number(name: &str) -> usize {
    name[1..].parse().unwrap()
}

pub(crate) fn name(key: usize) -> String {
    format!("k{key}")
}
