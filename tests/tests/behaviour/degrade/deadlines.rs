//! How long a caller waits at most, and for what.

use tiered::{ErrorKind, Options, Source};

use super::world::{
    begin, fine, lasting, old, outlived, outlived_in_l1, outlived_in_l2, sight, with_deadlines,
};
use crate::coherence::world::answer;
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, says, unasked};
use crate::support::spy::{Op, When};
use crate::support::world::{
    DEFAULT, FAR_ONLY, NEITHER, World, both, millis, others_turn, promptly, tiers,
};

const AT_ONCE: Options = Options {
    soft: Some(std::time::Duration::ZERO),
    ..DEFAULT
};

#[tokio::test]
async fn at_the_soft_deadline_the_old_copy_answers_and_the_late_value_is_stored() {
    let (world, node) = outlived(lasting()).await;
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "new"));
    stop.reached().await;
    world.live(249).await;
    assert!(!loading.is_finished());
    world.live(1).await;
    assert_eq!(
        sight(&answer(loading).await),
        old("old", ErrorKind::Timeout)
    );
    assert_eq!(node.stats().stale_hits, 1);
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, both("new"));
}

#[tokio::test]
async fn an_old_copy_of_either_tier_answers_at_the_soft_deadline() {
    let near = outlived_in_l1(lasting()).await;
    let far = outlived_in_l2(lasting()).await;
    for ((world, node), source) in [(near, Source::L1), (far, Source::L2)] {
        let (mut stop, gate) = gate();
        let loading = begin(&node, "1", DEFAULT, found_after(gate, "new"));
        stop.reached().await;
        world.live(250).await;
        let answer = answer(loading).await;
        assert_eq!(sight(&answer), old("old", ErrorKind::Timeout));
        assert_eq!((answer.source, answer.age), (source, millis(10_250)));
    }
}

#[tokio::test]
async fn a_soft_deadline_of_zero_answers_at_once_with_what_there_is() {
    let settings = with_deadlines(|deadlines| deadlines.soft = std::time::Duration::ZERO);
    let (_world, node) = outlived(settings).await;
    let (stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "new"));
    assert_eq!(
        sight(&answer(loading).await),
        old("old", ErrorKind::Timeout)
    );
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, both("new"));
}

#[tokio::test]
async fn without_an_old_copy_a_caller_waits_beyond_the_soft_deadline() {
    let world = World::new();
    let node = world.node_with(lasting());
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", AT_ONCE, found_after(gate, "new"));
    stop.reached().await;
    world.live(29_900).await;
    assert!(!loading.is_finished());
    stop.go();
    assert_eq!(sight(&answer(loading).await), fine("new"));
}

#[tokio::test]
async fn an_old_copy_that_turns_up_after_the_soft_deadline_answers_then() {
    let (world, node) = outlived_in_l2(lasting()).await;
    let mut far = world.spy.hold(Op::Get, When::Before);
    let (_stop, gate) = gate();
    let options = Options {
        soft: Some(millis(10)),
        ..DEFAULT
    };
    let loading = begin(&node, "1", options, found_after(gate, "new"));
    far.reached().await;
    world.live(30).await;
    assert!(!loading.is_finished());
    far.go();
    assert_eq!(
        sight(&answer(loading).await),
        old("old", ErrorKind::Timeout)
    );
}

#[tokio::test]
async fn a_load_in_time_is_no_older_copy() {
    let (world, node) = outlived(lasting()).await;
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "new"));
    stop.reached().await;
    world.live(249).await;
    stop.go();
    assert_eq!(sight(&answer(loading).await), fine("new"));
    assert_eq!(node.stats().stale_hits, 0);
}

#[tokio::test]
async fn a_late_value_is_not_stored_over_what_has_changed_meanwhile() {
    let (world, node) = outlived(lasting()).await;
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", AT_ONCE, found_after(gate, "late"));
    answer(loading).await;
    stop.reached().await;
    world.node().remove("1").await.ok().unwrap();
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, NEITHER);
    assert_eq!(node.stats().loads_refused, 1);
}

#[tokio::test]
async fn what_is_loaded_without_a_life_is_no_older_copy() {
    let node = World::new().node_with(lasting());
    let answer = node.with(DEFAULT).get_or_load("1", brief()).await;
    assert_eq!(sight(&answer.unwrap()), fine("new"));
    assert_eq!(node.stats().stale_hits, 0);
}

#[tokio::test]
async fn what_is_loaded_without_a_life_answers_who_refuses_older_copies() {
    let node = World::new().node_with(lasting());
    let strict = Options {
        refuses_stale: true,
        ..DEFAULT
    };
    let answer = node.with(strict).get_or_load("1", brief()).await;
    assert_eq!(answer.unwrap().value.unwrap().as_str(), "new");
}

#[tokio::test]
async fn a_refresh_that_brings_something_without_a_life_is_answered() {
    let node = World::new().node_with(lasting());
    let load = brief();
    let refreshed = node.with(DEFAULT).refresh("1", move |_| load()).await;
    assert_eq!(refreshed.unwrap().value.unwrap().as_str(), "new");
}

/// A loader of something that is not to be kept.
fn brief() -> impl FnOnce() -> futures_util::future::BoxFuture<
    'static,
    Result<tiered::Loaded<String>, std::convert::Infallible>,
> {
    let brief = tiered::Loaded::found("new".to_owned());
    says(brief.ttl(std::time::Duration::ZERO))
}

#[tokio::test]
async fn a_hit_is_answered_whatever_the_deadlines() {
    let world = World::new();
    let node = world.node_with(lasting());
    node.get_or_load("1", found("new")).await.unwrap();
    let near = Options {
        hard: Some(std::time::Duration::ZERO),
        ..AT_ONCE
    };
    let far = Options {
        l1: FAR_ONLY.l1,
        ..AT_ONCE
    };
    for options in [near, far] {
        let answer = promptly(node.with(options).get_or_load("1", unasked)).await;
        assert_eq!(sight(&answer.unwrap()), fine("new"));
    }
}

#[tokio::test]
async fn a_batch_is_answered_at_the_soft_deadline_as_far_as_there_are_old_copies() {
    let (world, node) = outlived(lasting()).await;
    node.set("2", "fresh".to_owned()).await.ok().unwrap();
    let (mut stop, gate) = gate();
    let load = |keys: Vec<String>| async move {
        gate.pass().await;
        let found = keys.into_iter().map(|key| (key, "new".to_owned()));
        Ok::<_, String>(found.collect::<Vec<_>>())
    };
    let batch = node.clone();
    let loading = tokio::spawn(async move {
        let call = batch.with(DEFAULT);
        call.get_many_or_load(["1", "2"], load).await
    });
    stop.reached().await;
    world.live(249).await;
    assert!(!loading.is_finished());
    world.live(1).await;
    let answers = promptly(loading).await.unwrap().into_iter();
    let sights: Vec<_> = answers.map(|answer| sight(&answer.unwrap())).collect();
    assert_eq!(sights, [old("old", ErrorKind::Timeout), fine("fresh")]);
    stop.go();
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, both("new"));
}

#[tokio::test]
async fn at_a_hard_deadline_before_the_soft_one_the_old_copy_answers() {
    let (world, node) = outlived(lasting()).await;
    let (mut stop, gate) = gate();
    let options = Options {
        hard: Some(millis(100)),
        ..DEFAULT
    };
    let loading = begin(&node, "1", options, found_after(gate, "new"));
    stop.reached().await;
    world.live(99).await;
    assert!(!loading.is_finished());
    world.live(1).await;
    assert_eq!(
        sight(&answer(loading).await),
        old("old", ErrorKind::Timeout)
    );
}
