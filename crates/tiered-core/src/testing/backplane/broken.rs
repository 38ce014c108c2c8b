//! The contract notices each rule that is broken.

use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use super::contract;
use super::toy::Toy;

#[test]
fn plain_queues_keep_the_contract_and_are_left_empty() {
    let [one, other] = Toy::pair("");
    run([one.clone(), one.clone()]);
    run([one.clone(), other]);
    assert_eq!(one.subscriptions(), 0);
}

#[test]
fn each_broken_rule_is_noticed() {
    for (fault, rule) in FAULTS {
        let broken = panic::catch_unwind(AssertUnwindSafe(|| run(Toy::pair(fault))));
        let Err(broken) = broken else {
            panic!("{fault}: not noticed");
        };
        let message = match broken.downcast::<String>() {
            Ok(message) => *message,
            Err(message) => (*message.downcast::<&str>().unwrap()).to_owned(),
        };
        assert!(message.contains(rule), "{fault}: {message}");
    }
}

fn run(handles: [Toy; 2]) {
    let [one, other] = handles.map(Arc::new);
    let mut done = pin!(contract(one, other));
    let mut context = Context::from_waker(Waker::noop());
    let polls = (0..100_000).map(|_| done.as_mut().poll(&mut context));
    let is_done = polls.into_iter().any(|poll| poll.is_ready());
    assert!(is_done, "waits for ever");
}

const FAULTS: [(&str, &str); 15] = [
    ("confirms nothing", "is confirmed by a gap"),
    (
        "tells of gaps where there are none",
        "a gap comes only where",
    ),
    ("says all twice", "each once"),
    ("reorders", "in the order of publishing"),
    ("does not hear itself", "one's own messages are heard"),
    ("hears itself only", "one's own messages are heard"),
    ("loses what is empty", "any bytes"),
    ("cuts long messages", "any bytes"),
    ("takes no long messages", "was not published"),
    (
        "puts one's own first at one handle",
        "in the same order to all",
    ),
    (
        "hears the beginning of a namespace",
        "namespaces do not hear",
    ),
    ("ignores case", "namespaces do not hear"),
    ("repeats the past", "nothing from before"),
    (
        "takes a message before it gives it",
        "a wait that is dropped",
    ),
    (
        "closes a namespace with one subscription",
        "a subscription ends only",
    ),
];
