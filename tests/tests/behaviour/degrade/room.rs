//! Room for a loader is given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tiered::{Cache, ErrorKind, Settings};

use super::world::{ask, begin, broken, failure, fine, lasting, panics, sight};
use crate::coherence::world::{Loading, answered};
use crate::support::gate::{Stop, gate};
use crate::support::loaders::{found, found_after};
use crate::support::world::{DEFAULT, World, millis, others_turn};

/// So many loaders may run; older copies are not taken before the wait for room is over.
fn room_for(max_loads: usize) -> Settings {
    let mut settings = lasting();
    settings.throttle.max_loads = max_loads;
    settings.deadlines.soft = millis(5_000);
    settings
}

/// A load of this key that takes its room.
async fn occupy(node: &Cache<String>, key: &str) -> (Loading, Stop) {
    let (mut stop, gate) = gate();
    let loading = begin(node, key, DEFAULT, found_after(gate, "there"));
    stop.reached().await;
    (loading, stop)
}

#[tokio::test]
async fn loads_that_fail_or_panic_give_their_room_back() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    for _ in 0..3 {
        assert!(ask(&node, "1", panics).await.is_err());
        assert!(ask(&node, "2", broken).await.is_err());
    }
    assert_eq!(
        sight(&ask(&node, "3", found("three")).await.unwrap()),
        fine("three")
    );
}

#[tokio::test]
async fn a_load_that_is_given_up_gives_its_room_back() {
    let world = World::new();
    let mut settings = room_for(1);
    settings.deadlines.abandon = millis(500);
    let node = world.node_with(settings);
    let (loading, _stop) = occupy(&node, "1").await;
    let next = begin(&node, "2", DEFAULT, found("two"));
    others_turn().await;
    world.live(500).await;
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
    assert_eq!(answered(next).await, "two");
}

#[tokio::test]
async fn a_loader_that_runs_on_for_nobody_keeps_its_room() {
    let world = World::new();
    let mut settings = room_for(1);
    (settings.deadlines.abandon, settings.deadlines.aborts) = (millis(500), false);
    let node = world.node_with(settings);
    let (loading, stop) = occupy(&node, "1").await;
    world.live(500).await;
    assert_eq!(failure(loading).await, ErrorKind::Timeout);
    let next = begin(&node, "2", DEFAULT, found("two"));
    others_turn().await;
    assert!(!next.is_finished());
    stop.go();
    assert_eq!(answered(next).await, "two");
}

#[tokio::test]
async fn never_more_loaders_run_than_may() {
    let world = World::new();
    let node = world.node_with(room_for(4));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let load = |key: usize| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        begin(&node, &key.to_string(), DEFAULT, move || async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, String>("there".to_owned())
        })
    };
    let loads: Vec<_> = (0..50).map(load).collect();
    for loading in loads {
        assert_eq!(answered(loading).await, "there");
    }
    assert_eq!(most.load(Ordering::SeqCst), 4);
}
