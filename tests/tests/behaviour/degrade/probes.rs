//! While a breaker is open one probe at a time is made.

use tiered::{Breaker, Cache, Outcome, Settings, State};

use crate::coherence::line::Fate;
use crate::coherence::world::Town;
use crate::support::spy::Op;
use crate::support::world::{FAR_ONLY, World, millis, others_turn, promptly, settings};

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
async fn one_probe_at_a_time_is_made_and_the_first_that_succeeds_closes_it() {
    let (world, node) = ready().await;
    let probes = || world.spy.asked(Op::Heads).0;
    world.spy.fail(&READS);
    for _ in 0..10 {
        node.get("1").await;
    }
    let before = probes();
    for probe in 1..=3 {
        world.live(249).await;
        for _ in 0..20 {
            node.get("1").await;
        }
        assert_eq!(probes(), before + probe - 1);
        world.live(1).await;
        assert_eq!(probes(), before + probe);
    }
    world.spy.fail(&[]);
    assert!(!is_read(&node).await, "not yet");
    world.live(250).await;
    assert_eq!(probes(), before + 4);
    assert!(is_read(&node).await);
    assert_eq!(
        node.health().l2.state,
        State::Degraded,
        "it has failed lately"
    );
    world.live(10_000).await;
    assert_eq!(node.health().l2.state, State::Up);
    assert_eq!(probes(), before + 4, "no more are needed");
}

#[tokio::test]
async fn a_probe_that_hangs_is_the_only_one_and_ends() {
    let (world, node) = ready().await;
    let probes = || world.spy.asked(Op::Heads).0;
    let before = probes();
    world.spy.freeze(&READS);
    time_out(&world, &node, 10).await;
    // After each pause of 250 ms one that is given up after 250 ms.
    for probe in 1..=3 {
        world.live(250).await;
        assert_eq!(probes(), before + probe);
        world.live(249).await;
        assert_eq!(probes(), before + probe);
        world.live(1).await;
    }
    world.spy.freeze(&[]);
    world.live(250).await;
    assert!(is_read(&node).await);
}

#[tokio::test]
async fn writes_are_probed_by_a_mark_of_no_use() {
    let (world, node) = ready().await;
    world.spy.fail(&WRITES);
    for _ in 0..10 {
        node.set("1", "new".to_owned()).await;
    }
    let before = world.spy.asked(Op::WriteMarks).0;
    world.live(250).await;
    assert_eq!(world.spy.asked(Op::WriteMarks).0, before + 1);
    world.spy.fail(&[]);
    world.live(250).await;
    let written = node.set("2", "new".to_owned()).await;
    assert!(matches!(written.l2, Outcome::Stored));
    assert!(is_read(&node).await, "nothing was cleared by it");
}

#[tokio::test]
async fn the_breakers_numbers_are_settings() {
    let world = World::new();
    let breaker = Breaker {
        calls: 2,
        pause: millis(30),
        ..Breaker::default()
    };
    let node = world.node_with(Settings {
        breaker,
        ..settings()
    });
    node.contains("nothing").await;
    world.spy.fail(&READS);
    for _ in 0..5 {
        node.get("1").await;
    }
    assert_eq!(world.spy.asked(Op::Get).0, 2);
    world.spy.fail(&[]);
    world.live(30).await;
    node.get("1").await;
    assert_eq!(world.spy.asked(Op::Get).0, 3);
}

#[tokio::test]
async fn a_backplane_that_fails_is_left_alone_and_tried_again() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.line.always(Fate::Failed);
    town.live(3_000).await;
    assert_eq!(a.health().backplane.state, State::Down);
    let before = a.line.attempts();
    for key in 0..20 {
        a.set(&key.to_string(), "new".to_owned()).await;
        others_turn().await;
    }
    assert_eq!(a.line.attempts(), before, "between two probes");
    town.live(1_000).await;
    let probes = a.line.attempts() - before;
    assert!((3..=5).contains(&probes), "{probes} in a second");
    a.line.always(Fate::Sent);
    town.live(2_000).await;
    assert_ne!(a.health().backplane.state, State::Down);
    a.put("1", "newest").await;
    others_turn().await;
    assert_eq!(b.value("1").await.as_deref(), Some("newest"));
}

#[tokio::test]
async fn a_backplane_that_hangs_holds_up_no_caller_for_longer_than_a_call_may_take() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.line.always(Fate::Hanging);
    town.live(1_500).await;
    assert!(!a.stats().hears_itself);
    let cache = a.cache.clone();
    let setting = tokio::spawn(async move { cache.set("1", "new".to_owned()).await });
    town.live(50).await;
    let written = promptly(setting).await.unwrap();
    assert!(written.ok().is_err(), "the others do not know");
    town.live(10_000).await;
    let written = promptly(a.set("1", "new".to_owned())).await;
    assert!(written.ok().is_err(), "and that is said at once now");
}

#[test]
fn probes_go_on_after_the_runtime_on_which_it_opened_has_ended() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap()
    };
    let (world, node) = runtime().block_on(async {
        let (world, node) = ready().await;
        world.spy.fail(&READS);
        for _ in 0..10 {
            node.get("1").await;
        }
        assert_eq!(node.health().l2.state, State::Down);
        (world, node)
    });
    world.spy.fail(&[]);
    runtime().block_on(async {
        assert!(!is_read(&node).await, "that lets it be probed");
        world.live(250).await;
        assert!(is_read(&node).await);
    });
}
