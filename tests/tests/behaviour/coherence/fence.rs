//! No stale set: what was looked up, loaded or written before an invalidation is not served after it.

use tiered::{Kind, Settings};

use super::line::Fate;
use super::world::{Loading, Node, Town, answered};
use crate::support::gate::{Stop, gate};
use crate::support::loaders::found_after;
use crate::support::spy::{Op, When};
use crate::support::world::{DEFAULT, others_turn, promptly, settings};

async fn pending(node: &Node, key: &str, value: &str) -> (Loading, Stop) {
    let (mut stop, gate) = gate();
    let loading = node.load_tagged(key, "red", found_after(gate, value));
    stop.reached().await;
    (loading, stop)
}

/// A load on the one node has begun; the other one does this; then the load ends. Afterwards both find `then`, or load
/// it.
async fn no_load_outlives(then: &str, invalidate: impl AsyncFn(&Node)) {
    for is_message_late in [false, true] {
        let town = Town::new();
        let (a, b) = town.two().await;
        let (loading, stop) = pending(&a, "1", "old").await;
        if is_message_late {
            b.line.hold();
        }
        invalidate(&b).await;
        others_turn().await;
        stop.go();
        assert_eq!(answered(loading).await, "old", "it goes to who waits");
        b.line.let_go().await;
        others_turn().await;
        assert_ne!(town.in_l2("1").await.as_deref(), Some("old"));
        assert_eq!(a.value_or("1", then).await, then);
        assert_eq!(b.value_or("1", then).await, then);
    }
}

#[tokio::test]
async fn a_load_that_began_before_a_removal_elsewhere_is_not_served_after_it() {
    no_load_outlives("new", async |node| drop(node.remove("1").await)).await;
}

#[tokio::test]
async fn a_load_that_began_before_a_set_elsewhere_is_not_served_after_it() {
    no_load_outlives("new", async |node| node.put("1", "new").await).await;
}

#[tokio::test]
async fn a_load_that_began_before_an_expiry_elsewhere_is_not_served_after_it() {
    no_load_outlives("new", async |node| drop(node.expire("1").await)).await;
}

#[tokio::test]
async fn a_load_that_began_before_a_tags_removal_elsewhere_is_not_served_after_it() {
    no_load_outlives("new", async |node| node.remove_tag("red").await.unwrap()).await;
}

#[tokio::test]
async fn a_load_that_began_before_a_clear_elsewhere_is_not_served_after_it() {
    no_load_outlives("new", async |node| node.clear().await.unwrap()).await;
}

#[tokio::test]
async fn a_load_that_began_before_a_set_of_an_unstorable_value_is_not_served_after_it() {
    let is_too_large = "x".repeat(5 << 20);
    no_load_outlives("new", async |node| {
        assert!(node.set("1", is_too_large.clone()).await.ok().is_err());
    })
    .await;
}

/// The same where the load replaces an old value instead of filling a gap.
async fn no_reload_outlives(invalidate: impl AsyncFn(&Node)) {
    let town = Town::new();
    let stale = Settings {
        stale_for: std::time::Duration::from_secs(60),
        ..settings()
    };
    let (a, b) = town.two_with(stale).await;
    a.set_tagged("1", "oldest", &["red"]).await;
    town.live(10_000).await;
    let (loading, stop) = pending(&a, "1", "old").await;
    invalidate(&b).await;
    stop.go();
    assert_eq!(answered(loading).await, "old");
    others_turn().await;
    assert_ne!(town.in_l2("1").await.as_deref(), Some("old"));
    assert_eq!(b.value_or("1", "new").await, "new");
    assert_eq!(a.value_or("1", "new").await, "new");
}

#[tokio::test]
async fn a_reload_that_began_before_a_removal_elsewhere_is_not_served_after_it() {
    no_reload_outlives(async |node| drop(node.remove("1").await)).await;
}

#[tokio::test]
async fn a_reload_that_began_before_an_expiry_elsewhere_is_not_served_after_it() {
    no_reload_outlives(async |node| drop(node.expire("1").await)).await;
}

#[tokio::test]
async fn a_reload_that_began_before_a_tags_removal_elsewhere_is_not_served_after_it() {
    no_reload_outlives(async |node| node.remove_tag("red").await.unwrap()).await;
}

#[tokio::test]
async fn a_reload_that_began_before_a_clear_elsewhere_is_not_served_after_it() {
    no_reload_outlives(async |node| node.clear().await.unwrap()).await;
}

#[tokio::test]
async fn a_flight_that_another_node_has_outdated_is_not_joined() {
    let (a, b) = Town::new().two().await;
    let (loading, stop) = pending(&a, "1", "old").await;
    b.remove("1").await;
    others_turn().await;
    assert_eq!(a.value_or("1", "new").await, "new");
    stop.go();
    assert_eq!(answered(loading).await, "old");
    assert_eq!(a.stats().loads_refused, 1);
    assert_eq!(a.value_unasked("1").await, "new");
    assert_eq!(b.value_unasked("1").await, "new");
}

#[tokio::test]
async fn all_who_wait_for_a_refused_load_get_its_value() {
    let (a, b) = Town::new().two().await;
    let (first, stop) = pending(&a, "1", "old").await;
    let others: Vec<_> = (0..3)
        .map(|_| a.load("1", crate::support::loaders::unasked))
        .collect();
    crate::support::world::until("the others", || a.stats().coalesced == 3).await;
    b.remove("1").await;
    stop.go();
    assert_eq!(answered(first).await, "old");
    for other in others {
        assert_eq!(answered(other).await, "old");
    }
    assert_eq!((a.stats().loads, a.stats().loads_refused), (1, 1));
    assert_eq!(a.near("1").await, None);
}

#[tokio::test]
async fn what_was_read_before_a_removal_elsewhere_is_not_put_into_l1_after_it() {
    let (a, b) = Town::new().two().await;
    a.put("1", "old").await;
    let mut stop = b.spy.hold(Op::Get, When::After);
    let cache = b.cache.clone();
    let reading = tokio::spawn(async move { cache.get("1").await });
    stop.reached().await;
    a.remove("1").await;
    others_turn().await;
    stop.go();
    assert!(
        promptly(reading).await.unwrap().is_some(),
        "it asked before"
    );
    assert_eq!(b.near("1").await, None);
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn what_a_flight_has_read_before_a_removal_elsewhere_is_not_put_into_l1_after_it() {
    let (a, b) = Town::new().two().await;
    a.put("1", "old").await;
    let mut stop = b.spy.hold(Op::Get, When::After);
    let reading = b.load("1", crate::support::loaders::unasked);
    stop.reached().await;
    a.remove("1").await;
    others_turn().await;
    stop.go();
    assert_eq!(answered(reading).await, "old");
    assert_eq!(b.near("1").await, None);
    assert_eq!(b.value_or("1", "new").await, "new");
}

#[tokio::test]
async fn a_fill_under_way_when_a_removal_passes_stores_nothing() {
    for when in [When::Before, When::After] {
        let town = Town::new();
        let (a, b) = town.two().await;
        let mut stop = a.spy.hold(Op::Fill, when);
        let loading = a.load("1", crate::support::loaders::found("old"));
        stop.reached().await;
        b.remove("1").await;
        others_turn().await;
        stop.go();
        assert_eq!(answered(loading).await, "old");
        others_turn().await;
        assert_eq!(town.in_l2("1").await, None);
        assert_eq!(a.near("1").await, None, "{when:?}");
        assert_eq!(b.value("1").await, None);
    }
}

#[tokio::test]
async fn two_sets_that_overlap_leave_all_tiers_alike() {
    for when in [When::Before, When::After] {
        for is_message_late in [false, true] {
            let town = Town::new();
            let (a, b) = town.two().await;
            let mut stop = a.spy.hold(Op::Set, when);
            let cache = a.cache.clone();
            let setting = tokio::spawn(async move { cache.set("1", "a".to_owned()).await });
            stop.reached().await;
            if is_message_late {
                b.line.hold();
            }
            b.put("1", "b").await;
            others_turn().await;
            stop.go();
            promptly(setting).await.unwrap().ok().unwrap();
            b.line.let_go().await;
            others_turn().await;
            let last = town.in_l2("1").await;
            let want = if when == When::Before { "a" } else { "b" };
            assert_eq!(last.as_deref(), Some(want));
            assert_eq!(a.value("1").await, last, "{when:?} {is_message_late}");
            assert_eq!(b.value("1").await, last, "{when:?} {is_message_late}");
        }
    }
}

#[tokio::test]
async fn two_sets_that_overlap_on_one_node_leave_both_tiers_alike() {
    for when in [When::Before, When::After] {
        let town = Town::new();
        let (a, b) = town.two().await;
        let mut stop = a.spy.hold(Op::Set, when);
        let cache = a.cache.clone();
        let setting = tokio::spawn(async move { cache.set("1", "first".to_owned()).await });
        stop.reached().await;
        a.put("1", "second").await;
        stop.go();
        promptly(setting).await.unwrap().ok().unwrap();
        others_turn().await;
        let last = town.in_l2("1").await;
        assert!(last.is_some());
        assert_eq!(
            (a.value("1").await, b.value("1").await),
            (last.clone(), last)
        );
    }
}

#[tokio::test]
async fn a_removal_takes_out_again_what_was_read_while_it_was_under_way() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    let mut stop = a.spy.hold(Op::Remove, When::Before);
    let cache = a.cache.clone();
    let removing = tokio::spawn(async move { cache.remove("1").await });
    stop.reached().await;
    assert_eq!(a.value("1").await.as_deref(), Some("old"));
    stop.go();
    promptly(removing).await.unwrap().ok().unwrap();
    assert_eq!(a.near("1").await, None);
    others_turn().await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn an_expiry_ends_again_what_was_read_while_it_was_under_way() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    a.put("1", "old").await;
    let mut stop = a.spy.hold(Op::Expire, When::Before);
    let cache = a.cache.clone();
    let expiring = tokio::spawn(async move { cache.expire("1").await });
    stop.reached().await;
    assert_eq!(a.value("1").await.as_deref(), Some("old"));
    stop.go();
    promptly(expiring).await.unwrap().ok().unwrap();
    assert_eq!(a.near("1").await, None);
    assert_eq!(a.value("1").await, None);
}

#[tokio::test]
async fn a_load_without_a_claim_does_not_touch_l2_even_when_that_is_back() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.spy.fail(&Op::ALL);
    let (loading, stop) = pending(&a, "1", "old").await;
    a.spy.fail(&[]);
    b.remove("1").await;
    others_turn().await;
    stop.go();
    assert_eq!(answered(loading).await, "old");
    assert_eq!(a.stats().loads_unfenced, 1);
    assert_eq!(town.kind_in_l2("1").await, None);
    assert_eq!(a.value_or("1", "new").await, "new");
}

#[tokio::test]
async fn a_claim_under_way_when_a_removal_passes_loads_after_it() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let mut stop = a.spy.hold(Op::Claim, When::After);
    let loading = a.load("1", crate::support::loaders::found("loaded"));
    stop.reached().await;
    b.remove("1").await;
    others_turn().await;
    assert_eq!(town.kind_in_l2("1").await, None::<Kind>);
    stop.go();
    assert_eq!(answered(loading).await, "loaded");
    assert_eq!(a.near("1").await, None, "its claim was removed");
}

#[tokio::test]
async fn a_fill_whose_answer_was_lost_lives_in_l1_for_blind_trust_at_most() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.spy.lose_answers(&[Op::Fill]);
    assert_eq!(a.value_or("1", "Ada").await, "Ada");
    a.spy.lose_answers(&[]);
    assert_eq!(a.near("1").await.as_deref(), Some("Ada"));
    assert_eq!(b.value("1").await.as_deref(), Some("Ada"), "it is there");
    town.live(5_000).await;
    assert_eq!(a.near("1").await, None);
    assert_eq!(a.value_unasked("1").await, "Ada");
}

#[tokio::test]
async fn a_removal_whose_message_is_lost_is_seen_within_the_bound() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(2_000).await;
    assert_eq!(b.near("1").await.as_deref(), Some("old"));
    a.line.next(Fate::Lost);
    a.remove("1").await;
    town.live(1_000).await;
    assert_eq!(b.read("1", DEFAULT).await, None);
}
