//! Values are removed by their tags, on all nodes.

use tiered::{Loaded, Outcome, Rejection};

use super::world::{Node, Town};
use crate::support::loaders::{found, says};
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, others_turn};

/// Values with the tags x, y, z, and x and y; and one without.
async fn tagged(node: &Node) {
    node.set_tagged("x", "value", &["x"]).await;
    node.set_tagged("y", "value", &["y"]).await;
    node.set_tagged("xy", "value", &["x", "y"]).await;
    node.set_tagged("z", "value", &["z"]).await;
    node.put("plain", "value").await;
}

const KEYS: [&str; 5] = ["x", "y", "xy", "z", "plain"];

async fn present(node: &Node) -> Vec<&'static str> {
    let mut present = Vec::new();
    for key in KEYS {
        if node.value(key).await.is_some() {
            present.push(key);
        }
    }
    present
}

#[tokio::test]
async fn a_tags_removal_removes_what_carries_it_and_nothing_else() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let c = town.node().await;
    tagged(&a).await;
    assert_eq!(present(&b).await, KEYS);
    a.remove_tag("x").await.unwrap();
    others_turn().await;
    for node in [&a, &b, &c] {
        assert_eq!(present(node).await, ["y", "z", "plain"]);
    }
    b.remove_tag("y").await.unwrap();
    others_turn().await;
    for node in [&a, &b, &c, &town.node().await] {
        assert_eq!(present(node).await, ["z", "plain"]);
    }
}

#[tokio::test]
async fn a_tag_may_be_used_and_removed_again() {
    let (a, b) = Town::new().two().await;
    for round in ["1", "2", "3"] {
        a.set_tagged("x", round, &["x"]).await;
        others_turn().await;
        assert_eq!(b.value("x").await.as_deref(), Some(round));
        b.remove_tag("x").await.unwrap();
        others_turn().await;
        assert_eq!((a.value("x").await, b.value("x").await), (None, None));
    }
}

#[tokio::test]
async fn tags_of_the_call_and_of_the_loader_both_count() {
    for tag in ["of the call", "of the loader"] {
        let (a, b) = Town::new().two().await;
        let load = || says(Loaded::found("old".to_owned()).tags(["of the loader"]));
        let call = a.with(DEFAULT).tags(&["of the call"]);
        call.get_or_load("1", load()).await.unwrap();
        others_turn().await;
        assert_eq!(b.value("1").await.as_deref(), Some("old"));
        b.remove_tag(tag).await.unwrap();
        others_turn().await;
        assert_eq!((a.value("1").await, b.value("1").await), (None, None));
    }
}

#[tokio::test]
async fn a_batchs_values_have_their_own_tags() {
    let (a, b) = Town::new().two().await;
    let load = |keys: Vec<String>| async move {
        let pair = |key: String| (key.clone(), Loaded::found("v".to_owned()).tags([key]));
        Ok::<_, std::convert::Infallible>(keys.into_iter().map(pair).collect::<Vec<_>>())
    };
    a.get_many_or_load(["1", "2"], load).await;
    b.remove_tag("1").await.unwrap();
    others_turn().await;
    assert_eq!(b.contains_many(["1", "2"]).await, [false, true]);
    assert_eq!(a.contains_many(["1", "2"]).await, [false, true]);
}

#[tokio::test]
async fn that_there_is_none_may_have_a_tag_too() {
    let (a, b) = Town::new().two().await;
    let none = || says(Loaded::missing().tags(["x"]));
    assert!(a.get_or_load("1", none()).await.unwrap().is_none());
    assert!(b.with(DEFAULT).get("1").await.is_some(), "known not to be");
    b.remove_tag("x").await.unwrap();
    others_turn().await;
    assert!(a.with(DEFAULT).get("1").await.is_none());
    assert!(b.with(DEFAULT).get("1").await.is_none());
}

#[tokio::test]
async fn contains_and_removals_obey_tags() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.set_tagged("1", "old", &["x"]).await;
    assert!(b.contains("1").await);
    a.remove_tag("x").await.unwrap();
    others_turn().await;
    for node in [&a, &b, &town.node().await] {
        assert!(!node.contains("1").await);
        assert_eq!(node.contains_many(["1"]).await, [false]);
    }
}

#[tokio::test]
async fn what_has_no_tags_that_can_be_kept_is_not_stored_by_a_set() {
    let long = "x".repeat(129);
    let many: Vec<_> = (0..33).map(|tag| tag.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for tags in [&[""][..], &[long.as_str()], &many] {
        let (a, b) = Town::new().two().await;
        a.put("1", "old").await;
        assert_eq!(b.value("1").await.as_deref(), Some("old"));
        let written = a.with(DEFAULT).tags(tags).set("1", "new".to_owned()).await;
        assert!(matches!(written.l2, Outcome::Refused(_)), "{written:?}");
        others_turn().await;
        assert_eq!((a.value("1").await, b.value("1").await), (None, None));
        assert_eq!(a.stats().unstorable, 1);
    }
}

#[tokio::test]
async fn what_has_no_tags_that_can_be_kept_is_not_stored_by_a_load() {
    let long = "x".repeat(129);
    for tags in [vec![String::new()], vec![long], vec!["x".to_owned(); 40]] {
        let is_one = tags.len() == 40;
        let (a, b) = Town::new().two().await;
        let loaded = Loaded::found("value".to_owned()).tags(tags);
        let value = a.get_or_load("1", says(loaded)).await.unwrap();
        assert_eq!(value.unwrap().as_str(), "value");
        assert_eq!(a.near("1").await.is_some(), is_one, "the same tag is one");
        assert_eq!(b.value("1").await.is_some(), is_one);
        assert_eq!(a.stats().unstorable, u64::from(!is_one));
    }
}

#[tokio::test]
async fn as_many_tags_as_there_may_be_work() {
    let (a, b) = Town::new().two().await;
    let tags: Vec<_> = (0..32).map(|tag| format!("{tag:0>128}")).collect();
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    a.set_tagged("1", "old", &tags).await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    b.remove_tag(tags[31]).await.unwrap();
    others_turn().await;
    assert_eq!((a.value("1").await, b.value("1").await), (None, None));
}

#[tokio::test]
async fn a_mark_that_l2_has_forgotten_ends_the_values_that_carry_it() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.set_tagged("1", "old", &["x"]).await;
    town.alter_mark("#tag:{users}:x").await;
    let newcomer = town.node().await;
    assert_eq!(newcomer.value("1").await, None);
    assert_eq!(newcomer.stats().rejected(Rejection::Invalidated), 1);
    assert_eq!(newcomer.value_or("1", "new").await, "new");
}

#[tokio::test]
async fn what_has_a_tag_of_which_l2_does_not_tell_is_not_served() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.set_tagged("1", "old", &["x"]).await;
    a.put("2", "plain").await;
    b.value("2").await;
    b.spy.fail(&[Op::ReadMarks]);
    assert_eq!(b.value("1").await, None);
    assert_eq!(b.value("2").await.as_deref(), Some("plain"));
    assert_eq!(b.value_or("1", "loaded").await, "loaded");
    assert!(b.stats().l2_errors > 0);
}

#[tokio::test]
async fn a_removal_of_a_tag_that_nobody_knows_is_no_trouble() {
    let (a, b) = Town::new().two().await;
    tagged(&a).await;
    assert_eq!(present(&b).await, KEYS);
    let doubts = b.stats().doubts;
    a.remove_tag("unheard-of").await.unwrap();
    others_turn().await;
    for key in KEYS {
        assert!(b.near(key).await.is_some(), "{key}");
    }
    assert_eq!(b.stats().doubts, doubts);
}

#[tokio::test]
async fn a_tagged_value_whose_marks_are_known_costs_one_round_trip_and_then_none() {
    let (a, b) = Town::new().two().await;
    for key in ["1", "2", "3"] {
        a.set_tagged(key, "value", &["x", "y"]).await;
    }
    assert!(b.value("1").await.is_some());
    // It has doubted at its start, and asks in the background what time it is.
    others_turn().await;
    let before = b.spy.round_trips();
    assert!(b.value("2").await.is_some());
    assert_eq!(b.spy.round_trips(), before + 1);
    assert_eq!(b.value_unasked("3").await, "value");
    assert_eq!(b.spy.round_trips(), before + 2);
    for key in ["1", "2", "3"] {
        assert!(b.value(key).await.is_some());
    }
    assert_eq!(b.spy.round_trips(), before + 2);
}

#[tokio::test]
async fn a_tagged_value_whose_marks_are_not_known_costs_two_round_trips() {
    let (a, b) = Town::new().two().await;
    for key in ["1", "2"] {
        a.set_tagged(key, "value", &["x", "y", "z"]).await;
    }
    b.value("nothing").await;
    let before = b.spy.round_trips();
    assert_eq!(b.get_many(["1", "2"]).await.len(), 2);
    assert_eq!(b.spy.round_trips(), before + 2);
}

#[tokio::test]
async fn a_copy_of_a_tagged_value_serves_again_once_its_mark_is_known_again() {
    let (a, b) = Town::new().two().await;
    a.set_tagged("1", "value", &["x"]).await;
    a.set_tagged("2", "value", &["x"]).await;
    b.value("1").await;
    b.value("2").await;
    b.line.tell(tiered::News::Gap);
    others_turn().await;
    assert!(b.value("1").await.is_some());
    let before = b.spy.round_trips();
    assert!(
        b.near("2").await.is_some(),
        "its mark was read for the other"
    );
    assert_eq!(b.spy.round_trips(), before);
}

#[tokio::test]
async fn of_more_tags_than_a_node_remembers_those_of_its_copies_stay() {
    let town = Town::new();
    let node = town.near_node();
    let tagged = |tag: usize| {
        let (node, tag) = (&node, format!("tag {tag}"));
        async move {
            let tags = [tag.as_str()];
            let call = node.with(DEFAULT).tags(&tags);
            call.set("other", "value".to_owned()).await;
        }
    };
    let call = node.with(DEFAULT).tags(&["kept"]);
    call.set("1", "value".to_owned()).await;
    for tag in 0..60_000 {
        tagged(tag).await;
    }
    assert!(node.get("1").await.is_some());
    node.remove_tag("kept").await.unwrap();
    assert!(node.get("1").await.is_none());
}

#[tokio::test]
async fn without_l2_tags_work_within_the_node() {
    let town = Town::new();
    let node = town.near_node();
    let call = node.with(DEFAULT).tags(&["x"]);
    call.set("1", "value".to_owned()).await;
    node.with(DEFAULT)
        .tags(&["y"])
        .get_or_load("2", found("value"))
        .await
        .unwrap();
    node.remove_tag("x").await.unwrap();
    assert!(node.get("1").await.is_none());
    assert!(node.get("2").await.is_some());
}
