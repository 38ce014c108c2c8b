//! A store as plain as can be, in which one thing is done wrong.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use super::LONG;
use super::outcome::Met;
use super::sample::record;
use crate::{
    Backplane, Claim, Claimed, Clock, Error, ErrorKind, Expiry, Fill, Hold, Kind, L2, NewMark,
    Record, Result, Stamp, Tick, Version, Write,
};

/// A map in which one thing is done wrong; nothing, if the fault is empty.
pub(super) struct Toy {
    fault: &'static str,
    pub(super) clock: Clock,
    records: Mutex<HashMap<String, Kept>>,
    marks: Mutex<HashMap<String, (Version, Tick)>>,
    /// How often it was asked for the time.
    asked_time: AtomicU64,
}

#[derive(Clone)]
pub(super) struct Kept {
    pub(super) record: Record,
    pub(super) end: Tick,
    /// The claim beside the record.
    pub(super) lock: Option<Lock>,
}

#[derive(Clone, Copy)]
pub(super) struct Lock {
    pub(super) version: Version,
    /// `None`: a pass.
    pub(super) token: Option<Version>,
    pub(super) end: Tick,
}

impl Toy {
    pub(super) fn new(fault: &'static str, clock: impl Into<Clock>) -> Self {
        Self {
            fault,
            clock: clock.into(),
            records: Mutex::default(),
            marks: Mutex::default(),
            asked_time: AtomicU64::new(0),
        }
    }

    pub(super) fn records(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.records.lock().unwrap()
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<String, (Version, Tick)>> {
        self.marks.lock().unwrap()
    }

    pub(super) fn is(&self, fault: &str) -> bool {
        self.fault == fault
    }

    pub(super) fn end(&self, life: Duration) -> Tick {
        self.clock.now().plus(life)
    }

    fn key(&self, key: &str) -> String {
        match key {
            key if self.is("trims keys") => key.trim_end().to_owned(),
            key => key.to_owned(),
        }
    }

    fn asked<'a>(&self, keys: &[&'a str]) -> Vec<&'a str> {
        let mut keys = keys.to_vec();
        if self.is("answers in order of keys") {
            keys.sort_unstable();
        }
        if self.is("answers a key once") {
            let mut met = BTreeSet::new();
            keys.retain(|key| met.insert(*key));
        }
        if self.is("cuts large batches") {
            keys.truncate(1_000);
        }
        keys
    }

    /// What `act` does with each item, in order, unless that is what is wrong.
    fn each<I, T>(&self, items: &[I], act: impl FnMut(&I) -> T) -> Vec<Result<T>> {
        let backwards = self.is("does the fence's batches backwards");
        let mut done: Vec<_> = if backwards {
            items.iter().rev().map(act).map(Ok).collect()
        } else {
            items.iter().map(act).map(Ok).collect()
        };
        if backwards || self.is("answers the fence's batches backwards") {
            done.reverse();
        }
        if self.is("cuts the fence's batches") {
            done.truncate(1_000);
        }
        done
    }
}

/// Records.
impl Toy {
    pub(super) fn kept(&self, key: &str) -> Option<Kept> {
        let found = self.records().get(&self.key(key)).cloned();
        found.filter(|kept| self.clock.now() < kept.end || self.is("never forgets"))
    }

    fn get(&self, key: &str) -> Result<Option<Record>> {
        if self.is("fails for NUL") && key.contains('\0') {
            return Err(Error::new(ErrorKind::Unavailable, "no such key"));
        }
        match self.kept(key) {
            None if self.is("finds what is not there") => Ok(Some(record("x"))),
            Some(kept) if self.is("hides placeholders") && is_placeholder(&kept.record) => Ok(None),
            found => Ok(found.map(|kept| kept.record)),
        }
    }

    pub(super) fn set(&self, write: &Write<'_>) {
        let mut records = self.records();
        let mut end = self.end(write.life);
        let before = records.get(write.key);
        if self.is("forgets the centuries") && write.life > LONG {
            end = self.clock.now();
        }
        if let Some(before) = before.filter(|_| self.is("keeps the first life")) {
            end = before.end;
        }
        // Remembering the claim is harmless, as it counts for its version only: unless that is what is wrong.
        let lock = before.and_then(|before| before.lock);
        if before.is_none() || !self.is("keeps the first") {
            let record = write.record.clone();
            records.insert(self.key(write.key), Kept { record, end, lock });
        }
    }

    pub(super) fn remove(&self, key: &str) -> Option<Record> {
        let found = if self.is("forgets on reads only") {
            self.records().get(key).map(|kept| kept.record.clone())
        } else {
            self.get(key).unwrap()
        };
        self.records().remove(&self.key(key));
        if self.is("removes by prefix") {
            self.records().retain(|other, _| !other.starts_with(key));
        }
        found.map(|record| record.head())
    }

    fn expire(&self, expiry: &Expiry<'_>) -> Option<Record> {
        let mut kept = self.kept(expiry.key)?;
        let before = kept.record.clone();
        let Some(expired) = before.expired(expiry.version) else {
            if !self.stays_when_expired(&before) {
                self.remove(expiry.key);
            }
            return Some(before.head());
        };
        kept.record = match before.kind() {
            _ if self.is("expires under the old version") => expired.with_version(before.version()),
            _ if self.is("expires and stays fresh") => before.with_version(expiry.version),
            _ if self.is("expires the head only") => expired.head(),
            Kind::Stale if self.is("expires once") => before.clone(),
            _ => expired,
        };
        let after = kept.record.head();
        if self.is("expires into a new life") {
            kept.end = self.end(LONG);
        }
        self.records().insert(expiry.key.to_owned(), kept);
        let is_after = self.is("answers what it expired to");
        Some(if is_after { after } else { before.head() })
    }

    fn stays_when_expired(&self, record: &Record) -> bool {
        match record.kind() {
            Kind::Claim => self.is("expiry keeps placeholders"),
            Kind::Pass => self.is("expiry keeps passes"),
            _ => self.is("expiry keeps foreign bytes"),
        }
    }
}

/// Marks.
impl Toy {
    fn read_mark(&self, mark: &NewMark<'_>) -> Version {
        let found = self.marks().get(mark.name).copied();
        let lives = |end| self.clock.now() < end || self.is("marks have no end");
        let Some((version, _)) = found.filter(|(_, end)| lives(*end)) else {
            if !self.is("makes no mark") {
                self.put_mark(mark);
            }
            return mark.version;
        };
        if self.is("reading gives a mark a new life") {
            self.put_mark(&NewMark { version, ..*mark });
        }
        version
    }

    fn put_mark(&self, mark: &NewMark<'_>) {
        let end = self.end(mark.life);
        if self.is("keeps marks among keys") {
            let (record, lock) = (record("mark"), None);
            let kept = Kept { record, end, lock };
            self.records().insert(mark.name.to_owned(), kept);
        }
        let mut marks = self.marks();
        let mark_end = match marks.get(mark.name) {
            Some((_, end)) if self.is("writes no new life of marks") => *end,
            _ => end,
        };
        marks.insert(mark.name.to_owned(), (mark.version, mark_end));
    }

    fn write_mark(&self, mark: &NewMark<'_>) {
        let is_there = self.marks().contains_key(mark.name);
        if !(is_there && self.is("writes only missing marks")) {
            self.put_mark(mark);
        }
    }
}

/// The clock.
impl Toy {
    fn told(&self) -> Stamp {
        let (wall, begin) = (self.clock.wall(), Tick::from_nanos(0));
        let age = self.clock.now().since(begin);
        let asked = self.asked_time.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            "tells an earlier time each time" => wall.minus(Duration::from_millis(asked)),
            "tells the time of its beginning" => wall.minus(age),
            "tells the time backwards" => wall.minus(age * 2),
            "tells a time that runs" => wall.plus(age * 100),
            "tells the time in seconds" => Stamp::from_millis(wall.millis() / 1_000),
            "tells the time in microseconds" => Stamp::from_millis(wall.millis() * 1_000),
            "tells its age" => Stamp::from_millis(0).plus(age),
            _ => wall,
        }
    }
}

pub(super) fn is_placeholder(record: &Record) -> bool {
    matches!(record.kind(), Kind::Claim | Kind::Pass)
}

#[async_trait]
impl L2 for Toy {
    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        let keys = self.asked(keys).into_iter();
        keys.map(|key| self.get(key)).collect()
    }

    async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        let whole = self.is("answers whole records for heads");
        let head = |record: Record| if whole { record } else { record.head() };
        let keys = self.asked(keys).into_iter();
        keys.map(|key| Ok(self.get(key)?.map(head))).collect()
    }

    async fn set_many(&self, writes: &[Write<'_>]) -> Vec<Result<()>> {
        let mut order: Vec<_> = writes.iter().collect();
        if self.is("writes a batch backwards") {
            order.reverse();
        }
        for write in order {
            self.set(write);
        }
        writes.iter().map(|_| Ok(())).collect()
    }

    async fn remove_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        let removed: HashMap<_, _> = keys.iter().map(|key| (*key, self.get(key))).collect();
        let twice = self.is("counts a removal twice");
        let remove = |key| {
            let found = self.remove(key);
            if twice {
                removed[key].clone()
            } else {
                Ok(found)
            }
        };
        keys.iter().map(|key| remove(*key)).collect()
    }

    async fn expire_many(&self, expiries: &[Expiry<'_>]) -> Vec<Result<Option<Record>>> {
        self.each(expiries, |expiry| self.expire(expiry))
    }

    async fn claim_many(&self, claims: &[Claim<'_>]) -> Vec<Result<Claimed>> {
        self.each(claims, |claim| match self.claim(claim) {
            Met::Granted => {
                let kept = self
                    .kept(claim.key)
                    .filter(|_| !self.is("grants the wrong version"));
                Claimed::Granted(kept.map_or(claim.mark, |kept| kept.record.version()))
            }
            Met::Busy => Claimed::Busy,
            Met::Changed(record) => Claimed::Changed(record),
        })
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Vec<Result<bool>> {
        self.each(fills, |fill| self.fill(fill))
    }

    async fn renew_many(&self, holds: &[Hold<'_>], life: Duration) -> Vec<Result<bool>> {
        self.each(holds, |hold| self.renew(hold, life))
    }

    async fn release_many(&self, holds: &[Hold<'_>], pass: Option<Duration>) -> Vec<Result<()>> {
        self.each(holds, |hold| self.release(hold, pass))
    }

    async fn read_marks(&self, marks: &[NewMark<'_>]) -> Result<Vec<Version>> {
        let mut read: Vec<_> = marks.iter().map(|mark| self.read_mark(mark)).collect();
        if self.is("answers marks backwards") {
            read.reverse();
        }
        Ok(read)
    }

    async fn write_marks(&self, marks: &[NewMark<'_>]) -> Result<()> {
        for mark in marks {
            self.write_mark(mark);
        }
        Ok(())
    }

    async fn time(&self) -> Result<Stamp> {
        Ok(self.told())
    }

    fn backplane(&self) -> Option<Arc<dyn Backplane>> {
        None
    }
}
