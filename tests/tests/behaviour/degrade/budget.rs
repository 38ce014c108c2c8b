//! All that a call asks of an L2 that hangs takes no longer than its budget.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tiered::{Cache, ErrorKind, Outcome, Settings};

use super::world::{begin, fine, sight};
use crate::coherence::world::answer;
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, values_of};
use crate::support::spy::{Op, When};
use crate::support::world::{DEFAULT, World, others_turn, promptly, settings};

type Work = BoxFuture<'static, ()>;

/// Does this while L2 hangs: it ends when the budget is spent, and no sooner.
async fn takes(world: &World, budget: u64, work: Work) {
    let working = tokio::spawn(work);
    world.live(budget - 1).await;
    assert!(!working.is_finished(), "it was not even tried");
    world.live(1).await;
    assert!(working.is_finished(), "it takes longer than {budget} ms");
    promptly(working).await.unwrap();
}

/// A node that has all marks, whose L2 hangs from now on.
async fn frozen(ops: &[Op]) -> (World, Cache<String>) {
    let world = World::new();
    let node = world.node();
    node.contains("nothing").await;
    world.spy.freeze(ops);
    (world, node)
}

#[tokio::test]
async fn no_call_takes_longer_than_its_budget() {
    let calls: [fn(Cache<String>) -> Work; 12] = [
        |node| Box::pin(async move { assert!(node.get("1").await.is_none()) }),
        |node| {
            Box::pin(async move {
                assert_eq!(*node.get_or_load("1", found("new")).await.unwrap(), "new");
            })
        },
        |node| Box::pin(async move { drop(node.get_many(["1", "2"]).await) }),
        |node| {
            Box::pin(async move {
                for answer in node.get_many_or_load(["1", "2"], values_of).await {
                    assert!(answer.is_ok());
                }
            })
        },
        |node| Box::pin(async move { assert!(!node.contains("1").await) }),
        |node| {
            Box::pin(async move {
                let written = node.set("1", "new".to_owned()).await;
                assert!(
                    matches!(written.l2, Outcome::Failed(error) if error.kind() == ErrorKind::Timeout)
                );
            })
        },
        |node| Box::pin(async move { drop(node.set_many([("1", "new".to_owned())]).await) }),
        |node| {
            Box::pin(async move {
                let error = node.remove("1").await.ok().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Timeout);
            })
        },
        |node| Box::pin(async move { assert_eq!(node.expire("1").await.failed, 1) }),
        |node| Box::pin(async move { assert!(node.remove_tag("red").await.is_err()) }),
        |node| Box::pin(async move { assert!(node.clear().await.is_err()) }),
        |node| {
            Box::pin(async move {
                let load = found("new");
                assert_eq!(*node.refresh("1", move |_| load()).await.unwrap(), "new");
            })
        },
    ];
    for call in calls {
        let (world, node) = frozen(&Op::ALL).await;
        takes(&world, 50, call(node.clone())).await;
    }
}

#[tokio::test]
async fn a_node_that_knows_nothing_yet_takes_no_longer() {
    let world = World::new();
    world.spy.freeze(&Op::ALL);
    let node = world.node();
    let load =
        |node: Cache<String>| async move { node.get_or_load("1", found("new")).await.map(drop) };
    let loading = tokio::spawn(load(node.clone()));
    let setting = tokio::spawn(async move { drop(node.set("2", "new".to_owned()).await) });
    world.live(50).await;
    assert!(loading.is_finished() && setting.is_finished());
    promptly(loading).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_steps_of_a_load_share_one_budget() {
    for (slow, hung) in [
        (Op::Get, Op::Claim),
        (Op::Claim, Op::Fill),
        (Op::Get, Op::Fill),
    ] {
        let (world, node) = frozen(&[hung]).await;
        let mut slow = world.spy.hold(slow, When::After);
        let loading = begin(&node, "1", DEFAULT, found("new"));
        slow.reached().await;
        world.live(30).await;
        slow.go();
        others_turn().await;
        world.live(19).await;
        assert!(!loading.is_finished());
        world.live(1).await;
        assert!(loading.is_finished(), "{hung:?} has what is left");
        assert_eq!(sight(&answer(loading).await), fine("new"));
    }
}

#[tokio::test]
async fn the_loaders_time_is_not_l2s() {
    let (world, node) = frozen(&[]).await;
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "new"));
    stop.reached().await;
    world.live(1_000).await;
    let mut fill = world.spy.hold(Op::Fill, When::Before);
    stop.go();
    fill.reached().await;
    world.live(49).await;
    fill.go();
    assert_eq!(sight(&answer(loading).await), fine("new"));
    let far = world.far_node().get("1").await;
    assert_eq!(far.unwrap().as_str(), "new", "it was stored");
}

#[tokio::test]
async fn keeping_a_claim_costs_the_call_nothing() {
    let (world, node) = frozen(&[Op::Renew]).await;
    let (mut stop, gate) = gate();
    let loading = begin(&node, "1", DEFAULT, found_after(gate, "new"));
    stop.reached().await;
    world.live(2_500).await;
    assert!(world.spy.asked(Op::Renew).0 > 0);
    stop.go();
    answer(loading).await;
    let far = world.far_node().get("1").await;
    assert_eq!(far.unwrap().as_str(), "new", "it was stored");
}

#[tokio::test]
async fn presence_of_what_carries_tags_is_told_within_one_budget() {
    let world = World::new();
    let tags = ["red"];
    let other = world.node();
    other
        .with(DEFAULT)
        .tags(&tags)
        .set("1", "there".to_owned())
        .await
        .ok()
        .unwrap();
    let node = world.node();
    node.contains("nothing").await;
    world.spy.freeze(&[Op::Get]);
    let mut heads = world.spy.hold(Op::Heads, When::After);
    let asking = tokio::spawn(async move { node.contains("1").await });
    heads.reached().await;
    world.live(40).await;
    heads.go();
    others_turn().await;
    world.live(10).await;
    assert!(asking.is_finished(), "it takes longer than the budget");
}

#[tokio::test]
async fn the_budget_is_a_setting() {
    let world = World::new();
    let mut settings: Settings = settings();
    settings.deadlines.l2 = Duration::from_millis(7);
    let node = world.node_with(settings);
    node.contains("nothing").await;
    world.spy.freeze(&Op::ALL);
    takes(
        &world,
        7,
        Box::pin(async move { drop(node.get("1").await) }),
    )
    .await;
}

#[tokio::test]
async fn what_is_asked_at_the_same_time_is_spent_once() {
    let world = World::new();
    let node = world.node();
    let mut get = world.spy.hold(Op::Get, When::After);
    let mut marks = world.spy.hold(Op::ReadMarks, When::After);
    world.spy.freeze(&[Op::Claim]);
    let loading = begin(&node, "1", DEFAULT, found("new"));
    get.reached().await;
    marks.reached().await;
    world.live(30).await;
    get.go();
    marks.go();
    others_turn().await;
    world.live(19).await;
    assert!(!loading.is_finished(), "20 ms are left");
    world.live(1).await;
    assert!(loading.is_finished());
}
