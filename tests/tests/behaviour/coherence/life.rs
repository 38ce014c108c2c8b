//! A node's tasks come and go with it.

use tiered::{Cache, ErrorKind};
use tokio::runtime::{Builder, Handle, Runtime};

use super::world::{Town, answered};
use crate::support::gate::gate;
use crate::support::loaders::{found, found_after};
use crate::support::spy::Op;
use crate::support::world::{NEAR_ONLY, others_turn, promptly, settings};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn the_last_handle_says_goodbye_and_takes_the_task_along() {
    let town = Town::new();
    let before = tasks();
    let node = town.node().await;
    let clone = node.cache.clone();
    assert_eq!(tasks(), before + 1);
    let mut listener = town.listener();
    drop(node);
    others_turn().await;
    assert_eq!((tasks(), listener.lines()), (before + 1, vec![]));
    drop(clone);
    others_turn().await;
    assert_eq!(tasks(), before);
    assert_eq!(listener.lines(), ["bye"]);
}

#[tokio::test]
async fn what_was_not_yet_said_is_said_before_the_goodbye() {
    let town = Town::new();
    let node = town.node().await;
    let mut listener = town.listener();
    let mut stop = node.line.hang();
    node.remove("1").await;
    stop.reached().await;
    node.remove("2").await;
    drop(node);
    others_turn().await;
    stop.go();
    others_turn().await;
    assert_eq!(listener.lines(), ["removed 1", "removed 2", "bye"]);
}

#[tokio::test]
async fn the_task_that_repeats_goes_with_the_last_handle() {
    let town = Town::new();
    let before = tasks();
    let node = town.node().await;
    node.spy.fail(&Op::ALL);
    node.remove("1").await;
    others_turn().await;
    assert_eq!(tasks(), before + 2);
    drop(node);
    others_turn().await;
    assert_eq!(tasks(), before);
}

#[tokio::test]
async fn the_task_that_repeats_goes_when_all_is_repeated_and_comes_again() {
    let town = Town::new();
    let node = town.node().await;
    let before = tasks();
    for _ in 0..2 {
        node.spy.fail(&Op::ALL);
        node.remove("1").await;
        others_turn().await;
        assert_eq!(tasks(), before + 1);
        node.spy.fail(&[]);
        town.live(200).await;
        assert_eq!((tasks(), node.stats().unconfirmed), (before, 0));
    }
}

#[tokio::test]
async fn a_cache_that_was_never_used_has_no_task_and_says_nothing() {
    let town = Town::new();
    let before = tasks();
    let mut listener = town.listener();
    drop(town.sleeper(settings()));
    others_turn().await;
    assert_eq!((tasks(), listener.lines()), (before, vec![]));
}

#[tokio::test]
async fn a_load_that_runs_when_the_last_handle_goes_is_still_stored() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let before = tasks();
    let (mut stop, gate) = gate();
    let loading = a.load("1", found_after(gate, "Ada"));
    stop.reached().await;
    loading.abort();
    drop(a);
    stop.go();
    others_turn().await;
    assert_eq!(b.value_unasked("1").await, "Ada");
    assert_eq!(tasks(), before - 1, "only b's is left");
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn near(cache: &Cache<String>, key: &str) -> bool {
    cache.with(NEAR_ONLY).get(key).await.is_some()
}

#[test]
fn a_cache_may_be_built_where_there_is_no_runtime() {
    let town = Town::new();
    let (a, b) = (town.sleeper(settings()), town.sleeper(settings()));
    runtime().block_on(async {
        a.wake().await;
        b.wake().await;
        assert_eq!(a.value_or("1", "old").await, "old");
        assert_eq!(b.value_unasked("1").await, "old");
        a.remove("1").await;
        others_turn().await;
        assert_eq!(b.near("1").await, None);
    });
}

#[test]
fn a_load_without_a_runtime_is_an_error_and_a_hit_is_not() {
    let town = Town::new();
    let node = town.sleeper(settings());
    runtime().block_on(node.put("1", "Ada"));
    let value = futures_util::FutureExt::now_or_never(node.get("1")).unwrap();
    assert_eq!(value.unwrap().as_str(), "Ada");
    let load = node.get_or_load("2", found("Grace"));
    let error = futures_util::FutureExt::now_or_never(load).unwrap();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_cache_keeps_together_with_others_on_a_second_runtime() {
    let town = Town::new();
    let (a, b) = (town.sleeper(settings()), town.sleeper(settings()));
    runtime().block_on(async {
        a.wake().await;
        b.wake().await;
        a.put("1", "old").await;
        assert_eq!(b.value("1").await.as_deref(), Some("old"));
    });
    town.pass(1_000);
    runtime().block_on(async {
        a.remove("1").await;
        others_turn().await;
        assert_eq!(b.value("1").await, None);
        town.live(1_050).await;
        a.put("2", "old").await;
        others_turn().await;
        assert_eq!(b.value("2").await.as_deref(), Some("old"));
        town.live(2_000).await;
        assert!(near(&b.cache, "2").await);
        a.remove("2").await;
        others_turn().await;
        assert!(!near(&b.cache, "2").await);
    });
}

#[test]
fn what_is_in_doubt_is_repeated_on_a_second_runtime() {
    let town = Town::new();
    let node = town.sleeper(settings());
    runtime().block_on(async {
        node.put("1", "old").await;
        node.spy.fail(&Op::ALL);
        node.remove("1").await;
    });
    node.spy.fail(&[]);
    runtime().block_on(async {
        assert_eq!(node.value("1").await, None);
        town.live(2_100).await;
        assert_eq!(node.stats().unconfirmed, 0);
        assert_eq!(town.in_l2("1").await, None);
    });
}

#[tokio::test]
async fn a_load_whose_runtime_is_shut_down_leaves_no_flight() {
    let town = Town::new();
    let node = town.node().await;
    let doomed = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let (mut stop, gate) = gate();
    let cache = node.cache.clone();
    let load = found_after(gate, "never");
    let loading = doomed.spawn(async move { cache.get_or_load("1", load).await });
    stop.reached().await;
    let waiting = node.load("1", found("unused"));
    others_turn().await;
    doomed.shutdown_background();
    assert!(promptly(loading).await.is_err());
    let error = promptly(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted);
    assert_eq!(node.loads_in_flight(), 0);
    let again = node.load("1", found("Ada"));
    town.live(3_500).await;
    assert_eq!(answered(again).await, "Ada");
}
