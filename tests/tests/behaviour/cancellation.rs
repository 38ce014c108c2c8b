//! A caller may go away at any await point: every call is polled n times and dropped, for every n until it ends.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures_util::future::BoxFuture;
use tiered::{Cache, Held};

use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, unasked, values_of};
use crate::support::world::{NEITHER, World, both, others_turn, tiers, until};

/// Polls `work` so often, gives others a turn after each time, and drops it. Whether it has ended.
async fn poll_times<T>(work: impl Future<Output = T>, times: usize) -> bool {
    let mut work = pin!(work);
    for _ in 0..times {
        let polled = poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready()));
        if polled.await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

type Call = fn(Cache<String>) -> BoxFuture<'static, ()>;

/// Holds a call against all that a caller who goes away must not break, with empty tiers and with full ones.
async fn may_be_dropped(call: Call) {
    for is_full in [false, true] {
        for times in 0.. {
            let world = World::new();
            let node = world.node();
            if is_full {
                let old = |key| (key, "old".to_owned());
                node.set_many(["1", "2"].map(old)).await;
            }
            world.spy.slow(3);
            let has_ended = poll_times(call(node.clone()), times).await;
            others_turn().await;
            world.spy.slow(0);
            nothing_is_broken(&node, times).await;
            if has_ended {
                assert!(
                    times > 1 || is_full,
                    "a call that never waits shows nothing"
                );
                break;
            }
            assert!(times < 100, "a call that never ends");
        }
    }
}

async fn nothing_is_broken(node: &Cache<String>, times: usize) {
    assert_eq!(node.loads_in_flight(), 0, "dropped after {times} polls");
    for key in ["1", "2"] {
        let (near, far) = tiers(node, key).await;
        assert!(
            near.is_none() || near == far,
            "{near:?} and {far:?} after {times} polls"
        );
        assert!(node.get_or_load(key, found("loaded")).await.is_ok());
        node.set(key, "set".to_owned()).await.ok().unwrap();
        assert_eq!(*node.get(key).await.unwrap(), "set");
        node.remove(key).await;
        assert!(node.get(key).await.is_none());
        // Nobody is thought to be still writing the key: then nothing that is loaded would be stored.
        node.get_or_load(key, found("again")).await.unwrap();
        assert_eq!(tiers(node, key).await, both("again"));
    }
}

#[tokio::test]
async fn a_get_may_be_dropped() {
    may_be_dropped(|node| Box::pin(async move { drop(node.get("1").await) })).await;
}

#[tokio::test]
async fn a_get_of_many_may_be_dropped() {
    may_be_dropped(|node| Box::pin(async move { drop(node.get_many(["1", "2"]).await) })).await;
}

#[tokio::test]
async fn a_presence_test_may_be_dropped() {
    may_be_dropped(|node| Box::pin(async move { assert!(!node.contains("3").await) })).await;
    may_be_dropped(|node| Box::pin(async move { drop(node.contains_many(["1", "3"]).await) }))
        .await;
}

#[tokio::test]
async fn a_load_may_be_dropped() {
    may_be_dropped(|node| {
        let load = || async {
            tokio::task::yield_now().await;
            found("new")().await
        };
        Box::pin(async move { drop(node.get_or_load("1", load).await) })
    })
    .await;
}

#[tokio::test]
async fn a_load_that_panics_may_be_dropped() {
    may_be_dropped(|node| {
        Box::pin(async move {
            drop(node.get_or_load("1", unasked).await);
        })
    })
    .await;
}

#[tokio::test]
async fn a_load_of_many_may_be_dropped() {
    may_be_dropped(|node| {
        Box::pin(async move { drop(node.get_many_or_load(["1", "2", "3"], values_of).await) })
    })
    .await;
}

#[tokio::test]
async fn a_set_may_be_dropped() {
    may_be_dropped(|node| Box::pin(async move { drop(node.set("1", "new".to_owned()).await) }))
        .await;
}

#[tokio::test]
async fn a_set_of_many_may_be_dropped() {
    may_be_dropped(|node| {
        let items = ["1", "2", "3"].map(|key| (key, "new".to_owned()));
        Box::pin(async move { drop(node.set_many(items).await) })
    })
    .await;
}

#[tokio::test]
async fn a_removal_may_be_dropped() {
    may_be_dropped(|node| Box::pin(async move { drop(node.remove("1").await) })).await;
}

#[tokio::test]
async fn a_removal_of_many_may_be_dropped() {
    may_be_dropped(|node| Box::pin(async move { drop(node.remove_many(["1", "2"]).await) })).await;
}

#[tokio::test]
async fn a_refresh_may_be_dropped() {
    may_be_dropped(|node| {
        Box::pin(async move { drop(node.refresh("1", |_| found("new")()).await) })
    })
    .await;
}

#[tokio::test]
async fn a_refresh_of_many_may_be_dropped() {
    may_be_dropped(|node| {
        let load = |asked: Vec<Held<String, String>>| async move {
            let value = |held: Held<String, String>| (held.key, "new".to_owned());
            Ok::<_, Infallible>(asked.into_iter().map(value).collect::<Vec<_>>())
        };
        Box::pin(async move { drop(node.refresh_many(["1", "2"], load).await) })
    })
    .await;
}

#[tokio::test]
async fn a_refresh_queued_behind_a_load_may_be_dropped() {
    may_be_dropped(|node| {
        Box::pin(async move {
            let load = node.get_or_load("1", found("loaded"));
            let refresh = node.refresh("1", |_| found("new")());
            drop(tokio::join!(load, refresh));
        })
    })
    .await;
}

#[tokio::test]
async fn a_write_that_was_begun_and_dropped_is_finished_in_both_tiers() {
    let world = World::new();
    let node = world.node();
    world.spy.slow(2);
    assert!(!poll_times(node.set("1", "new".to_owned()), 1).await);
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, both("new"));
    assert!(!poll_times(node.remove("1"), 1).await);
    others_turn().await;
    assert_eq!(tiers(&node, "1").await, NEITHER);
}

#[test]
fn a_write_that_is_dropped_outside_its_runtime_is_finished_all_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let world = World::new();
    let node = world.node();
    world.spy.slow(2);
    let mut set = Box::pin(node.set("1", "new".to_owned()));
    assert!(!runtime.block_on(poll_times(&mut set, 1)));
    drop(set);
    runtime.block_on(others_turn());
    assert_eq!(runtime.block_on(tiers(&node, "1")), both("new"));
}

#[tokio::test]
async fn a_write_that_was_never_polled_does_nothing() {
    let world = World::new();
    let node = world.node();
    drop(node.set("1", "new".to_owned()));
    drop(node.remove("1"));
    others_turn().await;
    assert_eq!(world.spy.round_trips(), 0);
}

/// The runtime that runs a load is shut down under it: those who wait on another one are told.
#[test]
fn a_load_whose_runtime_goes_away_is_an_error_for_those_who_wait() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let node = World::new().near_node();
    let (mut stop, gate) = gate();
    let other = node.clone();
    first.spawn(async move { other.get_or_load("1", found_after(gate, "Ada")).await });
    second.block_on(stop.reached());
    let other = node.clone();
    let waiter = second.spawn(async move { other.get_or_load("1", found("Ada")).await });
    second.block_on(until("it waits", || node.stats().coalesced == 1));
    first.shutdown_background();
    let error = second.block_on(waiter).unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), node.loads_in_flight()),
        (tiered::ErrorKind::Aborted, 0)
    );
    assert_eq!(
        *second
            .block_on(node.get_or_load("1", found("Ada")))
            .unwrap(),
        "Ada"
    );
}
