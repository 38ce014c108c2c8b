//! What L2 has not taken is made up for, whatever else fails.

use tiered::Settings;

use super::world::{broken, lasting};
use crate::coherence::line::Fate;
use crate::coherence::world::{Node, Town};
use crate::support::loaders::values_of;
use crate::support::spy::Op;
use crate::support::world::{millis, others_turn, promptly, settings};

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|key| key.to_string()).collect()
}

async fn remove_all(node: &Node, keys: &[String]) {
    node.remove_many(keys.iter().map(String::as_str)).await;
}

#[tokio::test]
async fn a_key_that_keeps_failing_holds_up_no_other() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    let keys = keys(2_000);
    let items = keys.iter().map(|key| (key.as_str(), "old".to_owned()));
    a.set_many(items).await;
    a.spy.fail(&Op::ALL);
    remove_all(&a, &keys).await;
    assert_eq!(a.stats().unconfirmed, 2_000);
    a.spy.fail(&[]);
    // More of them than are repeated at a time.
    for key in 0..600 {
        a.spy.stick(&format!("users:{key}"));
    }
    town.live(6_000).await;
    assert_eq!(a.stats().unconfirmed, 600);
    assert_eq!(town.bytes("1999").await, None);
}

#[tokio::test]
async fn a_key_that_keeps_failing_does_not_close_l2_to_others() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.spy.stick("users:stuck");
    a.remove("stuck").await;
    for _ in 0..400 {
        town.live(50).await;
        let why = a.health().l2.why;
        assert!(!why.contains("breaker"), "{why}");
    }
    a.put("1", "new").await;
    assert_eq!(a.stats().unconfirmed, 1);
}

#[tokio::test]
async fn a_mark_that_keeps_failing_holds_up_no_key() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.put("1", "old").await;
    a.spy.fail(&Op::ALL);
    a.remove("1").await;
    assert!(a.remove_tag("red").await.is_err());
    assert_eq!(a.stats().unconfirmed, 2);
    a.spy.fail(&[Op::WriteMarks]);
    town.live(1_000).await;
    assert_eq!(a.stats().unconfirmed, 1);
    assert_eq!(town.bytes("1").await, None);
    a.spy.fail(&[]);
    town.live(1_000).await;
    assert_eq!(a.stats().unconfirmed, 0);
}

#[tokio::test]
async fn more_bytes_of_keys_than_there_is_room_for_clear_the_namespace() {
    let town = Town::new();
    let (a, b) = town.two().await;
    b.put("other", "old").await;
    a.spy.fail(&Op::ALL);
    let long = |key: usize| format!("{key}-{}", "x".repeat(100_000));
    let keys: Vec<_> = (0..150).map(long).collect();
    remove_all(&a, &keys).await;
    assert_eq!(a.stats().unconfirmed, 150);
    let more: Vec<_> = (150..170).map(long).collect();
    remove_all(&a, &more).await;
    assert!(a.stats().unconfirmed < 20, "they are one now");
    a.spy.fail(&[]);
    assert_eq!(a.value("other").await, None);
    town.live(2_500).await;
    assert_eq!(a.stats().unconfirmed, 0);
    assert_eq!(town.in_l2("other").await, None);
    assert_eq!(b.value("other").await, None);
}

/// While a's L2 and the backplane hang, a does this to what both nodes have.
async fn holds_after(change: impl AsyncFn(&Node)) {
    let town = Town::new();
    let (a, b) = town.two_with(lasting()).await;
    a.set_tagged("1", "old", &["red"]).await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    for node in [&a, &b] {
        node.spy.freeze(&Op::ALL);
        node.line.always(Fate::Hanging);
    }
    town.live(2_000).await;
    tokio::join!(change(&a), town.live(100));
    assert_eq!(a.near("1").await, None);
    town.live(5_000).await;
    let (failed, ()) = tokio::join!(a.get_or_load("1", broken), town.live(100));
    assert!(failed.is_err(), "nor as an older copy");
    for node in [&a, &b] {
        node.spy.freeze(&[]);
        node.line.always(Fate::Sent);
    }
    town.live(2_000).await;
    assert_eq!(a.stats().unconfirmed, 0);
    assert_eq!(town.in_l2("1").await, None);
    for node in [&a, &b] {
        assert_eq!(node.value("1").await, None);
        let failed = node.get_or_load("1", broken).await;
        assert!(failed.is_err(), "nor as an older copy");
    }
    assert_eq!(b.value_or("1", "new").await, "new");
    others_turn().await;
    assert_eq!(a.value_unasked("1").await, "new");
}

#[tokio::test]
async fn a_removal_during_an_outage_holds_after_it() {
    holds_after(async |node| assert_eq!(node.remove("1").await.failed, 1)).await;
}

#[tokio::test]
async fn a_tags_removal_during_an_outage_holds_after_it() {
    holds_after(async |node| assert!(node.remove_tag("red").await.is_err())).await;
}

#[tokio::test]
async fn a_clear_during_an_outage_holds_after_it() {
    holds_after(async |node| assert!(node.clear().await.is_err())).await;
}

#[tokio::test]
async fn a_removal_is_kept_for_as_long_as_l2_may_have_the_value() {
    let town = Town::new();
    let settings = Settings {
        ttl: millis(7_200_000),
        ..settings()
    };
    let (a, b) = town.two_with(settings).await;
    a.put("1", "old").await;
    a.spy.fail(&Op::ALL);
    a.remove("1").await;
    for _ in 0..360 {
        // An hour of it.
        town.pass(10_000);
        others_turn().await;
    }
    assert_eq!(a.stats().unconfirmed, 1);
    assert_eq!(town.in_l2("1").await.as_deref(), Some("old"));
    a.spy.fail(&[]);
    town.live(2_000).await;
    assert_eq!(a.stats().unconfirmed, 0);
    assert_eq!((a.value("1").await, b.value("1").await), (None, None));
}

#[tokio::test]
async fn what_is_in_doubt_is_left_out_of_what_a_batch_asks_of_l2() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.set_many([("1", "old".to_owned()), ("2", "there".to_owned())])
        .await;
    a.spy.fail(&[Op::Remove]);
    a.remove_many(["1", "2", "3"]).await;
    a.spy.fail(&[]);
    let claims = a.spy.asked(Op::Claim).1;
    let answers = a.get_many_or_load(["1", "2", "3", "4"], values_of).await;
    let values = answers
        .into_iter()
        .map(|answer| answer.unwrap().unwrap().to_string());
    let expected = ["1", "2", "3", "4"].map(|key| format!("value of {key}"));
    assert_eq!(values.collect::<Vec<_>>(), expected);
    assert_eq!(
        a.spy.asked(Op::Claim).1,
        claims + 1,
        "of the one not in doubt"
    );
    assert_eq!(a.stats().loads_unfenced, 3);
}

#[tokio::test]
async fn after_an_outage_all_is_repeated_within_two_seconds() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    let keys = keys(1_000);
    a.spy.freeze(&Op::ALL);
    let cache = a.cache.clone();
    let removing = keys.clone();
    let removal =
        tokio::spawn(async move { cache.remove_many(removing.iter().map(String::as_str)).await });
    town.live(100).await;
    assert_eq!(promptly(removal).await.unwrap().failed, 1_000);
    town.live(30_000).await;
    assert_eq!(a.stats().unconfirmed, 1_000);
    a.spy.freeze(&[]);
    town.live(2_000).await;
    assert_eq!(a.stats().unconfirmed, 0);
    assert!(a.stats().hears_itself);
}
