//! Programs without a cache of their own invalidate what caches hold.

use tiered::{ErrorKind, Invalidator, L2};

use super::world::{Node, Town};
use crate::support::spy::Op;
use crate::support::world::others_turn;

/// A node that holds the keys 1 and 2 in L1, with the tag red under 1; and an invalidator.
async fn holder(town: &Town) -> (Node, Invalidator) {
    let node = town.node().await;
    node.set_tagged("1", "old", &["red"]).await;
    node.put("2", "old").await;
    let invalidator = Invalidator::new("users", town.store.clone()).unwrap();
    (node, invalidator)
}

async fn only_key_2_is_left(town: &Town, node: &Node) {
    others_turn().await;
    assert_eq!(node.near("1").await, None);
    assert_eq!(node.near("2").await.as_deref(), Some("old"));
    assert_eq!(node.value("1").await, None);
    assert_eq!(town.in_l2("1").await, None);
    assert_eq!(node.value_or("1", "new").await, "new");
}

#[tokio::test]
async fn an_invalidator_removes_keys() {
    let town = Town::new();
    let (node, invalidator) = holder(&town).await;
    let doubts = node.stats().doubts;
    invalidator.remove(["1"]).await.unwrap();
    only_key_2_is_left(&town, &node).await;
    assert_eq!(node.stats().doubts, doubts);
}

#[tokio::test]
async fn an_invalidator_takes_keys_as_they_are_displayed() {
    let town = Town::new();
    let (node, invalidator) = holder(&town).await;
    invalidator.remove([1_u64]).await.unwrap();
    only_key_2_is_left(&town, &node).await;
}

#[tokio::test]
async fn an_invalidator_expires_keys() {
    let town = Town::new();
    let (node, invalidator) = holder(&town).await;
    invalidator.expire(["1"]).await.unwrap();
    assert!(town.bytes("1").await.is_some(), "it stays as a fallback");
    only_key_2_is_left(&town, &node).await;
}

#[tokio::test]
async fn an_invalidator_removes_a_tag() {
    let town = Town::new();
    let (node, invalidator) = holder(&town).await;
    invalidator.remove_tag("red").await.unwrap();
    only_key_2_is_left(&town, &node).await;
}

#[tokio::test]
async fn an_invalidator_clears_the_namespace_and_no_other() {
    let town = Town::new();
    let (node, _) = holder(&town).await;
    let other = Invalidator::new("usersAbc", town.store.clone()).unwrap();
    other.clear().await.unwrap();
    others_turn().await;
    assert_eq!(node.near("1").await.as_deref(), Some("old"));
    let own = Invalidator::new("users", town.store.clone()).unwrap();
    own.clear().await.unwrap();
    others_turn().await;
    for key in ["1", "2"] {
        assert_eq!((node.near(key).await, node.value(key).await), (None, None));
    }
}

#[tokio::test]
async fn an_invalidator_defeats_a_load_that_began_before() {
    let town = Town::new();
    let (node, invalidator) = holder(&town).await;
    let (mut stop, gate) = crate::support::gate::gate();
    let loading = node.load("3", crate::support::loaders::found_after(gate, "old"));
    stop.reached().await;
    invalidator.remove(["3"]).await.unwrap();
    stop.go();
    super::world::answered(loading).await;
    others_turn().await;
    assert_eq!(node.value_or("3", "new").await, "new");
}

#[tokio::test]
async fn the_documented_text_does_the_same_as_an_invalidator() {
    let town = Town::new();
    let (node, _) = holder(&town).await;
    let doubts = node.stats().doubts;
    town.store.remove_many(&["users:1"]).await;
    town.say("tiered/1 0 0\nremoved 1").await;
    only_key_2_is_left(&town, &node).await;
    assert_eq!(node.stats().doubts, doubts);
}

#[tokio::test]
async fn an_invalidators_failure_is_reported_and_the_nodes_are_told_all_the_same() {
    let town = Town::new();
    let (node, _) = holder(&town).await;
    let invalidator = Invalidator::new("users", node.spy.clone()).unwrap();
    node.spy.fail(&Op::ALL);
    assert!(invalidator.remove(["1"]).await.is_err());
    assert!(invalidator.expire(["1"]).await.is_err());
    assert!(invalidator.remove_tag("red").await.is_err());
    assert!(invalidator.clear().await.is_err());
    others_turn().await;
    assert_eq!(node.near("1").await, None);
    node.spy.fail(&[]);
    invalidator.remove(["1"]).await.unwrap();
    others_turn().await;
    assert_eq!(node.value("1").await, None);
}

#[tokio::test]
async fn an_invalidator_of_no_namespace_is_refused() {
    let error = Invalidator::new("a b", Town::new().store.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
