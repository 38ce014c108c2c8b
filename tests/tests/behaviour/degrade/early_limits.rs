//! What keeps early refreshes from being too many.

use tiered::{Cache, EarlyRefresh, ErrorKind, Settings, Source};

use super::world::{ask, begin, broken, fine, lasting, sight};
use crate::coherence::world::{Town, answer};
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, unasked, values_of};
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, World, both, others_turn, settings, tiers};

/// After four fifths of 10 seconds.
fn eager() -> Settings {
    Settings {
        early_refresh: EarlyRefresh::After(0.8),
        ..lasting()
    }
}

/// A node whose key 1 is due, and has not been read since.
async fn due(settings: Settings) -> (World, Cache<String>) {
    let world = World::new();
    let node = world.node_with(settings);
    node.get_or_load("1", found("old")).await.unwrap();
    world.live(8_050).await;
    (world, node)
}

/// A read that is answered at once with what L1 has.
async fn hit(node: &Cache<String>, value: &str) {
    let answer = ask(node, "1", unasked).await.unwrap();
    assert_eq!((sight(&answer), answer.source), (fine(value), Source::L1));
}

#[tokio::test]
async fn many_reads_at_once_refresh_once() {
    let (_world, node) = due(eager()).await;
    let (mut stop, gate) = gate();
    ask(&node, "1", found_after(gate, "new")).await.unwrap();
    stop.reached().await;
    for _ in 0..100 {
        hit(&node, "old").await;
    }
    others_turn().await;
    assert_eq!((node.stats().early_refreshes, node.stats().loads), (1, 2));
    stop.go();
    others_turn().await;
    hit(&node, "new").await;
}

#[tokio::test]
async fn two_nodes_at_once_refresh_once() {
    let town = Town::new();
    let (a, b) = town.two_with(eager()).await;
    assert_eq!(a.value_or("1", "old").await, "old");
    assert_eq!(b.value_unasked("1").await, "old");
    town.live(8_050).await;
    let (mut stop, gate) = gate();
    ask(&a, "1", found_after(gate, "new")).await.unwrap();
    stop.reached().await;
    hit(&b, "old").await;
    others_turn().await;
    assert_eq!((b.stats().loads, b.loads_in_flight()), (0, 0));
    stop.go();
    others_turn().await;
    assert_eq!(b.value_unasked("1").await, "new");
}

#[tokio::test]
async fn no_more_refreshes_run_than_may_and_others_are_left_to_later_reads() {
    let world = World::new();
    let mut settings = eager();
    settings.throttle.max_early = 1;
    let node = world.node_with(settings);
    for answer in node.get_many_or_load(["1", "2"], values_of).await {
        answer.unwrap();
    }
    world.live(8_050).await;
    let (mut stop, gate) = gate();
    ask(&node, "1", found_after(gate, "new")).await.unwrap();
    stop.reached().await;
    ask(&node, "2", unasked).await.unwrap();
    others_turn().await;
    assert_eq!(node.stats().early_refreshes, 1);
    stop.go();
    others_turn().await;
    ask(&node, "2", found("new")).await.unwrap();
    others_turn().await;
    assert_eq!(node.stats().early_refreshes, 2);
    assert_eq!(tiers(&node, "2").await, both("new"));
}

#[tokio::test]
async fn refreshes_that_fail_are_held_off() {
    let world = World::new();
    let node = world.node_with(Settings {
        ttl: std::time::Duration::from_secs(100),
        ..eager()
    });
    node.get_or_load("1", found("old")).await.unwrap();
    world.live(80_050).await;
    for loads in [2, 3] {
        // Of a second, and then of two, the one quarter may be missing.
        let answer = ask(&node, "1", broken).await.unwrap();
        assert_eq!(sight(&answer), fine("old"));
        others_turn().await;
        assert_eq!(node.stats().loads, loads);
        world.live(700).await;
        hit(&node, "old").await;
        others_turn().await;
        assert_eq!(node.stats().loads, loads, "it is held off");
        world.live(300).await;
    }
    hit(&node, "old").await;
    others_turn().await;
    assert_eq!(node.stats().loads, 3, "for longer the second time");
    assert_eq!(node.stats().early_refreshes, 2);
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_what_is_fresh() {
    let (world, node) = due(eager()).await;
    ask(&node, "1", broken).await.unwrap();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, both("old"));
    world.live(1_900).await;
    assert_eq!(sight(&ask(&node, "1", broken).await.unwrap()), fine("old"));
    world.live(50).await;
    let later = answer(begin(&node, "1", DEFAULT, broken)).await;
    assert!(later.is_stale);
    assert_eq!(later.failure.unwrap().kind(), ErrorKind::Loader);
}

#[tokio::test]
async fn what_nobody_reads_or_only_a_plain_get_is_not_refreshed() {
    let (world, node) = due(eager()).await;
    assert_eq!(node.get("1").await.unwrap().as_str(), "old");
    assert!(node.contains("1").await);
    world.live(10_000).await;
    assert_eq!((node.stats().early_refreshes, node.stats().loads), (0, 1));
}

#[tokio::test]
async fn off_refreshes_nothing() {
    let (world, node) = due(settings()).await;
    world.live(1_900).await;
    hit(&node, "old").await;
    others_turn().await;
    assert_eq!((node.stats().early_refreshes, node.stats().loads), (0, 1));
}

#[tokio::test]
async fn while_l2_is_silent_nothing_is_loaded_early() {
    let world = World::new();
    let node = world.node_with(Settings {
        ttl: std::time::Duration::from_secs(100),
        ..eager()
    });
    node.get_or_load("1", found("old")).await.unwrap();
    // Old enough for what may be loaded in an outage otherwise.
    world.live(80_050).await;
    world.spy.fail(&Op::ALL);
    hit(&node, "old").await;
    others_turn().await;
    world.spy.fail(&[]);
    world.spy.freeze(&Op::ALL);
    hit(&node, "old").await;
    world.live(50).await;
    assert_eq!((node.stats().loads, node.loads_in_flight()), (1, 0));
    assert_eq!(node.stats().early_refreshes, 2, "both have looked");
}
