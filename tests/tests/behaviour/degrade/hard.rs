//! At the hard deadline a caller is answered in any case.

use tiered::{ErrorKind, Options};

use super::world::{begin, failure, lasting, old, outlived, sight, with_deadlines};
use crate::coherence::world::{Town, answer, answered};
use crate::support::gate::gate;
use crate::support::loaders::{found_after, unasked};
use crate::support::world::{DEFAULT, World, both, millis, others_turn, promptly, tiers, until};

const AT_ONCE: Options = Options {
    soft: Some(std::time::Duration::ZERO),
    ..DEFAULT
};

#[tokio::test]
async fn callers_of_one_load_have_each_their_own_deadlines() {
    let (world, node) = outlived(lasting()).await;
    let options = |soft, hard| Options {
        soft: Some(millis(soft)),
        hard: Some(millis(hard)),
        refuses_stale: soft > hard,
        ..DEFAULT
    };
    let (mut stop, gate) = gate();
    let patient = begin(&node, "1", DEFAULT, found_after(gate, "new"));
    stop.reached().await;
    let hasty = begin(&node, "1", options(20, 1_000), unasked);
    let strict = begin(&node, "1", options(500, 40), unasked);
    others_turn().await;
    world.live(20).await;
    assert_eq!(sight(&answer(hasty).await), old("old", ErrorKind::Timeout));
    world.live(19).await;
    assert!(!strict.is_finished());
    world.live(1).await;
    assert_eq!(failure(strict).await, ErrorKind::Timeout);
    stop.go();
    assert_eq!(answered(patient).await, "new");
    assert_eq!(node.stats().loads, 1);
}

#[tokio::test]
async fn at_the_hard_deadline_there_is_an_error_and_the_load_goes_on() {
    let world = World::new();
    let node = world.node_with(with_deadlines(|deadlines| deadlines.hard = millis(1_000)));
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "late"));
    stop.reached().await;
    world.live(999).await;
    assert!(!loading.is_finished());
    world.live(1).await;
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
    assert_eq!(node.loads_in_flight(), 1);
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, both("late"));
    assert_eq!(node.stats().load_errors, 0);
}

#[tokio::test]
async fn a_batch_ends_at_the_hard_deadline_for_all_its_keys() {
    let world = World::new();
    let node = world.node_with(lasting());
    let (mut stop, gate) = gate();
    let _first = begin(&node, "1", DEFAULT, found_after(gate, "one"));
    stop.reached().await;
    let (batch, options) = (
        node.clone(),
        Options {
            hard: Some(millis(100)),
            ..DEFAULT
        },
    );
    let hung = |_keys| std::future::pending::<Result<Vec<(String, String)>, String>>();
    let loading = tokio::spawn(async move {
        let call = batch.with(options);
        call.get_many_or_load(["1", "2", "3"], hung).await
    });
    others_turn().await;
    world.live(99).await;
    assert!(!loading.is_finished());
    world.live(1).await;
    let answers = promptly(loading).await.unwrap();
    let kinds = answers.into_iter().map(|answer| answer.unwrap_err().kind());
    assert_eq!(kinds.collect::<Vec<_>>(), [ErrorKind::Timeout; 3]);
}

#[tokio::test]
async fn a_refresh_waits_until_the_hard_deadline_and_takes_no_old_copy() {
    let (world, node) = outlived(lasting()).await;
    let (mut stop, gate) = gate();
    let (cache, options) = (
        node.clone(),
        Options {
            hard: Some(millis(500)),
            ..AT_ONCE
        },
    );
    let load = found_after(gate, "late");
    let loading =
        tokio::spawn(async move { cache.with(options).refresh("1", move |_| load()).await });
    stop.reached().await;
    world.live(499).await;
    assert!(!loading.is_finished());
    world.live(1).await;
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, both("late"));
}

#[tokio::test]
async fn waiting_for_another_nodes_load_is_part_of_the_callers_time() {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let options = Options {
        hard: Some(millis(500)),
        ..DEFAULT
    };
    let waiting = begin(&b, "1", options, unasked);
    until("the wait", || b.stats().waits == 1).await;
    town.live(499).await;
    assert!(!waiting.is_finished());
    town.live(1).await;
    assert_eq!(failure(waiting).await, ErrorKind::Timeout);
    stop.go();
    assert_eq!(answered(loading).await, "new");
    others_turn().await;
    assert_eq!(b.value_unasked("1").await, "new");
}

#[tokio::test]
async fn an_old_copy_whose_end_comes_during_the_load_does_not_serve() {
    let (world, node) = outlived(lasting()).await;
    world.live(59_000).await;
    let options = Options {
        soft: Some(millis(1_500)),
        hard: Some(millis(2_000)),
        ..DEFAULT
    };
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", options, found_after(gate, "new"));
    stop.reached().await;
    world.live(1_999).await;
    assert!(!loading.is_finished());
    world.live(1).await;
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
}
