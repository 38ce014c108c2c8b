//! What is under way when a node begins to doubt.

use tiered::{News, Source};

use super::line::Fate;
use super::world::{Town, answer, answered};
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, unasked};
use crate::support::spy::{Op, When};
use crate::support::world::{others_turn, promptly};

#[tokio::test]
async fn a_read_under_way_when_a_node_begins_to_doubt_is_answered_by_l2() {
    let (a, b) = Town::new().two().await;
    a.put("1", "Ada").await;
    b.value("warm").await;
    let mut stop = b.spy.hold(Op::Get, When::After);
    let reading = b.load("1", unasked);
    stop.reached().await;
    b.line.tell(News::Gap);
    others_turn().await;
    stop.go();
    let answer = promptly(reading).await.unwrap();
    assert_eq!(b.stats().loads, 0, "one load per key, while l2 answers");
    assert_eq!(answer.unwrap().source, Source::L2);
}

#[tokio::test]
async fn a_load_under_way_when_a_node_begins_to_doubt_is_stored() {
    let (a, b) = Town::new().two().await;
    let (mut stop, gate) = gate();
    let loading = b.load("1", found_after(gate, "Ada"));
    stop.reached().await;
    b.line.tell(News::Gap);
    others_turn().await;
    stop.go();
    assert_eq!(answered(loading).await, "Ada");
    assert_eq!(b.stats().loads_refused, 0);
    assert_eq!(a.value_unasked("1").await, "Ada");
}

#[tokio::test]
async fn a_tagged_load_under_way_when_a_node_begins_to_doubt_brings_nothing_old() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut stop, gate) = gate();
    let loading = b.load_tagged("1", "red", found_after(gate, "old"));
    stop.reached().await;
    a.line.next(Fate::Lost);
    a.remove_tag("red").await.unwrap();
    b.line.tell(News::Gap);
    others_turn().await;
    stop.go();
    assert_eq!(answered(loading).await, "old");
    others_turn().await;
    assert_eq!(town.in_l2("1").await, None);
    assert_eq!((a.value("1").await, b.value("1").await), (None, None));
}

#[tokio::test]
async fn a_set_under_way_when_a_node_begins_to_doubt_is_stored() {
    for when in [When::Before, When::After] {
        let town = Town::new();
        let (a, b) = town.two().await;
        let mut stop = b.spy.hold(Op::Set, when);
        let cache = b.cache.clone();
        let setting = tokio::spawn(async move { cache.set("1", "Ada".to_owned()).await.ok() });
        stop.reached().await;
        b.line.tell(News::Gap);
        others_turn().await;
        stop.go();
        promptly(setting).await.unwrap().unwrap();
        others_turn().await;
        assert_eq!(a.value("1").await.as_deref(), Some("Ada"));
        assert_eq!(b.value("1").await.as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn a_wait_for_another_node_outlasts_a_doubt() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "Ada"));
    stop.reached().await;
    let waiting = b.load("1", unasked);
    crate::support::world::until("the wait", || b.stats().waits == 1).await;
    b.line.tell(News::Gap);
    town.live(600).await;
    stop.go();
    answered(loading).await;
    assert_eq!(answer(waiting).await.value.unwrap().as_str(), "Ada");
    assert_eq!(b.stats().loads, 0);
}

#[tokio::test]
async fn presence_of_a_doubtful_copy_is_asked_of_l2() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    assert!(b.value("1").await.is_some());
    town.live(1_500).await;
    a.line.next(Fate::Lost);
    a.remove("1").await;
    b.line.tell(News::Gap);
    others_turn().await;
    assert!(!b.contains("1").await);
    assert_eq!(b.remove("1").await.present, 0);
}

#[tokio::test]
async fn a_refresh_of_a_doubtful_copy_is_shown_what_l2_has() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    assert!(b.value("1").await.is_some());
    town.live(1_500).await;
    a.line.next(Fate::Lost);
    a.put("1", "new").await;
    b.line.tell(News::Gap);
    others_turn().await;
    let load = |held: Option<std::sync::Arc<String>>| async move {
        Ok::<_, std::convert::Infallible>(format!("after {}", held.unwrap()))
    };
    assert_eq!(b.refresh("1", load).await.unwrap().as_str(), "after new");
}

#[tokio::test]
async fn a_node_in_doubt_still_loads_what_nobody_has_only_once() {
    let (a, b) = Town::new().two().await;
    for node in [&a, &b] {
        node.line.tell(News::Gap);
    }
    others_turn().await;
    assert_eq!(a.value_or("1", "Ada").await, "Ada");
    assert_eq!(answered(b.load("1", found("unused"))).await, "Ada");
    assert_eq!(b.stats().loads, 0);
}
