//! The store under test, and the questions that are put to it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::outcome::{Met, done, outcomes, same};
use super::sample::entry;
use super::{GONE, LONG};
use crate::{
    Claim, Claimed, Expiry, Fill, Hold, L2, NewMark, Random, Record, Seen, Stamp, Version, Write,
};

/// A store under test. Names become keys under the run's prefix, in whatever they are given; the empty name is the
/// empty key.
pub(super) struct Probe {
    store: Arc<dyn L2>,
    prefix: String,
    random: Random,
    /// That of the namespace, as all claimants know it who are not said to know another.
    mark: Version,
    written: Mutex<BTreeSet<String>>,
}

impl Probe {
    pub(super) fn new(store: Arc<dyn L2>) -> Self {
        let random = Random::new();
        Self {
            store,
            prefix: format!("tiered-contract:{:016x}:", random.bits()),
            mark: Version::random(&random),
            random,
            written: Mutex::default(),
        }
    }

    pub(super) fn version(&self) -> Version {
        Version::random(&self.random)
    }

    /// An entry that no other equals.
    pub(super) fn entry(&self, text: &str) -> Record {
        entry(self.version(), text)
    }

    /// A long claim under a token of its own.
    pub(super) fn wish<'a>(&self, key: &'a str, seen: Seen) -> Claim<'a> {
        Claim {
            key,
            seen,
            token: self.version(),
            mark: self.mark,
            life: LONG,
        }
    }

    pub(super) fn expiry<'a>(&self, key: &'a str) -> Expiry<'a> {
        let version = self.version();
        Expiry { key, version }
    }

    pub(super) fn new_mark<'a>(&self, name: &'a str) -> NewMark<'a> {
        let (version, life) = (self.version(), LONG);
        NewMark {
            name,
            version,
            life,
        }
    }

    fn keys<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let key = |name: &str| match name {
            "" => String::new(),
            name => self.prefixed(name),
        };
        names.map(key).collect()
    }

    fn prefixed(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn written(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The methods of the store.
impl Probe {
    pub(super) async fn set(&self, name: &str, record: &Record, life: Duration) {
        self.set_all(&[(name, record)], life).await;
    }

    pub(super) async fn set_all(&self, records: &[(&str, &Record)], life: Duration) {
        let keys = self.keys(records.iter().map(|(name, _)| *name));
        self.written().extend(keys.iter().cloned());
        let writes: Vec<_> = keys
            .iter()
            .zip(records)
            .map(|(key, &(_, record))| Write {
                key,
                record: record.clone(),
                life,
            })
            .collect();
        outcomes("set_many", writes.len(), self.store.set_many(&writes).await);
    }

    pub(super) async fn get(&self, names: &[&str]) -> Vec<Option<Record>> {
        let keys = self.keys(names.iter().copied());
        let found = self.store.get_many(&refs(&keys)).await;
        outcomes("get_many", keys.len(), found)
    }

    pub(super) async fn heads(&self, names: &[&str]) -> Vec<Option<Record>> {
        let keys = self.keys(names.iter().copied());
        let found = self.store.heads_many(&refs(&keys)).await;
        outcomes("heads_many", keys.len(), found)
    }

    pub(super) async fn remove(&self, names: &[&str]) -> Vec<Option<Record>> {
        let keys = self.keys(names.iter().copied());
        let found = self.store.remove_many(&refs(&keys)).await;
        outcomes("remove_many", keys.len(), found)
    }

    pub(super) async fn expire(&self, expiries: &[Expiry<'_>]) -> Vec<Option<Record>> {
        let keys = self.keys(expiries.iter().map(|expiry| expiry.key));
        let keyed = keys.iter().zip(expiries);
        let expiries: Vec<_> = keyed
            .map(|(key, expiry)| Expiry { key, ..*expiry })
            .collect();
        let found = self.store.expire_many(&expiries).await;
        outcomes("expire_many", keys.len(), found)
    }

    /// What is granted is the version that the record has then.
    pub(super) async fn claim(&self, claims: &[Claim<'_>]) -> Vec<Met> {
        let keys = self.keys(claims.iter().map(|claim| claim.key));
        self.written().extend(keys.iter().cloned());
        let keyed = keys.iter().zip(claims);
        let claims: Vec<_> = keyed.map(|(key, claim)| Claim { key, ..*claim }).collect();
        let claimed = self.store.claim_many(&claims).await;
        let claimed = outcomes("claim_many", keys.len(), claimed);
        let found = self.store.get_many(&refs(&keys)).await;
        let found = outcomes("get_many", keys.len(), found);
        for (at, (claimed, found)) in claimed.iter().zip(&found).enumerate() {
            let is_last = !keys
                .iter()
                .skip(at + 1)
                .any(|later| Some(later) == keys.get(at));
            if let (Claimed::Granted(held), true) = (claimed, is_last) {
                let version = found.as_ref().map(Record::version);
                let rule = "what is granted is the version that the record has";
                same(rule, &[*held], &[version.unwrap_or(*held)]);
            }
        }
        claimed.into_iter().map(Met::from).collect()
    }

    pub(super) async fn fill(&self, fills: &[Fill<'_>]) -> Vec<bool> {
        let keys = self.keys(fills.iter().map(|fill| fill.hold.key));
        self.written().extend(keys.iter().cloned());
        let keyed = keys.iter().zip(fills);
        let fills: Vec<_> = keyed
            .map(|(key, fill)| Fill {
                hold: Hold { key, ..fill.hold },
                ..fill.clone()
            })
            .collect();
        let stored = self.store.fill_many(&fills).await;
        outcomes("fill_many", keys.len(), stored)
    }

    pub(super) async fn renew(&self, holds: &[Hold<'_>], life: Duration) -> Vec<bool> {
        let keys = self.keys(holds.iter().map(|hold| hold.key));
        let stands = self.store.renew_many(&keyed(holds, &keys), life).await;
        outcomes("renew_many", keys.len(), stands)
    }

    pub(super) async fn release(&self, holds: &[Hold<'_>], pass: Option<Duration>) {
        let keys = self.keys(holds.iter().map(|hold| hold.key));
        self.written().extend(keys.iter().cloned());
        let released = self.store.release_many(&keyed(holds, &keys), pass).await;
        outcomes("release_many", keys.len(), released);
    }

    pub(super) async fn read_marks(&self, marks: &[NewMark<'_>]) -> Vec<Version> {
        let names = self.names(marks);
        let read = self.store.read_marks(&named(marks, &names)).await;
        let read = done("read_marks", read).into_iter().map(Ok).collect();
        outcomes("read_marks", names.len(), read)
    }

    pub(super) async fn write_marks(&self, marks: &[NewMark<'_>]) {
        let names = self.names(marks);
        let written = self.store.write_marks(&named(marks, &names)).await;
        done("write_marks", written);
    }

    pub(super) async fn time(&self) -> Stamp {
        done("time", self.store.time().await)
    }

    fn names(&self, marks: &[NewMark<'_>]) -> Vec<String> {
        marks.iter().map(|mark| self.prefixed(mark.name)).collect()
    }
}

/// What must hold.
impl Probe {
    /// Asks for records and for their heads, in one batch each.
    pub(super) async fn holds(&self, rule: &str, want: &[(&str, Option<&Record>)]) {
        let names: Vec<_> = want.iter().map(|(name, _)| *name).collect();
        let records: Vec<_> = want.iter().map(|(_, record)| record.cloned()).collect();
        same(rule, &self.get(&names).await, &records);
        let head = |record: &Option<Record>| record.as_ref().map(Record::head);
        let heads: Vec<_> = records.iter().map(head).collect();
        same(rule, &self.heads(&names).await, &heads);
    }

    /// The claim is answered like this.
    pub(super) async fn meets(&self, rule: &str, claim: Claim<'_>, want: Met) {
        same(rule, &self.claim(&[claim]).await, &[want]);
    }

    /// Whoever reads the key and then claims what is there is answered like this.
    pub(super) async fn next_meets(&self, rule: &str, key: &str, want: Met) {
        let found = self.get(&[key]).await.pop().flatten();
        let seen = found.map_or(Seen::Nothing, |record| Seen::Version(record.version()));
        self.meets(rule, self.wish(key, seen), want).await;
    }

    /// A claim that is granted, of the key as it is seen.
    pub(super) async fn granted<'a>(&self, key: &'a str, seen: Seen) -> Claim<'a> {
        let claim = self.wish(key, seen);
        let rule = "what nobody has claimed is granted";
        self.meets(rule, claim, Met::Granted).await;
        claim
    }

    /// A claim on a value that is put there for it, or else on nothing.
    pub(super) async fn granted_on<'a>(&self, key: &'a str, value: Option<&Record>) -> Claim<'a> {
        self.remove(&[key]).await;
        let Some(value) = value else {
            return self.granted(key, Seen::Nothing).await;
        };
        self.set(key, value, LONG).await;
        self.granted(key, Seen::Version(value.version())).await
    }

    /// Whoever holds this can fill.
    pub(super) async fn stores(&self, rule: &str, hold: Hold<'_>) {
        let rule = &format!("{rule}, and whoever holds it can fill");
        let record = self.entry("filled");
        same(rule, &self.fill(&[filling(hold, &record)]).await, &[true]);
        self.holds(rule, &[(hold.key, Some(&record))]).await;
    }

    /// Whoever held this cannot fill, and changes nothing by trying.
    pub(super) async fn refuses(&self, rule: &str, hold: Hold<'_>) {
        let rule = &format!("{rule}, and a fill without it is refused");
        let before = self.get(&[hold.key]).await;
        let late = self.entry("late");
        same(rule, &self.fill(&[filling(hold, &late)]).await, &[false]);
        same(rule, &self.get(&[hold.key]).await, &before);
    }

    /// The claim stands, or not; renewing it changes no record.
    pub(super) async fn stands(&self, rule: &str, hold: Hold<'_>, want: bool) {
        let what = if want {
            "what stands can"
        } else {
            "what is lost cannot"
        };
        let rule = &format!("{rule}, and {what} be renewed");
        let before = self.get(&[hold.key]).await;
        same(rule, &self.renew(&[hold], LONG).await, &[want]);
        same(rule, &self.get(&[hold.key]).await, &before);
    }

    /// Of these two, exactly one can fill, whichever it is.
    pub(super) async fn one_stores(&self, rule: &str, holds: [Hold<'_>; 2]) {
        let [Hold { key, .. }, _] = holds;
        let records = [self.entry("one"), self.entry("other")];
        let mut stored = Vec::new();
        for (hold, record) in holds.into_iter().zip(&records) {
            let is_stored = self.fill(&[filling(hold, record)]).await == [true];
            stored.extend(is_stored.then_some(record));
        }
        same(rule, &[stored.len() == 1], &[true]);
        self.holds(rule, &[(key, stored.first().copied())]).await;
    }

    /// Removes what was written, whether it is still there or not.
    pub(super) async fn leave(&self) {
        let keys: Vec<_> = self.written().iter().cloned().collect();
        let keys = refs(&keys);
        let removed = self.store.remove_many(&keys).await;
        outcomes("remove_many", keys.len(), removed);
        let left = self.store.get_many(&keys).await;
        let left = outcomes("get_many", keys.len(), left);
        same(GONE, &left, &vec![None; keys.len()]);
    }
}

/// A claim of nothing, of what is there, or of anything, once it is granted.
pub(super) trait Holding<'a> {
    fn hold(&self) -> Hold<'a>;
}

impl<'a> Holding<'a> for Claim<'a> {
    fn hold(&self) -> Hold<'a> {
        let held = match self.seen {
            Seen::Version(version) => version,
            Seen::Nothing | Seen::Anything => self.token,
        };
        let (key, token) = (self.key, self.token);
        Hold { key, held, token }
    }
}

/// A long fill.
pub(super) fn filling<'a>(hold: Hold<'a>, record: &Record) -> Fill<'a> {
    let (record, life) = (record.clone(), LONG);
    Fill { hold, record, life }
}

pub(super) fn refs(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

fn keyed<'a>(holds: &[Hold<'_>], keys: &'a [String]) -> Vec<Hold<'a>> {
    let keyed = keys.iter().zip(holds);
    keyed.map(|(key, hold)| Hold { key, ..*hold }).collect()
}

fn named<'a>(marks: &[NewMark<'_>], names: &'a [String]) -> Vec<NewMark<'a>> {
    let marks = names.iter().zip(marks);
    marks
        .map(|(name, mark)| NewMark { name, ..*mark })
        .collect()
}
