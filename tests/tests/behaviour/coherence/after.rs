//! A caller who names a write sees that write, on any node.

use tiered::{Access, Options, Version};

use super::line::Fate;
use super::world::{Node, Town, answered};
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, unasked};
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, others_turn, promptly};

fn after(version: Option<Version>) -> Options {
    assert!(version.is_some());
    Options {
        after: version,
        ..DEFAULT
    }
}

/// Node b holds the value `old` under key 1, and does not hear what node a says next.
async fn unheard() -> (Town, Node, Node) {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    a.line.hold();
    (town, a, b)
}

#[tokio::test]
async fn a_set_is_seen_by_who_names_it_before_its_message_has_come() {
    let (_town, a, b) = unheard().await;
    let written = a.set("1", "new".to_owned()).await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"), "not named");
    let value = b.read("1", after(written.version)).await;
    assert_eq!(value.as_deref(), Some("new"));
    assert_eq!(b.near("1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_copy_of_the_named_version_answers_without_l2() {
    let (_town, a, b) = unheard().await;
    let options = after(a.set("1", "new".to_owned()).await.version);
    b.read("1", options).await;
    let before = b.spy.round_trips();
    for node in [&a, &b] {
        assert_eq!(node.read("1", options).await.as_deref(), Some("new"));
    }
    assert_eq!(b.spy.round_trips(), before);
}

#[tokio::test]
async fn a_removal_is_seen_by_who_names_it_before_its_message_has_come() {
    let (_town, a, b) = unheard().await;
    let options = after(a.remove("1").await.version);
    assert_eq!(b.read("1", options).await, None);
    let before = b.spy.asked(Op::Get).0;
    b.put("1", "newer").await;
    assert_eq!(b.read("1", options).await.as_deref(), Some("newer"));
    assert_eq!(b.spy.asked(Op::Get).0, before + 1, "l2 is always asked");
}

#[tokio::test]
async fn an_expiry_is_seen_by_who_names_it_before_its_message_has_come() {
    let (_town, a, b) = unheard().await;
    let options = after(a.expire("1").await.version);
    assert_eq!(b.read("1", options).await, None);
    let answer = b.with(options).get_or_load("1", found("new")).await;
    assert_eq!(answer.unwrap().value.unwrap().as_str(), "new");
}

#[tokio::test]
async fn all_keys_of_a_batch_see_the_write_that_is_named() {
    let (_town, a, b) = unheard().await;
    a.line.let_go().await;
    a.put("2", "old").await;
    b.value("2").await;
    a.line.hold();
    let written = a.set_many([("1", "new".to_owned()), ("2", "new".to_owned())]);
    let written = written.await;
    for write in written {
        let answers = b.with(after(write.version)).get_many(["1", "2"]).await;
        for answer in answers {
            assert_eq!(answer.unwrap().value.unwrap().as_str(), "new");
        }
    }
}

#[tokio::test]
async fn a_load_that_began_before_the_named_write_is_not_joined() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut stop, gate) = gate();
    let loading = b.load("1", found_after(gate, "old"));
    stop.reached().await;
    a.line.hold();
    let options = after(a.set("1", "new".to_owned()).await.version);
    let answer = b.with(options).get_or_load("1", unasked).await.unwrap();
    assert_eq!(answer.value.unwrap().as_str(), "new");
    stop.go();
    assert_eq!(answered(loading).await, "old");
    assert_eq!(b.value_unasked("1").await, "new");
}

#[tokio::test]
async fn a_read_that_names_a_removal_joins_no_load_that_began_before() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut stop, gate) = gate();
    let loading = b.load("1", found_after(gate, "old"));
    stop.reached().await;
    a.line.next(Fate::Lost);
    let options = after(a.remove("1").await.version);
    let answer = b.with(options).get_or_load("1", found("new")).await;
    assert_eq!(answer.unwrap().value.unwrap().as_str(), "new");
    stop.go();
    answered(loading).await;
    others_turn().await;
    assert_eq!(b.value_unasked("1").await, "new");
}

#[tokio::test]
async fn a_read_past_l1_that_names_a_removal_joins_no_load_that_began_before() {
    let (a, b) = Town::new().two().await;
    let (mut stop, gate) = gate();
    let loading = b.load("1", found_after(gate, "old"));
    stop.reached().await;
    a.line.next(Fate::Lost);
    let options = Options {
        l1: Access::WriteOnly,
        ..after(a.remove("1").await.version)
    };
    let cache = b.cache.clone();
    let reading = tokio::spawn(async move {
        let call = cache.with(options);
        call.get_or_load("1", found("new")).await
    });
    others_turn().await;
    stop.go();
    answered(loading).await;
    let answer = promptly(reading).await.unwrap().unwrap();
    assert_eq!(answer.value.unwrap().as_str(), "new");
}

#[tokio::test]
async fn a_write_that_l2_has_not_confirmed_cannot_be_named() {
    let (a, _b) = Town::new().two().await;
    a.spy.fail(&Op::ALL);
    assert_eq!(a.set("1", "Ada".to_owned()).await.version, None);
    assert_eq!(a.remove("1").await.version, None);
    assert_eq!(a.expire("1").await.version, None);
    assert_eq!(a.remove_many(["1", "2"]).await.version, None);
}

#[tokio::test]
async fn presence_sees_the_write_that_is_named() {
    let (_town, a, b) = unheard().await;
    let options = after(a.remove("1").await.version);
    assert!(!b.with(options).contains("1").await);
    assert_eq!(b.with(options).contains_many(["1"]).await, [false]);
}
