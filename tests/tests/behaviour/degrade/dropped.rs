//! With the last handle everything ends that ran for the cache.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;

use crate::coherence::line::Fate;
use crate::coherence::world::{Node, Town};
use crate::support::gate::gate;
use crate::support::loaders::{found_after, unasked};
use crate::support::spy::Op;
use crate::support::world::{others_turn, settings, until};

/// Drops the last handle, after which no task is left.
async fn leaves_no_task(town: Town, node: Node, tasks: usize) {
    drop(node);
    others_turn().await;
    // The last words.
    town.live(250).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
}

#[tokio::test]
async fn an_idle_cache_that_is_dropped_leaves_no_task() {
    let town = Town::new();
    let before = Handle::current().metrics().num_alive_tasks();
    let node = town.node().await;
    node.put("1", "new").await;
    assert!(Handle::current().metrics().num_alive_tasks() > before);
    leaves_no_task(town, node, before).await;
}

#[tokio::test]
async fn a_cache_that_is_dropped_aborts_its_loads_and_releases_its_claims() {
    let town = Town::new();
    let (other, before) = (
        town.node().await,
        Handle::current().metrics().num_alive_tasks(),
    );
    let node = town.node().await;
    let (mut stop, gate) = gate();
    let (cache, load) = (node.cache.clone(), found_after(gate, "late"));
    let call = async move { cache.get_or_load("1", load).await.map(drop) };
    // Polled once: the load has begun, and its caller goes away.
    let mut call = Box::pin(call);
    assert!(call.as_mut().now_or_never().is_none());
    stop.reached().await;
    drop(call);
    leaves_no_task(town, node, before).await;
    assert!(stop.is_given_up());
    assert_eq!(other.value_or("1", "of the other").await, "of the other");
    assert_eq!((other.stats().waits, other.stats().loads_unfenced), (0, 0));
}

#[tokio::test]
async fn a_cache_that_is_dropped_in_an_outage_leaves_no_task() {
    let town = Town::new();
    let before = Handle::current().metrics().num_alive_tasks();
    let node = town.node().await;
    node.spy.fail(&Op::ALL);
    node.line.always(Fate::Failed);
    for key in 0..20 {
        node.remove(&key.to_string()).await;
        node.get(&key.to_string()).await;
    }
    // What is to be repeated is tried after 700 ms, and next after 1,200.
    town.live(750).await;
    leaves_no_task(town, node, before).await;
}

#[tokio::test]
async fn a_cache_that_is_dropped_while_a_load_waits_for_another_node_leaves_no_task() {
    let town = Town::new();
    let other = town.node().await;
    let (mut stop, gate) = gate();
    let _loading = other.load("1", found_after(gate, "new"));
    stop.reached().await;
    let before = Handle::current().metrics().num_alive_tasks();
    let node = town.node().await;
    let cache = node.cache.clone();
    let mut call = Box::pin(async move { cache.get_or_load("1", unasked).await.map(drop) });
    assert!(call.as_mut().now_or_never().is_none());
    until("the wait", || node.stats().waits == 1).await;
    drop(call);
    leaves_no_task(town, node, before).await;
}

#[tokio::test]
async fn a_cache_that_is_dropped_while_a_load_waits_for_room_leaves_no_task() {
    let town = Town::new();
    let before = Handle::current().metrics().num_alive_tasks();
    let mut settings = settings();
    settings.throttle.max_loads = 1;
    settings.throttle.max_wait = Duration::from_secs(60);
    let node = town.node_with(settings).await;
    let (mut stop, gate) = gate();
    let cache = node.cache.clone();
    let first =
        tokio::spawn(async move { cache.get_or_load("1", found_after(gate, "late")).await });
    stop.reached().await;
    let cache = node.cache.clone();
    let second = tokio::spawn(async move { cache.get_or_load("2", unasked).await });
    others_turn().await;
    first.abort();
    second.abort();
    others_turn().await;
    leaves_no_task(town, node, before).await;
}

#[tokio::test]
async fn a_cache_may_be_dropped_where_there_is_no_runtime() {
    let town = Town::new();
    let before = Handle::current().metrics().num_alive_tasks();
    let node = town.node().await;
    let (mut stop, gate) = gate();
    let (cache, load) = (node.cache.clone(), found_after(gate, "late"));
    let call = tokio::spawn(async move { cache.get_or_load("1", load).await.map(drop) });
    stop.reached().await;
    call.abort();
    others_turn().await;
    std::thread::spawn(move || drop(node)).join().unwrap();
    others_turn().await;
    town.live(250).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    assert!(stop.is_given_up());
}
