//! Early refreshes by chance: the longer a load takes, the earlier.

use tiered::{Cache, EarlyRefresh, Random, Settings};

use super::world::{ask, begin};
use crate::coherence::world::answered;
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after};
use crate::support::world::{DEFAULT, World, millis, others_turn, settings};

/// A minute of life.
fn by_chance(beta: f64) -> Settings {
    Settings {
        ttl: millis(60_000),
        early_refresh: EarlyRefresh::XFetch(beta),
        ..settings()
    }
}

fn node(world: &World, beta: f64, seed: u64) -> Cache<String> {
    let node = world.builder().settings(by_chance(beta));
    node.random(Random::seeded(seed)).build().unwrap()
}

/// The key comes from a load that takes so long.
async fn loaded_in(world: &World, node: &Cache<String>, took: u64) {
    let (mut stop, gate) = gate();
    let loading = begin(node, "1", DEFAULT, found_after(gate, "old"));
    stop.reached().await;
    world.live(took).await;
    stop.go();
    answered(loading).await;
}

/// How long before its end the key is refreshed, if it is read ten times a second; zero if it is not.
async fn lead(world: &World, node: &Cache<String>) -> u64 {
    for left in (0..600).rev().map(|tenths: u64| tenths * 100) {
        world.pass(100);
        if left == 0 {
            break;
        }
        ask(node, "1", found("new")).await.unwrap();
        if node.stats().early_refreshes > 0 {
            return left;
        }
    }
    0
}

async fn leads(beta: f64, took: u64) -> Vec<u64> {
    let mut leads = Vec::new();
    for seed in 0..20 {
        let world = World::new();
        let node = node(&world, beta, seed);
        loaded_in(&world, &node, took).await;
        leads.push(lead(&world, &node).await);
    }
    leads
}

fn mean(leads: &[u64]) -> u64 {
    leads.iter().sum::<u64>() / leads.len() as u64
}

/// With ten reads a second, a load of d seconds, and beta b, the middle of the leads is near d × b × ln(10 × d × b).
#[tokio::test]
async fn what_took_long_to_load_is_refreshed_earlier() {
    let (quick, slow, slower) = (
        leads(1.0, 200).await,
        leads(1.0, 2_000).await,
        leads(1.0, 5_000).await,
    );
    assert!((50..1_000).contains(&mean(&quick)), "{quick:?}");
    assert!((4_000..11_000).contains(&mean(&slow)), "{slow:?}");
    assert!((14_000..30_000).contains(&mean(&slower)), "{slower:?}");
    assert!(
        slow.iter().all(|lead| *lead > 0),
        "each is refreshed in time"
    );
    assert!(slow.iter().any(|lead| *lead != slow[0]), "by chance");
}

#[tokio::test]
async fn a_larger_beta_refreshes_earlier() {
    let (usual, larger) = (leads(1.0, 1_000).await, leads(4.0, 1_000).await);
    assert!(mean(&usual) * 3 < mean(&larger), "{usual:?} {larger:?}");
}

#[tokio::test]
async fn what_took_no_time_or_was_set_is_refreshed_in_its_last_tenth() {
    for is_set in [false, true] {
        let world = World::new();
        let node = node(&world, 1.0, 1);
        if is_set {
            node.set("1", "old".to_owned()).await.ok().unwrap();
        } else {
            node.get_or_load("1", found("old")).await.unwrap();
        }
        let lead = lead(&world, &node).await;
        assert!((5_800..=6_100).contains(&lead), "{lead}");
    }
}

#[tokio::test]
async fn another_node_knows_how_long_the_load_took() {
    let mut all = Vec::new();
    for seed in 0..20 {
        let world = World::new();
        loaded_in(&world, &node(&world, 1.0, 100), 2_000).await;
        let other = node(&world, 1.0, seed);
        assert_eq!(*other.get("1").await.unwrap(), "old");
        all.push(lead(&world, &other).await);
    }
    // Not in the last tenth, which is six seconds, as what was set.
    assert!((4_000..11_000).contains(&mean(&all)), "{all:?}");
    assert!(all.iter().any(|lead| *lead > 6_500), "{all:?}");
    assert!(all.iter().any(|lead| *lead < 5_500), "{all:?}");
}

#[tokio::test]
async fn a_key_in_use_is_refreshed_about_once_in_its_life() {
    let world = World::new();
    let node = node(&world, 1.0, 7);
    loaded_in(&world, &node, 2_000).await;
    for _ in 0..3_000 {
        world.pass(100);
        ask(&node, "1", found("new")).await.unwrap();
        others_turn().await;
    }
    // Five minutes of it; those that follow take no time, and last nine tenths of a minute.
    let stats = node.stats();
    assert!((5..=6).contains(&stats.early_refreshes), "{stats:?}");
    assert_eq!(stats.misses, 1, "nobody ever waits");
}
