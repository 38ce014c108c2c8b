//! Loads that take too long are given up.

use std::sync::mpsc;
use std::time::Duration;

use tiered::{ErrorKind, Options, Settings, State};

use super::world::{begin, failure, old, outlived, sight, with_deadlines};
use crate::coherence::world::{Town, answer, answered};
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, unasked};
use crate::support::world::{
    DEFAULT, NEITHER, World, both, millis, others_turn, promptly, tiers, until,
};

/// Loads are given up after a second.
fn impatient() -> Settings {
    with_deadlines(|deadlines| deadlines.abandon = millis(1_000))
}

/// The same, but their loaders are left alone.
fn lenient() -> Settings {
    let mut settings = impatient();
    settings.deadlines.aborts = false;
    settings
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_aborted_and_who_waits_is_told() {
    let world = World::new();
    let node = world.node_with(impatient());
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "late"));
    stop.reached().await;
    let joined = begin(&node, "1", DEFAULT, unasked);
    world.live(999).await;
    assert!(!loading.is_finished() && !stop.is_given_up());
    world.live(1).await;
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
    assert_eq!(failure(joined).await, ErrorKind::Timeout);
    others_turn().await;
    assert!(stop.is_given_up(), "its future was dropped");
    let stats = node.stats();
    assert_eq!((stats.loads_abandoned, stats.load_errors), (1, 1));
    assert_eq!(
        (node.loads_in_flight(), node.health().running_loads),
        (0, 0)
    );
}

#[tokio::test]
async fn the_key_of_a_load_that_is_given_up_is_free_at_once() {
    let world = World::new();
    let node = world.node_with(impatient());
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "late"));
    stop.reached().await;
    world.live(1_000).await;
    failure(loading).await;
    assert_eq!(*node.get_or_load("1", found("new")).await.unwrap(), "new");
    assert_eq!(tiers(&node, "1").await, both("new"));
}

#[tokio::test]
async fn another_node_may_load_what_was_given_up() {
    let town = Town::new();
    let (a, b) = town.two_with(impatient()).await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "late"));
    stop.reached().await;
    let waiting = b.load("1", found("of b"));
    until("the wait", || b.stats().waits == 1).await;
    town.live(1_000).await;
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
    assert_eq!(answered(waiting).await, "of b");
    assert_eq!(b.stats().loads_unfenced, 0, "it has the claim");
    assert_eq!(a.value_unasked("1").await, "of b");
}

#[tokio::test]
async fn those_who_wait_for_a_load_that_is_given_up_have_the_old_copy() {
    let (world, node) = outlived(impatient()).await;
    let patient = Options {
        soft: Some(millis(20_000)),
        ..DEFAULT
    };
    let strict = Options {
        refuses_stale: true,
        ..DEFAULT
    };
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", patient, found_after(gate, "late"));
    stop.reached().await;
    let refusing = begin(&node, "1", strict, unasked);
    others_turn().await;
    world.live(1_000).await;
    assert_eq!(
        sight(&answer(loading).await),
        old("old", ErrorKind::Timeout)
    );
    assert_eq!(failure(refusing).await, ErrorKind::Timeout);
}

#[tokio::test]
async fn a_loader_that_may_not_be_aborted_ends_for_nobody() {
    let world = World::new();
    let node = world.node_with(lenient());
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "late"));
    stop.reached().await;
    world.live(1_000).await;
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
    others_turn().await;
    assert!(!stop.is_given_up());
    assert_eq!(node.health().running_loads, 1);
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, NEITHER);
    assert_eq!(node.health().running_loads, 0);
}

#[tokio::test]
async fn what_a_loader_brings_that_was_given_up_is_not_put_over_what_came_after_it() {
    let world = World::new();
    let node = world.node_with(lenient());
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "late"));
    stop.reached().await;
    world.live(1_000).await;
    failure(loading).await;
    assert_eq!(*node.get_or_load("1", found("new")).await.unwrap(), "new");
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, both("new"));
}

#[tokio::test]
async fn each_key_of_a_batch_that_is_given_up_is_free() {
    let world = World::new();
    let node = world.node_with(impatient());
    let batch = node.clone();
    let hung = |_keys| std::future::pending::<Result<Vec<(String, String)>, String>>();
    let loading = tokio::spawn(async move { batch.get_many_or_load(["1", "2"], hung).await });
    until("the load", || node.health().running_loads == 1).await;
    world.live(1_000).await;
    for answer in promptly(loading).await.unwrap() {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert_eq!(node.stats().loads_abandoned, 2);
    for key in ["1", "2"] {
        assert_eq!(*node.get_or_load(key, found("new")).await.unwrap(), "new");
        assert_eq!(tiers(&node, key).await, both("new"));
    }
}

#[tokio::test]
async fn a_refresh_that_takes_too_long_is_given_up_and_what_was_there_stays() {
    let world = World::new();
    let node = world.node_with(impatient());
    node.set("1", "old".to_owned()).await.ok().unwrap();
    let (mut stop, gate) = gate();
    let (cache, load) = (node.clone(), found_after(gate, "late"));
    let loading =
        tokio::spawn(async move { cache.with(DEFAULT).refresh("1", move |_| load()).await });
    stop.reached().await;
    world.live(1_000).await;
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
    assert_eq!(tiers(&node, "1").await, both("old"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_blocks_its_thread_is_given_up_as_well() {
    let world = World::new();
    let node = world.node_with(impatient());
    // Dropped, also by a test that fails, it lets the loader go on.
    let (go, may_go) = mpsc::channel::<()>();
    let (reached, is_reached) = tokio::sync::oneshot::channel();
    let loading = begin(&node, "1", DEFAULT, move || async move {
        let _ = reached.send(());
        let _ = may_go.recv();
        Ok::<_, std::convert::Infallible>("late".to_owned())
    });
    is_reached.await.unwrap();
    // The clock may be far ahead of who looks at it.
    until("the end of the flight", || {
        world.pass(10);
        node.loads_in_flight() == 0
    })
    .await;
    assert_eq!(node.stats().loads_abandoned, 1);
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
    assert_eq!(*node.get_or_load("1", found("new")).await.unwrap(), "new");
    drop(go);
    until("the loader's end", || node.health().running_loads == 0).await;
    assert_eq!(tiers(&node, "1").await, both("new"));
}

#[tokio::test]
async fn the_oldest_load_is_seen() {
    let world = World::new();
    let node = world.node_with(with_deadlines(|deadlines| deadlines.hard = millis(2_000)));
    assert_eq!(node.health().oldest_load, None);
    let (mut first, gate_of_first) = gate();
    begin(&node, "1", DEFAULT, found_after(gate_of_first, "1"));
    first.reached().await;
    world.live(1_500).await;
    let (mut second, gate_of_second) = gate();
    begin(&node, "2", DEFAULT, found_after(gate_of_second, "2"));
    second.reached().await;
    world.live(500).await;
    let health = node.health();
    assert_eq!(health.running_loads, 2);
    assert_eq!(health.oldest_load, Some(millis(2_000)));
    assert_eq!(health.loads.state, State::Up);
    world.live(300).await;
    let loads = node.health().loads;
    assert_eq!(loads.state, State::Degraded);
    assert_eq!(loads.since, Some(millis(300)));
    first.go();
    others_turn().await;
    assert_eq!(node.health().oldest_load, Some(Duration::from_millis(800)));
    assert_eq!(node.health().loads.state, State::Up);
}
