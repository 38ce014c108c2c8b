//! A value that is in use is loaded anew before it ceases to be fresh.

use std::sync::Arc;

use tiered::{Cache, EarlyRefresh, Options, Settings, Source};

use super::world::{ask, fine, lasting, sight};
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, unasked};
use crate::support::world::{DEFAULT, World, both, others_turn, tiers};

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
async fn a_hit_after_the_threshold_refreshes_in_the_background() {
    let (world, node) = due(eager()).await;
    let (mut stop, gate) = gate();
    let hit = ask(&node, "1", found_after(gate, "new")).await.unwrap();
    assert_eq!((sight(&hit), hit.source), (fine("old"), Source::L1));
    stop.reached().await;
    assert_eq!(node.stats().early_refreshes, 1);
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, both("new"));
    world.live(7_900).await;
    assert_eq!(node.stats().loads, 2);
    let read = ask(&node, "1", unasked).await.unwrap();
    assert_eq!(sight(&read), fine("new"));
}

#[tokio::test]
async fn before_the_threshold_nothing_is_refreshed() {
    let world = World::new();
    let node = world.node_with(eager());
    node.get_or_load("1", found("old")).await.unwrap();
    world.live(7_900).await;
    hit(&node, "old").await;
    others_turn().await;
    assert_eq!(node.stats().early_refreshes, 0);
}

#[tokio::test]
async fn a_newer_value_in_l2_is_taken_without_a_load() {
    let (world, node) = due(eager()).await;
    // Of which this deaf node does not hear.
    let other = world.node();
    other.set("1", "newer".to_owned()).await.ok().unwrap();
    hit(&node, "old").await;
    others_turn().await;
    hit(&node, "newer").await;
    assert_eq!((node.stats().early_refreshes, node.stats().loads), (1, 1));
}

#[tokio::test]
async fn a_copy_whose_own_end_is_near_is_renewed_from_l2() {
    let world = World::new();
    let node = world.node_with(Settings {
        l1_ttl: Some(std::time::Duration::from_secs(2)),
        ..eager()
    });
    node.get_or_load("1", found("old")).await.unwrap();
    world.live(1_700).await;
    hit(&node, "old").await;
    others_turn().await;
    assert_eq!((node.stats().early_refreshes, node.stats().loads), (1, 1));
    world.live(1_000).await;
    hit(&node, "old").await;
}

#[tokio::test]
async fn what_was_set_is_refreshed_too() {
    let world = World::new();
    let node = world.node_with(eager());
    node.set("1", "old".to_owned()).await.ok().unwrap();
    world.live(8_050).await;
    ask(&node, "1", found("new")).await.unwrap();
    others_turn().await;
    hit(&node, "new").await;
}

#[tokio::test]
async fn a_cache_without_l2_refreshes_early() {
    let world = World::new();
    let node = world.bare().l1(tiered::Moka::entries(10)).settings(eager());
    let node = node.build().unwrap();
    node.get_or_load("1", found("old")).await.unwrap();
    world.live(8_050).await;
    ask(&node, "1", found("new")).await.unwrap();
    others_turn().await;
    hit(&node, "new").await;
}

#[tokio::test]
async fn an_early_refresh_shows_the_copy_to_who_may_say_that_it_is_unchanged() {
    let (world, node) = due(eager()).await;
    let load = |held: Option<Arc<String>>| async move {
        assert_eq!(held.as_deref().map(String::as_str), Some("old"));
        Ok::<_, String>(tiered::Loaded::unchanged())
    };
    let read = node.get_or_reload("1", load).await.unwrap().unwrap();
    assert_eq!(*read, "old");
    others_turn().await;
    world.live(7_900).await;
    hit(&node, "old").await;
    assert_eq!(node.stats().loads, 2);
}

#[tokio::test]
async fn a_call_that_passes_l1_by_refreshes_nothing() {
    let (_world, node) = due(eager()).await;
    let far = Options {
        l1: tiered::Access::Skip,
        ..DEFAULT
    };
    let answer = node.with(far).get_or_load("1", unasked).await.unwrap();
    assert_eq!(answer.source, Source::L2);
    others_turn().await;
    assert_eq!(node.stats().early_refreshes, 0);
}

#[tokio::test]
async fn an_early_refresh_that_is_removed_meanwhile_stores_nothing() {
    let (world, node) = due(eager()).await;
    let (mut stop, gate) = gate();
    ask(&node, "1", found_after(gate, "late")).await.unwrap();
    stop.reached().await;
    node.remove("1").await.ok().unwrap();
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, (None, None));
    assert_eq!(world.bytes("1").await, None);
}
