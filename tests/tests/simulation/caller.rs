//! What a node's callers do, and what they are told.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tiered::{Access, Answer, Cache, Options};

use crate::books::Books;
use crate::datum::Datum;
use crate::ledger::{Life, Reading, WriteOf};
use crate::loader::name;
use crate::source::TAGS;
use crate::view::View;
use crate::world::World;

#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) world: Arc<World>,
    pub(crate) cache: Cache<Datum>,
    pub(crate) life: Life,
    pub(crate) view: View,
    pub(crate) books: Arc<Books>,
}

/// Something that a caller does.
pub(crate) struct Deed {
    pub(crate) what: String,
    pub(crate) work: BoxFuture<'static, ()>,
    /// Nobody else relies on its end.
    pub(crate) may_be_dropped: bool,
}

impl Deed {
    pub(crate) fn new(what: String, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            what,
            work: Box::pin(work),
            may_be_dropped: true,
        }
    }
}

impl Caller {
    /// Something at random, most often a read; `None` if it cannot be done now.
    pub(crate) fn draw(self) -> Option<Deed> {
        Some(match self.world.dice.below(100) {
            0..20 => self.get(),
            20..28 => self.get_plainly(),
            28..34 => self.get_many(),
            34..52 => self.load(),
            52..58 => self.reload(),
            58..65 => self.load_many(),
            65..69 => self.refresh(),
            69..74 => return self.see_a_write(),
            74..82 => return self.remove(),
            82..85 => return self.remove_many(),
            85..90 => return self.expire(),
            90..94 => self.remove_tag(),
            94..95 => self.clear(),
            _ => return self.set(),
        })
    }

    fn get(self) -> Deed {
        let key = self.any_key();
        self.get_of(key)
    }

    pub(crate) fn get_of(self, key: usize) -> Deed {
        self.get_with(key, Options::default(), None)
    }

    fn get_with(self, key: usize, options: Options, after: Option<WriteOf>) -> Deed {
        let what = match after {
            Some(write) => format!("get k{key} after {}", write.version),
            None => format!("get k{key}"),
        };
        Deed::new(what, async move {
            let reading = self.reading(after);
            let answer = self.cache.with(options).get(&name(key)).await;
            self.judge_get(&reading);
            if let Some(answer) = answer {
                self.world.judge(&reading, key, &answer);
            }
        })
    }

    /// Reads everything.
    pub(crate) fn visit(self) -> Deed {
        Deed::new("get each key".to_owned(), async move {
            let gets = (0..self.world.profile.keys).map(|key| self.clone().get_of(key).work);
            join_all(gets).await;
        })
    }

    fn get_plainly(self) -> Deed {
        let key = self.any_key();
        Deed::new(format!("plain get k{key}"), async move {
            let reading = self.reading(None);
            let value = self.cache.get(&name(key)).await;
            self.judge_get(&reading);
            if let Some(value) = value {
                self.world.judge(&reading, key, &plain(&self.world, value));
            }
        })
    }

    fn get_many(self) -> Deed {
        let keys = self.some_keys();
        Deed::new(format!("get_many {keys:?}"), async move {
            let reading = self.reading(None);
            let names = names(&keys);
            let call = self.cache.with(Options::default());
            let answers = call.get_many(&names).await;
            self.judge_get(&reading);
            for (key, answer) in keys.into_iter().zip(answers) {
                if let Some(answer) = answer {
                    self.world.judge(&reading, key, &answer);
                }
            }
        })
    }

    /// A read that loads nothing waits for L2 alone.
    fn judge_get(&self, reading: &Reading) {
        let limit = self.world.profile.settings.deadlines.l2;
        self.world.judge_wait(&reading.wait, "a get", limit);
    }

    /// Reads that must see a write of which somebody has told them.
    fn see_a_write(self) -> Option<Deed> {
        let writes = self.world.ledger.writes();
        if writes.is_empty() {
            return None;
        }
        let write = *self.world.dice.pick(&writes);
        if self.world.dice.one_in(2) {
            return Some(self.load_of(write.key, Some(write)));
        }
        let options = self.options(Some(write));
        Some(self.get_with(write.key, options, Some(write)))
    }

    pub(crate) fn reading(&self, after: Option<WriteOf>) -> Reading {
        let world = &self.world;
        world.ledger.read(world.wait(self.life), after)
    }

    pub(crate) fn options(&self, after: Option<WriteOf>) -> Options {
        let dice = &self.world.dice;
        let passes_l1 = dice.one_in(12);
        Options {
            l1: if passes_l1 {
                Access::WriteOnly
            } else {
                Access::ReadWrite
            },
            after: after.map(|write| write.after),
            soft: dice.one_in(8).then_some(Duration::from_millis(100)),
            hard: dice.one_in(8).then_some(Duration::from_millis(700)),
            refuses_stale: dice.one_in(12),
            ..Options::default()
        }
    }

    /// The tags that a caller knows beforehand.
    pub(crate) fn tags(&self, key: usize) -> Vec<&'static str> {
        let row = self.world.source.row(key);
        let tags = (0..TAGS.len()).filter(|bit| row.tags & (1 << bit) != 0);
        tags.map(|bit| TAGS[bit]).collect()
    }

    pub(crate) fn any_key(&self) -> usize {
        self.world.dice.below(self.world.profile.keys)
    }

    pub(crate) fn some_keys(&self) -> Vec<usize> {
        let first = self.any_key();
        let mut keys = vec![first];
        keys.extend(
            (0..self.world.profile.keys).filter(|key| *key != first && self.world.dice.one_in(2)),
        );
        keys
    }
}

/// An answer in full, of which only the value is known.
fn plain(world: &World, value: Arc<Datum>) -> Answer<Datum> {
    let made = world.source.made(value.id);
    let made = made.last().copied().unwrap_or_default();
    let age = world.now().saturating_sub(made);
    Answer {
        value: Some(value),
        source: tiered::Source::L1,
        age,
        is_stale: false,
        failure: None,
    }
}

pub(crate) fn names(keys: &[usize]) -> Vec<String> {
    keys.iter().map(|key| name(*key)).collect()
}
