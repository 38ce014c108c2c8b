//! Only so many loaders run at a time.

use tiered::{Cache, ErrorKind, Options, Settings, State};

use super::world::{ask, begin, failure, fine, lasting, old, sight};
use crate::coherence::world::{Loading, Town, answer, answered};
use crate::support::gate::{Stop, gate};
use crate::support::loaders::{found, found_after, unasked, values_of};
use crate::support::world::{DEFAULT, World, millis, others_turn, promptly};

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
async fn a_load_that_finds_no_room_in_time_fails_as_overloaded() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    let (_loading, _stop) = occupy(&node, "1").await;
    let turned_away = begin(&node, "2", DEFAULT, unasked);
    others_turn().await;
    assert_eq!(node.health().loads.state, State::Degraded);
    world.live(999).await;
    assert!(!turned_away.is_finished());
    world.live(1).await;
    assert_eq!(failure(turned_away).await, ErrorKind::Overloaded);
    let stats = node.stats();
    assert_eq!((stats.loads_turned_away, stats.loads), (1, 1));
}

#[tokio::test]
async fn a_load_goes_on_as_soon_as_there_is_room() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    let (first, stop) = occupy(&node, "1").await;
    let second = begin(&node, "2", DEFAULT, found("two"));
    others_turn().await;
    world.live(900).await;
    assert!(!second.is_finished());
    stop.go();
    assert_eq!(answered(first).await, "there");
    assert_eq!(sight(&answer(second).await), fine("two"));
}

#[tokio::test]
async fn an_old_copy_serves_where_there_is_no_room() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    node.set("2", "old".to_owned()).await.ok().unwrap();
    world.live(10_000).await;
    let (_loading, _stop) = occupy(&node, "1").await;
    let covered = begin(&node, "2", DEFAULT, unasked);
    others_turn().await;
    world.live(1_000).await;
    assert_eq!(
        sight(&answer(covered).await),
        old("old", ErrorKind::Overloaded)
    );
}

#[tokio::test]
async fn a_key_that_found_no_room_is_not_held_off() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    node.set("2", "old".to_owned()).await.ok().unwrap();
    world.live(10_000).await;
    let (_loading, stop) = occupy(&node, "1").await;
    let covered = begin(&node, "2", DEFAULT, unasked);
    others_turn().await;
    world.live(1_000).await;
    answer(covered).await;
    stop.go();
    others_turn().await;
    assert_eq!(
        sight(&ask(&node, "2", found("new")).await.unwrap()),
        fine("new")
    );
}

#[tokio::test]
async fn the_wait_for_room_is_part_of_the_callers_time() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    let (_loading, _stop) = occupy(&node, "1").await;
    let options = Options {
        hard: Some(millis(300)),
        ..DEFAULT
    };
    let waiting = begin(&node, "2", options, unasked);
    others_turn().await;
    world.live(299).await;
    assert!(!waiting.is_finished());
    world.live(1).await;
    assert_eq!(failure(waiting).await, ErrorKind::Timeout);
}

#[tokio::test]
async fn who_joins_a_load_takes_no_room() {
    let world = World::new();
    let node = world.node_with(room_for(2));
    let (first, stop) = occupy(&node, "1").await;
    let joined: Vec<_> = (0..10)
        .map(|_| begin(&node, "1", DEFAULT, unasked))
        .collect();
    others_turn().await;
    assert_eq!(
        sight(&ask(&node, "2", found("two")).await.unwrap()),
        fine("two")
    );
    stop.go();
    for loading in joined.into_iter().chain([first]) {
        assert_eq!(answered(loading).await, "there");
    }
}

#[tokio::test]
async fn what_a_tier_has_needs_no_room() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    world
        .node()
        .set("far", "there".to_owned())
        .await
        .ok()
        .unwrap();
    let (_loading, _stop) = occupy(&node, "1").await;
    for _ in 0..2 {
        let answer = ask(&node, "far", unasked).await.unwrap();
        assert_eq!(sight(&answer), fine("there"));
    }
}

#[tokio::test]
async fn who_waits_for_room_keeps_no_other_node_from_loading() {
    let town = Town::new();
    let (a, b) = town.two_with(room_for(1)).await;
    let (_loading, _stop) = occupy(&a, "1").await;
    let waiting = a.load("2", unasked);
    others_turn().await;
    let answer = ask(&b, "2", found("of b")).await.unwrap();
    assert_eq!(sight(&answer), fine("of b"));
    assert_eq!(b.stats().waits, 0);
    drop(waiting);
}

#[tokio::test]
async fn a_batch_takes_the_room_of_one() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    let keys: Vec<_> = (0..100).map(|key| key.to_string()).collect();
    let answers = node.get_many_or_load(keys.iter().map(String::as_str), values_of);
    let answers = crate::support::world::promptly(answers).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(node.stats().loads_turned_away, 0);
}

#[tokio::test]
async fn a_batch_without_room_is_turned_away_key_by_key() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    node.set("2", "old".to_owned()).await.ok().unwrap();
    world.live(10_000).await;
    let (_loading, _stop) = occupy(&node, "1").await;
    let batch = node.clone();
    let load = crate::support::loaders::unasked_many;
    let waiting =
        tokio::spawn(async move { batch.with(DEFAULT).get_many_or_load(["2", "3"], load).await });
    others_turn().await;
    world.live(1_000).await;
    let mut answers = promptly(waiting).await.unwrap();
    let cold = answers.pop().unwrap();
    assert_eq!(cold.unwrap_err().kind(), ErrorKind::Overloaded);
    let covered = answers.pop().unwrap().unwrap();
    assert_eq!(sight(&covered), old("old", ErrorKind::Overloaded));
}

#[tokio::test]
async fn a_refresh_needs_room_too() {
    let world = World::new();
    let node = world.node_with(room_for(1));
    node.set("2", "old".to_owned()).await.ok().unwrap();
    let (_loading, _stop) = occupy(&node, "1").await;
    let cache = node.clone();
    let refreshing =
        tokio::spawn(async move { cache.with(DEFAULT).refresh("2", |_| unasked()).await });
    others_turn().await;
    world.live(1_000).await;
    assert_eq!(failure(refreshing).await, ErrorKind::Overloaded);
    assert_eq!(node.get("2").await.unwrap().as_str(), "old");
}
