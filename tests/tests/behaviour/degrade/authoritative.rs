//! The source's last word is never covered by an older copy.

use std::fmt;

use futures_util::future::BoxFuture;
use tiered::{Authoritative, BoxError, Cache, ErrorKind, Options, Settings};

use super::world::{ask, begin, broken, failure, lasting, outlived};
use crate::coherence::world::Town;
use crate::support::gate::{Gate, gate};
use crate::support::loaders::found;
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, NEITHER, World, others_turn, promptly, tiers};

#[derive(Debug, PartialEq)]
struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gone")
    }
}

impl std::error::Error for Gone {}

async fn gone() -> Result<String, Authoritative> {
    Err(Authoritative::new(Gone))
}

/// A loader that says so once it is let go on.
fn gone_after(gate: Gate) -> impl FnOnce() -> BoxFuture<'static, Result<String, BoxError>> {
    move || {
        Box::pin(async move {
            gate.pass().await;
            Err(Authoritative::new(Gone).into())
        })
    }
}

/// The source's word is what the caller gets, and nothing is left that serves in its place.
async fn is_gone(node: &Cache<String>) {
    let error = ask(node, "1", gone).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authoritative);
    assert_eq!(error.cause::<Gone>(), Some(&Gone));
    assert_eq!(tiers(node, "1").await, NEITHER);
    let later = ask(node, "1", broken).await.unwrap_err();
    assert_eq!(later.kind(), ErrorKind::Loader, "nothing covers");
}

#[tokio::test]
async fn no_older_copy_serves_in_place_of_the_last_word() {
    let (_world, node) = outlived(lasting()).await;
    is_gone(&node).await;
    assert_eq!(node.stats().stale_hits, 0);
}

#[tokio::test]
async fn the_last_word_holds_on_all_nodes() {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(10_000).await;
    is_gone(&a).await;
    others_turn().await;
    let error = ask(&b, "1", broken).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Loader,
        "nothing covers there either"
    );
}

#[tokio::test]
async fn the_last_word_is_not_cached_and_frees_the_key() {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    is_gone(&a).await;
    assert_eq!(b.value_or("1", "back").await, "back");
    assert_eq!(b.stats().waits, 0);
    assert_eq!(a.value_unasked("1").await, "back");
}

#[tokio::test]
async fn the_last_word_reaches_all_who_wait() {
    let (_world, node) = outlived(lasting()).await;
    let (mut stop, gate) = gate();
    let first = begin(&node, "1", DEFAULT, gone_after(gate));
    stop.reached().await;
    let second = begin(&node, "1", DEFAULT, found("unasked"));
    others_turn().await;
    stop.go();
    for loading in [first, second] {
        assert_eq!(failure(loading).await, ErrorKind::Authoritative);
    }
}

#[tokio::test]
async fn the_last_word_comes_late_for_who_was_answered_at_the_soft_deadline() {
    let (world, node) = outlived(lasting()).await;
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, gone_after(gate));
    stop.reached().await;
    world.live(250).await;
    assert!(promptly(loading).await.unwrap().unwrap().is_stale);
    stop.go();
    others_turn().await;
    is_gone(&node).await;
}

#[tokio::test]
async fn the_last_word_empties_what_a_failure_has_held_off() {
    let (world, node) = outlived(lasting()).await;
    assert!(ask(&node, "1", broken).await.unwrap().is_stale);
    world.live(1_000).await;
    is_gone(&node).await;
}

#[tokio::test]
async fn the_last_word_of_a_batch_is_for_all_its_keys() {
    let world = World::new();
    let node = world.node_with(lasting());
    for key in ["1", "2"] {
        node.set(key, "old".to_owned()).await.ok().unwrap();
    }
    world.live(10_000).await;
    let gone = |_keys| async { Err::<Vec<(String, String)>, _>(Authoritative::new(Gone)) };
    for answer in node.get_many_or_load(["1", "2", "3"], gone).await {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authoritative);
        assert_eq!(error.cause::<Gone>(), Some(&Gone));
    }
    for key in ["1", "2"] {
        assert_eq!(world.bytes(key).await, None);
        assert!(ask(&node, key, broken).await.is_err());
    }
}

#[tokio::test]
async fn the_last_word_of_a_refresh_ends_what_is_fresh() {
    let world = World::new();
    let node = world.node_with(lasting());
    node.set("1", "old".to_owned()).await.ok().unwrap();
    let error = node.refresh("1", |_| gone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authoritative);
    assert_eq!(tiers(&node, "1").await, NEITHER);
    assert_eq!(world.bytes("1").await, None);
}

#[tokio::test]
async fn a_call_that_passes_a_tier_by_leaves_what_is_there() {
    let (_world, node) = outlived(Settings {
        ttl: std::time::Duration::from_secs(60),
        ..lasting()
    })
    .await;
    let far = Options {
        l1: tiered::Access::WriteOnly,
        l2: tiered::Access::Skip,
        ..DEFAULT
    };
    let error = node.with(far).get_or_load("1", gone).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authoritative);
    assert_eq!(tiers(&node, "1").await.1.as_deref(), Some("old"));
}

/// Somebody sets the key while the source is asked. Which of the two came first is not known: the next read asks the source,
/// and nothing it has not said is served.
#[tokio::test]
async fn what_this_node_sets_meanwhile_is_asked_for_anew() {
    let (_world, node) = outlived(lasting()).await;
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, gone_after(gate));
    stop.reached().await;
    node.set("1", "mine".to_owned()).await.ok().unwrap();
    stop.go();
    assert_eq!(failure(loading).await, ErrorKind::Authoritative);
    assert_eq!(tiers(&node, "1").await, NEITHER);
    assert_eq!(
        node.get_or_load("1", found("mine")).await.unwrap().as_str(),
        "mine"
    );
}

#[tokio::test]
async fn what_another_node_sets_meanwhile_is_asked_for_anew() {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", gone_after(gate));
    stop.reached().await;
    b.put("1", "of b").await;
    others_turn().await;
    stop.go();
    assert_eq!(failure(loading).await, ErrorKind::Authoritative);
    others_turn().await;
    assert_eq!(town.in_l2("1").await, None);
    assert_eq!((a.near("1").await, b.near("1").await), (None, None));
    assert_eq!(a.value_or("1", "of b").await, "of b");
}

#[tokio::test]
async fn the_last_word_of_an_early_refresh_ends_what_is_fresh() {
    let world = World::new();
    let node = world.node_with(Settings {
        early_refresh: tiered::EarlyRefresh::After(0.5),
        ..lasting()
    });
    node.get_or_load("1", found("old")).await.unwrap();
    world.live(6_000).await;
    assert!(ask(&node, "1", gone).await.is_ok(), "nobody waits for it");
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, NEITHER);
    assert!(ask(&node, "1", broken).await.is_err());
}

#[tokio::test]
async fn the_last_word_during_an_outage_holds_after_it() {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(10_000).await;
    a.spy.fail(&Op::ALL);
    // What was young a moment ago is not loaded anew at once.
    town.live(15_000).await;
    let error = ask(&a, "1", gone).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authoritative);
    assert!(ask(&a, "1", broken).await.is_err(), "nothing covers");
    a.spy.fail(&[]);
    town.live(3_000).await;
    for node in [&a, &b] {
        assert!(ask(node, "1", broken).await.is_err());
    }
}
