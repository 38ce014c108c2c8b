//! What is no longer fresh serves while another node loads its successor.

use tiered::{ErrorKind, News, Source};

use super::line::Fate;
use super::world::{Node, Town, answer, answered, with_stale_for};
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, unasked};
use crate::support::world::{DEFAULT, FRESH, others_turn, until};

#[tokio::test]
async fn an_old_value_serves_while_another_node_loads_its_successor() {
    let town = Town::new();
    let (a, b) = town.two_with(with_stale_for(60_000)).await;
    a.put("1", "old").await;
    town.live(10_000).await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let old = answer(b.load("1", unasked)).await;
    assert_eq!((old.value.unwrap().as_str(), old.is_stale), ("old", true));
    assert_eq!(old.source, Source::L2);
    assert_eq!((b.stats().stale_hits, b.stats().waits), (1, 0));
    stop.go();
    assert_eq!(answered(loading).await, "new");
    let new = answer(b.load("1", unasked)).await;
    assert_eq!((new.value.unwrap().as_str(), new.is_stale), ("new", false));
}

#[tokio::test]
async fn an_old_value_serves_no_longer_than_it_may() {
    let town = Town::new();
    let (a, b) = town.two_with(with_stale_for(1_000)).await;
    a.put("1", "old").await;
    town.live(10_500).await;
    let (mut stop, gate) = gate();
    let loading = a.load_with(FRESH, "1", found_after(gate, "new"));
    stop.reached().await;
    town.live(500).await;
    let waiting = b.load("1", unasked);
    until("the wait", || b.stats().waits == 1).await;
    assert_eq!(b.stats().stale_hits, 0);
    stop.go();
    assert_eq!(answered(loading).await, "new");
    assert_eq!(answered(waiting).await, "new");
}

#[tokio::test]
async fn without_leave_an_old_value_does_not_serve() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    town.live(10_000).await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let waiting = b.load("1", unasked);
    until("the wait", || b.stats().waits == 1).await;
    stop.go();
    answered(loading).await;
    assert_eq!(answered(waiting).await, "new");
    assert_eq!(b.stats().stale_hits, 0);
}

#[tokio::test]
async fn what_was_expired_serves_while_another_node_loads_its_successor() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let c = town.node().await;
    c.put("1", "old").await;
    assert_eq!(b.value_unasked("1").await, "old");
    c.expire("1").await;
    others_turn().await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    for node in [&b, &c] {
        let old = answer(node.load("1", unasked)).await;
        assert_eq!((old.value.unwrap().as_str(), old.is_stale), ("old", true));
    }
    stop.go();
    assert_eq!(answered(loading).await, "new");
    others_turn().await;
    assert_eq!(b.value_unasked("1").await, "new");
}

#[tokio::test]
async fn what_was_expired_is_loaded_by_the_first_who_asks() {
    let (a, b) = Town::new().two().await;
    a.put("1", "old").await;
    assert_eq!(b.value_unasked("1").await, "old");
    a.expire("1").await;
    others_turn().await;
    assert_eq!(b.value("1").await, None);
    assert_eq!(b.value_or("1", "new").await, "new");
}

#[tokio::test]
async fn what_was_removed_does_not_serve_while_another_node_loads() {
    let town = Town::new();
    let (a, b) = town.two_with(with_stale_for(60_000)).await;
    a.put("1", "old").await;
    assert_eq!(b.value_unasked("1").await, "old");
    a.remove("1").await;
    others_turn().await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let waiting = b.load("1", unasked);
    until("the wait", || b.stats().waits == 1).await;
    stop.go();
    answered(loading).await;
    assert_eq!(answered(waiting).await, "new");
}

#[tokio::test]
async fn an_old_copy_in_l1_serves_while_another_node_fills_a_key_that_l2_has_lost() {
    let town = Town::new();
    let (a, b) = town.two_with(with_stale_for(60_000)).await;
    b.put("1", "old").await;
    town.live(10_000).await;
    town.lose("1").await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let old = answer(b.load("1", unasked)).await;
    assert_eq!((old.value.unwrap().as_str(), old.is_stale), ("old", true));
    stop.go();
    answered(loading).await;
}

/// Node b holds a copy in L1; it is invalidated; and then node a loads the key, of which L2 has only the placeholder.
async fn an_invalid_copy_does_not_serve(invalidate: impl AsyncFn(&Town, &Node, &Node)) {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.set_tagged("1", "old", &["red"]).await;
    assert_eq!(b.value_unasked("1").await, "old");
    town.live(1_500).await;
    assert_eq!(b.near("1").await.as_deref(), Some("old"));
    invalidate(&town, &a, &b).await;
    others_turn().await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let waiting = b.load("1", unasked);
    others_turn().await;
    assert_eq!((b.stats().waits, b.stats().stale_hits), (1, 0));
    stop.go();
    answered(loading).await;
    assert_eq!(answered(waiting).await, "new");
}

#[tokio::test]
async fn what_was_removed_by_its_tag_does_not_serve_while_another_node_loads() {
    an_invalid_copy_does_not_serve(async |town, a, _| {
        a.remove_tag("red").await.unwrap();
        town.lose("1").await;
    })
    .await;
}

#[tokio::test]
async fn what_was_removed_unheard_does_not_serve_while_another_node_loads() {
    an_invalid_copy_does_not_serve(async |_, a, b| {
        a.line.next(Fate::Lost);
        a.remove("1").await;
        b.line.tell(News::Gap);
    })
    .await;
}

#[tokio::test]
async fn what_was_removed_unheard_does_not_serve_as_an_old_value_either() {
    let town = Town::new();
    let (a, b) = town.two_with(with_stale_for(60_000)).await;
    a.put("1", "old").await;
    assert_eq!(b.value_unasked("1").await, "old");
    town.live(10_000).await;
    a.line.next(Fate::Lost);
    a.remove("1").await;
    b.line.tell(News::Gap);
    others_turn().await;
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "new"));
    stop.reached().await;
    let waiting = b.load("1", unasked);
    others_turn().await;
    assert_eq!((b.stats().waits, b.stats().stale_hits), (1, 0));
    stop.go();
    answered(loading).await;
    assert_eq!(answered(waiting).await, "new");
}

#[tokio::test]
async fn when_the_successor_cannot_be_loaded_the_next_one_tries() {
    let town = Town::new();
    let (a, b) = town.two_with(with_stale_for(60_000)).await;
    a.put("1", "old").await;
    town.live(10_000).await;
    let failing = || async { Err::<String, _>("down") };
    let old = a.with(DEFAULT).get_or_load("1", failing).await.unwrap();
    assert_eq!((old.value.unwrap().as_str(), old.is_stale), ("old", true));
    assert_eq!(old.failure.unwrap().kind(), ErrorKind::Loader);
    assert_eq!(answered(b.load("1", found("new"))).await, "new");
    others_turn().await;
    assert_eq!(a.value_unasked("1").await, "new");
}

#[tokio::test]
async fn what_was_expired_is_loaded_although_its_last_load_has_failed() {
    let town = Town::new();
    let (a, b) = town.two_with(with_stale_for(60_000)).await;
    let failing = || async { Err::<String, _>("down") };
    for (expires, new) in [(&b, "expired by another node"), (&a, "expired by itself")] {
        a.put("1", "old").await;
        town.live(10_000).await;
        assert_eq!(a.get_or_load("1", failing).await.unwrap().as_str(), "old");
        assert_eq!(a.value_unasked("1").await, "old", "it is held off");
        expires.expire("1").await;
        others_turn().await;
        assert_eq!(a.value_or("1", new).await, new);
    }
}
