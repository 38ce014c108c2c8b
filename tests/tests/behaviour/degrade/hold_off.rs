//! After a load that failed the key is left alone for a while, where an older copy serves.

use std::time::Duration;

use tiered::{Cache, ErrorKind, Options, Random, Settings, Throttle};

use super::world::{ask, broken, fine, lasting, old, outlived, outlived_in_l2, sight};
use crate::coherence::world::Town;
use crate::support::loaders::{found, unasked};
use crate::support::world::{DEFAULT, World, millis, others_turn};

/// Held off for a second at first, and for 8 at most; older copies serve for an hour.
fn held_off() -> Settings {
    Settings {
        stale_for: millis(3_600_000),
        throttle: Throttle {
            longest_hold_off: millis(8_000),
            ..Throttle::default()
        },
        ..lasting()
    }
}

/// A node with seeded jitter, with keys that have just ceased to be fresh.
async fn seeded(seed: u64, keys: &[&str]) -> (World, Cache<String>) {
    let world = World::new();
    let node = world.builder().settings(held_off());
    let node = node.random(Random::seeded(seed)).build().unwrap();
    for key in keys {
        node.set(key, "old".to_owned()).await.ok().unwrap();
    }
    world.pass(10_000);
    (world, node)
}

/// How long the key is left alone from now on, to 10 ms: it has just been tried, and the next try fails too.
async fn pause(world: &World, node: &Cache<String>, key: &str) -> u64 {
    let loads = node.stats().loads;
    for step in 1.. {
        world.pass(10);
        let answer = ask(node, key, broken).await.unwrap();
        assert_eq!(sight(&answer), old("old", ErrorKind::Loader));
        if node.stats().loads > loads {
            return step * 10;
        }
        assert!(step < 10_000, "it is never tried again");
    }
    unreachable!()
}

async fn fails(node: &Cache<String>, key: &str) {
    let loads = node.stats().loads;
    let answer = ask(node, key, broken).await.unwrap();
    assert_eq!(sight(&answer), old("old", ErrorKind::Loader));
    assert_eq!(node.stats().loads, loads + 1, "it was tried");
}

fn is_within(pause: u64, whole: u64) {
    let least = whole * 3 / 4;
    assert!(
        (least..=whole + 10).contains(&pause),
        "{pause} of {whole} ms"
    );
}

#[tokio::test]
async fn pauses_double_up_to_the_longest_each_shortened_by_up_to_a_quarter() {
    let mut shortened = 0;
    for seed in 0..5 {
        let (world, node) = seeded(seed, &["1"]).await;
        fails(&node, "1").await;
        for whole in [1_000, 2_000, 4_000, 8_000, 8_000] {
            let pause = pause(&world, &node, "1").await;
            is_within(pause, whole);
            shortened += u32::from(pause < whole * 95 / 100);
        }
    }
    assert!(shortened > 10, "chance has a part in it: {shortened} of 25");
}

#[tokio::test]
async fn a_pause_is_ended_by_a_success() {
    let (world, node) = seeded(1, &["1"]).await;
    fails(&node, "1").await;
    for _ in 0..2 {
        pause(&world, &node, "1").await;
    }
    world.pass(4_000);
    let answer = ask(&node, "1", found("old")).await.unwrap();
    assert_eq!(sight(&answer), fine("old"));
    world.pass(10_000);
    fails(&node, "1").await;
    is_within(pause(&world, &node, "1").await, 1_000);
}

#[tokio::test]
async fn a_pause_is_ended_by_another_nodes_value() {
    let town = Town::new();
    let (a, b) = town.two_with(held_off()).await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(10_000).await;
    fails(&b, "1").await;
    town.live(1_000).await;
    fails(&b, "1").await;
    assert_eq!(a.value_or("1", "old").await, "old");
    others_turn().await;
    assert_eq!(sight(&ask(&b, "1", unasked).await.unwrap()), fine("old"));
    town.live(10_000).await;
    fails(&b, "1").await;
    town.live(1_000).await;
    fails(&b, "1").await;
}

#[tokio::test]
async fn a_pause_is_ended_by_a_set() {
    let (world, node) = seeded(1, &["1"]).await;
    fails(&node, "1").await;
    for _ in 0..3 {
        pause(&world, &node, "1").await;
    }
    // Eight seconds, from now.
    let briefly = Options {
        ttl: Some(millis(100)),
        ..DEFAULT
    };
    node.with(briefly)
        .set("1", "old".to_owned())
        .await
        .ok()
        .unwrap();
    world.pass(100);
    fails(&node, "1").await;
    is_within(pause(&world, &node, "1").await, 1_000);
}

#[tokio::test]
async fn while_it_lasts_l2_is_not_asked_either() {
    let (world, node) = seeded(1, &["1"]).await;
    fails(&node, "1").await;
    let before = world.spy.round_trips();
    let answer = ask(&node, "1", unasked).await.unwrap();
    assert_eq!(sight(&answer), old("old", ErrorKind::Loader));
    assert_eq!(world.spy.round_trips(), before);
}

#[tokio::test]
async fn a_cache_without_l1_holds_off_too() {
    let (world, node) = outlived_in_l2(lasting()).await;
    fails(&node, "1").await;
    let answer = ask(&node, "1", unasked).await.unwrap();
    assert_eq!(sight(&answer), old("old", ErrorKind::Loader));
    world.pass(1_000);
    fails(&node, "1").await;
}

#[tokio::test]
async fn a_value_of_another_node_in_l2_ends_it_where_nobody_tells() {
    let (world, node) = outlived_in_l2(lasting()).await;
    fails(&node, "1").await;
    let other = world.far_node();
    other.set("1", "new".to_owned()).await.ok().unwrap();
    assert_eq!(sight(&ask(&node, "1", unasked).await.unwrap()), fine("new"));
}

#[tokio::test]
async fn where_no_copy_serves_each_caller_tries() {
    let world = World::new();
    let node = world.node_with(held_off());
    for loads in 1..=3 {
        assert!(ask(&node, "1", broken).await.is_err());
        assert_eq!(node.stats().loads, loads);
    }
    assert_eq!(
        sight(&ask(&node, "1", found("new")).await.unwrap()),
        fine("new")
    );
}

#[tokio::test]
async fn keys_are_held_off_each_by_itself() {
    let (world, node) = seeded(1, &["1", "2"]).await;
    fails(&node, "1").await;
    pause(&world, &node, "1").await;
    let answer = ask(&node, "2", found("new")).await.unwrap();
    assert_eq!(sight(&answer), fine("new"));
    ask(&node, "1", unasked).await.unwrap();
}

#[tokio::test]
async fn a_batch_tries_only_what_is_not_held_off() {
    let (_world, node) = seeded(1, &["1", "2"]).await;
    fails(&node, "1").await;
    let load = |keys: Vec<String>| async move {
        assert_eq!(keys, ["2"]);
        Ok::<_, String>([("2".to_owned(), "new".to_owned())])
    };
    let call = node.with(DEFAULT);
    let answers = call.get_many_or_load(["1", "2"], load).await;
    let sights: Vec<_> = answers
        .into_iter()
        .map(|answer| sight(&answer.unwrap()))
        .collect();
    assert_eq!(sights, [old("old", ErrorKind::Loader), fine("new")]);
}

#[tokio::test]
async fn a_pause_of_zero_is_none() {
    let mut settings = lasting();
    settings.throttle.hold_off = Duration::ZERO;
    let (_world, node) = outlived(settings).await;
    for _ in 0..3 {
        fails(&node, "1").await;
    }
}

#[tokio::test]
async fn a_refresh_is_not_held_off() {
    let (_world, node) = seeded(1, &["1"]).await;
    fails(&node, "1").await;
    let load = found("new");
    let refreshed = node.refresh("1", move |_| load()).await.unwrap();
    assert_eq!(*refreshed, "new");
    assert_eq!(sight(&ask(&node, "1", unasked).await.unwrap()), fine("new"));
}
