//! What L2 has not confirmed is repeated until it has.

use tiered::{Breaker, Outcome, Settings};

use super::line::Fate;
use super::world::{Node, Town, with_stale_for};
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, others_turn, settings};

/// Node a does this while its L2 fails, and does not serve the old value from then on; when L2 is back, node b does not
/// either.
async fn is_made_up_for(invalidate: impl AsyncFn(&Node), serves: Option<&str>) {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.set_tagged("1", "old", &["red"]).await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    a.spy.fail(&Op::ALL);
    invalidate(&a).await;
    others_turn().await;
    assert_eq!(a.stats().unconfirmed, 1);
    assert_eq!(a.value("1").await.as_deref(), serves, "while l2 fails");
    a.spy.fail(&[]);
    assert_eq!(
        a.value("1").await.as_deref(),
        serves,
        "before it is repeated"
    );
    assert_eq!(b.value("1").await.as_deref(), Some("old"), "as l2 has it");
    town.live(2_100).await;
    assert_eq!(a.stats().unconfirmed, 0);
    assert_eq!(b.near("1").await, None);
    assert_eq!(town.in_l2("1").await, None);
    assert_eq!(b.value("1").await, None);
    assert_eq!(a.value("1").await, None);
    assert_eq!(b.value_or("1", "new").await, "new");
    assert_eq!(a.value_unasked("1").await, "new");
}

#[tokio::test]
async fn a_removal_that_l2_has_not_confirmed_is_repeated() {
    is_made_up_for(
        async |node| {
            let removed = node.remove("1").await;
            assert!(removed.ok().is_err());
            assert_eq!((removed.failed, removed.version), (1, None));
        },
        None,
    )
    .await;
}

#[tokio::test]
async fn an_expiry_that_l2_has_not_confirmed_is_repeated() {
    is_made_up_for(
        async |node| {
            let expired = node.expire("1").await;
            assert!(expired.ok().is_err());
            assert_eq!((expired.failed, expired.version), (1, None));
        },
        None,
    )
    .await;
}

#[tokio::test]
async fn a_tags_removal_that_l2_has_not_confirmed_is_repeated() {
    is_made_up_for(
        async |node| assert!(node.remove_tag("red").await.is_err()),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_clear_that_l2_has_not_confirmed_is_repeated() {
    is_made_up_for(async |node| assert!(node.clear().await.is_err()), None).await;
}

#[tokio::test]
async fn a_set_that_l2_has_not_confirmed_is_repeated_as_a_removal() {
    is_made_up_for(
        async |node| {
            let written = node.set("1", "mine".to_owned()).await;
            assert!(matches!(written.l2, Outcome::Failed(_)));
            assert_eq!(written.version, None);
        },
        Some("mine"),
    )
    .await;
}

#[tokio::test]
async fn a_set_that_is_repeated_does_not_undo_a_later_one_of_another_node() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.spy.fail(&[Op::Set]);
    a.set("1", "older".to_owned()).await;
    b.put("1", "newer").await;
    a.spy.fail(&[]);
    town.live(2_100).await;
    for node in [&a, &b] {
        assert_ne!(node.value("1").await.as_deref(), Some("older"));
    }
    assert_ne!(town.in_l2("1").await.as_deref(), Some("older"));
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_repeated_as_a_removal() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.spy.lose_answers(&[Op::Set]);
    let written = a.set("1", "Ada".to_owned()).await;
    assert!(matches!(written.l2, Outcome::Failed(_)));
    a.spy.lose_answers(&[]);
    assert_eq!(b.value("1").await.as_deref(), Some("Ada"), "it was done");
    town.live(200).await;
    assert_eq!((a.value("1").await, b.value("1").await), (None, None));
}

#[tokio::test]
async fn a_key_in_doubt_is_neither_read_nor_claimed_in_l2() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.put("1", "old").await;
    a.spy.fail(&[Op::Remove]);
    a.remove("1").await;
    let claims = a.spy.asked(Op::Claim).0;
    assert_eq!(a.value_or("1", "new").await, "new");
    assert_eq!(a.spy.asked(Op::Claim).0, claims);
    assert_eq!(a.stats().loads_unfenced, 1);
    assert_eq!(town.in_l2("1").await.as_deref(), Some("old"));
    assert_eq!(a.remove("1").await.present, 1, "its own copy");
    assert!(!a.contains("1").await);
}

#[tokio::test]
async fn a_refresh_of_a_key_in_doubt_does_not_touch_l2() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.put("1", "old").await;
    a.spy.fail(&[Op::Remove]);
    a.remove("1").await;
    let load = crate::support::loaders::found("new");
    assert_eq!(a.refresh("1", |_| load()).await.unwrap().as_str(), "new");
    assert_eq!(town.in_l2("1").await.as_deref(), Some("old"));
    a.spy.fail(&[]);
    town.live(2_100).await;
    assert_eq!(town.in_l2("1").await, None);
    assert_eq!(a.stats().unconfirmed, 0);
}

#[tokio::test]
async fn a_set_of_a_key_in_doubt_is_not_undone_later_without_notice() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    a.spy.fail(&[Op::Remove]);
    a.remove("1").await;
    a.put("1", "new").await;
    assert_eq!(a.value("1").await.as_deref(), Some("new"));
    a.spy.fail(&[]);
    town.live(2_100).await;
    assert_eq!(a.stats().unconfirmed, 0);
    let in_l2 = town.in_l2("1").await;
    assert_eq!(a.value("1").await, in_l2);
    assert_eq!(b.value("1").await, in_l2);
}

#[tokio::test]
async fn what_is_expired_in_vain_keeps_no_fallback_once_it_is_repeated() {
    let town = Town::new();
    let (a, b) = town.two_with(with_stale_for(60_000)).await;
    a.put("1", "old").await;
    a.spy.fail(&Op::ALL);
    a.expire("1").await;
    a.spy.fail(&[]);
    town.live(2_100).await;
    assert_eq!(town.bytes("1").await, None);
    assert_eq!(b.value_or("1", "new").await, "new");
}

#[tokio::test]
async fn pauses_between_repetitions_grow_to_half_a_second() {
    // Each repetition is to reach L2, which an open breaker would not let it.
    let breaker = Breaker {
        calls: 1_000,
        ..Breaker::default()
    };
    let town = Town::new();
    let (a, _b) = town
        .two_with(Settings {
            breaker,
            ..settings()
        })
        .await;
    a.spy.fail(&Op::ALL);
    a.remove("1").await;
    let removals = || a.spy.asked(Op::Remove).0;
    let first = removals();
    for (pause, so_far) in [(100, 1), (200, 2), (400, 3), (500, 4), (500, 5), (500, 6)] {
        town.live(pause - 50).await;
        assert_eq!(removals(), first + so_far - 1, "before {pause}");
        town.live(50).await;
        assert_eq!(removals(), first + so_far, "after {pause}");
    }
}

#[tokio::test]
async fn a_key_is_in_doubt_once_however_often_it_was_changed_in_vain() {
    let (a, _b) = Town::new().two().await;
    a.spy.fail(&Op::ALL);
    for _ in 0..3 {
        a.remove("1").await;
        a.set("1", "Ada".to_owned()).await;
        a.expire("1").await;
    }
    a.remove("2").await;
    assert_eq!(a.stats().unconfirmed, 2);
}

#[tokio::test]
async fn more_keys_in_doubt_than_there_is_room_for_clear_the_namespace() {
    let town = Town::new();
    let (a, b) = town.two().await;
    b.put("other", "old").await;
    a.spy.fail(&Op::ALL);
    let keys: Vec<_> = (0..10_000).map(|key| key.to_string()).collect();
    a.remove_many(keys.iter().map(String::as_str)).await;
    assert_eq!(a.stats().unconfirmed, 10_000);
    a.remove("one more").await;
    assert_eq!(a.stats().unconfirmed, 1);
    a.spy.fail(&[]);
    assert_eq!(a.value("other").await, None, "nothing of l2 is believed");
    town.live(2_100).await;
    assert_eq!(a.stats().unconfirmed, 0);
    assert_eq!(b.value("other").await, None);
    assert_eq!(town.in_l2("other").await, None);
    b.put("other", "new").await;
    others_turn().await;
    assert_eq!(a.value("other").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn nodes_that_set_while_l2_and_the_backplane_are_down_agree_afterwards() {
    let town = Town::new();
    let (a, b) = town.two().await;
    for node in [&a, &b] {
        node.spy.fail(&Op::ALL);
        node.line.always(Fate::Failed);
    }
    a.set("1", "of a".to_owned()).await;
    b.set("1", "of b".to_owned()).await;
    assert_eq!(a.value("1").await.as_deref(), Some("of a"));
    assert_eq!(b.value("1").await.as_deref(), Some("of b"));
    town.live(3_000).await;
    for node in [&a, &b] {
        node.spy.fail(&[]);
        node.line.always(Fate::Sent);
    }
    town.live(2_500).await;
    assert_eq!((a.stats().unconfirmed, b.stats().unconfirmed), (0, 0));
    assert_eq!(a.value_or("1", "of the source").await, "of the source");
    others_turn().await;
    assert_eq!(b.value_unasked("1").await, "of the source");
}

#[tokio::test]
async fn an_unconfirmed_set_lives_in_l1_for_blind_trust_at_most() {
    let town = Town::new();
    let settings = Settings {
        ttl: std::time::Duration::from_secs(60),
        ..settings()
    };
    let (a, _b) = town.two_with(settings).await;
    a.spy.fail(&Op::ALL);
    a.set("1", "Ada".to_owned()).await;
    town.live(4_900).await;
    assert_eq!(a.read("1", DEFAULT).await.as_deref(), Some("Ada"));
    town.live(100).await;
    assert_eq!(a.read("1", DEFAULT).await, None);
}
