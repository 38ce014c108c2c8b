//! Tags that are removed while something with them is under way.

use tiered::Loaded;

use super::world::{Node, Town, answered};
use crate::support::gate::gate;
use crate::support::loaders::{found, says};
use crate::support::spy::{Op, When};
use crate::support::world::{DEFAULT, others_turn, promptly};

/// A load whose loader says "red" only at its end, while the other node removes this tag.
async fn loads_while_removed(a: &Node, b: &Node, tag: &str) -> String {
    let (mut stop, gate) = gate();
    let loading = a.load("1", || async move {
        gate.pass().await;
        says(Loaded::found("old".to_owned()).tags(["red"]))().await
    });
    stop.reached().await;
    b.remove_tag(tag).await.unwrap();
    stop.go();
    let value = answered(loading).await;
    others_turn().await;
    value
}

#[tokio::test]
async fn a_tag_first_named_by_the_loader_and_removed_in_mid_load_refuses_the_load() {
    let town = Town::new();
    let (a, b) = town.two().await;
    assert_eq!(loads_while_removed(&a, &b, "red").await, "old");
    assert_eq!(a.stats().loads_refused, 1);
    assert_eq!((a.value("1").await, b.value("1").await), (None, None));
}

#[tokio::test]
async fn a_tag_first_named_by_the_loader_is_refused_also_if_no_message_came() {
    let town = Town::new();
    let (a, b) = town.two().await;
    b.line.hold();
    assert_eq!(loads_while_removed(&a, &b, "red").await, "old");
    assert_eq!(a.stats().loads_refused, 1);
    assert_eq!(town.in_l2("1").await, None);
    assert_eq!(a.value("1").await, None);
}

#[tokio::test]
async fn a_known_tag_named_by_the_loader_and_removed_in_mid_load_ends_the_value() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.set_tagged("0", "other", &["red"]).await;
    assert_eq!(loads_while_removed(&a, &b, "red").await, "old");
    assert_eq!((a.value("1").await, b.value("1").await), (None, None));
    assert_eq!(town.in_l2("1").await, None);
}

#[tokio::test]
async fn a_new_tag_is_refused_once_if_another_one_is_removed_and_stored_the_next_time() {
    let town = Town::new();
    let (a, b) = town.two().await;
    assert_eq!(loads_while_removed(&a, &b, "green").await, "old");
    assert_eq!(a.stats().loads_refused, 1);
    let load = says(Loaded::found("again".to_owned()).tags(["red"]));
    a.get_or_load("1", load).await.unwrap();
    assert_eq!(a.near("1").await.as_deref(), Some("again"));
    assert_eq!(b.value("1").await.as_deref(), Some("again"));
}

#[tokio::test]
async fn a_known_tag_is_not_refused_because_another_one_is_removed() {
    let (a, b) = Town::new().two().await;
    a.set_tagged("0", "other", &["red"]).await;
    let (mut stop, gate) = gate();
    let loading = a.load_tagged("1", "red", || async move {
        gate.pass().await;
        found("value")().await
    });
    stop.reached().await;
    b.remove_tag("green").await.unwrap();
    others_turn().await;
    stop.go();
    assert_eq!(answered(loading).await, "value");
    assert_eq!(b.value("1").await.as_deref(), Some("value"));
}

#[tokio::test]
async fn a_tag_removed_while_a_set_with_it_is_under_way_ends_the_value() {
    for when in [When::Before, When::After] {
        let town = Town::new();
        let (a, b) = town.two().await;
        let mut stop = a.spy.hold(Op::Set, when);
        let cache = a.cache.clone();
        let setting = tokio::spawn(async move {
            let call = cache.with(DEFAULT).tags(&["red"]);
            call.set("1", "old".to_owned()).await.ok()
        });
        stop.reached().await;
        b.remove_tag("red").await.unwrap();
        others_turn().await;
        stop.go();
        promptly(setting).await.unwrap().unwrap();
        others_turn().await;
        assert_eq!((a.value("1").await, b.value("1").await), (None, None));
        assert_eq!(town.in_l2("1").await, None);
    }
}

#[tokio::test]
async fn a_mark_that_was_read_before_a_removal_is_not_learned_after_it() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.set_tagged("1", "old", &["red"]).await;
    b.value("nothing").await;
    let mut stop = b.spy.hold(Op::ReadMarks, When::After);
    let cache = b.cache.clone();
    let reading = tokio::spawn(async move { cache.get("1").await });
    stop.reached().await;
    a.remove_tag("red").await.unwrap();
    others_turn().await;
    stop.go();
    promptly(reading).await.unwrap();
    assert_eq!(b.near("1").await, None);
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_late_message_about_a_tag_does_not_bring_an_older_mark_back() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.line.hold();
    a.remove_tag("red").await.unwrap();
    b.set_tagged("1", "old", &["red"]).await;
    b.remove_tag("red").await.unwrap();
    others_turn().await;
    a.line.let_go().await;
    others_turn().await;
    for node in [&a, &b] {
        assert_eq!(node.near("1").await, None);
        assert_eq!(node.value("1").await, None);
    }
}

#[tokio::test]
async fn a_late_message_about_a_tag_does_not_end_what_was_set_after_the_removal_for_good() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.line.hold();
    a.remove_tag("red").await.unwrap();
    b.set_tagged("1", "new", &["red"]).await;
    a.line.let_go().await;
    others_turn().await;
    assert_eq!(b.value("1").await.as_deref(), Some("new"));
    assert_eq!(a.value("1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_flight_that_began_before_a_tags_removal_is_not_joined_after_it() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut stop, gate) = gate();
    let loading = a.load_tagged("1", "red", || async move {
        gate.pass().await;
        found("old")().await
    });
    stop.reached().await;
    b.remove_tag("red").await.unwrap();
    others_turn().await;
    let later = a.load_tagged("1", "red", found("new"));
    others_turn().await;
    assert!(!later.is_finished(), "the older load has the claim");
    stop.go();
    assert_eq!(answered(loading).await, "old");
    town.live(500).await;
    assert_eq!(answered(later).await, "new");
    assert_eq!(b.value_unasked("1").await, "new");
}

/// What was removed by its tag is gone for this node, whether L2 answers or not.
async fn is_not_served_blindly(removes: impl AsyncFn(&Node, &Node)) {
    let (a, b) = Town::new().two().await;
    a.set_tagged("1", "old", &["red"]).await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    removes(&a, &b).await;
    others_turn().await;
    b.spy.fail(&Op::ALL);
    assert_eq!(b.value("1").await, None);
    assert_eq!(b.value_or("1", "new").await, "new");
    assert_eq!(b.stats().blind_hits, 0);
}

#[tokio::test]
async fn what_a_node_has_removed_by_its_tag_does_not_serve_when_l2_fails() {
    is_not_served_blindly(async |_, b| b.remove_tag("red").await.unwrap()).await;
}

#[tokio::test]
async fn what_another_node_has_removed_by_its_tag_does_not_serve_when_l2_fails() {
    is_not_served_blindly(async |a, _| a.remove_tag("red").await.unwrap()).await;
}

#[tokio::test]
async fn what_was_cleared_does_not_serve_when_l2_fails() {
    is_not_served_blindly(async |a, _| a.clear().await.unwrap()).await;
}

#[tokio::test]
async fn what_was_removed_does_not_serve_when_l2_fails() {
    is_not_served_blindly(async |a, _| drop(a.remove("1").await)).await;
}

#[tokio::test]
async fn what_was_expired_does_not_serve_as_fresh_when_l2_fails() {
    is_not_served_blindly(async |a, _| drop(a.expire("1").await)).await;
}

#[tokio::test]
async fn a_copy_whose_tag_was_removed_unheard_is_not_confirmed_by_its_version() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.set_tagged("1", "old", &["red"]).await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    a.line.next(super::line::Fate::Lost);
    a.remove_tag("red").await.unwrap();
    town.live(1_000).await;
    assert_eq!(b.value("1").await, None);
    assert_eq!(b.stats().confirmed, 0);
}
