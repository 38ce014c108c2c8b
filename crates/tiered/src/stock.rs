//! What an embedded store holds.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tiered_core::{Claim, Claimed, Hold, Kind, NewMark, Record, Seen, Tick, Version};

/// Each record is in both indexes; `bytes` is the sum over them.
#[derive(Default)]
pub(crate) struct Stock {
    pub(crate) records: HashMap<Arc<str>, Kept>,
    ends: BTreeSet<(Tick, Arc<str>)>,
    pub(crate) bytes: usize,
    pub(crate) marks: Marks,
}

pub(crate) struct Kept {
    pub(crate) record: Record,
    pub(crate) end: Tick,
    /// The claim on this record, where it is no placeholder itself.
    lock: Option<Lock>,
}

/// A claim on the record of this version.
#[derive(Clone, Copy)]
struct Lock {
    version: Version,
    /// `None`: nobody is to wait.
    token: Option<Version>,
    end: Tick,
}

/// What is to be done about a claim.
pub(crate) enum Verdict {
    /// Nothing.
    Is(Claimed),
    /// The record is to live as long as the claim at least.
    Lives,
    /// A placeholder takes its place.
    Replace,
}

impl Kept {
    pub(crate) fn new(record: Record, now: Tick, life: Duration) -> Self {
        let (end, lock) = (now.plus(whole_millis(life)), None);
        Self { record, end, lock }
    }

    fn claim(&mut self, claim: &Claim<'_>, now: Tick) -> Verdict {
        if matches!(self.record.kind(), Kind::Claim | Kind::Pass) {
            return self.claim_placeholder(claim);
        }
        let version = self.record.version();
        if claim.seen == Seen::Anything {
            self.record = self.record.with_version(claim.token);
        } else if version != claim.token {
            if claim.seen != Seen::Version(version) {
                return Verdict::Is(Claimed::Changed(self.record.clone()));
            }
            match self.lock(now).map(|lock| lock.token) {
                None => {}
                Some(None) => return Verdict::Lives,
                Some(Some(token)) if token == claim.token => {}
                Some(Some(_)) => return Verdict::Is(Claimed::Busy),
            }
        }
        self.lock = Some(Lock {
            version: self.record.version(),
            token: Some(claim.token),
            end: now.plus(whole_millis(claim.life)),
        });
        Verdict::Lives
    }

    fn claim_placeholder(&mut self, claim: &Claim<'_>) -> Verdict {
        let is_forced = claim.seen == Seen::Anything;
        if self.record.version() == claim.token {
            return Verdict::Lives;
        }
        if is_forced || self.record.mark() != Some(claim.mark) {
            return Verdict::Replace;
        }
        if self.record.kind() == Kind::Claim {
            return Verdict::Is(Claimed::Busy);
        }
        self.record = self.record.with_version(claim.token);
        Verdict::Lives
    }

    /// The claim still stands; it lives until then.
    pub(crate) fn renew(&mut self, hold: &Hold<'_>, now: Tick, end: Tick) -> bool {
        if self.record.version() != hold.held {
            return false;
        }
        if matches!(self.record.kind(), Kind::Claim | Kind::Pass) {
            return true;
        }
        match self.lock(now).map(|lock| lock.token) {
            Some(Some(token)) if token != hold.token => return false,
            Some(None) => return true,
            Some(Some(_)) | None => {}
        }
        let (version, token) = (hold.held, Some(hold.token));
        self.lock = Some(Lock {
            version,
            token,
            end,
        });
        true
    }

    /// Frees the lock, or leaves a pass until then.
    pub(crate) fn release(&mut self, hold: &Hold<'_>, pass: Option<Tick>) {
        if let Some(lock) = self.lock.filter(|lock| lock.token == Some(hold.token)) {
            self.lock = pass.map(|end| Lock {
                token: None,
                end,
                ..lock
            });
        }
    }

    /// The claim on the record as it is.
    fn lock(&self, now: Tick) -> Option<Lock> {
        let is_of = |lock: &Lock| lock.version == self.record.version() && now < lock.end;
        self.lock.filter(is_of)
    }
}

impl Stock {
    pub(crate) fn get(&self, key: &str, now: Tick) -> Option<&Record> {
        let kept = self.records.get(key)?;
        (now < kept.end).then_some(&kept.record)
    }

    pub(crate) fn claim(&mut self, claim: &Claim<'_>, now: Tick) -> Verdict {
        let Some(kept) = self.kept(claim.key, now) else {
            return Verdict::Replace;
        };
        let before = kept.record.bytes().len();
        let verdict = kept.claim(claim, now);
        // A record of less than a version grows by being given one.
        let growth = kept.record.bytes().len() - before;
        self.bytes += growth;
        verdict
    }

    pub(crate) fn kept(&mut self, key: &str, now: Tick) -> Option<&mut Kept> {
        self.records.get_mut(key).filter(|kept| now < kept.end)
    }

    /// Lets a record live until then at least.
    pub(crate) fn prolong(&mut self, key: &str, until: Tick) {
        let Some((key, _)) = self.records.get_key_value(key) else {
            return;
        };
        let key = key.clone();
        if let Some(kept) = self.records.get_mut(&key).filter(|kept| kept.end < until) {
            self.ends.remove(&(kept.end, key.clone()));
            kept.end = until;
            self.ends.insert((until, key));
        }
    }

    /// Expects that nothing is under this key.
    pub(crate) fn insert(&mut self, key: &str, kept: Kept) {
        let key: Arc<str> = key.into();
        self.bytes += key.len() + kept.record.bytes().len();
        self.ends.insert((kept.end, key.clone()));
        self.records.insert(key, kept);
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Kept> {
        let (key, kept) = self.records.remove_entry(key)?;
        self.bytes -= key.len() + kept.record.bytes().len();
        self.ends.remove(&(kept.end, key));
        Some(kept)
    }

    /// Takes out what has ended.
    pub(crate) fn reclaim(&mut self, now: Tick) {
        while let Some(key) = self.next_to_end(|end| end <= now) {
            self.remove(&key);
        }
    }

    /// Takes out what ends next, until at most `bytes` are left.
    pub(crate) fn make_room(&mut self, bytes: usize) {
        while self.bytes > bytes
            && let Some(key) = self.next_to_give_way()
        {
            self.remove(&key);
        }
    }

    fn next_to_end(&self, may: impl Fn(Tick) -> bool) -> Option<Arc<str>> {
        let (end, key) = self.ends.first()?;
        may(*end).then(|| key.clone())
    }

    /// Claims end soonest, and without them nothing could be stored: they give way only to each other.
    fn next_to_give_way(&self) -> Option<Arc<str>> {
        let keys = || self.ends.iter().map(|(_, key)| key);
        let is_placeholder = |key: &&Arc<str>| {
            let kept = self.records.get(*key);
            kept.is_some_and(|kept| matches!(kept.record.kind(), Kind::Claim | Kind::Pass))
        };
        let other = keys().find(|key| !is_placeholder(key));
        other.or_else(|| keys().next()).cloned()
    }
}

/// The marks of tags and namespaces.
#[derive(Default)]
pub(crate) struct Marks(HashMap<Box<str>, (Version, Tick)>);

impl Marks {
    const MOST: usize = 65_536;

    /// The mark there is; the given one, if there is none.
    pub(crate) fn read(&mut self, mark: &NewMark<'_>, now: Tick) -> Version {
        match self.0.get_mut(mark.name) {
            Some((version, end)) if now < *end => {
                // What is in use does not end: with it, all that carries it would.
                *end = now.plus(whole_millis(mark.life)).max(*end);
                *version
            }
            _ => {
                self.write(mark, now);
                mark.version
            }
        }
    }

    pub(crate) fn write(&mut self, mark: &NewMark<'_>, now: Tick) {
        if self.0.len() >= Self::MOST {
            self.0.retain(|_, (_, end)| now < *end);
        }
        if self.0.len() >= Self::MOST {
            // A mark that is gone is made anew and equals none that was: too much is removed, never too little.
            self.0.clear();
        }
        let end = now.plus(whole_millis(mark.life));
        self.0.insert(mark.name.into(), (mark.version, end));
    }
}

/// A life as a store takes it.
pub(crate) fn whole_millis(life: Duration) -> Duration {
    let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.max(1))
}
