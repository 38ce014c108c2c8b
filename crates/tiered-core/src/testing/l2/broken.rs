//! The contract notices each rule that is broken.

use std::future::ready;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::contract;
use super::toy::Toy;
use crate::ManualClock;

#[test]
fn a_plain_map_keeps_the_contract_and_is_left_empty() {
    let toy = run("");
    assert!(toy.records().is_empty());
}

#[test]
fn each_broken_rule_of_reads_and_writes_is_noticed() {
    for (fault, rule) in RECORDS {
        is_noticed(fault, rule);
    }
}

#[test]
fn each_broken_rule_of_the_fence_is_noticed() {
    for (fault, rule) in FENCE {
        is_noticed(fault, rule);
    }
}

#[test]
fn each_broken_rule_of_marks_is_noticed() {
    for (fault, rule) in MARKS {
        is_noticed(fault, rule);
    }
}

#[test]
fn each_broken_rule_of_time_is_noticed() {
    for (fault, rule) in TIME {
        is_noticed(fault, rule);
    }
}

fn is_noticed(fault: &'static str, rule: &str) {
    let Err(broken) = panic::catch_unwind(AssertUnwindSafe(|| run(fault))) else {
        panic!("{fault}: not noticed");
    };
    let message = broken.downcast_ref::<String>().unwrap();
    assert!(message.contains(rule), "{fault}: {message}");
}

fn run(fault: &'static str) -> Arc<Toy> {
    let hand = ManualClock::new();
    let toy = Arc::new(Toy::new(fault, hand.clone()));
    let done = contract(toy.clone(), |time| {
        hand.advance(time);
        ready(())
    });
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(pin!(done).poll(&mut context), Poll::Ready(()));
    toy
}

const RECORDS: [(&str, &str); 16] = [
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
    ("hides placeholders", "records of every kind"),
    ("never forgets", "whose life has ended"),
    ("forgets on reads only", "whose life has ended"),
    ("keeps the first life", "a write brings its own life"),
    ("forgets the centuries", "and may be decades"),
];

const FENCE: [(&str, &str); 53] = [
    (
        "expires under the old version",
        "stale under its new version",
    ),
    ("expires and stays fresh", "stale under its new version"),
    ("expires the head only", "and otherwise as it was"),
    ("expires once", "stale under its new version"),
    ("answers what it expired to", "what was there before"),
    ("expiry keeps placeholders", "older claims: Expire"),
    (
        "expiry keeps passes",
        "a pass ends when the record changes: Expire",
    ),
    ("expiry keeps foreign bytes", "removes what is no entry"),
    ("expires into a new life", "leaves the record's life"),
    ("grants whatever is asked", "writes the placeholder"),
    (
        "grants the wrong version",
        "what is granted is the version that the record has",
    ),
    ("writes placeholders without a mark", "its token and mark"),
    ("does not know a token again", "the same claim"),
    ("does not know its version", "token is the record's version"),
    ("ignores marks", "of another mark is replaced"),
    ("grants a placeholder that was seen", "claimed is busy"),
    ("grants what was not seen", "is told the whole record"),
    ("answers changes with heads", "is told the whole record"),
    ("ignores claims", "claimed is busy"),
    ("claims outlive their version", "only for the version"),
    ("claims have no end", "a claim ends with its life"),
    ("raises no life", "lives as long as the claim"),
    (
        "cuts the life of what is claimed",
        "a claim ends with its life",
    ),
    ("forces no placeholder", "a forced claim"),
    ("forces a record away", "a forced claim gives"),
    ("forces under the old version", "a forced claim gives"),
    ("forces without a claim", "a forced claim gives"),
    ("fills what is missing", "without a claim is refused"),
    ("fills once", "true again"),
    ("fills without asking", "without it is refused"),
    ("says stored when it is not", "without it is refused"),
    ("refuses and keeps the claim", "ends its claim too"),
    ("fills and keeps the claim", "a fill ends its claim"),
    ("fills into the old life", "a fill brings its own life"),
    ("renews what is gone", "what is lost cannot be renewed"),
    ("renews lost claims", "what is lost cannot be renewed"),
    ("renews nothing", "a renewed claim lives on"),
    ("renews the claim but not the record", "and what it claims"),
    ("releases others", "disturbs nobody"),
    ("releases the record", "is free at once"),
    ("releases no placeholder", "is free at once"),
    ("leaves no pass", "with a pass"),
    ("leaves no pass beside", "with a pass"),
    ("is busy after a pass", "granted to each"),
    ("is busy after a pass beside", "granted to each"),
    ("takes a pass away", "granted to each"),
    ("does not rename a pass", "granted to each"),
    ("raises no life of passes", "as long as the claims of it"),
    ("passes have no end", "a pass ends with its own life"),
    ("passes over nothing", "disturbs nobody"),
    (
        "does the fence's batches backwards",
        "in one batch the earlier",
    ),
    (
        "answers the fence's batches backwards",
        "what is granted is the version that the record has",
    ),
    ("cuts the fence's batches", "outcomes for"),
];

const MARKS: [(&str, &str); 7] = [
    ("makes no mark", "given to all who read it"),
    ("writes only missing marks", "in place of the one there"),
    ("answers marks backwards", "in their order"),
    ("keeps marks among keys", "are apart"),
    ("marks have no end", "a mark is made anew"),
    ("reading gives a mark a new life", "as long as it was given"),
    ("writes no new life of marks", "a mark"),
];

const TIME: [(&str, &str); 7] = [
    ("tells an earlier time each time", "does not go back"),
    ("tells the time of its beginning", "moves on"),
    ("tells the time backwards", "does not go back"),
    ("tells a time that runs", "moves on"),
    ("tells the time in seconds", "milliseconds since"),
    ("tells the time in microseconds", "milliseconds since"),
    ("tells its age", "milliseconds since"),
];
