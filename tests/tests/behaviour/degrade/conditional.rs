//! A loader that is shown the older copy may say that it is unchanged.

use std::sync::Arc;

use tiered::{Cache, ErrorKind, Loaded};

use super::world::{
    Broken, ask, broken, lasting, old, outlived, outlived_in_l1, outlived_in_l2, sight,
};
use crate::coherence::world::Town;
use crate::support::loaders::{missing, unasked};
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, NEITHER, World, both, others_turn, tiers};

/// What the loader is shown; it says that it is unchanged.
async fn unchanged(
    node: &Cache<String>,
    shown: Option<&str>,
) -> tiered::Result<Option<Arc<String>>> {
    let shown = shown.map(str::to_owned);
    let load = move |held: Option<Arc<String>>| async move {
        assert_eq!(held.as_deref(), shown.as_ref());
        Ok::<_, Broken>(Loaded::unchanged())
    };
    node.get_or_reload("1", load).await
}

async fn is_renewed(node: &Cache<String>) {
    assert_eq!(
        unchanged(node, Some("old"))
            .await
            .unwrap()
            .unwrap()
            .as_str(),
        "old"
    );
    assert_eq!(node.stats().loads, 1);
    let load = |_| unasked();
    assert_eq!(node.get_or_reload("1", load).await.unwrap().as_str(), "old");
}

#[tokio::test]
async fn what_is_unchanged_has_a_new_life_in_both_tiers() {
    let (world, node) = outlived(lasting()).await;
    is_renewed(&node).await;
    assert_eq!(tiers(&node, "1").await, both("old"));
    world.live(9_999).await;
    assert_eq!(tiers(&node, "1").await, both("old"));
    world.live(1).await;
    assert_eq!(tiers(&node, "1").await, NEITHER);
}

#[tokio::test]
async fn what_is_unchanged_may_serve_for_as_long_after_its_new_life() {
    let (world, node) = outlived(lasting()).await;
    is_renewed(&node).await;
    world.live(69_999).await;
    let answer = ask(&node, "1", broken).await.unwrap();
    assert_eq!(sight(&answer), old("old", ErrorKind::Loader));
    world.live(1).await;
    assert!(ask(&node, "1", broken).await.is_err());
}

#[tokio::test]
async fn one_tier_is_enough_to_show_a_copy() {
    let (_near_world, near) = outlived_in_l1(lasting()).await;
    let (_far_world, far) = outlived_in_l2(lasting()).await;
    is_renewed(&near).await;
    is_renewed(&far).await;
}

#[tokio::test]
async fn a_node_that_has_just_begun_is_shown_what_l2_has() {
    let (world, _node) = outlived(lasting()).await;
    is_renewed(&world.node_with(lasting())).await;
}

#[tokio::test]
async fn what_was_expired_is_shown() {
    let world = World::new();
    let node = world.node();
    node.set("1", "old".to_owned()).await.ok().unwrap();
    node.expire("1").await.ok().unwrap();
    is_renewed(&node).await;
    assert_eq!(tiers(&node, "1").await, both("old"));
}

#[tokio::test]
async fn what_is_unchanged_keeps_its_tags() {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    a.set_tagged("1", "old", &["red"]).await;
    town.live(10_000).await;
    is_renewed(&b).await;
    b.remove_tag("red").await.unwrap();
    others_turn().await;
    assert_eq!((a.value("1").await, b.value("1").await), (None, None));
    assert_eq!(town.in_l2("1").await, None);
}

#[tokio::test]
async fn nothing_is_shown_where_there_is_nothing_of_use() {
    let world = World::new();
    let node = world.node_with(lasting());
    let error = unchanged(&node, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Loader, "nothing to be unchanged");
    ask(&node, "1", missing).await.unwrap();
    world.live(2_000).await;
    let stale = node
        .with(DEFAULT)
        .get_or_reload("1", |held: Option<Arc<String>>| async move {
            assert!(held.is_none());
            Err::<Option<String>, _>(Broken)
        });
    assert!(stale.await.unwrap().value.is_none());
}

#[tokio::test]
async fn what_is_gone_is_not_shown() {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(10_000).await;
    a.remove("1").await.ok().unwrap();
    others_turn().await;
    for node in [&a, &b] {
        assert!(unchanged(node, None).await.is_err());
    }
}

#[tokio::test]
async fn nothing_is_shown_past_its_end() {
    let (world, node) = outlived(lasting()).await;
    world.live(60_000).await;
    assert!(unchanged(&node, None).await.is_err());
}

#[tokio::test]
async fn the_copy_in_l1_is_shown_while_l2_does_not_answer() {
    let (world, node) = outlived(lasting()).await;
    world.spy.fail(&Op::ALL);
    // What was young a moment ago is not loaded anew at once in an outage.
    world.live(15_000).await;
    is_renewed(&node).await;
    world.spy.fail(&[]);
    assert_eq!(tiers(&node, "1").await.1, None, "l2 was not touched");
}

#[tokio::test]
async fn a_reload_may_bring_something_new() {
    let (_world, node) = outlived(lasting()).await;
    let load = |held: Option<Arc<String>>| async move {
        Ok::<_, Broken>(format!("{} and new", held.unwrap()))
    };
    let reloaded = node.get_or_reload("1", load).await.unwrap();
    assert_eq!(*reloaded, "old and new");
    assert_eq!(tiers(&node, "1").await, both("old and new"));
}
