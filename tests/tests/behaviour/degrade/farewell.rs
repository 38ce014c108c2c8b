//! What a shutdown could not finish in time is told.

use std::time::Duration;

use tiered::{ErrorKind, Farewell, Outcome};
use tokio::task::JoinHandle;

use super::world::{begin, failure, lasting, old, outlived, sight};
use crate::coherence::line::Fate;
use crate::coherence::world::{Node, Town, answer};
use crate::support::gate::gate;
use crate::support::loaders::{found_after, unasked};
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, World, millis, others_turn, promptly, settings, until};

/// Five seconds.
const DEADLINE: Duration = Duration::from_secs(5);

fn leave(node: &Node) -> JoinHandle<Farewell> {
    let cache = node.cache.clone();
    tokio::spawn(async move { cache.shutdown(DEADLINE).await })
}

/// It comes by itself, or with so little time as the last words take.
async fn farewell(town: &World, leaving: JoinHandle<Farewell>) -> Farewell {
    town.live(100).await;
    promptly(leaving).await.unwrap()
}

#[tokio::test]
async fn at_the_deadline_loads_are_aborted_and_counted() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut first, gate_of_first) = gate();
    let (mut second, gate_of_second) = gate();
    let loads = [
        a.load("1", found_after(gate_of_first, "late")),
        a.load("2", found_after(gate_of_second, "late")),
    ];
    first.reached().await;
    second.reached().await;
    let leaving = leave(&a);
    town.live(4_999).await;
    assert!(!leaving.is_finished());
    town.live(1).await;
    let farewell = farewell(&town, leaving).await;
    assert_eq!(farewell.aborted_loads, 2);
    assert!(!farewell.is_complete());
    for loading in loads {
        assert_eq!(failure(loading).await, ErrorKind::Aborted);
    }
    assert!(first.is_given_up() && second.is_given_up());
    assert_eq!(b.value_or("1", "of b").await, "of b");
    assert_eq!(b.stats().waits, 0, "the claim was released");
}

#[tokio::test]
async fn who_waits_for_an_aborted_load_has_the_old_copy() {
    let (world, node) = outlived(lasting()).await;
    let patient = tiered::Options {
        soft: Some(millis(20_000)),
        ..DEFAULT
    };
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", patient, found_after(gate, "late"));
    stop.reached().await;
    let cache = node.clone();
    let leaving = tokio::spawn(async move { cache.shutdown(Duration::ZERO).await });
    assert_eq!(farewell(&world, leaving).await.aborted_loads, 1);
    assert_eq!(
        sight(&answer(loading).await),
        old("old", ErrorKind::Aborted)
    );
}

#[tokio::test]
async fn what_was_not_confirmed_is_reported() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.spy.fail(&Op::ALL);
    for key in ["1", "2", "3"] {
        a.remove(key).await;
    }
    assert!(a.remove_tag("red").await.is_err());
    let leaving = leave(&a);
    town.live(4_999).await;
    assert!(!leaving.is_finished());
    town.live(1).await;
    let farewell = farewell(&town, leaving).await;
    assert_eq!((farewell.unconfirmed, farewell.untold), (4, 0));
}

/// Nothing comes out of node a, which removes three keys and leaves.
async fn what_was_not_told(deadline: u64) -> usize {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.line.always(Fate::Hanging);
    town.live(250).await;
    for key in ["1", "2", "3"] {
        a.remove(key).await;
    }
    let cache = a.cache.clone();
    let leaving = tokio::spawn(async move { cache.shutdown(millis(deadline)).await });
    town.live(deadline + 500).await;
    farewell(&town, leaving).await.untold
}

#[tokio::test]
async fn what_was_not_told_is_reported() {
    assert_eq!(what_was_not_told(5_000).await, 3);
}

#[tokio::test]
async fn what_was_not_told_is_reported_where_there_is_no_time() {
    assert_eq!(what_was_not_told(0).await, 3);
}

#[tokio::test]
async fn writes_that_have_not_ended_are_reported() {
    let town = Town::new();
    let mut settings = settings();
    settings.deadlines.l2 = millis(60_000);
    let (a, _b) = town.two_with(settings).await;
    a.spy.freeze(&[Op::Set]);
    let cache = a.cache.clone();
    let setting = tokio::spawn(async move { cache.set("1", "new".to_owned()).await });
    others_turn().await;
    let leaving = leave(&a);
    town.live(5_000).await;
    assert_eq!(farewell(&town, leaving).await.unfinished_writes, 1);
    a.spy.freeze(&[]);
    let written = promptly(setting).await.unwrap();
    assert!(matches!(written.l2, Outcome::Stored));
    assert!(written.ok().is_err(), "it has said farewell");
}

#[tokio::test]
async fn the_last_words_take_half_a_second_at_most() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    let (mut stop, gate) = gate();
    let _loading = a.load("1", found_after(gate, "late"));
    stop.reached().await;
    a.spy.freeze(&Op::ALL);
    a.line.always(Fate::Hanging);
    let leaving = leave(&a);
    town.live(5_500).await;
    assert!(leaving.is_finished());
}

#[tokio::test]
async fn a_shutdown_ends_at_its_deadline_though_a_load_waits_for_another_node() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut stop, gate) = gate();
    let _loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let waiting = b.load("1", unasked);
    until("the wait", || b.stats().waits == 1).await;
    let leaving = leave(&b);
    town.live(5_500).await;
    assert!(leaving.is_finished());
    assert!(waiting.is_finished(), "it waits on");
    assert_eq!(failure(waiting).await, ErrorKind::Aborted);
    assert_eq!(b.loads_in_flight(), 0);
}
