//! What one node changes is changed for all, as soon as they have had their turn.

use tiered::{Access, Options, Outcome};

use super::world::{Node, Town};
use crate::support::loaders::found;
use crate::support::world::{DEFAULT, others_turn};

/// Both nodes hold the value `old` under the keys 1 and 2 in L1, with the tag red under 1.
async fn both_hold(town: &Town) -> (Node, Node) {
    let (a, b) = town.two().await;
    a.set_tagged("1", "old", &["red"]).await;
    a.put("2", "old").await;
    for key in ["1", "2"] {
        assert_eq!(b.value(key).await.as_deref(), Some("old"));
        assert_eq!(b.near(key).await.as_deref(), Some("old"));
    }
    (a, b)
}

/// The other node does not find its copy of key 1 any more, and still finds that of key 2.
async fn is_seen(change: impl AsyncFn(&Node)) -> (Town, Node, Node) {
    let town = Town::new();
    let (a, b) = both_hold(&town).await;
    let doubts = b.stats().doubts;
    change(&a).await;
    others_turn().await;
    assert_eq!(b.near("1").await, None);
    assert_eq!(b.near("2").await.as_deref(), Some("old"));
    assert_eq!(b.stats().doubts, doubts);
    (town, a, b)
}

#[tokio::test]
async fn a_removal_is_seen_by_other_nodes() {
    let (_town, _a, b) = is_seen(async |node| drop(node.remove("1").await)).await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_removal_of_many_is_seen_by_other_nodes() {
    let (_town, _a, b) = is_seen(async |node| drop(node.remove_many(["0", "1"]).await)).await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_set_is_seen_by_other_nodes() {
    let (_town, _a, b) = is_seen(async |node| node.put("1", "new").await).await;
    assert_eq!(b.value("1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_set_of_many_is_seen_by_other_nodes() {
    let (_town, _a, b) = is_seen(async |node| {
        node.set_many([("0", "new".to_owned()), ("1", "new".to_owned())])
            .await;
    })
    .await;
    assert_eq!(b.value("1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn an_expiry_is_seen_by_other_nodes() {
    let (_town, _a, b) = is_seen(async |node| drop(node.expire("1").await)).await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn an_expiry_of_many_is_seen_by_other_nodes() {
    let (_town, _a, b) = is_seen(async |node| drop(node.expire_many(["0", "1"]).await)).await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_tags_removal_is_seen_by_other_nodes() {
    let (_town, _a, b) = is_seen(async |node| node.remove_tag("red").await.unwrap()).await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_refresh_is_seen_by_other_nodes() {
    let (_town, _a, b) = is_seen(async |node| {
        node.refresh("1", |_| found("new")()).await.unwrap();
    })
    .await;
    assert_eq!(b.value("1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_set_that_l2_cannot_take_is_a_removal_for_other_nodes() {
    let (town, _a, b) = is_seen(async |node| {
        let written = node.set("1", "x".repeat(5 << 20)).await;
        assert!(matches!(written.l2, Outcome::Refused(_)));
    })
    .await;
    assert_eq!(b.value("1").await, None);
    assert_eq!(town.bytes("1").await, None);
}

#[tokio::test]
async fn a_set_that_passes_l2_by_is_a_removal_for_other_nodes() {
    let (_town, _a, b) = is_seen(async |node| {
        let near_only = Options {
            l2: Access::Skip,
            ..DEFAULT
        };
        node.with(near_only).set("1", "mine".to_owned()).await;
    })
    .await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_set_that_passes_l1_by_is_seen_by_other_nodes() {
    let (_town, a, b) = is_seen(async |node| {
        let far_only = Options {
            l1: Access::Skip,
            ..DEFAULT
        };
        node.with(far_only).set("1", "new".to_owned()).await;
    })
    .await;
    assert_eq!(a.near("1").await, None);
    assert_eq!(a.value("1").await.as_deref(), Some("new"));
    assert_eq!(b.value("1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_clear_is_seen_by_other_nodes() {
    let town = Town::new();
    let (a, b) = both_hold(&town).await;
    a.clear().await.unwrap();
    others_turn().await;
    for key in ["1", "2"] {
        assert_eq!((b.near(key).await, b.value(key).await), (None, None));
    }
}

#[tokio::test]
async fn three_nodes_see_an_expiry_and_load_anew() {
    let town = Town::new();
    let nodes = [town.node().await, town.node().await, town.node().await];
    for node in &nodes {
        assert_eq!(node.value_or("1", "old").await, "old");
    }
    nodes[0].expire("1").await;
    others_turn().await;
    for node in &nodes {
        assert_eq!(node.near("1").await, None);
    }
    assert_eq!(nodes[1].value_or("1", "new").await, "new");
    others_turn().await;
    for node in &nodes {
        assert_eq!(node.value_unasked("1").await, "new");
    }
}

#[tokio::test]
async fn a_copy_of_the_very_version_that_a_message_names_stays() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.line.hold();
    a.put("1", "Ada").await;
    assert_eq!(b.value("1").await.as_deref(), Some("Ada"));
    a.line.let_go().await;
    others_turn().await;
    assert_eq!(b.near("1").await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_copy_of_the_very_fill_that_a_message_names_stays() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.line.hold();
    assert_eq!(a.value_or("1", "Ada").await, "Ada");
    assert_eq!(b.value("1").await.as_deref(), Some("Ada"));
    a.line.let_go().await;
    others_turn().await;
    assert_eq!(b.near("1").await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_nodes_own_messages_take_nothing_from_it() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.line.hold();
    a.remove("1").await;
    a.put("1", "Ada").await;
    a.line.let_go().await;
    others_turn().await;
    assert_eq!(a.near("1").await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_late_message_of_an_older_version_keeps_nothing_old() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.line.hold();
    a.put("1", "first").await;
    b.put("1", "second").await;
    others_turn().await;
    a.line.let_go().await;
    others_turn().await;
    assert_eq!(a.value("1").await.as_deref(), Some("second"));
    assert_eq!(b.value("1").await.as_deref(), Some("second"));
}

#[tokio::test]
async fn a_removal_says_how_many_keys_were_present() {
    let town = Town::new();
    let (a, b) = both_hold(&town).await;
    assert_eq!(b.remove_many(["1", "2", "3"]).await.present, 2);
    others_turn().await;
    assert_eq!(a.remove_many(["1", "2", "3"]).await.present, 0);
}
