//! The rules as they are written, over two maps.

use std::collections::HashMap;
use std::sync::Arc;

use tiered::{Access, Answer, Options, Settings, Source};

use super::steps::Say;

/// A copy in a tier: a value or that there is none, until when it is fresh, until when it may be used at all, and until when
/// the tier keeps it.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) value: Option<String>,
    pub(super) until: u64,
    pub(super) dead: u64,
    pub(super) gone: u64,
}

/// What is asked of the cache where a loader stands by, and what that loader says.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) says: &'a [Say],
    pub(super) number: &'a str,
    pub(super) options: &'a Options,
}

/// How often the load of a key has failed that has an older copy, and when it last did.
#[derive(Clone, Copy)]
pub(super) struct HoldOff {
    pub(super) failures: u32,
    pub(super) at: u64,
}

/// What a cache counts of its reads and loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) l1_hits: u64,
    pub(super) l2_hits: u64,
    pub(super) misses: u64,
    pub(super) stale_hits: u64,
    pub(super) loads: u64,
    pub(super) load_errors: u64,
}

/// The cache as it is described. An absent tier holds nothing.
pub(super) struct Model {
    pub(super) near: Option<HashMap<usize, Copy>>,
    pub(super) far: Option<HashMap<usize, Copy>>,
    pub(super) hold_offs: HashMap<usize, HoldOff>,
    pub(super) settings: Settings,
    pub(super) now: u64,
    pub(super) counts: Counts,
}

impl Model {
    pub(super) fn fresh(
        &self,
        tier: Option<&HashMap<usize, Copy>>,
        key: usize,
        may: Access,
    ) -> Option<Copy> {
        let copy = tier.filter(|_| reads(may))?.get(&key)?;
        (self.now < copy.until).then(|| copy.clone())
    }

    pub(super) fn near(&self, key: usize, options: &Options) -> Option<Copy> {
        self.fresh(self.near.as_ref(), key, options.l1)
    }

    pub(super) fn far(&self, key: usize, options: &Options) -> Option<Copy> {
        self.fresh(self.far.as_ref(), key, options.l2)
    }

    /// The copy in L1, fresh or not, that may still be used.
    pub(super) fn usable(&self, key: usize, options: &Options) -> Option<Copy> {
        let near = self.near.as_ref().filter(|_| reads(options.l1))?;
        let copy = near.get(&key)?;
        (self.now < copy.dead).then(|| copy.clone())
    }

    /// What L2 still keeps, whatever its age.
    pub(super) fn kept(&self, key: usize, options: &Options) -> Option<Copy> {
        let far = self.far.as_ref().filter(|_| reads(options.l2))?;
        let copy = far.get(&key)?;
        (self.now < copy.gone).then(|| copy.clone())
    }

    /// What a plain read answers.
    pub(super) fn get(&mut self, key: usize, options: &Options) -> Option<Seen> {
        let seen = self.read(key, options);
        self.counts.misses += u64::from(seen.is_none());
        seen
    }

    /// What a read finds, without a load; L1 is filled if it may be, and left alone if the copy would have no life.
    pub(super) fn read(&mut self, key: usize, options: &Options) -> Option<Seen> {
        if let Some(copy) = self.near(key, options) {
            return Some(self.hit((copy, Source::L1)));
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
        Some(self.hit((copy, Source::L2)))
    }

    pub(super) fn hit(&mut self, (copy, source): (Copy, Source)) -> Seen {
        match source {
            Source::L1 => self.counts.l1_hits += 1,
            _ => self.counts.l2_hits += 1,
        }
        Seen {
            value: copy.value,
            source,
            is_stale: false,
            has_failed: false,
        }
    }

    /// An older copy serves, because there is nothing newer.
    pub(super) fn covered(&mut self, old: (Copy, Source)) -> Seen {
        self.counts.stale_hits += 1;
        Seen {
            is_stale: true,
            has_failed: true,
            ..self.hit(old)
        }
    }

    pub(super) fn contains(&self, key: usize, options: &Options) -> bool {
        let copy = self.near(key, options).or_else(|| self.far(key, options));
        copy.is_some_and(|copy| copy.value.is_some())
    }

    /// Stores something new; what a tier does not take leaves it, if old copies are to go.
    pub(super) fn store(
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
        let dead = now + whole + lived(self.settings.stale_for);
        let put = |tier: &mut Option<HashMap<usize, Copy>>, may: Access, life: u64| {
            let Some(tier) = tier else { return };
            if writes(may) && life > 0 {
                tier.insert(
                    key,
                    Copy {
                        value: value.cloned(),
                        until: now + life,
                        dead,
                        gone: dead,
                    },
                );
            } else if old_goes {
                tier.remove(&key);
            }
        };
        put(&mut self.near, options.l1, near);
        put(&mut self.far, options.l2, whole);
    }

    /// What reads with a loader bring for these different keys, and what the loader is shown of those that it is asked for.
    /// Where chance decides whether a key is held off, `was_held` tells.
    pub(super) fn load(
        &mut self,
        keys: &[usize],
        ask: Ask<'_>,
        was_held: impl Fn(usize) -> bool,
    ) -> (HashMap<usize, Got>, HashMap<usize, Option<String>>) {
        let (mut got, mut shown, mut wanted) = (HashMap::new(), HashMap::new(), Vec::new());
        for &key in keys {
            match self.without_load(key, ask.options, was_held(key)) {
                Some(seen) => drop(got.insert(key, Ok(seen))),
                None => wanted.push(key),
            }
        }
        let fails = wanted.iter().any(|key| ask.says[*key] == Say::Error);
        for key in wanted {
            let say = if fails { Say::Error } else { ask.says[key] };
            let old = self.fallback(key, ask.options);
            let held = old.clone().and_then(|(copy, _)| copy.value);
            shown.insert(key, held);
            got.insert(key, self.load_one(key, say, old, ask));
        }
        (got, shown)
    }

    /// What is answered where the loader need not be asked: what is fresh, or what is old while the key is held off. An old copy
    /// in L1 is enough then.
    fn without_load(&mut self, key: usize, options: &Options, was_held: bool) -> Option<Seen> {
        let is_held = !options.refuses_stale && self.is_held(key, was_held);
        let near = self.usable(key, options).filter(|_| is_held);
        if let Some(old) = near.filter(|copy| self.now >= copy.until) {
            return Some(self.covered((old, Source::L1)));
        }
        if let Some(seen) = self.read(key, options) {
            return Some(seen);
        }
        let old = self.fallback(key, options).filter(|_| is_held)?;
        Some(self.covered(old))
    }

    fn load_one(&mut self, key: usize, say: Say, old: Option<(Copy, Source)>, ask: Ask<'_>) -> Got {
        let held = old.as_ref().and_then(|(copy, _)| copy.value.clone());
        let brought = self.bring(key, say, held, ask, false);
        if let (Say::Error, Some(old)) = (say, &old) {
            self.hold_off(key, old, ask.options);
        }
        match (brought, old.filter(|_| !ask.options.refuses_stale)) {
            (Err(Failed), Some(old)) => Ok(self.covered(old)),
            (brought, _) => {
                self.counts.misses += 1;
                brought.map(Seen::loaded)
            }
        }
    }

    /// The older copy that serves where a load fails: what L2 has of the key, and if that may not be used, what L1 has.
    fn fallback(&self, key: usize, options: &Options) -> Option<(Copy, Source)> {
        let far = self.kept(key, options);
        let far = far.filter(|kept| self.now < kept.dead);
        let near = || Some((self.usable(key, options)?, Source::L1));
        far.map(|kept| (kept, Source::L2)).or_else(near)
    }

    /// The load of a key with an older copy has failed: it is left alone for a while, and the copy is at hand.
    fn hold_off(&mut self, key: usize, (copy, source): &(Copy, Source), options: &Options) {
        let at = self.now;
        let hold_off = self.hold_offs.entry(key);
        let hold_off = hold_off.or_insert(HoldOff { failures: 0, at });
        hold_off.failures += 1;
        hold_off.at = at;
        let near = self.near.as_mut().filter(|_| writes(options.l1));
        if let Some(near) = near.filter(|_| *source == Source::L2) {
            near.insert(key, copy.clone());
        }
    }

    /// It is shortened at random, by a quarter at most.
    fn is_held(&self, key: usize, was_held: bool) -> bool {
        let Some(HoldOff { failures, at }) = self.hold_offs.get(&key) else {
            return false;
        };
        let throttle = &self.settings.throttle;
        let longest = lived(throttle.hold_off) << (failures - 1);
        let longest = longest.min(lived(throttle.longest_hold_off));
        let passed = self.now - at;
        let (is_over, is_certain) = (passed >= longest, passed * 4 < longest * 3);
        !is_over && (is_certain || was_held)
    }

    /// A loader has answered; what it brings is stored.
    pub(super) fn bring(
        &mut self,
        key: usize,
        say: Say,
        held: Option<String>,
        ask: Ask<'_>,
        old_goes: bool,
    ) -> Result<Option<String>, Failed> {
        let options = ask.options;
        self.claim(key, options);
        self.counts.loads += 1;
        let found = || Some(ask.number.to_owned());
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
                self.counts.load_errors += 1;
                if say == Say::Unchanged {
                    self.hold_offs.remove(&key);
                }
                return Err(Failed);
            }
        };
        self.hold_offs.remove(&key);
        self.store(key, value.as_ref(), life, options, old_goes);
        Ok(value)
    }

    /// What is claimed in L2 lives as long as the claim at least.
    fn claim(&mut self, key: usize, options: &Options) {
        let far = self.far.as_mut().filter(|_| writes(options.l2));
        let copy = far.and_then(|far| far.get_mut(&key));
        if let Some(copy) = copy.filter(|copy| self.now < copy.gone) {
            let claimed = self.now + lived(self.settings.coherence.claim_life);
            copy.gone = copy.gone.max(claimed);
        }
    }

    /// What a refresh shows its loader: what is fresh in L1, or what L2 keeps, or what L1 has.
    pub(super) fn shown(&self, key: usize, options: &Options) -> Option<String> {
        let near = self.near(key, options);
        let copy = near.or_else(|| self.kept(key, options));
        copy.or_else(|| self.usable(key, options))?.value
    }
}

/// What a caller gets: an answer, or an error.
pub(super) type Got = Result<Seen, Failed>;

/// What a caller sees of an answer: the value, or that there is none; from where; and whether there is nothing newer, for
/// something has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) value: Option<String>,
    pub(super) source: Source,
    pub(super) is_stale: bool,
    pub(super) has_failed: bool,
}

impl Seen {
    pub(super) fn new(answer: Answer<String>) -> Self {
        Self {
            value: text(answer.value),
            source: answer.source,
            is_stale: answer.is_stale,
            has_failed: answer.failure.is_some(),
        }
    }

    pub(super) fn loaded(value: Option<String>) -> Self {
        Self {
            value,
            source: Source::Loader,
            is_stale: false,
            has_failed: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed;

pub(super) fn got(answer: tiered::Result<Answer<String>>) -> Got {
    answer.map(Seen::new).map_err(|_| Failed)
}

pub(super) fn text(value: Option<Arc<String>>) -> Option<String> {
    value.map(|value| value.to_string())
}

pub(super) fn reads(access: Access) -> bool {
    matches!(access, Access::ReadWrite | Access::ReadOnly)
}

pub(super) fn writes(access: Access) -> bool {
    matches!(access, Access::ReadWrite | Access::WriteOnly)
}

pub(super) fn lived(life: std::time::Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap()
}

pub(super) fn near_life(options: &Options, settings: &Settings) -> u64 {
    options
        .l1_ttl
        .or(settings.l1_ttl)
        .map_or(u64::MAX / 2, lived)
}
