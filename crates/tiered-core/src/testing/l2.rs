//! The contract of [`L2`] as a function.
#![expect(
    clippy::panic,
    reason = "a broken rule ends the caller's test with a panic that names it"
)]

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{L2, Random, Record, Result, Write};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(40);
/// Longer than `SHORT` by more than the resolution of any clock.
const PAUSE: Duration = Duration::from_millis(150);

const GONE: &str = "what was removed is not found";

const ODD_KEYS: &[&str] = &[
    "", " ", "  ", "a b", "\r\n", "a\r\n", "\r\nGET", "\0", "a\0", "a\0b", "🦀", "é", "e\u{301}",
    "{}", "{a}", "{a}b", "*", "a*", "?", "[a]", "%s", "%00", "$1", "\"", "'", "\\", "/", "../a",
    ":", "a", "A",
];

/// Holds a store against the contract written at [`L2`], but for what takes a broken server to show.
///
/// `pass` lets so much of the store's time go by: give `tokio::time::sleep` for a store that runs on the machine's
/// clock, or move a [`ManualClock`](crate::ManualClock).
///
/// The store may be in use by others. Touched are the empty key and keys under a random prefix of this run's own;
/// they are removed at the end. The store needs room for 4 MiB.
///
/// ```
/// use std::{future::ready, sync::Arc};
/// use tiered_core::{L2, ManualClock, testing};
///
/// async fn my_store_keeps_the_contract(store: Arc<dyn L2>, clock: ManualClock) {
///     testing::l2::contract(store, |time| {
///         clock.advance(time);
///         ready(())
///     }).await;
/// }
/// ```
///
/// # Panics
/// When a rule is broken; the message names it.
pub async fn contract<F, Fut>(store: Arc<dyn L2>, pass: F)
where
    F: Fn(Duration) -> Fut,
    Fut: Future<Output = ()>,
{
    let probe = &Probe::new(store);
    nothing_is_found_where_nothing_was_written(probe).await;
    records_come_back_byte_for_byte(probe).await;
    answers_come_in_the_order_of_the_keys(probe).await;
    no_keys_are_no_work(probe).await;
    a_write_replaces_what_was_there(probe).await;
    the_last_write_of_a_batch_stays(probe).await;
    a_removal_answers_with_what_was_there(probe).await;
    a_removal_leaves_other_keys_alone(probe).await;
    keys_are_any_text(probe).await;
    a_large_batch_has_an_outcome_for_each_key(probe).await;
    lives_begin(probe).await;
    pass(PAUSE).await;
    a_record_is_gone_after_its_life(probe).await;
    an_overwrite_brings_its_own_life(probe).await;
    a_life_is_a_moment_or_decades(probe).await;
    probe.leave().await;
}

async fn nothing_is_found_where_nothing_was_written(probe: &Probe) {
    let rule = "a missing record is `Ok(None)`";
    probe.holds(rule, &[("never", None)]).await;
    same(rule, &probe.remove(&["never"]).await, &[None]);
}

async fn records_come_back_byte_for_byte(probe: &Probe) {
    let samples = samples();
    let names: Vec<_> = (0..samples.len()).map(|at| at.to_string()).collect();
    let batch: Vec<_> = refs(&names).into_iter().zip(&samples).collect();
    probe.set_all(&batch, LONG).await;
    let rule = "records are any bytes and come back as they were, their first 64 bytes as heads";
    probe.holds(rule, &all(&batch)).await;
    for (_, record) in batch {
        probe.set("alone", record, LONG).await;
        probe.holds(rule, &[("alone", Some(record))]).await;
    }
}

async fn answers_come_in_the_order_of_the_keys(probe: &Probe) {
    let (one, two) = (&record("one"), &record("two"));
    probe.set_all(&[("one", one), ("two", two)], LONG).await;
    let batch = [
        ("two", Some(two)),
        ("nobody", None),
        ("one", Some(one)),
        ("two", Some(two)),
        ("nobody", None),
    ];
    let rule = "each key has one outcome, in their order, and may occur twice";
    probe.holds(rule, &batch).await;
}

async fn no_keys_are_no_work(probe: &Probe) {
    probe.set_all(&[], LONG).await;
    probe.holds("no keys, no outcomes", &[]).await;
    same("no keys, no outcomes", &probe.remove(&[]).await, &[]);
}

async fn a_write_replaces_what_was_there(probe: &Probe) {
    let rule = "a write is in place of what was there, as a whole";
    for text in ["first", "longer than the first", "short", "s", "last"] {
        let record = record(text);
        probe.set("over", &record, LONG).await;
        probe.holds(rule, &[("over", Some(&record))]).await;
    }
}

async fn the_last_write_of_a_batch_stays(probe: &Probe) {
    let (first, other, last) = (&record("first"), &record("other"), &record("last"));
    let batch = [("twice", first), ("other", other), ("twice", last)];
    probe.set_all(&batch, LONG).await;
    let rule = "of two writes to one key the later takes effect later";
    let want = [("twice", Some(last)), ("other", Some(other))];
    probe.holds(rule, &want).await;
}

async fn a_removal_answers_with_what_was_there(probe: &Probe) {
    let rule = "a removal answers with the head of what was there, once";
    for record in &samples() {
        probe.set("gone", record, LONG).await;
        same(rule, &probe.remove(&["gone"]).await, &[Some(record.head())]);
        same(rule, &probe.remove(&["gone"]).await, &[None]);
        probe.holds(GONE, &[("gone", None)]).await;
    }
    let record = &record("counted once");
    probe.set("gone", record, LONG).await;
    let removed = probe.remove(&["gone", "nobody", "gone", "gone"]).await;
    let found: Vec<_> = removed.into_iter().flatten().collect();
    assert!(found.len() == 1, "L2: {rule}, not {} times", found.len());
}

async fn a_removal_leaves_other_keys_alone(probe: &Probe) {
    let names = [
        "users:1",
        "users",
        "users:11",
        "users:1:a",
        "usersAbc",
        "Users",
    ];
    let records = names.map(record);
    let batch: Vec<_> = names.into_iter().zip(&records).collect();
    probe.set_all(&batch, LONG).await;
    let removed = probe.remove(&["users:1", "users"]).await;
    let heads = ["users:1", "users"].map(|name| Some(record(name)));
    same("a removal answers for its own key", &removed, &heads);
    let mut want = all(&batch);
    want.iter_mut()
        .take(2)
        .for_each(|(_, record)| *record = None);
    let rule = "a removal leaves other keys alone";
    probe.holds(rule, &want).await;
}

async fn keys_are_any_text(probe: &Probe) {
    let long = ["k".repeat(4_096), "k".repeat(4_097)];
    let names = [ODD_KEYS, &refs(&long)].concat();
    let records: Vec<_> = names
        .iter()
        .map(|name| record(&format!("under {name}")))
        .collect();
    let batch: Vec<_> = names.into_iter().zip(&records).collect();
    probe.set_all(&batch, LONG).await;
    let mut want = all(&batch);
    probe.holds("keys are any UTF-8, any length", &want).await;
    let rule = "a key is its own bytes, nothing in it is special";
    while let Some((name, record)) = want.pop() {
        same(
            rule,
            &probe.remove(&[name]).await,
            &[record.map(Record::head)],
        );
        probe.holds(GONE, &[(name, None)]).await;
        probe.holds(rule, &want).await;
    }
}

async fn a_large_batch_has_an_outcome_for_each_key(probe: &Probe) {
    let names: Vec<_> = (0..2_000).map(|number| format!("many:{number}")).collect();
    let records: Vec<_> = names.iter().map(|name| record(name)).collect();
    let batch: Vec<_> = refs(&names).into_iter().zip(&records).collect();
    probe.set_all(&batch, LONG).await;
    let rule = "a batch may be large, each key has its own outcome";
    probe.holds(rule, &all(&batch)).await;
    let every_third: Vec<_> = refs(&names).into_iter().step_by(3).collect();
    probe.remove(&every_third).await;
    let mut want = all(&batch);
    want.iter_mut()
        .step_by(3)
        .for_each(|(_, record)| *record = None);
    probe.holds(rule, &want).await;
    let heads: Vec<_> = want
        .iter()
        .map(|(_, record)| record.map(Record::head))
        .collect();
    same(rule, &probe.remove(&refs(&names)).await, &heads);
}

/// Writes what the functions after this one find when `PAUSE` has passed.
async fn lives_begin(probe: &Probe) {
    let (first, second) = (&record("first"), &record("second"));
    // One key for each method: a store may notice the end of a life at the first touch only.
    let passing = ["got", "headed", "removed"].map(|name| (name, first));
    probe.set_all(&passing, SHORT).await;
    probe.set("lasting", first, LONG).await;
    for (life, next_life, names) in [
        (LONG, SHORT, ["shorter", "shorter again"]),
        (SHORT, LONG, ["longer", "longer again"]),
    ] {
        probe.set_all(&names.map(|name| (name, first)), life).await;
        probe.remove(&names[1..]).await;
        probe
            .set_all(&names.map(|name| (name, second)), next_life)
            .await;
    }
    probe.set("moment", first, Duration::from_millis(1)).await;
    let decades = Duration::from_secs(34 * 365 * 24 * 60 * 60);
    probe.set("decades", first, decades).await;
}

async fn a_record_is_gone_after_its_life(probe: &Probe) {
    let rule = "a record whose life has ended is not answered";
    same(rule, &probe.get(&["got"]).await, &[None]);
    same(rule, &probe.heads(&["headed"]).await, &[None]);
    same(rule, &probe.remove(&["removed"]).await, &[None]);
    let rule = "a record stays until its life ends";
    let first = &record("first");
    probe.holds(rule, &[("lasting", Some(first))]).await;
}

async fn an_overwrite_brings_its_own_life(probe: &Probe) {
    let rule = "a write brings its own life";
    let gone = ["shorter", "shorter again"].map(|name| (name, None));
    probe.holds(rule, &gone).await;
    let second = &record("second");
    let here = ["longer", "longer again"].map(|name| (name, Some(second)));
    probe.holds(rule, &here).await;
}

async fn a_life_is_a_moment_or_decades(probe: &Probe) {
    let rule = "a life is one millisecond at least, and may be decades";
    let first = &record("first");
    let want = [("moment", None), ("decades", Some(first))];
    probe.holds(rule, &want).await;
}

/// A store under test. Names become keys under the run's prefix; the empty name is the empty key.
struct Probe {
    store: Arc<dyn L2>,
    prefix: String,
    written: Mutex<BTreeSet<String>>,
}

impl Probe {
    fn new(store: Arc<dyn L2>) -> Self {
        Self {
            store,
            prefix: format!("tiered-contract:{:016x}:", Random::new().bits()),
            written: Mutex::default(),
        }
    }

    async fn set(&self, name: &str, record: &Record, life: Duration) {
        self.set_all(&[(name, record)], life).await;
    }

    async fn set_all(&self, records: &[(&str, &Record)], life: Duration) {
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

    async fn get(&self, names: &[&str]) -> Vec<Option<Record>> {
        let keys = self.keys(names.iter().copied());
        let found = self.store.get_many(&refs(&keys)).await;
        outcomes("get_many", keys.len(), found)
    }

    async fn heads(&self, names: &[&str]) -> Vec<Option<Record>> {
        let keys = self.keys(names.iter().copied());
        let found = self.store.heads_many(&refs(&keys)).await;
        outcomes("heads_many", keys.len(), found)
    }

    async fn remove(&self, names: &[&str]) -> Vec<Option<Record>> {
        let keys = self.keys(names.iter().copied());
        let found = self.store.remove_many(&refs(&keys)).await;
        outcomes("remove_many", keys.len(), found)
    }

    /// Asks for records and for their heads, in one batch each.
    async fn holds(&self, rule: &str, want: &[(&str, Option<&Record>)]) {
        let names: Vec<_> = want.iter().map(|(name, _)| *name).collect();
        let records: Vec<_> = want.iter().map(|(_, record)| record.cloned()).collect();
        same(rule, &self.get(&names).await, &records);
        let head = |record: &Option<Record>| record.as_ref().map(Record::head);
        let heads: Vec<_> = records.iter().map(head).collect();
        same(rule, &self.heads(&names).await, &heads);
    }

    /// Removes what was written, whether it is still there or not.
    async fn leave(&self) {
        let keys: Vec<_> = self.written().iter().cloned().collect();
        let keys = refs(&keys);
        let removed = self.store.remove_many(&keys).await;
        outcomes("remove_many", keys.len(), removed);
        let left = self.store.get_many(&keys).await;
        let left = outcomes("get_many", keys.len(), left);
        same(GONE, &left, &vec![None; keys.len()]);
    }

    fn keys<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let key = |name: &str| match name {
            "" => String::new(),
            name => format!("{}{name}", self.prefix),
        };
        names.map(key).collect()
    }

    fn written(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refs(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

/// The batch as it is wanted back.
fn all<'a>(batch: &[(&'a str, &'a Record)]) -> Vec<(&'a str, Option<&'a Record>)> {
    let wanted = |&(name, record)| (name, Some(record));
    batch.iter().map(wanted).collect()
}

fn record(text: &str) -> Record {
    Record::new(text.as_bytes().to_vec())
}

/// Records of telling lengths, some with every byte value.
fn samples() -> Vec<Record> {
    let bytes = |length| (0..=u8::MAX).cycle().take(length).collect::<Vec<_>>();
    let lengths = [1, 3, 8, 63, 64, 65, 256, 300_000];
    lengths.map(|length| Record::new(bytes(length))).into()
}

fn outcomes<T>(method: &str, asked: usize, outcomes: Vec<Result<T>>) -> Vec<T> {
    let given = outcomes.len();
    assert!(
        given == asked,
        "L2: `{method}` gave {given} outcomes for {asked} keys"
    );
    let expect = |outcome: Result<T>| {
        outcome.unwrap_or_else(|error| panic!("L2: `{method}` failed for a key: {error:?}"))
    };
    outcomes.into_iter().map(expect).collect()
}

/// Both have one outcome for each key asked for.
fn same(rule: &str, found: &[Option<Record>], wanted: &[Option<Record>]) {
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let (is, should) = (brief(found.as_ref()), brief(wanted.as_ref()));
        assert!(
            found == wanted,
            "L2: {rule}: outcome {at} is {is}, not {should}"
        );
    }
}

/// A record in few words: some are large.
fn brief(record: Option<&Record>) -> String {
    let Some(record) = record else {
        return "nothing".to_owned();
    };
    let (length, head) = (record.bytes().len(), record.head());
    format!("{length} bytes beginning with {:?}", head.bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::future::ready;
    use std::panic::{self, AssertUnwindSafe};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use async_trait::async_trait;

    use super::*;
    use crate::{Clock, Error, ErrorKind, ManualClock, Tick};

    const FAULTS: [(&str, &str); 15] = [
        ("finds what is not there", "a missing record"),
        ("answers whole records for heads", "come back as they were"),
        ("answers in order of keys", "in their order"),
        ("answers a key once", "outcomes for"),
        ("keeps the first", "come back as they were"),
        ("writes a batch backwards", "the later takes effect later"),
        (
            "counts a removal twice",
            "with the head of what was there, once",
        ),
        ("removes by prefix", "leaves other keys alone"),
        ("fails for NUL", "failed for a key"),
        ("trims keys", "keys are any UTF-8"),
        ("cuts large batches", "outcomes for"),
        ("never forgets", "whose life has ended"),
        ("forgets on reads only", "whose life has ended"),
        ("keeps the first life", "a write brings its own life"),
        ("forgets the centuries", "and may be decades"),
    ];

    #[test]
    fn a_plain_map_keeps_the_contract_and_is_left_empty() {
        let toy = run("");
        assert!(toy.records().is_empty());
    }

    #[test]
    fn each_broken_rule_is_noticed() {
        for (fault, rule) in FAULTS {
            let broken = panic::catch_unwind(AssertUnwindSafe(|| run(fault))).unwrap_err();
            let message = broken.downcast_ref::<String>().unwrap();
            assert!(message.contains(rule), "{fault}: {message}");
        }
    }

    fn run(fault: &'static str) -> Arc<Toy> {
        let hand = ManualClock::new();
        let toy = Arc::new(Toy {
            fault,
            clock: hand.clone().into(),
            records: Mutex::default(),
        });
        let done = contract(toy.clone(), |time| {
            hand.advance(time);
            ready(())
        });
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(pin!(done).poll(&mut context), Poll::Ready(()));
        toy
    }

    /// A map in which one thing is done wrong.
    #[derive(Debug)]
    struct Toy {
        fault: &'static str,
        clock: Clock,
        records: Mutex<HashMap<String, (Record, Tick)>>,
    }

    impl Toy {
        fn records(&self) -> MutexGuard<'_, HashMap<String, (Record, Tick)>> {
            self.records.lock().unwrap()
        }

        fn is(&self, fault: &str) -> bool {
            self.fault == fault
        }

        fn key(&self, key: &str) -> String {
            let key = if self.is("trims keys") {
                key.trim_end()
            } else {
                key
            };
            key.to_owned()
        }

        fn get(&self, key: &str) -> Result<Option<Record>> {
            if self.is("fails for NUL") && key.contains('\0') {
                return Err(Error::new(ErrorKind::Unavailable, "no such key"));
            }
            let found = self.records().get(&self.key(key)).cloned();
            let is_here = |end: Tick| self.clock.now() < end || self.is("never forgets");
            let found = found
                .filter(|(_, end)| is_here(*end))
                .map(|(record, _)| record);
            Ok(match found {
                None if self.is("finds what is not there") => Some(record("x")),
                found => found,
            })
        }

        fn set(&self, write: &Write<'_>) {
            let mut records = self.records();
            let mut end = self.clock.now().plus(write.life);
            let before = records.get(write.key);
            if self.is("forgets the centuries") && write.life > LONG {
                end = self.clock.now();
            }
            if let Some((_, before)) = before.filter(|_| self.is("keeps the first life")) {
                end = *before;
            }
            if before.is_none() || !self.is("keeps the first") {
                records.insert(self.key(write.key), (write.record.clone(), end));
            }
        }

        fn remove(&self, key: &str) -> Option<Record> {
            let found = if self.is("forgets on reads only") {
                self.records().get(key).map(|(record, _)| record.clone())
            } else {
                self.get(key).unwrap()
            };
            self.records().remove(&self.key(key));
            if self.is("removes by prefix") {
                self.records().retain(|other, _| !other.starts_with(key));
            }
            found.map(|record| record.head())
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
    }

    #[async_trait]
    impl L2 for Toy {
        async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
            self.asked(keys)
                .into_iter()
                .map(|key| self.get(key))
                .collect()
        }

        async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
            let whole = self.is("answers whole records for heads");
            let head = |record: Record| if whole { record } else { record.head() };
            self.asked(keys)
                .into_iter()
                .map(|key| Ok(self.get(key)?.map(head)))
                .collect()
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
    }
}
