//! Looks into L2: what is there, whether it is to be believed, and whether it is still what the marks say.

use std::sync::Arc;

use futures_util::future::join;
use tiered_core::{Entry, Key, Kind, Mark, Record, Result, Seen, Tick, Version};

use crate::batch::only;
use crate::far::{Far, borrowed};
use crate::marks::{Lessons, Which};
use crate::options::Options;
use crate::rejection::Rejection;
use crate::shared::Shared;
use crate::stats::Count;
use crate::wire::{Address, Unpacked};

/// What a look into L2 has shown.
pub(crate) enum Look<V> {
    /// A value, or that there is none, that may be used.
    Fresh(Found<V>),
    /// One that is no longer fresh.
    Old(Entry<V>),
    /// Nothing that can be used, but perhaps something.
    Nothing(Seen),
    /// Another flight, here or elsewhere, has the right to fill the key.
    Claimed,
    /// L2 could not be asked.
    Silent,
}

/// An entry that may be used, and what is known about it.
pub(crate) struct Found<V> {
    pub(crate) entry: Entry<V>,
    pub(crate) how: How,
    /// When it was judged.
    pub(crate) at: Tick,
}

/// How an entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// In L2; its payload has so many bytes before compression.
    Read(usize),
    /// In L1, and L2 has confirmed that it is still what is there.
    Confirmed,
    /// In L1, and L2 did not say.
    Blindly,
}

impl<V> Look<V> {
    /// The copy that was seen, whatever its age.
    pub(crate) fn copy(&self) -> Option<&Entry<V>> {
        match self {
            Self::Fresh(found) => Some(&found.entry),
            Self::Old(entry) => Some(entry),
            Self::Nothing(_) | Self::Claimed | Self::Silent => None,
        }
    }

    pub(crate) const fn nothing() -> Self {
        Self::Nothing(Seen::Nothing)
    }
}

/// A first judgement.
enum Judged<V> {
    Surely(Look<V>),
    /// What is known of these marks does not fit the record: one of the two is out of date.
    AfterMarks(Vec<Which>),
}

/// A key, what it is called in L2, what is there, and how that is judged.
struct Sight<'a, V, K: ?Sized> {
    key: &'a K,
    name: &'a str,
    record: Result<Option<Record>>,
    judged: Judged<V>,
}

/// How often marks are read for a look: the namespace's, and then those of tags.
const MOST_LESSONS: usize = 2;

/// How a record is looked at.
#[derive(Clone, Copy)]
struct Eye<'a> {
    /// L1 may be looked into as well.
    sees_l1: bool,
    /// What the table knows of tags is up to date.
    knows_tags: bool,
    /// Marks that were just read.
    lessons: &'a Lessons,
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Asks L2 for these keys: one round trip, and another one if marks have to be asked for after the values.
    pub(crate) async fn look(&self, keys: &[&K], options: &Options) -> Vec<Look<V>> {
        let Some(far) = self.far.as_ref().filter(|_| options.l2.reads()) else {
            return keys.iter().map(|_| Look::nothing()).collect();
        };
        let _turn = self.turn_to_confirm(keys, options).await;
        // Also what is repeated meanwhile was in doubt when it was read.
        let are_doubtful: Vec<_> = keys.iter().map(|key| self.doubts.has(key)).collect();
        let names = far.names(keys);
        let names = borrowed(&names);
        let (records, lessons) = join(far.l2.get_many(&names), self.orient()).await;
        let places = keys.iter().copied().zip(names.iter().copied());
        let places = places.zip(records.into_iter().zip(are_doubtful));
        let sights = places.map(|((key, name), (record, is_doubtful))| Sight {
            key,
            name,
            record,
            judged: Judged::before(is_doubtful),
        });
        let mut sights: Vec<_> = sights.collect();
        let lessons = self.judge_all(far, &mut sights, lessons, options).await;
        let eye = self.eye(options, &lessons);
        let sights = sights.into_iter();
        sights.map(|sight| self.settle_look(sight, eye)).collect()
    }

    /// [`look`](Self::look) at one key, without its lists.
    pub(crate) async fn look_at(&self, key: &K, options: &Options) -> Look<V> {
        let Some(far) = self.far.as_ref().filter(|_| options.l2.reads()) else {
            return Look::nothing();
        };
        let _turn = self.turn_to_confirm(&[key], options).await;
        if self.doubts.has(key) {
            // Whatever is repeated meanwhile.
            return Look::Silent;
        }
        let name = far.wire.name(key);
        let keys = [name.as_str()];
        let (records, lessons) = if self.is_oriented() {
            (far.l2.get_many(&keys).await, Lessons::default())
        } else {
            join(far.l2.get_many(&keys), self.orient()).await
        };
        let mut sight = Sight {
            key,
            name: &name,
            record: only(records),
            judged: Judged::before(false),
        };
        let sights = std::slice::from_mut(&mut sight);
        let lessons = self.judge_all(far, sights, lessons, options).await;
        self.settle_look(sight, self.eye(options, &lessons))
    }

    /// Judges what was seen, and reads the marks that this takes: the namespace's, and then those of tags.
    async fn judge_all(
        &self,
        far: &Far<V>,
        sights: &mut [Sight<'_, V, K>],
        mut lessons: Lessons,
        options: &Options,
    ) -> Lessons {
        for lesson in 0..=MOST_LESSONS {
            let eye = self.eye(options, &lessons);
            for sight in &mut *sights {
                if let Judged::AfterMarks(_) = sight.judged {
                    sight.judged = self.judge(far, (sight.key, sight.name), &sight.record, eye);
                }
            }
            let mut doubts: Vec<_> = sights
                .iter()
                .flat_map(|sight| sight.judged.marks())
                .collect();
            if lesson == MOST_LESSONS || were_read(&doubts, &lessons) {
                break;
            }
            // It may be dropped meanwhile.
            doubts.push(Which::Space);
            doubts.sort_unstable();
            doubts.dedup();
            lessons.extend(self.learn(self.marks.again(doubts)).await);
        }
        lessons
    }

    /// After a cut every copy in L1 is doubtful at once: not all may ask L2 at once.
    async fn turn_to_confirm(
        &self,
        keys: &[&K],
        options: &Options,
    ) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let now = self.now();
        let is_doubtful = |key: &&K| self.near.doubtful(key, now).is_some();
        if !options.l1.reads() || !keys.iter().any(is_doubtful) {
            return None;
        }
        // It is never closed.
        self.confirmations.acquire().await.ok()
    }

    fn settle_look(&self, sight: Sight<'_, V, K>, eye: Eye<'_>) -> Look<V> {
        let look = match (sight.judged, &sight.record) {
            (Judged::Surely(look), _) => look,
            (Judged::AfterMarks(marks), Ok(_)) if !were_read(&marks, eye.lessons) => Look::Silent,
            (Judged::AfterMarks(marks), Ok(Some(record))) => self.outdated(record, &marks),
            (Judged::AfterMarks(_), _) => Look::nothing(),
        };
        match look {
            Look::Silent if eye.sees_l1 => self.blindly(sight.key),
            look => look,
        }
    }

    /// The marks were read after the record, and still do not fit.
    fn outdated(&self, record: &Record, marks: &[Which]) -> Look<V> {
        match record.kind() {
            Kind::Claim => return Look::nothing(),
            _ if marks.contains(&Which::Space) => self.counters.add_rejected(Rejection::Key),
            _ => self.counters.add_rejected(Rejection::Invalidated),
        }
        Look::Nothing(Seen::Version(record.version()))
    }

    fn judge(
        &self,
        far: &Far<V>,
        (key, name): (&K, &str),
        record: &Result<Option<Record>>,
        eye: Eye<'_>,
    ) -> Judged<V> {
        let record = match record {
            Err(_) => {
                self.counters.add(Count::L2Errors, 1);
                return Judged::Surely(Look::Silent);
            }
            Ok(_) if self.doubts.has(key) => return Judged::Surely(Look::Silent),
            // Its age cannot be told.
            Ok(Some(_)) if !self.wall.is_known() => return Judged::Surely(Look::Silent),
            Ok(None) => return Judged::Surely(Look::nothing()),
            Ok(Some(record)) => record,
        };
        match self.space(eye) {
            Some(space) => self.judge_record(far, (key, name), (record, space), eye),
            None => Judged::AfterMarks(vec![Which::Space]),
        }
    }

    fn judge_record(
        &self,
        far: &Far<V>,
        (key, name): (&K, &str),
        (record, space): (&Record, Version),
        eye: Eye<'_>,
    ) -> Judged<V> {
        let now = self.moment();
        match record.kind() {
            Kind::Claim if record.mark() == Some(space) => return Judged::Surely(Look::Claimed),
            Kind::Claim => return Judged::AfterMarks(vec![Which::Space]),
            Kind::Pass => return Judged::Surely(Look::nothing()),
            Kind::Value | Kind::Stale | Kind::Foreign => {}
        }
        if eye.sees_l1
            && let Some(copy) = self.confirmed(key, record, now.tick)
        {
            return judge_tags(copy, eye);
        }
        match far.wire.unpack(Address { name, space }, record, now) {
            Ok(unpacked) => judge_tags(self.found(unpacked, now.tick), eye),
            Err(Rejection::Key) => Judged::AfterMarks(vec![Which::Space]),
            Err(reason) => {
                self.counters.add_rejected(reason);
                Judged::Surely(Look::Nothing(Seen::Version(record.version())))
            }
        }
    }

    fn eye<'a>(&self, options: &Options, lessons: &'a Lessons) -> Eye<'a> {
        Eye {
            sees_l1: options.l1.reads(),
            knows_tags: self.near.trust.is_heard(self.now()),
            lessons,
        }
    }

    /// The mark of the namespace.
    fn space(&self, eye: Eye<'_>) -> Option<Version> {
        eye.lessons.of(&Which::Space).or_else(|| self.marks.space())
    }

    /// What this record is, as far as that can be told without asking L2.
    pub(crate) fn judge_at_once(
        &self,
        far: &Far<V>,
        key: &K,
        record: Record,
        options: &Options,
    ) -> Look<V> {
        let seen = Seen::Version(record.version());
        let name = far.wire.name(key);
        match self.judge(
            far,
            (key, &name),
            &Ok(Some(record)),
            self.eye(options, &Lessons::default()),
        ) {
            Judged::Surely(look) => look,
            Judged::AfterMarks(_) => Look::Nothing(seen),
        }
    }

    /// The doubtful copy in L1, if it is a copy of this record.
    fn confirmed(&self, key: &K, record: &Record, now: Tick) -> Option<Found<V>> {
        let copy = self.near.doubtful(key, now)?;
        let is_it = record.kind() == Kind::Value && copy.version == record.version();
        is_it.then(|| {
            // Its own marks may have left the table meanwhile.
            let tags = copy.tags.iter().flat_map(|tags| tags.iter());
            let tags = self
                .marks
                .tags(tags.map(|(mark, version)| (mark.name(), *version)));
            Found {
                entry: Entry { tags, ..copy },
                how: How::Confirmed,
                at: now,
            }
        })
    }

    fn found(&self, unpacked: Unpacked<V>, now: Tick) -> Found<V> {
        let tags = unpacked
            .tags
            .iter()
            .map(|(name, mark)| (name.as_str(), *mark));
        Found {
            entry: Entry {
                tags: self.marks.tags(tags),
                ..unpacked.entry
            },
            how: How::Read(unpacked.raw_bytes),
            at: now,
        }
    }

    /// L2 does not answer: a copy in L1 that was in order until a moment ago serves a while longer.
    fn blindly(&self, key: &K) -> Look<V> {
        let now = self.now();
        let copy = self.near.doubtful(key, now);
        let until = |copy: &Entry<V>| {
            let since = self.near.trust.doubtful_since(copy);
            since.plus(self.settings.coherence.blind_trust)
        };
        match copy.filter(|copy| now < until(copy) && !self.is_known_to_be_gone(key, copy)) {
            Some(entry) => Look::Fresh(Found {
                entry,
                how: How::Blindly,
                at: now,
            }),
            None => Look::Silent,
        }
    }
}

fn judge_tags<V>(found: Found<V>, eye: Eye<'_>) -> Judged<V> {
    let tags = || found.entry.tags.iter().flat_map(|tags| tags.iter());
    let holds = |(mark, version): &(Arc<Mark>, Version)| {
        let read = eye.lessons.of_tag(mark.name());
        read.map_or(eye.knows_tags && mark.is(*version), |read| read == *version)
    };
    if !tags().all(holds) {
        let all = tags().map(|(mark, _)| Which::Tag(mark.name().into()));
        return Judged::AfterMarks(all.collect());
    }
    Judged::Surely(if found.entry.is_fresh(found.at) {
        Look::Fresh(found)
    } else {
        Look::Old(found.entry)
    })
}

/// L2 has answered for each of these marks, after the record.
fn were_read(marks: &[Which], lessons: &Lessons) -> bool {
    marks.iter().all(|which| lessons.of(which).is_some())
}

impl<V> Judged<V> {
    /// Before it was looked at.
    fn before(is_doubtful: bool) -> Self {
        if is_doubtful {
            Self::Surely(Look::Silent)
        } else {
            Self::AfterMarks(Vec::new())
        }
    }

    fn marks(&self) -> Vec<Which> {
        match self {
            Self::AfterMarks(marks) => marks.clone(),
            Self::Surely(_) => Vec::new(),
        }
    }
}
