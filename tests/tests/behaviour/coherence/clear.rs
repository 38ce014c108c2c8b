//! A whole namespace is cleared at once, and no other.

use tiered::{Builder, Cache, Moka};

use super::world::{Town, answered};
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, unasked};
use crate::support::spy::{Op, When};
use crate::support::world::{others_turn, promptly, settings, until};

fn namespace(town: &Town, name: &str) -> Cache<String> {
    let node = Builder::new(name)
        .l1(Moka::entries(100))
        .l2(town.store.clone());
    let node = node.clock(town.hand.clone()).settings(settings());
    node.build().unwrap()
}

#[tokio::test]
async fn a_clear_of_users_touches_no_namespace_that_only_begins_so() {
    let town = Town::new();
    let names = ["users", "usersAbc", "user", "users.a", "users-1"];
    let caches = names.map(|name| namespace(&town, name));
    for cache in &caches {
        cache.set("1", cache.namespace().to_owned()).await;
        cache.set("Abc:1", cache.namespace().to_owned()).await;
    }
    others_turn().await;
    caches[0].clear().await.unwrap();
    others_turn().await;
    for cache in &caches {
        let name = cache.namespace();
        let other_node = namespace(&town, name);
        for key in ["1", "Abc:1"] {
            assert_eq!(cache.get(key).await.is_none(), name == "users", "{name}");
            assert_eq!(other_node.get(key).await.is_none(), name == "users");
        }
    }
}

#[tokio::test]
async fn a_clear_ends_what_all_nodes_hold() {
    let town = Town::new();
    let (a, b) = town.two().await;
    for key in ["1", "2", "3"] {
        a.put(key, "old").await;
        assert!(b.value(key).await.is_some());
    }
    b.clear().await.unwrap();
    others_turn().await;
    for node in [&a, &b, &town.node().await] {
        for key in ["1", "2", "3"] {
            assert_eq!((node.near(key).await, node.value(key).await), (None, None));
            assert!(!node.contains(key).await);
        }
        assert_eq!(node.remove("3").await.present, 0);
    }
}

#[tokio::test]
async fn what_is_set_after_a_clear_is_found() {
    let town = Town::new();
    let (a, b) = town.two().await;
    for round in ["1", "2", "3"] {
        a.clear().await.unwrap();
        others_turn().await;
        b.put("1", round).await;
        others_turn().await;
        for node in [&a, &b, &town.node().await] {
            assert_eq!(node.value("1").await.as_deref(), Some(round));
        }
    }
}

#[tokio::test]
async fn all_nodes_agree_on_what_was_set_before_the_word_of_a_clear_had_come() {
    let town = Town::new();
    let (a, b) = town.two().await;
    b.put("1", "old").await;
    others_turn().await;
    a.clear().await.unwrap();
    b.put("1", "new").await;
    others_turn().await;
    let in_l2 = town.in_l2("1").await;
    assert_eq!(a.value("1").await, in_l2);
    assert_eq!(b.value("1").await, in_l2);
    assert_ne!(in_l2.as_deref(), Some("old"));
}

#[tokio::test]
async fn what_was_cleared_does_not_serve_as_a_fallback() {
    let town = Town::new();
    let (a, b) = town.two_with(super::world::with_stale_for(60_000)).await;
    a.put("1", "old").await;
    assert!(b.value("1").await.is_some());
    a.clear().await.unwrap();
    others_turn().await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let waiting = b.load("1", unasked);
    until("the wait", || b.stats().waits == 1).await;
    stop.go();
    answered(loading).await;
    assert_eq!(answered(waiting).await, "new");
}

#[tokio::test]
async fn a_claim_from_before_a_clear_holds_up_nobody_after_it() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let c = town.node().await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "old"));
    stop.reached().await;
    b.clear().await.unwrap();
    others_turn().await;
    assert_eq!(answered(c.load("1", found("new"))).await, "new");
    assert_eq!(a.value_unasked("1").await, "new", "also on its own node");
    stop.go();
    assert_eq!(answered(loading).await, "old");
    others_turn().await;
    for node in [&a, &b, &c] {
        assert_eq!(node.value_unasked("1").await, "new");
    }
    assert_eq!(a.stats().loads_refused, 1);
}

#[tokio::test]
async fn a_load_that_a_clear_has_outdated_counts_as_refused() {
    let (a, b) = Town::new().two().await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "old"));
    stop.reached().await;
    b.clear().await.unwrap();
    others_turn().await;
    stop.go();
    answered(loading).await;
    assert_eq!(a.near("1").await, None);
    assert_eq!(a.stats().loads_refused, 1);
}

#[tokio::test]
async fn a_set_under_way_when_the_namespace_is_cleared_is_not_served_after_it() {
    for when in [When::Before, When::After] {
        let town = Town::new();
        let (a, b) = town.two().await;
        let mut stop = a.spy.hold(Op::Set, when);
        let cache = a.cache.clone();
        let setting = tokio::spawn(async move { cache.set("1", "old".to_owned()).await.ok() });
        stop.reached().await;
        b.clear().await.unwrap();
        others_turn().await;
        stop.go();
        promptly(setting).await.unwrap().unwrap();
        others_turn().await;
        assert_eq!((a.value("1").await, b.value("1").await), (None, None));
    }
}

#[tokio::test]
async fn a_read_under_way_when_the_namespace_is_cleared_brings_nothing_into_l1() {
    let (a, b) = Town::new().two().await;
    a.put("1", "old").await;
    let mut stop = b.spy.hold(Op::Get, When::After);
    let cache = b.cache.clone();
    let reading = tokio::spawn(async move { cache.get("1").await });
    stop.reached().await;
    a.clear().await.unwrap();
    others_turn().await;
    stop.go();
    promptly(reading).await.unwrap();
    assert_eq!((b.near("1").await, b.value("1").await), (None, None));
}

#[tokio::test]
async fn a_mark_that_l2_has_forgotten_clears_the_namespace() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    assert!(b.value("1").await.is_some());
    town.alter_mark("#space:{users}").await;
    assert_eq!(town.node().await.value("1").await, None);
    b.line.tell(tiered::News::Gap);
    town.live(1_000).await;
    assert_eq!(b.value("1").await, None);
    assert_eq!(b.value_or("1", "new").await, "new");
}

#[tokio::test]
async fn two_clears_that_cross_leave_nothing_old() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    a.line.hold();
    a.clear().await.unwrap();
    b.put("1", "middle").await;
    b.clear().await.unwrap();
    a.put("1", "new").await;
    a.line.let_go().await;
    others_turn().await;
    for node in [&a, &b, &town.node().await] {
        assert_ne!(node.value("1").await.as_deref(), Some("old"));
        assert_ne!(node.value("1").await.as_deref(), Some("middle"));
    }
}
