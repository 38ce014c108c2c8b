//! One load per key, on however many nodes.

use std::convert::Infallible;

use tiered::{Coherence, Deadlines, ErrorKind, Kind, Loaded, Options, Result, Settings, Source};

use super::world::{Loading, Node, Town, answer, answered, with_coherence};
use crate::support::gate::{Gate, Stop, gate};
use crate::support::loaders::{found, found_after, unasked};
use crate::support::spy::{Op, When};
use crate::support::world::{DEFAULT, FRESH, millis, others_turn, promptly, settings, until};

/// A load on this node that has begun and does not end.
async fn pending(node: &Node, key: &str, value: &str) -> (Loading, Stop) {
    pending_with(DEFAULT, node, key, value).await
}

async fn pending_with(options: Options, node: &Node, key: &str, value: &str) -> (Loading, Stop) {
    let (mut stop, gate) = gate();
    let loading = node.load_with(options, key, found_after(gate, value));
    stop.reached().await;
    (loading, stop)
}

async fn waits(node: &Node, times: u64) {
    until("the wait for another node", || node.stats().waits == times).await;
    others_turn().await;
}

#[tokio::test]
async fn a_cold_key_is_loaded_by_one_of_two_nodes_and_the_other_is_woken() {
    let (a, b) = Town::new().two().await;
    let (first, stop) = pending(&a, "1", "Ada").await;
    let second = b.load("1", unasked);
    waits(&b, 1).await;
    stop.go();
    assert_eq!(answered(first).await, "Ada");
    let second = answer(second).await;
    assert_eq!(
        (second.value.unwrap().as_str(), second.source),
        ("Ada", Source::L2)
    );
    assert_eq!((a.stats().loads, b.stats().loads), (1, 0));
    assert_eq!((b.stats().l2_hits, b.stats().misses), (1, 0));
}

#[tokio::test]
async fn all_callers_of_all_nodes_get_the_one_value() {
    let town = Town::new();
    let nodes = [town.node().await, town.node().await, town.node().await];
    let [a, b, c] = &nodes;
    let (first, stop) = pending(a, "1", "Ada").await;
    let mut others: Vec<_> = (0..5).map(|_| a.load("1", unasked)).collect();
    for node in [b, c] {
        others.extend((0..5).map(|_| node.load("1", unasked)));
        waits(node, 1).await;
    }
    stop.go();
    assert_eq!(answered(first).await, "Ada");
    for other in others {
        assert_eq!(answered(other).await, "Ada");
    }
    assert_eq!(nodes.iter().map(|node| node.stats().loads).sum::<u64>(), 1);
}

#[tokio::test]
async fn that_there_is_none_reaches_the_waiting_node_too() {
    let (a, b) = Town::new().two().await;
    let (mut stop, gate) = gate();
    let first = a.load("1", none_after(gate));
    stop.reached().await;
    let second = b.load("1", unasked);
    waits(&b, 1).await;
    stop.go();
    assert!(answer(first).await.value.is_none());
    assert!(answer(second).await.value.is_none());
}

fn none_after(gate: Gate) -> impl FnOnce() -> futures_util::future::BoxFuture<'static, None> {
    move || {
        Box::pin(async move {
            gate.pass().await;
            Ok(Loaded::missing())
        })
    }
}

type None = Result<Loaded<String>, Infallible>;

#[tokio::test]
async fn a_message_of_the_holder_that_is_lost_is_made_up_for_by_a_look() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (first, stop) = pending(&a, "1", "Ada").await;
    let second = b.load("1", unasked);
    waits(&b, 1).await;
    a.line.next(super::line::Fate::Lost);
    stop.go();
    answered(first).await;
    others_turn().await;
    assert!(!second.is_finished());
    town.live(500).await;
    assert_eq!(answered(second).await, "Ada");
}

#[tokio::test]
async fn a_refresh_on_two_nodes_loads_twice_and_the_later_one_stays() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "before").await;
    let (mut first_stop, first_gate) = gate();
    let first = {
        let cache = a.cache.clone();
        let load = found_after(first_gate, "first");
        tokio::spawn(async move { cache.refresh("1", |_| load()).await })
    };
    first_stop.reached().await;
    let later = b.refresh("1", |_| found("later")()).await.unwrap();
    assert_eq!(later.as_str(), "later");
    first_stop.go();
    assert_eq!(promptly(first).await.unwrap().unwrap().as_str(), "first");
    others_turn().await;
    assert_eq!(a.stats().loads_refused, 1);
    assert_eq!(town.in_l2("1").await.as_deref(), Some("later"));
    assert_eq!(a.value("1").await.as_deref(), Some("later"));
    assert_eq!(b.value("1").await.as_deref(), Some("later"));
}

#[tokio::test]
async fn a_refresh_defeats_the_load_of_another_node_that_began_before() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (first, stop) = pending(&a, "1", "old").await;
    assert_eq!(
        b.refresh("1", |_| found("new")()).await.unwrap().as_str(),
        "new"
    );
    stop.go();
    assert_eq!(answered(first).await, "old");
    others_turn().await;
    assert_eq!(a.value_unasked("1").await, "new");
    assert_eq!(b.value_unasked("1").await, "new");
}

#[tokio::test]
async fn a_value_that_is_refreshed_stays_fresh_for_the_others() -> Result<()> {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "before").await;
    let (mut stop, gate) = gate();
    let cache = a.cache.clone();
    let load = found_after(gate, "after");
    let refresh = tokio::spawn(async move { cache.refresh("1", |_| load()).await });
    stop.reached().await;
    let answer = answer(b.load("1", unasked)).await;
    assert_eq!(
        (answer.value.unwrap().as_str(), answer.is_stale),
        ("before", false)
    );
    stop.go();
    promptly(refresh).await.unwrap()?;
    others_turn().await;
    assert_eq!(b.value_unasked("1").await, "after");
    Ok(())
}

#[tokio::test]
async fn a_holder_that_dies_holds_up_the_others_for_its_claims_life() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
    let (mut stop, gate) = gate();
    let cache = a.cache.clone();
    let dying = runtime.spawn(async move {
        let _ = cache.get_or_load("1", found_after(gate, "never")).await;
    });
    stop.reached().await;
    let waiting = b.load("1", found("Ada"));
    waits(&b, 1).await;
    runtime.shutdown_background();
    assert!(promptly(dying).await.is_err());
    town.live(2_900).await;
    assert!(!waiting.is_finished());
    town.live(600).await;
    assert_eq!(answered(waiting).await, "Ada");
    assert_eq!((b.stats().loads, b.stats().loads_unfenced), (1, 0));
    assert_eq!(town.in_l2("1").await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_long_load_keeps_its_claim() {
    let patient = Coherence {
        claim_wait: millis(60_000),
        ..Coherence::default()
    };
    let town = Town::new();
    let (a, b) = town.two_with(with_coherence(patient)).await;
    let (first, stop) = pending(&a, "1", "Ada").await;
    let second = b.load("1", unasked);
    town.live(20_000).await;
    assert!(!second.is_finished());
    stop.go();
    assert_eq!(answered(first).await, "Ada");
    assert_eq!(answered(second).await, "Ada");
    assert_eq!(a.stats().loads_refused, 0);
}

/// A load on node a is given up after five seconds; what its loader brings later, if it is left to go on, is for nobody.
async fn a_hung_load_frees_its_key(aborts: bool) {
    let coherence = Coherence {
        claim_wait: millis(60_000),
        ..Coherence::default()
    };
    let deadlines = Deadlines {
        abandon: millis(5_000),
        aborts,
        ..Deadlines::default()
    };
    let settings = Settings {
        deadlines,
        ..with_coherence(coherence)
    };
    let town = Town::new();
    let (a, b) = town.two_with(settings).await;
    let (hung, stop) = pending(&a, "1", "too late").await;
    let waiting = b.load("1", found("Ada"));
    town.live(4_900).await;
    assert!(!hung.is_finished() && !waiting.is_finished());
    town.live(150).await;
    let error = promptly(hung).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(answered(waiting).await, "Ada", "the key is free at once");
    stop.go();
    others_turn().await;
    assert_eq!((a.stats().loads_abandoned, a.stats().load_errors), (1, 1));
    assert_eq!(b.stats().loads_unfenced, 0);
    assert_eq!(a.value_unasked("1").await, "Ada");
    assert_eq!(town.in_l2("1").await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_load_beyond_its_limit_loses_its_claim() {
    a_hung_load_frees_its_key(true).await;
}

#[tokio::test]
async fn a_load_beyond_its_limit_that_goes_on_has_lost_its_claim_too() {
    a_hung_load_frees_its_key(false).await;
}

#[tokio::test]
async fn who_has_waited_long_enough_loads_for_itself_alone() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (first, stop) = pending(&a, "1", "from a").await;
    let waiting = b.load("1", found("from b"));
    town.live(9_900).await;
    assert!(!waiting.is_finished());
    town.live(150).await;
    assert_eq!(answered(waiting).await, "from b");
    assert_eq!((b.stats().loads, b.stats().loads_unfenced), (1, 1));
    assert_eq!(town.kind_in_l2("1").await, Some(Kind::Claim));
    assert_eq!(b.near("1").await.as_deref(), Some("from b"));
    town.live(5_000).await;
    assert_eq!(b.near("1").await, None, "longer than blind trust");
    stop.go();
    assert_eq!(answered(first).await, "from a");
    assert_eq!(b.value_unasked("1").await, "from a");
}

#[tokio::test]
async fn the_holders_value_takes_the_place_of_what_was_loaded_for_a_node_alone() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (first, stop) = pending(&a, "1", "from a").await;
    let waiting = b.load("1", found("from b"));
    town.live(10_050).await;
    assert_eq!(answered(waiting).await, "from b");
    stop.go();
    answered(first).await;
    others_turn().await;
    assert_eq!(b.value_unasked("1").await, "from a");
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_holds_up_nobody_on_its_own_node() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.spy.lose_answers(&[Op::Claim]);
    assert_eq!(a.value_or("1", "from a").await, "from a");
    a.spy.lose_answers(&[]);
    assert_eq!(a.stats().loads_unfenced, 1);
    assert_eq!(town.kind_in_l2("1").await, Some(Kind::Claim));
    assert_eq!(a.value_unasked("1").await, "from a");
    let waiting = b.load("1", found("from b"));
    town.live(3_500).await;
    assert_eq!(answered(waiting).await, "from b");
    assert_eq!(a.value_unasked("1").await, "from b");
}

#[tokio::test]
async fn a_claim_that_is_given_away_in_between_is_asked_for_anew() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let mut stop = b.spy.hold(Op::Claim, When::Before);
    let second = b.load("1", unasked);
    stop.reached().await;
    assert_eq!(a.value_or("1", "Ada").await, "Ada");
    stop.go();
    assert_eq!(answered(second).await, "Ada");
    assert_eq!(b.stats().loads, 0);
}

#[tokio::test]
async fn a_removed_value_takes_the_claims_on_it_along() {
    let town = Town::new();
    let stale = Settings {
        stale_for: millis(60_000),
        ..settings()
    };
    let (a, b) = town.two_with(stale).await;
    a.put("1", "first").await;
    town.live(10_000).await;
    let (refreshing, stop) = pending(&a, "1", "late").await;
    b.remove("1").await;
    b.put("1", "second").await;
    assert!(b.expire("1").await.ok().is_ok());
    assert_eq!(
        b.value_or("1", "third").await,
        "third",
        "nobody is waited for"
    );
    stop.go();
    assert_eq!(answered(refreshing).await, "late");
    others_turn().await;
    assert_eq!(a.value_unasked("1").await, "third");
}

#[tokio::test]
async fn a_claimed_value_does_not_end_in_mid_load() {
    let town = Town::new();
    let briefly = Settings {
        stale_for: millis(1_000),
        ..settings()
    };
    let (a, b) = town.two_with(briefly).await;
    a.put("1", "first").await;
    town.live(10_500).await;
    let (loading, stop) = pending_with(FRESH, &a, "1", "second").await;
    town.live(4_000).await;
    stop.go();
    assert_eq!(answered(loading).await, "second");
    assert_eq!(a.stats().loads_refused, 0);
    assert_eq!(b.value_unasked("1").await, "second");
}
