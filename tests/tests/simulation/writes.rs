//! What a node's callers change: first the database, then the cache.

use futures_util::future::BoxFuture;
use tiered::{Options, Removed, Version};

use crate::caller::{Caller, Deed, names};
use crate::datum::Datum;
use crate::exclusion::Disturbance;
use crate::ledger::{Floor, WriteOf};
use crate::loader::name;
use crate::source::{Source, TAGS, Writer};
use crate::waits::Wait;

/// The key that one node alone writes, one write after the other. Only of such a key can `set` be promised to keep to the
/// database.
pub(crate) const OWN_KEY: usize = 0;
const OWNER: usize = 0;

/// The right to write some keys; with the only writer of the key that has one.
pub(crate) struct Right(Option<Writer>);

/// What an invalidation concerns, and what it leaves.
#[derive(Clone, Copy, Debug)]
struct Kind {
    tag: Option<u8>,
    is_expiry: bool,
}

impl Kind {
    /// All of a key.
    const REMOVAL: Self = Self {
        tag: None,
        is_expiry: false,
    };

    const fn of_tag(tag: u8) -> Self {
        Self {
            tag: Some(tag),
            ..Self::REMOVAL
        }
    }
}

type Invalidate = fn(Caller, Vec<usize>) -> BoxFuture<'static, Removed>;

impl Caller {
    pub(crate) fn remove(self) -> Option<Deed> {
        let keys = vec![self.any_key()];
        self.invalidate("remove", keys, |caller, keys| {
            Box::pin(async move { caller.cache.remove(&name(keys[0])).await })
        })
    }

    pub(crate) fn remove_many(self) -> Option<Deed> {
        let keys = self.some_keys();
        self.invalidate("remove_many", keys, |caller, keys| {
            Box::pin(async move { caller.cache.remove_many(&names(&keys)).await })
        })
    }

    pub(crate) fn expire(self) -> Option<Deed> {
        let keys = self.some_keys();
        self.invalidate("expire_many", keys, |caller, keys| {
            Box::pin(async move { caller.cache.expire_many(&names(&keys)).await })
        })
    }

    pub(crate) fn set(self) -> Option<Deed> {
        let key = OWN_KEY;
        let right = self.right_to_write(&[key])?;
        let what = format!("set k{key}");
        Some(lasting(what, right, async move {
            let _disturbance = Disturbance::of(&self.world, &[key]);
            let version = self.world.source.update(key, &self.world.dice);
            self.pause().await;
            let datum = self.datum(key);
            let tags = self.tags(key);
            let call = self.cache.with(Options::default()).tags(&tags);
            let wait = self.world.wait(self.life);
            let written = call.set(&name(key), datum).await;
            self.judge_write(&wait, "set");
            let after = written.version.filter(|_| written.ok().is_ok());
            self.returned(&[(key, version)], Kind::REMOVAL, written.ok().is_ok());
            self.wrote(key, version, after);
        }))
    }

    pub(crate) fn remove_tag(self) -> Deed {
        let bit = self.world.dice.below(TAGS.len());
        let keys = self.keys_to_change();
        Deed::new(format!("remove_tag {}", TAGS[bit]), async move {
            let _disturbance = Disturbance::of(&self.world, &self.all_keys());
            let versions = self.update(&keys).await;
            let wait = self.world.wait(self.life);
            self.world.ledger.sweep(self.world.now());
            let removed = self.cache.remove_tag(TAGS[bit]).await;
            self.world.ledger.sweep(self.world.now());
            self.judge_write(&wait, "remove_tag");
            self.returned(&versions, Kind::of_tag(1 << bit), removed.is_ok());
        })
    }

    pub(crate) fn clear(self) -> Deed {
        let keys = self.keys_to_change();
        Deed::new("clear".to_owned(), async move {
            let _disturbance = Disturbance::of(&self.world, &self.all_keys());
            let versions = self.update(&keys).await;
            let wait = self.world.wait(self.life);
            self.world.ledger.sweep(self.world.now());
            let cleared = self.cache.clear().await;
            self.world.ledger.sweep(self.world.now());
            self.judge_write(&wait, "clear");
            self.returned(&versions, Kind::REMOVAL, cleared.is_ok());
        })
    }

    fn invalidate(self, what: &str, keys: Vec<usize>, invalidate: Invalidate) -> Option<Deed> {
        let right = self.right_to_write(&keys)?;
        let is_expiry = what.starts_with("expire");
        let what = format!("{what} {keys:?}");
        Some(lasting(what, right, async move {
            let _disturbance = Disturbance::of(&self.world, &keys);
            let versions = self.update(&keys).await;
            let versions: Vec<_> = versions
                .into_iter()
                .filter(|(key, _)| keys.contains(key))
                .collect();
            let wait = self.world.wait(self.life);
            let removed = invalidate(self.clone(), keys).await;
            self.judge_write(&wait, "a removal or expiry");
            let kind = Kind {
                is_expiry,
                ..Kind::REMOVAL
            };
            self.returned(&versions, kind, removed.ok().is_ok());
            for (key, version) in versions {
                self.wrote(key, version, removed.version);
            }
        }))
    }

    /// Changes these rows. The versions of all rows when the cache is called.
    async fn update(&self, keys: &[usize]) -> Vec<(usize, u32)> {
        for key in keys {
            self.world.source.update(*key, &self.world.dice);
        }
        self.pause().await;
        let version = |key| (key, self.world.source.row(key).version);
        self.all_keys().into_iter().map(version).collect()
    }

    /// The way from the database to the cache may be long.
    async fn pause(&self) {
        if self.world.dice.one_in(2) {
            let pause = self.world.profile.load.draw(&self.world.dice);
            self.world.timeline.pause(pause).await;
        }
    }

    fn returned(&self, versions: &[(usize, u32)], kind: Kind, is_confirmed: bool) {
        let world = &self.world;
        if !is_confirmed {
            world.journal.count("writes: not confirmed");
        }
        self.tempt_fate();
        self.plan_visit();
        for (key, version) in versions {
            let floor = Floor {
                version: *version,
                tag: kind.tag,
                is_expiry: kind.is_expiry,
                by: self.life,
                is_confirmed,
            };
            world.ledger.returned(*key, floor, world.now());
            if !is_confirmed {
                world.exclusion.distrust(*key, world.now());
            }
        }
        world.say(|| {
            format!(
                "node {} has invalidated {versions:?}, {kind:?}, confirmed: {is_confirmed}",
                self.life
            )
        });
    }

    /// It was over in time.
    fn judge_write(&self, wait: &Wait, what: &str) {
        let limit = self.world.profile.settings.deadlines.l2;
        self.world.judge_wait(wait, what, limit);
    }

    /// As soon as a write has to be seen everywhere, one looks whether it is.
    fn plan_visit(&self) {
        let (world, profile) = (&self.world, &self.world.profile);
        let bound = profile.coherence().bound;
        if world.dice.one_in(4) {
            let later = profile.lateness() + world.dice.up_to(bound / 4);
            world.plan_visit(world.now() + bound + later);
        }
    }

    /// The moment after a write is a bad one for its node.
    fn tempt_fate(&self) {
        let world = &self.world;
        if world.strikes(world.profile.chances.struck) {
            world.strike(self.life.node);
        }
    }

    fn wrote(&self, key: usize, version: u32, after: Option<Version>) {
        if let Some(after) = after {
            self.world.ledger.wrote(WriteOf {
                key,
                version,
                after,
            });
        }
    }

    fn right_to_write(&self, keys: &[usize]) -> Option<Right> {
        if !keys.contains(&OWN_KEY) {
            return Some(Right(None));
        }
        if self.life.node != OWNER {
            return None;
        }
        Source::writer(&self.world).map(|writer| Right(Some(writer)))
    }

    /// Keys that anybody may write.
    fn keys_to_change(&self) -> Vec<usize> {
        let mut keys = self.some_keys();
        keys.retain(|key| *key != OWN_KEY && self.world.dice.one_in(2));
        keys
    }

    fn all_keys(&self) -> Vec<usize> {
        (0..self.world.profile.keys).collect()
    }

    fn datum(&self, key: usize) -> Datum {
        let row = self.world.source.row(key);
        Datum {
            key: u8::try_from(key).unwrap(),
            tags: row.tags,
            is_set: true,
            version: row.version,
            id: self.world.source.new_id(self.world.now()),
        }
    }
}

/// Where the only writer relies on the end of its writes, nobody drops them.
fn lasting(what: String, right: Right, work: impl Future<Output = ()> + Send + 'static) -> Deed {
    let may_be_dropped = right.0.is_none();
    let work = async move {
        let _right = right;
        work.await;
    };
    Deed {
        may_be_dropped,
        ..Deed::new(what, work)
    }
}
