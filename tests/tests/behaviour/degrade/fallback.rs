//! Older copies cover loads that fail.

use tiered::{Cache, ErrorKind, News, Options, Source};

use super::world::{
    Broken, ask, begin, broken, broken_many, lasting, old, outlived, outlived_in_l1,
    outlived_in_l2, panics, sight,
};
use crate::coherence::line::Fate;
use crate::coherence::world::{Node, Town, answer};
use crate::support::loaders::missing;
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, FAR_ONLY, NEAR_ONLY, World, millis, others_turn, settings};

async fn is_covered(node: &Cache<String>, source: Source) {
    let answer = ask(node, "1", broken).await.unwrap();
    assert_eq!(sight(&answer), old("old", ErrorKind::Loader));
    assert_eq!(answer.source, source);
    assert!(answer.failure.unwrap().cause::<Broken>().is_some());
}

/// Nothing serves: the loader's error is the answer.
async fn is_bare(node: &Cache<String>) {
    let error = ask(node, "1", broken).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Loader);
    assert!(error.cause::<Broken>().is_some());
}

#[tokio::test]
async fn a_copy_in_l1_covers_a_loader_that_fails() {
    let (_world, node) = outlived_in_l1(lasting()).await;
    is_covered(&node, Source::L1).await;
    assert_eq!((node.stats().stale_hits, node.stats().load_errors), (1, 1));
}

#[tokio::test]
async fn a_copy_in_l2_covers_a_loader_that_fails() {
    let (_world, node) = outlived_in_l2(lasting()).await;
    is_covered(&node, Source::L2).await;
}

#[tokio::test]
async fn a_copy_in_l2_covers_after_l1_has_lost_its_own() {
    let (world, node) = outlived(lasting()).await;
    let (_, fresh) = (node, world.node_with(lasting()));
    is_covered(&fresh, Source::L2).await;
    // It is at hand now, and no older for it.
    let again = ask(&fresh, "1", broken).await.unwrap();
    assert_eq!((again.source, again.age), (Source::L1, millis(10_000)));
}

#[tokio::test]
async fn nothing_serves_past_its_end_in_any_tier() {
    let near = outlived_in_l1(lasting()).await;
    let far = outlived_in_l2(lasting()).await;
    let both = outlived(lasting()).await;
    for (world, node) in [near, far, both] {
        world.live(59_999).await;
        let answer = ask(&node, "1", broken).await.unwrap();
        assert_eq!(sight(&answer), old("old", ErrorKind::Loader));
        world.live(1).await;
        is_bare(&node).await;
    }
}

#[tokio::test]
async fn a_copy_that_was_passed_on_has_no_later_end() {
    let (world, _node) = outlived(lasting()).await;
    world.live(30_000).await;
    let other = world.node_with(lasting());
    is_covered(&other, Source::L2).await;
    world.spy.fail(&Op::ALL);
    world.live(29_999).await;
    let answer = ask(&other, "1", broken).await.unwrap();
    assert_eq!(sight(&answer).0.as_deref(), Some("old"));
    assert_eq!((answer.source, answer.age), (Source::L1, millis(69_999)));
    world.live(1).await;
    is_bare(&other).await;
}

#[tokio::test]
async fn a_caller_may_refuse_older_copies() {
    let strict = Options {
        refuses_stale: true,
        ..DEFAULT
    };
    let near = outlived_in_l1(lasting()).await;
    let far = outlived_in_l2(lasting()).await;
    for (_world, node) in [near, far] {
        let error = node
            .with(strict)
            .get_or_load("1", broken)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Loader);
        assert_eq!(node.stats().stale_hits, 0);
    }
}

#[tokio::test]
async fn a_caller_who_refuses_older_copies_has_none_while_loads_are_held_off() {
    let (_world, node) = outlived(lasting()).await;
    is_covered(&node, Source::L2).await;
    let strict = Options {
        refuses_stale: true,
        ..DEFAULT
    };
    let error = node
        .with(strict)
        .get_or_load("1", broken)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Loader);
    assert_eq!(node.stats().loads, 2, "it was tried");
}

#[tokio::test]
async fn without_leave_nothing_covers() {
    let (_world, node) = outlived(settings()).await;
    is_bare(&node).await;
}

#[tokio::test]
async fn a_batch_is_covered_key_by_key() {
    let (_world, node) = outlived(lasting()).await;
    let call = node.with(DEFAULT);
    let mut answers = call.get_many_or_load(["1", "2"], broken_many).await;
    let cold = answers.pop().unwrap();
    assert_eq!(cold.unwrap_err().kind(), ErrorKind::Loader);
    let covered = answers.pop().unwrap().unwrap();
    assert_eq!(sight(&covered), old("old", ErrorKind::Loader));
}

#[tokio::test]
async fn that_there_was_none_covers_too() {
    let world = World::new();
    let node = world.node_with(lasting());
    ask(&node, "1", missing).await.unwrap();
    world.live(2_000).await;
    let answer = ask(&node, "1", broken).await.unwrap();
    assert_eq!(sight(&answer), (None, true, Some(ErrorKind::Loader)));
}

#[tokio::test]
async fn a_loader_that_panics_is_covered() {
    let (_world, node) = outlived(lasting()).await;
    let answer = ask(&node, "1", panics).await.unwrap();
    assert_eq!(sight(&answer), old("old", ErrorKind::Panicked));
}

#[tokio::test]
async fn what_was_expired_covers_for_as_long_as_it_would_have_lived() {
    let world = World::new();
    let node = world.node();
    node.set("1", "old".to_owned()).await.ok().unwrap();
    node.expire("1").await.ok().unwrap();
    world.live(9_999).await;
    let answer = ask(&node, "1", broken).await.unwrap();
    assert_eq!(sight(&answer), old("old", ErrorKind::Loader));
    world.live(1).await;
    is_bare(&node).await;
}

/// After this, by node a, nothing of the key serves on either node.
async fn leaves_nothing(change: impl AsyncFn(&Node)) {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    a.set_tagged("1", "old", &["red"]).await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(10_000).await;
    change(&a).await;
    others_turn().await;
    is_bare(&a).await;
    is_bare(&b).await;
}

#[tokio::test]
async fn what_was_removed_covers_nothing() {
    leaves_nothing(async |node| node.remove("1").await.ok().unwrap()).await;
}

#[tokio::test]
async fn what_lost_its_tag_covers_nothing() {
    leaves_nothing(async |node| node.remove_tag("red").await.unwrap()).await;
}

#[tokio::test]
async fn what_was_cleared_covers_nothing() {
    leaves_nothing(async |node| node.clear().await.unwrap()).await;
}

#[tokio::test]
async fn a_copy_that_may_have_been_removed_covers_nothing_while_l2_answers() {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(10_000).await;
    a.line.next(Fate::Lost);
    a.remove("1").await.ok().unwrap();
    b.line.tell(News::Gap);
    others_turn().await;
    is_bare(&b).await;
}

#[tokio::test]
async fn a_copy_in_doubt_covers_while_l2_does_not_answer() {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(10_000).await;
    b.spy.fail(&Op::ALL);
    b.line.tell(News::Gap);
    others_turn().await;
    let answer = answer(begin(&b, "1", DEFAULT, broken)).await;
    assert_eq!(sight(&answer).0.as_deref(), Some("old"));
    assert!(answer.is_stale);
}

#[tokio::test]
async fn a_call_looks_for_cover_only_where_it_may_read() {
    let (_world, node) = outlived(lasting()).await;
    let neither = Options {
        l1: FAR_ONLY.l1,
        l2: NEAR_ONLY.l2,
        ..DEFAULT
    };
    let error = node
        .with(neither)
        .get_or_load("1", broken)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Loader);
    let answer = node.with(NEAR_ONLY).get_or_load("1", broken).await.unwrap();
    assert_eq!(answer.source, Source::L1);
}

#[tokio::test]
async fn a_plain_get_is_never_answered_with_an_older_copy() {
    let (_world, node) = outlived(lasting()).await;
    assert!(node.get("1").await.is_none());
    assert!(!node.contains("1").await);
}
