//! Reads, writes and removals, and the lives of what is written.

use std::time::Duration;

use super::outcome::same;
use super::probe::{Probe, refs};
use super::sample::{ODD_KEYS, entries, foreigners, record, samples};
use super::{GONE, LONG, SHORT};
use crate::Record;

pub(super) async fn contract(probe: &Probe) {
    nothing_is_found_where_nothing_was_written(probe).await;
    records_come_back_byte_for_byte(probe).await;
    records_of_every_kind_are_bytes_like_others(probe).await;
    answers_come_in_the_order_of_the_keys(probe).await;
    no_keys_are_no_work(probe).await;
    a_write_replaces_what_was_there(probe).await;
    the_last_write_of_a_batch_stays(probe).await;
    a_removal_answers_with_what_was_there(probe).await;
    a_removal_leaves_other_keys_alone(probe).await;
    keys_are_any_text(probe).await;
    a_large_batch_has_an_outcome_for_each_key(probe).await;
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

async fn records_of_every_kind_are_bytes_like_others(probe: &Probe) {
    let rule = "records of every kind are bytes like others";
    let (token, mark) = (probe.version(), probe.version());
    let placeholders = vec![Record::claim(token, mark), Record::pass(token, mark)];
    for record in [entries(), foreigners(), placeholders].concat() {
        probe.set("kind", &record, LONG).await;
        probe.holds(rule, &[("kind", Some(&record))]).await;
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
pub(super) async fn lives_begin(probe: &Probe) {
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

/// Judges what `lives_begin` has written.
pub(super) async fn lives_end(probe: &Probe) {
    a_record_is_gone_after_its_life(probe).await;
    an_overwrite_brings_its_own_life(probe).await;
    a_life_is_a_moment_or_decades(probe).await;
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

/// The batch as it is wanted back.
fn all<'a>(batch: &[(&'a str, &'a Record)]) -> Vec<(&'a str, Option<&'a Record>)> {
    let wanted = |&(name, record)| (name, Some(record));
    batch.iter().map(wanted).collect()
}
