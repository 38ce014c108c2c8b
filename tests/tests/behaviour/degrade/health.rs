//! How a cache is: told at once, whatever hangs.

use tiered::{Health, Moka, State};

use super::world::{begin, lasting};
use crate::coherence::line::Fate;
use crate::coherence::world::Town;
use crate::support::gate::gate;
use crate::support::loaders::found_after;
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, World, millis, others_turn, settings};

fn states(health: &Health) -> [State; 4] {
    [&health.l1, &health.l2, &health.backplane, &health.loads].map(|part| part.state)
}

#[tokio::test]
async fn a_part_that_there_is_not_is_absent() {
    let world = World::new();
    let near = world.near_node().health();
    assert_eq!(
        states(&near),
        [State::Up, State::Absent, State::Absent, State::Up]
    );
    let far = world.far_node().health();
    assert_eq!(
        states(&far),
        [State::Absent, State::Up, State::Absent, State::Up]
    );
    assert_eq!((near.worst(), far.worst()), (State::Up, State::Up));
}

#[tokio::test]
async fn a_node_in_order_is_up_and_says_since_when() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    let before = a.health().l2.since.unwrap();
    town.live(5_000).await;
    let health = a.health();
    assert_eq!(states(&health), [State::Up; 4]);
    assert_eq!(health.l2.since, Some(before + millis(5_000)));
    assert_eq!(health.backplane.since, Some(before + millis(5_000)));
    for part in [health.l1, health.l2, health.backplane, health.loads] {
        assert_eq!(part.why, "");
    }
    assert_eq!((health.unconfirmed, health.untold), (0, 0));
}

#[tokio::test]
async fn l2_is_down_while_it_is_not_asked() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.spy.fail(&[Op::Get, Op::Heads]);
    a.value("1").await;
    let l2 = a.health().l2;
    assert_eq!(l2.state, State::Degraded, "one call has failed");
    assert!(!l2.why.is_empty());
    for _ in 0..9 {
        a.value("1").await;
    }
    town.live(700).await;
    let health = a.health();
    assert_eq!(
        (health.l2.state, health.worst()),
        (State::Down, State::Down)
    );
    assert_eq!(health.l2.since, Some(millis(700)));
    assert!(health.l2.why.contains("breaker"));
    a.spy.fail(&[]);
    town.live(500).await;
    assert_eq!(a.health().l2.state, State::Degraded);
    town.live(10_000).await;
    assert_eq!(a.health().l2.state, State::Up);
}

#[tokio::test]
async fn l2_is_degraded_while_it_is_not_written() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.spy.fail(&[Op::Claim, Op::WriteMarks]);
    for key in 0..10 {
        a.value_or(&key.to_string(), "new").await;
    }
    town.live(400).await;
    let l2 = a.health().l2;
    assert_eq!((l2.state, l2.since), (State::Degraded, Some(millis(400))));
    assert!(l2.why.contains("written"), "{}", l2.why);
}

#[tokio::test]
async fn l2_is_degraded_while_something_is_to_be_repeated() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.spy.stick("users:1");
    a.remove("1").await;
    let health = a.health();
    assert_eq!((health.l2.state, health.unconfirmed), (State::Degraded, 1));
    assert!(health.l2.why.contains("repeated"), "{}", health.l2.why);
}

#[tokio::test]
async fn a_node_that_does_not_hear_itself_is_in_doubt() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.line.set_deaf(true);
    town.live(3_000).await;
    let health = a.health();
    assert_eq!(
        states(&health),
        [State::Degraded, State::Up, State::Down, State::Up]
    );
    let silent = health.backplane.since.unwrap();
    assert!(
        (millis(1_900)..=millis(2_300)).contains(&silent),
        "{silent:?}"
    );
    assert_eq!(health.l1.since, Some(silent));
    a.line.set_deaf(false);
    town.live(500).await;
    assert_eq!(states(&a.health()), [State::Up; 4]);
}

#[tokio::test]
async fn a_backplane_that_fails_now_and_then_is_degraded() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.line.next(Fate::Failed);
    town.live(300).await;
    let backplane = a.health().backplane;
    assert_eq!(backplane.state, State::Degraded);
    assert!(!backplane.why.is_empty());
    town.live(10_000).await;
    assert_eq!(a.health().backplane.state, State::Up);
}

#[tokio::test]
async fn changes_that_wait_are_counted_and_many_degrade_the_backplane() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    let mut hang = a.line.hang();
    a.put("1", "new").await;
    hang.reached().await;
    let keys: Vec<_> = (0..3_000).map(|key| key.to_string()).collect();
    a.remove_many(keys.iter().map(String::as_str)).await;
    let health = a.health();
    assert_eq!(
        (health.untold, health.backplane.state),
        (3_001, State::Degraded)
    );
    hang.go();
    others_turn().await;
    assert_eq!(a.health().untold, 0);
}

#[tokio::test]
async fn loads_are_degraded_while_there_is_no_room() {
    let world = World::new();
    let mut settings = lasting();
    settings.throttle.max_loads = 1;
    let node = world.node_with(settings);
    let (mut stop, gate) = gate();
    begin(&node, "1", DEFAULT, found_after(gate, "1"));
    stop.reached().await;
    let health = node.health();
    assert_eq!(
        (health.loads.state, health.running_loads),
        (State::Degraded, 1)
    );
    assert!(!health.loads.why.is_empty());
    stop.go();
    others_turn().await;
    assert_eq!(node.health().loads.state, State::Up);
}

/// It is not a future, so it cannot wait for anybody; nor does it ask.
#[tokio::test]
async fn it_is_told_while_everything_hangs_and_asks_nobody() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.spy.freeze(&Op::ALL);
    a.line.always(Fate::Hanging);
    town.live(10_000).await;
    let before = a.spy.round_trips();
    let health = a.health();
    others_turn().await;
    assert_eq!(health.backplane.state, State::Down);
    assert_eq!(a.spy.round_trips(), before);
}

#[test]
fn it_is_told_where_there_is_no_runtime() {
    let world = World::new();
    let node = world.bare::<str>().l1(Moka::entries(10));
    let node = node.settings(settings()).build().unwrap();
    assert_eq!(node.health().worst(), State::Up);
}
