//! What fails is left alone for a while, and probed.

use tiered::{Cache, Embedded, L2, Outcome, State};

use super::world::{ask, fine, sight};
use crate::support::loaders::{found, unasked};
use crate::support::spy::{Op, Spy};
use crate::support::world::{FAR_ONLY, World, both, others_turn, promptly, settings, tiers};

const READS: [Op; 4] = [Op::Get, Op::Heads, Op::ReadMarks, Op::Time];
const WRITES: [Op; 8] = [
    Op::Set,
    Op::Remove,
    Op::Expire,
    Op::Claim,
    Op::Fill,
    Op::Renew,
    Op::Release,
    Op::WriteMarks,
];

/// A node that has all marks, and has something in L2 under "there".
async fn ready() -> (World, Cache<String>) {
    let world = World::new();
    let node = world.node();
    world
        .node()
        .set("there", "it".to_owned())
        .await
        .ok()
        .unwrap();
    node.contains("nothing").await;
    (world, node)
}

/// So many reads in a row, each until its budget is spent.
async fn time_out(world: &World, node: &Cache<String>, times: usize) {
    for _ in 0..times {
        let cache = node.clone();
        let reading = tokio::spawn(async move { cache.get("1").await });
        others_turn().await;
        world.live(50).await;
        assert!(promptly(reading).await.unwrap().is_none());
    }
}

/// L2 is read, and has it.
async fn is_read(node: &Cache<String>) -> bool {
    let found = promptly(node.with(FAR_ONLY).get("there")).await;
    found.is_some()
}

#[tokio::test]
async fn after_ten_timeouts_l2_is_not_asked_and_calls_take_no_time() {
    let (world, node) = ready().await;
    world.spy.freeze(&Op::ALL);
    time_out(&world, &node, 9).await;
    assert_eq!(world.spy.asked(Op::Get).0, 9);
    time_out(&world, &node, 1).await;
    let asked = world.spy.round_trips();
    for key in ["1", "2", "3"] {
        assert!(promptly(node.get(key)).await.is_none());
        let loaded = ask(&node, key, found("new")).await.unwrap();
        assert_eq!(sight(&loaded), fine("new"));
        assert!(!promptly(node.contains("4")).await);
    }
    // Writes have a breaker of their own: the first load above has asked for a claim, in vain.
    let claims = world.spy.asked(Op::Claim).0;
    assert_eq!(world.spy.round_trips(), asked + claims);
}

#[tokio::test]
async fn ten_callers_at_once_open_it_too() {
    let (world, node) = ready().await;
    world.spy.freeze(&Op::ALL);
    let read = |_| {
        let node = node.clone();
        tokio::spawn(async move { node.get("1").await })
    };
    let reads: Vec<_> = (0..10).map(read).collect();
    world.live(50).await;
    for reading in reads {
        assert!(promptly(reading).await.unwrap().is_none());
    }
    assert_eq!(node.health().l2.state, State::Down);
    assert!(promptly(node.get("1")).await.is_none());
}

#[tokio::test]
async fn writes_that_fail_open_it_and_then_take_no_time() {
    let (world, node) = ready().await;
    world.spy.freeze(&WRITES);
    for _ in 0..10 {
        let cache = node.clone();
        let setting = tokio::spawn(async move { cache.set("1", "new".to_owned()).await });
        others_turn().await;
        world.live(50).await;
        assert!(matches!(
            promptly(setting).await.unwrap().l2,
            Outcome::Failed(_)
        ));
    }
    let written = promptly(node.set("2", "new".to_owned())).await;
    assert!(matches!(written.l2, Outcome::Failed(_)));
    assert_eq!(promptly(node.remove("3")).await.failed, 1);
    assert!(promptly(node.clear()).await.is_err());
}

#[tokio::test]
async fn reads_that_fail_do_not_keep_writes_from_l2() {
    let (world, node) = ready().await;
    world.spy.fail(&READS);
    for _ in 0..20 {
        node.get("1").await;
    }
    assert_eq!(node.health().l2.state, State::Down);
    let written = node.set("1", "new".to_owned()).await;
    assert!(matches!(written.l2, Outcome::Stored));
    assert_eq!(node.remove("1").await.failed, 0);
}

#[tokio::test]
async fn a_store_that_is_read_only_is_still_read() {
    let (world, node) = ready().await;
    world.spy.fail(&WRITES);
    for _ in 0..20 {
        node.set("1", "new".to_owned()).await;
    }
    let sets = world.spy.asked(Op::Set).0;
    assert_eq!(node.health().l2.state, State::Degraded);
    assert!(is_read(&node).await);
    assert_eq!(
        sight(&ask(&node, "there", unasked).await.unwrap()),
        fine("it")
    );
    assert_eq!(
        sight(&ask(&node, "cold", found("new")).await.unwrap()),
        fine("new")
    );
    node.set("1", "new".to_owned()).await;
    assert_eq!(world.spy.asked(Op::Set).0, sets, "it is not asked");
}

#[tokio::test]
async fn failures_below_the_share_never_open_it() {
    let (world, node) = ready().await;
    for call in 0..90 {
        world.spy.fail(if call % 3 == 0 { &READS } else { &[] });
        node.with(FAR_ONLY).get("there").await;
        world.pass(10);
    }
    world.spy.fail(&[]);
    assert!(is_read(&node).await);
    assert_eq!(world.spy.asked(Op::Get).0, 91, "each was asked");
}

#[tokio::test]
async fn failures_that_are_long_ago_do_not_count() {
    let (world, node) = ready().await;
    world.spy.fail(&READS);
    for calls in 1..=30 {
        node.get("1").await;
        assert_eq!(world.spy.asked(Op::Get).0, calls);
        world.pass(1_200);
    }
}

#[tokio::test]
async fn what_a_store_has_no_room_for_is_an_answer() {
    let world = World::new();
    let store = Embedded::bounded(2_000).with_clock(world.hand.clone());
    let spy = Spy::new(store.clone());
    let node = world.bare().l1(tiered::Moka::entries(10)).l2(spy.clone());
    let node = node.settings(settings()).build().unwrap();
    for _ in 0..30 {
        let written = node.set("1", "x".repeat(4_000)).await;
        assert!(matches!(written.l2, Outcome::Refused(_)));
    }
    node.set("2", "small".to_owned()).await.ok().unwrap();
    assert_eq!(tiers(&node, "2").await, both("small"));
    assert!(store.backplane().is_some());
}
