//! Leaving: what is under way is finished or told, and nothing is left behind.

use std::time::Duration;

use futures_util::FutureExt;
use tiered::{EarlyRefresh, ErrorKind, Farewell, Settings, Source};
use tokio::task::JoinHandle;

use super::world::{ask, begin, fine, sight};
use crate::coherence::world::{Node, Town, answered};
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, unasked};
use crate::support::spy::{Op, When};
use crate::support::world::{DEFAULT, World, both, others_turn, promptly, settings, tiers};

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
async fn an_idle_cache_leaves_at_once() {
    let (a, _b) = Town::new().two().await;
    assert!(
        a.shutdown(DEADLINE)
            .now_or_never()
            .is_none_or(|farewell| farewell.is_complete())
    );
    let town = Town::new();
    let (a, _b) = town.two().await;
    assert_eq!(farewell(&town, leave(&a)).await, Farewell::default());
}

#[tokio::test]
async fn a_shutdown_waits_for_loads_and_they_are_stored() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let leaving = leave(&a);
    town.live(4_000).await;
    assert!(!leaving.is_finished());
    stop.go();
    assert!(farewell(&town, leaving).await.is_complete());
    assert_eq!(answered(loading).await, "new");
    assert_eq!(b.value_unasked("1").await, "new");
}

#[tokio::test]
async fn a_shutdown_waits_for_writes() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let mut hold = a.spy.hold(Op::Set, When::Before);
    let cache = a.cache.clone();
    let setting = tokio::spawn(async move { cache.set("1", "new".to_owned()).await });
    hold.reached().await;
    let leaving = leave(&a);
    town.live(40).await;
    assert!(!leaving.is_finished());
    hold.go();
    assert!(farewell(&town, leaving).await.is_complete());
    promptly(setting).await.unwrap().ok().unwrap();
    assert_eq!(b.value("1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_shutdown_waits_until_l2_has_confirmed_all() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.put("1", "old").await;
    a.spy.fail(&Op::ALL);
    a.remove("1").await;
    let leaving = leave(&a);
    town.live(3_000).await;
    assert!(!leaving.is_finished());
    a.spy.fail(&[]);
    town.live(1_000).await;
    assert!(farewell(&town, leaving).await.is_complete());
    assert_eq!(town.bytes("1").await, None);
}

#[tokio::test]
async fn a_shutdown_waits_until_the_others_were_told() {
    let town = Town::new();
    let (a, b) = town.two().await;
    assert_eq!(b.value_or("1", "old").await, "old");
    let mut hang = a.line.hang();
    a.put("2", "new").await;
    hang.reached().await;
    a.remove("1").await;
    let leaving = leave(&a);
    town.live(40).await;
    assert!(!leaving.is_finished());
    hang.go();
    assert!(farewell(&town, leaving).await.is_complete());
    assert_eq!(b.near("1").await, None);
}

#[tokio::test]
async fn after_it_hits_are_served_and_loads_are_not_begun() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("near", "it").await;
    b.put("far", "it").await;
    assert!(farewell(&town, leave(&a)).await.is_complete());
    assert_eq!(a.value_unasked("near").await, "it");
    let far = ask(&a, "far", unasked).await.unwrap();
    assert_eq!((sight(&far), far.source), (fine("it"), Source::L2));
    let error = ask(&a, "cold", unasked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted);
    let error = a.refresh("near", |_| unasked()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted);
    assert_eq!(b.value_or("cold", "of b").await, "of b");
    assert_eq!(b.stats().waits, 0, "no claim was left");
}

#[tokio::test]
async fn after_it_writes_still_reach_l2() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    farewell(&town, leave(&a)).await;
    a.set("1", "new".to_owned()).await;
    assert_eq!(town.in_l2("1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn while_it_lasts_nothing_begins_in_the_background() {
    let town = Town::new();
    let eager = Settings {
        early_refresh: EarlyRefresh::After(0.5),
        ..settings()
    };
    let (a, _b) = town.two_with(eager).await;
    assert_eq!(a.value_or("1", "old").await, "old");
    let (mut stop, gate) = gate();
    let _loading = a.load("2", found_after(gate, "two"));
    stop.reached().await;
    town.live(6_000).await;
    let leaving = leave(&a);
    others_turn().await;
    assert_eq!(a.value_unasked("1").await, "old");
    others_turn().await;
    assert_eq!(a.stats().early_refreshes, 0);
    // Who waits for an answer has one, also now.
    assert_eq!(a.value_or("3", "three").await, "three");
    stop.go();
    assert!(farewell(&town, leaving).await.is_complete());
}

#[tokio::test]
async fn two_who_shut_down_at_once_both_end() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    let (mut stop, gate) = gate();
    let _loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let (first, second) = (leave(&a), leave(&a));
    others_turn().await;
    stop.go();
    assert!(farewell(&town, first).await.is_complete());
    assert!(farewell(&town, second).await.is_complete());
    assert!(farewell(&town, leave(&a)).await.is_complete(), "and again");
}

#[tokio::test]
async fn a_shutdown_that_is_given_up_leaves_the_cache_as_it_is() {
    let world = World::new();
    let node = world.node();
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "new"));
    stop.reached().await;
    assert!(node.shutdown(DEADLINE).now_or_never().is_none());
    world.live(6_000).await;
    stop.go();
    assert_eq!(answered(loading).await, "new");
    assert_eq!(tiers(&node, "1").await, both("new"));
    assert_eq!(*node.get_or_load("2", found("two")).await.unwrap(), "two");
}
