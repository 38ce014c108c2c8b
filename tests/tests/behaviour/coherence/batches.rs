//! One load per key where batches of two nodes overlap.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use super::world::{Node, Town, answered};
use crate::support::gate::{Gate, gate};
use crate::support::loaders::{found_after, unasked_many};
use crate::support::spy::{Op, When};
use crate::support::world::{others_turn, promptly, until};

type Pairs = Result<Vec<(String, String)>, Infallible>;
type Asked = Arc<Mutex<Vec<Vec<String>>>>;

/// A batch loader that waits at the gate, finds `<name> <key>` for each key, and notes what it was asked for.
fn named(
    name: &'static str,
    gate: Option<Gate>,
    asked: &Asked,
) -> impl FnOnce(Vec<String>) -> BoxFuture<'static, Pairs> + Clone + Send + 'static {
    let asked = Arc::clone(asked);
    move |keys: Vec<String>| {
        asked.lock().unwrap().push(keys.clone());
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.pass().await;
            }
            let pair = |key: String| (key.clone(), format!("{name} {key}"));
            Ok(keys.into_iter().map(pair).collect())
        })
    }
}

fn batch<F>(node: &Node, keys: &'static [&'static str], load: F) -> JoinHandle<Vec<String>>
where
    F: FnOnce(Vec<String>) -> BoxFuture<'static, Pairs> + Clone + Send + 'static,
{
    let cache = node.cache.clone();
    tokio::spawn(async move {
        let answers = cache.get_many_or_load(keys.iter().copied(), load).await;
        let value = |answer: tiered::Result<Option<Arc<String>>>| answer.unwrap().unwrap();
        answers.into_iter().map(|a| value(a).to_string()).collect()
    })
}

#[tokio::test]
async fn a_batch_loads_what_is_free_and_waits_for_the_rest() {
    let (a, b) = Town::new().two().await;
    let (asked_of_a, asked_of_b) = (Asked::default(), Asked::default());
    let (mut stop, gate) = gate();
    let first = batch(&a, &["1", "2"], named("a", Some(gate), &asked_of_a));
    stop.reached().await;
    let second = batch(&b, &["1", "2", "3"], named("b", None, &asked_of_b));
    until("the wait", || b.stats().waits == 2).await;
    stop.go();
    assert_eq!(promptly(first).await.unwrap(), ["a 1", "a 2"]);
    assert_eq!(promptly(second).await.unwrap(), ["a 1", "a 2", "b 3"]);
    assert_eq!(*asked_of_b.lock().unwrap(), [["3"]]);
}

#[tokio::test]
async fn what_a_batch_has_loaded_is_there_before_it_has_waited_for_the_rest() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut stop, gate) = gate();
    let first = a.load("1", found_after(gate, "a 1"));
    stop.reached().await;
    let second = batch(&b, &["1", "2"], named("b", None, &Asked::default()));
    until("the wait", || b.stats().waits == 1).await;
    assert_eq!(a.value_unasked("2").await, "b 2");
    assert!(!second.is_finished());
    stop.go();
    answered(first).await;
    assert_eq!(promptly(second).await.unwrap(), ["a 1", "b 2"]);
}

#[tokio::test]
async fn a_batch_that_finds_everything_claimed_loads_nothing() {
    let (a, b) = Town::new().two().await;
    let (mut stop, gate) = gate();
    let first = batch(&a, &["1", "2"], named("a", Some(gate), &Asked::default()));
    stop.reached().await;
    let second = batch(&b, &["2", "1"], |keys| Box::pin(unasked_many(keys)));
    until("the wait", || b.stats().waits == 2).await;
    stop.go();
    promptly(first).await.unwrap();
    assert_eq!(promptly(second).await.unwrap(), ["a 2", "a 1"]);
}

/// Node a holds key 1 and wants key 2, node b holds key 2 and wants key 1.
#[tokio::test]
async fn two_batches_that_each_hold_what_the_other_wants_do_not_wait_for_each_other() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let c = town.node().await;
    let mut claim_of_a = a.spy.hold(Op::Claim, When::Before);
    let (mut begun_a, gate_a) = gate();
    let first = batch(&a, &["1", "2"], named("a", Some(gate_a), &Asked::default()));
    claim_of_a.reached().await;

    // Somebody holds key 1 for a moment, so that b gets key 2 only.
    let (mut passing, gate_c) = gate();
    let moment = c.load("1", found_after(gate_c, "c 1"));
    passing.reached().await;
    let (mut begun_b, gate_b) = gate();
    let second = batch(&b, &["2", "1"], named("b", Some(gate_b), &Asked::default()));
    begun_b.reached().await;
    // When key 1 is free, a is quicker.
    let look_of_b = b.spy.hold(Op::Get, When::Before);
    c.remove("1").await;
    passing.go();
    answered(moment).await;

    claim_of_a.go();
    begun_a.reached().await;
    look_of_b.go();
    begun_a.go();
    begun_b.go();
    assert_eq!(promptly(first).await.unwrap(), ["a 1", "b 2"]);
    assert_eq!(promptly(second).await.unwrap(), ["b 2", "a 1"]);
}

#[tokio::test]
async fn a_key_of_a_batch_that_is_removed_meanwhile_takes_no_other_with_it() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let (mut stop, gate) = gate();
    let first = batch(&a, &["1", "2"], named("a", Some(gate), &Asked::default()));
    stop.reached().await;
    b.remove("1").await;
    stop.go();
    assert_eq!(promptly(first).await.unwrap(), ["a 1", "a 2"]);
    others_turn().await;
    assert_eq!(a.stats().loads_refused, 1);
    assert_eq!(b.value_or("1", "new").await, "new");
    assert_eq!(b.value_unasked("2").await, "a 2");
}
