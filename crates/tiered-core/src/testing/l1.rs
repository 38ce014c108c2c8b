//! The contract of [`L1`] as a function.

use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::{Begun, Bound, Clock, Entry, L1, ManualClock, Tick, Usage, Version};

const WEIGHT: u32 = 100;

/// Holds a tier against the contract written at [`L1`].
///
/// Give a fresh tier of its own. It needs room for 16 entries of 100 bytes; that it keeps to its bound is only seen
/// where that is below 10,000 such entries. Some entries are left in it.
///
/// ```
/// use tiered_core::{L1, testing};
///
/// fn my_tier_keeps_the_contract(tier: &dyn L1<u64, str>) {
///     testing::l1::contract(tier);
/// }
/// ```
///
/// # Panics
/// When a rule is broken; the message names it.
pub fn contract(l1: &dyn L1<u64, str>) {
    an_unknown_key_has_nothing(l1);
    some_of_what_is_inserted_can_be_read_back(l1);
    an_entry_is_replaced_as_a_whole(l1);
    an_entry_of_any_age_is_answered(l1);
    a_negative_entry_is_an_entry(l1);
    nothing_is_left_after_remove(l1);
    a_removal_leaves_other_keys_alone(l1);
    nothing_old_is_seen_among_threads(l1);
    it_keeps_to_its_bound(l1);
}

fn an_unknown_key_has_nothing(l1: &dyn L1<u64, str>) {
    for key in ["", "unknown"] {
        nothing("a key never inserted has nothing", l1.get(key).as_ref());
        nothing("a key never inserted has nothing", l1.remove(key).as_ref());
    }
}

fn some_of_what_is_inserted_can_be_read_back(l1: &dyn L1<u64, str>) {
    some_come_back(l1, "of a few entries at least one is kept", entry);
}

fn an_entry_is_replaced_as_a_whole(l1: &dyn L1<u64, str>) {
    let rule = "what is answered is what was inserted last, or nothing";
    for number in 0..50 {
        let entry = if number % 3 == 0 {
            negative(number)
        } else {
            entry(number)
        };
        l1.insert("replaced".to_owned(), entry.clone());
        nothing_but(rule, &entry, l1.get("replaced").as_ref());
        nothing_but(rule, &entry, l1.get("replaced").as_ref());
    }
}

fn an_entry_of_any_age_is_answered(l1: &dyn L1<u64, str>) {
    let rule = "an entry that is not fresh is answered like others";
    let dead = |number| Entry {
        stale_until: now().minus(Duration::from_secs(1)),
        fresh_until: now().minus(Duration::from_secs(2)),
        ..entry(number)
    };
    some_come_back(l1, rule, dead);
}

fn a_negative_entry_is_an_entry(l1: &dyn L1<u64, str>) {
    some_come_back(l1, "a negative entry is answered like others", negative);
}

fn nothing_is_left_after_remove(l1: &dyn L1<u64, str>) {
    for number in 0..50 {
        let entry = entry(number);
        l1.insert("removed".to_owned(), entry.clone());
        let rule = "`remove` answers with what was inserted last, or nothing";
        nothing_but(rule, &entry, l1.remove("removed").as_ref());
        nothing(
            "after `remove` there is nothing",
            l1.get("removed").as_ref(),
        );
        nothing(
            "after `remove` there is nothing",
            l1.remove("removed").as_ref(),
        );
    }
}

fn a_removal_leaves_other_keys_alone(l1: &dyn L1<u64, str>) {
    let rule = "a key is its own text, nothing in it is special";
    let keys = ["users:1", "users:11", "users", "", "Users", "*", "u*", "\0"];
    for (key, number) in keys.into_iter().zip(0..) {
        l1.insert(key.to_owned(), entry(number));
    }
    nothing_but(rule, &entry(0), l1.remove("users:1").as_ref());
    nothing_but(rule, &entry(5), l1.remove("*").as_ref());
    let left = keys
        .into_iter()
        .zip(0..)
        .filter(|(key, _)| !["users:1", "*"].contains(key));
    let kept =
        left.filter(|&(key, number)| nothing_but(rule, &entry(number), l1.get(key).as_ref()));
    assert!(kept.count() > 0, "L1: a removal leaves other keys alone");
}

/// One thread inserts ascending numbers, one removes, two read. `floor` is the least number that may
/// still be seen: an insert that has returned raises it to its own number, a removal above every insert that had
/// returned before the removal began.
fn nothing_old_is_seen_among_threads(l1: &dyn L1<u64, str>) {
    let race = &Race::new();
    thread::scope(|scope| {
        scope.spawn(move || race.read(l1));
        scope.spawn(move || race.read(l1));
        scope.spawn(move || race.remove(l1));
        scope.spawn(move || race.insert(l1));
    });
    let old = race.old.load(Ordering::SeqCst);
    let rule = "what was removed or replaced is never seen again";
    assert!(old == 0, "L1: {rule}: seen {old} times among threads");
}

struct Race {
    start: Barrier,
    inserted: AtomicU64,
    floor: AtomicU64,
    reads: AtomicU64,
    old: AtomicU64,
    is_over: AtomicBool,
}

impl Race {
    fn new() -> Self {
        Self {
            start: Barrier::new(4),
            inserted: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            old: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn insert(&self, l1: &dyn L1<u64, str>) {
        let _over = Over(&self.is_over);
        self.start.wait();
        for number in 1..=10_000 {
            l1.insert("raced".to_owned(), entry(number));
            self.inserted.store(number, Ordering::SeqCst);
            self.floor.fetch_max(number, Ordering::SeqCst);
            if number.is_multiple_of(15) {
                self.pause(number);
            }
        }
    }

    /// Lets the removal of this number return, and a read begin and end after it, however the threads are scheduled.
    fn pause(&self, number: u64) {
        while self.is_on() && self.floor.load(Ordering::SeqCst) <= number {
            thread::yield_now();
        }
        let reads = self.reads.load(Ordering::SeqCst);
        while self.is_on() && self.reads.load(Ordering::SeqCst) < reads + 3 {
            thread::yield_now();
        }
    }

    fn remove(&self, l1: &dyn L1<u64, str>) {
        let _over = Over(&self.is_over);
        self.start.wait();
        let mut removed = 0;
        while self.is_on() {
            let inserted = self.inserted.load(Ordering::SeqCst);
            if inserted == removed {
                thread::yield_now();
            } else {
                l1.remove("raced");
            }
            self.floor.fetch_max(inserted + 1, Ordering::SeqCst);
            removed = inserted;
        }
    }

    fn read(&self, l1: &dyn L1<u64, str>) {
        let _over = Over(&self.is_over);
        self.start.wait();
        while self.is_on() {
            let floor = self.floor.load(Ordering::SeqCst);
            let seen = l1.get("raced").and_then(|entry| entry.value);
            if seen.is_some_and(|number| *number < floor) {
                self.old.fetch_add(1, Ordering::SeqCst);
            }
            self.reads.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
        }
    }

    fn is_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }
}

/// Ends the race when a thread ends, also by a panic of the tier.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn it_keeps_to_its_bound(l1: &dyn L1<u64, str>) {
    for number in 0..10_000 {
        l1.insert(format!("bound:{number}"), entry(number));
    }
    let is_within = |usage: Usage| match l1.bound() {
        Bound::Entries(limit) => usage.entries <= limit && usage.weight == 0,
        Bound::Bytes(limit) => usage.weight <= limit,
    };
    // Usage may lag behind: a tier may do its housekeeping on a thread of its own.
    let settles = iter::repeat_with(|| l1.usage()).take(200).any(|usage| {
        is_within(usage) || {
            thread::sleep(Duration::from_millis(10));
            false
        }
    });
    assert!(
        settles,
        "L1: it keeps to its bound: {:?} of {:?}",
        l1.usage(),
        l1.bound()
    );
}

/// Inserts eight entries; all that is answered must be these, and something must.
fn some_come_back(l1: &dyn L1<u64, str>, rule: &str, make: impl Fn(u64) -> Entry<u64>) {
    let key = |number| format!("few:{number}");
    for number in 0..8 {
        l1.insert(key(number), make(number));
    }
    let kept =
        (0..8).filter(|&number| nothing_but(rule, &make(number), l1.get(&key(number)).as_ref()));
    assert!(kept.count() > 0, "L1: {rule}: nothing is");
}

fn nothing(rule: &str, found: Option<&Entry<u64>>) {
    assert!(found.is_none(), "L1: {rule}, not {found:?}");
}

/// Whether the entry is there; nothing else may be.
fn nothing_but(rule: &str, wanted: &Entry<u64>, found: Option<&Entry<u64>>) -> bool {
    let is_there = found.is_some();
    let is_right = found
        .as_ref()
        .is_none_or(|found| parts(found) == parts(wanted));
    assert!(is_right, "L1: {rule}: {found:?} is not {wanted:?}");
    is_there
}

type Parts = (Option<u64>, Version, Begun, [Tick; 3], [u32; 2]);

fn parts(entry: &Entry<u64>) -> Parts {
    let moments = [entry.created, entry.fresh_until, entry.stale_until];
    (
        entry.value.as_deref().copied(),
        entry.version,
        entry.begun,
        moments,
        [entry.load_millis, entry.weight],
    )
}

fn entry(number: u64) -> Entry<u64> {
    let now = now();
    let after = |seconds| now.plus(Duration::from_secs(seconds + number));
    Entry {
        value: Some(Arc::new(number)),
        version: Version::from_bytes(number.to_le_bytes()),
        begun: Begun::new(0, after(1)),
        created: after(2),
        fresh_until: after(60),
        stale_until: after(600),
        load_millis: 7,
        weight: WEIGHT,
        tags: None,
    }
}

fn negative(number: u64) -> Entry<u64> {
    Entry {
        value: None,
        ..entry(number)
    }
}

fn now() -> Tick {
    Clock::from(ManualClock::new()).now()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::panic;
    use std::sync::{Mutex, MutexGuard};

    use super::*;

    #[test]
    fn a_plain_map_keeps_the_contract() {
        contract(&Toy::new(""));
    }

    #[test]
    fn each_broken_rule_is_noticed() {
        for (fault, rule) in [
            ("forgets all", "of a few entries at least one is kept"),
            ("mixes up keys", "a key is its own text"),
            (
                "keeps the first",
                "what is answered is what was inserted last",
            ),
            ("judges age", "not fresh is answered like others"),
            ("drops negative entries", "a negative entry is answered"),
            (
                "answers the wrong removal",
                "`remove` answers with what was inserted",
            ),
            ("does not remove", "after `remove` there is nothing"),
            ("does not remove in a race", "never seen again"),
            ("has no bound", "it keeps to its bound"),
        ] {
            let broken = panic::catch_unwind(|| contract(&Toy::new(fault))).unwrap_err();
            let message = broken.downcast_ref::<String>().unwrap();
            assert!(message.contains(rule), "{fault}: {message}");
        }
    }

    /// A map in which one thing is done wrong.
    struct Toy {
        fault: &'static str,
        entries: Mutex<HashMap<String, Entry<u64>>>,
    }

    impl Toy {
        fn new(fault: &'static str) -> Self {
            let entries = Mutex::default();
            Self { fault, entries }
        }

        fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry<u64>>> {
            self.entries.lock().unwrap()
        }

        fn key(&self, key: &str) -> String {
            match self.fault {
                "mixes up keys" => key.to_lowercase(),
                _ => key.to_owned(),
            }
        }

        fn refuses(&self, key: &str, entry: &Entry<u64>) -> bool {
            match self.fault {
                "forgets all" => true,
                "keeps the first" => self.entries().contains_key(key),
                "drops negative entries" => entry.value.is_none(),
                _ => false,
            }
        }
    }

    impl L1<u64, str> for Toy {
        fn get(&self, key: &str) -> Option<Entry<u64>> {
            let found = self.entries().get(&self.key(key)).cloned()?;
            let is_dead = self.fault == "judges age" && found.is_dead(now());
            (!is_dead).then_some(found)
        }

        fn insert(&self, key: String, entry: Entry<u64>) {
            let key = self.key(&key);
            let refuses = self.refuses(&key, &entry);
            let mut entries = self.entries();
            if refuses {
                entries.retain(|other, _| *other != key || self.fault == "keeps the first");
                return;
            }
            if entries.len() >= 100 && self.fault != "has no bound" {
                entries.clear();
            }
            entries.insert(key, entry);
        }

        fn remove(&self, key: &str) -> Option<Entry<u64>> {
            match self.fault {
                "does not remove" => self.get(key),
                "does not remove in a race" if key == "raced" => None,
                "answers the wrong removal" => self.entries().remove(key).map(|_| entry(999)),
                _ => self.entries().remove(&self.key(key)),
            }
        }

        fn bound(&self) -> Bound {
            Bound::Entries(100)
        }

        fn usage(&self) -> Usage {
            let entries = self.entries().len() as u64;
            Usage { entries, weight: 0 }
        }
    }
}
